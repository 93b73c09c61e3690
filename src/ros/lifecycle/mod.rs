//! The managed lifecycle of a node (design.ros2.org/articles/node_lifecycle.html), which r2r does not have.

mod machine;
mod services;

pub use machine::{Machine, Outcome, State, Transition, TransitionError};
pub(super) use services::Lifecycle;
pub use services::Managed;
