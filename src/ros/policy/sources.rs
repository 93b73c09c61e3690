//! Who publishes on the topics of commands and sensor values. Two of them take turns, and no message tells: a second policy node that somebody
//! forgot, sliders for the joints, a publisher of made-up joint states beside the driver.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use r2r::Node;

use crate::ros::node::NodeError;

/// How often the topics are looked at.
const LOOK_PERIOD: Duration = Duration::from_millis(250);
/// By these names the middleware calls nodes that it does not know.
const UNKNOWN: [&str; 2] = ["_NODE_NAME_UNKNOWN_", "_CREATED_BY_BARE_DDS_APP_"];

/// What is wrong with the sources of an active node's topics, in words: for the thread that publishes it.
#[derive(Clone, Debug, Default)]
pub struct SourceWarnings(Arc<Mutex<Vec<String>>>);

impl SourceWarnings {
    /// All of it; nothing while all is well.
    pub fn get(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, warnings: Vec<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = warnings;
    }
}

/// Whether others may publish commands as well: what the parameter `shared_commands` says now.
pub type MayShare = Rc<Cell<bool>>;

/// What the spin thread knows of the sources.
#[derive(Debug)]
pub struct Sources {
    /// Full name of this node.
    node: String,
    /// Full name of the topic of commands.
    commands: String,
    /// Full names of the topics of joint states and IMU.
    sensors: [String; 2],
    next_look: Instant,
    /// Who else publishes commands, and who publishes on each topic of sensors, by the last look.
    others: Vec<String>,
    senders: [Vec<String>; 2],
    is_active: bool,
    may_share: MayShare,
    warnings: SourceWarnings,
}

impl Sources {
    /// Of the node `node`, which publishes on `commands` and hears `sensors`: joint states and IMU. All are full names.
    pub fn new(node: String, commands: String, sensors: [String; 2], may_share: MayShare, warnings: SourceWarnings) -> Self {
        let (others, senders) = Default::default();
        Self { node, commands, sensors, next_look: Instant::now(), others, senders, is_active: false, may_share, warnings }
    }

    /// Looks who is there, now and then. What is not found here yet may be found at the next look.
    pub fn look(&mut self, node: &Node) {
        let now = Instant::now();
        if now >= self.next_look {
            self.next_look = now + LOOK_PERIOD;
            let senders = self.sensors.each_ref().map(|topic| publishers(node, topic));
            self.note(publishers(node, &self.commands), senders);
        }
    }

    /// Refuses to begin where others can command the robot as well, and may not.
    ///
    /// # Errors
    /// [`NodeError::SharedCommands`].
    pub fn check(&self) -> Result<(), NodeError> {
        if self.others.is_empty() || self.may_share.get() {
            return Ok(());
        }
        Err(NodeError::SharedCommands { topic: self.commands.clone(), others: self.named(&self.others) })
    }

    /// The node has become active: from now on all that is found is said.
    pub fn begin(&mut self) {
        self.is_active = true;
        if self.may_share.get() && !self.others.is_empty() {
            tracing::info!("{} can publish commands on {} too (shared_commands)", self.named(&self.others), self.commands);
        }
        self.say();
    }

    /// The node is no longer active.
    pub fn end(&mut self) {
        self.is_active = false;
        self.say();
    }

    /// Notes who publishes commands and sensor values, by full names.
    fn note(&mut self, mut commands: Vec<String>, senders: [Vec<String>; 2]) {
        // One of them is this node's own; another node may have the same name. Where its own is missing, little is known yet.
        match commands.iter().position(|name| *name == self.node) {
            Some(own) => _ = commands.remove(own),
            None => commands.clear(),
        }
        (self.others, self.senders) = (commands, senders);
        self.say();
    }

    /// Says what was not said before.
    fn say(&self) {
        let mut warnings = Vec::new();
        if self.is_active && !self.may_share.get() && !self.others.is_empty() {
            let (others, topic) = (self.named(&self.others), &self.commands);
            warnings.push(format!("{others} can publish commands on {topic} too: the robot follows now one, now the other"));
        }
        let sensors = self.sensors.iter().zip(&self.senders).filter(|(_, senders)| self.is_active && senders.len() > 1);
        warnings.extend(sensors.map(|(topic, senders)| {
            let (count, names) = (senders.len(), self.named(senders));
            format!("{topic} has {count} publishers, {names}, whose values take turns: let one alone publish there")
        }));
        let said = self.warnings.get();
        for warning in warnings.iter().filter(|warning| !said.contains(warning)) {
            tracing::warn!("{warning}");
        }
        self.warnings.set(warnings);
    }

