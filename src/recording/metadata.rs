//! `metadata.yaml`: what rosbag2 keeps beside the storage file (version 9, as Jazzy and later write it).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Version of the file that is written; rosbag2 reads all versions up to its own.
const VERSION: u32 = 9;

/// How a topic's publisher offers its messages; what a player offers them with again. Words and fields as in rosbag2.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicQos {
    /// `keep_last`, `keep_all`, `system_default` or `unknown`.
    pub history: String,
    /// Messages that `keep_last` keeps.
    pub depth: u64,
    /// `reliable`, `best_effort`, `system_default` or `unknown`.
    pub reliability: String,
    /// `volatile`, `transient_local`, `system_default` or `unknown`.
    pub durability: String,
    deadline: Span,
    lifespan: Span,
    liveliness: String,
    liveliness_lease_duration: Span,
    avoid_ros_namespace_conventions: bool,
}

impl TopicQos {
    /// A publisher that is reliable or not, and latches its messages or not. How many it keeps is nothing that it tells.
    pub fn new(is_reliable: bool, is_latched: bool) -> Self {
        Self {
            history: "unknown".to_owned(),
            depth: 0,
            reliability: if is_reliable { "reliable" } else { "best_effort" }.to_owned(),
            durability: if is_latched { "transient_local" } else { "volatile" }.to_owned(),
            deadline: Span::ENDLESS,
            lifespan: Span::ENDLESS,
            liveliness: "automatic".to_owned(),
            liveliness_lease_duration: Span::ENDLESS,
            avoid_ros_namespace_conventions: false,
        }
    }
}

/// A span of time as rosbag2 writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Span {
    sec: i64,
    nsec: i64,
}

impl Span {
    /// What rosbag2 writes for "no limit".
    const ENDLESS: Self = Self { sec: 9_223_372_036, nsec: 854_775_807 };
}

/// The file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct MetadataFile {
    pub rosbag2_bagfile_information: Metadata,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Metadata {
    pub version: u32,
    pub storage_identifier: String,
    pub duration: Duration,
    pub starting_time: StartingTime,
    pub message_count: u64,
    #[serde(default)]
    pub topics_with_message_count: Vec<TopicCount>,
    #[serde(default)]
    pub compression_format: String,
    #[serde(default)]
    pub compression_mode: String,
    pub relative_file_paths: Vec<String>,
    #[serde(default)]
    pub files: Vec<FileInformation>,
    #[serde(default)]
    pub custom_data: Option<BTreeMap<String, String>>,
    #[serde(default)]
    pub ros_distro: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Duration {
    pub nanoseconds: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StartingTime {
    pub nanoseconds_since_epoch: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct TopicCount {
    pub topic_metadata: TopicMetadata,
    pub message_count: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct TopicMetadata {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub serialization_format: String,
    /// A list from version 9 on; before it YAML in a string, of which nothing is needed here.
    #[serde(default)]
    pub offered_qos_profiles: serde_yaml::Value,
    #[serde(default)]
    pub type_description_hash: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct FileInformation {
    pub path: String,
    pub starting_time: StartingTime,
    pub duration: Duration,
    pub message_count: u64,
}

impl Metadata {
    /// Of a bag in the one storage file `file`, with messages from `first` to `last` \[ns\].
    pub fn new(
        file: String,
        span: Option<(u64, u64)>,
        topics: Vec<TopicCount>,
        custom: BTreeMap<String, String>,
        distribution: String,
    ) -> Self {
        // Without messages: what rosbag2 writes then.
        let (first, last) = span.unwrap_or((i64::MAX as u64, i64::MAX as u64));
        let message_count = topics.iter().map(|topic| topic.message_count).sum();
        let (duration, starting_time) = (Duration { nanoseconds: last - first }, StartingTime { nanoseconds_since_epoch: first });
        Self {
            version: VERSION,
            storage_identifier: "mcap".to_owned(),
            duration,
            starting_time,
            message_count,
            topics_with_message_count: topics,
            compression_format: String::new(),
            compression_mode: String::new(),
            relative_file_paths: vec![file.clone()],
            files: vec![FileInformation { path: file, starting_time, duration, message_count }],
            custom_data: Some(custom),
            ros_distro: distribution,
        }
    }
}
