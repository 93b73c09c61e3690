//! The policy: observation, plastic network and action as one control step, and the file that carries all three.

mod action;
mod file;
mod interface;
mod metadata;
mod observation;
mod step;

pub use action::ActionMap;
pub use file::{LARGEST_FILE, PolicyFile, PolicyFileError};
pub use interface::{InterfaceError, JointInterface, RobotInterface};
pub use metadata::{Ablation, AblationResult, FORMAT_VERSION, NetworkDescription, PolicyMetadata, Provenance};
pub use observation::{ObservationBlock, ObservationMap};
pub use step::{MapError, Policy};
