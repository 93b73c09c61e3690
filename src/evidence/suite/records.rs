//! Episodes that were run, kept on disk one by one, so that a suite that was killed goes on where it was.

use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

use crate::episode::EpisodeResult;

/// What lines begin with, whatever of a policy they record: that is named first.
const BEGINNING: &[u8] = b"{\"policy\":\"";

/// One episode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Name of the policy.
    pub policy: String,
    /// Name of the condition.
    pub condition: String,
    /// What it was: SHA-256 of policy file, robot and settings, and of what else the bits of an episode depend on.
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
    /// Another process adds to it.
    #[error("another process uses {} at this moment; wait until it has ended, or give another file", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// A line is not a record, nor what a killed writer leaves of one.
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

/// A file of one JSON object a line, to which lines are added. It is locked: two who add to it would both do all the work, and one would cut
/// off as left half written what the other is writing. Where the file system has no locks it is used without: nobody can tell there.
#[derive(Debug)]
pub(in crate::evidence) struct Lines {
    path: PathBuf,
    file: File,
}

impl Lines {
    /// Opens the file at `path`, or makes it, and reads what it holds. A last line without an end, as a killed writer leaves it, is cut off; one
    /// that no writer of such lines can have begun is refused.
    pub(in crate::evidence) fn open<T: DeserializeOwned>(path: &Path) -> Result<(Self, Vec<T>), RecordsError> {
        let io = |source| RecordsError::Io { path: path.into(), source };
        let refused = |index: usize, message: String| RecordsError::Line { path: path.into(), line: index + 1, message };
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path).map_err(io)?;
        if is_in_use(&file.try_lock()) {
            return Err(RecordsError::InUse { path: path.into() });
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io)?;
        let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        // What a killed writer leaves may end within a character.
        let (lines, rest) = bytes.split_at(whole);
        let mut records: Vec<T> = Vec::new();
        for (index, line) in lines.split_inclusive(|&byte| byte == b'\n').enumerate() {
            records.push(serde_json::from_slice(line).map_err(|error| refused(index, error.to_string()))?);
        }
        if !rest.is_empty() {
            if !is_cut_short::<T>(rest) {
                return Err(refused(
                    records.len(),
                    "it does not end with a line break, and is not the beginning of a record".to_owned(),
                ));
            }
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

/// Whether another process holds the lock that was `tried` for. Where locks fail, as there are none on this file system, that is not known: the
/// lock protects as well as it can, and what worked without goes on.
fn is_in_use(tried: &Result<(), TryLockError>) -> bool {
    matches!(tried, Err(TryLockError::WouldBlock))
}

/// Whether `rest`, which does not end with a line break, is what a killed writer leaves of a record: it begins like one, and is not the whole of
/// something else.
fn is_cut_short<T: DeserializeOwned>(rest: &[u8]) -> bool {
    let begins = rest.starts_with(BEGINNING) || BEGINNING.starts_with(rest);
    begins && (serde_json::from_slice::<T>(rest).is_ok() || serde_json::from_slice::<IgnoredAny>(rest).is_err())
}

impl Records {
    /// Records that are not kept on disk.
    pub fn in_memory() -> Self {
        Self { lines: None, known: HashMap::new() }
    }

    /// Opens the file at `path`, or makes it. A last line without an end is cut off if it is what a killed writer leaves of a record. Nobody else
    /// may open it until this is dropped; where the file system has no locks, who does is not noticed.
    ///
    /// # Errors
    /// [`RecordsError`] when the file cannot be read and written, is in use, or holds something else than records; then it is unchanged.
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

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn records_are_used_where_there_are_no_locks_and_refused_only_where_another_holds_one() {
        for none in [Errno::NOLCK, Errno::NOSYS, Errno::OPNOTSUPP] {
            assert!(!is_in_use(&Err(TryLockError::Error(none.into()))), "{none}");
        }
        assert!(!is_in_use(&Ok(())) && is_in_use(&Err(TryLockError::WouldBlock)));
    }
}
