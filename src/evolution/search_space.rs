//! The space that evolution searches in, and how a point of it becomes a genome.

use rand::RngExt;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use crate::plasticity::{TERMS, Term};
use crate::random::stream;

/// Where evolution starts and how far it steps, for each term of the rule: `genome = offset + scale * point`.
///
/// The scale is a term's unit of mutation: with a small one, noise changes that term less.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchSpace {
    /// Term A.
    #[serde(rename = "A")]
    pub a: TermSearch,
    /// Term B.
    #[serde(rename = "B")]
    pub b: TermSearch,
    /// Term C.
    #[serde(rename = "C")]
    pub c: TermSearch,
    /// Term D.
    #[serde(rename = "D")]
    pub d: TermSearch,
    /// Learning rates.
    pub eta: TermSearch,
}

/// How one term is searched.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TermSearch {
    /// Coefficient at the point 0.
    #[serde(default)]
    pub offset: f32,
    /// Coefficient per unit of the point.
    pub scale: f32,
    /// Standard deviation of the point at the start, around 0.
    pub spread: f32,
}

impl SearchSpace {
    fn terms(&self) -> [&TermSearch; TERMS] {
        [&self.a, &self.b, &self.c, &self.d, &self.eta]
    }

    /// The name of the first term with a number that is not finite, if any.
    pub(super) fn first_invalid(&self) -> Option<&'static str> {
        let is_valid = |term: &&TermSearch| {
            [term.offset, term.scale, term.spread].iter().all(|value| value.is_finite()) && term.spread >= 0.0
        };
        let invalid = self.terms().iter().position(|term| !is_valid(term))?;
        Some(Term::ALL[invalid].name())
    }

    /// The point at which the evolution `seed` starts, for `synapses` synapses.
    pub(super) fn start(&self, seed: u64, synapses: usize) -> Vec<f32> {
        let mut random = stream(seed, "initial genome", &[]);
        let mut draw = |term: &TermSearch| {
            let spread = term.spread;
            (0..synapses).map(|_| spread * random.sample::<f32, _>(StandardNormal)).collect::<Vec<_>>()
        };
        self.terms().into_iter().flat_map(&mut draw).collect()
    }

    /// Turns `point` into a genome, in place.
    pub(super) fn express(&self, point: &mut [f32]) {
        let synapses = (point.len() / TERMS).max(1);
        for (values, term) in point.chunks_mut(synapses).zip(self.terms()) {
            for value in values {
                *value = term.offset + term.scale * *value;
            }
        }
    }
}
