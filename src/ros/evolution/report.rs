//! What a person sees of an evolution: `evolution/progress`, and a line in the log for each generation.

use std::collections::VecDeque;
use std::time::Duration;

use r2r::Publisher;
use r2r::hebbian_locomotion::msg::EvolutionProgress;

use super::coordination::warn;
use super::work_time::WorkTime;
use crate::evolution::protocol::{Coordinator, WorkerId};
use crate::evolution::{FailureCounts, Generation, Run};
use crate::ros::rejection::RejectionCount;

/// Generations from which the time left is estimated.
const REMEMBERED: usize = 10;

/// State of an evolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No worker is there.
    Waiting,
    /// Work goes on.
    Running,
    /// Paused by a service.
    Paused,
    /// Over.
    Finished,
    /// Ended before its time.
    Stopped,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Finished => "finished",
            Self::Stopped => "stopped",
        }
    }
}

/// Publishes progress whenever something changes.
pub struct Report {
    publisher: Publisher<EvolutionProgress>,
    rejected: RejectionCount,
    /// What was said last.
    said: Option<(State, Vec<WorkerId>, usize, u64)>,
    work_time: WorkTime,
    times: VecDeque<Duration>,
    /// Of the last generation. The present one may have more.
    candidates: usize,
}

impl Report {
    /// Of a run whose last generation had so many candidates.
    pub fn new(publisher: Publisher<EvolutionProgress>, rejected: RejectionCount, candidates: usize) -> Self {
        Self { publisher, rejected, said: None, work_time: WorkTime::default(), times: VecDeque::new(), candidates }
    }

    pub fn begin_generation(&mut self, now: Duration) {
        self.work_time.begin(now);
    }

    /// How long work on the present generation has gone on.
    pub fn generation_time(&self, now: Duration) -> Duration {
        self.work_time.passed(now)
    }

    pub fn end_generation(&mut self, generation: &Generation, took: Duration, run: &Run, coordinator: &Coordinator) {
        (_, self.candidates) = coordinator.progress();
        self.times.push_back(took);
        if self.times.len() > REMEMBERED {
            self.times.pop_front();
        }
        let message = self.message(present_state(coordinator), "", run, coordinator);
        let loads: Vec<String> = message.loads.iter().map(|load| format!("{:.0}%", 100.0 * load)).collect();
        let failures: FailureCounts = coordinator.failures().map(|(_, failure)| failure).collect();
        let failed = if failures.total() > 0 { format!("  {failures}") } else { String::new() };
        tracing::info!(
            "generation {:>4} of {}  fitness {:.1} best {:.1}  speed {:.3} best {:.3} m/s  falls {:.0}%{failed}  \
             {:.1} episodes/s  {} workers ({})  {} left",
            generation.generation,
            message.generations,
            generation.mean,
            generation.best,
            generation.mean_speed,
            generation.best_speed,
            100.0 * generation.falls,
            message.episodes_per_second,
            message.workers.len(),
            loads.join(" "),
            duration(message.time_left),
        );
        self.publish(&message);
    }

    /// Publishes if the state or the workers have changed.
    pub fn look(&mut self, run: &Run, coordinator: &Coordinator, now: Duration) {
        let state = present_state(coordinator);
        self.work_time.look(now, state == State::Running);
        let workers: Vec<WorkerId> = coordinator.workers().map(|worker| worker.worker).collect();
        let present = Some((state, workers, coordinator.refused(), run.search().strategy().generation()));
        if self.said != present {
            self.said = present;
            let message = self.message(state, "", run, coordinator);
            self.publish(&message);
        }
    }

    pub fn end(&mut self, state: State, reason: &str, run: &Run, coordinator: &Coordinator, _now: Duration) {
        let message = self.message(state, reason, run, coordinator);
        self.publish(&message);
    }

    fn publish(&self, message: &EvolutionProgress) {
        warn("evolution/progress", self.publisher.publish(message));
    }

    fn message(&self, state: State, reason: &str, run: &Run, coordinator: &Coordinator) -> EvolutionProgress {
        let (search, last) = (run.search(), run.history().last().copied().unwrap_or_default());
        let (strategy, settings) = (search.strategy(), &search.experiment().evolution);
        let workers: Vec<_> = coordinator.workers().collect();
        let results = coordinator.results_so_far();
        let mean_time = self.times.iter().sum::<Duration>().as_secs_f32() / self.times.len().max(1) as f32;
        let episodes = self.candidates as f32 * search.experiment().episodes_per_candidate() as f32;
        let per_second = self.times.back().map_or(0.0, |time| episodes / time.as_secs_f32().max(1e-6));
        let left = settings.generations.saturating_sub(strategy.generation()) as f32 * mean_time;
        EvolutionProgress {
            experiment: search.experiment().name.clone(),
            experiment_hash: run.hash().to_owned(),
            state: state.name().to_owned(),
            reason: reason.to_owned(),
            generation: strategy.generation(),
            generations: settings.generations,
            restarts: strategy.state().restarts,
            best: last.best,
            mean: last.mean,
            spread: last.spread,
            best_speed: last.best_speed,
            mean_speed: last.mean_speed,
            falls: last.falls,
            failed: last.failed as f32 / self.candidates as f32,
            sigma: strategy.sigma(),
            learning_rate: strategy.learning_rate(),
            episodes_per_second: per_second,
            time_left: if self.times.is_empty() { -1.0 } else { left },
            workers: workers.iter().map(|worker| worker.worker).collect(),
            threads: workers.iter().map(|worker| worker.threads).collect(),
            loads: workers.iter().map(|worker| worker.load).collect(),
            shares: workers.iter().map(|worker| worker.results as f32 / results.max(1) as f32).collect(),
            refused: coordinator.refused() as u32,
            shared_leases: coordinator.shared_leases(),
            rejected_messages: self.rejected.get(),
        }
    }
}

fn present_state(coordinator: &Coordinator) -> State {
    match (coordinator.is_paused(), coordinator.workers().next().is_some()) {
        (true, _) => State::Paused,
        (false, true) => State::Running,
        (false, false) => State::Waiting,
    }
}

/// `1:02:03`, or that nobody knows.
fn duration(seconds: f32) -> String {
    if seconds < 0.0 {
        return "unknown time".to_owned();
    }
    let seconds = seconds as u64;
    format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}
