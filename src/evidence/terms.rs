//! How much each term of the rule contributes to the updates of an episode.

use std::ops::Range;

use serde::Serialize;

use super::TrialError;
use crate::episode::{Episode, Fitness, TracedRule};
use crate::plasticity::{Gate, Normalisation, PlasticNetwork, RuleLayout, Term};
use crate::policy::{Policy, PolicyFile};

/// Mean magnitude of each term of one layer's update, over its synapses and the updates of an episode, for a gate fully open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct TermSizes {
    /// |eta A x y|
    #[serde(rename = "A")]
    pub a: f64,
    /// |eta B x|, or |eta B y| by the convention of arXiv 2603.22512.
    #[serde(rename = "B")]
    pub b: f64,
    /// |eta C y|, or |eta C x| by that convention.
    #[serde(rename = "C")]
    pub c: f64,
    /// |eta D|
    #[serde(rename = "D")]
    pub d: f64,
}

impl From<[f64; 4]> for TermSizes {
    fn from([a, b, c, d]: [f64; 4]) -> Self {
        Self { a, b, c, d }
    }
}

impl TermSizes {
    /// All four, in order.
    pub fn values(&self) -> [f64; 4] {
        [self.a, self.b, self.c, self.d]
    }
}

/// Measures the terms of a plastic policy's updates while it lives.
pub struct TermMeter {
    layers: Vec<LayerRule>,
    is_swapped: bool,
    every: u64,
    updates: u32,
    /// How the rule scales weights, where the scale can be told from weights and activities.
    normalisation: Option<Normalisation>,
    /// Weights after the last step.
    weights: Vec<f32>,
}

/// The coefficients of one layer: per synapse eta A, eta times that of x, eta times that of y, eta D.
struct LayerRule {
    range: Range<usize>,
    products: Vec<[f64; 4]>,
    sums: [f64; 4],
    retained: f64,
    retentions: u32,
}

/// Sizes of the terms, per layer, in the episode `seed` of the plastic policy `file`; none for another network.
///
/// # Errors
/// [`TrialError`] when the policy is not consistent or does not fit the episode's robot.
pub fn term_sizes(file: &PolicyFile, episode: &mut Episode, seed: u64) -> Result<Option<Vec<TermSizes>>, TrialError> {
    let mut policy = file.policy()?;
    episode.check(&policy, file.metadata.control_rate)?;
    let Some(mut meter) = TermMeter::new(file, &policy) else { return Ok(None) };
    episode.run(&mut policy, seed, &Fitness::default(), |_| Gate::OPEN, |view| meter.note(view.policy));
    Ok(Some(meter.sizes()))
}

impl TermMeter {
    /// A meter for `policy`, made of `file`; None when its network is not plastic.
    pub fn new(file: &PolicyFile, policy: &Policy) -> Option<Self> {
        let (description, network) = (file.metadata.network.plastic()?, policy.network().plastic()?);
        let is_swapped = description.convention.is_swapped();
        let is_told = !description.convention.is_delayed();
        Some(Self {
            layers: rules(network.layout(), &file.genome, is_swapped),
            is_swapped,
            every: u64::from(description.update.every),
            updates: 0,
            normalisation: Some(description.normalisation).filter(|_| is_told),
            weights: Vec::new(),
        })
    }

    /// Adds the step that `policy` has just made.
    pub fn note(&mut self, policy: &Policy) {
        let Some(network) = policy.network().plastic() else { return };
        if policy.steps().is_multiple_of(self.every) {
            self.updates += 1;
            for (index, layer) in self.layers.iter_mut().enumerate() {
                layer.add(network, index);
                let gate = policy.gates().gates().get(index).copied().unwrap_or(1.0);
                // The first step of a life has no weights before it here.
                if let (Some(normalisation), true, true) = (self.normalisation, policy.steps() > 1, gate > 0.0)
                    && let Some(before) = self.weights.get(layer.range.clone())
                    && let Some(retention) = layer.retention(network, index, before, f64::from(gate), normalisation)
                {
                    layer.retained += retention;
                    layer.retentions += 1;
                }
            }
        }
        self.weights.resize(network.shape().synapses(), 0.0);
        network.copy_weights(&mut self.weights);
    }

