//! Evolution gives the same bits on any number of threads and after any interruption.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;
use std::time::Duration;

use common::{hebb, hebb_killed_before_generation_12, repository};
use hebbian_locomotion::episode::{Conditions, EpisodeCondition};
use hebbian_locomotion::evolution::{
    CandidateResult, Checkpoint, CheckpointError, Continuation, Evaluator, Event, Experiment, Outcome, Population, Restarts, Run,
    RunError, Search, Stagnation, Table,
};
use hebbian_locomotion::policy::PolicyFile;
use hebbian_locomotion::robot::RobotModel;

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

/// Three conditions that no candidate comes through alike.
const CONDITIONS: &str = "conditions:\n  order: ORDER\n  list:\n    - {}\n    - terrain: {relief: {uneven: {height: 0.05}}}\n    \
                          - damage: [{limp_joint: {joint: FT1}}, {payload: {mass: 2.0}}]\n";

/// The small experiment under [`CONDITIONS`].
fn under_conditions(folder: &Path, order: &str) -> PathBuf {
    let path = small_experiment(folder);
    let text = std::fs::read_to_string(&path).unwrap() + &CONDITIONS.replace("ORDER", order);
    let path = folder.join(order).with_extension("yaml");
    std::fs::write(&path, text).unwrap();
    path
}

/// What the first candidates of `generation` come to in `experiment`.
fn outcomes(experiment: &Experiment, robot: &Arc<RobotModel>, generation: u64) -> Vec<CandidateResult> {
    let search = Search::new(Arc::new(experiment.clone()), robot).unwrap();
    let population = Population { generation, ..search.strategy().population() };
    let mut evaluator = Evaluator::new(&search, robot.clone()).unwrap();
    (0..3).map(|index| evaluator.evaluate(&population, index).unwrap()).collect()
}

/// `experiment` with the condition number `index` as that of its `episode`.
fn alone(experiment: &Experiment, index: usize) -> Experiment {
    let episode = experiment.conditions.settings(&experiment.episode).nth(index).unwrap();
    Experiment { episode, conditions: Conditions::default(), ..experiment.clone() }
}

#[test]
fn candidates_go_round_the_conditions_or_through_all_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let (in_turn, robot) = Experiment::load(&under_conditions(folder.path(), "in_turn")).unwrap();
    let (each, _) = Experiment::load(&under_conditions(folder.path(), "each")).unwrap();
    assert_eq!((in_turn.episodes_per_candidate(), each.episodes_per_candidate()), (1, 3));
    for generation in 0..4 {
        // With one episode per candidate a generation is one condition, and the next generation the next.
        let by_turn = outcomes(&in_turn, &robot, generation);
        let of_conditions: Vec<Vec<CandidateResult>> =
            (0..3).map(|index| outcomes(&alone(&each, index), &robot, generation)).collect();
        assert_eq!(by_turn, of_conditions[generation as usize % 3], "generation {generation}");
        let mean = |values: [f32; 3]| values.iter().fold(0.0, |sum, value| sum + value / 3.0);
        for (candidate, result) in outcomes(&each, &robot, generation).iter().enumerate() {
            let [fitness, speed] = [|result: &CandidateResult| result.fitness, |result: &CandidateResult| result.speed]
                .map(|of| mean([0, 1, 2].map(|condition| of(&of_conditions[condition][candidate]))));
            assert_eq!((result.fitness, result.speed), (fitness, speed));
            // Every condition is one of its own: none was left out unseen.
            let fitness = [0, 1, 2].map(|condition| of_conditions[condition][candidate].fitness);
            assert!(fitness[0] != fitness[1] && fitness[1] != fitness[2] && fitness[0] != fitness[2], "{fitness:?}");
        }
    }
}

#[test]
fn conditions_give_the_same_checkpoint_on_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = |experiment: &Path, threads: &str| {
        let out = folder.path().join(format!("{threads} {}", experiment.file_stem().unwrap().to_str().unwrap()));
        assert!(evolve(experiment, &out, &["--threads", threads]).status.success());
        std::fs::read(out.join("checkpoint.safetensors")).unwrap()
    };
    let experiments = ["in_turn", "each"].map(|order| under_conditions(folder.path(), order));
    let [in_turn, each] = experiments.map(|experiment| {
        let one = checkpoint(&experiment, "1");
        assert_eq!(one, checkpoint(&experiment, "2"));
        one
    });
    assert_ne!(in_turn, each);
}

