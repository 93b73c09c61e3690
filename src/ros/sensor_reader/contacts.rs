//! Contacts that do not come as one message of all feet.

use super::{OrderRules, SensorReader};
use crate::robot::{ContactDescription, DriverDescription, DriverError};
use crate::ros::convert::{MessageError, finite};
use crate::safety::StampWatch;

/// Share of its threshold below which an effort no longer means contact, so that noise does not make it flicker.
const RELEASE: f64 = 0.9;

/// What tells of contacts, and what it told last.
#[derive(Clone, Debug)]
pub enum Contacts {
    /// One message of all feet.
    Message,
    /// A message of each foot.
    Feet(FeetOneByOne),
    /// Efforts of joints.
    Effort(Efforts),
}

/// Feet that speak one by one.
#[derive(Clone, Debug)]
pub struct FeetOneByOne {
    /// When each said something new last \[ns, steady clock\].
    spoken: Vec<Option<i64>>,
    /// Of each foot whose messages carry stamps.
    pub watches: Vec<StampWatch>,
    counts_lag: bool,
    /// Which axes of a force each foot's sensor has measured.
    measured: Vec<[bool; 3]>,
    touches: Vec<bool>,
    force: Vec<f32>,
    threshold: f64,
}

/// Efforts from which contacts are told.
#[derive(Clone, Debug)]
pub struct Efforts {
    /// Joint and threshold of each foot.
    feet: Vec<(usize, f64)>,
    /// Efforts in the latest joint state, by joint; `None` for those that were no numbers.
    efforts: Vec<Option<f64>>,
    touches: Vec<bool>,
}

impl Contacts {
    /// As `driver` has them, for the joints and feet that a policy has by these names; stamps are judged by `order`.
    ///
    /// # Errors
    /// [`DriverError`] when the driver does not fit.
    pub fn new(driver: &DriverDescription, joints: &[&str], feet: &[&str], order: OrderRules) -> Result<Self, DriverError> {
        driver.check_contacts(feet, joints)?;
        let one_by_one = |threshold| {
            Self::Feet(FeetOneByOne {
                spoken: vec![None; feet.len()],
                watches: (0..feet.len()).map(|_| StampWatch::new(order.clock_jump)).collect(),
                counts_lag: order.counts_lag,
                measured: vec![[false; 3]; feet.len()],
                touches: vec![false; feet.len()],
                force: vec![0.0; feet.len()],
                threshold,
            })
        };
        Ok(match &driver.contacts {
            ContactDescription::FootContacts { .. } => Self::Message,
            ContactDescription::Bool { .. } => one_by_one(0.0),
            ContactDescription::Wrench { threshold, .. } => one_by_one(*threshold),
            ContactDescription::Effort { feet: efforts } => {
                let place = |name: &String| joints.iter().position(|joint| joint == name);
                // Both names were checked.
                let foot = |name: &&str| efforts.get(*name).and_then(|foot| Some((place(&foot.joint)?, foot.threshold)));
                Self::Effort(Efforts {
                    feet: feet.iter().filter_map(foot).collect(),
                    efforts: vec![None; joints.len()],
                    touches: vec![false; feet.len()],
                })
            }
        })
    }

    /// Whether the effort of `joint` tells of a contact.
    pub fn need_effort(&self, joint: usize) -> bool {
        matches!(self, Self::Effort(efforts) if efforts.feet.iter().any(|(needed, _)| *needed == joint))
    }

    /// Since when all are known \[ns, steady clock\], if they are; `now` is the time of the message that was just taken.
    pub fn received(&self, now: i64) -> Option<i64> {
        match self {
            Self::Feet(feet) => feet.spoken.iter().copied().min().unwrap_or(Some(now)),
            // Where nobody needs contacts, joint states without efforts are taken too.
            Self::Effort(efforts) => efforts.are_known().then_some(now),
            Self::Message => Some(now),
        }
    }
}

