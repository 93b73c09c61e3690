//! What coordinator and workers say to each other. All of it is checked before it is believed.

use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::episode::{EPISODE_VERSION, FIRST_EPISODE_VERSION};
use crate::evolution::outcome::{CandidateResult, Failure, Outcome};
use crate::evolution::settings::LARGEST_POPULATION;
use crate::evolution::{Experiment, Population, Search};
use crate::plasticity::{Clusters, Instructions};
use crate::robot::RobotModel;

/// Version of the messages and of what they mean, from 1 to 255.
const MESSAGES: u16 = 2;

/// Added to the version on machines without fused multiply-add.
const UNFUSED: u16 = 1 << 15;

const _: () = assert!(version(MESSAGES, EPISODE_VERSION, true) < UNFUSED, "the version of episodes leaves no room for `UNFUSED`");

/// Version of the messages and of what they mean, and of the bits that a candidate comes to here: of [`EPISODE_VERSION`], and of whether this
/// machine has fused multiply-add ([`Instructions::is_fused`]). Both sides must have the same.
pub fn protocol_version() -> u16 {
    version(MESSAGES, EPISODE_VERSION, Instructions::detect().is_fused())
}

/// As no version of the messages is larger than 255, other bits are always another version.
const fn version(messages: u16, episodes: u16, is_fused: bool) -> u16 {
    messages + 256 * (episodes - FIRST_EPISODE_VERSION) + if is_fused { 0 } else { UNFUSED }
}

/// A worker process, by a number that it drew at its start.
pub type WorkerId = u64;

/// The first 64 bits of an experiment's hash: enough to tell experiments apart in small messages. 0: none yet.
pub type ExperimentKey = u64;

/// The first 64 bits of the hash of a [`Distribution`]: what tells its candidates from those of another run that came to the same generation.
/// 0: none yet.
pub type DistributionChecksum = u64;

/// The key of the hash of an experiment.
pub fn experiment_key(hash: &str) -> ExperimentKey {
    hash.get(..16).and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or(0)
}

/// Why one side will not work with the other.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Another version of the protocol.
    #[error(
        "the worker speaks version {worker} of the protocol and of what candidates come to, the evolution node version {node}; build both \
         from the same source"
    )]
    Protocol {
        /// Version of the worker.
        worker: u16,
        /// Version of the node.
        node: u16,
    },
    /// A machine that rounds otherwise.
    #[error(
        "the {with}'s machine has fused multiply-add (FMA) and the {without}'s has not, so the same candidates come to other bits; use machines \
         of one kind"
    )]
    Rounding {
        /// The side whose machine has it.
        with: &'static str,
        /// The side whose machine has not.
        without: &'static str,
    },
    /// Another experiment.
    #[error(
        "the worker's experiment, robot or seed is another one (hash {worker:016x}…, here {node:016x}…); give both the same files"
    )]
    Experiment {
        /// Key of the worker's experiment.
        worker: ExperimentKey,
        /// Key of the node's experiment.
        node: ExperimentKey,
    },
}

impl Refusal {
    /// Why a worker and a node of these versions ([`protocol_version`]) do not work together, if they do not.
    pub fn of_versions(worker: u16, node: u16) -> Option<Self> {
        match worker ^ node {
            0 => None,
            UNFUSED if worker < node => Some(Self::Rounding { with: "worker", without: "evolution node" }),
            UNFUSED => Some(Self::Rounding { with: "evolution node", without: "worker" }),
            _ => Some(Self::Protocol { worker, node }),
        }
    }
}

/// A message that cannot be true.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// It comes from someone with whom there is no working together.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Arrays that belong together have different lengths.
    #[error("{what}: {given} entries, expected {expected}")]
    Length {
        /// Which array.
        what: &'static str,
        /// Entries given.
        given: usize,
        /// Entries expected.
        expected: usize,
    },
    /// A candidate that the generation does not have.
    #[error("candidate {candidate} in a population of {population}")]
    Candidate {
        /// The candidate.
        candidate: u32,
        /// Candidates in the generation.
        population: usize,
    },
    /// A code that means nothing.
    #[error("failure code {0} is not known")]
    FailureCode(u8),
}

/// The search distribution of a generation: all that a worker needs besides the experiment. Sent once per generation.
#[derive(Clone, Debug, PartialEq)]
pub struct Distribution {
    /// [`protocol_version`] of the sender.
    pub protocol_version: u16,
    /// The sender: a number that it drew at its start.
    pub node: u64,
    /// [`Experiment::hash`], with the seed of the run.
    pub experiment_hash: String,
    /// The candidates.
    pub population: Population,
    /// Time that a candidate may run before it counts as failed \[s\]; 0: no limit.
    pub time_limit: f32,
    /// Rule of each synapse and how many rules there are, where rules are shared; otherwise empty and 0.
    pub clusters: (Vec<u16>, u32),
}

