//! The step of one layer, as fast as memory allows.
//!
//! Per synapse a step must read W and four coefficients (eta is multiplied into A, B, C and D when a rule is loaded) and write W. It
//! does little more: columns lie in tiles of eight, so that a tile's forward pass (which W comes from memory for) and its update (which
//! coefficients come for) follow each other while W is still at hand, and a normalisation W = (V - mean) scale is not a pass of
//! its own but carried out by the next pass over the weights.
//!
//! [`pass`] is this for ordinary numbers. [`careful`] is the same in double precision, slowly, for numbers so large that single
//! precision could overflow; which of them a step takes is decided before it begins, by bounds.

mod careful;
mod lanes;
mod layer;
mod pass;

pub(super) use lanes::{LANES, Lanes};
pub(super) use layer::{KernelLayer, largest};
pub use pass::Instructions;
