//! Running one episode.

use std::sync::Arc;

use super::{EpisodeError, EpisodeSettings, Fitness, Progress};
use crate::plasticity::Gate;
use crate::policy::Policy;
use crate::robot::{RobotModel, RobotState};
use crate::simulation::{BasePose, Mount, SimulationSettings, Terrain, World};

/// The robot counts as fallen once its up axis has less than this left along the world's (tilted by more than 60 degrees) …
const FALLEN_UP: f32 = 0.5;
/// … or its base is below this share of the height it stands at, over the level of the ground.
const FALLEN_HEIGHT: f32 = 0.4;

/// Runs episodes of one robot in one kind of world, again and again without building the world anew.
#[derive(Clone)]
pub struct Episode {
    start: World,
    settings: EpisodeSettings,
    steps: u32,
    fallen_height: f32,
    state: RobotState,
    held: Vec<f32>,
}

/// What came out of one episode.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct EpisodeResult {
    /// Fitness.
    pub fitness: f32,
    /// Way along the world's x axis \[m\].
    pub distance: f32,
    /// Way along the world's y axis \[m\].
    pub lateral_drift: f32,
    /// Mean speed along the world's x axis \[m/s\].
    pub speed: f32,
    /// Yaw at the end \[rad\].
    pub yaw: f32,
    /// Whether the robot fell at any time: tilted by more than 60 degrees, or its base under 40 % of its standing height over the level of the
    /// ground.
    pub fell: bool,
    /// Control steps.
    pub control_steps: u32,
    /// Physics steps.
    pub physics_steps: u64,
    /// Mechanical work of the motors, the positive part only \[J\].
    #[serde(default)]
    pub work: f64,
    /// Mean |joint velocity| over joints, as sensed, in the second half of the episode \[rad/s\]: how much the robot moves its legs once it has
    /// left its start behind.
    #[serde(default)]
    pub joint_speed: f32,
    /// Largest |w| seen after any step; 0 without plastic weights or when the policy does not measure.
    pub weights_max_abs: f32,
    /// Mean |change of w| per step over all layers' means; 0 without plastic weights or when the policy does not measure.
    pub weight_change_mean: f32,
}

/// One control step, for whoever watches an episode.
pub struct StepView<'a> {
    /// Number of the step, from 0.
    pub step: u32,
    /// What the policy saw.
    pub state: &'a RobotState,
    /// The policy after its step: its targets and weights.
    pub policy: &'a Policy,
    /// The world after its step.
    pub world: &'a World,
}

impl Episode {
    /// Episodes of `robot`.
    ///
    /// # Errors
    /// [`EpisodeError`] when rates, ground, damage or duration are not usable.
    pub fn new(robot: Arc<RobotModel>, settings: EpisodeSettings) -> Result<Self, EpisodeError> {
        let steps = settings.control_steps()?;
        let state = RobotState::at_rest(robot.joints.len(), robot.feet.len());
        let held = vec![0.0; robot.joints.len()];
        let fallen_height = FALLEN_HEIGHT * standing_height(&robot, &settings.simulation)?;
        let mut start = World::new(robot, settings.simulation)?;
        start.set_damage(&settings.damage)?;
        Ok(Self { start, settings, steps, fallen_height, state, held })
    }

    /// Whether `policy`, which steps at `control_rate` \[Hz\], fits robot and rate.
    ///
    /// # Errors
    /// [`EpisodeError`] names what differs.
    pub fn check(&self, policy: &Policy, control_rate: f32) -> Result<(), EpisodeError> {
        let simulation = self.settings.simulation.control_rate;
        if control_rate != simulation {
            return Err(EpisodeError::ControlRate { policy: control_rate, simulation });
        }
        Ok(policy.robot().check(self.start.robot())?)
    }

    /// Control steps in an episode.
    pub fn control_steps(&self) -> u32 {
        self.steps
    }

    /// The settings.
    pub fn settings(&self) -> &EpisodeSettings {
        &self.settings
    }

