//! Weights that outlive the program: kept in a file now and then, and at its end.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
}

/// The place where weights are kept, if they are, and the order of all writes; shared between threads.
#[derive(Clone, Debug, Default)]
pub struct Keeping(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    place: Mutex<Option<KeptAt>>,
    writes: Mutex<Writes>,
}

#[derive(Debug, Default)]
struct Writes {
    /// How many were planned so far.
    planned: u64,
    /// Of each file that is still to be written: the number of its last write.
    last: HashMap<PathBuf, Arc<Mutex<u64>>>,
}

/// One write, planned before its snapshot was made.
#[derive(Debug)]
pub struct PlannedWrite {
    place: KeptAt,
    /// Of two, the one with the larger number has the newer snapshot.
    number: u64,
    last: Arc<Mutex<u64>>,
}

impl Keeping {
    /// Keeps at `place` from now on.
    pub fn set(&self, place: Option<KeptAt>) {
        *lock(&self.0.place) = place;
    }

    /// Where.
    pub fn place(&self) -> Option<KeptAt> {
        lock(&self.0.place).clone()
    }

    /// Plans a write at `place`. To be called before its snapshot is asked for, so that the order of plans is that of snapshots.
    pub fn plan(&self, place: KeptAt) -> PlannedWrite {
        let mut writes = lock(&self.0.writes);
        // A later plan is newer than all writes of a file for which none is planned.
        writes.last.retain(|_, last| Arc::strong_count(last) > 1);
        writes.planned += 1;
        let last = writes.last.entry(place.path.clone()).or_default().clone();
        PlannedWrite { place, number: writes.planned, last }
    }

    /// Keeps the state of `policy` now. For a thread that may wait for the disk.
    pub fn keep(&self, policy: &Policy) {
        if let Some(place) = self.place()
            && let Err(error) = self.plan(place).write(&policy.snapshot())
        {
            tracing::error!("the weights are not kept: {error}");
        }
    }
}

impl PlannedWrite {
    /// Writes `snapshot`, after any other write of the same file that has begun. Returns false, and writes nothing, when a newer snapshot was
    /// written there meanwhile.
    ///
    /// # Errors
    /// [`StateFileError`] with the reason.
    pub fn write(self, snapshot: &Snapshot) -> Result<bool, StateFileError> {
        let Self { place: KeptAt { path, policy, hash, synapses }, number, last } = self;
        let mut last = lock(&last);
        if *last > number {
            return Ok(false);
        }
        snapshot.write(&path, &policy, &hash, synapses)?;
        *last = number;
        Ok(true)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::PolicyFile;

    #[test]
    fn a_write_that_was_overtaken_leaves_the_newer_weights() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/config/policies/beetle.safetensors");
        let (file, hash) = PolicyFile::load(file.as_ref()).unwrap();
        let mut policy = file.policy().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| {
            let (path, policy, hash) = (folder.path().join(name), "beetle".to_owned(), hash.clone());
            KeptAt { path, policy, hash, synapses: 0 }
        };
        let keeping = Keeping::default();
        let (older, newer, other) = (keeping.plan(place("a")), keeping.plan(place("a")), keeping.plan(place("b")));
        policy.start(1);
        let snapshot = policy.snapshot();
        policy.start(2);
        assert!(newer.write(&policy.snapshot()).unwrap());
        let kept = std::fs::read(folder.path().join("a")).unwrap();
        // Other files are written meanwhile.
        assert!(other.write(&snapshot).unwrap());
        assert!(!older.write(&snapshot).unwrap());
        assert_eq!(std::fs::read(folder.path().join("a")).unwrap(), kept);
        // Files are not remembered for longer than a write of theirs is planned.
        assert!(keeping.plan(place("a")).write(&snapshot).unwrap());
        assert_eq!(lock(&keeping.0.writes).last.len(), 1);
        assert_ne!(std::fs::read(folder.path().join("a")).unwrap(), kept);
    }
}
