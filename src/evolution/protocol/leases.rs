//! Who tries which candidate of a generation until when, and what has come of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::messages::{DoneSet, WorkerId};
use crate::evolution::outcome::{Failure, Outcome};

/// How long a lease waits for its worker to say that it holds the candidate before the lease is said again.
const REPEAT_AFTER: Duration = Duration::from_millis(300);
/// How old a lease must be before the running candidate is leased a second time to a worker that has nothing to do.
const DOUBLE_AFTER: Duration = Duration::from_secs(1);
/// Workers that may have one candidate at a time.
const MOST_HOLDERS: usize = 2;

/// The candidates of one generation: free, leased, or done.
#[derive(Debug)]
pub(super) struct LeaseBook {
    /// How long a lease holds without a word from its worker.
    lease: Duration,
    /// Workers that may be lost while they run a candidate until it is given up.
    most_losses: u32,
    candidates: Vec<Candidate>,
    done: DoneSet,
    free: BTreeSet<u32>,
    open: BTreeMap<WorkerId, BTreeMap<u32, Lease>>,
    left: usize,
}

#[derive(Clone, Debug, Default)]
struct Candidate {
    outcome: Option<Outcome>,
    holders: usize,
    losses: u32,
}

#[derive(Clone, Copy, Debug)]
struct Lease {
    granted: Duration,
    said: Duration,
    expires: Duration,
    state: LeaseState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LeaseState {
    /// The worker has not said that it knows.
    Unconfirmed,
    /// It waits at the worker for a thread.
    Waiting,
    /// It runs.
    Running,
}

impl LeaseBook {
    pub(super) fn new(population: usize, lease: Duration, most_losses: u32) -> Self {
        Self {
            lease,
            most_losses,
            candidates: vec![Candidate::default(); population],
            done: DoneSet::empty(population),
            free: (0..population as u32).collect(),
            open: BTreeMap::new(),
            left: population,
        }
    }

    pub(super) fn population(&self) -> usize {
        self.candidates.len()
    }

    /// Candidates that are not done.
    pub(super) fn left(&self) -> usize {
        self.left
    }

    /// Candidates that nobody has.
    pub(super) fn free(&self) -> usize {
        self.free.len()
    }

    /// Candidates that `worker` has.
    pub(super) fn held_by(&self, worker: WorkerId) -> usize {
        self.open.get(&worker).map_or(0, BTreeMap::len)
    }

    /// What each candidate came to, once all are done.
    pub(super) fn outcomes(&self) -> Option<Vec<Outcome>> {
        self.candidates.iter().map(|candidate| candidate.outcome).collect()
    }

    /// Candidates that failed so far, and why.
    pub(super) fn failures(&self) -> impl Iterator<Item = (u32, Failure)> + '_ {
        (0..).zip(&self.candidates).filter_map(|(candidate, state)| Some((candidate, state.outcome?.err()?)))
    }

    /// Candidates that are done.
    pub(super) fn done(&self) -> &DoneSet {
        &self.done
    }

    /// Leases up to `most` free candidates to `worker`, the first ones first.
    pub(super) fn grant(&mut self, worker: WorkerId, most: usize, now: Duration) -> Vec<u32> {
        let granted: Vec<u32> = self.free.iter().copied().take(most).collect();
        granted.iter().for_each(|&candidate| self.lease(worker, candidate, LeaseState::Unconfirmed, now));
        granted
    }

    /// Leases up to `most` candidates to an idle `worker` that others have already: those that wait elsewhere are taken from there, those that
    /// have been running for long are leased a second time; the oldest leases first.
    pub(super) fn share(&mut self, worker: WorkerId, most: usize, now: Duration) -> Vec<u32> {
        if most == 0 {
            return Vec::new();
        }
        let of_others = self.open.iter().filter(|(other, _)| **other != worker);
        let mut leases: Vec<(bool, Duration, u32, WorkerId)> = of_others
            .flat_map(|(&other, leases)| leases.iter().map(move |(&candidate, lease)| (candidate, lease, other)))
            .filter(|(candidate, lease, _)| {
                let single = self.candidates[*candidate as usize].holders < MOST_HOLDERS;
                let old = now.saturating_sub(lease.granted) >= DOUBLE_AFTER;
                single && (lease.state == LeaseState::Waiting || lease.state == LeaseState::Running && old)
            })
            .map(|(candidate, lease, other)| (lease.state == LeaseState::Running, lease.granted, candidate, other))
            .collect();
        leases.sort_unstable();
        leases.truncate(most);
        for &(running, _, candidate, other) in &leases {
            if !running {
                self.release(other, candidate);
            }
            self.lease(worker, candidate, LeaseState::Unconfirmed, now);
        }
        leases.into_iter().map(|(_, _, candidate, _)| candidate).collect()
    }

