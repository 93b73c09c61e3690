//! `hebb trace`: one episode, step by step.

use std::path::PathBuf;

use hebbian_locomotion::episode::{Episode, Fitness, StepView, Trace};
use hebbian_locomotion::evidence::TermMeter;
use hebbian_locomotion::plasticity::{Gate, GateSource};
use hebbian_locomotion::policy::PolicyFile;

use crate::Failure;
use crate::output::{holds_tensors, refuse_loss, say_written};
use crate::world::WorldArguments;

/// Tensors of every trace, and those of some.
const TENSORS: [&[&str]; 2] = [&["joint_position", "targets", "gate", "base"], &["foot_contact", "weights"]];

#[derive(clap::Args)]
pub struct Arguments {
    /// Policy file.
    policy: PathBuf,
    /// File to write (.safetensors).
    out: PathBuf,
    #[command(flatten)]
    world: WorldArguments,
    /// Seed of start pose and initial weights, as that of the nodes.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Plasticity gate, 0 to 1.
    #[arg(long, default_value_t = 1.0)]
    gate: f32,
    /// Keep all weights of every step, and what the rule did; of plastic networks only.
    #[arg(long)]
    weights: bool,
    /// Replace the file to write whatever it holds, and not only a trace.
    #[arg(long)]
    force: bool,
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    if !arguments.force {
        let [all, some] = TENSORS;
        refuse_loss(&arguments.out, &[&arguments.policy], "a trace", |path| holds_tensors(path, all, some))?;
    }
    let (file, _) = PolicyFile::load(&arguments.policy)?;
    let network = &file.metadata.network;
    if arguments.weights && network.plastic().is_none() {
        return Err(format!("--weights: the weights of a network of kind {} do not change in life", network.kind()).into());
    }
    let robot = arguments.world.robot(&arguments.policy, &file)?;
    let mut policy = file.policy()?;
    let mut episode = Episode::new(robot, arguments.world.settings(&file)?)?;
    episode.check(&policy, file.metadata.control_rate)?;
    let gate = Gate::new(arguments.gate, GateSource::Parameter)?;
    let fitness = Fitness::default();
    let mut trace = Trace::new(arguments.weights);
    let mut meter = if arguments.weights { TermMeter::new(&file, &policy) } else { None };
    let watch = |view: &StepView| {
        trace.push(view);
        if let Some(meter) = &mut meter {
            meter.note(view.policy);
        }
    };
    let result = episode.run(&mut policy, arguments.seed, &fitness, |_| gate, watch);
    if let Some(meter) = meter {
        trace.note_rule(meter.traced());
    }
    trace.save(&arguments.out)?;
    let (steps, speed) = (result.control_steps, result.speed);
    say_written(&arguments.out, &format!("{steps} control steps, {speed:.3} m/s, in {}", arguments.out.display()));
    Ok(())
}
