//! Sensor messages of any driver as frames of one robot.

use r2r::geometry_msgs::msg::{Quaternion, WrenchStamped};
use r2r::hebbian_locomotion::msg::FootContacts;
use r2r::sensor_msgs::msg::{Imu, JointState};

use super::convert::{MessageError, finite, length, stamp};
use crate::robot::{
    AngleMap, ContactDescription, DriverDescription, DriverError, FrameAssembler, NameMap, Orientation, OrientationFilter,
    OrientationSource, Stamp, UnknownNames,
};
use crate::safety::{StampFault, StampWatch};

/// Length of an accepted quaternion, off 1 by at most this.
const QUATERNION_TOLERANCE: f64 = 1e-2;
/// Share of its threshold below which an effort no longer means contact, so that noise does not make it flicker.
const RELEASE: f64 = 0.9;

/// Turns sensor messages into frames of one robot.
#[derive(Clone, Debug)]
pub struct SensorReader {
    joints: NameMap,
    angles: Vec<AngleMap>,
    feet: NameMap,
    needs_velocity: bool,
    filter: Option<OrientationFilter>,
    contacts: Contacts,
    /// Of joints, IMU and contacts.
    watches: [StampWatch; 3],
    drops_reordered: bool,
    clock_jumps: u64,
    assembler: FrameAssembler,
}

/// Contacts that do not come as one message of all feet.
#[derive(Clone, Debug)]
enum Contacts {
    Message,
    /// When each foot spoke last \[ns, steady clock\], its state and force.
    Feet {
        spoken: Vec<Option<i64>>,
        /// Of each foot whose messages carry stamps.
        watches: Vec<StampWatch>,
        touches: Vec<bool>,
        force: Vec<f32>,
        threshold: f64,
    },
    /// Joint and threshold of each foot, and whether it touches.
    Effort {
        feet: Vec<(usize, f64)>,
        touches: Vec<bool>,
    },
}

/// How a [`SensorReader`] judges the order of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderRules {
    /// Smallest jump of stamps that counts as one of a clock \[ns\].
    pub clock_jump: i64,
    /// Whether a message that was overtaken is refused.
    pub drops_reordered: bool,
}

