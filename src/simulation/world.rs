//! A world with one robot: step it, sense it, clone it, put it back to a start pose.

use std::sync::Arc;

use rapier3d::prelude::*;

use super::actuator::free_axis;
use super::damage::{Condition, Plan, Push, Scene, SensorFaults};
use super::followers::Followers;
use super::momentum::{Momentum, is_touched};
use super::motors::{Drive, Energy, Motors};
use super::parts::Part;
use super::sensors::{self, GRAVITY};
use super::terrain::{Ground, GroundShape};
use super::{Damage, DamageError, Mount, SettingsError, SimulationSettings, StartPose, build};
use crate::robot::{Orientation, RobotModel, RobotState};

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
pub(super) struct Handles {
    /// The bodies, base first.
    pub parts: Vec<Part>,
    pub feet: Vec<Vec<ColliderHandle>>,
    pub multibody: MultibodyIndex,
    /// Link of the multibody that each driven joint moves.
    pub joint_links: Vec<usize>,
    /// Axis that each driven joint leaves free.
    pub joint_axes: Vec<JointAxis>,
    /// The joints that mimic driven ones.
    pub followers: Followers,
    /// IMU in the base body's frame.
    pub imu: Pose,
}

impl Handles {
    pub fn new(
        physics: &mut Physics,
        robot: &RobotModel,
        parts: Vec<Part>,
        feet: Vec<Vec<ColliderHandle>>,
        joints: &[MultibodyJointHandle],
    ) -> Self {
        let mut joint_links = Vec::new();
        let base = parts.first().map_or(RigidBodyHandle::invalid(), |part| part.body);
        let multibody = physics.multibody_joints.rigid_body_link(base).map(|link| link.multibody);
        let multibody = multibody.unwrap_or(MultibodyIndex(rapier3d::data::Index::from_raw_parts(0, 0)));
        if let Some(tree) = physics.multibody_joints.get_multibody_mut(multibody) {
            // A fixed root has its six coordinates removed here.
            tree.forward_kinematics(&physics.bodies, true);
            tree.damping_mut().fill(0.0);
            tree.armature_mut().fill(0.0);
            tree.set_self_contacts_enabled(false);
        }
        for (joint, handle) in robot.moving_joints().zip(joints) {
            if let Some((tree, link)) = physics.multibody_joints.get_mut(*handle) {
                let dof = tree.link(link).map_or(0, |link| link.assembly_id());
                tree.armature_mut()[dof] = joint.armature;
                joint_links.push(link);
            }
        }
        // The driven joints come first.
        let followers = Followers::new(joint_links.split_off(robot.joints.len().min(joint_links.len())));
        let joint_axes = robot.joints.iter().map(free_axis).collect();
        Self { parts, feet, multibody, joint_links, joint_axes, followers, imu: build::pose(&robot.imu) }
    }

    /// The base body.
    pub fn base(&self) -> RigidBodyHandle {
        self.parts[0].body
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
    pub(super) physics: Physics,
    pipeline: PhysicsPipeline,
    pub(super) ground: Ground,
    pub(super) handles: Arc<Handles>,
    pub(super) robot: Arc<RobotModel>,
    settings: SimulationSettings,
    substeps: u32,
    pub(super) motors: Motors,
    plan: Plan,
    pub(super) faults: SensorFaults,
    condition: Condition,
    /// The condition that bodies and joints are in.
    pub(super) applied: Condition,
    pub(super) angles: Vec<f32>,
    pub(super) speeds: Vec<f32>,
    acceleration: Vector,
    /// Whether a push acts in the present step.
    pushed: bool,
    /// Physics steps since the start of the episode.
    pub(super) step: u64,
    physics_steps: u64,
}

impl Clone for World {
    fn clone(&self) -> Self {
        Self {
            physics: self.physics.clone(),
            // Holds only scratch memory: a new one gives the same bits.
            pipeline: PhysicsPipeline::new(),
            ground: self.ground.clone(),
            handles: self.handles.clone(),
            robot: self.robot.clone(),
            settings: self.settings,
            substeps: self.substeps,
            motors: self.motors.clone(),
            plan: self.plan.clone(),
            faults: self.faults.clone(),
            condition: self.condition.clone(),
            applied: self.applied.clone(),
            angles: self.angles.clone(),
            speeds: self.speeds.clone(),
            acceleration: self.acceleration,
            pushed: self.pushed,
            step: self.step,
            physics_steps: self.physics_steps,
        }
    }
}

impl World {
    /// A world with `robot` in its nominal pose, feet on the ground (or over it, when suspended).
    ///
    /// # Errors
    /// [`SettingsError`] when a number in `settings` is out of range.
    pub fn new(robot: Arc<RobotModel>, settings: SimulationSettings) -> Result<Self, SettingsError> {
        settings.check()?;
        let substeps = settings.substeps()?;
        let (physics, handles, ground) = build::build(&robot, &settings);
        let nominal: Vec<f32> = robot.joints.iter().map(|joint| joint.nominal).collect();
        let healthy = Condition::healthy(nominal.len(), robot.bodies.len());
        let mut world = Self {
            physics,
            pipeline: PhysicsPipeline::new(),
            ground,
            handles: Arc::new(handles),
            settings,
            substeps,
            motors: Motors::new(nominal.clone(), settings.delay_steps(), settings.physics_step()),
            plan: Plan::default(),
            faults: SensorFaults::new(Vec::new(), &robot),
            // As `build` made it.
            applied: Condition { suspended: settings.mount == Mount::Suspended, ..healthy.clone() },
            condition: healthy,
            angles: nominal.clone(),
            speeds: vec![0.0; nominal.len()],
            acceleration: Vector::ZERO,
            pushed: false,
            step: 0,
            physics_steps: 0,
            robot,
        };
        world.start(0, &nominal, &StartPose::default());
        Ok(world)
    }

