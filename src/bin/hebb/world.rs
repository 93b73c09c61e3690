//! The world that several commands run a policy in.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hebbian_locomotion::config::parse_description;
use hebbian_locomotion::episode::EpisodeSettings;
use hebbian_locomotion::policy::PolicyFile;
use hebbian_locomotion::robot::RobotModel;
use hebbian_locomotion::simulation::{Mount, SimulationSettings, StartNoise};
use serde::de::DeserializeOwned;

use crate::Failure;

/// Length of an episode \[s\], if nobody says otherwise.
const DURATION: f32 = 6.0;
/// Physics steps per second, if nobody says otherwise.
const PHYSICS_RATE: f32 = 100.0;

#[derive(clap::Args)]
pub struct WorldArguments {
    /// Robot description [default: ../robots/NAME.yaml beside the policy, NAME being the policy's robot].
    #[arg(long)]
    robot: Option<PathBuf>,
    /// Length of an episode [s] [default: 6].
    #[arg(long)]
    duration: Option<f32>,
    /// Hold the base so that no foot reaches the ground.
    #[arg(long)]
    suspended: bool,
    /// Physics steps per second [default: 100]; raised to the next whole multiple of the policy's control rate.
    #[arg(long)]
    physics_rate: Option<f32>,
    /// Joint speed limit [rad/s] instead of the robot's.
    #[arg(long)]
    velocity_limit: Option<f32>,
    /// The ground, as in an experiment file: '{slope: 0.1}', or a file that holds it.
    #[arg(long, value_name = "YAML|FILE")]
    terrain: Option<String>,
    /// What is wrong with the robot, as in an experiment file: '[{limp_joint: {joint: FT1}}]', or a file that holds it.
    #[arg(long, value_name = "YAML|FILE", allow_hyphen_values = true)]
    damage: Option<String>,
}

impl WorldArguments {
    /// The first of these options that was given, for where they would do nothing.
    pub fn given(&self) -> Option<&'static str> {
        let options = [
            ("--robot", self.robot.is_some()),
            ("--duration", self.duration.is_some()),
            ("--suspended", self.suspended),
            ("--physics-rate", self.physics_rate.is_some()),
            ("--velocity-limit", self.velocity_limit.is_some()),
            ("--terrain", self.terrain.is_some()),
            ("--damage", self.damage.is_some()),
        ];
        options.into_iter().find(|(_, is_given)| *is_given).map(|(option, _)| option)
    }

    /// What these options name that may be a file.
    pub fn files(&self) -> Vec<&Path> {
        let described = [&self.terrain, &self.damage].into_iter().flatten().map(Path::new);
        self.robot.as_deref().into_iter().chain(described).collect()
    }

    /// Length of an episode \[s\].
    pub fn duration(&self) -> f32 {
        self.duration.unwrap_or(DURATION)
    }

    /// The robot for the policy `file`, which was read from `path`.
    pub fn robot(&self, path: &Path, file: &PolicyFile) -> Result<Arc<RobotModel>, Failure> {
        let mut robot = RobotModel::load(&self.robot_path(path, file))?;
        if let Some(limit) = self.velocity_limit {
            robot.set_velocity_limit(limit)?;
        }
        Ok(Arc::new(robot))
    }

    /// Where [`WorldArguments::robot`] looks, if nobody said where and nothing is there.
    pub fn missing_robot(&self, path: &Path, file: &PolicyFile) -> Option<PathBuf> {
        let expected = self.robot_path(path, file);
        (self.robot.is_none() && !expected.exists()).then_some(expected)
    }

    /// The description that was given, if any.
    pub fn given_robot(&self) -> Option<&Path> {
        self.robot.as_deref()
    }

    fn robot_path(&self, path: &Path, file: &PolicyFile) -> PathBuf {
        self.robot.clone().unwrap_or_else(|| usual_robot_path(path, file))
    }

    /// The settings of an episode of the policy `file`.
    pub fn settings(&self, file: &PolicyFile) -> Result<EpisodeSettings, Failure> {
        let mount = if self.suspended { Mount::Suspended } else { Mount::Free };
        let (physics_rate, control_rate) = (self.physics_rate.unwrap_or(PHYSICS_RATE), file.metadata.control_rate);
        let terrain = described("--terrain", self.terrain.as_deref())?;
        let simulation =
            SimulationSettings { physics_rate, control_rate, mount, terrain, ..Default::default() }.with_fitting_physics_rate();
        let damage = described("--damage", self.damage.as_deref())?;
        Ok(EpisodeSettings { duration: self.duration(), start_noise: StartNoise::default(), simulation, damage })
    }
}

/// Where the robot of the policy `file`, which was read from `path`, is described, if nobody says otherwise.
pub fn usual_robot_path(path: &Path, file: &PolicyFile) -> PathBuf {
    let folder = path.parent().unwrap_or(Path::new("."));
    folder.join("../robots").join(format!("{}.yaml", file.metadata.robot.name))
}

/// What the value of `option` describes: itself, or the file of that name.
fn described<T: DeserializeOwned + Default>(option: &str, given: Option<&str>) -> Result<T, Failure> {
    let Some(given) = given else { return Ok(T::default()) };
    let path = Path::new(given);
    if path.is_file() {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{option} {given}: {error}"))?;
        return parse_description(&text).map_err(|error| format!("{option} {given}: {error}").into());
    }
    parse_description(given).map_err(|error| format!("{option}: {error} (there is no file of that name either)").into())
}
