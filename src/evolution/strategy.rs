//! The search as ask and tell: OpenAI-ES (Salimans et al. 2017) with Adam or SGD, and SNES (Wierstra et al. 2014).

use super::optimiser::Optimiser;
use super::population::Population;
use super::ranking::{centred_ranks, log_utilities};
use super::search_space::SearchStretches;
use super::settings::{EvolutionSettings, LARGEST_POPULATION, Method};

/// The search distribution and the optimiser that moves it.
#[derive(Clone, Debug, PartialEq)]
pub struct Strategy {
    settings: EvolutionSettings,
    stretches: SearchStretches,
    seed: u64,
    state: StrategyState,
}

/// What changes from generation to generation. A vector that the method does not use is empty.
#[derive(Clone, Debug, PartialEq)]
pub struct StrategyState {
    /// Generations told so far.
    pub generation: u64,
    /// Generation at which the present descent began: 0, or that of the last restart.
    pub began: u64,
    /// Generation at which the optimiser was last at rest: `began`, or that of a merge since. Adam's moments are of the generations from
    /// here on, which its bias correction must count; schedules count from `began`.
    pub rested: u64,
    /// Restarts so far.
    pub restarts: u32,
    /// Mean of the search distribution.
    pub mean: Vec<f32>,
    /// Standard deviation of each dimension, where the method adapts it.
    pub deviation: Vec<f32>,
    /// Adam's running mean of the gradient; SGD's velocity.
    pub first_moment: Vec<f32>,
    /// Adam's running mean of the squared gradient.
    pub second_moment: Vec<f32>,
}

/// A use of the strategy that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StrategyError {
    /// Fitness values and candidates do not match.
    #[error("{given} fitness values for a population of {expected}")]
    Population {
        /// Values given.
        given: usize,
        /// Candidates of a generation.
        expected: usize,
    },
    /// A state of other dimensions.
    #[error("a state of {given} dimensions for a search in {expected}")]
    Dimensions {
        /// Dimensions given.
        given: usize,
        /// Dimensions searched.
        expected: usize,
    },
    /// The search has left the numbers.
    #[error("the search diverged: after generation {generation} its {vector} is no longer finite; {}", vector.advice())]
    Diverged {
        /// The last generation.
        generation: u64,
        /// What is no longer finite. Where both are not: the deviation, which the mean follows.
        vector: SearchVector,
    },
}

/// A vector of the search distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchVector {
    /// Its mean.
    Mean,
    /// Its standard deviations, which the method snes adapts.
    Deviation,
}

impl SearchVector {
    /// What to do when it diverges.
    fn advice(self) -> &'static str {
        match self {
            Self::Mean => "give a smaller learning_rate, and a sigma that is not nearly 0",
            Self::Deviation => "give a smaller sigma_rate, or a smaller sigma to begin with",
        }
    }
}

impl std::fmt::Display for SearchVector {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Mean => "mean",
            Self::Deviation => "deviation",
        })
    }
}

impl Strategy {
    /// A search at its start, over genomes of `stretches`.
    pub fn new(settings: EvolutionSettings, seed: u64, stretches: SearchStretches) -> Self {
        let mut strategy = Self {
            state: StrategyState {
                generation: 0,
                began: 0,
                rested: 0,
                restarts: 0,
                mean: Vec::new(),
                deviation: Vec::new(),
                first_moment: Vec::new(),
                second_moment: Vec::new(),
            },
            settings,
            stretches,
            seed,
        };
        strategy.rest_at(strategy.stretches.start(seed, 0));
        strategy
    }

    /// A search that goes on from `state`.
    ///
    /// # Errors
    /// [`StrategyError::Dimensions`] when the state's vectors do not fit the genome.
    pub fn resume(
        settings: EvolutionSettings,
        seed: u64,
        stretches: SearchStretches,
        state: StrategyState,
    ) -> Result<Self, StrategyError> {
        let expected = Self::new(settings, seed, stretches);
        let vectors = |state: &StrategyState| {
            [state.mean.len(), state.deviation.len(), state.first_moment.len(), state.second_moment.len()]
        };
        for (given, expected) in vectors(&state).into_iter().zip(vectors(&expected.state)) {
            if given != expected {
                return Err(StrategyError::Dimensions { given, expected });
            }
        }
        Ok(Self { state, ..expected })
    }

    /// Goes on around `genome`, of other `stretches`, with an optimiser at rest. The generation stays, and with it the place in schedules.
    pub(super) fn go_on_at(&mut self, stretches: SearchStretches, mut genome: Vec<f32>) {
        stretches.locate(&mut genome);
        self.stretches = stretches;
        self.rest_at(genome);
    }

