//! The ground: its description, and the colliders that are it.

mod blocks;
mod description;
mod field;
mod ground;
mod patches;
mod shapes;

pub use description::{Gaps, Patches, Relief, Softness, StepOrder, Steps, Terrain, TerrainError, Uneven};
pub(in crate::simulation) use ground::{Ground, GroundSettings};
pub use shapes::{GroundForm, GroundShape};
