//! What the evidence says is what happened.
#![allow(clippy::unwrap_used)]

mod common;

use common::{beetle, hebb, lively_policy, repository};
use hebbian_locomotion::config::parse_yaml;
use hebbian_locomotion::episode::{EPISODE_VERSION, Episode, EpisodeResult, EpisodeSettings, Fitness, FitnessForm, FitnessTerm};
use hebbian_locomotion::evidence::{
    Control, SubspaceFitError, Trial, Variant, WeightCourse, ablate, fit_subspace, held_out_seeds, term_sizes,
};
use hebbian_locomotion::evolution::{Checkpoint, Experiment, Restarts, Search};
use hebbian_locomotion::plasticity::{
    Convention, Gate, GateBlock, GateDescription, GateSource, InitialWeights, PlasticDescription, Subspace, Term, UpdateSchedule,
};
use hebbian_locomotion::policy::{NetworkDescription, PolicyFile};

fn settings(duration: f32) -> EpisodeSettings {
    EpisodeSettings { duration, ..Default::default() }
}

fn episode(duration: f32) -> Episode {
    Episode::new(beetle(), settings(duration)).unwrap()
}

/// A lively policy with a changed network.
fn changed(change: impl FnOnce(&mut PlasticDescription)) -> PolicyFile {
    let mut file = lively_policy();
    let NetworkDescription::Plastic(plastic) = &mut file.metadata.network else { unreachable!() };
    change(plastic);
    file
}

fn threads<T: Send>(count: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(count).build().unwrap().install(work)
}

/// The terms' sizes, written down anew: activities of all steps first, then averages, then loops over i and j.
fn expected_terms(file: &PolicyFile, duration: f32, seed: u64) -> Vec<[f64; 4]> {
    let plastic = file.metadata.network.plastic().unwrap();
    let mut lived: Vec<Vec<Vec<f64>>> = Vec::new();
    episode(duration).run(
        &mut file.policy().unwrap(),
        seed,
        &Fitness::default(),
        |_| Gate::OPEN,
        |view| {
            let network = view.policy.network().plastic().unwrap();
            let layer = |layer| network.activity(layer).iter().map(|&value| f64::from(value)).collect();
            lived.push((0..plastic.layers.neurons().len()).map(layer).collect());
            assert_eq!(network.activity(plastic.layers.neurons().len() - 1), network.output());
            assert!(network.activity(plastic.layers.neurons().len()).is_empty());
        },
    );
    let (every, average) = (plastic.update.every as usize, plastic.update.average as usize);
    let updates: Vec<usize> = (1..=lived.len()).filter(|step| step % every == 0).collect();
    let policy = file.policy().unwrap();
    let [a, b, c, d, eta] = Term::ALL.map(|term| policy.network().plastic().unwrap().layout().term(&file.genome, term));
    let of_layer = |(index, layer): (usize, hebbian_locomotion::network::Layer)| {
        let mut sums = [0.0; 4];
        for &step in &updates {
            let window = &lived[step.saturating_sub(average)..step];
            let mean =
                |layer: usize, neuron: usize| window.iter().map(|step| step[layer][neuron]).sum::<f64>() / window.len() as f64;
            let [xs, ys]: [Vec<f64>; 2] = [(index, layer.inputs), (index + 1, layer.outputs)]
                .map(|(layer, count)| (0..count).map(|n| mean(layer, n)).collect());
            for (i, &x) in xs.iter().enumerate() {
                for (j, &y) in ys.iter().enumerate() {
                    let s = layer.offset + i * layer.outputs + j;
                    let (x, y) = if plastic.convention.is_swapped() { (y, x) } else { (x, y) };
                    let terms = [f64::from(a[s]) * x * y, f64::from(b[s]) * x, f64::from(c[s]) * y, f64::from(d[s])];
                    sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += (f64::from(eta[s]) * term).abs());
                }
            }
        }
        sums.map(|sum| sum / (updates.len() * layer.synapses()) as f64)
    };
    plastic.layers.layers().enumerate().map(of_layer).collect()
}

