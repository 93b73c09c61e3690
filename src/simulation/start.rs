//! Where and how an episode starts: poses, the ground under the robot, and being held in the air.

use rand::RngExt;
use rapier3d::prelude::*;

use super::World;
use super::world::Physics;
use crate::random::stream;
use crate::robot::{Joint, JointKind};

/// Height of a suspended base over the height at which its lowest foot would touch \[m\].
const SUSPENSION_HEIGHT: f32 = 0.3;
/// Largest spread of a start pose: far beyond the range and speed of any joint, far within single precision.
const LARGEST_NOISE: f32 = 1e6;

/// Where a joint shifts, a spread of 1 is this share of its travel, or of its speed limit: the usual 0.2 and 0.1 are then 5 % and 2.5 %.
const SHARE: f32 = 0.25;

/// Spread of the start pose around the nominal one (uniform; arXiv 2503.12406: 0.2 rad and 0.1 rad/s).
///
/// Joints that shift are measured by what they can do: a fourth of each number is a share, of their travel (from limit to limit) and of their
/// speed limit.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartNoise {
    /// Joint angles, plus or minus \[rad\]; where a joint shifts, a fourth of this share of its travel.
    pub position: f32,
    /// Joint speeds, plus or minus \[rad/s\]; where a joint shifts, a fourth of this share of its speed limit.
    pub velocity: f32,
}

impl Default for StartNoise {
    fn default() -> Self {
        Self { position: 0.2, velocity: 0.1 }
    }
}

/// Why a spread of the start pose was refused: a number out of range.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("start_noise.{key} is {value}; it must be a number from 0 to {LARGEST_NOISE}")]
pub struct StartNoiseError {
    key: &'static str,
    value: f32,
}

impl StartNoise {
    /// Whether both numbers are in range.
    ///
    /// # Errors
    /// [`StartNoiseError`] names the first that is not.
    pub fn check(&self) -> Result<(), StartNoiseError> {
        let numbers = [("position", self.position), ("velocity", self.velocity)];
        // NaN is in no range.
        match numbers.into_iter().find(|(_, value)| !(0.0..=LARGEST_NOISE).contains(value)) {
            Some((key, value)) => Err(StartNoiseError { key, value }),
            None => Ok(()),
        }
    }
}

/// Where an episode starts, as far as its seed does not say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StartPose {
    /// Place of the base in the world, x and y \[m\]; its height follows from the ground.
    pub position: [f32; 2],
    /// Heading of the base \[rad\].
    pub yaw: f32,
    /// Joints, by index, that start at given angles \[rad\].
    pub joints: Vec<(usize, f32)>,
}

/// What a spread of 1 is for the position of `joint`: 1 rad, or a share of its travel \[m\].
fn unit_of_position(joint: &Joint) -> f32 {
    match joint.kind {
        JointKind::Revolute => 1.0,
        JointKind::Prismatic => SHARE * (joint.upper - joint.lower),
    }
}

/// What a spread of 1 is for the velocity of `joint`: 1 rad/s, or a share of its speed limit \[m/s\].
fn unit_of_velocity(joint: &Joint) -> f32 {
    match joint.kind {
        JointKind::Revolute => 1.0,
        JointKind::Prismatic => SHARE * joint.velocity_limit,
    }
}

impl World {
    /// This world (which should be one that was never stepped) at the start of the episode `seed`: nominal pose with `noise`, which must
    /// pass [`StartNoise::check`], base over the origin and level with the ground, lowest foot on it.
    pub fn start_of_episode(&self, seed: u64, noise: StartNoise) -> Self {
        self.start_at(seed, noise, &StartPose::default())
    }

    /// As [`World::start_of_episode`], at the given `pose`. Angles are clamped to the joints' limits.
    pub fn start_at(&self, seed: u64, noise: StartNoise, pose: &StartPose) -> Self {
        let mut world = self.clone();
        let mut random = stream(seed, "start pose", &[]);
        let mut around = |spread: f32| {
            if spread > 0.0 { random.random_range(-spread..=spread) } else { 0.0 }
        };
        let spread = |joint: &Joint| joint.nominal + around(noise.position) * unit_of_position(joint);
        let mut angles: Vec<f32> = self.robot.joints.iter().map(spread).collect();
        for &(index, angle) in &pose.joints {
            angles[index] = angle;
        }
        for (angle, joint) in angles.iter_mut().zip(&self.robot.joints) {
            *angle = angle.clamp(joint.lower, joint.upper);
        }
        for (speed, joint) in world.speeds.iter_mut().zip(&self.robot.joints) {
            *speed = around(noise.velocity) * unit_of_velocity(joint);
        }
        world.start(seed, &angles, pose);
        world
    }

