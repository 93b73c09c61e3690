//! What notices that commands have stopped.

use std::time::Duration;

/// What is known of the commands to a robot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Commanded {
    /// None has come yet: the motors hold the start pose.
    #[default]
    NotYet,
    /// They come.
    Yes,
    /// None has come for too long: the motors hold the pose that the robot was in then.
    NoMore,
}

/// What a step of a [`CommandWatchdog`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alarm {
    /// No command for this long: the robot has to hold its pose.
    Silent(Duration),
    /// A command again after this long.
    Over(Duration),
}

/// Watches over the commands of a simulated robot, as a motor controller does.
///
/// It begins with the first command. Silence counts in the robot's time and in real time, and the shorter of the two decides: in slow motion
/// commands are rare, and at many times real time a moment in which the machine does something else is long for the robot.
#[derive(Clone, Debug)]
pub struct CommandWatchdog {
    timeout: Duration,
    commanded: Commanded,
    /// Time since the last command: the robot's, and real.
    silence: [Duration; 2],
}

impl CommandWatchdog {
    /// A watchdog that bears a silence shorter than `timeout`; any, when that is zero.
    pub fn new(timeout: Duration) -> Self {
        Self { timeout, commanded: Commanded::default(), silence: [Duration::ZERO; 2] }
    }

    /// Looks before a control step, with or without a new command; `simulated` and `real` is the time since it last looked.
    pub fn look(&mut self, command: bool, simulated: Duration, real: Duration) -> Option<Alarm> {
        let [own, others] = &mut self.silence;
        (*own, *others) = (own.saturating_add(simulated), others.saturating_add(real));
        let (silence, before) = (self.silence(), self.commanded);
        if command {
            (self.commanded, self.silence) = (Commanded::Yes, [Duration::ZERO; 2]);
            return (before == Commanded::NoMore).then_some(Alarm::Over(silence));
        }
        let barks = before == Commanded::Yes && !self.timeout.is_zero() && silence >= self.timeout;
        barks.then(|| {
            self.commanded = Commanded::NoMore;
            Alarm::Silent(silence)
        })
    }

    /// Begins anew, with a robot in its start pose.
    pub fn restart(&mut self) {
        *self = Self::new(self.timeout);
    }

    /// What is known of the commands.
    pub fn commanded(&self) -> Commanded {
        self.commanded
    }

    /// Time since the last command, or since the start.
    pub fn silence(&self) -> Duration {
        self.silence[0].min(self.silence[1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_millis(20);
    const TIMEOUT: Duration = Duration::from_millis(100);

    /// Number of the first of many steps in silence that gives an alarm.
    fn barks_at(watchdog: &mut CommandWatchdog, simulated: Duration, real: Duration) -> Option<u32> {
        (1..1000).find(|_| watchdog.look(false, simulated, real).is_some())
    }

    #[test]
    fn silence_is_told_once_and_so_is_its_end() {
        let mut watchdog = CommandWatchdog::new(TIMEOUT);
        assert_eq!(watchdog.look(true, STEP, STEP), None);
        for _ in 0..4 {
            assert_eq!(watchdog.look(false, STEP, STEP), None);
        }
        assert_eq!(watchdog.commanded(), Commanded::Yes);
        assert_eq!(watchdog.look(false, STEP, STEP), Some(Alarm::Silent(TIMEOUT)));
        assert_eq!(watchdog.look(false, STEP, STEP), None);
        assert_eq!((watchdog.commanded(), watchdog.silence()), (Commanded::NoMore, 6 * STEP));
        assert_eq!(watchdog.look(true, STEP, STEP), Some(Alarm::Over(7 * STEP)));
        assert_eq!((watchdog.commanded(), watchdog.silence()), (Commanded::Yes, Duration::ZERO));
        assert_eq!(barks_at(&mut watchdog, STEP, STEP), Some(5), "the second silence");
    }

    #[test]
    fn a_command_in_time_puts_it_off() {
        let mut watchdog = CommandWatchdog::new(TIMEOUT);
        for step in 0..100 {
            assert_eq!(watchdog.look(step % 4 == 0, STEP, STEP), None);
        }
    }

    #[test]
    fn before_the_first_command_and_after_a_restart_there_is_nothing_to_miss() {
        let mut watchdog = CommandWatchdog::new(TIMEOUT);
        assert_eq!(barks_at(&mut watchdog, STEP, STEP), None);
        watchdog.look(true, STEP, STEP);
        assert_eq!(barks_at(&mut watchdog, STEP, STEP), Some(5));
        watchdog.restart();
        assert_eq!((watchdog.commanded(), watchdog.silence()), (Commanded::NotYet, Duration::ZERO));
        assert_eq!(barks_at(&mut watchdog, STEP, STEP), None);
    }

    #[test]
    fn a_timeout_of_zero_bears_any_silence() {
        let mut watchdog = CommandWatchdog::new(Duration::ZERO);
        watchdog.look(true, STEP, STEP);
        assert_eq!(barks_at(&mut watchdog, STEP, STEP), None);
    }

    #[test]
    fn the_slower_of_both_clocks_decides() {
        let mut watchdog = CommandWatchdog::new(TIMEOUT);
        watchdog.look(true, STEP, STEP);
        // Fifty times real time: a hundred milliseconds of both are five seconds of the robot's.
        assert_eq!(barks_at(&mut watchdog, STEP, STEP / 50), Some(250));
        watchdog.look(true, STEP, STEP);
        // A fiftieth of it: commands come once a second.
        assert_eq!(barks_at(&mut watchdog, STEP, STEP * 50), Some(5));
    }
}
