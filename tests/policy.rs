//! A policy's life can be kept, put back and rolled back, exactly.
#![allow(clippy::unwrap_used)]

mod common;

use common::{beetle, lively_policy, state_of};
use hebbian_locomotion::network::{Lstm, NetworkError, Shape};
use hebbian_locomotion::plasticity::{
    Convention, FootContactSettings, Gate, GateBlock, GateDescription, GateSource, InitialWeights, Normalisation,
    PlasticDescription, RuleDescription, SettledSettings, TermSource, UpdateSchedule,
};
use hebbian_locomotion::policy::{NetworkDescription, Policy, PolicyFile, RingError, SnapshotRing};
use hebbian_locomotion::robot::RobotState;

/// Sensor values of control step `step`.
fn state(step: u64) -> RobotState {
    let mut state = state_of(&beetle());
    for (index, position) in state.joint_position.iter_mut().enumerate() {
        *position = (0.3 * step as f32 + index as f32).sin();
    }
    for (index, contact) in state.foot_contact.iter_mut().enumerate() {
        *contact = (step as usize / 7 + index).is_multiple_of(2) && step % 40 < 30;
    }
    state
}

/// Policies of every kind that a snapshot must hold whole.
fn kinds() -> Vec<PolicyFile> {
    let plain = lively_policy();
    let layers = || Shape::new(vec![27, 64, 32, 18]).unwrap();
    let mut kinds = vec![plain.clone()];
    for (normalisation, update, convention) in [
        (Normalisation::Standardize, UpdateSchedule { every: 4, average: 10 }, Convention::Leung2025),
        (Normalisation::Mass, UpdateSchedule { every: 3, average: 2 }, Convention::Najarro2020),
        (Normalisation::NeuronMax, UpdateSchedule::default(), Convention::Dittrich2026),
        (Normalisation::Clip, UpdateSchedule { every: 1, average: 5 }, Convention::Leung2025),
        (Normalisation::None, UpdateSchedule { every: 2, average: 1 }, Convention::Leung2025),
    ] {
        let mut file = plain.clone();
        file.metadata.network = NetworkDescription::Plastic(PlasticDescription {
            normalisation,
            update,
            convention,
            ..PlasticDescription::new(layers(), InitialWeights::Random(0.1))
        });
        kinds.push(file);
    }
    let mut gated = plain.clone();
    gated.metadata.gate = GateDescription::new(vec![
        GateBlock::FootContact(FootContactSettings { feet: 1, hold: 3, hold_open: 2, shut: 0.0 }),
        GateBlock::Settled(SettledSettings { early: 5, window: 4, close_below: 0.9, open_above: 1.1, shut: 0.0 }),
    ]);
    kinds.push(gated);
    for network in [
        NetworkDescription::FeedForward { layers: layers(), biases: true },
        NetworkDescription::Lstm { layers: Shape::new(vec![27, 18]).unwrap(), hidden: vec![27], initial_state: 0.1 },
        NetworkDescription::History { layers: layers(), steps: 11 },
    ] {
        let numbers = network.genome_len();
        let genome = plain.genome.iter().copied().cycle().take(numbers).collect();
        let mut metadata = plain.metadata.clone();
        metadata.network = network;
        kinds.push(PolicyFile { metadata, genome, clusters: None, subspace: None });
    }
    kinds
}

/// Everything that a step gives, as bits.
fn step(policy: &mut Policy, step: u64) -> Vec<u32> {
    let targets = policy.step(&state(step)).unwrap().to_vec();
    let weights = policy.network().plastic().map_or_else(Vec::new, |network| network.weights());
    let all = targets.iter().chain(&weights).chain(policy.gates().gates());
    all.map(|value| value.to_bits()).collect()
}

fn run(policy: &mut Policy, steps: std::ops::Range<u64>) -> Vec<Vec<u32>> {
    steps.map(|number| step(policy, number)).collect()
}

#[test]
fn a_restored_policy_repeats_every_bit() {
    for file in kinds() {
        let kind = &file.metadata.network;
        let mut policy = file.policy().unwrap();
        policy.start(9);
        run(&mut policy, 0..37);
        let mut kept = policy.snapshot();
        let after = run(&mut policy, 37..80);
        policy.restore(&kept).unwrap();
        assert_eq!(run(&mut policy, 37..80), after, "{kind:?}");
        // In another policy of the same kind, through a snapshot that was used before.
        policy.restore(&kept).unwrap();
        policy.save(&mut kept).unwrap();
        let mut other = file.policy().unwrap();
        other.restore(&kept).unwrap();
        assert_eq!(run(&mut other, 37..80), after, "{kind:?}");
    }
}