    /// Begins a new descent, from another random start and with as many times the candidates as the settings say. The generation stays.
    pub(super) fn restart(&mut self) {
        self.state.restarts += 1;
        self.state.began = self.state.generation;
        self.rest_at(self.stretches.start(self.seed, self.state.restarts));
    }

    /// Sets the mean to `point`, the optimiser at rest.
    fn rest_at(&mut self, point: Vec<f32>) {
        let dimensions = point.len();
        let zeros = |used: bool| if used { vec![0.0; dimensions] } else { Vec::new() };
        let (snes, adam) = (self.settings.method == Method::Snes, self.settings.optimiser == Optimiser::Adam);
        self.state.deviation = if snes { vec![self.settings.sigma.initial; dimensions] } else { Vec::new() };
        self.state.first_moment = zeros(!snes);
        self.state.second_moment = zeros(!snes && adam);
        self.state.mean = point;
        self.state.rested = self.state.generation;
    }

    /// The state to keep in a checkpoint.
    pub fn state(&self) -> &StrategyState {
        &self.state
    }

    /// Generations told so far; also the number of the present generation, from 0.
    pub fn generation(&self) -> u64 {
        self.state.generation
    }

    /// Candidates in a generation.
    pub fn population_size(&self) -> usize {
        let factor = self.settings.restarts.map_or(1, |restarts| restarts.population_factor as usize);
        let size = factor.saturating_pow(self.state.restarts).saturating_mul(self.settings.population);
        size.min(LARGEST_POPULATION)
    }

    /// The candidates of the present generation.
    pub fn population(&self) -> Population {
        let deviation = match self.settings.method {
            Method::OpenEs => vec![self.sigma()],
            Method::Snes => self.state.deviation.clone(),
        };
        Population {
            generation: self.state.generation,
            size: self.population_size(),
            seed: self.seed,
            mirrored: self.settings.method == Method::OpenEs,
            mean: self.state.mean.clone(),
            deviation,
        }
    }

    /// Standard deviation of the present generation's noise, the mean over dimensions where each has its own.
    pub fn sigma(&self) -> f32 {
        match self.settings.method {
            Method::OpenEs => self.settings.sigma.at(self.age()),
            Method::Snes => self.state.deviation.iter().sum::<f32>() / self.state.deviation.len().max(1) as f32,
        }
    }

    /// Step size of the present generation.
    pub fn learning_rate(&self) -> f32 {
        self.settings.learning_rate.at(self.age())
    }

    /// Generations since the present descent began.
    fn age(&self) -> u64 {
        self.state.generation.saturating_sub(self.state.began)
    }

    /// The search space.
    pub fn stretches(&self) -> &SearchStretches {
        &self.stretches
    }

    /// The genome of candidate `index` of the present generation, see [`Population::genome`].
    pub fn candidate(&self, index: usize) -> Vec<f32> {
        self.population().genome(index, &self.stretches)
    }

    /// The genome at the mean of the search distribution.
    pub fn mean_genome(&self) -> Vec<f32> {
        let mut genome = self.state.mean.clone();
        self.stretches.express(&mut genome);
        genome
    }

    /// Moves the search by the fitness of each candidate, in order, and goes on to the next generation. NaN counts as worst.
    ///
    /// # Errors
    /// [`StrategyError::Population`] when the number of values is not the population; [`StrategyError::Diverged`] when the mean or a deviation
    /// would no longer be finite. The search is then unchanged.
    pub fn tell(&mut self, fitness: &[f32]) -> Result<(), StrategyError> {
        let expected = self.population_size();
        if fitness.len() != expected {
            return Err(StrategyError::Population { given: fitness.len(), expected });
        }
        let mut state = match self.settings.method {
            Method::OpenEs => self.open_es(fitness),
            Method::Snes => self.snes(fitness),
        };
        for (vector, values) in [(SearchVector::Deviation, &state.deviation), (SearchVector::Mean, &state.mean)] {
            if values.iter().any(|value| !value.is_finite()) {
                return Err(StrategyError::Diverged { generation: self.state.generation, vector });
            }
        }
        state.generation += 1;
        self.state = state;
        Ok(())
    }

    /// The gradient of the smoothed fitness, estimated from centred ranks, and a step of the optimiser along it.
    fn open_es(&self, fitness: &[f32]) -> StrategyState {
        let population = self.population();
        let mut gradient = vec![0.0f32; self.state.mean.len()];
        // Pair after pair, so that the order of the sums, and with it every bit, never depends on threads.
        for (pair, ranks) in centred_ranks(fitness).chunks_exact(2).enumerate() {
            let weight = (ranks[0] - ranks[1]) / (fitness.len() as f32 * self.sigma());
            let mut noise = population.noise(2 * pair);
            gradient.iter_mut().for_each(|gradient| *gradient += weight * noise.next());
        }
        let mut state = self.state.clone();
        let step = self.state.generation.saturating_sub(self.state.rested).saturating_add(1);
        self.settings.optimiser.ascend(&mut state, &gradient, step, self.learning_rate(), &self.settings);
        state
    }

