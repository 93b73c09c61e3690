//! The position motors: what a target means to the physics, with torque and speed limits.

use rapier3d::prelude::*;

use crate::robot::Joint;

/// Target that the physics' spring gets so that a motor at angle `position`, told to go to `target`, keeps its speed limit.
///
/// A motor with stiffness k and damping d turns at k·e/(d + k·dt) when its spring is stretched by e (the implicit step of
/// length dt). Bounding e therefore bounds the speed, and gives the falling torque-speed line of a real geared motor: full torque
/// at rest, none at the limit, braking above. There is no memory that a blocked joint could wind up.
pub(super) fn spring_target(joint: &Joint, position: f32, target: f32, dt: f32) -> f32 {
    let reach = joint.velocity_limit * (joint.damping + joint.stiffness * dt) / joint.stiffness;
    let target = target.clamp(joint.lower, joint.upper);
    position + (target - position).clamp(-reach, reach)
}

/// rapier's description of a driven joint: free about one axis, with a force-based position motor.
///
/// Angle limits are kept by clamping targets: limit constraints cost 8 % of a step even while inactive.
pub(super) fn generic_joint(joint: &Joint) -> GenericJoint {
    let axis = Vector::new(joint.axis.x, joint.axis.y, joint.axis.z);
    let to_axis = Rotation::from_rotation_arc(Vector::X, axis);
    let origin = super::build::pose(&joint.origin);
    let mut data: GenericJoint = RevoluteJointBuilder::new(Vector::X).build().into();
    data.set_local_frame1(origin * Pose::from_rotation(to_axis));
    data.set_local_frame2(Pose::from_rotation(to_axis));
    data.set_motor_model(JointAxis::AngX, MotorModel::ForceBased);
    data.set_motor(JointAxis::AngX, joint.nominal, 0.0, joint.stiffness, joint.damping);
    data.set_motor_max_force(JointAxis::AngX, joint.effort_limit);
    data
}
