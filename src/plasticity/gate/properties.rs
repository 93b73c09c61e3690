//! What holds for every description and every input.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const LAYERS: usize = 3;
const SYNAPSES: usize = 4;
const DIMENSIONS: GateDimensions = GateDimensions { layers: LAYERS, synapses: SYNAPSES, feet: 4 };

/// What one control step brings, owned.
#[derive(Clone, Debug)]
struct Step {
    contacts: Vec<bool>,
    update_size: f32,
    weights: Vec<f32>,
    command: Option<CommandedGate>,
}

fn gate() -> impl Strategy<Value = f32> + Clone {
    prop_oneof![Just(0.0f32), Just(1.0), 0.0f32..=1.0]
}

fn shut() -> impl Strategy<Value = f32> {
    prop_oneof![Just(0.0f32), 0.0f32..1.0]
}

/// Ordinary numbers and those that should never come.
fn number(bound: f32) -> impl Strategy<Value = f32> + Clone {
    let bad = proptest::sample::select(vec![f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, -0.0, f32::MIN_POSITIVE]);
    prop_oneof![20 => -bound..bound, 1 => bad]
}

fn block() -> impl Strategy<Value = GateBlock> {
    let gates = prop_oneof![gate().prop_map(LayerGates::All), vec(gate(), LAYERS).prop_map(LayerGates::PerLayer)];
    let schedule = proptest::collection::btree_map(0u64..40, gates, 1..4)
        .prop_map(|entries| GateBlock::Schedule(entries.into_iter().map(|(from, gate)| ScheduleEntry { from, gate }).collect()));
    let foot_contact = (1u32..=4, 1u32..4, 1u32..4, shut())
        .prop_map(|(feet, hold, hold_open, shut)| GateBlock::FootContact(FootContactSettings { feet, hold, hold_open, shut }));
    let settled = (1u32..5, 1u32..5, 0.1f32..1.0, 0.01f32..0.5, shut()).prop_map(|(early, window, close_below, band, shut)| {
        GateBlock::Settled(SettledSettings { early, window, close_below, open_above: close_below + band, shut })
    });
    let novelty = (0.1f32..2.0, 0.1f32..1.0, 1u32..4, shut()).prop_map(|(open_below, band, every, shut)| {
        GateBlock::Novelty(NoveltySettings { close_above: open_below + band, open_below, every, shut })
    });
    prop_oneof![schedule, foot_contact, settled, novelty]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let command = vec(gate(), LAYERS).prop_map(|gates| CommandedGate::per_layer(&gates, GateSource::Topic).unwrap());
    let command = proptest::option::weighted(0.2, command);
    let step = (vec(any::<bool>(), 4), number(1.0).prop_map(f32::abs), vec(number(3.0), SYNAPSES), command);
    vec(step.prop_map(|(contacts, update_size, weights, command)| Step { contacts, update_size, weights, command }), 1..60)
}

fn build(blocks: &[GateBlock]) -> Gates {
    let subspace = Subspace::new(vec![0.5, 0.0, 0.0, -0.5], vec![0.6, 0.8, 0.0, 0.0], 1.5).unwrap();
    Gates::new(&GateDescription::new(blocks.to_vec()), &DIMENSIONS, Some(&Arc::new(subspace))).unwrap()
}

/// One step: the gates and their reason. Compared by bits, because a NaN would differ from itself.
fn decide(gates: &mut Gates, index: usize, step: &Step) -> (Vec<f32>, GateReason) {
    if let Some(command) = step.command {
        gates.set_command(command).unwrap();
    }
    let Step { contacts, weights, update_size, .. } = step;
    let input = GateInput { step: index as u64, is_delayed: false, contacts, update_size: *update_size, weights };
    let decided = gates.decide(&input).to_vec();
    (decided, gates.reason())
}

proptest! {
    #[test]
    fn each_gate_is_the_minimum_over_its_sources_and_a_number_from_0_to_1(blocks in vec(block(), 0..5), steps in steps()) {
        let mut combined = build(&blocks);
        let mut alone: Vec<Gates> = blocks.iter().map(|block| build(std::slice::from_ref(block))).collect();
        let mut commanded = build(&[]);
        for (index, step) in steps.iter().enumerate() {
            let (gates, reason) = decide(&mut combined, index, step);
            let (mut expected, mut first) = decide(&mut commanded, index, step);
            let lowest = |gates: &[f32]| gates.iter().copied().fold(1.0, f32::min);
            for source in &mut alone {
                let without_command = Step { command: None, ..step.clone() };
                let (own, own_reason) = decide(source, index, &without_command);
                if lowest(&own) < lowest(&expected) {
                    first = own_reason;
                }
                expected = expected.iter().zip(own).map(|(a, b)| a.min(b)).collect();
            }
            prop_assert_eq!(&gates, &expected);
            prop_assert_eq!(reason, first);
            prop_assert!(gates.iter().all(|gate| (0.0..=1.0).contains(gate)));
            prop_assert_eq!(reason == GateReason::Open, lowest(&gates) == 1.0);
        }
    }

    #[test]
    fn a_copied_state_decides_the_same_from_then_on(blocks in vec(block(), 0..5), steps in steps(), share in 0.0f64..1.0) {
        let mut original = build(&blocks);
        let mut copy = build(&blocks);
        let (before, after) = steps.split_at((share * steps.len() as f64) as usize);
        for (index, step) in before.iter().enumerate() {
            decide(&mut original, index, step);
            // The copy has a past of its own, which copying must erase.
            decide(&mut copy, index + 7, &steps[steps.len() - 1 - index]);
        }
        copy.copy_state_from(&original);
        prop_assert_eq!((copy.gates(), copy.reason()), (original.gates(), original.reason()));
        for (index, step) in after.iter().enumerate() {
            let index = index + before.len();
            prop_assert_eq!(decide(&mut copy, index, step), decide(&mut original, index, step));
        }
    }

    #[test]
    fn a_state_of_another_description_replaces_all(blocks in vec(block(), 0..4), others in vec(block(), 0..4), steps in steps()) {
        let (mut original, mut copy) = (build(&blocks), build(&others));
        copy.copy_state_from(&original);
        for (index, step) in steps.iter().enumerate() {
            prop_assert_eq!(decide(&mut copy, index, step), decide(&mut original, index, step));
        }
    }

    #[test]
    fn an_episode_after_a_reset_is_like_the_first(blocks in vec(block(), 0..5), steps in steps()) {
        let steps: Vec<Step> = steps.into_iter().map(|step| Step { command: None, ..step }).collect();
        let mut gates = build(&blocks);
        let episode = |gates: &mut Gates| -> Vec<_> {
            steps.iter().enumerate().map(|(index, step)| decide(gates, index, step)).collect()
        };
        let first = episode(&mut gates);
        gates.reset();
        prop_assert_eq!(episode(&mut gates), first);
    }
}
