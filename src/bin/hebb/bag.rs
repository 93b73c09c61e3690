//! `hebb bag`: what is in a recording, whether it is sound, and saving what is.

use std::path::PathBuf;

use hebbian_locomotion::recording::{Bag, Integrity, Repair, repair};

use crate::Failure;
use crate::output::refuse_json_loss;
use crate::report::write_json;

#[derive(clap::Args)]
pub struct Arguments {
    /// Bag: its folder, or a .mcap file.
    bag: PathBuf,
    /// Write what is sound into a new bag: for programs that refuse one that was cut short or is damaged.
    #[arg(long, value_name = "FOLDER")]
    repair: Option<PathBuf>,
    /// Write the figures as JSON.
    #[arg(long, conflicts_with = "repair")]
    json: Option<PathBuf>,
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    refuse_json_loss(arguments.json.as_deref(), [arguments.bag.as_path()])?;
    let bag = Bag::open(&arguments.bag)?;
    if let Some(folder) = &arguments.repair {
        let repair = repair(&bag, folder)?;
        println!("{} messages saved in {}", repair.messages, folder.display());
        let lost = losses(&repair);
        return match &repair.damage {
            None => Ok(()),
            Some(damage) if lost.is_empty() => Err(format!("{damage}; all that was found is saved").into()),
            Some(damage) => Err(format!("{damage}; left out: {lost}").into()),
        };
    }
    let summary = bag.verify()?;
    println!("{}", integrity(summary.integrity));
    if let Some((first, last)) = summary.span {
        println!("{:.3} s", (last - first) as f64 * 1e-9);
    }
    let width = summary.topics.keys().map(String::len).max().unwrap_or(0);
    println!("{:<width$} {:>9} {:>8}  type", "topic", "messages", "lost");
    for (name, topic) in &summary.topics {
        println!("{name:<width$} {:>9} {:>8}  {}", topic.messages, topic.dropped, topic.kind);
    }
    match &arguments.json {
        Some(path) => write_json(path, &summary),
        None => Ok(()),
    }
}

/// What a repair left out, in words; empty: nothing.
fn losses(repair: &Repair) -> String {
    let parts = [
        (repair.lost_chunks, "damaged chunks"),
        (repair.nameless, "messages whose topic stood in a damaged chunk alone"),
        (repair.lost_bytes, "bytes of which nothing says what they are"),
    ];
    let lost = parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{what} ({count})"));
    lost.collect::<Vec<_>>().join(", ")
}

/// The soundness of a bag in words.
pub fn integrity(integrity: Integrity) -> &'static str {
    match integrity {
        Integrity::Checked => "ended as it should be, all checksums fit",
        Integrity::WithoutChecksums => "without checksums: a changed byte would not be noticed",
        Integrity::Cut => "cut short; what is there has been checked",
    }
}
