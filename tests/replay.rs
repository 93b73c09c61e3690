//! A recording is a regression test: the same bits, or the first difference by name.
#![allow(clippy::unwrap_used)]

#[path = "common/bag.rs"]
mod bag;
mod common;

use std::path::{Path, PathBuf};

use bag::LifeRecorder;
use common::{beetle, hebb, lively_policy, state_of};
use hebbian_locomotion::network::Shape;
use hebbian_locomotion::plasticity::{
    GateBlock, GateDescription, InitialWeights, PlasticDescription, SettledSettings, UpdateSchedule,
};
use hebbian_locomotion::policy::{NetworkDescription, Policy, PolicyFile};
use hebbian_locomotion::recording::message::PolicyStep;
use hebbian_locomotion::recording::{Bag, GapReason, ReplayError, ReplayReport, ReplaySettings, replay};
use hebbian_locomotion::robot::RobotState;

const OPEN: [f32; 3] = [1.0; 3];

/// Sensor values of control step `step`.
fn state(step: u64) -> RobotState {
    let mut state = state_of(&beetle());
    for (index, position) in state.joint_position.iter_mut().enumerate() {
        *position = (0.3 * step as f32 + index as f32).sin();
    }
    for (index, contact) in state.foot_contact.iter_mut().enumerate() {
        *contact = (step as usize / 7 + index).is_multiple_of(2);
    }
    state
}

/// A folder with a policy file and the bag of a life that `live` led.
struct Recorded {
    _folder: tempfile::TempDir,
    file: PolicyFile,
    policy: PathBuf,
    hash: String,
    bag: PathBuf,
}

impl Recorded {
    fn new(file: PolicyFile, live: impl FnOnce(&mut LifeRecorder, &mut Policy)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (policy, bag) = (folder.path().join("policy.safetensors"), folder.path().join("walk"));
        let hash = file.save(&policy).unwrap();
        let mut recorder = LifeRecorder::new(&bag, &file, &hash);
        live(&mut recorder, &mut file.policy().unwrap());
        recorder.bag.finish().unwrap();
        Self { _folder: folder, file, policy, hash, bag }
    }

    fn replay(&self) -> Result<ReplayReport, ReplayError> {
        replay(&Bag::open(&self.bag).unwrap(), &self.file, &self.hash, &ReplaySettings::default(), |_| ())
    }

    fn hebb(&self, extra: &[&str]) -> std::process::Output {
        let bag: &Path = &self.bag;
        let arguments = ["replay", bag.to_str().unwrap(), self.policy.to_str().unwrap()];
        hebb(arguments.iter().chain(extra))
    }
}

fn walk(recorder: &mut LifeRecorder, policy: &mut Policy, steps: std::ops::Range<u64>, gates: &[f32]) {
    steps.for_each(|step| recorder.step(policy, &state(step), gates));
}

#[test]
fn gates_and_new_episodes_replay_bit_for_bit() {
    let recorded = Recorded::new(lively_policy(), |recorder, policy| {
        policy.start(42);
        walk(recorder, policy, 0..60, &OPEN);
        walk(recorder, policy, 60..80, &[0.0, 0.5, 1.0]);
        walk(recorder, policy, 80..100, &[0.0; 3]);
        policy.start(7);
        walk(recorder, policy, 0..50, &OPEN);
    });
    let report = recorded.replay().unwrap();
    assert!(report.is_identical(), "{report:?}");
    assert_eq!((report.steps, report.replayed, report.weights.steps, report.gates.steps), (150, 150, 150, 150));
    assert_eq!((report.published.same, report.published.changed, report.published.missing), (150, 0, 0));
    let json = recorded.bag.with_extension("json");
    let done = recorded.hebb(&["--json", json.to_str().unwrap()]);
    let text = String::from_utf8(done.stdout).unwrap();
    assert!(done.status.success() && text.contains("150 steps compared: the same, bit for bit"), "{text}");
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    assert_eq!((&json["replayed"], &json["first_difference"]), (&150.into(), &serde_json::Value::Null));
}

