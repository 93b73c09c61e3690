//! `hebb robot check`: whether a robot stands.

use std::path::PathBuf;
use std::sync::Arc;

use hebbian_locomotion::bringup::{StandReport, stand};
use hebbian_locomotion::robot::{RobotModel, RobotWarning};
use hebbian_locomotion::simulation::SimulationSettings;
use serde::Serialize;

use super::{judge, print_report, print_warnings};
use crate::Failure;
use crate::output::refuse_json_loss;
use crate::report::write_json;

#[derive(clap::Args)]
pub struct Arguments {
    /// Robot description (YAML).
    robot: PathBuf,
    /// Physics steps per second.
    #[arg(long, default_value_t = 100.0)]
    physics_rate: f32,
    /// Write the result as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// The JSON.
#[derive(Serialize)]
struct Report<'a> {
    robot: &'a str,
    joints: Vec<&'a str>,
    stands: bool,
    problems: Vec<String>,
    warnings: &'a [RobotWarning],
    #[serde(flatten)]
    standing: &'a StandReport,
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    refuse_json_loss(arguments.json.as_deref(), [arguments.robot.as_path()])?;
    let robot = Arc::new(RobotModel::load(&arguments.robot)?);
    print_warnings(&robot.warnings);
    println!("robot    {}, {} joints, {} bodies", robot.name, robot.joints.len(), robot.bodies.len());
    let settings = SimulationSettings { physics_rate: arguments.physics_rate, ..Default::default() };
    let report = stand(robot.clone(), settings)?;
    print_report(&report);
    if let Some(path) = &arguments.json {
        let problems = report.problems();
        let joints = robot.joint_names().collect();
        let (stands, warnings) = (problems.is_empty(), &*robot.warnings);
        write_json(path, &Report { robot: &robot.name, joints, stands, problems, warnings, standing: &report })?;
    }
    judge(&report)
}
