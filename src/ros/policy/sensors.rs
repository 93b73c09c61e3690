//! The policy node's subscriptions: whatever messages the driver sends, checked and handed to the control thread.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use r2r::geometry_msgs::msg::WrenchStamped;
use r2r::hebbian_locomotion::msg::FootContacts;
use r2r::sensor_msgs::msg::{Imu, JointState};
use r2r::std_msgs::msg::Bool;
use r2r::{QosProfile, WrappedTypesupport};

use super::pace::Pace;
use super::requests::ControlHandle;
use crate::robot::{ContactDescription, DriverDescription, RobotModel, SensorFrame};
use crate::ros::clock::steady_now;
use crate::ros::convert::{ImuMounting, MessageError};
use crate::ros::node::{NodeError, Shell};
use crate::ros::qos;
use crate::ros::rejection::{RejectionCount, Rejections};
use crate::ros::sensor_reader::SensorReader;
use crate::safety::MessageFaults;

/// Sensor messages while the node is configured; all on the spin thread.
pub struct Sensing {
    /// What understands the messages.
    pub reader: SensorReader,
    /// To the control thread.
    pub frames: triple_buffer::Input<SensorFrame>,
    /// With it only complete sets of one stamp count, and each that is in time makes a step.
    pub pace: Option<Pace>,
    /// What was wrong with messages.
    pub faults: MessageFaults,
    /// Starts of the robot that the reader knows of.
    pub starts: u64,
}

/// Sensor messages, if the node is configured.
pub type SharedSensing = Rc<RefCell<Option<Sensing>>>;

/// One subscription: where its messages go.
struct Receiver {
    sensing: SharedSensing,
    control: ControlHandle,
    rejections: Rejections,
}

/// What a message says about the sensors.
#[derive(Clone, Copy)]
struct Spoken {
    joints: bool,
    imu: bool,
    contacts: bool,
}

impl Receiver {
    /// Lets `take` put a message into the reader, and hands the frame that it makes to the control thread.
    fn receive(&mut self, spoken: Spoken, take: impl FnOnce(&mut SensorReader, i64) -> Result<(), MessageError>) {
        let mut sensing = self.sensing.borrow_mut();
        // An unconfigured node has no use for messages.
        let Some(Sensing { reader, frames, pace, faults, starts }) = sensing.as_mut() else { return };
        let now = steady_now();
        let begun = self.control.starts();
        if *starts != begun {
            *starts = begun;
            reader.start();
        }
        let result = take(reader, now);
        faults.clock_jumps = reader.clock_jumps();
        match &result {
            Ok(()) => {
                let contacts = reader.contacts_received(now).filter(|_| spoken.contacts);
                let received = [spoken.joints.then_some(now), spoken.imu.then_some(now), contacts];
                for (index, received) in received.into_iter().enumerate() {
                    if let Some(received) = received {
                        self.control.note_received(index, received);
                    }
                }
            }
            Err(error) => {
                self.rejections.note(error);
                match error {
                    MessageError::Order(_) => faults.reordered += 1,
                    error if error.is_not_finite() => faults.not_finite += 1,
                    _ => faults.refused += 1,
                }
            }
        }
        self.control.set_faults(*faults);
        if result.is_ok() {
            let assembler = reader.assembler();
            if let Some(frame) = if pace.is_some() { assembler.matched() } else { assembler.latest() } {
                if let Some(Err(early)) = pace.as_mut().map(|pace| pace.note(frame.stamp)) {
                    return self.rejections.note(&early);
                }
                frames.input_buffer_mut().clone_from(frame);
                frames.publish();
                // With the steady clock as its trigger the control thread wakes by itself.
                if pace.is_some() {
                    self.control.wake();
                }
            }
        }
    }
}

/// How the IMU sits on the base by the robot's description at `robot`; without one, as the base itself.
///
/// # Errors
/// [`NodeError`] names what is wrong with the description.
pub fn imu_mounting(robot: &str) -> Result<ImuMounting, NodeError> {
    if robot.is_empty() { Ok(ImuMounting::default()) } else { Ok(ImuMounting::new(&RobotModel::load(Path::new(robot))?.imu)) }
}

/// Subscribes the topics that `driver` names.
///
/// # Errors
/// [`NodeError::Ros`] when ROS refuses.
pub fn subscribe(
    shell: &mut Shell,
    driver: &DriverDescription,
    sensing: &SharedSensing,
    control: &ControlHandle,
    rejected: &RejectionCount,
) -> Result<(), NodeError> {
    let receiver = |topic: &str| Receiver {
        sensing: sensing.clone(),
        control: control.clone(),
        rejections: Rejections::new(topic, rejected),
    };
    let by_effort = matches!(driver.contacts, ContactDescription::Effort { .. });
    let joints = Spoken { joints: true, imu: false, contacts: by_effort };
    let mut receive = receiver(&driver.joint_states);
    subscribe_one(shell, &driver.joint_states, move |message: JointState| {
        receive.receive(joints, |reader, now| reader.joint_state(&message, now));
    })?;
    let imu = Spoken { joints: false, imu: true, contacts: false };
    let mut receive = receiver(&driver.imu.topic);
    subscribe_one(shell, &driver.imu.topic, move |message: Imu| {
        receive.receive(imu, |reader, now| reader.imu(&message, now));
    })?;
    let contacts = Spoken { joints: false, imu: false, contacts: true };
    match &driver.contacts {
        ContactDescription::FootContacts { topic } => {
            let mut receive = receiver(topic);
            subscribe_one(shell, topic, move |message: FootContacts| {
                receive.receive(contacts, |reader, now| reader.foot_contacts(&message, now));
            })?;
        }
        ContactDescription::Bool { feet } => {
            for (foot, topic) in feet {
                let (mut receive, foot) = (receiver(topic), foot.clone());
                subscribe_one(shell, topic, move |message: Bool| {
                    receive.receive(contacts, |reader, now| {
                        reader.foot_touches(&foot, message.data, now);
                        Ok(())
                    });
                })?;
            }
        }
        ContactDescription::Wrench { feet, .. } => {
            for (foot, topic) in feet {
                let (mut receive, foot) = (receiver(topic), foot.clone());
                subscribe_one(shell, topic, move |message: WrenchStamped| {
                    receive.receive(contacts, |reader, now| reader.foot_wrench(&foot, &message, now));
                })?;
            }
        }
        ContactDescription::Effort { .. } => {}
    }
    Ok(())
}

fn subscribe_one<T: WrappedTypesupport + 'static>(
    shell: &mut Shell,
    topic: &str,
    receive: impl FnMut(T) + 'static,
) -> Result<(), NodeError> {
    let quality: QosProfile = qos::sensor_subscriber();
    shell.subscribe(topic, quality, receive)
}
