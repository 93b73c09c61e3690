//! Running one episode.

use std::sync::Arc;

use super::{EpisodeError, EpisodeSettings, Fitness, Progress};
use crate::plasticity::Gate;
use crate::policy::Policy;
use crate::robot::{RobotModel, RobotState};
use crate::simulation::{BasePose, World};

/// The robot counts as fallen once its up axis has less than this left along the world's (tilted by more than 60 degrees) …
const FALLEN_UP: f32 = 0.5;
/// … or its base is below this share of the height it stands at.
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
    /// Whether the robot fell at any time: tilted by more than 60 degrees, or its base under 40 % of its standing height.
    pub fell: bool,
    /// Control steps.
    pub control_steps: u32,
    /// Physics steps.
    pub physics_steps: u64,
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
    /// [`EpisodeError`] when rates or duration are not usable.
    pub fn new(robot: Arc<RobotModel>, settings: EpisodeSettings) -> Result<Self, EpisodeError> {
        let steps = settings.control_steps()?;
        let state = RobotState::at_rest(robot.joints.len(), robot.feet.len());
        let held = vec![0.0; robot.joints.len()];
        let start = World::new(robot, settings.simulation)?;
        let fallen_height = FALLEN_HEIGHT * start.base().position[2];
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
        mut watch: impl FnMut(&StepView<'_>),
    ) -> EpisodeResult {
        let mut world = self.start.start_of_episode(seed, self.settings.start_noise);
        policy.start(seed);
        let first = world.base();
        let first_physics_step = world.physics_steps();
        world.sense(&mut self.state);
        self.held.copy_from_slice(&self.state.joint_position);
        let mut result = EpisodeResult { control_steps: self.steps, ..Default::default() };
        let mut before = first;
        for step in 0..self.steps {
            // One gate for all layers fits every network.
            let _ = policy.set_gate(gate(step));
            // A simulation that broke down gives numbers that the policy refuses: its targets stay, the robot counts as fallen.
            result.fell |= policy.step(&self.state).is_err();
            let targets = policy.targets();
            world.set_targets(targets);
            let target_change = mean_squared_difference(targets, &self.held);
            self.held.copy_from_slice(targets);
            world.control_step();

            let after = world.base();
            let time = step as f32 * self.settings.simulation.control_step();
            let progress = Progress { before, after, control_step: self.settings.simulation.control_step(), target_change };
            result.fitness += fitness.at(time, &progress);
            result.fell |= self.has_fallen(&after);
            for layer in policy.layers() {
                result.weights_max_abs = result.weights_max_abs.max(layer.max_abs);
                result.weight_change_mean += layer.change_mean / policy.layers().len() as f32;
            }
            watch(&StepView { step, state: &self.state, policy, world: &world });
            world.sense(&mut self.state);
            before = after;
        }
        result.distance = before.position[0] - first.position[0];
        result.lateral_drift = before.position[1] - first.position[1];
        result.speed = result.distance / (self.steps as f32 * self.settings.simulation.control_step());
        result.yaw = before.orientation.roll_pitch_yaw()[2];
        result.physics_steps = world.physics_steps() - first_physics_step;
        result.weight_change_mean /= self.steps as f32;
        result
    }

    fn has_fallen(&self, base: &BasePose) -> bool {
        // Negated, so that a pose of NaN counts as a fall.
        let stands = base.orientation.up_projection() >= FALLEN_UP && base.position[2] >= self.fallen_height;
        !stands
    }
}

fn mean_squared_difference(a: &[f32], b: &[f32]) -> f32 {
    let sum: f32 = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum();
    sum / a.len().max(1) as f32
}
