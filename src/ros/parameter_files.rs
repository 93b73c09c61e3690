//! Parameter files that name a node in a way which ROS understands and r2r passes over.

use std::path::{Path, PathBuf};

use serde_yaml::Value;

use super::parameters::ParameterError;

/// What ends the name of a node in a parameter file.
const PARAMETERS: &str = "ros__parameters";

/// Refuses a file of `--params-file` among the program's `arguments` whose values are meant for `node` (its full name) but would have no effect:
/// safety settings that are silently at their defaults are the worst of all.
///
/// # Errors
/// [`ParameterError::Unheard`].
pub fn check(arguments: &[String], node: &str) -> Result<(), ParameterError> {
    let is_file = |pair: &&[String]| pair[0] == "--params-file";
    for path in arguments.windows(2).filter(is_file).map(|pair| PathBuf::from(&pair[1])) {
        for name in names(&path) {
            if is_meant(&name, node) && !is_heard(&name, node) {
                return Err(ParameterError::Unheard { path, name, expected: node.to_owned() });
            }
        }
    }
    Ok(())
}

/// The names of nodes in the file at `path`, as ROS's parser reads them. What is no such file has been refused by ROS before.
fn names(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mut names = Vec::new();
    if let Ok(root) = serde_yaml::from_str::<Value>(&text) {
        collect(&root, "", &mut names);
    }
    names
}

fn collect(value: &Value, name: &str, names: &mut Vec<String>) {
    for (key, inner) in value.as_mapping().into_iter().flatten() {
        match key.as_str() {
            Some(PARAMETERS) => names.push(name.to_owned()),
            Some(key) if name.is_empty() => collect(inner, key, names),
            Some(key) => collect(inner, &format!("{name}/{key}"), names),
            None => {}
        }
    }
}

/// Whether r2r 0.9 takes the values of `name` for `node`.
fn is_heard(name: &str, node: &str) -> bool {
    ["/**", "**", node].contains(&name) || node.rsplit('/').next() == Some(name)
}

/// Whether rclcpp would: `*` stands for one part of a name, `**` for any number of them.
fn is_meant(name: &str, node: &str) -> bool {
    let parts = |name: &str| name.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    matches(&parts(name), &parts(node))
}

fn matches(pattern: &[String], name: &[String]) -> bool {
    match pattern.split_first() {
        None => name.is_empty(),
        Some((first, rest)) if first == "**" => (0..=name.len()).any(|skipped| matches(rest, &name[skipped..])),
        Some((first, rest)) => {
            name.split_first().is_some_and(|(part, names)| (first == "*" || first == part) && matches(rest, names))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said to the node `/robot1/policy` of a file that holds `text`.
    fn said(text: &str) -> Option<String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let arguments = ["policy", "--ros-args", "--params-file", file.path().to_str().unwrap()].map(str::to_owned);
        check(&arguments, "/robot1/policy").err().map(|error| error.to_string())
    }

    #[test]
    fn a_name_that_has_no_effect_is_refused_with_one_that_has() {
        for name in
            ["robot1: {policy: VALUES}", "/*/policy: VALUES", "/**/policy: VALUES", "/robot1/**: VALUES", "robot1/policy: VALUES"]
        {
            let message = said(&name.replace("VALUES", "{ros__parameters: {gate: 0.5}}")).expect(name);
            assert!(message.contains("write `/robot1/policy`"), "{message}");
        }
    }

    #[test]
    fn names_with_effect_and_those_of_other_nodes_pass() {
        for name in ["/robot1/policy", "policy", "/**", "robot2: {policy", "/*/*/policy", "simulator"] {
            let end = if name.contains('{') { "}" } else { "" };
            assert_eq!(said(&format!("{name}: {{ros__parameters: {{gate: 0.5}}}}{end}")), None, "{name}");
        }
        assert_eq!(check(&["policy".to_owned(), "--params-file".to_owned()], "/policy"), Ok(()));
    }
}