#[test]
fn rolled_back_time_goes_on_from_the_snapshot() {
    for file in kinds() {
        let mut policy = file.policy().unwrap();
        policy.start(2);
        let mut ring = SnapshotRing::new(&policy, 10, 5, 1 << 24).unwrap();
        let mut seen = Vec::new();
        for number in 0..60 {
            seen.push(step(&mut policy, number));
            ring.push(&policy);
        }
        let snapshot = ring.roll_back(policy.steps(), 22).unwrap().clone();
        assert_eq!(snapshot.steps(), 35);
        policy.restore(&snapshot).unwrap();
        assert_eq!(run(&mut policy, 35..60), seen[35..], "{:?}", file.metadata.network);
        // What came after the snapshot is forgotten, what came before is not.
        assert_eq!(ring.oldest(35), Some(20));
        assert_eq!(ring.roll_back(35, 21).unwrap_err(), RingError::TooFar { asked: 21, oldest: 20 });
        assert_eq!(ring.roll_back(35, 20).unwrap().steps(), 15);
    }
}

#[test]
fn a_ring_that_would_take_too_much_memory_is_refused() {
    let policy = lively_policy().policy().unwrap();
    assert!(matches!(SnapshotRing::new(&policy, 1000, 1, 1 << 20), Err(RingError::Memory { slots: 1000, .. })));
    assert!(matches!(SnapshotRing::new(&policy, 0, 1, 1 << 20), Err(RingError::Empty { .. })));
}

#[test]
fn a_snapshot_of_another_network_is_refused_and_changes_nothing() {
    let [mut policy, other] = [&kinds()[0], &kinds()[8]].map(|file| file.policy().unwrap());
    policy.start(1);
    run(&mut policy, 0..5);
    let mut untouched = policy.clone();
    assert!(policy.restore(&other.snapshot()).is_err());
    assert!(policy.restore_network(&other.snapshot()).is_err());
    assert_eq!(run(&mut policy, 5..10), run(&mut untouched, 5..10));
}

#[test]
fn the_network_alone_goes_back_while_gate_and_count_stay() {
    let mut policy = lively_policy().policy().unwrap();
    policy.start(1);
    run(&mut policy, 0..10);
    let kept = policy.snapshot();
    let weights = policy.network().plastic().unwrap().weights();
    policy.set_gate(Gate::new(0.5, GateSource::Service).unwrap()).unwrap();
    run(&mut policy, 10..20);
    policy.restore_network(&kept).unwrap();
    assert_eq!(policy.network().plastic().unwrap().weights(), weights);
    assert_eq!(policy.steps(), 20);
    policy.step(&state(20)).unwrap();
    assert_eq!(policy.gates().gates(), [0.5; 3]);
}

#[test]
fn weights_can_be_set_and_start_again_by_seed() {
    let mut policy = lively_policy().policy().unwrap();
    policy.start(1);
    let first = policy.network().plastic().unwrap().weights();
    run(&mut policy, 0..5);
    policy.start(1);
    assert_eq!(policy.network().plastic().unwrap().weights(), first);
    let half: Vec<f32> = first.iter().map(|weight| weight / 2.0).collect();
    policy.set_weights(&half).unwrap();
    assert_eq!(policy.network().plastic().unwrap().weights(), half);
    assert!(policy.set_weights(&half[1..]).is_err());
    let mut lstm = kinds()[8].policy().unwrap();
    assert!(lstm.set_weights(&half).is_err(), "an LSTM has no plastic weights");
    assert_eq!(Lstm::parameters(&Shape::new(vec![27, 18]).unwrap(), &[27]), 6912);
}

