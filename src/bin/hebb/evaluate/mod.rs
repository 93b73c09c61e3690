//! `hebb evaluate`: episodes of a policy on held-out seeds, and its ablation; or many policies in a suite of conditions.

mod own_robot;
mod suite;

use std::path::{Path, PathBuf};

use hebbian_locomotion::episode::{EpisodeResult, EpisodeSettings, Fitness};
use hebbian_locomotion::evidence::{
    Control, NoVerdict, SHORTEST_ABLATION, Summary, Trial, ablate, check_ablation, held_out_seeds,
};
use hebbian_locomotion::plasticity::{Gate, GateSource};
use hebbian_locomotion::policy::{Ablation, PolicyFile};
use serde::Serialize;

use crate::Failure;
use crate::output::refuse_json_loss;
use crate::report::{RobotWarnings, print_ablation, write_json};
use crate::world::WorldArguments;

#[derive(clap::Args)]
pub struct Arguments {
    /// Policy files; several only with --suite.
    #[arg(required = true)]
    policies: Vec<PathBuf>,
    /// Run under the conditions of this suite (YAML), which has episodes, seeds, durations and rates of its own.
    #[arg(long, conflicts_with_all = ["episodes", "seed", "duration", "physics_rate", "ablate", "gate", "suspended", "terrain", "damage"])]
    suite: Option<PathBuf>,
    /// Keep the suite's episodes in this file (JSON lines), and run only those that it lacks.
    #[arg(long, requires = "suite")]
    records: Option<PathBuf>,
    /// Policy, by its file's name without ending, that the suite compares the others with.
    #[arg(long, requires = "suite")]
    baseline: Option<String>,
    #[command(flatten)]
    world: WorldArguments,
    /// Episodes.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..))]
    episodes: u32,
    /// Seed that the episodes' seeds come from.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Plasticity gate, 0 to 1.
    #[arg(long, default_value_t = 1.0)]
    gate: f32,
    /// Also run without parts of the rule, and say how much speed is left.
    #[arg(long, conflicts_with_all = ["gate", "suspended"])]
    ablate: bool,
    /// Policy without plasticity, evolved for the same, that the ablation has beside it; the memory-matched one is of kind `history`.
    #[arg(long, requires = "ablate", value_name = "POLICY")]
    control: Vec<PathBuf>,
    /// Write the ablation into the policy file, whose SHA-256 is another then; only that of the policy's own robot under its usual conditions, in
    /// episodes of at least 3 s.
    #[arg(long, requires = "ablate", conflicts_with_all = ["terrain", "damage", "velocity_limit", "physics_rate"])]
    save: bool,
    /// Write the results as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// The JSON.
#[derive(Serialize)]
struct Report {
    policy: String,
    policy_sha256: String,
    settings: EpisodeSettings,
    seeds: Vec<u64>,
    summary: Summary,
    episodes: Vec<EpisodeFigures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ablation: Option<Ablation>,
}

/// An episode in the JSON: its [`EpisodeResult`] without the fitness. A policy file does not say by which form the policy evolved, and beside the
/// fitness in its provenance that of another form would mislead.
#[derive(Serialize)]
struct EpisodeFigures {
    distance: f32,
    lateral_drift: f32,
    speed: f32,
    yaw: f32,
    fell: bool,
    control_steps: u32,
    physics_steps: u64,
    work: f64,
    joint_speed: f32,
    weights_max_abs: f32,
    weight_change_mean: f32,
}

impl From<EpisodeResult> for EpisodeFigures {
    fn from(result: EpisodeResult) -> Self {
        let EpisodeResult {
            fitness: _,
            distance,
            lateral_drift,
            speed,
            yaw,
            fell,
            control_steps,
            physics_steps,
            work,
            joint_speed,
            weights_max_abs,
            weight_change_mean,
        } = result;
        Self {
            distance,
            lateral_drift,
            speed,
            yaw,
            fell,
            control_steps,
            physics_steps,
            work,
            joint_speed,
            weights_max_abs,
            weight_change_mean,
        }
    }
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let named = [&arguments.suite, &arguments.records].into_iter().flatten();
    let files = arguments.policies.iter().chain(&arguments.control).chain(named).map(PathBuf::as_path);
    refuse_json_loss(arguments.json.as_deref(), files.chain(arguments.world.files()))?;
    if arguments.records.is_some() && arguments.records == arguments.json {
        return Err("--records and --json name one file; the figures would replace the records".into());
    }
    match (&arguments.suite, &arguments.policies[..]) {
        (Some(path), _) => suite::run(arguments, path),
        (None, [policy]) => evaluate(arguments, policy),
        (None, _) => {
            Err("several policies are only run in a suite; give one by --suite, such as config/suites/robustness.yaml".into())
        }
    }
}

fn evaluate(arguments: &Arguments, path: &Path) -> Result<(), Failure> {
    let (mut file, mut hash) = PolicyFile::load(path)?;
    let robot = arguments.world.robot(path, &file)?;
    if arguments.save {
        own_robot::check(&arguments.world, path, &file, &robot)?;
    }
    let (duration, is_plastic) = (arguments.world.duration(), file.metadata.network.plastic().is_some());
    let is_long = duration >= SHORTEST_ABLATION;
    if arguments.save && is_plastic && !is_long {
        return Err(format!("--save is for an ablation with a verdict: {}", NoVerdict::Short { duration }).into());
    }
    let settings = arguments.world.settings(&file)?;
    let trial = Trial::new(robot.clone(), settings.clone(), Fitness::default())?;
    if arguments.ablate {
        check_ablation(&file, &trial)?;
    }
    let gate = Gate::new(arguments.gate, GateSource::Parameter)?;
    let seeds = held_out_seeds(arguments.seed, arguments.episodes);
    RobotWarnings::default().say(&robot);
    let episodes = trial.run(&file, &seeds, |_| gate)?;
    let summary = Summary::of(&episodes);

    println!("{} ({} episodes of {duration} s, seed {})", file.metadata.name, summary.episodes, arguments.seed);
    println!("speed    {:.3} ± {:.3} m/s, slowest {:.3}", summary.speed_mean, summary.speed_sd, summary.speed_min);
    println!("drift    {:.3} m sideways (mean, either way)", summary.drift_mean);
    println!("fell     {} of {}", summary.falls, summary.episodes);
    println!("weights  |w| at most {}", summary.weights_max_abs);

    let mut ablation = None;
    if arguments.ablate {
        println!();
        let controls = arguments.control.iter().map(|path| control(path)).collect::<Result<Vec<_>, Failure>>()?;
        let (result, _) = ablate(&file, &controls, &trial, arguments.seed, arguments.episodes, || ())?;
        print_ablation(&result);
        if arguments.save {
            file.metadata.provenance.ablation = Some(result.clone());
            let saved = file.save(path)?;
            println!("saved in {}, sha256 {saved}", path.display());
            if saved != hash {
                eprintln!(
                    "warning  with this ablation the policy file has another SHA-256: it was {hash} and is {saved}. To all that names the one before, \
                     it is another policy now: `hebb replay` refuses bags recorded with it, a policy node refuses weights that were kept of it, and \
                     suites and studies run its episodes again"
                );
            }
            hash = saved;
        }
        ablation = Some(result);
    }
    if let Some(out) = &arguments.json {
        let policy = file.metadata.name.clone();
        let episodes = episodes.into_iter().map(EpisodeFigures::from).collect();
        let report = Report { policy, policy_sha256: hash, settings, seeds, summary, episodes, ablation };
        write_json(out, &report)?;
    }
    Ok(())
}

/// A policy without plasticity, named like its file.
fn control(path: &Path) -> Result<Control, Failure> {
    let (file, _) = PolicyFile::load(path)?;
    if file.metadata.network.plastic().is_some() {
        let advice = "a control has none: evolve one, for example from config/experiments/beetle_history.yaml";
        return Err(format!("{} has plastic weights; {advice}", path.display()).into());
    }
    Ok(Control { name: name_of(path, &file), file })
}

/// Name of a policy in tables: that of its file.
fn name_of(path: &Path, file: &PolicyFile) -> String {
    path.file_stem().map_or_else(|| file.metadata.name.clone(), |stem| stem.to_string_lossy().into_owned())
}
