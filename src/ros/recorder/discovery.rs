//! Which of the wanted topics exist, and subscribing them with a QoS that fits their publishers, also those that come later.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::future::LocalBoxFuture;
use futures::{FutureExt, Stream, StreamExt};
use r2r::qos::{DurabilityPolicy, ReliabilityPolicy};
use r2r::{Node, QosProfile};

use super::definitions::definition;
use super::queue::{Entry, Queue};
use super::streams::{Streams, Verdict};
use crate::recording::{Topic, TopicQos};
use crate::ros::clock::ros_time;

/// How often topics that were not there yet are looked for.
const LOOK_PERIOD: Duration = Duration::from_millis(100);
/// How often publishers that offer less than those before them are, and topics that could not be recorded.
const LOOK_AGAIN_PERIOD: Duration = Duration::from_secs(1);
/// How long a topic, or the time, may stay away before the log says so.
const PATIENCE: Duration = Duration::from_secs(10);
/// Messages that a topic may bring between two spins; as many as the policy latches steps.
const DEPTH: usize = 1000;

/// Looks for topics until all of them are subscribed, and at those that are.
pub struct Discovery {
    wanted: Vec<Wanted>,
    /// Whether the wanted topics were named by somebody, and are not just those of the default.
    are_named: bool,
    missing: Missing,
    recorded: Vec<Recorded>,
    queue: Queue,
    next_look: Instant,
    next_look_again: Instant,
    /// When to say that there is no time yet, or who is missing.
    next_warning: Option<Instant>,
    has_time: bool,
}

/// What the bag lacks so far, in words: for the end of the node, where one looks first.
#[derive(Clone, Debug, Default)]
pub struct Missing(Arc<Mutex<String>>);

/// A topic that is not subscribed yet.
struct Wanted {
    name: String,
    /// Why it is not, although somebody publishes it.
    complaint: Option<String>,
}

/// A topic that is subscribed.
struct Recorded {
    name: String,
    kind: String,
    /// What its newest subscription asks of publishers.
    asked: Offer,
    entry: Entry,
    streams: Rc<RefCell<Streams>>,
    /// Whether it was said that there is a publisher of another type.
    is_disputed: bool,
}

/// What publishers offer. A subscription hears those that offer at least what it asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Offer {
    is_reliable: bool,
    is_latched: bool,
}

impl Discovery {
    /// For the topics `wanted`, by their full names. `are_named`: somebody expects each of them. `missing` will say what the bag lacks.
    pub fn new(wanted: Vec<String>, are_named: bool, missing: Missing, queue: Queue) -> Self {
        let now = Instant::now();
        let wanted = wanted.into_iter().map(|name| Wanted { name, complaint: None }).collect();
        let next_warning = Some(now + PATIENCE);
        let (recorded, next_look, next_look_again, has_time) = (Vec::new(), now, now, false);
        Self { wanted, are_named, missing, recorded, queue, next_look, next_look_again, next_warning, has_time }
    }

    /// Subscribes what has come since the last look. The tasks take the messages.
    pub fn look(&mut self, node: &mut Node) -> Vec<LocalBoxFuture<'static, ()>> {
        let now = Instant::now();
        if now < self.next_look {
            return Vec::new();
        }
        self.next_look = now + LOOK_PERIOD;
        let mut tasks = Vec::new();
        // As `ros2 bag record`: with simulated time nothing is recorded before there is any.
        if ros_time() != 0 {
            if !self.has_time {
                (self.has_time, self.next_warning) = (true, Some(now + PATIENCE));
            }
            let is_second_look = now >= self.next_look_again;
            if is_second_look {
                self.next_look_again = now + LOOK_AGAIN_PERIOD;
                tasks.extend(self.recorded.iter_mut().filter_map(|topic| topic.look_again(node)));
            }
            for mut wanted in std::mem::take(&mut self.wanted) {
                if wanted.complaint.is_some() && !is_second_look {
                    self.wanted.push(wanted);
                    continue;
                }
                match self.subscribe(node, &wanted.name) {
                    Ok(Some(task)) => tasks.push(task),
                    Ok(None) => self.wanted.push(wanted),
                    Err(reason) => {
                        if wanted.complaint.as_ref() != Some(&reason) {
                            tracing::warn!("{} is not recorded so far: {reason}", wanted.name);
                            wanted.complaint = Some(reason);
                        }
                        self.wanted.push(wanted);
                    }
                }
            }
        }
        self.missing.set(self.what_is_missing());
        self.warn(now);
        tasks
    }

    /// Says once what nobody publishes, and again and again that there is no time.
    fn warn(&mut self, now: Instant) {
        if self.next_warning.is_none_or(|due| now < due) {
            return;
        }
        self.next_warning = None;
        if !self.has_time {
            tracing::warn!("nothing is recorded so far: use_sim_time is set, and no /clock has come");
            self.next_warning = Some(now + PATIENCE);
        } else if self.are_named {
            for Wanted { name, .. } in self.wanted.iter().filter(|wanted| wanted.complaint.is_none()) {
                tracing::warn!("nobody publishes {name} so far; it is recorded as soon as somebody does");
            }
        }
    }

    fn what_is_missing(&self) -> String {
        if !self.has_time {
            return "nothing was recorded: use_sim_time is set, and no /clock came".to_owned();
        }
        let missing = self.wanted.iter().filter_map(|Wanted { name, complaint }| match complaint {
            Some(reason) => Some(format!("{name} was not recorded: {reason}")),
            None => self.are_named.then(|| format!("{name} was not recorded: nobody published it")),
        });
        missing.collect::<Vec<_>>().join("; ")
    }

    /// Subscribes `name`; None while nobody publishes it.
    fn subscribe(&mut self, node: &mut Node, name: &str) -> Result<Option<LocalBoxFuture<'static, ()>>, String> {
        let publishers = node.get_publishers_info_by_topic(name, false).map_err(|error| error.to_string())?;
        let Some(first) = publishers.first() else { return Ok(None) };
        let kind = first.topic_type.clone();
        // In an order of their own: that of the publishers is not always the same.
        let kinds: BTreeSet<&str> = publishers.iter().map(|publisher| publisher.topic_type.as_str()).collect();
        if kinds.len() > 1 {
            let kinds: Vec<&str> = kinds.into_iter().collect();
            return Err(format!("its publishers disagree about its type: {}", kinds.join(" and ")));
        }
        let offers: Vec<Offer> = publishers.iter().map(|publisher| Offer::of(&publisher.qos_profile)).collect();
        let asked = offers.iter().copied().fold(Offer { is_reliable: true, is_latched: true }, Offer::and);
        let definition = definition(&kind).map_err(|error| error.to_string())?;
        let messages = node.subscribe_raw(name, &kind, asked.qos()).map_err(|error| match error {
            r2r::Error::InvalidMessageType { .. } => format!("its type {kind} is none that this recorder was built with"),
            other => other.to_string(),
        })?;
        let qos = offers.iter().map(|offer| TopicQos::new(offer.is_reliable, offer.is_latched)).collect();
        let entry = self.queue.open(self.recorded.len(), Topic { name: name.to_owned(), definition, qos });
        tracing::info!("recording {name} ({kind})");
        let topic = Recorded { name: name.to_owned(), kind, asked, entry, streams: Rc::default(), is_disputed: false };
        let task = topic.record(0, messages);
        self.recorded.push(topic);
        Ok(Some(task))
    }
}

