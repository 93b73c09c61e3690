//! Commands in the form that the robot's driver takes.

use r2r::Publisher;
use r2r::builtin_interfaces::msg::Duration;
use r2r::sensor_msgs::msg::JointState;
use r2r::std_msgs::msg::{Float64MultiArray, MultiArrayDimension, MultiArrayLayout};
use r2r::trajectory_msgs::msg::{JointTrajectory, JointTrajectoryPoint};

use crate::robot::{AngleMap, CommandForm, DriverDescription, DriverError, Stamp};
use crate::ros::convert;
use crate::ros::node::{NodeError, Shell};
use crate::ros::qos;

/// The publisher of commands.
#[derive(Clone)]
pub enum CommandPublisher {
    /// Names and positions.
    JointState(Publisher<JointState>),
    /// Positions alone.
    Array(Publisher<Float64MultiArray>),
    /// One point of a trajectory.
    Trajectory(Publisher<JointTrajectory>),
}

/// How a policy's targets become a command.
#[derive(Clone, Debug)]
pub struct CommandMap {
    /// The driver's names, in the order of the command.
    names: Vec<String>,
    /// The policy's joint and its angle, in that order.
    joints: Vec<(usize, AngleMap)>,
    /// Time to reach a point of a trajectory \[ns\].
    period: i64,
}

impl CommandMap {
    /// For the joints that the policy calls `names`, with the control period \[ns\].
    ///
    /// # Errors
    /// [`DriverError`] when the driver does not fit.
    pub fn new(driver: &DriverDescription, names: &[&str], period: i64) -> Result<Self, DriverError> {
        let joints = driver.resolve_joints(names)?;
        let order = driver.command_order(&joints)?;
        Ok(Self {
            names: order.iter().map(|&joint| joints.names[joint].clone()).collect(),
            joints: order.iter().map(|&joint| (joint, joints.angles[joint])).collect(),
            period,
        })
    }

    /// The driver's angles for the policy's `targets` \[rad\].
    fn angles(&self, targets: &[f32]) -> Vec<f64> {
        let angle = |&(joint, angle): &(usize, AngleMap)| angle.command(targets.get(joint).map_or(0.0, |&target| target.into()));
        self.joints.iter().map(angle).collect()
    }
}

impl CommandPublisher {
    /// A publisher as `driver` takes commands.
    ///
    /// # Errors
    /// [`NodeError::Ros`] when ROS refuses.
    pub fn new(shell: &mut Shell, driver: &DriverDescription) -> Result<Self, NodeError> {
        let topic = &driver.command.topic;
        Ok(match driver.command.form {
            CommandForm::JointState => Self::JointState(shell.publisher(topic, qos::command())?),
            CommandForm::Array => Self::Array(shell.publisher(topic, qos::command())?),
            CommandForm::Trajectory => Self::Trajectory(shell.publisher(topic, qos::command())?),
        })
    }

    /// Publishes `targets` \[rad\] as of `stamp`.
    ///
    /// # Errors
    /// ROS's reason.
    pub fn publish(&self, stamp: Stamp, map: &CommandMap, targets: &[f32]) -> r2r::Result<()> {
        let angles = map.angles(targets);
        match self {
            Self::JointState(publisher) => publisher.publish(&convert::command(stamp, &map.names, angles)),
            Self::Array(publisher) => publisher.publish(&array(angles)),
            Self::Trajectory(publisher) => publisher.publish(&trajectory(map, angles)),
        }
    }
}

fn array(angles: Vec<f64>) -> Float64MultiArray {
    let size = angles.len() as u32;
    let dimension = MultiArrayDimension { label: "joints".to_owned(), size, stride: size };
    Float64MultiArray { layout: MultiArrayLayout { dim: vec![dimension], data_offset: 0 }, data: angles }
}

/// The stamp stays zero: "begin now", which a controller with another clock understands too.
fn trajectory(map: &CommandMap, angles: Vec<f64>) -> JointTrajectory {
    let seconds = map.period / 1_000_000_000;
    let time_from_start = Duration { sec: seconds as i32, nanosec: (map.period - seconds * 1_000_000_000) as u32 };
    let point = JointTrajectoryPoint { positions: angles, time_from_start, ..JointTrajectoryPoint::default() };
    JointTrajectory { joint_names: map.names.clone(), points: vec![point], ..JointTrajectory::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_follow_the_drivers_order_signs_and_units() {
        let yaml = "{unit: deg, joints: {hip: {name: m1, sign: -1, offset: 5}}, command: {form: array, joints: [knee, m1]}}";
        let driver: DriverDescription = serde_yaml::from_str(yaml).unwrap();
        let map = CommandMap::new(&driver, &["hip", "knee"], 20_000_000).unwrap();
        let quarter = std::f32::consts::FRAC_PI_2;
        let message = array(map.angles(&[quarter, -quarter]));
        assert!((message.data[0] + 90.0).abs() < 1e-5 && (message.data[1] + 85.0).abs() < 1e-5, "{:?}", message.data);
        let message = trajectory(&map, map.angles(&[0.0, 0.0]));
        assert_eq!(message.joint_names, ["knee", "m1"]);
        assert_eq!(message.points[0].time_from_start.nanosec, 20_000_000);
    }
}
