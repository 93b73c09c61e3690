//! A scripted gait at steps of several lengths, here and in MuJoCo: how accurate, and how fast.
//!
//! Each engine is compared with its own steps of a millisecond. MuJoCo gets the model of `hebb robot export --mjcf` and the same targets.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use hebbian_locomotion::robot::{Orientation, RobotModel, RobotState};
use hebbian_locomotion::simulation::{SimulationSettings, World, to_mjcf};
use serde::{Deserialize, Serialize};

use super::peers::Peers;
use super::{Rounds, cpu_seconds_of, median};
use crate::Failure;

/// MuJoCo's side, and the gaits; part of this program, so that it works wherever that is installed.
const PROGRAM: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers/sim.py"));
const GAITS: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/gaits.py"));
/// Control steps per second of the gaits.
const CONTROL_RATE: u32 = 50;
/// Physics steps per second of an engine's own reference.
const REFERENCE: u32 = 1000;
/// Physics steps per second that are compared, the reference last.
const RATES: [u32; 9] = [50, 100, 150, 200, 250, 300, 400, 500, REFERENCE];
/// Length of the gait \[s\].
const SECONDS: u32 = 10;

/// What MuJoCo's side is asked.
#[derive(Serialize)]
struct Task<'a> {
    mjcf: String,
    gaits: &'a str,
    robot: &'a str,
    seconds: u32,
    rates: [u32; RATES.len()],
}

/// What it answers.
#[derive(Deserialize)]
struct Answer {
    versions: BTreeMap<String, String>,
    /// Joint targets of each control step.
    targets: Vec<Vec<f32>>,
    /// The base after each control step, for each rate: position, then orientation x y z w.
    bases: Vec<Vec<[f32; 7]>>,
}

/// How far an engine's walk is from that with its steps of a millisecond.
#[derive(Clone, Copy, Debug, Serialize)]
struct Accuracy {
    /// Distance at the end, as a share of the reference's: over it, or under.
    distance: f64,
    /// Heading at the end \[rad\].
    turn: f64,
    /// Farthest that the base ever was from the reference's, as a share of the reference's distance.
    deviation: f64,
}

/// One engine at one rate.
#[derive(Serialize)]
struct Setting {
    rate: u32,
    accuracy: Accuracy,
    /// Simulated seconds per CPU second.
    speed: f64,
    /// One physics step.
    step_us: f64,
}

/// Our world at one rate beside MuJoCo.
#[derive(Serialize)]
struct Match {
    rate: u32,
    /// Time of a step of MuJoCo at the same rate over that of ours.
    step_ratio: f64,
    /// The rate at which MuJoCo is fastest among those at which it is at least as accurate.
    mujoco_rate: u32,
    /// Our simulated seconds per CPU second over those of MuJoCo there.
    ratio: f64,
}

/// The JSON.
#[derive(Serialize)]
pub struct GaitReport {
    versions: BTreeMap<String, String>,
    seconds: u32,
    reference_rate: u32,
    ours: Vec<Setting>,
    mujoco: Vec<Setting>,
    matches: Vec<Match>,
}

/// A gait that both engines walk in turn.
pub struct Gait {
    robot: Arc<RobotModel>,
    peers: Peers,
    versions: BTreeMap<String, String>,
    targets: Vec<Vec<f32>>,
    /// Accuracy at each rate: ours, MuJoCo's.
    accuracies: [Vec<Accuracy>; 2],
    /// CPU seconds of the gait at each rate.
    times: [Vec<Rounds>; 2],
}

impl Gait {
    /// The gait of `robot`, with a `python` that has MuJoCo.
    ///
    /// # Errors
    /// When Python does not do what it should, or nobody wrote a gait for the robot.
    pub fn new(robot: Arc<RobotModel>, python: &Path) -> Result<Self, Failure> {
        let mjcf = to_mjcf(&robot, SimulationSettings::default())?;
        let task = Task { mjcf, gaits: GAITS, robot: &robot.name, seconds: SECONDS, rates: RATES };
        let (peers, answer): (_, Answer) = Peers::start(python, PROGRAM, &task)?;
        let ours = RATES.map(|rate| walk(&robot, &answer.targets, rate));
        let ours = ours.into_iter().collect::<Result<Vec<_>, Failure>>()?;
        Ok(Self {
            robot,
            peers,
            versions: answer.versions,
            targets: answer.targets,
            accuracies: [accuracies(&ours), accuracies(&answer.bases)],
            times: std::array::from_fn(|_| vec![Rounds::default(); RATES.len()]),
        })
    }

    /// Lets both walk at every rate.
    ///
    /// # Errors
    /// When the Python process has ended.
    pub fn round(&mut self) -> Result<(), Failure> {
        let [ours, mujoco] = &mut self.times;
        for (time, rate) in ours.iter_mut().zip(RATES) {
            let mut done = Ok(Vec::new());
            time.push(cpu_seconds_of(|| done = walk(&self.robot, &self.targets, rate)));
            done?;
        }
        let theirs: Vec<f64> = self.peers.round()?;
        mujoco.iter_mut().zip(theirs).for_each(|(time, seconds)| time.push(seconds));
        Ok(())
    }

