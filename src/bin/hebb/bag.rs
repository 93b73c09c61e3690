//! `hebb bag`: what is in a recording, whether it is sound, and saving what is readable.

use std::path::PathBuf;

use hebbian_locomotion::recording::{Bag, Integrity, repair};

use crate::Failure;
use crate::report::write_json;

#[derive(clap::Args)]
pub struct Arguments {
    /// Bag: its folder, or a .mcap file.
    bag: PathBuf,
    /// Write what is readable into a new bag: for programs that refuse one that was cut short.
    #[arg(long, value_name = "FOLDER")]
    repair: Option<PathBuf>,
    /// Write the figures as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let bag = Bag::open(&arguments.bag)?;
    if let Some(folder) = &arguments.repair {
        let repair = repair(&bag, folder)?;
        println!("{} messages saved in {}", repair.messages, folder.display());
        if let Some(damage) = repair.damage {
            println!("the rest is lost: {damage}");
        }
        return Ok(());
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

/// The soundness of a bag in words.
pub fn integrity(integrity: Integrity) -> &'static str {
    match integrity {
        Integrity::Checked => "ended as it should be, all checksums fit",
        Integrity::WithoutChecksums => "without checksums: a changed byte would not be noticed",
        Integrity::Cut => "cut short; what is there has been checked",
    }
}
