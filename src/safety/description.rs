//! What a supervisor watches, how far things may go, and what it does then.

use serde::{Deserialize, Serialize};

use super::FaultKind;

/// What follows when a check fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reaction {
    /// It is not checked, and a limit does not hold.
    Off,
    /// It is counted and reported; a limit holds.
    #[default]
    Warn,
    /// The robot goes into its fallback; a limit holds.
    Stop,
}

/// What the robot does when it may not walk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fallback {
    /// Keeps the last command: the joints are stiff where they are. One that is moved further away than positioning tolerates takes it along.
    #[default]
    Hold,
    /// Targets follow the measured joints: motors only damp, the robot sinks.
    Damp,
    /// Goes, within the limits, to the targets of the last step in which every check passed; these, too, a joint that is moved away takes along.
    LastSafe,
}

/// A supervisor's settings. 0 means "none" where it is said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SafetyDescription {
    /// Joint speed on the way to the nominal pose at the start, and at which a joint outside its range is brought in \[rad/s\]; 0: no such phase.
    /// For joints that shift (see [`Supervisor::with_kinds`](super::Supervisor::with_kinds)) a tenth of the number holds, in m/s.
    pub positioning_speed: f32,
    /// How far commands may be ahead of the measured joints on that way, at its end, and in a fallback or stop, and how far outside its range a
    /// joint may lie at the start \[rad\]; 0: any distance. For joints that shift a tenth of the number holds, in m.
    pub positioning_tolerance: f32,
    /// Time over which the policy's targets fade in \[s\]; 0: at once.
    pub fade_in: f32,
    /// Distance that commands keep from each joint's limits \[rad\].
    pub position_margin: f32,
    /// Largest speed of a command \[rad/s\], where each joint's own, from the robot's description, is not lower; 0: that alone.
    pub velocity_limit: f32,
    /// Largest acceleration of a command \[rad/s²\]; 0: none.
    pub acceleration_limit: f32,
    /// Largest change of a command from one control step to the next \[rad\]; 0: none.
    pub step_limit: f32,
    /// Largest angle between the base's up axis and the vertical \[rad\].
    pub tilt_limit: f32,
    /// Age from which on sensor values are stale \[s\]; 0: one and a half control periods.
    pub sensor_timeout: f32,
    /// Whether sensor values are older by as much as their messages arrive later than the quickest, as
    /// [`StampWatch::lag`](super::StampWatch::lag) tells it: for drivers whose clock is set right, and by no more than 0.5 ms in a second.
    pub counts_lag: bool,
    /// Smallest jump of message stamps, against the steady clock or back, that counts as one of a clock \[s\].
    pub clock_jump: f32,
    /// Control steps in a row that must be late before they count as an overrun.
    pub overruns: u32,
    /// Largest |w| of any layer.
    pub weight_limit: f32,
    /// What the robot does when it may not walk.
    pub fallback: Fallback,
    /// How long all must be well before the robot walks again \[s\].
    pub recovery_time: f32,
    /// How long a fallback may last, and a joint come no nearer to the nominal pose, before the robot stays stopped until it is released \[s\].
    pub fallback_timeout: f32,
    /// What follows when a check fails.
    pub reactions: Reactions,
}

impl Default for SafetyDescription {
    /// For a robot; `config/policy.yaml` documents the same numbers.
    fn default() -> Self {
        Self {
            positioning_speed: 0.5,
            // Far beyond what a motor under load stays behind, well below what a limp leg hangs away.
            positioning_tolerance: 0.5,
            fade_in: 2.0,
            position_margin: 0.0,
            velocity_limit: 0.0,
            acceleration_limit: 0.0,
            step_limit: 0.0,
            // 60 degrees: beyond any slope that a legged robot walks on, well before its back.
            tilt_limit: std::f32::consts::FRAC_PI_3,
            sensor_timeout: 0.0,
            counts_lag: true,
            clock_jump: 1.0,
            overruns: 3,
            weight_limit: 100.0,
            fallback: Fallback::Hold,
            recovery_time: 1.0,
            fallback_timeout: 10.0,
            reactions: Reactions::default(),
        }
    }
}

/// What follows when a check fails, by [`FaultKind`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Reactions {
    pub position: Reaction,
    pub velocity: Reaction,
    pub acceleration: Reaction,
    pub step: Reaction,
    pub tilt: Reaction,
    pub stale: Reaction,
    pub refused: Reaction,
    pub reordered: Reaction,
    pub not_finite: Reaction,
    pub overrun: Reaction,
    pub weights: Reaction,
    pub clock_jump: Reaction,
}

impl Default for Reactions {
    fn default() -> Self {
        use Reaction::{Stop, Warn};
        Self {
            position: Warn,
            velocity: Warn,
            acceleration: Warn,
            step: Warn,
            tilt: Stop,
            stale: Stop,
            // A message that is refused is as good as none: when no good one follows, `stale` tells.
            refused: Warn,
            reordered: Warn,
            not_finite: Stop,
            overrun: Warn,
            weights: Stop,
            clock_jump: Stop,
        }
    }
}

