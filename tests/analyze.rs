//! `hebb analyze` on bags, traces and runs: episodes, terms of the rule, courses of evolution, and what it refuses.
#![allow(clippy::unwrap_used)]

#[path = "common/bag.rs"]
mod bag;
mod common;

use std::collections::HashMap;
use std::path::Path;

use bag::LifeRecorder;
use common::{beetle, hebb, lively_policy, repository, state_of};
use hebbian_locomotion::episode::{Episode, EpisodeSettings};
use hebbian_locomotion::evidence::term_sizes;
use hebbian_locomotion::evolution::{Experiment, Search};
use hebbian_locomotion::network::Shape;
use hebbian_locomotion::plasticity::{InitialWeights, Normalisation, PlasticDescription};
use hebbian_locomotion::policy::{NetworkDescription, PolicyFile};
use hebbian_locomotion::tensors::f32_bytes;
use safetensors::tensor::{Dtype, TensorView, serialize};

/// Records episodes of so many steps, each a cycle of sensor values with `period` steps.
fn record(folder: &Path, file: &PolicyFile, episodes: &[u64], period: f32) {
    let hash = file.save(&folder.join("policy.safetensors")).unwrap();
    let mut recorder = LifeRecorder::new(&folder.join("walk"), file, &hash);
    let mut policy = file.policy().unwrap();
    for (seed, &steps) in episodes.iter().enumerate() {
        policy.start(seed as u64);
        for step in 0..steps {
            let mut state = state_of(&beetle());
            for (joint, position) in state.joint_position.iter_mut().enumerate() {
                *position = (std::f32::consts::TAU * step as f32 / period + joint as f32).sin();
            }
            recorder.step(&mut policy, &state, &[1.0; 3]);
        }
    }
    recorder.bag.finish().unwrap();
}

fn weights(folder: &Path, extra: &[&str]) -> (bool, String, serde_json::Value) {
    let (bag, json) = (folder.join("walk"), folder.join("weights.json"));
    let mut arguments = vec!["analyze", bag.to_str().unwrap(), "--json", json.to_str().unwrap()];
    arguments.extend(extra);
    let done = hebb(arguments);
    let json = std::fs::read(&json).map_or(serde_json::Value::Null, |json| serde_json::from_slice(&json).unwrap());
    (done.status.success(), String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned(), json)
}