    /// Gives the robot `damages`, all of which begin to count now, instead of those that it had. Their chance comes from the seed of the present
    /// episode, from its beginning. A push that acts ends, also one by [`World::push`].
    ///
    /// # Errors
    /// [`DamageError`] names the first that does not fit the robot; then nothing has changed.
    pub fn set_damage(&mut self, damages: &[Damage]) -> Result<(), DamageError> {
        let (plan, mut faults) = Plan::new(damages, &self.scene())?;
        faults.start_of_episode(self.faults.seed());
        self.end_pushes(|push, step| push.acted_before(step));
        (self.plan, self.faults) = (plan, faults);
        self.motors.reserve(self.plan.longest_delay());
        self.renew_condition();
        self.begin_sensing();
        Ok(())
    }

    /// Lets `push` (a [`Damage::Push`]) happen besides everything else; its beginning counts from now.
    ///
    /// # Errors
    /// [`DamageError`] names what does not fit the robot; then nothing has changed.
    pub fn push(&mut self, push: &Damage) -> Result<(), DamageError> {
        let (plan, _) = Plan::new(std::slice::from_ref(push), &self.scene())?;
        self.plan.push(plan, self.step);
        Ok(())
    }

    fn scene(&self) -> Scene<'_> {
        let physics_step = self.settings.physics_step();
        Scene { robot: &self.robot, physics_step, substeps: self.substeps, now: self.step }
    }

    /// Makes joints and bodies what the damages of this step say.
    pub(super) fn renew_condition(&mut self) {
        self.plan.condition(self.step, &self.angles, &mut self.condition);
        self.condition.suspended |= self.settings.mount == Mount::Suspended;
        let Self { handles, physics, condition, applied, .. } = self;
        for ((part, wanted), present) in handles.parts.iter().zip(&condition.bodies).zip(&mut applied.bodies) {
            if wanted != present {
                part.apply(wanted, physics);
                *present = *wanted;
            }
        }
        if let Some(tree) = physics.multibody_joints.get_multibody_mut(handles.multibody) {
            self.motors.apply(&condition.joints, &self.robot, tree, &handles.joint_links, &self.angles);
            handles.followers.apply(condition, &self.robot, tree, physics.parameters.dt);
            tree.forward_kinematics(&physics.bodies, true);
            tree.update_rigid_bodies(&mut physics.bodies, true);
        }
        if condition.suspended != applied.suspended {
            applied.suspended = condition.suspended;
            self.hold(self.applied.suspended);
        }
    }

    /// Sets the joint targets \[rad\], in joint order; they are clamped to the joints' limits. They hold until set again.
    ///
    /// Extra values are ignored; missing ones and those that are not finite leave their joints' targets as they were.
    pub fn set_targets(&mut self, targets: &[f32]) {
        self.motors.command(targets);
    }