#[test]
fn an_experiment_without_conditions_keeps_its_hash() {
    let (experiment, robot) = Experiment::load(&repository("config/experiments/beetle.yaml")).unwrap();
    // The hash is of what is written, and of conditions nothing is.
    assert!(!serde_json::to_string(&experiment).unwrap().contains("conditions"));
    let one = Conditions { list: vec![EpisodeCondition::default()], ..Conditions::default() };
    assert_eq!(Experiment { conditions: one, ..experiment.clone() }.hash(&robot), experiment.hash(&robot));
    let two = Conditions { list: vec![EpisodeCondition::default(); 2], ..Conditions::default() };
    assert_ne!(Experiment { conditions: two, ..experiment.clone() }.hash(&robot), experiment.hash(&robot));
}

/// The small experiment, beginning at the policy `start`.
fn beginning_at(folder: &Path, start: &str) -> PathBuf {
    let path = folder.join(start).with_extension("yaml");
    std::fs::write(&path, std::fs::read_to_string(small_experiment(folder)).unwrap() + &format!("start: {start}\n")).unwrap();
    path
}

#[test]
fn a_search_begins_at_a_policy_and_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let (run, further) = (folder.path().join("run"), folder.path().join("further"));
    assert!(evolve(&small_experiment(folder.path()), &run, &["--generations", "1"]).status.success());
    let first = folder.path().join("first.safetensors");
    std::fs::copy(run.join("policy.safetensors"), &first).unwrap();
    let path = beginning_at(folder.path(), "first.safetensors");
    let (experiment, robot) = Experiment::load(&path).unwrap();
    let search = Search::new(Arc::new(experiment.clone()), &robot).unwrap();
    let (start, start_hash) = PolicyFile::load(&first).unwrap();
    // Scale 1 and offset 0: the way into the search space and back changes no bit.
    assert_eq!(search.policy().genome, start.genome);
    let (fresh, _) = Experiment::load(&small_experiment(folder.path())).unwrap();
    assert_ne!(Search::new(Arc::new(fresh), &robot).unwrap().policy().genome, start.genome);
    // Interrupted or not, the result is the same, and it says where it began.
    assert!(evolve(&path, &further, &["--generations", "1"]).status.success());
    assert!(evolve(&path, &further, &["--generations", "3", "--resume"]).status.success());
    let whole = folder.path().join("whole");
    assert!(evolve(&path, &whole, &["--generations", "3"]).status.success());
    assert_eq!(policy(&further), policy(&whole));
    let (evolved, _) = PolicyFile::load(&whole.join("policy.safetensors")).unwrap();
    assert_eq!(evolved.metadata.provenance.start, Some(start_hash));
    // The same policy elsewhere is the same experiment; another policy in its place is another one, which a checkpoint refuses.
    std::fs::copy(&first, folder.path().join("moved.safetensors")).unwrap();
    let (moved, _) = Experiment::load(&beginning_at(folder.path(), "moved.safetensors")).unwrap();
    assert_eq!(moved.hash(&robot), experiment.hash(&robot));
    std::fs::copy(whole.join("policy.safetensors"), &first).unwrap();
    let refused = message(&evolve(&path, &whole, &["--generations", "4", "--resume"]));
    assert!(refused.contains("of another experiment"), "{refused}");
}

#[test]
fn shared_rules_go_on_with_the_synapses_that_they_had() {
    let folder = tempfile::tempdir().unwrap();
    let clusters = ["--set", "policy.network.plastic.rule.clusters=5", "--generations", "1"];
    let run = folder.path().join("run");
    assert!(evolve(&small_experiment(folder.path()), &run, &[&clusters[..], &["--seed", "7"]].concat()).status.success());
    let start = folder.path().join("five.safetensors");
    std::fs::copy(run.join("policy.safetensors"), &start).unwrap();
    let further = folder.path().join("further");
    assert!(evolve(&beginning_at(folder.path(), "five.safetensors"), &further, &clusters).status.success());
    let dealt = |path: &Path| PolicyFile::load(path).unwrap().0.clusters.unwrap();
    assert_eq!(dealt(&further.join("policy.safetensors")), dealt(&start));
    let other = folder.path().join("other");
    assert!(evolve(&small_experiment(folder.path()), &other, &clusters).status.success());
    assert_ne!(dealt(&other.join("policy.safetensors")), dealt(&start));
}

#[test]
fn a_start_that_does_not_fit_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let missing = message(&evolve(&beginning_at(folder.path(), "missing.safetensors"), &out, &[]));
    assert!(missing.contains("start") && missing.contains("missing.safetensors"), "{missing}");
    let other = folder.path().join("other.safetensors");
    std::fs::copy(repository("config/policies/study/beetle_feed_forward_11.safetensors"), &other).unwrap();
    let path = beginning_at(folder.path(), "other.safetensors");
    let refused = message(&evolve(&path, &out, &[]));
    assert!(refused.contains("other.safetensors is of another network"), "{refused}");
    let shared = ["--set", "policy.network.plastic.rule.clusters=3"];
    std::fs::copy(repository("config/policies/beetle.safetensors"), &other).unwrap();
    let refused = message(&evolve(&path, &out, &shared));
    assert!(refused.contains("of another network: it has layers.0.A of [27, 64]"), "{refused}");
    let refused = message(&evolve(&path, &out, &["--set", "evolution.restarts={most: 2}"]));
    assert!(refused.contains("evolution.restarts begin at random points"), "{refused}");
    assert!(!out.exists(), "a refused experiment left a folder");
}

