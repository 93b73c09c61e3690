//! A robot that is only topics, in a namespace of its own.

use std::f32::consts::TAU;

use hebbian_locomotion::robot::RobotState;
use hebbian_locomotion::ros::convert;
use r2r::hebbian_locomotion::msg::FootContacts;
use r2r::sensor_msgs::msg::{Imu, JointState};
use r2r::{Node, Publisher, QosProfile};

use crate::Result;

/// The beetle's joints, legs by kind of joint.
const JOINTS: [&str; 18] = [
    "BC1", "BC2", "BC4", "BC5", "BC0", "BC3", "CF1", "CF2", "CF4", "CF5", "CF0", "CF3", "FT1", "FT2", "FT4", "FT5", "FT0", "FT3",
];
const FEET: usize = 6;

/// The sensors of one robot.
pub struct Sensors {
    joints: Publisher<JointState>,
    imu: Publisher<Imu>,
    contacts: Publisher<FootContacts>,
    joint_names: Vec<String>,
    feet: Vec<String>,
    state: RobotState,
}

impl Sensors {
    /// The sensors of the robot in `namespace`, with the QoS that the simulator has.
    pub fn new(node: &mut Node, namespace: &str) -> Result<Self> {
        let qos = || QosProfile::default().keep_last(5);
        Ok(Self {
            joints: node.create_publisher(&format!("/{namespace}/joint_states"), qos())?,
            imu: node.create_publisher(&format!("/{namespace}/imu/data"), qos())?,
            contacts: node.create_publisher(&format!("/{namespace}/foot_contacts"), qos())?,
            joint_names: JOINTS.map(str::to_owned).to_vec(),
            feet: (0..FEET).map(|foot| format!("tip{foot}")).collect(),
            state: RobotState::at_rest(JOINTS.len(), FEET),
        })
    }

    /// Whether somebody listens to every sensor.
    pub fn are_heard(&self) -> Result<bool> {
        Ok(self.joints.get_inter_process_subscription_count()? > 0
            && self.imu.get_inter_process_subscription_count()? > 0
            && self.contacts.get_inter_process_subscription_count()? > 0)
    }

    /// Sends the values of `time` \[s\] with `stamp` \[ns\]: joints swing and feet step, so that no two commands are the same.
    pub fn send(&mut self, stamp: i64, time: f64) -> Result<()> {
        let phase = |place: usize| TAU * (time as f32 + place as f32 / JOINTS.len() as f32);
        self.state.joint_position.iter_mut().enumerate().for_each(|(joint, angle)| *angle = 0.3 * phase(joint).sin());
        self.state.foot_contact.iter_mut().enumerate().for_each(|(foot, touches)| *touches = phase(3 * foot).sin() > 0.0);
        self.imu.publish(&convert::imu(stamp, "imu_link", &self.state))?;
        self.contacts.publish(&convert::foot_contacts(stamp, &self.feet, &self.state))?;
        self.joints.publish(&convert::joint_state(stamp, &self.joint_names, &self.state))?;
        Ok(())
    }
}
