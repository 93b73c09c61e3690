//! Reading a bag: of this suite, of `ros2 bag record`, or of any other writer of rosbag2's MCAP layout.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mcap::McapError;
use mcap::io::MessageReader;
use mcap::sans_io::LinearReaderOptions;

use super::checksums::has_checksums;
use super::metadata::{Metadata, MetadataFile};
use super::writer::{COMPLETE, DROPPED, OFFERED_QOS, TYPE_HASH};
use super::{BagError, TopicQos};

/// Largest record or chunk that is read \[bytes\]: what a flipped bit in a length can make us allocate.
pub(super) const LARGEST_RECORD: usize = 1 << 28;

/// A bag at rest.
#[derive(Clone, Debug)]
pub struct Bag {
    path: PathBuf,
    files: Vec<BagFile>,
    metadata: Option<Metadata>,
}

/// One of a bag's files.
#[derive(Clone, Debug)]
pub(super) struct BagFile {
    pub path: PathBuf,
    /// Whether the end that every ended file has is missing.
    pub is_cut: bool,
}

/// One message, as it was recorded.
#[derive(Clone, Debug)]
pub struct BagMessage {
    channel: Arc<mcap::Channel<'static>>,
    /// When it arrived at the recorder \[ns since 1970, or of simulated time\].
    pub log_time: u64,
    /// When it was published, where that is known; else as `log_time`.
    pub publish_time: u64,
    /// Its bytes: CDR with its four bytes in front.
    pub data: Vec<u8>,
}

/// What is known of a bag's soundness once all of it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Integrity {
    /// Ended as it should be, and every byte is what was written.
    Checked,
    /// Ended as it should be, but its writer left out the checksums: a changed byte would not be noticed.
    WithoutChecksums,
    /// The recorder ended before its time. What is there is what was written, as far as there are checksums.
    Cut,
}

/// A bag in numbers.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct BagSummary {
    /// Its soundness.
    pub integrity: Integrity,
    /// Topics by name.
    pub topics: BTreeMap<String, TopicSummary>,
    /// Arrival of the first and the last message \[ns\].
    pub span: Option<(u64, u64)>,
}

/// A topic in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct TopicSummary {
    /// Type of its messages.
    #[serde(rename = "type")]
    pub kind: String,
    /// Messages in the bag.
    pub messages: u64,
    /// Messages that the recorder says it lost.
    pub dropped: u64,
}

impl Bag {
    /// Finds the parts of the bag `path`: its folder, or a single .mcap file.
    ///
    /// # Errors
    /// [`BagError`] when there is no bag, or one of a kind that is not read.
    pub fn open(path: &Path) -> Result<Self, BagError> {
        let no_bag = || BagError::NoBag { path: path.to_owned() };
        let (mut files, mut metadata) = (vec![path.to_owned()], None);
        if path.is_dir() {
            metadata = read_metadata(&path.join("metadata.yaml"))?;
            files = match &metadata {
                Some(metadata) if metadata.storage_identifier != "mcap" || !metadata.compression_mode.is_empty() => {
                    let storage = format!("{} {}", metadata.storage_identifier, metadata.compression_format);
                    return Err(BagError::Storage { path: path.to_owned(), storage: storage.trim_end().to_owned() });
                }
                Some(metadata) => metadata.relative_file_paths.iter().map(|file| path.join(file)).collect(),
                None => mcap_files(path)?,
            };
        } else if path.extension().is_none_or(|extension| extension != "mcap") {
            return Err(no_bag());
        }
        if files.is_empty() {
            return Err(no_bag());
        }
        let file = |path: PathBuf| {
            let is_cut = !ends_with_magic(&path).map_err(|source| BagError::System { path: path.clone(), source })?;
            Ok(BagFile { path, is_cut })
        };
        Ok(Self { path: path.to_owned(), files: files.into_iter().map(file).collect::<Result<_, BagError>>()?, metadata })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its messages, in the order of the file. A chunk's checksum is compared before its first message is given out. A file that was
    /// cut short ends with its last whole chunk.
    pub fn messages(&self) -> BagMessages {
        BagMessages { files: self.files.clone().into_iter(), open: None, count: 0, failed: false }
    }

    /// Its files, in the order in which they were written.
    pub(super) fn files(&self) -> &[BagFile] {
        &self.files
    }

    fn custom(&self) -> impl Iterator<Item = (&str, &str)> {
        let custom = self.metadata.iter().filter_map(|metadata| metadata.custom_data.as_ref());
        custom.flatten().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Topics of which the recorder says that it lost messages, and how many.
    pub(super) fn dropped(&self) -> impl Iterator<Item = (&str, u64)> {
        self.custom().filter_map(|(key, count)| Some((key.strip_prefix(DROPPED)?, count.parse().unwrap_or_default())))
    }

    /// Reads all of the bag and compares all checksums.
    ///
    /// # Errors
    /// [`BagError::Damaged`] or [`BagError::Inconsistent`] when it is not what was written; [`BagError::System`].
    pub fn verify(&self) -> Result<BagSummary, BagError> {
        let mut topics = BTreeMap::<String, TopicSummary>::new();
        let mut span = None;
        for message in self.messages() {
            let message = message?;
            let (first, last) = span.unwrap_or((message.log_time, message.log_time));
            span = Some((message.log_time.min(first), message.log_time.max(last)));
            let topic = match topics.get_mut(message.topic()) {
                Some(topic) => topic,
                None => topics.entry(message.topic().to_owned()).or_default(),
            };
            if topic.messages == 0 {
                topic.kind = message.kind().to_owned();
            }
            topic.messages += 1;
        }
        for (topic, count) in self.dropped() {
            topics.entry(topic.to_owned()).or_default().dropped = count;
        }
        let is_cut = self.files.iter().any(|file| file.is_cut);
        let is_ended = self.custom().all(|(key, value)| key != COMPLETE || value == "true");
        if let (false, true, Some(metadata)) = (is_cut, is_ended, &self.metadata) {
            let found: u64 = topics.values().map(|topic| topic.messages).sum();
            if found != metadata.message_count {
                let what = format!("metadata.yaml speaks of {} messages, the files hold {found}", metadata.message_count);
                return Err(BagError::Inconsistent { path: self.path.clone(), what });
            }
        }
        let mut integrity = if is_cut || !is_ended { Integrity::Cut } else { Integrity::Checked };
        if integrity == Integrity::Checked {
            for file in &self.files {
                if !has_checksums(&file.path).map_err(|source| BagError::Damaged {
                    path: file.path.clone(),
                    after: None,
                    source,
                })? {
                    integrity = Integrity::WithoutChecksums;
                }
            }
        }
        Ok(BagSummary { integrity, topics, span })
    }
}

impl From<mcap::Message<'static>> for BagMessage {
    fn from(message: mcap::Message<'static>) -> Self {
        let mcap::Message { channel, log_time, publish_time, data, .. } = message;
        Self { channel, log_time, publish_time, data: data.into_owned() }
    }
}

impl BagMessage {
    /// Name of its topic.
    pub fn topic(&self) -> &str {
        &self.channel.topic
    }

