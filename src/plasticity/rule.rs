//! The evolved rule: five numbers per synapse, and how a genome gives them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Clusters, InitialWeights, PlasticDescription, PlasticDescriptionError};
use crate::network::{GenomeBlock, Shape};

/// Number of coefficients per synapse.
pub const TERMS: usize = 5;

/// One coefficient of the rule `V = W + g eta (A x y + B x + C y + D)`, x presynaptic and y postsynaptic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Term {
    /// Weight of the product of both activities.
    A,
    /// Weight of the presynaptic activity.
    B,
    /// Weight of the postsynaptic activity.
    C,
    /// Constant.
    D,
    /// Learning rate; signed.
    Eta,
}

impl Term {
    /// All terms in the order of the genome.
    pub const ALL: [Self; TERMS] = [Self::A, Self::B, Self::C, Self::D, Self::Eta];

    /// Name in files.
    pub fn name(self) -> &'static str {
        ["A", "B", "C", "D", "eta"][self as usize]
    }
}

/// Where the numbers of one term come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TermSource {
    /// One evolved number for each rule: for each synapse, or for each cluster of synapses.
    #[default]
    Own,
    /// One evolved number for each layer.
    Layer,
    /// One evolved number for the network.
    Network,
    /// This number; it does not evolve. 0 leaves the term out.
    Fixed(f32),
}

/// A family of rules: which numbers evolve, and which synapses share them.
///
/// The rule of arXiv 2503.12406 is the default: five numbers of its own for each synapse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleDescription {
    /// Term A.
    #[serde(rename = "A", default)]
    pub a: TermSource,
    /// Term B.
    #[serde(rename = "B", default)]
    pub b: TermSource,
    /// Term C.
    #[serde(rename = "C", default)]
    pub c: TermSource,
    /// Term D.
    #[serde(rename = "D", default)]
    pub d: TermSource,
    /// Learning rates.
    #[serde(default)]
    pub eta: TermSource,
    /// Rules that the synapses share (Evolve & Merge, arXiv 2104.07959); 0: one for each synapse.
    #[serde(default)]
    pub clusters: usize,
}

impl RuleDescription {
    /// Where `term` comes from.
    pub fn source(&self, term: Term) -> TermSource {
        [self.a, self.b, self.c, self.d, self.eta][term as usize]
    }

    /// The same family with `term` from `source`.
    pub fn with(mut self, term: Term, source: TermSource) -> Self {
        *[&mut self.a, &mut self.b, &mut self.c, &mut self.d, &mut self.eta][term as usize] = source;
        self
    }

    pub(super) fn check(&self, synapses: usize) -> Result<(), PlasticDescriptionError> {
        let is_usable = |term: &Term| !matches!(self.source(*term), TermSource::Fixed(value) if !value.is_finite());
        if !Term::ALL.iter().all(is_usable) {
            return Err(PlasticDescriptionError::Value { key: "rule", problem: "has a fixed term that is not a finite number" });
        }
        if self.clusters > synapses.min(Clusters::MOST) {
            let problem = "must be at most the number of synapses, and at most 65536; 0 for a rule of its own for each synapse";
            return Err(PlasticDescriptionError::Value { key: "rule.clusters", problem });
        }
        Ok(())
    }
}

/// How a genome becomes coefficients. The genome's order: all A, then all B, C, D, eta, then evolved initial weights; where each
/// synapse has its own number, layer after layer, row-major \[inputs, outputs\] (the order of arXiv 2503.12406's code).
#[derive(Clone, Debug)]
pub struct RuleLayout {
    shape: Shape,
    family: RuleDescription,
    clusters: Option<Arc<Clusters>>,
    has_weights: bool,
}

/// Clusters that do not fit the rule.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("the rule has {expected_rules} clusters of {synapses} synapses; the assignment is of {rules} clusters of {assigned}")]
pub struct ClusterMismatch {
    expected_rules: usize,
    synapses: usize,
    rules: usize,
    assigned: usize,
}

