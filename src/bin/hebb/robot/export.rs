//! `hebb robot export`: the simulated robot for another simulator.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hebbian_locomotion::durable::write_durably;
use hebbian_locomotion::robot::RobotModel;
use hebbian_locomotion::simulation::{SimulationSettings, to_mjcf};

use crate::Failure;
use crate::output::{loss, say_written};

#[derive(clap::Args)]
pub struct Arguments {
    /// Robot description (YAML).
    robot: PathBuf,
    /// File to write: a MuJoCo model with the same masses, joints, motors, friction and ground.
    #[arg(long)]
    mjcf: PathBuf,
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    // Not any XML: a robot's URDF is none that could be made anew.
    let is_own = |path: &Path| std::fs::read(path).is_ok_and(|text| text.starts_with(b"<mujoco"));
    if let Some(lost) = loss(&arguments.mjcf, [arguments.robot.as_path()], "a MuJoCo model", is_own) {
        return Err(format!("--mjcf: {lost}; name another file").into());
    }
    let robot = Arc::new(RobotModel::load(&arguments.robot)?);
    let text = to_mjcf(&robot, SimulationSettings::default())?;
    write_durably(&arguments.mjcf, text.as_bytes())?;
    let (bodies, motors) = (robot.bodies.len(), robot.joints.len());
    say_written(&arguments.mjcf, &format!("{bodies} bodies, {motors} motors, in {}", arguments.mjcf.display()));
    Ok(())
}