    /// Takes note of what `worker` says that it holds, the first `running` of which run. Returns its leases that it does not seem to have heard
    /// of and that should be said again.
    pub(super) fn hold(&mut self, worker: WorkerId, held: &[u32], running: usize, now: Duration) -> Vec<u32> {
        for (place, &candidate) in held.iter().enumerate() {
            let state = if place < running { LeaseState::Running } else { LeaseState::Waiting };
            let known = self.open.get_mut(&worker).and_then(|leases| leases.get_mut(&candidate));
            match known {
                Some(lease) => {
                    lease.state = state;
                    lease.expires = now + self.lease;
                }
                // A lease that had run out or was given by a coordinator before this one. It is being tried, so let it.
                None => {
                    let candidate_state = self.candidates.get(candidate as usize);
                    if candidate_state.is_some_and(|state| state.outcome.is_none() && state.holders < MOST_HOLDERS) {
                        self.lease(worker, candidate, state, now);
                    }
                }
            }
        }
        let Some(leases) = self.open.get_mut(&worker) else { return Vec::new() };
        let mut unheard = Vec::new();
        for (&candidate, lease) in leases {
            if lease.state == LeaseState::Unconfirmed && now.saturating_sub(lease.said) >= REPEAT_AFTER {
                lease.said = now;
                unheard.push(candidate);
            }
        }
        unheard
    }

    /// Takes what `candidate` came to. Returns false, and changes nothing, when it was known.
    pub(super) fn finish(&mut self, candidate: u32, outcome: Outcome) -> bool {
        let Some(state) = self.candidates.get_mut(candidate as usize).filter(|state| state.outcome.is_none()) else {
            return false;
        };
        state.outcome = Some(outcome);
        state.holders = 0;
        self.done.insert(candidate);
        self.left -= 1;
        self.free.remove(&candidate);
        for leases in self.open.values_mut() {
            leases.remove(&candidate);
        }
        true
    }

    /// Ends leases that have run out.
    pub(super) fn expire(&mut self, now: Duration) {
        let run_out: Vec<(WorkerId, u32)> = self
            .open
            .iter()
            .flat_map(|(&worker, leases)| leases.iter().map(move |(&candidate, lease)| (worker, candidate, lease)))
            .filter(|(_, _, lease)| lease.expires <= now)
            .map(|(worker, candidate, _)| (worker, candidate))
            .collect();
        for (worker, candidate) in run_out {
            self.lose(worker, candidate);
        }
    }

    /// Ends all leases of `worker`, which is lost, or has left in good order.
    pub(super) fn forget(&mut self, worker: WorkerId, lost: bool) {
        for candidate in self.open.get(&worker).map(|leases| leases.keys().copied().collect::<Vec<_>>()).unwrap_or_default() {
            if lost {
                self.lose(worker, candidate);
            } else {
                self.release(worker, candidate);
            }
        }
        self.open.remove(&worker);
    }

    fn lease(&mut self, worker: WorkerId, candidate: u32, state: LeaseState, now: Duration) {
        self.free.remove(&candidate);
        self.candidates[candidate as usize].holders += 1;
        let lease = Lease { granted: now, said: now, expires: now + self.lease, state };
        self.open.entry(worker).or_default().insert(candidate, lease);
    }

    /// Ends a lease; the candidate is free if nobody else has it.
    fn release(&mut self, worker: WorkerId, candidate: u32) -> Option<Lease> {
        let lease = self.open.get_mut(&worker)?.remove(&candidate)?;
        let state = &mut self.candidates[candidate as usize];
        state.holders -= 1;
        if state.holders == 0 && state.outcome.is_none() {
            self.free.insert(candidate);
        }
        Some(lease)
    }