impl SensorReader {
    /// By how much the last wrench of the foot of this name that was taken is older than its arrival says \[ns\], as [`SensorReader::lag`] has it
    /// for other messages; 0 where contacts do not come foot by foot.
    pub fn foot_lag(&self, foot: &str) -> i64 {
        match (&self.contacts, self.feet.index(foot)) {
            (Contacts::Feet(feet), Some(foot)) => feet.lag(foot),
            _ => 0,
        }
    }
}

impl FeetOneByOne {
    /// By how much the last message of a foot is older than its arrival says \[ns\].
    fn lag(&self, foot: usize) -> i64 {
        self.watches.get(foot).filter(|_| self.counts_lag).map_or(0, StampWatch::lag)
    }

    /// Notes what `judge` makes of the threshold for one foot at `now`. Returns contact and force of all feet, once all have spoken.
    pub fn note(&mut self, foot: usize, now: i64, judge: impl FnOnce(f64) -> (bool, f32)) -> Option<(&[bool], &[f32])> {
        let lag = self.lag(foot);
        let Self { spoken, watches, touches, force, threshold, .. } = self;
        let (has_spoken, touch, size) = (spoken.get_mut(foot)?, touches.get_mut(foot)?, force.get_mut(foot)?);
        if !watches.get(foot).is_some_and(StampWatch::repeats) {
            *has_spoken = Some(now.saturating_sub(lag));
        }
        (*touch, *size) = judge(*threshold);
        spoken.iter().all(Option::is_some).then_some((touches, force))
    }

    /// The size of the force at `foot` \[N\] by its `axes`. Those that its sensor does not measure are NaN: so force_torque_sensor_broadcaster writes
    /// each that a load cell lacks.
    ///
    /// # Errors
    /// [`MessageError`] when no axis is measured, when one is infinite, and when one is NaN that was not before: such a sensor is broken.
    pub fn force(&mut self, foot: usize, axes: [f64; 3]) -> Result<f64, MessageError> {
        let present = axes.map(|axis| !axis.is_nan());
        let before = self.measured.get(foot).copied().unwrap_or_default();
        let is_lost = before.into_iter().zip(present).any(|(before, present)| before && !present);
        if is_lost || present == [false; 3] {
            return Err(MessageError::Number { field: "force", value: f64::NAN, of: None });
        }
        let values = axes.map(|axis| if axis.is_nan() { 0.0 } else { axis });
        finite("force", &values, &[])?;
        let size = values.iter().map(|value| value * value).sum::<f64>().sqrt();
        finite("force", &[size], &[])?;
        if let Some(measured) = self.measured.get_mut(foot) {
            *measured = present;
        }
        Ok(size)
    }
}

impl Efforts {
    /// Notes the effort of a joint, if the joint state has it.
    pub fn note(&mut self, joint: usize, effort: Option<f64>) {
        if let Some(latest) = self.efforts.get_mut(joint) {
            // Beyond single precision it would be refused where contacts are needed.
            *latest = effort.filter(|effort| (*effort as f32).is_finite());
        }
    }

    /// Whether the latest joint state has all efforts from which contacts are told.
    fn are_known(&self) -> bool {
        self.feet.iter().all(|(joint, _)| matches!(self.efforts.get(*joint), Some(Some(_))))
    }

    /// Which feet touch the ground by the latest efforts, if they tell of all.
    pub fn touches(&mut self) -> Option<&[bool]> {
        if !self.are_known() {
            return None;
        }
        for ((joint, threshold), touches) in self.feet.iter().zip(self.touches.iter_mut()) {
            let needed = if *touches { RELEASE * threshold } else { *threshold };
            let effort = self.efforts.get(*joint).copied().flatten();
            *touches = effort.is_some_and(|effort| effort.abs() >= needed);
        }
        Some(&self.touches)
    }
}

