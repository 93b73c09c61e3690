//! Activities averaged over the last control steps.

use super::kernel::{LANES, Lanes};

/// A ring of the last activities of all neurons, and their mean.
#[derive(Clone, Debug)]
pub(super) struct Averaging {
    /// Slot after slot, each with the tiles of all neurons.
    ring: Vec<Lanes>,
    mean: Vec<Lanes>,
    slots: usize,
    /// Slots in use.
    filled: usize,
    /// Slot that is written next.
    next: usize,
}

impl Averaging {
    /// Over `slots` steps of `tiles` tiles of neurons.
    pub fn new(slots: usize, tiles: usize) -> Self {
        let zero = [0.0; LANES];
        Self { ring: vec![zero; slots * tiles], mean: vec![zero; tiles], slots, filled: 0, next: 0 }
    }

    /// Forgets all steps.
    pub fn clear(&mut self) {
        (self.filled, self.next) = (0, 0);
        self.ring.fill([0.0; LANES]);
    }

    /// Takes the activities of one step.
    pub fn push(&mut self, activity: &[Lanes]) {
        let tiles = self.mean.len();
        self.ring[self.next * tiles..][..tiles].copy_from_slice(activity);
        self.next = (self.next + 1) % self.slots;
        self.filled = (self.filled + 1).min(self.slots);
        self.average();
    }

    /// From the oldest step on, so that the mean does not depend on where in the ring it lies. Divided before they are added, so
    /// that the sum cannot overflow.
    fn average(&mut self) {
        let (tiles, share) = (self.mean.len(), 1.0 / self.filled.max(1) as f32);
        self.mean.fill([0.0; LANES]);
        for age in (0..self.filled).rev() {
            let slot = (self.next + 2 * self.slots - 1 - age) % self.slots;
            for (mean, value) in self.mean.as_flattened_mut().iter_mut().zip(self.ring[slot * tiles..][..tiles].as_flattened()) {
                *mean += value * share;
            }
        }
    }

    /// Mean activity of all neurons over the steps in the ring.
    pub fn mean(&self) -> &[Lanes] {
        &self.mean
    }

    /// Numbers in a saved state.
    pub fn state_len(&self) -> usize {
        self.ring.len() * LANES
    }

    /// Copies the steps in the ring, the newest first; returns how many they are.
    pub fn save(&self, out: &mut [f32]) -> usize {
        let tiles = self.mean.len();
        for (age, out) in out.chunks_exact_mut(tiles * LANES).enumerate() {
            let slot = (self.next + 2 * self.slots - 1 - age) % self.slots;
            out.copy_from_slice(self.ring[slot * tiles..][..tiles].as_flattened());
        }
        self.filled
    }

    /// Continues from a saved state.
    pub fn load(&mut self, state: &[f32], filled: usize) {
        let tiles = self.mean.len();
        self.filled = filled.min(self.slots);
        self.next = 0;
        for (age, state) in state.chunks_exact(tiles * LANES).enumerate() {
            let slot = self.slots - 1 - age % self.slots;
            self.ring[slot * tiles..][..tiles].as_flattened_mut().copy_from_slice(state);
        }
        self.average();
    }
}
