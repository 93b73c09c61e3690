//! Every kind of network evolves from an experiment file alone, to the same bits on any number of threads, interrupted or not.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::{Path, PathBuf};

use common::{hebb, hebb_killed_before_generation_12, repository};
use hebbian_locomotion::evolution::{Checkpoint, Experiment};
use hebbian_locomotion::policy::PolicyFile;
use serde_yaml::Value;

fn yaml(text: &str) -> Value {
    serde_yaml::from_str(text).unwrap()
}

/// Writes the beetle's experiment, made small, with some of its keys (`policy.gate`) changed.
fn experiment(folder: &Path, changes: &[(&str, &str)]) -> PathBuf {
    let mut experiment = yaml(&std::fs::read_to_string(repository("config/experiments/beetle.yaml")).unwrap());
    experiment["robot"] = repository("config/robots/beetle.yaml").to_str().unwrap().into();
    let small = [
        ("episode.duration", "0.5"),
        ("fitness.from", "0.1"),
        ("evolution.generations", "3"),
        ("evolution.population", "4"),
        ("evolution.genome", "{all: {scale: 1.0, spread: 0.3}}"),
    ];
    for (key, value) in small.iter().chain(changes) {
        let place = key.split('.').fold(&mut experiment, |value, key| &mut value[key]);
        *place = yaml(value);
    }
    let path = folder.join("experiment.yaml");
    std::fs::write(&path, serde_yaml::to_string(&experiment).unwrap()).unwrap();
    path
}

/// `hebb evolve`, which must succeed.
fn evolve(experiment: &Path, out: &Path, more: &[&str]) {
    let arguments = ["evolve", experiment.to_str().unwrap(), "--out", out.to_str().unwrap(), "--ablation", "2"];
    let output = hebb(arguments.iter().chain(more));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn bytes(out: &Path) -> Vec<u8> {
    std::fs::read(out.join("policy.safetensors")).unwrap()
}

/// Evolves the experiment with `changes` as a whole on one thread, and in two parts on two threads. Both must give the same policy file;
/// returns it.
fn evolved(changes: &[(&str, &str)]) -> PolicyFile {
    let folder = tempfile::tempdir().unwrap();
    let path = experiment(folder.path(), changes);
    let [whole, parts] = ["whole", "parts"].map(|name| folder.path().join(name));
    evolve(&path, &whole, &["--threads", "1"]);
    evolve(&path, &parts, &["--threads", "2", "--generations", "1"]);
    evolve(&path, &parts, &["--threads", "2", "--resume"]);
    assert_eq!(bytes(&whole), bytes(&parts), "{changes:?}");

    let (file, _) = PolicyFile::load(&whole.join("policy.safetensors")).unwrap();
    let checkpoint = Checkpoint::load(&whole.join("checkpoint.safetensors")).unwrap();
    assert_eq!(file.genome, checkpoint.strategy().unwrap().mean_genome());
    assert_eq!(checkpoint.history.len(), 3);
    assert!(checkpoint.history.iter().all(|generation| generation.failed == 0), "{changes:?}");
    assert!(checkpoint.history[0].spread > 0.0, "{changes:?}");
    let inspected = hebb(["inspect", whole.join("checkpoint.safetensors").to_str().unwrap()]);
    assert!(inspected.status.success(), "{}", String::from_utf8_lossy(&inspected.stderr));
    file
}

/// The plastic network of the shipped experiment, with `changes` (`rule: {A: own}, …`).
fn plastic(changes: &str) -> PolicyFile {
    let mut network = yaml("{plastic: {layers: [27, 64, 32, 18], initial_weights: {random: 0.1}}}");
    for (key, value) in yaml(&format!("{{{changes}}}")).as_mapping().unwrap() {
        network["plastic"][key] = value.clone();
    }
    evolved(&[("policy.network", &serde_yaml::to_string(&network).unwrap())])
}

fn network(text: &str) -> PolicyFile {
    evolved(&[("policy.network", text)])
}

#[test]
fn every_normalisation_evolves() {
    for name in ["max", "standardize", "clip", "none", "neuron_max", "mass"] {
        assert_eq!(plastic(&format!("normalisation: {name}")).genome.len(), 21_760);
    }
}

#[test]
fn every_baseline_evolves() {
    assert_eq!(network("feed_forward: {layers: [27, 64, 32, 18]}").genome.len(), 4352);
    assert_eq!(network("feed_forward: {layers: [27, 64, 32, 18], biases: true}").genome.len(), 4466);
    assert_eq!(network("lstm: {layers: [27, 18], hidden: [60], initial_state: 0.1}").genome.len(), 22_686);
    assert_eq!(
        network("lstm: {layers: [27, 27, 18], hidden: [9, 5]}").genome.len(),
        4 * 36 * 9 + 36 + 36 * 27 + 4 * 32 * 5 + 20 + 32 * 18
    );
    assert_eq!(network("history: {layers: [27, 64, 32, 18], steps: 11}").genome.len(), 21_632);
}

#[test]
fn every_family_of_rules_evolves() {
    let only_a = plastic("rule: {B: {fixed: 0.0}, C: {fixed: 0.0}, D: {fixed: 0.0}, eta: {fixed: 1.0}}");
    assert_eq!(only_a.genome.len(), 4352);
    assert_eq!(plastic("rule: {D: layer}").genome.len(), 4 * 4352 + 3);
    assert_eq!(plastic("rule: {eta: network}").genome.len(), 4 * 4352 + 1);
}

#[test]
fn initial_weights_of_every_kind_evolve() {
    assert_eq!(plastic("initial_weights: evolved").genome.len(), 6 * 4352);
    let kept = yaml("{plastic: {layers: [27, 64, 32, 18], initial_weights: {kept: 0.1}}}");
    let kept = evolved(&[("policy.network", &serde_yaml::to_string(&kept).unwrap()), ("evolution.episodes", "2")]);
    assert_eq!(kept.genome.len(), 21_760);
}

#[test]
fn slow_averaged_updates_and_other_conventions_evolve() {
    plastic("update: {every: 4, average: 10}");
    plastic("convention: najarro2020");
    plastic("convention: dittrich2026");
    plastic("convention: dittrich2026, update: {every: 4, average: 10}, normalisation: none");
}

#[test]
fn policies_with_a_gate_evolve() {
    let sources = "[{schedule: [{from: 0, gate: 1}, {from: 15, gate: [0, 0.5, 1]}]}, {foot_contact: {feet: 2, hold: 2, hold_open: 1}}, \
                   {settled: {early: 5, window: 5, close_below: 0.4, open_above: 0.6}}]";
    assert_eq!(evolved(&[("policy.gate", sources)]).metadata.gate.blocks().len(), 3);
}

#[test]
fn an_experiment_with_a_novelty_gate_is_refused_as_there_are_no_weights_yet_to_measure_from() {
    let folder = tempfile::tempdir().unwrap();
    let gate = "[{foot_contact: {feet: 1, hold: 5, hold_open: 2}}, {novelty: {close_above: 2.0, open_below: 1.5}}]";
    let error = Experiment::load(&experiment(folder.path(), &[("policy.gate", gate)])).unwrap_err().to_string();
    assert!(error.contains("policy.gate[1] is `novelty`") && error.contains("hebb fit-subspace"), "{error}");
}

#[test]
fn shared_rules_evolve() {
    let file = plastic("rule: {clusters: 32}");
    assert_eq!((file.genome.len(), file.clusters.unwrap().count()), (5 * 32, 32));
    let file = plastic("rule: {clusters: 32, D: layer, eta: {fixed: 0.5}}");
    assert_eq!(file.genome.len(), 3 * 32 + 3);
}

const MERGES: (&str, &str) = ("evolution.merge", "[{generation: 1, rules: 64}, {generation: 2, rules: 8}]");

#[test]
fn merged_rules_evolve_interrupted_at_every_generation_or_not() {
    let file = evolved(&[MERGES]);
    let rules = file.clusters.unwrap().count();
    assert!(rules <= 8 && file.genome.len() == 5 * rules, "{rules} rules");
    assert_eq!(file.metadata.network.plastic().unwrap().rule.clusters, rules);

    let evolved_weights = "{plastic: {layers: [27, 64, 32, 18], initial_weights: evolved, rule: {clusters: 100}}}";
    let folder = tempfile::tempdir().unwrap();
    let path = experiment(folder.path(), &[MERGES, ("policy.network", evolved_weights)]);
    let [whole, parts] = ["whole", "parts"].map(|name| folder.path().join(name));
    evolve(&path, &whole, &[]);
    evolve(&path, &parts, &["--generations", "1"]);
    for generations in ["2", "3"] {
        evolve(&path, &parts, &["--generations", generations, "--resume"]);
    }
    assert_eq!(bytes(&whole), bytes(&parts));
}

#[test]
fn a_run_killed_around_its_merges_goes_on_to_the_same_policy_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = experiment(folder.path(), &[MERGES, ("evolution.generations", "12")]);
    let [whole, killed] = ["whole", "killed"].map(|name| folder.path().join(name));
    evolve(&path, &whole, &[]);

    let arguments = ["evolve", path.to_str().unwrap(), "--out", killed.to_str().unwrap(), "--ablation", "2"];
    hebb_killed_before_generation_12(arguments, &killed);
    evolve(&path, &killed, &["--resume"]);
    assert_eq!(bytes(&whole), bytes(&killed));
}