/// Why a worker cannot take part in a generation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DistributionError {
    /// No working together.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The message is damaged.
    #[error("the distribution is not usable: {0}")]
    Malformed(String),
}

/// What the coordinator says several times a second.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// [`protocol_version`] of the sender.
    pub protocol_version: u16,
    /// Key of the experiment.
    pub experiment: ExperimentKey,
    /// The sender, as in [`Distribution::node`].
    pub node: u64,
    /// Number of the message, so that an older one is known as such.
    pub sequence: u64,
    /// The generation.
    pub generation: u64,
    /// [`Distribution::checksum`] of the generation.
    pub distribution: DistributionChecksum,
    /// Whether workers must not begin another candidate.
    pub paused: bool,
    /// Which candidates are done.
    pub done: DoneSet,
    /// Workers that get leases, in parallel to `counts`.
    pub workers: Vec<WorkerId>,
    /// Leases of each of them.
    pub counts: Vec<u16>,
    /// The leased candidates, worker after worker.
    pub candidates: Vec<u32>,
    /// Workers that are refused, in parallel to `reasons`.
    pub refused: Vec<WorkerId>,
    /// Why.
    pub reasons: Vec<String>,
}

/// What a worker says several times a second.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Heartbeat {
    /// [`protocol_version`] of the sender.
    pub protocol_version: u16,
    /// Key of the experiment that it takes part in, or of its own where it cannot take part; 0 before a distribution was heard.
    pub experiment: ExperimentKey,
    /// The sender.
    pub worker: WorkerId,
    /// Number of the message, so that an older one is known as such.
    pub sequence: u64,
    /// The generation that it works on.
    pub generation: u64,
    /// [`Distribution::checksum`] of the generation.
    pub distribution: DistributionChecksum,
    /// Threads that try candidates. 0: the worker leaves.
    pub threads: u16,
    /// How many candidates it would hold at a time.
    pub capacity: u16,
    /// Candidates that it holds and that are not finished: the running ones, then the waiting ones.
    pub held: Vec<u32>,
    /// How many of `held` run.
    pub running: u16,
    /// Share of its threads' time in which they were busy, over the last second or so.
    pub load: f32,
}

/// Outcomes that are not yet known to be done. Arrays in parallel.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Results {
    /// [`protocol_version`] of the sender.
    pub protocol_version: u16,
    /// Key of the experiment.
    pub experiment: ExperimentKey,
    /// The sender.
    pub worker: WorkerId,
    /// The generation.
    pub generation: u64,
    /// [`Distribution::checksum`] of the generation.
    pub distribution: DistributionChecksum,
    /// The candidates.
    pub candidates: Vec<u32>,
    /// Fitness of each; 0 for a failed one.
    pub fitness: Vec<f32>,
    /// Speed of each \[m/s\]; 0 for a failed one.
    pub speed: Vec<f32>,
    /// Share of episodes with a fall; 0 for a failed one.
    pub falls: Vec<f32>,
    /// 0, or [`Failure::code`].
    pub failure: Vec<u8>,
}

/// A set of candidates, one bit each: candidate i is bit i % 8 of byte i / 8.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DoneSet(pub Vec<u8>);

impl DoneSet {
    /// None of `population` candidates.
    pub fn empty(population: usize) -> Self {
        Self(vec![0; population.div_ceil(8)])
    }

    /// Whether `candidate` is in it.
    pub fn contains(&self, candidate: u32) -> bool {
        self.0.get(candidate as usize / 8).is_some_and(|byte| byte >> (candidate % 8) & 1 == 1)
    }

    /// Adds `candidate`, if there is room for it.
    pub fn insert(&mut self, candidate: u32) {
        if let Some(byte) = self.0.get_mut(candidate as usize / 8) {
            *byte |= 1 << (candidate % 8);
        }
    }
}

impl Work {
    /// The leases of `worker` in this message.
    ///
    /// # Errors
    /// [`MessageError`] when the arrays do not fit each other or a candidate is not of the population.
    pub fn leases_of(&self, worker: WorkerId, population: usize) -> Result<&[u32], MessageError> {
        same_length("counts", self.counts.len(), self.workers.len())?;
        same_length("done", self.done.0.len(), population.div_ceil(8))?;
        same_length("candidates", self.candidates.len(), self.counts.iter().map(|&count| usize::from(count)).sum())?;
        let Some(place) = self.workers.iter().position(|&other| other == worker) else { return Ok(&[]) };
        let start: usize = self.counts[..place].iter().map(|&count| usize::from(count)).sum();
        let leases = &self.candidates[start..start + usize::from(self.counts[place])];
        in_population(leases, population)?;
        Ok(leases)
    }

