//! The experiment file: everything that determines the result of an evolution.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::merge::MergeError;
use super::settings::{EvolutionSettings, is_default};
use super::start::{Start, StartError};
use super::test_function::TestFunction;
use crate::config::{Change, ConfigError, read_changed_yaml};
use crate::episode::{Conditions, EPISODE_VERSION, Episode, EpisodeError, EpisodeSettings, Fitness, FitnessTerm, named_version};
use crate::plasticity::{GateBlock, GateDescription};
use crate::policy::{
    ActionMap, FORMAT_VERSION, MapError, NetworkDescription, ObservationMap, PolicyMetadata, Provenance, RobotInterface,
};
use crate::robot::{Geometry, Outline, RobotError, RobotModel};

/// An experiment as written in its YAML file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// Name; also that of the policy.
    pub name: String,
    /// The robot's YAML file, relative to the experiment's.
    pub robot: PathBuf,
    /// Joint speed limit \[rad/s\] instead of the robot's own.
    #[serde(default)]
    pub velocity_limit: Option<f32>,
    /// Seed of everything random.
    pub seed: u64,
    /// What evolves.
    pub policy: PolicyDescription,
    /// In what it is tried.
    pub episode: EpisodeSettings,
    /// Under what, if under more than the one condition of `episode`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub conditions: Conditions,
    /// What counts.
    pub fitness: Fitness,
    /// How it is searched.
    pub evolution: EvolutionSettings,
    /// The policy at whose numbers the search begins; by default near zero, see [`EvolutionSettings::genome`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Start>,
    /// A test function that takes the place of the episodes: candidates are worth its value at their genome. For trying the search and
    /// its machinery at no cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_function: Option<TestFunction>,
}

/// Maps and network of the policies to evolve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyDescription {
    /// Network inputs.
    pub observation: ObservationMap,
    /// Network outputs.
    pub action: ActionMap,
    /// The network.
    pub network: NetworkDescription,
    /// What may shut the plasticity gate.
    #[serde(default)]
    pub gate: GateDescription,
}