#[test]
fn the_shipped_experiments_load_and_have_the_sizes_of_the_paper() {
    for (name, kind, numbers) in [
        ("beetle", "plastic", 21_760),
        ("beetle_feed_forward", "feed_forward", 4352),
        ("beetle_lstm", "lstm", 22_686),
        ("beetle_history", "history", 21_632),
        ("beetle_clusters", "plastic", 1920),
    ] {
        let path = repository(&format!("config/experiments/{name}.yaml"));
        let (experiment, robot) = Experiment::load(&path).unwrap();
        let network = &experiment.policy.network;
        assert_eq!((network.kind(), network.genome_len()), (kind, numbers), "{name}");
        assert_eq!(experiment.name, name);
        hebbian_locomotion::evolution::Search::new(std::sync::Arc::new(experiment), &robot).unwrap();
    }
}

#[test]
fn every_example_of_the_documentation_is_part_of_an_experiment_that_loads() {
    let text = std::fs::read_to_string(repository("docs/networks.md")).unwrap();
    let examples: Vec<&str> = text.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(examples.len() >= 8);
    for example in examples {
        let example = yaml(example);
        let (key, value) = example.as_mapping().unwrap().iter().next().unwrap();
        let section = if ["network", "gate"].contains(&key.as_str().unwrap()) { "policy" } else { "evolution" };
        let folder = tempfile::tempdir().unwrap();
        let key = format!("{section}.{}", key.as_str().unwrap());
        let value = serde_yaml::to_string(value).unwrap();
        let path = experiment(folder.path(), &[(&key, &value)]);
        Experiment::load(&path).unwrap();
    }
}
