//! `hebb feed`: the network of a policy file alone, on network inputs that were recorded or made up.
//!
//! Inputs and results are safetensors files of f32 with one row per control step; weights lie layer after layer, row-major
//! \[inputs, outputs\].
//!
//! | tensor | shape | |
//! |---|---|---|
//! | `input` | \[steps, inputs\] | read |
//! | `gate` | \[steps, layers\] | read, optional: the plasticity gate of each step |
//! | `initial_weights` | \[synapses\] | read, optional: instead of those of the seed; written as they were at the start |
//! | `output` | \[steps, outputs\] | written |
//! | `weights` | \[steps, synapses\] | written with `--weights`: after each step |
//!
//! Gates and weights are a plastic network's only.

use std::path::{Path, PathBuf};

use hebbian_locomotion::durable::write_durably;
use hebbian_locomotion::plasticity::{Gate, GateSource};
use hebbian_locomotion::policy::{Network, NetworkDescription, PolicyFile};
use hebbian_locomotion::tensors::{f32_bytes, f32_values};
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};

use crate::Failure;
use crate::output::{holds_tensors, refuse_loss, say_written};

#[derive(clap::Args)]
pub struct Arguments {
    /// Policy file.
    policy: PathBuf,
    /// File with the tensor `input`, one row per control step (.safetensors); optional `gate` and `initial_weights`.
    inputs: PathBuf,
    /// File to write (.safetensors).
    out: PathBuf,
    /// Seed of the initial weights or states.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Keep all weights of every step.
    #[arg(long)]
    weights: bool,
    /// Replace the file to write whatever it holds, and not only what this command wrote.
    #[arg(long)]
    force: bool,
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    if !arguments.force {
        let is_own = |path: &Path| holds_tensors(path, &["output"], &["initial_weights", "weights"]);
        refuse_loss(&arguments.out, &[&arguments.policy, &arguments.inputs], "what `hebb feed` wrote", is_own)?;
    }
    let (file, _) = PolicyFile::load(&arguments.policy)?;
    let description = &file.metadata.network;
    let inputs = Inputs::load(&arguments.inputs, description)
        .map_err(|problem| format!("the inputs {} are not usable: {problem}", arguments.inputs.display()))?;
    if arguments.weights && description.plastic().is_none() {
        return Err(format!("--weights: the weights of a network of kind {} do not change in life", description.kind()).into());
    }
    let mut network = description.network(file.clusters.clone(), &file.genome)?;
    network.start(arguments.seed);
    if let (Network::Plastic(network), Some(weights)) = (&mut network, &inputs.initial_weights) {
        network.set_weights(weights).map_err(|problem| format!("the tensor `initial_weights`: {problem}"))?;
    }

    let layers = description.layers();
    let initial_weights = network.plastic().map(|network| network.weights());
    let (mut output, mut weights) = (Vec::new(), Vec::new());
    for (step, input) in inputs.input.chunks_exact(layers.inputs()).enumerate() {
        let count = layers.layers().len();
        let gates = inputs.gate.as_ref().and_then(|gate| gate.chunks_exact(count).nth(step)).unwrap_or(&[]);
        output.extend_from_slice(network.step(input, gates).map_err(|problem| format!("step {step}: {problem}"))?);
        if let Some(network) = network.plastic().filter(|_| arguments.weights) {
            weights.extend(network.weights());
        }
    }

    let steps = output.len() / layers.outputs();
    let mut tensors = vec![("output", vec![steps, layers.outputs()], f32_bytes(&output))];
    if let Some(initial) = initial_weights {
        tensors.push(("initial_weights", vec![initial.len()], f32_bytes(&initial)));
    }
    if arguments.weights {
        tensors.push(("weights", vec![steps, layers.synapses()], f32_bytes(&weights)));
    }
    let views = tensors.iter().map(|(name, shape, data)| Ok((*name, TensorView::new(Dtype::F32, shape.clone(), data)?)));
    let views = views.collect::<Result<Vec<_>, safetensors::SafeTensorError>>()?;
    write_durably(&arguments.out, &serialize(views, None)?)?;
    say_written(&arguments.out, &format!("{steps} control steps, in {}", arguments.out.display()));
    Ok(())
}

/// What a network is fed with.
struct Inputs {
    /// Row after row.
    input: Vec<f32>,
    gate: Option<Vec<f32>>,
    initial_weights: Option<Vec<f32>>,
}

impl Inputs {
    /// Reads the tensors and checks names, shapes and gates against the network; its `step` checks the inputs.
    fn load(path: &Path, network: &NetworkDescription) -> Result<Self, Failure> {
        let bytes = std::fs::read(path)?;
        let tensors = SafeTensors::deserialize(&bytes)?;
        let known = if network.plastic().is_some() { &["input", "gate", "initial_weights"][..] } else { &["input"] };
        if let Some(unknown) = tensors.names().into_iter().find(|name| !known.contains(name)) {
            let (kind, known) = (network.kind(), known.join("`, `"));
            return Err(format!("a network of kind {kind} has no use for the tensor `{unknown}`, only for `{known}`").into());
        }
        let layers = network.layers();
        let Some((input, steps)) = floats(&tensors, "input", &[None, Some(layers.inputs())])? else {
            return Err("the tensor `input` is missing; give f32 [steps, inputs]".into());
        };
        let count = layers.layers().len();
        let gate = floats(&tensors, "gate", &[Some(steps), Some(count)])?.map(|(gate, _)| gate);
        for (index, &value) in gate.iter().flatten().enumerate() {
            Gate::new(value, GateSource::Parameter)
                .map_err(|problem| format!("step {}, layer {}: {problem}", index / count, index % count))?;
        }
        let initial_weights = floats(&tensors, "initial_weights", &[Some(layers.synapses())])?.map(|(weights, _)| weights);
        Ok(Self { input, gate, initial_weights })
    }
}

/// The f32 tensor `name`, where there is one, and its number of rows. `shape` has None where any size will do.
fn floats(tensors: &SafeTensors<'_>, name: &str, shape: &[Option<usize>]) -> Result<Option<(Vec<f32>, usize)>, Failure> {
    let Ok(tensor) = tensors.tensor(name) else { return Ok(None) };
    let (kind, given) = (tensor.dtype(), tensor.shape());
    let fits = given.len() == shape.len() && given.iter().zip(shape).all(|(given, size)| size.is_none_or(|size| size == *given));
    if kind != Dtype::F32 || !fits {
        let size = |size: &Option<usize>| size.map_or("steps".to_owned(), |size| size.to_string());
        let expected = shape.iter().map(size).collect::<Vec<_>>().join(", ");
        return Err(format!("the tensor `{name}` is {kind:?} {given:?}; this network needs F32 [{expected}]").into());
    }
    Ok(Some((f32_values(tensor.data()), given[0])))
}