    /// Ends the lease of a worker that was lost. A candidate that took too many workers with it is given up.
    fn lose(&mut self, worker: WorkerId, candidate: u32) {
        if self.release(worker, candidate).is_some_and(|lease| lease.state == LeaseState::Running) {
            let losses = &mut self.candidates[candidate as usize].losses;
            *losses += 1;
            if *losses >= self.most_losses {
                self.finish(candidate, Err(Failure::Lost));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evolution::outcome::CandidateResult;

    const LEASE: Duration = Duration::from_secs(5);

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    fn book(population: usize) -> LeaseBook {
        LeaseBook::new(population, LEASE, 3)
    }

    fn outcome(fitness: f32) -> Outcome {
        CandidateResult { fitness, ..Default::default() }.checked()
    }

    #[test]
    fn a_lease_holds_as_long_as_its_worker_is_heard_and_then_goes_to_others() {
        let mut book = book(4);
        assert_eq!(book.grant(1, 2, seconds(0.0)), [0, 1]);
        book.hold(1, &[0], 1, seconds(4.0));
        book.expire(seconds(6.0));
        assert_eq!(book.grant(2, 4, seconds(6.0)), [1, 2, 3]);
        book.expire(seconds(9.5));
        assert_eq!(book.grant(2, 4, seconds(9.5)), [0]);
    }

    #[test]
    fn a_lost_worker_gives_all_its_candidates_back_at_once() {
        let mut book = book(4);
        book.grant(1, 3, seconds(0.0));
        book.forget(1, true);
        assert_eq!((book.free(), book.held_by(1)), (4, 0));
    }

    #[test]
    fn an_outcome_counts_once_whoever_sends_it_and_whenever() {
        let mut book = book(2);
        book.grant(1, 2, seconds(0.0));
        book.expire(seconds(10.0));
        book.grant(2, 1, seconds(10.0));
        assert!(book.finish(0, outcome(1.0)));
        assert!(!book.finish(0, outcome(2.0)) && !book.finish(7, outcome(2.0)));
        assert!(book.finish(1, Err(Failure::Panicked)));
        assert_eq!(book.outcomes(), Some(vec![outcome(1.0), Err(Failure::Panicked)]));
        assert_eq!((book.left(), book.free(), book.held_by(2)), (0, 0, 0));
    }

    #[test]
    fn an_idle_worker_gets_what_waits_elsewhere_and_what_runs_for_long_a_second_time() {
        let mut book = book(3);
        book.grant(1, 3, seconds(0.0));
        assert!(book.share(2, 3, seconds(0.1)).is_empty(), "worker 1 has said nothing yet");
        book.hold(1, &[0, 1, 2], 1, seconds(0.2));
        assert_eq!(book.share(2, 3, seconds(0.3)), [1, 2]);
        assert_eq!((book.held_by(1), book.held_by(2)), (1, 2));
        book.hold(2, &[1, 2], 2, seconds(1.0));
        assert_eq!(book.share(3, 1, seconds(2.0)), [0]);
        assert_eq!(book.share(4, 3, seconds(2.0)), [1, 2], "a candidate is with two workers at most");
        assert!(book.share(5, 3, seconds(2.0)).is_empty());
    }

    #[test]
    fn leases_that_a_worker_has_not_heard_of_are_said_again() {
        let mut book = book(2);
        book.grant(1, 2, seconds(0.0));
        assert!(book.hold(1, &[], 0, seconds(0.1)).is_empty(), "the message may still be on its way");
        assert_eq!(book.hold(1, &[1], 1, seconds(0.5)), [0]);
        assert!(book.hold(1, &[1], 1, seconds(0.6)).is_empty());
        assert_eq!(book.hold(1, &[1], 1, seconds(0.9)), [0]);
    }

    #[test]
    fn what_a_worker_holds_from_before_is_left_to_it() {
        let mut book = book(3);
        book.hold(9, &[2, 0, 77], 1, seconds(0.0));
        assert_eq!(book.held_by(9), 2);
        assert_eq!(book.grant(1, 5, seconds(0.0)), [1]);
    }

    #[test]
    fn a_candidate_that_takes_worker_after_worker_with_it_is_given_up() {
        let mut book = book(1);
        for worker in 0..3 {
            assert_eq!(book.grant(worker, 1, seconds(0.0)), [0]);
            book.hold(worker, &[0], 1, seconds(0.0));
            book.forget(worker, true);
        }
        assert_eq!(book.outcomes(), Some(vec![Err(Failure::Lost)]));
        assert!(book.grant(9, 1, seconds(0.0)).is_empty());
    }
}
