//! `hebb bench step`: one step of the plastic network.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::PathBuf;
use std::time::Instant;

use hebbian_locomotion::network::Shape;
use hebbian_locomotion::plasticity::{InitialWeights, Instructions, Measurement, PlasticDescription, PlasticNetwork};
use hebbian_locomotion::random::stream;
use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::bandwidth::{BYTES_MOVED, BYTES_READ, Traffic};
use super::peers::{Peers, PeersError};
use super::{Rounds, Timing, cpu, give, quantile, time};
use crate::Failure;
use crate::output::refuse_json_loss;
use crate::report::progress_bar;

#[derive(clap::Args)]
pub struct Arguments {
    /// Python with numpy and jax, to compare with them. `scripts/bench step` makes one.
    #[arg(long)]
    peers: Option<PathBuf>,
    /// Rounds; in each, all that is compared takes its turn.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// A tenth of everything, to see that it works.
    #[arg(long)]
    quick: bool,
    /// Write the results as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// The beetle's network, and one whose memory is too large for many an inner cache.
const NETS: [&[usize]; 2] = [&[27, 64, 32, 18], &[128, 128, 64, 18]];
/// Networks of a batch, each with a rule of its own.
const BATCH: usize = 128;
/// The peer that is compared with the batch.
const BATCH_PEER: &str = "jax_batch";
/// Different inputs; they repeat.
const INPUTS: usize = 64;
/// Largest |weight| difference after one step for each input that is rounding.
const AGREEMENT: f32 = 1e-4;
/// Synapses that are stepped in one timed batch of steps: about a millisecond.
const SYNAPSES_PER_TIMING: usize = 4_000_000;
/// Neurons of square layers, whose synapses go from a thousand to ten million in half decades. Multiples of eight fill the tiles.
const SQUARES: [usize; 9] = [32, 56, 104, 176, 320, 560, 1000, 1776, 3160];

/// What others do; part of this program, so that it works wherever that is installed.
const PROGRAM: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers/step.py"));

/// Contestants by name, for each network in turn.
type PerNet<T> = Vec<BTreeMap<String, T>>;

/// One network, as others are told of it.
#[derive(Serialize)]
struct Task {
    /// Neurons per layer, input first.
    layers: Vec<usize>,
    /// Weights at the start, layer after layer, row-major \[inputs, outputs\].
    weights: Vec<f32>,
    /// eta A, eta B, eta C and eta D in the same order.
    coefficients: [Vec<f32>; 4],
    /// Inputs of the steps.
    inputs: Vec<Vec<f32>>,
    /// For each network of the batch: what the coefficients are multiplied by.
    batch: Vec<f32>,
}

/// The answer to the tasks.
#[derive(Deserialize)]
struct Ready {
    /// Of Python and the packages.
    versions: BTreeMap<String, String>,
    /// Weights after one step for each input; of a batch, those of its last network.
    weights: PerNet<Vec<f32>>,
}

/// The JSON.
#[derive(Serialize)]
struct Report {
    cpu: String,
    instructions: String,
    rounds: u32,
    quick: bool,
    bytes_moved_per_synapse: usize,
    bytes_read_per_synapse: usize,
    /// Of Python and its packages; none without peers.
    versions: BTreeMap<String, String>,
    nets: Vec<NetReport>,
    linearity: Vec<Square>,
}

/// One network.
#[derive(Serialize)]
struct NetReport {
    layers: &'static [usize],
    synapses: usize,
    steps_per_round: usize,
    step: Timing,
    /// Without run-time detection of instructions.
    portable: Timing,
    /// Reading and writing back what a step must: the ratio is the share of this bound that the step reaches.
    memory_moved: Timing,
    /// Reading alone what a step must: likewise.
    memory_read: Timing,
    moved_bytes_per_second: f64,
    read_bytes_per_second: f64,
    tail: Tail,
    /// One step of each of [`BATCH`] networks, one after the other.
    batch: Timing,
    batch_networks: usize,
    /// numpy, jax_jit and jax_scan beside `step`, jax_batch beside `batch`.
    peers: BTreeMap<String, Timing>,
    /// Largest difference of a weight to each of them, after `agreement_steps`.
    differences: BTreeMap<String, f32>,
    agreement_steps: usize,
}

/// Single steps, with the clock's own time.
#[derive(Serialize)]
struct Tail {
    steps: usize,
    p50_us: f64,
    p99_us: f64,
    p999_us: f64,
    max_us: f64,
}

/// One layer of many synapses.
#[derive(Serialize)]
struct Square {
    synapses: usize,
    step_us: f64,
    ns_per_synapse: f64,
    bytes_per_second: f64,
    /// Share of the bound of [`NetReport::memory_moved`].
    share: f64,
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    refuse_json_loss(arguments.json.as_deref(), [])?;
    let scale = if arguments.quick { 10 } else { 1 };
    let rounds = arguments.rounds.div_ceil(scale);
    let mut subjects = NETS.iter().map(|layers| Subject::new(layers)).collect::<Result<Vec<_>, Failure>>()?;
    let mut peers = None;
    let mut versions = BTreeMap::new();
    if let Some(python) = &arguments.peers {
        let tasks: Vec<_> = subjects.iter().map(Subject::task).collect();
        let (running, ready): (_, Ready) = Peers::start(python, PROGRAM, &tasks)?;
        for (subject, weights) in subjects.iter_mut().zip(&ready.weights) {
            subject.agree(weights)?;
        }
        (peers, versions) = (Some(running), ready.versions);
    }

