//! The side that holds the search: who works, what is leased to whom, what has come in.

use std::collections::BTreeMap;
use std::time::Duration;

use super::leases::LeaseBook;
use super::messages::{
    Distribution, DistributionChecksum, ExperimentKey, Heartbeat, MessageError, Refusal, Results, Work, WorkerId,
    protocol_version,
};
use crate::evolution::outcome::{Failure, Outcome};

/// Shortest time between two messages, so that many heartbeats get one answer.
const SHORTEST_PAUSE: Duration = Duration::from_millis(5);
/// Longest time between two messages, so that workers know that somebody is there.
const LONGEST_PAUSE: Duration = Duration::from_millis(250);
/// How long a worker may be on another generation until the distribution is sent again.
const LATE: Duration = Duration::from_secs(1);
/// How long a refused worker that says nothing more is still answered.
const REFUSAL_LASTS: Duration = Duration::from_secs(5);
/// Refused workers that are answered at a time.
const MOST_REFUSALS: usize = 64;
/// Messages by which two coordinators may differ and count as begun at the same time: those of five seconds in which nothing happens.
const CLOSE: u64 = 20;

/// How a coordinator deals with workers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CoordinatorSettings {
    /// How long a lease holds without a word from its worker.
    pub lease: Duration,
    /// Workers that may be lost while they run a candidate until it counts as failed.
    pub most_losses: u32,
}

impl Default for CoordinatorSettings {
    fn default() -> Self {
        Self { lease: Duration::from_secs(5), most_losses: 10 }
    }
}

/// The coordinator of one run.
#[derive(Debug)]
pub struct Coordinator {
    settings: CoordinatorSettings,
    experiment: ExperimentKey,
    node: u64,
    generation: u64,
    distribution: DistributionChecksum,
    began: Duration,
    book: LeaseBook,
    workers: BTreeMap<WorkerId, WorkerState>,
    refused: BTreeMap<WorkerId, (Refusal, Duration)>,
    grants: BTreeMap<WorkerId, Vec<u32>>,
    paused: bool,
    sequence: u64,
    last_work: Option<Duration>,
    news: bool,
    distribution_wanted: bool,
    doubled: u64,
    /// Outcomes that each worker was the first to send, also of those that are gone.
    results: BTreeMap<WorkerId, u64>,
}

#[derive(Clone, Debug)]
struct WorkerState {
    sequence: u64,
    heard: Duration,
    threads: u16,
    capacity: u16,
    load: f32,
}

/// A worker as the coordinator knows it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WorkerSummary {
    /// Which.
    pub worker: WorkerId,
    /// Its threads.
    pub threads: u16,
    /// Share of its threads' time in which they were busy.
    pub load: f32,
    /// Outcomes that it was the first to send, in this run of the node.
    pub results: u64,
}

impl Coordinator {
    /// A coordinator without workers, before its first generation. `node` is a number that no other coordinator has.
    pub fn new(settings: CoordinatorSettings, experiment: ExperimentKey, node: u64) -> Self {
        Self {
            settings,
            experiment,
            node,
            generation: 0,
            distribution: 0,
            began: Duration::ZERO,
            book: LeaseBook::new(0, settings.lease, settings.most_losses),
            workers: BTreeMap::new(),
            refused: BTreeMap::new(),
            grants: BTreeMap::new(),
            paused: false,
            sequence: 0,
            last_work: None,
            news: false,
            distribution_wanted: false,
            doubled: 0,
            results: BTreeMap::new(),
        }
    }

    /// Begins the generation of `distribution`.
    pub fn begin(&mut self, distribution: &Distribution, now: Duration) {
        self.generation = distribution.population.generation;
        self.distribution = distribution.checksum();
        self.began = now;
        self.book = LeaseBook::new(distribution.population.size, self.settings.lease, self.settings.most_losses);
        self.grants.clear();
        self.news = true;
    }

    /// Stops or goes on handing out leases. Workers finish what runs.
    pub fn pause(&mut self, paused: bool) {
        self.news |= self.paused != paused;
        self.paused = paused;
    }

