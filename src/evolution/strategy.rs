//! OpenAI-ES (Salimans et al. 2017) as ask and tell: mirrored noise, centred ranks, Adam.

use rand::RngExt;
use rand_distr::StandardNormal;

use super::experiment::EvolutionSettings;
use super::ranking::centred_ranks;
use super::search_space::SearchStretches;
use crate::random::stream;

/// The search distribution and the optimiser that moves it.
///
/// Nothing random is stored: a candidate is a function of the mean, the seed, the generation and its number, so whoever knows these can
/// rebuild it.
#[derive(Clone, Debug, PartialEq)]
pub struct Strategy {
    settings: EvolutionSettings,
    stretches: SearchStretches,
    seed: u64,
    state: StrategyState,
}

/// What changes from generation to generation.
#[derive(Clone, Debug, PartialEq)]
pub struct StrategyState {
    /// Generations told so far.
    pub generation: u64,
    /// Mean of the search distribution.
    pub mean: Vec<f32>,
    /// Adam's running mean of the gradient.
    pub first_moment: Vec<f32>,
    /// Adam's running mean of the squared gradient.
    pub second_moment: Vec<f32>,
}

impl StrategyState {
    /// Around `mean`, the optimiser at rest.
    fn at(generation: u64, mean: Vec<f32>) -> Self {
        let zeros = vec![0.0; mean.len()];
        Self { generation, mean, first_moment: zeros.clone(), second_moment: zeros }
    }
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
}

impl Strategy {
    /// A search at its start, over genomes of `stretches`.
    pub fn new(settings: EvolutionSettings, seed: u64, stretches: SearchStretches) -> Self {
        let state = StrategyState::at(0, stretches.start(seed));
        Self { settings, stretches, seed, state }
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
        let expected = stretches.size();
        for vector in [&state.mean, &state.first_moment, &state.second_moment] {
            if vector.len() != expected {
                return Err(StrategyError::Dimensions { given: vector.len(), expected });
            }
        }
        Ok(Self { settings, stretches, seed, state })
    }

    /// Goes on around `genome`, of other `stretches`, with an optimiser at rest. The generation stays.
    pub(super) fn restart(&mut self, stretches: SearchStretches, mut genome: Vec<f32>) {
        stretches.locate(&mut genome);
        self.state = StrategyState::at(self.state.generation, genome);
        self.stretches = stretches;
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
    pub fn population(&self) -> usize {
        self.settings.population
    }

    /// Standard deviation of the present generation's noise.
    pub fn sigma(&self) -> f32 {
        self.settings.sigma.at(self.state.generation)
    }

    /// Step size of the present generation.
    pub fn learning_rate(&self) -> f32 {
        self.settings.learning_rate.at(self.state.generation)
    }

    /// The genome of candidate `index` of the present generation: `mean + sigma * noise` for even numbers, `mean - sigma * noise` with
    /// the same noise for the odd number after.
    pub fn candidate(&self, index: usize) -> Vec<f32> {
        let sigma = if index.is_multiple_of(2) { self.sigma() } else { -self.sigma() };
        let mut noise = Noise::new(self.seed, self.state.generation, index / 2);
        let mut genome: Vec<f32> = self.state.mean.iter().map(|mean| mean + sigma * noise.next()).collect();
        self.stretches.express(&mut genome);
        genome
    }

    /// The genome at the mean of the search distribution.
    pub fn mean_genome(&self) -> Vec<f32> {
        let mut genome = self.state.mean.clone();
        self.stretches.express(&mut genome);
        genome
    }

    /// Takes the fitness of all candidates, in order, and goes to the next generation. NaN counts as worst.
    ///
    /// # Errors
    /// [`StrategyError::Population`] when the number of values is not the population; the search is then unchanged.
    pub fn tell(&mut self, fitness: &[f32]) -> Result<(), StrategyError> {
        let expected = self.population();
        if fitness.len() != expected {
            return Err(StrategyError::Population { given: fitness.len(), expected });
        }
        let ranks = centred_ranks(fitness);
        let mut gradient = vec![0.0f32; self.state.mean.len()];
        // Pair after pair, so that the order of the sums, and with it every bit, never depends on threads.
        for (pair, ranks) in ranks.chunks_exact(2).enumerate() {
            let weight = (ranks[0] - ranks[1]) / (expected as f32 * self.sigma());
            let mut noise = Noise::new(self.seed, self.state.generation, pair);
            gradient.iter_mut().for_each(|gradient| *gradient += weight * noise.next());
        }
        self.ascend(&gradient);
        self.state.generation += 1;
        Ok(())
    }

    /// One step of Adam (Kingma & Ba 2015) upwards, with decoupled weight decay.
    fn ascend(&mut self, gradient: &[f32]) {
        const EPSILON: f32 = 1e-8;
        let EvolutionSettings { beta1, beta2, weight_decay, .. } = self.settings;
        let learning_rate = self.learning_rate();
        let step = (self.state.generation + 1) as f64;
        let corrected = |beta: f32| (1.0 - f64::from(beta).powf(step)) as f32;
        let (correct1, correct2) = (corrected(beta1), corrected(beta2));
        let StrategyState { mean, first_moment, second_moment, .. } = &mut self.state;
        for (((mean, m), v), g) in mean.iter_mut().zip(first_moment).zip(second_moment).zip(gradient) {
            *m = beta1 * *m + (1.0 - beta1) * g;
            *v = beta2 * *v + (1.0 - beta2) * g * g;
            let direction = (*m / correct1) / ((*v / correct2).sqrt() + EPSILON);
            *mean += learning_rate * (direction - weight_decay * *mean);
        }
    }
}

/// The noise of one mirrored pair, number after number.
struct Noise(crate::random::Stream);

impl Noise {
    fn new(seed: u64, generation: u64, pair: usize) -> Self {
        Self(stream(seed, "noise", &[generation, pair as u64]))
    }

