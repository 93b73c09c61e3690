//! What several test files need.
#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses a part of this")]

use std::path::PathBuf;
use std::sync::Arc;

use hebbian_locomotion::robot::{RobotModel, RobotState};

/// A file of the repository.
pub fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The shipped beetle.
pub fn beetle() -> Arc<RobotModel> {
    Arc::new(RobotModel::load(&repository("config/robots/beetle.yaml")).unwrap())
}

/// An empty state of `robot`.
pub fn state_of(robot: &RobotModel) -> RobotState {
    RobotState::at_rest(robot.joints.len(), robot.feet.len())
}

/// A world of the beetle on `terrain`.
pub fn beetle_on(terrain: hebbian_locomotion::simulation::Terrain) -> hebbian_locomotion::simulation::World {
    let settings = hebbian_locomotion::simulation::SimulationSettings { terrain, ..Default::default() };
    hebbian_locomotion::simulation::World::new(beetle(), settings).unwrap()
}

/// Lets `world` go on for `seconds`.
pub fn run(world: &mut hebbian_locomotion::simulation::World, seconds: f32) {
    for _ in 0..(seconds * world.settings().control_rate).round() as u32 {
        world.control_step();
    }
}

/// What the sensors of `world` read.
pub fn sensed(world: &hebbian_locomotion::simulation::World) -> RobotState {
    let mut state = state_of(world.robot());
    world.sense(&mut state);
    state
}

/// The bits of all numbers in `state`.
pub fn bits(state: &RobotState) -> Vec<u32> {
    let q = state.orientation;
    let vectors = [&state.angular_velocity[..], &state.linear_acceleration, &[q.x, q.y, q.z, q.w]];
    let lists = [&state.joint_position[..], &state.joint_velocity, &state.foot_force];
    vectors.into_iter().chain(lists).flatten().map(|value| value.to_bits()).collect()
}

use hebbian_locomotion::evolution::Experiment;
use hebbian_locomotion::policy::PolicyFile;

/// The experiment of the shipped beetle policy.
pub fn experiment() -> Experiment {
    Experiment::load(&repository("config/experiments/beetle.yaml")).unwrap().0
}

/// A beetle policy whose coefficients are large enough that its weights move at every step.
pub fn lively_policy() -> PolicyFile {
    use rand::RngExt;
    let experiment = std::sync::Arc::new(experiment());
    let mut file = hebbian_locomotion::evolution::Search::new(experiment, &beetle()).unwrap().policy();
    let mut random = hebbian_locomotion::random::stream(7, "test genome", &[]);
    file.genome.fill_with(|| random.random_range(-0.5..0.5));
    file
}

/// `hebb` with `arguments`, an evolution into the folder `out`, killed after its first checkpoint and before its 12th generation.
pub fn hebb_killed_before_generation_12<S: AsRef<std::ffi::OsStr>>(
    arguments: impl IntoIterator<Item = S>,
    out: &std::path::Path,
) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_hebb"));
    let mut child = command.args(arguments).stdout(std::process::Stdio::null()).spawn().unwrap();
    let checkpoint = out.join("checkpoint.safetensors");
    while !checkpoint.exists() {
        assert!(child.try_wait().unwrap().is_none(), "the run ended before its first checkpoint");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let generation = hebbian_locomotion::evolution::Checkpoint::load(&checkpoint).unwrap().state.generation;
    assert!((1..12).contains(&generation), "killed in generation {generation}: nothing is left to resume");
}

/// The command line at work.
pub fn hebb<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> std::process::Output {
    std::process::Command::new(env!("CARGO_BIN_EXE_hebb")).args(arguments).output().unwrap()
}
