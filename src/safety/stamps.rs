//! The order of messages, told from their stamps.

use crate::robot::Stamp;

/// What is wrong with a stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StampFault {
    /// The message is older than one that came before it.
    #[error("it is {late_ns} ns older than one that came before")]
    Reordered {
        /// By how much \[ns\].
        late_ns: i64,
    },
    /// The clock was set: the message is taken, as the first of a new time.
    #[error("its stamp jumped by {jump_ns} ns against the steady clock")]
    ClockJump {
        /// By how much \[ns\].
        jump_ns: i64,
    },
}

/// Changes of stamps from message to message, in a row, after which a sensor counts as one that stamps each of them.
const CHANGES: u8 = 2;

/// Tells what a sensor only repeats from what it says anew.
///
/// A driver whose read loop has died may well send its last message for ever. One that never stamps its messages, or each in whole seconds,
/// cannot be told from that and is believed; so is a simulator that waits for its first command, although a reset changes its stamps once.
#[derive(Clone, Copy, Debug, Default)]
pub struct RepeatWatch {
    last: Option<Stamp>,
    /// Changes in a row, until they are enough.
    changes: u8,
}

impl RepeatWatch {
    /// Notes a message of `stamp`. Whether it only repeats the one before it, of a sensor that has stamped each message before.
    pub fn repeats(&mut self, stamp: Stamp) -> bool {
        let is_same = self.last == Some(stamp);
        if self.changes < CHANGES {
            self.changes = if is_same || self.last.is_none() { 0 } else { self.changes + 1 };
        }
        self.last = Some(stamp);
        is_same && self.changes == CHANGES
    }
}

/// Watches the stamps of one sensor.
///
/// A stamp that goes back a little belongs to a message that was overtaken; one that goes back far, or forward much
/// further than time has passed, says that a clock was set.
#[derive(Clone, Debug)]
pub struct StampWatch {
    jump: i64,
    last: Option<(Stamp, i64)>,
    repeated: RepeatWatch,
    repeats: bool,
}

impl StampWatch {
    /// Stamps that jump by `jump` \[ns\] or more count as those of a clock that was set.
    pub fn new(jump: i64) -> Self {
        Self { jump, last: None, repeated: RepeatWatch::default(), repeats: false }
    }

    /// Whether the last message only repeated the one before it, as [`RepeatWatch`] tells it. That is no fault, but nothing new either.
    pub fn repeats(&self) -> bool {
        self.repeats
    }

    /// Notes a message of `stamp` that arrived at `now` \[ns, steady clock\].
    pub fn note(&mut self, stamp: Stamp, now: i64) -> Result<(), StampFault> {
        let (last_stamp, last_now) = self.last.unwrap_or((stamp, now));
        let (advance, passed) = (stamp.saturating_sub(last_stamp), now.saturating_sub(last_now).max(0));
        if advance < 0 && advance > -self.jump {
            self.repeats = false;
            return Err(StampFault::Reordered { late_ns: -advance });
        }
        self.repeats = self.repeated.repeats(stamp);
        self.last = Some((stamp, now));
        // Time that passed without messages is a silence, not a jump; and simulated time may stand still.
        let jump = if advance < 0 { advance } else { advance.saturating_sub(passed) };
        if advance < 0 || jump >= self.jump { Err(StampFault::ClockJump { jump_ns: jump }) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;

    #[test]
    fn overtaken_messages_are_told_from_clocks_that_were_set() {
        let mut watch = StampWatch::new(1000 * MS);
        assert_eq!(watch.note(5_000 * MS, 0), Ok(()));
        assert_eq!(watch.note(5_020 * MS, 20 * MS), Ok(()));
        assert_eq!(watch.note(5_010 * MS, 21 * MS), Err(StampFault::Reordered { late_ns: 10 * MS }));
        assert_eq!(watch.note(5_020 * MS, 22 * MS), Ok(()), "a repeated message");
        assert_eq!(watch.note(9_000 * MS, 40 * MS), Err(StampFault::ClockJump { jump_ns: 3_980 * MS - 18 * MS }));
        assert_eq!(watch.note(9_020 * MS, 60 * MS), Ok(()));
        assert_eq!(watch.note(20 * MS, 80 * MS), Err(StampFault::ClockJump { jump_ns: -9_000 * MS }));
        assert_eq!(watch.note(40 * MS, 100 * MS), Ok(()));
    }

    #[test]
    fn a_message_that_repeats_the_one_before_it_is_told_from_one_of_a_driver_that_never_stamps() {
        let mut watch = RepeatWatch::default();
        assert!((0..10).all(|_| !watch.repeats(0)), "a driver without stamps");
        assert_eq!([20, 20, 40, 40, 40].map(|stamp| watch.repeats(stamp * MS)), [false; 5], "a simulator before its first step");
        assert_eq!([60, 80, 80, 80, 100].map(|stamp| watch.repeats(stamp * MS)), [false, false, true, true, false]);
        assert_eq!([5, 5].map(|stamp| watch.repeats(stamp * MS)), [false, true], "a clock that was set back");
    }

    #[test]
    fn a_repeated_message_is_no_fault_and_an_overtaken_one_no_repetition() {
        let mut watch = StampWatch::new(1000 * MS);
        let mut note = |stamp: i64| (watch.note(stamp * MS, 0).is_ok(), watch.repeats());
        assert_eq!([20, 20, 40, 60].map(&mut note), [(true, false); 4]);
        assert_eq!([60, 50, 60, 80].map(&mut note), [(true, true), (false, false), (true, true), (true, false)]);
    }

    #[test]
    fn a_silence_and_a_pause_are_no_jumps() {
        let mut watch = StampWatch::new(1000 * MS);
        assert_eq!(watch.note(0, 0), Ok(()));
        assert_eq!(watch.note(60_000 * MS, 60_000 * MS), Ok(()));
        assert_eq!(watch.note(60_020 * MS, 120_000 * MS), Ok(()));
    }
}
