//! Messages to values and back. What arrives is checked here, before the core sees it.

use r2r::builtin_interfaces::msg::Time;
use r2r::geometry_msgs::msg::{Point, Pose, Quaternion, Vector3};
use r2r::hebbian_locomotion::msg::FootContacts;
use r2r::hebbian_locomotion::srv::{Push, Reset};
use r2r::nav_msgs::msg::Odometry;
use r2r::sensor_msgs::msg::{Imu, JointState};
use r2r::std_msgs::msg::{ColorRGBA, Header};
use r2r::visualization_msgs::msg::{Marker, MarkerArray};

use crate::robot::{NameError, NameMap, Orientation, RobotState, Stamp, UnknownNames};
use crate::safety::StampFault;
use crate::simulation::{BasePose, Damage, GroundForm, GroundShape, StartPose};

const NANOSECONDS: i64 = 1_000_000_000;

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
    /// It came after a newer one.
    #[error(transparent)]
    Order(StampFault),
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

impl MessageError {
    /// Whether a number is NaN or infinite.
    pub fn is_not_finite(&self) -> bool {
        matches!(self, Self::Number { value, .. } if !(*value as f32).is_finite())
    }
}

pub(super) fn finite<'a>(
    field: &'static str,
    values: impl IntoIterator<Item = &'a f64>,
    names: &[String],
) -> Result<(), MessageError> {
    // Beyond f32 counts as infinite: the core computes in f32.
    match values.into_iter().enumerate().find(|(_, value)| !(**value as f32).is_finite()) {
        Some((index, &value)) => Err(MessageError::Number { field, value, of: names.get(index).cloned() }),
        None => Ok(()),
    }
}

pub(super) fn length(field: &'static str, given: usize, expected: usize) -> Result<(), MessageError> {
    if given == expected { Ok(()) } else { Err(MessageError::Length { field, given, expected }) }
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

/// The pose that a reset asks for.
///
/// # Errors
/// [`MessageError`] for a joint that the robot does not have, and for numbers that are none.
pub fn start_pose(request: &Reset::Request, joints: &mut NameMap) -> Result<StartPose, MessageError> {
    length("positions", request.positions.len(), request.joints.len())?;
    finite("positions", &request.positions, &request.joints)?;
    finite("pose", &[request.x, request.y, request.yaw], &["x", "y", "yaw"].map(str::to_owned))?;
    let indices = joints.indices(&request.joints, UnknownNames::Refused, false)?;
    let joints = indices.zip(&request.positions).filter_map(|(index, &position)| Some((index?, position as f32))).collect();
    Ok(StartPose { position: [request.x as f32, request.y as f32], yaw: request.yaw as f32, joints })
}

/// The push that a request asks for. Names and ranges are checked by the world.
///
/// # Errors
/// [`MessageError`] when `point` has neither no nor three entries.
pub fn push(request: &Push::Request) -> Result<Damage, MessageError> {
    let vector = |field, values: &[f64]| -> Result<[f32; 3], MessageError> {
        let values: Vec<f32> = values.iter().map(|&value| value as f32).collect();
        let given = values.len();
        values.try_into().map_err(|_| MessageError::Length { field, given, expected: 3 })
    };
    Ok(Damage::Push {
        force: vector("force", &request.force)?,
        duration: request.duration as f32,
        link: (!request.link.is_empty()).then(|| request.link.clone()),
        point: if request.point.is_empty() { None } else { Some(vector("point", &request.point)?) },
        from: 0.0,
    })
}

/// The ground as markers in the frame `odom`, which replace all earlier ones.
pub fn ground_markers(stamp: Stamp, shapes: &[GroundShape]) -> MarkerArray {
    let clear =
        Marker { header: header(stamp, "odom"), ns: "ground".to_owned(), action: Marker::DELETEALL as i32, ..Marker::default() };
    let markers = shapes.iter().enumerate().map(|(index, shape)| {
        let ([x, y, z], [qx, qy, qz, qw]) = (shape.position.map(f64::from), shape.orientation.map(f64::from));
        let pose = Pose { position: Point { x, y, z }, orientation: Quaternion { x: qx, y: qy, z: qz, w: qw } };
        let (kind, scale, points) = match &shape.form {
            GroundForm::Box { size } => (Marker::CUBE as i32, *size, Vec::new()),
            GroundForm::Triangles(corners) => {
                let point = |corner: &[f32; 3]| Point { x: corner[0].into(), y: corner[1].into(), z: corner[2].into() };
                (Marker::TRIANGLE_LIST as i32, [1.0; 3], corners.iter().map(point).collect())
            }
        };
        Marker {
            header: header(stamp, "odom"),
            ns: "ground".to_owned(),
            id: index as i32,
            type_: kind,
            action: Marker::ADD as i32,
            pose,
            scale: vector(scale),
            color: ColorRGBA { r: 0.55, g: 0.50, b: 0.42, a: 1.0 },
            points,
            ..Marker::default()
        }
    });
    MarkerArray { markers: std::iter::once(clear).chain(markers).collect() }
}

/// Joint targets as a command.
pub fn command(stamp: Stamp, names: &[String], targets: Vec<f64>) -> JointState {
    JointState { header: header(stamp, ""), name: names.to_vec(), position: targets, ..JointState::default() }
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

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn joints(given: &[&str], position: &[f64]) -> JointState {
        JointState { name: names(given), position: position.to_vec(), ..JointState::default() }
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
}
