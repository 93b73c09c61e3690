//! The side that tries candidates: what to run next, what to say.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::load::Load;
use super::messages::{
    Distribution, DistributionChecksum, DoneSet, ExperimentKey, Heartbeat, MessageError, Results, Work, WorkerId,
    protocol_version,
};
use crate::evolution::Population;
use crate::evolution::outcome::{Failure, Outcome};

/// Longest time between two heartbeats; shorter than any lease.
const HEARTBEAT: Duration = Duration::from_millis(250);
/// The same while a thread has nothing to do.
const IDLE_HEARTBEAT: Duration = Duration::from_millis(50);
/// Shortest time between two heartbeats, and between two messages with outcomes.
const SHORTEST_PAUSE: Duration = Duration::from_millis(5);
/// How long an outcome waits to be known as done until it is sent again.
const REPEAT_AFTER: Duration = Duration::from_millis(500);
/// Outcomes in a message.
const MOST_RESULTS: usize = 1024;
/// Work that waits for a thread, so that threads need not wait for messages.
const STOCK: Duration = Duration::from_millis(100);
/// Candidates that wait, at most.
const LARGEST_STOCK: f64 = 4096.0;
/// Longest time between two looks at a job that counts as its running time: the rest the whole process was stopped.
const LONGEST_LOOK: Duration = Duration::from_secs(1);

/// A worker between messages and threads.
#[derive(Debug)]
pub struct Worker {
    id: WorkerId,
    threads: u16,
    experiment: ExperimentKey,
    generation: u64,
    distribution: DistributionChecksum,
    /// [`Distribution::candidates_checksum`] of the generation.
    candidates: u64,
    /// 0: it takes part in nothing.
    population: usize,
    done: DoneSet,
    /// Sender and number of the last message of work.
    heard: Option<(u64, u64)>,
    paused: bool,
    waiting: VecDeque<u32>,
    running: BTreeMap<u32, Running>,
    /// Jobs of generations before that still run.
    stray: BTreeMap<Job, Running>,
    /// Jobs that took too long and still run.
    given_up: BTreeSet<Job>,
    /// Jobs so far.
    jobs: u64,
    time_limit: Duration,
    last_look: Duration,
    outcomes: BTreeMap<u32, Finished>,
    job_time: Option<f64>,
    sequence: u64,
    last_heartbeat: Option<Duration>,
    last_results: Option<Duration>,
    /// Whether there is something to say at once.
    news: bool,
    load: Load,
}

#[derive(Debug)]
struct Finished {
    outcome: Outcome,
    sent: Option<Duration>,
}

#[derive(Clone, Copy, Debug)]
struct Running {
    job: Job,
    start: Duration,
    /// As seen by [`Worker::give_up`].
    ran: Duration,
}

/// A candidate to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Job {
    /// Its generation.
    pub generation: u64,
    /// Its number.
    pub candidate: u32,
    /// Which of the worker's jobs it is: a candidate may be tried again, and in another run the same number is another candidate.
    number: u64,
}

impl Worker {
    /// A worker of `threads` threads that has heard nothing yet. `id` is a number that no other worker has.
    pub fn new(id: WorkerId, threads: u16) -> Self {
        Self {
            id,
            threads: threads.max(1),
            experiment: 0,
            generation: 0,
            distribution: 0,
            candidates: 0,
            population: 0,
            done: DoneSet::default(),
            heard: None,
            paused: false,
            waiting: VecDeque::new(),
            running: BTreeMap::new(),
            stray: BTreeMap::new(),
            given_up: BTreeSet::new(),
            jobs: 0,
            time_limit: Duration::MAX,
            last_look: Duration::ZERO,
            outcomes: BTreeMap::new(),
            job_time: None,
            sequence: 0,
            last_heartbeat: None,
            last_results: None,
            news: true,
            load: Load::default(),
        }
    }