#[cfg(test)]
mod tests {
    use r2r::geometry_msgs::msg::WrenchStamped;

    use super::super::tests::{joints, with_driver};
    use crate::robot::RobotState;
    use crate::ros::convert::{ImuMounting, imu, time};
    use crate::ros::sensor_reader::{OrderRules, SensorReader};
    use crate::safety::needed_sensors;

    fn contact(reader: &mut SensorReader) -> Option<bool> {
        reader.imu(&imu(0, "", &RobotState::at_rest(2, 1)), 0).unwrap();
        reader.assembler().latest().map(|frame| frame.state.foot_contact[0])
    }

    #[test]
    fn contacts_come_from_single_feet() {
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
    }

    #[test]
    fn a_load_cell_tells_by_the_axes_that_it_has() {
        let mut reader = with_driver("contacts: {wrench: {feet: {toe: left}, threshold: 5}}");
        reader.joint_state(&joints(&["hip", "knee"], &[0.0, 0.0]), 0).unwrap();
        let wrench = |axes: [f64; 3]| {
            let mut message = WrenchStamped::default();
            let force = &mut message.wrench.force;
            [force.x, force.y, force.z] = axes;
            message
        };
        let (nan, infinity) = (f64::NAN, f64::INFINITY);
        assert!(reader.foot_wrench("toe", &wrench([nan; 3]), 0).unwrap_err().is_not_finite());
        assert_eq!(contact(&mut reader), None);
        reader.foot_wrench("toe", &wrench([nan, nan, 6.0]), 0).unwrap();
        assert_eq!(contact(&mut reader), Some(true));
        for broken in [[nan; 3], [nan, nan, -infinity], [infinity, nan, 6.0], [nan, 1e300, 0.0]] {
            assert!(reader.foot_wrench("toe", &wrench(broken), 0).unwrap_err().is_not_finite(), "{broken:?}");
        }
        reader.foot_wrench("toe", &wrench([3.0, nan, 3.0]), 0).unwrap();
        assert_eq!(contact(&mut reader), Some(false));
        // From here on its x is known to be measured.
        assert!(reader.foot_wrench("toe", &wrench([nan, nan, 6.0]), 0).unwrap_err().is_not_finite());
    }

    #[test]
    fn efforts_that_are_not_measured_are_no_contacts_also_where_nobody_needs_them() {
        let mut reader = with_driver("contacts: {effort: {feet: {toe: {joint: knee, threshold: 1.0}}}}");
        reader.set_needed(needed_sensors(false));
        let mut received = |efforts: &[f64]| {
            let mut message = joints(&["hip", "knee"], &[0.0, 0.0]);
            message.effort = efforts.to_vec();
            reader.joint_state(&message, 7).unwrap();
            (reader.contacts_received(7), reader.assembler().stamps()[2].is_some())
        };
        let nan = f64::NAN;
        let untold: [&[f64]; 5] = [&[], &[0.0, nan], &[0.0, f64::INFINITY], &[0.0, 1e300], &[2.0, 2.0, 2.0]];
        for efforts in untold {
            assert_eq!(received(efforts), (None, false), "{efforts:?}");
        }
        assert_eq!(received(&[nan, 0.5]), (Some(7), true));
        assert_eq!(received(&[]).0, None, "what was measured once");
    }

    #[test]
    fn contacts_come_from_the_efforts_of_their_joints_alone() {
        let mut reader = with_driver("contacts: {effort: {feet: {toe: {joint: knee, threshold: 1.0}}}}");
        let state = |efforts: [f64; 2]| {
            let mut message = joints(&["hip", "knee"], &[0.0, 0.0]);
            message.effort = efforts.to_vec();
            message
        };
        let mut effort = |value: f64| {
            // No foot is told from the hip, whose effort nobody measures.
            reader.joint_state(&state([f64::NAN, value]), 0).unwrap();
            contact(&mut reader)
        };
        // 0.95 is within the hysteresis.
        assert_eq!([0.95, -1.1, 0.95, 0.5].map(&mut effort), [false, true, true, false].map(Some));
        let error = reader.joint_state(&state([0.0, f64::NAN]), 0).unwrap_err().to_string();
        assert_eq!(error, "`effort` holds NaN for `knee`");
        let error = reader.joint_state(&joints(&["hip", "knee"], &[0.0, 0.0]), 0).unwrap_err().to_string();
        assert!(error.contains("effort"), "{error}");
    }

