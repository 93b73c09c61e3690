//! From the spin thread to the writing thread: a queue that is bounded by its bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use crate::recording::{BagError, BagWriter, Topic, TopicId};
use crate::ros::clock::ros_time;
use crate::ros::stop::Stop;

/// Longest time that a stop request goes unnoticed.
const STOP_LATENCY: Duration = Duration::from_millis(50);

enum Item {
    Topic(Topic, Arc<AtomicU64>),
    Message { topic: usize, time: u64, data: Vec<u8> },
}

/// The end for the spin thread.
#[derive(Clone)]
pub struct Queue {
    items: Sender<Item>,
    bytes: Arc<AtomicUsize>,
    limit: usize,
}

/// The end for the writing thread.
pub struct Written {
    items: Receiver<Item>,
    bytes: Arc<AtomicUsize>,
    topics: Vec<(TopicId, Arc<AtomicU64>)>,
}

/// Where the messages of one topic go.
#[derive(Clone)]
pub struct Entry {
    queue: Queue,
    topic: usize,
    dropped: Arc<AtomicU64>,
}

/// A queue of at most `limit` bytes of messages.
pub fn queue(limit: usize) -> (Queue, Written) {
    let (sender, items) = channel();
    let bytes = Arc::new(AtomicUsize::new(0));
    (Queue { items: sender, bytes: bytes.clone(), limit }, Written { items, bytes, topics: Vec::new() })
}

impl Queue {
    /// Opens the topic that is the `number`th, counted from 0; topics must be opened in this order.
    pub fn open(&self, number: usize, topic: Topic) -> Entry {
        let dropped = Arc::new(AtomicU64::new(0));
        // Without a receiver the node is ending.
        let _ = self.items.send(Item::Topic(topic, dropped.clone()));
        Entry { queue: self.clone(), topic: number, dropped }
    }
}

impl Entry {
    /// Queues a message that arrives now, or counts it as lost when the queue is full.
    pub fn push(&self, data: Vec<u8>) {
        let Queue { items, bytes, limit } = &self.queue;
        let size = data.len();
        if bytes.fetch_add(size, Ordering::Relaxed) + size > *limit {
            bytes.fetch_sub(size, Ordering::Relaxed);
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        // As `ros2 bag record`: the node's time, which is never before 0.
        let _ = items.send(Item::Message { topic: self.topic, time: ros_time() as u64, data });
    }
}

impl Written {
    /// Writes what comes until a stop is requested and the queue is empty; then ends the bag. Every `flush_period` all is handed to the
    /// system, so that it survives the end of this program.
    ///
    /// # Errors
    /// [`BagError`] when the bag cannot be written.
    pub fn run(mut self, mut bag: BagWriter, flush_period: Duration, stop: &Stop) -> Result<(), BagError> {
        let mut last_flush = Instant::now();
        let mut warned = 0;
        loop {
            match self.items.recv_timeout(STOP_LATENCY) {
                Ok(item) => self.write(&mut bag, item)?,
                Err(RecvTimeoutError::Timeout) if !stop.is_requested() => {}
                Err(_) => break,
            }
            if last_flush.elapsed() >= flush_period {
                bag.flush()?;
                last_flush = Instant::now();
                let dropped = self.dropped();
                if dropped > warned {
                    tracing::warn!("the disk is too slow: {dropped} messages were not recorded so far");
                    warned = dropped;
                }
            }
        }
        for (topic, dropped) in &self.topics {
            bag.note_dropped(*topic, dropped.load(Ordering::Relaxed));
        }
        tracing::info!("{} messages in {}, {} lost", bag.messages(), bag.folder().display(), bag.dropped());
        bag.finish()
    }

    fn write(&mut self, bag: &mut BagWriter, item: Item) -> Result<(), BagError> {
        match item {
            Item::Topic(topic, dropped) => {
                let id = bag.add_topic(topic)?;
                self.topics.push((id, dropped));
                Ok(())
            }
            Item::Message { topic, time, data } => {
                self.bytes.fetch_sub(data.len(), Ordering::Relaxed);
                // Topics are opened before their messages come.
                match self.topics.get(topic) {
                    Some((id, _)) => bag.write(*id, time, time, &data),
                    None => Ok(()),
                }
            }
        }
    }

    fn dropped(&self) -> u64 {
        self.topics.iter().map(|(_, dropped)| dropped.load(Ordering::Relaxed)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::{Bag, MessageDefinition, WriterOptions};

    fn topic(name: &str) -> Topic {
        let definition = MessageDefinition::resolve("test/msg/Byte", |_, _| Some("uint8 byte\n".to_owned())).unwrap();
        Topic { name: name.to_owned(), definition, qos: Vec::new() }
    }

    #[test]
    fn what_does_not_fit_is_counted_and_all_else_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bag");
        let (queue, written) = queue(100);
        let (small, large) = (queue.open(0, topic("/small")), queue.open(1, topic("/large")));
        (0..10).for_each(|byte| small.push(vec![byte; 8]));
        (0..3).for_each(|byte| large.push(vec![byte; 30]));
        let stop = Stop::default();
        stop.request();
        let bag = BagWriter::create(&path, &WriterOptions::default()).unwrap();
        written.run(bag, Duration::from_millis(1), &stop).unwrap();
        let summary = Bag::open(&path).unwrap().verify().unwrap();
        let counts = |topic: &str| summary.topics.get(topic).map(|topic| (topic.messages, topic.dropped));
        assert_eq!((counts("/small"), counts("/large")), (Some((10, 0)), Some((0, 3))));
    }
}
