//! Numbers as the bytes that safetensors files hold: little-endian. And those bytes from files that may be anything.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system refused.
    #[error(transparent)]
    System(#[from] std::io::Error),
    /// It is too large.
    #[error("it has at least {given} bytes; at most {largest} are read")]
    Size {
        /// Bytes of the file, as far as they are known.
        given: u64,
        /// Most bytes that are read.
        largest: u64,
    },
}

/// The bytes of the file at `path`, which may also be a pipe or a device. No more than one beyond `largest` is read.
///
/// # Errors
/// [`ReadError`] when the system refuses, or there are more than `largest`.
pub fn read_at_most(path: &Path, largest: u64) -> Result<Vec<u8>, ReadError> {
    let file = File::open(path)?;
    // What is known beforehand need not be read; a pipe or a device has the length 0.
    let length = file.metadata()?.len();
    let mut bytes = Vec::new();
    if length <= largest {
        bytes.reserve_exact(length as usize);
        file.take(largest.saturating_add(1)).read_to_end(&mut bytes)?;
    }
    let given = length.max(bytes.len() as u64);
    if given > largest { Err(ReadError::Size { given, largest }) } else { Ok(bytes) }
}

/// The bytes of `values`.
pub fn f32_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// The numbers in `bytes`; a rest of fewer than four bytes is left out.
pub fn f32_values(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

/// The bytes of `values`.
pub fn u16_bytes(values: &[u16]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// The numbers in `bytes`; a single byte at the end is left out.
pub fn u16_values(bytes: &[u8]) -> Vec<u16> {
    bytes.as_chunks().0.iter().map(|bytes| u16::from_le_bytes(*bytes)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_of_a_file_is_read_than_was_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, b"12345").unwrap();
        assert_eq!(read_at_most(&path, 5).unwrap(), b"12345");
        assert!(matches!(read_at_most(&path, 4), Err(ReadError::Size { given: 5, largest: 4 })));
        // One that never ends and has no length.
        assert!(matches!(read_at_most(Path::new("/dev/zero"), 1000), Err(ReadError::Size { given: 1001, largest: 1000 })));
        assert!(matches!(read_at_most(&folder.path().join("none"), 5), Err(ReadError::System(_))));
    }
}
