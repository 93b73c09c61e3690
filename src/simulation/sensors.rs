//! What the simulated robot senses.

use rapier3d::prelude::*;

use super::world::{Handles, Physics};
use crate::robot::{Orientation, RobotState};

/// Standard gravity used by the world \[m/s²\].
pub(super) const GRAVITY: f32 = 9.81;

pub(super) fn joint_angles(physics: &Physics, handles: &Handles, out: &mut [f32]) {
    let Some(multibody) = physics.multibody_joints.get_multibody(handles.multibody) else {
        return;
    };
    for ((out, &link), &axis) in out.iter_mut().zip(&handles.joint_links).zip(&handles.joint_axes) {
        if let Some(link) = multibody.link(link) {
            // Coordinates are x, y, z, then the angles, in the order of the axes.
            *out = link.joint().coords()[axis as usize];
        }
    }
}

pub(super) fn joint_speeds(physics: &Physics, handles: &Handles, out: &mut [f32]) {
    let Some(multibody) = physics.multibody_joints.get_multibody(handles.multibody) else {
        return;
    };
    for (out, &link) in out.iter_mut().zip(&handles.joint_links) {
        if let Some(link) = multibody.link(link) {
            *out = multibody.joint_velocity(link)[0];
        }
    }
}

/// Velocity of the IMU's origin in the world \[m/s\].
pub(super) fn imu_velocity(physics: &Physics, handles: &Handles) -> Vector {
    let base = &physics.bodies[handles.base()];
    base.velocity_at_point((*base.position() * handles.imu).translation)
}

/// Reads all sensors into `state`. `acceleration` is that of the IMU's origin in the world \[m/s²\].
pub(super) fn read(physics: &Physics, handles: &Handles, acceleration: Vector, threshold: f32, state: &mut RobotState) {
    joint_angles(physics, handles, &mut state.joint_position);
    joint_speeds(physics, handles, &mut state.joint_velocity);

    let base = &physics.bodies[handles.base()];
    let rotation = base.position().rotation;
    // The base's, of which policies are told; messages hold that of the IMU.
    state.orientation = Orientation { x: rotation.x, y: rotation.y, z: rotation.z, w: rotation.w };
    let into_imu = (rotation * handles.imu.rotation).inverse();
    state.angular_velocity = (into_imu * base.angvel()).to_array();
    state.linear_acceleration = (into_imu * (acceleration + Vector::Z * GRAVITY)).to_array();

    let dt = physics.parameters.dt;
    for (foot, colliders) in handles.feet.iter().enumerate() {
        let force = colliders.iter().map(|&collider| contact_force(physics, collider, dt)).sum::<f32>();
        state.foot_force[foot] = force;
        state.foot_contact[foot] = force >= threshold;
    }
}

/// Magnitude of the mean force of the ground on `collider` over the last physics step \[N\].
fn contact_force(physics: &Physics, collider: ColliderHandle, dt: f32) -> f32 {
    // A robot's colliders touch nothing but ground, of which there may be several.
    let impulse: Vector = physics
        .narrow_phase
        .contact_pairs_with(collider)
        .flat_map(|pair| {
            // Normals point from the first collider to the second.
            let sign = if pair.collider2 == collider { 1.0 } else { -1.0 };
            pair.manifolds().iter().map(move |manifold| (manifold, sign))
        })
        .map(|(manifold, sign)| {
            let normal = manifold.data.normal * sign;
            manifold
                .points
                .iter()
                .fold(Vector::ZERO, |sum, point| sum + normal * point.data.impulse + point.data.warmstart_tangent_world * sign)
        })
        .sum();
    impulse.length() / dt
}
