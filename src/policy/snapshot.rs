//! Everything that changes in a policy's life, kept and put back exactly.

use super::Policy;
use crate::plasticity::Gates;

/// A policy's state between two control steps: weights, what the rule remembers, action filter, gate sources and step count.
///
/// Made once by [`Policy::snapshot`]; [`Policy::save`] and [`Policy::restore`] then copy without allocating.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub(super) network: Vec<f32>,
    pub(super) counters: [u64; 3],
    pub(super) filtered: Vec<f32>,
    pub(super) targets: Vec<f32>,
    pub(super) gates: Gates,
    pub(super) update_size: f32,
    pub(super) steps: u64,
}

impl Snapshot {
    /// Control steps since the start of the episode.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Memory that it takes \[bytes\].
    pub fn size(&self) -> usize {
        let numbers = self.network.len() + self.filtered.len() + self.targets.len();
        size_of::<Self>() + size_of::<f32>() * numbers + self.gates.heap_size()
    }

    /// Largest |w| of the network's first `synapses` numbers, its plastic weights; NaN when any number of the network is not finite.
    pub fn largest_weight(&self, synapses: usize) -> f32 {
        if !self.network.iter().all(|value| value.is_finite()) {
            return f32::NAN;
        }
        self.network.iter().take(synapses).fold(0.0, |largest, weight| weight.abs().max(largest))
    }
}

/// A snapshot of a policy of other sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a snapshot of {given} numbers; this policy has a state of {expected}")]
pub struct SnapshotError {
    /// Numbers in the snapshot.
    pub given: usize,
    /// Numbers in the policy's state.
    pub expected: usize,
}

/// The last snapshots of a policy, one every few control steps: how far it can be rolled back.
#[derive(Clone, Debug)]
pub struct SnapshotRing {
    snapshots: Vec<Snapshot>,
    every: u64,
    filled: usize,
    next: usize,
}

/// A ring that cannot be, or a roll-back that it cannot give.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RingError {
    /// No snapshot, or none at all in time.
    #[error("a ring of {slots} snapshots, one every {every} steps; both must be at least 1")]
    Empty {
        /// Snapshots.
        slots: usize,
        /// Control steps from one to the next.
        every: u64,
    },
    /// More memory than allowed.
    #[error("{slots} snapshots take {bytes} bytes; {limit} are allowed: keep fewer, or keep one less often")]
    Memory {
        /// Snapshots.
        slots: usize,
        /// What they would take.
        bytes: usize,
        /// What they may take.
        limit: usize,
    },
    /// Further back than the oldest snapshot.
    #[error("cannot go {asked} control steps back; the oldest snapshot is {oldest} steps old")]
    TooFar {
        /// Steps asked for.
        asked: u64,
        /// Steps that are possible.
        oldest: u64,
    },
}

impl SnapshotRing {
    /// A ring for `policy` that keeps a snapshot every `every` control steps for the last `slots` times, in at most `limit` bytes.
    ///
    /// # Errors
    /// [`RingError`] when a number is 0 or the memory does not suffice.
    pub fn new(policy: &Policy, slots: usize, every: u64, limit: usize) -> Result<Self, RingError> {
        if slots == 0 || every == 0 {
            return Err(RingError::Empty { slots, every });
        }
        let snapshot = policy.snapshot();
        let bytes = snapshot.size().saturating_mul(slots);
        if bytes > limit {
            return Err(RingError::Memory { slots, bytes, limit });
        }
        Ok(Self { snapshots: vec![snapshot; slots], every, filled: 0, next: 0 })
    }

    /// Keeps the state of `policy` if it is time. To be called after each control step. Allocates nothing.
    pub fn push(&mut self, policy: &Policy) {
        if policy.steps().is_multiple_of(self.every) {
            // The ring was made for this policy.
            let _ = policy.save(&mut self.snapshots[self.next]);
            self.next = (self.next + 1) % self.snapshots.len();
            self.filled = (self.filled + 1).min(self.snapshots.len());
        }
    }

    /// Forgets all snapshots: after another episode began.
    pub fn clear(&mut self) {
        (self.filled, self.next) = (0, 0);
    }

    /// The oldest snapshot's age at control step `now`.
    pub fn oldest(&self, now: u64) -> Option<u64> {
        self.aged(self.filled.checked_sub(1)?).map(|snapshot| now.saturating_sub(snapshot.steps))
    }

    /// The newest snapshot that is at least `back` steps old at control step `now`. Those that are newer are forgotten: time goes on from
    /// it.
    ///
    /// # Errors
    /// [`RingError::TooFar`] when no snapshot is that old.
    pub fn roll_back(&mut self, now: u64, back: u64) -> Result<&Snapshot, RingError> {
        let is_old_enough = |snapshot: &Snapshot| now.saturating_sub(snapshot.steps) >= back;
        let age = (0..self.filled).find(|&age| self.aged(age).is_some_and(is_old_enough));
        let Some(age) = age else {
            return Err(RingError::TooFar { asked: back, oldest: self.oldest(now).unwrap_or(0) });
        };
        self.next = (self.next + self.snapshots.len() - age) % self.snapshots.len();
        self.filled -= age;
        Ok(&self.snapshots[(self.next + self.snapshots.len() - 1) % self.snapshots.len()])
    }

    /// The snapshot of the given age in the ring, 0 for the newest.
    fn aged(&self, age: usize) -> Option<&Snapshot> {
        let slots = self.snapshots.len();
        (age < self.filled).then(|| &self.snapshots[(self.next + 2 * slots - 1 - age) % slots])
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::PolicyFile;

    #[test]
    fn the_largest_weight_is_one_of_the_weights_and_no_number_where_any_number_is_none() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/config/policies/beetle.safetensors");
        let mut snapshot = PolicyFile::load(file.as_ref()).unwrap().0.policy().unwrap().snapshot();
        snapshot.network.fill(0.5);
        (snapshot.network[1], snapshot.network[2]) = (-3.0, 7.0);
        assert_eq!([0, 1, 2, 3].map(|synapses| snapshot.largest_weight(synapses)), [0.0, 0.5, 3.0, 7.0]);
        // Also one of what the network remembers beside its weights.
        for value in [f32::NAN, f32::INFINITY] {
            snapshot.network[2] = value;
            assert!(snapshot.largest_weight(2).is_nan());
        }
    }
}
