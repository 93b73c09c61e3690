//! Whether a file carries the checksums by which a changed byte is noticed.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use mcap::McapError;
use mcap::records::op;

/// Bytes of a chunk's header in front of its checksum: its two times and its size without compression.
const TIMES: usize = 16;
/// The same with size and checksum.
const HEADER: usize = TIMES + 8 + 4;

/// Whether every message of the file at `path` is under a checksum: that of the whole data section, or that of its chunk. Writers may
/// leave out either (it is then 0): rosbag2's leaves out that of the data section, and with the preset `fastwrite` that of chunks too.
///
/// Only headers are read. Whether the checksums fit is for who reads the messages.
///
/// # Errors
/// [`McapError`] when the file cannot be read, or its data section does not end.
pub(super) fn has_checksums(path: &Path) -> Result<bool, McapError> {
    let mut input = BufReader::new(File::open(path)?);
    input.seek_relative(mcap::MAGIC.len() as i64)?;
    let (mut has_chunks, mut is_each_checked) = (false, true);
    loop {
        let [opcode] = bytes(&mut input)?;
        let len = u64::from_le_bytes(bytes(&mut input)?);
        let too_large = McapError::RecordTooLarge { opcode, len };
        let mut rest = len;
        match opcode {
            op::DATA_END => {
                let data_section_crc = u32::from_le_bytes(bytes(&mut input)?);
                return Ok(data_section_crc != 0 || (has_chunks && is_each_checked));
            }
            op::CHUNK => {
                let _: [u8; TIMES] = bytes(&mut input)?;
                let size = u64::from_le_bytes(bytes(&mut input)?);
                let crc = u32::from_le_bytes(bytes(&mut input)?);
                has_chunks = true;
                is_each_checked &= size == 0 || crc != 0;
                rest = len.checked_sub(HEADER as u64).ok_or(McapError::UnexpectedEoc)?;
            }
            // Beside the chunks, so that no chunk's checksum speaks of them.
            op::SCHEMA | op::CHANNEL | op::MESSAGE => is_each_checked = false,
            _ => {}
        }
        input.seek_relative(i64::try_from(rest).map_err(|_| too_large)?)?;
    }
}

fn bytes<const N: usize>(input: &mut impl Read) -> Result<[u8; N], McapError> {
    let mut bytes = [0; N];
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}