    /// Separable natural evolution strategy: each dimension's mean and deviation follow the natural gradient of the expected utility.
    fn snes(&self, fitness: &[f32]) -> StrategyState {
        let population = self.population();
        let dimensions = self.state.mean.len();
        let (mut mean_gradient, mut deviation_gradient) = (vec![0.0f32; dimensions], vec![0.0f32; dimensions]);
        for (index, utility) in log_utilities(fitness).into_iter().enumerate() {
            let mut noise = population.noise(index);
            for (mean, deviation) in mean_gradient.iter_mut().zip(&mut deviation_gradient) {
                let noise = noise.next();
                *mean += utility * noise;
                *deviation += utility * (noise * noise - 1.0);
            }
        }
        let learning_rate = self.learning_rate();
        let sigma_rate = self.settings.sigma_rate.unwrap_or_else(|| default_sigma_rate(dimensions));
        let (floor, decay) = (self.settings.sigma.floor, learning_rate * self.settings.weight_decay);
        let mut state = self.state.clone();
        for (index, (mean, deviation)) in state.mean.iter_mut().zip(&mut state.deviation).enumerate() {
            *mean += learning_rate * *deviation * mean_gradient[index] - decay * *mean;
            *deviation = (*deviation * libm::expf(0.5 * sigma_rate * deviation_gradient[index])).max(floor);
        }
        state
    }
}

