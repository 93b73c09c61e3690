//! Shut while too few feet touch the ground.

use serde::{Deserialize, Serialize};

use super::error::{require, require_shut};
use super::{GateDescriptionError, GateReason};

/// Shuts the gate while the robot hangs in the air: without the ground's answer the rule learns from nothing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FootContactSettings {
    /// Feet that must touch the ground.
    pub feet: u32,
    /// It shuts after this many control steps in a row with fewer feet: a gait's flight phases must not shut it.
    pub hold: u32,
    /// It opens after this many control steps in a row with enough feet.
    pub hold_open: u32,
    /// g when shut.
    #[serde(default)]
    pub shut: f32,
}

impl FootContactSettings {
    /// Checks the numbers for a robot with `feet` feet.
    pub(super) fn check(&self, place: &str, feet: usize) -> Result<(), GateDescriptionError> {
        let possible = self.feet >= 1 && self.feet as usize <= feet;
        require(
            possible,
            place,
            "feet",
            self.feet,
            format_args!("at least 1 and at most {feet}, the number of the robot's feet"),
        )?;
        require(self.hold >= 1, place, "hold", self.hold, "at least 1 control step")?;
        require(self.hold_open >= 1, place, "hold_open", self.hold_open, "at least 1 control step")?;
        require_shut(self.shut, place)
    }
}

/// The state machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct FootContact {
    settings: FootContactSettings,
    shut: bool,
    /// Control steps in a row that speak against the present state.
    against: u32,
}

impl FootContact {
    pub(super) fn new(settings: FootContactSettings) -> Self {
        Self { settings, shut: false, against: 0 }
    }

    /// One control step with these contacts. Returns why the gate is shut, if it is.
    pub(super) fn decide(&mut self, contacts: &[bool]) -> Option<GateReason> {
        let touching = contacts.iter().filter(|&&touches| touches).count().try_into().unwrap_or(u32::MAX);
        let too_few = touching < self.settings.feet;
        self.against = if too_few == self.shut { 0 } else { self.against + 1 };
        let hold = if self.shut { self.settings.hold_open } else { self.settings.hold };
        if self.against >= hold {
            self.shut = too_few;
            self.against = 0;
        }
        self.shut.then_some(GateReason::FootContact { touching, needed: self.settings.feet })
    }

    /// g when shut.
    pub(super) fn shut_value(&self) -> f32 {
        self.settings.shut
    }

    /// Back to the start of an episode: open.
    pub(super) fn reset(&mut self) {
        *self = Self::new(self.settings);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SETTINGS: FootContactSettings = FootContactSettings { feet: 2, hold: 3, hold_open: 2, shut: 0.0 };

    /// Whether it is shut at each step, for so many feet on the ground.
    fn run(touching: &[usize]) -> Vec<bool> {
        let mut gate = FootContact::new(SETTINGS);
        let contacts = |count: usize| [0, 1, 2, 3].map(|foot| foot < count);
        touching.iter().map(|&count| gate.decide(&contacts(count)).is_some()).collect()
    }

    #[test]
    fn it_shuts_after_hold_steps_in_the_air_and_opens_after_hold_open_on_the_ground() {
        let shut = run(&[4, 1, 0, 1, 1, 2, 1, 2, 3, 0]);
        assert_eq!(shut, [false, false, false, true, true, true, true, true, false, false]);
    }

    #[test]
    fn it_says_how_many_feet_touch() {
        let mut gate = FootContact::new(FootContactSettings { hold: 1, ..SETTINGS });
        assert_eq!(gate.decide(&[true, false]), Some(GateReason::FootContact { touching: 1, needed: 2 }));
        gate.reset();
        assert_eq!(gate.decide(&[true, true]), None);
    }

    #[test]
    fn bad_numbers_are_refused_by_name() {
        let cases = [
            (FootContactSettings { feet: 0, ..SETTINGS }, "feet"),
            (FootContactSettings { feet: 5, ..SETTINGS }, "feet"),
            (FootContactSettings { hold: 0, ..SETTINGS }, "hold"),
            (FootContactSettings { hold_open: 0, ..SETTINGS }, "hold_open"),
            (FootContactSettings { shut: 1.0, ..SETTINGS }, "shut"),
        ];
        for (settings, key) in cases {
            let error = settings.check("foot_contact", 4).unwrap_err().to_string();
            assert!(error.starts_with(&format!("foot_contact.{key} is ")), "{error}");
        }
        assert_eq!(SETTINGS.check("foot_contact", 4), Ok(()));
    }

    proptest! {
        /// It changes only at the end of a long enough run of steps that all speak for the new state.
        #[test]
        fn short_runs_never_flip_it(touching in proptest::collection::vec(0usize..5, 1..200)) {
            let shut = run(&touching);
            for (step, pair) in shut.windows(2).enumerate() {
                if pair[0] != pair[1] {
                    let hold = if pair[1] { SETTINGS.hold } else { SETTINGS.hold_open } as usize;
                    let run = &touching[(step + 2).saturating_sub(hold)..step + 2];
                    prop_assert!(run.len() == hold && run.iter().all(|&count| (count < 2) == pair[1]));
                }
            }
        }
    }
}
