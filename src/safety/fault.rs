//! What a check found.

use crate::robot::JointKind;

/// Which check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// A target beyond a joint's range.
    Position,
    /// A target that is too far for the joint's speed.
    Velocity,
    /// A target that needs too large an acceleration.
    Acceleration,
    /// A target too far from the one before.
    Step,
    /// The base leans too far.
    Tilt,
    /// A sensor has been silent, has only repeated itself, or never spoke.
    Stale,
    /// A message that holds not what it should: missing joints, wrong lengths, unknown names.
    Refused,
    /// A message older than one that came before.
    Reordered,
    /// A number that is NaN or infinite, of a sensor or of the policy.
    NotFinite,
    /// Control steps that are late.
    Overrun,
    /// Weights that grow beyond bounds.
    Weights,
    /// A clock that was set: stamps jump.
    ClockJump,
    /// Somebody asked for it.
    EmergencyStop,
    /// A joint that stays behind its command on the way to the nominal pose.
    NotFollowing,
    /// A joint that lies far outside its range where the robot was to begin.
    OutOfRange,
}

impl FaultKind {
    /// All kinds, in the order of their numbers.
    pub const ALL: [Self; 15] = [
        Self::Position,
        Self::Velocity,
        Self::Acceleration,
        Self::Step,
        Self::Tilt,
        Self::Stale,
        Self::Refused,
        Self::Reordered,
        Self::NotFinite,
        Self::Overrun,
        Self::Weights,
        Self::ClockJump,
        Self::EmergencyStop,
        Self::NotFollowing,
        Self::OutOfRange,
    ];

    /// The word that parameters, messages and logs use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Position => "position",
            Self::Velocity => "velocity",
            Self::Acceleration => "acceleration",
            Self::Step => "step",
            Self::Tilt => "tilt",
            Self::Stale => "stale",
            Self::Refused => "refused",
            Self::Reordered => "reordered",
            Self::NotFinite => "not_finite",
            Self::Overrun => "overrun",
            Self::Weights => "weights",
            Self::ClockJump => "clock_jump",
            Self::EmergencyStop => "emergency_stop",
            Self::NotFollowing => "not_following",
            Self::OutOfRange => "out_of_range",
        }
    }

    /// Whether the robot may walk again by itself once all is well. What says that robot or policy are not what they should be
    /// needs a person.
    pub fn is_recoverable(self) -> bool {
        matches!(self, Self::Stale | Self::Refused | Self::Reordered | Self::NotFinite | Self::Overrun | Self::ClockJump)
    }
}

/// What a fault is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The robot or the node as a whole.
    Whole,
    /// The joint of this index.
    Joint(usize),
    /// The sensor of this index in [`super::SENSORS`].
    Sensor(usize),
}

/// One finding. Plain data, so that the control thread can pass it on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fault {
    /// Which check.
    pub kind: FaultKind,
    /// What it is about.
    pub subject: Subject,
    /// What was found, in the check's unit.
    pub value: f32,
    /// What is allowed.
    pub limit: f32,
    /// How its joint moves, which says the unit of what is about a joint: rad or m.
    pub motion: JointKind,
}

impl Fault {
    /// A finding about the whole.
    pub(super) fn whole(kind: FaultKind, value: f32, limit: f32) -> Self {
        Self::about(kind, Subject::Whole, value, limit)
    }

    /// A finding whose unit no joint says.
    pub(super) fn about(kind: FaultKind, subject: Subject, value: f32, limit: f32) -> Self {
        Self { kind, subject, value, limit, motion: JointKind::Revolute }
    }

    /// In words, with the name of the joint from `joints`.
    pub fn describe<'a>(&self, joints: impl IntoIterator<Item = &'a str>) -> String {
        let Self { kind, subject, value, limit, motion } = *self;
        let unit = motion.unit();
        let angle = match motion {
            JointKind::Revolute => "angle",
            JointKind::Prismatic => "position",
        };
        let of = match subject {
            Subject::Whole => String::new(),
            Subject::Joint(index) => format!(" of `{}`", joints.into_iter().nth(index).unwrap_or("?")),
            Subject::Sensor(index) => format!(" of {}", super::SENSORS.get(index).copied().unwrap_or("a sensor")),
        };
        match kind {
            FaultKind::Position => format!("target{of} {value:.4} {unit} is beyond {limit:.4} {unit}"),
            FaultKind::Velocity => format!("target{of} needs {value:.3} {unit}/s; {limit:.3} {unit}/s are allowed"),
            FaultKind::Acceleration => format!("target{of} needs {value:.1} {unit}/s²; {limit:.1} {unit}/s² are allowed"),
            FaultKind::Step => format!("target{of} is {value:.4} {unit} from the one before; {limit:.4} {unit} are allowed"),
            FaultKind::Tilt => format!("the base leans {value:.3} rad; {limit:.3} rad are allowed"),
            FaultKind::Stale if value.is_finite() => format!("no new values{of} for {value:.3} s; {limit:.3} s are allowed"),
            FaultKind::Stale => format!("no values{of} yet"),
            FaultKind::Refused => "a sensor message was refused".to_owned(),
            FaultKind::Reordered => "a sensor message came after a newer one".to_owned(),
            FaultKind::NotFinite => format!("a value{of} is not finite"),
            FaultKind::Overrun => format!("{value} control steps in a row were late; {limit} are allowed"),
            FaultKind::Weights => format!("a weight has the size {value}; {limit} is allowed"),
            FaultKind::ClockJump => "the clock of the sensors' stamps jumped".to_owned(),
            FaultKind::EmergencyStop => "emergency stop".to_owned(),
            FaultKind::NotFollowing => format!(
                "the {angle}{of} is {value:.3} {unit} from the nominal pose and does not follow; {limit:.3} {unit} are allowed: do the motors have power, is something in its way?"
            ),
            FaultKind::OutOfRange => format!(
                "the {angle}{of} is {value:.3} {unit}, too far beyond the end of its range, {limit:.3} {unit}, to begin: move the joint, or mend its sign, offset or unit in the driver's description"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_kinds_are_their_places() {
        assert!(FaultKind::ALL.iter().enumerate().all(|(place, kind)| *kind as usize == place));
    }

    #[test]
    fn faults_name_the_joint() {
        let fault = Fault::about(FaultKind::Velocity, Subject::Joint(1), 3.0, 1.0);
        assert_eq!(fault.describe(["hip", "knee"]), "target of `knee` needs 3.000 rad/s; 1.000 rad/s are allowed");
        let never = Fault::about(FaultKind::Stale, Subject::Sensor(1), f32::INFINITY, 0.03);
        assert_eq!(never.describe([]), "no values of imu yet");
    }

    #[test]
    fn a_joint_that_shifts_has_its_faults_in_metres() {
        let words = |kind| {
            let fault = Fault { motion: JointKind::Prismatic, ..Fault::about(kind, Subject::Joint(0), 3.0, 1.0) };
            fault.describe(["spine"])
        };
        assert_eq!(words(FaultKind::Velocity), "target of `spine` needs 3.000 m/s; 1.000 m/s are allowed");
        assert!(words(FaultKind::NotFollowing).starts_with("the position of `spine` is 3.000 m from the nominal pose"));
        let joints = [FaultKind::Position, FaultKind::Acceleration, FaultKind::Step, FaultKind::OutOfRange];
        assert!(joints.into_iter().all(|kind| !words(kind).contains("rad")));
    }
}
