//! Evolution of rules: which candidates to try, what their fitness says, and a search that any interruption leaves intact.

mod checkpoint;
mod evaluation;
mod experiment;
mod history;
mod merge;
mod optimiser;
mod outcome;
mod population;
pub mod protocol;
mod ranking;
mod run;
mod search;
mod search_space;
mod settings;
mod start;
mod stop;
mod strategy;
mod test_function;

pub use checkpoint::{Checkpoint, CheckpointError};
pub use evaluation::{Evaluator, EvaluatorError, EvaluatorPool, evaluate_generation, run_generation};
pub use experiment::{Experiment, ExperimentError, PolicyDescription};
pub use history::{HISTORY, PACE, Pace, Table, TableError};
pub use merge::{Merge, MergeError};
pub use optimiser::Optimiser;
pub use outcome::{CandidateResult, Failure, FailureCounts, Generation, Outcome, best_candidate};
pub use population::Population;
pub use ranking::{centred_ranks, log_utilities};
pub use run::{Continuation, Event, Run, RunError};
pub use search::{Search, SearchError, TellError};
pub use search_space::{GroupSearch, SearchSpace, SearchStretches};
pub use settings::{EvolutionSettings, Method, Restarts, Schedule, Stagnation, StopCriteria};
pub use start::{Start, StartError};
pub use stop::StopReason;
pub use strategy::{SearchVector, Strategy, StrategyError, StrategyState};
pub use test_function::TestFunction;
