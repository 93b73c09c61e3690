//! The ROS 2 node `viewer`: the robot and its weights in a browser.

use std::process::ExitCode;

use hebbian_locomotion::ros::{run_node, viewer};

fn main() -> ExitCode {
    run_node("viewer", viewer::build)
}
