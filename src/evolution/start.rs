//! A search that begins at a policy which is there already, instead of near zero.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::network::GenomeBlock;
use crate::policy::{NetworkDescription, PolicyFile, PolicyFileError};

/// The policy at whose numbers a search begins. In an experiment file it is a path; the rest is read from there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "PathBuf", into = "PathBuf")]
pub struct Start {
    /// The policy file, relative to the experiment's.
    pub path: PathBuf,
    /// What it holds, and the SHA-256 of its bytes; none until it is read.
    policy: Option<(Arc<PolicyFile>, String)>,
}

/// Why a search cannot begin at a policy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// It cannot be read.
    #[error(transparent)]
    File(#[from] PolicyFileError),
    /// Its numbers are not those of the experiment's network.
    #[error("{} is of another network: it has {found}, the experiment {expected}", path.display())]
    Network {
        /// The policy file.
        path: PathBuf,
        /// Its first block that differs.
        found: String,
        /// The experiment's in the same place.
        expected: String,
    },
}

impl From<PathBuf> for Start {
    fn from(path: PathBuf) -> Self {
        Self { path, policy: None }
    }
}

impl From<Start> for PathBuf {
    fn from(start: Start) -> Self {
        start.path
    }
}

impl Start {
    /// Reads the policy of an experiment in `folder`, whose `network` must have the same numbers. How it uses them may differ.
    ///
    /// # Errors
    /// [`StartError`] says whether the file or the network is wrong.
    pub fn read(&mut self, folder: &Path, network: &NetworkDescription) -> Result<(), StartError> {
        let path = folder.join(&self.path);
        let (file, hash) = PolicyFile::load(&path)?;
        let (found, expected) = (file.metadata.network.blocks(), network.blocks());
        let count = found.len().max(expected.len());
        if let Some(place) = (0..count).find(|&place| found.get(place) != expected.get(place)) {
            let name = |block: Option<&GenomeBlock>| {
                block.map_or_else(|| "nothing more".to_owned(), |block| format!("{} of {:?}", block.name, block.shape))
            };
            return Err(StartError::Network { path, found: name(found.get(place)), expected: name(expected.get(place)) });
        }
        // Rules that synapses share look the same whatever the synapses are.
        let neurons = |network: &NetworkDescription| network.plastic().map(|plastic| plastic.layers.neurons().to_vec());
        if let (Some(found), Some(expected)) = (neurons(&file.metadata.network), neurons(network))
            && found != expected
        {
            let name = |neurons: Vec<usize>| format!("layers of {neurons:?}");
            return Err(StartError::Network { path, found: name(found), expected: name(expected) });
        }
        self.policy = Some((Arc::new(file), hash));
        Ok(())
    }

    /// The policy; none until it is read.
    pub fn policy(&self) -> Option<&Arc<PolicyFile>> {
        self.policy.as_ref().map(|(policy, _)| policy)
    }

    /// SHA-256 of the policy file, in lower-case hexadecimal; none until it is read.
    pub fn hash(&self) -> Option<&str> {
        self.policy.as_ref().map(|(_, hash)| hash.as_str())
    }
}