    let bar = progress_bar(u64::from(rounds), "{bar:30} round {pos} of {len}");
    for _ in 0..rounds {
        if let Some(peers) = &mut peers {
            let times: PerNet<f64> = peers.round()?;
            for (subject, times) in subjects.iter_mut().zip(times) {
                times.into_iter().for_each(|(name, time)| subject.peers.entry(name).or_default().push(time));
            }
        }
        subjects.iter_mut().for_each(Subject::round);
        bar.inc(1);
    }
    bar.finish_and_clear();
    drop(peers);
    let tail = 200_000 / scale as usize;
    let nets = subjects.into_iter().map(|subject| subject.report(tail)).collect();
    let squares = if arguments.quick { &SQUARES[..4] } else { &SQUARES };
    let linearity = linearity(squares, rounds.min(20))?;
    let report = Report {
        cpu: cpu(),
        instructions: Instructions::detect().to_string(),
        rounds,
        quick: arguments.quick,
        bytes_moved_per_synapse: BYTES_MOVED,
        bytes_read_per_synapse: BYTES_READ,
        versions,
        nets,
        linearity,
    };
    give(&report, arguments.json.as_deref(), print_report)
}

/// A network that is stepped by inputs that take turns.
#[derive(Clone)]
struct Stepped {
    network: PlasticNetwork,
    next: usize,
}

impl Stepped {
    fn new(layers: &[usize], rule: f32) -> Result<Self, Failure> {
        let description = PlasticDescription::new(Shape::new(layers.to_vec())?, InitialWeights::Random(0.1));
        let genome = [coefficients(description.layers.synapses()).concat(), vec![rule; description.layers.synapses()]].concat();
        let mut network = PlasticNetwork::new(&description, None, &genome)?;
        network.set_measurement(Measurement::Off);
        network.start(0);
        Ok(Self { network, next: 0 })
    }

    fn step(&mut self, inputs: &[Vec<f32>]) {
        // Inputs are finite, so no step fails.
        let _ = black_box(self.network.step(&inputs[self.next], &[1.0]));
        self.next = (self.next + 1) % inputs.len();
    }
}

/// A, B, C and D from U(-0.1, 0.1).
fn coefficients(synapses: usize) -> [Vec<f32>; 4] {
    let mut random = stream(0, "bench coefficients", &[]);
    std::array::from_fn(|_| (0..synapses).map(|_| random.random_range(-0.1..=0.1)).collect())
}

/// Learning rates of a batch: one for each network, so that each has a rule of its own.
fn rules() -> impl Iterator<Item = f32> {
    (0..BATCH).map(|index| 1.0 - index as f32 / (2 * BATCH) as f32)
}

fn inputs(count: usize) -> Vec<Vec<f32>> {
    let mut random = stream(0, "bench inputs", &[]);
    (0..INPUTS).map(|_| (0..count).map(|_| random.random_range(-1.0..=1.0)).collect()).collect()
}

/// One network with all that it is compared with, and the times.
struct Subject {
    layers: &'static [usize],
    inputs: Vec<Vec<f32>>,
    detected: Stepped,
    portable: Stepped,
    batch: Vec<Stepped>,
    traffic: Traffic,
    calls: usize,
    times: [Rounds; 5],
    peers: BTreeMap<String, Rounds>,
    differences: BTreeMap<String, f32>,
}

impl Subject {
    fn new(layers: &'static [usize]) -> Result<Self, Failure> {
        let detected = Stepped::new(layers, 1.0)?;
        let mut portable = detected.clone();
        portable.network.set_instructions(Instructions::portable());
        let synapses = detected.network.shape().synapses();
        Ok(Self {
            layers,
            inputs: inputs(layers[0]),
            detected,
            portable,
            batch: rules().map(|rule| Stepped::new(layers, rule)).collect::<Result<_, _>>()?,
            traffic: Traffic::new(synapses),
            calls: SYNAPSES_PER_TIMING / synapses,
            times: Default::default(),
            peers: BTreeMap::new(),
            differences: BTreeMap::new(),
        })
    }

