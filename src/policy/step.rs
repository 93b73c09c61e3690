//! One policy step: sensors to joint targets, and the weights on the way.

use super::{ActionMap, Network, ObservationMap, PolicyFile, RobotInterface, SeenState, Snapshot, SnapshotError};
use crate::network::{NetworkError, ShapeError, check_finite};
use crate::plasticity::{
    CommandedGate, GateDescriptionError, GateError, GateInput, Gates, LayerActivity, Measurement, PlasticDescriptionError,
    PlasticNetwork, PlasticNetworkError,
};
use crate::robot::RobotState;

/// A policy in life: its network changes at every step.
#[derive(Clone, Debug)]
pub struct Policy {
    robot: RobotInterface,
    observation: ObservationMap,
    action: ActionMap,
    network: Network,
    gates: Gates,
    measurement: Measurement,
    /// Mean |change of w| of a fully open gate in the last step.
    update_size: f32,
    weights: Vec<f32>,
    input: Vec<f32>,
    filtered: Vec<f32>,
    targets: Vec<f32>,
    steps: u64,
    seed: u64,
    interventions: u32,
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
    /// A text holds a character that cannot be told to others.
    #[error("{name} has the text {text:?}; it must be without NUL, which no ROS message can carry")]
    Text {
        /// Which text.
        name: &'static str,
        /// The text.
        text: String,
    },
    /// A name that stands twice where each may stand once: messages would not tell which is meant.
    #[error("{list} has `{name}` twice; each name may stand there once")]
    Doubled {
        /// `robot.joints` or `robot.feet`.
        list: &'static str,
        /// The name.
        name: String,
    },
    /// The layer sizes make no network.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// The network is not usable, or the genome does not fit it.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The plastic network is not usable.
    #[error("network.plastic.{0}")]
    Plastic(#[from] PlasticDescriptionError),
    /// Genome or clusters do not fit the plastic network.
    #[error(transparent)]
    Rule(#[from] PlasticNetworkError),
    /// The gate is not usable.
    #[error(transparent)]
    Gate(#[from] GateDescriptionError),
}

impl Policy {
    /// The policy of a file.
    ///
    /// # Errors
    /// [`MapError`] when sizes do not fit each other or a number is out of range.
    pub fn new(file: &PolicyFile) -> Result<Self, MapError> {
        let metadata = &file.metadata;
        metadata.check()?;
        let network = metadata.network.network(file.clusters.clone(), &file.genome)?;
        let gates = Gates::new(&metadata.gate, &metadata.gate_dimensions(), file.subspace.as_ref())?;
        let joints = metadata.robot.joints.len();
        let layers = metadata.network.layers();
        let mut policy = Self {
            robot: metadata.robot.clone(),
            observation: metadata.observation.clone(),
            action: metadata.action,
            measurement: Measurement::default(),
            update_size: 0.0,
            weights: vec![0.0; if gates.needs_weights() { layers.synapses() } else { 0 }],
            input: vec![0.0; layers.inputs()],
            filtered: vec![0.0; joints],
            targets: vec![0.0; joints],
            steps: 0,
            seed: 0,
            interventions: 0,
            network,
            gates,
        };
        policy.set_measurement(Measurement::default());
        Ok(policy)
    }

    /// Starts an episode: network as its description says, action filter at rest, targets at 0 until the first step, gate sources at their
    /// beginning. What was commanded of the gate stays.
    pub fn start(&mut self, seed: u64) {
        self.network.start(seed);
        self.gates.reset();
        self.update_size = 0.0;
        self.filtered.fill(0.0);
        // As in a new policy: when the first step is refused, nothing of the last episode must be left to drive by.
        self.targets.fill(0.0);
        (self.steps, self.seed, self.interventions) = (0, seed, 0);
    }

    /// As [`Policy::start`], in a new life: also where episodes keep the weights of the last one
    /// ([`Kept`](crate::plasticity::InitialWeights::Kept)) they are those that a new policy would start with.
    pub fn start_anew(&mut self, seed: u64) {
        if let Some(network) = self.network.plastic_mut() {
            network.forget_life();
        }
        self.start(seed);
    }

    /// One control step. Returns the joint targets \[rad\] in joint order, always within the joints' limits.
    ///
    /// Allocates nothing.
    ///
    /// # Errors
    /// [`NetworkError::NotFinite`] when a sensor value makes an input NaN or infinite. Network, targets and step count are then as before.
    pub fn step(&mut self, state: &RobotState) -> Result<&[f32], NetworkError> {
        self.observation.observe(&self.robot, state, &self.filtered, &mut self.input);
        // Before the gate decides, because its sources would take the step for one that was made.
        check_finite("input", &self.input)?;
        if let (true, Some(network)) = (self.gates.needs_weights(), self.network.plastic()) {
            network.copy_weights(&mut self.weights);
        }
        let gates = self.gates.decide(&GateInput {
            step: self.steps,
            is_delayed: self.network.plastic().is_some_and(PlasticNetwork::is_delayed),
            contacts: &state.foot_contact,
            update_size: self.update_size,
            weights: &self.weights,
        });
        let output = self.network.step(&self.input, gates)?;
        self.action.act(&self.robot, output, &mut self.filtered, &mut self.targets);
        if self.gates.needs_update_size() {
            self.update_size = self.network.plastic().map_or(0.0, |network| {
                let (mut change, mut synapses) = (0.0, 0.0);
                for (layer, activity) in network.shape().layers().zip(network.layers()) {
                    change += activity.open_change_mean * layer.synapses() as f32;
                    synapses += layer.synapses() as f32;
                }
                change / synapses
            });
        }
        self.steps += 1;
        Ok(&self.targets)
    }

    /// The joint targets of the last step \[rad\].
    pub fn targets(&self) -> &[f32] {
        &self.targets
    }

    /// The network as it is now.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// What the last step did to the weights, per layer; empty for a network without plastic weights.
    pub fn layers(&self) -> &[LayerActivity] {
        self.network.plastic().map_or(&[], |network| network.layers())
    }

    /// The plasticity gate as it was decided for the last step.
    pub fn gates(&self) -> &Gates {
        &self.gates
    }

    /// Commands the gate, from the next step on.
    ///
    /// # Errors
    /// [`GateError::Layers`] when the command names another number of layers; the gate then stays.
    pub fn set_gate(&mut self, command: impl Into<CommandedGate>) -> Result<(), GateError> {
        self.gates.set_command(command.into())
    }

    /// Sets how much is measured of what steps do to the weights. A gate source may measure more.
    pub fn set_measurement(&mut self, measurement: Measurement) {
        self.measurement = measurement;
        let needed = if self.gates.needs_update_size() { Measurement::WithOpenGate } else { measurement };
        if let Some(network) = self.network.plastic_mut() {
            network.set_measurement(needed);
        }
    }

    /// The robot that it drives.
    pub fn robot(&self) -> &RobotInterface {
        &self.robot
    }

    /// Control steps since the start of the episode.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The seed that the episode started with.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// How often since the start of the episode the state was put in from outside: restored, or set. While it is 0, all follows from
    /// policy file, seed, sensor values and commands.
    pub fn interventions(&self) -> u32 {
        self.interventions
    }

    /// The low-passed outputs of the last step, in [-1, 1].
    pub fn action(&self) -> &[f32] {
        &self.filtered
    }

    /// Gives the policy another genome; what changes in life stays.
    ///
    /// # Errors
    /// [`NetworkError`] when it does not fit; the policy then keeps the one it has.
    pub fn set_genome(&mut self, genome: &[f32]) -> Result<(), NetworkError> {
        self.network.set_genome(genome)?;
        self.interventions += 1;
        Ok(())
    }

    /// The present state, in memory of its own.
    pub fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot {
            network: vec![0.0; self.network.state_len()],
            counters: [0; 3],
            filtered: self.filtered.clone(),
            targets: self.targets.clone(),
            gates: self.gates.to_kept(),
            update_size: self.update_size,
            steps: self.steps,
        };
        snapshot.counters = self.network.save(&mut snapshot.network);
        snapshot
    }

    /// Copies the present state to `snapshot`. Allocates nothing.
    ///
    /// # Errors
    /// [`SnapshotError`] when it is one of a policy of other sizes; it is then unchanged.
    pub fn save(&self, snapshot: &mut Snapshot) -> Result<(), SnapshotError> {
        self.check(snapshot)?;
        snapshot.counters = self.network.save(&mut snapshot.network);
        snapshot.filtered.copy_from_slice(&self.filtered);
        snapshot.targets.copy_from_slice(&self.targets);
        snapshot.gates.copy_state_from(&self.gates);
        (snapshot.update_size, snapshot.steps) = (self.update_size, self.steps);
        Ok(())
    }

    /// Goes back to `snapshot`: with the same sensor values and commands as after it, the same steps follow, bit by bit.
    ///
    /// # Errors
    /// [`SnapshotError`] when it is one of a policy of other sizes; nothing has changed then.
    pub fn restore(&mut self, snapshot: &Snapshot) -> Result<(), SnapshotError> {
        self.check(snapshot)?;
        self.network.load(&snapshot.network, snapshot.counters);
        self.filtered.copy_from_slice(&snapshot.filtered);
        self.targets.copy_from_slice(&snapshot.targets);
        self.gates.copy_state_from(&snapshot.gates);
        (self.update_size, self.steps) = (snapshot.update_size, snapshot.steps);
        self.interventions += 1;
        Ok(())
    }

    /// Goes back to the network of `snapshot` alone. Action filter, gate and step count stay, so that what was commanded of the gate holds.
    /// Without an action filter the next targets may be anywhere: whoever drives a robot by them fades them in.
    ///
    /// # Errors
    /// [`SnapshotError`] when it is one of a policy of other sizes; nothing has changed then.
    pub fn restore_network(&mut self, snapshot: &Snapshot) -> Result<(), SnapshotError> {
        self.check(snapshot)?;
        self.network.load(&snapshot.network, snapshot.counters);
        self.interventions += 1;
        Ok(())
    }

    /// Replaces the plastic weights (layer after layer, row-major).
    ///
    /// # Errors
    /// [`NetworkError`] when there are no plastic weights, the length does not fit, or a number is not finite; nothing has changed then.
    pub fn set_weights(&mut self, weights: &[f32]) -> Result<(), NetworkError> {
        match self.network.plastic_mut() {
            Some(network) => network.set_weights(weights)?,
            None => crate::network::check("weights", weights, 0)?,
        }
        self.interventions += 1;
        Ok(())
    }

    /// Takes over what of `seen` is not in the network.
    pub(super) fn go_on_at(&mut self, seen: &SeenState<'_>) {
        self.filtered.copy_from_slice(seen.action);
        (self.seed, self.steps, self.interventions) = (seen.seed, seen.steps, seen.interventions);
    }

    fn check(&self, snapshot: &Snapshot) -> Result<(), SnapshotError> {
        let given = snapshot.network.len() + snapshot.filtered.len();
        let expected = self.network.state_len() + self.filtered.len();
        if given == expected { Ok(()) } else { Err(SnapshotError { given, expected }) }
    }
}
