//! Evolution of rules: which candidates to try, what their fitness says, and a search that any interruption leaves intact.

mod checkpoint;
mod experiment;
mod merge;
mod ranking;
mod run;
mod search;
mod search_space;
mod strategy;

pub use checkpoint::{Checkpoint, CheckpointError};
pub use experiment::{EvolutionSettings, Experiment, ExperimentError, PolicyDescription, Schedule};
pub use merge::{Merge, MergeError};
pub use ranking::centred_ranks;
pub use run::{CandidateResult, Evaluator, Generation, RunError, evaluate_generation};
pub use search::{Search, SearchError};
pub use search_space::{GroupSearch, SearchSpace, SearchStretches};
pub use strategy::{Strategy, StrategyError, StrategyState};
