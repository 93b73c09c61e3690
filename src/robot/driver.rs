//! How a robot's driver names, turns and counts its joints and feet, and which messages it speaks.
//!
//! The default is the suite's own topics with the policy's names; `config/drivers/` holds examples for others.

mod texts;
mod topics;
mod units;

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::JointKind;
use crate::config::{ConfigError, nearest, read_yaml};

/// A driver, as its YAML file describes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DriverDescription {
    /// Unit of the driver's joint positions, but where a joint has its own.
    pub unit: AngleUnit,
    /// Joints that the driver has by another name or turns another way, by the policy's name.
    pub joints: BTreeMap<String, JointDriver>,
    /// Where joint states come from.
    pub joint_states: String,
    /// How commands are sent.
    pub command: CommandDescription,
    /// The IMU.
    pub imu: ImuDescription,
    /// Where contacts come from.
    pub contacts: ContactDescription,
}

impl Default for DriverDescription {
    fn default() -> Self {
        Self {
            unit: AngleUnit::default(),
            joints: BTreeMap::new(),
            joint_states: "joint_states".to_owned(),
            command: CommandDescription::default(),
            imu: ImuDescription::default(),
            contacts: ContactDescription::default(),
        }
    }
}

/// Unit of joint positions; speeds are the same per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AngleUnit {
    /// Radian.
    #[default]
    Rad,
    /// Degree.
    Deg,
    /// Metre: of joints that shift.
    M,
}

impl AngleUnit {
    /// Radians, or metres, in one unit.
    pub fn radians(self) -> f64 {
        match self {
            Self::Rad | Self::M => 1.0,
            Self::Deg => std::f64::consts::PI / 180.0,
        }
    }
}

/// One joint as the driver has it: `driver angle = sign * policy angle + offset`; of a joint that shifts, read position.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JointDriver {
    /// Its name; default: the policy's.
    pub name: Option<String>,
    /// 1, or -1 when the driver turns it the other way.
    pub sign: i8,
    /// The driver's angle where the policy's is zero, in the unit below.
    pub offset: f64,
    /// Its unit; default: the driver's. A joint that shifts beside others in degrees needs `m`.
    pub unit: Option<AngleUnit>,
}

impl Default for JointDriver {
    fn default() -> Self {
        Self { name: None, sign: 1, offset: 0.0, unit: None }
    }
}

/// The messages that carry commands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommandForm {
    /// sensor_msgs/JointState: names and positions.
    #[default]
    JointState,
    /// std_msgs/Float64MultiArray: positions alone, in the order of `joints`, as ros2_control's forward controllers take them.
    Array,
    /// trajectory_msgs/JointTrajectory: one point, to be reached after one control period.
    Trajectory,
}

/// How commands are sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CommandDescription {
    /// Where to.
    pub topic: String,
    /// As what.
    pub form: CommandForm,
    /// Order of the joints, by the driver's names; default: that of the policy. The form `array` needs it.
    pub joints: Vec<String>,
}

impl Default for CommandDescription {
    fn default() -> Self {
        Self { topic: "joint_commands".to_owned(), form: CommandForm::default(), joints: Vec::new() }
    }
}

/// The IMU.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImuDescription {
    /// Where its messages come from.
    pub topic: String,
    /// Whose orientation is used.
    pub orientation: OrientationSource,
    /// Where yaw is 0: policies that see it were evolved to walk that way.
    pub heading: Heading,
}

impl Default for ImuDescription {
    fn default() -> Self {
        Self { topic: "imu/data".to_owned(), orientation: OrientationSource::default(), heading: Heading::default() }
    }
}

/// Where yaw is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Heading {
    /// Where the orientation has it.
    #[default]
    Absolute,
    /// Where the robot faces when it begins to move: after the node was activated or a stop released, once its sensors are well.
    Start,
}

/// Whose orientation is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum OrientationSource {
    /// The message's own.
    #[default]
    Measured,
    /// Estimated from angular velocity and acceleration by Madgwick's filter. Yaw drifts, as nothing measures it.
    Estimated {
        /// The filter's gain \[rad/s\]; 0.05 to 0.2 suits common sensors.
        gain: f32,
    },
}

