//! What the damages that hold at one instant amount to, for each joint and body.

use rapier3d::prelude::*;

/// The state of a robot's parts.
#[derive(Clone, Debug)]
pub struct Condition {
    /// For each driven joint.
    pub joints: Vec<JointCondition>,
    /// For each body.
    pub bodies: Vec<BodyCondition>,
    /// Whether the base is held in the air.
    pub suspended: bool,
    /// Physics steps by which commands come late.
    pub command_delay: usize,
}

/// The state of a joint.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct JointCondition {
    /// Share that is left of the largest torque which the motor gives at rest.
    pub torque: f32,
    /// Angle at which it is seized \[rad\].
    pub stuck: Option<f32>,
    /// Whether it came off.
    pub lost: bool,
}

/// The state of a body.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BodyCondition {
    /// Share of its length that is left.
    pub length: f32,
    /// Whether it came off.
    pub lost: bool,
    /// What it carries besides itself.
    pub payload: MassProperties,
}

impl Default for JointCondition {
    fn default() -> Self {
        Self { torque: 1.0, stuck: None, lost: false }
    }
}

impl Default for BodyCondition {
    fn default() -> Self {
        Self { length: 1.0, lost: false, payload: MassProperties::default() }
    }
}

impl Condition {
    /// A healthy robot of so many joints and bodies.
    pub fn healthy(joints: usize, bodies: usize) -> Self {
        Self {
            joints: vec![JointCondition::default(); joints],
            bodies: vec![BodyCondition::default(); bodies],
            suspended: false,
            command_delay: 0,
        }
    }
}
