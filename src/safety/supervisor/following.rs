//! How near commands keep to the measured joints, on the way to the nominal pose and while the robot is held, and what comes of a joint that does
//! not follow.

use super::{Supervisor, seconds};
use crate::safety::{Fallback, Fault, FaultKind, JointLimits, Phase, Sensors, Subject};

/// Distance from the nominal pose at which positioning is done \[rad\].
const POSITIONED: f32 = 1e-4;
/// What counts as progress on the way to the nominal pose \[rad\], as for [`JointLimits::share`]: more than the noise of an encoder, less than a
/// slow motor makes in a second.
const PROGRESS: f32 = 0.01;

/// What is left of a joint's way to the nominal pose.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    /// The least so far of what was left while the joint stayed behind \[rad\].
    left: f32,
    /// For how long it has stayed behind since it came so near \[ns\]. Time in which it keeps up does not count, but does not make up for the rest
    /// either: where the encoder is noisy, a joint that is blocked seems to keep up now and then.
    waited: i64,
    /// Up to when that is known \[ns\].
    noted: i64,
}

impl Way {
    /// A way that begins at `now` \[ns\].
    pub(super) fn new(now: i64) -> Self {
        Self { left: f32::INFINITY, waited: 0, noted: now }
    }

    /// Notes that the joint stays behind and has `left` \[rad\] to go; by `progress` \[rad\] less than before is a step forward.
    fn note(&mut self, left: f32, progress: f32, now: i64) {
        // Written so that NaN is none.
        if left < self.left - progress {
            (self.left, self.waited) = (left, 0);
        } else {
            self.waited = self.waited.saturating_add(now.saturating_sub(self.noted).max(0));
        }
        self.noted = now;
    }
}

impl Supervisor {
    /// Makes the nominal pose the goal, as far as it is near the joints.
    pub(super) fn go_to_nominal(&mut self, sensors: &Sensors<'_>) {
        self.goal.copy_from_slice(&self.nominal);
        let joints = self.limiter.joints().iter().zip(&sensors.state.joint_position);
        for (goal, (joint, &position)) in self.goal.iter_mut().zip(joints) {
            let reach = joint.share(self.description.positioning_tolerance);
            // A motor whose power comes back must not find its command far away.
            if reach > 0.0 && position.is_finite() {
                *goal = goal.clamp(position - reach, position + reach);
            }
        }
    }

    /// Makes the pose in which the robot is held the goal.
    ///
    /// A joint that only gives way under its load keeps its command. One that was moved further than the tolerance, or sank without power, takes
    /// it along, and the pose with it: else it would be thrown back when power returns, or pushed back for ever. A fallback in which that happened
    /// ends by way of the nominal pose.
    pub(super) fn hold(&mut self, sensors: &Sensors<'_>) {
        let position = &sensors.state.joint_position;
        if self.description.fallback == Fallback::Damp {
            for (goal, position) in self.goal.iter_mut().zip(position) {
                if position.is_finite() {
                    *goal = *position;
                }
            }
            return;
        }
        let pose = if self.description.fallback == Fallback::LastSafe { &mut self.safe } else { &mut self.held };
        self.goal.copy_from_slice(pose);
        if !sensors.has_joints(self.sensor_timeout) {
            return;
        }
        let mut is_taken_along = false;
        let joints = self.limiter.joints().iter().zip(position);
        let poses = self.goal.iter_mut().zip(pose.iter_mut()).zip(&self.command);
        for ((joint, &position), ((goal, pose), &command)) in joints.zip(poses) {
            let Some((lowest, highest)) = joint.near(position, self.description.positioning_tolerance) else { continue };
            let is_far = |angle: f32| !(lowest..=highest).contains(&angle);
            // It becomes what was commanded, not what is near the joint now: a single wrong value moves nothing for good, and decides nothing.
            if is_far(*pose) && is_far(command) && *pose != command {
                (*pose, is_taken_along) = (command, true);
            }
            *goal = pose.clamp(lowest, highest);
        }
        if is_taken_along && self.description.positioning_speed > 0.0 {
            self.resume = Phase::Positioning;
        }
    }

