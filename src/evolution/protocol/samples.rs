//! Messages for the tests of the protocol.

use std::time::Duration;

use super::{Distribution, DoneSet, ExperimentKey, Work, WorkerId, protocol_version};
use crate::evolution::Population;
use crate::evolution::outcome::{CandidateResult, Outcome};

pub(super) const KEY: ExperimentKey = 7;

pub(super) fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// That of the node 5, of so many candidates, which may run for two seconds each.
pub(super) fn distribution(generation: u64, size: usize) -> Distribution {
    let (mean, deviation) = (vec![0.0], vec![1.0]);
    let population = Population { generation, size, seed: 0, mirrored: false, mean, deviation };
    let (experiment_hash, clusters) = (format!("{KEY:016x}"), (Vec::new(), 0));
    Distribution { protocol_version: protocol_version(), node: 5, experiment_hash, population, time_limit: 2.0, clusters }
}

/// Work number `sequence` of the node 5 in generation 3 of 8 candidates, with leases of several workers.
pub(super) fn work(sequence: u64, leases: &[(WorkerId, &[u32])], done: &[u32]) -> Work {
    work_in(&distribution(3, 8), sequence, leases, done)
}

/// The same in the generation of `distribution`.
pub(super) fn work_in(distribution: &Distribution, sequence: u64, leases: &[(WorkerId, &[u32])], done: &[u32]) -> Work {
    let mut set = DoneSet::empty(distribution.population.size);
    done.iter().for_each(|&candidate| set.insert(candidate));
    Work {
        protocol_version: protocol_version(),
        experiment: distribution.key(),
        node: 5,
        sequence,
        generation: distribution.population.generation,
        distribution: distribution.checksum(),
        done: set,
        workers: leases.iter().map(|(worker, _)| *worker).collect(),
        counts: leases.iter().map(|(_, candidates)| candidates.len() as u16).collect(),
        candidates: leases.iter().flat_map(|(_, candidates)| candidates.iter().copied()).collect(),
        ..Work::default()
    }
}

pub(super) fn outcome() -> Outcome {
    CandidateResult::default().checked()
}
