//! The plasticity gate: how strongly the rule acts, per layer and control step.
//!
//! A gate g in \[0, 1\] scales a layer's update; 0 leaves its weights bit-identical. [`Gates`] decides it between two steps as
//! the minimum over its sources:
//!
//! | source | shuts |
//! |---|---|
//! | [`CommandedGate`] | as told by parameter, topic or service |
//! | [`ScheduleEntry`] | at given control steps |
//! | [`FootContactSettings`] | while the robot hangs in the air |
//! | [`SettledSettings`] | once the updates have become small |
//! | [`NoveltySettings`] | when the weights leave the [`Subspace`] that training knew |
//!
//! Each is a small state machine whose next state depends on its own state and the [`GateInput`] alone.

mod command;
mod description;
mod error;
mod foot_contact;
mod gates;
mod novelty;
#[cfg(test)]
mod properties;
mod reason;
mod schedule;
mod settled;
mod subspace;

pub use command::{CommandedGate, Gate, GateSource};
pub use description::{GateBlock, GateDescription, GateDimensions};
pub use error::{GateDescriptionError, GateError};
pub use foot_contact::FootContactSettings;
pub use gates::{GateInput, Gates};
pub use novelty::NoveltySettings;
pub use reason::GateReason;
pub use schedule::{LayerGates, ScheduleEntry};
pub use settled::SettledSettings;
pub use subspace::{Subspace, SubspaceError};