    /// Whether it is paused.
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// Whether this coordinator is to end because another one, of the number `node`, speaks too and is at its message `sequence`: the one that
    /// has said less ends, so that none ends what has been running for hours. Of two that began at about the same time, the one with the
    /// larger number stays. Never do both of them end.
    pub fn yields_to(&self, node: u64, sequence: u64) -> bool {
        let close = self.sequence.abs_diff(sequence) <= CLOSE;
        if close { node > self.node } else { sequence > self.sequence }
    }

    /// Takes note of a worker and of what it holds, and leases it what it asks for.
    ///
    /// # Errors
    /// [`MessageError`] when the message cannot be; nothing has changed then, but a refused worker is none any more and will be told why.
    pub fn heartbeat(&mut self, message: &Heartbeat, now: Duration) -> Result<(), MessageError> {
        if let Err(refused) = self.admit(message.protocol_version, message.experiment, message.worker, now) {
            // Until it heard of an experiment it counted as one that can take part.
            if self.workers.get(&message.worker).is_some_and(|known| known.sequence < message.sequence) {
                self.remove(message.worker, false);
            }
            return Err(refused);
        }
        let present = self.is_present(message.experiment, message.generation, message.distribution);
        if present {
            message.check(self.book.population())?;
        }
        if self.workers.get(&message.worker).is_some_and(|known| known.sequence >= message.sequence) {
            // Doubled or overtaken by a later one.
            return Ok(());
        }
        let &Heartbeat { worker, sequence, threads, capacity, load, .. } = message;
        let state = WorkerState { sequence, heard: now, threads, capacity, load };
        if threads == 0 {
            self.remove(worker, false);
            return Ok(());
        }
        self.workers.insert(worker, state);
        if !present {
            self.distribution_wanted |= now.saturating_sub(self.began) >= LATE;
            return Ok(());
        }
        let mut leases = self.book.hold(worker, &message.held, usize::from(message.running), now);
        if !self.paused {
            leases.extend(self.lease(worker, &message.held, now));
        }
        if !leases.is_empty() {
            self.grants.entry(worker).or_default().extend(leases);
            self.news = true;
        }
        Ok(())
    }

    /// What `worker` gets now: of the free candidates its share of half of them at most, so that fast and slow workers end together; when
    /// there are none left, something that others have for each idle thread.
    fn lease(&mut self, worker: WorkerId, held: &[u32], now: Duration) -> Vec<u32> {
        let Some(state) = self.workers.get(&worker) else { return Vec::new() };
        let threads = usize::from(state.threads).max(1);
        // What it holds beyond its leases, because somebody else got them meanwhile, takes room too.
        let stray = held.iter().filter(|&&candidate| !self.book.done().contains(candidate)).count();
        let has = self.book.held_by(worker).max(stray);
        let room = usize::from(state.capacity).saturating_sub(has);
        let all: usize = self.workers.values().map(|state| usize::from(state.threads)).sum();
        let share = (self.book.free() * threads).div_ceil(2 * all.max(1));
        let idle = threads.saturating_sub(has);
        let mut leases = self.book.grant(worker, room.min(share.max(idle)), now);
        if self.book.free() == 0 {
            let shared = self.book.share(worker, idle.saturating_sub(leases.len()).min(room), now);
            self.doubled += shared.len() as u64;
            leases.extend(shared);
        }
        leases
    }

    /// Takes outcomes. Returns the candidates that were not done before.
    ///
    /// # Errors
    /// [`MessageError`] when the message cannot be: then none of it counts, and a refused worker will be told why.
    pub fn results(&mut self, message: &Results, now: Duration) -> Result<Vec<u32>, MessageError> {
        self.admit(message.protocol_version, message.experiment, message.worker, now)?;
        if !self.is_present(message.experiment, message.generation, message.distribution) {
            return Ok(Vec::new());
        }
        let outcomes = message.outcomes(self.book.population())?;
        let new: Vec<u32> = outcomes
            .into_iter()
            .filter(|&(candidate, outcome)| self.book.finish(candidate, outcome))
            .map(|(candidate, _)| candidate)
            .collect();
        if !new.is_empty() {
            *self.results.entry(message.worker).or_default() += new.len() as u64;
        }
        // The known ones too: the worker has not heard that they are done.
        self.news |= !message.candidates.is_empty();
        Ok(new)
    }

