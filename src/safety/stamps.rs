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
/// Stamps from here on, the first second of the year 2000, are times of day \[ns since 1970\]. Simulated time begins at 0, as does that of a board
/// without a calendar.
const TIMES_OF_DAY: Stamp = 946_684_800_000_000_000;
/// The quickest way of a message may become longer by one part in so many of the time that passes, 1 ms in a second: to set a clock right, kernels
/// let it run up to 0.5 ms in a second too fast or too slow, more than good crystals do by themselves, and here are two clocks. It does not hold of
/// every clock: chrony lets one run up to 83 ms in a second off unless its `maxslewrate` is lower, and one that nothing sets right may be off by more
/// for good. Where that is so, lags must not count.
const DRIFT: i64 = 1000;
/// Silence after which nothing is known any more of the quickest way \[ns\]: longer than a link holds messages back, shorter than a computer takes
/// to start again, maybe with another time.
const FORGOTTEN: i64 = 10_000_000_000;
/// Overtaken messages in a row, each newer than the one before it, after which the clock counts as one that was set back a little.
const SET_BACK: u8 = 3;

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
        is_same && self.stamps_each()
    }

    /// Whether it is of a sensor that has stamped each message before.
    fn stamps_each(&self) -> bool {
        self.changes == CHANGES
    }
}

/// Tells by how much more than at best a sensor's messages are older than their arrival: behind a backlog they come at their full rate, but late.
///
/// How long a message is on its way, nobody knows, as its stamp is of another clock. But none was quicker than the one for which arrival and stamp
/// are least apart. What is later than that by less than lies between two messages is jitter, and not yet a backlog.
#[derive(Clone, Copy, Debug, Default)]
struct LagWatch {
    /// From the stamp to the arrival of the quickest message, and when that was known last \[ns\].
    quickest: Option<(i64, i64)>,
    lag: i64,
    /// The last message that was overtaken, from its stamp to its arrival \[ns\], and how many were in a row.
    overtaken: Option<(Stamp, i64, u8)>,
}

impl LagWatch {
    /// Notes a message that arrived at `now` and is by `interval` newer than the one before it.
    fn note(&mut self, stamp: Stamp, now: i64, interval: i64) {
        let way = now.saturating_sub(stamp);
        let quickest = self.quickest.and_then(|(quickest, known)| {
            let passed = now.saturating_sub(known).max(0);
            (passed < FORGOTTEN).then_some(quickest.saturating_add(passed / DRIFT))
        });
        let mut quickest = quickest.unwrap_or(way).min(way);
        // A backlog comes after a silence, and in order. What is late at once after an overtaken message is of a clock that was set back by less than
        // overtakes more of them, or follows a stamp that was ahead: how long messages are on their way by it, the overtaken one tells.
        if let Some((_, overtaken, _)) = self.overtaken
            && self.lag == 0
            && way.saturating_sub(quickest) > interval
        {
            quickest = overtaken.min(way);
        }
        let lag = way.saturating_sub(quickest);
        *self = Self { quickest: Some((quickest, now)), lag: if lag > interval { lag } else { 0 }, overtaken: None };
    }

    /// Notes a message that arrived at `now` and was overtaken. When time itself seems to have gone back, all begins anew.
    fn note_overtaken(&mut self, stamp: Stamp, now: i64) {
        let row = match self.overtaken {
            Some((last, _, row)) if stamp > last => row.saturating_add(1),
            _ => 1,
        };
        let way = now.saturating_sub(stamp);
        *self = if row < SET_BACK { Self { overtaken: Some((stamp, way, row)), ..*self } } else { Self::default() };
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
    lag: LagWatch,
}

impl StampWatch {
    /// Stamps that jump by `jump` \[ns\] or more count as those of a clock that was set.
    pub fn new(jump: i64) -> Self {
        Self { jump, last: None, repeated: RepeatWatch::default(), repeats: false, lag: LagWatch::default() }
    }

    /// Whether the last message only repeated the one before it, as [`RepeatWatch`] tells it. That is no fault, but nothing new either.
    pub fn repeats(&self) -> bool {
        self.repeats
    }

    /// By how much the last message that was taken is older than its arrival says \[ns\]: so much later than the quickest it came. 0 where stamps do
    /// not tell: of a sensor that does not stamp each message, or not with times of day, and within the time between two messages.
    ///
    /// It takes stamps that go at the pace of the steady clock, but for a drift of 1 ms in a second: a lag that stays is forgotten that fast, and a
    /// clock that loses more looks ever later (see [`SafetyDescription::counts_lag`](super::SafetyDescription::counts_lag)).
    pub fn lag(&self) -> i64 {
        self.lag.lag
    }

