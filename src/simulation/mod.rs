//! The simulated world: one legged robot on the ground, in rapier3d multibody coordinates.

mod actuator;
mod build;
mod damage;
mod followers;
mod mjcf;
mod momentum;
mod motors;
mod parts;
mod sensors;
mod settings;
mod start;
mod terrain;
mod watchdog;
mod world;

pub(crate) use actuator::torque_at_rest;
pub use damage::{Damage, DamageError, Reads, Sensor, When};
pub use mjcf::to_mjcf;
pub use motors::{Drive, Energy};
pub use settings::{Mount, SettingsError, SimulationSettings};
pub use start::{StartNoise, StartNoiseError, StartPose};
pub use terrain::{Gaps, GroundForm, GroundShape, Patches, Relief, Softness, StepOrder, Steps, Terrain, TerrainError, Uneven};
pub use watchdog::{Alarm, CommandWatchdog, Commanded};
pub use world::{BasePose, World};