    /// Takes part in the generation of `distribution`. One that is going on goes on; if its candidates may run longer now, those that took too
    /// long may be tried again.
    pub fn begin(&mut self, distribution: &Distribution) {
        let time_limit = distribution.time_limit();
        let longer = time_limit > std::mem::replace(&mut self.time_limit, time_limit);
        let checksum = distribution.checksum();
        self.news |= std::mem::replace(&mut self.distribution, checksum) != checksum;
        let (experiment, candidates) = (distribution.key(), distribution.candidates_checksum());
        if (experiment, candidates) == (self.experiment, self.candidates) {
            if longer {
                self.outcomes.retain(|_, finished| finished.outcome != Err(Failure::TooLong));
            }
            return;
        }
        let running = std::mem::take(&mut self.running);
        self.stray.extend(running.into_values().map(|running| (running.job, running)));
        self.waiting.clear();
        self.outcomes.clear();
        let Population { generation, size, .. } = distribution.population;
        self.done = DoneSet::empty(size);
        (self.experiment, self.candidates) = (experiment, candidates);
        (self.generation, self.population) = (generation, size);
        self.news = true;
    }

    /// Says from now on that its experiment is `own`, so that the node, whose experiment is another one, refuses it. A worker that takes part
    /// in an experiment says already which.
    pub fn stay_out(&mut self, own: ExperimentKey) {
        if self.population == 0 {
            self.news |= self.experiment != own;
            self.experiment = own;
        }
    }

    /// Takes what the coordinator says.
    ///
    /// # Errors
    /// [`MessageError`] when it cannot be; nothing has changed then. What is of another generation, or older than what was heard, is passed
    /// over.
    pub fn work(&mut self, message: &Work) -> Result<(), MessageError> {
        let present = message.protocol_version == protocol_version()
            && (message.experiment, message.generation, message.distribution)
                == (self.experiment, self.generation, self.distribution);
        let old = self.heard.is_some_and(|(node, sequence)| node == message.node && message.sequence <= sequence);
        if !present || old || self.population == 0 {
            return Ok(());
        }
        let leases = message.leases_of(self.id, self.population)?;
        self.heard = Some((message.node, message.sequence));
        self.paused = message.paused;
        self.done.clone_from(&message.done);
        // What waits here and is leased to another has been taken away, unless it is leased to both.
        let leased: BTreeSet<u32> = message.candidates.iter().copied().collect();
        let done = &self.done;
        self.waiting
            .retain(|candidate| !done.contains(*candidate) && (!leased.contains(candidate) || leases.contains(candidate)));
        for &candidate in leases {
            match self.outcomes.get_mut(&candidate) {
                // It was tried, but the outcome got lost.
                Some(finished) => finished.sent = None,
                None => {
                    let held = self.running.contains_key(&candidate) || self.waiting.contains(&candidate);
                    if !held && !self.done.contains(candidate) {
                        self.waiting.push_back(candidate);
                    }
                }
            }
        }
        Ok(())
    }

    /// The candidate that a free thread should try now.
    pub fn next(&mut self, now: Duration) -> Option<Job> {
        if self.paused {
            return None;
        }
        let candidate = self.waiting.pop_front()?;
        self.pass(now);
        self.jobs += 1;
        let job = Job { generation: self.generation, candidate, number: self.jobs };
        self.running.insert(candidate, Running { job, start: now, ran: Duration::ZERO });
        self.news |= self.waiting.len() <= self.stock() / 2;
        Some(job)
    }

    /// Takes what `job` came to. Returns false for a job that was given up, whose thread has been replaced.
    pub fn finish(&mut self, job: Job, outcome: Outcome, now: Duration) -> bool {
        self.pass(now);
        if self.given_up.remove(&job) {
            return false;
        }
        if self.stray.remove(&job).is_some() || self.running.get(&job.candidate).is_none_or(|running| running.job != job) {
            return true;
        }
        if let Some(Running { start, .. }) = self.running.remove(&job.candidate) {
            let time = now.saturating_sub(start).as_secs_f64();
            self.job_time = Some(self.job_time.map_or(time, |mean| 0.8 * mean + 0.2 * time));
            self.outcomes.insert(job.candidate, Finished { outcome, sent: None });
            self.news |= self.waiting.is_empty();
        }
        true
    }

    /// Gives up what has been running for longer than is allowed: it failed, unless it is of a generation before, of which nobody waits for
    /// an outcome. Each of these jobs needs another thread in the place of its own.
    /// To be called several times a second. Time in which the whole process stood still does not count.
    pub fn give_up(&mut self, now: Duration) -> Vec<Job> {
        let passed = now.saturating_sub(std::mem::replace(&mut self.last_look, now)).min(LONGEST_LOOK);
        let limit = self.time_limit;
        let too_long = |running: &mut Running| {
            running.ran = (running.ran + passed).min(now.saturating_sub(running.start));
            running.ran > limit
        };
        let mut jobs: Vec<Job> =
            self.running.extract_if(.., |_, running| too_long(running)).map(|(_, running)| running.job).collect();
        for job in &jobs {
            self.outcomes.insert(job.candidate, Finished { outcome: Err(Failure::TooLong), sent: None });
        }
        jobs.extend(self.stray.extract_if(.., |_, running| too_long(running)).map(|(job, _)| job));
        self.given_up.extend(&jobs);
        jobs
    }

