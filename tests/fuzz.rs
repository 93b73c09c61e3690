//! Mutated URDF and YAML files: whatever they hold, they load or are refused, and what loads can be simulated. No panic, no hang.
//!
//! `HEBB_FUZZ_INPUTS=1000000 cargo test --no-default-features --test fuzz -- --nocapture` for a long run; `HEBB_FUZZ_SECONDS` ends it
//! earlier, `HEBB_FUZZ_SEED` makes it another one.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::repository;
use hebbian_locomotion::bringup::to_yaml;
use hebbian_locomotion::random::stream;
use hebbian_locomotion::robot::{Outline, RobotDescription, RobotModel};
use hebbian_locomotion::simulation::{SimulationSettings, World, to_mjcf};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// Inputs of an ordinary run of the tests: some seconds.
const INPUTS: u64 = 3000;
/// One in so many robots that load is simulated too.
const SIMULATED: u64 = 8;
/// No single input may take longer: far beyond any honest file, even on a busy machine.
const HANG: Duration = Duration::from_secs(20);

/// What is put in place of numbers and names.
const HOSTILE: [&str; 30] = [
    "0",
    "-1",
    "1e9",
    "-1e9",
    "1e-9",
    "1e38",
    "1e39",
    "1e308",
    "1e-320",
    "NaN",
    "inf",
    "-inf",
    "",
    "0x10",
    "1,5",
    "999999999999999999999",
    "base_link",
    "fixed",
    "floating",
    "continuous",
    "prismatic",
    "planar",
    "mimic",
    "<",
    "&amp;",
    "&x;",
    "\u{0}",
    "é",
    "0 0 0",
    "package://../../x.stl",
];

/// A robot file as it is in the repository.
struct Original {
    urdf: String,
    yaml: String,
    path: PathBuf,
}

fn originals() -> Vec<Original> {
    let small = "<robot name='s'><link name='base_link'><inertial><mass value='1'/><inertia ixx='1' iyy='1' izz='1' ixy='0' ixz='0' iyz='0'/></inertial>\
        <collision><geometry><box size='1 1 1'/></geometry></collision></link><link name='foot'><collision><geometry><sphere radius='0.1'/></geometry></collision></link>\
        <link name='hand'/><joint name='hip' type='revolute'><parent link='base_link'/><child link='foot'/><origin xyz='0 0 -1' rpy='0 0 0'/><axis xyz='1 0 0'/>\
        <limit lower='-1' upper='1' effort='9' velocity='9'/></joint><joint name='wrist' type='prismatic'><parent link='base_link'/><child link='hand'/>\
        <mimic joint='hip' multiplier='2' offset='0.1'/><limit lower='-1' upper='1' effort='9' velocity='9'/></joint></robot>";
    let yaml = "name: s\nurdf: s.urdf\nbase_link: base_link\njoints: [hip]\nlocked: []\nfeet: [foot]\nnominal_pose: {hip: 0.1}\nactuator:\n  stiffness: 9.0\n  damping: 1.0\n  armature: 0.01\n  joints:\n    hip: {stiffness: 3.0}\ncontact_threshold: 1.0\nfriction: 1.0\n";
    let mut originals = vec![Original { urdf: small.to_owned(), yaml: yaml.to_owned(), path: PathBuf::from("s.urdf") }];
    for name in ["ant", "gecko"] {
        let path = repository("config/robots").join(name);
        let read = |extension| std::fs::read_to_string(path.with_extension(extension)).unwrap();
        originals.push(Original { urdf: read("urdf"), yaml: read("yaml"), path: path.with_extension("urdf") });
    }
    originals
}

