//! A world with one robot: step it, sense it, clone it, put it back to a start pose.

use rand::RngExt;
use rapier3d::prelude::*;

use super::actuator::spring_target;
use super::sensors::{self, GRAVITY};
use super::{SettingsError, SimulationSettings, build};
use crate::random::stream;
use crate::robot::{Orientation, RobotModel, RobotState};

/// Height of a suspended base over the height at which its lowest foot would touch \[m\].
const SUSPENSION_HEIGHT: f32 = 0.3;

/// Everything that rapier steps. Its `PhysicsWorld` cannot be cloned; this can, bit for bit.
#[derive(Clone)]
pub(super) struct Physics {
    pub parameters: IntegrationParameters,
    pub islands: IslandManager,
    pub broad_phase: BroadPhaseBvh,
    pub narrow_phase: NarrowPhase,
    pub bodies: RigidBodySet,
    pub colliders: ColliderSet,
    pub impulse_joints: ImpulseJointSet,
    pub multibody_joints: MultibodyJointSet,
    pub soft_bodies: SoftBodySet,
    pub ccd: CCDSolver,
}

impl Physics {
    pub fn new(parameters: IntegrationParameters) -> Self {
        Self {
            parameters,
            islands: IslandManager::new(),
            broad_phase: BroadPhaseBvh::new(),
            narrow_phase: NarrowPhase::new(),
            bodies: RigidBodySet::new(),
            colliders: ColliderSet::new(),
            impulse_joints: ImpulseJointSet::new(),
            multibody_joints: MultibodyJointSet::new(),
            soft_bodies: SoftBodySet::new(),
            ccd: CCDSolver::new(),
        }
    }
}

/// Where in rapier's sets the robot's parts are.
#[derive(Clone)]
pub(super) struct Handles {
    pub ground: ColliderHandle,
    pub bodies: Vec<RigidBodyHandle>,
    pub feet: Vec<Vec<ColliderHandle>>,
    pub multibody: MultibodyIndex,
    /// Link of the multibody that each driven joint moves.
    pub joint_links: Vec<usize>,
    /// First generalised coordinate of each driven joint.
    pub joint_dofs: Vec<usize>,
    /// Generalised coordinates in all.
    pub dofs: usize,
    /// IMU in the base body's frame.
    pub imu: Pose,
}

impl Handles {
    pub fn new(
        physics: &mut Physics,
        robot: &RobotModel,
        ground: ColliderHandle,
        bodies: Vec<RigidBodyHandle>,
        feet: Vec<Vec<ColliderHandle>>,
        joints: &[MultibodyJointHandle],
    ) -> Self {
        let imu = build::pose(&robot.imu);
        let (mut joint_links, mut joint_dofs, mut dofs) = (Vec::new(), Vec::new(), 0);
        let multibody = physics.multibody_joints.rigid_body_link(bodies[0]).map(|link| link.multibody);
        let multibody = multibody.unwrap_or(MultibodyIndex(rapier3d::data::Index::from_raw_parts(0, 0)));
        if let Some(tree) = physics.multibody_joints.get_multibody_mut(multibody) {
            // A fixed root has its six coordinates removed here, before they are counted.
            tree.forward_kinematics(&physics.bodies, true);
            dofs = tree.ndofs();
            tree.damping_mut().fill(0.0);
            tree.armature_mut().fill(0.0);
            tree.set_self_contacts_enabled(false);
        }
        for (joint, handle) in robot.joints.iter().zip(joints) {
            if let Some((tree, link)) = physics.multibody_joints.get_mut(*handle) {
                let dof = tree.link(link).map_or(0, |link| link.assembly_id());
                tree.armature_mut()[dof] = joint.armature;
                joint_links.push(link);
                joint_dofs.push(dof);
            }
        }
        Self { ground, bodies, feet, multibody, joint_links, joint_dofs, dofs, imu }
    }
}

/// Spread of the start pose around the nominal one (uniform; arXiv 2503.12406: 0.2 rad and 0.1 rad/s).
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartNoise {
    /// Joint angles, plus or minus \[rad\].
    pub position: f32,
    /// Joint speeds, plus or minus \[rad/s\].
    pub velocity: f32,
}

