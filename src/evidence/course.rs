//! The course that weights take through an episode, to be put into another life.

use rand::seq::SliceRandom;

use crate::episode::{Episode, Fitness};
use crate::plasticity::Gate;
use crate::policy::Policy;
use crate::random::stream;

/// Largest course \[bytes\]: each thread of an ablation holds one. That of the shipped beetle is as large after ten minutes.
const LARGEST: usize = 512 << 20;
/// Synapses whose changes are shuffled at once: a line of the processor's cache.
const BLOCK: usize = 16;

/// The weights that a plastic policy acted by in each step of an episode.
#[derive(Clone, Debug, PartialEq)]
pub struct WeightCourse {
    synapses: usize,
    /// \[steps, synapses\]
    weights: Vec<f32>,
}

impl WeightCourse {
    /// Most control steps of a course of so many synapses that is held in memory.
    pub(super) fn most_steps(synapses: usize) -> usize {
        LARGEST / size_of::<f32>() / synapses.max(1)
    }

    /// The course of `policy` in the episode `seed`, with the gate open. Empty for a network without plastic weights.
    pub fn record(episode: &mut Episode, policy: &Policy, seed: u64) -> Self {
        let mut policy = policy.clone();
        let synapses = policy.network().plastic().map_or(0, |network| network.shape().synapses());
        let mut weights = vec![0.0; episode.control_steps() as usize * synapses];
        let mut keep = |step: u32, policy: &Policy| {
            if let Some(network) = policy.network().plastic() {
                network.copy_weights(&mut weights[step as usize * synapses..][..synapses]);
            }
        };
        if policy.network().plastic().is_some_and(|network| network.is_delayed()) {
            // The update of the step before is made at the beginning of a step: afterwards the weights are those that it acted by.
            episode.run(&mut policy, seed, &Fitness::default(), |_| Gate::OPEN, |view| keep(view.step, view.policy));
        } else {
            episode.run_with(&mut policy, seed, &Fitness::default(), |step, policy| keep(step, policy), |_| ());
        }
        Self { synapses, weights }
    }

    /// The course with its changes from `first` steps on in an order drawn by `seed`. It begins and, but for rounding, ends where this one does.
    pub fn shuffled_after(mut self, first: u32, seed: u64) -> Self {
        let synapses = self.synapses;
        let (first, steps) = (first as usize, self.weights.len().checked_div(synapses).unwrap_or(0));
        let mut order: Vec<usize> = (first..steps.saturating_sub(1)).collect();
        order.shuffle(&mut stream(seed, "shuffled updates", &[]));
        // Some synapses at a time: a copy of the whole course would take as much memory again.
        let mut undisturbed = Vec::new();
        for start in (0..synapses).step_by(BLOCK) {
            let block = start..synapses.min(start + BLOCK);
            undisturbed.clear();
            for weights in self.weights.chunks_exact(synapses).skip(first) {
                undisturbed.extend_from_slice(&weights[block.clone()]);
            }
            let sample = |step: usize| &undisturbed[(step - first) * block.len()..][..block.len()];
            for (step, &source) in (first..).zip(&order) {
                let (done, rest) = self.weights.split_at_mut((step + 1) * synapses);
                let changes = sample(source + 1).iter().zip(sample(source)).map(|(after, before)| after - before);
                let (next, present) = (&mut rest[block.clone()], &done[step * synapses..][block.clone()]);
                next.iter_mut().zip(present).zip(changes).for_each(|((next, present), change)| *next = present + change);
            }
        }
        self
    }

    /// Gives `policy` the weights of `step`.
    pub fn put(&self, step: u32, policy: &mut Policy) {
        if let Some(weights) = self.weights.get(step as usize * self.synapses..(step as usize + 1) * self.synapses) {
            // Weights that are not finite are refused, and those of the step before stay.
            let _ = policy.set_weights(weights);
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;

    /// The same on a copy of the whole course, step by step.
    fn shuffled_on_a_copy(course: &WeightCourse, first: usize, seed: u64) -> Vec<f32> {
        let (synapses, steps) = (course.synapses, course.weights.len() / course.synapses);
        let mut order: Vec<usize> = (first..steps - 1).collect();
        order.shuffle(&mut stream(seed, "shuffled updates", &[]));
        let mut weights = course.weights.clone();
        for (step, source) in (first..).zip(order) {
            for synapse in 0..synapses {
                let of = |step: usize| course.weights[step * synapses + synapse];
                weights[(step + 1) * synapses + synapse] = weights[step * synapses + synapse] + (of(source + 1) - of(source));
            }
        }
        weights
    }

    #[test]
    fn shuffling_in_place_comes_to_the_bits_of_shuffling_on_a_copy() {
        let mut random = stream(3, "test course", &[]);
        // One block that is not full, several full ones, and a remainder.
        for synapses in [1, 3 * BLOCK, 2 * BLOCK + 5] {
            let weights = (0..40 * synapses).map(|_| random.random_range(-1.0f32..1.0)).collect();
            let course = WeightCourse { synapses, weights };
            let expected: Vec<u32> = shuffled_on_a_copy(&course, 10, 7).into_iter().map(f32::to_bits).collect();
            let shuffled: Vec<u32> = course.clone().shuffled_after(10, 7).weights.into_iter().map(f32::to_bits).collect();
            assert_eq!(shuffled, expected);
            assert_eq!(course.clone().shuffled_after(50, 7), course, "it ends before");
        }
        let none = WeightCourse { synapses: 0, weights: Vec::new() };
        assert_eq!(none.clone().shuffled_after(1, 7), none);
    }
}