    /// Whether a message with these is about the present candidates. Another run may have come to the same generation with others.
    fn is_present(&self, experiment: ExperimentKey, generation: u64, distribution: DistributionChecksum) -> bool {
        (experiment, generation, distribution) == (self.experiment, self.generation, self.distribution)
    }

    /// Refuses who cannot take part.
    fn admit(&mut self, protocol: u16, experiment: ExperimentKey, worker: WorkerId, now: Duration) -> Result<(), MessageError> {
        let refusal = if let Some(refusal) = Refusal::of_versions(protocol, protocol_version()) {
            refusal
        } else if experiment != 0 && experiment != self.experiment {
            Refusal::Experiment { worker: experiment, node: self.experiment }
        } else {
            self.refused.remove(&worker);
            return Ok(());
        };
        if self.refused.len() < MOST_REFUSALS || self.refused.contains_key(&worker) {
            self.refused.insert(worker, (refusal.clone(), now));
            self.news = true;
        }
        Err(refusal.into())
    }

    /// Lets time pass: leases run out, silent workers are given up. Returns the workers that were lost.
    pub fn tick(&mut self, now: Duration) -> Vec<WorkerId> {
        let silent = |heard: Duration, limit: Duration| now.saturating_sub(heard) >= limit;
        let lease = self.settings.lease;
        let lost: Vec<WorkerId> =
            self.workers.iter().filter(|(_, state)| silent(state.heard, lease)).map(|(&worker, _)| worker).collect();
        lost.iter().for_each(|&worker| self.remove(worker, true));
        self.book.expire(now);
        self.refused.retain(|_, (_, heard)| !silent(*heard, REFUSAL_LASTS));
        lost
    }

    fn remove(&mut self, worker: WorkerId, lost: bool) {
        self.workers.remove(&worker);
        self.grants.remove(&worker);
        self.book.forget(worker, lost);
    }

    /// How long [`Coordinator::work`] will have nothing to say, if nothing happens.
    pub fn pause_left(&self, now: Duration) -> Duration {
        let pause = if self.news { SHORTEST_PAUSE } else { LONGEST_PAUSE };
        self.last_work.map_or(Duration::ZERO, |last| (last + pause).saturating_sub(now))
    }

    /// The message to send now, if one is due.
    pub fn work(&mut self, now: Duration) -> Option<Work> {
        if !self.pause_left(now).is_zero() {
            return None;
        }
        self.news = false;
        self.last_work = Some(now);
        self.sequence += 1;
        let mut work = Work {
            protocol_version: protocol_version(),
            experiment: self.experiment,
            node: self.node,
            sequence: self.sequence,
            generation: self.generation,
            distribution: self.distribution,
            paused: self.paused,
            done: self.book.done().clone(),
            ..Work::default()
        };
        for (worker, mut candidates) in std::mem::take(&mut self.grants) {
            candidates.retain(|&candidate| !self.book.done().contains(candidate));
            // Nobody asks for more than a number of 16 bits at a time; what is left over is said again later.
            candidates.truncate(usize::from(u16::MAX));
            work.workers.push(worker);
            work.counts.push(candidates.len() as u16);
            work.candidates.extend(candidates);
        }
        for (worker, (refusal, _)) in &self.refused {
            work.refused.push(*worker);
            work.reasons.push(refusal.to_string());
        }
        Some(work)
    }

    /// Whether the distribution should be sent once more, for a worker that seems not to have got it. Asking answers it.
    pub fn take_distribution_wanted(&mut self, now: Duration) -> bool {
        let wanted = std::mem::take(&mut self.distribution_wanted);
        if wanted {
            self.began = now;
        }
        wanted
    }

    /// What each candidate came to, once all are done.
    pub fn outcomes(&self) -> Option<Vec<Outcome>> {
        self.book.outcomes()
    }

    /// Whether all candidates of the generation are done.
    pub fn outcomes_complete(&self) -> bool {
        self.book.left() == 0
    }

    /// Candidates that are done and all of them.
    pub fn progress(&self) -> (usize, usize) {
        (self.book.population() - self.book.left(), self.book.population())
    }

