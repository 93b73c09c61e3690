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
///
/// 2: the base turns about its centre of mass, masses count from the first physics step on, patches of friction lie elsewhere in each episode,
/// and the height of a fallen robot is one of flat ground, measured on uneven ground from its mean height around the robot.
pub const EPISODE_VERSION: u16 = 2;
/// What names no version is of this one: it was written before there was any.
pub const FIRST_EPISODE_VERSION: u16 = 1;

/// How a file names `version`: what is of the first version names none, and so keeps the bytes that it had before there was any.
pub(crate) fn named_version(version: u16) -> Option<u16> {
    (version != FIRST_EPISODE_VERSION).then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_name_the_version_of_episodes_from_the_second_on() {
        let [first, next] = [FIRST_EPISODE_VERSION, FIRST_EPISODE_VERSION + 1];
        assert_eq!([named_version(first), named_version(next)], [None, Some(next)]);
    }
}