/// Where contacts come from. Feet go by the policy's names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ContactDescription {
    /// hebbian_locomotion/FootContacts.
    FootContacts {
        /// The topic.
        topic: String,
    },
    /// One std_msgs/Bool for each foot.
    Bool {
        /// Topic of each foot.
        feet: BTreeMap<String, String>,
    },
    /// One geometry_msgs/WrenchStamped for each foot.
    Wrench {
        /// Topic of each foot.
        feet: BTreeMap<String, String>,
        /// Force from which on a foot touches \[N\].
        threshold: f64,
    },
    /// Estimated from the effort of a joint: a foot touches when it is large.
    Effort {
        /// The joint (by the policy's name) and threshold of each foot.
        feet: BTreeMap<String, EffortContact>,
    },
}

impl Default for ContactDescription {
    fn default() -> Self {
        Self::FootContacts { topic: "foot_contacts".to_owned() }
    }
}

/// A contact told from a joint's effort.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EffortContact {
    /// The joint, by the policy's name.
    pub joint: String,
    /// |effort| from which on the foot touches, in the driver's unit; below nine tenths of it the contact ends.
    pub threshold: f64,
}

/// A driver that cannot serve a policy's robot.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DriverError {
    /// A name that the policy does not have.
    #[error("the driver's {place} names the {kind} `{name}`, which the policy does not have{}", hint.as_ref().map(|hint| format!("; did you mean `{hint}`?")).unwrap_or_default())]
    Unknown {
        /// Which part of the description.
        place: &'static str,
        /// "joint" or "foot".
        kind: &'static str,
        /// The name given.
        name: String,
        /// The nearest that exists.
        hint: Option<String>,
    },
    /// A joint or foot for which nothing is said.
    #[error("the driver's {place} does not name the {kind} `{name}`; all are needed")]
    Missing {
        /// Which part of the description.
        place: &'static str,
        /// "joint" or "foot".
        kind: &'static str,
        /// The first that is missing.
        name: String,
    },
    /// A name or number that cannot be.
    #[error("the driver's {place}: {problem}")]
    Value {
        /// Which part of the description.
        place: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// A name or topic with a character that ROS cannot carry, or that nobody sees.
    #[error(
        "the driver's {key} has the text {text:?}; it must be without control characters: no ROS message can carry NUL, and nobody sees the others"
    )]
    Text {
        /// The key that it stands under.
        key: String,
        /// The text.
        text: String,
    },
    /// Two things by one topic.
    #[error(
        "the driver's {first} and {second} are both the topic `{topic}`; each needs one of its own: else one foot would be taken for another, or a command for what was measured"
    )]
    SameTopic {
        /// The key of one.
        first: String,
        /// The key of the other.
        second: String,
        /// The topic.
        topic: String,
    },
    /// A joint in a unit that none of its kind has.
    #[error("{}", units::misfit(joint, *given, *kind))]
    Unit {
        /// The joint, by the policy's name.
        joint: String,
        /// The driver's unit of it.
        given: AngleUnit,
        /// How it moves by the robot's description.
        kind: JointKind,
    },
}

/// A joint's angle from the driver's to the policy's and back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AngleMap {
    sign: f64,
    offset: f64,
    radians: f64,
}

impl AngleMap {
    /// The policy's angle \[rad\] for the driver's.
    pub fn position(&self, driver: f64) -> f64 {
        self.sign * (driver - self.offset) * self.radians
    }

    /// The policy's speed \[rad/s\] for the driver's.
    pub fn velocity(&self, driver: f64) -> f64 {
        self.sign * driver * self.radians
    }

    /// The driver's angle for the policy's \[rad\].
    pub fn command(&self, policy: f64) -> f64 {
        let angle = self.sign * policy / self.radians;
        // Adding zero would lose the sign of a zero, and with it the same bits as without a driver.
        if self.offset == 0.0 { angle } else { angle + self.offset }
    }
}

/// The joints of a policy as a driver has them, in the policy's order.
#[derive(Clone, Debug, PartialEq)]
pub struct DriverJoints {
    /// The driver's names.
    pub names: Vec<String>,
    /// The angles.
    pub angles: Vec<AngleMap>,
}

