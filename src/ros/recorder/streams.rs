//! Several subscriptions of one topic, the older ones beside the newest until it has taken over: none loses a message then, and at the end
//! one may be written twice.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

/// How long older subscriptions go on beside a newer one. Publishers hear of it within milliseconds, but the announcement may be lost,
/// and is repeated after 3 s.
const OVERLAP: Duration = Duration::from_secs(5);
/// Subscriptions that a topic can have: one that asks for all, and two that each ask for less.
const MOST: usize = 3;

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is new.
    Record,
    /// Another subscription brought it before.
    Known,
    /// Its subscription is no longer needed.
    Ended,
}

/// The subscriptions of one topic, by number, the newest with the highest.
#[derive(Default)]
pub struct Streams {
    newest: usize,
    /// When the older ones end; None: they have.
    end: Option<Instant>,
    /// How often each brought the messages of a hash since there is another.
    brought: HashMap<u64, [u32; MOST]>,
    hasher: RandomState,
}

impl Streams {
    /// Adds a subscription that brings all that the others do, and more. Returns its number; the first, 0, is there from the start.
    pub fn add(&mut self, now: Instant) -> usize {
        self.newest += 1;
        self.end = Some(now + OVERLAP);
        self.newest
    }

    /// What becomes of the message `data`, which the subscription `number` brings now.
    ///
    /// It is new when no other subscription has brought as many of the same bytes: so messages that say the same are told apart by
    /// their number. Only of two publishers that send the very same bytes some may be lost, before the newest subscription hears both.
    pub fn take(&mut self, number: usize, data: &[u8], now: Instant) -> Verdict {
        match self.end {
            Some(end) if now < end => {
                let brought = self.brought.entry(self.hasher.hash_one(data)).or_default();
                let most = brought.iter().copied().max().unwrap_or(0);
                let Some(own) = brought.get_mut(number) else { return Verdict::Record };
                *own += 1;
                if *own > most { Verdict::Record } else { Verdict::Known }
            }
            _ if number < self.newest => Verdict::Ended,
            _ => {
                if self.end.take().is_some() {
                    self.brought = HashMap::new();
                }
                Verdict::Record
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_two_subscriptions_bring_is_recorded_once() {
        let (mut streams, start) = (Streams::default(), Instant::now());
        let mut take = |number, data: &[u8]| streams.take(number, data, start);
        assert_eq!(take(0, b"alone"), Verdict::Record);
        assert_eq!(streams.add(start), 1);
        let mut take = |number, data: &[u8]| streams.take(number, data, start);
        // Whichever is first; what only one of them brings is recorded all the same.
        assert_eq!((take(0, b"a"), take(1, b"a")), (Verdict::Record, Verdict::Known));
        assert_eq!((take(1, b"b"), take(0, b"b")), (Verdict::Record, Verdict::Known));
        assert_eq!((take(0, b"old"), take(1, b"new")), (Verdict::Record, Verdict::Record));
        // Two that say the same are two, not four.
        let all = [take(0, b"c"), take(0, b"c"), take(1, b"c"), take(1, b"c")];
        assert_eq!(all, [Verdict::Record, Verdict::Record, Verdict::Known, Verdict::Known]);
        // A third one beside both.
        assert_eq!(streams.add(start), 2);
        let all = [2, 0, 1].map(|number| streams.take(number, b"d", start));
        assert_eq!(all, [Verdict::Record, Verdict::Known, Verdict::Known]);
    }

    #[test]
    fn an_older_subscription_ends_once_the_newest_has_taken_over() {
        let (mut streams, start) = (Streams::default(), Instant::now());
        streams.add(start);
        assert_eq!(streams.take(0, b"last", start + OVERLAP - Duration::from_millis(1)), Verdict::Record);
        assert_eq!(streams.take(0, b"next", start + OVERLAP), Verdict::Ended);
        assert_eq!(streams.take(1, b"next", start + OVERLAP + Duration::from_millis(1)), Verdict::Record);
        // From then on nothing is compared or kept.
        let later = start + OVERLAP + Duration::from_secs(1);
        assert_eq!([streams.take(1, b"next", later), streams.take(1, b"next", later)], [Verdict::Record; 2]);
        assert_eq!((streams.take(0, b"late", later), streams.brought.len()), (Verdict::Ended, 0));
    }
}
