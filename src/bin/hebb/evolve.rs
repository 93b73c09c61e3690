//! `hebb evolve`: an experiment from its first generation, or from its checkpoint, to a policy file.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hebbian_locomotion::config::Change;
use hebbian_locomotion::evidence::{Trial, TrialError, ablate};
use hebbian_locomotion::evolution::{
    Continuation, EvaluatorPool, Experiment, FailureCounts, Generation, Run, evaluate_generation,
};
use hebbian_locomotion::policy::PolicyFile;
use hebbian_locomotion::robot::RobotModel;

use crate::Failure;
use crate::report::{RobotWarnings, duration, print_ablation, progress_bar};

/// Held-out episodes per row of an ablation, if nobody says otherwise.
pub const ABLATION_EPISODES: u32 = 32;

#[derive(clap::Args)]
pub struct Arguments {
    /// Experiment file (YAML).
    experiment: PathBuf,
    /// Folder for checkpoint, history and policy [default: runs/NAME].
    #[arg(long)]
    out: Option<PathBuf>,
    /// Go on from the checkpoint in the folder.
    #[arg(long)]
    resume: bool,
    /// Another value than the experiment's, such as `evolution.sigma.initial=0.05`; may be given several times.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    changes: Vec<Change>,
    /// Seed instead of the experiment's.
    #[arg(long)]
    seed: Option<u64>,
    /// Generations instead of the experiment's; a finished run can be prolonged with --resume.
    #[arg(long)]
    generations: Option<u64>,
    /// Threads [default: all cores].
    #[arg(long)]
    threads: Option<usize>,
    /// Forward speed [m/s] at which to report the time that evolution took.
    #[arg(long, default_value_t = 0.15)]
    milestone: f32,
    /// Held-out episodes per row of the ablation that the policy gets.
    #[arg(long, value_name = "EPISODES", default_value_t = ABLATION_EPISODES, value_parser = clap::value_parser!(u32).range(1..))]
    ablation: u32,
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (mut experiment, robot) = Experiment::load_changed(&arguments.experiment, &arguments.changes)?;
    experiment.seed = arguments.seed.unwrap_or(experiment.seed);
    experiment.evolution.generations = arguments.generations.unwrap_or(experiment.evolution.generations);
    if let Some(threads) = arguments.threads {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    }
    let out = match &arguments.out {
        Some(folder) => folder.clone(),
        None => Run::default_folder(&experiment)?,
    };
    let continuation = if arguments.resume { Continuation::Required } else { Continuation::Never };
    let options = Options {
        out: &out,
        continuation,
        milestone: arguments.milestone,
        ablation_episodes: arguments.ablation,
        policy: &out.join("policy.safetensors"),
    };
    evolve_to_file(experiment, robot, &options, &mut RobotWarnings::default())
}

/// Where an evolution is kept, and what it leaves at its end.
pub struct Options<'a> {
    /// Folder of the run.
    pub out: &'a Path,
    /// What to do with a run that is there.
    pub continuation: Continuation,
    /// Forward speed \[m/s\] at which to report the time that evolution took.
    pub milestone: f32,
    /// Held-out episodes per row of the policy's ablation.
    pub ablation_episodes: u32,
    /// File of the policy.
    pub policy: &'a Path,
}

/// Evolves until the run is over, and writes the policy with its ablation. Before, it says what is not in `said` of the robot's warnings.
pub fn evolve_to_file(
    experiment: Experiment,
    robot: Arc<RobotModel>,
    options: &Options<'_>,
    said: &mut RobotWarnings,
) -> Result<(), Failure> {
    let mut run = Run::open(experiment, robot, options.out, options.continuation)?;
    said.say(run.robot());
    evolve(&mut run, options.milestone)?;
    let hash = policy(&run, options.ablation_episodes)?.save(options.policy)?;
    println!("policy {}\nsha256 {hash}", options.policy.display());
    Ok(())
}

