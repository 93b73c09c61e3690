//! `hebb inspect`: what is in a policy file or a checkpoint, and what the rule does.

use std::path::PathBuf;

use hebbian_locomotion::episode::{EPISODE_VERSION, Episode, FIRST_EPISODE_VERSION};
use hebbian_locomotion::evidence::{GenomeNumbers, TermSizes, held_out_seeds, term_sizes};
use hebbian_locomotion::evolution::{Checkpoint, Experiment, Generation, Method, Optimiser};
use hebbian_locomotion::policy::{NetworkDescription, PolicyFile, PolicyMetadata, Provenance};
use serde::Serialize;

use crate::Failure;
use crate::numbers::{print_genome, short};
use crate::output::refuse_json_loss;
use crate::report::{print_ablation, write_json};
use crate::world::WorldArguments;

/// Generations of a checkpoint's history that are printed.
const TAIL: usize = 10;

#[derive(clap::Args)]
pub struct Arguments {
    /// Policy file, or checkpoint of an evolution.
    policy: PathBuf,
    /// The episode in which the rule's terms are measured (one of `hebb evaluate --seed 0`).
    #[command(flatten)]
    world: WorldArguments,
    /// Write everything as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// The JSON of a policy.
#[derive(Serialize)]
struct PolicyReport<'a> {
    kind: &'static str,
    sha256: &'a str,
    metadata: &'a PolicyMetadata,
    genome: GenomeNumbers,
    /// Per layer; absent when nothing was measured.
    terms: Option<Vec<TermSizes>>,
}

/// The JSON of a checkpoint.
#[derive(Serialize)]
struct CheckpointReport<'a> {
    kind: &'static str,
    experiment_hash: &'a str,
    experiment: &'a Experiment,
    network: &'a NetworkDescription,
    generation: u64,
    genome: GenomeNumbers,
    history: &'a [Generation],
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let files = [arguments.policy.as_path()].into_iter().chain(arguments.world.files());
    refuse_json_loss(arguments.json.as_deref(), files)?;
    if Checkpoint::is_at(&arguments.policy) { inspect_checkpoint(arguments) } else { inspect_policy(arguments) }
}

fn inspect_policy(arguments: &Arguments) -> Result<(), Failure> {
    let (file, hash) = PolicyFile::load(&arguments.policy)?;
    let metadata = &file.metadata;
    if metadata.network.plastic().is_none() {
        let kind = metadata.network.kind();
        refuse_world(arguments, &format!("a policy of kind {kind}, which has no rule whose terms could be measured"))?;
    } else if let Some(path) = arguments.world.missing_robot(&arguments.policy, &file) {
        refuse_world(arguments, &format!("a policy without its robot: there is no {}; name it by --robot", path.display()))?;
    }
    let provenance = &metadata.provenance;
    println!("policy      {}\nsha256      {hash}", metadata.name);
    println!("numbers     sha256 {}", file.numbers_hash());
    println!("robot       {}: {} joints, {} feet", metadata.robot.name, metadata.robot.joints.len(), metadata.robot.feet.len());
    println!("joints      {}", metadata.robot.joint_names().collect::<Vec<_>>().join(" "));
    println!("feet        {}", metadata.robot.feet.join(" "));
    println!("rate        {} Hz", metadata.control_rate);
    print_network(&metadata.network, file.genome.len())?;
    println!("gate        {}", serde_json::to_string(&metadata.gate)?);
    if let Some(subspace) = &file.subspace {
        println!("subspace    {} components", subspace.components());
    }
    println!("inputs      {}", metadata.observation.names(&metadata.robot).join(" "));
    println!("action      nominal pose + {} rad x output, low-pass {}", metadata.action.scale, metadata.action.low_pass);
    println!(
        "experiment  {} (hash {:.12}…), seed {}, generation {}, episodes of version {}",
        provenance.experiment,
        provenance.experiment_hash,
        provenance.seed,
        provenance.generation,
        provenance.episode_version.unwrap_or(FIRST_EPISODE_VERSION)
    );
    if let Some(start) = &provenance.start {
        println!("began at    the policy with sha256 {start:.12}…");
    }
    print_fitness(provenance);
    println!();
    match &provenance.ablation {
        Some(ablation) => print_ablation(ablation),
        None => println!("no ablation recorded; run `hebb evaluate --ablate --save` on the file"),
    }
    println!();
    let genome = GenomeNumbers::of(&metadata.network.blocks(), &file.genome);
    print_genome(&genome);
    let terms = terms(arguments, &file)?;
    match &arguments.json {
        Some(path) => write_json(path, &PolicyReport { kind: "policy", sha256: &hash, metadata, genome, terms }),
        None => Ok(()),
    }
}

/// Refuses options for the episode in which terms are measured where there is none, as the file is `what`.
fn refuse_world(arguments: &Arguments, what: &str) -> Result<(), Failure> {
    match arguments.world.given() {
        Some(option) => Err(format!("{option} has no use here: {} is {what}", arguments.policy.display()).into()),
        None => Ok(()),
    }
}

/// Prints the fitness, and whether it is that of episodes that evolution chose by.
fn print_fitness(provenance: &Provenance) {
    let fitness = provenance.fitness;
    match provenance.ablation {
        Some(_) => println!("fitness     {fitness}"),
        // What a file says of a genome that was never tried.
        None if fitness == 0.0 => println!("fitness     0, or not measured"),
        None => println!(
            "fitness     {fitness} in evolution (of the policy at the mean of a search: of its candidates); no held-out episodes were run"
        ),
    }
}

