//! The thread that owns the search: takes what workers send, hands out leases, and goes from generation to generation.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use futures::channel::oneshot;
use r2r::Publisher;
use r2r::hebbian_locomotion::msg::{EvolutionDistribution, EvolutionWork};

use super::report::{Report, State};
use crate::evolution::Run;
use crate::evolution::protocol::{Coordinator, Distribution, Heartbeat, Results};
use crate::ros::node::NodeError;
use crate::ros::rejection::Rejections;
use crate::ros::stop::Stop;

/// Longest time without a look at the clock and at the stop flag.
const LONGEST_WAIT: Duration = Duration::from_millis(50);
/// Time for the last messages to leave before the process ends.
const FAREWELL: Duration = Duration::from_millis(300);

/// What reaches the thread.
pub enum Event {
    /// A worker's heartbeat.
    Heartbeat(Heartbeat),
    /// A worker's outcomes.
    Results(Results),
    /// A message of an evolution node, maybe this one.
    Node {
        /// Its number.
        node: u64,
        /// Messages on `evolution/work` that it has sent, as far as this one tells.
        sequence: u64,
    },
    /// What a service asks for, and where its answer goes.
    Command(Command, oneshot::Sender<(bool, String)>),
}

/// What services ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Hand out nothing more.
    Pause,
    /// Go on.
    Resume,
    /// End the run here.
    Stop,
}

/// The search and all that it is spread with.
pub struct Coordination {
    pub run: Run,
    pub coordinator: Coordinator,
    /// This node's number.
    pub node: u64,
    pub time_limit: f32,
    /// How long to listen for another evolution node before the first word.
    pub listen: Duration,
    pub events: Receiver<Event>,
    pub distributions: Publisher<EvolutionDistribution>,
    pub works: Publisher<EvolutionWork>,
    pub report: Report,
    pub rejections: Rejections,
    pub stop: Stop,
    pub clock: Instant,
}

/// Why waiting for outcomes ended.
enum Outcome {
    Complete,
    Stopped(&'static str),
}

impl Coordination {
    /// Runs until the evolution is over or the node is stopped.
    ///
    /// # Errors
    /// [`NodeError`] when the evolution cannot go on; its last checkpoint is in the folder.
    pub fn run(mut self) -> Result<(), NodeError> {
        self.listen_for_others()?;
        let result = self.evolve();
        // With a twin the evolution does not end: the other node says how it goes on.
        if let Err(error) = &result
            && !matches!(error, NodeError::Twin)
        {
            self.say_farewell(State::Stopped, &error.to_string());
        }
        result
    }

    fn evolve(&mut self) -> Result<(), NodeError> {
        loop {
            if let Some(reason) = self.run.ended() {
                tracing::info!("{reason}; {} has the result", self.run.folder().display());
                self.say_farewell(State::Finished, &reason.to_string());
                return Ok(());
            }
            for event in self.run.prepare()? {
                tracing::info!("generation {}: {event}", self.run.search().strategy().generation());
            }
            let distribution = self.distribution();
            self.coordinator.begin(&distribution, self.clock.elapsed());
            self.publish_distribution();
            self.report.begin_generation(self.clock.elapsed());
            match self.await_outcomes()? {
                Outcome::Complete => {}
                Outcome::Stopped(reason) => {
                    let generation = self.run.search().strategy().generation();
                    tracing::info!("{reason}; the run goes on from generation {generation} when the node is started again");
                    self.say_farewell(State::Stopped, reason);
                    return Ok(());
                }
            }
            let outcomes = self.coordinator.outcomes().unwrap_or_default();
            for (candidate, failure) in self.coordinator.failures().take(3) {
                tracing::warn!("candidate {candidate} failed: {failure}");
            }
            let took = self.report.generation_time(self.clock.elapsed());
            let generation = self.run.finish_generation(&outcomes, took)?;
            self.report.end_generation(&generation, took, &self.run, &self.coordinator);
        }
    }