#[test]
fn every_kind_of_network_replays_from_its_start() {
    let layers = || Shape::new(vec![27, 64, 32, 18]).unwrap();
    let mut slow = lively_policy();
    slow.metadata.network = NetworkDescription::Plastic(PlasticDescription {
        update: UpdateSchedule { every: 3, average: 5 },
        ..PlasticDescription::new(layers(), InitialWeights::Random(0.1))
    });
    slow.metadata.gate = GateDescription::new(vec![GateBlock::Settled(SettledSettings {
        early: 5,
        window: 4,
        close_below: 0.9,
        open_above: 1.1,
        shut: 0.0,
    })]);
    let mut kinds = vec![slow];
    for network in [
        NetworkDescription::FeedForward { layers: layers(), biases: true },
        NetworkDescription::Lstm { layers: Shape::new(vec![27, 18]).unwrap(), hidden: vec![27], initial_state: 0.1 },
        NetworkDescription::History { layers: layers(), steps: 4 },
    ] {
        let mut file = lively_policy();
        file.genome = file.genome.iter().copied().cycle().take(network.genome_len()).collect();
        file.metadata.network = network;
        kinds.push(file);
    }
    for file in kinds {
        let (kind, gates) = (file.metadata.network.kind(), file.metadata.network.layers().layers().len());
        let recorded = Recorded::new(file, |recorder, policy| {
            policy.start(3);
            walk(recorder, policy, 0..60, &vec![1.0; gates]);
        });
        let report = recorded.replay().unwrap();
        assert!(report.is_identical() && report.replayed == 60, "{kind}: {report:?}");
    }
}

#[test]
fn the_first_difference_is_named() {
    let recorded = Recorded::new(lively_policy(), |recorder, policy| {
        policy.start(42);
        walk(recorder, policy, 0..30, &OPEN);
        // One weight off by one bit, though the recording says that nothing happened.
        let mut weights = policy.network().plastic().unwrap().weights();
        let synapse = 27 * 64 + 64 * 32 + 5 * 18 + 4;
        weights[synapse] = f32::from_bits(weights[synapse].to_bits() ^ 1);
        let mut other = policy.clone();
        other.set_weights(&weights).unwrap();
        // A snapshot carries no intervention across: the life goes on as if nothing had been done.
        let action = policy.action().to_vec();
        let seen =
            hebbian_locomotion::policy::SeenState { seed: 42, steps: 30, interventions: 0, action: &action, weights: &weights };
        policy.continue_from(&seen).unwrap();
        walk(recorder, policy, 30..40, &[0.0; 3]);
    });
    let report = recorded.replay().unwrap();
    assert!(!report.is_identical());
    let first = report.first_difference.clone().unwrap();
    assert_eq!(first.step, 30);
    // The command differs before the weights are looked at, unless the bit was too small for it.
    let joint = &recorded.file.metadata.robot.joints[4].name;
    let (target, weight) = (format!("target of joint {joint}"), format!("weight neuron 5 -> {joint} of layer 2"));
    assert!([target, weight].contains(&first.of), "{first:?}");
    assert!(report.weights.different == 10 && report.weights.largest > 0.0 && report.weights.largest < 1e-6, "{report:?}");
    let done = recorded.hebb(&[]);
    let error = String::from_utf8(done.stderr).unwrap();
    assert!(!done.status.success() && error.contains("first in step 30") && error.contains(joint), "{error}");
}

#[test]
fn lost_steps_are_counted_and_replay_goes_on_from_recorded_weights() {
    let recorded = Recorded::new(lively_policy(), |recorder, policy| {
        recorder.lost = vec![20, 21];
        recorder.weights_every = 5;
        policy.start(42);
        walk(recorder, policy, 0..60, &OPEN);
    });
    let report = recorded.replay().unwrap();
    assert!(!report.is_identical() && report.first_difference.is_none(), "{report:?}");
    // Steps 22 to 25 wait for the weights of step 25.
    let gap = &report.gaps[0];
    assert_eq!((report.gaps.len(), gap.first_step, gap.steps, &gap.reason), (1, 22, 4, &GapReason::Lost { steps: 2 }));
    assert_eq!((report.steps, report.replayed), (58, 54));
    let error = String::from_utf8(recorded.hebb(&[]).stderr).unwrap();
    assert!(error.contains("steps are missing"), "{error}");
}

#[test]
fn a_recording_that_begins_late_or_sees_weights_restored_goes_on_from_recorded_weights() {
    let recorded = Recorded::new(lively_policy(), |recorder, policy| {
        recorder.lost = (0..10).collect();
        policy.start(42);
        walk(recorder, policy, 0..30, &OPEN);
        let snapshot = policy.snapshot();
        walk(recorder, policy, 30..40, &OPEN);
        policy.restore(&snapshot).unwrap();
        walk(recorder, policy, 30..50, &OPEN);
    });
    let report = recorded.replay().unwrap();
    assert!(report.is_identical(), "{report:?}");
    let gaps: Vec<_> = report.gaps.iter().map(|gap| (gap.first_step, gap.steps, &gap.reason)).collect();
    assert_eq!(gaps, [(10, 1, &GapReason::BeginsLate), (30, 1, &GapReason::Intervention)]);
    assert_eq!((report.steps, report.replayed), (50, 48));
}

