//! The robot as a tree of rigid bodies: URDF and YAML joined, checked, and ready to simulate.

use std::path::{Path, PathBuf};

use nalgebra::{Isometry3, Matrix3, Translation3, Unit, UnitQuaternion, Vector3};

use super::{Geometry, RobotDescription, RobotError, RobotWarning, installed_packages, read_urdf};
use crate::config::read_yaml;

/// Largest description \[bytes\].
const MAX_YAML: u64 = 1 << 20;
/// Least share of its effort limit that a motor should reach at rest.
const LEAST_EFFORT: f32 = 0.9;
/// Least height of the base over the lowest foot, as a share of that of the highest body.
const LEAST_BASE_HEIGHT: f32 = 0.05;

/// A robot, complete and consistent: every joint moves one body, every body but the base is moved by one, parents come before children.
#[derive(Clone, Debug)]
pub struct RobotModel {
    /// Name by which policies refer to the robot.
    pub name: String,
    /// Rigid bodies; the first is the base. Links joined by fixed joints are one body.
    pub bodies: Vec<Body>,
    /// Driven joints in the order of observations and actions.
    pub joints: Vec<Joint>,
    /// Joints that mimic a driven one.
    pub followers: Vec<Follower>,
    /// Joints that could move but are welded.
    pub locked: Vec<LockedJoint>,
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
    /// What the URDF left out or got wrong, and what was taken instead.
    pub warnings: Vec<RobotWarning>,
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

/// How a joint moves its child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JointKind {
    /// Turns it about the axis: positions in rad, efforts in N m.
    Revolute,
    /// Shifts it along the axis: positions in m, efforts in N. Wherever else a unit says rad or N m, read m or N.
    Prismatic,
}

impl JointKind {
    /// Unit of its positions: "rad" or "m".
    pub fn unit(self) -> &'static str {
        match self {
            Self::Revolute => "rad",
            Self::Prismatic => "m",
        }
    }
}

/// A joint with a position motor.
#[derive(Clone, Debug)]
pub struct Joint {
    /// Name in the URDF.
    pub name: String,
    /// How it moves.
    pub kind: JointKind,
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

/// A joint that mimics a driven one: its motor, which puts no load on that, goes to `multiplier * master + offset`.
#[derive(Clone, Debug)]
pub struct Follower {
    /// The joint that follows; `nominal` is what its master's nominal position makes of it.
    pub joint: Joint,
    /// Index of the driven joint that it follows.
    pub master: usize,
    /// Factor of the master's position.
    pub multiplier: f32,
    /// What is added \[rad\].
    pub offset: f32,
}

/// A joint that is welded at its nominal position: the links on both sides of it are one body.
#[derive(Clone, Debug, PartialEq)]
pub struct LockedJoint {
    /// Name in the URDF.
    pub name: String,
    /// Where it stands \[rad\].
    pub position: f32,
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
    /// Reads a robot's YAML file and the URDF that it names, with meshes also from [`installed_packages`].
    ///
    /// # Errors
    /// [`RobotError`] names the file, joint or link that is wrong.
    pub fn load(yaml: &Path) -> Result<Self, RobotError> {
        super::check_size(yaml, MAX_YAML)?;
        let description: RobotDescription = read_yaml(yaml)?;
        let path: PathBuf = yaml.parent().unwrap_or(Path::new(".")).join(&description.urdf);
        Self::from_parts_and_packages(&description, read_urdf(&path)?, &path, &installed_packages())
    }

    /// Joins a description with the text of its URDF. `path` is where the URDF is, or would be: the files of its meshes are looked up from there.
    ///
    /// # Errors
    /// As [`RobotModel::load`].
    pub fn from_parts(description: &RobotDescription, urdf: String, path: &Path) -> Result<Self, RobotError> {
        Self::from_parts_and_packages(description, urdf, path, &[])
    }

    /// As [`RobotModel::from_parts`]; packages that are not near `path` are looked for in `share` of the folders `packages`, as
    /// [`installed_packages`] has them.
    ///
    /// # Errors
    /// As [`RobotModel::load`].
    pub fn from_parts_and_packages(
        description: &RobotDescription,
        urdf: String,
        path: &Path,
        packages: &[PathBuf],
    ) -> Result<Self, RobotError> {
        super::urdf::assemble(description, urdf, path, packages)
    }

    /// Names of the driven joints, in order.
    pub fn joint_names(&self) -> impl Iterator<Item = &str> {
        self.joints.iter().map(|joint| joint.name.as_str())
    }

    /// Names of the feet, in order.
    pub fn foot_names(&self) -> impl Iterator<Item = &str> {
        self.feet.iter().map(|foot| foot.name.as_str())
    }

