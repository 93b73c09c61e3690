//! The policy: observation, network and action as one control step, and the file that carries all three.

mod action;
mod continuation;
mod file;
mod import;
mod interface;
mod metadata;
mod network;
mod observation;
mod snapshot;
mod state_file;
mod step;

pub use action::ActionMap;
pub use continuation::SeenState;
pub use file::{LARGEST_FILE, PolicyFile, PolicyFileError};
pub use import::{ImportError, ImportProblem, import};
pub use interface::{InterfaceError, JointInterface, RobotInterface};
pub use metadata::{Ablation, AblationResult, FORMAT_VERSION, PolicyMetadata, Provenance};
pub use network::{Network, NetworkDescription};
pub use observation::{ObservationBlock, ObservationMap};
pub use snapshot::{RingError, Snapshot, SnapshotError, SnapshotRing};
pub use state_file::StateFileError;
pub use step::{MapError, Policy};