#[test]
fn terms_are_those_of_the_updates_of_the_episode() {
    let slow = UpdateSchedule { every: 4, average: 10 };
    let files = [
        lively_policy(),
        changed(|plastic| plastic.update = slow),
        changed(|plastic| (plastic.update, plastic.convention) = (slow, Convention::Dittrich2026)),
    ];
    for file in files {
        let sizes = term_sizes(&file, &mut episode(0.5), 3).unwrap().unwrap();
        for (sizes, expected) in sizes.iter().zip(expected_terms(&file, 0.5, 3)) {
            for (size, expected) in sizes.values().into_iter().zip(expected) {
                assert!(size > 0.0 && (size / expected - 1.0).abs() < 1e-5, "{size} {expected}");
            }
        }
    }
}

#[test]
fn kept_weights_give_the_same_trial_on_any_number_of_threads() {
    let file = changed(|plastic| plastic.initial_weights = InitialWeights::Kept(0.1));
    let trial = Trial::new(beetle(), settings(0.2), Fitness::default()).unwrap();
    let run = |count| threads(count, || trial.run(&file, &held_out_seeds(1, 12), |_| Gate::OPEN).unwrap());
    assert_eq!(run(1), run(3));
}

#[test]
fn a_subspace_fits_the_weights_of_episodes_that_it_was_not_fitted_to() {
    let file = lively_policy();
    let fit = |count| threads(count, || fit_subspace(&file, &episode(1.0), 4, 3, 7).unwrap());
    let (fit, again) = (fit(1), fit(3));
    assert_eq!((&fit.subspace, &fit.figures), (&again.subspace, &again.figures));
    let figures = &fit.figures;
    // 51 moments of each episode, all of them.
    assert_eq!((figures.samples, figures.every, figures.measured), (4 * 51, 1, 4 * 51));
    assert!(figures.explained.is_sorted_by(|a, b| a >= b) && figures.explained.iter().sum::<f64>() <= 1.0 + 1e-9);
    assert!(0.0 < figures.p50 && figures.p50 <= figures.p99 && figures.p99 <= figures.max && figures.start_max <= figures.max);
    assert!(figures.max <= figures.open_below && figures.open_below < figures.close_above);

    let refitted = fit_subspace(&with_gate(&file, &fit.subspace, 1e-3), &episode(1.0), 4, 3, 7).unwrap();
    assert_eq!(refitted.figures, fit.figures, "a novelty gate that shuts at once hid the weights");
    let few = fit_subspace(&file, &episode(0.2), 60, 3, 7).unwrap().figures;
    assert_eq!((few.samples, few.every), (60 * 6, 2));
}

#[test]
fn the_cost_of_energy_is_that_of_the_work_of_the_whole_episode() {
    let mut used = hebbian_locomotion::simulation::Energy::default();
    let mut cost = |term: FitnessTerm| {
        let fitness = Fitness { form: FitnessForm::None, terms: vec![term], ..Fitness::default() };
        let policy = &mut lively_policy().policy().unwrap();
        episode(0.5).run(policy, 3, &fitness, |_| Gate::OPEN, |view| used = view.world.energy())
    };
    let result = cost(FitnessTerm::Energy { work: 2.0, torque_squared: 0.0 });
    assert!(result.work > 0.0 && (f64::from(result.fitness) / (-2.0 * result.work) - 1.0).abs() < 1e-4, "{result:?}");
    let heat = f64::from(cost(FitnessTerm::Energy { work: 0.0, torque_squared: 0.5 }).fitness);
    assert!((heat / (-0.5 * used.torque_squared) - 1.0).abs() < 1e-4, "{heat} {used:?}");
}

#[test]
fn a_life_led_on_its_own_course_is_the_same_life() {
    let delayed = changed(|plastic| plastic.convention = Convention::Najarro2020);
    for file in [lively_policy(), delayed] {
        let (policy, mut episode) = (file.policy().unwrap(), episode(0.5));
        let lived = episode.run(&mut policy.clone(), 3, &Fitness::default(), |_| Gate::OPEN, |_| ());
        let course = WeightCourse::record(&mut episode, &policy, 3);
        let mut led = |course: &WeightCourse| {
            let lead = |step, policy: &mut hebbian_locomotion::policy::Policy| {
                policy.set_gate(Gate::new(0.0, GateSource::Parameter).unwrap()).unwrap();
                course.put(step, policy);
            };
            episode.run_with(&mut policy.clone(), 3, &Fitness::default(), lead, |_| ())
        };
        let way = |result: EpisodeResult| [result.distance, result.lateral_drift, result.yaw].map(f32::to_bits);
        assert_eq!(way(led(&course)), way(lived));
        let shuffled_after = |first, seed| course.clone().shuffled_after(first, seed);
        assert_eq!(shuffled_after(25, 7), course, "nothing is left to shuffle after the end");
        let shuffled = shuffled_after(10, 7);
        assert_ne!(way(led(&shuffled)), way(lived));
        assert_eq!(shuffled, shuffled_after(10, 7));
        assert_ne!(shuffled, shuffled_after(10, 8));
    }
}

