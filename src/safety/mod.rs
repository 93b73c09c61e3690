//! The supervisor of a running robot: it has the last word on every command.
//!
//! Plain arithmetic with time as an argument. A step allocates nothing, waits for nothing and cannot panic.

mod description;
mod fault;
mod limiter;
mod phase;
mod proposal;
mod sensors;
mod stamps;
mod supervisor;

pub use description::{Fallback, Reaction, Reactions, SafetyDescription, SafetyError};
pub use fault::{Fault, FaultKind, Subject};
pub use limiter::{JointLimits, Limiter};
pub use phase::Phase;
pub use proposal::Proposal;
pub use sensors::{MessageFaults, SENSORS, Sensors, needed_sensors};
pub use stamps::{RepeatWatch, StampFault, StampWatch};
pub use supervisor::Supervisor;
