//! Keeps commands within a joint's position, step, velocity and acceleration at once.

use super::{Fault, FaultKind, Reaction, SafetyDescription, SafetyError, Subject};
use crate::policy::RobotInterface;
use crate::robot::JointKind;

/// What 1 rad of positioning is for a joint that shifts \[m\]: so far the end of a leg of this length moves when it turns by that.
const METRES_PER_RADIAN: f32 = 0.1;

/// How one joint may be commanded. `None`: as it likes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct JointLimits {
    /// How it moves; where it shifts, read m for rad.
    pub kind: JointKind,
    /// Smallest and largest angle \[rad\].
    pub range: Option<(f32, f32)>,
    /// Largest speed \[rad/s\].
    pub velocity: Option<f32>,
    /// Largest acceleration \[rad/s²\].
    pub acceleration: Option<f32>,
    /// Largest change in one control step \[rad\].
    pub step: Option<f32>,
}

impl JointLimits {
    /// What `turn` \[rad\] or \[rad/s\], a number of positioning, is for this joint: where it shifts, a tenth of it, in metres.
    pub(super) fn share(&self, turn: f32) -> f32 {
        match self.kind {
            JointKind::Revolute => turn,
            JointKind::Prismatic => METRES_PER_RADIAN * turn,
        }
    }

    /// The smallest and largest command that is near this joint, which was measured at `position`: within `tolerance` \[rad\], as for
    /// [`Self::share`]. `None` where any is (0), and where the value is none that the joint can have: further than that outside its range.
    pub(super) fn near(&self, position: f32, tolerance: f32) -> Option<(f32, f32)> {
        let reach = self.share(tolerance);
        let is_possible = self.range.is_none_or(|(lower, upper)| (lower - reach..=upper + reach).contains(&position));
        (reach > 0.0 && position.is_finite() && is_possible).then_some((position - reach, position + reach))
    }
}

/// Limits of all joints, per control step, and how the command moves.
#[derive(Clone, Debug)]
pub struct Limiter {
    joints: Vec<JointLimits>,
    period: f64,
    /// Change of each command in the last step \[rad\].
    motion: Vec<f64>,
}

impl Limiter {
    /// The limits of `description` for `robot`; `velocities` \[rad/s\] are the joints' own, where they are known. `period` is that of
    /// control \[s\].
    ///
    /// # Errors
    /// [`SafetyError`] for a number that is not usable or a joint without room.
    pub fn new(
        description: &SafetyDescription,
        robot: &RobotInterface,
        velocities: Option<&[f32]>,
        period: f32,
    ) -> Result<Self, SafetyError> {
        description.check()?;
        let unless_off = |reaction: Reaction, limit: f32| (reaction != Reaction::Off && limit > 0.0).then_some(limit);
        let (on, margin) = (&description.reactions, description.position_margin);
        let joint = |(index, joint): (usize, &crate::policy::JointInterface)| {
            let (lower, upper) = (joint.lower + margin, joint.upper - margin);
            if joint.lower > joint.upper {
                return Err(SafetyError::NoOverlap { joint: joint.name.clone(), lower: joint.lower, upper: joint.upper });
            }
            if lower > upper {
                return Err(SafetyError::NoRoom { joint: joint.name.clone(), lower: joint.lower, upper: joint.upper });
            }
            let own = velocities.and_then(|velocities| velocities.get(index)).copied().unwrap_or(0.0);
            let velocity = [own, description.velocity_limit].into_iter().filter(|&limit| limit > 0.0).reduce(f32::min);
            Ok(JointLimits {
                kind: JointKind::Revolute,
                range: (on.position != Reaction::Off).then_some((lower, upper)),
                velocity: unless_off(on.velocity, velocity.unwrap_or(0.0)),
                acceleration: unless_off(on.acceleration, description.acceleration_limit),
                step: unless_off(on.step, description.step_limit),
            })
        };
        let joints: Vec<_> = robot.joints.iter().enumerate().map(joint).collect::<Result<_, _>>()?;
        Ok(Self { motion: vec![0.0; joints.len()], joints, period: f64::from(period) })
    }

    /// The same for joints of these `kinds`, in joint order; unless told otherwise, all turn.
    pub(super) fn with_kinds(mut self, kinds: &[JointKind]) -> Self {
        self.joints.iter_mut().zip(kinds).for_each(|(joint, kind)| joint.kind = *kind);
        self
    }

    /// The limits, in joint order.
    pub fn joints(&self) -> &[JointLimits] {
        &self.joints
    }

