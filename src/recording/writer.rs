//! Writing a bag, message after message, so that a crash loses no more than what came since the last flush.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use mcap::records::{MessageHeader, Metadata as MetadataRecord};

use super::metadata::{Metadata, MetadataFile, TopicCount, TopicMetadata};
use super::{BagError, MessageDefinition, TopicQos};
use crate::durable::write_durably;

/// Serialisation of all ROS 2 messages.
const CDR: &str = "cdr";
/// Name of the metadata record in which rosbag2 repeats `metadata.yaml`.
const METADATA_RECORD: &str = "rosbag2";
/// Entries of a channel's metadata, named by rosbag2.
pub(super) const OFFERED_QOS: &str = "offered_qos_profiles";
pub(super) const TYPE_HASH: &str = "topic_type_hash";
/// Entry of the metadata for programs: whether the bag was ended as it should be.
pub(super) const COMPLETE: &str = "hebbian_locomotion.complete";
/// Prefix of the entries that say how many messages of a topic were lost on the way into the bag.
pub(super) const DROPPED: &str = "hebbian_locomotion.dropped.";

/// How chunks are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not at all: weights hardly compress, and a recorder beside a robot has better things to do.
    #[default]
    None,
    /// Zstandard.
    Zstd,
}

/// How a bag is written.
#[derive(Clone, Debug)]
pub struct WriterOptions {
    /// Of chunks.
    pub compression: Compression,
    /// A chunk ends once it holds so many bytes. Each carries a checksum.
    pub chunk_size: u64,
    /// Name of the ROS distribution, as `ROS_DISTRO` has it; may be empty.
    pub distribution: String,
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self { compression: Compression::None, chunk_size: 1 << 20, distribution: String::new() }
    }
}

/// A topic to be recorded.
#[derive(Clone, Debug)]
pub struct Topic {
    /// Full name.
    pub name: String,
    /// Its type.
    pub definition: MessageDefinition,
    /// How its publishers offer it.
    pub qos: Vec<TopicQos>,
}

/// A topic of one [`BagWriter`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicId(usize);

/// A bag that is being written.
///
/// Dropped without [`BagWriter::finish`], the file is ended as well as can be, but the metadata say that it is not complete.
pub struct BagWriter {
    folder: PathBuf,
    file: PathBuf,
    writer: mcap::Writer<BufWriter<File>>,
    topics: Vec<Written>,
    /// Messages lost on the way into the bag, by topic.
    dropped: BTreeMap<String, u64>,
    span: Option<(u64, u64)>,
    distribution: String,
}

struct Written {
    topic: Topic,
    channel: u16,
    messages: u64,
}

