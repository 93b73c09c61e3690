//! The evolution node: holds the search of an experiment and spreads its episodes over workers.

mod convert;
mod coordination;
mod node;
mod report;
mod work_time;

pub use node::build;
