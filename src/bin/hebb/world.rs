//! The world that several commands run a policy in.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hebbian_locomotion::episode::EpisodeSettings;
use hebbian_locomotion::policy::PolicyFile;
use hebbian_locomotion::robot::RobotModel;
use hebbian_locomotion::simulation::{Mount, SimulationSettings, StartNoise};

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
    pub fn settings(&self, file: &PolicyFile) -> EpisodeSettings {
        let mount = if self.suspended { Mount::Suspended } else { Mount::Free };
        let simulation = SimulationSettings { physics_rate: self.physics_rate, control_rate: file.metadata.control_rate, mount };
        EpisodeSettings { duration: self.duration, start_noise: StartNoise::default(), simulation }
    }
}
