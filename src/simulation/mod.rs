//! The simulated world: one legged robot on the ground, in rapier3d multibody coordinates.

mod actuator;
mod build;
mod sensors;
mod settings;
mod world;

pub use settings::{Mount, SettingsError, SimulationSettings};
pub use world::{BasePose, StartNoise, World};
