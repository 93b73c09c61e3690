//! The ROS 2 node `policy`: drives a robot by a plastic network.

use std::process::ExitCode;

use hebbian_locomotion::ros::{policy, run_node};

fn main() -> ExitCode {
    run_node("policy", policy::build)
}
