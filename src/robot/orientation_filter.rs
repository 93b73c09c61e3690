//! An orientation from an IMU that measures none.

use ahrs::{Ahrs, Madgwick};
use ahrs_nalgebra::{UnitQuaternion, Vector3};

use super::{Orientation, Stamp};

/// Longest gap between two messages that is bridged \[s\]; after a longer one roll and pitch are taken from gravity anew.
const LONGEST_GAP: f64 = 0.5;
/// Smallest acceleration from which the vertical is told at the start \[m/s²\].
const LEAST_GRAVITY: f64 = 1.0;

/// Madgwick's filter of angular velocity and acceleration, with the orientation at the start taken from gravity.
///
/// Roll and pitch follow gravity; yaw starts at 0 and drifts. Time is that of the stamps; where they stand still, that of the arrivals.
#[derive(Clone, Debug)]
pub struct OrientationFilter {
    gain: f64,
    last: Option<Last>,
    /// Whether stamps ever went on.
    has_clock: bool,
}

/// The last message and what it led to.
#[derive(Clone, Copy, Debug)]
struct Last {
    stamp: Stamp,
    /// On the receiver's steady clock \[ns\].
    arrival: i64,
    /// Time since the stamps went on that arrivals have told already \[ns\].
    ahead: i64,
    rate: Vector3<f64>,
    gravity: Vector3<f64>,
    orientation: UnitQuaternion<f64>,
}

/// From one message to the next.
#[derive(Clone, Copy)]
struct Step {
    /// \[s\]
    passed: f64,
    rate: Vector3<f64>,
    ahead: i64,
}

impl OrientationFilter {
    /// A filter of gain `gain` \[rad/s\].
    pub fn new(gain: f32) -> Self {
        Self { gain: f64::from(gain), last: None, has_clock: false }
    }

    /// Takes the values of one message that arrived at `now` \[ns, steady clock\]: angular velocity \[rad/s\] and specific force \[m/s²\] in the
    /// axes whose orientation is told. `None` while there is none, because the sensor feels no gravity.
    pub fn update(&mut self, stamp: Stamp, now: i64, rate: [f64; 3], acceleration: [f64; 3]) -> Option<Orientation> {
        let (rate, gravity) = (Vector3::from(rate), Vector3::from(acceleration));
        let next = Last { stamp, arrival: now, ahead: 0, rate, gravity, orientation: UnitQuaternion::identity() };
        let last = self.last.map(|last| (last.orientation, self.step(&last, &next)));
        let q = match last.filter(|(_, step)| (0.0..LONGEST_GAP).contains(&step.passed)) {
            Some((orientation, Step { passed, rate, .. })) => {
                let mut filter = Madgwick::new_with_quat(passed, self.gain, orientation);
                match filter.update_imu(&rate, &gravity) {
                    Ok(orientation) => *orientation,
                    // In free fall the acceleration says nothing; the rotation goes on.
                    Err(_) => *filter.update_gyro(&rate),
                }
            }
            None if gravity.norm() < LEAST_GRAVITY => return None,
            None => {
                // Exactly upside down there is no shortest turn; any of half a turn is one.
                let upright = UnitQuaternion::rotation_between(&gravity, &Vector3::z())
                    .unwrap_or_else(|| UnitQuaternion::from_axis_angle(&Vector3::x_axis(), std::f64::consts::PI));
                // After a silence gravity says nothing of yaw: it is taken for what it was.
                let yaw = self.last.map_or(0.0, |last| last.orientation.euler_angles().2 - upright.euler_angles().2);
                UnitQuaternion::from_axis_angle(&Vector3::z_axis(), yaw) * upright
            }
        };
        if ![q.i, q.j, q.k, q.w].iter().all(|part| part.is_finite()) {
            return None;
        }
        self.last = Some(Last { ahead: last.map_or(0, |(_, step)| step.ahead), orientation: q, ..next });
        Some(Orientation { x: q.i as f32, y: q.j as f32, z: q.k as f32, w: q.w as f32 })
    }

