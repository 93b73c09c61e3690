//! `hebb bench sim`: the simulated world beside a bare loop over rapier's step and beside MuJoCo, its episodes on several threads, its resets.

use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use hebbian_locomotion::robot::{RobotModel, RobotState};
use hebbian_locomotion::simulation::{Drive, Relief, SimulationSettings, StartNoise, Terrain, Uneven, World};
use rayon::prelude::*;
use serde::Serialize;

use super::gait::{Gait, GaitReport};
use super::{Rounds, Timing, cpu, cpu_seconds_of, give, median};
use crate::Failure;
use crate::output::refuse_json_loss;
use crate::report::progress_bar;

#[derive(clap::Args)]
pub struct Arguments {
    /// Robot description.
    #[arg(long, default_value = "config/robots/beetle.yaml")]
    robot: PathBuf,
    /// Python with MuJoCo, to compare with it. `scripts/bench sim` makes one.
    #[arg(long)]
    peers: Option<PathBuf>,
    /// Rounds; in each, all that is compared takes its turn.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// A tenth of everything, to see that it works.
    #[arg(long)]
    quick: bool,
    /// Write the results as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// Length of an episode \[s\].
const EPISODE: f32 = 4.0;
/// Episodes on each number of threads in a round.
const EPISODES: u64 = 8;
/// Control steps in which a robot comes to rest: no flight, in which the world does more than rapier.
const STANDING: u32 = 50;
/// Resets that are timed together.
const RESETS: u32 = 200;
/// Swing of each joint about its nominal angle \[rad\], and swings per second.
const SWING: (f32, f32) = (0.2, 0.5);

/// The JSON.
#[derive(Serialize)]
struct Report {
    cpu: String,
    robot: String,
    joints: usize,
    rounds: u32,
    quick: bool,
    physics_rate: f32,
    control_rate: f32,
    grounds: Vec<GroundReport>,
    episodes: Vec<Episodes>,
    /// Episodes per second on two threads over twice those on one.
    efficiency: f64,
    /// Whether every episode gave the same bits on every number of threads.
    same_bits: bool,
    /// Beside MuJoCo.
    #[serde(skip_serializing_if = "Option::is_none")]
    gait: Option<GaitReport>,
}

/// The world on one ground. All times are of the processor.
#[derive(Serialize)]
struct GroundReport {
    ground: &'static str,
    /// One physics step of the world, with its share of commands and sensors.
    world: Timing,
    /// One step of rapier alone, on the same way.
    bare: Timing,
    /// Bare over world: 1 would be that nothing but rapier costs time.
    ratio: f64,
    /// Share of the world's time that is not rapier's.
    outside: f64,
    /// Whether both arrived at the same bits.
    same_bits: bool,
    /// Simulated seconds per CPU second.
    real_time_factor: f64,
    /// From a start world to the start of an episode.
    reset_us: f64,
}

/// Episodes on some threads.
#[derive(Serialize)]
struct Episodes {
    threads: usize,
    per_second: f64,
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    refuse_json_loss(arguments.json.as_deref(), [arguments.robot.as_path()])?;
    let robot = Arc::new(RobotModel::load(&arguments.robot)?);
    let rounds = if arguments.quick { arguments.rounds.div_ceil(10) } else { arguments.rounds };
    let uneven = Relief::Uneven(Uneven { height: 0.03, ..Uneven::default() });
    let mut subjects = [("flat", Relief::Flat), ("uneven", uneven)]
        .into_iter()
        .map(|(ground, relief)| Subject::new(ground, robot.clone(), Terrain { relief, ..Terrain::default() }))
        .collect::<Result<Vec<_>, Failure>>()?;
    let mut gait = arguments.peers.as_deref().map(|python| Gait::new(robot.clone(), python)).transpose()?;
    let pools = [1, 2].map(|threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build());
    let pools = pools.into_iter().collect::<Result<Vec<_>, _>>()?;

