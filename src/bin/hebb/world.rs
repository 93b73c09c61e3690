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

#[derive(clap::Args)]
pub struct WorldArguments {
    /// Robot description [default: ../robots/NAME.yaml beside the policy, NAME being the policy's robot].
    #[arg(long)]
    robot: Option<PathBuf>,
    /// Length of an episode [s].
    #[arg(long, default_value_t = 6.0)]
    pub duration: f32,
    /// Hold the base so that no foot reaches the ground.
    #[arg(long)]
    suspended: bool,
    /// Physics steps per second.
    #[arg(long, default_value_t = 100.0)]
    physics_rate: f32,
    /// Joint speed limit [rad/s] instead of the robot's.
    #[arg(long)]
    velocity_limit: Option<f32>,
    /// The ground, as in an experiment file: '{slope: 0.1}', or a file that holds it.
    #[arg(long, value_name = "YAML|FILE", default_value = "", hide_default_value = true)]
    terrain: String,
    /// What is wrong with the robot, as in an experiment file: '[{limp_joint: {joint: FT1}}]', or a file that holds it.
    #[arg(long, value_name = "YAML|FILE", default_value = "", hide_default_value = true, allow_hyphen_values = true)]
    damage: String,
}

impl WorldArguments {
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

    fn robot_path(&self, path: &Path, file: &PolicyFile) -> PathBuf {
        let folder = path.parent().unwrap_or(Path::new("."));
        let beside = || folder.join("../robots").join(format!("{}.yaml", file.metadata.robot.name));
        self.robot.clone().unwrap_or_else(beside)
    }

    /// The settings of an episode of the policy `file`.
    pub fn settings(&self, file: &PolicyFile) -> Result<EpisodeSettings, Failure> {
        let mount = if self.suspended { Mount::Suspended } else { Mount::Free };
        let (physics_rate, control_rate) = (self.physics_rate, file.metadata.control_rate);
        let terrain = described("--terrain", &self.terrain)?;
        let simulation = SimulationSettings { physics_rate, control_rate, mount, terrain, ..Default::default() };
        let damage = described("--damage", &self.damage)?;
        Ok(EpisodeSettings { duration: self.duration, start_noise: StartNoise::default(), simulation, damage })
    }
}

/// What the value of `option` describes: itself, or the file of that name.
fn described<T: DeserializeOwned + Default>(option: &str, given: &str) -> Result<T, Failure> {
    let path = Path::new(given);
    if path.is_file() {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{option} {given}: {error}"))?;
        return parse_description(&text).map_err(|error| format!("{option} {given}: {error}").into());
    }
    parse_description(given).map_err(|error| format!("{option}: {error} (there is no file of that name either)").into())
}
