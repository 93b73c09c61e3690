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

/// Version of the bits that episodes, and generations of them, come to. Whoever changes what the same robot, policy, settings and seed come
/// to raises it: in the physics, the sensors, the step of a network or of a policy, the fitness, or the search. So what was begun before
/// such a change is never gone on with after it as if nothing had happened. What says no version is of version 1.
pub const EPISODE_VERSION: u16 = 1;
/// What names no version is of this one: it was written before there was any.
pub const FIRST_EPISODE_VERSION: u16 = 1;
