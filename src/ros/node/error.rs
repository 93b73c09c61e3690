//! Why a node could not start or go on.

use crate::config::ConfigError;
use crate::evolution::{ExperimentError, RunError};
use crate::policy::{InterfaceError, MapError, PolicyFileError, RingError, StateFileError};
use crate::recording::BagError;
use crate::robot::{DriverError, RobotError};
use crate::ros::lifecycle::TransitionError;
use crate::ros::parameters::ParameterError;
use crate::ros::policy::Unanswered;
use crate::safety::SafetyError;
use crate::simulation::{DamageError, SettingsError};

/// Why a node could not start or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// ROS refused something.
    #[error("ROS: {what}: {source}")]
    Ros {
        /// What was tried.
        what: String,
        /// ROS's reason.
        source: r2r::Error,
    },
    /// ROS refused the command line or a parameter file.
    #[error("ROS refuses the command line or a parameter file: {reason}")]
    CommandLine {
        /// ROS's reason.
        reason: String,
    },
    /// A parameter is not usable.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    /// The policy file is not usable.
    #[error(transparent)]
    PolicyFile(#[from] PolicyFileError),
    /// The policy is not consistent.
    #[error(transparent)]
    Policy(#[from] MapError),
    /// The policy drives another robot.
    #[error(transparent)]
    Interface(#[from] InterfaceError),
    /// The robot description is not usable.
    #[error(transparent)]
    Robot(#[from] RobotError),
    /// The simulation's settings are not usable.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The experiment is not usable.
    #[error(transparent)]
    Experiment(#[from] ExperimentError),
    /// The evolution cannot begin or go on.
    #[error(transparent)]
    Evolution(#[from] RunError),
    /// Two evolution nodes.
    #[error(
        "another evolution node speaks on evolution/work here; end it, or start this one in another namespace (-r __ns:=/name) or ROS domain"
    )]
    Twin,
    /// Commands would come from others as well.
    #[error(
        "commands on {topic} can come from {others} too, and the robot would follow now one, now the other: end that, or let one of the two \
         publish elsewhere (-r {topic}:=/another); where they take turns on purpose, set the parameter shared_commands to true. One that was \
         killed counts for up to half a minute"
    )]
    SharedCommands {
        /// The topic.
        topic: String,
        /// Who else publishes there.
        others: String,
    },
    /// A damage does not fit the robot.
    #[error(transparent)]
    Damage(#[from] DamageError),
    /// The viewer's web server cannot start.
    #[error(transparent)]
    Viewer(#[from] crate::viewer::ServerError),
    /// The supervisor's settings are not usable.
    #[error(transparent)]
    Safety(#[from] SafetyError),
    /// The driver's description is malformed.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The driver does not fit the policy.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// The history of weights cannot be kept.
    #[error("history: {0}")]
    Ring(#[from] RingError),
    /// Kept weights are not usable.
    #[error(transparent)]
    StateFile(#[from] StateFileError),
    /// A lifecycle transition is not possible.
    #[error(transparent)]
    Transition(#[from] TransitionError),
    /// The control thread did not do what the transition needs.
    #[error(transparent)]
    Unanswered(#[from] Unanswered),
    /// Parameters contradict each other.
    #[error("{0}")]
    Contradiction(String),
    /// The recording cannot be made.
    #[error(transparent)]
    Bag(#[from] BagError),
    /// The system refused a thread or signal handler.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A thread of the node panicked.
    #[error("the thread `{thread}` panicked; the node ends and publishes no more commands")]
    Panicked {
        /// Which.
        thread: String,
    },
}

impl NodeError {
    /// What makes such an error of ROS's reason when `what` was tried.
    pub(super) fn ros(what: impl Into<String>) -> impl FnOnce(r2r::Error) -> Self {
        move |source| Self::Ros { what: what.into(), source }
    }
}
