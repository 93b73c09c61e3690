//! Repair: what is readable of a bag, written anew with an index and metadata, for programs that read only whole bags.

use std::collections::HashMap;
use std::path::Path;

use serde::Serialize;

use super::{Bag, BagError, BagWriter, MessageDefinition, Topic, WriterOptions};

/// What a repair saved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Repair {
    /// Messages in the new bag.
    pub messages: u64,
    /// Why there are no more, when the rest is damaged and not just missing.
    pub damage: Option<String>,
}

/// Writes all messages of `bag` up to its end, or to the first damage, into a new bag at `folder`. What the recorder lost stays counted.
///
/// # Errors
/// [`BagError`] when the bag cannot be read at all, or the new one not be written.
pub fn repair(bag: &Bag, folder: &Path) -> Result<Repair, BagError> {
    let mut out = BagWriter::create(folder, &WriterOptions::default())?;
    let mut topics = HashMap::new();
    let mut damage = None;
    for message in bag.messages() {
        let message = match message {
            Ok(message) => message,
            Err(error @ BagError::Damaged { .. }) => {
                damage = Some(error.to_string());
                break;
            }
            Err(error) => return Err(error),
        };
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
        out.write(topic, message.log_time, message.publish_time, &message.data)?;
    }
    for (topic, count) in bag.dropped() {
        // Also where no message was saved: a replay must not take the recording for complete.
        out.note_dropped_of(topic.to_owned(), count);
    }
    let messages = out.messages();
    out.finish()?;
    Ok(Repair { messages, damage })
}
