//! Weights that outlive the program: kept in a file now and then, and at its end.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::session::Known;
use crate::policy::{Policy, Snapshot, StateFileError};
use crate::safety::{Reaction, SafetyDescription};

/// Where the weights of the present policy are kept.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptAt {
    /// The file.
    pub path: PathBuf,
    /// Name of the policy.
    pub policy: String,
    /// SHA-256 of the policy file.
    pub hash: String,
    /// Plastic weights.
    pub synapses: usize,
    /// Largest |w| that is written; larger ones, and weights that are no numbers, leave the file as it is. `None`: all are written.
    pub weight_limit: Option<f32>,
}

impl KeptAt {
    /// A file for the weights of `known`, whatever they are.
    pub fn new(path: PathBuf, known: &Known) -> Self {
        let (policy, hash) = (known.metadata.name.clone(), known.hash.clone());
        Self { path, policy, hash, synapses: known.synapses, weight_limit: None }
    }

    /// The same file, for weights alone that a robot with the settings `safety` may walk with: the next start begins with them.
    pub fn within(self, safety: &SafetyDescription) -> Self {
        // Where their size is not checked they must still be numbers: others could not be read again.
        let limit = if safety.reactions.weights == Reaction::Off { f32::MAX } else { safety.weight_limit };
        Self { weight_limit: Some(limit), ..self }
    }
}

/// The place where weights are kept, if they are, and the order of all writes; shared between threads.
#[derive(Clone, Debug, Default)]
pub struct Keeping(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    place: Mutex<Option<KeptAt>>,
    writes: Mutex<Writes>,
    /// Whether the last weights were beyond their limit, which is said when it begins.
    is_refusing: AtomicBool,
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
    shared: Arc<Shared>,
}

impl Keeping {
    /// Keeps at `place` from now on.
    pub fn set(&self, place: Option<KeptAt>) {
        let mut present = lock(&self.0.place);
        if *present != place {
            self.0.is_refusing.store(false, Ordering::Relaxed);
        }
        *present = place;
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
        PlannedWrite { place, number: writes.planned, last, shared: self.0.clone() }
    }

    /// Keeps the state of `policy` now, if it may be kept. For a thread that may wait for the disk.
    pub fn keep(&self, policy: &Policy) {
        if let Some(place) = self.place()
            && let Err(error) = self.plan(place).write(&policy.snapshot())
        {
            tracing::error!("the weights are not kept: {error}");
        }
    }
}

impl Shared {
    /// Whether weights may be written to `path` of which the largest is `largest`. Says it when they no longer may.
    fn may_write(&self, largest: f32, limit: f32, path: &Path) -> bool {
        // Written so that NaN is too large.
        let may_write = largest <= limit;
        let was_refusing = self.is_refusing.swap(!may_write, Ordering::Relaxed);
        if !may_write && !was_refusing {
            let path = path.display();
            if largest.is_nan() {
                tracing::error!("the weights are not kept: they are no longer finite numbers; {path} stays as it is");
            } else {
                tracing::error!("the weights are not kept: one has size {largest}; {limit} is allowed; {path} stays as it is");
            }
        }
        may_write
    }
}

impl PlannedWrite {
    /// Writes `snapshot`, after any other write of the same file that has begun. Returns false, and writes nothing, when a newer snapshot was
    /// written there meanwhile, or its weights are beyond [`KeptAt::weight_limit`], which is said in the log when it begins.
    ///
    /// # Errors
    /// [`StateFileError`] with the reason.
    pub fn write(self, snapshot: &Snapshot) -> Result<bool, StateFileError> {
        let Self { place: KeptAt { path, policy, hash, synapses, weight_limit }, number, last, shared } = self;
        if let Some(limit) = weight_limit
            && !shared.may_write(snapshot.largest_weight(synapses), limit, &path)
        {
            return Ok(false);
        }
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
            KeptAt { path, policy, hash, synapses: 0, weight_limit: None }
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

    #[test]
    fn weights_that_diverged_leave_the_last_good_ones() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/config/policies/beetle.safetensors");
        let (file, hash) = PolicyFile::load(file.as_ref()).unwrap();
        let mut policy = file.policy().unwrap();
        policy.start(1);
        let synapses = policy.network().plastic().unwrap().shape().synapses();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept");
        let place = KeptAt { path: path.clone(), policy: "beetle".to_owned(), hash, synapses, weight_limit: None };
        let (keeping, kept) = (Keeping::default(), || std::fs::read(&path).unwrap());
        let mut safety = SafetyDescription::default();
        keeping.set(Some(place.clone().within(&safety)));
        keeping.keep(&policy);
        let good = kept();

        policy.set_weights(&vec![2.0 * safety.weight_limit; synapses]).unwrap();
        for _ in 0..2 {
            keeping.keep(&policy);
            assert_eq!(kept(), good);
            assert!(keeping.0.is_refusing.load(Ordering::Relaxed));
        }
        // At another place it is said again.
        keeping.set(Some(KeptAt { path: folder.path().join("other"), ..place.clone() }.within(&safety)));
        assert!(!keeping.0.is_refusing.load(Ordering::Relaxed));
        keeping.set(Some(place.clone().within(&safety)));
        // Who asks for them gets them, and so does who does not check their size.
        assert!(keeping.plan(place.clone()).write(&policy.snapshot()).unwrap());
        assert_ne!(kept(), good);
        std::fs::remove_file(&path).unwrap();
        safety.reactions.weights = Reaction::Off;
        assert!(keeping.plan(place.within(&safety)).write(&policy.snapshot()).unwrap());

        // Weights that are well again are kept again.
        policy.start(2);
        keeping.keep(&policy);
        assert!(kept() != good && !keeping.0.is_refusing.load(Ordering::Relaxed));
    }
}