/// The rate of SNES's deviations that Wierstra et al. (2014, table 1) recommend: `(3 + ln d) / (5 sqrt d)`.
fn default_sigma_rate(dimensions: usize) -> f32 {
    let dimensions = dimensions.max(1) as f64;
    ((3.0 + libm::log(dimensions)) / (5.0 * dimensions.sqrt())) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evolution::{GroupSearch, Restarts, Schedule, SearchSpace};
    use crate::network::GenomeBlock;

    fn settings(population: usize) -> EvolutionSettings {
        let term = GroupSearch { offset: 0.0, scale: 1.0, spread: 1.0 };
        EvolutionSettings {
            population,
            learning_rate: Schedule::constant(0.1),
            sigma: Schedule::constant(0.1),
            genome: SearchSpace::uniform(term),
            ..EvolutionSettings::default()
        }
    }

    fn snes(population: usize) -> EvolutionSettings {
        let rates =
            EvolutionSettings { learning_rate: Schedule::constant(1.0), sigma: Schedule::constant(0.5), ..settings(population) };
        EvolutionSettings { method: Method::Snes, ..rates }
    }

    fn sgd(population: usize) -> EvolutionSettings {
        EvolutionSettings {
            optimiser: Optimiser::Sgd,
            momentum: 0.9,
            learning_rate: Schedule::constant(0.01),
            ..settings(population)
        }
    }

    /// Climbs to the point where every coefficient is 0.5.
    fn climb(strategy: &mut Strategy, generations: u32) -> f32 {
        let height = |genome: &[f32]| -genome.iter().map(|value| (value - 0.5) * (value - 0.5)).sum::<f32>();
        for _ in 0..generations {
            let fitness: Vec<f32> = (0..strategy.population_size()).map(|index| height(&strategy.candidate(index))).collect();
            strategy.tell(&fitness).unwrap();
        }
        height(&strategy.mean_genome())
    }

    fn stretches(synapses: usize) -> SearchStretches {
        settings(4).genome.stretches(&[GenomeBlock::new("all", "A", &[5, synapses])]).unwrap()
    }

    #[test]
    fn candidates_are_mirrored_pairs_around_the_mean() {
        let strategy = Strategy::new(settings(8), 3, stretches(4));
        let (plus, minus, mean) = (strategy.candidate(2), strategy.candidate(3), strategy.mean_genome());
        for ((plus, minus), mean) in plus.iter().zip(&minus).zip(&mean) {
            assert!((plus + minus - 2.0 * mean).abs() < 1e-5);
            assert!((plus - minus).abs() > 1e-6);
        }
        assert_ne!(strategy.candidate(0), strategy.candidate(2));
    }

    #[test]
    fn every_method_climbs_a_hill_and_goes_on_bit_for_bit() {
        for settings in [settings(32), sgd(32), snes(32)] {
            let mut whole = Strategy::new(settings.clone(), 1, stretches(6));
            let start = climb(&mut whole, 0);
            let end = climb(&mut whole, 200);
            assert!(start < -10.0 && end > -1.0, "{:?} {:?}: from {start} to {end}", settings.method, settings.optimiser);

            let mut first = Strategy::new(settings.clone(), 1, stretches(6));
            climb(&mut first, 80);
            let mut second = Strategy::resume(settings, 1, stretches(6), first.state().clone()).unwrap();
            climb(&mut second, 120);
            assert_eq!(whole, second);
        }
    }

    #[test]
    fn a_generation_without_differences_moves_nothing() {
        for settings in [settings(4), sgd(4), snes(4)] {
            let mut strategy = Strategy::new(settings, 5, stretches(3));
            let (mean, deviation) = (strategy.mean_genome(), strategy.state().deviation.clone());
            strategy.tell(&[1.0; 4]).unwrap();
            assert_eq!((strategy.mean_genome(), strategy.state().deviation.clone()), (mean, deviation));
            assert_eq!(strategy.tell(&[1.0; 3]), Err(StrategyError::Population { given: 3, expected: 4 }));
        }
    }

    #[test]
    fn a_restart_begins_elsewhere_with_more_candidates_and_the_schedules_of_a_beginning() {
        let restarts = Some(Restarts { most: 2, population_factor: 2 });
        let sigma = Schedule { initial: 0.1, decay: 0.5, floor: 0.0 };
        let mut strategy = Strategy::new(EvolutionSettings { restarts, sigma, ..settings(8) }, 5, stretches(3));
        let start = strategy.mean_genome();
        climb(&mut strategy, 3);
        strategy.restart();
        assert_eq!((strategy.generation(), strategy.population_size(), strategy.sigma()), (3, 16, 0.1));
        assert_ne!(strategy.mean_genome(), start);
        climb(&mut strategy, 1);
        assert_eq!(strategy.sigma(), 0.05);
    }

    #[test]
    fn the_first_step_after_a_merge_is_as_long_as_the_first_of_all() {
        let mut strategy = Strategy::new(settings(32), 1, stretches(6));
        climb(&mut strategy, 50);
        let merged = strategy.mean_genome();
        strategy.go_on_at(stretches(6), merged.clone());
        assert_eq!((strategy.age(), strategy.state().rested), (50, 50));
        climb(&mut strategy, 1);
        // Adam's first step is the learning rate in every dimension, whatever the gradient's size; counted
        // from the beginning of a descent it comes to (1 - beta1) / sqrt(1 - beta2) = 3.2 times that.
        let rate = strategy.learning_rate();
        for (before, after) in merged.iter().zip(strategy.mean_genome()) {
            assert!(((after - before).abs() - rate).abs() < 1e-3 * rate, "from {before} to {after}");
        }
        strategy.restart();
        assert_eq!((strategy.state().rested, strategy.state().began), (51, 51));
    }

    #[test]
    fn a_search_that_diverges_is_refused_and_unchanged() {
        let steep = EvolutionSettings { learning_rate: Schedule::constant(f32::MAX), ..settings(4) };
        let mut strategy = Strategy::new(steep, 5, stretches(3));
        let mut last = strategy.clone();
        let error = loop {
            match strategy.tell(&[0.0, 1.0, 2.0, 3.0]) {
                Ok(()) => last = strategy.clone(),
                Err(error) => break error,
            }
            assert!(strategy.generation() < 100);
        };
        assert!(matches!(error, StrategyError::Diverged { vector: SearchVector::Mean, .. }), "{error}");
        assert!(error.to_string().contains("its mean is no longer finite; give a smaller learning_rate"), "{error}");
        assert_eq!(strategy, last);
    }

    #[test]
    fn a_deviation_that_diverges_is_named_with_what_helps_against_it() {
        let mut state = Strategy::new(snes(4), 5, stretches(3)).state().clone();
        state.deviation[1] = f32::INFINITY;
        let mut strategy = Strategy::resume(snes(4), 5, stretches(3), state).unwrap();
        let error = strategy.tell(&[0.0, 1.0, 2.0, 3.0]).unwrap_err();
        assert_eq!(error, StrategyError::Diverged { generation: 0, vector: SearchVector::Deviation });
        assert!(error.to_string().contains("its deviation is no longer finite; give a smaller sigma_rate"), "{error}");
    }

    #[test]
    fn a_state_of_other_size_is_refused() {
        let state = Strategy::new(settings(4), 5, stretches(3)).state().clone();
        assert!(matches!(
            Strategy::resume(settings(4), 5, stretches(4), state.clone()),
            Err(StrategyError::Dimensions { given: 15, expected: 20 })
        ));
        assert!(Strategy::resume(snes(4), 5, stretches(3), state).is_err());
    }
}
