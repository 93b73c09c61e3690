//! Settings of the search, as they stand in an experiment file.

use serde::{Deserialize, Serialize};

use super::experiment::ExperimentError;
use super::merge::{self, Merge};
use super::optimiser::Optimiser;
use super::search_space::{GroupSearch, SearchSpace};
use crate::policy::NetworkDescription;

/// Largest population, so that a slip of the pen cannot ask for all memory.
pub(super) const LARGEST_POPULATION: usize = 1 << 16;
/// Most generations: more than anybody lives to see, and few enough that times and counts of them are numbers.
const MOST_GENERATIONS: u64 = 1_000_000_000;
/// Smallest share of its initial value that the deviation of the noise may fall to. Far below it candidates are equal to the last digit, and
/// the gradient is nothing divided by nothing.
const LEAST_SIGMA: f32 = 1e-6;

/// Settings of the search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvolutionSettings {
    /// Generations to run.
    pub generations: u64,
    /// Candidates per generation; even, because they come in mirrored pairs.
    pub population: usize,
    /// Episodes per candidate; their seeds are the same for the whole generation.
    pub episodes: u32,
    /// What is done with the candidates' fitness.
    #[serde(default, skip_serializing_if = "is_default")]
    pub method: Method,
    /// What OpenAI-ES climbs with.
    #[serde(default, skip_serializing_if = "is_default")]
    pub optimiser: Optimiser,
    /// Step size of the optimiser; with SNES the rate of the mean, for which 1 is usual.
    pub learning_rate: Schedule,
    /// Standard deviation of the noise; with SNES, which adapts it, at the start.
    pub sigma: Schedule,
    /// SNES: rate of the deviations instead of `(3 + ln d) / (5 sqrt d)`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub sigma_rate: Option<f32>,
    /// Adam's decay of the mean gradient.
    #[serde(default = "default_beta1")]
    pub beta1: f32,
    /// Adam's decay of the mean squared gradient.
    #[serde(default = "default_beta2")]
    pub beta2: f32,
    /// SGD's share of the velocity that is left after a step.
    #[serde(default, skip_serializing_if = "is_default")]
    pub momentum: f32,
    /// Pull towards 0 per unit of learning rate.
    #[serde(default)]
    pub weight_decay: f32,
    /// Start and scale of each group of the genome's numbers.
    pub genome: SearchSpace,
    /// When rules are merged, and to how many; never by default.
    #[serde(default)]
    pub merge: Vec<Merge>,
    /// What ends the run, or the descent, before its last generation; nothing by default.
    #[serde(default, skip_serializing_if = "is_default")]
    pub stop: StopCriteria,
    /// What follows a descent that goes nowhere; by default the run ends.
    #[serde(default, skip_serializing_if = "is_default")]
    pub restarts: Option<Restarts>,
}

/// A way to search.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// OpenAI-ES (Salimans et al. 2017): mirrored noise of one deviation, centred ranks, an optimiser.
    #[default]
    OpenEs,
    /// Separable natural evolution strategy (Wierstra et al. 2014): each dimension has a deviation, which adapts.
    Snes,
}

/// What ends a descent. Each is off unless it is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StopCriteria {
    /// Mean fitness at which the run is done: of a generation, or, where conditions come in turn, of a round of them
    /// ([`crate::episode::Conditions::round`]).
    #[serde(default)]
    pub fitness: Option<f32>,
    /// The mean fitness, of the same, grows no more.
    #[serde(default)]
    pub stagnation: Option<Stagnation>,
    /// Spread of fitness in a generation under which nothing is left to choose from.
    #[serde(default)]
    pub spread: Option<f32>,
}

/// When the growth of fitness counts as over.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stagnation {
    /// Generations without growth.
    pub generations: u64,
    /// Growth of the best mean fitness that counts.
    #[serde(default)]
    pub improvement: f32,
}

/// Descents after the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restarts {
    /// How many, at most.
    pub most: u32,
    /// Factor of the population from one to the next; 2 as in IPOP-CMA-ES (Auger & Hansen 2005).
    #[serde(default = "default_population_factor")]
    pub population_factor: u32,
}

/// A number that decays with the generations: `max(floor, initial * decay^generation)`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// At generation 0.
    pub initial: f32,
    /// Factor per generation.
    #[serde(default = "default_decay")]
    pub decay: f32,
    /// Lower bound.
    #[serde(default)]
    pub floor: f32,
}

// Settings at their defaults are not written, so that an experiment's hash does not change with settings it does not use.
pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn default_beta1() -> f32 {
    0.9
}

fn default_beta2() -> f32 {
    0.999
}

fn default_decay() -> f32 {
    1.0
}

fn default_population_factor() -> u32 {
    2
}

impl Schedule {
    /// The same number in all generations.
    pub fn constant(value: f32) -> Self {
        Self { initial: value, decay: 1.0, floor: 0.0 }
    }

    /// The number at `generation`.
    pub fn at(&self, generation: u64) -> f32 {
        let decayed = f64::from(self.initial) * f64::from(self.decay).powf(generation as f64);
        (decayed as f32).max(self.floor)
    }

    fn is_valid(&self) -> bool {
        self.initial.is_finite()
            && self.initial > 0.0
            && self.decay > 0.0
            && self.decay <= 1.0
            && (0.0..=self.initial).contains(&self.floor)
    }
}