#[test]
fn a_reader_that_goes_away_ends_the_program_without_a_panic() {
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, Stdio};
    let policy = repository("config/policies/beetle.safetensors");
    let mut command = Command::new(env!("CARGO_BIN_EXE_hebb"));
    let mut child = command.arg("inspect").arg(policy).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let done = child.wait_with_output().unwrap();
    let sigpipe = 13;
    assert_eq!((done.status.signal(), String::from_utf8_lossy(&done.stderr).as_ref()), (Some(sigpipe), ""));
}

#[test]
fn a_run_says_how_fast_it_went() {
    let folder = tempfile::tempdir().unwrap();
    let experiment = under_conditions(folder.path(), "each");
    let out = folder.path().join("run");
    assert!(evolve(&experiment, &out, &["--generations", "2"]).status.success());
    assert!(evolve(&experiment, &out, &["--resume", "--generations", "3"]).status.success());
    let pace = Table::load(&out.join("pace.csv")).unwrap();
    assert_eq!(pace.column("generation").unwrap(), [0.0, 1.0, 2.0]);
    assert_eq!((pace.column("candidates").unwrap(), pace.column("episodes").unwrap()), (vec![16.0; 3], vec![48.0; 3]));
    assert!(pace.column("seconds").unwrap().iter().all(|&seconds| seconds > 0.0));
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

/// A run of the small experiment in `folder`, and outcomes for a generation of it.
fn open_run(folder: &Path) -> (Run, Vec<Outcome>) {
    let (experiment, robot) = Experiment::load(&small_experiment(folder)).unwrap();
    let run = Run::open(experiment, robot, &folder.join("run"), Continuation::IfThere).unwrap();
    let result = |index| CandidateResult { fitness: index as f32, speed: 0.1, falls: 0.0 }.checked();
    let outcomes = (0..run.search().strategy().population_size()).map(result).collect();
    (run, outcomes)
}

/// Every file of a run's folder.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry.unwrap();
        (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap_or_default())
    };
    std::fs::read_dir(folder).unwrap().map(read).collect()
}

#[test]
fn a_generation_whose_checkpoint_is_not_written_has_left_its_policies_and_history_and_is_run_again() {
    let folder = tempfile::tempdir().unwrap();
    let (mut run, outcomes) = open_run(folder.path());
    let out = run.folder().to_owned();
    run.finish_generation(&outcomes, Duration::from_secs(1)).unwrap();
    let (first, generation) =
        (files(&out), |name: &str| PolicyFile::load(&out.join(name)).unwrap().0.metadata.provenance.generation);
    // In the way of the checkpoint: nothing can be written in its place.
    let checkpoint = out.join("checkpoint.safetensors");
    std::fs::remove_file(&checkpoint).unwrap();
    std::fs::create_dir_all(checkpoint.join("in the way")).unwrap();
    run.finish_generation(&outcomes, Duration::from_secs(1)).unwrap_err();
    assert_eq!((generation("mean.safetensors"), generation("best.safetensors")), (2, 2));
    assert_eq!(Table::load(&out.join("history.csv")).unwrap().column("generation").unwrap(), [0.0, 1.0]);
    assert_eq!(Table::load(&out.join("pace.csv")).unwrap().column("generation").unwrap(), [0.0]);
    let ahead = files(&out);
    drop(run);
    std::fs::remove_dir_all(&checkpoint).unwrap();
    std::fs::write(&checkpoint, &first["checkpoint.safetensors"]).unwrap();
    let (mut run, _) = open_run(folder.path());
    run.finish_generation(&outcomes, Duration::from_secs(1)).unwrap();
    let again = files(&out);
    for name in ["mean.safetensors", "best.safetensors", "history.csv"] {
        assert_eq!(again[name], ahead[name], "{name}");
        assert_ne!(again[name], first[name], "{name}");
    }
    assert_eq!(Table::load(&out.join("pace.csv")).unwrap().column("generation").unwrap(), [0.0, 1.0]);
}

