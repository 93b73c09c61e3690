//! The ROS 2 node `simulator`: a legged robot in a simulated world.

use std::process::ExitCode;

use hebbian_locomotion::ros::{run_node, simulator};

fn main() -> ExitCode {
    run_node("simulator", simulator::build)
}
