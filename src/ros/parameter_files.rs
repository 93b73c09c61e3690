//! Parameter files that name a node in a way which ROS understands and r2r passes over, or that do not name it at all.

use std::path::{Path, PathBuf};

use serde_yaml::Value;

use super::parameters::ParameterError;

/// What ends the name of a node in a parameter file.
const PARAMETERS: &str = "ros__parameters";
/// Names of a file that a warning lists at most.
const MOST_NAMES: usize = 8;

/// Refuses a file of `--params-file` among the program's `arguments` whose values are meant for `node` (its full name) but would have no effect:
/// safety settings that are silently at their defaults are the worst of all.
///
/// # Errors
/// [`ParameterError::Unheard`].
pub fn check(arguments: &[String], node: &str) -> Result<(), ParameterError> {
    for path in files(arguments) {
        for name in names(&path).unwrap_or_default() {
            if is_meant(&name, node) && !is_heard(&name, node) {
                return Err(ParameterError::Unheard { path, name, expected: node.to_owned() });
            }
        }
    }
    Ok(())
}

/// For the log: the files of `--params-file` among the program's `arguments` that hold no values for `node` (its full name). After a typing error
/// or a change of names all that such a file says of safety is silently at its defaults. It is no error: of several files one may well be for
/// other nodes.
pub fn warnings(arguments: &[String], node: &str) -> Vec<String> {
    let warning = |path: PathBuf| {
        let names = names(&path)?;
        if names.iter().any(|name| is_heard(name, node)) {
            return None;
        }
        let first: Vec<String> = names.iter().take(MOST_NAMES).map(|name| format!("`{name}`")).collect();
        let (named, path) = (if first.is_empty() { "no node".to_owned() } else { first.join(", ") }, path.display());
        let more = if names.len() > MOST_NAMES { " and others" } else { "" };
        Some(format!(
            "the parameter file {path} has no values for this node, `{node}`: it names {named}{more}. What is meant for this node \
             must stand under `{node}`, or `/**` for every node; all of it is at its defaults now"
        ))
    };
    files(arguments).filter_map(warning).collect()
}

/// The files of `--params-file` among `arguments`.
fn files(arguments: &[String]) -> impl Iterator<Item = PathBuf> {
    arguments.windows(2).filter(|pair| pair[0] == "--params-file").map(|pair| PathBuf::from(&pair[1]))
}

/// The names of nodes in the file at `path`, as ROS's parser reads them. What is no such file has been refused by ROS before; `None` for one
/// that only this reader does not understand, and for what came through a pipe, which can be read once.
fn names(path: &Path) -> Option<Vec<String>> {
    if !path.is_file() {
        return None;
    }
    let text = std::fs::read_to_string(path).ok()?;
    let root = serde_yaml::from_str::<Value>(&text).ok()?;
    let mut names = Vec::new();
    collect(&root, "", &mut names);
    Some(names)
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

    /// What `ask` says to the node `/robot1/policy` of a file that holds `text`.
    fn of_file<T>(text: &str, ask: fn(&[String], &str) -> T) -> T {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let arguments = ["policy", "--ros-args", "--params-file", file.path().to_str().unwrap()].map(str::to_owned);
        ask(&arguments, "/robot1/policy")
    }

    fn said(text: &str) -> Option<String> {
        of_file(text, check).err().map(|error| error.to_string())
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

    #[test]
    fn a_file_without_values_for_the_node_is_named_with_the_names_that_it_has() {
        let values = "{ros__parameters: {gate: 0.5}}";
        for (text, named) in [
            ("/left/policy: VALUES", "it names `/left/policy`."),
            ("polcy: VALUES\nsimulator: VALUES", "it names `polcy`, `simulator`."),
            ("robot2: {policy: VALUES}", "it names `robot2/policy`."),
            ("{}", "it names no node."),
        ] {
            let said = of_file(&text.replace("VALUES", values), warnings).join("\n");
            assert!(said.contains("no values for this node, `/robot1/policy`") && said.contains(named), "{text}: {said}");
        }
        for text in ["policy: VALUES", "/**: VALUES", "simulator: VALUES\n/robot1/policy: VALUES"] {
            assert!(of_file(&text.replace("VALUES", values), warnings).is_empty(), "{text}");
        }
        assert!(warnings(&["policy".to_owned(), "--params-file".to_owned()], "/policy").is_empty());
    }
}
