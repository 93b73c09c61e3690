//! The checkpoint: all that an evolution needs to go on with the same bits, in one file that cannot be half written.
//!
//! A safetensors file with the tensors `mean`, `deviation`, `first_moment`, `second_moment`, where rules are shared `clusters`, and `sha256`,
//! the checksum over the metadata and the other tensors in that order; the metadata are one entry, `checkpoint` (JSON). Plain data: reading one
//! runs no code. One state has one file, byte for byte.

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::strategy::StrategyState;
use super::{Experiment, Generation, SearchError, Strategy};
use crate::durable::{WriteError, write_durably};
use crate::episode::{FIRST_EPISODE_VERSION, named_version};
use crate::plasticity::Clusters;
use crate::policy::NetworkDescription;
use crate::tensors::{f32_bytes, f32_values, u16_bytes, u16_values};

/// Version of the checkpoint's form.
const FORMAT_VERSION: u32 = 3;
/// Largest checkpoint that is read \[bytes\].
const LARGEST_FILE: u64 = 4 << 30;
/// Largest header that [`Checkpoint::is_at`] looks into \[bytes\]: that which safetensors reads.
const LARGEST_HEADER: u64 = 100_000_000;
/// Metadata entry that holds the JSON.
const ENTRY: &str = "checkpoint";
const TENSORS: [&str; 4] = ["mean", "deviation", "first_moment", "second_moment"];
/// The checksum. A tensor, as metadata of several entries have no fixed order.
const CHECKSUM: &str = "sha256";
/// The rule of each synapse, where rules are shared.
const CLUSTERS: &str = "clusters";

/// A run of evolution at rest, between two generations.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// [`EPISODE_VERSION`](crate::episode::EPISODE_VERSION) of the program that the run began with. With others it cannot go on.
    pub episode_version: u16,
    /// Whether the machines that the run began on have fused multiply-add
    /// ([`Instructions::is_fused`](crate::plasticity::Instructions::is_fused)). On others it cannot go on.
    pub fused: bool,
    /// The experiment.
    pub experiment: Experiment,
    /// [`Experiment::hash`] with its robot.
    pub experiment_hash: String,
    /// The search.
    pub state: StrategyState,
    /// The rule of each synapse, where rules are shared.
    pub clusters: Option<Arc<Clusters>>,
    /// One entry per generation so far.
    pub history: Vec<Generation>,
}

/// Why a checkpoint was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// It cannot be read.
    #[error("cannot read the checkpoint {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// It cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A number of its history is not finite, so that the file could not be read again. Nothing was written.
    #[error("cannot write the checkpoint {}: a number of generation {generation} is not finite", path.display())]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The first such generation.
        generation: u64,
    },
    /// It is damaged or foreign.
    #[error("{} is not a usable checkpoint: {problem}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format_version: u32,
    /// [`Checkpoint::episode_version`] where they are not the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    episode_version: Option<u16>,
    /// [`Checkpoint::fused`] where it is false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fused: Option<bool>,
    experiment_hash: String,
    experiment: Experiment,
    generation: u64,
    began: u64,
    /// [`StrategyState::rested`] where it is not `began`, as after a merge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rested: Option<u64>,
    restarts: u32,
    /// Rules that synapses share; 0: none.
    clusters: usize,
    history: Vec<Generation>,
}

/// What every version's metadata begin with.
#[derive(Deserialize)]
struct Version {
    format_version: u32,
}

impl Checkpoint {
    /// Writes the checkpoint so that a crash at any moment leaves the one before or this one.
    ///
    /// # Errors
    /// [`CheckpointError::Write`] with the system's reason, or [`CheckpointError::NotFinite`]; the file is then unchanged, unless only its folder could
    /// not be flushed.
    pub fn save(&self, path: &Path) -> Result<(), CheckpointError> {
        Ok(write_durably(path, &self.to_bytes(path)?)?)
    }

    /// The content of its file, which is to be at `path`.
    ///
    /// # Errors
    /// [`CheckpointError::NotFinite`] when it could not be read again.
    pub(super) fn to_bytes(&self, path: &Path) -> Result<Vec<u8>, CheckpointError> {
        if let Some(bad) = self.history.iter().find(|generation| !generation.is_finite()) {
            return Err(CheckpointError::NotFinite { path: path.into(), generation: bad.generation });
        }
        let header = Header {
            format_version: FORMAT_VERSION,
            episode_version: named_version(self.episode_version),
            fused: (!self.fused).then_some(false),
            experiment_hash: self.experiment_hash.clone(),
            experiment: self.experiment.clone(),
            generation: self.state.generation,
            began: self.state.began,
            rested: (self.state.rested != self.state.began).then_some(self.state.rested),
            restarts: self.state.restarts,
            clusters: self.clusters.as_ref().map_or(0, |clusters| clusters.count()),
            history: self.history.clone(),
        };
        let malformed = |problem: String| CheckpointError::Malformed { path: path.into(), problem };
        let json = serde_json::to_string(&header).map_err(|error| malformed(error.to_string()))?;
        let StrategyState { mean, deviation, first_moment, second_moment, .. } = &self.state;
        let vectors = [mean, deviation, first_moment, second_moment];
        let mut tensors: Vec<(&str, Dtype, Vec<u8>)> =
            TENSORS.into_iter().zip(vectors).map(|(name, vector)| (name, Dtype::F32, f32_bytes(vector))).collect();
        if let Some(clusters) = &self.clusters {
            tensors.push((CLUSTERS, Dtype::U16, u16_bytes(clusters.assignment())));
        }
        let checksum = checksum(&json, tensors.iter().map(|(_, _, bytes)| bytes.as_slice()));
        tensors.push((CHECKSUM, Dtype::U8, checksum.to_vec()));
        let metadata = HashMap::from([(ENTRY.to_owned(), json)]);
        let views = tensors.iter().filter_map(|(name, kind, bytes)| {
            Some((*name, TensorView::new(*kind, vec![8 * bytes.len() / kind.bitsize()], bytes).ok()?))
        });
        serialize(views, Some(metadata)).map_err(|error| malformed(error.to_string()))
    }

