//! Evolution of rules: which candidates to try, what their fitness says, and a search that any interruption leaves intact.

mod checkpoint;
mod experiment;
mod ranking;
mod run;
mod search_space;
mod strategy;

pub use checkpoint::{Checkpoint, CheckpointError};
pub use experiment::{EvolutionSettings, Experiment, ExperimentError, PolicyDescription, Schedule};
pub use ranking::centred_ranks;
pub use run::{CandidateResult, Evaluator, Generation, RunError, evaluate_generation};
pub use search_space::{SearchSpace, TermSearch};
pub use strategy::{Strategy, StrategyError, StrategyState};
