//! The plastic network: one forward pass and one update of every layer in each control step.

use std::sync::Arc;

use rand::RngExt;

use super::averaging::Averaging;
use super::kernel::{Instructions, KernelLayer, LANES, Lanes, Row, largest, largest_weight};
use super::{ClusterMismatch, Clusters, InitialWeights, PlasticDescription, RuleLayout, Term, UpdateSchedule};
use crate::network::{NetworkError, Shape};
use crate::random::stream;

/// A network whose weights a rule changes while it runs.
#[derive(Clone, Debug)]
pub struct PlasticNetwork {
    layout: RuleLayout,
    schedule: UpdateSchedule,
    is_delayed: bool,
    is_swapped: bool,
    initial_weights: InitialWeights,
    evolved_weights: Vec<f32>,
    layers: Vec<KernelLayer>,
    /// Activities of all neurons in tiles, input layer first.
    activity: Vec<Lanes>,
    averaging: Option<Averaging>,
    /// Largest |input| of the last step.
    input_limit: f32,
    steps: u64,
    /// Whether the weights' update by the last step's activities is yet to come.
    is_pending: bool,
    has_lived: bool,
    measurement: Measurement,
    measured: Vec<LayerActivity>,
    before: Vec<Row>,
    drawn: Vec<f32>,
}

/// What the last step did to one layer's weights.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LayerActivity {
    /// Largest |w| after the step.
    pub max_abs: f32,
    /// Frobenius norm of the weights after the step.
    pub norm: f32,
    /// Mean |w after - w before|.
    pub change_mean: f32,
    /// Mean |w after - w before| of a fully open gate; measured with [`Measurement::WithOpenGate`] only.
    pub open_change_mean: f32,
}

/// How much of its own doing a network measures. The weights do not depend on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Measurement {
    /// Nothing: fastest.
    Off,
    /// What each step did.
    #[default]
    Changes,
    /// Also what a fully open gate would have done.
    WithOpenGate,
}

impl PlasticNetwork {
    /// A network with all weights at zero; [`PlasticNetwork::start`] begins an episode. `clusters` say which rule each synapse has,
    /// when the description's rule has clusters.
    ///
    /// # Errors
    /// [`NetworkError`] when the genome does not fit, [`ClusterMismatch`] (as [`PlasticNetworkError`]) when the clusters do not.
    pub fn new(
        description: &PlasticDescription,
        clusters: Option<Arc<Clusters>>,
        genome: &[f32],
    ) -> Result<Self, PlasticNetworkError> {
        let layout = RuleLayout::new(description, clusters)?;
        let shape = layout.shape().clone();
        let tiles: usize = shape.neurons().iter().map(|neurons| neurons.div_ceil(LANES)).sum();
        let average = description.update.average;
        let instructions = Instructions::detect();
        let layers: Vec<_> =
            shape.layers().map(|layer| KernelLayer::new(&layer, description.normalisation, instructions)).collect();
        let mut network = Self {
            schedule: description.update,
            is_delayed: description.convention.is_delayed(),
            is_swapped: description.convention.is_swapped(),
            initial_weights: description.initial_weights,
            evolved_weights: Vec::new(),
            activity: vec![[0.0; LANES]; tiles],
            averaging: (average > 1).then(|| Averaging::new(average as usize, tiles)),
            input_limit: 0.0,
            steps: 0,
            is_pending: false,
            has_lived: false,
            measurement: Measurement::default(),
            measured: vec![LayerActivity::default(); layers.len()],
            before: vec![Row::default(); layers.iter().map(|layer| layer.settled().len()).max().unwrap_or(0)],
            drawn: vec![0.0; shape.synapses()],
            layers,
            layout,
        };
        network.set_genome(genome)?;
        Ok(network)
    }

    /// Gives the network another rule of the same form; weights and activities stay. The next [`PlasticNetwork::start`] begins a new
    /// life, also with [`InitialWeights::Kept`].
    ///
    /// # Errors
    /// [`NetworkError`] when the length does not fit or a number is not finite; the network then keeps the rule it has.
    pub fn set_genome(&mut self, genome: &[f32]) -> Result<(), NetworkError> {
        crate::network::check("genome", genome, self.layout.genome_len())?;
        let shape = self.layout.shape();
        for term in Term::ALL {
            // Coefficients are named by what they multiply, so those of other conventions change places here.
            let place = match (term, self.is_swapped) {
                (Term::B, true) => Term::C,
                (Term::C, true) => Term::B,
                _ => term,
            };
            let mut ranges = shape.layers().map(|layer| layer.range()).zip(&mut self.layers).peekable();
            self.layout.each(genome, term, |synapse, value| {
                while ranges.next_if(|(range, _)| synapse >= range.end).is_some() {}
                if let Some((range, layer)) = ranges.peek_mut() {
                    layer.set_coefficient(synapse - range.start, place, value);
                }
            });
        }
        self.layers.iter_mut().for_each(KernelLayer::fold);
        if let Some(weights) = self.layout.weights(genome) {
            self.evolved_weights.clear();
            self.evolved_weights.extend_from_slice(weights);
        }
        self.has_lived = false;
        Ok(())
    }