    /// The names in one text.
    fn named(&self, names: &[String]) -> String {
        let named: Vec<String> = names.iter().map(|name| self.in_words(name)).collect();
        match named.split_last() {
            Some((last, [])) => last.clone(),
            Some((last, others)) => format!("{} and {last}", others.join(", ")),
            None => String::new(),
        }
    }

    fn in_words(&self, name: &str) -> String {
        if UNKNOWN.iter().any(|&unknown| name.ends_with(unknown)) {
            "a program whose node is not known".to_owned()
        } else if name == self.node {
            format!("`{name}` (another node of this name)")
        } else {
            format!("`{name}`")
        }
    }
}

/// The full names of the nodes that publish on `topic`, in order: one for each publisher.
fn publishers(node: &Node, topic: &str) -> Vec<String> {
    // Fails for what is no name of a topic, on which nobody could publish either.
    let publishers = node.get_publishers_info_by_topic(topic, false).unwrap_or_default();
    let full = |namespace: &str, name: &str| format!("{}/{name}", namespace.trim_end_matches('/'));
    let mut names: Vec<String> = publishers.iter().map(|found| full(&found.node_namespace, &found.node_name)).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources() -> (Sources, SourceWarnings) {
        let warnings = SourceWarnings::default();
        let sensors = ["/joint_states".to_owned(), "/imu/data".to_owned()];
        let (node, commands) = ("/policy".to_owned(), "/joint_commands".to_owned());
        (Sources::new(node, commands, sensors, MayShare::default(), warnings.clone()), warnings)
    }

    fn note(sources: &mut Sources, commands: &[&str], joints: &[&str]) {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        sources.note(names(commands), [names(joints), names(&["/simulator"])]);
    }

    #[test]
    fn another_source_of_commands_is_refused_by_name_and_the_own_one_is_none() {
        let (mut sources, _) = sources();
        sources.check().unwrap();
        note(&mut sources, &["/policy"], &[]);
        sources.check().unwrap();
        let cases: [(&[&str], &str); 4] = [
            (&["/policy", "/sliders"], "from `/sliders` too"),
            (&["/policy", "/policy"], "from `/policy` (another node of this name) too"),
            (&["/left/policy", "/policy", "/sliders"], "from `/left/policy` and `/sliders` too"),
            (&["/policy", "_NODE_NAMESPACE_UNKNOWN_/_NODE_NAME_UNKNOWN_"], "from a program whose node is not known too"),
        ];
        for (commands, named) in cases {
            note(&mut sources, commands, &[]);
            let error = sources.check().unwrap_err().to_string();
            assert!(error.contains("commands on /joint_commands") && error.contains(named), "{error}");
        }
        // Its own publisher is not known yet: what else there is may be known in part only.
        note(&mut sources, &["/sliders"], &[]);
        sources.check().unwrap();
    }

    #[test]
    fn an_active_node_warns_of_topics_with_more_than_one_source_until_there_is_one_again() {
        let (mut sources, warnings) = sources();
        let crowded = &["/joint_state_publisher", "/simulator"];
        note(&mut sources, &["/policy"], crowded);
        assert!(warnings.get().is_empty(), "a node that does nothing yet");
        sources.begin();
        let said = warnings.get();
        assert!(said.len() == 1 && said[0].starts_with("/joint_states has 2 publishers"), "{said:?}");
        assert!(said[0].contains("`/joint_state_publisher` and `/simulator`"), "{said:?}");
        note(&mut sources, &["/policy", "/sliders"], crowded);
        assert!(warnings.get()[0].contains("`/sliders` can publish commands on /joint_commands too"), "{:?}", warnings.get());
        note(&mut sources, &["/policy"], &["/simulator"]);
        assert!(warnings.get().is_empty());
        // Where commands are shared on purpose, that is no reason to warn.
        sources.may_share.set(true);
        note(&mut sources, &["/policy", "/sliders"], &["/simulator"]);
        assert!(warnings.get().is_empty());
        note(&mut sources, &["/policy"], crowded);
        assert_eq!(warnings.get().len(), 1);
        sources.end();
        assert!(warnings.get().is_empty());
    }

    #[test]
    fn whether_commands_are_shared_may_change_while_the_node_is_active() {
        let (mut sources, warnings) = sources();
        note(&mut sources, &["/policy", "/sliders"], &["/simulator"]);
        assert!(sources.check().is_err());
        sources.may_share.set(true);
        sources.check().unwrap();
        sources.begin();
        assert!(warnings.get().is_empty());
        for (may_share, expected) in [(false, 1), (true, 0), (false, 1)] {
            sources.may_share.set(may_share);
            // The next look.
            note(&mut sources, &["/policy", "/sliders"], &["/simulator"]);
            assert_eq!(warnings.get().len(), expected, "shared: {may_share}");
        }
    }
}