/// Places where `text` may be cut.
fn boundary(text: &str, random: &mut ChaCha8Rng) -> usize {
    let mut at = random.random_range(0..=text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// The piece of `text` around a random place that holds no separator: a number, a name, an element's name.
fn word(text: &str, random: &mut ChaCha8Rng) -> std::ops::Range<usize> {
    let separates = |c: char| " \n\"'<>/={}[]:,".contains(c);
    let at = boundary(text, random);
    let start = text[..at].rfind(separates).map_or(0, |found| found + 1);
    let end = text[at..].find(separates).map_or(text.len(), |found| at + found);
    start.min(end)..end
}

fn mutate(text: &mut String, other: &str, random: &mut ChaCha8Rng) {
    match random.random_range(0..8u8) {
        0 | 1 => {
            let range = word(text, random);
            text.replace_range(range, HOSTILE[random.random_range(0..HOSTILE.len())]);
        }
        // A number nearby, so that much of what is mutated still loads.
        2 | 3 => {
            let range = word(text, random);
            if let Ok(number) = text[range.clone()].parse::<f64>() {
                let number = number * 10f64.powf(random.random_range(-4.0..4.0)) * if random.random() { 1.0 } else { -1.0 };
                text.replace_range(range, &number.to_string());
            }
        }
        // A word from elsewhere in the file.
        4 => {
            let taken = word(text, random);
            let taken = text[taken].to_owned();
            let range = word(text, random);
            text.replace_range(range, &taken);
        }
        // An element or line left out, or there twice.
        5 | 6 => {
            let separator = if text.contains('<') { '<' } else { '\n' };
            let at = boundary(text, random);
            let start = text[..at].rfind(separator).unwrap_or(0);
            let end = text[at..].find(separator).map_or(text.len(), |found| at + found);
            let piece = text[start..end].to_owned();
            if random.random() { text.replace_range(start..end, "") } else { text.insert_str(end, &piece) }
        }
        _ => {
            // Something of the other file.
            let start = boundary(other, random);
            let end = start + boundary(&other[start..], random).min(100);
            let piece = other.get(start..end).unwrap_or_default();
            text.insert_str(boundary(text, random), piece);
        }
    }
}

/// What became of an input.
#[derive(Default, Debug)]
struct Outcome {
    inputs: u64,
    loaded: u64,
    simulated: u64,
}

fn attempt(urdf: String, yaml: &str, path: &Path, number: u64, outcome: &mut Outcome) {
    outcome.inputs += 1;
    let _ = Outline::of(&urdf, path);
    let Ok(description) = serde_yaml::from_str::<RobotDescription>(yaml) else { return };
    let Ok(robot) = RobotModel::from_parts(&description, urdf, path) else { return };
    outcome.loaded += 1;
    let values = robot.bodies.iter().flat_map(|body| body.inertia.iter().chain(body.centre_of_mass.iter()).chain([&body.mass]));
    assert!(values.into_iter().all(|value| value.is_finite()), "a body that is not of numbers");
    let _ = to_yaml(&description);
    if number.is_multiple_of(SIMULATED) {
        let robot = Arc::new(robot);
        let mut world = World::new(robot.clone(), SimulationSettings::default()).unwrap();
        (0..20).for_each(|_| world.control_step());
        to_mjcf(&robot, SimulationSettings::default()).unwrap();
        outcome.simulated += 1;
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |value| value.parse().unwrap())
}

#[test]
fn mutated_files_load_or_are_refused() {
    let (inputs, seed) = (setting("HEBB_FUZZ_INPUTS", INPUTS), setting("HEBB_FUZZ_SEED", 1));
    let (begin, longest) = (Instant::now(), Duration::from_secs(setting("HEBB_FUZZ_SECONDS", 86_400)));
    let originals = originals();
    let (mut outcome, mut slowest) = (Outcome::default(), Duration::ZERO);
    for number in (0..inputs).take_while(|_| begin.elapsed() < longest) {
        let mut random = stream(seed, "fuzz", &[number]);
        // The small one mostly: a mutation of it is more often where it matters.
        let original = &originals[[0, 0, 0, 0, 0, 1, 1, 2][random.random_range(0..8usize)]];
        let (mut urdf, mut yaml) = (original.urdf.clone(), original.yaml.clone());
        for _ in 0..random.random_range(1..4u8) {
            if random.random_range(0..3u8) == 0 {
                mutate(&mut yaml, &urdf, &mut random)
            } else {
                mutate(&mut urdf, &yaml, &mut random)
            }
        }
        let start = Instant::now();
        let tried = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            attempt(urdf.clone(), &yaml, &original.path, number, &mut outcome);
        }));
        slowest = slowest.max(start.elapsed());
        if tried.is_err() || start.elapsed() > HANG {
            let kept = std::env::temp_dir().join(format!("hebb-fuzz-{seed}-{number}"));
            std::fs::write(kept.with_extension("urdf"), urdf).unwrap();
            std::fs::write(kept.with_extension("yaml"), yaml).unwrap();
            panic!("input {number} of seed {seed}, after {:?}: kept as {}.urdf and .yaml", start.elapsed(), kept.display());
        }
    }
    println!("{outcome:?} in {:?}, slowest {slowest:?}, seed {seed}", begin.elapsed());
    assert!(outcome.loaded > outcome.inputs / 50 && outcome.simulated > 0, "{outcome:?}: too few load for this to test anything");
}
