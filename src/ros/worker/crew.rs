//! The threads of a worker and what they share.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::evolution::protocol::{Distribution, DistributionError, ExperimentKey, Heartbeat, Refusal, Results, Work, Worker};
use crate::evolution::{Evaluator, EvaluatorError, Experiment, Failure, Population};
use crate::robot::RobotModel;

/// Longest sleep of a thread, so that it sees a stop.
const LONGEST_SLEEP: Duration = Duration::from_millis(200);

/// A worker's state, shared by the threads that try candidates and those that talk.
pub struct Crew {
    shared: Mutex<Shared>,
    changed: Condvar,
    clock: Instant,
}

struct Shared {
    worker: Worker,
    task: Option<Task>,
    ended: bool,
}

/// What is to be tried, of the present generation.
#[derive(Clone)]
struct Task {
    experiment_hash: String,
    clusters: (Vec<u16>, u32),
    population: Arc<Population>,
    /// Copied by each thread when it is a new one.
    evaluator: Arc<Evaluator>,
}

/// What there is to say, and what has become of the threads.
pub struct Said {
    pub heartbeat: Option<Heartbeat>,
    pub results: Option<Results>,
    /// Candidates that took too long just now: the thread of each is to be replaced.
    pub given_up: usize,
    /// Threads that still run what took too long, now or earlier.
    pub hanging: usize,
}

/// Why a worker does not take part in a generation.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// The distribution is foreign or damaged.
    #[error(transparent)]
    Distribution(#[from] DistributionError),
    /// Candidates cannot be tried.
    #[error(transparent)]
    Evaluator(#[from] EvaluatorError),
}

impl Crew {
    /// A crew around `worker`, without threads yet.
    pub fn new(worker: Worker) -> Arc<Self> {
        let shared = Shared { worker, task: None, ended: false };
        Arc::new(Self { shared: Mutex::new(shared), changed: Condvar::new(), clock: Instant::now() })
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes part in the generation of `distribution`.
    ///
    /// # Errors
    /// [`TaskError`] when it cannot; the worker then stays with what it had, and says so if the experiment is another one.
    pub fn begin(&self, distribution: Distribution, experiment: &Experiment, robot: &Arc<RobotModel>) -> Result<(), TaskError> {
        let known = self.lock().task.clone().filter(|task| {
            task.experiment_hash == distribution.experiment_hash
                && task.clusters == distribution.clusters
                && task.population.mean.len() == distribution.population.mean.len()
                && task.population.mirrored == distribution.population.mirrored
        });
        let evaluator = match known {
            Some(task) => {
                distribution.check()?;
                task.evaluator
            }
            None => {
                let search = distribution.search(experiment, robot).inspect_err(|error| self.stay_out(error))?;
                Arc::new(Evaluator::new(&search, robot.clone())?)
            }
        };
        let mut shared = self.lock();
        shared.worker.begin(&distribution);
        let population = Arc::new(distribution.population);
        let (experiment_hash, clusters) = (distribution.experiment_hash, distribution.clusters);
        shared.task = Some(Task { experiment_hash, clusters, population, evaluator });
        self.changed.notify_all();
        Ok(())
    }

    /// A worker without an experiment counts as one that will take part. One that cannot has to say so, or it is waited for in vain.
    fn stay_out(&self, error: &DistributionError) {
        if let DistributionError::Refused(Refusal::Experiment { worker, .. }) = error {
            self.lock().worker.stay_out(*worker);
            self.changed.notify_all();
        }
    }

    /// Takes what the evolution node says; returns why it refuses this worker, if it does.
    ///
    /// # Errors
    /// As [`Worker::work`].
    pub fn work(&self, work: &Work) -> Result<Option<String>, crate::evolution::protocol::MessageError> {
        let mut shared = self.lock();
        shared.worker.work(work)?;
        self.changed.notify_all();
        Ok(work.refusal_of(shared.worker.id()).map(str::to_owned))
    }

    /// The life of a thread that tries candidates.
    pub fn toil(&self) {
        let mut tools: Option<(Arc<Evaluator>, Evaluator)> = None;
        loop {
            let mut shared = self.lock();
            let (job, task) = loop {
                if shared.ended {
                    return;
                }
                let now = self.clock.elapsed();
                // Nothing waits where there is no task.
                if let Some(task) = shared.task.clone()
                    && let Some(job) = shared.worker.next(now)
                {
                    break (job, task);
                }
                shared = self.changed.wait_timeout(shared, LONGEST_SLEEP).unwrap_or_else(PoisonError::into_inner).0;
            };
            // The voice may have to ask for more.
            self.changed.notify_all();
            drop(shared);
            let evaluator = match &mut tools {
                Some((original, own)) if Arc::ptr_eq(original, &task.evaluator) => own,
                _ => &mut tools.insert((task.evaluator.clone(), (*task.evaluator).clone())).1,
            };
            let outcome = evaluator.evaluate(&task.population, job.candidate as usize);
            if outcome == Err(Failure::Panicked) {
                tracing::error!("the episode of candidate {} of generation {} panicked", job.candidate, job.generation);
            }
            let goes_on = self.lock().worker.finish(job, outcome, self.clock.elapsed());
            self.changed.notify_all();
            if !goes_on {
                return;
            }
        }
    }

    /// Waits until there is something to say, and returns it, with the number of threads that are to be replaced.
    pub fn listen(&self) -> Said {
        let shared = self.lock();
        let pause = shared.worker.pause_left(self.clock.elapsed()).min(LONGEST_SLEEP);
        let mut shared = if pause.is_zero() {
            shared
        } else {
            self.changed.wait_timeout(shared, pause).unwrap_or_else(PoisonError::into_inner).0
        };
        let now = self.clock.elapsed();
        let given_up = shared.worker.give_up(now).len();
        let (heartbeat, results) = (shared.worker.heartbeat(now), shared.worker.results(now));
        Said { heartbeat, results, given_up, hanging: shared.worker.hanging() }
    }

    /// Ends the threads once they have tried what they are at; returns the last message to send.
    pub fn end(&self) -> Heartbeat {
        let mut shared = self.lock();
        shared.ended = true;
        self.changed.notify_all();
        shared.worker.farewell()
    }

    /// Key of the experiment of the present task.
    pub fn experiment(&self) -> Option<ExperimentKey> {
        self.lock().task.as_ref().map(|task| crate::evolution::protocol::experiment_key(&task.experiment_hash))
    }
}