    /// Leases of a candidate that another worker had already, so far.
    pub fn shared_leases(&self) -> u64 {
        self.doubled
    }

    /// Outcomes that counted so far, in this run of the node, of all workers that there were.
    pub fn results_so_far(&self) -> u64 {
        self.results.values().sum()
    }

    /// The workers.
    pub fn workers(&self) -> impl Iterator<Item = WorkerSummary> + '_ {
        self.workers.iter().map(|(&worker, state)| WorkerSummary {
            worker,
            threads: state.threads,
            load: state.load,
            results: self.results.get(&worker).copied().unwrap_or(0),
        })
    }

    /// Workers that are refused at present.
    pub fn refused(&self) -> usize {
        self.refused.len()
    }

    /// Candidates of the present generation that failed so far, by reason.
    pub fn failures(&self) -> impl Iterator<Item = (u32, Failure)> + '_ {
        self.book.failures()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evolution::protocol::samples::{KEY, distribution, ms, outcome};

    fn coordinator() -> Coordinator {
        let mut coordinator = Coordinator::new(CoordinatorSettings::default(), KEY, 1);
        coordinator.begin(&distribution(3, 16), ms(0));
        coordinator
    }

    fn heartbeat(worker: WorkerId, sequence: u64, held: &[u32]) -> Heartbeat {
        let (protocol_version, running) = (protocol_version(), held.len().min(2) as u16);
        let (generation, held) = (3, held.to_vec());
        Heartbeat {
            protocol_version,
            experiment: KEY,
            worker,
            sequence,
            generation,
            distribution: distribution(3, 16).checksum(),
            threads: 2,
            capacity: 4,
            held,
            running,
            load: 1.0,
        }
    }

    fn results(worker: WorkerId, candidates: &[u32]) -> Results {
        let (protocol_version, distribution) = (protocol_version(), distribution(3, 16).checksum());
        let mut results =
            Results { protocol_version, experiment: KEY, worker, generation: 3, distribution, ..Results::default() };
        candidates.iter().for_each(|&candidate| results.push(candidate, outcome()));
        results
    }

    fn leases(coordinator: &mut Coordinator, worker: WorkerId, now: u64) -> Vec<u32> {
        coordinator.work(ms(now)).map(|work| work.leases_of(worker, 16).unwrap().to_vec()).unwrap_or_default()
    }

    #[test]
    fn a_worker_gets_what_it_has_room_for_and_doubled_heartbeats_get_nothing_more() {
        let mut coordinator = coordinator();
        coordinator.heartbeat(&heartbeat(5, 1, &[]), ms(0)).unwrap();
        coordinator.heartbeat(&heartbeat(5, 1, &[]), ms(1)).unwrap();
        coordinator.heartbeat(&heartbeat(5, 2, &[]), ms(2)).unwrap();
        assert_eq!(leases(&mut coordinator, 5, 2), [0, 1, 2, 3]);
        assert_eq!(coordinator.work(ms(3)), None, "nothing new");
        assert!(coordinator.work(ms(300)).is_some(), "but a word now and then");
    }

    #[test]
    fn acknowledged_outcomes_make_room_and_foreign_generations_count_nothing() {
        let mut coordinator = coordinator();
        coordinator.heartbeat(&heartbeat(5, 1, &[]), ms(0)).unwrap();
        assert_eq!(coordinator.results(&results(5, &[0, 1, 0]), ms(10)), Ok(vec![0, 1]));
        assert_eq!(coordinator.results(&results(6, &[1]), ms(10)), Ok(vec![]));
        assert_eq!(coordinator.results(&Results { generation: 2, ..results(5, &[2]) }, ms(10)), Ok(vec![]));
        let work = coordinator.work(ms(20)).unwrap();
        assert!(work.done.contains(0) && work.done.contains(1) && !work.done.contains(2));
        coordinator.heartbeat(&heartbeat(5, 2, &[2, 3]), ms(20)).unwrap();
        assert_eq!(leases(&mut coordinator, 5, 30), [4, 5]);
        assert_eq!(coordinator.progress(), (2, 16));
    }

    #[test]
    fn foreign_versions_and_experiments_are_refused_and_told_why() {
        let mut coordinator = coordinator();
        let old = Heartbeat { protocol_version: 0, ..heartbeat(8, 1, &[]) };
        assert!(matches!(coordinator.heartbeat(&old, ms(0)), Err(MessageError::Refused(Refusal::Protocol { .. }))));
        let other = Results { experiment: 9, ..results(9, &[1]) };
        assert!(matches!(coordinator.results(&other, ms(0)), Err(MessageError::Refused(Refusal::Experiment { .. }))));
        let work = coordinator.work(ms(0)).unwrap();
        assert!(work.refusal_of(8).unwrap().contains("version 0"));
        assert!(work.refusal_of(9).unwrap().contains("0000000000000009"));
        assert_eq!((coordinator.progress().0, coordinator.workers().count(), coordinator.refused()), (0, 0, 2));
        coordinator.tick(ms(6_000));
        assert_eq!(coordinator.refused(), 0);
    }

    #[test]
    fn a_silent_worker_is_lost_and_one_that_leaves_gives_back_at_once() {
        let mut coordinator = coordinator();
        coordinator.heartbeat(&heartbeat(5, 1, &[]), ms(0)).unwrap();
        coordinator.heartbeat(&heartbeat(6, 1, &[]), ms(0)).unwrap();
        assert_eq!(leases(&mut coordinator, 6, 0), [4, 5, 6], "half of its share of what is free");
        coordinator.heartbeat(&Heartbeat { threads: 0, ..heartbeat(6, 2, &[]) }, ms(100)).unwrap();
        coordinator.heartbeat(&heartbeat(7, 1, &[]), ms(200)).unwrap();
        assert_eq!(leases(&mut coordinator, 7, 200), [4, 5, 6]);
        assert_eq!(coordinator.tick(ms(5_100)), [5]);
        coordinator.heartbeat(&heartbeat(7, 2, &[4, 5, 6]), ms(5_100)).unwrap();
        assert_eq!(leases(&mut coordinator, 7, 5_100), [0]);
    }

    #[test]
    fn what_a_worker_has_done_counts_when_it_is_gone_and_when_it_is_back() {
        let mut coordinator = coordinator();
        coordinator.heartbeat(&heartbeat(5, 1, &[]), ms(0)).unwrap();
        coordinator.results(&results(5, &[0, 1, 2]), ms(10)).unwrap();
        coordinator.tick(ms(6_000));
        coordinator.results(&results(6, &[3]), ms(6_000)).unwrap();
        assert_eq!((coordinator.workers().count(), coordinator.results_so_far()), (0, 4));
        coordinator.heartbeat(&heartbeat(5, 2, &[]), ms(6_000)).unwrap();
        coordinator.results(&results(5, &[3, 4]), ms(6_000)).unwrap();
        assert_eq!(coordinator.workers().map(|worker| worker.results).collect::<Vec<_>>(), [4]);
        assert_eq!(coordinator.results_so_far(), 5);
    }

    #[test]
    fn a_pause_hands_out_nothing() {
        let mut coordinator = coordinator();
        coordinator.pause(true);
        coordinator.heartbeat(&heartbeat(5, 1, &[]), ms(0)).unwrap();
        let work = coordinator.work(ms(0)).unwrap();
        assert!(work.paused && work.candidates.is_empty());
        coordinator.pause(false);
        coordinator.heartbeat(&heartbeat(5, 2, &[]), ms(10)).unwrap();
        assert_eq!(leases(&mut coordinator, 5, 10), [0, 1, 2, 3]);
    }

    #[test]
    fn the_distribution_is_wanted_again_by_a_worker_that_stays_behind() {
        let mut coordinator = coordinator();
        let behind = |sequence| Heartbeat { generation: 2, ..heartbeat(5, sequence, &[]) };
        coordinator.heartbeat(&behind(1), ms(100)).unwrap();
        assert!(!coordinator.take_distribution_wanted(ms(100)));
        coordinator.heartbeat(&behind(2), ms(1_100)).unwrap();
        assert!(coordinator.take_distribution_wanted(ms(1_100)));
        coordinator.heartbeat(&behind(3), ms(1_200)).unwrap();
        assert!(!coordinator.take_distribution_wanted(ms(1_200)), "it was just sent");
    }
}
