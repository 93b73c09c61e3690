//! Recordings: rosbag2 bags (MCAP) written and read, and replayed through a policy.
//!
//! Writing and reading know only topics, schemas and bytes; what a message of this suite says is in [`message`]. A bag is a folder
//! `NAME` with `metadata.yaml` and `NAME_0.mcap`, as `ros2 bag` makes it, so that ROS 2 tools and the `rosbags` package read it.

mod checksums;
mod definition;
mod error;
pub mod message;
mod metadata;
mod reader;
mod records;
mod repair;
mod replay;
mod report;
mod salvage;
mod writer;

pub use definition::{DefinitionError, MessageDefinition};
pub use error::BagError;
pub use metadata::TopicQos;
pub use reader::{Bag, BagMessage, BagMessages, BagSummary, Integrity, TopicSummary};
pub use repair::{Repair, repair};
pub use replay::{ReplayError, ReplaySettings, replay};
pub use report::{Comparison, Difference, Gap, GapReason, Published, ReplayReport};
pub use writer::{BagWriter, Compression, Topic, TopicId, WriterOptions};
