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
    /// The body whose pose is the robot's pose: the root of the URDF, or a link that is fixed to it.
    pub base_link: String,
    /// Link whose frame the IMU measures in; fixed to the base link. Default: the base link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imu_link: Option<String>,
    /// Driven joints in the order of observations and actions.
    pub joints: Vec<String>,
    /// Joints of the URDF that are welded at their nominal position: they do not move, and of all messages only joint states name them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub locked: Vec<String>,
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

/// Position motors, the same for every driven joint but for what `joints` says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActuatorDescription {
    /// Proportional gain \[N m/rad\].
    pub stiffness: f32,
    /// Derivative gain \[N m s/rad\].
    pub damping: f32,
    /// Largest torque \[N m\]; default: each joint's `effort` in the URDF.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effort_limit: Option<f32>,
    /// Largest speed \[rad/s\]; default: each joint's `velocity` in the URDF.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub velocity_limit: Option<f32>,
    /// Rotor inertia seen at the joint \[kg m²\].
    #[serde(default = "default_armature")]
    pub armature: f32,
    /// What differs for single joints, by their names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub joints: BTreeMap<String, JointActuator>,
}

/// What differs for the motor of one joint; a value that is not given is that of all joints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JointActuator {
    /// Proportional gain \[N m/rad\].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stiffness: Option<f32>,
    /// Derivative gain \[N m s/rad\].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub damping: Option<f32>,
    /// Largest torque \[N m\].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effort_limit: Option<f32>,
    /// Largest speed \[rad/s\].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub velocity_limit: Option<f32>,
    /// Rotor inertia seen at the joint \[kg m²\].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub armature: Option<f32>,
}

impl ActuatorDescription {
    /// The motor of `joint`, with every value that is given for it or for all.
    pub(super) fn of(&self, joint: &str) -> JointActuator {
        let own = self.joints.get(joint).copied().unwrap_or_default();
        JointActuator {
            stiffness: own.stiffness.or(Some(self.stiffness)),
            damping: own.damping.or(Some(self.damping)),
            effort_limit: own.effort_limit.or(self.effort_limit),
            velocity_limit: own.velocity_limit.or(self.velocity_limit),
            armature: own.armature.or(Some(self.armature)),
        }
    }
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
