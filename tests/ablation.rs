//! Which ablations are refused, and what one that is kept changes of its policy's file.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;
use std::process::Output;
use std::sync::Arc;

use common::{beetle, hebb, lively_policy, repository};
use hebbian_locomotion::episode::{EpisodeSettings, Fitness};
use hebbian_locomotion::evidence::{Trial, TrialError, ablate, check_ablation};
use hebbian_locomotion::evolution::{Experiment, Search};
use hebbian_locomotion::policy::PolicyFile;

/// `hebb evaluate --ablate` of the policy at `path` on `robot`, in one episode.
fn ablated(path: &Path, robot: &Path, more: &[&str]) -> Output {
    let [path, robot] = [path, robot].map(|path| path.to_str().unwrap());
    hebb([&["evaluate", path, "--robot", robot, "--ablate", "--episodes", "1"][..], more].concat())
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn an_ablation_whose_weights_would_fill_the_memory_is_refused_before_anything_runs() {
    let file = lively_policy();
    let trial = |duration| {
        let settings = EpisodeSettings { duration, ..Default::default() };
        Trial::new(beetle(), settings, Fitness::default()).unwrap()
    };
    check_ablation(&file, &trial(600.0)).unwrap();
    let error = ablate(&file, &[], &trial(86_400.0), 0, 1, || panic!("nothing runs")).unwrap_err();
    let TrialError::Course { longest, .. } = error else { panic!("{error}") };
    check_ablation(&file, &trial(longest as f32)).unwrap();
    assert!(check_ablation(&file, &trial(longest as f32 + 1.0)).is_err());

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.safetensors");
    file.save(&path).unwrap();
    let output = ablated(&path, &repository("config/robots/beetle.yaml"), &["--duration", "86400"]);
    assert!(!output.status.success() && output.stdout.is_empty());
    let text = said(&output);
    assert!(text.contains(&format!("at most {longest} s")) && text.contains("--duration"), "{text}");
}

#[test]
fn the_ablation_of_a_variant_of_the_policys_robot_is_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let [policies, robots] = ["policies", "robots"].map(|name| folder.path().join(name));
    std::fs::create_dir(&policies).unwrap();
    let path = policies.join("policy.safetensors");
    let (experiment, robot) = Experiment::load(&repository("config/experiments/ant.yaml")).unwrap();
    Search::new(Arc::new(experiment), &robot).unwrap().policy().save(&path).unwrap();
    let before = std::fs::read(&path).unwrap();
    let refused = |given: &Path, own: &Path| {
        let output = ablated(&path, given, &["--save"]);
        let says = format!("is not what {} describes, which is taken for the policy's own robot", own.display());
        let text = said(&output);
        assert!(!output.status.success() && output.stdout.is_empty() && text.contains(&says), "{text}");
        assert_eq!(std::fs::read(&path).unwrap(), before);
    };
    // All variants of the ant are called so.
    let [ant, damaged] = ["ant", "ant_damaged_right"].map(|name| repository(&format!("config/robots/{name}.yaml")));
    refused(&damaged, &ant);
    // The one beside the policy comes before the one beside what is given.
    std::fs::create_dir(&robots).unwrap();
    for (from, to) in [("ant_damaged_left.yaml", "ant.yaml"), ("ant_damaged_left.urdf", "ant_damaged_left.urdf")] {
        std::fs::copy(repository("config/robots").join(from), robots.join(to)).unwrap();
    }
    refused(&ant, &policies.join("../robots/ant.yaml"));
}

#[test]
fn who_keeps_an_ablation_hears_of_the_new_hash_and_finds_it_in_the_figures() {
    let folder = tempfile::tempdir().unwrap();
    let [policies, robots] = ["policies", "other"].map(|name| folder.path().join(name));
    for folder in [&policies, &robots] {
        std::fs::create_dir(folder).unwrap();
    }
    // A description that is not called by its robot's name, and alone: taken, with a word.
    for (from, to) in [("beetle.yaml", "mine.yaml"), ("beetle.urdf", "beetle.urdf")] {
        std::fs::copy(repository("config/robots").join(from), robots.join(to)).unwrap();
    }
    let (path, robot, json) = (policies.join("policy.safetensors"), robots.join("mine.yaml"), folder.path().join("json"));
    let before = lively_policy().save(&path).unwrap();
    let keep = || {
        let output = ablated(&path, &robot, &["--save", "--duration", "3", "--json", json.to_str().unwrap()]);
        assert!(output.status.success(), "{}", said(&output));
        said(&output)
    };
    let text = keep();
    let (file, after) = PolicyFile::load(&path).unwrap();
    assert_eq!(file.metadata.provenance.ablation.unwrap().episodes, 1);
    assert!(before != after && text.contains(&format!("it was {before} and is {after}")), "{text}");
    assert!(text.contains("nothing says whether") && text.contains("mine.yaml"), "{text}");
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    assert_eq!(report["policy_sha256"], after.as_str());
    // The same again is the same file, of which there is nothing to say.
    let again = keep();
    assert!(!again.contains("SHA-256"), "{again}");
    assert_eq!(PolicyFile::load(&path).unwrap().1, after);
}

#[test]
fn the_figures_of_an_evaluation_hold_no_fitness_as_it_would_be_of_another_form_than_the_policys() {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("json");
    let policy = repository("config/policies/beetle.safetensors");
    let [policy, out] = [&policy, &json].map(|path| path.to_str().unwrap());
    let output = hebb(["evaluate", policy, "--episodes", "2", "--duration", "0.2", "--json", out]);
    assert!(output.status.success(), "{}", said(&output));
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    let [summary, episode] = [&report["summary"], &report["episodes"][1]].map(|value| value.as_object().unwrap());
    assert!(!summary.contains_key("fitness_mean") && summary["speed_mean"].is_number(), "{summary:?}");
    assert!(!episode.contains_key("fitness") && episode["speed"].is_number() && episode.len() == 11, "{episode:?}");
}
