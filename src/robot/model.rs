//! The robot as a tree of rigid bodies: URDF and YAML joined, checked, and ready to simulate.

use std::path::{Path, PathBuf};

use nalgebra::{Isometry3, Matrix3, Unit, Vector3};

use super::{RobotDescription, RobotError};
use crate::config::read_yaml;

/// A robot, complete and consistent: every driven joint moves one body, parents come before children.
#[derive(Clone, Debug)]
pub struct RobotModel {
    /// Name by which policies refer to the robot.
    pub name: String,
    /// Rigid bodies; the first is the base. Links joined by fixed joints are one body.
    pub bodies: Vec<Body>,
    /// Driven joints in the order of observations and actions.
    pub joints: Vec<Joint>,
    /// Feet in the order of observations.
    pub feet: Vec<Foot>,
    /// Pose of the IMU in the base link's frame.
    pub imu: Isometry3<f32>,
    /// Name of the base link.
    pub base_link: String,
    /// Name of the IMU's link.
    pub imu_link: String,
    /// Force from which on a foot counts as touching \[N\].
    pub contact_threshold: f32,
    /// Coulomb friction coefficient against the ground.
    pub friction: f32,
    /// The URDF as read, for `robot_description`.
    pub urdf: String,
}

/// One rigid body, in the frame of its first link (that of the joint which moves it).
#[derive(Clone, Debug)]
pub struct Body {
    /// Name of its first link.
    pub name: String,
    /// Mass \[kg\].
    pub mass: f32,
    /// Centre of mass \[m\].
    pub centre_of_mass: Vector3<f32>,
    /// Inertia about the centre of mass, axes of the body's frame \[kg m²\].
    pub inertia: Matrix3<f32>,
    /// Collision shapes.
    pub shapes: Vec<Shape>,
}

/// A collision shape of a body.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Form and size.
    pub geometry: Geometry,
    /// Pose in the body's frame.
    pub pose: Isometry3<f32>,
    /// Index of the foot that it belongs to.
    pub foot: Option<usize>,
}

/// Form and size of a shape \[m\].
#[derive(Clone, Copy, Debug, PartialEq)]
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
}

/// A driven revolute joint.
#[derive(Clone, Debug)]
pub struct Joint {
    /// Name in the URDF.
    pub name: String,
    /// Index of the body that it is mounted on.
    pub parent: usize,
    /// Index of the body that it moves.
    pub child: usize,
    /// Pose of the child's frame in the parent's at angle 0.
    pub origin: Isometry3<f32>,
    /// Axis in the child's frame.
    pub axis: Unit<Vector3<f32>>,
    /// Smallest angle \[rad\].
    pub lower: f32,
    /// Largest angle \[rad\].
    pub upper: f32,
    /// Angle of the standing pose \[rad\].
    pub nominal: f32,
    /// Largest torque \[N m\].
    pub effort_limit: f32,
    /// Largest speed \[rad/s\].
    pub velocity_limit: f32,
    /// Proportional gain of the motor \[N m/rad\].
    pub stiffness: f32,
    /// Derivative gain of the motor \[N m s/rad\].
    pub damping: f32,
    /// Rotor inertia at the joint \[kg m²\].
    pub armature: f32,
}

/// A foot.
#[derive(Clone, Debug)]
pub struct Foot {
    /// Name of its link.
    pub name: String,
    /// Index of the body that it is part of.
    pub body: usize,
}

impl RobotModel {
    /// Reads a robot's YAML file and the URDF that it names.
    ///
    /// # Errors
    /// [`RobotError`] names the file, joint or link that is wrong.
    pub fn load(yaml: &Path) -> Result<Self, RobotError> {
        let description: RobotDescription = read_yaml(yaml)?;
        let path: PathBuf = yaml.parent().unwrap_or(Path::new(".")).join(&description.urdf);
        let text = std::fs::read_to_string(&path).map_err(|source| RobotError::Read { path: path.clone(), source })?;
        Self::from_parts(&description, text, &path)
    }

    /// Joins a description with the text of its URDF; `path` only serves messages.
    ///
    /// # Errors
    /// As [`RobotModel::load`].
    pub fn from_parts(description: &RobotDescription, urdf: String, path: &Path) -> Result<Self, RobotError> {
        super::urdf::assemble(description, urdf, path)
    }

    /// Names of the driven joints, in order.
    pub fn joint_names(&self) -> impl Iterator<Item = &str> {
        self.joints.iter().map(|joint| joint.name.as_str())
    }

    /// Names of the feet, in order.
    pub fn foot_names(&self) -> impl Iterator<Item = &str> {
        self.feet.iter().map(|foot| foot.name.as_str())
    }

    /// Mass of the whole robot \[kg\].
    pub fn mass(&self) -> f32 {
        self.bodies.iter().map(|body| body.mass).sum()
    }

    /// Gives every driven joint the speed limit `limit` \[rad/s\].
    ///
    /// # Errors
    /// [`RobotError::Unusable`] when the limit is not a positive number.
    pub fn set_velocity_limit(&mut self, limit: f32) -> Result<(), RobotError> {
        if !(limit.is_finite() && limit > 0.0) {
            return Err(RobotError::unusable("joint velocity limit", &limit.to_string(), "must be a positive number of rad/s"));
        }
        for joint in &mut self.joints {
            joint.velocity_limit = limit;
        }
        Ok(())
    }
}
