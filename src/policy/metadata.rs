//! What a policy file says beside the numbers of the rule.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::step::MapError;
use super::{ActionMap, NetworkDescription, ObservationMap, RobotInterface};
use crate::plasticity::{GateDescription, GateDimensions};

/// Version of the policy file's form. A file of another version is refused.
pub const FORMAT_VERSION: u32 = 2;
/// Control rates that a policy may have \[Hz\]: times of loops are whole nanoseconds, and sums of them must stay far from overflowing.
const CONTROL_RATES: std::ops::RangeInclusive<f32> = 0.1..=10_000.0;

/// Everything that a node needs to run a policy, except the rule's coefficients.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyMetadata {
    /// [`FORMAT_VERSION`].
    pub format_version: u32,
    /// Name of the policy.
    pub name: String,
    /// The robot that it drives.
    pub robot: RobotInterface,
    /// Control steps per second \[Hz\].
    pub control_rate: f32,
    /// Network inputs.
    pub observation: ObservationMap,
    /// Network outputs.
    pub action: ActionMap,
    /// The network.
    pub network: NetworkDescription,
    /// What may shut the plasticity gate beside commands.
    #[serde(default)]
    pub gate: GateDescription,
    /// Where the policy comes from.
    pub provenance: Provenance,
}

/// How a policy came to be. Everything in it is reproducible: no dates, hosts or durations.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// Name of the experiment.
    pub experiment: String,
    /// SHA-256 of the experiment as the program understood it, defaults filled in.
    pub experiment_hash: String,
    /// Seed of the evolution.
    pub seed: u64,
    /// SHA-256 of the policy file that the search began at; absent when it began near zero.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// Generations evolved.
    pub generation: u64,
    /// [`EPISODE_VERSION`](crate::episode::EPISODE_VERSION) of the program that evolved it; absent where it was
    /// [`FIRST_EPISODE_VERSION`](crate::episode::FIRST_EPISODE_VERSION).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub episode_version: Option<u16>,
    /// Fitness of this genome, mean over the held-out episodes of the ablation with which its evolution ended (a later ablation leaves it);
    /// without one in the episodes of its generation (of the policy at the mean of a search: of the candidates by which it was found, over a
    /// round of conditions), or 0 where it was never tried.
    pub fitness: f32,
    /// What is left of its speed without parts of the rule; absent when it was never measured.
    #[serde(default)]
    pub ablation: Option<Ablation>,
}

/// An ablation: the same held-out episodes with parts of the method taken away.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ablation {
    /// Episodes per row.
    pub episodes: u32,
    /// Length of each \[s\].
    pub duration: f32,
    /// Seed that the episodes' seeds come from.
    pub seed: u64,
    /// [`EPISODE_VERSION`](crate::episode::EPISODE_VERSION) of the program that ran them; absent where it was
    /// [`FIRST_EPISODE_VERSION`](crate::episode::FIRST_EPISODE_VERSION).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub episode_version: Option<u16>,
    /// One row per variant; the first is the intact policy.
    pub results: Vec<AblationResult>,
}

/// One row of an ablation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AblationResult {
    /// What was taken away: `intact`, `A=B=C=0`, `D=0`, `frozen after 1 s`, …
    pub variant: String,
    /// Mean forward speed \[m/s\].
    pub speed_mean: f32,
    /// Standard deviation of the speed over episodes (n - 1) \[m/s\].
    pub speed_sd: f32,
    /// Mean speed as a share of the intact policy's.
    pub speed_retained: f32,
    /// Episodes in which the robot fell.
    pub falls: u32,
}

impl PolicyMetadata {
    /// What the gate must fit.
    pub fn gate_dimensions(&self) -> GateDimensions {
        let (layers, feet) = (self.network.layers(), self.robot.feet.len());
        GateDimensions { layers: layers.layers().len(), synapses: layers.synapses(), feet }
    }