    fn step(&mut self, last: &Last, next: &Last) -> Step {
        let step = |nanoseconds: i64, ahead| Step { passed: nanoseconds as f64 * 1e-9, rate: next.rate, ahead };
        let advance = next.stamp.saturating_sub(last.stamp);
        let waited = next.arrival.saturating_sub(last.arrival).max(0);
        if advance > 0 {
            self.has_clock = true;
            let told = advance.saturating_sub(last.ahead).max(0);
            // A gap in stamps alone is no silence: the clock was set.
            let is_long = |nanoseconds: i64| nanoseconds as f64 * 1e-9 >= LONGEST_GAP;
            return step(if is_long(told) && !is_long(waited) { waited } else { told }, 0);
        }
        if advance < 0 {
            // The clock was set.
            return step(waited, 0);
        }
        if self.has_clock && (next.rate, next.gravity) == (last.rate, last.gravity) {
            // A simulator whose time stands still repeats itself: nothing turns meanwhile.
            return Step { rate: Vector3::zeros(), ..step(waited, last.ahead) };
        }
        step(waited, last.ahead.saturating_add(waited))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nalgebra::{UnitQuaternion as Rotation, Vector3 as Vector};

    const MS: i64 = 1_000_000;

    /// How far off roll and pitch of a rocking robot are at most \[rad\], with messages whose stamps are what `stamp` makes of the arrival \[ns\].
    fn furthest_off(stamp: impl Fn(i64) -> Stamp) -> f32 {
        let mut filter = OrientationFilter::new(0.1);
        let (period, mut worst) = (0.01, 0.0f32);
        for step in 0..2_000 {
            let time = step as f64 * period;
            let (roll, roll_rate) = (0.3 + 0.2 * (2.0 * time).sin(), 0.4 * (2.0 * time).cos());
            let rotation = Rotation::from_euler_angles(roll, 0.1, 0.0);
            let gravity = rotation.inverse_transform_vector(&Vector::new(0.0, 0.0, 9.81));
            // Roll is about the base's own x axis.
            let now = (time * 1e9) as i64;
            let orientation = filter.update(stamp(now), now, [roll_rate, 0.0, 0.0], gravity.into()).unwrap();
            let [seen_roll, seen_pitch, _] = orientation.roll_pitch_yaw();
            worst = worst.max((seen_roll - roll as f32).abs()).max((seen_pitch - 0.1).abs());
        }
        worst
    }

    #[test]
    fn a_robot_that_begins_upside_down_is_known_to() {
        let orientation = OrientationFilter::new(0.1).update(0, 0, [0.0; 3], [0.0, 0.0, -9.81]).unwrap();
        assert!((orientation.roll_pitch_yaw()[0].abs() - std::f32::consts::PI).abs() < 1e-3, "{orientation:?}");
    }

    #[test]
    fn roll_and_pitch_follow_a_rocking_robot() {
        // The arrivals say nothing where the stamps do.
        let worst = furthest_off(|now| 7 * MS + now);
        assert!(worst < 0.02, "off by {worst} rad");
    }

    #[test]
    fn roll_and_pitch_follow_a_rocking_robot_whose_stamps_stand_still() {
        for constant in [0, 1_700_000_000_000 * MS] {
            let worst = furthest_off(|_| constant);
            assert!(worst < 0.02, "off by {worst} rad with the stamp {constant}");
        }
        // The clock stops on the way.
        let worst = furthest_off(|now| now.min(5_000 * MS));
        assert!(worst < 0.02, "off by {worst} rad");
    }

    /// Yaw after messages of so many ms of stamp and arrival and the rate about the vertical \[rad/s\].
    fn yaw(messages: impl IntoIterator<Item = (i64, i64, f64)>) -> f32 {
        let mut filter = OrientationFilter::new(0.1);
        let update = |(stamp, now, rate)| filter.update(stamp * MS, now * MS, [0.0, 0.0, rate], [0.0, 0.0, 9.81]);
        messages.into_iter().map(update).last().unwrap().unwrap().roll_pitch_yaw()[2]
    }

    #[test]
    fn no_time_is_counted_by_stamps_and_by_arrivals() {
        // Two messages a stamp, the second a little different.
        let coarse = |i: i64| (i / 2 * 10, i * 5, if i % 2 == 0 { 1.0 } else { 1.001 });
        let seen = yaw((0..=200).map(coarse));
        assert!((seen - 1.0).abs() < 0.01, "{seen}");
        // Bursts of the same message.
        let seen = yaw((0..=500).map(|i| (i / 10 * 20, i / 10 * 20 + i % 10, 1.0)));
        assert!((seen - 1.0).abs() < 0.01, "{seen}");
        // A simulator that is paused for 10 s after half a second, and repeats its message meanwhile.
        let until = (0..=50).map(|i| (i * 10, i * 10, 1.0));
        let paused = (1..=100).map(|i| (500, 500 + i * 100, 1.0));
        let after = (1..=50).map(|i| (500 + i * 10, 10_500 + i * 10, 1.0));
        let seen = yaw(until.chain(paused).chain(after));
        assert!((seen - 1.0).abs() < 0.01, "{seen}");
    }

    #[test]
    fn a_clock_that_is_set_back_loses_no_yaw() {
        let seen = yaw((0..=100).map(|i| (if i <= 50 { 9_000 + i * 10 } else { i * 10 }, i * 10, 1.0)));
        assert!((seen - 1.0).abs() < 0.01, "{seen}");
    }

    #[test]
    fn a_clock_that_is_set_forward_and_a_silence_lose_no_yaw() {
        let set = yaw((0..=100).map(|i| (if i <= 50 { i * 10 } else { 600 + i * 10 }, i * 10, 1.0)));
        assert!((set - 1.0).abs() < 0.01, "{set}");
        // A second of turning, and 0.7 s without a word.
        let silent =
            yaw((0..=100).map(|i| (i * 10, i * 10, 1.0)).chain((0..=100).map(|i| (1_700 + i * 10, 1_700 + i * 10, 0.0))));
        assert!((silent - 1.0).abs() < 0.01, "{silent}");
    }

    #[test]
    fn a_sensor_without_gravity_gives_no_orientation() {
        assert_eq!(OrientationFilter::new(0.1).update(0, 0, [0.0; 3], [0.0; 3]), None);
    }
}
