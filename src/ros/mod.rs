//! The ROS 2 shell: the only folder that knows r2r. It converts, validates, calls the core and publishes.
//!
//! Threads of a node: one only spins ROS and turns messages into values (*spin*); one runs the control or simulation loop and never waits for
//! ROS (*control*); one publishes what the loop leaves in a bounded queue (*publish*); a small tokio runtime answers
//! parameter services and waits for signals. Between spin and control stand cells without locks.

mod clock;
pub mod convert;
mod diagnostics;
pub mod evolution;
pub mod lifecycle;
mod logging;
mod node;
mod outbox;
mod parameter_files;
mod parameter_services;
pub mod parameters;
pub mod policy;
mod qos;
mod realtime;
pub mod recorder;
mod rejection;
pub mod sensor_reader;
pub mod simulator;
mod stop;
mod text;
mod topic_names;
pub mod viewer;
pub mod worker;

pub use node::{NodeError, run_node};
