//! Episodes of one policy under one condition, on seeds that no training saw.

use std::sync::Arc;

use rand::RngExt;
use rayon::prelude::*;
use serde::Serialize;

use crate::episode::{Episode, EpisodeError, EpisodeResult, EpisodeSettings, Fitness};
use crate::plasticity::Gate;
use crate::policy::{MapError, Policy, PolicyFile};
use crate::random::stream;
use crate::robot::RobotModel;

/// A policy in a world, ready to run episodes.
pub struct Trial {
    episode: Episode,
    fitness: Fitness,
}

/// Why a trial cannot be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrialError {
    /// The policy is not consistent.
    #[error(transparent)]
    Policy(#[from] MapError),
    /// The policy does not fit the robot, or the episode is not usable.
    #[error(transparent)]
    Episode(#[from] EpisodeError),
    /// The weights of all steps of an episode, on whose course an ablation leads another, are too many to be held in memory.
    #[error(
        "an ablation holds the weights of all steps of an episode in memory, on each thread: those of {synapses} synapses for at most {longest} s, \
         and its episodes last {duration} s; give it shorter ones (`hebb evaluate --ablate --duration`)"
    )]
    Course {
        /// Weights of the network.
        synapses: usize,
        /// Longest episode \[s\].
        longest: f64,
        /// Length of the episodes \[s\].
        duration: f32,
    },
}

/// Several episodes in numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Episodes.
    pub episodes: u32,
    /// Mean forward speed \[m/s\].
    pub speed_mean: f32,
    /// Standard deviation of the forward speed (n - 1) \[m/s\].
    pub speed_sd: f32,
    /// Slowest episode \[m/s\].
    pub speed_min: f32,
    /// Mean fitness. Left out of files: it is of the form that the trial was given, and nothing beside it there says which.
    #[serde(skip)]
    pub fitness_mean: f32,
    /// Mean of the way sideways, either way \[m\].
    pub drift_mean: f32,
    /// Episodes in which the robot fell.
    pub falls: u32,
    /// Largest |w| in any episode.
    pub weights_max_abs: f32,
}

/// `count` seeds for episodes that no training uses: the stream is named differently from evolution's.
pub fn held_out_seeds(seed: u64, count: u32) -> Vec<u64> {
    (0..count).map(|index| stream(seed, "held-out episode", &[u64::from(index)]).random()).collect()
}

impl Trial {
    /// A trial of policies for `robot`.
    ///
    /// # Errors
    /// [`TrialError`] when the episode is not usable.
    pub fn new(robot: Arc<RobotModel>, settings: EpisodeSettings, fitness: Fitness) -> Result<Self, TrialError> {
        Ok(Self { episode: Episode::new(robot, settings)?, fitness })
    }

    /// The settings of its episodes.
    pub fn settings(&self) -> &EpisodeSettings {
        self.episode.settings()
    }

    /// Control steps in an episode.
    pub(super) fn control_steps(&self) -> u32 {
        self.episode.control_steps()
    }

    /// Runs one episode per seed on the threads of the present rayon pool; the order of results is that of the seeds. All their numbers are
    /// finite: an episode whose simulation broke down is one in which the robot fell where it stood.
    ///
    /// # Errors
    /// [`TrialError`] when the policy does not fit the robot.
    pub fn run(
        &self,
        file: &PolicyFile,
        seeds: &[u64],
        gate: impl Fn(u32) -> Gate + Sync,
    ) -> Result<Vec<EpisodeResult>, TrialError> {
        let gate = &gate;
        let prepare = |_: &mut Episode, _: &Policy, _| {
            move |step, policy: &mut Policy| {
                // One gate for all layers fits every network.
                let _ = policy.set_gate(gate(step));
            }
        };
        self.run_with(file, seeds, prepare)
    }

    /// As [`Trial::run`], with what `prepare` gives for each seed in the place of the gate (see [`Episode::run_with`]). It may run episodes of
    /// its own before.
    ///
    /// # Errors
    /// [`TrialError`] when the policy does not fit the robot.
    pub fn run_with<I: FnMut(u32, &mut Policy)>(
        &self,
        file: &PolicyFile,
        seeds: &[u64],
        prepare: impl Fn(&mut Episode, &Policy, u64) -> I + Sync,
    ) -> Result<Vec<EpisodeResult>, TrialError> {
        let policy = file.policy()?;
        self.episode.check(&policy, file.metadata.control_rate)?;
        // A copy for each episode: weights that are kept from one episode to the next would make results depend on who runs which.
        let run = |episode: &mut Episode, &seed: &u64| {
            let intervene = prepare(episode, &policy, seed);
            finite(episode.run_with(&mut policy.clone(), seed, &self.fitness, intervene, |_| ()))
        };
        Ok(seeds.par_iter().map_init(|| self.episode.clone(), run).collect())
    }
}

