//! `hebb fit-subspace`: the subspace in which a policy's weights move, for its novelty gate.

use std::path::PathBuf;
use std::sync::Arc;

use hebbian_locomotion::episode::Episode;
use hebbian_locomotion::evidence::{SubspaceFigures, fit_subspace};
use hebbian_locomotion::plasticity::{GateBlock, GateDescription};
use hebbian_locomotion::policy::PolicyFile;
use serde::Serialize;

use crate::Failure;
use crate::output::refuse_json_loss;
use crate::report::write_json;
use crate::world::WorldArguments;

/// Control steps from one measurement of a gate that `--gate` adds to the next.
const EVERY: u32 = 1;

#[derive(clap::Args)]
pub struct Arguments {
    /// Policy file.
    policy: PathBuf,
    #[command(flatten)]
    world: WorldArguments,
    /// Episodes to fit to; as many others are held out.
    #[arg(long, default_value_t = 20)]
    episodes: u32,
    /// Principal components.
    #[arg(long, default_value_t = 10)]
    components: usize,
    /// Seed that the episodes' seeds come from.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Write the subspace into the policy file.
    #[arg(long)]
    save: bool,
    /// Also give the policy the proposed novelty gate, in place of one that it has.
    #[arg(long, requires = "save")]
    gate: bool,
    /// Write the figures as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// The JSON.
#[derive(Serialize)]
struct Report<'a> {
    policy: &'a str,
    policy_sha256: String,
    episodes: u32,
    seed: u64,
    #[serde(flatten)]
    figures: &'a SubspaceFigures,
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let files = [arguments.policy.as_path()].into_iter().chain(arguments.world.files());
    refuse_json_loss(arguments.json.as_deref(), files)?;
    let (mut file, hash) = PolicyFile::load(&arguments.policy)?;
    let robot = arguments.world.robot(&arguments.policy, &file)?;
    let episode = Episode::new(robot, arguments.world.settings(&file)?)?;
    let fit = fit_subspace(&file, &episode, arguments.episodes, arguments.components, arguments.seed)?;
    let figures = &fit.figures;

    println!("{} samples, every {} control steps of {} episodes", figures.samples, figures.every, arguments.episodes);
    println!("{:>9} {:>10} {:>10}", "component", "explained", "together");
    let mut together = 0.0;
    for (index, share) in figures.explained.iter().enumerate() {
        together += share;
        println!("{index:>9} {:>9.1}% {:>9.1}%", 100.0 * share, 100.0 * together);
    }
    println!("distance in {} held-out episodes (1: as far as samples are from their mean)", arguments.episodes);
    println!(
        "median {:.3}, 99 % {:.3}, largest {:.3}; largest at a start {:.3}",
        figures.p50, figures.p99, figures.max, figures.start_max
    );
    let gate = figures.gate(EVERY);
    println!("proposal   - novelty: {{close_above: {}, open_below: {}}}", gate.close_above, gate.open_below);

    if arguments.save {
        file.subspace = Some(Arc::new(fit.subspace.clone()));
        if arguments.gate {
            let others = file.metadata.gate.blocks().iter().filter(|block| !matches!(block, GateBlock::Novelty(_)));
            let blocks = others.cloned().chain([GateBlock::Novelty(gate)]).collect();
            file.metadata.gate = GateDescription::new(blocks);
        }
        println!("saved in {}, sha256 {}", arguments.policy.display(), file.save(&arguments.policy)?);
    }
    if let Some(path) = &arguments.json {
        let policy = &file.metadata.name;
        let report = Report { policy, policy_sha256: hash, episodes: arguments.episodes, seed: arguments.seed, figures };
        write_json(path, &report)?;
    }
    Ok(())
}
