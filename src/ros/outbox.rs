//! From the control thread to the publishing thread: a bounded queue of reused messages.
//!
//! The control thread must neither allocate nor wait, and publishing does both. So it fills a parcel from a fixed stock, queues it and wakes the
//! publishing thread; an empty stock means that publishing lags behind, and is counted. Both ways are wait-free: a thread of real-time priority
//! that spins for another one on the same processor spins for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::Thread;
use std::time::Duration;

use rtrb::{Consumer, Producer, RingBuffer};

/// Longest time that a stop request goes unnoticed.
const STOP_LATENCY: Duration = Duration::from_millis(50);

/// The sending end, for one thread.
pub struct Outbox<T> {
    stock: Consumer<Box<T>>,
    queue: Producer<Box<T>>,
    dropped: Arc<AtomicU64>,
    receiver: Option<Thread>,
}

/// The publishing end, for one thread.
pub struct Inbox<T> {
    queue: Consumer<Box<T>>,
    stock: Producer<Box<T>>,
    dropped: Arc<AtomicU64>,
}

/// A queue of at most `size` parcels, each made by `make`.
pub fn outbox<T>(size: usize, make: impl Fn() -> T) -> (Outbox<T>, Inbox<T>) {
    let ((queue, queued), (mut restock, stock)) = (RingBuffer::new(size), RingBuffer::new(size));
    for _ in 0..size {
        // The stock has room for just these.
        let _ = restock.push(Box::new(make()));
    }
    let dropped = Arc::new(AtomicU64::new(0));
    (Outbox { stock, queue, dropped: dropped.clone(), receiver: None }, Inbox { queue: queued, stock: restock, dropped })
}

impl<T> Outbox<T> {
    /// Names the thread to wake, that of the [`Inbox`].
    pub fn wakes(&mut self, receiver: Thread) {
        self.receiver = Some(receiver);
    }

    /// Queues a parcel that `fill` fills. Returns false, and counts, when publishing lags so far behind that there is none left.
    pub fn send(&mut self, fill: impl FnOnce(&mut T)) -> bool {
        let Ok(mut parcel) = self.stock.pop() else {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return false;
        };
        fill(&mut parcel);
        // There are as many places as parcels.
        let _ = self.queue.push(parcel);
        if let Some(receiver) = &self.receiver {
            receiver.unpark();
        }
        true
    }
}

impl<T> Inbox<T> {
    /// Gives every parcel to `publish`, and says in the log when some were lost.
    pub fn drain(&mut self, mut publish: impl FnMut(&T)) {
        while let Ok(parcel) = self.queue.pop() {
            publish(&parcel);
            let _ = self.stock.push(parcel);
        }
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            tracing::warn!("publishing lags behind: {dropped} steps were not published");
        }
    }

    /// Whether no more parcel will come.
    pub fn has_ended(&self) -> bool {
        // Looked at in this order: what was sent last is there when the sender is gone.
        self.queue.is_abandoned() && self.queue.is_empty()
    }
}

/// Waits on a publishing thread until it is woken, but not so long that a stop request would go unnoticed.
pub fn wait() {
    std::thread::park_timeout(STOP_LATENCY);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parcels_arrive_in_order_and_an_empty_stock_refuses() {
        let (mut outbox, mut inbox) = outbox(2, || 0);
        assert!(outbox.send(|parcel| *parcel = 1));
        assert!(outbox.send(|parcel| *parcel = 2));
        assert!(!outbox.send(|parcel| *parcel = 3));
        let mut seen = Vec::new();
        inbox.drain(|parcel| seen.push(*parcel));
        assert_eq!(seen, [1, 2]);
        assert!(outbox.send(|parcel| *parcel = 4));
    }

    #[test]
    fn a_queue_ends_when_its_last_parcel_is_out() {
        let (mut outbox, mut inbox) = outbox(2, || 0);
        assert!(outbox.send(|parcel| *parcel = 1));
        assert!(!inbox.has_ended());
        drop(outbox);
        assert!(!inbox.has_ended());
        inbox.drain(|_| ());
        assert!(inbox.has_ended());
    }
}
