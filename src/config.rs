//! Reading YAML configuration: unknown keys are refused, and the nearest known one is named.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::de::DeserializeOwned;

/// Why a configuration file was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The text is not YAML of the expected form.
    #[error("{}: {message}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// What is wrong, where, and the nearest known key where one was meant.
        message: String,
    },
}

/// Reads `path` as YAML into `T`, which should deny unknown fields.
///
/// # Errors
/// [`ConfigError::Read`] when the file cannot be read, [`ConfigError::Parse`] when its content does not fit `T`.
pub fn read_yaml<T: DeserializeOwned>(path: &Path) -> Result<T, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.into(), source })?;
    parse_yaml(&text).map_err(|error| ConfigError::Parse { path: path.into(), message: error.to_string() })
}

/// Why a YAML text was refused: what is wrong, where, and the nearest known key where one was meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct YamlError(String);

/// Reads the YAML `text` into `T`, which should deny unknown fields.
///
/// # Errors
/// [`YamlError`] when the text is no YAML or does not fit `T`.
pub fn parse_yaml<T: DeserializeOwned>(text: &str) -> Result<T, YamlError> {
    // Enum variants as maps of one key (`tilt: {…}`), as in JSON, and not as YAML tags.
    serde_yaml::with::singleton_map_recursive::deserialize(serde_yaml::Deserializer::from_str(text))
        .map_err(|error: serde_yaml::Error| YamlError(with_suggestion(&error.to_string())))
}

/// Most parts of a [`Change`]'s key: more than any file has, and few enough for those that go through a document by recursion.
const DEEPEST_KEY: usize = 16;

/// A value that takes another's place in a YAML file as it is read.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Keys from the outermost to that of the value, with dots between them: `evolution.sigma.initial`.
    pub key: String,
    /// The value.
    pub value: serde_yaml::Value,
}

impl FromStr for Change {
    type Err = YamlError;

    /// `KEY=VALUE`, where the value is YAML.
    fn from_str(text: &str) -> Result<Self, YamlError> {
        let Some((key, value)) = text.split_once('=') else {
            return Err(YamlError(format!("{text:?} has no `=`; write KEY=VALUE, for example evolution.sigma.initial=0.05")));
        };
        let value = serde_yaml::from_str(value).map_err(|error| YamlError(format!("the value of {key}: {error}")))?;
        Ok(Self { key: key.trim().to_owned(), value })
    }
}

/// As [`read_yaml`], with `changes`, the later ones over the earlier.
///
/// # Errors
/// As [`read_yaml`], and [`ConfigError::Parse`] when a key of a change lies in something that has no keys.
pub fn read_changed_yaml<T: DeserializeOwned>(path: &Path, changes: &[Change]) -> Result<T, ConfigError> {
    if changes.is_empty() {
        return read_yaml(path); // It knows the line of an error.
    }
    let mut document: serde_yaml::Value = read_yaml(path)?;
    let parse = |message| ConfigError::Parse { path: path.into(), message };
    for change in changes {
        change.apply(&mut document).map_err(parse)?;
    }
    let keys: Vec<&str> = changes.iter().map(|change| change.key.as_str()).collect();
    serde_yaml::with::singleton_map_recursive::deserialize(document).map_err(|error: serde_yaml::Error| {
        parse(format!("{} (with another value of {})", with_suggestion(&error.to_string()), keys.join(", ")))
    })
}

impl Change {
    fn apply(&self, document: &mut serde_yaml::Value) -> Result<(), String> {
        let mut place = document;
        let depth = self.key.split('.').count();
        if depth > DEEPEST_KEY {
            return Err(format!("a key of {depth} parts; at most {DEEPEST_KEY} are followed"));
        }
        for name in self.key.split('.') {
            // What is absent, or there without a value, may be a map.
            if place.is_null() {
                *place = serde_yaml::Mapping::new().into();
            }
            let Some(map) = place.as_mapping_mut() else {
                return Err(format!("there is no {} to be changed: what should hold `{name}` has no keys", self.key));
            };
            place = map.entry(name.into()).or_insert(serde_yaml::Value::Null);
        }
        *place = self.value.clone();
        Ok(())
    }
}

/// Longest description \[bytes\].
const LONGEST_DESCRIPTION: usize = 65_536;

