//! Which of the wanted topics exist, and subscribing them with a QoS that fits their publishers.

use std::time::{Duration, Instant};

use futures::future::LocalBoxFuture;
use futures::{FutureExt, StreamExt};
use r2r::qos::{DurabilityPolicy, ReliabilityPolicy};
use r2r::{Node, QosProfile};

use super::definitions::definition;
use super::queue::Queue;
use crate::recording::{Topic, TopicQos};

/// How often topics that were not there yet are looked for.
const LOOK_PERIOD: Duration = Duration::from_millis(100);
/// Messages that a topic may bring between two spins; as many as the policy latches steps.
const DEPTH: usize = 1000;

/// Looks for topics until all of them are subscribed.
pub struct Discovery {
    wanted: Vec<String>,
    opened: usize,
    queue: Queue,
    next_look: Instant,
}

impl Discovery {
    /// For the topics `wanted`, by their full names.
    pub fn new(wanted: Vec<String>, queue: Queue) -> Self {
        Self { wanted, opened: 0, queue, next_look: Instant::now() }
    }

    /// Subscribes what has come since the last look. The tasks take the messages.
    pub fn look(&mut self, node: &mut Node) -> Vec<LocalBoxFuture<'static, ()>> {
        let now = Instant::now();
        if now < self.next_look {
            return Vec::new();
        }
        self.next_look = now + LOOK_PERIOD;
        let mut tasks = Vec::new();
        for name in std::mem::take(&mut self.wanted) {
            match self.subscribe(node, &name) {
                Ok(Some(task)) => tasks.push(task),
                Ok(None) => self.wanted.push(name),
                Err(reason) => tracing::warn!("{name} is not recorded: {reason}"),
            }
        }
        tasks
    }

    /// Subscribes `name`; None while nobody publishes it.
    fn subscribe(&mut self, node: &mut Node, name: &str) -> Result<Option<LocalBoxFuture<'static, ()>>, String> {
        let publishers = node.get_publishers_info_by_topic(name, false).map_err(|error| error.to_string())?;
        let Some(first) = publishers.first() else { return Ok(None) };
        let kind = first.topic_type.clone();
        if let Some(other) = publishers.iter().find(|other| other.topic_type != kind) {
            return Err(format!("its publishers disagree about its type: {kind} and {}", other.topic_type));
        }
        let is_reliable = |publisher: &QosProfile| publisher.reliability == ReliabilityPolicy::Reliable;
        let is_latched = |publisher: &QosProfile| publisher.durability == DurabilityPolicy::TransientLocal;
        // What every publisher offers: more would leave some of them out, less could lose messages.
        let mut qos = QosProfile::default().keep_last(DEPTH);
        if !publishers.iter().all(|publisher| is_reliable(&publisher.qos_profile)) {
            qos = qos.best_effort();
        }
        if publishers.iter().all(|publisher| is_latched(&publisher.qos_profile)) {
            qos = qos.transient_local();
        }
        let offered = publishers.iter().map(|publisher| &publisher.qos_profile);
        let offered = offered.map(|offered| TopicQos::new(is_reliable(offered), is_latched(offered))).collect();
        let definition = definition(&kind).map_err(|error| error.to_string())?;
        let messages = node.subscribe_raw(name, &kind, qos).map_err(|error| match error {
            r2r::Error::InvalidMessageType { .. } => format!("its type {kind} is none that this recorder was built with"),
            other => other.to_string(),
        })?;
        let entry = self.queue.open(self.opened, Topic { name: name.to_owned(), definition, qos: offered });
        self.opened += 1;
        tracing::info!("recording {name} ({kind})");
        let take = messages.for_each(move |data| {
            entry.push(data);
            std::future::ready(())
        });
        Ok(Some(take.boxed_local()))
    }
}