    /// Lets the motors hold the joints where they are, until targets are set again.
    pub fn hold_joints(&mut self) {
        self.motors.command(&self.angles);
    }

    /// Advances by one control step.
    pub fn control_step(&mut self) {
        for _ in 0..self.substeps {
            self.physics_step();
        }
        self.follow_ground();
        if !self.faults.is_empty() {
            self.sense_faults(SensorFaults::update);
        }
    }

    pub(super) fn follow_ground(&mut self) {
        let position = self.physics.bodies[self.handles.base()].translation();
        self.ground.follow(position, &mut self.physics.colliders);
    }

    /// Advances by one physics step: a part of [`World::control_step`].
    #[doc(hidden)]
    pub fn physics_step(&mut self) {
        if self.step > 0 && self.plan.changes(self.step) {
            self.renew_condition();
        }
        self.apply_pushes();
        let dt = self.physics.parameters.dt;
        let handles = &self.handles;
        if let Some(tree) = self.physics.multibody_joints.get_multibody_mut(handles.multibody) {
            let late = self.condition.command_delay;
            self.motors.drive(&self.robot, tree, &handles.joint_links, &self.angles, late, dt);
            handles.followers.aim(&self.condition, &self.robot, tree, &self.angles, dt);
        }
        let before = sensors::imu_velocity(&self.physics, handles);
        let flies = !self.applied.suspended && !self.pushed && !is_touched(&self.physics, handles);
        let momentum = flies.then(|| Momentum::of(&self.physics, handles).fallen(dt));
        self.step_rapier();
        if let Some(momentum) = momentum
            && !is_touched(&self.physics, &self.handles)
        {
            momentum.impose(&mut self.physics, &self.handles);
        }
        self.acceleration = (sensors::imu_velocity(&self.physics, &self.handles) - before) / dt;
        sensors::joint_angles(&self.physics, &self.handles, &mut self.angles);
        sensors::joint_speeds(&self.physics, &self.handles, &mut self.speeds);
        self.motors.account(&self.robot, &self.angles, &self.speeds, dt);
        if let Some(tree) = self.physics.multibody_joints.get_multibody(self.handles.multibody) {
            self.motors.energy.count(self.handles.followers.used(&self.condition, &self.robot, tree, dt));
        }
        self.step += 1;
        self.physics_steps += 1;
    }

    /// A step of rapier, with the base turned about its centre of mass.
    ///
    /// rapier's multibody moves the origin of its root's frame with the velocity of the root's centre of mass, as if the root turned about
    /// its origin: where these are apart, each turn would shift the robot with no force acting.
    fn step_rapier(&mut self) {
        let before = self.base_lever();
        self.step_pipeline();
        let shift = before - self.base_lever();
        if shift == Vector::ZERO || !self.physics.bodies[self.handles.base()].is_dynamic() {
            return;
        }
        for part in &self.handles.parts {
            if let Some(body) = self.physics.bodies.get_mut(part.body) {
                let mut pose = *body.position();
                pose.translation += shift;
                // The next step takes the root from here.
                body.set_position(pose, false);
            }
        }
    }

    /// From the origin of the base to its centre of mass, world axes \[m\].
    fn base_lever(&self) -> Vector {
        let base = &self.physics.bodies[self.handles.base()];
        *base.rotation() * base.mass_properties().local_mprops.local_com
    }

