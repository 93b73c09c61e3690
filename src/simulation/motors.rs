//! The motors at work: commands on their way, what damage leaves of them, and the energy that they use.

use rapier3d::prelude::*;

use super::actuator::{free_axes, spring_target, torque_limit};
use super::damage::JointCondition;
use crate::robot::{Joint, RobotModel};

/// How much stiffer than its motor a seized joint is. At the motor's full torque it gives way by a hundredth of what the motor would.
pub(super) const SEIZED: f32 = 100.0;

/// What motors have used since the start of the episode.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Energy {
    /// Mechanical work at the joints, the positive part only \[J\]: motors do not charge the battery.
    pub work: f64,
    /// Sum over joints of the time integral of the torque squared \[N² m² s\]; heat in the windings goes with it.
    pub torque_squared: f64,
}

impl Energy {
    /// What was used since it was `earlier`.
    pub fn since(self, earlier: Self) -> Self {
        Self { work: self.work - earlier.work, torque_squared: self.torque_squared - earlier.torque_squared }
    }

    /// Counts `more` besides.
    pub(super) fn count(&mut self, more: Self) {
        self.work += more.work;
        self.torque_squared += more.torque_squared;
    }
}

/// What one joint of rapier is told for one physics step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Drive {
    /// Where its spring is drawn to \[rad\].
    pub target: f32,
    /// Whether its limits act: it is beyond one of them.
    pub limited: bool,
}

impl Drive {
    /// Tells the joint.
    pub(super) fn tell(self, joint: &mut GenericJoint) {
        let free = free_axes(joint);
        joint.motors[free.bits().trailing_zeros() as usize].target_pos = self.target;
        joint.limit_axes.set(free, self.limited);
    }
}

/// The motors of one robot.
#[derive(Clone)]
pub(super) struct Motors {
    /// The latest command \[rad\].
    command: Vec<f32>,
    /// Commands of past physics steps, the newest at `newest`; none without delay.
    line: Vec<f32>,
    newest: usize,
    /// Physics steps by which commands always come late.
    delay: usize,
    /// Length of a physics step \[s\].
    step: f32,
    conditions: Vec<JointCondition>,
    /// What joints were told in the last physics step.
    pub drives: Vec<Drive>,
    pub energy: Energy,
}

impl Motors {
    /// Motors that hold `angles`, with commands that come `delay` physics steps of length `step` \[s\] late.
    pub fn new(angles: Vec<f32>, delay: usize, step: f32) -> Self {
        let mut motors = Self {
            conditions: vec![JointCondition::default(); angles.len()],
            drives: angles.iter().map(|&target| Drive { target, limited: false }).collect(),
            command: angles,
            line: Vec::new(),
            newest: 0,
            delay,
            step,
            energy: Energy::default(),
        };
        motors.reserve(0);
        motors
    }

    /// Makes room for commands that come `further` physics steps later than always. Those on their way are lost.
    pub fn reserve(&mut self, further: usize) {
        let longest = self.delay + further;
        let steps = if longest == 0 { 0 } else { longest + 1 };
        self.line = self.command.repeat(steps);
        self.newest = 0;
    }

    /// Holds `angles` and forgets commands on their way and energy.
    pub fn start(&mut self, angles: &[f32]) {
        self.command.copy_from_slice(angles);
        self.line.chunks_exact_mut(angles.len().max(1)).for_each(|past| past.copy_from_slice(angles));
        self.drives.iter_mut().zip(angles).for_each(|(drive, &angle)| drive.target = angle);
        self.energy = Energy::default();
    }

    /// Takes a command; targets that are not finite leave their joints' as they were.
    pub fn command(&mut self, targets: &[f32]) {
        for (held, &target) in self.command.iter_mut().zip(targets).filter(|(_, target)| target.is_finite()) {
            *held = target;
        }
    }

    /// Makes the motors what `conditions` say, the joints being at `angles`.
    pub fn apply(
        &mut self,
        conditions: &[JointCondition],
        robot: &RobotModel,
        tree: &mut Multibody,
        links: &[usize],
        angles: &[f32],
    ) {
        for (index, (joint, condition)) in robot.joints.iter().zip(conditions).enumerate() {
            let before = std::mem::replace(&mut self.conditions[index], *condition);
            if condition.lost && !before.lost {
                self.drives[index].target = angles[index];
            }
            let Some(link) = tree.link_mut(links[index]) else {
                continue;
            };
            let held = condition.stuck.is_some() || condition.lost;
            let stiffer = if held { SEIZED } else { 1.0 };
            let axis = free_axes(&link.joint.data).bits().trailing_zeros() as usize;
            let motor = &mut link.joint.data.motors[axis];
            motor.stiffness = joint.stiffness * stiffer;
            motor.damping = joint.damping * stiffer;
            motor.max_force = if held { f32::MAX } else { torque_limit(joint, condition.torque, self.step) };
        }
    }

    /// Tells the springs of `tree` where to go in the coming physics step of length `dt`, the joints being at `angles`; `late` is by how many
    /// steps commands come later than always. Joints beyond their limits are pushed back.
    pub fn drive(&mut self, robot: &RobotModel, tree: &mut Multibody, links: &[usize], angles: &[f32], late: usize, dt: f32) {
        let joints = self.command.len();
        let steps = self.line.len().checked_div(joints).unwrap_or(0);
        let command = if steps == 0 {
            &self.command[..]
        } else {
            self.newest = (self.newest + 1) % steps;
            self.line[self.newest * joints..][..joints].copy_from_slice(&self.command);
            let past = (self.newest + steps - (self.delay + late).min(steps - 1)) % steps;
            &self.line[past * joints..][..joints]
        };
        for (index, joint) in robot.joints.iter().enumerate() {
            let Some(link) = tree.link_mut(links[index]) else {
                continue;
            };
            let condition = &self.conditions[index];
            let target = match condition.stuck {
                Some(angle) => angle,
                None if condition.lost => self.drives[index].target,
                None => spring_target(joint, angles[index], command[index], dt),
            };
            // A limit acts only on a joint that is beyond it, but costs a constraint each time that it could.
            let limited = angles[index] < joint.lower || angles[index] > joint.upper;
            self.drives[index] = Drive { target, limited };
            self.drives[index].tell(&mut link.joint.data);
        }
    }

    /// Torque of the motor `index` in the step that ended with the joint at `angle` and `speed` \[N m\]: as rapier's motors, a spring and damper at
    /// the end of the step, within the torque limit.
    pub fn torque(&self, index: usize, joint: &Joint, angle: f32, speed: f32) -> f32 {
        let condition = &self.conditions[index];
        if condition.stuck.is_some() || condition.lost {
            return 0.0;
        }
        let limit = torque_limit(joint, condition.torque, self.step);
        (joint.stiffness * (self.drives[index].target - angle) - joint.damping * speed).clamp(-limit, limit)
    }

    /// Counts the energy of a step of length `dt` that ended with the joints at `angles` and `speeds`.
    pub fn account(&mut self, robot: &RobotModel, angles: &[f32], speeds: &[f32], dt: f32) {
        let (mut power, mut squares) = (0.0, 0.0);
        for (index, joint) in robot.joints.iter().enumerate() {
            let torque = self.torque(index, joint, angles[index], speeds[index]);
            power += (torque * speeds[index]).max(0.0);
            squares += torque * torque;
        }
        self.energy.work += f64::from(power * dt);
        self.energy.torque_squared += f64::from(squares * dt);
    }
}