    /// What came out. The reference itself is in the tables, too.
    pub fn report(self) -> GaitReport {
        let [ours, mujoco] = [0, 1].map(|engine| {
            let settings = RATES.iter().zip(&self.accuracies[engine]).zip(&self.times[engine]);
            let setting = |((&rate, &accuracy), times): ((&u32, &Accuracy), &Rounds)| {
                let seconds = median(times.0.clone());
                let step_us = 1e6 * seconds / f64::from(SECONDS * rate);
                Setting { rate, accuracy, speed: f64::from(SECONDS) / seconds, step_us }
            };
            settings.map(setting).collect::<Vec<_>>()
        });
        let [our_times, their_times] = &self.times;
        let matches = ours.iter().enumerate().map(|(index, our)| {
            let accurate = (0..RATES.len()).filter(|&at| mujoco[at].accuracy.deviation <= our.accuracy.deviation);
            // At its reference MuJoCo is as accurate as anyone.
            let fastest = accurate.max_by(|&a, &b| mujoco[a].speed.total_cmp(&mujoco[b].speed)).unwrap_or(RATES.len() - 1);
            let ratio = |at: usize| their_times[at].beside(&our_times[index]).ratio;
            Match { rate: our.rate, step_ratio: ratio(index), mujoco_rate: RATES[fastest], ratio: ratio(fastest) }
        });
        let matches = matches.collect();
        GaitReport { versions: self.versions, seconds: SECONDS, reference_rate: REFERENCE, ours, mujoco, matches }
    }
}

/// Simulates `targets`; returns the base after each control step.
fn walk(robot: &Arc<RobotModel>, targets: &[Vec<f32>], rate: u32) -> Result<Vec<[f32; 7]>, Failure> {
    let (physics_rate, control_rate) = (rate as f32, CONTROL_RATE as f32);
    let mut world = World::new(robot.clone(), SimulationSettings { physics_rate, control_rate, ..Default::default() })?;
    let mut state = RobotState::at_rest(robot.joints.len(), robot.feet.len());
    let bases = targets.iter().map(|row| {
        world.set_targets(row);
        world.control_step();
        world.sense(&mut state);
        let base = world.base();
        let ([x, y, z], q) = (base.position, base.orientation);
        [x, y, z, q.x, q.y, q.z, q.w]
    });
    Ok(bases.collect())
}

/// Accuracy of each walk; the last one is the reference.
fn accuracies(walks: &[Vec<[f32; 7]>]) -> Vec<Accuracy> {
    let reference = walks.last().map_or(&[][..], Vec::as_slice);
    walks.iter().map(|walk| accuracy(walk, reference)).collect()
}

fn accuracy(walk: &[[f32; 7]], reference: &[[f32; 7]]) -> Accuracy {
    let apart = |a: &[f32; 7], b: &[f32; 7]| f64::from((a[0] - b[0]).hypot(a[1] - b[1]));
    let distance = |walk: &[[f32; 7]]| walk.first().zip(walk.last()).map_or(f64::NAN, |(first, last)| apart(first, last));
    let heading = |walk: &[[f32; 7]]| {
        let turn = |&[.., x, y, z, w]: &[f32; 7]| f64::from(Orientation { x, y, z, w }.roll_pitch_yaw()[2]);
        walk.first().zip(walk.last()).map_or(f64::NAN, |(first, last)| turn(last) - turn(first))
    };
    let farthest = walk.iter().zip(reference).map(|(a, b)| apart(a, b)).fold(0.0, f64::max);
    Accuracy {
        distance: distance(walk) / distance(reference) - 1.0,
        turn: heading(walk) - heading(reference),
        deviation: farthest / distance(reference),
    }
}

impl GaitReport {
    /// Prints the tables.
    pub fn print(&self) {
        let versions: Vec<_> = self.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
        println!(
            "\n{} s of the scripted gait; accuracy against the same engine's {} Hz; {}",
            self.seconds,
            self.reference_rate,
            versions.join(", ")
        );
        println!(
            "{:>8} {:>6} {:>10} {:>11} {:>11} {:>12} {:>15}",
            "", "Hz", "distance", "turn [rad]", "deviation", "step [us]", "s per CPU s"
        );
        for (engine, settings) in [("here", &self.ours), ("MuJoCo", &self.mujoco)] {
            for Setting { rate, accuracy: Accuracy { distance, turn, deviation }, speed, step_us } in settings {
                println!(
                    "{engine:>8} {rate:>6} {:>+9.2}% {turn:>11.4} {:>10.2}% {step_us:>12.2} {speed:>15.0}",
                    100.0 * distance,
                    100.0 * deviation
                );
            }
        }
        println!("{:>6} {:>26} {:>22} {:>8}", "Hz", "time per step, MuJoCo/here", "as accurate: MuJoCo at", "ratio");
        for Match { rate, step_ratio, mujoco_rate, ratio } in &self.matches {
            println!("{rate:>6} {step_ratio:>26.3} {:>22} {ratio:>8.3}", format!("{mujoco_rate} Hz"));
        }
        println!("ratio: simulated seconds per CPU second here over those of MuJoCo, where it is at least as accurate");
    }
}