    /// Jobs that were given up and still run, each in a thread that has been replaced.
    pub fn hanging(&self) -> usize {
        self.given_up.len()
    }

    /// How long there will be nothing to say, if nothing happens.
    pub fn pause_left(&self, now: Duration) -> Duration {
        // What is known as done is never sent.
        let unsent = |(candidate, finished): (&u32, &Finished)| finished.sent.is_none() && !self.done.contains(*candidate);
        let results = if self.outcomes.iter().any(unsent) { left(self.last_results, SHORTEST_PAUSE, now) } else { Duration::MAX };
        left(self.last_heartbeat, self.heartbeat_pause(), now).min(results)
    }

    fn heartbeat_pause(&self) -> Duration {
        let idle = self.busy() < usize::from(self.threads) && self.population != 0 && !self.paused;
        match (self.news, idle) {
            (true, _) => SHORTEST_PAUSE,
            (false, true) => IDLE_HEARTBEAT,
            (false, false) => HEARTBEAT,
        }
    }

    /// The heartbeat to send now, if one is due.
    pub fn heartbeat(&mut self, now: Duration) -> Option<Heartbeat> {
        self.pass(now);
        if !left(self.last_heartbeat, self.heartbeat_pause(), now).is_zero() {
            return None;
        }
        self.last_heartbeat = Some(now);
        self.news = false;
        self.sequence += 1;
        // Threads that are busy with what nobody waits for cannot take on anything.
        let capacity = (usize::from(self.threads) + self.stock()).saturating_sub(self.stray.len());
        Some(Heartbeat {
            protocol_version: protocol_version(),
            experiment: self.experiment,
            worker: self.id,
            sequence: self.sequence,
            generation: self.generation,
            distribution: self.distribution,
            threads: self.threads,
            capacity: capacity.min(usize::from(u16::MAX)) as u16,
            held: self.running.keys().chain(&self.waiting).copied().collect(),
            running: self.running.len() as u16,
            load: self.load.share(),
        })
    }

    /// The outcomes to send now, if any are due.
    pub fn results(&mut self, now: Duration) -> Option<Results> {
        if !left(self.last_results, SHORTEST_PAUSE, now).is_zero() {
            return None;
        }
        let mut message = Results {
            protocol_version: protocol_version(),
            experiment: self.experiment,
            worker: self.id,
            generation: self.generation,
            distribution: self.distribution,
            ..Results::default()
        };
        let done = &self.done;
        let due = self.outcomes.iter_mut().filter(|(candidate, finished)| {
            let waits = finished.sent.is_none_or(|sent| now.saturating_sub(sent) >= REPEAT_AFTER);
            waits && !done.contains(**candidate)
        });
        for (&candidate, finished) in due.take(MOST_RESULTS) {
            finished.sent = Some(now);
            message.push(candidate, finished.outcome);
        }
        if message.candidates.is_empty() {
            return None;
        }
        self.last_results = Some(now);
        Some(message)
    }

    /// The last message of a worker that leaves: whatever it holds should go to others at once.
    pub fn farewell(&mut self) -> Heartbeat {
        self.sequence += 1;
        Heartbeat {
            protocol_version: protocol_version(),
            experiment: self.experiment,
            worker: self.id,
            sequence: self.sequence,
            generation: self.generation,
            distribution: self.distribution,
            ..Heartbeat::default()
        }
    }

    /// The generation that it works on.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Its number.
    pub fn id(&self) -> WorkerId {
        self.id
    }

    /// Candidates that should wait for a thread.
    fn stock(&self) -> usize {
        let threads = f64::from(self.threads);
        let jobs = self.job_time.map_or(threads, |time| (threads * STOCK.as_secs_f64() / time.max(1e-9)).ceil());
        jobs.clamp(1.0, LARGEST_STOCK) as usize
    }

    fn busy(&self) -> usize {
        self.running.len() + self.stray.len()
    }

