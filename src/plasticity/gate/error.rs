//! Why gate values and descriptions are refused.

use std::fmt::Display;

use super::CommandedGate;

/// Why a gate value was refused.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GateError {
    /// A value outside [0, 1] or not finite.
    #[error("a gate of {given}; it must be a number from 0 (frozen) to 1 (fully plastic)")]
    Range {
        /// The value that was refused.
        given: f32,
    },
    /// One value per layer, but for another number of layers.
    #[error("gates for {given} layers, but the network has {expected}; give one for each layer or a single one for all")]
    Layers {
        /// Values given.
        given: usize,
        /// Layers of the network.
        expected: usize,
    },
    /// More layers than a command can name one by one.
    #[error(
        "a command of {given} gates; it can name up to {} layers one by one: give a single gate for all",
        CommandedGate::MOST_LAYERS
    )]
    TooManyLayers {
        /// Values given.
        given: usize,
    },
}

impl GateError {
    /// Passes a value from 0 to 1 on.
    pub(super) fn unless_in_range(value: f32) -> Result<f32, Self> {
        // Also refuses NaN, which lies in no range.
        if (0.0..=1.0).contains(&value) { Ok(value) } else { Err(Self::Range { given: value }) }
    }
}

/// Why a gate description was refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GateDescriptionError {
    /// A number that is not usable.
    #[error("{key} is {given}; it must be {expected}")]
    Value {
        /// Which: `gate[2].settled.window`.
        key: String,
        /// What came.
        given: String,
        /// What is possible.
        expected: String,
    },
    /// A gate of a schedule that is not usable.
    #[error("{key}: {error}")]
    Gate {
        /// Which: `gate[0].schedule[1].gate`.
        key: String,
        /// What is wrong with it.
        error: GateError,
    },
    /// `novelty` without the subspace that it measures from.
    #[error("gate[{index}] is `novelty`, which needs the subspace of the training's weights: fit one, or leave `novelty` out")]
    NoSubspace {
        /// Position in the list.
        index: usize,
    },
    /// A subspace of another network's weights.
    #[error("the subspace is one of {given} weights, but the network has {expected}: fit it to weights of this network")]
    SubspaceSize {
        /// Weights of the subspace.
        given: usize,
        /// Synapses of the network.
        expected: usize,
    },
}

/// [`GateDescriptionError::Value`] for `place.key` unless `fits`.
pub(super) fn require(
    fits: bool,
    place: &str,
    key: &str,
    given: impl Display,
    expected: impl Display,
) -> Result<(), GateDescriptionError> {
    if fits {
        return Ok(());
    }
    let (given, expected) = (given.to_string(), expected.to_string());
    Err(GateDescriptionError::Value { key: format!("{place}.{key}"), given, expected })
}

/// Refuses a value for a shut gate that would not shut it.
pub(super) fn require_shut(shut: f32, place: &str) -> Result<(), GateDescriptionError> {
    require((0.0..1.0).contains(&shut), place, "shut", shut, "at least 0 and below 1")
}