    /// Runs the episode `seed`: `policy` starts from weights drawn from it, the robot from a pose drawn from it. `gate` gives the
    /// plasticity gate of each step, `watch` sees every step.
    ///
    /// A policy that does not fit the robot (see [`Episode::check`]) leaves the missing joints where they are.
    pub fn run(
        &mut self,
        policy: &mut Policy,
        seed: u64,
        fitness: &Fitness,
        mut gate: impl FnMut(u32) -> Gate,
        watch: impl FnMut(&StepView<'_>),
    ) -> EpisodeResult {
        let intervene = |step, policy: &mut Policy| {
            // One gate for all layers fits every network.
            let _ = policy.set_gate(gate(step));
        };
        self.run_with(policy, seed, fitness, intervene, watch)
    }

    /// As [`Episode::run`], with `intervene` in the place of the gate: it has the policy before every step and may change what it will.
    pub fn run_with(
        &mut self,
        policy: &mut Policy,
        seed: u64,
        fitness: &Fitness,
        mut intervene: impl FnMut(u32, &mut Policy),
        mut watch: impl FnMut(&StepView<'_>),
    ) -> EpisodeResult {
        let mut world = self.start.start_of_episode(seed, self.settings.start_noise);
        policy.start(seed);
        let first = world.base();
        let first_physics_step = world.physics_steps();
        world.sense(&mut self.state);
        self.held.copy_from_slice(&self.state.joint_position);
        let mut result = EpisodeResult { control_steps: self.steps, ..Default::default() };
        let (mut before, mut used) = (first, world.energy());
        let mut joint_speeds = 0.0;
        for step in 0..self.steps {
            intervene(step, policy);
            // A simulation that broke down gives numbers that the policy refuses: its targets stay, the robot counts as fallen.
            result.fell |= policy.step(&self.state).is_err();
            let targets = policy.targets();
            world.set_targets(targets);
            let target_change = mean_squared_difference(targets, &self.held);
            self.held.copy_from_slice(targets);
            world.control_step();

            let after = world.base();
            let time = step as f32 * self.settings.simulation.control_step();
            let layers = policy.layers().len() as f32;
            let weight_change = policy.layers().iter().map(|layer| layer.change_mean / layers).sum();
            let control_step = self.settings.simulation.control_step();
            let energy = world.energy().since(used);
            let progress = Progress { before, after, control_step, target_change, weight_change, energy };
            result.fitness += fitness.at(time, &progress);
            result.fell |= self.has_fallen(&after, world.base_height());
            for layer in policy.layers() {
                result.weights_max_abs = result.weights_max_abs.max(layer.max_abs);
            }
            result.weight_change_mean += weight_change;
            watch(&StepView { step, state: &self.state, policy, world: &world });
            world.sense(&mut self.state);
            if 2 * step >= self.steps {
                joint_speeds += mean_magnitude(&self.state.joint_velocity);
            }
            (before, used) = (after, world.energy());
        }
        result.distance = before.position[0] - first.position[0];
        result.lateral_drift = before.position[1] - first.position[1];
        result.speed = result.distance / (self.steps as f32 * self.settings.simulation.control_step());
        result.yaw = before.orientation.roll_pitch_yaw()[2];
        result.physics_steps = world.physics_steps() - first_physics_step;
        result.work = world.energy().work;
        // Of n steps numbered from 0 those from n/2 on count.
        result.joint_speed = joint_speeds / (self.steps / 2).max(1) as f32;
        result.weight_change_mean /= self.steps as f32;
        result
    }

    fn has_fallen(&self, base: &BasePose, height: f32) -> bool {
        // Negated, so that a pose of NaN counts as a fall.
        let stands = base.orientation.up_projection() >= FALLEN_UP && height >= self.fallen_height;
        !stands
    }
}

/// Height at which the base of `robot` stands \[m\]. It is that on flat ground, whatever ground there is, and of a robot that nothing holds in
/// the air: so it is one for all conditions.
fn standing_height(robot: &Arc<RobotModel>, simulation: &SimulationSettings) -> Result<f32, EpisodeError> {
    let flat = SimulationSettings { terrain: Terrain::default(), mount: Mount::Free, ..*simulation };
    Ok(World::new(robot.clone(), flat)?.base_height())
}

fn mean_magnitude(values: &[f32]) -> f32 {
    values.iter().map(|value| value.abs()).sum::<f32>() / values.len().max(1) as f32
}

fn mean_squared_difference(a: &[f32], b: &[f32]) -> f32 {
    let sum: f32 = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum();
    sum / a.len().max(1) as f32
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::simulation::{Relief, StartNoise, Uneven};

    #[test]
    fn a_robot_counts_as_fallen_at_one_height_on_all_grounds() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/robots/beetle.yaml");
        let robot = Arc::new(RobotModel::load(&path).unwrap());
        let height = |terrain: Terrain, mount| {
            let simulation = SimulationSettings { terrain, mount, ..SimulationSettings::default() };
            let settings = EpisodeSettings { duration: 1.0, start_noise: StartNoise::default(), simulation, damage: Vec::new() };
            Episode::new(robot.clone(), settings).unwrap().fallen_height
        };
        let flat = height(Terrain::default(), Mount::Free);
        assert!(flat > 0.02, "{flat} m");
        assert_eq!(height(Terrain::default(), Mount::Suspended), flat);
        for seed in 0..3 {
            let terrain = Terrain { relief: Relief::Uneven(Uneven::default()), seed, slope: 0.1, ..Terrain::default() };
            assert_eq!(height(terrain, Mount::Free), flat, "ground {seed}");
        }
    }
}