    /// Mean size of each term, per layer.
    pub fn sizes(&self) -> Vec<TermSizes> {
        let sizes = |layer: &LayerRule| {
            let [a, x, y, d] = layer.sums.map(|sum| sum / (layer.products.len() * self.updates.max(1) as usize) as f64);
            let [b, c] = if self.is_swapped { [y, x] } else { [x, y] };
            TermSizes::from([a, b, c, d])
        };
        self.layers.iter().map(sizes).collect()
    }

    /// Both, as a trace keeps them.
    pub fn traced(&self) -> TracedRule {
        TracedRule { terms: self.sizes().iter().map(TermSizes::values).collect(), retention: self.retention() }
    }

    /// Share of the old weights that an update leaves in the new ones, mean over updates with an open gate, per layer: 1 / max|V| with the
    /// `max` normalisation. None where it cannot be told.
    pub fn retention(&self) -> Option<Vec<f64>> {
        self.layers.iter().map(|layer| (layer.retentions > 0).then(|| layer.retained / f64::from(layer.retentions))).collect()
    }
}

fn rules(layout: &RuleLayout, genome: &[f32], is_swapped: bool) -> Vec<LayerRule> {
    let [a, b, c, d, eta] = Term::ALL.map(|term| layout.term(genome, term));
    let (of_x, of_y) = if is_swapped { (c, b) } else { (b, c) };
    let product = |term: &[f32], synapse: usize| f64::from(eta[synapse]) * f64::from(term[synapse]);
    let products = |synapse| [product(&a, synapse), product(&of_x, synapse), product(&of_y, synapse), product(&d, synapse)];
    let rule = |layer: crate::network::Layer| LayerRule {
        range: layer.range(),
        products: layer.range().map(products).collect(),
        sums: [0.0; 4],
        retained: 0.0,
        retentions: 0,
    };
    layout.shape().layers().map(rule).collect()
}

impl LayerRule {
    /// Adds the terms of an update by the present activities.
    fn add(&mut self, network: &PlasticNetwork, layer: usize) {
        let (x, y) = (network.averaged_activity(layer), network.averaged_activity(layer + 1));
        for (&x, row) in x.iter().zip(self.products.chunks_exact(y.len().max(1))) {
            let x = f64::from(x.abs());
            for (&y, products) in y.iter().zip(row) {
                let y = f64::from(y.abs());
                for (sum, (product, factor)) in self.sums.iter_mut().zip(products.iter().zip([x * y, x, y, 1.0])) {
                    *sum += product.abs() * factor;
                }
            }
        }
    }

    /// The factor by which the normalisation multiplied `before` in the update by the present activities, where it is one number.
    fn retention(
        &self,
        network: &PlasticNetwork,
        layer: usize,
        before: &[f32],
        gate: f64,
        normalisation: Normalisation,
    ) -> Option<f64> {
        let (x, y) = (network.averaged_activity(layer), network.averaged_activity(layer + 1));
        let (mut largest, mut sum, mut squares) = (0.0f64, 0.0, 0.0);
        let rows = self.products.chunks_exact(y.len().max(1)).zip(before.chunks_exact(y.len().max(1)));
        for (&x, (rules, weights)) in x.iter().zip(rows) {
            let x = f64::from(x);
            for ((&y, [a, of_x, of_y, d]), &weight) in y.iter().zip(rules).zip(weights) {
                let y = f64::from(y);
                let value = f64::from(weight) + gate * (a * x * y + of_x * x + of_y * y + d);
                largest = largest.max(value.abs());
                sum += value;
                squares += value * value;
            }
        }
        let count = before.len() as f64;
        match normalisation {
            Normalisation::Max => (largest > 0.0).then(|| 1.0 / largest),
            // As in the rule: n - 1, and its epsilon.
            Normalisation::Standardize => Some(1.0 / ((squares - sum * sum / count) / (count - 1.0) + 1e-5).sqrt()),
            Normalisation::None => Some(1.0),
            Normalisation::Clip | Normalisation::NeuronMax | Normalisation::Mass => None,
        }
    }
}
