//! The robot: what its URDF and YAML say of it, and what is sensed of it at one instant.

mod description;
mod driver;
mod error;
mod frame;
mod mesh;
mod model;
mod naming;
mod orientation_filter;
mod shape;
mod state;
mod urdf;
mod warning;

pub use description::{ActuatorDescription, JointActuator, RobotDescription};
pub use driver::{
    AngleMap, AngleUnit, CommandDescription, CommandForm, ContactDescription, DriverDescription, DriverError, DriverJoints,
    EffortContact, Heading, ImuDescription, JointDriver, OrientationSource,
};
pub use error::RobotError;
pub use frame::{FrameAssembler, SensorFrame, Stamp};
pub use model::{Body, Follower, Foot, Joint, JointKind, RobotModel, Shape};
pub use naming::{NameError, NameMap, UnknownNames};
pub use orientation_filter::OrientationFilter;
pub use shape::Geometry;
pub(crate) use shape::pose;
pub use state::{Orientation, RobotState};
pub use urdf::{Outline, read_urdf};
pub use warning::RobotWarning;

/// Refuses the file `path` when it has more than `limit` bytes.
fn check_size(path: &std::path::Path, limit: u64) -> Result<(), RobotError> {
    let given = std::fs::metadata(path).map_err(|source| RobotError::Read { path: path.into(), source })?.len();
    if given <= limit {
        return Ok(());
    }
    Err(RobotError::TooLarge { what: format!("bytes of {}", path.display()), given, limit })
}
