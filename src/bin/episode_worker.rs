//! The ROS 2 node `episode_worker`: tries candidates of an evolution. Start as many as there are machines.

use std::process::ExitCode;

use hebbian_locomotion::ros::{run_node, worker};

fn main() -> ExitCode {
    run_node("episode_worker", worker::build)
}