    fn task(&self) -> Task {
        let network = &self.detected.network;
        Task {
            layers: self.layers.to_vec(),
            weights: network.weights(),
            // A learning rate of 1 is already multiplied in.
            coefficients: coefficients(network.shape().synapses()),
            inputs: self.inputs.clone(),
            batch: rules().collect(),
        }
    }

    /// Runs what the others ran to be `ready`, and compares the weights.
    fn agree(&mut self, ready: &BTreeMap<String, Vec<f32>>) -> Result<(), PeersError> {
        let last = self.batch.len() - 1;
        for stepped in [&mut self.detected, &mut self.batch[last]] {
            self.inputs.iter().for_each(|_| stepped.step(&self.inputs));
        }
        for (peer, theirs) in ready {
            let ours = if peer == BATCH_PEER { &self.batch[last] } else { &self.detected }.network.weights();
            let difference = ours.iter().zip(theirs).map(|(ours, theirs)| (ours - theirs).abs()).fold(0.0, f32::max);
            let is_nan = theirs.iter().any(|weight| weight.is_nan());
            if is_nan || difference > AGREEMENT || ours.len() != theirs.len() {
                let (peer, layers) = (peer.clone(), self.layers.to_vec());
                return Err(PeersError::Disagreement { peer, layers, steps: INPUTS, difference, limit: AGREEMENT });
            }
            self.differences.insert(peer.clone(), difference);
        }
        Ok(())
    }

    fn round(&mut self) {
        let Self { inputs, detected, portable, batch, traffic, calls, times, .. } = self;
        let [step, plain, moved, read, many] = times;
        // The bounds stand on both sides of the step.
        moved.push(time(*calls, || traffic.read_and_write()));
        step.push(time(*calls, || detected.step(inputs)));
        read.push(time(*calls, || traffic.read()));
        plain.push(time(*calls, || portable.step(inputs)));
        many.push(time(10, || batch.iter_mut().for_each(|network| network.step(inputs))));
    }

    fn report(mut self, tail: usize) -> NetReport {
        let tail = self.tail(tail);
        let [step, plain, moved, read, many] = &self.times;
        let synapses = self.detected.network.shape().synapses();
        let suite = |name: &str| if name == BATCH_PEER { many } else { step };
        let rate = |bytes: usize, timing: Timing| (bytes * synapses) as f64 / timing.median_us * 1e6;
        let (memory_moved, memory_read) = (moved.beside(step), read.beside(step));
        NetReport {
            layers: self.layers,
            synapses,
            steps_per_round: self.calls,
            step: step.beside(step),
            portable: plain.beside(step),
            memory_moved,
            memory_read,
            moved_bytes_per_second: rate(BYTES_MOVED, memory_moved),
            read_bytes_per_second: rate(BYTES_READ, memory_read),
            tail,
            batch: many.beside(many),
            batch_networks: BATCH,
            peers: self.peers.iter().map(|(name, times)| (name.clone(), times.beside(suite(name)))).collect(),
            differences: self.differences,
            agreement_steps: INPUTS,
        }
    }