    fn step_pipeline(&mut self) {
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
            self.ground.hooks(),
            &(),
        );
    }

    /// Takes the forces off the bodies of the pushes for which `ends` holds in this step: they stay until they are taken away.
    fn end_pushes(&mut self, ends: impl Fn(&Push, u64) -> bool) {
        for push in self.plan.pushes().iter().filter(|push| ends(push, self.step)) {
            if let Some(body) = self.physics.bodies.get_mut(self.handles.parts[push.body].body) {
                body.reset_forces(true);
                body.reset_torques(true);
            }
        }
    }

    fn apply_pushes(&mut self) {
        self.pushed = false;
        self.end_pushes(|push, step| push.share(step) > 0.0 || push.acted_before(step));
        for push in self.plan.pushes() {
            let share = push.share(self.step);
            if share > 0.0
                && let Some(body) = self.physics.bodies.get_mut(self.handles.parts[push.body].body)
            {
                self.pushed = true;
                let point = push.point.map_or(body.center_of_mass(), |point| *body.position() * point);
                body.add_force_at_point(push.force * share, point, true);
            }
        }
    }

    /// Lets `take` take the true state of this step.
    fn sense_faults(&mut self, take: impl FnOnce(&mut SensorFaults, u64, &dyn Fn(&mut RobotState))) {
        let Self { physics, handles, faults, robot, acceleration, step, .. } = self;
        let read = |state: &mut RobotState| sensors::read(physics, handles, *acceleration, robot.contact_threshold, state);
        take(faults, *step, &read);
    }

    pub(super) fn begin_sensing(&mut self) {
        if !self.faults.is_empty() {
            self.sense_faults(SensorFaults::begin);
        }
    }

    /// Reads the sensors, with their faults, into `state`, whose lengths must be those of the robot.
    pub fn sense(&self, state: &mut RobotState) {
        if self.faults.is_empty() {
            self.truth(state);
        } else {
            self.faults.sense(state);
        }
    }

    /// What sensors without faults would read.
    pub fn truth(&self, state: &mut RobotState) {
        sensors::read(&self.physics, &self.handles, self.acceleration, self.robot.contact_threshold, state);
    }

    /// Torque of each motor in the last physics step \[N m\], in joint order.
    pub fn motor_torques(&self, torques: &mut [f32]) {
        for (index, (torque, joint)) in torques.iter_mut().zip(&self.robot.joints).enumerate() {
            *torque = self.motors.torque(index, joint, self.angles[index], self.speeds[index]);
        }
    }

    /// Position \[rad\] and speed \[rad/s\] of each joint that mimics another, in the order of [`RobotModel::followers`].
    pub fn follower_states(&self) -> impl Iterator<Item = [f32; 2]> + '_ {
        let tree = self.physics.multibody_joints.get_multibody(self.handles.multibody);
        tree.into_iter().flat_map(move |tree| self.handles.followers.states(&self.robot, tree))
    }

    /// What the motors used since the start of the episode, those of joints that mimic others included.
    pub fn energy(&self) -> Energy {
        self.motors.energy
    }

    /// Momentum of the robot in the world: linear \[N s\], and angular about its centre of mass \[N m s\].
    pub fn momentum(&self) -> ([f32; 3], [f32; 3]) {
        let Momentum { linear, angular, .. } = Momentum::of(&self.physics, &self.handles);
        (linear.to_array(), angular.to_array())
    }

    /// Centre of mass of the robot in the world \[m\].
    pub fn centre_of_mass(&self) -> [f32; 3] {
        Momentum::of(&self.physics, &self.handles).centre.to_array()
    }

    /// The ground around the robot, to look at.
    pub fn ground_shapes(&self) -> Vec<GroundShape> {
        self.ground.shapes(self.physics.bodies[self.handles.base()].translation(), &self.physics.colliders)
    }

    /// What joints were told in the last physics step: what [`World::bare_step`] needs to repeat it.
    #[doc(hidden)]
    pub fn drives(&self) -> &[Drive] {
        &self.motors.drives
    }

    /// One physics step of rapier in which joints are told `drives`, and nothing else: what benchmarks compare with.
    #[doc(hidden)]
    pub fn bare_step(&mut self, drives: &[Drive]) {
        if let Some(tree) = self.physics.multibody_joints.get_multibody_mut(self.handles.multibody) {
            for (&link, drive) in self.handles.joint_links.iter().zip(drives) {
                if let Some(link) = tree.link_mut(link) {
                    drive.tell(&mut link.joint.data);
                }
            }
        }
        self.step_rapier();
    }

    /// How far the base is over the level of the ground where it is, along the ground's normal \[m\]: over the mean height of uneven ground
    /// around it. What a robot stands across, and gaps, do not count.
    pub fn base_height(&self) -> f32 {
        self.ground.over_level(self.physics.bodies[self.handles.base()].translation())
    }

    /// Pose and velocity of the base link: the ground truth that no policy sees.
    pub fn base(&self) -> BasePose {
        let base = &self.physics.bodies[self.handles.base()];
        let Pose { rotation: q, translation, .. } = *base.position();
        BasePose {
            position: translation.to_array(),
            orientation: Orientation { x: q.x, y: q.y, z: q.z, w: q.w },
            linear_velocity: base.velocity_at_point(translation).to_array(),
            angular_velocity: base.angvel().to_array(),
        }
    }

    /// The robot in this world.
    pub fn robot(&self) -> &Arc<RobotModel> {
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