impl Default for StartNoise {
    fn default() -> Self {
        Self { position: 0.2, velocity: 0.1 }
    }
}

/// Pose and velocity of the base link in the world.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BasePose {
    /// Position \[m\].
    pub position: [f32; 3],
    /// Orientation.
    pub orientation: Orientation,
    /// Linear velocity of the base link's origin, world axes \[m/s\].
    pub linear_velocity: [f32; 3],
    /// Angular velocity, world axes \[rad/s\].
    pub angular_velocity: [f32; 3],
}

/// A simulated world. A clone continues bit for bit like the original.
pub struct World {
    physics: Physics,
    pipeline: PhysicsPipeline,
    handles: Handles,
    robot: std::sync::Arc<RobotModel>,
    settings: SimulationSettings,
    substeps: u32,
    targets: Vec<f32>,
    angles: Vec<f32>,
    acceleration: Vector,
    physics_steps: u64,
}

impl Clone for World {
    fn clone(&self) -> Self {
        Self {
            physics: self.physics.clone(),
            // Holds only scratch memory: a new one gives the same bits.
            pipeline: PhysicsPipeline::new(),
            handles: self.handles.clone(),
            robot: self.robot.clone(),
            settings: self.settings,
            substeps: self.substeps,
            targets: self.targets.clone(),
            angles: self.angles.clone(),
            acceleration: self.acceleration,
            physics_steps: self.physics_steps,
        }
    }
}

impl World {
    /// A world with `robot` in its nominal pose, feet on the ground (or over it, when suspended).
    ///
    /// # Errors
    /// [`SettingsError`] when the rates in `settings` do not fit each other.
    pub fn new(robot: std::sync::Arc<RobotModel>, settings: SimulationSettings) -> Result<Self, SettingsError> {
        let substeps = settings.substeps()?;
        let (physics, handles) = build::build(&robot, &settings);
        let nominal: Vec<f32> = robot.joints.iter().map(|joint| joint.nominal).collect();
        let mut world = Self {
            physics,
            pipeline: PhysicsPipeline::new(),
            handles,
            settings,
            substeps,
            targets: nominal.clone(),
            angles: nominal.clone(),
            acceleration: Vector::ZERO,
            physics_steps: 0,
            robot,
        };
        world.place(&nominal, &vec![0.0; nominal.len()]);
        Ok(world)
    }

    /// This world (which should be one that was never stepped) at the start of the episode `seed`: nominal pose with `noise`,
    /// base upright over the origin, lowest foot on the ground.
    pub fn start_of_episode(&self, seed: u64, noise: StartNoise) -> Self {
        let mut world = self.clone();
        let mut random = stream(seed, "start pose", &[]);
        let mut around = |spread: f32| {
            if spread > 0.0 { random.random_range(-spread..=spread) } else { 0.0 }
        };
        let angles: Vec<f32> = self
            .robot
            .joints
            .iter()
            .map(|joint| (joint.nominal + around(noise.position)).clamp(joint.lower, joint.upper))
            .collect();
        let speeds: Vec<f32> = self.robot.joints.iter().map(|_| around(noise.velocity)).collect();
        world.place(&angles, &speeds);
        world
    }