#[test]
fn a_start_anew_draws_the_weights_of_its_seed_also_where_episodes_keep_them_or_they_diverged() {
    let mut file = lively_policy();
    let layers = Shape::new(vec![27, 64, 32, 18]).unwrap();
    file.metadata.network = NetworkDescription::Plastic(PlasticDescription::new(layers, InitialWeights::Kept(0.1)));
    let (mut policy, mut fresh) = (file.policy().unwrap(), file.policy().unwrap());
    policy.start(1);
    run(&mut policy, 0..10);
    let lived = policy.network().plastic().unwrap().weights();
    policy.set_weights(&vec![1e30; lived.len()]).unwrap();
    run(&mut policy, 10..15);
    policy.start_anew(2);
    fresh.start(2);
    assert_ne!(policy.network().plastic().unwrap().weights(), lived);
    assert_eq!((policy.steps(), policy.seed(), policy.interventions()), (0, 2, 0));
    assert_eq!(run(&mut policy, 0..30), run(&mut fresh, 0..30));
}

#[test]
fn a_sensor_value_that_is_no_number_is_reported_and_changes_nothing() {
    for file in kinds() {
        let mut policy = file.policy().unwrap();
        policy.start(4);
        run(&mut policy, 0..12);
        let mut untouched = policy.clone();
        let mut damaged = state(12);
        damaged.joint_position[3] = f32::NAN;
        assert!(matches!(policy.step(&damaged), Err(NetworkError::NotFinite { what: "input", index: 3, .. })));
        assert_eq!(policy.targets(), untouched.targets());
        assert_eq!(run(&mut policy, 12..30), run(&mut untouched, 12..30), "{:?}", file.metadata.network);
    }
}

#[test]
fn an_episode_whose_first_step_is_refused_has_no_targets_of_the_last_one() {
    for file in kinds() {
        let (mut used, mut fresh) = (file.policy().unwrap(), file.policy().unwrap());
        used.start(1);
        run(&mut used, 0..12);
        assert_ne!(used.targets(), fresh.targets());
        let mut damaged = state(0);
        damaged.joint_position[3] = f32::NAN;
        for policy in [&mut used, &mut fresh] {
            policy.start(2);
            policy.step(&damaged).unwrap_err();
        }
        assert_eq!(used.targets(), fresh.targets(), "{:?}", file.metadata.network);
    }
}

#[test]
fn gate_sources_of_the_policy_file_act_in_life() {
    let file = &kinds()[6];
    let mut policy = file.policy().unwrap();
    policy.start(1);
    let mut kinds = std::collections::BTreeSet::new();
    for number in 0..80 {
        step(&mut policy, number);
        kinds.insert(policy.gates().reason().kind());
    }
    assert!(kinds.contains("foot_contact") && kinds.contains("settled") && kinds.contains("open"), "{kinds:?}");
}

/// The control step in which the gate `settled` first shuts a rule of `convention`, whose updates at every fourth step shrink.
fn settled_at(convention: Convention, early: u32) -> Option<u64> {
    let mut file = lively_policy();
    let fixed = TermSource::Fixed;
    // What the inputs make of each output becomes smaller with each update.
    let rule = RuleDescription { a: fixed(-1.0), b: fixed(0.0), c: fixed(0.0), d: fixed(0.0), eta: fixed(0.1), clusters: 0 };
    file.metadata.network = NetworkDescription::Plastic(PlasticDescription {
        rule,
        convention,
        normalisation: Normalisation::None,
        update: UpdateSchedule { every: 4, average: 1 },
        ..PlasticDescription::new(Shape::new(vec![27, 18]).unwrap(), InitialWeights::Random(0.1))
    });
    file.genome.clear();
    let settled = SettledSettings { early, window: 4, close_below: 0.4, open_above: 0.6, shut: 0.0 };
    file.metadata.gate = GateDescription::new(vec![GateBlock::Settled(settled)]);
    let mut policy = file.policy().unwrap();
    policy.start(1);
    (0..60).find(|_| {
        policy.step(&state(3)).unwrap();
        policy.gates().reason().kind() == "settled"
    })
}

#[test]
fn a_settled_gate_shuts_rules_with_a_delayed_update_one_step_later_than_others() {
    for early in [4, 8] {
        let shut = settled_at(Convention::Leung2025, early).unwrap();
        for convention in [Convention::Najarro2020, Convention::Dittrich2026] {
            assert_eq!(settled_at(convention, early), Some(shut + 1), "{convention:?}, early {early}");
        }
    }
}

