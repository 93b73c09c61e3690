//! One rollout: a policy walks from random weights to the end of an episode, and what that was worth.

mod conditions;
mod fitness;
mod rollout;
mod settings;
mod trace;

pub use conditions::{ConditionOrder, Conditions, EpisodeCondition, PlannedEpisode};
pub use fitness::{Fitness, FitnessForm, FitnessTerm, Progress};
pub use rollout::{Episode, EpisodeResult, StepView};
pub use settings::{EpisodeError, EpisodeSettings};
pub use trace::{Trace, TraceMetadata, TracedRule};