/// Reads a description from someone who may be anyone: a parameter, a request, a command line. Nothing but blanks is the default.
///
/// # Errors
/// As [`parse_yaml`], and when it is longer than 64 KiB.
pub fn parse_description<T: DeserializeOwned + Default>(text: &str) -> Result<T, YamlError> {
    if text.len() > LONGEST_DESCRIPTION {
        return Err(YamlError(format!("a text of {} bytes; at most {LONGEST_DESCRIPTION} are read", text.len())));
    }
    if text.trim().is_empty() {
        return Ok(T::default());
    }
    if serde_yaml::from_str(text).is_ok_and(|value| has_nul(&value)) {
        // Whoever asked over ROS could not even be told of the name that it stands in.
        return Err(YamlError("a text with a NUL character; write it without".to_owned()));
    }
    parse_yaml(text)
}

/// Whether any text in `value` has a NUL character, which YAML can write as an escape.
fn has_nul(value: &serde_yaml::Value) -> bool {
    match value {
        serde_yaml::Value::String(text) => text.contains('\0'),
        serde_yaml::Value::Sequence(values) => values.iter().any(has_nul),
        serde_yaml::Value::Mapping(entries) => entries.iter().any(|(key, value)| has_nul(key) || has_nul(value)),
        _ => false,
    }
}

/// Adds "did you mean …?" to a serde message about an unknown field or variant.
pub fn with_suggestion(message: &str) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let is_unknown = message.contains("unknown field") || message.contains("unknown variant");
    let (true, Some(given)) = (is_unknown, quoted.next()) else {
        return message.to_owned();
    };
    match nearest(given, quoted) {
        Some(known) => format!("{message}; did you mean `{known}`?"),
        None => message.to_owned(),
    }
}

/// The known name most like `given`, if one is alike enough to be what was meant.
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // 0.7: a typing error or two in a short word still passes, an unrelated word does not, even beside a long one.
    let score = |name: &str| strsim::jaro_winkler(given, name);
    known.into_iter().filter(|name| score(name) > 0.7).max_by(|a, b| score(a).total_cmp(&score(b)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::suite::Suite;
    use crate::simulation::Terrain;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Example {
        stiffness: f32,
        damping: Option<f32>,
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_nearest_known_one() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "stifness: 3\n").unwrap();
        let error = read_yaml::<Example>(file.path()).unwrap_err().to_string();
        assert!(error.contains("stifness") && error.contains("did you mean `stiffness`?"), "{error}");
    }

    #[test]
    fn a_description_with_a_nul_character_is_refused_without_repeating_it() {
        for text in ["{\"slo\\0pe\": 1}", "{friction: \"\\0\"}", "[\"a\\0\"]"] {
            let error = parse_description::<Terrain>(text).unwrap_err().to_string();
            assert!(error.contains("NUL") && !error.contains('\0'), "{error:?}");
        }
    }

    #[test]
    fn empty_descriptions_are_the_default_and_long_ones_are_refused() {
        assert_eq!(parse_description(" \n"), Ok(Terrain::default()));
        assert_eq!(parse_description("{slope: 0.1}"), Ok(Terrain { slope: 0.1, ..Terrain::default() }));
        let refused = |text: &str| parse_description::<Terrain>(text).unwrap_err().to_string();
        assert!(refused("{slop: 1}").contains("did you mean `slope`?"));
        assert!(refused(&"#".repeat(LONGEST_DESCRIPTION + 1)).contains("bytes"));
    }

    #[test]
    fn changes_take_the_place_of_values_and_are_checked_as_the_file_is() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "{episodes: 2, duration: 3, conditions: [{name: a}]}").unwrap();
        let read = |changes: &[&str]| {
            let changes: Vec<Change> = changes.iter().map(|change| change.parse().unwrap()).collect();
            read_changed_yaml::<Suite>(file.path(), &changes)
        };
        let changed = read(&["duration=4", "episodes=7", "episodes=5", "conditions=[{name: b, terrain: {slope: 0.1}}]"]).unwrap();
        assert_eq!((changed.duration, changed.episodes, changed.conditions[0].terrain.slope), (4.0, 5, 0.1));
        assert_eq!(read(&[]).unwrap().duration, 3.0);
        let refused = |change| read(&[change]).unwrap_err().to_string();
        assert!(refused("durations=4").contains("did you mean `duration`?"));
        assert!(refused("duration.from=4").contains("what should hold `from` has no keys"));
        assert!(refused("episodes=many").contains("invalid type") && refused("episodes=many").contains("value of episodes"));
        assert!(refused(&format!("{}=1", "a.".repeat(20))).contains("21 parts"));
        assert!("duration".parse::<Change>().unwrap_err().to_string().contains("write KEY=VALUE"));
        assert!("duration=[".parse::<Change>().is_err());
    }

    #[test]
    fn an_unlike_key_gets_no_suggestion() {
        assert_eq!(nearest("qqq", ["stiffness", "damping"]), None);
        assert_eq!(nearest("nonsense", ["timing.sensor_age_warning", "gate"]), None);
    }
}
