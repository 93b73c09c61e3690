//! Collision shapes.

use std::sync::Arc;

use nalgebra::{Isometry3, Vector3};
use rapier3d::parry::math::{Pose, Rotation, Vector};
use rapier3d::parry::shape::{ConvexPolyhedron, SharedShape};

/// Form and size of a shape \[m\].
#[derive(Clone, Debug, PartialEq)]
pub enum Geometry {
    /// A ball.
    Sphere {
        /// Radius.
        radius: f32,
    },
    /// A box, given by half its edges.
    Box {
        /// Half edges along x, y, z.
        half_extents: Vector3<f32>,
    },
    /// A cylinder along z.
    Cylinder {
        /// Radius.
        radius: f32,
        /// Half its length.
        half_length: f32,
    },
    /// A cylinder along z with a half ball at each end.
    Capsule {
        /// Radius.
        radius: f32,
        /// Half the length of the cylinder without its ends.
        half_length: f32,
    },
    /// The convex hull of a mesh.
    ConvexHull(Arc<ConvexPolyhedron>),
}

impl Geometry {
    /// The shape for collisions and volumes, and its pose in the frame of the geometry.
    pub fn solid(&self) -> (SharedShape, Pose) {
        // parry's cylinders and capsules lie along y, URDF's along z.
        let along_z = || Pose::from_rotation(Rotation::from_rotation_arc(Vector::Y, Vector::Z));
        match self {
            Self::Sphere { radius } => (SharedShape::ball(*radius), Pose::IDENTITY),
            Self::Box { half_extents: h } => (SharedShape::cuboid(h.x, h.y, h.z), Pose::IDENTITY),
            Self::Cylinder { radius, half_length } => (SharedShape::cylinder(*half_length, *radius), along_z()),
            Self::Capsule { radius, half_length } => (SharedShape::capsule_y(*half_length, *radius), along_z()),
            Self::ConvexHull(hull) => (SharedShape(hull.clone()), Pose::IDENTITY),
        }
    }

    /// Height of its lowest point over the origin of a frame in which it has the pose `at` \[m\].
    pub fn lowest_point(&self, at: &Isometry3<f32>) -> f32 {
        let (solid, offset) = self.solid();
        solid.compute_aabb(&(pose(at) * offset)).mins.z
    }
}

/// `isometry` as the physics knows it.
pub(crate) fn pose(isometry: &Isometry3<f32>) -> Pose {
    let t = &isometry.translation;
    let q = &isometry.rotation;
    Pose::from_parts(Vector::new(t.x, t.y, t.z), Rotation::from_xyzw(q.i, q.j, q.k, q.w))
}
