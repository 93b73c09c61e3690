//! Writing files so that a crash at any moment leaves either the old content or the new.

use std::fs::{File, Metadata, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::io::Errno;

/// Links that may lead to a file one after the other, as many as Linux follows.
const MOST_LINKS: usize = 40;

/// Writes that this program has begun.
static WRITES: AtomicU64 = AtomicU64::new(0);

/// A file that could not be written, or not as safely as it should be. Its text says what is there now.
#[derive(Debug, thiserror::Error)]
#[error("{}", said(path, source))]
pub struct WriteError {
    /// The file.
    pub path: PathBuf,
    /// The system's reason.
    pub source: std::io::Error,
}

/// What a write has left that did not leave all as it was, with the system's reason. It is the source of a [`WriteError`], so that it is said wherever
/// the source is.
#[derive(Debug, thiserror::Error)]
enum Left {
    /// A part of the bytes, in what is written into.
    #[error("{0}; a part of the content may be written")]
    Part(std::io::Error),
    /// The new file, whose folder is not safe on the disk.
    #[error(
        "{0}, when its folder was to be flushed to the disk; the file is written, but its name may be lost if the power fails now"
    )]
    Whole(std::io::Error),
}

/// The error of a write into a file, whose [`WriteError`] then says that a part of the content may be there.
pub(crate) fn in_part(source: std::io::Error) -> std::io::Error {
    std::io::Error::new(source.kind(), Left::Part(source))
}

impl Left {
    fn whole(source: std::io::Error) -> std::io::Error {
        std::io::Error::new(source.kind(), Self::Whole(source))
    }
}

/// The text of a [`WriteError`].
fn said(path: &Path, source: &std::io::Error) -> String {
    let path = path.display();
    match source.get_ref().and_then(|reason| reason.downcast_ref::<Left>()) {
        None => format!("cannot write {path}: {source}; what was there before is unchanged"),
        Some(Left::Part(_)) => format!("cannot write all of {path}: {source}"),
        Some(Left::Whole(_)) => format!("{path}: {source}"),
    }
}

/// Writes `bytes` to `path` by way of a temporary file beside it: written, flushed to the disk, renamed. Links are followed: what is replaced is the
/// file that they lead to. What is no file, such as a pipe, a terminal or /dev/null, gets the bytes as it is, and so do the file that this program's
/// own output goes to and, at its end, an open file (`/dev/fd/3`): were they replaced, what others write into them would be lost. The new file has the
/// mode of the one that it replaces and, as far as this user may give it away, its owner; one that this user may not write into is not replaced.
///
/// # Errors
/// [`WriteError`] with the system's reason; a file that would have been replaced is then unchanged. Only where its folder could not be flushed after the
/// rename, it is the new one, and the error says so. File systems that flush no folders are no error.
pub fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    let failed = |source| WriteError { path: path.into(), source };
    let write_into =
        |output: &mut dyn Write| output.write_all(bytes).and_then(|()| output.flush()).map_err(|source| failed(in_part(source)));
    // Where there is nothing yet, or what is there cannot be looked at, writing says what is wrong.
    if let Ok(there) = std::fs::metadata(path) {
        if let Some(mut output) = own_output(&there) {
            return write_into(&mut output);
        }
        if !there.is_file() {
            return write_into(&mut OpenOptions::new().write(true).open(path).map_err(failed)?);
        }
    }
    let Some(path) = followed(path).map_err(failed)? else {
        return write_into(&mut OpenOptions::new().append(true).open(path).map_err(failed)?);
    };
    let folder = folder_of(&path);
    let mut name = path.file_name().unwrap_or_default().to_owned();
    // The process id keeps two programs, and the number two threads, that write one file from sharing a temporary one.
    name.push(format!(".{}.{}.tmp", std::process::id(), WRITES.fetch_add(1, Ordering::Relaxed)));
    let temporary = folder.join(name);
    let write = || {
        let mut file = create(&temporary, replaced(&path)?.as_ref())?;
        file.write_all(bytes)?;
        file.sync_all()?;
        // Before the rename: here an error still leaves the old file.
        let folder = open_folder(folder)?;
        std::fs::rename(&temporary, &path)?;
        // The rename itself is durable only once the folder is.
        folder.map_or(Ok(()), |folder| after_rename(folder.sync_all()))
    };
    write().map_err(|source| {
        let _ = std::fs::remove_file(&temporary);
        failed(source)
    })
}

/// What is known of the file at `path` that is to be replaced, if there is one. An error where this user may not write into it, as any other write would
/// be: a rename asks only the folder.
fn replaced(path: &Path) -> std::io::Result<Option<Metadata>> {
    match OpenOptions::new().write(true).open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        file => file?.metadata().map(Some),
    }
}

/// Makes an empty file at `path`, with the mode of the file `old` that it is to replace and, as far as this user may give it away, its owner.
fn create(path: &Path, old: Option<&Metadata>) -> std::io::Result<File> {
    let Some(old) = old else { return File::create(path) };
    // Until its mode is set nobody else can open it, who may not be let into the old one.
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    let new = file.metadata()?;
    if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
        // Only root gives files to others, whose own file may be one that only they can read. To a group, its members can.
        let _ = fchown(&file, Some(old.uid()), Some(old.gid())).or_else(|_| fchown(&file, None, Some(old.gid())));
    }
    // Only where they differ: there are file systems on which all files have one mode, and setting it is refused.
    if new.permissions() != old.permissions() {
        file.set_permissions(old.permissions())?;
    }
    Ok(file)
}

/// The folder `path`, to be flushed. None where this user may make files in it but not read it, so that it cannot be.
fn open_folder(path: &Path) -> std::io::Result<Option<File>> {
    match File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Ok(None),
        folder => folder.map(Some),
    }
}