/// Why an experiment was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExperimentError {
    /// The file is missing or malformed.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The robot is not usable.
    #[error(transparent)]
    Robot(#[from] RobotError),
    /// Observation, network and action do not fit the robot.
    #[error("the policy of the experiment does not fit: {0}")]
    Policy(#[from] MapError),
    /// A gate that only a policy can have whose training is over.
    #[error(
        "policy.gate[{index}] is `novelty`, which needs the weights that training came to; leave it out here, and give the evolved policy \
         such a gate (`hebb fit-subspace POLICY --save --gate`)"
    )]
    Novelty {
        /// Its place in the list, from 0.
        index: usize,
    },
    /// The episode is not usable.
    #[error("the episode of the experiment is not usable: {0}")]
    Episode(#[from] EpisodeError),
    /// There are no conditions, or too many.
    #[error("conditions.list has {0} conditions; it must have 1 to {most}", most = Conditions::MOST)]
    Conditions(usize),
    /// A condition is not usable.
    #[error("conditions.list[{index}] is not usable: {source}")]
    Condition {
        /// Its place in the list, from 0.
        index: usize,
        /// What is wrong with it.
        source: EpisodeError,
    },
    /// A number of the fitness is out of range.
    #[error("fitness.from is {0}; it must be a number of seconds, at least 0 and less than the episode's duration")]
    Fitness(f32),
    /// A number of a term of the fitness is not finite.
    #[error("fitness.terms[{index}] has a number that is not finite ({term:?}); every number of a term must be")]
    FitnessTerm {
        /// Its place in the list, from 0.
        index: usize,
        /// The term.
        term: FitnessTerm,
    },
    /// The search cannot begin where it is to.
    #[error("the search cannot begin at the policy `start`: {0}")]
    Start(#[from] StartError),
    /// The plan to merge rules is not usable.
    #[error("{0}")]
    Merge(MergeError),
    /// A setting of the search is out of range.
    #[error("evolution.{name} {problem}")]
    Evolution {
        /// Which setting.
        name: &'static str,
        /// What it must be.
        problem: String,
    },
}

impl From<MergeError> for ExperimentError {
    fn from(error: MergeError) -> Self {
        Self::Merge(error)
    }
}

impl Experiment {
    /// Reads an experiment and its robot, and checks both.
    ///
    /// # Errors
    /// [`ExperimentError`] names the file, key or value.
    pub fn load(path: &Path) -> Result<(Self, Arc<RobotModel>), ExperimentError> {
        Self::load_changed(path, &[])
    }

    /// As [`Experiment::load`], with `changes`.
    ///
    /// # Errors
    /// [`ExperimentError`] names the file, key or value.
    pub fn load_changed(path: &Path, changes: &[Change]) -> Result<(Self, Arc<RobotModel>), ExperimentError> {
        let mut experiment: Self = read_changed_yaml(path, changes)?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let robot = experiment.load_robot(folder)?;
        experiment.metadata(&robot).check()?;
        if let Some(index) = experiment.policy.gate.blocks().iter().position(|block| matches!(block, GateBlock::Novelty(_))) {
            return Err(ExperimentError::Novelty { index });
        }
        experiment.check_episodes(&robot)?;
        if experiment.start.is_some() && experiment.evolution.restarts.is_some() {
            let problem = "begin at random points, not at the policy `start`; leave one of them out".to_owned();
            return Err(ExperimentError::Evolution { name: "restarts", problem });
        }
        experiment.evolution.check(&experiment.policy.network)?;
        if let Some(start) = &mut experiment.start {
            start.read(folder, &experiment.policy.network)?;
        }
        if !experiment.fitness.is_valid() || experiment.fitness.from >= experiment.episode.duration {
            return Err(ExperimentError::Fitness(experiment.fitness.from));
        }
        if let Some((index, term)) = experiment.fitness.unusable_term() {
            return Err(ExperimentError::FitnessTerm { index, term });
        }
        Ok((experiment, robot))
    }

    /// Whether every episode can be made: one made and thrown away finds what is wrong with ground and damage.
    fn check_episodes(&self, robot: &Arc<RobotModel>) -> Result<(), ExperimentError> {
        Episode::new(robot.clone(), self.episode.clone())?;
        if !self.conditions.is_valid() {
            return Err(ExperimentError::Conditions(self.conditions.list.len()));
        }
        for (index, settings) in self.conditions.settings(&self.episode).enumerate() {
            Episode::new(robot.clone(), settings).map_err(|source| ExperimentError::Condition { index, source })?;
        }
        Ok(())
    }

    /// Episodes of each candidate.
    pub fn episodes_per_candidate(&self) -> u32 {
        self.conditions.episodes(self.evolution.episodes)
    }

    fn load_robot(&self, folder: &Path) -> Result<Arc<RobotModel>, RobotError> {
        let mut robot = RobotModel::load(&folder.join(&self.robot))?;
        if let Some(limit) = self.velocity_limit {
            robot.set_velocity_limit(limit)?;
        }
        Ok(Arc::new(robot))
    }

    /// SHA-256 of the experiment as understood (defaults filled in), of the robot with what its URDF names but does not hold (meshes, the
    /// pose of locked joints, the motors of joints that mimic others) and of the policy that the search begins at, in lower-case hexadecimal.
    /// Not of the number of generations, so that a run can be prolonged.
    pub fn hash(&self, robot: &RobotModel) -> String {
        let mut same = self.clone();
        same.evolution.generations = 0;
        // The paths say where robot and policy lie, not what they are.
        same.robot = PathBuf::new();
        same.start = None;
        let mut hash = Sha256::new();
        // It never fails: paths are gone, and numbers that are not finite were refused.
        hash.update(serde_json::to_vec(&same).unwrap_or_default());
        hash.update(&robot.urdf);
        hash.update(format!("{:?}", (&robot.joints, &robot.feet, &robot.imu, robot.contact_threshold, robot.friction)));
        // Of other robots the bodies follow from the URDF alone; their hashes are those of the runs and policies that there are.
        if !is_all_in_its_urdf(robot) {
            hash.update(format!("{:?}", (&robot.bodies, &robot.followers)));
        }
        hash.update(self.start.as_ref().and_then(Start::hash).unwrap_or_default());
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The metadata of a policy of this experiment, before any generation.
    pub fn metadata(&self, robot: &RobotModel) -> PolicyMetadata {
        PolicyMetadata {
            format_version: FORMAT_VERSION,
            name: self.name.clone(),
            robot: RobotInterface::from(robot),
            control_rate: self.episode.simulation.control_rate,
            observation: self.policy.observation.clone(),
            action: self.policy.action,
            network: self.policy.network.clone(),
            gate: self.policy.gate.clone(),
            provenance: Provenance {
                experiment: self.name.clone(),
                experiment_hash: self.hash(robot),
                seed: self.seed,
                start: self.start.as_ref().and_then(Start::hash).map(str::to_owned),
                episode_version: named_version(EPISODE_VERSION),
                ..Provenance::default()
            },
        }
    }
}

/// Whether the bodies of `robot` follow from the text of its URDF, and all its joints that move are driven: without meshes, joints that mimic
/// others, and locked ones.
fn is_all_in_its_urdf(robot: &RobotModel) -> bool {
    let mut shapes = robot.bodies.iter().flat_map(|body| &body.shapes);
    let has_mesh = shapes.any(|shape| matches!(shape.geometry, Geometry::ConvexHull(_)));
    // Also where it is locked: then it follows nothing, and an outline does not name it either.
    let has_mimic = !robot.followers.is_empty() || robot.urdf.contains("<mimic");
    let is_driven = |name: &String| robot.joint_names().any(|driven| driven == name);
    // The path serves messages, of which there are none: the text was read before.
    let all_driven = || Outline::of(&robot.urdf, Path::new("")).is_ok_and(|outline| outline.joints.iter().all(is_driven));
    !has_mesh && !has_mimic && all_driven()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bodies_of_the_shipped_robots_follow_from_their_urdf_so_that_their_hashes_stay() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/robots");
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let mut robots = 0;
        for path in files.filter(|path| path.extension().is_some_and(|extension| extension == "yaml")) {
            assert!(is_all_in_its_urdf(&RobotModel::load(&path).unwrap()), "{}", path.display());
            robots += 1;
        }
        assert!(robots >= 7, "{robots}");
    }
}
