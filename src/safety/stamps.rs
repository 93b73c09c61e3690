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

/// Watches the stamps of one sensor.
///
/// A stamp that goes back a little belongs to a message that was overtaken; one that goes back far, or forward much
/// further than time has passed, says that a clock was set.
#[derive(Clone, Debug)]
pub struct StampWatch {
    jump: i64,
    last: Option<(Stamp, i64)>,
}

impl StampWatch {
    /// Stamps that jump by `jump` \[ns\] or more count as those of a clock that was set.
    pub fn new(jump: i64) -> Self {
        Self { jump, last: None }
    }

    /// Notes a message of `stamp` that arrived at `now` \[ns, steady clock\].
    pub fn note(&mut self, stamp: Stamp, now: i64) -> Result<(), StampFault> {
        let Some((last_stamp, last_now)) = self.last else {
            self.last = Some((stamp, now));
            return Ok(());
        };
        let (advance, passed) = (stamp.saturating_sub(last_stamp), now.saturating_sub(last_now).max(0));
        if advance < 0 && advance > -self.jump {
            return Err(StampFault::Reordered { late_ns: -advance });
        }
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
    fn a_silence_and_a_pause_are_no_jumps() {
        let mut watch = StampWatch::new(1000 * MS);
        assert_eq!(watch.note(0, 0), Ok(()));
        assert_eq!(watch.note(60_000 * MS, 60_000 * MS), Ok(()));
        assert_eq!(watch.note(60_020 * MS, 120_000 * MS), Ok(()));
    }
}
