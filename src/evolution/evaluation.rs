//! Trying the candidates of a generation, with the same result on any number of threads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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

/// What tries candidates: a policy, and a world for each condition, that are used again and again. One per thread.
#[derive(Clone)]
pub struct Evaluator {
    /// As it was made; clones share it.
    fresh: Arc<Trial>,
    used: Trial,
}

/// Evaluators of one search for any number of threads: who is done with one leaves it to the next, so there are never more than threads.
pub struct EvaluatorPool {
    fresh: Arc<Trial>,
    idle: Mutex<Vec<Evaluator>>,
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
        Ok(Self::of(Arc::new(Trial { experiment, stretches: search.strategy().stretches().clone(), episodes, policy })))
    }

    fn of(fresh: Arc<Trial>) -> Self {
        Self { used: (*fresh).clone(), fresh }
    }

    /// Tries candidate `index` of `population`. Whatever goes wrong in it is its own failure: numbers that are not finite, even a panic.
    pub fn evaluate(&mut self, population: &Population, index: usize) -> Outcome {
        let used = &mut self.used;
        match catch_unwind(AssertUnwindSafe(|| used.evaluate(population, index))) {
            Ok(outcome) => outcome,
            Err(_) => {
                // Nobody knows what the panic left behind.
                self.used = (*self.fresh).clone();
                Err(Failure::Panicked)
            }
        }
    }
}

impl EvaluatorPool {
    /// Evaluators of candidates of `search`, for `robot`, until the search merges rules.
    ///
    /// # Errors
    /// As [`Evaluator::new`].
    pub fn new(search: &Search, robot: Arc<RobotModel>) -> Result<Self, EvaluatorError> {
        let first = Evaluator::new(search, robot)?;
        Ok(Self { fresh: first.fresh.clone(), idle: Mutex::new(vec![first]) })
    }

    /// As [`Evaluator::evaluate`], with one that nobody uses at this moment.
    fn evaluate(&self, population: &Population, index: usize) -> Outcome {
        // Two steps, as a copy takes long and others must not wait for it.
        let idle = self.idle().pop();
        let mut evaluator = idle.unwrap_or_else(|| Evaluator::of(self.fresh.clone()));
        let outcome = evaluator.evaluate(population, index);
        self.idle().push(evaluator);
        outcome
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Evaluator>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
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
/// finished, from any thread. `evaluators` must be of this search since its last merge.
pub fn evaluate_generation(search: &Search, evaluators: &EvaluatorPool, done: impl Fn() + Sync) -> Vec<Outcome> {
    let population = search.strategy().population();
    let evaluate = |index| {
        let outcome = evaluators.evaluate(&population, index);
        done();
        outcome
    };
    (0..population.size).into_par_iter().with_max_len(1).map(evaluate).collect()
}

/// Tries all candidates of the present generation, see [`evaluate_generation`], and tells the search.
///
/// # Errors
/// As [`Search::tell`].
pub fn run_generation(search: &mut Search, evaluators: &EvaluatorPool) -> Result<Generation, TellError> {
    let outcomes = evaluate_generation(search, evaluators, || ());
    search.tell(&outcomes)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Change;

    /// The search of the beetle's experiment, made small, with `changes`.
    fn small(changes: &[&str]) -> (Search, Arc<RobotModel>) {
        let size = [
            "episode.duration=0.3",
            "fitness.from=0.0",
            "evolution.population=6",
            "evolution.episodes=2",
            "evolution.genome={all: {scale: 1.0, spread: 0.3}}",
        ];
        let changes: Vec<Change> = size.iter().chain(changes).map(|change| change.parse().unwrap()).collect();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/experiments/beetle.yaml");
        let (experiment, robot) = Experiment::load_changed(&path, &changes).unwrap();
        (Search::new(Arc::new(experiment), &robot).unwrap(), robot)
    }

    /// What each candidate of the present generation comes to in an evaluator of its own.
    fn alone(search: &Search, evaluator: &Evaluator) -> Vec<Outcome> {
        let population = search.strategy().population();
        (0..population.size).map(|index| evaluator.clone().evaluate(&population, index)).collect()
    }

    #[test]
    fn a_candidate_comes_to_the_same_whatever_its_evaluator_tried_before() {
        let plastic = |more: &str| format!("policy.network={{plastic: {{layers: [27, 16, 18], {more}}}}}");
        let networks = [
            plastic("initial_weights: {kept: 0.1}"),
            plastic("initial_weights: {random: 0.1}, update: {every: 2, average: 5}"),
            "policy.network={lstm: {layers: [27, 18], hidden: [9], initial_state: 0.1}}".to_owned(),
            "policy.network={history: {layers: [27, 16, 18], steps: 4}}".to_owned(),
        ];
        for network in &networks {
            let conditions = "conditions={order: each, list: [{}, {damage: [{limp_joint: {joint: FT1}}]}]}";
            let (search, robot) = small(&[network, conditions, "fitness.terms=[{weight_change: {penalty: 1}}]"]);
            let population = search.strategy().population();
            let mut evaluator = Evaluator::new(&search, robot).unwrap();
            let alone = alone(&search, &evaluator);
            assert!(alone.iter().all(Result::is_ok) && alone[0] != alone[1], "{network}: {alone:?}");
            for index in (0..population.size).chain((0..population.size).rev()) {
                assert_eq!(evaluator.evaluate(&population, index), alone[index], "{network}, candidate {index}");
            }
        }
    }

    #[test]
    fn threads_use_evaluators_again_and_never_more_of_them_than_there_are_threads() {
        let (search, robot) = small(&[]);
        let evaluators = EvaluatorPool::new(&search, robot).unwrap();
        let alone = alone(&search, &Evaluator::of(evaluators.fresh.clone()));
        for threads in [1, 2] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            for _ in 0..2 {
                assert_eq!(pool.install(|| evaluate_generation(&search, &evaluators, || ())), alone, "{threads} threads");
                assert!((1..=threads).contains(&evaluators.idle().len()), "{} for {threads} threads", evaluators.idle().len());
            }
        }
    }
}