    /// Puts the joints to `angles` and `speeds`, upright, lowest foot touching the ground.
    fn place(&mut self, angles: &[f32], speeds: &[f32]) {
        let Physics { bodies, multibody_joints, colliders, .. } = &mut self.physics;
        let Some(tree) = multibody_joints.get_multibody_mut(self.handles.multibody) else {
            return;
        };
        let mut displacement = vec![0.0; self.handles.dofs];
        for (index, (&link, &dof)) in self.handles.joint_links.iter().zip(&self.handles.joint_dofs).enumerate() {
            let present = tree.link(link).map_or(0.0, |link| link.joint().coords()[3]);
            displacement[dof] = angles[index] - present;
            tree.generalized_velocity_mut()[dof] = speeds[index];
        }
        tree.apply_displacements(&displacement);
        tree.forward_kinematics(bodies, true);
        tree.update_rigid_bodies(bodies, true);

        let lowest = |bodies: &RigidBodySet| {
            let bottom = |collider: &ColliderHandle| {
                let collider = &colliders[*collider];
                let parent = collider.parent().map_or(Pose::IDENTITY, |body| *bodies[body].position());
                let offset = collider.position_wrt_parent().copied().unwrap_or(Pose::IDENTITY);
                collider.shape().compute_aabb(&(parent * offset)).mins.z
            };
            self.handles.feet.iter().flatten().map(bottom).fold(f32::INFINITY, f32::min)
        };
        let mut base = *bodies[self.handles.bodies[0]].position();
        base.translation.z -= lowest(bodies);
        if self.settings.mount == super::Mount::Suspended {
            base.translation.z += SUSPENSION_HEIGHT;
        }
        bodies[self.handles.bodies[0]].set_position(base, true);
        tree.forward_kinematics(bodies, true);
        tree.update_rigid_bodies(bodies, true);
        self.targets.copy_from_slice(angles);
    }

    /// Sets the joint targets \[rad\], in joint order; they are clamped to the joints' limits. They hold until set again.
    ///
    /// Extra values are ignored; missing ones and those that are not finite leave their joints' targets as they were.
    pub fn set_targets(&mut self, targets: &[f32]) {
        for (held, &target) in self.targets.iter_mut().zip(targets).filter(|(_, target)| target.is_finite()) {
            *held = target;
        }
    }

    /// Advances by one control step.
    pub fn control_step(&mut self) {
        for _ in 0..self.substeps {
            self.physics_step();
        }
    }

    fn physics_step(&mut self) {
        let dt = self.physics.parameters.dt;
        sensors::joint_angles(&self.physics, &self.handles, &mut self.angles);
        if let Some(tree) = self.physics.multibody_joints.get_multibody_mut(self.handles.multibody) {
            for (index, joint) in self.robot.joints.iter().enumerate() {
                if let Some(link) = tree.link_mut(self.handles.joint_links[index]) {
                    let target = spring_target(joint, self.angles[index], self.targets[index], dt);
                    link.joint.data.motors[JointAxis::AngX as usize].target_pos = target;
                }
            }
        }
        let before = sensors::imu_velocity(&self.physics, &self.handles);
        let physics = &mut self.physics;
        self.pipeline.step(
            Vector::Z * -GRAVITY,
            &physics.parameters,
            &mut physics.islands,
            &mut physics.broad_phase,
            &mut physics.narrow_phase,
            &mut physics.bodies,
            &mut physics.colliders,
            &mut physics.impulse_joints,
            &mut physics.multibody_joints,
            &mut physics.soft_bodies,
            &mut physics.ccd,
            &(),
            &(),
        );
        self.acceleration = (sensors::imu_velocity(&self.physics, &self.handles) - before) / dt;
        self.physics_steps += 1;
    }

    /// Reads the sensors into `state`, whose lengths must be those of the robot.
    pub fn sense(&self, state: &mut RobotState) {
        sensors::read(&self.physics, &self.handles, self.acceleration, self.robot.contact_threshold, state);
    }

    /// Pose and velocity of the base link: the ground truth that no policy sees.
    pub fn base(&self) -> BasePose {
        let base = &self.physics.bodies[self.handles.bodies[0]];
        let Pose { rotation: q, translation, .. } = *base.position();
        BasePose {
            position: translation.to_array(),
            orientation: Orientation { x: q.x, y: q.y, z: q.z, w: q.w },
            linear_velocity: base.velocity_at_point(translation).to_array(),
            angular_velocity: base.angvel().to_array(),
        }
    }

    /// The robot in this world.
    pub fn robot(&self) -> &std::sync::Arc<RobotModel> {
        &self.robot
    }

    /// The settings that it was made with.
    pub fn settings(&self) -> &SimulationSettings {
        &self.settings
    }

    /// Physics steps since the world was made (clones count on).
    pub fn physics_steps(&self) -> u64 {
        self.physics_steps
    }

    /// Physics steps in one control step.
    pub fn substeps(&self) -> u32 {
        self.substeps
    }
}
