//! Sets of sensor values that come faster than the policy runs.

use crate::robot::Stamp;

/// Leaves such sets out: each control step may move a joint as far as a whole period allows, and the policy knows no other rate.
#[derive(Clone, Debug)]
pub struct Pace {
    period: i64,
    last: Option<Stamp>,
}

/// A set of sensor values that came too early for a control step.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error(
    "a set of sensor values {after:.1} ms after the one before is left out: the policy makes a step every {period:.1} ms; \
     let the sensors (or the simulator's control_rate) have its rate, or set trigger to `timer`"
)]
pub struct TooEarly {
    after: f64,
    period: f64,
}

impl Pace {
    /// For a control period of `period` \[ns\].
    pub fn new(period: i64) -> Self {
        Self { period, last: None }
    }

    /// Takes note of a set of `stamp`. One that repeats a stamp, or follows a clock that was set back, is in time.
    ///
    /// # Errors
    /// [`TooEarly`] less than three quarters of a period after the last that was in time: stamps of a robot jitter.
    pub fn note(&mut self, stamp: Stamp) -> Result<(), TooEarly> {
        let gap = self.last.map_or(0, |last| stamp.saturating_sub(last));
        if (1..self.period - self.period / 4).contains(&gap) {
            return Err(TooEarly { after: gap as f64 * 1e-6, period: self.period as f64 * 1e-6 });
        }
        self.last = Some(stamp);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_that_come_faster_than_the_policy_runs_are_left_out() {
        let mut pace = Pace::new(20_000_000);
        let mut in_time = |milliseconds: i64| pace.note(milliseconds * 1_000_000).is_ok();
        // Twice as fast as the policy, then jitter, a repetition, a gap, and a clock that was set back.
        assert_eq!([100, 110, 120, 130, 140].map(&mut in_time), [true, false, true, false, true]);
        assert_eq!([156, 156, 400, 50, 60, 70].map(&mut in_time), [true, true, true, true, false, true]);
        let message = pace.note(75_000_000).unwrap_err().to_string();
        assert!(message.contains("5.0 ms after") && message.contains("every 20.0 ms"), "{message}");
    }
}
