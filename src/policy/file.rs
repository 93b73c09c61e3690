//! The policy file: one safetensors file with the rule's coefficients and everything needed to run them.
//!
//! Tensors hold the genome, named and shaped as [`NetworkDescription::blocks`] says: `layers.<index>.<term>` with term A, B, C, D or
//! eta for a rule of its own for each synapse, f32 \[inputs, outputs\]. Rules with clusters add `rule.clusters` (u16, the rule of each
//! synapse), a novelty gate `gate.subspace.mean`, `.basis` and `.scale`. The metadata holds one entry, `hebbian_locomotion`, whose
//! value is [`PolicyMetadata`] as JSON. The same policy gives the same bytes.
//!
//! [`NetworkDescription::blocks`]: super::NetworkDescription::blocks

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use sha2::{Digest, Sha256};

use super::metadata::FORMAT_VERSION;
use super::step::MapError;
use super::{Policy, PolicyMetadata};
use crate::config::with_suggestion;
use crate::durable::{WriteError, write_durably};
use crate::plasticity::{Clusters, Subspace};
use crate::tensors::{ReadError, f32_bytes, f32_values, read_at_most, u16_bytes, u16_values};

/// Key of the metadata entry.
const KEY: &str = "hebbian_locomotion";

/// Largest file that is read \[bytes\]: enough for ten million synapses, small enough not to exhaust a robot's memory.
pub const LARGEST_FILE: u64 = 256 << 20;

/// Tensor of the rule that each synapse has.
const CLUSTERS: &str = "rule.clusters";
/// Tensors of the subspace that a novelty gate measures from.
const SUBSPACE: [&str; 3] = ["gate.subspace.mean", "gate.subspace.basis", "gate.subspace.scale"];