    /// Begins anew: the command stands still at `position`, also where that is outside of a joint's range; [`Self::approach`] brings it in. A
    /// joint that nothing makes slow, neither the phase's `speed` nor a limit of its own, begins at the end of its range: it would leap there next.
    pub(super) fn begin(&mut self, position: &[f32], speed: Option<f32>, command: &mut [f32]) {
        self.motion.fill(0.0);
        for ((joint, position), command) in self.joints.iter().zip(position).zip(command) {
            let is_slow = speed.or(joint.velocity).or(joint.acceleration).or(joint.step).is_some();
            let range = joint.range.filter(|_| !is_slow);
            *command = range.map_or(*position, |(lower, upper)| position.clamp(lower, upper));
        }
    }

    /// The first joint that at `position` lies more than `tolerance` \[rad\], as for [`JointLimits::share`], outside its range; 0: any distance
    /// will do. From further away the way in is no correction: a joint without an end that was turned once too often would unwind.
    pub(super) fn out_of_range(&self, position: &[f32], tolerance: f32) -> Option<Fault> {
        self.joints.iter().zip(position).enumerate().filter(|_| tolerance > 0.0).find_map(|(index, (joint, &value))| {
            let (lower, upper) = joint.range?;
            let limit = value.clamp(lower, upper);
            let is_far = (value - limit).abs() > joint.share(tolerance);
            let subject = Subject::Joint(index);
            is_far.then_some(Fault { kind: FaultKind::OutOfRange, subject, value, limit, motion: joint.kind })
        })
    }

    /// Continues the motion of `other`. A command that is outside of its joint's range here comes back as [`Self::approach`] goes on.
    pub(super) fn continue_from(&mut self, other: &Self) {
        self.motion.iter_mut().zip(&other.motion).for_each(|(own, other)| *own = *other);
    }

    /// Whether a joint's command is outside of its range.
    pub(super) fn is_outside(&self, command: &[f32]) -> bool {
        let inside = |range: Option<(f32, f32)>, command| range.is_none_or(|(lower, upper)| (lower..=upper).contains(command));
        !self.joints.iter().zip(command).all(|(joint, command)| inside(joint.range, command))
    }

    /// Moves `command` towards `goal` as far as the limits allow; `speed` \[rad/s\], as for [`JointLimits::share`], limits it further. Each
    /// limit that a goal was beyond goes to `found`. Goals must be finite; one that the limits allow is taken bit by bit. A command within its
    /// joint's range stays there; one outside comes in, or, where it `may_stay`, stays if its goal is outside too; it goes never further out.
    pub(super) fn approach(
        &mut self,
        goal: &[f32],
        speed: Option<f32>,
        may_stay: bool,
        command: &mut [f32],
        mut found: impl FnMut(Fault),
    ) {
        let period = self.period;
        let joints = self.joints.iter().zip(&mut self.motion).zip(goal.iter().zip(command)).enumerate();
        for (index, ((joint, motion), (&goal, command))) in joints {
            let mut exceeded = |kind, value: f64, limit: f64| {
                let subject = Subject::Joint(index);
                found(Fault { kind, subject, value: value as f32, limit: limit as f32, motion: joint.kind });
            };
            let mut target = goal;
            if let Some((lower, upper)) = joint.range {
                target = if may_stay { goal.clamp(lower.min(*command), upper.max(*command)) } else { goal.clamp(lower, upper) };
                if target != goal {
                    exceeded(FaultKind::Position, f64::from(goal), f64::from(target));
                }
            }
            let wanted = f64::from(target) - f64::from(*command);
            let mut largest = speed.map_or(f64::INFINITY, |speed| f64::from(joint.share(speed)) * period);
            if let Some(step) = joint.step.map(f64::from) {
                largest = largest.min(step);
                if wanted.abs() > step {
                    exceeded(FaultKind::Step, wanted.abs(), step);
                }
            }
            if let Some(velocity) = joint.velocity.map(f64::from) {
                largest = largest.min(velocity * period);
                if wanted.abs() > velocity * period {
                    exceeded(FaultKind::Velocity, wanted.abs() / period, velocity);
                }
            }
            let mut change = wanted.clamp(-largest, largest);
            if let Some(acceleration) = joint.acceleration.map(f64::from) {
                let quantum = acceleration * period * period;
                if (wanted - *motion).abs() > quantum {
                    exceeded(FaultKind::Acceleration, (wanted - *motion).abs() / (period * period), acceleration);
                }
                change = accelerate(wanted, *motion, quantum, largest);
            }
            let before = *command;
            *command = if change == wanted { target } else { (f64::from(before) + change) as f32 };
            if let Some((lower, upper)) = joint.range {
                // From outside of the range there is a way in, but none further out, not even to brake.
                *command = command.clamp(lower.min(before), upper.max(before));
            }
            *motion = f64::from(*command) - f64::from(before);
        }
    }
}