impl DriverDescription {
    /// Reads a driver's YAML file.
    ///
    /// # Errors
    /// [`ConfigError`] names the file and the key.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let driver: Self = read_yaml(path)?;
        let checked = driver.check_texts().and_then(|()| driver.check_topics());
        checked.map_err(|error| ConfigError::Parse { path: path.into(), message: error.to_string() })?;
        Ok(driver)
    }

    /// The driver's side of the joints that the policy calls `names`.
    ///
    /// # Errors
    /// [`DriverError`] for unknown or doubled names, and for signs and offsets that are none.
    pub fn resolve_joints(&self, names: &[&str]) -> Result<DriverJoints, DriverError> {
        known("joints", "joint", self.joints.keys(), names)?;
        let value = |problem| DriverError::Value { place: "joints", problem };
        let mut joints = DriverJoints { names: Vec::new(), angles: Vec::new() };
        for &name in names {
            let joint = self.joints.get(name).cloned().unwrap_or_default();
            if !matches!(joint.sign, 1 | -1) || !joint.offset.is_finite() {
                return Err(value(format!("`{name}` needs a sign of 1 or -1 and a finite offset")));
            }
            let driver = joint.name.unwrap_or_else(|| name.to_owned());
            if joints.names.contains(&driver) {
                return Err(value(format!("two joints have the driver's name `{driver}`")));
            }
            joints.names.push(driver);
            let radians = joint.unit.unwrap_or(self.unit).radians();
            joints.angles.push(AngleMap { sign: f64::from(joint.sign), offset: joint.offset, radians });
        }
        Ok(joints)
    }

    /// For each place of a command the policy's joint.
    ///
    /// # Errors
    /// [`DriverError`] when `command.joints` is not just the driver's joints, or is missing for an array.
    pub fn command_order(&self, joints: &DriverJoints) -> Result<Vec<usize>, DriverError> {
        let order = &self.command.joints;
        if order.is_empty() {
            if self.command.form == CommandForm::Array {
                let problem = "the form `array` has no names, so it needs the controller's joints in their order".to_owned();
                return Err(DriverError::Value { place: "command.joints", problem });
            }
            return Ok((0..joints.names.len()).collect());
        }
        let names: Vec<&str> = joints.names.iter().map(String::as_str).collect();
        known("command.joints", "joint", order, &names)?;
        all("command.joints", "joint", order, &names)?;
        if order.len() != names.len() {
            return Err(DriverError::Value { place: "command.joints", problem: "it names a joint twice".to_owned() });
        }
        Ok(order.iter().filter_map(|name| names.iter().position(|known| known == name)).collect())
    }

    /// Checks how the orientation is estimated, if it is.
    ///
    /// # Errors
    /// [`DriverError`] when the gain is none.
    pub fn check_imu(&self) -> Result<(), DriverError> {
        match self.imu.orientation {
            OrientationSource::Estimated { gain } if !(gain.is_finite() && gain >= 0.0) => {
                let problem =
                    format!("the gain {gain} must be a finite number of rad/s from 0 on; 0.05 to 0.2 suits common sensors");
                Err(DriverError::Value { place: "imu.orientation.estimated", problem })
            }
            _ => Ok(()),
        }
    }

    /// Checks that contacts come for just the feet `feet`, from joints among `joints` (the policy's names).
    ///
    /// # Errors
    /// [`DriverError`] names what is unknown, missing or out of range.
    pub fn check_contacts(&self, feet: &[&str], joints: &[&str]) -> Result<(), DriverError> {
        let place = "contacts";
        let threshold = |threshold: f64| {
            let problem = format!("the threshold {threshold} must be a finite number above 0");
            if threshold.is_finite() && threshold > 0.0 { Ok(()) } else { Err(DriverError::Value { place, problem }) }
        };
        let named: Vec<&String> = match &self.contacts {
            ContactDescription::FootContacts { .. } => return Ok(()),
            ContactDescription::Bool { feet } => feet.keys().collect(),
            ContactDescription::Wrench { feet, threshold: force } => {
                threshold(*force)?;
                feet.keys().collect()
            }
            ContactDescription::Effort { feet } => {
                known("contacts.effort", "joint", feet.values().map(|foot| &foot.joint), joints)?;
                feet.values().try_for_each(|foot| threshold(foot.threshold))?;
                feet.keys().collect()
            }
        };
        known(place, "foot", named.iter().copied(), feet)?;
        all(place, "foot", named, feet)
    }
}

fn known<'a>(
    place: &'static str,
    kind: &'static str,
    given: impl IntoIterator<Item = &'a String>,
    known: &[&str],
) -> Result<(), DriverError> {
    match given.into_iter().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => {
            let hint = nearest(name, known.iter().copied()).map(str::to_owned);
            Err(DriverError::Unknown { place, kind, name: name.clone(), hint })
        }
    }
}