impl Default for EvolutionSettings {
    /// A small search around 0.
    fn default() -> Self {
        Self {
            generations: 100,
            population: 64,
            episodes: 1,
            method: Method::default(),
            optimiser: Optimiser::default(),
            learning_rate: Schedule::constant(0.1),
            sigma: Schedule::constant(0.1),
            sigma_rate: None,
            beta1: default_beta1(),
            beta2: default_beta2(),
            momentum: 0.0,
            weight_decay: 0.0,
            genome: SearchSpace::uniform(GroupSearch { offset: 0.0, scale: 1.0, spread: 0.01 }),
            merge: Vec::new(),
            stop: StopCriteria::default(),
            restarts: None,
        }
    }
}

impl EvolutionSettings {
    /// Checks every setting, for the search of a `network`.
    ///
    /// # Errors
    /// [`ExperimentError::Evolution`] names the first that is out of range, or that nothing would come of; [`ExperimentError::Merge`] says what
    /// is wrong with the plan to merge rules.
    pub fn check(&self, network: &NetworkDescription) -> Result<(), ExperimentError> {
        let fraction = |value: f32| (0.0..1.0).contains(&value);
        let (snes, sgd) = (self.method == Method::Snes, self.optimiser == Optimiser::Sgd);
        let can_restart = self.stop.stagnation.is_some() || self.stop.spread.is_some();
        let genome = self.genome.stretches(&network.blocks()).err();
        let checks = [
            (
                "generations",
                (1..=MOST_GENERATIONS).contains(&self.generations),
                format!("is {}; it must be from 1 to {MOST_GENERATIONS}", self.generations),
            ),
            (
                "population",
                self.population >= 2 && self.population.is_multiple_of(2) && self.population <= LARGEST_POPULATION,
                format!("is {}; it must be even, from 2 to {LARGEST_POPULATION}", self.population),
            ),
            ("episodes", (1..=1000).contains(&self.episodes), format!("is {}; it must be from 1 to 1000", self.episodes)),
            ("learning_rate", self.learning_rate.is_valid(), SCHEDULE.to_owned()),
            ("sigma", self.sigma.is_valid(), SCHEDULE.to_owned()),
            ("beta1", fraction(self.beta1), "must be in [0, 1)".to_owned()),
            ("beta2", fraction(self.beta2), "must be in [0, 1)".to_owned()),
            ("momentum", fraction(self.momentum), "must be in [0, 1)".to_owned()),
            ("sigma_rate", self.sigma_rate.is_none_or(|rate| rate > 0.0 && rate.is_finite()), "must be above 0".to_owned()),
            ("optimiser", !(snes && sgd), "acts only with the method open_es; leave it out".to_owned()),
            (
                "momentum",
                self.momentum == 0.0 || sgd,
                "acts only with the optimiser sgd of the method open_es; leave it out, or set it to 0".to_owned(),
            ),
            (
                "sigma_rate",
                self.sigma_rate.is_none() || snes,
                "acts only with the method snes; leave it out (--set evolution.sigma_rate=null), and give `sigma` a decay if it is to change".to_owned(),
            ),
            (
                "sigma",
                self.method == Method::OpenEs || self.sigma.decay == 1.0,
                "must not decay with the method snes, which adapts it; leave out `decay`".to_owned(),
            ),
            ("stop", self.stop.is_valid(), "needs finite numbers, and stagnation at least one generation".to_owned()),
            (
                "restarts",
                self.restarts.is_none_or(|restarts| (1..=16).contains(&restarts.population_factor)),
                "needs a population_factor from 1 to 16".to_owned(),
            ),
            (
                "restarts",
                self.restarts.is_none() || can_restart,
                "follow descents that `stop.stagnation` or `stop.spread` end; give one of these, or no restarts".to_owned(),
            ),
            (
                "restarts",
                self.restarts.is_none() || self.merge.is_empty(),
                "begin at random points, not with the rules that `merge` made of those of the descent before; leave one of them out".to_owned(),
            ),
            ("weight_decay", self.weight_decay.is_finite() && self.weight_decay >= 0.0, "must be at least 0".to_owned()),
            ("genome", genome.is_none(), genome.unwrap_or_default()),
        ];
        match checks.into_iter().find(|(_, holds, _)| !holds) {
            Some((name, _, problem)) => Err(ExperimentError::Evolution { name, problem }),
            None => Ok(merge::check(&self.merge, network)?),
        }
    }

    /// Checks what makes the last generations of a run that begins worthless. Not asked of one that goes on: with other settings it would be
    /// another experiment.
    ///
    /// # Errors
    /// [`ExperimentError::Evolution`] when `sigma` falls to next to nothing in the generations to run.
    pub(super) fn check_beginning(&self) -> Result<(), ExperimentError> {
        // Where the run may end earlier, or begin another descent and with it sigma anew, nobody knows how far that falls.
        let is_one_descent = is_default(&self.stop) && self.restarts.is_none();
        let last_sigma = self.sigma.at(self.generations.saturating_sub(1));
        if is_one_descent && last_sigma < LEAST_SIGMA * self.sigma.initial {
            let problem = format!(
                "falls to {last_sigma:.1e} by the last generation, less than a millionth of its `initial`, where candidates no \
                 longer differ; give it a `floor`, or a `decay` nearer to 1"
            );
            return Err(ExperimentError::Evolution { name: "sigma", problem });
        }
        Ok(())
    }
}

impl StopCriteria {
    fn is_valid(&self) -> bool {
        let growth = self.stagnation.is_none_or(|stagnation| stagnation.generations > 0 && stagnation.improvement.is_finite());
        growth && self.fitness.is_none_or(f32::is_finite) && self.spread.is_none_or(f32::is_finite)
    }
}

const SCHEDULE: &str = "needs initial > 0, decay in (0, 1] and floor from 0 to initial";
