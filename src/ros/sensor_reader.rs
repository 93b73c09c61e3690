//! Sensor messages of any driver as frames of one robot.

mod attitude;
mod contacts;
mod imu_frame;

use r2r::geometry_msgs::msg::WrenchStamped;
use r2r::hebbian_locomotion::msg::FootContacts;
use r2r::sensor_msgs::msg::{Imu, JointState};

use self::attitude::Attitude;
use self::contacts::Contacts;
use self::imu_frame::ImuFrame;
use super::convert::{ImuMounting, MessageError, finite, length, stamp};
use crate::robot::{AngleMap, DriverDescription, DriverError, FrameAssembler, NameMap, Stamp, UnknownNames};
use crate::safety::{StampFault, StampWatch};

/// Turns sensor messages into frames of one robot.
#[derive(Clone, Debug)]
pub struct SensorReader {
    joints: NameMap,
    angles: Vec<AngleMap>,
    feet: NameMap,
    needs_velocity: bool,
    lacks_velocity: bool,
    attitude: Attitude,
    imu_frame: ImuFrame,
    contacts: Contacts,
    /// Of joints, IMU and contacts.
    watches: [StampWatch; 3],
    drops_reordered: bool,
    needs_stamps: bool,
    counts_lag: bool,
    clock_jumps: u64,
    assembler: FrameAssembler,
}

/// How a [`SensorReader`] judges the order of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderRules {
    /// Smallest jump of stamps that counts as one of a clock \[ns\].
    pub clock_jump: i64,
    /// Whether a message that was overtaken is refused.
    pub drops_reordered: bool,
    /// Whether a message without a stamp is refused.
    pub needs_stamps: bool,
    /// Whether values are older by as much as they arrive later than the quickest, as [`StampWatch::lag`] tells it: where stamps go at the pace of
    /// the steady clock.
    pub counts_lag: bool,
}

impl SensorReader {
    /// For the joints and feet that a policy has by these names, as `driver` has them; `needs_velocity` refuses joint states without speeds.
    /// The IMU sits on the base as `mounting` says.
    ///
    /// # Errors
    /// [`DriverError`] when the driver does not fit.
    pub fn new(
        driver: &DriverDescription,
        joints: &[&str],
        feet: &[&str],
        needs_velocity: bool,
        order: OrderRules,
        mounting: ImuMounting,
    ) -> Result<Self, DriverError> {
        let resolved = driver.resolve_joints(joints)?;
        Ok(Self {
            joints: NameMap::new("joint", resolved.names.iter().map(String::as_str)),
            angles: resolved.angles,
            feet: NameMap::new("foot", feet.iter().copied()),
            needs_velocity,
            lacks_velocity: false,
            attitude: Attitude::new(driver, mounting)?,
            imu_frame: ImuFrame::default(),
            contacts: Contacts::new(driver, joints, feet, order)?,
            watches: std::array::from_fn(|_| StampWatch::new(order.clock_jump)),
            drops_reordered: order.drops_reordered,
            needs_stamps: order.needs_stamps,
            counts_lag: order.counts_lag,
            clock_jumps: 0,
            assembler: FrameAssembler::new(joints.len(), feet.len()),
        })
    }

    /// The frames so far.
    pub fn assembler(&self) -> &FrameAssembler {
        &self.assembler
    }

    /// Clock jumps so far.
    pub fn clock_jumps(&self) -> u64 {
        self.clock_jumps
    }

    /// By the robot's description the IMU is on the link `link`: the log says if its first message is in another frame.
    pub fn set_imu_link(&mut self, link: &str) {
        self.imu_frame.set_link(link);
    }

    /// Whether joint states without speeds are refused from now on.
    pub fn set_needs_velocity(&mut self, needs_velocity: bool) {
        self.needs_velocity = needs_velocity;
    }

    /// Which sensors, as [`SENSORS`](crate::safety::SENSORS), are needed from now on; at first all are. Efforts from which contacts are told
    /// must be there where contacts are needed.
    pub fn set_needed(&mut self, needed: [bool; 3]) {
        self.assembler.set_needed(needed);
    }