/// The gaps of a life of two episodes, of seed 42 and `seed`, whose second has lost its first ten steps; and whether all is said to be there.
fn gaps_of_a_lost_beginning(seed: u64) -> (Vec<(u64, usize, GapReason)>, bool) {
    let recorded = Recorded::new(lively_policy(), |recorder, policy| {
        policy.start(42);
        walk(recorder, policy, 0..30, &OPEN);
        policy.start(seed);
        recorder.lost = (0..10).collect();
        walk(recorder, policy, 0..40, &OPEN);
    });
    let report = recorded.replay().unwrap();
    assert!(report.first_difference.is_none() && (report.steps, report.replayed) == (60, 59), "{report:?}");
    assert_eq!(recorded.hebb(&[]).status.success(), report.is_identical());
    (report.gaps.iter().map(|gap| (gap.first_step, gap.steps, gap.reason.clone())).collect(), report.is_identical())
}

#[test]
fn a_new_episode_whose_beginning_is_missing_has_lost_steps() {
    let lost = vec![(10, 1, GapReason::Lost { steps: 10 })];
    assert_eq!(gaps_of_a_lost_beginning(7), (lost.clone(), false));
    // Known by its step alone: it goes back, and nobody did that from outside.
    assert_eq!(gaps_of_a_lost_beginning(42), (lost, false));
}

#[test]
fn an_episode_that_follows_one_with_interventions_is_no_intervention() {
    let recorded = Recorded::new(lively_policy(), |recorder, policy| {
        policy.start(42);
        walk(recorder, policy, 0..5, &OPEN);
        let weights = policy.network().plastic().unwrap().weights();
        policy.set_weights(&weights).unwrap();
        walk(recorder, policy, 5..10, &OPEN);
        policy.start(42);
        recorder.lost = (0..20).collect();
        walk(recorder, policy, 0..30, &OPEN);
    });
    let report = recorded.replay().unwrap();
    let gaps: Vec<_> = report.gaps.iter().map(|gap| (gap.first_step, &gap.reason)).collect();
    assert_eq!(gaps, [(5, &GapReason::Intervention), (20, &GapReason::Lost { steps: 20 })]);
    assert!(!report.is_identical());
}

#[test]
fn steps_that_are_lost_beside_an_intervention_are_lost() {
    let recorded = Recorded::new(lively_policy(), |recorder, policy| {
        recorder.lost = vec![10, 11];
        policy.start(42);
        walk(recorder, policy, 0..10, &OPEN);
        let weights = policy.network().plastic().unwrap().weights();
        policy.set_weights(&weights).unwrap();
        walk(recorder, policy, 10..20, &OPEN);
    });
    let report = recorded.replay().unwrap();
    assert_eq!((report.gaps.len(), &report.gaps[0].reason), (1, &GapReason::Lost { steps: 2 }));
    assert!(!report.is_identical());
}

#[test]
fn steps_that_the_recorder_says_it_lost_are_missing_even_where_no_gap_shows() {
    let recorded = Recorded::new(lively_policy(), |recorder, policy| {
        policy.start(42);
        walk(recorder, policy, 0..30, &OPEN);
        let steps = recorder.bag.add_topic(bag::topic::<PolicyStep>("/policy/steps")).unwrap();
        recorder.bag.note_dropped(steps, 3);
    });
    let report = recorded.replay().unwrap();
    assert!(report.gaps.is_empty() && report.first_difference.is_none() && report.replayed == 30, "{report:?}");
    assert_eq!((report.dropped, report.is_identical()), (3, false));
    let error = String::from_utf8(recorded.hebb(&[]).stderr).unwrap();
    assert!(error.contains("steps are missing"), "{error}");
}

/// A policy whose episodes keep the weights of the last one.
fn keeping_policy() -> PolicyFile {
    let mut file = lively_policy();
    let layers = Shape::new(vec![27, 64, 32, 18]).unwrap();
    file.metadata.network = NetworkDescription::Plastic(PlasticDescription::new(layers, InitialWeights::Kept(0.1)));
    file
}

