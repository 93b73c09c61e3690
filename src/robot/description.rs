//! The YAML beside a URDF: what the URDF cannot say.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Content of a robot's YAML file, as written by a person. [`super::RobotModel::load`] joins it with the URDF.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RobotDescription {
    /// Name by which policies refer to the robot.
    pub name: String,
    /// The URDF, relative to the YAML file.
    pub urdf: PathBuf,
    /// Root link: the body whose pose is the robot's pose.
    pub base_link: String,
    /// Link whose frame the IMU measures in; fixed to the base link. Default: the base link.
    #[serde(default)]
    pub imu_link: Option<String>,
    /// Driven joints in the order of observations and actions.
    pub joints: Vec<String>,
    /// Links that are feet, in the order of observations.
    pub feet: Vec<String>,
    /// Joint angles of the standing pose \[rad\]; joints not named stand at 0.
    #[serde(default)]
    pub nominal_pose: BTreeMap<String, f32>,
    /// The position motors.
    pub actuator: ActuatorDescription,
    /// Force from which on a foot counts as touching \[N\].
    #[serde(default = "default_contact_threshold")]
    pub contact_threshold: f32,
    /// Coulomb friction coefficient of the robot against the ground.
    #[serde(default = "default_friction")]
    pub friction: f32,
}

/// Position motors, the same for every driven joint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActuatorDescription {
    /// Proportional gain \[N m/rad\].
    pub stiffness: f32,
    /// Derivative gain \[N m s/rad\].
    pub damping: f32,
    /// Largest torque \[N m\]; default: each joint's `effort` in the URDF.
    #[serde(default)]
    pub effort_limit: Option<f32>,
    /// Largest speed \[rad/s\]; default: each joint's `velocity` in the URDF.
    #[serde(default)]
    pub velocity_limit: Option<f32>,
    /// Rotor inertia seen at the joint \[kg m²\].
    #[serde(default = "default_armature")]
    pub armature: f32,
}

fn default_contact_threshold() -> f32 {
    1.0
}

fn default_friction() -> f32 {
    1.0
}

fn default_armature() -> f32 {
    0.01
}