impl Missing {
    /// What the bag lacks, in words; empty: nothing.
    pub fn said(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, text: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = text;
    }
}

impl Recorded {
    /// Subscribes once more, asking for less, where there now is a publisher that offers less: the subscription so far never hears it.
    fn look_again(&mut self, node: &mut Node) -> Option<LocalBoxFuture<'static, ()>> {
        let Self { name, kind, .. } = &*self;
        let publishers = node.get_publishers_info_by_topic(name, false).ok()?;
        let (same, other): (Vec<_>, Vec<_>) = publishers.iter().partition(|publisher| publisher.topic_type == *kind);
        if let (false, Some(other)) = (self.is_disputed, other.first()) {
            tracing::warn!("{name} is recorded as {kind}; what a publisher of the type {} sends there is not", other.topic_type);
            self.is_disputed = true;
        }
        let asked = same.iter().map(|publisher| Offer::of(&publisher.qos_profile)).fold(self.asked, Offer::and);
        if asked == self.asked {
            return None;
        }
        self.asked = asked;
        let name = &self.name;
        match node.subscribe_raw(name, &self.kind, asked.qos()) {
            Ok(messages) => {
                tracing::warn!("{name}: a publisher offers less than those before it; from now on recorded {}", asked.in_words());
                let number = self.streams.borrow_mut().add(Instant::now());
                Some(self.record(number, messages))
            }
            Err(error) => {
                tracing::warn!("{name}: a publisher offers less than those before it, and is not recorded: {error}");
                None
            }
        }
    }

    /// Records what the subscription `number` brings, for as long as it is needed.
    fn record(&self, number: usize, mut messages: impl Stream<Item = Vec<u8>> + Unpin + 'static) -> LocalBoxFuture<'static, ()> {
        let (entry, streams) = (self.entry.clone(), self.streams.clone());
        let take = async move {
            while let Some(data) = messages.next().await {
                let verdict = streams.borrow_mut().take(number, &data, Instant::now());
                match verdict {
                    Verdict::Record => entry.push(data),
                    Verdict::Known => {}
                    // Without its stream r2r ends the subscription.
                    Verdict::Ended => break,
                }
            }
        };
        take.boxed_local()
    }
}

impl Offer {
    fn of(publisher: &QosProfile) -> Self {
        let is_reliable = publisher.reliability == ReliabilityPolicy::Reliable;
        Self { is_reliable, is_latched: publisher.durability == DurabilityPolicy::TransientLocal }
    }

    /// What both offer.
    fn and(self, other: Self) -> Self {
        Self { is_reliable: self.is_reliable && other.is_reliable, is_latched: self.is_latched && other.is_latched }
    }

    /// Asks for just that: more would leave some publishers out, less could lose messages.
    fn qos(self) -> QosProfile {
        let mut qos = QosProfile::default().keep_last(DEPTH);
        if !self.is_reliable {
            qos = qos.best_effort();
        }
        if self.is_latched {
            qos = qos.transient_local();
        }
        qos
    }

    fn in_words(self) -> &'static str {
        match (self.is_reliable, self.is_latched) {
            (true, true) => "reliably, with what is latched",
            (true, false) => "reliably, without what is latched",
            (false, true) => "best effort, with what is latched",
            (false, false) => "best effort, without what is latched",
        }
    }
}
