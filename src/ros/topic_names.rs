//! Full names of topics by the rules of rcl: r2r tells them neither of publishers nor of subscriptions.

/// The full name of what the node `node` (its full name) of a program with these `arguments` calls `topic`: relative names are in the node's
/// namespace, `~` stands for the node, and of the rules of `--remap` the first that fits counts.
pub fn resolve(arguments: &[String], node: &str, topic: &str) -> String {
    let name = expanded(node, topic);
    rules(arguments).into_iter().find_map(|rule| remapped(rule, node, &name)).unwrap_or(name)
}

fn expanded(node: &str, name: &str) -> String {
    let namespace = node.rsplit_once('/').map_or("", |(namespace, _)| namespace);
    match name.strip_prefix('~') {
        Some(rest) => format!("{node}{rest}"),
        None if name.starts_with('/') => name.to_owned(),
        None => format!("{namespace}/{name}"),
    }
}

/// The rules for names among `arguments`.
fn rules(arguments: &[String]) -> Vec<&str> {
    let (mut rules, mut is_for_ros) = (Vec::new(), false);
    let mut arguments = arguments.iter().map(String::as_str);
    while let Some(argument) = arguments.next() {
        match argument {
            "--ros-args" => is_for_ros = true,
            "--" => is_for_ros = false,
            "-r" | "--remap" if is_for_ros => rules.extend(arguments.next()),
            _ => {}
        }
    }
    rules
}

/// What `rule` makes of the topic of this full name, if it fits.
fn remapped(rule: &str, node: &str, name: &str) -> Option<String> {
    let (from, to) = rule.split_once(":=")?;
    // `node:from` is for nodes of that name alone; `rostopic://from` for topics, and not for services.
    let (of_node, from) = match from.split_once(':') {
        Some((of_node, from)) if !from.starts_with("//") => (Some(of_node), from),
        _ => (None, from),
    };
    let from = from.strip_prefix("rostopic://").unwrap_or(from);
    let is_for_node = of_node.is_none_or(|of_node| node.rsplit('/').next() == Some(of_node));
    (is_for_node && expanded(node, from) == name).then(|| expanded(node, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(arguments: &str, topic: &str) -> String {
        resolve(&arguments.split(' ').map(str::to_owned).collect::<Vec<_>>(), "/left/policy", topic)
    }

    #[test]
    fn names_are_expanded_as_rcl_does() {
        for (topic, expected) in [
            ("imu/data", "/left/imu/data"),
            ("/imu/data", "/imu/data"),
            ("~/gate", "/left/policy/gate"),
            ("joint_states", "/left/joint_states"),
        ] {
            assert_eq!(resolved("policy", topic), expected);
        }
        assert_eq!(resolve(&[], "/policy", "imu/data"), "/imu/data");
    }

    #[test]
    fn the_first_rule_that_fits_renames_a_topic() {
        for (arguments, expected) in [
            ("--ros-args -r joint_states:=feedback", "/left/feedback"),
            ("--ros-args --remap /left/joint_states:=/feedback", "/feedback"),
            ("--ros-args -r joint_states:=~/feedback", "/left/policy/feedback"),
            ("--ros-args -r policy:joint_states:=/own", "/own"),
            ("--ros-args -r rostopic://joint_states:=/own", "/own"),
            ("--ros-args -r policy:rostopic://joint_states:=/own", "/own"),
            ("--ros-args -r joint_states:=/first -r joint_states:=/second", "/first"),
            ("--ros-args -p seed:=1 -- more --ros-args -r joint_states:=/feedback", "/feedback"),
            // None of these fits.
            ("--ros-args -r __ns:=/left -r __node:=policy -r imu/data:=/imu", "/left/joint_states"),
            ("--ros-args -r /joint_states:=/feedback", "/left/joint_states"),
            ("--ros-args -r simulator:joint_states:=/own", "/left/joint_states"),
            ("--ros-args -r rosservice://joint_states:=/own", "/left/joint_states"),
            ("-r joint_states:=/feedback --ros-args -- -r joint_states:=/feedback", "/left/joint_states"),
            ("--ros-args -r", "/left/joint_states"),
        ] {
            assert_eq!(resolved(arguments, "joint_states"), expected, "{arguments}");
        }
    }
}
