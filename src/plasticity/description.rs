//! The plastic network as configuration.

use serde::{Deserialize, Serialize};

use super::{Normalisation, RuleDescription};
use crate::network::Shape;

/// A plastic network without the numbers of its rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlasticDescription {
    /// Neurons per layer, input first.
    pub layers: Shape,
    /// Normalisation after each update.
    #[serde(default)]
    pub normalisation: Normalisation,
    /// Weights at the start of an episode.
    pub initial_weights: InitialWeights,
    /// Which numbers of the rule evolve, and which synapses share them.
    #[serde(default)]
    pub rule: RuleDescription,
    /// When weights change.
    #[serde(default)]
    pub update: UpdateSchedule,
    /// Whose reading of the rule.
    #[serde(default)]
    pub convention: Convention,
}

/// Weights at the start of an episode.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InitialWeights {
    /// Drawn anew for each episode from U(-w, w).
    Random(f32),
    /// Drawn from U(-w, w) for a candidate's first episode; the next ones begin with the weights that the last one left.
    Kept(f32),
    /// Part of the genome.
    Evolved,
}

/// When weights change: at control steps `every`, 2 `every`, … of an episode, counted from 1, whatever the gate; by activities averaged over the last `average` steps.
///
/// 1 and 1 are arXiv 2503.12406; longer ones the two timescales of the attractor networks (arXiv 2603.22512).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpdateSchedule {
    /// Control steps from one update to the next.
    #[serde(default = "one")]
    pub every: u32,
    /// Control steps that activities are averaged over; fewer at the start of an episode.
    #[serde(default = "one")]
    pub average: u32,
}

fn one() -> u32 {
    1
}

impl Default for UpdateSchedule {
    fn default() -> Self {
        Self { every: 1, average: 1 }
    }
}

impl UpdateSchedule {
    /// Most steps that activities can be averaged over: bounds the memory that a file can ask for.
    pub const LONGEST_AVERAGE: u32 = 1000;

    /// Whether both numbers are usable.
    pub fn is_valid(&self) -> bool {
        self.every >= 1 && (1..=Self::LONGEST_AVERAGE).contains(&self.average)
    }
}

/// Whose reading of the rule, so that coefficients of older works can be run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Convention {
    /// Each layer changes within the forward pass; B is presynaptic, C postsynaptic (arXiv 2503.12406).
    #[default]
    Leung2025,
    /// All layers change after the environment's step, here: at the beginning of the next control step (arXiv 2007.02686).
    Najarro2020,
    /// As [`Convention::Najarro2020`], and B is postsynaptic, C presynaptic (arXiv 2603.22512).
    Dittrich2026,
}

impl Convention {
    /// Whether weights change after the environment's step.
    pub fn is_delayed(self) -> bool {
        self != Self::Leung2025
    }

    /// Whether B and C have changed places.
    pub fn is_swapped(self) -> bool {
        self == Self::Dittrich2026
    }
}

/// What of a description is not usable.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{key} {problem}")]
pub struct PlasticDescriptionError {
    /// Which key.
    pub key: &'static str,
    /// What it must be.
    pub problem: &'static str,
}

impl PlasticDescription {
    /// The network of arXiv 2503.12406 with these sizes and initial weights: a rule of its own for each synapse, max normalisation.
    pub fn new(layers: Shape, initial_weights: InitialWeights) -> Self {
        Self {
            layers,
            normalisation: Normalisation::default(),
            initial_weights,
            rule: RuleDescription::default(),
            update: UpdateSchedule::default(),
            convention: Convention::default(),
        }
    }

    /// Checks every number.
    ///
    /// # Errors
    /// [`PlasticDescriptionError`] names the first that is not usable.
    pub fn check(&self) -> Result<(), PlasticDescriptionError> {
        let error = |key, problem| Err(PlasticDescriptionError { key, problem });
        if let InitialWeights::Random(spread) | InitialWeights::Kept(spread) = self.initial_weights
            && !(spread.is_finite() && spread >= 0.0)
        {
            return error("initial_weights", "must be a number of at least 0, or `evolved`");
        }
        if !self.update.is_valid() {
            return error("update", "needs `every` from 1 and `average` from 1 to 1000");
        }
        self.rule.check(self.layers.synapses())
    }
}
