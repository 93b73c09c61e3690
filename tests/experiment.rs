//! What an experiment is taken for, and refused for: its numbers, its search, its hash and the run that it goes on with.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::{hebb, repository};
use hebbian_locomotion::config::Change;
use hebbian_locomotion::episode::EPISODE_VERSION;
use hebbian_locomotion::evolution::{
    CandidateResult, Checkpoint, Continuation, Event, Experiment, ExperimentError, Generation, Outcome, Run, RunError, Table,
};
use hebbian_locomotion::plasticity::Instructions;
use hebbian_locomotion::policy::PolicyFile;
use hebbian_locomotion::robot::RobotModel;

/// The beetle's experiment with `changes`.
fn load(changes: &[&str]) -> Result<(Experiment, Arc<RobotModel>), ExperimentError> {
    let changes: Vec<Change> = changes.iter().map(|change| change.parse().unwrap()).collect();
    Experiment::load_changed(&repository("config/experiments/beetle.yaml"), &changes)
}

/// Opens the run of the beetle's experiment, with four candidates, in `folder`.
fn open(folder: &Path, continuation: Continuation) -> Result<Run, RunError> {
    let (experiment, robot) = load(&["evolution.population=4"]).unwrap();
    Run::open(experiment, robot, folder, continuation)
}

/// Ends the present generation of `run`, in which each candidate comes to `fitness`.
fn finish(run: &mut Run, fitness: f32) -> Generation {
    let outcome: Outcome = CandidateResult { fitness, ..Default::default() }.checked();
    let outcomes = vec![outcome; run.search().strategy().population_size()];
    run.finish_generation(&outcomes, Duration::from_secs(1)).unwrap()
}

#[test]
fn numbers_that_a_checkpoint_could_not_hold_are_refused_by_name() {
    for (change, said) in [
        ("fitness.terms=[{energy: {work: .inf}}]", "fitness.terms[0] has a number that is not finite"),
        ("fitness.terms=[{target_change: {penalty: 1}}, {tilt: {up: .nan, penalty: 1}}]", "fitness.terms[1] has a number"),
        ("episode.start_noise={position: .inf, velocity: 0}", "start_noise.position is inf"),
        ("episode.start_noise={position: 0.2, velocity: .nan}", "start_noise.velocity is NaN"),
        ("episode.start_noise={position: -0.2, velocity: 0}", "start_noise.position is -0.2; it must be a number from 0"),
    ] {
        let error = load(&[change]).unwrap_err().to_string();
        assert!(error.contains(said), "{change}: {error}");
    }
    load(&["fitness.terms=[{energy: {work: 0.5}}]", "episode.start_noise={position: 0, velocity: 0}"]).unwrap();
}

#[test]
fn settings_that_would_act_on_nothing_are_refused_with_their_reason() {
    let of_384 = "policy.network.plastic.rule.clusters=384";
    let (snes, sigma) = ("evolution.method=snes", "evolution.sigma={initial: 0.1}");
    let (restarts, spread, merge) =
        ("evolution.restarts={most: 2}", "evolution.stop={spread: 0.1}", "evolution.merge=[{generation: 10, rules: 384}]");
    let refused: [(&[&str], &str); 8] = [
        (&["evolution.momentum=0.9"], "evolution.momentum acts only with the optimiser sgd"),
        (&["evolution.momentum=0.9", snes, sigma], "evolution.momentum acts only with the optimiser sgd"),
        (&["evolution.optimiser=sgd", snes, sigma], "evolution.optimiser acts only with the method open_es"),
        (&["evolution.sigma_rate=0.1"], "evolution.sigma_rate acts only with the method snes"),
        (&[restarts], "evolution.restarts follow descents that `stop.stagnation` or `stop.spread` end"),
        (&[restarts, "evolution.stop={fitness: 100}"], "evolution.restarts follow descents"),
        (&[restarts, spread, merge], "evolution.restarts begin at random points, not with the rules that `merge` made"),
        (&[merge, of_384], "the network has 384 from the start"),
    ];
    for (changes, said) in refused {
        let error = load(changes).unwrap_err().to_string();
        assert!(error.contains(said), "{changes:?}: {error}");
    }
    let taken: [&[&str]; 5] = [
        &["evolution.momentum=0.9", "evolution.optimiser=sgd"],
        &["evolution.sigma_rate=0.1", snes, sigma],
        &[restarts, spread],
        &[restarts, "evolution.stop={stagnation: {generations: 20}}"],
        &["evolution.merge=[{generation: 999, rules: 383}]", of_384],
    ];
    for changes in taken {
        load(changes).unwrap_or_else(|error| panic!("{changes:?}: {error}"));
    }
}