    let mut rates = vec![Vec::new(); pools.len()];
    let mut endings = Vec::new();
    let bar = progress_bar(u64::from(rounds), "{bar:30} round {pos} of {len}");
    for _ in 0..rounds {
        subjects.iter_mut().for_each(Subject::round);
        gait.as_mut().map_or(Ok(()), Gait::round)?;
        for (pool, rates) in pools.iter().zip(&mut rates) {
            let begin = Instant::now();
            endings.push(pool.install(|| episodes(&subjects[0].start)));
            rates.push(EPISODES as f64 / begin.elapsed().as_secs_f64());
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let pairs = rates[0].iter().zip(&rates[1]);
    let efficiency = median(pairs.map(|(one, two)| two / (2.0 * one)).collect());
    let settings = *subjects[0].start.settings();
    let report = Report {
        cpu: cpu(),
        robot: robot.name.clone(),
        joints: robot.joints.len(),
        rounds,
        quick: arguments.quick,
        physics_rate: settings.physics_rate,
        control_rate: settings.control_rate,
        grounds: subjects.into_iter().map(Subject::report).collect(),
        episodes: rates
            .into_iter()
            .zip(&pools)
            .map(|(rates, pool)| Episodes { threads: pool.current_num_threads(), per_second: median(rates) })
            .collect(),
        efficiency,
        same_bits: endings.windows(2).all(|pair| pair[0] == pair[1]),
        gait: gait.map(Gait::report),
    };
    give(&report, arguments.json.as_deref(), print_report)
}

/// Ends of some episodes, in bits.
fn episodes(start: &World) -> Vec<[u32; 3]> {
    (0..EPISODES)
        .into_par_iter()
        .map(|seed| Walk::from(&start.start_of_episode(seed, StartNoise::default())).run_to_the_end())
        .collect()
}

/// One episode of swinging joints.
struct Walk {
    world: World,
    state: RobotState,
    targets: Vec<f32>,
    step: u32,
}

impl Walk {
    fn from(world: &World) -> Self {
        let robot = world.robot();
        let state = RobotState::at_rest(robot.joints.len(), robot.feet.len());
        Self { world: world.clone(), state, targets: vec![0.0; robot.joints.len()], step: 0 }
    }

    fn steps(&self) -> u32 {
        (EPISODE * self.world.settings().control_rate) as u32
    }

    /// Commands the next control step.
    fn command(&mut self) {
        let angle = std::f32::consts::TAU * SWING.1 * self.step as f32 * self.world.settings().control_step();
        // Joints in turn swing one way and the other: two sines for all, so that it is not the gait which is measured.
        let swings = [angle.sin(), angle.cos()].map(|swing| SWING.0 * swing);
        for ((index, target), joint) in self.targets.iter_mut().enumerate().zip(&self.world.robot().joints) {
            *target = joint.nominal + swings[index % 2];
        }
        self.world.set_targets(&self.targets);
        self.step += 1;
    }

    /// Commands, simulates and senses one control step.
    fn advance(&mut self) {
        self.command();
        self.world.control_step();
        self.world.sense(&mut self.state);
    }

    fn run_to_the_end(mut self) -> [u32; 3] {
        for _ in 0..self.steps() {
            self.advance();
        }
        ending(&self.world)
    }
}

fn ending(world: &World) -> [u32; 3] {
    world.base().position.map(f32::to_bits)
}

/// One ground on which the world and rapier alone take the same way.
struct Subject {
    ground: &'static str,
    start: World,
    /// A robot that has come to rest on it.
    standing: World,
    /// What joints are told, for each physics step from then on.
    drives: Vec<Vec<Drive>>,
    world: Rounds,
    bare: Rounds,
    resets: Vec<f64>,
    same_bits: bool,
}

impl Subject {
    fn new(ground: &'static str, robot: Arc<RobotModel>, terrain: Terrain) -> Result<Self, Failure> {
        let start = World::new(robot, SimulationSettings { terrain, ..Default::default() })?;
        let mut standing = start.start_of_episode(0, StartNoise::default());
        (0..STANDING).for_each(|_| standing.control_step());
        let mut walk = Walk::from(&standing);
        let mut drives = Vec::new();
        for _ in 0..walk.steps() {
            walk.command();
            for _ in 0..walk.world.substeps() {
                walk.world.physics_step();
                drives.push(walk.world.drives().to_vec());
            }
        }
        Ok(Self {
            ground,
            start,
            standing,
            drives,
            world: Rounds::default(),
            bare: Rounds::default(),
            resets: Vec::new(),
            same_bits: true,
        })
    }

    fn round(&mut self) {
        let steps = self.drives.len() as f64;
        let mut walk = Walk::from(&self.standing);
        let time = cpu_seconds_of(|| (0..walk.steps()).for_each(|_| walk.advance()));
        self.world.push(time / steps);

        let mut bare = self.standing.clone();
        let time = cpu_seconds_of(|| self.drives.iter().for_each(|drives| bare.bare_step(drives)));
        self.bare.push(time / steps);
        self.same_bits &= ending(&bare) == ending(&walk.world);

        let time = cpu_seconds_of(|| {
            for seed in 0..RESETS {
                black_box(self.start.start_of_episode(u64::from(seed), StartNoise::default()));
            }
        });
        self.resets.push(time / f64::from(RESETS));
    }

    fn report(self) -> GroundReport {
        let (world, bare) = (self.world.beside(&self.world), self.bare.beside(&self.world));
        GroundReport {
            ground: self.ground,
            world,
            bare,
            ratio: bare.ratio,
            outside: 1.0 - bare.ratio,
            same_bits: self.same_bits,
            real_time_factor: f64::from(self.start.settings().physics_step()) / (world.median_us * 1e-6),
            reset_us: 1e6 * median(self.resets),
        }
    }
}

fn print_report(report: &Report) {
    let Report { robot, joints, physics_rate, control_rate, rounds, .. } = report;
    println!("{}; `{robot}`, {joints} joints, physics {physics_rate} Hz, control {control_rate} Hz; {rounds} rounds", report.cpu);
    println!(
        "\n{:<8} {:>16} {:>15} {:>8} {:>9} {:>10} {:>12} {:>10}",
        "ground", "world [us/step]", "bare [us/step]", "ratio", "outside", "same bits", "x real time", "reset [us]"
    );
    for ground in &report.grounds {
        println!(
            "{:<8} {:>16.2} {:>15.2} {:>8.3} {:>8.1}% {:>10} {:>12.0} {:>10.1}",
            ground.ground,
            ground.world.median_us,
            ground.bare.median_us,
            ground.ratio,
            100.0 * ground.outside,
            ground.same_bits,
            ground.real_time_factor,
            ground.reset_us
        );
    }
    println!();
    for Episodes { threads, per_second } in &report.episodes {
        println!("{per_second:.1} episodes of {EPISODE} s per second on {threads} threads");
    }
    println!("efficiency of two threads {:.2}; same bits on every number of threads: {}", report.efficiency, report.same_bits);
    println!("ratio: a bare loop over rapier's step of the same world, on the same way, over the whole; median over the rounds");
    match &report.gait {
        Some(gait) => gait.print(),
        None => println!("`scripts/bench sim` also compares with MuJoCo"),
    }
}
