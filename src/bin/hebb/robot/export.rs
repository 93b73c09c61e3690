//! `hebb robot export`: the simulated robot for another simulator.

use std::path::PathBuf;
use std::sync::Arc;

use hebbian_locomotion::durable::write_durably;
use hebbian_locomotion::robot::RobotModel;
use hebbian_locomotion::simulation::{SimulationSettings, to_mjcf};

use crate::Failure;

#[derive(clap::Args)]
pub struct Arguments {
    /// Robot description (YAML).
    robot: PathBuf,
    /// File to write: a MuJoCo model with the same masses, joints, motors, friction and ground.
    #[arg(long)]
    mjcf: PathBuf,
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let robot = Arc::new(RobotModel::load(&arguments.robot)?);
    let text = to_mjcf(&robot, SimulationSettings::default())?;
    write_durably(&arguments.mjcf, text.as_bytes())?;
    println!("{} bodies, {} motors, in {}", robot.bodies.len(), robot.joints.len(), arguments.mjcf.display());
    Ok(())
}
