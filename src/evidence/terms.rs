//! How much each term of the rule contributes to the updates of an episode.

use serde::Serialize;

use super::TrialError;
use crate::episode::{Episode, Fitness};
use crate::plasticity::{Gate, PlasticNetwork, RuleLayout, Term};
use crate::policy::PolicyFile;

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

impl TermSizes {
    /// All four, in order.
    pub fn values(&self) -> [f64; 4] {
        [self.a, self.b, self.c, self.d]
    }
}

/// The coefficients of one layer: per synapse |eta A|, |eta| times that of x, |eta| times that of y, |eta D|.
struct LayerRule {
    products: Vec<[f64; 4]>,
    sums: [f64; 4],
}

/// Sizes of the terms, per layer, in the episode `seed` of the plastic policy `file`; none for another network.
///
/// # Errors
/// [`TrialError`] when the policy is not consistent or does not fit the episode's robot.
pub fn term_sizes(file: &PolicyFile, episode: &mut Episode, seed: u64) -> Result<Option<Vec<TermSizes>>, TrialError> {
    let mut policy = file.policy()?;
    episode.check(&policy, file.metadata.control_rate)?;
    let (Some(description), Some(network)) = (file.metadata.network.plastic(), policy.network().plastic()) else {
        return Ok(None);
    };
    let is_swapped = description.convention.is_swapped();
    let every = u64::from(description.update.every);
    let mut layers = rules(network.layout(), &file.genome, is_swapped);
    let mut updates = 0u32;
    episode.run(
        &mut policy,
        seed,
        &Fitness::default(),
        |_| Gate::OPEN,
        |view| {
            let network = view.policy.network().plastic();
            if let Some(network) = network.filter(|_| view.policy.steps().is_multiple_of(every)) {
                updates += 1;
                layers.iter_mut().enumerate().for_each(|(index, layer)| layer.add(network, index));
            }
        },
    );
    let sizes = |layer: &LayerRule| {
        let [a, x, y, d] = layer.sums.map(|sum| sum / (layer.products.len() * updates.max(1) as usize) as f64);
        let [b, c] = if is_swapped { [y, x] } else { [x, y] };
        TermSizes { a, b, c, d }
    };
    Ok(Some(layers.iter().map(sizes).collect()))
}

fn rules(layout: &RuleLayout, genome: &[f32], is_swapped: bool) -> Vec<LayerRule> {
    let [a, b, c, d, eta] = Term::ALL.map(|term| layout.term(genome, term));
    let (of_x, of_y) = if is_swapped { (c, b) } else { (b, c) };
    let product = |term: &[f32], synapse: usize| (f64::from(eta[synapse]) * f64::from(term[synapse])).abs();
    let products = |synapse| [product(&a, synapse), product(&of_x, synapse), product(&of_y, synapse), product(&d, synapse)];
    let rule = |layer: crate::network::Layer| LayerRule { products: layer.range().map(products).collect(), sums: [0.0; 4] };
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
                    *sum += product * factor;
                }
            }
        }
    }
}
