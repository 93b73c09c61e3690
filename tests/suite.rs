//! A suite runs what it lacks, says the same on any number of threads, and its conditions act.
#![allow(clippy::unwrap_used)]

mod common;

use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{beetle, lively_policy, repository};
use hebbian_locomotion::config::{parse_yaml, read_yaml};
use hebbian_locomotion::evidence::study::WeightRecords;
use hebbian_locomotion::evidence::suite::{
    Entrant, Records, RecordsError, Suite, SuiteError, SuiteReport, SuiteRunError, fewest_episodes, run_suite,
};
use hebbian_locomotion::policy::PolicyFile;
use hebbian_locomotion::simulation::Damage;

fn suite(text: &str) -> Suite {
    parse_yaml(text).unwrap()
}

fn short() -> Suite {
    suite(
        "{episodes: 3, duration: 0.4, conditions: [{name: flat}, {name: limp, each_leg: limp}, {name: slope, terrain: {slope: 0.1}}]}",
    )
}

fn entrant(name: &str, file: PolicyFile) -> Entrant {
    Entrant { name: name.to_owned(), file, sha256: name.to_owned(), robot: beetle() }
}

/// Two policies, the second with half the amplitude.
fn entrants() -> Vec<Entrant> {
    let mut half = lively_policy();
    half.genome.iter_mut().for_each(|value| *value *= 0.5);
    vec![entrant("whole", lively_policy()), entrant("half", half)]
}

/// Completes `records`; how many episodes that took.
fn complete(suite: &Suite, entrants: &[Entrant], records: &mut Records) -> usize {
    let (mut announced, ended) = (0, AtomicUsize::new(0));
    let ended_one = || {
        ended.fetch_add(1, Ordering::Relaxed);
    };
    run_suite(suite, entrants, records, |count| announced = count, ended_one).unwrap();
    assert_eq!(announced, ended.into_inner());
    announced
}

fn report(suite: &Suite, entrants: &[Entrant], records: &Records) -> SuiteReport {
    SuiteReport::new(suite, entrants, records, Some(1)).unwrap()
}

#[test]
fn a_suite_that_was_killed_runs_what_it_lacks_and_says_the_same() {
    let (suite, entrants) = (short(), entrants());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("records.jsonl");
    let mut records = Records::open(&path).unwrap();
    // Two policies, eight conditions (six legs), three seeds.
    assert_eq!(complete(&suite, &entrants, &mut records), 48);
    let whole = report(&suite, &entrants, &records);
    drop(records);

    // Killed in the middle of a line.
    let text = std::fs::read_to_string(&path).unwrap();
    let kept: usize = text.split_inclusive('\n').take(20).map(str::len).sum();
    std::fs::write(&path, &text[..kept + 30]).unwrap();
    let mut records = Records::open(&path).unwrap();
    assert_eq!(complete(&suite, &entrants, &mut records), 28);
    assert_eq!(report(&suite, &entrants, &records), whole);
    drop(records);

    let mut records = Records::open(&path).unwrap();
    assert_eq!(complete(&suite, &entrants, &mut records), 0);
    assert_eq!(report(&suite, &entrants, &records), whole);
}

#[test]
fn of_a_last_line_without_an_end_only_what_a_killed_writer_left_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("records");
    // Whether `bytes` are taken; then what is left of them.
    let open = |bytes: &[u8], of_weights: bool| {
        std::fs::write(&path, bytes).unwrap();
        let refused = if of_weights { WeightRecords::open(&path).err() } else { Records::open(&path).err() };
        let left = std::fs::read(&path).unwrap();
        if let Some(error) = &refused {
            assert!(error.to_string().contains("it does not end with a line break") && left == bytes, "{error}, {left:?}");
        }
        (refused.is_none(), left)
    };
    for (name, of_weights) in [("beetle.episodes.jsonl", false), ("beetle.weights.jsonl", true)] {
        let text = std::fs::read(repository("docs/results").join(name)).unwrap();
        let line = text.split_inclusive(|&byte| byte == b'\n').next().unwrap();
        for end in 1..line.len() {
            assert_eq!(open(&line[..end], of_weights), (true, Vec::new()), "{end} bytes of {name}");
            assert_eq!(open(&[line, &line[..end]].concat(), of_weights), (true, line.to_vec()), "{end} bytes of {name}");
        }
        // A name may be cut within a character.
        assert_eq!(open(b"{\"policy\":\"l\xc3", of_weights), (true, Vec::new()));
        for foreign in [&b"{\"a\": 1}"[..], b"{\"policy\": \"walk\"}", b"{\"policy\":\"walk\"}", b"notes", b"\0"] {
            assert!(!open(foreign, of_weights).0, "{foreign:?} was taken");
            assert!(!open(&[line, foreign].concat(), of_weights).0, "{foreign:?} was taken");
        }
    }
}

