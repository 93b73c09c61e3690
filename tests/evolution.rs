//! Evolution gives the same bits on any number of threads and after any interruption.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::path::{Path, PathBuf};
use std::process::Output;

use common::{hebb, hebb_killed_before_generation_12, repository};
use hebbian_locomotion::evolution::Experiment;

/// A small experiment that still walks through everything: real robot, real physics, 16 candidates of half a second.
fn small_experiment(folder: &Path) -> PathBuf {
    let text = std::fs::read_to_string(repository("config/experiments/beetle.yaml")).unwrap();
    let robot = repository("config/robots/beetle.yaml");
    let replace = |text: String, key: &str, value: &str| {
        let line = text.lines().find(|line| line.trim_start().starts_with(key)).unwrap().to_owned();
        let indent = &line[..line.len() - line.trim_start().len()];
        text.replacen(&line, &format!("{indent}{key} {value}"), 1)
    };
    let text = replace(text, "robot:", robot.to_str().unwrap());
    let text = replace(text, "duration:", "0.5");
    let text = replace(text, "from:", "0.1");
    let text = replace(text, "population:", "16");
    let text = replace(text, "generations:", "4");
    let path = folder.join("small.yaml");
    std::fs::write(&path, text).unwrap();
    path
}

fn evolve(experiment: &Path, out: &Path, more: &[&str]) -> Output {
    let paths = ["evolve", experiment.to_str().unwrap(), "--out", out.to_str().unwrap(), "--ablation", "2"];
    hebb([&paths[..], more].concat())
}

fn message(output: &Output) -> String {
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!text.contains("panicked"), "{text}");
    text
}

fn policy(out: &Path) -> Vec<u8> {
    std::fs::read(out.join("policy.safetensors")).unwrap()
}

#[test]
fn threads_and_a_resumed_run_give_the_same_policy_file() {
    let folder = tempfile::tempdir().unwrap();
    let experiment = small_experiment(folder.path());
    let [one, two, halves] = ["one", "two", "halves"].map(|name| folder.path().join(name));
    assert!(evolve(&experiment, &one, &["--threads", "1"]).status.success());
    assert!(evolve(&experiment, &two, &["--threads", "2"]).status.success());
    assert!(evolve(&experiment, &halves, &["--generations", "2"]).status.success());
    assert!(evolve(&experiment, &halves, &["--resume"]).status.success());
    assert_eq!(policy(&one), policy(&two));
    assert_eq!(policy(&one), policy(&halves));
    let other = folder.path().join("other");
    assert!(evolve(&experiment, &other, &["--seed", "99"]).status.success());
    assert_ne!(policy(&one), policy(&other));
}

#[test]
fn a_run_killed_in_the_middle_goes_on_to_the_same_policy_file() {
    let folder = tempfile::tempdir().unwrap();
    let experiment = small_experiment(folder.path());
    let [whole, killed] = ["whole", "killed"].map(|name| folder.path().join(name));
    assert!(evolve(&experiment, &whole, &["--generations", "12"]).status.success());

    let arguments =
        ["evolve", experiment.to_str().unwrap(), "--generations", "12", "--out", killed.to_str().unwrap(), "--ablation", "2"];
    hebb_killed_before_generation_12(arguments, &killed);

    let resumed = evolve(&experiment, &killed, &["--generations", "12", "--resume"]);
    assert!(resumed.status.success(), "{}", String::from_utf8_lossy(&resumed.stderr));
    assert_eq!(policy(&whole), policy(&killed));
}

#[test]
fn damaged_and_foreign_checkpoints_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let experiment = small_experiment(folder.path());
    let out = folder.path().join("run");
    assert!(evolve(&experiment, &out, &["--generations", "1"]).status.success());
    let path = out.join("checkpoint.safetensors");
    let good = std::fs::read(&path).unwrap();

    let refused = message(&evolve(&experiment, &out, &[]));
    assert!(refused.contains("--resume"), "{refused}");
    let refused = message(&evolve(&experiment, &out, &["--resume", "--seed", "5"]));
    assert!(refused.contains("another experiment"), "{refused}");

    std::fs::write(&path, &good[..good.len() - 100]).unwrap();
    assert!(message(&evolve(&experiment, &out, &["--resume"])).contains("cut short"));
    let mut edited = good.clone();
    *edited.last_mut().unwrap() ^= 1;
    std::fs::write(&path, &edited).unwrap();
    assert!(message(&evolve(&experiment, &out, &["--resume"])).contains("checksum"));
    std::fs::remove_file(&path).unwrap();
    assert!(message(&evolve(&experiment, &out, &["--resume"])).contains("no checkpoint"));
}

#[test]
fn mistakes_in_an_experiment_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = small_experiment(folder.path());
    let text = std::fs::read_to_string(&path).unwrap();
    let load = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
        Experiment::load(&path).map(|_| ()).unwrap_err().to_string()
    };
    for (from, to, expected) in [
        ("population: 16", "populatoin: 16", "did you mean `population`?"),
        ("population: 16", "population: 15", "evolution.population is 15; it must be even"),
        ("[27, 64, 32, 18]", "[26, 64, 32, 18]", "the observation has 27 values, but the network [26, 64, 32, 18] reads 26"),
        ("[27, 64, 32, 18]", "[27, 64, 32, 17]", "17 outputs"),
        ("duration: 0.5", "duration: 0", "at least one control step"),
        ("physics_rate: 100", "physics_rate: 70", "whole multiple"),
        ("joint_position:", "joint_positon:", "did you mean `joint_position`?"),
        ("from: 0.1", "from: 0.5", "fitness.from is 0.5"),
        ("form: iros", "form: irs", "did you mean `iros`?"),
    ] {
        let error = load(from, to);
        assert!(error.contains(expected), "{to}: {error}");
    }
}

#[test]
fn the_command_line_names_what_is_wrong_with_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nonsense.safetensors");
    std::fs::write(&path, b"nonsense").unwrap();
    for command in ["evaluate", "inspect"] {
        assert!(message(&hebb([command, path.to_str().unwrap()])).contains("nonsense.safetensors"));
    }
    assert!(message(&hebb(["inspect", "/no/such/file"])).contains("/no/such/file"));
}
