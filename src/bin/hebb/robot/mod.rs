//! `hebb robot`: from a URDF to a robot that stands, and out to other programs.

mod check;
mod drive;
mod export;
mod init;

use hebbian_locomotion::bringup::StandReport;
use hebbian_locomotion::robot::RobotWarning;

use crate::Failure;

#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Write the YAML description of a URDF: joints, feet, gains, and a pose in which it stands.
    Init(init::Arguments),
    /// Load a robot, let it stand for two seconds, and say how it stood; fails when it does not stand.
    Check(check::Arguments),
    /// Write the robot, as it is simulated here, for another simulator.
    Export(export::Arguments),
    /// Simulate recorded joint targets and write what the robot did, as a safetensors file.
    Drive(drive::Arguments),
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    match &arguments.command {
        Command::Init(arguments) => init::run(arguments),
        Command::Check(arguments) => check::run(arguments),
        Command::Export(arguments) => export::run(arguments),
        Command::Drive(arguments) => drive::run(arguments),
    }
}

fn print_warnings(warnings: &[RobotWarning]) {
    for warning in warnings {
        println!("warning  {warning}");
    }
}

fn print_report(report: &StandReport) {
    println!("mass     {:.3} kg", report.mass);
    println!("height   {:.3} m, {:.3} m at the start", report.height, report.start_height);
    println!("tilt     {:.1} deg", report.up.clamp(-1.0, 1.0).acos().to_degrees());
    let touching = report.feet_in_contact.join(" ");
    println!("feet     {} of {} on the ground: {touching}", report.feet_in_contact.len(), report.feet);
    println!("carried  {:.0} % of the weight, by the feet", 100.0 * report.carried);
    println!("creep    {:.3} mm/s", report.creep);
    println!("joints   at most {:.4} off their targets ({})", report.joint_error, report.joint);
    println!("motors   at most {:.0} % of their torque ({})", 100.0 * report.effort, report.hardest);
}

/// What a robot that does not stand makes a command fail with.
fn judge(report: &StandReport) -> Result<(), Failure> {
    let problems = report.problems();
    if problems.is_empty() { Ok(()) } else { Err(format!("it does not stand: {}", problems.join("; ")).into()) }
}
