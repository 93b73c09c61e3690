//! Messages that were refused: counted, and named in the log without flooding it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Shortest time between two warnings about the same topic.
const WARNING_PERIOD: Duration = Duration::from_secs(1);

/// Two subscriptions of one topic bring a message within less than this; later it is another one that says the same.
const COPY_PERIOD: Duration = Duration::from_secs(1);

/// Counts the rejected messages of a whole node.
#[derive(Clone, Debug, Default)]
pub struct RejectionCount(Arc<AtomicU64>);

impl RejectionCount {
    /// Messages rejected so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Notes the rejected messages of one topic.
#[derive(Debug)]
pub struct Rejections {
    topic: String,
    count: RejectionCount,
    unsaid: u64,
    last_warning: Option<Instant>,
}

impl Rejections {
    /// Of `topic`, counted in `count` too.
    pub fn new(topic: &str, count: &RejectionCount) -> Self {
        Self { topic: topic.to_owned(), count: count.clone(), unsaid: 0, last_warning: None }
    }

    /// Notes one rejected message; warns at most once a second.
    pub fn note(&mut self, reason: &dyn std::fmt::Display) {
        self.count.0.fetch_add(1, Ordering::Relaxed);
        self.unsaid += 1;
        if self.last_warning.is_none_or(|last| last.elapsed() >= WARNING_PERIOD) {
            tracing::warn!("{}: message ignored: {reason} ({} since the last warning)", self.topic, self.unsaid);
            self.last_warning = Some(Instant::now());
            self.unsaid = 0;
        }
    }
}

/// Tells which messages are copies where two subscriptions of one topic each bring what a reliable publisher sends.
#[derive(Debug, Default)]
pub struct Copies([Option<Brought>; 2]);

/// What a subscription brought last.
#[derive(Clone, Copy, Debug)]
struct Brought {
    message: u32,
    /// How often, less the copies that the other subscription has brought since.
    count: u32,
    at: Instant,
}

impl Copies {
    /// Whether the other subscription has brought the `message` that the subscription `number`, 0 or 1, brings at the time `now`.
    pub fn is_copy(&mut self, number: usize, message: u32, now: Instant) -> bool {
        let [first, second] = &mut self.0;
        let (own, other) = if number == 0 { (first, second) } else { (second, first) };
        let is_same = |brought: &Brought| brought.message == message && now.duration_since(brought.at) < COPY_PERIOD;
        if let Some(known) = other
            && known.count > 0
            && is_same(known)
        {
            known.count -= 1;
            return true;
        }
        let count = match *own {
            Some(brought) if is_same(&brought) => brought.count,
            _ => 0,
        };
        *own = Some(Brought { message, count: count.saturating_add(1), at: now });
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_two_subscriptions_bring_is_one() {
        let (mut copies, start) = (Copies::default(), Instant::now());
        let mut new = |number, message| !copies.is_copy(number, message, start);
        assert_eq!([new(0, 7), new(1, 7)], [true, false]);
        assert_eq!([new(1, 7), new(0, 7)], [true, false], "whichever is first");
        assert_eq!([new(0, 7), new(0, 7), new(1, 7), new(1, 7)], [true, true, false, false], "two that say the same are two");
        assert_eq!([new(1, 8), new(1, 8), new(1, 9)], [true; 3], "what only one of them brings");
        assert!(copies.is_copy(0, 9, start + Duration::from_millis(100)));
        assert!(!copies.is_copy(1, 5, start) && !copies.is_copy(0, 5, start + COPY_PERIOD), "long after it is another");
    }
}
