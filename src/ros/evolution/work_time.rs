//! How long a generation has been worked on.

use std::time::Duration;

/// Time since the beginning of a generation, without that in which nobody worked: it would say nothing about the pace.
#[derive(Debug, Default)]
pub struct WorkTime {
    began: Duration,
    idle: Duration,
    looked: Duration,
    /// Whether there was work at the last look.
    works: bool,
}

impl WorkTime {
    /// Begins a generation, with or without work as at the last look.
    pub fn begin(&mut self, now: Duration) {
        *self = Self { began: now, idle: Duration::ZERO, looked: now, works: self.works };
    }

    /// Notes whether there is work from now on.
    pub fn look(&mut self, now: Duration, works: bool) {
        self.idle = self.idle_until(now);
        (self.looked, self.works) = (now, works);
    }

    /// How long it has been worked on.
    pub fn passed(&self, now: Duration) -> Duration {
        now.saturating_sub(self.began).saturating_sub(self.idle_until(now))
    }

    fn idle_until(&self, now: Duration) -> Duration {
        if self.works { self.idle } else { self.idle + now.saturating_sub(self.looked) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_pause_neither_counts_nor_takes_away_what_was_worked_before_it() {
        let mut time = WorkTime::default();
        time.begin(s(5));
        time.look(s(5), true);
        time.look(s(60), true);
        time.look(s(125), false);
        assert_eq!(time.passed(s(150)), s(120));
        time.look(s(185), true);
        assert_eq!(time.passed(s(195)), s(130));
    }

    #[test]
    fn waiting_for_workers_does_not_count_and_the_next_generation_begins_as_the_last_one_ended() {
        let mut time = WorkTime::default();
        time.begin(s(0));
        time.look(s(60), true);
        assert_eq!(time.passed(s(70)), s(10));
        time.begin(s(70));
        assert_eq!(time.passed(s(75)), s(5));
        time.look(s(75), false);
        time.begin(s(80));
        assert_eq!(time.passed(s(90)), s(0));
    }
}
