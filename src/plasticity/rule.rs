//! The evolved rule: five numbers per synapse in one flat genome.

use crate::network::{Layer, Shape};

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

/// The rule of a whole network. Its genome holds all A, then all B, C, D and eta; within each, layer after layer, row-major
/// \[inputs, outputs\] (the order of arXiv 2503.12406's code).
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    shape: Shape,
    genome: Vec<f32>,
}

/// Why a genome was refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GenomeError {
    /// The length does not fit the network.
    #[error("a genome of {given} numbers; the network {shape:?} needs {expected} (5 per synapse)")]
    Length {
        /// Numbers given.
        given: usize,
        /// Numbers needed.
        expected: usize,
        /// Neurons per layer.
        shape: Vec<usize>,
    },
    /// A number is NaN or infinite.
    #[error("the genome holds {value} at index {index}; every number must be finite")]
    NotFinite {
        /// Where.
        index: usize,
        /// What.
        value: f32,
    },
}

impl Rule {
    /// The rule of a network of `shape` from its flat genome.
    ///
    /// # Errors
    /// [`GenomeError`] when the length does not fit or a number is not finite.
    pub fn new(shape: Shape, genome: Vec<f32>) -> Result<Self, GenomeError> {
        check(&shape, &genome)?;
        Ok(Self { shape, genome })
    }

    /// Replaces the genome, without allocating.
    ///
    /// # Errors
    /// [`GenomeError`] when the length does not fit or a number is not finite; the rule is then unchanged.
    pub(super) fn set_genome(&mut self, genome: &[f32]) -> Result<(), GenomeError> {
        check(&self.shape, genome)?;
        self.genome.copy_from_slice(genome);
        Ok(())
    }

    /// Sizes of the network.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The flat genome.
    pub fn genome(&self) -> &[f32] {
        &self.genome
    }

    /// Coefficients of one term for all synapses.
    pub fn term(&self, term: Term) -> &[f32] {
        let synapses = self.shape.synapses();
        &self.genome[term as usize * synapses..][..synapses]
    }

    /// Coefficients A, B, C, D, eta of one layer.
    pub(super) fn layer(&self, layer: &Layer) -> [&[f32]; TERMS] {
        Term::ALL.map(|term| &self.term(term)[layer.range()])
    }

    /// This rule with `terms` set to zero: an ablation.
    pub fn without(mut self, terms: &[Term]) -> Self {
        let synapses = self.shape.synapses();
        for &term in terms {
            self.genome[term as usize * synapses..][..synapses].fill(0.0);
        }
        self
    }
}

fn check(shape: &Shape, genome: &[f32]) -> Result<(), GenomeError> {
    let expected = TERMS * shape.synapses();
    if genome.len() != expected {
        return Err(GenomeError::Length { given: genome.len(), expected, shape: shape.neurons().to_vec() });
    }
    match genome.iter().position(|value| !value.is_finite()) {
        Some(index) => Err(GenomeError::NotFinite { index, value: genome[index] }),
        None => Ok(()),
    }
}