    /// Reads a checkpoint and checks its checksum.
    ///
    /// # Errors
    /// [`CheckpointError`] says whether it is missing, cut short, edited or of another version.
    pub fn load(path: &Path) -> Result<Self, CheckpointError> {
        let read = |source| CheckpointError::Read { path: path.into(), source };
        let malformed = |problem: String| CheckpointError::Malformed { path: path.into(), problem };
        let size = std::fs::metadata(path).map_err(read)?.len();
        if size > LARGEST_FILE {
            return Err(malformed(format!("it has {size} bytes; at most {LARGEST_FILE} are read")));
        }
        let bytes = std::fs::read(path).map_err(read)?;
        Self::from_bytes(&bytes).map_err(malformed)
    }

    /// Whether the file at `path` looks like a checkpoint, by its header alone: safetensors with the metadata of one.
    pub fn is_at(path: &Path) -> bool {
        let header = || -> std::io::Result<Vec<u8>> {
            let mut file = std::fs::File::open(path)?;
            let mut length = [0; 8];
            file.read_exact(&mut length)?;
            let mut header = Vec::new();
            file.take(u64::from_le_bytes(length).min(LARGEST_HEADER)).read_to_end(&mut header)?;
            Ok(header)
        };
        let json = header().ok().and_then(|header| serde_json::from_slice::<serde_json::Value>(&header).ok());
        json.is_some_and(|json| json["__metadata__"].get(ENTRY).is_some())
    }

    /// The network as it is searched now: with the rules that are left.
    pub fn network(&self) -> NetworkDescription {
        let mut network = self.experiment.policy.network.clone();
        if let (Some(clusters), NetworkDescription::Plastic(plastic)) = (&self.clusters, &mut network) {
            plastic.rule.clusters = clusters.count();
        }
        network
    }

    /// The search where it stands.
    ///
    /// # Errors
    /// [`SearchError`] when the state does not fit the experiment.
    pub fn strategy(&self) -> Result<Strategy, SearchError> {
        let settings = self.experiment.evolution.clone();
        let stretches = settings.genome.stretches(&self.network().blocks()).map_err(SearchError::Genome)?;
        Ok(Strategy::resume(settings, self.experiment.seed, stretches, self.state.clone())?)
    }

    /// Reads a checkpoint from the bytes of its file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let cut_short = |error: safetensors::SafeTensorError| format!("it is cut short or no safetensors file ({error})");
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(cut_short)?;
        let tensors = SafeTensors::deserialize(bytes).map_err(cut_short)?;
        let entry = |key: &str| {
            let entries = metadata.metadata().as_ref();
            entries.and_then(|entries| entries.get(key)).ok_or_else(|| format!("it has no metadata entry `{key}`"))
        };
        let json = entry(ENTRY)?;
        let unreadable = |error: serde_json::Error| format!("its metadata are not readable: {error}");
        let Version { format_version } = serde_json::from_str(json).map_err(unreadable)?;
        if format_version != FORMAT_VERSION {
            return Err(format!("it has the format version {format_version}; this program reads version {FORMAT_VERSION}"));
        }
        let tensor = |name: &str, kind: Dtype| {
            let tensor = tensors.tensor(name).map_err(|_| format!("the tensor `{name}` is missing"))?;
            let given = tensor.dtype();
            if given == kind { Ok(tensor.data()) } else { Err(format!("the tensor `{name}` is {given:?}; expected {kind:?}")) }
        };
        let [mean, deviation, first, second] = TENSORS.map(|name| tensor(name, Dtype::F32));
        let data = [mean?, deviation?, first?, second?];
        let rules = if tensors.tensor(CLUSTERS).is_ok() { Some(tensor(CLUSTERS, Dtype::U16)?) } else { None };
        if tensor(CHECKSUM, Dtype::U8)? != checksum(json, data.into_iter().chain(rules)) {
            return Err("its checksum does not fit its content: it was edited or damaged".to_owned());
        }
        let header: Header = serde_json::from_str(json).map_err(unreadable)?;
        let [mean, deviation, first_moment, second_moment] = data.map(f32_values);
        let clusters = |bytes: &[u8]| {
            Clusters::new(u16_values(bytes), header.clusters).map(Arc::new).map_err(|error| format!("its clusters: {error}"))
        };
        Ok(Self {
            clusters: rules.map(clusters).transpose()?,
            episode_version: header.episode_version.unwrap_or(FIRST_EPISODE_VERSION),
            fused: header.fused.unwrap_or(true),
            experiment: header.experiment,
            experiment_hash: header.experiment_hash,
            state: StrategyState {
                generation: header.generation,
                began: header.began,
                rested: header.rested.unwrap_or(header.began),
                restarts: header.restarts,
                mean,
                deviation,
                first_moment,
                second_moment,
            },
            history: header.history,
        })
    }
}

fn checksum<'a>(json: &str, tensors: impl Iterator<Item = &'a [u8]>) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(json);
    tensors.for_each(|tensor| {
        hash.update((tensor.len() as u64).to_le_bytes());
        hash.update(tensor);
    });
    hash.finalize().into()
}