/// Opens the run, in `folder`, of four candidates, whose sigma is as written, with `more`.
fn open_with_sigma(
    folder: &Path,
    sigma: &str,
    generations: u64,
    more: &[&str],
    continuation: Continuation,
) -> Result<Run, RunError> {
    let [sigma, generations] = [format!("evolution.sigma={sigma}"), format!("evolution.generations={generations}")];
    let (experiment, robot) = load(&[&["evolution.population=4", sigma.as_str(), &generations][..], more].concat()).unwrap();
    Run::open(experiment, robot, folder, continuation)
}

#[test]
fn a_sigma_that_falls_to_nothing_within_a_run_that_begins_is_refused_with_a_word_about_its_floor() {
    let folder = tempfile::tempdir().unwrap();
    let halved = "{initial: 0.1, decay: 0.5}";
    let (stop, restarts) = ("evolution.stop={stagnation: {generations: 10}}", "evolution.restarts={most: 3}");
    let runs: [(&str, u64, &[&str], bool); 9] = [
        (halved, 20, &[], true),
        // In the last generation 0.1 / 2^20.
        (halved, 21, &[], false),
        // Nothing at all in single precision.
        (halved, 1000, &[], false),
        ("{initial: 0.1, decay: 0.5, floor: 0.001}", 1000, &[], true),
        ("{initial: 0.1, decay: 0.5, floor: 1.0e-30}", 1000, &[], false),
        ("{initial: 0.1}", 1_000_000_000, &[], true),
        // The generations are the most that there may be, and sigma begins anew with each descent.
        (halved, 1000, &["evolution.stop={fitness: 100}"], true),
        (halved, 1000, &[stop], true),
        (halved, 1000, &[stop, restarts], true),
    ];
    for (index, (sigma, generations, more, is_taken)) in runs.into_iter().enumerate() {
        for continuation in [Continuation::Never, Continuation::IfThere] {
            let out = folder.path().join(format!("{index} {continuation:?}"));
            let error = open_with_sigma(&out, sigma, generations, more, continuation).err();
            let text = error.map(|error| error.to_string()).unwrap_or_default();
            assert_eq!((text.is_empty(), out.exists()), (is_taken, is_taken), "{sigma} {generations} {more:?}: {text}");
            assert!(is_taken || (text.contains("evolution.sigma falls to") && text.contains("give it a `floor`")), "{text}");
        }
    }
}

#[test]
fn a_run_whose_sigma_falls_to_nothing_goes_on_from_its_checkpoint() {
    let (folder, halved) = (tempfile::tempdir().unwrap(), "{initial: 0.1, decay: 0.5}");
    let open = |generations, continuation| open_with_sigma(folder.path(), halved, generations, &[], continuation);
    finish(&mut open(20, Continuation::Never).unwrap(), 1.0);
    for continuation in [Continuation::Required, Continuation::IfThere] {
        assert_eq!(open(1000, continuation).unwrap().history().len(), 1);
    }
}