    fn pass(&mut self, now: Duration) {
        self.load.pass(now, self.busy(), self.threads);
    }
}

/// What is left of a `pause` since `last`.
fn left(last: Option<Duration>, pause: Duration, now: Duration) -> Duration {
    last.map_or(Duration::ZERO, |last| (last + pause).saturating_sub(now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evolution::protocol::samples::{distribution, ms, outcome, work};

    fn worker() -> Worker {
        let mut worker = Worker::new(1, 1);
        worker.begin(&distribution(3, 8));
        worker
    }

    #[test]
    fn leases_run_in_order_and_what_is_done_or_given_to_another_does_not() {
        let mut worker = worker();
        worker.work(&work(1, &[(9, &[7]), (1, &[2, 4, 5])], &[])).unwrap();
        worker.work(&work(2, &[(9, &[4])], &[5])).unwrap();
        assert_eq!(worker.next(ms(0)).map(|job| job.candidate), Some(2));
        assert_eq!(worker.next(ms(0)), None);
    }

    #[test]
    fn an_outcome_is_sent_until_it_is_known_as_done_and_again_for_another_node() {
        let mut worker = worker();
        worker.work(&work(1, &[(1, &[2])], &[])).unwrap();
        let job = worker.next(ms(0)).unwrap();
        worker.finish(job, outcome(), ms(10));
        assert_eq!(worker.results(ms(10)).unwrap().candidates, [2]);
        assert_eq!(worker.results(ms(100)), None);
        assert_eq!(worker.results(ms(600)).unwrap().candidates, [2]);
        worker.work(&work(2, &[], &[2])).unwrap();
        assert_eq!(worker.results(ms(2000)), None);
        // Overtaken by number 2.
        worker.work(&work(1, &[], &[])).unwrap();
        assert_eq!(worker.results(ms(3000)), None);
        // A node that has forgotten.
        worker.work(&Work { node: 6, ..work(1, &[], &[]) }).unwrap();
        assert_eq!(worker.results(ms(4000)).unwrap().candidates, [2]);
    }

    #[test]
    fn an_outcome_that_another_worker_had_first_keeps_nobody_awake() {
        let mut worker = worker();
        worker.work(&work(1, &[(1, &[2])], &[])).unwrap();
        let job = worker.next(ms(0)).unwrap();
        worker.work(&work(2, &[], &[2])).unwrap();
        worker.finish(job, outcome(), ms(10));
        worker.heartbeat(ms(1_000));
        assert_eq!(worker.results(ms(1_000)), None);
        assert_eq!(worker.pause_left(ms(1_000)), IDLE_HEARTBEAT);
        // A node that has forgotten wants it.
        worker.work(&Work { node: 6, ..work(1, &[], &[]) }).unwrap();
        assert!(worker.pause_left(ms(1_000)).is_zero());
    }

    #[test]
    fn a_pause_lets_running_candidates_end_and_begins_none() {
        let mut worker = worker();
        worker.work(&Work { paused: true, ..work(1, &[(1, &[2])], &[]) }).unwrap();
        assert_eq!(worker.next(ms(0)), None);
        worker.work(&work(2, &[], &[])).unwrap();
        assert!(worker.next(ms(0)).is_some());
    }

    #[test]
    fn messages_that_cannot_be_change_nothing() {
        let mut worker = worker();
        worker.work(&Work { counts: vec![2], ..work(1, &[(1, &[2])], &[]) }).unwrap_err();
        worker.work(&work(1, &[(1, &[8])], &[])).unwrap_err();
        worker.work(&Work { done: DoneSet::default(), ..work(1, &[(1, &[1])], &[]) }).unwrap_err();
        assert_eq!(worker.next(ms(0)), None);
        worker.work(&work(1, &[(1, &[7])], &[])).unwrap();
        assert!(worker.next(ms(0)).is_some());
    }

    #[test]
    fn quick_candidates_make_a_larger_stock() {
        let mut worker = worker();
        assert_eq!(worker.heartbeat(ms(0)).unwrap().capacity, 2);
        worker.work(&work(1, &[(1, &[2])], &[])).unwrap();
        let job = worker.next(ms(0)).unwrap();
        worker.finish(job, outcome(), ms(1));
        assert_eq!(worker.heartbeat(ms(100)).unwrap().capacity, 101);
    }
}