#[test]
fn a_life_written_to_a_file_goes_on_from_there_in_every_kind_of_network() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    // What gate sources remember is not part of it.
    for file in kinds().into_iter().filter(|file| file.metadata.gate == GateDescription::default()) {
        let mut policy = file.policy().unwrap();
        policy.start(3);
        (0..25).for_each(|step| drop(policy.step(&state(step)).map(<[f32]>::to_vec)));
        let synapses = policy.network().plastic().map_or(0, |network| network.shape().synapses());
        policy.snapshot().write(&path, "beetle", "a hash", synapses).unwrap();
        // Another life of the same policy takes over the network alone; action filter and step count are its own.
        let mut other = policy.clone();
        other.start(8);
        (0..25).for_each(|step| drop(other.step(&state(step)).map(<[f32]>::to_vec)));
        let mut read = other.snapshot();
        read.read(&path, "a hash").unwrap();
        other.restore_network(&read).unwrap();
        for step in 25..60 {
            assert_eq!(policy.step(&state(step)).unwrap(), other.step(&state(step)).unwrap(), "{:?}", file.metadata.network);
        }
    }
}

#[test]
fn a_file_of_another_policy_or_a_damaged_one_is_refused_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let mut policy = lively_policy().policy().unwrap();
    policy.start(1);
    policy.snapshot().write(&path, "beetle", "a hash", 4352).unwrap();
    let mut snapshot = policy.snapshot();
    let before = format!("{snapshot:?}");
    let mut refused = |hash: &str| snapshot.read(&path, hash).unwrap_err().to_string();
    assert!(refused("another hash").contains("weights of the policy `beetle`"));
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    assert!(refused("a hash").contains("not a complete safetensors file"));
    let mut broken = bytes.clone();
    let end = broken.len();
    broken[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    std::fs::write(&path, &broken).unwrap();
    assert!(refused("a hash").contains("finite"));
    std::fs::remove_file(&path).unwrap();
    assert!(refused("a hash").contains("cannot read"));
    assert_eq!(format!("{snapshot:?}"), before);
}

#[test]
fn weights_replace_weights_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let mut policy = lively_policy().policy().unwrap();
    let write = |policy: &Policy| policy.snapshot().write(&path, "beetle", "a hash", 4352);
    policy.start(1);
    write(&policy).unwrap();
    let first = std::fs::read(&path).unwrap();
    // Whole weights, damaged ones, and a file that holds nothing.
    for present in [&first[..], &first[..first.len() / 2], b""] {
        std::fs::write(&path, present).unwrap();
        write(&policy).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), first);
    }
    lively_policy().save(&path).unwrap();
    let a_policy = std::fs::read(&path).unwrap();
    for present in [&a_policy[..], b"a letter", b"\xff\xff\xff\xff\xff\xff\xff\xff", b"\x02\0\0\0\0\0\0\0{}"] {
        std::fs::write(&path, present).unwrap();
        let message = write(&policy).unwrap_err().to_string();
        assert!(message.contains("weights.safetensors") && message.contains("not overwritten"), "{message}");
        assert_eq!(std::fs::read(&path).unwrap(), present);
    }
    let message = policy.snapshot().write(folder.path(), "beetle", "a hash", 4352).unwrap_err().to_string();
    assert!(message.contains("not overwritten"), "{message}");
}

#[test]
fn a_file_that_is_far_too_large_for_weights_is_refused_unread() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recording.mcap");
    // So long, but nothing on the disk.
    std::fs::File::create(&path).unwrap().set_len(20 << 30).unwrap();
    let mut snapshot = lively_policy().policy().unwrap().snapshot();
    let message = snapshot.read(&path, "a hash").unwrap_err().to_string();
    assert!(message.contains("recording.mcap") && message.contains("it has at least 21474836480 bytes"), "{message}");
    let message = snapshot.read(std::path::Path::new("/dev/zero"), "a hash").unwrap_err().to_string();
    assert!(message.contains("no weights of this policy"), "{message}");
}

#[test]
fn weights_whose_policy_has_a_name_with_nul_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let mut snapshot = lively_policy().policy().unwrap().snapshot();
    snapshot.write(&path, "beetles", "a hash", 4352).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(7).position(|window| window == b"beetles").unwrap();
    // The escape of NUL, once more escaped, because it is JSON in JSON.
    bytes[at..at + 7].copy_from_slice(br"\\u0000");
    std::fs::write(&path, bytes).unwrap();
    for hash in ["a hash", "another hash"] {
        let message = snapshot.read(&path, hash).unwrap_err().to_string();
        assert!(message.contains("without NUL") && !message.contains('\0'), "{message:?}");
    }
}
