//! Why a bag cannot be written or read.

use std::path::PathBuf;

/// Why a bag cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BagError {
    /// The folder exists already.
    #[error("{} exists already; name a new folder for the bag", path.display())]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// There is no bag.
    #[error("{} is no bag: expected a folder with a .mcap file (as `ros2 bag record --storage mcap` makes it), or such a file", path.display())]
    NoBag {
        /// Where one was looked for.
        path: PathBuf,
    },
    /// A bag of another storage.
    #[error("{} is stored as {storage}; only MCAP is read (`ros2 bag convert` makes it so)", path.display())]
    Storage {
        /// The bag.
        path: PathBuf,
        /// How it is stored.
        storage: String,
    },
    /// The system refuses.
    #[error("{}: {source}", path.display())]
    System {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Bytes are not what was written.
    #[error("{} is damaged{}: {source}", path.display(), after.map(|messages| format!(" after {messages} messages")).unwrap_or_default())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Messages before the damage, where it is known.
        after: Option<u64>,
        /// What is wrong.
        source: mcap::McapError,
    },
    /// Messages that metadata and file disagree about.
    #[error("{} is damaged: {what}", path.display())]
    Inconsistent {
        /// The file.
        path: PathBuf,
        /// What disagrees.
        what: String,
    },
    /// Something that MCAP cannot hold.
    #[error("{} cannot be written: {source}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// MCAP's reason.
        source: mcap::McapError,
    },
    /// A message cannot be understood.
    #[error("a message of `{topic}` is not a {kind}: {problem}")]
    Message {
        /// Its topic.
        topic: String,
        /// The type that was expected.
        kind: &'static str,
        /// What is wrong with it.
        problem: String,
    },
}
