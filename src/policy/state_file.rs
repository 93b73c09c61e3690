//! All that changed in a policy's life as a file: weights kept over a restart, or put back later.
//!
//! One safetensors file: `weights` (f32, layer after layer, row-major \[inputs, outputs\]) and `memory` (f32, what the network remembers beside
//! them). The metadata entry `hebbian_locomotion_state` is JSON that names the policy file by its hash.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use serde::{Deserialize, Serialize};

use super::Snapshot;
use crate::durable::{WriteError, write_durably};
use crate::tensors::{ReadError, f32_bytes, f32_values, read_at_most};

/// Key of the metadata entry.
const KEY: &str = "hebbian_locomotion_state";
/// Version of the form.
const VERSION: u32 = 1;
/// Longest header that is read \[bytes\]. That of the shipped policies' weights has about 400.
const LONGEST_HEADER: u64 = 1 << 20;
/// The tensors.
const PARTS: [&str; 2] = ["weights", "memory"];

/// Why a state was not written or put back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateFileError {
    /// It cannot be read.
    #[error("cannot read the weights {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// It is too large for the weights of this policy.
    #[error("{} holds no weights of this policy: it has at least {given} bytes; they have at most {largest}", path.display())]
    Size {
        /// The file.
        path: PathBuf,
        /// Bytes of the file, as far as they are known.
        given: u64,
        /// Most bytes that are read.
        largest: u64,
    },
    /// It cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// Something else would be lost by writing it.
    #[error("{} is there and holds no weights of this suite; it is not overwritten: remove it, or give another path", path.display())]
    Occupied {
        /// The file.
        path: PathBuf,
    },
    /// It is not a complete file of this kind.
    #[error("{} holds no weights of this suite: {problem}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// It belongs to another policy.
    #[error("{} holds weights of the policy `{policy}` ({given:.12}…); this is another one ({expected:.12}…)", path.display())]
    Policy {
        /// The file.
        path: PathBuf,
        /// Name of the policy that it belongs to.
        policy: String,
        /// That policy's hash.
        given: String,
        /// Hash of the policy at hand.
        expected: String,
    },
}

impl StateFileError {
    fn reading(path: &Path, error: ReadError) -> Self {
        let path = path.into();
        match error {
            ReadError::System(source) => Self::Read { path, source },
            ReadError::Size { given, largest } => Self::Size { path, given, largest },
        }
    }
}

/// The metadata.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    version: u32,
    policy: String,
    policy_hash: String,
    steps: u64,
    counters: [u64; 3],
}

impl Snapshot {
    /// Writes the network's state, so that a crash at any moment leaves the old file or the new one. `policy` and `hash` (SHA-256 of the policy
    /// file) say whose it is; the first `synapses` numbers are its weights. Only an empty file or one that was written by this is replaced.
    ///
    /// # Errors
    /// [`StateFileError::Occupied`] when something else is there, [`StateFileError::Read`] when that is unknown, [`StateFileError::Write`] with the
    /// system's reason.
    pub fn write(&self, path: &Path, policy: &str, hash: &str, synapses: usize) -> Result<(), StateFileError> {
        check_replaceable(path)?;
        let header = Header {
            version: VERSION,
            policy: policy.to_owned(),
            policy_hash: hash.to_owned(),
            steps: self.steps,
            counters: self.counters,
        };
        let (weights, memory) = self.network.split_at(synapses.min(self.network.len()));
        let parts = [f32_bytes(weights), f32_bytes(memory)];
        let views = PARTS
            .into_iter()
            .zip(&parts)
            .filter_map(|(name, bytes)| Some((name, TensorView::new(Dtype::F32, vec![bytes.len() / 4], bytes).ok()?)));
        // Numbers and texts always make JSON, and these tensors a file.
        let header = serde_json::to_string(&header).unwrap_or_default();
        let bytes = serialize(views, Some(HashMap::from([(KEY.to_owned(), header)]))).unwrap_or_default();
        Ok(write_durably(path, &bytes)?)
    }

