//! `hebb robot init`: a description of a URDF.

use std::path::PathBuf;

use hebbian_locomotion::bringup::{draft, to_yaml};
use hebbian_locomotion::durable::write_durably;
use hebbian_locomotion::robot::{installed_packages, read_urdf};
use hebbian_locomotion::simulation::SimulationSettings;

use super::{judge, print_report, print_warnings};
use crate::Failure;

#[derive(clap::Args)]
pub struct Arguments {
    /// The URDF.
    urdf: PathBuf,
    /// File to write [default: beside the URDF, .yaml instead of .urdf].
    #[arg(long, short)]
    out: Option<PathBuf>,
    /// Replace the file if it exists.
    #[arg(long)]
    force: bool,
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let Arguments { urdf, out, force } = arguments;
    let out = out.clone().unwrap_or_else(|| urdf.with_extension("yaml"));
    if out.exists() && !force {
        return Err(format!("{} exists; --force replaces it, --out names another file", out.display()).into());
    }
    let mut made = draft(read_urdf(urdf)?, urdf, &installed_packages(), SimulationSettings::default())?;
    // The YAML names the URDF relative to itself, where that is possible.
    let folder = |path: &PathBuf| std::path::absolute(path).ok().and_then(|path| path.parent().map(PathBuf::from));
    if folder(&out) != folder(urdf) {
        made.description.urdf = std::path::absolute(urdf)?;
    }
    write_durably(&out, to_yaml(&made.description).as_bytes())?;
    print_warnings(&made.robot.warnings);
    let (joints, feet) = (&made.description.joints, &made.description.feet);
    println!("{} joints, feet {}; {} poses tried", joints.len(), feet.join(" "), made.tried);
    print_report(&made.report);
    println!("written  {}", out.display());
    if !made.lies_on.is_empty() {
        return Err(format!("it does not stand in any of the poses tried: it lies on {}", made.lies_on.join(" ")).into());
    }
    judge(&made.report)
}
