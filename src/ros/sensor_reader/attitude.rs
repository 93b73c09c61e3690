//! The base's orientation, as the IMU on it measures it or lets it be estimated.

use r2r::geometry_msgs::msg::Quaternion;
use r2r::sensor_msgs::msg::Imu;

use crate::robot::{DriverDescription, DriverError, Heading, Orientation, OrientationFilter, OrientationSource, Stamp};
use crate::ros::convert::{ImuMounting, MessageError, finite};

/// Length of an accepted quaternion, off 1 by at most this.
const QUATERNION_TOLERANCE: f64 = 1e-2;

/// Tells the base's orientation from the messages of an IMU.
#[derive(Clone, Debug)]
pub struct Attitude {
    /// Where the IMU's own orientation is not used.
    filter: Option<OrientationFilter>,
    mounting: ImuMounting,
    heading: Heading,
    /// Yaw that counts as 0, of an orientation whose own does not, once it is known \[rad\].
    forward: Option<f32>,
}

impl Attitude {
    /// As `driver` wants it, from an IMU that sits on the base as `mounting` says.
    ///
    /// # Errors
    /// [`DriverError`] for a gain that is none.
    pub fn new(driver: &DriverDescription, mounting: ImuMounting) -> Result<Self, DriverError> {
        driver.check_imu()?;
        let filter = match driver.imu.orientation {
            OrientationSource::Measured => None,
            OrientationSource::Estimated { gain } => Some(OrientationFilter::new(gain)),
        };
        Ok(Self { filter, mounting, heading: driver.imu.heading, forward: None })
    }

    /// Angular velocity \[rad/s\] and acceleration \[m/s²\] in `message`; zeros for what it says that it does not measure, where that is not needed.
    ///
    /// # Errors
    /// [`MessageError`] for a number that is none, or when the orientation is to be estimated from what is not measured.
    pub fn motion(&self, message: &Imu) -> Result<[[f64; 3]; 2], MessageError> {
        let part = |field, values: &r2r::geometry_msgs::msg::Vector3, covariance: &[f64], lack| {
            let values = [values.x, values.y, values.z];
            match (is_measured(covariance), &self.filter) {
                (true, _) => finite(field, &values, &[]).map(|()| values),
                (false, None) => Ok([0.0; 3]),
                (false, Some(_)) => Err(MessageError::NotMeasured(lack)),
            }
        };
        Ok([
            part(
                "angular_velocity",
                &message.angular_velocity,
                &message.angular_velocity_covariance,
                "the orientation is to be estimated, and the IMU has no angular velocity (angular_velocity_covariance[0] is -1)",
            )?,
            part(
                "linear_acceleration",
                &message.linear_acceleration,
                &message.linear_acceleration_covariance,
                "the orientation is to be estimated, and the IMU has no acceleration (linear_acceleration_covariance[0] is -1)",
            )?,
        ])
    }

    /// What `message` says of the orientation; `None` where that is estimated.
    ///
    /// # Errors
    /// [`MessageError`] when it says nothing, or no rotation.
    pub fn measured(&self, message: &Imu) -> Result<Option<Orientation>, MessageError> {
        if self.filter.is_some() {
            return Ok(None);
        }
        Ok(Some(self.mounting.base(measured_orientation(message)?)))
    }

    /// What the filter makes of a message that arrived at `now` \[ns, steady clock\]; `None` where there is none, or it knows nothing yet.
    pub fn estimate(&mut self, stamp: Stamp, now: i64, rate: [f64; 3], acceleration: [f64; 3]) -> Option<Orientation> {
        // The filter begins with a yaw of 0: in the base's axes, so that it is the base's.
        let (rate, acceleration) = (self.mounting.vector(rate), self.mounting.vector(acceleration));
        self.filter.as_mut()?.update(stamp, now, rate, acceleration)
    }

    /// Where the robot faces next is where it begins to walk.
    pub fn start(&mut self) {
        self.forward = None;
    }