#[test]
fn an_ablation_has_a_row_for_each_variant_and_control_on_any_number_of_threads() {
    let (experiment, robot) = Experiment::load(&repository("config/experiments/beetle_history.yaml")).unwrap();
    let control = Search::new(std::sync::Arc::new(experiment), &robot).unwrap().policy();
    let controls = [Control { name: "still".to_owned(), file: control }];
    let trial = Trial::new(beetle(), settings(1.5), Fitness::default()).unwrap();
    let file = lively_policy();
    let run = |count| threads(count, || ablate(&file, &controls, &trial, 1, 2, || ()).unwrap().0);
    let ablation = run(1);
    assert_eq!(ablation, run(3));
    let row = |name: &str| ablation.results.iter().find(|row| row.variant == name).unwrap().speed_mean;
    assert_eq!(ablation.results.len(), Variant::ALL.len() + 1);
    let intact = row("intact");
    // Each of them is another life than the intact one.
    for name in ["another episode's weights", "updates shuffled after 1 s", "updates every 2 steps", "updates every 5 steps"] {
        assert_ne!(row(name), intact, "{name}");
    }
    assert_ne!(row("updates every 2 steps"), row("updates every 5 steps"));
    row("control still (history)");
}

fn with_gate(file: &PolicyFile, subspace: &Subspace, open_below: f32) -> PolicyFile {
    let novelty =
        hebbian_locomotion::plasticity::NoveltySettings { close_above: 2.0 * open_below, open_below, every: 1, shut: 0.0 };
    let mut file = PolicyFile { subspace: Some(std::sync::Arc::new(subspace.clone())), ..file.clone() };
    file.metadata.gate = GateDescription::new(vec![GateBlock::Novelty(novelty)]);
    file
}

#[test]
fn what_has_no_subspace_is_refused() {
    let (experiment, robot) = Experiment::load(&repository("config/experiments/beetle_feed_forward.yaml")).unwrap();
    let file = Search::new(std::sync::Arc::new(experiment), &robot).unwrap().policy();
    let error = fit_subspace(&file, &episode(0.2), 2, 1, 0).unwrap_err();
    assert!(matches!(error, SubspaceFitError::NotPlastic("feed_forward")), "{error}");
    assert!(term_sizes(&file, &mut episode(0.2), 0).unwrap().is_none());
    let file = lively_policy();
    // Of more than 60 episodes most samples would be of the random start.
    for episodes in [0, 61] {
        assert!(matches!(fit_subspace(&file, &episode(0.2), episodes, 1, 0), Err(SubspaceFitError::Episodes(_))));
    }
    assert!(matches!(fit_subspace(&file, &episode(0.2), 1, 50, 0), Err(SubspaceFitError::Subspace(_))));
}

/// Standard output of a command that must succeed.
fn printed<const N: usize>(arguments: [&str; N]) -> String {
    let output = hebb(arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn json(path: &str) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn inspect_shows_blocks_groups_and_terms_and_says_when_it_finds_no_robot() {
    let folder = tempfile::tempdir().unwrap();
    let [policy, report] =
        ["policy.safetensors", "report.json"].map(|name| folder.path().join(name).to_str().unwrap().to_owned());
    lively_policy().save(policy.as_ref()).unwrap();
    let robot = repository("config/robots/beetle.yaml");
    let text = printed(["inspect", &policy, "--robot", robot.to_str().unwrap(), "--duration", "0.5", "--json", &report]);
    for part in ["layers.2.eta", "eta A x y", "█"] {
        assert!(text.contains(part), "no {part} in\n{text}");
    }
    let tables = text.lines().skip_while(|line| !line.starts_with("block "));
    assert!(tables.clone().count() > 30 && tables.clone().all(|line| line.chars().count() <= 100), "{text}");
    let report = json(&report);
    assert_eq!(report["kind"], "policy");
    assert_eq!(report["metadata"]["name"], "beetle");
    assert_eq!(report["genome"]["blocks"].as_array().unwrap().len(), 15);
    assert_eq!(report["genome"]["groups"][4]["count"], 4352);
    assert_eq!(report["terms"].as_array().unwrap().len(), 3);

    assert!(printed(["inspect", &policy]).contains("terms of the update not measured: there is no robot"));
    assert!(!hebb(["inspect", &policy, "--robot", "/no/such/robot.yaml"]).status.success());
}

#[test]
fn inspect_refuses_options_for_an_episode_of_a_policy_without_its_robot() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.safetensors");
    std::fs::copy(repository("config/policies/beetle.safetensors"), &path).unwrap();
    for options in [["--terrain", "{slope: 0.1}"], ["--duration", "1"]] {
        let output = hebb([&["inspect", path.to_str().unwrap()][..], &options].concat());
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && output.stdout.is_empty(), "{options:?}");
        assert!(text.contains(&format!("{} has no use here", options[0])) && text.contains("--robot"), "{text}");
    }
}

