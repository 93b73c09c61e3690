//! `hebb import`: a policy file from a genome that another program evolved.

use std::path::{Path, PathBuf};

use hebbian_locomotion::evolution::Experiment;
use hebbian_locomotion::policy::{PolicyFile, import};

use crate::Failure;
use crate::output::{refuse_loss, say_written};

#[derive(clap::Args)]
pub struct Arguments {
    /// The genome: a flat numpy array (.npy) of f32 or f64 in the order of the network's blocks; for a plastic network all A, all B, all C,
    /// all D, all eta, each layer after layer, row-major [inputs, outputs].
    genome: PathBuf,
    /// Experiment file (YAML) that describes robot, maps and network.
    #[arg(long)]
    experiment: PathBuf,
    /// Policy file to write.
    #[arg(long)]
    out: PathBuf,
    /// Name of the policy [default: that of the experiment].
    #[arg(long)]
    name: Option<String>,
    /// Replace the file to write whatever it holds, and not only a policy that came from the same array and experiment.
    #[arg(long)]
    force: bool,
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (experiment, robot) = Experiment::load(&arguments.experiment)?;
    let mut metadata = experiment.metadata(&robot);
    metadata.name = arguments.name.clone().unwrap_or(metadata.name);
    let file = import(&arguments.genome, metadata)?;
    if !arguments.force {
        // Arrays are told apart by the names of their files.
        let source = &file.metadata.provenance.experiment;
        let is_own = |path: &Path| PolicyFile::load(path).is_ok_and(|(there, _)| there.metadata.provenance.experiment == *source);
        refuse_loss(&arguments.out, &[&arguments.genome, &arguments.experiment], &format!("a policy {source}"), is_own)?;
    }
    let hash = file.save(&arguments.out)?;
    let numbers = file.genome.len();
    say_written(&arguments.out, &format!("policy {}, {numbers} numbers\nsha256 {hash}", arguments.out.display()));
    Ok(())
}
