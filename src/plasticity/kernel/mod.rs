//! The step of one layer, as fast as memory allows.
//!
//! Per synapse a step must read W and four coefficients (eta is multiplied into A, B, C and D when a rule is loaded) and write W. It
//! does little more: columns lie in tiles of eight, and a normalisation W = (V - mean) scale is not a pass of its own but carried
//! out by the next pass over the weights. One loop over the rows updates a tile, which coefficients come from memory for, and
//! carries out the next tile's forward pass, which its W comes for, to be still at hand when that tile is updated; thus memory is
//! not idle while there is something to compute.
//!
//! [`pass`] is this for ordinary numbers. [`careful`] is the same in double precision, slowly, for numbers so large that single
//! precision could overflow; which of them a step takes is decided before it begins, by bounds.

mod careful;
mod lanes;
mod layer;
mod pass;

pub(super) use lanes::{LANES, Lanes, Row};
pub(super) use layer::{KernelLayer, largest, largest_weight};
pub use pass::Instructions;
