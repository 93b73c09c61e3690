//! `hebb evaluate`: episodes of a policy on held-out seeds, and its ablation.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hebbian_locomotion::episode::{EpisodeResult, EpisodeSettings, Fitness, FitnessForm};
use hebbian_locomotion::evidence::{Summary, Trial, ablate, held_out_seeds};
use hebbian_locomotion::plasticity::{Gate, GateSource};
use hebbian_locomotion::policy::{Ablation, PolicyFile};
use hebbian_locomotion::robot::RobotModel;
use hebbian_locomotion::simulation::{Mount, SimulationSettings, StartNoise};
use serde::Serialize;

use crate::Failure;
use crate::report::{print_ablation, write_json};

#[derive(clap::Args)]
pub struct Arguments {
    /// Policy file.
    policy: PathBuf,
    /// Robot description [default: ../robots/NAME.yaml beside the policy, NAME being the policy's robot].
    #[arg(long)]
    robot: Option<PathBuf>,
    /// Episodes.
    #[arg(long, default_value_t = 16)]
    episodes: u32,
    /// Length of an episode [s].
    #[arg(long, default_value_t = 6.0)]
    duration: f32,
    /// Seed that the episodes' seeds come from.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Plasticity gate, 0 to 1.
    #[arg(long, default_value_t = 1.0)]
    gate: f32,
    /// Hold the base so that no foot reaches the ground.
    #[arg(long)]
    suspended: bool,
    /// Physics steps per second.
    #[arg(long, default_value_t = 100.0)]
    physics_rate: f32,
    /// Joint speed limit [rad/s] instead of the robot's.
    #[arg(long)]
    velocity_limit: Option<f32>,
    /// Also run without parts of the rule, and say how much speed is left.
    #[arg(long, conflicts_with_all = ["gate", "suspended"])]
    ablate: bool,
    /// Write the ablation into the policy file.
    #[arg(long, requires = "ablate")]
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
    seeds: Vec<u64>,
    summary: Summary,
    episodes: Vec<EpisodeResult>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ablation: Option<Ablation>,
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (mut file, hash) = PolicyFile::load(&arguments.policy)?;
    let robot = robot(arguments, &file)?;
    let mount = if arguments.suspended { Mount::Suspended } else { Mount::Free };
    let simulation = SimulationSettings {
        physics_rate: arguments.physics_rate,
        control_rate: file.metadata.control_rate,
        mount,
    };
    let settings = EpisodeSettings {
        duration: arguments.duration,
        start_noise: StartNoise::default(),
        simulation,
    };
    let trial = Trial::new(
        robot,
        settings,
        Fitness {
            form: FitnessForm::Iros,
            terms: Vec::new(),
        },
    )?;
    let gate = Gate::new(arguments.gate, GateSource::Parameter)?;
    let seeds = held_out_seeds(arguments.seed, arguments.episodes);
    let episodes = trial.run(&file, &seeds, |_| gate)?;
    let summary = Summary::of(&episodes);

    println!(
        "{} ({} episodes of {} s, seed {})",
        file.metadata.name, summary.episodes, arguments.duration, arguments.seed
    );
    println!(
        "speed    {:.3} ± {:.3} m/s, slowest {:.3}",
        summary.speed_mean, summary.speed_sd, summary.speed_min
    );
    println!("drift    {:.3} m sideways (mean, either way)", summary.drift_mean);
    println!("fell     {} of {}", summary.falls, summary.episodes);
    println!("weights  |w| at most {}", summary.weights_max_abs);

    let mut ablation = None;
    if arguments.ablate {
        println!();
        let (result, _) = ablate(&file, &trial, arguments.seed, arguments.episodes, || ())?;
        print_ablation(&result);
        if arguments.save {
            file.metadata.provenance.ablation = Some(result.clone());
            println!(
                "saved in {}, sha256 {}",
                arguments.policy.display(),
                file.save(&arguments.policy)?
            );
        }
        ablation = Some(result);
    }
    if let Some(path) = &arguments.json {
        let report = Report {
            policy: file.metadata.name.clone(),
            policy_sha256: hash,
            seeds,
            summary,
            episodes,
            ablation,
        };
        write_json(path, &report)?;
    }
    Ok(())
}

fn robot(arguments: &Arguments, file: &PolicyFile) -> Result<Arc<RobotModel>, Failure> {
    let path = arguments.robot.clone().unwrap_or_else(|| {
        let folder = arguments.policy.parent().unwrap_or(Path::new("."));
        folder.join("../robots").join(format!("{}.yaml", file.metadata.robot.name))
    });
    let mut robot = RobotModel::load(&path)?;
    if let Some(limit) = arguments.velocity_limit {
        robot.set_velocity_limit(limit)?;
    }
    Ok(Arc::new(robot))
}
