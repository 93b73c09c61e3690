//! A description as the YAML that a person would write.

use std::fmt::Write;

use crate::robot::{JointActuator, RobotDescription};

/// Longest line of a list.
const WIDTH: usize = 120;

/// `description` as YAML with a word on every key.
pub fn to_yaml(description: &RobotDescription) -> String {
    let mut text = String::from(
        "# Written by `hebb robot init`: what the URDF cannot say. Look it over, above all feet, gains and the order of the joints.\n\n",
    );
    let mut line = |key: &str, value: &str, comment: &str| {
        let _ = writeln!(text, "{:<24} # {comment}", format!("{key}: {value}"));
    };
    line("name", &name(&description.name), "by which policies refer to the robot");
    line("urdf", &name(&description.urdf.to_string_lossy()), "relative to this file");
    line("base_link", &name(&description.base_link), "the body whose pose and IMU the policy sees");
    if let Some(imu) = &description.imu_link {
        line("imu_link", &name(imu), "frame of the IMU; fixed to the base link");
    }
    text += "\n# Driven joints in the order of observations and actions; over topics joints always go by name.\n";
    text += &list("joints", &description.joints);
    if !description.locked.is_empty() {
        text += "# Welded at their nominal positions.\n";
        text += &list("locked", &description.locked);
    }
    text += "# Links that touch the ground.\n";
    text += &list("feet", &description.feet);
    text += "\n# Standing pose [rad, m]; a joint that is not named stands at 0.\n";
    if description.nominal_pose.is_empty() {
        text += "nominal_pose: {}\n";
    } else {
        text += "nominal_pose:\n";
        for (joint, position) in &description.nominal_pose {
            let _ = writeln!(text, "  {}: {position:?}", name(joint));
        }
    }
    text += "\n# Position motors. Limits that are not given are the URDF's.\n";
    let actuator = &description.actuator;
    let _ = writeln!(text, "actuator:\n  stiffness: {:?}\n  damping: {:?}", actuator.stiffness, actuator.damping);
    for (key, value) in [("effort_limit", actuator.effort_limit), ("velocity_limit", actuator.velocity_limit)] {
        let _ = value.map(|value| writeln!(text, "  {key}: {value:?}"));
    }
    let _ = writeln!(text, "  armature: {:?}", actuator.armature);
    if !actuator.joints.is_empty() {
        text += "  joints:                # what differs\n";
        for (joint, motor) in &actuator.joints {
            let _ = writeln!(text, "    {}: {{{}}}", name(joint), values(motor));
        }
    }
    let _ = write!(
        text,
        "\ncontact_threshold: {:?} # N; a foot counts as touching from this force on\nfriction: {:?}\n",
        description.contact_threshold, description.friction
    );
    text
}

fn values(motor: &JointActuator) -> String {
    let JointActuator { stiffness, damping, effort_limit, velocity_limit, armature } = *motor;
    let all = [
        ("stiffness", stiffness),
        ("damping", damping),
        ("effort_limit", effort_limit),
        ("velocity_limit", velocity_limit),
        ("armature", armature),
    ];
    let given = all.into_iter().filter_map(|(key, value)| Some(format!("{key}: {:?}", value?)));
    given.collect::<Vec<_>>().join(", ")
}

fn list(key: &str, names: &[String]) -> String {
    let (mut text, mut column) = (format!("{key}: ["), key.len() + 3);
    for (index, entry) in names.iter().enumerate() {
        let entry = name(entry) + if index + 1 < names.len() { ", " } else { "" };
        if column + entry.len() > WIDTH && index > 0 {
            text.truncate(text.trim_end().len());
            text += "\n  ";
            column = 2;
        }
        column += entry.len();
        text += &entry;
    }
    text + "]\n"
}

/// `name` as a YAML string: bare where no reader can take it for anything else.
fn name(name: &str) -> String {
    let plain = name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.chars().all(|character| character.is_ascii_alphanumeric() || "_-./".contains(character));
    let is_word_of_yaml =
        ["true", "false", "yes", "no", "on", "off", "null", "y", "n"].contains(&name.to_ascii_lowercase().as_str());
    if plain && !is_word_of_yaml { name.to_owned() } else { serde_json::Value::from(name).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::robot::ActuatorDescription;

    #[test]
    fn what_is_written_reads_back_the_same() {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let own = JointActuator { stiffness: Some(12.5), effort_limit: Some(1e-5), ..Default::default() };
        let description = RobotDescription {
            name: "no".into(),
            urdf: "a folder/é: \"x\".urdf".into(),
            base_link: "base".into(),
            imu_link: Some("imu#1".into()),
            joints: (0..40).map(|index| format!("joint number {index}")).collect(),
            locked: names(&["1e5", "- a"]),
            feet: names(&["{foot}", "null", "~"]),
            nominal_pose: [("joint number 3".to_owned(), -0.25)].into(),
            actuator: ActuatorDescription {
                stiffness: 1e6,
                damping: 0.1,
                effort_limit: None,
                velocity_limit: Some(3.0),
                armature: 0.0,
                joints: [("joint: 1".to_owned(), own)].into(),
            },
            contact_threshold: 0.5,
            friction: 1.0,
        };
        let text = to_yaml(&description);
        let read: RobotDescription = serde_yaml::from_str(&text).unwrap();
        assert_eq!(read, description, "{text}");
    }
}
