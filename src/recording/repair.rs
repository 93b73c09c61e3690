//! Repair: what is sound of a bag, written anew with an index and metadata, for programs that read only whole bags.

use std::collections::HashMap;
use std::path::Path;

use serde::Serialize;

use super::salvage::{Losses, salvage};
use super::{Bag, BagError, BagMessage, BagWriter, MessageDefinition, Topic, TopicId, WriterOptions};

/// What a repair saved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Repair {
    /// Messages in the new bag.
    pub messages: u64,
    /// What is wrong with the old one; None when no more is missing than the end of one that was cut short.
    pub damage: Option<String>,
    /// Chunks that were left out, because their bytes are not what was written.
    pub lost_chunks: u64,
    /// Messages that were left out, because their topic stood in such a chunk alone.
    pub nameless: u64,
    /// Bytes that were left out, because nothing says what they are: behind a record whose length is damaged, up to the end of its file.
    pub lost_bytes: u64,
}

/// Writes all messages of `bag` that are sound into a new bag at `folder`: also those behind a damaged chunk, and those of further files.
/// What the recorder lost stays counted.
///
/// # Errors
/// [`BagError`] when the bag cannot be read at all, or the new one not be written.
pub fn repair(bag: &Bag, folder: &Path) -> Result<Repair, BagError> {
    let mut out = BagWriter::create(folder, &WriterOptions::default())?;
    let damage = match bag.verify() {
        Ok(_) => None,
        Err(error @ (BagError::Damaged { .. } | BagError::Inconsistent { .. })) => Some(error.to_string()),
        Err(error) => return Err(error),
    };
    let (mut topics, mut losses) = (HashMap::<String, TopicId>::new(), Losses::default());
    let mut save = |message: BagMessage| {
        let topic = match topics.get(message.topic()) {
            Some(topic) => *topic,
            None => {
                let definition = MessageDefinition {
                    name: message.kind().to_owned(),
                    text: String::from_utf8_lossy(message.definition()).into_owned(),
                    hash: message.type_hash().to_owned(),
                };
                let name = message.topic().to_owned();
                let topic = out.add_topic(Topic { name: name.clone(), definition, qos: message.offered_qos() })?;
                topics.insert(name, topic);
                topic
            }
        };
        out.write(topic, message.log_time, message.publish_time, &message.data)
    };
    for file in bag.files() {
        salvage(file, &mut losses, &mut save)?;
    }
    for (topic, count) in bag.dropped() {
        // Also where no message was saved: a replay must not take the recording for complete.
        out.note_dropped_of(topic.to_owned(), count);
    }
    let messages = out.messages();
    out.finish()?;
    let Losses { chunks: lost_chunks, nameless, bytes: lost_bytes } = losses;
    Ok(Repair { messages, damage, lost_chunks, nameless, lost_bytes })
}
