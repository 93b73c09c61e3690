//! What the simulator says on `/diagnostics`: whether anyone commands the robot.

use r2r::diagnostic_msgs::msg::DiagnosticArray;

use crate::ros::diagnostics::{OK, WARN, message, status, value};
use crate::simulation::{CommandWatchdog, Commanded};

/// The status of the commands that `watchdog` watches, for the robot `robot`.
pub fn command_diagnostics(node: &str, robot: &str, watchdog: &CommandWatchdog) -> DiagnosticArray {
    let (level, text) = match watchdog.commanded() {
        Commanded::NotYet => (OK, "no command yet: holds the start pose"),
        Commanded::Yes => (OK, "commanded"),
        Commanded::NoMore => (WARN, "no more commands: holds its pose"),
    };
    let silence = value("time since the last command [s]", format_args!("{:.2}", watchdog.silence().as_secs_f64()));
    message(vec![status(node, "commands", robot, level, text.to_owned(), vec![silence])])
}
