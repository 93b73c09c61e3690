//! How simulated time follows real time.

use std::time::{Duration, Instant};

/// What a control step waits for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mode {
    /// Its time: simulated time is real time times a factor.
    RealTime {
        /// The factor.
        factor: f64,
    },
    /// Nothing.
    FreeRunning,
    /// The command that carries the stamp of the sensor values: every step is answered, however long it takes.
    Lockstep,
}

impl Mode {
    /// Its name in parameters and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::RealTime { .. } => "real_time",
            Self::FreeRunning => "free_running",
            Self::Lockstep => "lockstep",
        }
    }
}

/// Lag behind real time from which on the simulator gives up catching up: a suspended laptop must not make the robot race.
const LARGEST_LAG: Duration = Duration::from_millis(200);
/// Shortest span over which the real-time factor is measured.
const FACTOR_SPAN: Duration = Duration::from_secs(1);

/// Deadlines of control steps, and the real-time factor that comes of them.
#[derive(Debug)]
pub struct Pace {
    period: Duration,
    deadline: Instant,
    measured_from: Instant,
    measured_steps: u32,
    factor: f64,
}

impl Pace {
    /// Control steps of `period` simulated time, starting `now`.
    pub fn new(period: Duration, now: Instant) -> Self {
        Self { period, deadline: now, measured_from: now, measured_steps: 0, factor: 0.0 }
    }

    /// The time at which the step that begins `now` must end, at `factor` times real time.
    pub fn deadline(&mut self, now: Instant, factor: f64) -> Instant {
        self.deadline += self.period.div_f64(factor);
        if now.saturating_duration_since(self.deadline) > LARGEST_LAG {
            self.deadline = now;
        }
        self.deadline
    }

    /// Starts anew `now`, after a pause.
    pub fn restart(&mut self, now: Instant) {
        *self = Self::new(self.period, now);
    }

    /// Simulated over real time of the last second or more; zero until that has passed without a pause.
    pub fn factor(&self) -> f64 {
        self.factor
    }

    /// Notes a finished step.
    pub fn note_step(&mut self, now: Instant) {
        self.measured_steps += 1;
        let span = now.saturating_duration_since(self.measured_from);
        if span >= FACTOR_SPAN {
            self.factor = self.measured_steps as f64 * self.period.as_secs_f64() / span.as_secs_f64();
            (self.measured_from, self.measured_steps) = (now, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_millis(20);

    #[test]
    fn deadlines_do_not_drift_and_give_up_after_a_long_lag() {
        let start = Instant::now();
        let mut pace = Pace::new(PERIOD, start);
        assert_eq!(pace.deadline(start, 1.0), start + PERIOD);
        // The second step began late; its end is still due on the grid.
        assert_eq!(pace.deadline(start + Duration::from_millis(25), 1.0), start + 2 * PERIOD);
        assert_eq!(pace.deadline(start + Duration::from_millis(60), 2.0), start + 2 * PERIOD + PERIOD / 2);
        let late = start + Duration::from_secs(5);
        assert_eq!(pace.deadline(late, 1.0), late);
    }

    #[test]
    fn the_real_time_factor_is_measured_over_a_second() {
        let start = Instant::now();
        let mut pace = Pace::new(PERIOD, start);
        let mut factor_after = |step: u32| {
            pace.note_step(start + step * PERIOD / 2);
            pace.factor()
        };
        let factors: Vec<f64> = (1..=100).map(&mut factor_after).collect();
        assert_eq!(factors[10], 0.0);
        assert!((factors[99] - 2.0).abs() < 1e-9, "{}", factors[99]);
    }

    #[test]
    fn while_time_stands_still_the_factor_is_zero() {
        let start = Instant::now();
        let mut pace = Pace::new(PERIOD, start);
        (1..=100).for_each(|step| pace.note_step(start + step * PERIOD / 2));
        pace.restart(start + 100 * PERIOD);
        assert_eq!(pace.factor(), 0.0);
    }
}
