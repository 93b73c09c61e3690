//! What is lost where a command writes its file.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use hebbian_locomotion::durable::{is_replaced, is_standard_output};
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use crate::Failure;

/// Links that may lead to a file one after the other, as many as Linux follows.
const MOST_LINKS: usize = 40;
/// Longest header of a file of tensors that is looked at \[bytes\]. Those that are written here have a few hundred.
const LONGEST_HEADER: u64 = 1 << 20;

/// Refuses to write `out` where that would lose something: one of `inputs`, which the command reads, or a file of which `is_own` does not say that the same
/// command wrote it before. `kind` is what it writes, in words. Nothing is lost of an empty file, nor of what is written into, as a pipe or a device.
pub fn refuse_loss(out: &Path, inputs: &[&Path], kind: &str, is_own: impl FnOnce(&Path) -> bool) -> Result<(), Failure> {
    match loss(out, inputs.iter().copied(), kind, is_own) {
        Some(lost) => Err(format!("{lost}; name another file, or replace it by --force").into()),
        None => Ok(()),
    }
}

/// The same for the figures of a command that has no --force: refuses to write `json`, where that was asked for, over one of `inputs` or over what is no
/// JSON. To be called before any work, which would be in vain.
pub fn refuse_json_loss<'a>(json: Option<&Path>, inputs: impl IntoIterator<Item = &'a Path>) -> Result<(), Failure> {
    match json.and_then(|out| loss(out, inputs, "JSON", is_json)) {
        Some(lost) => Err(format!("--json: {lost}; name another file").into()),
        None => Ok(()),
    }
}

/// What would be lost if `out` were written, in words.
pub fn loss<'a>(
    out: &Path,
    inputs: impl IntoIterator<Item = &'a Path>,
    kind: &str,
    is_own: impl FnOnce(&Path) -> bool,
) -> Option<String> {
    // Where there is nothing, or what is there cannot be looked at, writing says what is wrong.
    let there = std::fs::metadata(out).ok().filter(|there| there.len() > 0 && is_replaced(out))?;
    let is_it = |path: &Path| identity(path) == Some((there.dev(), there.ino()));
    if inputs.into_iter().any(is_it) {
        return Some(format!("{} is read by this command and would be lost", out.display()));
    }
    (!is_own(out)).then(|| format!("{} is there and is not {kind}", out.display()))
}

/// Device and number of what is at `path`, whatever links lead to it.
fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

/// Whether `one` and `other` are one file, however they are spelled and whatever links lead there, also where there is none yet.
pub fn is_same_file(one: &Path, other: &Path) -> bool {
    match (identity(one), identity(other)) {
        (Some(one), Some(other)) => one == other,
        _ => place(one).is_some_and(|one| place(other) == Some(one)),
    }
}

/// Where a file written to `path` goes: its folder, without links, `.` and `..`, and its name there. None where there is no such folder.
fn place(path: &Path) -> Option<PathBuf> {
    let folder_of = |path: &Path| path.parent().map_or(PathBuf::new(), |folder| Path::new(".").join(folder));
    let mut path = path.to_owned();
    // Also those that lead to nothing yet: who writes there makes it.
    for _ in 0..MOST_LINKS {
        let Ok(target) = std::fs::read_link(&path) else { break };
        path = folder_of(&path).join(target);
    }
    Some(folder_of(&path).canonicalize().ok()?.join(path.file_name()?))
}

/// Whether `path` is one JSON object or list and nothing else, as `--json` writes it; records, one a line, are not.
fn is_json(path: &Path) -> bool {
    let is_one = |file: File| {
        let mut file = BufReader::new(file);
        let begins = file.fill_buf().is_ok_and(|bytes| bytes.starts_with(b"{") || bytes.starts_with(b"["));
        begins && serde_json::from_reader::<_, IgnoredAny>(file).is_ok()
    };
    File::open(path).is_ok_and(is_one)
}

/// Says what a command wrote to `out`, where it was not standard output: there, nothing may follow it.
pub fn say_written(out: &Path, text: &str) {
    if is_standard_output(out) {
        eprintln!("{text}");
    } else {
        println!("{text}");
    }
}

/// Whether `path` is a safetensors file of just such tensors: all that are `needed`, and beside them none but those that are `optional`.
pub fn holds_tensors(path: &Path, needed: &[&str], optional: &[&str]) -> bool {
    let header = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let mut length = [0; 8];
        file.read_exact(&mut length)?;
        let mut header = Vec::new();
        file.take(u64::from_le_bytes(length).min(LONGEST_HEADER)).read_to_end(&mut header)?;
        Ok(header)
    };
    let header = header().ok().and_then(|header| serde_json::from_slice::<Map<String, Value>>(&header).ok());
    header.is_some_and(|mut header| {
        header.remove("__metadata__");
        needed.iter().all(|name| header.contains_key(*name))
            && header.keys().all(|name| needed.contains(&name.as_str()) || optional.contains(&name.as_str()))
    })
}