#[test]
fn a_history_that_could_not_be_read_again_is_refused_before_anything_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let (mut run, outcomes) = open_run(folder.path());
    let out = run.folder().to_owned();
    for _ in 0..2 {
        run.finish_generation(&outcomes, Duration::from_secs(1)).unwrap();
    }
    let before = files(&out);
    // As only a mistake elsewhere makes them: outcomes are checked.
    let infinite: Vec<Outcome> =
        outcomes.iter().map(|outcome| outcome.map(|result| CandidateResult { fitness: f32::INFINITY, ..result })).collect();
    let error = run.finish_generation(&infinite, Duration::from_secs(1)).unwrap_err();
    assert!(matches!(error, RunError::Checkpoint(CheckpointError::NotFinite { generation: 2, .. })), "{error}");
    assert_eq!(files(&out), before);
    drop(run);
    let (run, _) = open_run(folder.path());
    assert_eq!(run.history().len(), 2);
}

#[test]
fn fitness_too_large_to_be_summed_leaves_a_checkpoint_that_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (mut run, outcomes) = open_run(folder.path());
    let large = |index: usize| CandidateResult { fitness: if index == 0 { 1e20 } else { f32::MAX }, speed: f32::MAX, falls: 1.0 };
    let large: Vec<Outcome> = (0..outcomes.len()).map(|index| large(index).checked()).collect();
    let generation = run.finish_generation(&large, Duration::from_secs(1)).unwrap();
    assert!(generation.mean > 3e38 && generation.spread > 1e37 && generation.mean_speed == f32::MAX, "{generation:?}");
    drop(run);
    let (run, _) = open_run(folder.path());
    assert_eq!(run.history(), [generation]);
}

#[test]
fn the_policy_of_a_run_is_that_of_its_best_descent_also_when_the_last_is_another() {
    let folder = tempfile::tempdir().unwrap();
    let (mut experiment, robot) = Experiment::load(&small_experiment(folder.path())).unwrap();
    experiment.evolution.generations = 20;
    experiment.evolution.restarts = Some(Restarts { most: 2, population_factor: 1 });
    experiment.evolution.stop.stagnation = Some(Stagnation { generations: 2, improvement: 0.0 });
    let open = || Run::open(experiment.clone(), robot.clone(), &folder.path().join("run"), Continuation::IfThere).unwrap();
    let mut run = open();
    // Fitness of the candidates, descent after descent; it does not grow, so each ends.
    let mut ends = Vec::new();
    for fitness in [3.0, 7.0, 5.0] {
        while ends.len() as u32 == run.search().strategy().state().restarts && run.ended().is_none() {
            let outcome = |index| CandidateResult { fitness: fitness + (index % 2) as f32, speed: 0.1, falls: 0.0 }.checked();
            let outcomes: Vec<Outcome> = (0..run.search().strategy().population_size()).map(outcome).collect();
            run.finish_generation(&outcomes, Duration::from_secs(1)).unwrap();
            let mean = run.search().strategy().mean_genome();
            if ends.len() == 2 || run.prepare().unwrap().iter().any(|event| matches!(event, Event::Restarted { .. })) {
                ends.push(mean);
                break;
            }
        }
    }
    assert_eq!(ends.len(), 3);
    let policy = run.policy().unwrap();
    assert_eq!((policy.metadata.provenance.fitness, &policy.genome), (7.5, &ends[1]));
    // Also by who goes on with the run.
    drop(run);
    assert_eq!(open().policy().unwrap().genome, ends[1]);
}

#[test]
fn the_generation_at_which_the_optimiser_was_at_rest_is_kept_where_it_is_not_that_of_the_descent() {
    let folder = tempfile::tempdir().unwrap();
    let (mut run, outcomes) = open_run(folder.path());
    let path = run.folder().join("checkpoint.safetensors");
    run.finish_generation(&outcomes, Duration::from_secs(1)).unwrap();
    let checkpoint = Checkpoint::load(&path).unwrap();
    let text = |path: &Path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
    assert!(!text(&path).contains("rested"), "runs without merges keep their bytes");
    let mut merged = checkpoint.clone();
    merged.state.rested = 1;
    merged.save(&path).unwrap();
    assert!(text(&path).contains("rested"));
    assert_eq!(Checkpoint::load(&path).unwrap(), merged);
    checkpoint.save(&path).unwrap();
    assert_eq!(Checkpoint::load(&path).unwrap(), checkpoint);
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
        ("terms: []", "terms: [{energy: {joules: 1}}]", "energy"),
        ("fitness:", "conditions: {list: []}\nfitness:", "conditions.list has 0 conditions"),
        (
            "fitness:",
            "conditions: {list: [{}, {damage: [{limp_joint: {joint: FT9}}]}]}\nfitness:",
            "conditions.list[1] is not usable",
        ),
        ("fitness:", "conditions: {list: [{terrain: {slope: 3}}]}\nfitness:", "conditions.list[0] is not usable"),
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