    /// Reads what [`Snapshot::write`] wrote for the policy of this `hash` into the network part of this snapshot. No more is read than such a
    /// file can have, whatever `path` names.
    ///
    /// # Errors
    /// [`StateFileError`]; the snapshot is then unchanged.
    pub fn read(&mut self, path: &Path, hash: &str) -> Result<(), StateFileError> {
        let largest = LONGEST_HEADER + size_of_val(&self.network[..]) as u64;
        let bytes = read_at_most(path, largest).map_err(|error| StateFileError::reading(path, error))?;
        let malformed = |problem: String| StateFileError::Malformed { path: path.into(), problem };
        let incomplete = |error: safetensors::SafeTensorError| malformed(format!("not a complete safetensors file ({error})"));
        let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(incomplete)?;
        let tensors = SafeTensors::deserialize(&bytes).map_err(incomplete)?;
        let json = metadata.metadata().as_ref().and_then(|entries| entries.get(KEY));
        let json = json.ok_or_else(|| malformed(format!("it has no metadata entry `{KEY}`")))?;
        let header: Header =
            serde_json::from_str(json).map_err(|error| malformed(format!("its metadata are not readable: {error}")))?;
        if header.version != VERSION {
            return Err(malformed(format!("it has the version {}; this program reads version {VERSION}", header.version)));
        }
        if let Some(text) = [&header.policy, &header.policy_hash].into_iter().find(|text| text.contains('\0')) {
            return Err(malformed(format!("its metadata have the text {text:?}; it must be without NUL")));
        }
        if header.policy_hash != hash {
            let (policy, given, expected) = (header.policy, header.policy_hash, hash.to_owned());
            return Err(StateFileError::Policy { path: path.into(), policy, given, expected });
        }
        let mut network = Vec::with_capacity(self.network.len());
        for name in PARTS {
            let tensor = tensors.tensor(name).map_err(|_| malformed(format!("the tensor `{name}` is missing")))?;
            if tensor.dtype() != Dtype::F32 {
                return Err(malformed(format!("the tensor `{name}` is {:?}; expected F32", tensor.dtype())));
            }
            network.extend(f32_values(tensor.data()));
        }
        if network.len() != self.network.len() || network.iter().any(|value| !value.is_finite()) {
            let (given, expected) = (network.len(), self.network.len());
            return Err(malformed(format!("it holds {given} numbers; {expected} finite ones are needed")));
        }
        (self.network, self.counters, self.steps) = (network, header.counters, header.steps);
        Ok(())
    }
}

/// Checks that nothing is lost when `path` is written.
///
/// # Errors
/// [`StateFileError`] when it holds something else than a state, or that cannot be known.
fn check_replaceable(path: &Path) -> Result<(), StateFileError> {
    // Where there is nothing, or what is there cannot be looked at, writing says what is wrong.
    let Ok(metadata) = std::fs::metadata(path) else { return Ok(()) };
    let is_file = metadata.is_file();
    let is_ours = is_file && (metadata.len() == 0 || holds_state(path).map_err(|error| StateFileError::reading(path, error))?);
    if is_ours { Ok(()) } else { Err(StateFileError::Occupied { path: path.into() }) }
}

/// Whether the file at `path` has the header of a state, whatever follows it.
fn holds_state(path: &Path) -> Result<bool, ReadError> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LONGEST_HEADER).read_to_end(&mut bytes)?;
    let Some((length, rest)) = bytes.split_first_chunk() else { return Ok(false) };
    let header = usize::try_from(u64::from_le_bytes(*length)).ok().and_then(|length| rest.get(..length));
    let header: Option<serde_json::Value> = header.and_then(|header| serde_json::from_slice(header).ok());
    Ok(header.is_some_and(|header| header.get("__metadata__").is_some_and(|entries| entries.get(KEY).is_some())))
}
