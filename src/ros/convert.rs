//! Messages to values and back. What arrives is checked here, before the core sees it.

use r2r::builtin_interfaces::msg::Time;
use r2r::geometry_msgs::msg::{Point, Quaternion, Vector3};
use r2r::hebbian_locomotion::msg::FootContacts;
use r2r::nav_msgs::msg::Odometry;
use r2r::sensor_msgs::msg::{Imu, JointState};
use r2r::std_msgs::msg::Header;

use crate::robot::{FrameAssembler, NameError, NameMap, Orientation, RobotState, Stamp, UnknownNames};
use crate::simulation::BasePose;

const NANOSECONDS: i64 = 1_000_000_000;
/// Length of an accepted quaternion, off 1 by at most this.
const QUATERNION_TOLERANCE: f64 = 1e-2;

/// Why a message was refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// Its names do not fit the robot.
    #[error(transparent)]
    Names(#[from] NameError),
    /// Arrays that belong together have different lengths.
    #[error("`{field}` has {given} entries for {expected} names")]
    Length {
        /// Which array.
        field: &'static str,
        /// Its length.
        given: usize,
        /// Number of names.
        expected: usize,
    },
    /// A number is NaN, infinite or out of range.
    #[error("`{field}` holds {value}{}", of.as_ref().map(|of| format!(" for `{of}`")).unwrap_or_default())]
    Number {
        /// Which field.
        field: &'static str,
        /// What it holds.
        value: f64,
        /// The joint or foot that it belongs to.
        of: Option<String>,
    },
    /// The stamp is no time.
    #[error("the stamp {sec} s {nanosec} ns is no time")]
    Stamp {
        /// Seconds.
        sec: i32,
        /// Nanoseconds.
        nanosec: u32,
    },
    /// A sensor does not measure what the policy needs.
    #[error("{0}")]
    NotMeasured(&'static str),
}

/// A message's time.
pub fn stamp(time: &Time) -> Result<Stamp, MessageError> {
    if time.sec < 0 || i64::from(time.nanosec) >= NANOSECONDS {
        return Err(MessageError::Stamp { sec: time.sec, nanosec: time.nanosec });
    }
    Ok(i64::from(time.sec) * NANOSECONDS + i64::from(time.nanosec))
}

/// The time of a message that is to be sent.
pub fn time(stamp: Stamp) -> Time {
    Time { sec: (stamp / NANOSECONDS) as i32, nanosec: (stamp % NANOSECONDS) as u32 }
}

fn header(stamp: Stamp, frame: &str) -> Header {
    Header { stamp: time(stamp), frame_id: frame.to_owned() }
}

fn finite<'a>(field: &'static str, values: impl IntoIterator<Item = &'a f64>, names: &[String]) -> Result<(), MessageError> {
    // Beyond f32 counts as infinite: the core computes in f32.
    match values.into_iter().enumerate().find(|(_, value)| !(**value as f32).is_finite()) {
        Some((index, &value)) => Err(MessageError::Number { field, value, of: names.get(index).cloned() }),
        None => Ok(()),
    }
}

fn length(field: &'static str, given: usize, expected: usize) -> Result<(), MessageError> {
    if given == expected { Ok(()) } else { Err(MessageError::Length { field, given, expected }) }
}

/// Turns sensor messages into frames of one robot.
#[derive(Clone, Debug)]
pub struct SensorReader {
    joints: NameMap,
    feet: NameMap,
    needs_velocity: bool,
    assembler: FrameAssembler,
}

impl SensorReader {
    /// For a robot with these joints and feet; `needs_velocity` refuses joint states without speeds.
    pub fn new<'a>(
        joints: impl IntoIterator<Item = &'a str>,
        feet: impl IntoIterator<Item = &'a str>,
        needs_velocity: bool,
    ) -> Self {
        let (joints, feet) = (NameMap::new("joint", joints), NameMap::new("foot", feet));
        let assembler = FrameAssembler::new(joints.len(), feet.len());
        Self { joints, feet, needs_velocity, assembler }
    }

    /// The frames so far.
    pub fn assembler(&self) -> &FrameAssembler {
        &self.assembler
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
        let indices = self.joints.indices(&message.name, UnknownNames::Ignored, true)?;
        self.assembler.joints(stamp, now, |position, velocity| {
            for (entry, index) in indices.enumerate().filter_map(|(entry, index)| Some((entry, index?))) {
                position[index] = message.position[entry] as f32;
                velocity[index] = message.velocity.get(entry).map_or(0.0, |&value| value as f32);
            }
        });
        Ok(())
    }

    /// Takes an IMU message with orientation.
    ///
    /// # Errors
    /// [`MessageError`]; nothing is taken then.
    pub fn imu(&mut self, message: &Imu, now: i64) -> Result<(), MessageError> {
        let stamp = stamp(&message.header.stamp)?;
        // REP-145: -1 says that the sensor has no orientation.
        if message.orientation_covariance.first() == Some(&-1.0) {
            return Err(MessageError::NotMeasured(
                "the policy needs an orientation, and the IMU has none (orientation_covariance[0] is -1)",
            ));
        }
        let Quaternion { x, y, z, w } = message.orientation;
        finite("orientation", &[x, y, z, w], &[])?;
        let norm = (x * x + y * y + z * z + w * w).sqrt();
        if (norm - 1.0).abs() > QUATERNION_TOLERANCE {
            return Err(MessageError::Number {
                field: "orientation",
                value: norm,
                of: Some("length of the quaternion".to_owned()),
            });
        }
        let (rate, acceleration) = (&message.angular_velocity, &message.linear_acceleration);
        let (rate, acceleration) = ([rate.x, rate.y, rate.z], [acceleration.x, acceleration.y, acceleration.z]);
        finite("angular_velocity", &rate, &[])?;
        finite("linear_acceleration", &acceleration, &[])?;
        let orientation = Orientation { x: x as f32, y: y as f32, z: z as f32, w: w as f32 };
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
        let indices = self.feet.indices(&message.names, UnknownNames::Refused, true)?;
        self.assembler.contacts(stamp, now, |contact, force| {
            for (entry, index) in indices.enumerate().filter_map(|(entry, index)| Some((entry, index?))) {
                contact[index] = message.in_contact[entry];
                force[index] = message.force.get(entry).copied().unwrap_or(0.0);
            }
        });
        Ok(())
    }
}

