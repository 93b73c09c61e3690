//! The candidates of one generation, as anybody can rebuild them: from the mean, the deviation and the seed of the noise.

use std::iter::{Cycle, Take};

use rand::RngExt;
use rand_distr::StandardNormal;

use super::search_space::SearchStretches;
use crate::random::{Stream, stream};

/// One generation's search distribution and how its candidates are drawn from it.
///
/// Nothing random is stored: a candidate is a function of this and its number, so whoever has this can rebuild any of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Population {
    /// Number of the generation, from 0.
    pub generation: u64,
    /// Candidates in it.
    pub size: usize,
    /// Seed of the noise.
    pub seed: u64,
    /// Whether candidates come in pairs, with the same noise added and taken away.
    pub mirrored: bool,
    /// Mean of the distribution.
    pub mean: Vec<f32>,
    /// Standard deviation: one for all dimensions, or one for each.
    pub deviation: Vec<f32>,
}

impl Population {
    /// The point of candidate `index` in the search space: mean plus deviation times noise; when mirrored, minus for the odd numbers, with
    /// the noise of the even number before.
    pub fn point(&self, index: usize) -> Vec<f32> {
        let sign = if self.mirrored && !index.is_multiple_of(2) { -1.0 } else { 1.0 };
        let mut noise = self.noise(index);
        self.mean.iter().zip(self.deviations()).map(|(mean, deviation)| mean + sign * deviation * noise.next()).collect()
    }

    /// The genome of candidate `index`, in a search space of `stretches`.
    pub fn genome(&self, index: usize, stretches: &SearchStretches) -> Vec<f32> {
        let mut point = self.point(index);
        stretches.express(&mut point);
        point
    }

    /// The standard normal numbers of candidate `index`, the same for both of a mirrored pair.
    pub(super) fn noise(&self, index: usize) -> Noise {
        let draw = if self.mirrored { index / 2 } else { index };
        Noise(stream(self.seed, "noise", &[self.generation, draw as u64]))
    }

    /// The deviation of each dimension.
    pub(super) fn deviations(&self) -> Take<Cycle<std::iter::Copied<std::slice::Iter<'_, f32>>>> {
        self.deviation.iter().copied().cycle().take(self.mean.len())
    }
}

/// Standard normal numbers, one after the other.
pub(super) struct Noise(Stream);

impl Noise {
    pub(super) fn next(&mut self) -> f32 {
        self.0.sample(StandardNormal)
    }
}