#[test]
fn each_episode_of_a_bag_is_one_recording_and_a_driven_network_cycles_with_its_drive() {
    let folder = tempfile::tempdir().unwrap();
    record(folder.path(), &lively_policy(), &[200, 240], 25.0);
    let (ok, text, json) = weights(folder.path(), &[]);
    assert!(ok, "{text}");
    let recordings = json["recordings"].as_array().unwrap();
    let names: Vec<_> = recordings.iter().map(|recording| recording["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["walk episode 1", "walk episode 2"]);
    for (recording, samples) in recordings.iter().zip([200, 240]) {
        assert_eq!(recording["samples"], samples);
        assert_eq!(recording["layers"].as_array().unwrap().len(), 3);
        let period = recording["recurrence"]["period"].as_f64().unwrap();
        assert!(recording["motion"] == "limit_cycle" && (period - 25.0 * 0.02).abs() < 0.005, "{text}");
    }
}

#[test]
fn recordings_keep_their_whole_names_and_those_called_the_same_have_their_paths() {
    let folder = tempfile::tempdir().unwrap();
    let bag = |name: &str| {
        record(folder.path(), &lively_policy(), &[20], 25.0);
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::rename(folder.path().join("walk"), &path).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let paths = ["a/x_0.3", "b/x_0.3", "b/x_0.5"].map(bag);
    let json = folder.path().join("weights.json").to_str().unwrap().to_owned();
    let done = hebb([&["analyze", "--json", &json], &paths.each_ref().map(String::as_str)[..]].concat());
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    let names = [0, 1, 2].map(|index| report["recordings"][index]["name"].as_str().unwrap());
    assert_eq!(names, [paths[0].as_str(), paths[1].as_str(), "x_0.5"]);
}

#[test]
fn a_fragment_is_named_and_does_not_change_the_basis() {
    let folder = tempfile::tempdir().unwrap();
    let explained = |episodes: &[u64]| {
        let _ = std::fs::remove_dir_all(folder.path().join("walk"));
        record(folder.path(), &lively_policy(), episodes, 25.0);
        let out = folder.path().join("report");
        let (ok, text, json) = weights(folder.path(), &["--out", out.to_str().unwrap()]);
        assert!(ok, "{text}");
        (text, std::fs::read_to_string(out.join("report.html")).unwrap(), json)
    };
    let ((_, _, alone), (text, page, both)) = (explained(&[300]), explained(&[300, 5]));
    assert_eq!((&both["explained"], &both["fitted"]), (&alone["explained"], &300.into()));
    assert_eq!(both["recordings"][0]["components"], alone["recordings"][0]["components"]);
    assert_eq!(both["recordings"][1]["components"]["fitted"], 0);
    assert!(text.contains("`walk episode 2` is a fragment of 5 samples"), "{text}");
    assert!(page.contains("walk episode 2 is a fragment of 5 samples"));
}

/// Names of what a report has under `key`.
fn names<'a>(report: &'a serde_json::Value, key: &str) -> Vec<&'a str> {
    report[key].as_array().unwrap().iter().map(|part| part["name"].as_str().unwrap()).collect()
}

#[test]
fn of_networks_with_other_layers_in_one_bag_those_asked_for_or_recorded_longest_are_analysed_and_the_others_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let [large_path, small_path] = ["large.safetensors", "small.safetensors"].map(|name| folder.path().join(name));
    let (large, mut small) = (lively_policy(), lively_policy());
    let shape = Shape::new(vec![27, 32, 16, 18]).unwrap();
    "small".clone_into(&mut small.metadata.name);
    small.genome.truncate(5 * shape.synapses());
    small.metadata.network = NetworkDescription::Plastic(PlasticDescription::new(shape, InitialWeights::Random(0.1)));
    let [of_large, of_small] = [(&large, &large_path), (&small, &small_path)].map(|(file, path)| file.save(path).unwrap());
    let mut recorder = LifeRecorder::new(&folder.path().join("walk"), &large, &of_large);
    let live = |recorder: &mut LifeRecorder, file: &PolicyFile, parts: &[(u64, bool)], hash: &str| {
        let mut policy = file.policy().unwrap();
        policy.start(1);
        for &(steps, is_said) in parts {
            for step in 0..steps {
                let mut state = state_of(&beetle());
                for (joint, position) in state.joint_position.iter_mut().enumerate() {
                    *position = (0.3 * step as f32 + joint as f32).sin();
                }
                recorder.step(&mut policy, &state, &[1.0; 3]);
            }
            if is_said {
                recorder.say_layout(file, hash);
            }
        }
    };
    live(&mut recorder, &large, &[(40, false)], &of_large);
    // What is said of a policy may come after its first weights.
    live(&mut recorder, &small, &[(2, true), (98, false)], &of_small);
    recorder.say_layout(&large, &of_large);
    live(&mut recorder, &large, &[(30, false)], &of_large);
    recorder.bag.finish().unwrap();

    let (first, second, third) = ("walk episode 1", "walk episode 2", "walk episode 3");
    let out = folder.path().join("report");
    let (ok, text, json) = weights(folder.path(), &["--out", out.to_str().unwrap()]);
    assert!(ok, "{text}");
    assert_eq!((names(&json, "recordings"), names(&json, "left_out")), (vec![second], vec![first, third]));
    assert_eq!(json["recordings"][0]["layers"].as_array().unwrap().len(), 3);
    assert_eq!((&json["left_out"][0]["samples"], &json["left_out"][1]["samples"]), (&40.into(), &30.into()));
    let said = "`walk episode 1` (40 samples of the policy `beetle`) is left out: its network, of 4352 weights, has other layers";
    assert!(text.contains(said), "{text}");
    assert!(std::fs::read_to_string(out.join("report.html")).unwrap().contains(said));

    let (ok, text, json) = weights(folder.path(), &["--policy", large_path.to_str().unwrap()]);
    assert!(ok && text.contains("in 70 of 170 recorded steps"), "{text}");
    assert_eq!((names(&json, "recordings"), names(&json, "left_out")), (vec![first, third], vec![second]));
    assert_eq!(json["left_out"][0], serde_json::json!({"name": second, "policy": "small", "samples": 100, "synapses": 1664}));
}

