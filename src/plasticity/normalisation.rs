//! What keeps the weights of a layer bounded.

use serde::{Deserialize, Serialize};

/// Normalisation N of a layer's weights after each update, W = N(V).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Normalisation {
    /// V / max|V| over the whole matrix (arXiv 2503.12406); a zero matrix stays zero. Afterwards max|W| is exactly 1.
    #[default]
    Max,
    /// V itself: unbounded.
    None,
}

/// Largest magnitude in `values`; 0 for none. NaN counts as nothing.
pub(super) fn max_abs(values: &[f32]) -> f32 {
    const LANES: usize = 16;
    // Several running maxima, because one would make each comparison wait for the one before.
    let (chunks, rest) = values.as_chunks::<LANES>();
    let mut lanes = [0.0f32; LANES];
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane = lane.max(value.abs());
        }
    }
    rest.iter().chain(&lanes).fold(0.0, |max, value| max.max(value.abs()))
}