    /// Whether foot contacts change what the policy does: it sees them, or its gate follows them.
    pub fn needs_contacts(&self) -> bool {
        self.observation.needs_contacts() || self.gate.needs_contacts()
    }

    /// All texts, each with its place.
    fn texts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let Provenance { experiment, experiment_hash, start, ablation, .. } = &self.provenance;
        let single = [
            ("name", self.name.as_str()),
            ("robot.name", self.robot.name.as_str()),
            ("provenance.experiment", experiment.as_str()),
            ("provenance.experiment_hash", experiment_hash.as_str()),
        ];
        let start = start.iter().map(|hash| ("provenance.start", hash.as_str()));
        let rows = ablation.iter().flat_map(|ablation| &ablation.results);
        let variants = rows.map(|row| ("provenance.ablation.results", row.variant.as_str()));
        let joints = self.robot.joint_names().map(|name| ("robot.joints", name));
        let feet = self.robot.feet.iter().map(|name| ("robot.feet", name.as_str()));
        single.into_iter().chain(start).chain(variants).chain(joints).chain(feet)
    }

    /// Checks that all parts fit each other.
    ///
    /// # Errors
    /// [`MapError`] names the part.
    pub fn check(&self) -> Result<(), MapError> {
        if let Some((name, text)) = self.texts().find(|(_, text)| text.contains('\0')) {
            return Err(MapError::Text { name, text: text.to_owned() });
        }
        let feet: Vec<&str> = self.robot.feet.iter().map(String::as_str).collect();
        for (list, names) in [("robot.joints", self.robot.joint_names().collect()), ("robot.feet", feet)] {
            if let Some(name) = doubled(&names) {
                return Err(MapError::Doubled { list, name: name.to_owned() });
            }
        }
        let layers = self.network.layers();
        let observed = self.observation.len(&self.robot);
        if observed != layers.inputs() {
            return Err(MapError::Inputs { observed, inputs: layers.inputs(), layers: layers.neurons().to_vec() });
        }
        let joints = self.robot.joints.len();
        if joints != layers.outputs() {
            return Err(MapError::Outputs { joints, outputs: layers.outputs(), layers: layers.neurons().to_vec() });
        }
        let value = |name, problem| Err(MapError::Value { name, problem });
        if !CONTROL_RATES.contains(&self.control_rate) {
            return value("control_rate", "it must be from 0.1 to 10000 Hz");
        }
        if !self.observation.is_finite() {
            return value("observation", "every scale must be finite");
        }
        if !self.action.is_valid() {
            return value("action", "the scale must be finite and low_pass in (0, 1]");
        }
        let in_order = |joint: &super::JointInterface| joint.lower <= joint.nominal && joint.nominal <= joint.upper;
        let is_usable = |joint: &super::JointInterface| in_order(joint) && joint.lower.is_finite() && joint.upper.is_finite();
        if !self.robot.joints.iter().all(is_usable) {
            return value("robot.joints", "each needs lower <= nominal <= upper, all finite");
        }
        self.network.check()?;
        Ok(self.gate.check(&self.gate_dimensions())?)
    }
}

/// The first name that was there before.
fn doubled<'a>(names: &[&'a str]) -> Option<&'a str> {
    let mut seen = HashSet::new();
    names.iter().copied().find(|name| !seen.insert(*name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ablation_names_the_version_of_its_episodes_only_where_that_is_not_the_first() {
        let ablation = |episode_version| Ablation { episodes: 8, duration: 6.0, seed: 1, episode_version, results: Vec::new() };
        let text = |episode_version| serde_json::to_string(&ablation(episode_version)).unwrap();
        assert_eq!(text(None), r#"{"episodes":8,"duration":6.0,"seed":1,"results":[]}"#, "files of before keep their bytes");
        for version in [None, Some(2)] {
            assert_eq!(serde_json::from_str::<Ablation>(&text(version)).unwrap(), ablation(version));
        }
    }
}
