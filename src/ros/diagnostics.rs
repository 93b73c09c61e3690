//! What all nodes' messages on `/diagnostics` have in common.

use r2r::diagnostic_msgs::msg::{DiagnosticArray, DiagnosticStatus, KeyValue};
use r2r::std_msgs::msg::Header;

use super::clock::ros_stamp;

/// All is well.
pub const OK: u8 = DiagnosticStatus::OK as u8;
/// Somebody should look.
pub const WARN: u8 = DiagnosticStatus::WARN as u8;
/// Something does not work.
pub const ERROR: u8 = DiagnosticStatus::ERROR as u8;

/// The part `name` of the node `node`, which runs the robot `robot`.
pub fn status(node: &str, name: &str, robot: &str, level: u8, message: String, values: Vec<KeyValue>) -> DiagnosticStatus {
    DiagnosticStatus { level, name: format!("{node}: {name}"), message, hardware_id: robot.to_owned(), values }
}

/// One named value.
pub fn value(key: &str, value: impl std::fmt::Display) -> KeyValue {
    KeyValue { key: key.to_owned(), value: value.to_string() }
}

/// The message, as of now.
pub fn message(status: Vec<DiagnosticStatus>) -> DiagnosticArray {
    DiagnosticArray { header: Header { stamp: ros_stamp(), frame_id: String::new() }, status }
}