    /// Whether a joint is known to be further from its command than positioning allows, and there is such a phase.
    pub(super) fn has_strayed(&self, sensors: &Sensors<'_>) -> bool {
        let tolerance = self.description.positioning_tolerance;
        let mut joints = self.limiter.joints().iter().zip(&sensors.state.joint_position).zip(&self.command);
        let is_far = |((joint, &position), command): ((&JointLimits, &f32), &f32)| {
            joint.near(position, tolerance).is_some_and(|(lowest, highest)| !(lowest..=highest).contains(command))
        };
        self.description.positioning_speed > 0.0 && sensors.has_joints(self.sensor_timeout) && joints.any(is_far)
    }

    /// What bounds the joints' speed beside their own limits \[rad/s\]: until a robot has reached its nominal pose, also while it is held, and where
    /// a joint that was moved away takes its command along.
    pub(super) fn speed_limit(&self, sensors: &Sensors<'_>) -> Option<f32> {
        let phase = if self.phase.is_held() { self.resume } else { self.phase };
        let is_taken_along = || self.phase.is_held() && self.description.fallback != Fallback::Damp && self.has_strayed(sensors);
        (phase == Phase::Positioning || is_taken_along()).then_some(self.description.positioning_speed)
    }

    /// Ends positioning once commands and joints are at the nominal pose; until then, tells which joint stays behind, and stops the robot when
    /// that joint comes no nearer for as long as a fallback may last.
    pub(super) fn arrive(&mut self, now: i64, sensors: &Sensors<'_>) {
        let [first, blocked] = self.not_following(now, &sensors.state.joint_position);
        self.fault = first;
        if let Some(fault) = first {
            self.note(fault);
            if let Some(fault) = blocked {
                self.give_up(now, fault, sensors);
            }
            return;
        }
        let far = |(command, nominal): (&f32, &f32)| (command - nominal).abs() > POSITIONED;
        if !self.command.iter().zip(&self.nominal).any(far) {
            self.enter_fade_in(now);
        }
    }

    /// Looks how far each joint has come, which was measured at `position`. Returns the first that the command is as far ahead of as it may be, but
    /// which is not yet at the nominal pose, and the first of these that came no nearer for as long as a fallback may last.
    fn not_following(&mut self, now: i64, position: &[f32]) -> [Option<Fault>; 2] {
        let (tolerance, timeout) = (self.description.positioning_tolerance, self.description.fallback_timeout);
        let (mut first, mut blocked) = (None, None);
        let joints = self.limiter.joints().iter().zip(&mut self.ways).zip(self.command.iter().zip(&self.nominal));
        for (index, (position, ((joint, way), (command, nominal)))) in position.iter().zip(joints).enumerate() {
            let limit = joint.share(tolerance);
            let (ahead, value) = ((position - command).abs(), (position - nominal).abs());
            // Written so that NaN is far.
            if tolerance == 0.0 || value <= limit {
                *way = Way::new(now);
            } else if ahead < limit - POSITIONED {
                way.noted = now;
            } else {
                way.note(value, joint.share(PROGRESS), now);
                let (kind, subject) = (FaultKind::NotFollowing, Subject::Joint(index));
                let fault = Some(Fault { kind, subject, value, limit, motion: joint.kind });
                first = first.or(fault);
                blocked = blocked.or(fault.filter(|_| seconds(way.waited) >= timeout));
            }
        }
        [first, blocked]
    }

    /// Stops the robot because of `fault`, in the pose of its joints: what is in the way is not pushed any longer, and a joint without power finds
    /// its command where it is when power returns.
    fn give_up(&mut self, now: i64, fault: Fault, sensors: &Sensors<'_>) {
        self.fall_back(now, fault);
        if !sensors.has_joints(self.sensor_timeout) {
            return;
        }
        let joints = self.limiter.joints().iter().zip(&sensors.state.joint_position);
        for ((held, safe), (joint, &position)) in self.held.iter_mut().zip(&mut self.safe).zip(joints) {
            if joint.near(position, self.description.positioning_tolerance).is_some() {
                (*held, *safe) = (position, position);
            }
        }
    }
}