    fn tail(&mut self, steps: usize) -> Tail {
        let mut single = || {
            let start = Instant::now();
            self.detected.step(&self.inputs);
            start.elapsed().as_secs_f64() * 1e6
        };
        (0..100).for_each(|_| _ = single());
        let mut times: Vec<f64> = (0..steps).map(|_| single()).collect();
        times.sort_by(f64::total_cmp);
        let [p50_us, p99_us, p999_us, max_us] = [0.5, 0.99, 0.999, 1.0].map(|part| quantile(&times, part));
        Tail { steps, p50_us, p99_us, p999_us, max_us }
    }
}

/// Steps of square layers, the bound beside each.
fn linearity(sizes: &[usize], rounds: u32) -> Result<Vec<Square>, Failure> {
    sizes.iter().map(|&neurons| square(neurons, rounds)).collect()
}

fn square(neurons: usize, rounds: u32) -> Result<Square, Failure> {
    let synapses = neurons * neurons;
    let (inputs, mut traffic) = (inputs(neurons), Traffic::new(synapses));
    let mut stepped = Stepped::new(&[neurons, neurons], 1.0)?;
    let calls = (SYNAPSES_PER_TIMING / synapses).max(1);
    let (mut steps, mut bound) = (Rounds::default(), Rounds::default());
    for _ in 0..rounds {
        bound.push(time(calls, || traffic.read_and_write()));
        steps.push(time(calls, || stepped.step(&inputs)));
    }
    let (step_us, share) = (steps.beside(&steps).median_us, bound.beside(&steps).ratio);
    let seconds = step_us * 1e-6 / synapses as f64;
    Ok(Square { synapses, step_us, ns_per_synapse: seconds * 1e9, bytes_per_second: BYTES_MOVED as f64 / seconds, share })
}

fn print_report(report: &Report) {
    println!("{}, {}; {} rounds", report.cpu, report.instructions, report.rounds);
    if !report.versions.is_empty() {
        let versions: Vec<_> = report.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
        println!("{}, one core, same weights within {AGREEMENT:e} after {INPUTS} steps", versions.join(", "));
    }
    for net in &report.nets {
        let name = net.layers.iter().map(usize::to_string).collect::<Vec<_>>().join("-");
        println!(
            "\n{:<44} {:>11} {:>10} {:>8}",
            format!("{name}, {} synapses", net.synapses),
            "median [us]",
            "best [us]",
            "ratio"
        );
        let row = |name: &str, timing: &Timing| {
            println!("{name:<44} {:>11.2} {:>10.2} {:>8.2}", timing.median_us, timing.min_us, timing.ratio);
        };
        row("one step", &net.step);
        row("  instructions of the build's target only", &net.portable);
        row(&format!("  bound: {BYTES_MOVED} bytes per synapse read and written"), &net.memory_moved);
        row(&format!("  bound: {BYTES_READ} bytes per synapse read"), &net.memory_read);
        for (name, timing) in net.peers.iter().filter(|(name, _)| *name != BATCH_PEER) {
            row(&format!("  {}", title(name)), timing);
        }
        row(&format!("one step of each of {BATCH} networks"), &net.batch);
        net.peers.get(BATCH_PEER).into_iter().for_each(|timing| row(&format!("  {}", title(BATCH_PEER)), timing));
        let Tail { steps, p50_us, p99_us, p999_us, max_us } = net.tail;
        println!("{steps} single steps: p50 {p50_us:.2}, p99 {p99_us:.2}, p99.9 {p999_us:.2}, longest {max_us:.1} us");
    }
    println!("\n{:>10} {:>12} {:>14} {:>8} {:>15}", "synapses", "step [us]", "ns/synapse", "GB/s", "share of bound");
    for square in &report.linearity {
        let Square { synapses, step_us, ns_per_synapse, bytes_per_second, share } = square;
        println!("{synapses:>10} {step_us:>12.2} {ns_per_synapse:>14.4} {:>8.1} {share:>15.2}", bytes_per_second / 1e9);
    }
    println!("\nratio: to the step above it, median over the rounds; of a bound, the share of it that the step reaches");
    if report.versions.is_empty() {
        println!("`scripts/bench step` also compares with numpy and jax");
    }
}

fn title(peer: &str) -> &str {
    match peer {
        "jax_jit" => "jax.jit, a call for each step",
        "jax_scan" => "jax, 1000 steps in a lax.scan",
        "jax_batch" => "jax.vmap in a lax.scan",
        peer => peer,
    }
}
