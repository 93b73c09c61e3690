//! What is lost where a command writes its file.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde_json::{Map, Value};

use crate::Failure;

/// Longest header of a file of tensors that is looked at \[bytes\]. Those that are written here have a few hundred.
const LONGEST_HEADER: u64 = 1 << 20;

/// Refuses to write `out` where that would lose something: one of `inputs`, which the command reads, or a file of which `is_own` does not say that the same
/// command wrote it before. `kind` is what it writes, in words. Nothing is lost of an empty file, a pipe or a device.
pub fn refuse_loss(out: &Path, inputs: &[&Path], kind: &str, is_own: impl FnOnce(&Path) -> bool) -> Result<(), Failure> {
    // Where there is nothing, or what is there cannot be looked at, writing says what is wrong.
    let Ok(there) = std::fs::metadata(out) else { return Ok(()) };
    if !there.is_file() || there.len() == 0 {
        return Ok(());
    }
    // Whatever links lead to it.
    let is_it = |path: &&Path| std::fs::metadata(path).is_ok_and(|file| (file.dev(), file.ino()) == (there.dev(), there.ino()));
    let refused = |why: &str| Err(format!("{} {why}; name another file, or replace it by --force", out.display()).into());
    if inputs.iter().any(is_it) {
        return refused("is read by this command and would be lost");
    }
    if is_own(out) { Ok(()) } else { refused(&format!("is there and is not {kind}")) }
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
