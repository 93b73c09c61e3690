//! Names and topics of a driver, all of which ROS has to carry.

use std::collections::BTreeMap;

use super::{ContactDescription, DriverDescription, DriverError};

impl DriverDescription {
    /// Checks that no name or topic has a control character: no ROS message can carry NUL, and nobody sees the others.
    ///
    /// # Errors
    /// [`DriverError::Text`] names the key.
    pub fn check_texts(&self) -> Result<(), DriverError> {
        match self.texts().into_iter().find(|(_, text)| text.contains(char::is_control)) {
            Some((key, text)) => Err(DriverError::Text { key, text: text.to_owned() }),
            None => Ok(()),
        }
    }

    /// All names and topics with their keys. A name that is a key itself comes before what stands under it.
    fn texts(&self) -> Vec<(String, &str)> {
        let mut texts = vec![
            ("joint_states".to_owned(), self.joint_states.as_str()),
            ("command.topic".to_owned(), self.command.topic.as_str()),
            ("imu.topic".to_owned(), self.imu.topic.as_str()),
        ];
        texts.extend(self.command.joints.iter().map(|joint| ("command.joints".to_owned(), joint.as_str())));
        for (joint, driver) in &self.joints {
            texts.push(("joints".to_owned(), joint.as_str()));
            texts.extend(driver.name.as_deref().map(|name| (format!("joints.{joint}.name"), name)));
        }
        match &self.contacts {
            ContactDescription::FootContacts { topic } => {
                texts.push(("contacts.foot_contacts.topic".to_owned(), topic.as_str()));
            }
            ContactDescription::Bool { feet } => texts.extend(of_feet("contacts.bool.feet", feet)),
            ContactDescription::Wrench { feet, .. } => texts.extend(of_feet("contacts.wrench.feet", feet)),
            ContactDescription::Effort { feet } => {
                for (foot, effort) in feet {
                    texts.push(("contacts.effort.feet".to_owned(), foot.as_str()));
                    texts.push((format!("contacts.effort.feet.{foot}.joint"), effort.joint.as_str()));
                }
            }
        }
        texts
    }
}

/// The names and topics of `feet`, which stand under `key`.
fn of_feet<'a>(key: &str, feet: &'a BTreeMap<String, String>) -> Vec<(String, &'a str)> {
    let of =
        |(foot, topic): (&'a String, &'a String)| [(key.to_owned(), foot.as_str()), (format!("{key}.{foot}"), topic.as_str())];
    feet.iter().flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ConfigError;

    fn load(yaml: &str) -> Result<DriverDescription, ConfigError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), yaml).unwrap();
        DriverDescription::load(file.path())
    }

    #[test]
    fn a_name_or_topic_with_a_control_character_is_refused_by_its_key() {
        for (yaml, said) in [
            (r#"joint_states: "a\0""#, r#"driver's joint_states has the text "a\0""#),
            (r#"command: {topic: "\0"}"#, r#"driver's command.topic has the text "\0""#),
            (r#"command: {joints: [a, "b\n"]}"#, r#"driver's command.joints has the text "b\n""#),
            (r#"imu: {topic: "a\tb"}"#, r#"driver's imu.topic has the text "a\tb""#),
            (r#"joints: {hip: {name: "motor\0"}}"#, r#"driver's joints.hip.name has the text "motor\0""#),
            (r#"joints: {"hip\0": {name: motor}}"#, r#"driver's joints has the text "hip\0""#),
            (r#"contacts: {foot_contacts: {topic: "a\0"}}"#, r#"driver's contacts.foot_contacts.topic has the text "a\0""#),
            (r#"contacts: {bool: {feet: {toe: "a\0"}}}"#, r#"driver's contacts.bool.feet.toe has the text "a\0""#),
            (r#"contacts: {wrench: {feet: {"t\r": a}, threshold: 1}}"#, r#"driver's contacts.wrench.feet has the text "t\r""#),
            (
                r#"contacts: {effort: {feet: {toe: {joint: "hip\0", threshold: 1}}}}"#,
                r#"driver's contacts.effort.feet.toe.joint has the text "hip\0""#,
            ),
        ] {
            let error = load(yaml).unwrap_err();
            let text = error.to_string();
            assert!(matches!(error, ConfigError::Parse { .. }) && text.contains(said) && !text.contains('\0'), "{yaml}: {text}");
        }
        let fine = load("{joints: {hip: {name: Hüfte 1}}, contacts: {bool: {feet: {toe: a/b}}}}").unwrap();
        assert_eq!(fine.joints["hip"].name.as_deref(), Some("Hüfte 1"));
    }

    #[test]
    fn the_shipped_drivers_pass() {
        DriverDescription::default().check_texts().unwrap();
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config/drivers");
        for name in ["db_beta_interface.yaml", "ros2_control.yaml"] {
            DriverDescription::load(&folder.join(name)).unwrap();
        }
    }
}