impl Summary {
    /// Sums up `results`, in numbers that are finite if theirs are: files could not hold others.
    pub fn of(results: &[EpisodeResult]) -> Self {
        let count = results.len().max(1) as f32;
        let mean = |value: fn(&EpisodeResult) -> f32| within_range(results.iter().map(value).sum::<f32>() / count);
        let speed_mean = mean(|result| result.speed);
        let squares: f32 = results.iter().map(|result| (result.speed - speed_mean).powi(2)).sum();
        Self {
            episodes: results.len() as u32,
            speed_mean,
            speed_sd: within_range((squares / (count - 1.0).max(1.0)).sqrt()),
            speed_min: results.iter().map(|result| result.speed).reduce(f32::min).unwrap_or(0.0),
            fitness_mean: mean(|result| result.fitness),
            drift_mean: mean(|result| result.lateral_drift.abs()),
            falls: results.iter().filter(|result| result.fell).count() as u32,
            weights_max_abs: results.iter().map(|result| result.weights_max_abs).fold(0.0, f32::max),
        }
    }
}

/// `value`, or the largest number of its sign where it is infinite, as JSON has no infinity.
pub(super) fn within_range(value: f32) -> f32 {
    value.clamp(f32::MIN, f32::MAX)
}

/// `result` in numbers that JSON and statistics can hold: an episode whose simulation broke down is one in which the robot fell where it
/// stood, and weights without bound are as large as numbers get.
pub(super) fn finite(result: EpisodeResult) -> EpisodeResult {
    let EpisodeResult { fitness, distance, lateral_drift, speed, yaw, joint_speed, weight_change_mean, .. } = result;
    let weights_max_abs = result.weights_max_abs.min(f32::MAX);
    if [fitness, distance, lateral_drift, speed, yaw, joint_speed].iter().all(|value| value.is_finite())
        && result.work.is_finite()
    {
        return EpisodeResult { weights_max_abs, weight_change_mean: weight_change_mean.min(f32::MAX), ..result };
    }
    let EpisodeResult { control_steps, physics_steps, .. } = result;
    EpisodeResult { fell: true, control_steps, physics_steps, weights_max_abs, ..Default::default() }
}

/// One episode of a fresh copy of `policy`; `watch` is shown all weights at the start (step 0) and after each step.
pub(super) fn watch_weights(episode: &Episode, policy: &Policy, seed: u64, mut watch: impl FnMut(u32, &[f32])) {
    let (mut episode, mut policy) = (episode.clone(), policy.clone());
    let mut weights = Vec::new();
    let mut show = |step: u32, policy: &Policy| {
        if let Some(network) = policy.network().plastic() {
            weights.resize(network.shape().synapses(), 0.0);
            network.copy_weights(&mut weights);
            watch(step, &weights);
        }
    };
    // A start of its own: the same weights as the episode's, before its first step. A copy, lest weights that are kept be those of a
    // second life.
    let mut newborn = policy.clone();
    newborn.start(seed);
    show(0, &newborn);
    episode.run(&mut policy, seed, &Fitness::default(), |_| Gate::OPEN, |view| show(view.step + 1, view.policy));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_episode_that_breaks_down_leaves_no_null_in_a_file() {
        let walk = EpisodeResult { speed: 0.2, fitness: 0.3, control_steps: 9, weights_max_abs: 1.0, ..Default::default() };
        assert_eq!(finite(walk), walk);
        for broken in [
            EpisodeResult { speed: f32::NAN, ..walk },
            EpisodeResult { distance: f32::INFINITY, weights_max_abs: f32::INFINITY, ..walk },
            EpisodeResult { work: f64::NAN, weight_change_mean: f32::NAN, ..walk },
            EpisodeResult { speed: f32::MAX, fitness: f32::MIN, lateral_drift: f32::MAX, ..walk },
        ] {
            let results = [walk, broken, broken].map(finite);
            let summary = Summary::of(&results);
            let json = serde_json::to_string(&(&summary, &results[..])).unwrap();
            assert!(!json.contains("null"), "{json}");
            assert_eq!(summary.falls, if results[1].fell { 2 } else { 0 });
        }
        assert!(!serde_json::to_string(&Summary::of(&[])).unwrap().contains("null"));
    }
}
