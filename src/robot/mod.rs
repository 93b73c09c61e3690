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
pub use model::{Body, Follower, Foot, Joint, JointKind, LockedJoint, RobotModel, Shape};
pub use naming::{NameError, NameMap, UnknownNames};
pub use orientation_filter::OrientationFilter;
pub use shape::Geometry;
pub(crate) use shape::pose;
pub use state::{Orientation, RobotState};
pub use urdf::{Outline, read_urdf};
pub use warning::RobotWarning;

/// The folders in which ROS packages are installed: those of the variable `AMENT_PREFIX_PATH` in its order, none where it is not set.
///
/// Whoever reads a robot from a disk asks this; what puts a robot together is told.
pub fn installed_packages() -> Vec<std::path::PathBuf> {
    let variable = std::env::var_os("AMENT_PREFIX_PATH");
    let folders = variable.iter().flat_map(std::env::split_paths);
    // Of an empty variable one without a name comes out.
    folders.filter(|folder| !folder.as_os_str().is_empty()).collect()
}

/// Refuses the file `path` when it has more than `limit` bytes.
fn check_size(path: &std::path::Path, limit: u64) -> Result<(), RobotError> {
    let given = std::fs::metadata(path).map_err(|source| RobotError::Read { path: path.into(), source })?.len();
    if given <= limit {
        return Ok(());
    }
    Err(RobotError::TooLarge { what: format!("bytes of {}", path.display()), given, limit })
}
