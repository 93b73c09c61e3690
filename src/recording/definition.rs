//! What a message type looks like, as bags carry it: its .msg text followed by those of all types in it.

use std::collections::BTreeSet;

/// Line between the texts of two types, as rosbag2 writes it.
const SEPARATOR: &str = "================================================================================";

/// Types that the .msg language has by itself.
const PRIMITIVES: [&str; 16] = [
    "bool", "byte", "char", "float32", "float64", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64",
    "string", "wstring", "time",
];

/// A message type with all that is needed to read its messages (schema encoding `ros2msg`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageDefinition {
    /// Name of the type: `package/msg/Name`.
    pub name: String,
    /// Text of the type, and behind separator lines those of the types it contains, each once.
    pub text: String,
    /// Hash of the type (REP-2016: `RIHS01_…`); empty where it is not known.
    pub hash: String,
}

/// Why a message type cannot be described.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DefinitionError {
    /// The name is not of the form `package/msg/Name`.
    #[error("`{0}` is no message type; expected a name like sensor_msgs/msg/Imu")]
    Name(String),
    /// There is no text of it.
    #[error("the definition of `{name}` is not to be found{}", within.as_ref().map(|within| format!(" (`{within}` contains it)")).unwrap_or_default())]
    Missing {
        /// The type.
        name: String,
        /// The type that contains it.
        within: Option<String>,
    },
}

impl MessageDefinition {
    /// The definition of the type `name`. `text_of` gives the text of a type by package and name, as in its .msg file.
    ///
    /// # Errors
    /// [`DefinitionError`] when `name` is no type or the text of a type is missing.
    pub fn resolve(name: &str, mut text_of: impl FnMut(&str, &str) -> Option<String>) -> Result<Self, DefinitionError> {
        let Some((package, kind, short)) = split(name).filter(|(_, kind, _)| *kind == "msg") else {
            return Err(DefinitionError::Name(name.to_owned()));
        };
        let missing = |name: String, within| DefinitionError::Missing { name, within };
        let mut text = text_of(package, short).ok_or_else(|| missing(name.to_owned(), None))?;
        let mut known = BTreeSet::from([(package.to_owned(), short.to_owned())]);
        // Breadth first, in the order of the fields: what contains a type comes before it.
        let mut open: Vec<_> =
            contained(package, &text).into_iter().map(|inner| (inner, format!("{package}/{kind}/{short}"))).collect();
        let mut next = 0;
        while let Some(((package, short), within)) = open.get(next).cloned() {
            next += 1;
            if !known.insert((package.clone(), short.clone())) {
                continue;
            }
            let full = format!("{package}/msg/{short}");
            let inner = text_of(&package, &short).ok_or_else(|| missing(full.clone(), Some(within)))?;
            open.extend(contained(&package, &inner).into_iter().map(|inner| (inner, full.clone())));
            // Two types that are separated by their names need a line end between them.
            if !text.ends_with('\n') {
                text.push('\n');
            }
            text.push_str(&format!("{SEPARATOR}\nMSG: {package}/{short}\n{inner}"));
        }
        Ok(Self { name: name.to_owned(), text, hash: String::new() })
    }

    /// The same with the type's hash.
    pub fn with_hash(self, hash: String) -> Self {
        Self { hash, ..self }
    }
}

/// `package/msg/Name` in its three parts.
fn split(name: &str) -> Option<(&str, &str, &str)> {
    let mut parts = name.split('/');
    let whole = (parts.next()?, parts.next()?, parts.next()?);
    (parts.next().is_none() && ![whole.0, whole.1, whole.2].contains(&"")).then_some(whole)
}

/// Package and name of the types of the fields in `text`, which belongs to a type of `package`.
fn contained(package: &str, text: &str) -> Vec<(String, String)> {
    let of_line = |line: &str| {
        let field = line.split('#').next()?.split_whitespace().next()?;
        // Arrays `T[]`, `T[3]`, `T[<=3]` and bounded strings `string<=3`.
        let base = field.split(['[', '<']).next()?;
        if PRIMITIVES.contains(&base) {
            return None;
        }
        let (package, name) = match base.split_once('/') {
            Some((package, name)) => (package, name.strip_prefix("msg/").unwrap_or(name)),
            // As in ROS 1: a header without its package.
            None if base == "Header" => ("std_msgs", "Header"),
            None => (package, base),
        };
        Some((package.to_owned(), name.to_owned()))
    };
    text.lines().filter_map(of_line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(package: &str, name: &str) -> Option<String> {
        let text = match (package, name) {
            ("walk", "Step") => {
                "# A step.\nstd_msgs/Header header\nfloat32[] weights # all\nFoot[4] feet\nstring<=7 name\nuint8 LAST=7\n"
            }
            ("walk", "Foot") => "geometry_msgs/msg/Point position\nstd_msgs/Header header",
            ("std_msgs", "Header") => "builtin_interfaces/Time stamp\nstring frame_id\n",
            ("builtin_interfaces", "Time") => "int32 sec\nuint32 nanosec\n",
            ("geometry_msgs", "Point") => "float64 x\n",
            ("walk", "Lost") => "Gone gone\n",
            _ => return None,
        };
        Some(text.to_owned())
    }

    #[test]
    fn every_contained_type_stands_once_behind_what_contains_it() {
        let definition = MessageDefinition::resolve("walk/msg/Step", texts).unwrap();
        let names: Vec<&str> = definition.text.lines().filter_map(|line| line.strip_prefix("MSG: ")).collect();
        assert_eq!(names, ["std_msgs/Header", "walk/Foot", "builtin_interfaces/Time", "geometry_msgs/Point"]);
        assert!(definition.text.starts_with("# A step.\n"));
        let separators = definition.text.lines().filter(|line| *line == SEPARATOR).count();
        assert_eq!(separators, 4, "{}", definition.text);
    }

    #[test]
    fn what_is_missing_is_named_with_what_needs_it() {
        let error = |name: &str| MessageDefinition::resolve(name, texts).unwrap_err().to_string();
        assert_eq!(error("walk/msg/Lost"), "the definition of `walk/msg/Gone` is not to be found (`walk/msg/Lost` contains it)");
        assert!(error("walk/Step").contains("expected a name like"));
        assert!(error("walk/srv/Step").contains("expected a name like"));
    }
}
