//! What is sound of a file that is damaged: all chunks but those whose bytes are not what was written.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};

use mcap::read::ChannelAccumulator;
use mcap::records::{Record, op};
use mcap::sans_io::{LinearReadEvent, LinearReader, LinearReaderOptions};
use mcap::{MAGIC, McapError, parse_record};

use super::reader::{BagFile, LARGEST_RECORD};
use super::{BagError, BagMessage};

/// Bytes of a record in front of its content: what it is, and its length.
const PREFIX: usize = 1 + 8;
/// Bytes of the record in front of the summary, at the end of the data.
const DATA_END: u64 = PREFIX as u64 + 4;
/// Bytes of the last record, which says where the summary begins.
const FOOTER: usize = PREFIX + 20;
/// The least kind of a record that another writer may have made up.
const PRIVATE: u8 = 0x80;

/// What was left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Losses {
    /// Damaged chunks.
    pub chunks: u64,
    /// Messages whose topic stood in a damaged chunk alone.
    pub nameless: u64,
    /// Bytes behind which nothing says where the next record begins, up to the ends of their files.
    pub bytes: u64,
}

/// Gives all sound messages of `file` to `take`, in their order, and adds the others to `losses`. The end that a cut file lacks is no loss.
///
/// # Errors
/// [`BagError::System`] when the file cannot be read, and those of `take`.
pub(super) fn salvage(
    file: &BagFile,
    losses: &mut Losses,
    mut take: impl FnMut(BagMessage) -> Result<(), BagError>,
) -> Result<(), BagError> {
    let system = |source| BagError::System { path: file.path.clone(), source };
    let mut input = BufReader::new(File::open(&file.path).map_err(system)?);
    let length = input.get_ref().metadata().map_err(system)?.len();
    let end = if file.is_cut { length } else { length.saturating_sub(MAGIC.len() as u64) };
    let mut channels = summarised(&mut input, length).unwrap_or_default();
    let (mut place, mut has_chunks) = (MAGIC.len() as u64, false);
    input.seek(SeekFrom::Start(place)).map_err(system)?;
    let mut record = Vec::new();
    while place + PREFIX as u64 <= end {
        let mut prefix = [0; PREFIX];
        input.read_exact(&mut prefix).map_err(system)?;
        let [kind, size @ ..] = prefix;
        let size = u64::from_le_bytes(size);
        let next = place.saturating_add(PREFIX as u64).saturating_add(size);
        let is_kind = (op::HEADER..=op::DATA_END).contains(&kind) || kind >= PRIVATE;
        if is_kind && next > end && file.is_cut {
            break;
        }
        let is_read = matches!(kind, op::CHUNK | op::SCHEMA | op::CHANNEL | op::MESSAGE);
        if !is_kind || next > end || (is_read && size > LARGEST_RECORD as u64) {
            losses.bytes += end - place;
            break;
        }
        place = next;
        has_chunks |= kind == op::CHUNK;
        // Where there are chunks, what looks like a message beside them is none.
        if !is_read || (has_chunks && kind == op::MESSAGE) {
            input.seek_relative(size as i64).map_err(system)?;
            continue;
        }
        record.clear();
        record.extend_from_slice(&prefix);
        record.resize(PREFIX + size as usize, 0);
        input.read_exact(&mut record[PREFIX..]).map_err(system)?;
        match messages(&record, &mut channels) {
            Ok(Found { messages, nameless }) => {
                losses.nameless += nameless;
                messages.into_iter().try_for_each(&mut take)?;
            }
            Err(_) if kind == op::CHUNK => losses.chunks += 1,
            Err(_) => losses.bytes += record.len() as u64,
        }
    }
    Ok(())
}

/// What is in a record.
#[derive(Default)]
struct Found {
    messages: Vec<BagMessage>,
    /// Messages of channels that are not known.
    nameless: u64,
}

/// The messages of a `record`, and of all records in it where it is a chunk; its checksum is compared first.
fn messages(record: &[u8], channels: &mut ChannelAccumulator<'static>) -> Result<Found, McapError> {
    let mut found = Found::default();
    let options = LinearReaderOptions::default().with_skip_end_magic(true).with_prevalidate_chunk_crcs(true);
    records(record, options, |record| {
        if let Record::Message { header, data } = record {
            match channels.get(header.channel_id) {
                Some(channel) => found.messages.push(BagMessage::from(mcap::Message {
                    channel,
                    sequence: header.sequence,
                    log_time: header.log_time,
                    publish_time: header.publish_time,
                    data,
                })),
                None => found.nameless += 1,
            }
            return Ok(());
        }
        define(channels, record)
    })?;
    Ok(found)
}

/// Channels and their schemas as the summary at the end of the file repeats them; None where there is none, or it is damaged.
fn summarised(input: &mut BufReader<File>, length: u64) -> Option<ChannelAccumulator<'static>> {
    let mut footer = [0; FOOTER];
    input.seek(SeekFrom::Start(length.checked_sub((FOOTER + MAGIC.len()) as u64)?)).ok()?;
    input.read_exact(&mut footer).ok()?;
    let [op::FOOTER, _, _, _, _, _, _, _, _, rest @ ..] = footer else { return None };
    let start = u64::from_le_bytes(*rest.first_chunk()?);
    // The summary's checksum counts from the record in front of it on.
    let start = start.checked_sub(DATA_END)?;
    let size = usize::try_from(length.checked_sub(start)?).ok().filter(|size| *size <= LARGEST_RECORD)?;
    let mut summary = vec![0; size];
    input.seek(SeekFrom::Start(start)).ok()?;
    input.read_exact(&mut summary).ok()?;
    if summary.first() != Some(&op::DATA_END) {
        return None;
    }
    let mut channels = ChannelAccumulator::default();
    let options = LinearReaderOptions::default().with_validate_summary_section_crc(true);
    records(&summary, options, |record| define(&mut channels, record)).ok()?;
    Some(channels)
}

/// Notes a channel or schema.
fn define(channels: &mut ChannelAccumulator<'static>, record: Record<'static>) -> Result<(), McapError> {
    match record {
        Record::Schema { header, data } => channels.add_schema(header, data),
        Record::Channel(channel) => match channels.add_channel(channel) {
            // Its schema was lost; the messages that can be named are still to be saved.
            Err(McapError::UnknownSchema(..)) => Ok(()),
            other => other,
        },
        _ => Ok(()),
    }
}

/// Gives the channels, schemas and messages in `bytes` to `take`.
fn records(
    mut bytes: &[u8],
    options: LinearReaderOptions,
    mut take: impl FnMut(Record<'static>) -> Result<(), McapError>,
) -> Result<(), McapError> {
    let options = options.with_skip_start_magic(true).with_record_length_limit(LARGEST_RECORD);
    let mut reader = LinearReader::new_with_options(options);
    while let Some(event) = reader.next_event() {
        match event? {
            LinearReadEvent::ReadRequest(wanted) => {
                let (now, later) = bytes.split_at(wanted.min(bytes.len()));
                reader.insert(now.len()).copy_from_slice(now);
                reader.notify_read(now.len());
                bytes = later;
            }
            LinearReadEvent::Record { data, opcode } => {
                // Others are of no use here, and need not be well-formed.
                if matches!(opcode, op::SCHEMA | op::CHANNEL | op::MESSAGE) {
                    take(parse_record(opcode, data)?.into_owned())?;
                }
            }
        }
    }
    Ok(())
}