    /// Why `worker` is refused, if it is.
    pub fn refusal_of(&self, worker: WorkerId) -> Option<&str> {
        let place = self.refused.iter().position(|&other| other == worker)?;
        Some(self.reasons.get(place).map_or("no reason given", String::as_str))
    }
}

impl Heartbeat {
    /// Checks it against a generation of `population` candidates.
    ///
    /// # Errors
    /// [`MessageError`] names what cannot be.
    pub fn check(&self, population: usize) -> Result<(), MessageError> {
        in_population(&self.held, population)?;
        let running = usize::from(self.running);
        if running > self.held.len() { Err(length("running", running, self.held.len())) } else { Ok(()) }
    }
}

impl Results {
    /// The outcomes in it, in a generation of `population` candidates.
    ///
    /// # Errors
    /// [`MessageError`] when the arrays do not fit each other, a candidate is not of the population or a code is unknown: then none of it
    /// counts.
    pub fn outcomes(&self, population: usize) -> Result<Vec<(u32, Outcome)>, MessageError> {
        let expected = self.candidates.len();
        for (what, given) in [
            ("fitness", self.fitness.len()),
            ("speed", self.speed.len()),
            ("falls", self.falls.len()),
            ("failure", self.failure.len()),
        ] {
            same_length(what, given, expected)?;
        }
        in_population(&self.candidates, population)?;
        let outcome = |place: usize| -> Result<Outcome, MessageError> {
            match self.failure[place] {
                0 => {
                    let (fitness, speed, falls) = (self.fitness[place], self.speed[place], self.falls[place]);
                    Ok(CandidateResult { fitness, speed, falls }.checked())
                }
                code => {
                    let failure = Failure::ALL.into_iter().find(|failure| failure.code() == code);
                    Ok(Err(failure.ok_or(MessageError::FailureCode(code))?))
                }
            }
        };
        self.candidates.iter().enumerate().map(|(place, &candidate)| Ok((candidate, outcome(place)?))).collect()
    }

    /// Adds the outcome of `candidate`.
    pub fn push(&mut self, candidate: u32, outcome: Outcome) {
        let result = outcome.unwrap_or_default();
        self.candidates.push(candidate);
        self.fitness.push(result.fitness);
        self.speed.push(result.speed);
        self.falls.push(result.falls);
        self.failure.push(outcome.err().map_or(0, Failure::code));
    }
}

impl Distribution {
    /// That of the present generation of `search`, of an experiment with this hash.
    pub fn new(node: u64, experiment_hash: &str, search: &Search, time_limit: f32) -> Self {
        let shared = |clusters: &Arc<Clusters>| (clusters.assignment().to_vec(), clusters.count() as u32);
        Self {
            protocol_version: protocol_version(),
            node,
            experiment_hash: experiment_hash.to_owned(),
            population: search.strategy().population(),
            time_limit,
            clusters: search.clusters().map(shared).unwrap_or_default(),
        }
    }

    /// Key of its experiment.
    pub fn key(&self) -> ExperimentKey {
        experiment_key(&self.experiment_hash)
    }

    /// Checksum of what outcomes follow from: the candidates, and how long they may run.
    pub fn checksum(&self) -> DistributionChecksum {
        let hash = Sha256::new().chain_update(self.candidates_checksum().to_le_bytes());
        first_bits(hash.chain_update(self.time_limit.to_le_bytes()))
    }

    /// Checksum of what candidates are built from. A run that went another way has others in a generation of the same number.
    pub(super) fn candidates_checksum(&self) -> u64 {
        let Population { generation, size, seed, mirrored, mean, deviation } = &self.population;
        let (assignment, rules) = &self.clusters;
        let lengths = [*size as u64, mean.len() as u64, deviation.len() as u64, assignment.len() as u64];
        let mut hash = Sha256::new();
        for number in [*generation, *seed, u64::from(*mirrored), u64::from(*rules)].into_iter().chain(lengths) {
            hash.update(number.to_le_bytes());
        }
        mean.iter().chain(deviation).for_each(|value| hash.update(value.to_le_bytes()));
        assignment.iter().for_each(|rule| hash.update(rule.to_le_bytes()));
        first_bits(hash)
    }