#[test]
fn options_that_would_do_nothing_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let run = run_folder(folder.path(), "run", true);
    let [policy, trace] =
        ["policy.safetensors", "trace.safetensors"].map(|name| folder.path().join(name).to_str().unwrap().to_owned());
    let refused = |arguments: &[&str]| {
        let done = hebb(arguments);
        assert!(!done.status.success(), "{arguments:?}");
        String::from_utf8_lossy(&done.stderr).into_owned()
    };
    for (option, value) in [("--node", "/policy"), ("--policy", policy.as_str()), ("--components", "3"), ("--skip", "0")] {
        let text = refused(&["analyze", &run, option, value]);
        assert!(text.contains(&format!("{option} has no use here: {run} is a run of evolution")), "{text}");
    }
    for (option, value) in [("--node", "/policy"), ("--policy", policy.as_str())] {
        let text = refused(&["analyze", &trace, option, value]);
        assert!(text.contains(&format!("{option} has no use here: {trace} is a trace")), "{text}");
    }
    let (experiment, robot) = Experiment::load(&repository("config/experiments/beetle_feed_forward.yaml")).unwrap();
    Search::new(std::sync::Arc::new(experiment), &robot).unwrap().policy().save(policy.as_ref()).unwrap();
    let robot = repository("config/robots/beetle.yaml");
    let text = refused(&["trace", &policy, &trace, "--robot", robot.to_str().unwrap(), "--duration", "0.1", "--weights"]);
    assert!(text.contains("the weights of a network of kind feed_forward do not change in life"), "{text}");
    assert!(!Path::new(&trace).exists());
}

#[test]
fn a_replay_measures_terms_and_retention() {
    let folder = tempfile::tempdir().unwrap();
    // With eta = 1, D = d and nothing else, V = W + d: at its fixed point W = 1, so each step keeps 1 / (1 + d).
    let mut file = lively_policy();
    let shape = file.metadata.network.layers().clone();
    file.metadata.network = NetworkDescription::Plastic(PlasticDescription {
        normalisation: Normalisation::Max,
        ..PlasticDescription::new(shape.clone(), InitialWeights::Random(0.1))
    });
    let synapses = shape.synapses();
    file.genome = [0.0, 0.0, 0.0, 3.0, 1.0].iter().flat_map(|&number| vec![number; synapses]).collect();
    record(folder.path(), &file, &[100], 25.0);
    let policy = folder.path().join("policy.safetensors");
    let (ok, text, json) = weights(folder.path(), &["--policy", policy.to_str().unwrap()]);
    assert!(ok && text.contains("retained"), "{text}");
    // What is left out of the rest is not left out of these, and the table says so.
    let (ok, text, skipped) = weights(folder.path(), &["--policy", policy.to_str().unwrap(), "--skip", "0.03"]);
    assert!(ok && text.contains("in the whole recording whatever --skip leaves out"), "{text}");
    assert_eq!((&skipped["terms"], &skipped["recordings"][0]["samples"]), (&json["terms"], &98.into()));
    let terms = &json["terms"][0];
    for layer in 0..3 {
        assert_eq!((&terms["terms"][layer]["A"], &terms["terms"][layer]["D"]), (&0.0.into(), &3.0.into()));
        let retention = terms["retention"][layer].as_f64().unwrap();
        assert!((retention - 0.25).abs() < 0.01, "{retention}");
    }
}

