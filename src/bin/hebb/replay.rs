//! `hebb replay`: a recording as a regression test.

use std::path::PathBuf;

use hebbian_locomotion::policy::PolicyFile;
use hebbian_locomotion::recording::{Bag, Comparison, GapReason, ReplayReport, ReplaySettings, replay};

use crate::Failure;
use crate::bag::integrity;
use crate::output::refuse_json_loss;
use crate::report::write_json;

#[derive(clap::Args)]
pub struct Arguments {
    /// Bag: its folder, or a .mcap file.
    bag: PathBuf,
    /// The policy file that was recorded.
    policy: PathBuf,
    /// Full name of the policy node, for a bag with several [example: /robot1/policy].
    #[arg(long)]
    node: Option<String>,
    /// Replay with another policy file than the recorded one, to see what differs.
    #[arg(long)]
    any_policy: bool,
    /// Write the results as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    refuse_json_loss(arguments.json.as_deref(), [arguments.bag.as_path(), arguments.policy.as_path()])?;
    let bag = Bag::open(&arguments.bag)?;
    let (file, hash) = PolicyFile::load(&arguments.policy)?;
    let settings = ReplaySettings { node: arguments.node.clone(), any_policy: arguments.any_policy };
    let report = replay(&bag, &file, &hash, &settings, |_| ())?;
    print_report(&report);
    if let Some(path) = &arguments.json {
        write_json(path, &report)?;
    }
    match &report.first_difference {
        _ if report.is_identical() => Ok(()),
        Some(first) => Err(format!(
            "the replay differs from the recording: first in step {} (stamp {:.9} s), {}: recorded {:e}, replayed {:e}",
            first.step,
            first.stamp as f64 * 1e-9,
            first.of,
            first.recorded,
            first.replayed
        )
        .into()),
        None => Err("steps are missing in the recording (see above); what could be replayed is the same".into()),
    }
}

fn print_report(report: &ReplayReport) {
    println!("bag        {}", integrity(report.integrity));
    println!("node       {}, {} steps recorded, {} replayed", report.node, report.steps, report.replayed);
    if report.dropped > 0 {
        println!("           the recorder lost {} steps on their way into the bag", report.dropped);
    }
    for gap in &report.gaps {
        let why = match &gap.reason {
            GapReason::BeginsLate => "the recording begins here, after the episode did".to_owned(),
            GapReason::Lost { steps } => format!("{steps} steps before it are missing in the recording"),
            GapReason::Intervention => "weights or state were put in from outside".to_owned(),
            GapReason::OtherPolicy { policy, hash } => format!("the policy `{policy}`, sha256 {hash}, ran from here on"),
        };
        println!("           step {}: {why}; {} steps not replayed", gap.first_step, gap.steps);
    }
    for (what, Comparison { steps, different, largest }) in
        [("commands", report.commands), ("gates", report.gates), ("weights", report.weights)]
    {
        let verdict = match (steps, different) {
            (0, _) => "not recorded".to_owned(),
            (_, 0) => "the same, bit for bit".to_owned(),
            _ => format!("{different} steps differ, by up to {largest:e}"),
        };
        println!("{what:<10} {steps} steps compared: {verdict}");
    }
    let published = &report.published;
    println!(
        "published  {}: {} steps as the policy wanted, {} changed on the way, {} without a command in the bag",
        published.topic, published.same, published.changed, published.missing
    );
}
