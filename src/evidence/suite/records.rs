//! Episodes that were run, kept on disk one by one, so that a suite that was killed goes on where it was.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::episode::EpisodeResult;

/// One episode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Name of the policy.
    pub policy: String,
    /// Name of the condition.
    pub condition: String,
    /// What it was: SHA-256 of policy file, robot and settings.
    pub setting: String,
    /// Seed of the episode.
    pub seed: u64,
    /// What came out.
    pub result: EpisodeResult,
}

/// The records of a suite: a file of one JSON object a line, in the order in which episodes ended.
#[derive(Debug)]
pub struct Records {
    lines: Option<Lines>,
    known: HashMap<(String, u64), EpisodeResult>,
}

/// A file of records that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordsError {
    /// The system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A whole line is not a record.
    #[error("{} line {line}: {message}; give another file, or take the line out", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Number of the line, from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
}

/// A file of one JSON object a line, to which lines are added.
#[derive(Debug)]
pub(in crate::evidence) struct Lines {
    path: PathBuf,
    file: File,
}

impl Lines {
    /// Opens the file at `path`, or makes it, and reads what it holds. A last line without an end, as a killed writer leaves it, is cut off.
    pub(in crate::evidence) fn open<T: DeserializeOwned>(path: &Path) -> Result<(Self, Vec<T>), RecordsError> {
        let io = |source| RecordsError::Io { path: path.into(), source };
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path).map_err(io)?;
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(io)?;
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let record = |(index, line)| {
            let error =
                |error: serde_json::Error| RecordsError::Line { path: path.into(), line: index + 1, message: error.to_string() };
            serde_json::from_str(line).map_err(error)
        };
        let records = text[..whole].lines().enumerate().map(record).collect::<Result<Vec<T>, _>>()?;
        if whole < text.len() {
            file.set_len(whole as u64).map_err(io)?;
        }
        Ok((Self { path: path.into(), file }, records))
    }

    /// Adds a line.
    pub(in crate::evidence) fn add(&mut self, record: &impl Serialize) -> Result<(), RecordsError> {
        let io = |source| RecordsError::Io { path: self.path.clone(), source };
        let mut line = serde_json::to_vec(record).map_err(|error| io(error.into()))?;
        line.push(b'\n');
        self.file.write_all(&line).map_err(io)
    }
}

impl Records {
    /// Records that are not kept on disk.
    pub fn in_memory() -> Self {
        Self { lines: None, known: HashMap::new() }
    }

    /// Opens the file at `path`, or makes it. A last line without an end, as a killed writer leaves it, is cut off.
    ///
    /// # Errors
    /// [`RecordsError`] when the file cannot be read and written, or holds something else than records; then it is unchanged.
    pub fn open(path: &Path) -> Result<Self, RecordsError> {
        let (lines, records) = Lines::open(path)?;
        let known = records.into_iter().map(|record: Record| ((record.setting, record.seed), record.result)).collect();
        Ok(Self { lines: Some(lines), known })
    }

    /// The result of the episode `seed` in `setting`, if it was run.
    pub fn get(&self, setting: &str, seed: u64) -> Option<&EpisodeResult> {
        // One allocation per look-up, beside an episode of physics.
        self.known.get(&(setting.to_owned(), seed))
    }

    /// Adds a record, on disk first.
    ///
    /// # Errors
    /// [`RecordsError::Io`] when it cannot be written.
    pub fn add(&mut self, record: Record) -> Result<(), RecordsError> {
        if let Some(lines) = &mut self.lines {
            lines.add(&record)?;
        }
        self.known.insert((record.setting, record.seed), record.result);
        Ok(())
    }
}