#[test]
fn terms_of_a_bag_that_could_not_be_replayed_as_it_was_come_with_a_warning() {
    // Of 60 steps without those in `lost`, by the policy whose file is analysed or by another one in its name.
    let analysed = |lost: &[u64], by_another: bool| {
        let folder = tempfile::tempdir().unwrap();
        let (mut file, policy) = (lively_policy(), folder.path().join("policy.safetensors"));
        let hash = file.save(&policy).unwrap();
        if by_another {
            file.genome.iter_mut().for_each(|number| *number *= 0.5);
        }
        let mut recorder = LifeRecorder::new(&folder.path().join("walk"), &file, &hash);
        recorder.lost = lost.to_vec();
        let mut life = file.policy().unwrap();
        life.start(42);
        for step in 0..60 {
            let mut state = state_of(&beetle());
            for (joint, position) in state.joint_position.iter_mut().enumerate() {
                *position = (0.3 * step as f32 + joint as f32).sin();
            }
            recorder.step(&mut life, &state, &[1.0; 3]);
        }
        recorder.bag.finish().unwrap();
        let (ok, text, json) = weights(folder.path(), &["--policy", policy.to_str().unwrap()]);
        assert!(ok, "{text}");
        (text, json["terms"][0]["replay"].clone())
    };
    let (text, replay) = analysed(&[], false);
    assert!(text.contains("in the whole recording") && !text.contains("warning"), "{text}");
    assert_eq!((&replay["steps"], &replay["replayed"], &replay["lost"]), (&60.into(), &60.into(), &0.into()));
    // The step behind the gap brings the weights to go on from.
    let (text, replay) = analysed(&[20, 21], false);
    assert!(text.contains("in 57 of 58 recorded steps") && text.contains("at least 2 steps are missing"), "{text}");
    assert_eq!((&replay["steps"], &replay["replayed"], &replay["lost"]), (&58.into(), &57.into(), &2.into()));
    assert!(replay["first_difference"].is_null());
    let (text, replay) = analysed(&[], true);
    assert!(text.contains("warning: the replay differs from the recording, first in step"), "{text}");
    assert!(replay["first_difference"]["step"].is_u64() && replay["replayed"] == 60, "{replay}");
}

#[test]
fn a_trace_says_what_the_rule_did_in_its_episode() {
    let folder = tempfile::tempdir().unwrap();
    let [policy, trace, json] = ["policy.safetensors", "trace.safetensors", "weights.json"]
        .map(|name| folder.path().join(name).to_str().unwrap().to_owned());
    lively_policy().save(policy.as_ref()).unwrap();
    let robot = repository("config/robots/beetle.yaml");
    let options = ["--robot", robot.to_str().unwrap(), "--duration", "1", "--seed", "3", "--weights"];
    assert!(hebb([&["trace", &policy, &trace], &options[..]].concat()).status.success());
    assert!(hebb(["analyze", &trace, "--json", &json]).status.success());
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    let mut episode = Episode::new(beetle(), EpisodeSettings { duration: 1.0, ..Default::default() }).unwrap();
    let expected = term_sizes(&lively_policy(), &mut episode, 3).unwrap().unwrap();
    assert_eq!(report["terms"][0]["recording"], "trace");
    for (layer, expected) in expected.iter().enumerate() {
        assert_eq!(report["terms"][0]["terms"][layer], serde_json::to_value(expected).unwrap());
        let retention = report["terms"][0]["retention"][layer].as_f64().unwrap();
        assert!(0.0 < retention && retention <= 1.0, "{retention}");
    }
}

/// The folder of a run of two generations.
fn run_folder(folder: &Path, name: &str, pace: bool) -> String {
    let path = folder.join(name);
    std::fs::create_dir_all(&path).unwrap();
    let history = "generation,best,mean,spread,best_speed,mean_speed,falls,failed,sigma,learning_rate\n\
                   0,3,-1,2,0.1,0.05,0.5,2,0.1,0.1\n1,2.5,1.5,1,0.2,0.15,0.25,1,0.09,0.1\n";
    std::fs::write(path.join("history.csv"), history).unwrap();
    if pace {
        std::fs::write(path.join("pace.csv"), "generation,candidates,episodes,seconds\n0,8,16,2\n1,8,16,6\n").unwrap();
    }
    path.to_str().unwrap().to_owned()
}