    #[test]
    fn contacts_foot_by_foot_are_as_old_as_the_foot_that_was_silent_for_longest() {
        let driver = "contacts: {bool: {feet: {toe: left, heel: right}}}";
        let driver = serde_yaml::with::singleton_map_recursive::deserialize(serde_yaml::Deserializer::from_str(driver));
        let order = OrderRules { clock_jump: 1_000_000_000, drops_reordered: true, needs_stamps: false, counts_lag: true };
        let mounting = ImuMounting::default();
        let mut reader = SensorReader::new(&driver.unwrap(), &["hip"], &["toe", "heel"], false, order, mounting).unwrap();
        reader.foot_touches("toe", true, 10);
        assert_eq!(reader.contacts_received(10), None);
        reader.foot_touches("heel", true, 20);
        reader.foot_touches("toe", false, 30);
        // The heel's sensor is dead from here on.
        reader.foot_touches("toe", true, 40);
        assert_eq!(reader.contacts_received(40), Some(20));
    }

    #[test]
    fn a_foot_that_repeats_one_wrench_falls_silent() {
        let mut reader = with_driver("contacts: {wrench: {feet: {toe: left}, threshold: 5}}");
        let mut received = |milliseconds: i64, now: i64| {
            let mut message = WrenchStamped::default();
            message.header.stamp = time(milliseconds * 1_000_000);
            reader.foot_wrench("toe", &message, now).unwrap();
            reader.contacts_received(now)
        };
        // A sensor that never stamps is believed.
        assert_eq!([received(0, 1), received(0, 2)], [Some(1), Some(2)]);
        assert_eq!([received(20, 3), received(40, 4), received(40, 5), received(40, 6)], [Some(3), Some(4), Some(4), Some(4)]);
        assert_eq!(received(60, 7), Some(7));
    }

    #[test]
    fn a_foot_whose_wrenches_arrive_late_is_as_old_as_they_are() {
        let (mut reader, millisecond) = (with_driver("contacts: {wrench: {feet: {toe: left}, threshold: 5}}"), 1_000_000);
        let mut age = |stamp: i64, now: i64| {
            let mut message = WrenchStamped::default();
            // Some time of day.
            message.header.stamp = time((1_750_000_000_000 + stamp) * millisecond);
            reader.foot_wrench("toe", &message, now * millisecond).unwrap();
            let age = now * millisecond - reader.contacts_received(now * millisecond).unwrap();
            assert_eq!((reader.foot_lag("toe"), reader.foot_lag("heel")), (age, 0));
            age
        };
        for step in 0..5 {
            assert_eq!(age(20 * step, 20 * step), 0);
        }
        let late = age(100, 600);
        assert!((499 * millisecond..=500 * millisecond).contains(&late), "{late} ns");
        assert_eq!(age(620, 621), 0);
    }

    #[test]
    fn an_overtaken_wrench_is_refused() {
        let mut reader = with_driver("contacts: {wrench: {feet: {toe: left}, threshold: 5}}");
        let at = |milliseconds: i64| {
            let mut message = WrenchStamped::default();
            message.header.stamp = time(milliseconds * 1_000_000);
            message
        };
        reader.foot_wrench("toe", &at(100), 0).unwrap();
        let error = reader.foot_wrench("toe", &at(90), 1).unwrap_err().to_string();
        assert!(error.contains("older"), "{error}");
    }
}