    /// Starts the episode `seed`: weights as the description says, activities forgotten.
    pub fn start(&mut self, seed: u64) {
        self.steps = 0;
        self.is_pending = false;
        self.activity.fill([0.0; LANES]);
        if let Some(averaging) = &mut self.averaging {
            averaging.clear();
        }
        match self.initial_weights {
            InitialWeights::Random(spread) => self.draw_weights(seed, spread),
            InitialWeights::Kept(spread) if !self.has_lived => self.draw_weights(seed, spread),
            InitialWeights::Kept(_) => (),
            InitialWeights::Evolved => {
                let weights = std::mem::take(&mut self.evolved_weights);
                self.put_weights(&weights);
                self.evolved_weights = weights;
            }
        }
        self.has_lived = true;
        self.measured.fill(LayerActivity::default());
        if self.measurement != Measurement::Off {
            self.measure_sizes();
        }
    }

    /// Lets the next [`PlasticNetwork::start`] begin a new life: with [`InitialWeights::Kept`] it draws weights, as the first one did.
    pub fn forget_life(&mut self) {
        self.has_lived = false;
    }

    /// Draws all weights from U(-`spread`, `spread`) by `seed`, the same that an episode of this seed starts from. Activities stay.
    pub fn draw_weights(&mut self, seed: u64, spread: f32) {
        let mut random = stream(seed, "initial weights", &[]);
        let mut drawn = std::mem::take(&mut self.drawn);
        drawn.fill_with(|| if spread > 0.0 { random.random_range(-spread..=spread) } else { 0.0 });
        self.put_weights(&drawn);
        self.drawn = drawn;
    }

    /// Replaces all weights (layer after layer, row-major \[inputs, outputs\]). Activities stay.
    ///
    /// # Errors
    /// [`NetworkError`] when the length does not fit or a number is not finite; the weights then stay.
    pub fn set_weights(&mut self, weights: &[f32]) -> Result<(), NetworkError> {
        crate::network::check("weights", weights, self.shape().synapses())?;
        self.put_weights(weights);
        Ok(())
    }

    fn put_weights(&mut self, weights: &[f32]) {
        for (layer, kernel) in self.layout.shape().layers().zip(&mut self.layers) {
            let weights = weights.get(layer.range()).unwrap_or(&[]);
            let mass: f64 = weights.iter().map(|weight| f64::from(weight.abs())).sum();
            kernel.set_weights(weights, mass.min(f64::from(f32::MAX)) as f32);
        }
    }

    /// One step: layer by layer, the output from the old weights, then the update of that layer's weights.
    ///
    /// With input x, output y and gate g (arXiv 2503.12406):
    ///
    /// ```text
    /// y_j  = tanh(sum_i x_i W_ij)
    /// V_ij = W_ij + g eta_ij (A_ij x_i y_j + B_ij x_i + C_ij y_j + D_ij)
    /// W    = N(V) over the layer's matrix; g = 0 leaves W bit-identical
    /// ```
    ///
    /// `input` needs as many values as the network has inputs; missing ones count as 0. `gates` holds g for each layer; missing ones
    /// count as the last one given, and none at all as 1. Returns the outputs. Allocates nothing.
    ///
    /// # Errors
    /// [`NetworkError::NotFinite`] when an input is NaN or infinite; nothing has changed then.
    pub fn step(&mut self, input: &[f32], gates: &[f32]) -> Result<&[f32], NetworkError> {
        let inputs = self.layout.shape().inputs();
        let input = &input[..input.len().min(inputs)];
        let input_limit = largest(input);
        if !input_limit.is_finite() {
            crate::network::check_finite("input", input)?;
        }
        let gate = |layer: usize| gates.get(layer).or(gates.last()).copied().unwrap_or(1.0);
        // Of a step without an update nothing else is said.
        self.measured.iter_mut().for_each(|layer| (layer.change_mean, layer.open_change_mean) = (0.0, 0.0));
        if self.is_pending {
            (0..self.layers.len()).for_each(|layer| self.update(layer, gate(layer)));
            self.is_pending = false;
        }
        let own = self.activity.as_flattened_mut();
        own[..input.len()].copy_from_slice(input);
        own[input.len()..inputs].fill(0.0);
        self.input_limit = input_limit;

        self.steps += 1;
        let is_due = self.steps.is_multiple_of(u64::from(self.schedule.every));
        let updates_now = is_due && !self.is_delayed;
        let is_plain = self.averaging.is_none() && self.measurement == Measurement::Off;
        let (mut rest, mut limit) = (&mut self.activity[..], self.input_limit);
        for (index, (shape, layer)) in self.layout.shape().layers().zip(&mut self.layers).enumerate() {
            let (x, others) = rest.split_at_mut(shape.inputs.div_ceil(LANES));
            let gate = Some(gate(index)).filter(|&gate| updates_now && is_plain && gate != 0.0);
            layer.step(&x.as_flattened()[..shape.inputs], limit, &mut others[..shape.outputs.div_ceil(LANES)], gate);
            (rest, limit) = (others, 1.0);
        }
        if let Some(averaging) = &mut self.averaging {
            averaging.push(&self.activity);
        }
        if updates_now && !is_plain {
            (0..self.layers.len()).for_each(|layer| self.update(layer, gate(layer)));
        }
        self.is_pending = is_due && self.is_delayed;
        Ok(self.output())
    }

