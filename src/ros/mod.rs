//! The ROS 2 shell: the only folder that knows r2r. It converts, validates, calls the core and publishes.
//!
//! Threads of a node: one only spins ROS and turns messages into values (*spin*); one runs the control or simulation loop and never waits for
//! ROS (*control*); one publishes what the loop leaves in a bounded queue (*publish*); a small tokio runtime answers
//! parameter services and waits for signals. Between spin and control stand cells without locks.

pub mod convert;
mod logging;
mod node;
mod outbox;
pub mod parameters;
pub mod policy;
mod qos;
mod rejection;
pub mod simulator;
mod stop;

pub use node::{NodeError, run_node};
