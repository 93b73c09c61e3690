//! Seeded, named streams of random numbers.
//!
//! All randomness of the suite comes from here: a stream is a function of a seed, a name and indices, so the numbers that a
//! candidate, an episode or a layer sees never depend on who asked first or on how many threads ran.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use sha2::{Digest, Sha256};

/// A reproducible generator. ChaCha8 is specified bit by bit, so a stream is the same on every machine.
pub type Stream = ChaCha8Rng;

/// The stream named `name` of `seed`, one for each combination of `indices` (for example generation and pair).
///
/// The generator's key is the SHA-256 of all three, with lengths, so that no two streams can coincide.
pub fn stream(seed: u64, name: &str, indices: &[u64]) -> Stream {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update((name.len() as u64).to_le_bytes());
    hash.update(name.as_bytes());
    hash.update((indices.len() as u64).to_le_bytes());
    for index in indices {
        hash.update(index.to_le_bytes());
    }
    Stream::from_seed(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngExt;

    fn first(seed: u64, name: &str, indices: &[u64]) -> u64 {
        stream(seed, name, indices).random()
    }

    #[test]
    fn a_stream_is_a_function_of_seed_name_and_indices() {
        let reference = first(1, "weights", &[2, 3]);
        assert_eq!(reference, first(1, "weights", &[2, 3]));
        for other in
            [first(2, "weights", &[2, 3]), first(1, "pose", &[2, 3]), first(1, "weights", &[3, 2]), first(1, "weights", &[2])]
        {
            assert_ne!(reference, other);
        }
    }
}