    /// Updates one layer by the present activities, averaged if they are to be.
    fn update(&mut self, index: usize, gate: f32) {
        let Self { layout, layers, activity, averaging, input_limit, measurement, measured, before, .. } = self;
        let Some(shape) = layout.shape().layers().nth(index) else { return };
        let activity = averaging.as_ref().map_or(&activity[..], |averaging| averaging.mean());
        let activity = &activity[first_tile(layout.shape(), index)..];
        let (x, y) = activity.split_at(shape.inputs.div_ceil(LANES));
        let (x, y) = (&x.as_flattened()[..shape.inputs], &y[..shape.outputs.div_ceil(LANES)]);
        // An average of earlier inputs may be larger than the last one.
        let limit = if index == 0 { input_limit.max(largest(x)) } else { 1.0 };
        let (layer, measured) = (&mut layers[index], &mut measured[index]);
        if *measurement == Measurement::Off {
            if gate != 0.0 {
                layer.update(x, limit, y, gate);
            }
            return;
        }
        layer.settle();
        let before = &mut before[..layer.settled().len()];
        before.copy_from_slice(layer.settled());
        let is_tried = *measurement == Measurement::WithOpenGate && gate != 1.0;
        if is_tried {
            layer.update(x, limit, y, 1.0);
            layer.settle();
            measured.open_change_mean = change(before, layer.settled()) / shape.synapses() as f32;
            layer.restore(before);
        }
        if gate != 0.0 {
            layer.update(x, limit, y, gate);
            layer.settle();
        }
        measured.change_mean = change(before, layer.settled()) / shape.synapses() as f32;
        if !is_tried {
            measured.open_change_mean = measured.change_mean;
        }
        (measured.max_abs, measured.norm) = sizes(layer.settled());
    }

    fn measure_sizes(&mut self) {
        for (layer, measured) in self.layers.iter_mut().zip(&mut self.measured) {
            layer.settle();
            (measured.max_abs, measured.norm) = sizes(layer.settled());
        }
    }

    /// The outputs of the last step.
    pub fn output(&self) -> &[f32] {
        let outputs = self.layout.shape().outputs();
        &self.activity[self.activity.len() - outputs.div_ceil(LANES)..].as_flattened()[..outputs]
    }

    /// Activities of neuron layer `layer` (0: the input) in the last step; empty for a layer that is not there.
    pub fn activity(&self, layer: usize) -> &[f32] {
        self.neurons(&self.activity, layer)
    }

    /// As [`PlasticNetwork::activity`], averaged over the steps that the rule averages over: what an update reads.
    pub fn averaged_activity(&self, layer: usize) -> &[f32] {
        self.neurons(self.averaging.as_ref().map_or(&self.activity, |averaging| averaging.mean()), layer)
    }

