//! The ROS 2 node `evolution`: evolves a policy on any number of workers.

use std::process::ExitCode;

use hebbian_locomotion::ros::{evolution, run_node};

fn main() -> ExitCode {
    run_node("evolution", evolution::build)
}