#[test]
fn the_number_of_generations_is_checked_also_where_another_takes_its_place() {
    let (path, folder) = (repository("config/experiments/beetle.yaml"), tempfile::tempdir().unwrap());
    for (generations, is_taken) in
        [("0", false), ("1", true), ("1000000000", true), ("1000000001", false), ("18446744073709551615", false)]
    {
        let said = format!("evolution.generations is {generations}; it must be from 1 to 1000000000");
        let change = format!("evolution.generations={generations}");
        assert_eq!(load(&[change.as_str()]).err().map(|error| error.to_string()), (!is_taken).then(|| said.clone()));
        if !is_taken {
            let out = folder.path().join(generations);
            let output = hebb(["evolve", path.to_str().unwrap(), "--out", out.to_str().unwrap(), "--generations", generations]);
            assert!(!output.status.success() && !out.exists(), "{output:?}");
            assert!(String::from_utf8_lossy(&output.stderr).contains(&said), "{output:?}");
        }
    }
}

#[test]
fn a_name_that_is_no_folder_is_refused_where_it_becomes_one() {
    let (mut experiment, _) = load(&[]).unwrap();
    for name in ["beetle", "beetle 2", "..beetle"] {
        name.clone_into(&mut experiment.name);
        assert_eq!(Run::default_folder(&experiment).unwrap(), Path::new("runs").join(name));
    }
    for name in ["", ".", "..", "../..", "/home/me/x", "a/b", "a/", "./a", "a/.."] {
        name.clone_into(&mut experiment.name);
        let error = Run::default_folder(&experiment).unwrap_err();
        assert!(matches!(&error, RunError::Name { name: given } if given == name), "{error}");
    }
    let path = repository("config/experiments/beetle.yaml");
    let output = hebb(["evolve", path.to_str().unwrap(), "--set", "name=a/b"]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && text.contains("`--out`"), "{text}");
    assert!(text.contains("\"a/b\" cannot be that of its folder"), "{text}");
}