    /// One neuron layer of `tiles`.
    fn neurons<'a>(&self, tiles: &'a [Lanes], layer: usize) -> &'a [f32] {
        let neurons = self.shape().neurons();
        let Some(&count) = neurons.get(layer) else { return &[] };
        &tiles[first_tile(self.shape(), layer)..].as_flattened()[..count]
    }

    /// Copies all weights (layer after layer, row-major \[inputs, outputs\]); `out` needs as many places as there are synapses.
    pub fn copy_weights(&self, out: &mut [f32]) {
        for (layer, kernel) in self.layout.shape().layers().zip(&self.layers) {
            if let Some(out) = out.get_mut(layer.range()) {
                kernel.copy_weights(out);
            }
        }
    }

    /// All weights, as [`PlasticNetwork::copy_weights`].
    pub fn weights(&self) -> Vec<f32> {
        let mut weights = vec![0.0; self.shape().synapses()];
        self.copy_weights(&mut weights);
        weights
    }

    /// What the last step did, per layer; zeros with [`Measurement::Off`].
    pub fn layers(&self) -> &[LayerActivity] {
        &self.measured
    }

    /// Sets how much is measured from the next step on.
    pub fn set_measurement(&mut self, measurement: Measurement) {
        self.measurement = measurement;
    }

    /// Uses other machine instructions, for comparison.
    pub fn set_instructions(&mut self, instructions: Instructions) {
        self.layers.iter_mut().for_each(|layer| layer.set_instructions(instructions));
    }

    /// Sizes of the layers.
    pub fn shape(&self) -> &Shape {
        self.layout.shape()
    }

    /// Whether an update is made at the beginning of the step after the one whose activities it goes by.
    pub fn is_delayed(&self) -> bool {
        self.is_delayed
    }

    /// How the genome is laid out.
    pub fn layout(&self) -> &RuleLayout {
        &self.layout
    }

    /// Numbers in a saved state, without its counters.
    pub fn state_len(&self) -> usize {
        let activities = if self.is_delayed { self.activity.len() * LANES } else { 0 };
        self.shape().synapses() + self.layers.len() + activities + self.averaging.as_ref().map_or(0, Averaging::state_len)
    }

    /// Copies all that changes in life: weights, then what the rule remembers. `out` must have [`PlasticNetwork::state_len`] places.
    /// Returns the counters that belong to it.
    pub(crate) fn save(&self, out: &mut [f32]) -> [u64; 3] {
        let (weights, rest) = out.split_at_mut(self.shape().synapses().min(out.len()));
        self.copy_weights(weights);
        let (masses, rest) = rest.split_at_mut(self.layers.len().min(rest.len()));
        masses.iter_mut().zip(&self.layers).for_each(|(mass, layer)| *mass = layer.mass());
        let activities = if self.is_delayed { self.activity.len() * LANES } else { 0 };
        let (activity, ring) = rest.split_at_mut(activities.min(rest.len()));
        activity.copy_from_slice(&self.activity.as_flattened()[..activity.len()]);
        let filled = self.averaging.as_ref().map_or(0, |averaging| averaging.save(ring));
        [self.steps, u64::from(self.is_pending), filled as u64]
    }

    /// Continues from what [`PlasticNetwork::save`] gave, bit by bit.
    pub(crate) fn load(&mut self, state: &[f32], [steps, is_pending, filled]: [u64; 3]) {
        let (weights, rest) = state.split_at(self.shape().synapses().min(state.len()));
        let (masses, rest) = rest.split_at(self.layers.len().min(rest.len()));
        for ((layer, kernel), &mass) in self.layout.shape().layers().zip(&mut self.layers).zip(masses) {
            kernel.set_weights(weights.get(layer.range()).unwrap_or(&[]), mass);
        }
        let activities = if self.is_delayed { self.activity.len() * LANES } else { 0 };
        let (activity, ring) = rest.split_at(activities.min(rest.len()));
        self.activity.as_flattened_mut()[..activity.len()].copy_from_slice(activity);
        if self.is_delayed {
            self.input_limit = largest(&self.activity.as_flattened()[..self.layout.shape().inputs()]);
        }
        if let Some(averaging) = &mut self.averaging {
            averaging.load(ring, filled as usize);
        }
        (self.steps, self.is_pending, self.has_lived) = (steps, is_pending != 0, true);
        if self.measurement != Measurement::Off {
            self.measure_sizes();
        }
    }
}

/// Why a plastic network cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlasticNetworkError {
    /// The genome does not fit.
    #[error(transparent)]
    Genome(#[from] NetworkError),
    /// The clusters do not fit.
    #[error(transparent)]
    Clusters(#[from] ClusterMismatch),
}

/// Where the activities of neuron layer `layer` begin.
fn first_tile(shape: &Shape, layer: usize) -> usize {
    shape.neurons()[..layer].iter().map(|neurons| neurons.div_ceil(LANES)).sum()
}

/// Sum of |after - before|.
fn change(before: &[Row], after: &[Row]) -> f32 {
    let mut lanes = [0.0f32; LANES];
    for (before, after) in before.iter().zip(after) {
        for (lane, (before, after)) in lanes.iter_mut().zip(before.iter().zip(&after.0)) {
            *lane += (after - before).abs();
        }
    }
    lanes.iter().sum()
}

/// Largest |w| and Frobenius norm.
fn sizes(weights: &[Row]) -> (f32, f32) {
    let mut lanes = [0.0f32; LANES];
    for weights in weights {
        for (lane, weight) in lanes.iter_mut().zip(&weights.0) {
            *lane += weight * weight;
        }
    }
    (largest_weight(weights), lanes.iter().sum::<f32>().sqrt())
}