/// What it means that a folder was `flushed`, or not, after a rename in it.
fn after_rename(flushed: std::io::Result<()>) -> std::io::Result<()> {
    // Some file systems, mostly those of networks, flush no folders. There the rename is as durable as it can be.
    let is_refused = |error| [Errno::INVAL, Errno::BADF, Errno::NOTSUP, Errno::NOSYS].contains(&error);
    match flushed {
        Err(error) if Errno::from_io_error(&error).is_some_and(is_refused) => Ok(()),
        flushed => flushed.map_err(Left::whole),
    }
}

/// Whether there is a file at `path` that [`write_durably`] replaces, if this user may: nothing is lost of what it writes into.
pub fn is_replaced(path: &Path) -> bool {
    let Ok(there) = std::fs::metadata(path) else { return false };
    there.is_file() && own_output(&there).is_none() && !matches!(followed(path), Ok(None))
}

/// Whether what is written to `path` goes to this program's standard output.
pub fn is_standard_output(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|there| is_at("/dev/stdout", &there))
}

/// This program's output, if that is what is `there`.
fn own_output(there: &Metadata) -> Option<Box<dyn Write>> {
    if is_at("/dev/stdout", there) {
        return Some(Box::new(std::io::stdout()));
    }
    is_at("/dev/stderr", there).then(|| Box::new(std::io::stderr()) as Box<dyn Write>)
}

/// Whether what is `there` is what `path` leads to.
fn is_at(path: &str, there: &Metadata) -> bool {
    std::fs::metadata(path).is_ok_and(|file| (file.dev(), file.ino()) == (there.dev(), there.ino()))
}

/// What `path` leads to when links are followed, whether anything is there or not. None: to a file that is open, by a link of /proc that stands for it.
/// What such a link says is no name to go by: the file may be another's of that name by now, or have none.
fn followed(path: &Path) -> std::io::Result<Option<PathBuf>> {
    let mut path = path.to_owned();
    for _ in 0..=MOST_LINKS {
        // No link, or nothing at all.
        let Ok(target) = std::fs::read_link(&path) else { return Ok(Some(path)) };
        let folder = folder_of(&path);
        if folder.canonicalize().is_ok_and(|folder| folder.starts_with("/proc")) {
            return Ok(None);
        }
        path = folder.join(target);
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
    fn an_open_file_gets_the_bytes_at_its_end_and_is_not_replaced_whether_it_has_a_name_or_not() {
        use std::io::Read;
        use std::os::fd::AsRawFd;
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let [path, link] = ["log", "link"].map(|name| folder.path().join(name));
        let mut log = OpenOptions::new().read(true).append(true).create(true).open(&path).unwrap();
        let open = PathBuf::from(format!("/dev/fd/{}", log.as_raw_fd()));
        symlink(&open, &link).unwrap();
        assert!(is_replaced(&path) && !is_replaced(&open) && !is_replaced(&link));
        log.write_all(b"before ").unwrap();
        write_durably(&open, b"here ").unwrap();
        write_durably(&link, b"there ").unwrap();
        log.write_all(b"after").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"before here there after");
        assert!(link.is_symlink());
        std::fs::remove_file(&path).unwrap();
        write_durably(&open, b" all").unwrap();
        let mut text = String::new();
        log.read_to_string(&mut text).unwrap();
        // Its position is behind what it wrote last.
        assert_eq!(text, " all");
        // Neither the file's name nor "log (deleted)".
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
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
    fn a_new_file_has_the_mode_of_the_one_that_it_replaces() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy");
        std::fs::write(&path, b"old").unwrap();
        for mode in [0o600, 0o664, 0o755] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            write_durably(&path, b"new").unwrap();
            assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o7777, mode);
        }
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
    }

    #[test]
    fn a_file_that_may_not_be_written_is_not_replaced() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy");
        std::fs::write(&path, b"old").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o444)).unwrap();
        // Root may write everything.
        if OpenOptions::new().write(true).open(&path).is_ok() {
            return;
        }
        let error = write_durably(&path, b"new").unwrap_err().to_string();
        assert!(error.contains("policy: Permission denied") && error.contains("unchanged"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_that_cannot_be_read_is_written_into() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let set = |mode| std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        set(0o300);
        let written = write_durably(&folder.path().join("policy"), b"new");
        set(0o700);
        written.unwrap();
        assert_eq!(std::fs::read(folder.path().join("policy")).unwrap(), b"new");
    }

    #[test]
    fn a_folder_that_is_not_flushed_is_said_without_denying_the_new_file_and_no_error_where_folders_never_are() {
        for refused in [Errno::INVAL, Errno::BADF, Errno::NOTSUP, Errno::NOSYS] {
            assert!(after_rename(Err(refused.into())).is_ok(), "{refused}");
        }
        assert!(after_rename(Ok(())).is_ok());
        let source = after_rename(Err(Errno::IO.into())).unwrap_err();
        let error = WriteError { path: "policy".into(), source }.to_string();
        assert!(error.starts_with("policy: ") && error.contains("the file is written"), "{error}");
        assert!(!error.contains("unchanged") && !error.contains("cannot write"), "{error}");
    }

    #[test]
    fn what_is_written_into_may_hold_a_part_and_is_not_called_unchanged() {
        let error = write_durably(Path::new("/dev/full"), b"new").unwrap_err();
        assert_eq!(error.source.kind(), std::io::ErrorKind::StorageFull);
        let text = error.to_string();
        assert!(text.contains("cannot write all of /dev/full") && text.contains("a part of the content"), "{text}");
        assert!(!text.contains("unchanged"), "{text}");
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
