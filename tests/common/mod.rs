//! What several test files need.
#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses a part of this")]

use std::path::PathBuf;
use std::sync::Arc;

use hebbian_locomotion::robot::{RobotModel, RobotState};

/// A file of the repository.
pub fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The shipped beetle.
pub fn beetle() -> Arc<RobotModel> {
    Arc::new(RobotModel::load(&repository("config/robots/beetle.yaml")).unwrap())
}

/// An empty state of `robot`.
pub fn state_of(robot: &RobotModel) -> RobotState {
    RobotState::at_rest(robot.joints.len(), robot.feet.len())
}
