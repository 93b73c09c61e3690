//! What the supervisor knows of the sensors in one control step.

use super::{Fault, FaultKind, Subject};
use crate::robot::RobotState;

/// The sensors, in the order of ages.
pub const SENSORS: [&str; 3] = ["joints", "imu", "contacts"];

/// Which sensors, as [`SENSORS`], a policy cannot do without: joints and IMU in any case, contacts if it `needs_contacts`.
pub fn needed_sensors(needs_contacts: bool) -> [bool; SENSORS.len()] {
    [true, true, needs_contacts]
}

/// Messages found wrong on arrival since the start, none of which reached the policy (except after a clock jump).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessageFaults {
    /// Names, lengths or fields that do not fit.
    pub refused: u64,
    /// Numbers that are NaN or infinite.
    pub not_finite: u64,
    /// Older than one that came before.
    pub reordered: u64,
    /// Clock jumps.
    pub clock_jumps: u64,
}

/// The sensors as of one control step.
#[derive(Clone, Copy, Debug)]
pub struct Sensors<'a> {
    /// Latest values.
    pub state: &'a RobotState,
    /// Age of each sensor's values on the receiver's steady clock \[ns\], as [`SENSORS`]; `None` before its first.
    pub ages: [Option<i64>; SENSORS.len()],
    /// What was wrong with messages.
    pub faults: MessageFaults,
}

impl Sensors<'_> {
    /// The sensor of those that are `needed`, as [`SENSORS`], that has been silent for longer than `timeout` \[ns\].
    pub(super) fn stale(&self, needed: [bool; SENSORS.len()], timeout: i64) -> Option<Fault> {
        let silent = |(age, needed): (&Option<i64>, bool)| needed && age.is_none_or(|age| age > timeout);
        let index = self.ages.iter().zip(needed).position(silent)?;
        let value = self.ages[index].map_or(f32::INFINITY, |age| age as f32 * 1e-9);
        Some(Fault::about(FaultKind::Stale, Subject::Sensor(index), value, timeout as f32 * 1e-9))
    }

    /// Whether the joints' values are no older than `timeout` \[ns\].
    pub(super) fn has_joints(&self, timeout: i64) -> bool {
        self.ages[0].is_some_and(|age| age <= timeout)
    }

    /// A value that is not finite.
    pub(super) fn not_finite(&self) -> Option<Fault> {
        let kind = FaultKind::NotFinite;
        let wrong = |value: &&f32| !value.is_finite();
        let joint = |values: &[f32]| values.iter().position(|value| wrong(&value));
        let subject = if let Some(index) = joint(&self.state.joint_position).or_else(|| joint(&self.state.joint_velocity)) {
            Subject::Joint(index)
        } else if !self.state.is_finite() {
            let feet = &self.state.foot_force;
            Subject::Sensor(if feet.iter().any(|value| wrong(&value)) { 2 } else { 1 })
        } else {
            return None;
        };
        Some(Fault::about(kind, subject, f32::NAN, f32::MAX))
    }

    /// A base that leans more than `limit` \[rad\]; an orientation that is no rotation counts as one.
    pub(super) fn tilt(&self, limit: f32) -> Option<Fault> {
        let up = self.state.orientation.up_projection();
        // Written so that NaN leans.
        if up >= libm::cosf(limit.min(core::f32::consts::PI)) {
            return None;
        }
        Some(Fault::whole(FaultKind::Tilt, libm::acosf(up.clamp(-1.0, 1.0)), limit))
    }
}