/// Writes a command's positions into `targets`; joints that it does not name keep theirs.
///
/// # Errors
/// [`MessageError`]; `targets` is then unchanged.
pub fn read_command(message: &JointState, joints: &mut NameMap, targets: &mut [f32]) -> Result<Stamp, MessageError> {
    let stamp = stamp(&message.header.stamp)?;
    length("position", message.position.len(), message.name.len())?;
    finite("position", &message.position, &message.name)?;
    let indices = joints.indices(&message.name, UnknownNames::Refused, false)?;
    for (index, &position) in indices.zip(&message.position) {
        if let Some(target) = index.and_then(|index| targets.get_mut(index)) {
            *target = position as f32;
        }
    }
    Ok(stamp)
}

/// Joint targets as a command.
pub fn command(stamp: Stamp, names: &[String], targets: &[f32]) -> JointState {
    JointState {
        header: header(stamp, ""),
        name: names.to_vec(),
        position: targets.iter().map(|&target| f64::from(target)).collect(),
        velocity: Vec::new(),
        effort: Vec::new(),
    }
}

/// Joint positions and speeds.
pub fn joint_state(stamp: Stamp, names: &[String], state: &RobotState) -> JointState {
    JointState {
        header: header(stamp, ""),
        name: names.to_vec(),
        position: state.joint_position.iter().map(|&value| f64::from(value)).collect(),
        velocity: state.joint_velocity.iter().map(|&value| f64::from(value)).collect(),
        effort: Vec::new(),
    }
}

/// IMU values in `frame` (REP-145); covariances of zero say that they are not known.
pub fn imu(stamp: Stamp, frame: &str, state: &RobotState) -> Imu {
    let unknown = || vec![0.0; 9];
    Imu {
        header: header(stamp, frame),
        orientation: quaternion(&state.orientation),
        orientation_covariance: unknown(),
        angular_velocity: vector(state.angular_velocity),
        angular_velocity_covariance: unknown(),
        linear_acceleration: vector(state.linear_acceleration),
        linear_acceleration_covariance: unknown(),
    }
}

/// Contacts of all feet.
pub fn foot_contacts(stamp: Stamp, names: &[String], state: &RobotState) -> FootContacts {
    FootContacts {
        header: header(stamp, ""),
        names: names.to_vec(),
        in_contact: state.foot_contact.clone(),
        force: state.foot_force.clone(),
    }
}

/// Pose of the base in `odom` and its velocity in its own axes (as nav_msgs defines the twist).
pub fn odometry(stamp: Stamp, base_link: &str, base: &BasePose) -> Odometry {
    let into_base = |v: [f32; 3]| base.orientation.inverse_rotate(v);
    let mut message = Odometry { header: header(stamp, "odom"), child_frame_id: base_link.to_owned(), ..Odometry::default() };
    let [x, y, z] = base.position.map(f64::from);
    message.pose.pose.position = Point { x, y, z };
    message.pose.pose.orientation = quaternion(&base.orientation);
    message.pose.covariance = vec![0.0; 36];
    message.twist.twist.linear = vector(into_base(base.linear_velocity));
    message.twist.twist.angular = vector(into_base(base.angular_velocity));
    message.twist.covariance = vec![0.0; 36];
    message
}

fn quaternion(orientation: &Orientation) -> Quaternion {
    let Orientation { x, y, z, w } = *orientation;
    Quaternion { x: f64::from(x), y: f64::from(y), z: f64::from(z), w: f64::from(w) }
}

fn vector(values: [f32; 3]) -> Vector3 {
    let [x, y, z] = values.map(f64::from);
    Vector3 { x, y, z }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn reader() -> SensorReader {
        SensorReader::new(["hip", "knee"], ["toe"], false)
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
    fn a_command_may_name_some_joints_but_no_unknown_one() {
        let mut map = NameMap::new("joint", ["hip", "knee"]);
        let mut targets = [0.1, 0.2];
        read_command(&joints(&["knee"], &[0.5]), &mut map, &mut targets).unwrap();
        assert_eq!(targets, [0.1, 0.5]);
        let error = read_command(&joints(&["hip", "kneee"], &[0.9, 0.9]), &mut map, &mut targets).unwrap_err();
        assert_eq!(error.to_string(), "unknown joint `kneee`; did you mean `knee`?");
        assert_eq!(targets, [0.1, 0.5]);
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

    proptest! {
        #[test]
        fn stamps_and_states_survive_the_way_through_messages(stamp_ns in 0i64..4_000_000_000_000_000_000 % (i32::MAX as i64 * NANOSECONDS), q in proptest::array::uniform2(-10.0f32..10.0)) {
            prop_assert_eq!(stamp(&time(stamp_ns)).unwrap(), stamp_ns);
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
