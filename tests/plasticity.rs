//! What holds for every normalisation, schedule and convention, whatever the numbers.
#![allow(clippy::unwrap_used)]

use hebbian_locomotion::network::{NetworkError, Shape};
use hebbian_locomotion::plasticity::{
    Convention, InitialWeights, Instructions, Measurement, Normalisation, PlasticDescription, PlasticNetwork, TERMS,
    UpdateSchedule,
};
use hebbian_locomotion::random::stream;
use proptest::prelude::*;
use rand::RngExt;

/// 9 and 3 do not fill a register.
const NEURONS: [usize; 4] = [5, 9, 16, 3];

fn description(normalisation: Normalisation) -> PlasticDescription {
    let layers = Shape::new(NEURONS.to_vec()).unwrap();
    PlasticDescription { normalisation, ..PlasticDescription::new(layers, InitialWeights::Random(0.1)) }
}

fn network(description: &PlasticDescription, size: f32) -> PlasticNetwork {
    let mut random = stream(11, "genome", &[]);
    let genome: Vec<f32> = (0..TERMS * description.layers.synapses()).map(|_| size * random.random_range(-1.0..=1.0)).collect();
    PlasticNetwork::new(description, None, &genome).unwrap()
}

fn input(step: u64) -> Vec<f32> {
    let mut random = stream(12, "input", &[step]);
    (0..NEURONS[0]).map(|_| random.random_range(-1.0..=1.0)).collect()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

fn normalisations() -> impl Strategy<Value = Normalisation> {
    prop::sample::select(Normalisation::ALL.to_vec())
}

/// Every finite number, the extreme ones often.
fn any_number() -> impl Strategy<Value = f32> {
    prop_oneof![
        Just(0.0),
        Just(-0.0),
        Just(f32::MAX),
        Just(f32::MIN),
        Just(f32::MIN_POSITIVE),
        Just(1e-45),
        prop::num::f32::NORMAL,
        prop::num::f32::SUBNORMAL,
        -1.0f32..1.0,
        -1e16f32..1e16,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn finite_numbers_stay_finite(
        normalisation in normalisations(),
        numbers in prop::collection::vec(any_number(), 16),
        inputs in prop::collection::vec(any_number(), 5),
        weights in prop::collection::vec(any_number(), 8),
        gate in prop_oneof![Just(1.0f32), Just(0.0f32), Just(1e-45f32), 0.0f32..1.0],
        portable in any::<bool>(),
    ) {
        let description = description(normalisation);
        let synapses = description.layers.synapses();
        let genome: Vec<f32> = numbers.iter().copied().cycle().take(TERMS * synapses).collect();
        let mut network = PlasticNetwork::new(&description, None, &genome).unwrap();
        if portable {
            network.set_instructions(Instructions::portable());
        }
        network.set_measurement(Measurement::Off);
        network.start(1);
        network.set_weights(&weights.iter().copied().cycle().take(synapses).collect::<Vec<_>>()).unwrap();
        for step in 0..6 {
            let output = network.step(&inputs, &[gate]).unwrap();
            prop_assert!(output.iter().all(|y| y.abs() <= 1.0), "step {step}: {output:?}");
            let weights = network.weights();
            prop_assert!(weights.iter().all(|w| w.is_finite()), "step {step}: {weights:?}");
            if gate > 0.0 && normalisation != Normalisation::None && normalisation != Normalisation::Mass {
                let bound = if normalisation == Normalisation::Standardize { (synapses as f32).sqrt() } else { 1.0 };
                prop_assert!(weights.iter().all(|w| w.abs() <= bound), "step {step}: {weights:?}");
            }
        }
    }

    #[test]
    fn an_input_that_is_no_number_is_reported_and_changes_nothing(
        normalisation in normalisations(),
        at in 0usize..5,
        bad in prop::sample::select(vec![f32::NAN, f32::INFINITY, f32::NEG_INFINITY]),
    ) {
        let mut network = network(&description(normalisation), 1.0);
        network.start(3);
        network.step(&input(0), &[]).unwrap();
        let before = (bits(&network.weights()), bits(network.output()));
        let mut values = input(1);
        values[at] = bad;
        let error = network.step(&values, &[]).unwrap_err();
        let is_named = matches!(
            error,
            NetworkError::NotFinite { what: "input", index, value } if index == at && value.to_bits() == bad.to_bits()
        );
        prop_assert!(is_named, "{error}");
        prop_assert_eq!((bits(&network.weights()), bits(network.output())), before);
    }

    #[test]
    fn a_shut_gate_leaves_every_bit_and_one_layers_gate_is_its_own(
        normalisation in normalisations(),
        shut in 0usize..3,
        every in 1u32..4,
        average in 1u32..5,
        convention in prop::sample::select(vec![Convention::Leung2025, Convention::Najarro2020, Convention::Dittrich2026]),
        measurement in prop::sample::select(vec![Measurement::Off, Measurement::Changes, Measurement::WithOpenGate]),
    ) {
        let description = PlasticDescription { update: UpdateSchedule { every, average }, convention, ..description(normalisation) };
        let mut network = network(&description, 1.0);
        network.set_measurement(measurement);
        network.start(3);
        let layers: Vec<_> = description.layers.layers().collect();
        let start = network.weights();
        let mut gates = [0.5; 3];
        gates[shut] = 0.0;
        for step in 0..12 {
            network.step(&input(step), &gates).unwrap();
        }
        for (index, layer) in layers.iter().enumerate() {
            let [before, after] = [&start, &network.weights()].map(|weights| bits(&weights[layer.range()]));
            prop_assert_eq!(before == after, index == shut, "layer {}", index);
        }
    }

    #[test]
    fn what_is_measured_of_a_step_is_what_it_did(
        normalisation in normalisations(),
        every in 1u32..4,
        average in 1u32..5,
        convention in prop::sample::select(vec![Convention::Leung2025, Convention::Najarro2020]),
        gate in prop::sample::select(vec![0.0f32, 0.3, 1.0]),
    ) {
        let description = PlasticDescription { update: UpdateSchedule { every, average }, convention, ..description(normalisation) };
        let mut network = network(&description, 1.0);
        network.start(3);
        let mut moved = 0;
        for step in 0..12 {
            let before = network.weights();
            network.step(&input(step), &[gate]).unwrap();
            let after = network.weights();
            for (layer, measured) in description.layers.layers().zip(network.layers()) {
                let [before, after] = [&before, &after].map(|weights| &weights[layer.range()]);
                let change = before.iter().zip(after).map(|(b, a)| f64::from((a - b).abs())).sum::<f64>() / before.len() as f64;
                prop_assert!((change - f64::from(measured.change_mean)).abs() <= 1e-5 * change, "step {step}: {change} {measured:?}");
                let largest = after.iter().fold(0.0f32, |largest, w| largest.max(w.abs()));
                prop_assert_eq!(measured.max_abs, largest);
                moved += u32::from(change > 0.0);
            }
        }
        prop_assert_eq!(moved > 0, gate > 0.0);
    }

    #[test]
    fn measuring_changes_no_bit(normalisation in normalisations(), gate in prop::sample::select(vec![0.0f32, 0.3, 1.0])) {
        let mut networks = [Measurement::Off, Measurement::Changes, Measurement::WithOpenGate].map(|measurement| {
            let mut network = network(&description(normalisation), 1.0);
            network.set_measurement(measurement);
            network.start(5);
            network
        });
        for step in 0..40 {
            let outputs = networks.each_mut().map(|network| bits(network.step(&input(step), &[gate]).unwrap()));
            prop_assert!(outputs[0] == outputs[1] && outputs[0] == outputs[2], "step {}", step);
        }
        let weights = networks.each_ref().map(|network| bits(&network.weights()));
        prop_assert!(weights[0] == weights[1] && weights[0] == weights[2]);
        let open = networks[2].layers()[0].open_change_mean;
        prop_assert!(open > 0.0 && (gate != 0.0 || networks[2].layers()[0].change_mean == 0.0));
    }

    #[test]
    fn mass_keeps_each_layers_sum(seed in 0u64..1000, size in 0.01f32..30.0) {
        let mut network = network(&description(Normalisation::Mass), size);
        network.start(seed);
        let layers: Vec<_> = network.shape().layers().collect();
        let mass = |weights: &[f32]| -> f64 { weights.iter().map(|w| f64::from(w.abs())).sum() };
        let before: Vec<f64> = layers.iter().map(|layer| mass(&network.weights()[layer.range()])).collect();
        for step in 0..300 {
            network.step(&input(step), &[]).unwrap();
        }
        for (layer, before) in layers.iter().zip(before) {
            let after = mass(&network.weights()[layer.range()]);
            prop_assert!((after - before).abs() < 1e-4 * before.max(1.0), "{before} {after}");
        }
    }

    #[test]
    fn standardized_weights_have_mean_zero_and_variance_one(seed in 0u64..1000, size in 0.1f32..30.0) {
        let mut network = network(&description(Normalisation::Standardize), size);
        network.start(seed);
        for step in 0..20 {
            network.step(&input(step), &[]).unwrap();
        }
        for layer in network.shape().clone().layers() {
            let weights = &network.weights()[layer.range()];
            let count = weights.len() as f64;
            let mean = weights.iter().map(|&w| f64::from(w)).sum::<f64>() / count;
            let variance = weights.iter().map(|&w| (f64::from(w) - mean).powi(2)).sum::<f64>() / (count - 1.0);
            prop_assert!(mean.abs() < 1e-5 && variance <= 1.0 + 1e-4 && variance > 0.5, "{mean} {variance}");
        }
    }

    #[test]
    fn each_neurons_largest_weight_is_one_under_neuron_max(seed in 0u64..1000, size in 0.01f32..30.0) {
        let mut network = network(&description(Normalisation::NeuronMax), size);
        network.start(seed);
        for step in 0..5 {
            network.step(&input(step), &[]).unwrap();
        }
        for layer in network.shape().clone().layers() {
            let weights = &network.weights()[layer.range()];
            for column in 0..layer.outputs {
                let largest = weights.iter().skip(column).step_by(layer.outputs).fold(0.0f32, |largest, w| largest.max(w.abs()));
                prop_assert!((1.0 - f32::EPSILON..=1.0).contains(&largest), "{largest}");
            }
        }
    }
}

#[test]
fn a_zero_matrix_stays_zero_in_every_normalisation() {
    for normalisation in Normalisation::ALL {
        let mut network = network(&description(normalisation), 0.0);
        network.start(1);
        network.set_weights(&vec![0.0; network.shape().synapses()]).unwrap();
        for step in 0..3 {
            assert!(network.step(&input(step), &[]).unwrap().iter().all(|&y| y == 0.0));
        }
        assert!(network.weights().iter().all(|&w| w == 0.0), "{normalisation:?}");
    }
}

#[test]
fn instructions_differ_in_the_last_bits_only() {
    for normalisation in Normalisation::ALL {
        let [mut wide, mut portable] = [Instructions::detect(), Instructions::portable()].map(|instructions| {
            let mut network = network(&description(normalisation), 0.5);
            network.set_instructions(instructions);
            network.start(1);
            network
        });
        for step in 0..50 {
            wide.step(&input(step), &[]).unwrap();
            portable.step(&input(step), &[]).unwrap();
        }
        for (a, b) in wide.weights().iter().zip(portable.weights()) {
            assert!((a - b).abs() <= 1e-4 * a.abs().max(1.0), "{normalisation:?}: {a} {b}");
        }
    }
}

#[test]
fn kept_weights_go_on_until_another_rule_comes() {
    let description = PlasticDescription { initial_weights: InitialWeights::Kept(0.1), ..description(Normalisation::Max) };
    let mut network = network(&description, 1.0);
    network.start(1);
    let drawn = network.weights();
    network.step(&input(0), &[]).unwrap();
    let lived = network.weights();
    network.start(2);
    assert_eq!(network.weights(), lived);
    network.forget_life();
    network.start(1);
    assert_eq!(network.weights(), drawn);
    network.step(&input(0), &[]).unwrap();
    network.start(1);
    assert_eq!(network.weights(), lived, "a new life goes on as any other");
    let genome = vec![0.5; TERMS * network.shape().synapses()];
    network.set_genome(&genome).unwrap();
    network.start(1);
    assert_eq!(network.weights(), drawn);
}
