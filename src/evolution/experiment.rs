//! The experiment file: everything that determines the result of an evolution.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::merge::{Merge, MergeError};
use super::search_space::{GroupSearch, SearchSpace};
use crate::config::{ConfigError, read_yaml};
use crate::episode::{EpisodeError, EpisodeSettings, Fitness};
use crate::plasticity::GateDescription;
use crate::policy::{
    ActionMap, FORMAT_VERSION, MapError, NetworkDescription, ObservationMap, PolicyMetadata, Provenance, RobotInterface,
};
use crate::robot::{RobotError, RobotModel};

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
    /// What counts.
    pub fitness: Fitness,
    /// How it is searched.
    pub evolution: EvolutionSettings,
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

/// Settings of the search (OpenAI-ES with Adam).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvolutionSettings {
    /// Generations to run.
    pub generations: u64,
    /// Candidates per generation; even, because they come in mirrored pairs.
    pub population: usize,
    /// Episodes per candidate; their seeds are the same for the whole generation.
    pub episodes: u32,
    /// Step size of Adam.
    pub learning_rate: Schedule,
    /// Standard deviation of the noise.
    pub sigma: Schedule,
    /// Adam's decay of the mean gradient.
    #[serde(default = "default_beta1")]
    pub beta1: f32,
    /// Adam's decay of the mean squared gradient.
    #[serde(default = "default_beta2")]
    pub beta2: f32,
    /// Pull towards 0 per unit of learning rate.
    #[serde(default)]
    pub weight_decay: f32,
    /// Start and scale of each group of the genome's numbers.
    pub genome: SearchSpace,
    /// When rules are merged, and to how many; never by default.
    #[serde(default)]
    pub merge: Vec<Merge>,
}

/// A number that decays with the generations: `max(floor, initial * decay^generation)`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// At generation 0.
    pub initial: f32,
    /// Factor per generation.
    #[serde(default = "default_decay")]
    pub decay: f32,
    /// Lower bound.
    #[serde(default)]
    pub floor: f32,
}

fn default_beta1() -> f32 {
    0.9
}

fn default_beta2() -> f32 {
    0.999
}

fn default_decay() -> f32 {
    1.0
}

impl Schedule {
    /// The same number in all generations.
    pub fn constant(value: f32) -> Self {
        Self { initial: value, decay: 1.0, floor: 0.0 }
    }

    /// The number at `generation`.
    pub fn at(&self, generation: u64) -> f32 {
        let decayed = f64::from(self.initial) * f64::from(self.decay).powf(generation as f64);
        (decayed as f32).max(self.floor)
    }

    fn is_valid(&self) -> bool {
        self.initial.is_finite()
            && self.initial > 0.0
            && self.decay > 0.0
            && self.decay <= 1.0
            && (0.0..=self.initial).contains(&self.floor)
    }
}

impl Default for EvolutionSettings {
    /// A small search around 0.
    fn default() -> Self {
        Self {
            generations: 100,
            population: 64,
            episodes: 1,
            learning_rate: Schedule::constant(0.1),
            sigma: Schedule::constant(0.1),
            beta1: default_beta1(),
            beta2: default_beta2(),
            weight_decay: 0.0,
            genome: SearchSpace::uniform(GroupSearch { offset: 0.0, scale: 1.0, spread: 0.01 }),
            merge: Vec::new(),
        }
    }
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
    /// The episode is not usable.
    #[error("the episode of the experiment is not usable: {0}")]
    Episode(#[from] EpisodeError),
    /// A number of the fitness is out of range.
    #[error("fitness.from is {0}; it must be a number of seconds, at least 0 and less than the episode's duration")]
    Fitness(f32),
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

/// Largest population, so that a slip of the pen cannot ask for all memory.
const LARGEST_POPULATION: usize = 1 << 16;

impl Experiment {
    /// Reads an experiment and its robot, and checks both.
    ///
    /// # Errors
    /// [`ExperimentError`] names the file, key or value.
    pub fn load(path: &Path) -> Result<(Self, Arc<RobotModel>), ExperimentError> {
        let experiment: Self = read_yaml(path)?;
        let robot = experiment.load_robot(path.parent().unwrap_or(Path::new(".")))?;
        experiment.metadata(&robot).check()?;
        experiment.episode.control_steps()?;
        experiment.evolution.check(&experiment.policy.network)?;
        if !experiment.fitness.is_valid() || experiment.fitness.from >= experiment.episode.duration {
            return Err(ExperimentError::Fitness(experiment.fitness.from));
        }
        Ok((experiment, robot))
    }

    fn load_robot(&self, folder: &Path) -> Result<Arc<RobotModel>, RobotError> {
        let mut robot = RobotModel::load(&folder.join(&self.robot))?;
        if let Some(limit) = self.velocity_limit {
            robot.set_velocity_limit(limit)?;
        }
        Ok(Arc::new(robot))
    }

    /// SHA-256 of the experiment as understood (defaults filled in) and of the robot, in lower-case hexadecimal. Not of the number
    /// of generations, so that a run can be prolonged.
    pub fn hash(&self, robot: &RobotModel) -> String {
        let mut same = self.clone();
        same.evolution.generations = 0;
        // The path says where the robot lies, not what it is.
        same.robot = PathBuf::new();
        let mut hash = Sha256::new();
        hash.update(serde_json::to_vec(&same).unwrap_or_default());
        hash.update(&robot.urdf);
        hash.update(format!("{:?}", (&robot.joints, &robot.feet, &robot.imu, robot.contact_threshold, robot.friction)));
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
                ..Provenance::default()
            },
        }
    }
}

impl EvolutionSettings {
    /// Checks every setting, for the search of a `network`.
    ///
    /// # Errors
    /// [`ExperimentError::Evolution`] names the first that is out of range.
    pub fn check(&self, network: &NetworkDescription) -> Result<(), ExperimentError> {
        let fraction = |value: f32| (0.0..1.0).contains(&value);
        let genome = self.genome.stretches(&network.blocks()).err();
        let checks = [
            (
                "population",
                self.population >= 2 && self.population.is_multiple_of(2) && self.population <= LARGEST_POPULATION,
                format!("is {}; it must be even, from 2 to {LARGEST_POPULATION}", self.population),
            ),
            ("episodes", (1..=1000).contains(&self.episodes), format!("is {}; it must be from 1 to 1000", self.episodes)),
            ("learning_rate", self.learning_rate.is_valid(), SCHEDULE.to_owned()),
            ("sigma", self.sigma.is_valid(), SCHEDULE.to_owned()),
            ("beta1", fraction(self.beta1), "must be in [0, 1)".to_owned()),
            ("beta2", fraction(self.beta2), "must be in [0, 1)".to_owned()),
            ("weight_decay", self.weight_decay.is_finite() && self.weight_decay >= 0.0, "must be at least 0".to_owned()),
            ("genome", genome.is_none(), genome.unwrap_or_default()),
        ];
        match checks.into_iter().find(|(_, holds, _)| !holds) {
            Some((name, _, problem)) => Err(ExperimentError::Evolution { name, problem }),
            None => Ok(super::merge::check(&self.merge, network)?),
        }
    }
}

const SCHEDULE: &str = "needs initial > 0, decay in (0, 1] and floor from 0 to initial";