#[test]
fn inspect_refuses_options_for_an_episode_where_it_runs_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint");
    checkpoint().save(&path).unwrap();
    let baseline = repository("config/policies/study/beetle_feed_forward_11.safetensors");
    let [path, baseline] = [path, baseline].map(|path| path.to_str().unwrap().to_owned());
    for options in [
        &["--robot", "robot.yaml"][..],
        &["--duration", "6"],
        &["--suspended"],
        &["--physics-rate", "100"],
        &["--velocity-limit", "1"],
        &["--terrain", "{slope: 0.1}"],
        &["--damage", "[]"],
    ] {
        for (file, kind) in [(&path, "a checkpoint"), (&baseline, "a policy of kind feed_forward")] {
            let output = hebb([&["inspect", file.as_str()][..], options].concat());
            let text = String::from_utf8(output.stderr).unwrap();
            assert!(!output.status.success() && output.stdout.is_empty(), "{options:?}");
            assert!(text.contains(&format!("{} has no use here: {file} is {kind}", options[0])), "{text}");
        }
    }
    printed(["inspect", &baseline]);
}

/// A search at its start, with a history all the same.
fn checkpoint() -> Checkpoint {
    let (experiment, robot) = Experiment::load(&repository("config/experiments/beetle_clusters.yaml")).unwrap();
    let search = Search::new(std::sync::Arc::new(experiment.clone()), &robot).unwrap();
    Checkpoint {
        episode_version: EPISODE_VERSION,
        fused: true,
        experiment_hash: experiment.hash(&robot),
        experiment,
        state: search.strategy().state().clone(),
        clusters: search.policy().clusters,
        history: vec![Default::default(); 12],
    }
}

#[test]
fn inspect_shows_a_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let [path, grown, report] =
        ["any.name", "grown", "report.json"].map(|name| folder.path().join(name).to_str().unwrap().to_owned());
    let checkpoint = checkpoint();
    checkpoint.save(path.as_ref()).unwrap();
    assert!(Checkpoint::is_at(path.as_ref()));
    assert!(!Checkpoint::is_at(&repository("config/policies/beetle.safetensors")));
    let mut later = checkpoint;
    (later.experiment.evolution.sigma.decay, later.state.generation, later.state.began, later.state.restarts) = (0.5, 9, 8, 2);
    later.experiment.evolution.restarts = Some(Restarts { most: 3, population_factor: 2 });
    later.save(grown.as_ref()).unwrap();
    // As they are in the second generation of the third descent, not as of the tenth of the first.
    let text = printed(["inspect", &grown]);
    assert!(text.contains("population 512") && text.contains("2 restarts so far") && text.contains("sigma 0.05"), "{text}");

    let text = printed(["inspect", &path, "--json", &report]);
    for part in ["generation 0 of 300", "OpenAI-ES, population 128", "adam: beta1 0.9", "rule.eta", "384"] {
        assert!(text.contains(part), "no {part} in\n{text}");
    }
    let report = json(&report);
    assert_eq!((report["kind"].as_str(), report["history"].as_array().unwrap().len()), (Some("checkpoint"), 12));
    assert_eq!(report["genome"]["blocks"].as_array().unwrap().len(), 5);
}