    /// `orientation` with yaw as the driver wants it to be counted.
    pub fn headed(&mut self, orientation: Orientation) -> Orientation {
        match self.heading {
            Heading::Absolute => orientation,
            Heading::Start => {
                let [_, _, yaw] = orientation.roll_pitch_yaw();
                orientation.turned(-*self.forward.get_or_insert(yaw))
            }
        }
    }
}

/// REP-145: -1 says that the sensor does not measure it.
fn is_measured(covariance: &[f64]) -> bool {
    covariance.first() != Some(&-1.0)
}

fn measured_orientation(message: &Imu) -> Result<Orientation, MessageError> {
    if !is_measured(&message.orientation_covariance) {
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
    use nalgebra::{Isometry3, Translation3, UnitQuaternion, Vector3};

    use super::super::tests::{joints, mounted, reader, with_driver};
    use crate::robot::{Orientation, RobotState};
    use crate::ros::convert::{ImuMounting, foot_contacts, imu};
    use crate::ros::sensor_reader::SensorReader;

    const ESTIMATED: &str = "imu: {orientation: {estimated: {gain: 0.1}}}";

    /// The orientation in the reader's frame, once it has heard of joints and feet.
    fn orientation(reader: &mut SensorReader) -> Orientation {
        reader.joint_state(&joints(&["hip", "knee"], &[0.0, 0.0]), 0).unwrap();
        reader.foot_contacts(&foot_contacts(0, &["toe".to_owned()], &RobotState::at_rest(2, 1)), 0).unwrap();
        reader.assembler().latest().unwrap().state.orientation
    }

    fn assert_near(seen: Orientation, expected: [f32; 3], tolerance: f32) {
        let seen = seen.roll_pitch_yaw();
        assert!(
            seen.iter().zip(expected).all(|(seen, expected)| (seen - expected).abs() < tolerance),
            "{seen:?}, not {expected:?}"
        );
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
    fn what_an_imu_does_not_measure_is_missed_only_where_it_is_needed() {
        let mut message = imu(5, "imu_link", &RobotState::at_rest(2, 1));
        message.angular_velocity_covariance[0] = -1.0;
        message.angular_velocity.x = f64::NAN;
        let mut measured = reader();
        measured.imu(&message, 0).unwrap();
        orientation(&mut measured);
        assert_eq!(measured.assembler().latest().unwrap().state.angular_velocity, [0.0; 3]);
        let refused = |message: &super::Imu| with_driver(ESTIMATED).imu(message, 0).unwrap_err().to_string();
        assert!(refused(&message).contains("no angular velocity"));
        (message.angular_velocity_covariance[0], message.linear_acceleration_covariance[0]) = (0.0, -1.0);
        message.angular_velocity.x = 0.0;
        assert!(refused(&message).contains("no acceleration"));
    }

    #[test]
    fn an_imu_without_orientation_serves_where_it_is_estimated() {
        let mut reader = with_driver(ESTIMATED);
        let mut message = imu(0, "", &RobotState::at_rest(2, 1));
        message.orientation_covariance[0] = -1.0;
        (message.linear_acceleration.x, message.linear_acceleration.z) = (0.0, 9.81);
        reader.imu(&message, 0).unwrap();
        let up = orientation(&mut reader).up_projection();
        assert!((up - 1.0).abs() < 1e-6, "{up}");
    }

    #[test]
    fn an_imu_that_is_mounted_askew_tells_the_orientation_of_the_base() {
        let mounting = UnitQuaternion::from_euler_angles(std::f32::consts::PI, 0.3, 1.2);
        let mounting = ImuMounting::new(&Isometry3::from_parts(Translation3::new(0.1, 0.0, 0.02), mounting));
        let mut state = RobotState::at_rest(2, 1);
        let base = UnitQuaternion::from_euler_angles(0.2f32, -0.1, 0.5);
        let base = Orientation { x: base.i, y: base.j, z: base.k, w: base.w };
        state.orientation = mounting.imu(base);
        let mut measured = mounted("{}", mounting);
        measured.imu(&imu(0, "imu_link", &state), 0).unwrap();
        assert_near(orientation(&mut measured), [0.2, -0.1, 0.5], 1e-5);

        // What it feels of gravity, in its own axes. Nothing measures yaw, so that of the base begins at 0.
        let leaning = UnitQuaternion::from_euler_angles(0.2f32, 0.0, 0.0);
        let turned = mounting.imu(Orientation { x: leaning.i, y: leaning.j, z: leaning.k, w: leaning.w });
        state.linear_acceleration = turned.inverse_rotate([0.0, 0.0, 9.81]);
        let mut estimated = mounted(ESTIMATED, mounting);
        let message = imu(0, "imu_link", &state);
        estimated.imu(&message, 0).unwrap();
        assert_near(orientation(&mut estimated), [0.2, 0.0, 0.0], 1e-5);
        // All else stays as the IMU said it.
        let kept = estimated.assembler().latest().unwrap().state.linear_acceleration;
        assert_eq!(kept, state.linear_acceleration);
    }

    #[test]
    fn an_imu_that_turns_about_the_axes_of_its_mounting_turns_the_base_about_its_own() {
        let pose = UnitQuaternion::from_euler_angles(0.0f32, std::f32::consts::FRAC_PI_2, 0.0);
        let mounting = ImuMounting::new(&Isometry3::from_parts(Translation3::identity(), pose));
        // The base yaws at 0.5 rad/s on flat ground.
        let into_imu = |v: Vector3<f32>| pose.inverse_transform_vector(&v).into();
        let mut state = RobotState::at_rest(2, 1);
        state.angular_velocity = into_imu(Vector3::new(0.0, 0.0, 0.5));
        state.linear_acceleration = into_imu(Vector3::new(0.0, 0.0, 9.81));
        let mut reader = mounted(ESTIMATED, mounting);
        for step in 0..=100 {
            let now = step * 10_000_000;
            reader.imu(&imu(now, "imu_link", &state), now).unwrap();
        }
        assert_near(orientation(&mut reader), [0.0, 0.0, 0.5], 1e-2);
    }

    #[test]
    fn yaw_is_counted_from_where_the_robot_faces_when_it_starts() {
        let facing = |yaw: f32| {
            let base = UnitQuaternion::from_euler_angles(0.2f32, -0.1, yaw);
            let mut state = RobotState::at_rest(2, 1);
            state.orientation = Orientation { x: base.i, y: base.j, z: base.k, w: base.w };
            imu(0, "imu_link", &state)
        };
        let mut absolute = reader();
        absolute.imu(&facing(2.5), 0).unwrap();
        assert_near(orientation(&mut absolute), [0.2, -0.1, 2.5], 1e-5);

        let mut reader = with_driver("imu: {heading: start}");
        reader.imu(&facing(2.5), 0).unwrap();
        assert_near(orientation(&mut reader), [0.2, -0.1, 0.0], 1e-5);
        reader.imu(&facing(-3.1), 0).unwrap();
        assert_near(orientation(&mut reader), [0.2, -0.1, std::f32::consts::TAU - 3.1 - 2.5], 1e-5);
        reader.start();
        reader.imu(&facing(-3.1), 0).unwrap();
        assert_near(orientation(&mut reader), [0.2, -0.1, 0.0], 1e-5);
    }

    #[test]
    fn an_imu_whose_clock_stands_still_does_not_freeze_the_orientation() {
        let mut reader = with_driver("imu: {orientation: {estimated: {gain: 1.0}}}");
        let mut state = RobotState::at_rest(2, 1);
        reader.imu(&imu(0, "", &state), 0).unwrap();
        // It was laid on its side.
        state.linear_acceleration = [0.0, 9.81, 0.0];
        for step in 1..=300 {
            reader.imu(&imu(0, "", &state), step * 10_000_000).unwrap();
        }
        let up = orientation(&mut reader).up_projection();
        assert!(up.abs() < 0.1, "{up}");
    }
}
