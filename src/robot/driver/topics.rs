//! Topics of a driver, each of which carries one thing.

use std::collections::BTreeMap;

use super::{ContactDescription, DriverDescription, DriverError};

impl DriverDescription {
    /// Checks that no two things have one topic: two feet would be one, and commands would come back as what was measured.
    ///
    /// # Errors
    /// [`DriverError::SameTopic`] names the keys.
    pub fn check_topics(&self) -> Result<(), DriverError> {
        let mut seen = BTreeMap::new();
        for (key, topic) in self.topics() {
            if let Some(first) = seen.insert(topic, key.clone()) {
                return Err(DriverError::SameTopic { first, second: key, topic: topic.to_owned() });
            }
        }
        Ok(())
    }

    /// All topics with their keys; that of commands comes last.
    fn topics(&self) -> Vec<(String, &str)> {
        let (joints, imu, command) = (self.joint_states.as_str(), self.imu.topic.as_str(), self.command.topic.as_str());
        let mut topics = vec![("joint_states".to_owned(), joints), ("imu.topic".to_owned(), imu)];
        match &self.contacts {
            ContactDescription::FootContacts { topic } => {
                topics.push(("contacts.foot_contacts.topic".to_owned(), topic.as_str()));
            }
            ContactDescription::Bool { feet } => topics.extend(of_feet("contacts.bool.feet", feet)),
            ContactDescription::Wrench { feet, .. } => topics.extend(of_feet("contacts.wrench.feet", feet)),
            ContactDescription::Effort { .. } => {}
        }
        topics.push(("command.topic".to_owned(), command));
        topics
    }
}

/// The topics of `feet`, which stand under `key`.
fn of_feet<'a>(key: &str, feet: &'a BTreeMap<String, String>) -> Vec<(String, &'a str)> {
    feet.iter().map(|(foot, topic)| (format!("{key}.{foot}"), topic.as_str())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ConfigError;

    #[test]
    fn two_things_by_one_topic_are_refused_by_their_keys() {
        for (yaml, said) in [
            (
                "contacts: {wrench: {feet: {heel: ft/wrench, toe: ft/wrench}, threshold: 1}}",
                "contacts.wrench.feet.heel and contacts.wrench.feet.toe are both the topic `ft/wrench`",
            ),
            (
                "contacts: {bool: {feet: {heel: touch, toe: touch}}}",
                "contacts.bool.feet.heel and contacts.bool.feet.toe are both the topic `touch`",
            ),
            ("command: {topic: joint_states}", "joint_states and command.topic are both the topic `joint_states`"),
            ("{joint_states: motors, command: {topic: motors}}", "joint_states and command.topic are both the topic `motors`"),
            ("{command: {topic: imu/data, form: trajectory}}", "imu.topic and command.topic are both the topic `imu/data`"),
            ("{imu: {topic: joint_states}}", "joint_states and imu.topic are both the topic `joint_states`"),
            ("contacts: {foot_contacts: {topic: joint_commands}}", "contacts.foot_contacts.topic and command.topic are both"),
        ] {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), yaml).unwrap();
            let error = DriverDescription::load(file.path()).unwrap_err();
            let text = error.to_string();
            assert!(matches!(error, ConfigError::Parse { .. }) && text.contains(said), "{yaml}: {text}");
            let driver = serde_yaml::with::singleton_map_recursive::deserialize(serde_yaml::Deserializer::from_str(yaml));
            let driver: DriverDescription = driver.unwrap();
            assert!(matches!(driver.check_topics(), Err(DriverError::SameTopic { .. })), "{yaml}");
        }
    }

    #[test]
    fn topics_that_only_resemble_each_other_pass() {
        DriverDescription::default().check_topics().unwrap();
        let yaml = "contacts: {wrench: {feet: {heel: ft_heel/wrench, toe: ft_toe/wrench}, threshold: 1}}";
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), yaml).unwrap();
        DriverDescription::load(file.path()).unwrap();
    }
}
