//! Messages to values and back. What arrives is checked here, before the core sees it.

use nalgebra::{Isometry3, UnitQuaternion};
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
/// Farthest that a robot may start from the origin along x and y \[m\]: there single precision still tells millimetres apart.
const FARTHEST: f64 = 1000.0;

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
    /// A place that is too far away.
    #[error("`{field}` is {value} m; it must be from -{FARTHEST} to {FARTHEST} m")]
    Far {
        /// Which coordinate.
        field: &'static str,
        /// What it holds \[m\].
        value: f64,
    },
    /// The stamp is no time.
    #[error("the stamp {sec} s {nanosec} ns is no time")]
    Stamp {
        /// Seconds.
        sec: i32,
        /// Nanoseconds.
        nanosec: u32,
    },
    /// It has no stamp, where stamps tell which messages belong together.
    #[error("the stamp is 0, which is none: let the driver stamp its messages, or set trigger to `timer`")]
    Unstamped,
    /// It came after a newer one.
    #[error(transparent)]
    Order(StampFault),
    /// A sensor does not measure what the policy needs.
    #[error("{0}")]
    NotMeasured(&'static str),
    /// It is in another frame than the IMU's messages before.
    #[error(
        "the message is in the frame `{given}`, and those before were in `{taken}`: let one IMU alone publish here, or configure the node anew if another one has taken its place"
    )]
    Frame {
        /// Its frame.
        given: String,
        /// That of the first message that was taken and named one.
        taken: String,
    },
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
/// [`MessageError`] for a joint that the robot does not have, for numbers that are none, and for a place more than 1 km away along an axis.
pub fn start_pose(request: &Reset::Request, joints: &mut NameMap) -> Result<StartPose, MessageError> {
    length("positions", request.positions.len(), request.joints.len())?;
    finite("positions", &request.positions, &request.joints)?;
    finite("pose", &[request.x, request.y, request.yaw], &["x", "y", "yaw"].map(str::to_owned))?;
    for (field, value) in [("x", request.x), ("y", request.y)] {
        if value.abs() > FARTHEST {
            return Err(MessageError::Far { field, value });
        }
    }
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

/// IMU values in `frame` (REP-145), as is the orientation in `state` ([`ImuMounting::imu`]); covariances of zero say that they are not known.
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

/// How an IMU sits on the base: its messages speak of its own axes (REP-145), [`RobotState::orientation`] of the base's.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ImuMounting {
    /// Base from IMU; `None` where it is not turned, so that no bit changes.
    turn: Option<UnitQuaternion<f64>>,
}

impl ImuMounting {
    /// Of an IMU at `pose` in the base's frame, as [`crate::robot::RobotModel::imu`].
    pub fn new(pose: &Isometry3<f32>) -> Self {
        let turn = UnitQuaternion::new_normalize(pose.rotation.into_inner().cast());
        Self { turn: (turn != UnitQuaternion::identity()).then_some(turn) }
    }

    /// The base's orientation from the IMU's.
    pub fn base(self, imu: Orientation) -> Orientation {
        self.turn.map_or(imu, |turn| turned(imu, &turn.inverse()))
    }

    /// The IMU's orientation from the base's.
    pub fn imu(self, base: Orientation) -> Orientation {
        self.turn.map_or(base, |turn| turned(base, &turn))
    }

    /// The vector `v` of the IMU in the base's axes.
    pub fn vector(self, v: [f64; 3]) -> [f64; 3] {
        self.turn.map_or(v, |turn| turn.transform_vector(&v.into()).into())
    }
}

/// `orientation`, then turned by `turn` in its own axes.
fn turned(orientation: Orientation, turn: &UnitQuaternion<f64>) -> Orientation {
    let Orientation { x, y, z, w } = orientation;
    let q = nalgebra::Quaternion::new(w, x, y, z).cast::<f64>() * turn.into_inner();
    Orientation { x: q.i as f32, y: q.j as f32, z: q.k as f32, w: q.w as f32 }
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
    fn a_mounting_turns_the_base_into_the_imu_and_back() {
        // On its back, looking left.
        let rotation = UnitQuaternion::from_euler_angles(std::f32::consts::PI, 0.0, std::f32::consts::FRAC_PI_2);
        let mounting = ImuMounting::new(&Isometry3::from_parts([0.1, 0.0, 0.0].into(), rotation));
        let near = |a: [f32; 3], b: [f32; 3]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5);
        let q = UnitQuaternion::from_euler_angles(0.3f32, -0.2, 1.0);
        let base = Orientation { x: q.i, y: q.j, z: q.k, w: q.w };
        let imu = mounting.imu(base);
        assert!(near(mounting.base(imu).roll_pitch_yaw(), [0.3, -0.2, 1.0]), "{imu:?}");
        // A direction of the world is the same, whichever way one comes to the base.
        let through = mounting.vector(imu.inverse_rotate([1.0, 2.0, 3.0]).map(f64::from)).map(|value| value as f32);
        assert!(near(through, base.inverse_rotate([1.0, 2.0, 3.0])), "{through:?}");
    }

    #[test]
    fn an_imu_that_is_not_turned_changes_no_bit() {
        let mounting = ImuMounting::new(&Isometry3::translation(0.1, 0.0, 0.02));
        assert_eq!(mounting, ImuMounting::default());
        let q = Orientation { x: -0.0, y: 0.1, z: -0.0, w: 0.994_987_4 };
        for turned in [mounting.base(q), mounting.imu(q)] {
            let bits = |q: Orientation| [q.x, q.y, q.z, q.w].map(f32::to_bits);
            assert_eq!(bits(turned), bits(q));
        }
        assert_eq!(mounting.vector([-0.0, 1.0, 2.0]).map(f64::to_bits), [-0.0f64, 1.0, 2.0].map(f64::to_bits));
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
    fn a_start_beyond_a_kilometre_is_refused_with_the_range() {
        let mut map = NameMap::new("joint", ["hip", "knee"]);
        let mut at = |x: f64, y: f64| start_pose(&Reset::Request { x, y, ..Reset::Request::default() }, &mut map);
        for (x, y, said) in [(1e30, 0.0, "`x` is 1"), (0.0, -1001.0, "`y` is -1001 m")] {
            let error = at(x, y).unwrap_err();
            assert!(matches!(error, MessageError::Far { .. }) && !error.is_not_finite(), "{error}");
            assert!(error.to_string().contains(said) && error.to_string().contains("from -1000 to 1000 m"), "{error}");
        }
        assert_eq!(at(-1000.0, 1000.0).unwrap().position, [-1000.0, 1000.0]);
    }
}
