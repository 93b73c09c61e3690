//! Why a baseline network, its genome or its state was refused.

use super::ShapeError;

/// Why a baseline network, its genome or its state was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// Layer sizes that no network can have.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// Hidden sizes that do not fit the cells of an LSTM.
    #[error("hidden sizes {given:?}: {cells} LSTM cells need one each, of 1 to {} units", super::Shape::LARGEST_LAYER)]
    Hidden {
        /// Sizes given.
        given: Vec<usize>,
        /// Cells of the network.
        cells: usize,
    },
    /// A bound for initial states outside the range that LSTM outputs can have.
    #[error("initial_state {given}: give a number from 0 to 1")]
    InitialState {
        /// Bound given.
        given: f32,
    },
    /// A flat vector of the wrong length.
    #[error("a {what} of {given} numbers; this network needs {expected}")]
    Length {
        /// Genome, state or state buffer.
        what: &'static str,
        /// Numbers given.
        given: usize,
        /// Numbers needed.
        expected: usize,
    },
    /// A number is NaN or infinite.
    #[error("the {what} holds {value} at index {index}; every number must be finite")]
    NotFinite {
        /// Genome, state, weights or input.
        what: &'static str,
        /// Where.
        index: usize,
        /// What.
        value: f32,
    },
}

/// Whether `values` are `expected` finite numbers.
pub(crate) fn check(what: &'static str, values: &[f32], expected: usize) -> Result<(), NetworkError> {
    check_length(what, values.len(), expected)?;
    check_finite(what, values)
}

/// Whether `values` are finite numbers.
pub(crate) fn check_finite(what: &'static str, values: &[f32]) -> Result<(), NetworkError> {
    match values.iter().position(|value| !value.is_finite()) {
        Some(index) => Err(NetworkError::NotFinite { what, index, value: values[index] }),
        None => Ok(()),
    }
}

/// Copies `from` over `to` when it holds as many numbers, all finite; otherwise `to` keeps what it has.
pub(super) fn replace(what: &'static str, from: &[f32], to: &mut [f32]) -> Result<(), NetworkError> {
    check(what, from, to.len())?;
    to.copy_from_slice(from);
    Ok(())
}

pub(super) fn check_length(what: &'static str, given: usize, expected: usize) -> Result<(), NetworkError> {
    if given == expected { Ok(()) } else { Err(NetworkError::Length { what, given, expected }) }
}
