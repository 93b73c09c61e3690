//! Bringing up a robot that nobody has described yet: how it stands, with which gains, on which feet, and whether it really does.

mod draft;
mod gains;
mod legs;
mod stand;
mod yaml;

pub use draft::{BringUpError, Draft, draft};
pub use stand::{StandReport, stand};
pub use yaml::to_yaml;