/// The change of this step on the way over `wanted`, after a change of `before` in the step before: it may differ from that by `quantum`
/// and be `largest`, and must leave room to brake before the goal.
///
/// Braking from a change d takes d + (d - q) + (d - 2q) + … = (n + 1) d - q n (n + 1) / 2 with n = floor(d / q). Whoever starts a
/// step with room to brake keeps it, so a joint never runs into its limit.
fn accelerate(wanted: f64, before: f64, quantum: f64, largest: f64) -> f64 {
    let (way, before, sign) = if wanted < 0.0 { (-wanted, -before, -1.0) } else { (wanted, before, 1.0) };
    let steps = (((1.0 + 8.0 * way / quantum).sqrt() - 1.0) / 2.0).floor();
    let brakeable = (way + quantum * steps * (steps + 1.0) / 2.0) / (steps + 1.0);
    let change = brakeable.min(largest).min(before + quantum).max(before - quantum);
    // Rounding in `brakeable` must not keep a joint from a goal that is one step away.
    if (way - change).abs() <= 1e-12 { wanted } else { sign * change }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::JointInterface;
    use rand::RngExt;

    fn robot(lower: f32, upper: f32) -> RobotInterface {
        let joint = JointInterface { name: "hip".into(), lower, upper, nominal: 0.0 };
        RobotInterface { name: "r".into(), joints: vec![joint], feet: vec![] }
    }

    fn limiter(description: &SafetyDescription) -> Limiter {
        limiter_within(description, 1.0)
    }

    fn limiter_within(description: &SafetyDescription, reach: f32) -> Limiter {
        Limiter::new(description, &robot(-reach, reach), Some(&[2.0]), 0.02).unwrap()
    }

    fn walk(limiter: &mut Limiter, from: f32, goals: impl IntoIterator<Item = f32>) -> Vec<f32> {
        let mut command = [0.0];
        limiter.begin(&[from], None, &mut command);
        goals
            .into_iter()
            .map(|goal| {
                limiter.approach(&[goal], None, false, &mut command, |_| ());
                command[0]
            })
            .collect()
    }

    #[test]
    fn a_goal_within_the_limits_is_taken_bit_by_bit() {
        let path = walk(&mut limiter(&SafetyDescription::default()), 0.1, [0.123_456_7, 0.1]);
        assert_eq!(path, [0.123_456_7, 0.1]);
    }

    #[test]
    fn the_lower_one_of_both_speed_limits_counts() {
        let first =
            |velocity_limit| walk(&mut limiter(&SafetyDescription { velocity_limit, ..Default::default() }), 0.0, [5.0])[0];
        assert!((first(0.5) - 0.01).abs() < 1e-6, "{}", first(0.5));
        assert_eq!(first(50.0), first(0.0));
    }

    #[test]
    fn speed_is_limited_to_the_joints_own() {
        let path = walk(&mut limiter(&SafetyDescription::default()), 0.0, [5.0; 30]);
        assert!((path[0] - 0.04).abs() < 1e-6 && (path[10] - 0.44).abs() < 1e-5, "{path:?}");
        assert_eq!(path[29], 1.0);
    }

    #[test]
    fn a_joint_brakes_before_its_limit_and_before_its_goal() {
        let description = SafetyDescription { acceleration_limit: 10.0, ..SafetyDescription::default() };
        let path = walk(&mut limiter(&description), 0.0, [9.0; 100]);
        assert_eq!(path[99], 1.0);
        let changes: Vec<f32> = path.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(changes.windows(2).all(|pair| (pair[1] - pair[0]).abs() <= 10.0 * 0.0004 + 1e-6), "{changes:?}");
        let path = walk(&mut limiter(&description), 0.0, [0.3; 60]);
        assert!(path.iter().all(|&command| command <= 0.3 + 1e-6), "overshoot: {path:?}");
        assert_eq!(path[59], 0.3);
    }

    #[test]
    fn what_was_beyond_a_limit_is_told() {
        let mut limiter = limiter(&SafetyDescription { step_limit: 0.01, ..SafetyDescription::default() });
        let (mut command, mut kinds) = ([0.0], Vec::new());
        limiter.begin(&[0.0], None, &mut command);
        limiter.approach(&[3.0], None, false, &mut command, |fault| kinds.push(fault.kind));
        assert_eq!(kinds, [FaultKind::Position, FaultKind::Step, FaultKind::Velocity]);
        assert!((command[0] - 0.01).abs() < 1e-7);
    }

    #[test]
    fn a_joint_outside_its_range_begins_where_it_stands_unless_nothing_makes_it_slow() {
        let begin = |description: SafetyDescription, velocity: f32, speed: Option<f32>| {
            let mut limiter = Limiter::new(&description, &robot(-1.0, 1.0), Some(&[velocity]), 0.02).unwrap();
            let mut command = [0.0];
            limiter.begin(&[1.2], speed, &mut command);
            command[0]
        };
        let default = SafetyDescription::default;
        assert_eq!(begin(default(), 0.0, None), 1.0);
        assert_eq!(begin(default(), 0.0, Some(0.5)), 1.2);
        assert_eq!(begin(default(), 2.0, None), 1.2);
        assert_eq!(begin(SafetyDescription { step_limit: 0.01, ..default() }, 0.0, None), 1.2);
        assert_eq!(begin(SafetyDescription { acceleration_limit: 10.0, ..default() }, 0.0, None), 1.2);
    }

    #[test]
    fn a_margin_that_leaves_no_room_is_refused() {
        let description = SafetyDescription { position_margin: 1.5, ..SafetyDescription::default() };
        let error = Limiter::new(&description, &robot(-1.0, 1.0), None, 0.02).unwrap_err().to_string();
        assert!(error.contains("position_margin") && error.contains("`hip`"), "{error}");
    }

    #[test]
    fn ranges_of_policy_and_robot_that_do_not_overlap_are_refused_as_that() {
        for position_margin in [0.0, 0.1] {
            let description = SafetyDescription { position_margin, ..SafetyDescription::default() };
            let error = Limiter::new(&description, &robot(0.5, -0.25), None, 0.02).unwrap_err();
            assert_eq!(error, SafetyError::NoOverlap { joint: "hip".into(), lower: 0.5, upper: -0.25 });
            let text = error.to_string();
            assert!(text.contains("`hip`") && text.contains("overlap") && !text.contains("margin"), "{text}");
        }
    }

    #[test]
    fn a_command_outside_of_the_range_comes_back_as_fast_as_the_limits_allow_and_no_faster() {
        let mut random = crate::random::stream(3, "limiter", &[]);
        for trial in 0..3_000 {
            let acceleration_limit = [0.0, 10.0, 60.0][trial % 3];
            let step_limit = random.random_range(0.005..0.06);
            let description = SafetyDescription { acceleration_limit, step_limit, ..SafetyDescription::default() };
            let (mut wide, mut narrow) = (limiter(&description), limiter_within(&description, 0.3));
            let mut command = [0.0];
            wide.begin(&[random.random_range(0.5..1.0)], None, &mut command);
            let goal = random.random_range(0.4..1.0);
            for _ in 0..random.random_range(0..6) {
                wide.approach(&[goal], None, false, &mut command, |_| ());
            }
            narrow.continue_from(&wide);
            let (quantum, largest) = (f64::from(acceleration_limit) * 0.0004, f64::from(step_limit).min(0.04));
            let begin = f64::from(command[0]);
            let (mut before, mut steps) = (begin, 0);
            let mut inward = (-narrow.motion[0]).max(0.0);
            let goal = random.random_range(-1.0..1.0);
            while before > f64::from(0.3f32) {
                narrow.approach(&[goal], None, false, &mut command, |_| ());
                let change = before - f64::from(command[0]);
                let rounding = 1e-6;
                assert!((0.0..=largest + rounding).contains(&change), "trial {trial}: {change} from {before}");
                if acceleration_limit > 0.0 {
                    assert!(change <= inward + quantum + rounding, "trial {trial}: {change} after {inward}");
                } else {
                    assert!(change >= largest.min(before - 0.3) - rounding, "trial {trial}: {change} from {before}");
                }
                (before, inward, steps) = (f64::from(command[0]), change, steps + 1);
                // From rest: the way at full speed, and at most the way again for gaining and losing it.
                let way = begin - 0.3;
                let ramps = if quantum > 0.0 { 2.0 * (way / quantum).sqrt() } else { 0.0 };
                assert!(f64::from(steps) <= way / largest + ramps + 5.0, "trial {trial}: {before} after {steps} steps");
            }
            assert!(!narrow.is_outside(&command));
        }
    }
}
