//! What share of evolution's computing time is physics.
//!
//! `cargo bench --no-default-features --bench episode` runs, alternately in one process, a candidate as evolution does (genome from noise,
//! episode with sensing, policy and fitness) and the same world driven by the recorded targets alone; the ratio of the two is the share.
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hebbian_locomotion::episode::Episode;
use hebbian_locomotion::evolution::{Experiment, Search};
use hebbian_locomotion::plasticity::{Gate, Measurement};
use hebbian_locomotion::simulation::World;

const ROUNDS: usize = 20;

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn main() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/experiments/beetle.yaml");
    let (experiment, robot) = Experiment::load(&path).unwrap();
    let search = Search::new(Arc::new(experiment.clone()), &robot).unwrap();
    let mut strategy = search.strategy().clone();
    let mut policy = search.policy().policy().unwrap();
    policy.set_measurement(Measurement::Off);
    let mut episode = Episode::new(robot.clone(), experiment.episode.clone()).unwrap();
    let world = World::new(robot, experiment.episode.simulation).unwrap();

    let (mut whole, mut physics, mut steps) = (Vec::new(), Vec::new(), 0);
    for round in 0..ROUNDS {
        let seed = round as u64;
        let mut targets: Vec<Vec<f32>> = Vec::new();
        whole.push(timed(|| {
            policy.set_genome(&strategy.candidate(round)).unwrap();
            episode.run(&mut policy, seed, &experiment.fitness, |_| Gate::OPEN, |_| ());
        }));
        episode.run(&mut policy, seed, &experiment.fitness, |_| Gate::OPEN, |view| targets.push(view.policy.targets().to_vec()));
        let mut world = world.start_of_episode(seed, experiment.episode.start_noise);
        physics.push(timed(|| {
            for targets in &targets {
                world.set_targets(targets);
                world.control_step();
            }
        }));
        steps = world.physics_steps();
    }
    let fitness: Vec<f32> = (0..strategy.population_size()).map(|index| index as f32).collect();
    let update = timed(|| strategy.tell(&fitness).unwrap());

    let mut shares: Vec<f64> =
        whole.iter().zip(&physics).map(|(whole, physics)| physics.as_secs_f64() / whole.as_secs_f64()).collect();
    shares.sort_by(f64::total_cmp);
    let mean = |times: &[Duration]| times.iter().sum::<Duration>().as_secs_f64() / times.len() as f64;
    let generation = mean(&whole) * strategy.population_size() as f64;
    println!("physics steps per second, one thread   {:.0}", steps as f64 / mean(&physics));
    println!(
        "physics share of a candidate           {:.3} (median of {ROUNDS}; {:.3} to {:.3})",
        shares[ROUNDS / 2],
        shares[0],
        shares[ROUNDS - 1]
    );
    println!(
        "update of the strategy, per generation {:.4} of the generation's computing time",
        update.as_secs_f64() / generation
    );
}
