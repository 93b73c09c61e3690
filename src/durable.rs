//! Writing files so that a crash at any moment leaves either the old content or the new.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Writes that this program has begun.
static WRITES: AtomicU64 = AtomicU64::new(0);

/// A file that could not be written. What was there before is still there.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}: {source}; what was there before is unchanged", path.display())]
pub struct WriteError {
    /// The file.
    pub path: PathBuf,
    /// The system's reason.
    pub source: std::io::Error,
}

/// Writes `bytes` to `path` by way of a temporary file beside it: written, flushed to the disk, renamed.
///
/// # Errors
/// [`WriteError`] with the system's reason; the file is then unchanged.
pub fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut name = path.file_name().unwrap_or_default().to_owned();
    // The process id keeps two programs, and the number two threads, that write one file from sharing a temporary one.
    name.push(format!(".{}.{}.tmp", std::process::id(), WRITES.fetch_add(1, Ordering::Relaxed)));
    let temporary = folder.join(name);
    let write = || {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)?;
        // The rename itself is durable only once the folder is.
        File::open(folder)?.sync_all()
    };
    write().map_err(|source| {
        let _ = std::fs::remove_file(&temporary);
        WriteError { path: path.into(), source }
    })
}

/// Removes from `folder` the temporary files of [`write_durably`] that killed processes have left, of files whose names `is_written` knows. Only
/// for who knows that nobody else writes those at this moment. What cannot be removed stays: it is in nobody's way.
pub fn remove_temporaries(folder: &Path, is_written: impl Fn(&str) -> bool) {
    // FILE.PROCESS.NUMBER.tmp
    let written = |name: &str| -> Option<String> {
        let (rest, number) = name.strip_suffix(".tmp")?.rsplit_once('.')?;
        let (file, process) = rest.rsplit_once('.')?;
        (number.parse::<u64>().is_ok() && process.parse::<u32>().is_ok()).then(|| file.to_owned())
    };
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().to_str().and_then(written).is_some_and(|file| is_written(&file)) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy");
        write_durably(&path, b"old").unwrap();
        write_durably(&path, b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn writers_that_overlap_leave_the_content_of_one_and_disturb_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = &folder.path().join("policy");
        let contents: Vec<Vec<u8>> = (0..4).map(|writer| vec![writer; 1 << 16]).collect();
        std::thread::scope(|scope| {
            for content in &contents {
                scope.spawn(move || (0..20).for_each(|_| write_durably(path, content).unwrap()));
            }
        });
        assert!(contents.contains(&std::fs::read(path).unwrap()));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failed_write_names_the_file_and_keeps_the_old_content() {
        let folder = tempfile::tempdir().unwrap();
        let error = write_durably(&folder.path().join("missing/policy"), b"new").unwrap_err().to_string();
        assert!(error.contains("missing/policy") && error.contains("unchanged"), "{error}");
    }

    #[test]
    fn only_temporary_files_of_known_files_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let stays = ["policy", "policy.tmp", "policy.7.tmp", "policy.x.7.tmp", "policy.7.x.tmp", "other.4242.7.tmp"];
        for name in stays.iter().chain(&["policy.4242.7.tmp", "policy.1.18446744073709551615.tmp"]) {
            std::fs::write(folder.path().join(name), b"half").unwrap();
        }
        remove_temporaries(folder.path(), |file| file == "policy");
        let names = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let (mut left, mut expected) = (names.collect::<Vec<_>>(), stays.map(str::to_owned));
        left.sort();
        expected.sort();
        assert_eq!(left, expected);
        // Where there is no folder there is nothing to remove.
        remove_temporaries(&folder.path().join("missing"), |_| true);
    }
}
