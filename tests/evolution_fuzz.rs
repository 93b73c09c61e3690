//! Mutated messages and checkpoints: no panic, nothing wrong is believed. `HEBB_FUZZ_INPUTS` sets the rounds of each test (default 20 000),
//! `HEBB_FUZZ_SECONDS` the time after which each ends all the same, and says how far it came; `HEBB_FUZZ_SEED` draws others.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{beetle, experiment};
use hebbian_locomotion::episode::EPISODE_VERSION;
use hebbian_locomotion::evolution::protocol::{
    Coordinator, CoordinatorSettings, Distribution, DoneSet, Heartbeat, Results, Work, Worker, protocol_version,
};
use hebbian_locomotion::evolution::{CandidateResult, Checkpoint, Experiment, Failure, Population, Search};
use hebbian_locomotion::random::{Stream, stream};
use rand::RngExt;

const POPULATION: usize = 24;
const KEY: u64 = 7;

/// Rounds of an ordinary run of the tests: some seconds.
const ROUNDS: u64 = 20_000;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap())
}

/// The rounds of the test of `what`, of which each costs as much as so many ordinary ones, and its random numbers. They end after the number
/// or the time that the environment sets, and say so.
fn rounds(what: &'static str, cost: u64) -> (impl Iterator<Item = u64>, Stream) {
    let (most, seconds) = (setting("HEBB_FUZZ_INPUTS").unwrap_or(ROUNDS) / cost, setting("HEBB_FUZZ_SECONDS"));
    let (began, mut round) = (Instant::now(), 0);
    let next = move || {
        let in_time = seconds.is_none_or(|seconds| began.elapsed() < Duration::from_secs(seconds));
        if round == most || !in_time {
            eprintln!("{what}: {round} rounds in {:.0} s", began.elapsed().as_secs_f32());
            return None;
        }
        round += 1;
        Some(round - 1)
    };
    (std::iter::from_fn(next), stream(setting("HEBB_FUZZ_SEED").unwrap_or(1), what, &[]))
}

/// A small network, so that many checkpoints can be tried.
fn small_experiment() -> Experiment {
    let mut experiment = experiment();
    if let hebbian_locomotion::policy::NetworkDescription::Plastic(plastic) = &mut experiment.policy.network {
        plastic.layers = hebbian_locomotion::network::Shape::new(vec![27, 1, 18]).unwrap();
    }
    experiment
}

/// A number that is as it should be, or nearly, or anything.
fn number(random: &mut Stream, likely: u64) -> u64 {
    match random.random_range(0..8) {
        0 => random.random(),
        1 => likely.wrapping_add(random.random_range(0..3)).wrapping_sub(1),
        _ => likely,
    }
}

fn candidates(random: &mut Stream) -> Vec<u32> {
    let length = random.random_range(0..6);
    (0..length)
        .map(|_| if random.random_bool(0.05) { random.random() } else { random.random_range(0..POPULATION as u32) })
        .collect()
}

fn value(random: &mut Stream) -> f32 {
    if random.random_bool(0.5) { random.random() } else { f32::from_bits(random.random()) }
}

fn distribution(generation: u64) -> Distribution {
    let (mean, deviation) = (vec![0.0], vec![1.0]);
    let population = Population { generation, size: POPULATION, seed: 1, mirrored: true, mean, deviation };
    let (experiment_hash, clusters) = (format!("{KEY:016x}"), (Vec::new(), 0));
    Distribution { protocol_version: protocol_version(), node: 1, experiment_hash, population, time_limit: 1.0, clusters }
}

/// That of generation 3, or nearly, or anything.
fn checksum(random: &mut Stream) -> u64 {
    number(random, distribution(3).checksum())
}

fn version(random: &mut Stream) -> u16 {
    number(random, u64::from(protocol_version())) as u16
}

fn heartbeat(random: &mut Stream, now: u64) -> Heartbeat {
    let held = candidates(random);
    Heartbeat {
        protocol_version: version(random),
        experiment: number(random, KEY),
        worker: random.random_range(0..5),
        sequence: number(random, now),
        generation: number(random, 3),
        distribution: checksum(random),
        threads: number(random, 2) as u16,
        capacity: number(random, 5) as u16,
        running: number(random, held.len() as u64) as u16,
        held,
        load: value(random),
    }
}

fn results(random: &mut Stream) -> Results {
    let mut results = Results {
        protocol_version: version(random),
        experiment: number(random, KEY),
        worker: random.random_range(0..5),
        generation: number(random, 3),
        distribution: checksum(random),
        ..Results::default()
    };
    for candidate in candidates(random) {
        results.push(candidate, CandidateResult { fitness: value(random), speed: value(random), falls: 0.0 }.checked());
    }
    match random.random_range(0..10) {
        0 => results.fitness.push(value(random)),
        1 => results.failure = results.failure.iter().map(|_| random.random()).collect(),
        2 => results.candidates.truncate(1),
        _ => {}
    }
    results
}

fn work(random: &mut Stream, now: u64) -> Work {
    let candidates = candidates(random);
    let mut done = DoneSet::empty(POPULATION);
    done.insert(random.random_range(0..POPULATION as u32));
    if random.random_bool(0.1) {
        done.0.truncate(random.random_range(0..3));
    }
    Work {
        protocol_version: version(random),
        experiment: number(random, KEY),
        node: number(random, 1),
        sequence: number(random, now),
        generation: number(random, 3),
        distribution: checksum(random),
        paused: random.random_bool(0.1),
        done,
        workers: vec![number(random, 1)],
        counts: vec![number(random, candidates.len() as u64) as u16],
        candidates,
        refused: vec![number(random, 1)],
        reasons: if random.random_bool(0.5) { vec!["no".to_owned()] } else { Vec::new() },
    }
}

