//! The ROS 2 node `recorder`: writes topics into a rosbag2 bag.

use std::process::ExitCode;

use hebbian_locomotion::ros::recorder;

fn main() -> ExitCode {
    recorder::run()
}
