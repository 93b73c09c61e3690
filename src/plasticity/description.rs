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
#[non_exhaustive]
pub enum PlasticDescriptionError {
    /// A value that is not usable.
    #[error("{key} {problem}")]
    Value {
        /// Which key.
        key: &'static str,
        /// What it must be.
        problem: &'static str,
    },
    /// A network that would take more memory or time than is left to it.
    #[error("{key} asks for {given} {what}; at most {most} are possible")]
    TooMany {
        /// Which key.
        key: &'static str,
        /// Of what.
        what: &'static str,
        /// How many it asks for.
        given: usize,
        /// How many are possible.
        most: usize,
    },
}

impl PlasticDescription {
    /// Most synapses. A network takes some 28 bytes for each, however few numbers its rule has: bounds the memory that a small file can
    /// ask for, with [`PlasticDescription::MOST_AVERAGED`], to three quarters of a gigabyte.
    pub const MOST_SYNAPSES: usize = 1 << 24;
    /// Most layers of weights: each is padded to whole tiles of neurons.
    pub const MOST_LAYERS: usize = 256;
    /// Most activities to average over, neurons times steps.
    pub const MOST_AVERAGED: usize = 1 << 26;
    /// Largest bound of drawn initial weights: far beyond any use, far within single precision.
    pub const LARGEST_SPREAD: f32 = 1e6;

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
        let error = |key, problem| Err(PlasticDescriptionError::Value { key, problem });
        let at_most = |most: usize, key: &'static str, given: usize, what: &'static str| {
            if given <= most { Ok(()) } else { Err(PlasticDescriptionError::TooMany { key, what, given, most }) }
        };
        at_most(Self::MOST_LAYERS, "layers", self.layers.layers().len(), "layers of weights")?;
        let synapses = self.layers.layers().map(|layer| layer.synapses()).fold(0, usize::saturating_add);
        at_most(Self::MOST_SYNAPSES, "layers", synapses, "synapses")?;
        if let InitialWeights::Random(spread) | InitialWeights::Kept(spread) = self.initial_weights {
            // Also refuses NaN, which lies in no range.
            if !(0.0..=Self::LARGEST_SPREAD).contains(&spread) {
                return error("initial_weights", "must be a number from 0 to 1000000, or `evolved`");
            }
            if spread == 0.0 && self.normalisation == Normalisation::Mass {
                let problem = "must be above 0 with the normalisation `mass`, which keeps the sum of |w|: it would stay 0";
                return error("initial_weights", problem);
            }
        }
        if !self.update.is_valid() {
            return error("update", "needs `every` from 1 and `average` from 1 to 1000");
        }
        if self.update.average > 1 {
            let neurons = self.layers.neurons().iter().copied().fold(0, usize::saturating_add);
            let averaged = neurons.saturating_mul(self.update.average as usize);
            at_most(Self::MOST_AVERAGED, "update.average", averaged, "activities, neurons times steps,")?;
        }
        self.rule.check(synapses)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn description(layers: &[usize]) -> PlasticDescription {
        PlasticDescription::new(Shape::new(layers.to_vec()).unwrap(), InitialWeights::Random(0.1))
    }

    fn refusal(description: &PlasticDescription) -> String {
        description.check().unwrap_err().to_string()
    }

    #[test]
    fn a_network_that_would_exhaust_the_memory_is_refused_with_what_is_possible() {
        let large = description(&[27, 16_384, 16_384, 18]);
        assert_eq!(refusal(&large), "layers asks for 269172736 synapses; at most 16777216 are possible");
        let deep = description(&[1; 258]);
        assert_eq!(refusal(&deep), "layers asks for 257 layers of weights; at most 256 are possible");
        let wide = description(&[16_384, 1].repeat(8));
        assert_eq!(wide.check(), Ok(()));
        let averaged = PlasticDescription { update: UpdateSchedule { every: 1, average: 1000 }, ..wide };
        assert!(refusal(&averaged).starts_with("update.average asks for 131080000 activities"), "{}", refusal(&averaged));
        let long = PlasticDescription { update: UpdateSchedule { every: 1, average: 1000 }, ..description(&[27, 64, 32, 18]) };
        assert_eq!(long.check(), Ok(()));
    }

    #[test]
    fn ten_million_synapses_are_possible() {
        assert_eq!(description(&[3163, 3163]).check(), Ok(()));
    }

    #[test]
    fn initial_weights_that_cannot_be_drawn_are_refused() {
        for spread in [f32::MAX, 2e38, 1.1e6, -0.1, f32::NAN, f32::INFINITY] {
            for initial_weights in [InitialWeights::Random(spread), InitialWeights::Kept(spread)] {
                let message = refusal(&PlasticDescription { initial_weights, ..description(&[2, 2]) });
                assert!(message.contains("from 0 to 1000000"), "{spread}: {message}");
            }
        }
        let largest = InitialWeights::Random(PlasticDescription::LARGEST_SPREAD);
        assert_eq!(PlasticDescription { initial_weights: largest, ..description(&[2, 2]) }.check(), Ok(()));
    }

    #[test]
    fn a_mass_of_zero_that_could_never_move_is_refused() {
        for initial_weights in [InitialWeights::Random(0.0), InitialWeights::Kept(0.0)] {
            let still = PlasticDescription { initial_weights, ..description(&[2, 2]) };
            assert_eq!(still.check(), Ok(()));
            let message = refusal(&PlasticDescription { normalisation: Normalisation::Mass, ..still });
            assert!(message.contains("`mass`"), "{message}");
        }
        let moving = PlasticDescription { normalisation: Normalisation::Mass, ..description(&[2, 2]) };
        assert_eq!(moving.check(), Ok(()));
    }
}
