//! `hebb evaluate`: episodes of a policy on held-out seeds, and its ablation.

use std::path::PathBuf;

use hebbian_locomotion::episode::{EpisodeResult, Fitness};
use hebbian_locomotion::evidence::{Summary, Trial, ablate, held_out_seeds};
use hebbian_locomotion::plasticity::{Gate, GateSource};
use hebbian_locomotion::policy::{Ablation, PolicyFile};
use serde::Serialize;

use crate::Failure;
use crate::report::{print_ablation, write_json};
use crate::world::WorldArguments;

#[derive(clap::Args)]
pub struct Arguments {
    /// Policy file.
    policy: PathBuf,
    #[command(flatten)]
    world: WorldArguments,
    /// Episodes.
    #[arg(long, default_value_t = 16)]
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
    let robot = arguments.world.robot(&arguments.policy, &file)?;
    let settings = arguments.world.settings(&file);
    let trial = Trial::new(robot, settings, Fitness::default())?;
    let gate = Gate::new(arguments.gate, GateSource::Parameter)?;
    let seeds = held_out_seeds(arguments.seed, arguments.episodes);
    let episodes = trial.run(&file, &seeds, |_| gate)?;
    let summary = Summary::of(&episodes);

    println!("{} ({} episodes of {} s, seed {})", file.metadata.name, summary.episodes, arguments.world.duration, arguments.seed);
    println!("speed    {:.3} ± {:.3} m/s, slowest {:.3}", summary.speed_mean, summary.speed_sd, summary.speed_min);
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
            println!("saved in {}, sha256 {}", arguments.policy.display(), file.save(&arguments.policy)?);
        }
        ablation = Some(result);
    }
    if let Some(path) = &arguments.json {
        let report = Report { policy: file.metadata.name.clone(), policy_sha256: hash, seeds, summary, episodes, ablation };
        write_json(path, &report)?;
    }
    Ok(())
}
