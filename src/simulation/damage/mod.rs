//! Damage and disturbance: what is wrong with a robot, and what that does to its joints, bodies and sensors.

mod condition;
mod description;
mod plan;
mod sensing;

pub(in crate::simulation) use condition::{BodyCondition, Condition, JointCondition};
pub use description::{Damage, DamageError, Reads, Sensor, When};
pub(in crate::simulation) use plan::{Plan, Push, Scene};
pub(in crate::simulation) use sensing::SensorFaults;