#[test]
fn an_episode_of_a_node_replays_from_its_seed_also_where_episodes_keep_weights() {
    // After one that was replayed.
    let recorded = Recorded::new(keeping_policy(), |recorder, policy| {
        policy.start(42);
        walk(recorder, policy, 0..30, &OPEN);
        policy.start_anew(7);
        walk(recorder, policy, 0..20, &OPEN);
    });
    let report = recorded.replay().unwrap();
    assert!(report.is_identical() && report.replayed == 50, "{report:?}");

    // After those that were not, and one with weights from outside.
    let recorded = Recorded::new(keeping_policy(), |recorder, policy| {
        policy.start(42);
        recorder.lost = (0..11).collect();
        recorder.weights_every = 10;
        walk(recorder, policy, 0..20, &OPEN);
        recorder.lost = vec![0, 1];
        policy.start_anew(7);
        walk(recorder, policy, 0..5, &OPEN);
        recorder.lost.clear();
        policy.start_anew(8);
        walk(recorder, policy, 0..20, &OPEN);
        let weights = policy.network().plastic().unwrap().weights();
        policy.set_weights(&weights).unwrap();
        walk(recorder, policy, 20..25, &OPEN);
        policy.start_anew(8);
        walk(recorder, policy, 0..20, &OPEN);
    });
    let report = recorded.replay().unwrap();
    assert!(report.first_difference.is_none(), "{report:?}");
    let gaps: Vec<_> = report.gaps.iter().map(|gap| (gap.first_step, gap.steps, &gap.reason)).collect();
    let lost = GapReason::Lost { steps: 2 };
    assert_eq!(gaps, [(11, 9, &GapReason::BeginsLate), (2, 3, &lost), (20, 1, &GapReason::Intervention)]);
    assert_eq!((report.steps, report.replayed), (57, 44));
}

#[test]
fn time_that_goes_back_makes_no_difference() {
    let recorded = Recorded::new(lively_policy(), |recorder, policy| {
        // A simulator that is started anew: the same stamps with the same numbers of steps, once more.
        for (seed, steps, gate) in [(42, 60, 1.0), (7, 40, 0.5), (3, 10, 0.25), (8, 50, 0.75)] {
            recorder.stamp = 0;
            policy.start(seed);
            walk(recorder, policy, 0..steps, &[gate; 3]);
        }
    });
    let report = recorded.replay().unwrap();
    assert!(report.is_identical(), "{report:?}");
    assert_eq!((report.steps, report.replayed, report.weights.steps, report.gates.steps), (160, 160, 160, 160));
    assert_eq!((report.published.same, report.published.changed, report.published.missing), (160, 0, 0));
}

/// The hash that `file` has on disk.
fn hash_of(file: &PolicyFile) -> String {
    let folder = tempfile::tempdir().unwrap();
    file.save(&folder.path().join("policy.safetensors")).unwrap()
}

#[test]
fn of_a_node_that_ran_two_policies_the_steps_of_either_replay_with_its_file() {
    let (first, mut second) = (lively_policy(), lively_policy());
    second.genome.iter_mut().for_each(|number| *number = -*number);
    let hashes = [&first, &second].map(hash_of);
    let recorded = Recorded::new(first.clone(), |recorder, policy| {
        policy.start(42);
        walk(recorder, policy, 0..30, &OPEN);
        recorder.say_layout(&second, &hashes[1]);
        let mut other = second.policy().unwrap();
        other.start(42);
        walk(recorder, &mut other, 0..20, &OPEN);
        recorder.say_layout(&first, &hashes[0]);
        *policy = first.policy().unwrap();
        policy.start(5);
        walk(recorder, policy, 0..10, &OPEN);
    });
    let run =
        |file: &PolicyFile| replay(&Bag::open(&recorded.bag).unwrap(), file, &hash_of(file), &ReplaySettings::default(), |_| ());
    for (file, gaps, replayed) in [(&first, &[(0, 20)][..], 40), (&second, &[(0, 30), (0, 10)][..], 20)] {
        let report = run(file).unwrap();
        assert!(report.is_identical(), "{report:?}");
        assert_eq!((report.steps, report.replayed, report.weights.steps), (60, replayed, replayed));
        assert_eq!((report.published.same, report.published.missing), (replayed, 0));
        assert_eq!(report.gaps.iter().map(|gap| (gap.first_step, gap.steps)).collect::<Vec<_>>(), gaps);
        let is_other = |gap: &GapReason| matches!(gap, GapReason::OtherPolicy { hash, .. } if *hash != hash_of(file));
        assert!(report.gaps.iter().all(|gap| is_other(&gap.reason)), "{report:?}");
    }
    let done = recorded.hebb(&[]);
    let text = String::from_utf8(done.stdout).unwrap();
    assert!(done.status.success() && text.contains("ran from here on; 20 steps not replayed"), "{text}");
    // Of a third one all that were recorded are named.
    let mut third = first.clone();
    third.genome[0] += 1.0;
    let error = run(&third).unwrap_err().to_string();
    assert!(hashes.iter().all(|hash| error.matches(hash.as_str()).count() == 1), "{error}");
}

