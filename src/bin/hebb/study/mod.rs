//! `hebb study`: evolves the policies of a study, and reports what they come to.

mod report;
mod train;

use std::path::{Path, PathBuf};

use hebbian_locomotion::config::read_yaml;
use hebbian_locomotion::evidence::study::{Member, Study};
use hebbian_locomotion::evidence::suite::Suite;

use crate::Failure;

#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Evolve the policies that a study lacks, one after the other; what was begun before goes on.
    Train(train::Arguments),
    /// Run the suite for the policies that are there, and write what came out as Markdown and JSON.
    Report(report::Arguments),
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    match &arguments.command {
        Command::Train(arguments) => train::run(arguments),
        Command::Report(arguments) => report::run(arguments),
    }
}

/// A study and where it was read from.
struct Opened {
    folder: PathBuf,
    study: Study,
    suite: Suite,
}

impl Opened {
    fn read(path: &Path) -> Result<Self, Failure> {
        let study: Study = read_yaml(path)?;
        let folder = path.parent().unwrap_or(Path::new(".")).to_owned();
        let suite: Suite = read_yaml(&folder.join(&study.suite))?;
        study.check(&suite)?;
        Ok(Self { folder, study, suite })
    }

    fn policy_path(&self, member: &Member<'_>) -> PathBuf {
        self.folder.join(&self.study.policies).join(member.file_name())
    }
}
