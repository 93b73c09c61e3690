//! Messages that were refused: counted, and named in the log without flooding it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Shortest time between two warnings about the same topic.
const WARNING_PERIOD: Duration = Duration::from_secs(1);

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