    /// Whether the last joint state that was taken lacked the speed of a joint.
    pub fn lacks_velocity(&self) -> bool {
        self.lacks_velocity
    }

    /// The robot begins to walk: where it faces next may count as yaw 0.
    pub fn start(&mut self) {
        self.attitude.start();
    }

    /// By how much the values of the message that was taken last are older than its arrival says \[ns\], of the sensor of this place in
    /// [`SENSORS`](crate::safety::SENSORS). Feet that speak one by one have lags of their own, which are in when their contacts were received.
    pub fn lag(&self, sensor: usize) -> i64 {
        self.watches.get(sensor).filter(|_| self.counts_lag).map_or(0, StampWatch::lag)
    }

    /// Since when the contacts of all feet are known \[ns, steady clock\], if they are: foot by foot, the one that has been silent for longest
    /// counts. `now` is the time of the message that was just taken.
    pub fn contacts_received(&self, now: i64) -> Option<i64> {
        self.contacts.received(now)
    }

    fn order(&mut self, sensor: usize, stamp: Stamp, now: i64) -> Result<(), MessageError> {
        if self.needs_stamps && stamp == 0 {
            return Err(MessageError::Unstamped);
        }
        let found = self.watches[sensor].note(stamp, now);
        self.judge_order(found)
    }