    fn next(&mut self) -> f32 {
        self.0.sample(StandardNormal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evolution::{GroupSearch, Schedule, SearchSpace};
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

    /// Climbs to the point where every coefficient is 0.5.
    fn climb(strategy: &mut Strategy, generations: u32) -> f32 {
        let height = |genome: &[f32]| -genome.iter().map(|value| (value - 0.5) * (value - 0.5)).sum::<f32>();
        for _ in 0..generations {
            let fitness: Vec<f32> = (0..strategy.population()).map(|index| height(&strategy.candidate(index))).collect();
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
    fn it_climbs_a_hill() {
        let mut strategy = Strategy::new(settings(32), 1, stretches(6));
        let start = climb(&mut strategy, 0);
        let end = climb(&mut strategy, 200);
        assert!(start < -10.0 && end > -0.1, "from {start} to {end}");
    }

    #[test]
    fn a_resumed_search_goes_on_bit_for_bit() {
        let mut whole = Strategy::new(settings(16), 5, stretches(3));
        climb(&mut whole, 10);
        let mut first = Strategy::new(settings(16), 5, stretches(3));
        climb(&mut first, 4);
        let mut second = Strategy::resume(settings(16), 5, stretches(3), first.state().clone()).unwrap();
        climb(&mut second, 6);
        assert_eq!(whole, second);
    }

    #[test]
    fn a_generation_without_differences_moves_nothing() {
        let mut strategy = Strategy::new(settings(4), 5, stretches(3));
        let before = strategy.mean_genome();
        strategy.tell(&[1.0; 4]).unwrap();
        assert_eq!(strategy.mean_genome(), before);
        assert_eq!(strategy.tell(&[1.0; 3]), Err(StrategyError::Population { given: 3, expected: 4 }));
    }

    #[test]
    fn a_state_of_other_size_is_refused() {
        let state = Strategy::new(settings(4), 5, stretches(3)).state().clone();
        assert!(matches!(
            Strategy::resume(settings(4), 5, stretches(4), state),
            Err(StrategyError::Dimensions { given: 15, expected: 20 })
        ));
    }
}