    /// Notes a message of `stamp` that arrived at `now` \[ns, steady clock\].
    pub fn note(&mut self, stamp: Stamp, now: i64) -> Result<(), StampFault> {
        let (last_stamp, last_now) = self.last.unwrap_or((stamp, now));
        let (advance, passed) = (stamp.saturating_sub(last_stamp), now.saturating_sub(last_now).max(0));
        if advance < 0 && advance > -self.jump {
            self.repeats = false;
            self.lag.note_overtaken(stamp, now);
            return Err(StampFault::Reordered { late_ns: -advance });
        }
        self.repeats = self.repeated.repeats(stamp);
        self.last = Some((stamp, now));
        // Time that passed without messages is a silence, not a jump; and simulated time may stand still.
        let jump = if advance < 0 { advance } else { advance.saturating_sub(passed) };
        let is_set = advance < 0 || jump >= self.jump;
        if is_set {
            self.lag = LagWatch::default();
        }
        if stamp >= TIMES_OF_DAY && self.repeated.stamps_each() && !self.repeats {
            self.lag.note(stamp, now, advance);
        }
        if is_set { Err(StampFault::ClockJump { jump_ns: jump }) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;
    /// Some time of day.
    const TODAY: Stamp = 1_750_000_000_000 * MS;

    #[test]
    fn values_that_arrive_late_at_their_full_rate_are_old_until_the_lag_is_gone() {
        let mut watch = StampWatch::new(1000 * MS);
        let mut lag = |stamp: i64, now: i64| {
            assert_eq!(watch.note(TODAY + stamp * MS, now * MS), Ok(()));
            watch.lag()
        };
        for step in 0..50 {
            assert_eq!(lag(20 * step, 20 * step + 7 + step % 3 * 5), 0, "jitter");
        }
        // The link stood still for half a second, and all that was sent since then waits in line.
        for step in 50..100 {
            let late = lag(20 * step, 20 * step + 507);
            assert!((498 * MS..=500 * MS).contains(&late), "{late} ns in step {step}");
        }
        // What waits comes at once; the last message was not held up.
        let last = [(100, 2510), (112, 2510), (125, 2511), (126, 2531)].map(|(step, now)| lag(20 * step, now));
        assert!(last[0] > 490 * MS && (200 * MS..last[0]).contains(&last[1]), "{last:?}");
        assert_eq!(last[2..], [0, 0]);
    }

    #[test]
    fn only_stamps_that_are_times_of_day_and_of_each_message_tell_of_a_lag() {
        let largest = |stamp: fn(i64) -> Stamp| {
            let mut watch = StampWatch::new(1000 * MS);
            let mut lag = |step: i64| {
                _ = watch.note(stamp(step), 20 * MS * step);
                watch.lag()
            };
            (0..50_000).map(&mut lag).max()
        };
        assert_eq!(largest(|_| 0), Some(0), "a driver without stamps");
        assert_eq!(largest(|_| TODAY), Some(0), "a stamp that never changes");
        assert_eq!(largest(|step| TODAY + step / 50 * 1000 * MS), Some(0), "whole seconds");
        assert_eq!(largest(|step| 10 * MS * step), Some(0), "a simulator at half of real time");
        assert_eq!(largest(|step| TODAY + 20 * MS * step - step * MS / 50), Some(0), "a clock that loses 1 ms in a second");
        assert!(largest(|step| TODAY + 20 * MS * step - step * MS / 25) > Some(900 * MS), "one that loses 2 ms in a second");
    }

    #[test]
    fn a_clock_that_is_set_and_a_long_silence_make_no_value_old() {
        let mut watch = StampWatch::new(1000 * MS);
        let mut lag = |offset: i64, steps: std::ops::Range<i64>| {
            let mut lag = |step: i64| {
                _ = watch.note(TODAY + (20 * step + offset) * MS, 20 * step * MS);
                watch.lag()
            };
            steps.map(&mut lag).max()
        };
        assert_eq!(lag(0, 0..50), Some(0));
        for (offset, steps) in [(-30, 50..100), (0, 100..150), (-50, 150..200), (0, 200..250)] {
            assert_eq!(lag(offset, steps), Some(0), "set by {offset} ms: one or two messages seem overtaken");
        }
        assert_eq!([lag(30, 250..251), lag(0, 251..300)], [Some(0); 2], "a single stamp that is ahead");
        assert_eq!(lag(-200, 300..450), Some(0), "set back by less than counts as a jump");
        assert_eq!(lag(-5_000, 450..550), Some(0), "set back by more");
        assert_eq!(lag(60_000, 550..650), Some(0), "set forward");
        assert_eq!(lag(30_000, 2500..2600), Some(0), "a computer that was switched off and has lost half a minute");
        assert!(lag(29_900, 2610..2650) > Some(95 * MS), "a short silence");
    }

    #[test]
    fn one_overtaken_message_does_not_end_a_lag() {
        let mut watch = StampWatch::new(1000 * MS);
        for step in 0..10 {
            watch.note(TODAY + 20 * step * MS, 20 * step * MS).unwrap();
        }
        for (stamp, now) in [(200, 700), (240, 740), (220, 745), (260, 760)] {
            _ = watch.note(TODAY + stamp * MS, now * MS);
            assert!(watch.lag() > 490 * MS, "{} ns", watch.lag());
        }
    }

    #[test]
    fn an_overtaken_message_before_a_backlog_does_not_hide_it() {
        let mut watch = StampWatch::new(1000 * MS);
        for step in 0..10 {
            watch.note(TODAY + 20 * step * MS, 20 * step * MS).unwrap();
        }
        for (stamp, now) in [(220, 220), (200, 225)] {
            _ = watch.note(TODAY + stamp * MS, now * MS);
            assert_eq!(watch.lag(), 0);
        }
        for (stamp, now) in [(240, 740), (260, 760)] {
            assert_eq!(watch.note(TODAY + stamp * MS, now * MS), Ok(()));
            assert!(watch.lag() > 470 * MS, "{} ns", watch.lag());
        }
    }

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