    /// Two nodes would both hand out work, and which one's generation a worker is on would be anybody's guess.
    fn listen_for_others(&mut self) -> Result<(), NodeError> {
        let end = self.clock.elapsed() + self.listen;
        while self.clock.elapsed() < end && !self.stop.is_requested() {
            if let Ok(Event::Node { node, .. }) = self.events.recv_timeout(LONGEST_WAIT)
                && node != self.node
            {
                return Err(NodeError::Twin);
            }
        }
        Ok(())
    }

    fn await_outcomes(&mut self) -> Result<Outcome, NodeError> {
        loop {
            let wait = self.coordinator.pause_left(self.clock.elapsed()).clamp(Duration::from_millis(1), LONGEST_WAIT);
            let first = match self.events.recv_timeout(wait) {
                Ok(event) => Some(event),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return Ok(Outcome::Stopped("the node ends")),
            };
            let now = self.clock.elapsed();
            let waiting: Vec<Event> = first.into_iter().chain(self.events.try_iter()).collect();
            for event in waiting {
                if let Some(outcome) = self.take(event, now)? {
                    return Ok(outcome);
                }
            }
            for worker in self.coordinator.tick(now) {
                tracing::warn!("worker {worker:016x} is silent; its candidates go to others");
            }
            if self.coordinator.take_distribution_wanted(now) {
                self.publish_distribution();
            }
            if let Some(work) = self.coordinator.work(now) {
                warn("evolution/work", self.works.publish(&work.into()));
            }
            self.report.look(&self.run, &self.coordinator, now);
            if self.coordinator.outcomes_complete() {
                return Ok(Outcome::Complete);
            }
            if self.stop.is_requested() {
                return Ok(Outcome::Stopped("interrupted by a signal"));
            }
        }
    }

    fn take(&mut self, event: Event, now: Duration) -> Result<Option<Outcome>, NodeError> {
        let taken = match event {
            Event::Heartbeat(heartbeat) => self.coordinator.heartbeat(&heartbeat, now),
            Event::Results(results) => self.coordinator.results(&results, now).map(|_| ()),
            Event::Node { node, sequence } if self.coordinator.yields_to(node, sequence) => return Err(NodeError::Twin),
            Event::Node { .. } => Ok(()),
            Event::Command(command, answer) => {
                // Who asked may have gone.
                let _ = answer.send((true, self.obey(command)));
                return Ok((command == Command::Stop).then_some(Outcome::Stopped("stopped by ~/stop")));
            }
        };
        if let Err(error) = taken {
            self.rejections.note(&error);
        }
        Ok(None)
    }

    fn obey(&mut self, command: Command) -> String {
        let (done, all) = self.coordinator.progress();
        let generation = self.run.search().strategy().generation();
        let answer = match command {
            Command::Pause => {
                self.coordinator.pause(true);
                format!("paused in generation {generation} with {done} of {all} candidates done; those that run will end")
            }
            Command::Resume => {
                self.coordinator.pause(false);
                format!("generation {generation} goes on, {done} of {all} candidates done")
            }
            Command::Stop => format!(
                "stopped; {} goes on from generation {generation} when the node is started again",
                self.run.folder().display()
            ),
        };
        tracing::info!("{answer}");
        answer
    }

    fn distribution(&self) -> Distribution {
        Distribution::new(self.node, self.run.hash(), self.run.search(), self.time_limit)
    }

    fn publish_distribution(&self) {
        warn("evolution/distribution", self.distributions.publish(&(&self.distribution()).into()));
    }

    fn say_farewell(&mut self, state: State, reason: &str) {
        self.report.end(state, reason, &self.run, &self.coordinator, self.clock.elapsed());
        std::thread::sleep(FAREWELL);
    }
}

/// A message that could not be published: it, or a later one like it, will be said again.
pub(super) fn warn(topic: &str, published: r2r::Result<()>) {
    if let Err(error) = published {
        tracing::warn!("cannot publish {topic}: {error}");
    }
}
