//! Evaluating a generation on all threads, with the same result on any number of them.

use std::sync::Arc;

use rand::RngExt;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Experiment, Search, Strategy};
use crate::episode::{Episode, EpisodeError, EpisodeResult};
use crate::network::NetworkError;
use crate::plasticity::{Gate, Measurement};
use crate::policy::{MapError, Policy};
use crate::random::stream;
use crate::robot::RobotModel;

/// What tries candidates: a policy and a world that are used again and again. One per thread.
#[derive(Clone)]
pub struct Evaluator {
    experiment: Arc<Experiment>,
    episode: Episode,
    policy: Policy,
}

/// What a candidate came to, the mean over its episodes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CandidateResult {
    /// Fitness.
    pub fitness: f32,
    /// Forward speed \[m/s\].
    pub speed: f32,
    /// Share of episodes in which the robot fell.
    pub falls: f32,
}

/// A generation in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Generation {
    /// Number, from 0.
    pub generation: u64,
    /// Best fitness.
    pub best: f32,
    /// Mean fitness.
    pub mean: f32,
    /// Standard deviation of fitness.
    pub spread: f32,
    /// Forward speed of the candidate with the best fitness \[m/s\].
    pub best_speed: f32,
    /// Mean forward speed \[m/s\].
    pub mean_speed: f32,
    /// Share of episodes in which the robot fell.
    pub falls: f32,
    /// Candidates whose fitness was not a finite number.
    pub failed: u32,
    /// Noise of the generation.
    pub sigma: f32,
    /// Step size of the generation.
    pub learning_rate: f32,
}

/// Why a run cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The policy is not consistent.
    #[error(transparent)]
    Policy(#[from] MapError),
    /// The episode is not usable.
    #[error(transparent)]
    Episode(#[from] EpisodeError),
    /// A candidate does not fit the network.
    #[error(transparent)]
    Genome(#[from] NetworkError),
}

impl Evaluator {
    /// An evaluator of candidates of `search`, for `robot`.
    ///
    /// # Errors
    /// [`RunError`] when policy or episode are not usable.
    pub fn new(search: &Search, robot: Arc<RobotModel>) -> Result<Self, RunError> {
        let (experiment, file) = (search.experiment().clone(), search.policy());
        let mut policy = file.policy()?;
        // Nobody looks at what steps do to the weights here.
        policy.set_measurement(Measurement::Off);
        let episode = Episode::new(robot, experiment.episode)?;
        episode.check(&policy, file.metadata.control_rate)?;
        Ok(Self { experiment, episode, policy })
    }

    /// Tries `genome` in the episodes of `generation`.
    ///
    /// # Errors
    /// [`RunError::Genome`] when it does not fit or is not finite.
    pub fn evaluate(&mut self, generation: u64, genome: &[f32]) -> Result<CandidateResult, RunError> {
        self.policy.set_genome(genome)?;
        let episodes = self.experiment.evolution.episodes;
        let mut sum = CandidateResult::default();
        for index in 0..episodes {
            let seed = episode_seed(self.experiment.seed, generation, index);
            let result: EpisodeResult =
                self.episode.run(&mut self.policy, seed, &self.experiment.fitness, |_| Gate::OPEN, |_| ());
            sum.fitness += result.fitness / episodes as f32;
            sum.speed += result.speed / episodes as f32;
            sum.falls += if result.fell { 1.0 / episodes as f32 } else { 0.0 };
        }
        Ok(sum)
    }
}

/// Seed of an episode: common to all candidates of a generation, so that luck does not decide between them.
fn episode_seed(seed: u64, generation: u64, index: u32) -> u64 {
    stream(seed, "episode", &[generation, u64::from(index)]).random()
}

/// Tries all candidates of the present generation on the threads of the present rayon pool and tells the strategy. `done` hears of
/// each candidate that is finished, from any thread. `evaluator` must be one of this search since its last merge.
///
/// # Errors
/// [`RunError`] when a candidate cannot be tried; the search is then unchanged.
pub fn evaluate_generation(search: &mut Search, evaluator: &Evaluator, done: impl Fn() + Sync) -> Result<Generation, RunError> {
    let strategy = search.strategy();
    let generation = strategy.generation();
    let results: Vec<CandidateResult> = (0..strategy.population())
        .into_par_iter()
        .with_max_len(1)
        .map_init(
            || evaluator.clone(),
            |evaluator, index| {
                let result = evaluator.evaluate(generation, &strategy.candidate(index));
                done();
                result
            },
        )
        .collect::<Result<_, _>>()?;
    let summary = summarise(strategy, &results);
    let fitness: Vec<f32> = results.iter().map(|result| result.fitness).collect();
    // The lengths agree: there is one result per candidate.
    let _ = search.strategy_mut().tell(&fitness);
    Ok(summary)
}

fn summarise(strategy: &Strategy, results: &[CandidateResult]) -> Generation {
    // A candidate whose simulation broke down has no number: it is counted, ranks worst, and is left out of the means.
    let finite: Vec<CandidateResult> =
        results.iter().filter(|result| result.fitness.is_finite() && result.speed.is_finite()).copied().collect();
    let count = finite.len().max(1) as f32;
    let mean = |value: fn(&CandidateResult) -> f32| finite.iter().map(value).sum::<f32>() / count;
    let mean_fitness = mean(|result| result.fitness);
    let variance = finite.iter().map(|result| (result.fitness - mean_fitness).powi(2)).sum::<f32>() / count;
    let best = finite.iter().max_by(|a, b| a.fitness.total_cmp(&b.fitness)).copied().unwrap_or_default();
    Generation {
        generation: strategy.generation(),
        best: best.fitness,
        mean: mean_fitness,
        spread: variance.sqrt(),
        best_speed: best.speed,
        mean_speed: mean(|result| result.speed),
        falls: mean(|result| result.falls),
        failed: (results.len() - finite.len()) as u32,
        sigma: strategy.sigma(),
        learning_rate: strategy.learning_rate(),
    }
}