    fn judge_order(&mut self, found: Result<(), StampFault>) -> Result<(), MessageError> {
        match found {
            Err(fault @ StampFault::Reordered { .. }) if self.drops_reordered => Err(MessageError::Order(fault)),
            Err(StampFault::ClockJump { .. }) => {
                self.clock_jumps += 1;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Takes a joint state that arrived at `now` \[ns, steady clock\]. It must hold all joints of the robot and may hold others.
    ///
    /// Only what is used need be a number: ros2_control's joint_state_broadcaster writes NaN for all that a joint does not measure. A speed that
    /// is neither used nor a number counts as 0.
    ///
    /// # Errors
    /// [`MessageError`]; nothing is taken then.
    pub fn joint_state(&mut self, message: &JointState, now: i64) -> Result<(), MessageError> {
        let stamp = stamp(&message.header.stamp)?;
        let JointState { name: names, position, velocity, effort, .. } = message;
        length("position", position.len(), names.len())?;
        if self.needs_velocity && velocity.is_empty() {
            return Err(MessageError::NotMeasured("the policy needs joint velocities, and the message has none"));
        }
        if !velocity.is_empty() {
            length("velocity", velocity.len(), names.len())?;
        }
        let [.., needs_contacts] = self.assembler.needed();
        if needs_contacts && matches!(self.contacts, Contacts::Effort(_)) {
            if effort.is_empty() {
                return Err(MessageError::NotMeasured("contacts come from joint efforts, and the message has none"));
            }
            length("effort", effort.len(), names.len())?;
        }
        let known = |(entry, index): (usize, Option<usize>)| Some((entry, index?));
        for (entry, index) in self.joints.indices(names, UnknownNames::Ignored, true)?.enumerate().filter_map(known) {
            let number = |field, values: &[f64]| finite(field, values.get(entry), names.get(entry..).unwrap_or_default());
            number("position", position)?;
            if self.needs_velocity {
                number("velocity", velocity)?;
            }
            if needs_contacts && self.contacts.need_effort(index) {
                number("effort", effort)?;
            }
        }
        self.order(0, stamp, now)?;
        let Self { joints, angles, lacks_velocity, contacts, assembler, .. } = self;
        // The same names again cost nothing.
        let indices = joints.indices(names, UnknownNames::Ignored, true)?;
        *lacks_velocity = false;
        // Where nobody needs efforts they may be too few, and then tell of no joint.
        let effort: &[f64] = if effort.len() == names.len() { effort } else { &[] };
        assembler.joints(stamp, now, |positions, speeds| {
            for (entry, index) in indices.enumerate().filter_map(known) {
                positions[index] = angles[index].position(position[entry]) as f32;
                let speed = velocity.get(entry).filter(|speed| (**speed as f32).is_finite());
                *lacks_velocity |= speed.is_none();
                speeds[index] = speed.map_or(0.0, |&speed| angles[index].velocity(speed) as f32);
                if let Contacts::Effort(efforts) = &mut *contacts {
                    efforts.note(index, effort.get(entry).copied());
                }
            }
        });
        if let Contacts::Effort(efforts) = contacts
            && let Some(touches) = efforts.touches()
        {
            assembler.contacts(stamp, now, |contact, force| {
                contact.copy_from_slice(touches);
                force.fill(0.0);
            });
        }
        Ok(())
    }

    /// Takes an IMU message; one without orientation only where it is estimated, and one in another frame than those before not at all.
    ///
    /// # Errors
    /// [`MessageError`]; nothing is taken then.
    pub fn imu(&mut self, message: &Imu, now: i64) -> Result<(), MessageError> {
        let stamp = stamp(&message.header.stamp)?;
        // Before its stamp counts: another IMU may have another clock.
        self.imu_frame.check(&message.header.frame_id)?;
        let [rate, acceleration] = self.attitude.motion(message)?;
        let measured = self.attitude.measured(message)?;
        self.order(1, stamp, now)?;
        let orientation = measured
            .or_else(|| self.attitude.estimate(stamp, now, rate, acceleration))
            .ok_or(MessageError::NotMeasured("the orientation is estimated, but the IMU feels no gravity to begin with"))?;
        let orientation = self.attitude.headed(orientation);
        if let Some(warning) = self.imu_frame.note(&message.header.frame_id) {
            tracing::warn!("{warning}");
        }
        self.assembler.imu(stamp, now, orientation, rate.map(|value| value as f32), acceleration.map(|value| value as f32));
        Ok(())
    }

    /// Takes the contacts of all feet.
    ///
    /// # Errors
    /// [`MessageError`]; nothing is taken then.
    pub fn foot_contacts(&mut self, message: &FootContacts, now: i64) -> Result<(), MessageError> {
        let stamp = stamp(&message.header.stamp)?;
        length("in_contact", message.in_contact.len(), message.names.len())?;
        if !message.force.is_empty() {
            length("force", message.force.len(), message.names.len())?;
        }
        if let Some(entry) = message.force.iter().position(|force| !(force.is_finite() && *force >= 0.0)) {
            let (value, of) = (f64::from(message.force[entry]), message.names.get(entry).cloned());
            return Err(MessageError::Number { field: "force", value, of });
        }
        self.feet.indices(&message.names, UnknownNames::Refused, true).map(drop)?;
        self.order(2, stamp, now)?;
        let indices = self.feet.indices(&message.names, UnknownNames::Refused, true)?;
        self.assembler.contacts(stamp, now, |contact, force| {
            for (entry, index) in indices.enumerate().filter_map(|(entry, index)| Some((entry, index?))) {
                contact[index] = message.in_contact[entry];
                force[index] = message.force.get(entry).copied().unwrap_or(0.0);
            }
        });
        Ok(())
    }

    /// Takes whether the foot of this name touches the ground; such messages carry no stamp.
    pub fn foot_touches(&mut self, foot: &str, touches: bool, now: i64) {
        self.foot(foot, None, now, |_| (touches, 0.0));
    }

    /// Takes the wrench at the foot of this name. Axes that are NaN are ones that its sensor does not measure.
    ///
    /// # Errors
    /// [`MessageError`]; nothing is taken then.
    pub fn foot_wrench(&mut self, foot: &str, message: &WrenchStamped, now: i64) -> Result<(), MessageError> {
        let stamp = stamp(&message.header.stamp)?;
        let force = &message.wrench.force;
        let (Contacts::Feet(feet), Some(index)) = (&mut self.contacts, self.feet.index(foot)) else { return Ok(()) };
        let size = feet.force(index, [force.x, force.y, force.z])?;
        if let Some(watch) = feet.watches.get_mut(index) {
            let found = watch.note(stamp, now);
            self.judge_order(found)?;
        }
        self.foot(foot, Some(stamp), now, |threshold| (size >= threshold, size as f32));
        Ok(())
    }

    /// Feet speak one by one; their contacts count once all have spoken.
    fn foot(&mut self, foot: &str, stamp: Option<Stamp>, now: i64, judge: impl FnOnce(f64) -> (bool, f32)) {
        let (Contacts::Feet(feet), Some(foot)) = (&mut self.contacts, self.feet.index(foot)) else { return };
        if let Some((touches, force)) = feet.note(foot, now, judge) {
            let stamp = stamp.unwrap_or_else(|| self.assembler.stamp());
            self.assembler.contacts(stamp, now, |contact, forces| {
                contact.copy_from_slice(touches);
                forces.copy_from_slice(force);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::robot::RobotState;
    use crate::ros::convert::{foot_contacts, imu, joint_state};
    use proptest::prelude::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    pub fn reader() -> SensorReader {
        with_driver("{}")
    }

    pub fn with_driver(driver: &str) -> SensorReader {
        mounted(driver, ImuMounting::default())
    }

    pub fn mounted(driver: &str, mounting: ImuMounting) -> SensorReader {
        let driver = serde_yaml::with::singleton_map_recursive::deserialize(serde_yaml::Deserializer::from_str(driver));
        let order = OrderRules { clock_jump: 1_000_000_000, drops_reordered: true, needs_stamps: false, counts_lag: true };
        SensorReader::new(&driver.unwrap(), &["hip", "knee"], &["toe"], false, order, mounting).unwrap()
    }

    pub fn joints(given: &[&str], position: &[f64]) -> JointState {
        JointState { name: names(given), position: position.to_vec(), ..JointState::default() }
    }

    #[test]
    fn refused_joint_states_are_explained_and_change_nothing() {
        let mut reader = reader();
        reader.joint_state(&joints(&["knee", "hip", "tail"], &[2.0, 1.0, 9.0]), 0).unwrap();
        let before = reader.clone();
        let mut message = |message: JointState| reader.joint_state(&message, 1).unwrap_err().to_string();
        assert_eq!(message(joints(&["hip", "knee"], &[0.0, f64::NAN])), "`position` holds NaN for `knee`");
        assert_eq!(message(joints(&["hip", "knee"], &[0.0, 1e300])), format!("`position` holds {} for `knee`", 1e300));
        assert_eq!(message(joints(&["hip", "knee"], &[0.0])), "`position` has 1 entries for 2 names");
        assert_eq!(message(joints(&["hip"], &[0.0])), "the joint `knee` is missing; all 2 are needed");
        let mut negative = joints(&["hip", "knee"], &[0.0, 0.0]);
        negative.header.stamp.sec = -1;
        assert_eq!(message(negative), "the stamp -1 s 0 ns is no time");
        assert_eq!(format!("{:?}", reader.assembler()), format!("{:?}", before.assembler()));
    }

    #[test]
    fn only_what_the_policy_uses_need_be_a_number() {
        let nan = f64::NAN;
        let mut reader = reader();
        // What joint_state_broadcaster makes of a gripper without interfaces and of joints that measure their position alone.
        let mut message = joints(&["gripper", "knee", "hip"], &[nan, 2.0, 1.0]);
        (message.velocity, message.effort) = (vec![nan, 0.5, f64::INFINITY], vec![nan; 3]);
        reader.joint_state(&message, 0).unwrap();
        reader.imu(&imu(0, "", &RobotState::at_rest(2, 1)), 0).unwrap();
        reader.foot_contacts(&foot_contacts(0, &names(&["toe"]), &RobotState::at_rest(2, 1)), 0).unwrap();
        let state = &reader.assembler().latest().unwrap().state;
        assert_eq!((&state.joint_position[..], &state.joint_velocity[..]), (&[1.0, 2.0][..], &[0.0, 0.5][..]));
        assert!(reader.lacks_velocity(), "a policy that needs speeds would stop this robot");

        reader.set_needs_velocity(true);
        let error = reader.joint_state(&message, 1).unwrap_err();
        assert!(error.is_not_finite() && error.to_string() == "`velocity` holds inf for `hip`", "{error}");
        message.velocity[2] = 0.0;
        reader.joint_state(&message, 2).unwrap();
        assert!(!reader.lacks_velocity());
        message.velocity.clear();
        assert!(reader.joint_state(&message, 3).unwrap_err().to_string().contains("velocities"));
        reader.set_needs_velocity(false);
        reader.joint_state(&message, 4).unwrap();
        assert!(reader.lacks_velocity());
    }

    #[test]
    fn messages_without_a_stamp_are_refused_where_stamps_tell_what_belongs_together() {
        let order = OrderRules { clock_jump: 1_000_000_000, drops_reordered: true, needs_stamps: true, counts_lag: false };
        let (driver, mounting) = (DriverDescription::default(), ImuMounting::default());
        let mut reader = SensorReader::new(&driver, &["hip", "knee"], &["toe"], false, order, mounting).unwrap();
        let mut message = joints(&["hip", "knee"], &[0.0, 0.0]);
        let error = reader.joint_state(&message, 0).unwrap_err();
        assert!(error == MessageError::Unstamped && error.to_string().contains("`timer`"), "{error}");
        message.header.stamp.nanosec = 1;
        reader.joint_state(&message, 0).unwrap();
    }

    #[test]
    fn an_overtaken_message_is_refused_and_a_clock_jump_is_counted() {
        let mut reader = reader();
        let at = |milliseconds: i64| {
            let mut message = joints(&["hip", "knee"], &[milliseconds as f64 * 1e-3, 0.0]);
            message.header.stamp = crate::ros::convert::time(milliseconds * 1_000_000);
            message
        };
        reader.joint_state(&at(100), 0).unwrap();
        let error = reader.joint_state(&at(90), 1).unwrap_err().to_string();
        assert!(error.contains("older"), "{error}");
        assert_eq!(reader.clock_jumps(), 0);
        reader.joint_state(&at(90_000), 2).unwrap();
        assert_eq!(reader.clock_jumps(), 1);
    }

    #[test]
    fn a_driver_with_other_names_signs_and_units_is_understood() {
        let mut reader = with_driver("{unit: deg, joints: {hip: {name: motor_1, sign: -1, offset: 10}}}");
        let mut message = joints(&["knee", "motor_1"], &[90.0, 10.0 - 180.0]);
        message.velocity = vec![0.0, 180.0];
        reader.joint_state(&message, 0).unwrap();
        reader.imu(&imu(0, "", &RobotState::at_rest(2, 1)), 0).unwrap();
        reader.foot_contacts(&foot_contacts(0, &names(&["toe"]), &RobotState::at_rest(2, 1)), 0).unwrap();
        let state = &reader.assembler().latest().unwrap().state;
        let pi = std::f32::consts::PI;
        assert!((state.joint_position[0] - pi).abs() < 1e-6 && (state.joint_position[1] - pi / 2.0).abs() < 1e-6);
        assert!((state.joint_velocity[0] + pi).abs() < 1e-6);
    }

    proptest! {
        #[test]
        fn stamps_and_states_survive_the_way_through_messages(stamp_ns in 0i64..4_000_000_000_000_000_000 % (i32::MAX as i64 * 1_000_000_000), q in proptest::array::uniform2(-10.0f32..10.0)) {
            prop_assert_eq!(stamp(&crate::ros::convert::time(stamp_ns)).unwrap(), stamp_ns);
            let mut state = RobotState::at_rest(2, 1);
            state.joint_position = q.to_vec();
            let mut reader = reader();
            reader.joint_state(&joint_state(stamp_ns, &names(&["hip", "knee"]), &state), 0).unwrap();
            reader.imu(&imu(stamp_ns, "imu_link", &state), 0).unwrap();
            reader.foot_contacts(&foot_contacts(stamp_ns, &names(&["toe"]), &state), 0).unwrap();
            prop_assert_eq!(&reader.assembler().matched().unwrap().state, &state);
        }
    }
}