fn evolve(run: &mut Run, milestone: f32) -> Result<(), Failure> {
    let experiment = run.search().experiment().clone();
    let settings = &experiment.evolution;
    let first = run.search().strategy().generation();
    let left = settings.generations.saturating_sub(first);
    println!(
        "{}: {} numbers, population {}, {} episodes a generation, generation {first} of {}, {} threads",
        experiment.name,
        run.search().strategy().state().mean.len(),
        settings.population,
        settings.population as u64 * u64::from(experiment.episodes_per_candidate()),
        settings.generations,
        rayon::current_num_threads()
    );
    let bar = progress_bar(left * settings.population as u64, "{bar:30.cyan} {percent:>3}%  {msg}  {eta} left");
    let start = Instant::now();
    let (mut reached, mut episodes) = (None, 0);
    let mut evaluators = EvaluatorPool::new(run.search(), run.robot().clone())?;
    let reason = loop {
        if let Some(reason) = run.ended() {
            break reason;
        }
        for event in run.prepare()? {
            evaluators = EvaluatorPool::new(run.search(), run.robot().clone())?;
            bar.suspend(|| println!("generation {:>4}  {event}", run.search().strategy().generation()));
        }
        let began = Instant::now();
        let outcomes = evaluate_generation(run.search(), &evaluators, || bar.inc(1));
        episodes += outcomes.len() as u64 * u64::from(experiment.episodes_per_candidate());
        let generation = run.finish_generation(&outcomes, began.elapsed())?;
        let done = run.search().strategy().generation() - first;
        let failures = outcomes.iter().filter_map(|outcome| outcome.err()).collect();
        let line = line(&generation, failures, episodes as f64 / start.elapsed().as_secs_f64());
        bar.set_message(line.clone());
        // A line of each generation where the output is kept or read by a program, and where there is no bar to say the same.
        if !std::io::stdout().is_terminal() || bar.is_hidden() {
            let per_generation = start.elapsed().as_secs_f64() / done as f64;
            let rest = duration(Duration::from_secs_f64(per_generation * (left - done) as f64));
            bar.suspend(|| println!("{line}  {rest} left"));
        }
        if reached.is_none() && generation.mean_speed >= milestone {
            reached = Some((generation.generation, start.elapsed()));
        }
    };
    bar.finish_and_clear();
    println!("{reason}");
    let generations = run.search().strategy().generation() - first;
    if generations > 0 {
        let time = start.elapsed();
        let steps = episodes as f64 * f64::from(experiment.episode.duration * experiment.episode.simulation.physics_rate);
        println!("{generations} generations in {}, {:.0} physics steps/s", duration(time), steps / time.as_secs_f64());
    }
    if let Some((generation, time)) = reached {
        println!("mean speed of the population reached {milestone} m/s in generation {generation}, after {}", duration(time));
    }
    Ok(())
}

/// The policy that the run came to, with its ablation if its episodes are short enough for one.
fn policy(run: &Run, ablation_episodes: u32) -> Result<PolicyFile, Failure> {
    let experiment = run.search().experiment();
    let mut file = run.policy()?;
    let trial = Trial::new(run.robot().clone(), experiment.episode.clone(), experiment.fitness.clone())?;
    match ablate(&file, &[], &trial, experiment.seed, ablation_episodes, || ()) {
        Ok((ablation, intact)) => {
            print_ablation(&ablation);
            let provenance = &mut file.metadata.provenance;
            provenance.fitness = intact.fitness_mean;
            provenance.ablation = Some(ablation);
        }
        // The policy of a long evolution is not lost for what is said beside it.
        Err(error @ TrialError::Course { .. }) => eprintln!("warning  the policy is without an ablation: {error}"),
        Err(error) => return Err(error.into()),
    }
    Ok(file)
}

fn line(g: &Generation, failures: FailureCounts, rate: f64) -> String {
    let failed = if failures.total() > 0 { format!("  {failures}") } else { String::new() };
    format!(
        "generation {:>4}  fitness {:>7.1} best {:>7.1}  speed {:>6.3} best {:>6.3} m/s  falls {:>3.0}%{failed}  \
         {rate:.1} episodes/s",
        g.generation,
        g.mean,
        g.best,
        g.mean_speed,
        g.best_speed,
        100.0 * g.falls
    )
}
