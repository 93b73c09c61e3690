//! `hebb trace` and `hebb evaluate` on other ground and with damage, as the simulator node takes them.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;
use std::process::{Command, Output};

use common::repository;
use hebbian_locomotion::tensors::f32_values;
use safetensors::SafeTensors;
use serde_json::Value;

const DAMAGE: &str = "[{lost_leg: {joint: BC1}}, {payload: {mass: 0.5}}]";

fn hebb(command: &str, arguments: &[&str]) -> Output {
    let policy = repository("config/policies/beetle.safetensors");
    Command::new(env!("CARGO_BIN_EXE_hebb")).arg(command).arg(policy).args(arguments).output().unwrap()
}

/// What a refused command says.
fn refused(command: &str, arguments: &[&str]) -> String {
    let output = hebb(command, arguments);
    assert!(!output.status.success(), "{arguments:?} was taken");
    String::from_utf8(output.stderr).unwrap()
}

/// Pose of the base and which feet touch the ground, step by step.
fn trace(folder: &Path, arguments: &[&str]) -> (Vec<f32>, Vec<f32>) {
    let out = folder.join("trace.safetensors");
    let output = hebb("trace", &[&[out.to_str().unwrap(), "--duration", "0.5"], arguments].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let bytes = std::fs::read(out).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let values = |name| f32_values(tensors.tensor(name).unwrap().data());
    (values("base"), values("foot_contact"))
}

#[test]
fn a_trace_runs_on_the_ground_and_with_the_damage_that_it_is_given() {
    let folder = tempfile::tempdir().unwrap();
    let plain = trace(folder.path(), &[]);
    assert_eq!(trace(folder.path(), &["--terrain", "", "--damage", " "]), plain);

    // A slope's start pose is turned nose up by half of it: the quaternion's y.
    let (base, _) = trace(folder.path(), &["--terrain", "{slope: 0.2}"]);
    assert!((base[4] + 0.1).abs() < 0.03, "{:?}", &base[..7]);
    assert!((plain.0[4]).abs() < 0.03, "{:?}", &plain.0[..7]);

    let damaged = trace(folder.path(), &["--damage", DAMAGE]);
    let feet = damaged.1.len() / (damaged.0.len() / 7);
    let touches = |contacts: &[f32]| contacts.iter().skip(1).step_by(feet).any(|touches| *touches > 0.0);
    assert!(touches(&plain.1) && !touches(&damaged.1), "a lost leg touches the ground");

    let file = folder.path().join("damage.yaml");
    std::fs::write(&file, "# without a leg\n- lost_leg: {joint: BC1}\n- payload: {mass: 0.5}\n").unwrap();
    assert_eq!(trace(folder.path(), &["--damage", file.to_str().unwrap()]), damaged);
}

#[test]
fn an_evaluation_says_on_what_ground_and_with_what_damage_it_ran() {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("evaluation.json");
    let short = ["--episodes", "2", "--duration", "0.2", "--json", json.to_str().unwrap()];
    let output = hebb("evaluate", &[&short[..], &["--terrain", "{friction: 0.5}", "--damage", "- suspended: {}"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    assert_eq!(report["settings"]["simulation"]["terrain"]["friction"], 0.5);
    assert!(!report["settings"]["damage"][0]["suspended"].is_null(), "{report}");
}

#[test]
fn wrong_descriptions_are_refused_with_their_option() {
    let text = refused("evaluate", &["--terrain", "{slop: 0.1}"]);
    assert!(text.contains("--terrain") && text.contains("did you mean `slope`?"), "{text}");
    let text = refused("evaluate", &["--damage", "[{limp_joint: {joint: FT11}}]"]);
    assert!(text.contains("did you mean `FT1`?"), "{text}");
    let text = refused("evaluate", &["--terrain", "no/such/ground.yaml"]);
    assert!(text.contains("no/such/ground.yaml") && text.contains("no file of that name"), "{text}");
    let text = refused("evaluate", &["--ablate", "--save", "--damage", DAMAGE]);
    assert!(text.contains("--damage"), "{text}");
    let text = refused("evaluate", &["--suite", "suite.yaml", "--terrain", "{slope: 0.1}"]);
    assert!(text.contains("--terrain"), "{text}");
}

#[test]
fn what_a_suite_says_itself_is_refused_beside_it() {
    for (option, value) in [("--episodes", "3"), ("--seed", "1"), ("--duration", "1"), ("--physics-rate", "200")] {
        let text = refused("evaluate", &["--suite", "suite.yaml", option, value]);
        assert!(text.contains("cannot be used with") && text.contains(option), "{text}");
    }
}