    /// Name of its type; empty when the bag does not say.
    pub fn kind(&self) -> &str {
        self.channel.schema.as_ref().map_or("", |schema| &schema.name)
    }

    /// Hash of its type; empty when the bag does not say.
    pub fn type_hash(&self) -> &str {
        self.channel.metadata.get(TYPE_HASH).map_or("", String::as_str)
    }

    /// How its publishers offered the topic; none when the bag does not say, or in the words of older versions of rosbag2.
    pub fn offered_qos(&self) -> Vec<TopicQos> {
        let offered = self.channel.metadata.get(OFFERED_QOS);
        offered.and_then(|yaml| serde_yaml::from_str(yaml).ok()).unwrap_or_default()
    }

    /// Text of its type, with those of all contained types behind.
    pub fn definition(&self) -> &[u8] {
        self.channel.schema.as_ref().map_or(&[], |schema| &schema.data)
    }
}

/// The messages of a [`Bag`].
pub struct BagMessages {
    files: std::vec::IntoIter<BagFile>,
    open: Option<(BagFile, MessageReader<BufReader<File>>)>,
    count: u64,
    failed: bool,
}

impl Iterator for BagMessages {
    type Item = Result<BagMessage, BagError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.failed {
            if self.open.is_none() {
                let file = self.files.next()?;
                match File::open(&file.path) {
                    Ok(input) => {
                        let reader = MessageReader::new_with_options(BufReader::new(input), options());
                        self.open = Some((file, reader));
                    }
                    Err(source) => {
                        self.failed = true;
                        return Some(Err(BagError::System { path: file.path, source }));
                    }
                }
            }
            let (file, reader) = self.open.as_mut()?;
            match reader.next() {
                Some(Ok(message)) => {
                    self.count += 1;
                    return Some(Ok(message.into()));
                }
                None => self.open = None,
                Some(Err(McapError::UnexpectedEof)) if file.is_cut => self.open = None,
                Some(Err(source)) => {
                    self.failed = true;
                    return Some(Err(BagError::Damaged { path: file.path.clone(), after: Some(self.count), source }));
                }
            }
        }
        None
    }
}

fn options() -> LinearReaderOptions {
    LinearReaderOptions::default()
        .with_prevalidate_chunk_crcs(true)
        .with_validate_data_section_crc(true)
        .with_validate_summary_section_crc(true)
        .with_check_finishes_after_end_magic(true)
        .with_record_length_limit(LARGEST_RECORD)
}

/// `metadata.yaml`, where there is one.
fn read_metadata(path: &Path) -> Result<Option<Metadata>, BagError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(BagError::System { path: path.to_owned(), source }),
    };
    match serde_yaml::from_str::<MetadataFile>(&text) {
        Ok(file) => Ok(Some(file.rosbag2_bagfile_information)),
        Err(error) => {
            Err(BagError::Inconsistent { path: path.to_owned(), what: format!("it is no metadata of rosbag2 ({error})") })
        }
    }
}

/// The .mcap files of a folder without metadata, in the order in which they were written: rosbag2 counts them at the end of their names
/// (`walk_9.mcap`, `walk_10.mcap`).
fn mcap_files(folder: &Path) -> Result<Vec<PathBuf>, BagError> {
    let entries = std::fs::read_dir(folder).map_err(|source| BagError::System { path: folder.to_owned(), source })?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut files: Vec<_> = paths.filter(|path| path.extension().is_some_and(|extension| extension == "mcap")).collect();
    files.sort_by_cached_key(|path| (number_of(path), path.clone()));
    Ok(files)
}

/// The number after the last `_` of a file's name; None when there is none.
fn number_of(path: &Path) -> Option<u64> {
    path.file_stem()?.to_str()?.rsplit_once('_')?.1.parse().ok()
}

fn ends_with_magic(path: &Path) -> std::io::Result<bool> {
    let mut file = File::open(path)?;
    let mut end = [0; 8];
    if file.metadata()?.len() < 2 * end.len() as u64 {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-(end.len() as i64)))?;
    file.read_exact(&mut end)?;
    Ok(end == mcap::MAGIC)
}
