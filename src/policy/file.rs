//! The policy file: one safetensors file with the rule's coefficients and everything needed to run them.
//!
//! Tensors are named `layers.<index>.<term>` with term A, B, C, D or eta, each f32 of shape \[inputs, outputs\]. The metadata
//! holds one entry, `hebbian_locomotion`, whose value is [`PolicyMetadata`] as JSON. The same policy gives the same bytes.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use sha2::{Digest, Sha256};

use super::metadata::FORMAT_VERSION;
use super::step::MapError;
use super::{Policy, PolicyMetadata};
use crate::config::with_suggestion;
use crate::durable::{WriteError, write_durably};
use crate::plasticity::{Rule, Term};

/// Key of the metadata entry.
const KEY: &str = "hebbian_locomotion";

/// Largest file that is read \[bytes\]: enough for ten million synapses, small enough not to exhaust a robot's memory.
pub const LARGEST_FILE: u64 = 256 << 20;

/// A policy at rest.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyFile {
    /// Description of robot, maps and network.
    pub metadata: PolicyMetadata,
    /// The rule's coefficients, in genome order.
    pub genome: Vec<f32>,
}

/// Why a policy file was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyFileError {
    /// It cannot be read.
    #[error("cannot read the policy {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// It cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// It is not a complete policy file.
    #[error("{} is not a policy file of this suite: {problem}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Its parts do not fit each other.
    #[error("the policy {} is inconsistent: {source}", path.display())]
    Inconsistent {
        /// The file.
        path: PathBuf,
        /// Which parts.
        source: MapError,
    },
}

impl PolicyFile {
    /// Reads and checks a policy file. Also returns the SHA-256 of its bytes, in lower-case hexadecimal.
    ///
    /// # Errors
    /// [`PolicyFileError`] says whether the file is missing, damaged, foreign or inconsistent, and where.
    pub fn load(path: &Path) -> Result<(Self, String), PolicyFileError> {
        let read = |source| PolicyFileError::Read { path: path.into(), source };
        let malformed = |problem: String| PolicyFileError::Malformed { path: path.into(), problem };
        let size = std::fs::metadata(path).map_err(read)?.len();
        if size > LARGEST_FILE {
            return Err(malformed(format!("it has {size} bytes; a policy has at most {LARGEST_FILE}")));
        }
        let bytes = std::fs::read(path).map_err(read)?;
        let file = Self::from_bytes(&bytes).map_err(malformed)?;
        Policy::new(&file.metadata, file.genome.clone())
            .map_err(|source| PolicyFileError::Inconsistent { path: path.into(), source })?;
        Ok((file, hex(&bytes)))
    }

    /// Writes the file so that a crash at any moment leaves the old one or the new one. Returns the SHA-256 of its bytes.
    ///
    /// # Errors
    /// [`PolicyFileError::Inconsistent`] when the parts do not fit, [`PolicyFileError::Write`] when it cannot be written.
    pub fn save(&self, path: &Path) -> Result<String, PolicyFileError> {
        let bytes = self.to_bytes().map_err(|source| PolicyFileError::Inconsistent { path: path.into(), source })?;
        write_durably(path, &bytes)?;
        Ok(hex(&bytes))
    }

    /// A policy ready to run.
    ///
    /// # Errors
    /// [`MapError`] when the parts do not fit each other.
    pub fn policy(&self) -> Result<Policy, MapError> {
        Policy::new(&self.metadata, self.genome.clone())
    }

    fn to_bytes(&self) -> Result<Vec<u8>, MapError> {
        self.metadata.check()?;
        let rule = Rule::new(self.metadata.network.layers.clone(), self.genome.clone())?;
        let mut data = Vec::new();
        for (index, layer) in rule.shape().layers().enumerate() {
            for term in Term::ALL {
                let values = &rule.term(term)[layer.range()];
                let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
                data.push((tensor_name(index, term), vec![layer.inputs, layer.outputs], bytes));
            }
        }
        let views =
            data.iter().filter_map(|(name, shape, bytes)| Some((name, TensorView::new(Dtype::F32, shape.clone(), bytes).ok()?)));
        let metadata = serde_json::to_string(&self.metadata).unwrap_or_default();
        Ok(serialize(views, Some(HashMap::from([(KEY.to_owned(), metadata)]))).unwrap_or_default())
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let truncated_or_foreign = |error: safetensors::SafeTensorError| format!("not a complete safetensors file ({error})");
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(truncated_or_foreign)?;
        let tensors = SafeTensors::deserialize(bytes).map_err(truncated_or_foreign)?;
        let json = header.metadata().as_ref().and_then(|entries| entries.get(KEY));
        let json = json.ok_or_else(|| format!("it has no metadata entry `{KEY}`"))?;
        let version: Version = serde_json::from_str(json).map_err(|error| format!("its metadata are not readable: {error}"))?;
        if version.format_version != FORMAT_VERSION {
            return Err(format!(
                "it has the format version {}; this program reads version {FORMAT_VERSION}",
                version.format_version
            ));
        }
        let metadata: PolicyMetadata =
            serde_json::from_str(json).map_err(|error| with_suggestion(&format!("its metadata are not readable: {error}")))?;

        let layers = &metadata.network.layers;
        let expected = Term::ALL.len() * layers.layers().len();
        if tensors.len() != expected {
            return Err(format!("it has {} tensors; the network {:?} needs {expected}", tensors.len(), layers.neurons()));
        }
        let mut genome = Vec::with_capacity(Term::ALL.len() * layers.synapses());
        for term in Term::ALL {
            for (index, layer) in layers.layers().enumerate() {
                let name = tensor_name(index, term);
                let tensor = tensors.tensor(&name).map_err(|_| format!("the tensor `{name}` is missing"))?;
                let wanted = [layer.inputs, layer.outputs];
                if tensor.dtype() != Dtype::F32 || tensor.shape() != wanted {
                    return Err(format!(
                        "the tensor `{name}` is {:?} {:?}; expected F32 {wanted:?}",
                        tensor.dtype(),
                        tensor.shape()
                    ));
                }
                let (values, _) = tensor.data().as_chunks::<4>();
                genome.extend(values.iter().map(|bytes| f32::from_le_bytes(*bytes)));
            }
        }
        Ok(Self { metadata, genome })
    }
}

/// Read before the rest, so that a newer file is told from a damaged one.
#[derive(serde::Deserialize)]
struct Version {
    format_version: u32,
}

fn tensor_name(layer: usize, term: Term) -> String {
    format!("layers.{layer}.{}", term.name())
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
