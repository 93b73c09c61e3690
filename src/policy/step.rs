//! One policy step: sensors to joint targets, and the weights on the way.

use super::{ActionMap, ObservationMap, PolicyMetadata, RobotInterface};
use crate::network::ShapeError;
use crate::plasticity::{Gate, GenomeError, PlasticNetwork, Rule};
use crate::robot::RobotState;

/// A policy in life: its network's weights change at every step.
#[derive(Clone, Debug)]
pub struct Policy {
    robot: RobotInterface,
    observation: ObservationMap,
    action: ActionMap,
    network: PlasticNetwork,
    initial_weights: f32,
    input: Vec<f32>,
    filtered: Vec<f32>,
    targets: Vec<f32>,
    steps: u64,
}

/// Why observation, network and action do not make a policy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MapError {
    /// The network reads another number of values than the observation has.
    #[error("the observation has {observed} values, but the network {layers:?} reads {inputs}")]
    Inputs {
        /// Values of the observation.
        observed: usize,
        /// Inputs of the network.
        inputs: usize,
        /// Neurons per layer.
        layers: Vec<usize>,
    },
    /// The network drives another number of joints than the robot has.
    #[error("the robot has {joints} joints, but the network {layers:?} has {outputs} outputs")]
    Outputs {
        /// Joints of the robot.
        joints: usize,
        /// Outputs of the network.
        outputs: usize,
        /// Neurons per layer.
        layers: Vec<usize>,
    },
    /// A number that must be finite, positive or in a range is not.
    #[error("{name} is not usable: {problem}")]
    Value {
        /// Which number.
        name: &'static str,
        /// What it must be.
        problem: &'static str,
    },
    /// The layer sizes make no network.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// The genome does not fit the network.
    #[error(transparent)]
    Genome(#[from] GenomeError),
}

impl Policy {
    /// A policy from its description and genome.
    ///
    /// # Errors
    /// [`MapError`] when sizes do not fit each other or a number is out of range.
    pub fn new(metadata: &PolicyMetadata, genome: Vec<f32>) -> Result<Self, MapError> {
        metadata.check()?;
        let rule = Rule::new(metadata.network.layers.clone(), genome)?;
        let joints = metadata.robot.joints.len();
        Ok(Self {
            robot: metadata.robot.clone(),
            observation: metadata.observation.clone(),
            action: metadata.action,
            input: vec![0.0; rule.shape().inputs()],
            network: PlasticNetwork::new(rule, metadata.network.normalisation),
            initial_weights: metadata.network.initial_weights,
            filtered: vec![0.0; joints],
            targets: vec![0.0; joints],
            steps: 0,
        })
    }

    /// Starts an episode: weights drawn anew from `seed`, action filter at rest.
    pub fn start(&mut self, seed: u64) {
        self.network.draw_weights(seed, self.initial_weights);
        self.filtered.fill(0.0);
        self.steps = 0;
    }

    /// One control step. Returns the joint targets \[rad\] in joint order, always within the joints' limits.
    ///
    /// Allocates nothing. A sensor value that is not finite would spread into the weights: callers reject it first
    /// ([`RobotState::is_finite`]).
    pub fn step(&mut self, state: &RobotState, gate: &Gate) -> &[f32] {
        self.observation.observe(&self.robot, state, &self.filtered, &mut self.input);
        let output = self.network.step(&self.input, gate.value());
        self.action.act(&self.robot, output, &mut self.filtered, &mut self.targets);
        self.steps += 1;
        &self.targets
    }

    /// The joint targets of the last step \[rad\].
    pub fn targets(&self) -> &[f32] {
        &self.targets
    }

    /// The network with its present weights.
    pub fn network(&self) -> &PlasticNetwork {
        &self.network
    }

    /// The robot that it drives.
    pub fn robot(&self) -> &RobotInterface {
        &self.robot
    }

    /// Control steps since the weights were drawn.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Gives the policy another genome; weights and filter stay.
    ///
    /// # Errors
    /// [`GenomeError`] when it does not fit; the policy then keeps the one it has.
    pub fn set_genome(&mut self, genome: &[f32]) -> Result<(), GenomeError> {
        self.network.set_genome(genome)
    }
}
