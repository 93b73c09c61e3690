//! An orientation from an IMU that measures none.

use ahrs::{Ahrs, Madgwick};
use ahrs_nalgebra::{UnitQuaternion, Vector3};

use super::{Orientation, Stamp};

/// Longest gap between two messages that is bridged \[s\].
const LONGEST_GAP: f64 = 0.5;
/// Smallest acceleration from which the vertical is told at the start \[m/s²\].
const LEAST_GRAVITY: f64 = 1.0;

/// Madgwick's filter of angular velocity and acceleration, with the orientation at the start taken from gravity.
///
/// Roll and pitch follow gravity; yaw starts at 0 and drifts.
#[derive(Clone, Debug)]
pub struct OrientationFilter {
    gain: f64,
    /// Time and orientation of the last message.
    last: Option<(Stamp, UnitQuaternion<f64>)>,
}

impl OrientationFilter {
    /// A filter of gain `gain` \[rad/s\].
    pub fn new(gain: f32) -> Self {
        Self { gain: f64::from(gain), last: None }
    }

    /// Takes the values of one message: angular velocity \[rad/s\] and specific force \[m/s²\] in the IMU frame. `None` while there is no
    /// orientation, because the sensor feels no gravity.
    pub fn update(&mut self, stamp: Stamp, rate: [f64; 3], acceleration: [f64; 3]) -> Option<Orientation> {
        let (rate, gravity) = (Vector3::from(rate), Vector3::from(acceleration));
        let passed = |last: Stamp| Some((stamp - last) as f64 * 1e-9).filter(|passed| (0.0..LONGEST_GAP).contains(passed));
        let q = match self.last.and_then(|(last, orientation)| Some((passed(last)?, orientation))) {
            Some((passed, orientation)) => {
                let mut filter = Madgwick::new_with_quat(passed, self.gain, orientation);
                match filter.update_imu(&rate, &gravity) {
                    Ok(orientation) => *orientation,
                    // In free fall the acceleration says nothing; the rotation goes on.
                    Err(_) => *filter.update_gyro(&rate),
                }
            }
            None if gravity.norm() < LEAST_GRAVITY => return None,
            None => UnitQuaternion::rotation_between(&gravity, &Vector3::z())?,
        };
        if ![q.i, q.j, q.k, q.w].iter().all(|part| part.is_finite()) {
            return None;
        }
        self.last = Some((stamp, q));
        Some(Orientation { x: q.i as f32, y: q.j as f32, z: q.k as f32, w: q.w as f32 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nalgebra::{UnitQuaternion as Rotation, Vector3 as Vector};

    #[test]
    fn roll_and_pitch_follow_a_rocking_robot() {
        let mut filter = OrientationFilter::new(0.1);
        let (period, mut worst) = (0.01, 0.0f32);
        for step in 0..2_000 {
            let time = step as f64 * period;
            let (roll, roll_rate) = (0.3 + 0.2 * (2.0 * time).sin(), 0.4 * (2.0 * time).cos());
            let rotation = Rotation::from_euler_angles(roll, 0.1, 0.0);
            let gravity = rotation.inverse_transform_vector(&Vector::new(0.0, 0.0, 9.81));
            // Roll is about the base's own x axis.
            let stamp = (time * 1e9) as i64;
            let orientation = filter.update(stamp, [roll_rate, 0.0, 0.0], gravity.into()).unwrap();
            let [seen_roll, seen_pitch, _] = orientation.roll_pitch_yaw();
            worst = worst.max((seen_roll - roll as f32).abs()).max((seen_pitch - 0.1).abs());
        }
        assert!(worst < 0.02, "off by {worst} rad");
    }

    #[test]
    fn a_sensor_without_gravity_gives_no_orientation() {
        assert_eq!(OrientationFilter::new(0.1).update(0, [0.0; 3], [0.0; 3]), None);
    }
}