impl SensorReader {
    /// For the joints and feet that a policy has by these names, as `driver` has them; `needs_velocity` refuses joint states without speeds.
    ///
    /// # Errors
    /// [`DriverError`] when the driver does not fit.
    pub fn new(
        driver: &DriverDescription,
        joints: &[&str],
        feet: &[&str],
        needs_velocity: bool,
        order: OrderRules,
    ) -> Result<Self, DriverError> {
        let resolved = driver.resolve_joints(joints)?;
        driver.check_contacts(feet, joints)?;
        let by_feet = |threshold| Contacts::Feet {
            spoken: vec![None; feet.len()],
            watches: (0..feet.len()).map(|_| StampWatch::new(order.clock_jump)).collect(),
            touches: vec![false; feet.len()],
            force: vec![0.0; feet.len()],
            threshold,
        };
        let place = |name: &String| joints.iter().position(|joint| joint == name);
        let contacts = match &driver.contacts {
            ContactDescription::FootContacts { .. } => Contacts::Message,
            ContactDescription::Bool { .. } => by_feet(0.0),
            ContactDescription::Wrench { threshold, .. } => by_feet(*threshold),
            ContactDescription::Effort { feet: efforts } => {
                // Both names were checked.
                let foot = |name: &&str| efforts.get(*name).and_then(|foot| Some((place(&foot.joint)?, foot.threshold)));
                Contacts::Effort { feet: feet.iter().filter_map(foot).collect(), touches: vec![false; feet.len()] }
            }
        };
        let filter = match driver.imu.orientation {
            OrientationSource::Measured => None,
            OrientationSource::Estimated { gain } => Some(OrientationFilter::new(gain)),
        };
        Ok(Self {
            joints: NameMap::new("joint", resolved.names.iter().map(String::as_str)),
            angles: resolved.angles,
            feet: NameMap::new("foot", feet.iter().copied()),
            needs_velocity,
            filter,
            contacts,
            watches: std::array::from_fn(|_| StampWatch::new(order.clock_jump)),
            drops_reordered: order.drops_reordered,
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

    /// Whether joint states without speeds are refused from now on.
    pub fn set_needs_velocity(&mut self, needs_velocity: bool) {
        self.needs_velocity = needs_velocity;
    }

    /// Since when the contacts of all feet are known \[ns, steady clock\], if they are: foot by foot, the one that has been silent for longest
    /// counts. `now` is the time of the message that was just taken.
    pub fn contacts_received(&self, now: i64) -> Option<i64> {
        match &self.contacts {
            Contacts::Feet { spoken, .. } => spoken.iter().copied().min().unwrap_or(Some(now)),
            _ => Some(now),
        }
    }

    fn order(&mut self, sensor: usize, stamp: Stamp, now: i64) -> Result<(), MessageError> {
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
    /// # Errors
    /// [`MessageError`]; nothing is taken then.
    pub fn joint_state(&mut self, message: &JointState, now: i64) -> Result<(), MessageError> {
        let stamp = stamp(&message.header.stamp)?;
        length("position", message.position.len(), message.name.len())?;
        if self.needs_velocity && message.velocity.is_empty() {
            return Err(MessageError::NotMeasured("the policy needs joint velocities, and the message has none"));
        }
        if !message.velocity.is_empty() {
            length("velocity", message.velocity.len(), message.name.len())?;
        }
        finite("position", &message.position, &message.name)?;
        finite("velocity", &message.velocity, &message.name)?;
        if let Contacts::Effort { .. } = self.contacts {
            if message.effort.is_empty() {
                return Err(MessageError::NotMeasured("contacts come from joint efforts, and the message has none"));
            }
            length("effort", message.effort.len(), message.name.len())?;
            finite("effort", &message.effort, &message.name)?;
        }
        self.joints.indices(&message.name, UnknownNames::Ignored, true).map(drop)?;
        self.order(0, stamp, now)?;
        // The same names again cost nothing.
        let indices = self.joints.indices(&message.name, UnknownNames::Ignored, true)?;
        let (angles, contacts) = (&self.angles, &mut self.contacts);
        let entries = || indices.enumerate().filter_map(|(entry, index)| Some((entry, index?)));
        let mut efforts = Vec::new();
        if let Contacts::Effort { .. } = contacts {
            efforts.resize(angles.len(), 0.0);
        }
        self.assembler.joints(stamp, now, |position, velocity| {
            for (entry, index) in entries() {
                position[index] = angles[index].position(message.position[entry]) as f32;
                velocity[index] = message.velocity.get(entry).map_or(0.0, |&value| angles[index].velocity(value) as f32);
                if let (Some(effort), Some(&value)) = (efforts.get_mut(index), message.effort.get(entry)) {
                    *effort = value;
                }
            }
        });
        if let Contacts::Effort { feet, touches } = contacts {
            for ((joint, threshold), touches) in feet.iter().zip(touches.iter_mut()) {
                let needed = if *touches { RELEASE * threshold } else { *threshold };
                *touches = efforts[*joint].abs() >= needed;
            }
            self.assembler.contacts(stamp, now, |contact, force| {
                contact.copy_from_slice(touches);
                force.fill(0.0);
            });
        }
        Ok(())
    }

    /// Takes an IMU message; one without orientation only where it is estimated.
    ///
    /// # Errors
    /// [`MessageError`]; nothing is taken then.
    pub fn imu(&mut self, message: &Imu, now: i64) -> Result<(), MessageError> {
        let stamp = stamp(&message.header.stamp)?;
        let (rate, acceleration) = (&message.angular_velocity, &message.linear_acceleration);
        let (rate, acceleration) = ([rate.x, rate.y, rate.z], [acceleration.x, acceleration.y, acceleration.z]);
        finite("angular_velocity", &rate, &[])?;
        finite("linear_acceleration", &acceleration, &[])?;
        let orientation = if self.filter.is_some() { None } else { Some(measured_orientation(message)?) };
        self.order(1, stamp, now)?;
        let estimated = || self.filter.as_mut().and_then(|filter| filter.update(stamp, rate, acceleration));
        let orientation = orientation
            .or_else(estimated)
            .ok_or(MessageError::NotMeasured("the orientation is estimated, but the IMU feels no gravity to begin with"))?;
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

    /// Takes the wrench at the foot of this name.
    ///
    /// # Errors
    /// [`MessageError`]; nothing is taken then.
    pub fn foot_wrench(&mut self, foot: &str, message: &WrenchStamped, now: i64) -> Result<(), MessageError> {
        let stamp = stamp(&message.header.stamp)?;
        let force = &message.wrench.force;
        finite("force", &[force.x, force.y, force.z], &[])?;
        let size = (force.x * force.x + force.y * force.y + force.z * force.z).sqrt();
        finite("force", &[size], &[])?;
        if let (Contacts::Feet { watches, .. }, Some(foot)) = (&mut self.contacts, self.feet.index(foot))
            && let Some(watch) = watches.get_mut(foot)
        {
            let found = watch.note(stamp, now);
            self.judge_order(found)?;
        }
        self.foot(foot, Some(stamp), now, |threshold| (size >= threshold, size as f32));
        Ok(())
    }

    /// Feet speak one by one; their contacts count once all have spoken.
    fn foot(&mut self, foot: &str, stamp: Option<Stamp>, now: i64, judge: impl FnOnce(f64) -> (bool, f32)) {
        let (Contacts::Feet { spoken, touches, force, threshold, .. }, Some(foot)) = (&mut self.contacts, self.feet.index(foot))
        else {
            return;
        };
        let (Some(has_spoken), Some(touch), Some(size)) = (spoken.get_mut(foot), touches.get_mut(foot), force.get_mut(foot))
        else {
            return;
        };
        *has_spoken = Some(now);
        (*touch, *size) = judge(*threshold);
        if spoken.iter().all(Option::is_some) {
            let stamp = stamp.unwrap_or_else(|| self.assembler.stamp());
            self.assembler.contacts(stamp, now, |contact, forces| {
                contact.copy_from_slice(touches);
                forces.copy_from_slice(force);
            });
        }
    }
}

fn measured_orientation(message: &Imu) -> Result<Orientation, MessageError> {
    // REP-145: -1 says that the sensor has no orientation.
    if message.orientation_covariance.first() == Some(&-1.0) {
        return Err(MessageError::NotMeasured(
            "the policy needs an orientation, and the IMU has none (orientation_covariance[0] is -1); let it be estimated: \
             `imu: {orientation: {estimated: {gain: 0.1}}}` in the driver's description",
        ));
    }
    let Quaternion { x, y, z, w } = message.orientation;
    finite("orientation", &[x, y, z, w], &[])?;
    let norm = (x * x + y * y + z * z + w * w).sqrt();
    if (norm - 1.0).abs() > QUATERNION_TOLERANCE {
        let of = Some("length of the quaternion".to_owned());
        return Err(MessageError::Number { field: "orientation", value: norm, of });
    }
    Ok(Orientation { x: x as f32, y: y as f32, z: z as f32, w: w as f32 })
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

    fn reader() -> SensorReader {
        with_driver("{}")
    }

    fn with_driver(driver: &str) -> SensorReader {
        let driver = serde_yaml::with::singleton_map_recursive::deserialize(serde_yaml::Deserializer::from_str(driver));
        let order = OrderRules { clock_jump: 1_000_000_000, drops_reordered: true };
        SensorReader::new(&driver.unwrap(), &["hip", "knee"], &["toe"], false, order).unwrap()
    }

    fn joints(given: &[&str], position: &[f64]) -> JointState {
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
    fn an_imu_without_orientation_or_with_a_broken_one_is_refused() {
        let mut good = imu(5, "imu_link", &RobotState::at_rest(2, 1));
        assert!(reader().imu(&good, 0).is_ok());
        good.orientation.w = 0.5;
        assert!(reader().imu(&good, 0).unwrap_err().to_string().contains("0.5"));
        good.orientation_covariance[0] = -1.0;
        assert!(reader().imu(&good, 0).unwrap_err().to_string().contains("orientation"));
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

    #[test]
    fn contacts_come_from_single_feet_and_from_efforts() {
        let contact = |reader: &mut SensorReader| {
            reader.imu(&imu(0, "", &RobotState::at_rest(2, 1)), 0).unwrap();
            reader.assembler().latest().map(|frame| frame.state.foot_contact[0])
        };
        let mut reader = with_driver("contacts: {bool: {feet: {toe: left}}}");
        reader.joint_state(&joints(&["hip", "knee"], &[0.0, 0.0]), 0).unwrap();
        assert_eq!(contact(&mut reader), None);
        reader.foot_touches("toe", true, 0);
        assert_eq!(contact(&mut reader), Some(true));

        let mut reader = with_driver("contacts: {wrench: {feet: {toe: left}, threshold: 5}}");
        reader.joint_state(&joints(&["hip", "knee"], &[0.0, 0.0]), 0).unwrap();
        let mut wrench = WrenchStamped::default();
        wrench.wrench.force.z = 4.0;
        reader.foot_wrench("toe", &wrench, 0).unwrap();
        assert_eq!(contact(&mut reader), Some(false));
        wrench.wrench.force.x = 3.0;
        reader.foot_wrench("toe", &wrench, 0).unwrap();
        assert_eq!(contact(&mut reader), Some(true));
        wrench.wrench.force.x = f64::NAN;
        assert!(reader.foot_wrench("toe", &wrench, 0).unwrap_err().is_not_finite());

        let mut reader = with_driver("contacts: {effort: {feet: {toe: {joint: knee, threshold: 1.0}}}}");
        let mut effort = |value: f64| {
            let mut message = joints(&["hip", "knee"], &[0.0, 0.0]);
            message.effort = vec![9.0, value];
            reader.joint_state(&message, 0).unwrap();
            contact(&mut reader)
        };
        // 0.95 is within the hysteresis.
        assert_eq!([0.95, -1.1, 0.95, 0.5].map(&mut effort), [false, true, true, false].map(Some));
        let error = reader.joint_state(&joints(&["hip", "knee"], &[0.0, 0.0]), 0).unwrap_err().to_string();
        assert!(error.contains("effort"), "{error}");
    }

    #[test]
    fn contacts_foot_by_foot_are_as_old_as_the_foot_that_was_silent_for_longest() {
        let driver = "contacts: {bool: {feet: {toe: left, heel: right}}}";
        let driver = serde_yaml::with::singleton_map_recursive::deserialize(serde_yaml::Deserializer::from_str(driver));
        let order = OrderRules { clock_jump: 1_000_000_000, drops_reordered: true };
        let mut reader = SensorReader::new(&driver.unwrap(), &["hip"], &["toe", "heel"], false, order).unwrap();
        reader.foot_touches("toe", true, 10);
        assert_eq!(reader.contacts_received(10), None);
        reader.foot_touches("heel", true, 20);
        reader.foot_touches("toe", false, 30);
        // The heel's sensor is dead from here on.
        reader.foot_touches("toe", true, 40);
        assert_eq!(reader.contacts_received(40), Some(20));
    }

    #[test]
    fn an_overtaken_wrench_is_refused() {
        let mut reader = with_driver("contacts: {wrench: {feet: {toe: left}, threshold: 5}}");
        let at = |milliseconds: i64| {
            let mut message = WrenchStamped::default();
            message.header.stamp = crate::ros::convert::time(milliseconds * 1_000_000);
            message
        };
        reader.foot_wrench("toe", &at(100), 0).unwrap();
        let error = reader.foot_wrench("toe", &at(90), 1).unwrap_err().to_string();
        assert!(error.contains("older"), "{error}");
    }

    #[test]
    fn an_imu_without_orientation_serves_where_it_is_estimated() {
        let mut reader = with_driver("imu: {orientation: {estimated: {gain: 0.1}}}");
        let mut message = imu(0, "", &RobotState::at_rest(2, 1));
        message.orientation_covariance[0] = -1.0;
        (message.linear_acceleration.x, message.linear_acceleration.z) = (0.0, 9.81);
        reader.imu(&message, 0).unwrap();
        reader.joint_state(&joints(&["hip", "knee"], &[0.0, 0.0]), 0).unwrap();
        reader.foot_contacts(&foot_contacts(0, &names(&["toe"]), &RobotState::at_rest(2, 1)), 0).unwrap();
        let up = reader.assembler().latest().unwrap().state.orientation.up_projection();
        assert!((up - 1.0).abs() < 1e-6, "{up}");
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