fn all<'a>(
    place: &'static str,
    kind: &'static str,
    given: impl IntoIterator<Item = &'a String>,
    needed: &[&str],
) -> Result<(), DriverError> {
    let given: Vec<&String> = given.into_iter().collect();
    match needed.iter().find(|name| !given.iter().any(|given| given == *name)) {
        None => Ok(()),
        Some(name) => Err(DriverError::Missing { place, kind, name: (*name).to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn driver(yaml: &str) -> DriverDescription {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), yaml).unwrap();
        DriverDescription::load(file.path()).unwrap()
    }

    #[test]
    fn signs_offsets_and_units_map_there_and_back() {
        let driver = driver("{unit: deg, joints: {hip: {name: motor_1, sign: -1, offset: 90}}}");
        let joints = driver.resolve_joints(&["hip", "knee"]).unwrap();
        assert_eq!(joints.names, ["motor_1", "knee"]);
        let hip = joints.angles[0];
        assert!((hip.position(45.0) - std::f64::consts::FRAC_PI_4).abs() < 1e-12);
        assert!((hip.velocity(180.0) + std::f64::consts::PI).abs() < 1e-12);
        assert!((hip.command(hip.position(12.5)) - 12.5).abs() < 1e-12);
    }

    #[test]
    fn a_joint_may_have_a_unit_of_its_own_both_ways() {
        let driver = driver("{unit: deg, joints: {slide: {unit: m, sign: -1, offset: 0.25}, knee: {unit: rad}}}");
        let joints = driver.resolve_joints(&["slide", "knee", "hip"]).unwrap();
        let [slide, knee, hip] = [0, 1, 2].map(|index| joints.angles[index]);
        assert_eq!([slide.position(0.5), slide.velocity(0.5), slide.command(-0.25)], [-0.25, -0.5, 0.5]);
        assert_eq!([knee.position(0.5), knee.velocity(0.5), knee.command(0.5)], [0.5; 3]);
        assert!((hip.position(180.0) - std::f64::consts::PI).abs() < 1e-12);
        assert!((hip.command(std::f64::consts::PI) - 180.0).abs() < 1e-12);
    }

    #[test]
    fn a_gain_that_is_none_is_refused() {
        let check = |gain: &str| driver(&format!("imu: {{orientation: {{estimated: {{gain: {gain}}}}}}}")).check_imu();
        for gain in ["0", "0.1", "3"] {
            check(gain).unwrap();
        }
        for (gain, named) in [("-0.1", "-0.1"), (".nan", "NaN"), (".inf", "inf")] {
            let error = check(gain).unwrap_err().to_string();
            assert!(error.contains(&format!("imu.orientation.estimated: the gain {named} must")), "{error}");
        }
        DriverDescription::default().check_imu().unwrap();
    }

    #[test]
    fn the_default_changes_no_bit() {
        let joints = DriverDescription::default().resolve_joints(&["hip"]).unwrap();
        for value in [0.1f64, -1.5e-7, 3.1, -0.0] {
            let mapped = [joints.angles[0].position(value), joints.angles[0].command(value)];
            assert_eq!(mapped.map(f64::to_bits), [value.to_bits(); 2]);
        }
    }

    #[test]
    fn names_that_do_not_fit_are_named() {
        let message = |yaml: &str| driver(yaml).resolve_joints(&["hip", "knee"]).unwrap_err().to_string();
        assert!(message("joints: {hipp: {}}").contains("did you mean `hip`?"));
        assert!(message("joints: {hip: {name: knee}}").contains("`knee`"));
        assert!(message("joints: {hip: {sign: 2}}").contains("sign"));
        let array = driver("command: {form: array, joints: [knee, hip]}");
        let joints = array.resolve_joints(&["hip", "knee"]).unwrap();
        assert_eq!(array.command_order(&joints).unwrap(), [1, 0]);
        let order = |yaml: &str| driver(yaml).command_order(&joints).unwrap_err().to_string();
        assert!(order("command: {form: array}").contains("command.joints"));
        assert!(order("command: {joints: [hip]}").contains("`knee`"));
        let feet = |yaml: &str| driver(yaml).check_contacts(&["toe"], &["hip"]).unwrap_err().to_string();
        assert!(feet("contacts: {bool: {feet: {}}}").contains("does not name the foot `toe`"));
        assert!(feet("contacts: {wrench: {feet: {toe: a}, threshold: 0}}").contains("threshold"));
        assert!(feet("contacts: {effort: {feet: {toe: {joint: hop, threshold: 1}}}}").contains("did you mean `hip`?"));
    }
}
