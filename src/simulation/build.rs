//! From a robot model to rapier's bodies, colliders and joints.

use rapier3d::prelude::*;

use super::actuator::generic_joint;
use super::parts::Part;
use super::terrain::{Ground, GroundSettings, Softness};
use super::world::{Handles, Physics};
use super::{Mount, SimulationSettings};
pub(super) use crate::robot::pose;
use crate::robot::{Joint, JointKind, RobotModel, Shape};

const GROUND: Group = Group::GROUP_1;
const ROBOT: Group = Group::GROUP_2;

/// Distance at which contacts are prepared \[m\]; well under a foot's radius, or feet would touch early.
const PREDICTION_DISTANCE: f32 = 0.002;
/// Penetration that the solver leaves alone \[m\].
const ALLOWED_ERROR: f32 = 0.0005;

pub(super) fn build(robot: &RobotModel, settings: &SimulationSettings) -> (Physics, Handles, Ground) {
    let mut physics = Physics::new(parameters(settings.physics_step(), settings.terrain.soft));
    let friction = settings.terrain.friction.unwrap_or(robot.friction);
    let ground = GroundSettings { friction, reach: reach(robot), groups: groups(GROUND, ROBOT) };
    let ground = Ground::new(&settings.terrain, &ground, &mut physics.colliders);

    let mut bodies = Vec::with_capacity(robot.bodies.len());
    let mut feet = vec![Vec::new(); robot.feet.len()];
    let mut parts = Vec::with_capacity(robot.bodies.len());
    for (index, body) in robot.bodies.iter().enumerate() {
        let held = index == 0 && settings.mount == Mount::Suspended;
        let builder = if held { RigidBodyBuilder::fixed() } else { RigidBodyBuilder::dynamic() };
        let centre = Vector::new(body.centre_of_mass.x, body.centre_of_mass.y, body.centre_of_mass.z);
        let i = &body.inertia;
        let inertia = Matrix::from_cols_array(&[i.m11, i.m21, i.m31, i.m12, i.m22, i.m32, i.m13, i.m23, i.m33]);
        let properties = MassProperties::with_inertia_matrix(centre, body.mass, inertia);
        let handle = physics.bodies.insert(builder.additional_mass_properties(properties).can_sleep(false).build());
        let mut colliders = Vec::with_capacity(body.shapes.len());
        for shape in &body.shapes {
            let collider = collider(shape).density(0.0).friction(friction).collision_groups(groups(ROBOT, GROUND));
            let (form, at) = (collider.shape.clone(), collider.position);
            let collider = physics.colliders.insert_with_parent(collider, handle, &mut physics.bodies);
            colliders.push((collider, form, at));
            if let Some(foot) = shape.foot {
                feet[foot].push(collider);
            }
        }
        // rapier would do it in the first step, before which nothing would have a mass.
        physics.bodies[handle].recompute_mass_properties_from_colliders(&physics.colliders);
        bodies.push(handle);
        parts.push(Part { body: handle, properties, colliders });
    }

    // Parents come before children in `robot.bodies`; links are added in that order so that the multibody is one tree.
    let mut by_child: Vec<_> = robot.moving_joints().enumerate().collect();
    by_child.sort_by_key(|(_, joint)| joint.child);
    let mut joints = vec![MultibodyJointHandle::invalid(); by_child.len()];
    for (index, joint) in by_child {
        let data = generic_joint(joint);
        // `insert` refuses only loops and second parents, which a RobotModel cannot hold.
        if let Some(handle) = physics.multibody_joints.insert(bodies[joint.parent], bodies[joint.child], data, true) {
            joints[index] = handle;
        }
    }
    let handles = Handles::new(&mut physics, robot, parts, feet, &joints);
    (physics, handles, ground)
}

/// Farthest that any part of the robot can be from its base \[m\], in whatever pose.
fn reach(robot: &RobotModel) -> f32 {
    let mut origins = vec![0.0; robot.bodies.len()];
    let mut by_child: Vec<_> = robot.moving_joints().collect();
    by_child.sort_by_key(|joint| joint.child);
    for joint in by_child {
        origins[joint.child] = origins[joint.parent] + joint.origin.translation.vector.norm() + slide(joint);
    }
    let extent = |shape: &Shape| {
        let sphere = collider(shape).build().shape().compute_local_bounding_sphere();
        shape.pose.translation.vector.norm() + sphere.center.length() + sphere.radius
    };
    let farthest = |(body, origin): (&crate::robot::Body, f32)| {
        body.shapes.iter().map(extent).fold(origin, |far, shape| far.max(origin + shape))
    };
    robot.bodies.iter().zip(origins).map(farthest).fold(0.0, f32::max)
}

/// Farthest that a joint moves its child away \[m\].
fn slide(joint: &Joint) -> f32 {
    match joint.kind {
        JointKind::Revolute => 0.0,
        JointKind::Prismatic => joint.lower.abs().max(joint.upper.abs()),
    }
}

fn groups(of: Group, with: Group) -> InteractionGroups {
    InteractionGroups::new(of, with, InteractionTestMode::And)
}

fn collider(shape: &Shape) -> ColliderBuilder {
    let (solid, offset) = shape.geometry.solid();
    ColliderBuilder::new(solid).position(pose(&shape.pose) * offset)
}

/// Longest step after which velocities are solved once more without what pushed bodies apart \[s\].
const LONGEST_STABILIZED_STEP: f32 = 0.005;

/// Solver settings measured to agree with a 1 ms reference and with MuJoCo for legs driven by position motors: one outer
/// iteration (each rebuilds the mass matrix) and four inner ones. The stabilisation is right at small steps; at 10 ms it takes
/// 4 to 10 % of a beetle's way, and without it the way is within 2 % (`tests/reference/test_fidelity.py`).
fn parameters(dt: f32, soft: Option<Softness>) -> IntegrationParameters {
    let rigid = IntegrationParameters::default().static_contact_softness;
    let softness = soft.map_or(rigid, |soft| SpringCoefficients::new(soft.frequency, soft.damping_ratio));
    IntegrationParameters {
        dt,
        static_contact_softness: softness,
        num_solver_iterations: 1,
        num_internal_pgs_iterations: 4,
        num_internal_stabilization_iterations: usize::from(dt <= LONGEST_STABILIZED_STEP),
        max_ccd_substeps: 0,
        normalized_prediction_distance: PREDICTION_DISTANCE,
        normalized_allowed_linear_error: ALLOWED_ERROR,
        // Foot sensors read the contact data, so it has to be that of the present step.
        contact_clustering: false,
        contact_recycling: false,
        ..Default::default()
    }
}
