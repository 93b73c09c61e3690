//! Suites: the same policies under many conditions, on the same seeds.

mod description;
mod records;
mod report;
mod run;

pub use description::{Condition, ConditionDescription, LegDamage, Suite, SuiteError};
pub(super) use records::Lines;
pub use records::{Record, Records, RecordsError};
pub use report::{Comparison, ConditionReport, SuiteReport, fewest_episodes};
pub use run::{Entrant, SuiteRunError, run_suite};
