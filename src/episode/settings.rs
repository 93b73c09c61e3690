//! What is the same for all episodes of an experiment.

use serde::{Deserialize, Serialize};

use crate::policy::InterfaceError;
use crate::simulation::{Damage, DamageError, SettingsError, SimulationSettings, StartNoise, StartNoiseError};

/// Length and conditions of an episode.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpisodeSettings {
    /// Length \[s\].
    pub duration: f32,
    /// Spread of the start pose.
    #[serde(default)]
    pub start_noise: StartNoise,
    /// The world.
    #[serde(default)]
    pub simulation: SimulationSettings,
    /// What is wrong with the robot, or happens to it.
    #[serde(default)]
    pub damage: Vec<Damage>,
}

/// Why an episode cannot be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EpisodeError {
    /// The rates do not fit each other.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The spread of the start pose is not usable.
    #[error(transparent)]
    StartNoise(#[from] StartNoiseError),
    /// A damage does not fit the robot.
    #[error(transparent)]
    Damage(#[from] DamageError),
    /// The policy drives another robot.
    #[error(transparent)]
    Interface(#[from] InterfaceError),
    /// The policy steps at another rate than the world.
    #[error("the policy steps at {policy} Hz but the simulation at {simulation} Hz; give both the same control rate")]
    ControlRate {
        /// Of the policy \[Hz\].
        policy: f32,
        /// Of the world \[Hz\].
        simulation: f32,
    },
    /// The length is not usable.
    #[error("an episode of {duration} s; it must last at least one control step and at most a day")]
    Duration {
        /// Length given \[s\].
        duration: f32,
    },
}

impl EpisodeSettings {
    /// Control steps in an episode.
    ///
    /// # Errors
    /// [`EpisodeError::Duration`] when there is not at least one, or the episode is longer than a day; [`EpisodeError::Settings`] or
    /// [`EpisodeError::StartNoise`] when a number of the world or of its start is out of range.
    pub fn control_steps(&self) -> Result<u32, EpisodeError> {
        self.simulation.check()?;
        self.start_noise.check()?;
        let steps = (self.duration * self.simulation.control_rate).round();
        if steps >= 1.0 && self.duration <= 86_400.0 {
            Ok(steps as u32)
        } else {
            Err(EpisodeError::Duration { duration: self.duration })
        }
    }
}
