//! Trying the candidates of a generation, with the same result on any number of threads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rand::RngExt;
use rayon::prelude::*;

use super::outcome::{CandidateResult, Failure, Generation, Outcome};
use super::search::TellError;
use super::{Experiment, Population, Search, SearchStretches};
use crate::episode::{Episode, EpisodeError, EpisodeResult};
use crate::plasticity::{Gate, Measurement};
use crate::policy::{MapError, Policy};
use crate::random::stream;
use crate::robot::RobotModel;

/// What tries candidates: a policy and a world that are used again and again. One per thread.
#[derive(Clone)]
pub struct Evaluator {
    fresh: Trial,
    used: Trial,
}

#[derive(Clone)]
struct Trial {
    experiment: Arc<Experiment>,
    stretches: SearchStretches,
    /// One for each condition.
    episodes: Vec<Episode>,
    policy: Policy,
}

/// Why candidates cannot be tried.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluatorError {
    /// The policy is not consistent.
    #[error(transparent)]
    Policy(#[from] MapError),
    /// The episode is not usable.
    #[error(transparent)]
    Episode(#[from] EpisodeError),
}

impl Evaluator {
    /// An evaluator of candidates of `search`, for `robot`, until the search merges rules.
    ///
    /// # Errors
    /// [`EvaluatorError`] when policy or episode are not usable.
    pub fn new(search: &Search, robot: Arc<RobotModel>) -> Result<Self, EvaluatorError> {
        let (experiment, file) = (search.experiment().clone(), search.policy());
        let mut policy = file.policy()?;
        // Measured only where it counts, as it costs time.
        let measured = if experiment.fitness.counts_weight_change() { Measurement::Changes } else { Measurement::Off };
        policy.set_measurement(measured);
        let episode = |settings| {
            let episode = Episode::new(robot.clone(), settings)?;
            episode.check(&policy, file.metadata.control_rate).map(|()| episode)
        };
        let episodes = experiment.conditions.settings(&experiment.episode).map(episode).collect::<Result<_, _>>()?;
        let fresh = Trial { experiment, stretches: search.strategy().stretches().clone(), episodes, policy };
        Ok(Self { used: fresh.clone(), fresh })
    }

    /// Tries candidate `index` of `population`. Whatever goes wrong in it is its own failure: numbers that are not finite, even a panic.
    pub fn evaluate(&mut self, population: &Population, index: usize) -> Outcome {
        let used = &mut self.used;
        match catch_unwind(AssertUnwindSafe(|| used.evaluate(population, index))) {
            Ok(outcome) => outcome,
            Err(_) => {
                // Nobody knows what the panic left behind.
                self.used = self.fresh.clone();
                Err(Failure::Panicked)
            }
        }
    }
}

impl Trial {
    fn evaluate(&mut self, population: &Population, index: usize) -> Outcome {
        let genome = population.genome(index, &self.stretches);
        if let Some(function) = self.experiment.test_function {
            return CandidateResult { fitness: function.at(&genome), ..Default::default() }.checked();
        }
        // The size is the network's, so only numbers that are not finite are refused.
        self.policy.set_genome(&genome).map_err(|_| Failure::NotFinite)?;
        let Self { experiment, episodes, policy, .. } = self;
        let count = experiment.episodes_per_candidate() as f32;
        let mut sum = CandidateResult::default();
        for planned in experiment.conditions.plan(population.generation, experiment.evolution.episodes) {
            let seed = episode_seed(experiment.seed, population.generation, planned.seed);
            let episode = &mut episodes[planned.condition];
            let result: EpisodeResult = episode.run(policy, seed, &experiment.fitness, |_| Gate::OPEN, |_| ());
            sum.fitness += result.fitness / count;
            sum.speed += result.speed / count;
            sum.falls += if result.fell { 1.0 / count } else { 0.0 };
        }
        sum.checked()
    }
}

/// Seed of an episode: common to all candidates of a generation, so that luck does not decide between them.
fn episode_seed(seed: u64, generation: u64, episode: u32) -> u64 {
    stream(seed, "episode", &[generation, u64::from(episode)]).random()
}

/// Tries all candidates of the present generation on the threads of the present rayon pool. `done` hears of each candidate that is
/// finished, from any thread. `evaluator` must be one of this search since its last merge.
pub fn evaluate_generation(search: &Search, evaluator: &Evaluator, done: impl Fn() + Sync) -> Vec<Outcome> {
    let population = search.strategy().population();
    let evaluate = |evaluator: &mut Evaluator, index| {
        let outcome = evaluator.evaluate(&population, index);
        done();
        outcome
    };
    (0..population.size).into_par_iter().with_max_len(1).map_init(|| evaluator.clone(), evaluate).collect()
}

/// Tries all candidates of the present generation, see [`evaluate_generation`], and tells the search.
///
/// # Errors
/// As [`Search::tell`].
pub fn run_generation(search: &mut Search, evaluator: &Evaluator) -> Result<Generation, TellError> {
    let outcomes = evaluate_generation(search, evaluator, || ());
    search.tell(&outcomes)
}
