//! The policy node: sensors in, joint targets out, and the weights on the way.

mod control;
mod node;
mod telemetry;

pub use node::build;
