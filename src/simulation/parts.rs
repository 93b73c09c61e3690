//! The bodies of a robot as they are when nothing is wrong, and how damage changes them.

use rapier3d::prelude::*;

use super::damage::BodyCondition;
use super::world::Physics;

/// What a lost body still weighs, as a share: the equations of motion need some mass.
const LOST: f32 = 1e-3;

/// A healthy body.
#[derive(Clone)]
pub(super) struct Part {
    pub body: RigidBodyHandle,
    pub properties: MassProperties,
    pub colliders: Vec<(ColliderHandle, SharedShape, Pose)>,
}

impl Part {
    /// Makes the body what `condition` says.
    pub fn apply(&self, condition: &BodyCondition, physics: &mut Physics) {
        let mut properties = self.shortened_properties(condition.length);
        properties += condition.payload;
        if condition.lost {
            properties = scaled(&properties, LOST);
        }
        for (handle, shape, pose) in &self.colliders {
            let Some(collider) = physics.colliders.get_mut(*handle) else {
                continue;
            };
            collider.set_enabled(!condition.lost);
            collider.set_shape(shortened_shape(shape, condition.length));
            collider.set_position_wrt_parent(Pose::from_parts(pose.translation * condition.length, pose.rotation));
        }
        if let Some(body) = physics.bodies.get_mut(self.body) {
            body.set_additional_mass_properties(properties, true);
            body.recompute_mass_properties_from_colliders(&physics.colliders);
        }
    }

    /// Mass and inertia of a body of which `length` is left: a rod's mass goes with its length, its inertia with the cube.
    fn shortened_properties(&self, length: f32) -> MassProperties {
        let mut properties = scaled(&self.properties, length);
        properties.local_com = self.properties.local_com * length;
        properties.inv_principal_inertia /= length * length;
        properties
    }
}

fn scaled(properties: &MassProperties, factor: f32) -> MassProperties {
    let mut properties = *properties;
    properties.inv_mass /= factor;
    properties.inv_principal_inertia /= factor;
    properties
}

/// `shape` as long as `length` says. Balls, which feet are, keep their size.
fn shortened_shape(shape: &SharedShape, length: f32) -> SharedShape {
    match shape.as_typed_shape() {
        _ if length == 1.0 => shape.clone(),
        TypedShape::Cylinder(cylinder) => SharedShape::cylinder(cylinder.half_height * length, cylinder.radius),
        TypedShape::Capsule(capsule) => {
            SharedShape::capsule(capsule.segment.a * length, capsule.segment.b * length, capsule.radius)
        }
        TypedShape::Cuboid(cuboid) => {
            // The longest edge is that along the limb.
            let mut half = cuboid.half_extents;
            let longest = half.max_position();
            half[longest] *= length;
            SharedShape::cuboid(half.x, half.y, half.z)
        }
        TypedShape::ConvexPolyhedron(hull) => {
            hull.clone().scaled(Vector::splat(length)).map_or_else(|| shape.clone(), SharedShape::new)
        }
        _ => shape.clone(),
    }
}