    /// Begins the episode `seed` with the joints at `angles` and their speeds as they are in `self.speeds`.
    pub(super) fn start(&mut self, seed: u64, angles: &[f32], pose: &StartPose) {
        self.step = 0;
        self.angles.copy_from_slice(angles);
        self.motors.start(angles);
        self.ground.start_of_episode(seed, &mut self.physics.colliders);
        self.renew_condition();
        self.place(pose);
        self.follow_ground();
        self.faults.start_of_episode(seed);
        self.begin_sensing();
    }

    /// Lifts the base and holds it still, or lets it go.
    pub(super) fn hold(&mut self, held: bool) {
        let lift = if held { SUSPENSION_HEIGHT + self.ground.highest() - self.clearance().min(0.0) } else { 0.0 };
        let kind = if held { RigidBodyType::Fixed } else { RigidBodyType::Dynamic };
        let base = &mut self.physics.bodies[self.handles.base()];
        base.set_body_type(kind, true);
        let mut pose = *base.position();
        pose.translation.z += lift;
        self.place_base(pose);
    }

    fn place_base(&mut self, pose: Pose) {
        let Physics { bodies, multibody_joints, .. } = &mut self.physics;
        bodies[self.handles.base()].set_position(pose, true);
        if let Some(tree) = multibody_joints.get_multibody_mut(self.handles.multibody) {
            tree.forward_kinematics(bodies, true);
            tree.update_rigid_bodies(bodies, true);
        }
    }

    /// Puts the joints to `self.angles` and `self.speeds`, level with the ground at the place of `pose`, lowest foot touching it.
    fn place(&mut self, pose: &StartPose) {
        let Physics { bodies, multibody_joints, .. } = &mut self.physics;
        let Some(tree) = multibody_joints.get_multibody_mut(self.handles.multibody) else {
            return;
        };
        let mut displacement = vec![0.0; tree.ndofs()];
        for (index, (&link, &axis)) in self.handles.joint_links.iter().zip(&self.handles.joint_axes).enumerate() {
            let Some((dof, present)) = tree.link(link).map(|link| (link.assembly_id(), link.joint().coords()[axis as usize]))
            else {
                continue;
            };
            displacement[dof] = self.angles[index] - present;
            tree.generalized_velocity_mut()[dof] = self.speeds[index];
        }
        self.handles.followers.place(&self.robot, tree, &self.angles, &mut displacement);
        tree.apply_displacements(&displacement);
        let mut base = *bodies[self.handles.base()].position();
        base.rotation = self.ground.rotation() * Rotation::from_rotation_z(pose.yaw);
        (base.translation.x, base.translation.y) = (pose.position[0], pose.position[1]);
        self.place_base(base);
        // Along the plumb line a slope is farther away than along its normal.
        let upright = (self.ground.rotation() * Vector::Z).z;
        base.translation.z -= self.clearance() / upright;
        if self.applied.suspended {
            base.translation.z += SUSPENSION_HEIGHT + self.ground.highest();
        }
        self.place_base(base);
    }

    /// How far the robot is over the ground along its normal \[m\].
    fn clearance(&self) -> f32 {
        let Physics { bodies, colliders, .. } = &self.physics;
        let over = |handle: &ColliderHandle| {
            let collider = &colliders[*handle];
            if !collider.is_enabled() {
                return f32::INFINITY;
            }
            let parent = collider.parent().map_or(Pose::IDENTITY, |body| *bodies[body].position());
            let offset = collider.position_wrt_parent().copied().unwrap_or(Pose::IDENTITY);
            self.ground.clearance(collider.shape(), &(parent * offset))
        };
        let lowest = |colliders: &mut dyn Iterator<Item = &ColliderHandle>| colliders.map(over).fold(f32::INFINITY, f32::min);
        let feet = lowest(&mut self.handles.feet.iter().flatten());
        // On a plane what stands is the feet; on a relief anything may be the first to touch, and so it is without feet.
        if self.ground.is_plane() && feet.is_finite() {
            return feet;
        }
        let all = self.handles.parts.iter().flat_map(|part| part.colliders.iter().map(|(handle, ..)| handle));
        let all = lowest(&mut { all });
        if all.is_finite() { all } else { 0.0 }
    }
}