impl RuleLayout {
    /// The layout of `description`; `clusters` say which rule each synapse has, when the rule has clusters.
    ///
    /// # Errors
    /// [`ClusterMismatch`] when there are clusters and the description has none, or the reverse, or their numbers differ.
    pub fn new(description: &PlasticDescription, clusters: Option<Arc<Clusters>>) -> Result<Self, ClusterMismatch> {
        let synapses = description.layers.synapses();
        let (rules, assigned) = clusters.as_ref().map_or((0, synapses), |given| (given.count(), given.assignment().len()));
        let expected_rules = description.rule.clusters;
        if rules != expected_rules || assigned != synapses {
            return Err(ClusterMismatch { expected_rules, synapses, rules, assigned });
        }
        let has_weights = description.initial_weights == InitialWeights::Evolved;
        Ok(Self { shape: description.layers.clone(), family: description.rule, clusters, has_weights })
    }

    /// The genome's blocks for `description`, in order.
    pub fn blocks(description: &PlasticDescription) -> Vec<GenomeBlock> {
        let mut blocks = Vec::new();
        let shape = &description.layers;
        for term in Term::ALL {
            let one = |size| GenomeBlock::new(format!("rule.{}", term.name()), term.name(), &[size]);
            match description.rule.source(term) {
                TermSource::Own if description.rule.clusters == 0 => blocks.extend(matrices(shape, term.name())),
                TermSource::Own => blocks.push(one(description.rule.clusters)),
                TermSource::Layer => blocks.push(one(shape.layers().len())),
                TermSource::Network => blocks.push(one(1)),
                TermSource::Fixed(_) => (),
            }
        }
        if description.initial_weights == InitialWeights::Evolved {
            blocks.extend(matrices(shape, "weights"));
        }
        blocks
    }

    /// Sizes of the network.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Numbers in the genome.
    pub fn genome_len(&self) -> usize {
        let terms: usize = Term::ALL.into_iter().map(|term| self.term_len(term)).sum();
        terms + if self.has_weights { self.shape.synapses() } else { 0 }
    }

    fn term_len(&self, term: Term) -> usize {
        match self.family.source(term) {
            TermSource::Own => self.clusters.as_ref().map_or(self.shape.synapses(), |clusters| clusters.count()),
            TermSource::Layer => self.shape.layers().len(),
            TermSource::Network => 1,
            TermSource::Fixed(_) => 0,
        }
    }

    /// Hands the coefficient `term` of each synapse to `write`, in the genome's order. `genome` must have [`RuleLayout::genome_len`]
    /// numbers; missing ones count as 0.
    pub(super) fn each(&self, genome: &[f32], term: Term, mut write: impl FnMut(usize, f32)) {
        let start: usize = Term::ALL.into_iter().take(term as usize).map(|term| self.term_len(term)).sum();
        let numbers = genome.get(start..start + self.term_len(term)).unwrap_or(&[]);
        let number = |index: usize| numbers.get(index).copied().unwrap_or(0.0);
        match (self.family.source(term), &self.clusters) {
            (TermSource::Own, None) => numbers.iter().enumerate().for_each(|(synapse, &value)| write(synapse, value)),
            (TermSource::Own, Some(clusters)) => {
                let rules = clusters.assignment().iter().enumerate();
                rules.for_each(|(synapse, &rule)| write(synapse, number(usize::from(rule))));
            }
            (TermSource::Layer, _) => {
                for (index, layer) in self.shape.layers().enumerate() {
                    layer.range().for_each(|synapse| write(synapse, number(index)));
                }
            }
            (TermSource::Network, _) => (0..self.shape.synapses()).for_each(|synapse| write(synapse, number(0))),
            (TermSource::Fixed(value), _) => (0..self.shape.synapses()).for_each(|synapse| write(synapse, value)),
        }
    }

    /// One coefficient of all synapses, whoever shares it: layer after layer, row-major.
    pub fn term(&self, genome: &[f32], term: Term) -> Vec<f32> {
        let mut values = vec![0.0; self.shape.synapses()];
        self.each(genome, term, |synapse, value| values[synapse] = value);
        values
    }

    /// The evolved initial weights in `genome`, if they evolve.
    pub fn weights<'a>(&self, genome: &'a [f32]) -> Option<&'a [f32]> {
        self.has_weights.then(|| genome.get(genome.len().saturating_sub(self.shape.synapses())..).unwrap_or(&[]))
    }
}

/// One matrix per layer, named `layers.<index>.<group>`.
fn matrices(shape: &Shape, group: &'static str) -> impl Iterator<Item = GenomeBlock> {
    let block = move |(index, layer): (usize, crate::network::Layer)| {
        GenomeBlock::new(format!("layers.{index}.{group}"), group, &[layer.inputs, layer.outputs])
    };
    shape.layers().enumerate().map(block)
}
