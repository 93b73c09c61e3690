//! The plastic network: one forward pass and one update of every layer in each control step.

use rand::RngExt;

use super::normalisation::max_abs;
use super::{GenomeError, Normalisation, Rule};
use crate::network::tanh;
use crate::random::stream;

/// A network whose weights a [`Rule`] changes at every step.
#[derive(Clone, Debug)]
pub struct PlasticNetwork {
    rule: Rule,
    normalisation: Normalisation,
    weights: Vec<f32>,
    /// Not yet normalised weights V of the layer at work.
    updated: Vec<f32>,
    /// Activities of all neurons, input layer first.
    activity: Vec<f32>,
    layers: Vec<LayerActivity>,
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
}

impl PlasticNetwork {
    /// A network with all weights at zero; [`PlasticNetwork::draw_weights`] starts an episode.
    pub fn new(rule: Rule, normalisation: Normalisation) -> Self {
        let shape = rule.shape().clone();
        let widest = shape.layers().map(|layer| layer.synapses()).max().unwrap_or(0);
        Self {
            weights: vec![0.0; shape.synapses()],
            updated: vec![0.0; widest],
            activity: vec![0.0; shape.neurons().iter().sum()],
            layers: vec![LayerActivity::default(); shape.layers().len()],
            normalisation,
            rule,
        }
    }

    /// Draws all weights from U(-`spread`, `spread`): those of the episode `seed`.
    pub fn draw_weights(&mut self, seed: u64, spread: f32) {
        let mut random = stream(seed, "initial weights", &[]);
        self.weights.fill_with(|| if spread > 0.0 { random.random_range(-spread..=spread) } else { 0.0 });
        self.activity.fill(0.0);
        for (layer, state) in self.rule.shape().layers().zip(&mut self.layers) {
            let weights = &self.weights[layer.range()];
            *state = LayerActivity { max_abs: max_abs(weights), norm: norm(weights), change_mean: 0.0 };
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
    /// `input` needs as many values as the network has inputs; missing ones count as 0. Returns the outputs.
    pub fn step(&mut self, input: &[f32], gate: f32) -> &[f32] {
        let inputs = self.rule.shape().inputs();
        for (index, value) in self.activity[..inputs].iter_mut().enumerate() {
            *value = input.get(index).copied().unwrap_or(0.0);
        }
        let mut start = 0;
        for (layer, state) in self.rule.shape().layers().zip(&mut self.layers) {
            let (x, y) = self.activity[start..start + layer.inputs + layer.outputs].split_at_mut(layer.inputs);
            start += layer.inputs;
            let weights = &mut self.weights[layer.range()];
            forward(x, weights, y);
            state.change_mean = 0.0;
            if gate != 0.0 {
                let updated = &mut self.updated[..layer.synapses()];
                let max = update(x, y, weights, self.rule.layer(&layer), gate, updated);
                let divisor = match self.normalisation {
                    Normalisation::Max if max > 0.0 => max,
                    Normalisation::Max | Normalisation::None => 1.0,
                };
                state.change_mean = replace(weights, updated, divisor) / layer.synapses() as f32;
                state.max_abs = max / divisor;
                state.norm = norm(weights);
            }
        }
        &self.activity[start..]
    }

    /// All weights, layer after layer, row-major \[inputs, outputs\].
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// What the last step did, per layer.
    pub fn layers(&self) -> &[LayerActivity] {
        &self.layers
    }

    /// Gives the network another rule of the same shape; the weights stay.
    ///
    /// # Errors
    /// [`GenomeError`] when `genome` does not fit; the network then keeps the rule it has.
    pub fn set_genome(&mut self, genome: &[f32]) -> Result<(), GenomeError> {
        self.rule.set_genome(genome)
    }

    /// The rule.
    pub fn rule(&self) -> &Rule {
        &self.rule
    }
}

/// y = tanh(x W), summed over inputs in order.
fn forward(x: &[f32], weights: &[f32], y: &mut [f32]) {
    y.fill(0.0);
    for (x, row) in x.iter().zip(weights.chunks_exact(y.len())) {
        for (y, weight) in y.iter_mut().zip(row) {
            *y += x * weight;
        }
    }
    for y in y {
        *y = tanh(*y);
    }
}

/// Writes V to `updated` and returns max|V|.
fn update(x: &[f32], y: &[f32], weights: &[f32], [a, b, c, d, eta]: [&[f32]; 5], gate: f32, updated: &mut [f32]) -> f32 {
    let n = y.len();
    for (i, &x) in x.iter().enumerate() {
        let row = i * n..(i + 1) * n;
        let (w, v) = (&weights[row.clone()], &mut updated[row.clone()]);
        let (a, b, c, d, eta) = (&a[row.clone()], &b[row.clone()], &c[row.clone()], &d[row.clone()], &eta[row]);
        for j in 0..n {
            let y = y[j];
            v[j] = w[j] + gate * eta[j] * (a[j] * x * y + b[j] * x + c[j] * y + d[j]);
        }
    }
    max_abs(updated)
}

/// Sets `weights` to `updated` / `divisor` and returns the sum of |change|.
fn replace(weights: &mut [f32], updated: &[f32], divisor: f32) -> f32 {
    sum_lanes(weights.len(), |index| {
        // A true division: v / max is exactly 1 where |v| is largest, v times 1/max may not be.
        let new = updated[index] / divisor;
        let change = (new - weights[index]).abs();
        weights[index] = new;
        change
    })
}

fn norm(weights: &[f32]) -> f32 {
    sum_lanes(weights.len(), |index| weights[index] * weights[index]).sqrt()
}

/// Sum of `value(0..count)` in eight interleaved partial sums: a fixed order that the compiler can vectorise.
fn sum_lanes(count: usize, mut value: impl FnMut(usize) -> f32) -> f32 {
    const LANES: usize = 8;
    let mut lanes = [0.0f32; LANES];
    let whole = count - count % LANES;
    for start in (0..whole).step_by(LANES) {
        for (lane, sum) in lanes.iter_mut().enumerate() {
            *sum += value(start + lane);
        }
    }
    for index in whole..count {
        lanes[index - whole] += value(index);
    }
    lanes.iter().sum()
}
