//! What one control step depended on, for recordings that can be replayed.

use r2r::hebbian_locomotion::msg::PolicyStep;
use r2r::std_msgs::msg::Header;

use crate::policy::Policy;
use crate::robot::RobotState;

/// All that a step depends on beside the policy file, for the recording that can be replayed.
#[derive(Debug)]
pub struct StepInput {
    /// Seed of the episode.
    pub seed: u64,
    /// As [`Policy::interventions`].
    pub interventions: u32,
    /// Sensor values.
    pub state: RobotState,
    /// Commanded gate of each layer.
    pub gate_command: Vec<f32>,
    /// Low-passed outputs of the network.
    pub action: Vec<f32>,
}

impl StepInput {
    /// Of `policy`, empty.
    pub fn new(policy: &Policy) -> Self {
        let robot = policy.robot();
        Self {
            seed: 0,
            interventions: 0,
            state: RobotState::at_rest(robot.joints.len(), robot.feet.len()),
            gate_command: policy.gates().gates().to_vec(),
            action: policy.action().to_vec(),
        }
    }

    /// Takes what `policy` has just done on `state`. Allocates nothing.
    pub fn note(&mut self, policy: &Policy, state: &RobotState) {
        (self.seed, self.interventions) = (policy.seed(), policy.interventions());
        self.state.copy_from(state);
        let command = policy.gates().command();
        self.gate_command.iter_mut().enumerate().for_each(|(layer, gate)| *gate = command.value(layer));
        self.action.copy_from_slice(policy.action());
    }

    /// As a message; `targets` are the policy's own.
    pub fn message(&self, header: Header, step: u64, targets: &[f32]) -> PolicyStep {
        let Self { seed, interventions, state, gate_command, action } = self;
        let q = state.orientation;
        PolicyStep {
            header,
            seed: *seed,
            step,
            interventions: *interventions,
            joint_position: state.joint_position.clone(),
            joint_velocity: state.joint_velocity.clone(),
            orientation: vec![q.x, q.y, q.z, q.w],
            angular_velocity: state.angular_velocity.to_vec(),
            linear_acceleration: state.linear_acceleration.to_vec(),
            foot_contact: state.foot_contact.clone(),
            foot_force: state.foot_force.clone(),
            gate_command: gate_command.clone(),
            action: action.clone(),
            targets: targets.to_vec(),
        }
    }
}
