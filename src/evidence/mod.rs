//! Evidence: what a policy can do, and what of the method does it.

mod ablation;
mod numbers;
mod subspace;
mod terms;
mod trial;

pub use ablation::{Variant, ablate};
pub use numbers::{BINS, Distribution, GenomeNumbers, NumbersOf};
pub use subspace::{MOST_SAMPLES, SubspaceFigures, SubspaceFit, SubspaceFitError, fit_subspace};
pub use terms::{TermSizes, term_sizes};
pub use trial::{Summary, Trial, TrialError, held_out_seeds};
