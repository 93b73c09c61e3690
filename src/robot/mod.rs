//! The robot: what its URDF and YAML say of it, and what is sensed of it at one instant.

mod description;
mod error;
mod frame;
mod model;
mod naming;
mod state;
mod urdf;

pub use description::{ActuatorDescription, RobotDescription};
pub use error::RobotError;
pub use frame::{FrameAssembler, SensorFrame, Stamp};
pub use model::{Body, Foot, Geometry, Joint, RobotModel, Shape};
pub use naming::{NameError, NameMap, UnknownNames};
pub use state::{Orientation, RobotState};