/// A policy at rest.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyFile {
    /// Description of robot, maps and network.
    pub metadata: PolicyMetadata,
    /// The numbers that evolved.
    pub genome: Vec<f32>,
    /// The rule of each synapse, when rules are shared.
    pub clusters: Option<Arc<Clusters>>,
    /// Where training moved the weights, when it was measured.
    pub subspace: Option<Arc<Subspace>>,
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
    /// It would be too large to be read.
    #[error(
        "the policy would have {given} bytes and at most {largest} are read: make network or subspace smaller; {} is unchanged",
        path.display()
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Bytes that it would have.
        given: u64,
        /// Most bytes that are read.
        largest: u64,
    },
    /// It cannot be brought into the file's form.
    #[error("the policy cannot be brought into the form of a file ({problem}); {} is unchanged", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// The reason.
        problem: String,
    },
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
        let malformed = |problem: String| PolicyFileError::Malformed { path: path.into(), problem };
        let bytes = read_at_most(path, LARGEST_FILE).map_err(|error| match error {
            ReadError::System(source) => PolicyFileError::Read { path: path.into(), source },
            ReadError::Size { .. } => malformed(error.to_string()),
        })?;
        let file = Self::from_bytes(&bytes).map_err(malformed)?;
        file.policy().map_err(|source| PolicyFileError::Inconsistent { path: path.into(), source })?;
        Ok((file, hex(&bytes)))
    }

    /// Writes the file so that a crash at any moment leaves the old one or the new one. Returns the SHA-256 of its bytes.
    ///
    /// # Errors
    /// [`PolicyFileError::Inconsistent`] when the parts do not fit, [`PolicyFileError::TooLarge`] when it has more than [`LARGEST_FILE`]
    /// bytes, [`PolicyFileError::Form`] when it has no form as a file, [`PolicyFileError::Write`] when it cannot be written. What was there
    /// before is then unchanged, unless only its folder could not be flushed.
    pub fn save(&self, path: &Path) -> Result<String, PolicyFileError> {
        self.save_at_most(path, LARGEST_FILE)
    }

    /// As [`PolicyFile::save`], where files of at most `largest` bytes are read.
    fn save_at_most(&self, path: &Path, largest: u64) -> Result<String, PolicyFileError> {
        // Whatever was written can be read.
        self.policy().map_err(|source| PolicyFileError::Inconsistent { path: path.into(), source })?;
        let bytes = self.to_bytes().map_err(|problem| PolicyFileError::Form { path: path.into(), problem })?;
        let given = bytes.len() as u64;
        if given > largest {
            return Err(PolicyFileError::TooLarge { path: path.into(), given, largest });
        }
        write_durably(path, &bytes)?;
        Ok(hex(&bytes))
    }

    /// SHA-256 of the numbers that evolved, and of which synapse has which rule, in lower-case hexadecimal: the same for all files of one
    /// policy, whatever else was measured of it since.
    pub fn numbers_hash(&self) -> String {
        let mut bytes = f32_bytes(&self.genome);
        if let Some(clusters) = &self.clusters {
            bytes.extend(u16_bytes(clusters.assignment()));
        }
        hex(&bytes)
    }

    /// A policy ready to run.
    ///
    /// # Errors
    /// [`MapError`] when the parts do not fit each other.
    pub fn policy(&self) -> Result<Policy, MapError> {
        Policy::new(self)
    }

    /// The file's bytes, or why there are none.
    fn to_bytes(&self) -> Result<Vec<u8>, String> {
        let mut data = Vec::new();
        let mut rest = &self.genome[..];
        for block in self.metadata.network.blocks() {
            let (values, tail) = rest.split_at(block.size().min(rest.len()));
            data.push((block.name, block.shape, Dtype::F32, f32_bytes(values)));
            rest = tail;
        }
        if let Some(clusters) = &self.clusters {
            let rules = clusters.assignment();
            data.push((CLUSTERS.to_owned(), vec![rules.len()], Dtype::U16, u16_bytes(rules)));
        }
        if let Some(subspace) = &self.subspace {
            let shapes = [vec![subspace.synapses()], vec![subspace.components(), subspace.synapses()], vec![1]];
            let values = [subspace.mean(), subspace.basis(), &[subspace.scale()]];
            for ((name, shape), values) in SUBSPACE.into_iter().zip(shapes).zip(values) {
                data.push((name.to_owned(), shape, Dtype::F32, f32_bytes(values)));
            }
        }
        let mut views = Vec::with_capacity(data.len());
        for (name, shape, kind, bytes) in &data {
            views.push((name, TensorView::new(*kind, shape.clone(), bytes).map_err(|error| error.to_string())?));
        }
        let metadata = serde_json::to_string(&self.metadata).map_err(|error| error.to_string())?;
        serialize(views, Some(HashMap::from([(KEY.to_owned(), metadata)]))).map_err(|error| error.to_string())
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

        let floats = |name: &str, shape: Option<&[usize]>| -> Result<(Vec<f32>, Vec<usize>), String> {
            let tensor = tensors.tensor(name).map_err(|_| format!("the tensor `{name}` is missing"))?;
            let (kind, given) = (tensor.dtype(), tensor.shape());
            if kind != Dtype::F32 || shape.is_some_and(|shape| shape != given) {
                return Err(format!("the tensor `{name}` is {kind:?} {given:?}; expected F32 {:?}", shape.unwrap_or(given)));
            }
            Ok((f32_values(tensor.data()), given.to_vec()))
        };
        let mut known = HashSet::new();
        let mut genome = Vec::new();
        for block in metadata.network.blocks() {
            genome.extend(floats(&block.name, Some(&block.shape))?.0);
            known.insert(block.name);
        }
        let mut clusters = None;
        if let Some(rule) = metadata.network.plastic().map(|plastic| plastic.rule).filter(|rule| rule.clusters > 0) {
            let tensor = tensors.tensor(CLUSTERS).map_err(|_| format!("the tensor `{CLUSTERS}` is missing"))?;
            if tensor.dtype() != Dtype::U16 {
                return Err(format!("the tensor `{CLUSTERS}` is {:?}; expected U16", tensor.dtype()));
            }
            let assignment = u16_values(tensor.data());
            let made =
                Clusters::new(assignment, rule.clusters).map_err(|error| format!("its clusters are not usable: {error}"))?;
            clusters = Some(Arc::new(made));
            known.insert(CLUSTERS.to_owned());
        }
        let mut subspace = None;
        if tensors.tensor(SUBSPACE[0]).is_ok() {
            let [(mean, _), (basis, _), (scale, _)] =
                [floats(SUBSPACE[0], None)?, floats(SUBSPACE[1], None)?, floats(SUBSPACE[2], Some(&[1]))?];
            let made = Subspace::new(mean, basis, scale.first().copied().unwrap_or(0.0));
            subspace = Some(Arc::new(made.map_err(|error| format!("its subspace is not usable: {error}"))?));
            known.extend(SUBSPACE.map(str::to_owned));
        }
        if let Some(unknown) = tensors.names().into_iter().find(|name| !known.contains(*name)) {
            let kind = metadata.network.kind();
            return Err(format!(
                "it has a tensor `{unknown}` that its network ({kind} {:?}) has no place for",
                metadata.network.layers().neurons()
            ));
        }
        Ok(Self { metadata, genome, clusters, subspace })
    }
}

/// Read before the rest, so that a newer file is told from a damaged one.
#[derive(serde::Deserialize)]
struct Version {
    format_version: u32,
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_too_large_to_be_read_again_leaves_the_file_as_it_was() {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/policies/beetle.safetensors");
        let (mut file, _) = PolicyFile::load(&shipped).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy.safetensors");
        file.save(&path).unwrap();
        let before = std::fs::read(&path).unwrap();
        file.genome.fill(0.25);
        let size = before.len() as u64;
        let error = file.save_at_most(&path, size - 1).unwrap_err();
        assert!(matches!(error, PolicyFileError::TooLarge { given, .. } if given == size), "{error}");
        let message = error.to_string();
        assert!(message.contains(&format!("{size} bytes")) && message.contains("policy.safetensors"), "{message}");
        assert_eq!(std::fs::read(&path).unwrap(), before);
        file.save_at_most(&path, size).unwrap();
        assert_eq!(PolicyFile::load(&path).unwrap().0, file);
    }
}