#[test]
fn fit_subspace_leaves_a_policy_with_its_gate() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.safetensors");
    lively_policy().save(&path).unwrap();
    let (robot, policy) = (repository("config/robots/beetle.yaml"), path.to_str().unwrap());
    let fit =
        ["fit-subspace", policy, "--robot", robot.to_str().unwrap(), "--duration", "0.5", "--episodes", "3", "--components", "2"];
    let run = |more: &[&str]| {
        let output = hebb(fit.iter().chain(more));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        PolicyFile::load(&path).unwrap().0
    };
    assert_eq!(run(&[]), lively_policy());
    let saved = run(&["--save"]);
    assert_eq!(saved.subspace.as_ref().unwrap().components(), 2);
    assert!(saved.metadata.gate.blocks().is_empty());
    for _ in 0..2 {
        let gated = run(&["--save", "--gate"]);
        assert!(matches!(gated.metadata.gate.blocks(), [GateBlock::Novelty(_)]));
        assert_eq!(gated.subspace, saved.subspace);
    }
}

#[test]
fn a_trace_tells_the_gate_that_the_weights_had_not_the_one_that_was_commanded() {
    let folder = tempfile::tempdir().unwrap();
    let [policy, trace] = ["policy.safetensors", "trace.safetensors"].map(|name| folder.path().join(name));
    let mut file = lively_policy();
    file.metadata.gate = parse_yaml("[schedule: [{from: 0, gate: 1.0}, {from: 10, gate: [0.0, 0.5, 1.0]}]]").unwrap();
    file.save(&policy).unwrap();
    let robot = repository("config/robots/beetle.yaml");
    let [policy, trace, robot] = [&policy, &trace, &robot].map(|path| path.to_str().unwrap());
    printed(["trace", policy, trace, "--robot", robot, "--duration", "0.5", "--weights"]);
    let bytes = std::fs::read(trace).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let gate = tensors.tensor("gate").unwrap();
    let values: Vec<f32> = gate.data().chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect();
    assert_eq!(gate.shape(), [25, 1]);
    assert_eq!(values, [vec![1.0; 10], vec![0.0; 15]].concat());
}

#[test]
fn an_ablation_is_kept_only_of_the_policys_own_robot_and_of_some_episode() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.safetensors");
    let mut file = lively_policy();
    file.metadata.robot.name = "another".to_owned();
    file.save(&path).unwrap();
    let before = std::fs::read(&path).unwrap();
    let (robot, policy) = (repository("config/robots/beetle.yaml"), path.to_str().unwrap());
    let refused = |more: &[&str]| {
        let output = hebb(["evaluate", policy, "--robot", robot.to_str().unwrap(), "--ablate", "--save"].iter().chain(more));
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(
        refused(&["--episodes", "1", "--duration", "0.1"]).contains("the policy's own robot, `another`; this one is `beetle`")
    );
    assert!(refused(&["--velocity-limit", "0.5"]).contains("--velocity-limit"));
    assert!(refused(&["--physics-rate", "200"]).contains("--physics-rate"));
    assert!(refused(&["--episodes", "0"]).contains("--episodes"));
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_policy_whose_rate_does_not_divide_that_of_the_physics_runs_without_another_word() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.safetensors");
    let mut file = lively_policy();
    file.metadata.control_rate = 40.0;
    file.save(&path).unwrap();
    let (robot, policy) = (repository("config/robots/beetle.yaml"), path.to_str().unwrap());
    let speed = |more: &[&str]| {
        let results = folder.path().join("results.json");
        let common =
            ["evaluate", policy, "--robot", robot.to_str().unwrap(), "--duration", "1", "--json", results.to_str().unwrap()];
        let output = hebb(common.iter().chain(more));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        std::fs::read_to_string(results).unwrap()
    };
    assert_eq!(speed(&[]), speed(&["--physics-rate", "120"]));
    assert_ne!(speed(&[]), speed(&["--physics-rate", "400"]));
}

#[test]
fn an_ablation_of_a_second_has_no_verdict_and_is_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.safetensors");
    lively_policy().save(&path).unwrap();
    let before = std::fs::read(&path).unwrap();
    let (robot, policy) = (repository("config/robots/beetle.yaml"), path.to_str().unwrap());
    let short = ["evaluate", policy, "--robot", robot.to_str().unwrap(), "--ablate", "--episodes", "1", "--duration", "1"];
    let text = printed(short);
    assert!(text.contains("is it plasticity? no verdict: episodes of 1 s say nothing") && text.contains("--duration"), "{text}");
    let refused = hebb(short.iter().chain(&["--save"]));
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && text.contains("let them last at least 3 s"), "{text}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}