fn print_network(network: &NetworkDescription, numbers: usize) -> Result<(), Failure> {
    println!("network     {} {:?}, {numbers} numbers evolved", network.kind(), network.layers().neurons());
    let json = serde_json::to_value(network)?;
    for (key, value) in json[network.kind()].as_object().into_iter().flatten().filter(|(key, _)| *key != "layers") {
        println!("            {key} {value}");
    }
    Ok(())
}

/// Measures and prints the terms of the update, where there is a rule and a robot.
fn terms(arguments: &Arguments, file: &PolicyFile) -> Result<Option<Vec<TermSizes>>, Failure> {
    let Some(plastic) = file.metadata.network.plastic() else { return Ok(None) };
    println!();
    if let Some(path) = arguments.world.missing_robot(&arguments.policy, file) {
        println!("terms of the update not measured: there is no robot {}; name it by --robot", path.display());
        return Ok(None);
    }
    let robot = arguments.world.robot(&arguments.policy, file)?;
    let mut episode = Episode::new(robot, arguments.world.settings(file)?)?;
    let Some(terms) = term_sizes(file, &mut episode, held_out_seeds(0, 1)[0])? else { return Ok(None) };
    println!("terms of the update, mean magnitude and share, in an episode of {} s", arguments.world.duration());
    let names = if plastic.convention.is_swapped() { ["eta B y", "eta C x"] } else { ["eta B x", "eta C y"] };
    println!("{:<8} {:>18} {:>18} {:>18} {:>18}", "layer", "eta A x y", names[0], names[1], "eta D");
    for (index, layer) in terms.iter().enumerate() {
        let sum: f64 = layer.values().iter().sum();
        let share = |value: f64| if sum > 0.0 { 100.0 * value / sum } else { 0.0 };
        let columns = layer.values().map(|value| format!(" {:>12} {:>4.0}%", short(value), share(value))).concat();
        println!("{index:<8}{columns}");
    }
    Ok(Some(terms))
}

fn inspect_checkpoint(arguments: &Arguments) -> Result<(), Failure> {
    refuse_world(arguments, "a checkpoint, of which no episode is run")?;
    let checkpoint = Checkpoint::load(&arguments.policy)?;
    let (experiment, generation) = (&checkpoint.experiment, checkpoint.state.generation);
    let (settings, network, strategy) = (&experiment.evolution, checkpoint.network(), checkpoint.strategy()?);
    let genome = strategy.mean_genome();
    println!("checkpoint  {}, generation {generation} of {}", experiment.name, settings.generations);
    println!(
        "experiment  hash {:.12}…, seed {}, robot {}",
        checkpoint.experiment_hash,
        experiment.seed,
        experiment.robot.display()
    );
    if checkpoint.episode_version != EPISODE_VERSION {
        println!("            of a version of the program in which episodes come to other bits: it cannot go on with this one");
    }
    print_network(&network, genome.len())?;
    let episodes = experiment.episodes_per_candidate();
    let method = match settings.method {
        Method::OpenEs => "OpenAI-ES",
        Method::Snes => "SNES",
    };
    let (population, restarts) = (strategy.population_size(), strategy.state().restarts);
    println!("search      {method}, population {population}, {episodes} episodes per candidate, {restarts} restarts so far");
    println!("            sigma {}, learning rate {} (now)", strategy.sigma(), strategy.learning_rate());
    match (settings.method, settings.optimiser) {
        (Method::OpenEs, Optimiser::Adam) => println!("            adam: beta1 {}, beta2 {}", settings.beta1, settings.beta2),
        (Method::OpenEs, Optimiser::Sgd) => println!("            sgd: momentum {}", settings.momentum),
        (Method::Snes, _) => {}
    }
    println!("            weight decay {}", settings.weight_decay);
    println!("            genome {}", serde_json::to_string(&settings.genome)?);
    for merge in &settings.merge {
        println!("            merge to {} rules before generation {}", merge.rules, merge.generation);
    }
    println!("episode     {}", serde_json::to_string(&experiment.episode)?);
    println!("fitness     {}", serde_json::to_string(&experiment.fitness)?);
    println!();
    print_history(&checkpoint.history);
    println!();
    let genome = GenomeNumbers::of(&network.blocks(), &genome);
    print_genome(&genome);
    let Some(path) = &arguments.json else { return Ok(()) };
    let report = CheckpointReport {
        kind: "checkpoint",
        experiment_hash: &checkpoint.experiment_hash,
        experiment,
        network: &network,
        generation,
        genome,
        history: &checkpoint.history,
    };
    write_json(path, &report)
}

fn print_history(history: &[Generation]) {
    println!(
        "{:>10} {:>16} {:>8} {:>18} {:>10} {:>6} {:>7}",
        "generation", "fitness", "best", "mean speed [m/s]", "best's", "falls", "failed"
    );
    for g in &history[history.len().saturating_sub(TAIL)..] {
        println!(
            "{:>10} {:>16} {:>8.1} {:>18.3} {:>10.3} {:>5.0}% {:>7}",
            g.generation,
            format!("{:.1} ± {:.1}", g.mean, g.spread),
            g.best,
            g.mean_speed,
            g.best_speed,
            100.0 * g.falls,
            g.failed
        );
    }
}
