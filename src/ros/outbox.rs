//! From the control thread to the publishing thread: a bounded queue of reused messages.
//!
//! The control thread must neither allocate nor wait, and publishing does both. So it fills a parcel from a fixed stock, queues it and wakes the
//! publishing thread; an empty stock means that publishing lags behind, and is counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::Thread;
use std::time::Duration;

use crossbeam_queue::ArrayQueue;

/// Longest time that a stop request goes unnoticed.
const STOP_LATENCY: Duration = Duration::from_millis(50);

struct Shared<T> {
    stock: ArrayQueue<Box<T>>,
    queue: ArrayQueue<Box<T>>,
    dropped: AtomicU64,
}

/// The sending end, for one thread.
pub struct Outbox<T> {
    shared: Arc<Shared<T>>,
    receiver: Option<Thread>,
}

/// The publishing end, for one thread.
pub struct Inbox<T> {
    shared: Arc<Shared<T>>,
}

/// A queue of at most `size` parcels, each made by `make`.
pub fn outbox<T>(size: usize, make: impl Fn() -> T) -> (Outbox<T>, Inbox<T>) {
    let shared = Arc::new(Shared { stock: ArrayQueue::new(size), queue: ArrayQueue::new(size), dropped: AtomicU64::new(0) });
    for _ in 0..size {
        // The stock has room for just these.
        let _ = shared.stock.push(Box::new(make()));
    }
    (Outbox { shared: shared.clone(), receiver: None }, Inbox { shared })
}

impl<T> Outbox<T> {
    /// Names the thread to wake, that of the [`Inbox`].
    pub fn wakes(&mut self, receiver: Thread) {
        self.receiver = Some(receiver);
    }

    /// Queues a parcel that `fill` fills. Returns false, and counts, when publishing lags so far behind that there is none left.
    pub fn send(&mut self, fill: impl FnOnce(&mut T)) -> bool {
        let Some(mut parcel) = self.shared.stock.pop() else {
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
            return false;
        };
        fill(&mut parcel);
        // There are as many places as parcels.
        let _ = self.shared.queue.push(parcel);
        if let Some(receiver) = &self.receiver {
            receiver.unpark();
        }
        true
    }
}

impl<T> Inbox<T> {
    /// Gives every parcel to `publish`, and says in the log when some were lost.
    pub fn drain(&self, mut publish: impl FnMut(&T)) {
        while let Some(parcel) = self.shared.queue.pop() {
            publish(&parcel);
            let _ = self.shared.stock.push(parcel);
        }
        let dropped = self.shared.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            tracing::warn!("publishing lags behind: {dropped} steps were not published");
        }
    }

    /// Waits for the next parcel, but not so long that a stop request would go unnoticed.
    pub fn wait() {
        std::thread::park_timeout(STOP_LATENCY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parcels_arrive_in_order_and_an_empty_stock_refuses() {
        let (mut outbox, inbox) = outbox(2, || 0);
        assert!(outbox.send(|parcel| *parcel = 1));
        assert!(outbox.send(|parcel| *parcel = 2));
        assert!(!outbox.send(|parcel| *parcel = 3));
        let mut seen = Vec::new();
        inbox.drain(|parcel| seen.push(*parcel));
        assert_eq!(seen, [1, 2]);
        assert!(outbox.send(|parcel| *parcel = 4));
    }
}