#[test]
fn records_that_another_adds_to_are_refused_and_what_it_is_writing_is_not_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("records.jsonl");
    let is_in_use = |error: &RecordsError| matches!(error, RecordsError::InUse { path: named } if *named == path);
    let first = Records::open(&path).unwrap();
    // As it is seen in the middle of a line.
    let half = b"{\"policy\":\"whole\",\"condi";
    std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(half).unwrap();
    for error in [Records::open(&path).unwrap_err(), WeightRecords::open(&path).unwrap_err()] {
        assert!(is_in_use(&error) && error.to_string().contains("another process uses"), "{error}");
    }
    assert_eq!(std::fs::read(&path).unwrap(), half);
    drop(first);
    let weights = WeightRecords::open(&path).unwrap();
    assert!(is_in_use(&Records::open(&path).unwrap_err()));
    drop(weights);
    assert_eq!(std::fs::read(&path).unwrap(), b"");
}

#[test]
fn threads_do_not_change_what_a_suite_says() {
    let (suite, entrants) = (short(), entrants());
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let mut records = Records::in_memory();
        pool.install(|| complete(&suite, &entrants, &mut records));
        report(&suite, &entrants, &records)
    };
    assert_eq!(on(1), on(3));
}

#[test]
fn a_changed_policy_or_condition_is_run_anew() {
    let (suite, mut entrants) = (short(), entrants());
    let mut records = Records::in_memory();
    complete(&suite, &entrants, &mut records);
    entrants[0].sha256 = "another".to_owned();
    assert_eq!(complete(&suite, &entrants, &mut records), 24);
    let longer = Suite { duration: 0.42, ..suite };
    assert_eq!(complete(&longer, &entrants, &mut records), 48);
}

#[test]
fn comparisons_are_with_the_baseline_under_each_condition() {
    let (suite, entrants) = (short(), entrants());
    let mut records = Records::in_memory();
    complete(&suite, &entrants, &mut records);
    let report = report(&suite, &entrants, &records);
    let rows: Vec<_> = report.conditions.iter().map(|row| (row.policy.as_str(), row.condition.as_str())).collect();
    let conditions = ["flat", "limp", "slope"];
    let expected: Vec<_> = ["whole", "half"].iter().flat_map(|policy| conditions.map(|condition| (*policy, condition))).collect();
    assert_eq!(rows, expected);
    assert_eq!(report.comparisons.len(), 3);
    for comparison in &report.comparisons {
        assert_eq!((comparison.policy.as_str(), comparison.baseline.as_str()), ("whole", "half"));
        assert_eq!(comparison.p_adjusted, None, "two episodes tell nothing");
    }
    assert_eq!(report.fewest_episodes, 7);
    // That is known before any episode.
    assert_eq!(fewest_episodes(&suite, &entrants, 1).unwrap(), 7);
}

#[test]
fn every_way_of_damaging_a_leg_is_one_of_that_leg() {
    let robot = beetle();
    let leg_damages = |kind: &str| {
        let suite =
            suite(&format!("{{episodes: 1, duration: 1, conditions: [{{name: x, each_leg: {kind}, when: {{from: 2}}}}]}}"));
        let conditions = suite.conditions(&robot, 50.0).unwrap();
        assert_eq!(conditions.len(), robot.feet.len());
        assert_eq!(conditions[0].name, format!("x, {}", robot.feet[0].name));
        conditions[0].settings.damage.clone()
    };
    // Foot 0 hangs on three joints.
    assert_eq!(leg_damages("limp").len(), 3);
    assert_eq!(leg_damages("stuck").len(), 3);
    let [Damage::LostLeg { joint, when }] = &leg_damages("lost")[..] else { panic!("one damage") };
    // The joint at the base.
    assert_eq!((joint.as_str(), when.from), ("BC0", 2.0));
    let [Damage::ShortenedLimb { foot, length, .. }] = &leg_damages("shortened")[..] else { panic!("one damage") };
    assert_eq!((foot, *length), (&robot.feet[0].name, 0.5));
}

