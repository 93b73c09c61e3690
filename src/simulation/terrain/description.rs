//! What the ground is like, as written by a person in an experiment file or a service call.

use serde::{Deserialize, Serialize};

/// Heights of uneven ground are rounded to this \[m\], as in the authors' terrain.
pub(super) const HEIGHT_UNIT: f32 = 0.005;

/// The ground. The default is flat, level and rigid, with the robot's own friction.
///
/// It has no end: heights repeat after some twelve metres, blocks are moved along with the robot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Terrain {
    /// Its shape.
    pub relief: Relief,
    /// Angle by which the whole ground climbs along x \[rad\].
    pub slope: f32,
    /// Coulomb friction coefficient between robot and ground; default: the robot's.
    pub friction: Option<f32>,
    /// Spots of another friction.
    pub patches: Option<Patches>,
    /// Compliance; default: as rigid as the step allows.
    pub soft: Option<Softness>,
    /// Seed of heights and patches.
    pub seed: u64,
}

/// Shape of the ground.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Relief {
    /// A plane.
    #[default]
    Flat,
    /// Random heights on a square lattice, interpolated.
    Uneven(Uneven),
    /// Steps across the x axis.
    Steps(Steps),
    /// Gaps across the x axis.
    Gaps(Gaps),
}

/// The uneven height field of arXiv 2503.12406: heights in ±0.1 m in steps of 0.025 m, drawn every 0.2 m, interpolated to cells of 0.1 m and
/// rounded to 5 mm.
///
/// Each episode starts at a place of its own, drawn from the episode's seed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Uneven {
    /// Largest height either way \[m\]; the largest multiple of `step` in it counts.
    pub height: f32,
    /// Heights are multiples of this \[m\].
    pub step: f32,
    /// Distance between drawn heights \[m\].
    pub spacing: f32,
}

/// Blocks whose tops differ in height, across the whole y axis.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Steps {
    /// Height of a step \[m\].
    pub height: f32,
    /// Length of a step along x \[m\].
    pub length: f32,
    /// How the heights follow each other.
    pub order: StepOrder,
    /// Half the length of the flat ground around the start \[m\].
    pub start: f32,
}

/// How the heights of steps follow each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepOrder {
    /// Stairs that climb away from the start, forwards and backwards.
    #[default]
    Up,
    /// Stairs that fall away from the start.
    Down,
    /// Each block's height is drawn between 0 and the height of a step.
    Random,
}

/// Blocks with gaps between them, across the whole y axis.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Gaps {
    /// Width of a gap along x \[m\].
    pub width: f32,
    /// Length of the ground between two gaps \[m\].
    pub length: f32,
    /// Depth of a gap \[m\].
    pub depth: f32,
    /// Half the length of the ground without gaps around the start \[m\].
    pub start: f32,
}

/// Square spots of another friction coefficient.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Patches {
    /// Coefficient on the spots.
    pub friction: f32,
    /// Share of the ground that they cover, 0 to 1.
    #[serde(default = "half")]
    pub share: f32,
    /// Edge of a spot \[m\].
    #[serde(default = "patch_size")]
    pub size: f32,
}

/// Ground that gives way like a spring and damper under each contact.
///
/// As in MuJoCo's `solref`, both numbers are relative to the mass that a contact feels: where a foot feels m kg and carries F newtons, it sinks by
/// F / (m (2 pi f)²).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Softness {
    /// Natural frequency f of the mass on the ground \[Hz\]; the lower, the softer.
    pub frequency: f32,
    /// Damping ratio; 1 is critical.
    #[serde(default = "one")]
    pub damping_ratio: f32,
}

impl Default for Uneven {
    fn default() -> Self {
        Self { height: 0.1, step: 0.025, spacing: 0.2 }
    }
}

impl Default for Steps {
    fn default() -> Self {
        Self { height: 0.05, length: 0.3, order: StepOrder::Up, start: 1.0 }
    }
}

impl Default for Gaps {
    fn default() -> Self {
        Self { width: 0.1, length: 0.4, depth: 0.5, start: 1.0 }
    }
}

fn half() -> f32 {
    0.5
}

fn patch_size() -> f32 {
    0.2
}

fn one() -> f32 {
    1.0
}

impl Uneven {
    /// The largest height in steps. A little is added, since in single precision 0.02 m are less than ten steps of 0.002 m.
    pub(super) fn most(&self) -> i32 {
        (self.height / self.step + 1e-3).floor() as i32
    }

    /// Whether no height but 0 is left.
    fn is_flat(&self) -> bool {
        (self.most() as f32 * self.step / HEIGHT_UNIT).round() == 0.0
    }
}

/// Why a terrain was refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TerrainError {
    /// A number out of range.
    #[error("terrain: `{key}` is {value}; it must be {lower} to {upper}")]
    Range {
        /// Its key.
        key: &'static str,
        /// The number.
        value: f32,
        /// The smallest that is taken.
        lower: f32,
        /// The largest that is taken.
        upper: f32,
    },
    /// Uneven ground without any height.
    #[error(
        "terrain: `relief.uneven.height` is {height} and `relief.uneven.step` is {step}, which leaves a plane: heights are \
         multiples of `step`, rounded to {HEIGHT_UNIT} m. Give a `step` of at most `height` and a `height` of at least \
         {HEIGHT_UNIT}, or `relief: flat`"
    )]
    Plane {
        /// Largest height \[m\].
        height: f32,
        /// What heights are multiples of \[m\].
        step: f32,
    },
}

