//! From a robot model to rapier's bodies, colliders and joints.

use nalgebra::Isometry3;
use rapier3d::prelude::*;

use super::actuator::generic_joint;
use super::world::{Handles, Physics};
use super::{Mount, SimulationSettings};
use crate::robot::{Geometry, RobotModel, Shape};

const GROUND: Group = Group::GROUP_1;
const ROBOT: Group = Group::GROUP_2;

/// Distance at which contacts are prepared \[m\]; well under a foot's radius, or feet would touch early.
const PREDICTION_DISTANCE: f32 = 0.002;
/// Penetration that the solver leaves alone \[m\].
const ALLOWED_ERROR: f32 = 0.0005;

pub(super) fn pose(isometry: &Isometry3<f32>) -> Pose {
    let t = &isometry.translation;
    let q = &isometry.rotation;
    Pose::from_parts(Vector::new(t.x, t.y, t.z), Rotation::from_xyzw(q.i, q.j, q.k, q.w))
}

pub(super) fn build(robot: &RobotModel, settings: &SimulationSettings) -> (Physics, Handles) {
    let mut physics = Physics::new(parameters(settings.physics_step()));
    let ground = ColliderBuilder::halfspace(nalgebra::Unit::new_unchecked(Vector::Z))
        .friction(robot.friction)
        .collision_groups(groups(GROUND, ROBOT));
    let ground = physics.colliders.insert(ground);

    let mut bodies = Vec::with_capacity(robot.bodies.len());
    let mut feet = vec![Vec::new(); robot.feet.len()];
    for (index, body) in robot.bodies.iter().enumerate() {
        let held = index == 0 && settings.mount == Mount::Suspended;
        let builder = if held { RigidBodyBuilder::fixed() } else { RigidBodyBuilder::dynamic() };
        let centre = Vector::new(body.centre_of_mass.x, body.centre_of_mass.y, body.centre_of_mass.z);
        let i = &body.inertia;
        let inertia = Matrix::from_cols_array(&[i.m11, i.m21, i.m31, i.m12, i.m22, i.m32, i.m13, i.m23, i.m33]);
        let properties = MassProperties::with_inertia_matrix(centre, body.mass, inertia);
        let handle = physics.bodies.insert(builder.additional_mass_properties(properties).can_sleep(false).build());
        for shape in &body.shapes {
            let collider = collider(shape).density(0.0).friction(robot.friction).collision_groups(groups(ROBOT, GROUND));
            let collider = physics.colliders.insert_with_parent(collider, handle, &mut physics.bodies);
            if let Some(foot) = shape.foot {
                feet[foot].push(collider);
            }
        }
        bodies.push(handle);
    }

    // Parents come before children in `robot.bodies`; links are added in that order so that the multibody is one tree.
    let mut by_child: Vec<_> = robot.joints.iter().enumerate().collect();
    by_child.sort_by_key(|(_, joint)| joint.child);
    let mut joints = vec![MultibodyJointHandle::invalid(); robot.joints.len()];
    for (index, joint) in by_child {
        let data = generic_joint(joint);
        // `insert` refuses only loops and second parents, which a RobotModel cannot hold.
        if let Some(handle) = physics.multibody_joints.insert(bodies[joint.parent], bodies[joint.child], data, true) {
            joints[index] = handle;
        }
    }
    let handles = Handles::new(&mut physics, robot, ground, bodies, feet, &joints);
    (physics, handles)
}

fn groups(of: Group, with: Group) -> InteractionGroups {
    InteractionGroups::new(of, with, InteractionTestMode::And)
}

fn collider(shape: &Shape) -> ColliderBuilder {
    let at = pose(&shape.pose);
    match shape.geometry {
        Geometry::Sphere { radius } => ColliderBuilder::ball(radius).position(at),
        Geometry::Box { half_extents: h } => ColliderBuilder::cuboid(h.x, h.y, h.z).position(at),
        // rapier's cylinders lie along y, URDF's along z.
        Geometry::Cylinder { radius, half_length } => {
            let along_z = Rotation::from_rotation_arc(Vector::Y, Vector::Z);
            ColliderBuilder::cylinder(half_length, radius).position(at * Pose::from_rotation(along_z))
        }
    }
}

/// Solver settings measured to agree with a 1 ms reference and with MuJoCo for legs driven by position motors: one outer
/// iteration (each rebuilds the mass matrix), four inner ones, one stabilisation (none loses distance).
fn parameters(dt: f32) -> IntegrationParameters {
    IntegrationParameters {
        dt,
        num_solver_iterations: 1,
        num_internal_pgs_iterations: 4,
        num_internal_stabilization_iterations: 1,
        max_ccd_substeps: 0,
        normalized_prediction_distance: PREDICTION_DISTANCE,
        normalized_allowed_linear_error: ALLOWED_ERROR,
        // Foot sensors read the contact data, so it has to be that of the present step.
        contact_clustering: false,
        contact_recycling: false,
        ..Default::default()
    }
}