    /// Checks the numbers in it.
    ///
    /// # Errors
    /// [`DistributionError::Malformed`] names what cannot be.
    pub fn check(&self) -> Result<(), DistributionError> {
        let malformed = |problem: String| Err(DistributionError::Malformed(problem));
        let Population { size, mean, deviation, .. } = &self.population;
        if !(1..=LARGEST_POPULATION).contains(size) {
            return malformed(format!("a population of {size}"));
        }
        if deviation.len() != 1 && deviation.len() != mean.len() {
            return malformed(format!("{} deviations for {} dimensions", deviation.len(), mean.len()));
        }
        if mean.iter().chain(deviation).chain([&self.time_limit]).any(|value| !value.is_finite()) {
            return malformed("a number in it is not finite".to_owned());
        }
        Ok(())
    }

    /// Time that a candidate may run.
    pub fn time_limit(&self) -> Duration {
        match Duration::try_from_secs_f32(self.time_limit) {
            Ok(limit) if !limit.is_zero() => limit,
            _ => Duration::MAX,
        }
    }

    /// The search that a worker with `experiment` and `robot` takes part in. The run's seed is that of the distribution.
    ///
    /// # Errors
    /// [`DistributionError`] when it is of another protocol or experiment, or does not fit the experiment.
    pub fn search(&self, experiment: &Experiment, robot: &RobotModel) -> Result<Search, DistributionError> {
        let malformed = |problem: String| DistributionError::Malformed(problem);
        if let Some(refusal) = Refusal::of_versions(protocol_version(), self.protocol_version) {
            return Err(refusal.into());
        }
        let mut experiment = experiment.clone();
        experiment.seed = self.population.seed;
        let hash = experiment.hash(robot);
        if hash != self.experiment_hash {
            return Err(Refusal::Experiment { worker: experiment_key(&hash), node: self.key() }.into());
        }
        self.check()?;
        let (assignment, rules) = &self.clusters;
        let clusters = match rules {
            0 => None,
            &rules => Some(Clusters::new(assignment.clone(), rules as usize).map_err(|error| malformed(error.to_string()))?),
        };
        if let Some(clusters) = &clusters
            && experiment.policy.network.plastic().is_none_or(|plastic| plastic.layers.synapses() != clusters.assignment().len())
        {
            return Err(malformed("its clusters are of another network".to_owned()));
        }
        let search = Search::of_population(Arc::new(experiment), robot, &self.population, clusters.map(Arc::new));
        search.map_err(|error| malformed(error.to_string()))
    }
}

fn first_bits(hash: Sha256) -> u64 {
    hash.finalize().iter().take(8).fold(0, |bits, &byte| (bits << 8) | u64::from(byte))
}

fn length(what: &'static str, given: usize, expected: usize) -> MessageError {
    MessageError::Length { what, given, expected }
}

fn same_length(what: &'static str, given: usize, expected: usize) -> Result<(), MessageError> {
    if given == expected { Ok(()) } else { Err(length(what, given, expected)) }
}

fn in_population(candidates: &[u32], population: usize) -> Result<(), MessageError> {
    match candidates.iter().find(|&&candidate| candidate as usize >= population) {
        Some(&candidate) => Err(MessageError::Candidate { candidate, population }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn episodes_of_other_bits_are_another_version_of_the_protocol() {
        assert_eq!(version(1, 1, true), 1, "of before episodes had a version");
        let versions = [(1, 1), (2, 1), (255, 1), (1, 2), (255, 2), (1, 3)];
        let versions = versions.map(|(messages, episodes)| version(messages, episodes, true));
        assert!(versions.is_sorted_by(|a, b| a < b), "{versions:?}");
    }

    #[test]
    fn machines_that_round_otherwise_do_not_work_together_and_are_told_so() {
        let [fused, unfused] = [true, false].map(|is_fused| version(2, 3, is_fused));
        assert_eq!((Refusal::of_versions(fused, fused), Refusal::of_versions(unfused, unfused)), (None, None));
        let said = |worker, node| Refusal::of_versions(worker, node).unwrap().to_string();
        assert!(said(fused, unfused).starts_with("the worker's machine has fused multiply-add (FMA)"));
        assert!(said(unfused, fused).starts_with("the evolution node's machine has fused multiply-add (FMA)"));
        // Another version is another one first of all.
        assert!(matches!(Refusal::of_versions(version(1, 3, true), unfused), Some(Refusal::Protocol { .. })));
        assert_eq!(protocol_version() & UNFUSED == 0, Instructions::detect().is_fused());
    }
}
