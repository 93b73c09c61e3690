//! What the simulator publishes.

use r2r::Publisher;
use r2r::diagnostic_msgs::msg::DiagnosticArray;
use r2r::hebbian_locomotion::msg::{FootContacts, SimulatorStatus};
use r2r::nav_msgs::msg::Odometry;
use r2r::rosgraph_msgs::msg::Clock;
use r2r::sensor_msgs::msg::{Imu, JointState};
use r2r::std_msgs::msg::Header;
use r2r::visualization_msgs::msg::MarkerArray;

use crate::robot::{RobotModel, RobotState, Stamp};
use crate::ros::convert::{self, ImuMounting};
use crate::ros::node::{NodeError, Shell};
use crate::ros::qos;
use crate::simulation::World;

/// Way of the base after which the ground around it is shown anew \[m\].
const SHOWN_ANEW: f32 = 1.5;

/// The simulator's publishers, with the names that its messages carry.
pub struct SensorPublishers {
    /// The time, where wanted.
    clock: Option<Publisher<Clock>>,
    joints: Publisher<JointState>,
    imu: Publisher<Imu>,
    contacts: Publisher<FootContacts>,
    odometry: Publisher<Odometry>,
    status: Publisher<SimulatorStatus>,
    diagnostics: Publisher<DiagnosticArray>,
    node: String,
    /// The ground as markers, where wanted.
    ground: Option<Publisher<MarkerArray>>,
    /// Where the base was when the ground was last shown; `None` when it has changed since.
    shown_at: Option<[f32; 3]>,
    /// Driven joints, those that mimic them, and locked ones: what moves the links of `robot_description`.
    joint_names: Vec<String>,
    /// Positions of the locked ones \[rad\].
    locked: Vec<f32>,
    foot_names: Vec<String>,
    imu_link: String,
    mounting: ImuMounting,
    base_link: String,
    state: RobotState,
    /// Of the motors \[N m\].
    torques: Vec<f32>,
}

impl SensorPublishers {
    /// Publishers for `robot`; `clock`: for the time, too; `ground_markers`: for the ground, too.
    ///
    /// # Errors
    /// [`NodeError::Ros`] when ROS refuses.
    pub fn new(shell: &mut Shell, robot: &RobotModel, clock: bool, ground_markers: bool) -> Result<Self, NodeError> {
        Ok(Self {
            clock: if clock { Some(shell.publisher("/clock", qos::clock())?) } else { None },
            joints: shell.publisher("joint_states", qos::sensor_publisher())?,
            imu: shell.publisher("imu/data", qos::sensor_publisher())?,
            contacts: shell.publisher("foot_contacts", qos::sensor_publisher())?,
            odometry: shell.publisher("odom", qos::sensor_publisher())?,
            status: shell.publisher("~/status", qos::telemetry())?,
            diagnostics: shell.publisher("/diagnostics", qos::diagnostics())?,
            node: shell.full_name()?,
            ground: if ground_markers { Some(shell.publisher("~/ground", qos::latched())?) } else { None },
            shown_at: None,
            joint_names: joint_names(robot),
            locked: robot.locked.iter().map(|joint| joint.position).collect(),
            foot_names: robot.foot_names().map(str::to_owned).collect(),
            imu_link: robot.imu_link.clone(),
            mounting: ImuMounting::new(&robot.imu),
            base_link: robot.base_link.clone(),
            state: RobotState::at_rest(robot.joints.len(), robot.feet.len()),
            torques: vec![0.0; robot.joints.len()],
        })
    }

    /// Publishes time and all sensors of `world` as of `stamp`.
    pub fn publish(&mut self, stamp: Stamp, world: &World) {
        self.show_ground(stamp, world);
        world.sense(&mut self.state);
        self.state.orientation = self.mounting.imu(self.state.orientation);
        let state = &self.state;
        // Time first: a node that computes an age when a sensor value arrives must not find it in the future.
        if let Some(clock) = &self.clock {
            note(clock.publish(&Clock { clock: convert::time(stamp) }));
        }
        note(self.odometry.publish(&convert::odometry(stamp, &self.base_link, &world.base())));
        note(self.contacts.publish(&convert::foot_contacts(stamp, &self.foot_names, state)));
        note(self.imu.publish(&convert::imu(stamp, &self.imu_link, state)));
        let mut joints = convert::joint_state(stamp, &self.joint_names, state);
        world.motor_torques(&mut self.torques);
        joints.effort = self.torques.iter().map(|&torque| f64::from(torque)).collect();
        for [position, speed] in world.follower_states().chain(self.locked.iter().map(|&position| [position, 0.0])) {
            joints.position.push(position.into());
            joints.velocity.push(speed.into());
            // As joint_state_broadcaster writes what a joint does not measure.
            joints.effort.push(f64::NAN);
        }
        note(self.joints.publish(&joints));
    }

    /// Notes that the ground is another one.
    pub fn ground_changed(&mut self) {
        self.shown_at = None;
    }

    /// Publishes the ground around the robot when it changed or the robot has left it.
    fn show_ground(&mut self, stamp: Stamp, world: &World) {
        let Some(publisher) = &self.ground else {
            return;
        };
        let at = world.base().position;
        let near = |shown: [f32; 3]| shown.iter().zip(at).all(|(shown, at)| (shown - at).abs() < SHOWN_ANEW);
        if !self.shown_at.is_some_and(near) && at.iter().all(|value| value.is_finite()) {
            note(publisher.publish(&convert::ground_markers(stamp, &world.ground_shapes())));
            self.shown_at = Some(at);
        }
    }

    /// Publishes `status` as of `stamp`.
    pub fn publish_status(&self, stamp: Stamp, status: SimulatorStatus) {
        let header = Header { stamp: convert::time(stamp), frame_id: String::new() };
        note(self.status.publish(&SimulatorStatus { header, ..status }));
    }

    /// Publishes what `diagnose` makes of the node's name.
    pub fn publish_diagnostics(&self, diagnose: impl FnOnce(&str) -> DiagnosticArray) {
        note(self.diagnostics.publish(&diagnose(&self.node)));
    }
}

/// Names of the joints that `joint_states` hold.
fn joint_names(robot: &RobotModel) -> Vec<String> {
    let followers = robot.followers.iter().map(|follower| follower.joint.name.as_str());
    let locked = robot.locked.iter().map(|joint| joint.name.as_str());
    robot.joint_names().chain(followers).chain(locked).map(str::to_owned).collect()
}

fn note(result: r2r::Result<()>) {
    if let Err(error) = result {
        tracing::warn!("a message could not be published: {error}");
    }
}
