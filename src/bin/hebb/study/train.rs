//! `hebb study train`.

use std::path::PathBuf;

use hebbian_locomotion::evidence::study::{Member, StudyError};
use hebbian_locomotion::evolution::Continuation;

use super::Opened;
use crate::Failure;
use crate::evolve::{ABLATION_EPISODES, Options, evolve_to_file};
use crate::report::RobotWarnings;

#[derive(clap::Args)]
pub struct Arguments {
    /// The study (YAML).
    study: PathBuf,
    /// Folder for the runs' checkpoints and histories.
    #[arg(long, default_value = "runs")]
    runs: PathBuf,
    /// Evolve only the policies of these groups.
    #[arg(long, value_delimiter = ',')]
    groups: Vec<String>,
    /// Evolve at most so many policies.
    #[arg(long)]
    most: Option<usize>,
    /// Threads [default: all cores].
    #[arg(long)]
    threads: Option<usize>,
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let opened = Opened::read(&arguments.study)?;
    if let Some(threads) = arguments.threads {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    }
    let groups: Vec<&str> = opened.study.groups.iter().map(|group| group.name.as_str()).collect();
    if let Some(name) = arguments.groups.iter().find(|name| !groups.contains(&name.as_str())) {
        return Err(StudyError::Unknown { place: "--groups", name: name.clone(), known: groups.join(", ") }.into());
    }
    let is_meant = |member: &Member| arguments.groups.is_empty() || arguments.groups.contains(&member.group.name);
    let lacking: Vec<_> = opened.study.members().filter(is_meant).filter(|member| !opened.policy_path(member).exists()).collect();
    println!(
        "{}: {} of {} policies are still to be evolved",
        opened.study.name,
        lacking.len(),
        opened.study.members().filter(is_meant).count()
    );
    std::fs::create_dir_all(opened.folder.join(&opened.study.policies))?;
    let mut said = RobotWarnings::default();
    for member in lacking.iter().take(arguments.most.unwrap_or(usize::MAX)) {
        println!("\n{}", member.name());
        let (experiment, robot) = member.experiment(&opened.folder)?;
        let out = arguments.runs.join(member.name());
        let options = Options {
            out: &out,
            continuation: Continuation::IfThere,
            // None: how fast a policy came to walk is in its history.
            milestone: f32::INFINITY,
            ablation_episodes: ABLATION_EPISODES,
            policy: &opened.policy_path(member),
        };
        evolve_to_file(experiment, robot, &options, &mut said)?;
    }
    Ok(())
}
