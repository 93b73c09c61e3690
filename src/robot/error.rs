//! Errors of reading a robot.

use std::path::PathBuf;

use crate::config::{ConfigError, nearest};

/// Why a robot's description was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RobotError {
    /// The YAML beside the URDF is missing or malformed.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The URDF cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The URDF file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The URDF is not well-formed.
    #[error("{}: not a valid URDF: {message}", path.display())]
    MalformedUrdf {
        /// The URDF file.
        path: PathBuf,
        /// The parser's reason.
        message: String,
    },
    /// The text holds macros or expressions of xacro instead of what they come to.
    #[error(
        "{}: `{found}` is xacro, which has to be expanded first; run `xacro {} > {}` and name that file",
        path.display(), path.display(), expanded.display()
    )]
    Xacro {
        /// The file.
        path: PathBuf,
        /// The first element that has to be expanded.
        found: String,
        /// A file that would hold the URDF.
        expanded: PathBuf,
    },
    /// A name in the YAML does not exist in the URDF.
    #[error("the robot description names the {kind} `{name}`, which the URDF does not have{}", suggestion(nearest))]
    UnknownName {
        /// "joint" or "link".
        kind: &'static str,
        /// The name given.
        name: String,
        /// The nearest existing name, if any is alike.
        nearest: Option<String>,
    },
    /// A name appears twice where each may appear once.
    #[error("the robot description lists the {kind} `{name}` twice")]
    Doubled {
        /// "joint" or "foot".
        kind: &'static str,
        /// The name given.
        name: String,
    },
    /// More of something than any legged robot has; refused before memory is taken for it.
    #[error("{what}: {given}, of which at most {limit} are accepted")]
    TooLarge {
        /// What there is too much of, with its unit.
        what: String,
        /// How much there is.
        given: u64,
        /// How much there may be.
        limit: u64,
    },
    /// A mesh cannot be used as a collision shape.
    #[error("the collision mesh `{file}` of the link `{link}`: {problem}")]
    Mesh {
        /// Link whose shape it is.
        link: String,
        /// The file as the URDF names it.
        file: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A joint, link or value cannot be used.
    #[error("{subject} `{name}`: {problem}")]
    Unusable {
        /// What kind of thing is meant.
        subject: &'static str,
        /// Its name.
        name: String,
        /// What is wrong and what to do.
        problem: String,
    },
}

fn suggestion(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

impl RobotError {
    /// An [`RobotError::UnknownName`] with the nearest of `known`.
    pub(crate) fn unknown<'a>(kind: &'static str, name: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        Self::UnknownName { kind, name: name.to_owned(), nearest: nearest(name, known).map(str::to_owned) }
    }

    /// An [`RobotError::Unusable`].
    pub(crate) fn unusable(subject: &'static str, name: &str, problem: impl Into<String>) -> Self {
        Self::Unusable { subject, name: name.to_owned(), problem: problem.into() }
    }
}
