//! The course that weights take through an episode, to be put into another life.

use rand::seq::SliceRandom;

use crate::episode::{Episode, Fitness};
use crate::plasticity::Gate;
use crate::policy::Policy;
use crate::random::stream;

/// The weights that a plastic policy acted by in each step of an episode.
#[derive(Clone, Debug, PartialEq)]
pub struct WeightCourse {
    synapses: usize,
    /// \[steps, synapses\]
    weights: Vec<f32>,
}

impl WeightCourse {
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
    pub fn shuffled_after(&self, first: u32, seed: u64) -> Self {
        let sample = |step: usize| &self.weights[step * self.synapses..][..self.synapses];
        let (first, steps) = (first as usize, self.weights.len().checked_div(self.synapses).unwrap_or(0));
        let mut order: Vec<usize> = (first..steps.saturating_sub(1)).collect();
        order.shuffle(&mut stream(seed, "shuffled updates", &[]));
        let mut course = self.clone();
        for (step, source) in (first..).zip(order) {
            let (done, rest) = course.weights.split_at_mut((step + 1) * self.synapses);
            let changes = sample(source + 1).iter().zip(sample(source)).map(|(after, before)| after - before);
            let present = &done[step * self.synapses..];
            rest.iter_mut().zip(present).zip(changes).for_each(|((next, present), change)| *next = present + change);
        }
        course
    }

    /// Gives `policy` the weights of `step`.
    pub fn put(&self, step: u32, policy: &mut Policy) {
        if let Some(weights) = self.weights.get(step as usize * self.synapses..(step as usize + 1) * self.synapses) {
            // Weights that are not finite are refused, and those of the step before stay.
            let _ = policy.set_weights(weights);
        }
    }
}