#[test]
fn runs_are_compared_in_figures_and_plots() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (run_folder(folder.path(), "a/run", true), run_folder(folder.path(), "b/run", false));
    let [out, json] = ["report", "runs.json"].map(|name| folder.path().join(name).to_str().unwrap().to_owned());
    let done = hebb(["analyze", &first, &second, "--out", &out, "--json", &json]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    assert_eq!((&report[0]["name"], &report[1]["name"]), (&first.as_str().into(), &second.as_str().into()));
    for (key, value) in [("generations", 2.0), ("best", 3.0), ("mean", 1.5), ("falls", 0.25), ("failed", 3.0), ("sigma", 0.09)] {
        assert_eq!((report[0][key].as_f64(), report[1][key].as_f64()), (Some(value), Some(value)), "{key}");
    }
    assert_eq!((&report[0]["seconds"], &report[0]["episodes_per_second"]), (&8.0.into(), &4.0.into()));
    assert!(report[1]["episodes_per_second"].is_null());
    for name in ["fitness", "speed", "losses", "search"] {
        let file = |extension: &str| std::fs::read(Path::new(&out).join(name).with_extension(extension)).unwrap();
        assert!(file("png").starts_with(b"\x89PNG"));
        assert!(String::from_utf8(file("svg")).unwrap().contains("a/run"), "{name} does not name the run");
    }
    let page = std::fs::read_to_string(Path::new(&out).join("report.html")).unwrap();
    // Shares of failed candidates: of the run whose generations' sizes are known.
    assert!(page.contains("0.25,0.125"), "no share of failed candidates");
}

#[test]
fn what_is_no_run_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let run = run_folder(folder.path(), "run", true);
    let refused = |arguments: &[&str]| {
        let done = hebb([&["analyze"], arguments].concat());
        assert!(!done.status.success());
        String::from_utf8_lossy(&done.stderr).into_owned()
    };
    let text = refused(&[&run, "/no/such/bag"]);
    assert!(text.contains("give runs alone, or recordings alone"), "{text}");
    std::fs::write(Path::new(&run).join("history.csv"), "generation,best\n0,1\n").unwrap();
    assert!(refused(&[&run]).contains("has no column `mean`"));
    std::fs::write(Path::new(&run).join("history.csv"), "generation,best\n0\n").unwrap();
    assert!(refused(&[&run]).contains("line 2: expected 2 numbers"));
}

#[test]
fn a_trace_of_layers_that_are_those_of_no_network_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace.safetensors");
    let weights = f32_bytes(&[0.5; 6 * 8]);
    // Of eight weights all, where sums and products wrap around: of a sum, of a product, and of none where nothing is connected.
    for neurons in ["[18446744073709551608, 1, 16]", "[9223372036854775808, 2, 4]", "[3, 0, 2, 4]"] {
        let metadata = format!("{{\"control_step\": 0.02, \"neurons\": {neurons}}}");
        let view = TensorView::new(Dtype::F32, vec![6, 8], &weights).unwrap();
        let entries = HashMap::from([("hebbian_locomotion".to_owned(), metadata)]);
        std::fs::write(&path, serialize([("weights", view)], Some(entries)).unwrap()).unwrap();
        let output = hebb(["analyze", path.to_str().unwrap()]);
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && text.contains("`neurons` are not those of a network"), "{neurons}: {text}");
    }
}

#[test]
fn what_cannot_be_analysed_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut shut = lively_policy();
    shut.genome.fill(0.0);
    shut.metadata.network = NetworkDescription::Plastic(PlasticDescription {
        normalisation: Normalisation::None,
        ..PlasticDescription::new(shut.metadata.network.layers().clone(), InitialWeights::Random(0.1))
    });
    record(folder.path(), &shut, &[20], 25.0);
    let (ok, text, _) = weights(folder.path(), &[]);
    assert!(!ok && text.contains("the weights do not move"), "{text}");
    let (ok, text, _) = weights(folder.path(), &["--node", "/other"]);
    assert!(!ok && text.contains("/policy"), "{text}");
    let (ok, text, _) = weights(folder.path(), &["--skip", "60"]);
    assert!(!ok && text.contains("nothing is left"), "{text}");
    for seconds in ["-1", "nan", "inf", "a second"] {
        let (ok, text, _) = weights(folder.path(), &["--skip", seconds]);
        assert!(!ok && text.contains(&format!("and not {seconds}; 0 leaves out nothing")), "{text}");
    }
    let done = hebb(["analyze", folder.path().join("policy.safetensors").to_str().unwrap()]);
    let text = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(text.contains("is no trace of an episode"), "{text}");
}
