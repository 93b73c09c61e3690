//! Studies: many policies evolved for a comparison, what they do in a suite, and what that says about published claims.
//!
//! What counts as one observation here is an evolved policy, not an episode: episodes of one policy are alike, and only another evolution shows
//! whether a difference lies in the method or in luck.

mod claims;
mod description;
mod figures;
mod markdown;
mod weights;

pub use claims::{Claim, ClaimResult, ClaimVerdict};
pub use description::{Comparison, Member, Outcome, Study, StudyError, StudyGroup, WeightConditions};
pub use figures::{ComparisonFigures, Course, Evolved, GroupFigures, OutcomeFigures, PolicyFigures, PolicyOutcome, StudyFigures};
pub use markdown::markdown;
pub use weights::{WeightError, WeightFigures, WeightRecords, weight_figures};