#[test]
fn every_shipped_experiment_is_taken() {
    let mut loaded = 0;
    for entry in std::fs::read_dir(repository("config/experiments")).unwrap() {
        let path = entry.unwrap().path();
        Experiment::load(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        loaded += 1;
    }
    assert!(loaded >= 8, "{loaded}");
}

const BALL: &str = "<sphere radius='0.02'/>";

/// What the URDF says of a joint that turns `child`, but for its name and end.
fn turning(child: &str) -> String {
    let links = format!("<parent link='base'/><child link='{child}'/>");
    format!("type='revolute'>{links}<axis xyz='0 1 0'/><limit lower='-1' upper='1' effort='9' velocity='9'/>")
}

/// A robot of one driven leg and a tail, which the joint `tail` of the URDF holds; `motors` and `more` go into its description.
fn tailed(folder: &Path, tail: &str, shape: &str, motors: &str, more: &str) -> RobotModel {
    let inertial = "<inertial><mass value='1'/><inertia ixx='1e-3' iyy='1e-3' izz='1e-3' ixy='0' ixz='0' iyz='0'/></inertial>";
    let link = |name: &str, shape: &str| {
        let collision = format!("<collision><origin xyz='0.1 0 0'/><geometry>{shape}</geometry></collision>");
        format!("<link name='{name}'>{inertial}{collision}</link>")
    };
    let links = [link("base", BALL), link("foot", BALL), link("tip", shape)].concat();
    let hip = turning("foot");
    let urdf = format!("<robot name='tailed'>{links}<joint name='hip' {hip}</joint><joint name='tail' {tail}</joint></robot>");
    let names = "name: tailed, urdf: x, base_link: base, joints: [hip], feet: [foot]";
    let yaml = format!("{{{names}, actuator: {{stiffness: 40, damping: 2{motors}}}{more}}}");
    RobotModel::from_parts(&serde_yaml::from_str(&yaml).unwrap(), urdf, &folder.join("tailed.urdf")).unwrap()
}

#[test]
fn another_mesh_weld_or_motor_of_a_follower_is_another_experiment() {
    let folder = tempfile::tempdir().unwrap();
    let (experiment, _) = load(&[]).unwrap();
    let locked = |angle: f32| {
        let more = format!(", locked: [tail], nominal_pose: {{tail: {angle}}}");
        experiment.hash(&tailed(folder.path(), &turning("tip"), BALL, "", &more))
    };
    let following = |stiffness: f32| {
        let tail = turning("tip") + "<mimic joint='hip'/>";
        let motors = format!(", joints: {{tail: {{stiffness: {stiffness}}}}}");
        experiment.hash(&tailed(folder.path(), &tail, BALL, &motors, ""))
    };
    let meshed = |size: f32| {
        let corners = [[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        let vertices = corners.map(|corner: [f32; 3]| {
            let [x, y, z] = corner.map(|value| size * value);
            format!("v {x} {y} {z}\n")
        });
        std::fs::write(folder.path().join("tip.obj"), vertices.concat() + "f 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n").unwrap();
        let fixed = "type='fixed'><parent link='base'/><child link='tip'/>";
        experiment.hash(&tailed(folder.path(), fixed, "<mesh filename='tip.obj'/>", "", ""))
    };
    assert_eq!((locked(0.3), following(50.0), meshed(0.1)), (locked(0.3), following(50.0), meshed(0.1)));
    assert_ne!(locked(0.3), locked(0.6));
    assert_ne!(following(50.0), following(60.0));
    assert_ne!(meshed(0.1), meshed(0.2));
}

#[test]
fn a_run_of_a_version_with_other_bits_does_not_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let open = |continuation| {
        let (experiment, robot) = load(&["evolution.population=4"]).unwrap();
        Run::open(experiment, robot, folder.path(), continuation)
    };
    finish(&mut open(Continuation::Never).unwrap(), 1.0);
    let path = folder.path().join("checkpoint.safetensors");
    let mut checkpoint = Checkpoint::load(&path).unwrap();
    assert_eq!(checkpoint.episode_version, EPISODE_VERSION);
    checkpoint.episode_version = EPISODE_VERSION + 1;
    checkpoint.save(&path).unwrap();
    let error = open(Continuation::Required).unwrap_err();
    assert!(
        matches!(error, RunError::EpisodeVersion { found, expected: EPISODE_VERSION, .. } if found == EPISODE_VERSION + 1),
        "{error}"
    );
    assert!(error.to_string().contains("start anew in another folder"), "{error}");
    // It can still be looked at.
    let inspected = hebb(["inspect", path.to_str().unwrap()]);
    assert!(String::from_utf8_lossy(&inspected.stdout).contains("episodes come to other bits"), "{inspected:?}");
    checkpoint.episode_version = EPISODE_VERSION;
    checkpoint.save(&path).unwrap();
    open(Continuation::Required).unwrap();
}

#[test]
fn a_run_of_machines_that_round_otherwise_does_not_go_on() {
    let folder = tempfile::tempdir().unwrap();
    finish(&mut open(folder.path(), Continuation::Never).unwrap(), 1.0);
    let path = folder.path().join("checkpoint.safetensors");
    let (mut checkpoint, own) = (Checkpoint::load(&path).unwrap(), Instructions::detect().is_fused());
    assert_eq!(checkpoint.fused, own);
    for fused in [!own, own] {
        checkpoint.fused = fused;
        checkpoint.save(&path).unwrap();
        assert_eq!(Checkpoint::load(&path).unwrap(), checkpoint);
        let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
        assert_eq!(text.contains("fused"), !fused, "runs of ordinary machines keep their bytes");
        let opened = open(folder.path(), Continuation::Required).map(|run| run.history().len());
        match opened {
            Ok(generations) => assert_eq!((generations, fused), (1, own)),
            Err(error) => {
                assert!(fused != own && matches!(error, RunError::Rounding { .. }), "{error}");
                assert!(error.to_string().contains("fused multiply-add (FMA)"), "{error}");
            }
        }
    }
}

#[test]
fn where_only_the_checkpoint_of_the_generation_before_is_whole_no_run_begins_anew_over_it() {
    let folder = tempfile::tempdir().unwrap();
    let [checkpoint, previous] =
        ["checkpoint.safetensors", "checkpoint.previous.safetensors"].map(|name| folder.path().join(name));
    let mut run = open(folder.path(), Continuation::Never).unwrap();
    for _ in 0..2 {
        finish(&mut run, 1.0);
    }
    drop(run);
    let pace = std::fs::read(folder.path().join("pace.csv")).unwrap();

    std::fs::write(&checkpoint, b"nonsense").unwrap();
    let error = open(folder.path(), Continuation::IfThere).unwrap_err();
    assert!(matches!(error, RunError::Damaged { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("is not a usable checkpoint: it is cut short"), "{text}");
    assert!(text.contains("checkpoint.previous.safetensors, that of the generation before, to checkpoint.safetensors"), "{text}");

    std::fs::remove_file(&checkpoint).unwrap();
    for continuation in [Continuation::Never, Continuation::Required, Continuation::IfThere] {
        let error = open(folder.path(), continuation).unwrap_err();
        assert!(matches!(error, RunError::OnlyPrevious { .. }), "{error}");
        assert!(error.to_string().contains("rename it to checkpoint.safetensors"), "{error}");
    }
    assert_eq!(std::fs::read(folder.path().join("pace.csv")).unwrap(), pace);

    std::fs::rename(&previous, &checkpoint).unwrap();
    assert_eq!(open(folder.path(), Continuation::Required).unwrap().history().len(), 1);
}

#[test]
fn going_on_where_there_is_nothing_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let error = open(&folder.path().join("typo"), Continuation::Required).unwrap_err();
    assert!(matches!(error, RunError::Missing { .. }), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn what_a_killed_run_left_half_written_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    finish(&mut open(folder.path(), Continuation::Never).unwrap(), 1.0);
    let files = ["checkpoint.safetensors", "history.csv", "mean.safetensors", "policy.safetensors", "descent_0.safetensors"];
    let left = files.map(|name| folder.path().join(format!("{name}.4242.7.tmp")));
    let other = folder.path().join("notes.4242.7.tmp");
    for path in left.iter().chain([&other]) {
        std::fs::write(path, b"half").unwrap();
    }
    let pace = folder.path().join("pace.csv");
    let whole = std::fs::read_to_string(&pace).unwrap();
    std::fs::write(&pace, format!("{whole}1,4,")).unwrap();

    let mut run = open(folder.path(), Continuation::Required).unwrap();
    assert!(left.iter().all(|path| !path.exists()) && other.exists());
    assert_eq!(std::fs::read_to_string(&pace).unwrap(), whole);
    finish(&mut run, 1.0);
    assert_eq!(Table::load(&pace).unwrap().column("generation").unwrap(), [0.0, 1.0]);
}

#[test]
fn candidates_that_fail_are_counted_with_their_reason_in_the_line_of_their_generation() {
    let folder = tempfile::tempdir().unwrap();
    let experiment = repository("config/experiments/beetle.yaml");
    let evolve = |name: &str, sigma: &str| {
        let out = folder.path().join(name);
        let mut arguments = vec!["evolve", experiment.to_str().unwrap(), "--out", out.to_str().unwrap()];
        arguments.extend(["--generations", "1", "--ablation", "1"]);
        for change in [
            "test_function=sphere",
            "policy.network={feed_forward: {layers: [27, 1, 18]}}",
            "evolution.genome={all: {scale: 1.0, spread: 0.01}}",
            "evolution.population=64",
            "episode.duration=0.5",
            "fitness.from=0.1",
            sigma,
        ] {
            arguments.extend(["--set", change]);
        }
        let output = hebb(arguments);
        assert!(output.status.success(), "{output:?}");
        let failed = Table::load(&out.join("history.csv")).unwrap().column("failed").unwrap()[0];
        (String::from_utf8_lossy(&output.stdout).into_owned(), failed)
    };
    // 45 numbers, whose squares come to about the largest number of single precision.
    let (text, failed) = evolve("large", "evolution.sigma={initial: 2.7e18}");
    assert!(failed > 0.0 && failed < 64.0, "{failed}");
    assert!(text.contains(&format!("  {failed} failed ({failed} not finite)  ")), "{text}");
    let (text, failed) = evolve("small", "evolution.sigma={initial: 0.1}");
    assert!(failed == 0.0 && !text.contains("failed"), "{text}");
}

#[test]
fn a_checkpoint_that_names_no_version_of_its_episodes_is_of_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let (experiment, robot) = load(&["evolution.population=4"]).unwrap();
    finish(&mut Run::open(experiment, robot, folder.path(), Continuation::Never).unwrap(), 1.0);
    let path = folder.path().join("checkpoint.safetensors");
    let mut checkpoint = Checkpoint::load(&path).unwrap();
    for (version, named) in [(1, false), (2, true)] {
        checkpoint.episode_version = version;
        checkpoint.save(&path).unwrap();
        let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
        assert_eq!(text.contains("episode_version"), named);
        assert_eq!(Checkpoint::load(&path).unwrap(), checkpoint);
    }
}

#[test]
fn the_policy_at_the_mean_has_the_fitness_of_the_candidates_by_which_it_was_found() {
    let folder = tempfile::tempdir().unwrap();
    let (experiment, robot) = load(&["evolution.population=4"]).unwrap();
    let mut run = Run::open(experiment, robot, folder.path(), Continuation::Never).unwrap();
    let generation = finish(&mut run, 12.5);
    let path = folder.path().join("mean.safetensors");
    let (file, _) = PolicyFile::load(&path).unwrap();
    assert_eq!((file.metadata.provenance.fitness, generation.mean), (12.5, 12.5));
    let inspected = |path: &Path| String::from_utf8_lossy(&hebb(["inspect", path.to_str().unwrap()]).stdout).into_owned();
    let text = inspected(&path);
    assert!(text.contains("fitness     12.5 in evolution"), "{text}");
    let (mut untried, other) = (file, folder.path().join("untried.safetensors"));
    untried.metadata.provenance.fitness = 0.0;
    untried.save(&other).unwrap();
    let text = inspected(&other);
    assert!(text.contains("fitness     0, or not measured"), "{text}");
}

#[test]
fn descents_are_compared_over_whole_rounds_of_conditions() {
    let folder = tempfile::tempdir().unwrap();
    let changes = [
        "conditions={list: [{}, {damage: [{payload: {mass: 1}}]}]}",
        "evolution.stop={stagnation: {generations: 2}}",
        "evolution.restarts={most: 1, population_factor: 1}",
        "evolution.population=4",
    ];
    let (experiment, robot) = load(&changes).unwrap();
    let mut run = Run::open(experiment, robot, folder.path(), Continuation::Never).unwrap();
    // The first descent comes to more in its last generation, which is under the easy condition; the second in a round of both.
    for fitness in [0.0, 10.0, 0.0, 10.0] {
        assert!(run.prepare().unwrap().is_empty());
        finish(&mut run, fitness);
    }
    let events = run.prepare().unwrap();
    assert!(matches!(events[..], [Event::Restarted { number: 1, .. }]), "{events:?}");
    for _ in 0..4 {
        assert!(run.prepare().unwrap().is_empty());
        finish(&mut run, 7.0);
    }
    let policy = run.policy().unwrap();
    assert_eq!((policy.metadata.provenance.fitness, policy.genome), (7.0, run.search().strategy().mean_genome()));
}