impl Reactions {
    /// The reaction to `kind`; an emergency stop always stops, and a joint that does not follow is waited for at first, as long as a fallback may
    /// last.
    pub fn to(&self, kind: FaultKind) -> Reaction {
        match kind {
            FaultKind::Position => self.position,
            FaultKind::Velocity => self.velocity,
            FaultKind::Acceleration => self.acceleration,
            FaultKind::Step => self.step,
            FaultKind::Tilt => self.tilt,
            FaultKind::Stale => self.stale,
            FaultKind::Refused => self.refused,
            FaultKind::Reordered => self.reordered,
            FaultKind::NotFinite => self.not_finite,
            FaultKind::Overrun => self.overrun,
            FaultKind::Weights => self.weights,
            FaultKind::ClockJump => self.clock_jump,
            FaultKind::EmergencyStop | FaultKind::OutOfRange => Reaction::Stop,
            FaultKind::NotFollowing => Reaction::Warn,
        }
    }
}

/// Why a supervisor's settings were refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SafetyError {
    /// A number that is not usable.
    #[error("safety.{name} is {value}; it must be {expected}")]
    Value {
        /// Which.
        name: &'static str,
        /// What it is.
        value: f32,
        /// What it may be.
        expected: &'static str,
    },
    /// A margin that leaves a joint no room.
    #[error("safety.position_margin leaves the joint `{joint}` no room between {lower} and {upper} rad")]
    NoRoom {
        /// Which joint.
        joint: String,
        /// Its smallest angle \[rad\].
        lower: f32,
        /// Its largest angle \[rad\].
        upper: f32,
    },
    /// A joint that has no angle which both the policy and the robot allow.
    #[error(
        "the ranges of the joint `{joint}` in the policy and in the robot description do not overlap: together they allow no less than \
         {lower} and no more than {upper} rad; set the parameter `robot` to the description of the robot that the policy is for"
    )]
    NoOverlap {
        /// Which joint.
        joint: String,
        /// The larger of its smallest angles \[rad\].
        lower: f32,
        /// The smaller of its largest angles \[rad\].
        upper: f32,
    },
}

impl SafetyDescription {
    /// Checks every number.
    ///
    /// # Errors
    /// [`SafetyError::Value`] names the first that is not usable.
    pub fn check(&self) -> Result<(), SafetyError> {
        let non_negative = "a finite number, 0 or more";
        let positive = "a finite number above 0";
        let numbers = [
            ("positioning_speed", self.positioning_speed, non_negative),
            ("positioning_tolerance", self.positioning_tolerance, non_negative),
            ("fade_in", self.fade_in, non_negative),
            ("position_margin", self.position_margin, non_negative),
            ("velocity_limit", self.velocity_limit, non_negative),
            ("acceleration_limit", self.acceleration_limit, non_negative),
            ("step_limit", self.step_limit, non_negative),
            ("tilt_limit", self.tilt_limit, positive),
            ("sensor_timeout", self.sensor_timeout, non_negative),
            ("clock_jump", self.clock_jump, positive),
            ("weight_limit", self.weight_limit, positive),
            ("recovery_time", self.recovery_time, non_negative),
            ("fallback_timeout", self.fallback_timeout, non_negative),
        ];
        for (name, value, expected) in numbers {
            if !value.is_finite() || value < 0.0 || (value == 0.0 && expected == positive) {
                return Err(SafetyError::Value { name, value, expected });
            }
        }
        if self.overruns == 0 {
            return Err(SafetyError::Value { name: "overruns", value: 0.0, expected: "1 or more" });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_cannot_be_are_named() {
        assert_eq!(SafetyDescription::default().check(), Ok(()));
        let wrong = SafetyDescription { fade_in: f32::NAN, ..SafetyDescription::default() };
        assert_eq!(wrong.check().unwrap_err().to_string(), "safety.fade_in is NaN; it must be a finite number, 0 or more");
        let wrong = SafetyDescription { tilt_limit: 0.0, ..SafetyDescription::default() };
        assert!(wrong.check().unwrap_err().to_string().contains("safety.tilt_limit"));
    }

    #[test]
    fn unknown_keys_are_refused() {
        let error = serde_yaml::from_str::<SafetyDescription>("fade_inn: 1.0").unwrap_err().to_string();
        assert!(error.contains("fade_inn") && error.contains("fade_in"), "{error}");
        let given: SafetyDescription = serde_yaml::from_str("{fallback: damp, reactions: {tilt: warn}}").unwrap();
        assert_eq!(
            (given.fallback, given.reactions.tilt, given.reactions.stale),
            (Fallback::Damp, Reaction::Warn, Reaction::Stop)
        );
    }
}
