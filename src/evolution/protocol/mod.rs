//! Evolution over messages that may be lost, doubled, reordered or late, between processes that may die at any moment.
//!
//! One *coordinator* holds the search and hands out leases of candidates; any number of *workers* rebuild the candidates, try them and
//! report. A candidate is a function of the generation's distribution and its number, and its outcome a function of the candidate, so it does not
//! matter who tries it, when, or how often. Therefore every message carries state, never a change of state, and any of them may
//! be repeated or lost:
//!
//! - the coordinator says, again and again, which candidates are done (that acknowledges their outcomes) and which ones a worker has leased;
//! - a worker says, again and again, which candidates it holds and how many it would hold, and repeats outcomes until they are done.
//!
//! Both sides are state machines without clocks or sockets: time comes in as a [`Duration`](std::time::Duration) since any fixed moment on a
//! steady clock, messages go in and out as plain values.

mod coordinator;
mod leases;
mod load;
mod messages;
mod worker;

#[cfg(test)]
mod foreign;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod simulated_network;
#[cfg(test)]
mod time_limit;

pub use coordinator::{Coordinator, CoordinatorSettings, WorkerSummary};
pub use messages::{
    Distribution, DistributionChecksum, DistributionError, DoneSet, ExperimentKey, Heartbeat, MessageError, Refusal, Results,
    Work, WorkerId, experiment_key, protocol_version,
};
pub use worker::{Job, Worker};
