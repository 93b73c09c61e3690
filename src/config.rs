//! Reading YAML configuration: unknown keys are refused, and the nearest known one is named.

use std::path::{Path, PathBuf};

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
    // Enum variants as maps of one key (`tilt: {…}`), as in JSON, and not as YAML tags.
    serde_yaml::with::singleton_map_recursive::deserialize(serde_yaml::Deserializer::from_str(&text)).map_err(
        |error: serde_yaml::Error| ConfigError::Parse { path: path.into(), message: with_suggestion(&error.to_string()) },
    )
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
    // 0.6: a typing error or two in a short word still passes, an unrelated word does not.
    let score = |name: &str| strsim::jaro_winkler(given, name);
    known.into_iter().filter(|name| score(name) > 0.6).max_by(|a, b| score(a).total_cmp(&score(b)))
}

#[cfg(test)]
mod tests {
    use super::*;
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
    fn an_unlike_key_gets_no_suggestion() {
        assert_eq!(nearest("qqq", ["stiffness", "damping"]), None);
    }
}
