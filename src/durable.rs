//! Writing files so that a crash at any moment leaves either the old content or the new.

use std::fs::{File, Metadata, OpenOptions};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Links that may lead to a file one after the other, as many as Linux follows.
const MOST_LINKS: usize = 40;

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

/// Writes `bytes` to `path` by way of a temporary file beside it: written, flushed to the disk, renamed. Links are followed: what is replaced is the
/// file that they lead to. What is no file, such as a pipe, a terminal or /dev/null, gets the bytes as it is, and so does the file that this program's
/// own output goes to: were it replaced, the rest of the output would be lost.
///
/// # Errors
/// [`WriteError`] with the system's reason; a file is then unchanged.
pub fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    let failed = |source| WriteError { path: path.into(), source };
    // Where there is nothing yet, or what is there cannot be looked at, writing says what is wrong.
    if let Ok(there) = std::fs::metadata(path) {
        if let Some(mut output) = own_output(&there) {
            return output.write_all(bytes).and_then(|()| output.flush()).map_err(failed);
        }
        if !there.is_file() {
            return OpenOptions::new().write(true).open(path).and_then(|mut output| output.write_all(bytes)).map_err(failed);
        }
    }
    let path = &followed(path).map_err(failed)?;
    let folder = folder_of(path);
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
        failed(source)
    })
}

/// This program's output, if that is what is `there`.
fn own_output(there: &Metadata) -> Option<Box<dyn Write>> {
    let is_it = |path: &str| std::fs::metadata(path).is_ok_and(|own| (own.dev(), own.ino()) == (there.dev(), there.ino()));
    if is_it("/dev/stdout") {
        return Some(Box::new(std::io::stdout()));
    }
    is_it("/dev/stderr").then(|| Box::new(std::io::stderr()) as Box<dyn Write>)
}

/// What `path` leads to when links are followed, whether anything is there or not.
fn followed(path: &Path) -> std::io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..=MOST_LINKS {
        match std::fs::read_link(&path) {
            Ok(target) => path = folder_of(&path).join(target),
            // No link, or nothing at all.
            Err(_) => return Ok(path),
        }
    }
    Err(std::io::Error::other(format!("more than {MOST_LINKS} links lead from one to the next")))
}

/// The folder that `path` is in.
fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
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
    fn a_link_stays_and_the_file_that_it_leads_to_is_replaced() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let [real, links] = ["real", "links"].map(|name| folder.path().join(name));
        for folder in [&real, &links] {
            std::fs::create_dir(folder).unwrap();
        }
        std::fs::write(real.join("policy"), b"old").unwrap();
        symlink("../real/policy", links.join("first")).unwrap();
        symlink(links.join("first"), links.join("second")).unwrap();
        write_durably(&links.join("second"), b"new").unwrap();
        assert_eq!(std::fs::read(real.join("policy")).unwrap(), b"new");
        assert!(["first", "second"].iter().all(|name| links.join(name).is_symlink()));
        // Where a link leads to nothing, that is made.
        symlink("../real/later", links.join("third")).unwrap();
        write_durably(&links.join("third"), b"made").unwrap();
        assert_eq!(std::fs::read(real.join("later")).unwrap(), b"made");
        symlink("ring", links.join("ring")).unwrap();
        let error = write_durably(&links.join("ring"), b"new").unwrap_err().to_string();
        assert!(error.contains("links/ring") && error.contains("more than 40 links"), "{error}");
        assert_eq!([&real, &links].map(|folder| std::fs::read_dir(folder).unwrap().count()), [2, 4]);
    }

    #[test]
    fn a_pipe_gets_the_bytes_and_stays_a_pipe() {
        use std::os::unix::fs::FileTypeExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let reader = std::thread::spawn({
            let path = path.clone();
            move || std::fs::read(path).unwrap()
        });
        write_durably(&path, b"new").unwrap();
        // Before the reader is waited for: it would wait for ever for a writer of a pipe that is gone.
        assert!(std::fs::metadata(&path).unwrap().file_type().is_fifo());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert_eq!(reader.join().unwrap(), b"new");
    }

    #[test]
    fn a_folder_in_the_way_is_named_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy");
        std::fs::create_dir(&path).unwrap();
        assert!(write_durably(&path, b"new").unwrap_err().to_string().contains("policy"));
        assert!(path.is_dir() && std::fs::read_dir(folder.path()).unwrap().count() == 1);
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
