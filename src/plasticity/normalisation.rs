//! What keeps the weights of a layer bounded.

use serde::{Deserialize, Serialize};

/// Normalisation N of a layer's weights after each update, W = N(V). A zero matrix stays zero in each.
///
/// `max`, `standardize` and `clip` are those of arXiv 2503.12406, `none` that of its precursor; the others are of this suite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Normalisation {
    /// V / max|V| over the whole matrix: afterwards max|W| is 1, up to the rounding of one multiplication, and never above.
    #[default]
    Max,
    /// (V - mean) / sqrt(variance + 1e-5) over the whole matrix, with the variance of n - 1. A single weight becomes 0.
    Standardize,
    /// V clipped to \[-1, 1\].
    Clip,
    /// V itself: unbounded, but never more than the largest finite number.
    None,
    /// Each neuron's incoming weights by their own max|V|.
    NeuronMax,
    /// V times a factor that keeps the layer's sum of |W| what it was when life began.
    Mass,
}

impl Normalisation {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Max, Self::Standardize, Self::Clip, Self::None, Self::NeuronMax, Self::Mass];

    /// What is added to the variance by [`Normalisation::Standardize`].
    pub(super) const VARIANCE_FLOOR: f64 = 1e-5;
}
