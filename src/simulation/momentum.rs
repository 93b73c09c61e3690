//! Momentum of the robot, and its conservation in flight.
//!
//! rapier's multibody takes Coriolis forces half implicitly, which is stable but loses angular momentum: at 10 ms steps and three turns a second
//! a third of it within a second, at 1 ms still a twentieth. While nothing touches the robot its momentum is known, so that the base can be given
//! the velocity that keeps it.

use rapier3d::prelude::*;

use super::sensors::GRAVITY;
use super::world::{Handles, Physics};

/// Momentum of a whole robot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Momentum {
    /// Mass \[kg\].
    pub mass: f32,
    /// Centre of mass in the world \[m\].
    pub centre: Vector,
    /// Linear momentum \[N s\].
    pub linear: Vector,
    /// Angular momentum about the centre of mass \[N m s\].
    pub angular: Vector,
    /// Inertia of the whole as if it were rigid, about the centre of mass, world axes \[kg m²\].
    inertia: Matrix,
}

impl Momentum {
    /// Momentum now.
    pub fn of(physics: &Physics, handles: &Handles) -> Self {
        let bodies = || handles.parts.iter().map(|part| &physics.bodies[part.body]);
        let mass: f32 = bodies().map(RigidBody::mass).sum();
        let centre = bodies().map(|body| body.center_of_mass() * body.mass()).sum::<Vector>() / mass;
        let (mut linear, mut angular, mut inertia) = (Vector::ZERO, Vector::ZERO, Matrix::ZERO);
        for body in bodies() {
            let own = body.mass_properties().effective_angular_inertia();
            let (arm, momentum) = (body.center_of_mass() - centre, body.linvel() * body.mass());
            linear += momentum;
            angular += own * body.angvel() + arm.cross(momentum);
            let spread = Matrix::from_diagonal(Vector::splat(arm.length_squared()));
            let outer = Matrix::from_cols(arm * arm.x, arm * arm.y, arm * arm.z);
            let own = Matrix::from_cols_array(&[own.m11, own.m12, own.m13, own.m12, own.m22, own.m23, own.m13, own.m23, own.m33]);
            inertia += own + (spread - outer) * body.mass();
        }
        Self { mass, centre, linear, angular, inertia }
    }

    /// What it will be after a step of length `dt` in free fall.
    pub fn fallen(self, dt: f32) -> Self {
        Self { linear: self.linear - Vector::Z * (GRAVITY * self.mass * dt), ..self }
    }

    /// Turns and moves the robot as a whole so that its momentum is this one.
    pub fn impose(&self, physics: &mut Physics, handles: &Handles) {
        let now = Self::of(physics, handles);
        let velocity = (self.linear - now.linear) / now.mass;
        let rate = now.inertia.inverse() * (self.angular - now.angular);
        if !(velocity.is_finite() && rate.is_finite()) {
            return;
        }
        for part in &handles.parts {
            if let Some(body) = physics.bodies.get_mut(part.body) {
                let arm = body.center_of_mass() - now.centre;
                body.set_linvel(body.linvel() + velocity + rate.cross(arm), false);
                body.set_angvel(body.angvel() + rate, false);
            }
        }
        // The root's generalised velocities are those of the base body; joints turn as they did.
        let base = &physics.bodies[handles.base()];
        let (linvel, angvel) = (base.linvel(), base.angvel());
        if let Some(tree) = physics.multibody_joints.get_multibody_mut(handles.multibody) {
            let mut velocities = tree.generalized_velocity_mut();
            for axis in 0..3 {
                velocities[axis] = linvel[axis];
                velocities[3 + axis] = angvel[axis];
            }
        }
    }
}

/// Whether anything touches the robot, or is about to.
pub(super) fn is_touched(physics: &Physics, handles: &Handles) -> bool {
    let touched =
        |handle: ColliderHandle| physics.narrow_phase.contact_pairs_with(handle).any(ContactPair::has_any_active_contact);
    // Feet first: of a walking robot some foot touches nearly always.
    let feet = handles.feet.iter().flatten().copied();
    feet.chain(handles.parts.iter().flat_map(|part| part.colliders.iter().map(|(handle, ..)| *handle))).any(touched)
}
