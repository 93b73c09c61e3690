//! The position motors: what a target means to the physics, with torque and speed limits.

use rapier3d::prelude::*;

use crate::robot::{Joint, JointKind};

/// Target that the physics' spring gets so that a motor at angle `position`, told to go to `target`, keeps its speed limit.
///
/// A motor with stiffness k and damping d turns at k·e/(d + k·dt) when its spring is stretched by e (the implicit step of
/// length dt). Bounding e therefore bounds the speed, and gives the falling torque-speed line of a real geared motor: the most at
/// rest ([`torque_at_rest`]), none at the limit, braking above. There is no memory that a blocked joint could wind up.
pub(super) fn spring_target(joint: &Joint, position: f32, target: f32, dt: f32) -> f32 {
    let reach = joint.velocity_limit * (joint.damping + joint.stiffness * dt) / joint.stiffness;
    let target = target.clamp(joint.lower, joint.upper);
    position + (target - position).clamp(-reach, reach)
}

/// Largest torque that the motor of `joint` gives at rest, in physics steps of length `dt` \[N m\]: its effort limit, or what its spring gives
/// where [`spring_target`] stretches it farthest, if that is less.
pub(crate) fn torque_at_rest(joint: &Joint, dt: f32) -> f32 {
    joint.effort_limit.min(joint.velocity_limit * (joint.damping + joint.stiffness * dt))
}

/// Torque limit of the motor of `joint`, of which the share `share` is left, in physics steps of length `dt` \[N m\].
pub(super) fn torque_limit(joint: &Joint, share: f32, dt: f32) -> f32 {
    // A whole motor brakes with up to its effort limit, which may be more than it ever gives at rest: a share of that could be no weakness.
    if share < 1.0 { torque_at_rest(joint, dt) * share } else { joint.effort_limit }
}

/// The one of rapier's axes that a joint leaves free.
pub(super) fn free_axis(joint: &Joint) -> JointAxis {
    match joint.kind {
        JointKind::Revolute => JointAxis::AngX,
        JointKind::Prismatic => JointAxis::LinX,
    }
}

/// The axes that rapier's joint leaves free: one, for the joints of [`generic_joint`].
pub(super) fn free_axes(joint: &GenericJoint) -> JointAxesMask {
    joint.locked_axes.complement()
}

/// rapier's description of a joint: free about or along one axis, with a force-based position motor.
///
/// Angle limits are kept by clamping targets, and by limit constraints that are switched on only for a joint that is beyond its limit: they
/// cost 8 % of a step even while inactive.
pub(super) fn generic_joint(joint: &Joint) -> GenericJoint {
    let axis = Vector::new(joint.axis.x, joint.axis.y, joint.axis.z);
    let to_axis = Rotation::from_rotation_arc(Vector::X, axis);
    let origin = super::build::pose(&joint.origin);
    let mut data: GenericJoint = match joint.kind {
        JointKind::Revolute => RevoluteJointBuilder::new(Vector::X).build().into(),
        JointKind::Prismatic => PrismaticJointBuilder::new(Vector::X).build().into(),
    };
    let free = free_axis(joint);
    data.set_local_frame1(origin * Pose::from_rotation(to_axis));
    data.set_local_frame2(Pose::from_rotation(to_axis));
    data.set_motor_model(free, MotorModel::ForceBased);
    data.set_motor(free, joint.nominal, 0.0, joint.stiffness, joint.damping);
    data.set_motor_max_force(free, joint.effort_limit);
    data.set_limits(free, [joint.lower, joint.upper]);
    data.limit_axes = JointAxesMask::empty();
    data
}
