//! Weights that outlive the program: kept in a file now and then, and at its end.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::session::Known;
use crate::policy::{Policy, Snapshot, StateFileError};

/// Where the weights of the present policy are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptAt {
    /// The file.
    pub path: PathBuf,
    /// Name of the policy.
    pub policy: String,
    /// SHA-256 of the policy file.
    pub hash: String,
    /// Plastic weights.
    pub synapses: usize,
}

impl KeptAt {
    /// A file for the weights of `known`.
    pub fn new(path: PathBuf, known: &Known) -> Self {
        Self { path, policy: known.metadata.name.clone(), hash: known.hash.clone(), synapses: known.synapses }
    }

    /// Writes a state.
    ///
    /// # Errors
    /// [`StateFileError`] with the system's reason.
    pub fn write(&self, snapshot: &Snapshot) -> Result<(), StateFileError> {
        snapshot.write(&self.path, &self.policy, &self.hash, self.synapses)
    }
}

/// The place where weights are kept, if they are; shared between threads.
#[derive(Clone, Debug, Default)]
pub struct Keeping(Arc<Mutex<Option<KeptAt>>>);

impl Keeping {
    /// Keeps at `place` from now on.
    pub fn set(&self, place: Option<KeptAt>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = place;
    }

    /// Where.
    pub fn place(&self) -> Option<KeptAt> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps the state of `policy` now. For a thread that may wait for the disk.
    pub fn keep(&self, policy: &Policy) {
        if let Some(place) = self.place()
            && let Err(error) = place.write(&policy.snapshot())
        {
            tracing::error!("the weights are not kept: {error}");
        }
    }
}
