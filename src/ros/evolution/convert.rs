//! Messages of an evolution to values of the protocol and back. They are alike; what they say is checked by the protocol.

use r2r::hebbian_locomotion::msg::{EvolutionDistribution, EvolutionHeartbeat, EvolutionResults, EvolutionWork};

use crate::evolution::Population;
use crate::evolution::protocol::{Distribution, DoneSet, Heartbeat, Results, Work};

impl From<&Distribution> for EvolutionDistribution {
    fn from(value: &Distribution) -> Self {
        let Population { generation, size, seed, mirrored, ref mean, ref deviation } = value.population;
        Self {
            protocol_version: value.protocol_version,
            node: value.node,
            experiment_hash: value.experiment_hash.clone(),
            generation,
            population: size as u32,
            noise_seed: seed,
            mirrored,
            mean: mean.clone(),
            deviation: deviation.clone(),
            time_limit: value.time_limit,
            clusters: value.clusters.0.clone(),
            rules: value.clusters.1,
        }
    }
}

impl From<EvolutionDistribution> for Distribution {
    fn from(message: EvolutionDistribution) -> Self {
        Self {
            protocol_version: message.protocol_version,
            node: message.node,
            experiment_hash: message.experiment_hash,
            population: Population {
                generation: message.generation,
                size: message.population as usize,
                seed: message.noise_seed,
                mirrored: message.mirrored,
                mean: message.mean,
                deviation: message.deviation,
            },
            time_limit: message.time_limit,
            clusters: (message.clusters, message.rules),
        }
    }
}

impl From<Work> for EvolutionWork {
    fn from(value: Work) -> Self {
        Self {
            protocol_version: value.protocol_version,
            experiment: value.experiment,
            node: value.node,
            sequence: value.sequence,
            generation: value.generation,
            distribution: value.distribution,
            paused: value.paused,
            done: value.done.0,
            workers: value.workers,
            counts: value.counts,
            candidates: value.candidates,
            refused: value.refused,
            reasons: value.reasons,
        }
    }
}

impl From<EvolutionWork> for Work {
    fn from(message: EvolutionWork) -> Self {
        Self {
            protocol_version: message.protocol_version,
            experiment: message.experiment,
            node: message.node,
            sequence: message.sequence,
            generation: message.generation,
            distribution: message.distribution,
            paused: message.paused,
            done: DoneSet(message.done),
            workers: message.workers,
            counts: message.counts,
            candidates: message.candidates,
            refused: message.refused,
            reasons: message.reasons,
        }
    }
}

impl From<Heartbeat> for EvolutionHeartbeat {
    fn from(value: Heartbeat) -> Self {
        Self {
            protocol_version: value.protocol_version,
            experiment: value.experiment,
            worker: value.worker,
            sequence: value.sequence,
            generation: value.generation,
            distribution: value.distribution,
            threads: value.threads,
            capacity: value.capacity,
            held: value.held,
            running: value.running,
            load: value.load,
        }
    }
}

impl From<EvolutionHeartbeat> for Heartbeat {
    fn from(message: EvolutionHeartbeat) -> Self {
        Self {
            protocol_version: message.protocol_version,
            experiment: message.experiment,
            worker: message.worker,
            sequence: message.sequence,
            generation: message.generation,
            distribution: message.distribution,
            threads: message.threads,
            capacity: message.capacity,
            held: message.held,
            running: message.running,
            load: message.load,
        }
    }
}

impl From<Results> for EvolutionResults {
    fn from(value: Results) -> Self {
        Self {
            protocol_version: value.protocol_version,
            experiment: value.experiment,
            worker: value.worker,
            generation: value.generation,
            distribution: value.distribution,
            candidates: value.candidates,
            fitness: value.fitness,
            speed: value.speed,
            falls: value.falls,
            failure: value.failure,
        }
    }
}

impl From<EvolutionResults> for Results {
    fn from(message: EvolutionResults) -> Self {
        Self {
            protocol_version: message.protocol_version,
            experiment: message.experiment,
            worker: message.worker,
            generation: message.generation,
            distribution: message.distribution,
            candidates: message.candidates,
            fitness: message.fitness,
            speed: message.speed,
            falls: message.falls,
            failure: message.failure,
        }
    }
}
