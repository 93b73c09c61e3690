//! From URDF to a tree of rigid bodies: fixed joints merged, names resolved, values checked and where possible mended.

mod assembly;
mod inertia;
mod outline;
mod text;
mod tree;

pub use outline::Outline;
pub(super) use text::check_nesting;

use std::path::{Path, PathBuf};

use super::{RobotDescription, RobotError, RobotModel};
use assembly::Assembly;
use tree::Tree;

/// Largest position, size and mesh coordinate \[m\]: beyond it single precision has no millimetres left.
pub(super) const MAX_LENGTH: f64 = 1000.0;

/// Reads the text of the URDF in the file `path`, if it is no larger than any honest one.
///
/// # Errors
/// [`RobotError::TooLarge`] before memory is taken, [`RobotError::Read`] when it cannot be read.
pub fn read_urdf(path: &Path) -> Result<String, RobotError> {
    super::check_size(path, text::MAX_BYTES)?;
    std::fs::read_to_string(path).map_err(|source| RobotError::Read { path: path.into(), source })
}

pub(super) fn assemble(
    description: &RobotDescription,
    text: String,
    path: &Path,
    packages: &[PathBuf],
) -> Result<RobotModel, RobotError> {
    assembly::check_description(description)?;
    let urdf = parse(&text, path)?;
    let tree = Tree::new(&urdf)?;
    tree.check_names(description)?;
    tree.check_root(&description.base_link)?;
    let mut assembly = Assembly::new(description, &tree, path, packages);
    assembly.add_bodies()?;
    assembly.finish(text)
}

/// Reads a URDF's text; `path` serves messages.
fn parse(text: &str, path: &Path) -> Result<urdf_rs::Robot, RobotError> {
    let malformed = |message: String| RobotError::MalformedUrdf { path: path.into(), message };
    let prepared = text::prepare(text).map_err(|error| error.into_robot_error(path))?;
    urdf_rs::read_from_string(&prepared).map_err(|error| malformed(error.to_string()))
}