#[test]
fn a_coordinator_survives_any_message_and_believes_only_what_can_be() {
    let (rounds, mut random) = rounds("coordinator", 1);
    let mut coordinator = Coordinator::new(CoordinatorSettings::default(), KEY, 1);
    coordinator.begin(&distribution(3), Duration::ZERO);
    let mut accepted = 0;
    for round in rounds {
        // Time too jumps, as it may for a process that was stopped.
        let now = Duration::from_millis(if random.random_bool(0.001) { round + 10_000 } else { round });
        let _ = coordinator.heartbeat(&heartbeat(&mut random, round), now);
        let message = results(&mut random);
        let before = coordinator.progress().0;
        match coordinator.results(&message, now) {
            Ok(new) => {
                let present = (message.generation, message.distribution) == (3, distribution(3).checksum());
                let right = message.protocol_version == protocol_version() && message.experiment == KEY && present;
                assert!(new.is_empty() || right, "{message:?}");
                accepted += new.len();
                assert_eq!(coordinator.progress().0, before + new.len());
            }
            Err(_) => assert_eq!(coordinator.progress().0, before),
        }
        coordinator.tick(now);
        if let Some(work) = coordinator.work(now) {
            (0..5).for_each(|worker| assert!(work.leases_of(worker, POPULATION).is_ok()));
        }
        if let Some(outcomes) = coordinator.outcomes() {
            let finite = |outcome: &Result<CandidateResult, Failure>| outcome.is_ok_and(|result| result.fitness.is_finite());
            assert!(outcomes.iter().all(|outcome| outcome.is_err() || finite(outcome)));
            coordinator.begin(&distribution(3), now);
        }
    }
    assert!(accepted > 100, "nothing was accepted: this test tests nothing");
}

#[test]
fn a_worker_survives_any_message_and_runs_only_what_exists() {
    let (rounds, mut random) = rounds("worker", 1);
    let mut worker = Worker::new(1, 2);
    worker.begin(&distribution(3));
    let mut jobs = 0;
    for round in rounds {
        let now = Duration::from_millis(round);
        let _ = worker.work(&work(&mut random, round));
        while let Some(job) = worker.next(now) {
            assert!((job.candidate as usize) < POPULATION);
            jobs += 1;
            worker.finish(job, Ok(CandidateResult::default()), now);
        }
        if let Some(heartbeat) = worker.heartbeat(now) {
            assert_eq!(heartbeat.check(POPULATION), Ok(()));
        }
        if let Some(results) = worker.results(now) {
            assert!(results.outcomes(POPULATION).is_ok());
        }
        if random.random_bool(0.01) {
            worker.begin(&distribution(number(&mut random, 3)));
        }
    }
    assert!(jobs > 100, "nothing ran: this test tests nothing");
}

#[test]
fn a_mutated_distribution_is_refused_or_still_one() {
    let (experiment, robot) = (small_experiment(), beetle());
    let search = Search::new(Arc::new(experiment.clone()), &robot).unwrap();
    let good = Distribution::new(1, &experiment.hash(&robot), &search, 1.0);
    assert!(good.search(&experiment, &robot).is_ok());
    let (rounds, mut random) = rounds("distribution", 100);
    for _ in rounds {
        let mut bad = good.clone();
        let dimensions = bad.population.mean.len();
        match random.random_range(0..8) {
            0 => bad.population.mean.truncate(random.random_range(0..dimensions)),
            1 => bad.population.mean[random.random_range(0..dimensions)] = [f32::NAN, f32::INFINITY][random.random_range(0..2)],
            2 => bad.population.deviation = vec![1.0; random.random_range(2..dimensions)],
            3 => bad.population.size = number(&mut random, 1 << 40) as usize,
            4 => bad.population.seed = random.random_range(2..u64::MAX),
            5 => bad.clusters = (vec![random.random(); random.random_range(0..50)], random.random_range(1..u32::MAX)),
            6 => bad.protocol_version ^= random.random_range(1..u16::MAX),
            _ => bad.time_limit = f32::NAN,
        }
        assert!(bad.search(&experiment, &robot).is_err(), "{bad:?}");
    }
}

#[test]
fn a_mutated_checkpoint_is_refused() {
    let (experiment, robot) = (small_experiment(), beetle());
    let search = Search::new(Arc::new(experiment.clone()), &robot).unwrap();
    let checkpoint = Checkpoint {
        episode_version: EPISODE_VERSION,
        fused: true,
        experiment_hash: experiment.hash(&robot),
        experiment,
        state: search.strategy().state().clone(),
        clusters: None,
        history: vec![Default::default(); 3],
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint");
    checkpoint.save(&path).unwrap();
    let good = std::fs::read(&path).unwrap();
    assert_eq!(Checkpoint::from_bytes(&good).unwrap(), checkpoint);
    let (rounds, mut random) = rounds("checkpoint", 1);
    for _ in rounds {
        let mut bad = good.clone();
        match random.random_range(0..4) {
            0 => bad.truncate(random.random_range(0..good.len())),
            1 => bad.extend((0..random.random_range(1..9)).map(|_| random.random::<u8>())),
            _ => {
                for _ in 0..random.random_range(1..5) {
                    let place = random.random_range(0..good.len());
                    bad[place] = random.random();
                }
            }
        }
        // Blanks in the header may be other blanks: then it says the same.
        if let Ok(read) = Checkpoint::from_bytes(&bad) {
            assert_eq!(read, checkpoint);
        }
    }
}
