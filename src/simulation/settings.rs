//! How a world is simulated.

use serde::{Deserialize, Serialize};

use super::terrain::{Terrain, TerrainError};

/// Rates and placement of a simulated world.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SimulationSettings {
    /// Physics steps per second \[Hz\]. 100 agrees with 1 kHz within a few per cent for position-driven legs.
    pub physics_rate: f32,
    /// Control steps per second \[Hz\]; the physics rate must be a whole multiple.
    pub control_rate: f32,
    /// How the base is held.
    pub mount: Mount,
    /// Time from a command to the motors' answer \[s\], in whole physics steps.
    pub actuator_delay: f32,
    /// The ground.
    pub terrain: Terrain,
}

/// How the robot's base is held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mount {
    /// It moves freely over the ground.
    #[default]
    Free,
    /// It is held still, high enough that no foot reaches the ground.
    Suspended,
}

impl Default for SimulationSettings {
    fn default() -> Self {
        Self { physics_rate: 100.0, control_rate: 50.0, mount: Mount::Free, actuator_delay: 0.0, terrain: Terrain::default() }
    }
}

/// Longest delay of actuators \[s\].
const LONGEST_DELAY: f32 = 1.0;

/// Why simulation settings were refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The rates do not fit each other.
    #[error(
        "a physics rate of {physics_rate} Hz with a control rate of {control_rate} Hz: both must be positive, and the first a whole multiple of the second, at most 1000 times it"
    )]
    Rates {
        /// Physics steps per second.
        physics_rate: f32,
        /// Control steps per second.
        control_rate: f32,
    },
    /// The delay is out of range.
    #[error("an actuator delay of {0} s; it must be from 0 to {LONGEST_DELAY} s")]
    Delay(f32),
    /// A number of the terrain is out of range.
    #[error(transparent)]
    Terrain(#[from] TerrainError),
}

impl SimulationSettings {
    /// With the lowest physics rate, from the one that is set on, that is a whole multiple of the control rate: 120 Hz for 100 at 40 Hz
    /// of control. Rates that are no rates stay as they are, for [`check`](Self::check) to refuse.
    #[must_use]
    pub fn with_fitting_physics_rate(self) -> Self {
        let ratio = self.physics_rate / self.control_rate;
        let are_rates = self.control_rate > 0.0 && ratio > 0.0 && ratio.is_finite();
        if !are_rates || self.substeps().is_ok() {
            return self;
        }
        Self { physics_rate: self.control_rate * ratio.ceil(), ..self }
    }

    /// Physics steps in one control step.
    ///
    /// # Errors
    /// [`SettingsError`] when the rates do not fit each other.
    pub fn substeps(&self) -> Result<u32, SettingsError> {
        let ratio = self.physics_rate / self.control_rate;
        let fits = self.control_rate > 0.0 && (1.0..=1000.0).contains(&ratio);
        if !fits || (ratio - ratio.round()).abs() > 1e-4 {
            return Err(SettingsError::Rates { physics_rate: self.physics_rate, control_rate: self.control_rate });
        }
        Ok(ratio.round() as u32)
    }

    /// Whether everything is in range.
    ///
    /// # Errors
    /// [`SettingsError`] names what is not.
    pub fn check(&self) -> Result<(), SettingsError> {
        self.substeps()?;
        self.terrain.check()?;
        if (0.0..=LONGEST_DELAY).contains(&self.actuator_delay) { Ok(()) } else { Err(SettingsError::Delay(self.actuator_delay)) }
    }

    /// Physics steps from a command to the motors' answer.
    pub fn delay_steps(&self) -> usize {
        (self.actuator_delay * self.physics_rate).round() as usize
    }

    /// Length of a physics step \[s\].
    pub fn physics_step(&self) -> f32 {
        1.0 / self.physics_rate
    }

    /// Length of a control step \[s\].
    pub fn control_step(&self) -> f32 {
        1.0 / self.control_rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_that_do_not_divide_are_refused() {
        let rates =
            |physics_rate, control_rate| SimulationSettings { physics_rate, control_rate, ..Default::default() }.substeps();
        assert_eq!(rates(100.0, 50.0).unwrap(), 2);
        assert_eq!(rates(1000.0, 30.303_03).unwrap(), 33);
        for (physics, control) in [(100.0, 30.0), (50.0, 100.0), (100.0, 0.0), (f32::NAN, 50.0), (100.0, -50.0)] {
            assert!(rates(physics, control).is_err(), "{physics} {control}");
        }
    }

    #[test]
    fn the_physics_rate_that_fits_is_the_next_whole_multiple_of_the_control_rate() {
        let fitting = |physics_rate, control_rate| {
            let settings = SimulationSettings { physics_rate, control_rate, ..Default::default() }.with_fitting_physics_rate();
            (settings.physics_rate, settings.substeps().ok())
        };
        // The last is no multiple to the last bit, but counts as one.
        for (physics, control, steps) in [(100.0, 50.0, 2), (100.0, 100.0, 1), (400.0, 40.0, 10), (100.0, 33.333_332, 3)] {
            assert_eq!(fitting(physics, control), (physics, Some(steps)), "{physics} {control}");
        }
        for (physics, control, expected) in
            [(100.0, 40.0, 120.0), (100.0, 30.0, 120.0), (100.0, 99.0, 198.0), (100.0, 200.0, 200.0), (250.0, 40.0, 280.0)]
        {
            assert_eq!(fitting(physics, control), (expected, Some((expected / control) as u32)), "{physics} {control}");
        }
        for (physics, control) in
            [(0.0, 50.0), (-1.0, 50.0), (f32::INFINITY, 50.0), (100.0, 0.0), (100.0, -50.0), (-100.0, -50.0)]
        {
            assert_eq!(fitting(physics, control), (physics, None), "{physics} {control}");
        }
        assert_eq!(fitting(f32::NAN, 50.0).1, None);
    }
}