    /// All joints that move, driven ones first.
    pub(crate) fn moving_joints(&self) -> impl Iterator<Item = &Joint> {
        self.joints.iter().chain(self.followers.iter().map(|follower| &follower.joint))
    }

    /// Pose of every body in the base's frame with the driven joints at `positions` \[rad\]; missing ones stand at 0.
    pub fn body_poses(&self, positions: &[f32]) -> Vec<Isometry3<f32>> {
        let at = |joint: usize| positions.get(joint).copied().unwrap_or(0.0);
        let driven = self.joints.iter().enumerate().map(|(index, joint)| (joint, at(index)));
        let following = self.followers.iter().map(|follower| (&follower.joint, follower.position(at(follower.master))));
        let mut moves: Vec<_> = driven.chain(following).collect();
        moves.sort_by_key(|(joint, _)| joint.child);
        let mut poses = vec![Isometry3::identity(); self.bodies.len()];
        for (joint, position) in moves {
            poses[joint.child] = poses[joint.parent] * joint.origin * joint.motion(position);
        }
        poses
    }

    /// Mass of the whole robot \[kg\].
    pub fn mass(&self) -> f32 {
        self.bodies.iter().map(|body| body.mass).sum()
    }

    /// Gives every driven joint that turns the speed limit `limit` \[rad/s\].
    ///
    /// # Errors
    /// [`RobotError::Unusable`] when the limit is not a positive number.
    pub fn set_velocity_limit(&mut self, limit: f32) -> Result<(), RobotError> {
        if !(limit.is_finite() && limit > 0.0) {
            return Err(RobotError::unusable("joint velocity limit", &limit.to_string(), "must be a positive number of rad/s"));
        }
        for joint in self.joints.iter_mut().filter(|joint| joint.kind == JointKind::Revolute) {
            joint.velocity_limit = limit;
        }
        self.warnings.retain(|warning| !matches!(warning, RobotWarning::EffortOutOfReach { .. }));
        self.warnings.extend(self.effort_out_of_reach());
        Ok(())
    }

    /// [`RobotWarning::EffortOutOfReach`], if it is true of any driven joint. What long physics steps add (speed limit times
    /// stiffness times step) is not counted.
    pub(super) fn effort_out_of_reach(&self) -> Option<RobotWarning> {
        let reached = |joint: &Joint| joint.velocity_limit * joint.damping;
        let share = |joint: &Joint| reached(joint) / joint.effort_limit;
        let weak: Vec<&Joint> = self.joints.iter().filter(|joint| share(joint) < LEAST_EFFORT).collect();
        let worst = *weak.iter().min_by(|a, b| share(a).total_cmp(&share(b)))?;
        let others = weak.iter().filter(|joint| joint.name != worst.name).map(|joint| joint.name.clone());
        Some(RobotWarning::EffortOutOfReach {
            joint: worst.name.clone(),
            reached: reached(worst),
            effort_limit: worst.effort_limit,
            others: others.collect(),
        })
    }

    /// [`RobotWarning::LowBase`], if it is true.
    pub(super) fn low_base(&self) -> Option<RobotWarning> {
        let nominal: Vec<f32> = self.joints.iter().map(|joint| joint.nominal).collect();
        let poses = self.body_poses(&nominal);
        let feet = self.bodies.iter().zip(&poses).flat_map(|(body, pose)| {
            let shapes = body.shapes.iter().filter(|shape| shape.foot.is_some());
            shapes.map(move |shape| shape.geometry.lowest_point(&(pose * shape.pose)))
        });
        let ground = feet.fold(f32::INFINITY, f32::min);
        let highest = poses.iter().map(|pose| pose.translation.z).fold(0.0, f32::max);
        let height = -ground;
        let is_low = height < LEAST_BASE_HEIGHT * (highest - ground);
        is_low.then(|| RobotWarning::LowBase { link: self.base_link.clone(), height })
    }
}

impl Joint {
    /// Pose of the child's frame at `position` \[rad\] in that at 0.
    pub fn motion(&self, position: f32) -> Isometry3<f32> {
        match self.kind {
            JointKind::Revolute => {
                Isometry3::from_parts(Translation3::identity(), UnitQuaternion::from_axis_angle(&self.axis, position))
            }
            JointKind::Prismatic => Translation3::from(self.axis.into_inner() * position).into(),
        }
    }
}

impl Follower {
    /// Where it goes when its master is at `master` \[rad\], within its own limits.
    pub fn position(&self, master: f32) -> f32 {
        (self.multiplier * master + self.offset).clamp(self.joint.lower, self.joint.upper)
    }
}