impl BagWriter {
    /// Makes the folder of a new bag.
    ///
    /// # Errors
    /// [`BagError::Exists`] when there is something already, [`BagError::System`] when the system refuses.
    pub fn create(folder: &Path, options: &WriterOptions) -> Result<Self, BagError> {
        let system = |path: &Path| {
            let path = path.to_owned();
            move |source| BagError::System { path, source }
        };
        if folder.exists() {
            return Err(BagError::Exists { path: folder.to_owned() });
        }
        std::fs::create_dir_all(folder).map_err(system(folder))?;
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let file = folder.join(format!("{name}_0.mcap"));
        let output = File::create_new(&file).map_err(system(&file))?;
        let compression = match options.compression {
            Compression::None => None,
            Compression::Zstd => Some(mcap::Compression::Zstd),
        };
        let writer = mcap::WriteOptions::new()
            .profile("ros2")
            .library(concat!("hebbian_locomotion ", env!("CARGO_PKG_VERSION")))
            .compression(compression)
            .compression_threads(0)
            .chunk_size(Some(options.chunk_size))
            // A chunk is then written as a whole: a crash never leaves one with a header that was to be filled in later.
            .disable_seeking(true)
            .create(BufWriter::with_capacity(1 << 16, output))
            .map_err(|source| BagError::Format { path: file.clone(), source })?;
        let bag = Self {
            folder: folder.to_owned(),
            file,
            writer,
            topics: Vec::new(),
            dropped: BTreeMap::new(),
            span: None,
            distribution: options.distribution.clone(),
        };
        // Without it no tool would take the folder for a bag after a crash.
        bag.write_metadata(false)?;
        Ok(bag)
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Adds a topic.
    ///
    /// # Errors
    /// [`BagError::Format`] when there are too many, or the file cannot be written.
    pub fn add_topic(&mut self, topic: Topic) -> Result<TopicId, BagError> {
        let definition = &topic.definition;
        let mut metadata = BTreeMap::from([(OFFERED_QOS.to_owned(), yaml(&topic.qos))]);
        metadata.insert(TYPE_HASH.to_owned(), definition.hash.clone());
        let schema = self.writer.add_schema(&definition.name, "ros2msg", definition.text.as_bytes());
        let channel = schema.and_then(|schema| self.writer.add_channel(schema, &topic.name, CDR, &metadata));
        let channel = channel.map_err(|source| self.failed(source))?;
        self.topics.push(Written { topic, channel, messages: 0 });
        Ok(TopicId(self.topics.len() - 1))
    }

    /// Adds a message: its bytes as they came, with the time of its arrival and of its publication \[ns since 1970, or of simulated time\].
    ///
    /// # Errors
    /// [`BagError::Format`] when it cannot be written.
    pub fn write(&mut self, topic: TopicId, log_time: u64, publish_time: u64, data: &[u8]) -> Result<(), BagError> {
        let Some(written) = self.topics.get_mut(topic.0) else { return Ok(()) };
        // MCAP counts in 32 bits; the count is for people, and may begin again.
        let header = MessageHeader { channel_id: written.channel, sequence: written.messages as u32, log_time, publish_time };
        written.messages += 1;
        let (first, last) = self.span.unwrap_or((log_time, log_time));
        self.span = Some((first.min(log_time), last.max(log_time)));
        self.writer.write_to_known_channel(&header, data).map_err(|source| self.failed(source))
    }

    /// Notes `count` messages of `topic` that were lost on the way into the bag.
    pub fn note_dropped(&mut self, topic: TopicId, count: u64) {
        if let Some(written) = self.topics.get(topic.0) {
            let name = written.topic.name.clone();
            self.note_dropped_of(name, count);
        }
    }

    /// As [`BagWriter::note_dropped`], for a topic of which the bag need hold no message.
    pub(super) fn note_dropped_of(&mut self, topic: String, count: u64) {
        if count > 0 {
            *self.dropped.entry(topic).or_default() += count;
        }
    }

    /// Messages written so far.
    pub fn messages(&self) -> u64 {
        self.topics.iter().map(|topic| topic.messages).sum()
    }

    /// Messages noted as lost so far.
    pub fn dropped(&self) -> u64 {
        self.dropped.values().sum()
    }

    /// Hands all messages so far to the system: they survive the end of this program, however it comes.
    ///
    /// # Errors
    /// [`BagError::Format`] when they cannot be written.
    pub fn flush(&mut self) -> Result<(), BagError> {
        self.writer.flush().map_err(|source| self.failed(source))
    }

    /// Ends the bag: index, metadata, all of it safe on the disk.
    ///
    /// # Errors
    /// [`BagError`] when it cannot be written; what was flushed before is there.
    pub fn finish(mut self) -> Result<(), BagError> {
        let metadata = BTreeMap::from([("serialized_metadata".to_owned(), yaml(&self.metadata(true)))]);
        let record = MetadataRecord { name: METADATA_RECORD.to_owned(), metadata };
        let ended = self.writer.write_metadata(&record).and_then(|()| self.writer.finish().map(|_| ()));
        ended.map_err(|source| self.failed(source))?;
        self.write_metadata(true)?;
        let mut output = self.writer.into_inner();
        let system = |source| BagError::System { path: self.file.clone(), source };
        output.flush().map_err(system)?;
        output.get_ref().sync_all().map_err(system)
    }

    fn failed(&self, source: mcap::McapError) -> BagError {
        BagError::Format { path: self.file.clone(), source }
    }

    fn metadata(&self, is_complete: bool) -> Metadata {
        let topic = |written: &Written| TopicCount {
            topic_metadata: TopicMetadata {
                name: written.topic.name.clone(),
                kind: written.topic.definition.name.clone(),
                serialization_format: CDR.to_owned(),
                offered_qos_profiles: serde_yaml::to_value(&written.topic.qos).unwrap_or_default(),
                type_description_hash: written.topic.definition.hash.clone(),
            },
            message_count: written.messages,
        };
        let mut custom = BTreeMap::from([(COMPLETE.to_owned(), is_complete.to_string())]);
        custom.extend(self.dropped.iter().map(|(topic, count)| (format!("{DROPPED}{topic}"), count.to_string())));
        let file = self.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Metadata::new(file, self.span, self.topics.iter().map(topic).collect(), custom, self.distribution.clone())
    }

    fn write_metadata(&self, is_complete: bool) -> Result<(), BagError> {
        let text = yaml(&MetadataFile { rosbag2_bagfile_information: self.metadata(is_complete) });
        write_durably(&self.folder.join("metadata.yaml"), text.as_bytes())
            .map_err(|error| BagError::System { path: error.path, source: error.source })
    }
}

/// Plain data always have a YAML form.
fn yaml<T: serde::Serialize + ?Sized>(value: &T) -> String {
    serde_yaml::to_string(value).unwrap_or_default()
}