#[test]
fn a_policy_that_is_loaded_again_begins_with_weights_of_its_own() {
    let file = keeping_policy();
    let hash = hash_of(&file);
    let recorded = Recorded::new(file.clone(), |recorder, policy| {
        policy.start(42);
        walk(recorder, policy, 0..30, &OPEN);
        policy.start_anew(43);
        walk(recorder, policy, 0..30, &OPEN);
        recorder.say_layout(&file, &hash);
        *policy = file.policy().unwrap();
        policy.start(43);
        walk(recorder, policy, 0..30, &OPEN);
    });
    let report = recorded.replay().unwrap();
    assert!(report.is_identical() && report.replayed == 90, "{report:?}");
}

#[test]
fn a_state_that_was_not_recorded_is_no_beginning() {
    let mut file = lively_policy();
    file.metadata.network = NetworkDescription::Plastic(PlasticDescription {
        update: UpdateSchedule { every: 1, average: 5 },
        ..PlasticDescription::new(Shape::new(vec![27, 64, 32, 18]).unwrap(), InitialWeights::Random(0.1))
    });
    let recorded = Recorded::new(file, |recorder, policy| {
        recorder.lost = (0..10).collect();
        policy.start(42);
        walk(recorder, policy, 0..30, &OPEN);
    });
    let error = recorded.replay().unwrap_err().to_string();
    assert!(error.contains("none of the 20 recorded steps") && error.contains("activities of earlier steps"), "{error}");
}

#[test]
fn what_is_missing_or_foreign_is_a_clear_error() {
    let recorded = Recorded::new(lively_policy(), |recorder, policy| {
        policy.start(42);
        walk(recorder, policy, 0..10, &OPEN);
    });
    let mut other = recorded.file.clone();
    other.genome[0] += 1.0;
    let policy = recorded.bag.with_extension("safetensors");
    other.save(&policy).unwrap();
    let run = |extra: &[&str]| {
        let mut arguments = vec!["replay", recorded.bag.to_str().unwrap(), policy.to_str().unwrap()];
        arguments.extend(extra);
        let done = hebb(arguments);
        (done.status.success(), String::from_utf8(done.stderr).unwrap())
    };
    let (ok, error) = run(&[]);
    assert!(!ok && error.contains(&recorded.hash) && error.contains("--any-policy"), "{error}");
    let (ok, error) = run(&["--any-policy"]);
    assert!(!ok && error.contains("differs from the recording: first in step"), "{error}");
    let (ok, error) = run(&["--node", "/other/policy"]);
    assert!(!ok && error.contains("/other/policy") && error.contains("choose one of /policy"), "{error}");

    // A bag of sensors alone.
    let sensors = recorded.bag.with_file_name("sensors");
    let mut bag = hebbian_locomotion::recording::BagWriter::create(&sensors, &Default::default()).unwrap();
    let joints = bag.add_topic(bag::topic::<hebbian_locomotion::recording::message::JointState>("/joint_states")).unwrap();
    bag.write(joints, 1, 1, &[0, 1, 0, 0]).unwrap();
    bag.finish().unwrap();
    let done = hebb(["replay", sensors.to_str().unwrap(), recorded.policy.to_str().unwrap()]);
    let error = String::from_utf8(done.stderr).unwrap();
    assert!(error.contains("PolicyStep") && error.contains("/joint_states"), "{error}");
}

#[test]
fn a_damaged_bag_is_not_replayed() {
    let recorded = Recorded::new(lively_policy(), |recorder, policy| {
        policy.start(42);
        walk(recorder, policy, 0..30, &OPEN);
    });
    let file = recorded.bag.join("walk_0.mcap");
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    std::fs::write(&file, bytes).unwrap();
    let done = recorded.hebb(&[]);
    let (out, error) = (String::from_utf8(done.stdout).unwrap(), String::from_utf8(done.stderr).unwrap());
    assert!(!done.status.success() && error.contains("damaged") && out.is_empty(), "{out}{error}");
}
