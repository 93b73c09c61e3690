//! Evidence: what a policy can do, and what of the method does it.

mod ablation;
mod trial;

pub use ablation::{Variant, ablate};
pub use trial::{Summary, Trial, TrialError, held_out_seeds};