#[test]
fn the_shipped_suite_fits_the_shipped_policy_which_walks_on_the_ground_and_not_in_the_air() {
    let mut suite: Suite = read_yaml(&repository("config/suites/robustness.yaml")).unwrap();
    let (file, sha256) = PolicyFile::load(&repository("config/policies/beetle.safetensors")).unwrap();
    let entrants = [Entrant { name: "beetle".into(), file, sha256, robot: beetle() }];
    assert!(suite.conditions(&entrants[0].robot, 50.0).unwrap().len() > 30);
    suite.conditions.retain(|condition| ["flat", "in the air"].contains(&condition.name.as_str()));
    (suite.episodes, suite.duration) = (2, 3.0);
    let mut records = Records::in_memory();
    complete(&suite, &entrants, &mut records);
    let report = SuiteReport::new(&suite, &entrants, &records, None).unwrap();
    let [flat, air] = &report.conditions[..] else { panic!("two conditions") };
    assert!(flat.speed.estimate > 0.1 && flat.falls == 0.0 && flat.work_per_metre.unwrap() > 0.0, "{flat:?}");
    assert!(air.speed.estimate.abs() < 0.01 && air.work_per_metre.is_none(), "{air:?}");
    assert_eq!(flat.retained.unwrap().estimate, 1.0);
    assert!(air.retained.unwrap().estimate.abs() < 0.1, "{air:?}");
    // Who hangs in the air under the first condition has no speed to retain.
    suite.conditions.reverse();
    let report = SuiteReport::new(&suite, &entrants, &records, None).unwrap();
    assert!(report.conditions.iter().all(|row| row.retained.is_none()), "{report:?}");
}

#[test]
fn the_physics_of_a_suite_fits_policies_of_any_control_rate() {
    let at = |control_rate, physics_rate| {
        let suite = Suite { physics_rate, ..short() };
        suite.conditions(&beetle(), control_rate).unwrap()[0].settings.simulation.physics_rate
    };
    assert_eq!(
        [(50.0, 100.0), (40.0, 100.0), (40.0, 250.0)].map(|(control, physics)| at(control, physics)),
        [100.0, 120.0, 280.0]
    );
}

#[test]
fn bad_suites_and_records_are_refused_with_what_to_do() {
    let robot = beetle();
    let error = |text: &str| suite(text).conditions(&robot, 50.0).unwrap_err();
    assert!(matches!(error("{episodes: 0, duration: 1, conditions: [{name: a}]}"), SuiteError::Value { name: "episodes", .. }));
    assert!(matches!(error("{episodes: 1, duration: 1, conditions: []}"), SuiteError::Value { name: "conditions", .. }));
    assert!(
        matches!(error("{episodes: 1, duration: 1, conditions: [{name: a}, {name: a}]}"), SuiteError::SameName(name) if name == "a")
    );
    for speed in ["-0.02", "0", ".nan", ".inf"] {
        let text = format!("{{episodes: 1, duration: 1, walks_from: {speed}, conditions: [{{name: a}}]}}");
        let error = error(&text);
        assert!(matches!(error, SuiteError::Value { name: "walks_from", .. }), "{speed}: {error}");
        assert!(error.to_string().contains("a speed above 0 [m/s]"), "{error}");
    }
    // Taken together with the legs' conditions of its name, this one would be lost.
    let merged = "{episodes: 1, duration: 1, conditions: [{name: a}, {name: b}, {name: b, each_leg: limp}]}";
    assert!(matches!(error(merged), SuiteError::SameName(name) if name == "b"));
    let stray = "{episodes: 1, duration: 1, conditions: [{name: a, damage: [limp_joint: {joint: FT1}], when: {from: 2}}]}";
    assert!(matches!(error(stray), SuiteError::StrayWhen(name) if name == "a"));
    let unknown = parse_yaml::<Suite>("{episodes: 1, duration: 1, condition: []}").unwrap_err().to_string();
    assert!(unknown.contains("did you mean `conditions`"), "{unknown}");

    let unfit = suite("{episodes: 1, duration: 1, conditions: [{name: a, damage: [limp_joint: {joint: knee}]}]}");
    let error = run_suite(&unfit, &entrants(), &mut Records::in_memory(), |_| panic!("nothing runs"), || ()).unwrap_err();
    assert!(matches!(&error, SuiteRunError::Episode { policy, condition, .. } if policy == "whole" && condition == "a"));
    let error = error.to_string();
    assert!(error.contains("whole under \"a\"") && error.contains("knee"), "{error}");
    let mut inconsistent = entrants();
    inconsistent[1].file.genome.pop();
    let error = run_suite(&short(), &inconsistent, &mut Records::in_memory(), |_| panic!("nothing runs"), || ()).unwrap_err();
    assert!(matches!(&error, SuiteRunError::Policy { policy, .. } if policy == "half"), "{error}");

    let mut foreign = tempfile::NamedTempFile::new().unwrap();
    foreign.write_all(b"{\"policy\": 1}\nrest").unwrap();
    let error = Records::open(foreign.path()).unwrap_err().to_string();
    assert!(error.contains("line 1"), "{error}");
    assert_eq!(std::fs::read(foreign.path()).unwrap(), b"{\"policy\": 1}\nrest", "a refused file is left alone");
    assert!(Records::open(Path::new("/nonexistent/records")).is_err());
}