impl Terrain {
    /// Whether all numbers are in range, and leave uneven ground some height.
    ///
    /// # Errors
    /// [`TerrainError`] names the first that is not.
    pub fn check(&self) -> Result<(), TerrainError> {
        // Steeper than 60 degrees, or blocks shorter than a centimetre, are mistakes rather than ground.
        within("slope", self.slope, -1.05, 1.05)?;
        within("friction", self.friction.unwrap_or(1.0), 0.0, 10.0)?;
        match self.relief {
            Relief::Flat => (),
            Relief::Uneven(uneven) => {
                within("relief.uneven.height", uneven.height, 0.0, 5.0)?;
                within("relief.uneven.step", uneven.step, 1e-4, 5.0)?;
                within("relief.uneven.spacing", uneven.spacing, 0.02, 10.0)?;
                if uneven.height > 0.0 && uneven.is_flat() {
                    return Err(TerrainError::Plane { height: uneven.height, step: uneven.step });
                }
            }
            Relief::Steps(steps) => {
                within("relief.steps.height", steps.height, 0.0, 5.0)?;
                within("relief.steps.length", steps.length, 0.02, 10.0)?;
                within("relief.steps.start", steps.start, 0.0, 100.0)?;
            }
            Relief::Gaps(gaps) => {
                within("relief.gaps.width", gaps.width, 0.0, 10.0)?;
                within("relief.gaps.length", gaps.length, 0.02, 10.0)?;
                within("relief.gaps.depth", gaps.depth, 0.0, 5.0)?;
                within("relief.gaps.start", gaps.start, 0.0, 100.0)?;
            }
        }
        if let Some(patches) = self.patches {
            within("patches.friction", patches.friction, 0.0, 10.0)?;
            within("patches.share", patches.share, 0.0, 1.0)?;
            within("patches.size", patches.size, 0.01, 100.0)?;
        }
        if let Some(soft) = self.soft {
            within("soft.frequency", soft.frequency, 0.5, 1000.0)?;
            within("soft.damping_ratio", soft.damping_ratio, 0.05, 100.0)?;
        }
        Ok(())
    }
}

fn within(key: &'static str, value: f32, lower: f32, upper: f32) -> Result<(), TerrainError> {
    // NaN is in no range.
    if (lower..=upper).contains(&value) { Ok(()) } else { Err(TerrainError::Range { key, value, lower, upper }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse_yaml;

    #[test]
    fn a_terrain_is_read_from_yaml_with_the_papers_numbers_as_defaults() {
        let text = "{relief: {uneven: {}}, slope: 0.1, patches: {friction: 0.1}, soft: {frequency: 12}, seed: 3}";
        let terrain: Terrain = parse_yaml(text).unwrap();
        assert_eq!(terrain.relief, Relief::Uneven(Uneven { height: 0.1, step: 0.025, spacing: 0.2 }));
        assert_eq!((terrain.slope, terrain.seed, terrain.friction), (0.1, 3, None));
        terrain.check().unwrap();
        assert_eq!(parse_yaml::<Terrain>("relief: flat").unwrap(), Terrain::default());
        let steps: Terrain = parse_yaml("relief: {steps: {order: random, height: 0.02}}").unwrap();
        assert!(matches!(steps.relief, Relief::Steps(Steps { order: StepOrder::Random, .. })));
    }

    #[test]
    fn a_mistaken_terrain_is_refused_by_name() {
        for (text, said) in [
            ("{slop: 0.1}", "did you mean `slope`?"),
            ("relief: {unevn: {}}", "did you mean `uneven`?"),
            ("relief: {gaps: {widht: 0.1}}", "did you mean `width`?"),
        ] {
            let error = parse_yaml::<Terrain>(text).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
        for text in
            ["slope: 2.0", "friction: -1.0", "slope: .nan", "relief: {steps: {length: 0.0}}", "patches: {friction: 1, share: 2}"]
        {
            assert!(parse_yaml::<Terrain>(text).unwrap().check().is_err(), "{text}");
        }
    }

    #[test]
    fn uneven_ground_that_would_be_a_plane_is_refused_and_both_keys_are_named() {
        let check = |uneven: &str| parse_yaml::<Terrain>(&format!("relief: {{uneven: {uneven}}}")).unwrap().check();
        for uneven in ["{height: 0.02}", "{height: 0.0249}", "{height: 0.1, step: 0.2}", "{height: 0.002, step: 0.001}"] {
            let error = check(uneven).unwrap_err().to_string();
            let names_both = ["`relief.uneven.height`", "`relief.uneven.step`"].iter().all(|key| error.contains(key));
            assert!(names_both && error.contains("0.005"), "{uneven}: {error}");
        }
        for uneven in ["{height: 0.025}", "{height: 0.02, step: 0.02}", "{height: 0.005, step: 0.001}", "{height: 0}"] {
            check(uneven).unwrap();
        }
    }
}
