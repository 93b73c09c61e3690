//! The plastic network does what the equations say.
#![allow(clippy::unwrap_used)]

use hebbian_locomotion::network::Shape;
use hebbian_locomotion::plasticity::{InitialWeights, Normalisation, PlasticDescription, PlasticNetwork, Term};
use hebbian_locomotion::random::stream;
use proptest::prelude::*;
use rand::RngExt;

const NEURONS: [usize; 4] = [5, 7, 4, 3];

fn network(seed: u64, size: f32, normalisation: Normalisation) -> PlasticNetwork {
    let layers = Shape::new(NEURONS.to_vec()).unwrap();
    let description = PlasticDescription { normalisation, ..PlasticDescription::new(layers, InitialWeights::Random(0.1)) };
    PlasticNetwork::new(&description, None, &genome(seed, size)).unwrap()
}

fn genome(seed: u64, size: f32) -> Vec<f32> {
    let mut random = stream(seed, "genome", &[]);
    (0..5 * Shape::new(NEURONS.to_vec()).unwrap().synapses()).map(|_| random.random_range(-size..=size)).collect()
}

fn inputs(seed: u64, step: u64) -> Vec<f32> {
    let mut random = stream(seed, "input", &[step]);
    (0..NEURONS[0]).map(|_| random.random_range(-1.0..1.0)).collect()
}

/// The equations in f64, written without a look at the implementation: loops over i and j, nothing else.
struct Reference {
    coefficients: [Vec<Vec<Vec<f64>>>; 5],
    weights: Vec<Vec<Vec<f64>>>,
    max: bool,
}

impl Reference {
    fn of(network: &PlasticNetwork, genome: &[f32], max: bool) -> Self {
        let matrices = |flat: &[f32]| {
            let mut rest = flat;
            let mut layers = Vec::new();
            for pair in NEURONS.windows(2) {
                let (layer, tail) = rest.split_at(pair[0] * pair[1]);
                layers.push(layer.chunks(pair[1]).map(|row| row.iter().map(|&value| f64::from(value)).collect()).collect());
                rest = tail;
            }
            layers
        };
        let coefficients = Term::ALL.map(|term| matrices(&network.layout().term(genome, term)));
        Self { coefficients, weights: matrices(&network.weights()), max }
    }

    fn step(&mut self, input: &[f32], gate: f64) -> Vec<f64> {
        let mut x: Vec<f64> = input.iter().map(|&value| f64::from(value)).collect();
        for (layer, w) in self.weights.iter_mut().enumerate() {
            let [a, b, c, d, eta] = self.coefficients.each_ref().map(|term| &term[layer]);
            let y: Vec<f64> = (0..w[0].len()).map(|j| (0..x.len()).map(|i| x[i] * w[i][j]).sum::<f64>().tanh()).collect();
            if gate != 0.0 {
                let mut largest = 0.0f64;
                for i in 0..x.len() {
                    for j in 0..y.len() {
                        w[i][j] += gate * eta[i][j] * (a[i][j] * x[i] * y[j] + b[i][j] * x[i] + c[i][j] * y[j] + d[i][j]);
                        largest = largest.max(w[i][j].abs());
                    }
                }
                if self.max && largest > 0.0 {
                    w.iter_mut().flatten().for_each(|w| *w /= largest);
                }
            }
            x = y;
        }
        x
    }
}

#[test]
fn outputs_and_weights_follow_the_equations_for_300_steps() {
    for (normalisation, size, gate) in [
        (Normalisation::Max, 0.3, 1.0),
        (Normalisation::Max, 2.0, 1.0),
        (Normalisation::Max, 2.0, 0.3),
        (Normalisation::None, 0.02, 1.0),
    ] {
        let mut network = network(1, size, normalisation);
        network.draw_weights(3, 0.1);
        let mut reference = Reference::of(&network, &genome(1, size), normalisation == Normalisation::Max);
        for step in 0..300 {
            let input = inputs(1, step);
            let expected = reference.step(&input, gate);
            let output = network.step(&input, &[gate as f32]).unwrap().to_vec();
            for (output, expected) in output.iter().zip(&expected) {
                assert!(
                    (f64::from(*output) - expected).abs() < 1e-4,
                    "{normalisation:?} {size} step {step}: {output} {expected}"
                );
            }
            let weights = reference.weights.iter().flatten().flatten();
            for (weight, expected) in network.weights().iter().zip(weights) {
                assert!(
                    (f64::from(*weight) - expected).abs() < 1e-4 * expected.abs().max(1.0),
                    "{normalisation:?} {size} step {step}"
                );
            }
        }
    }
}

#[test]
fn a_shut_gate_leaves_every_bit_of_the_weights() {
    let mut network = network(2, 1.0, Normalisation::Max);
    network.draw_weights(1, 0.1);
    network.step(&inputs(2, 0), &[1.0]).unwrap();
    let before: Vec<u32> = network.weights().iter().map(|weight| weight.to_bits()).collect();
    for step in 1..50 {
        network.step(&inputs(2, step), &[0.0]).unwrap();
        assert!(network.layers().iter().all(|layer| layer.change_mean == 0.0));
    }
    assert_eq!(before, network.weights().iter().map(|weight| weight.to_bits()).collect::<Vec<_>>());
}

#[test]
fn two_starts_end_in_the_same_weights_when_coefficients_are_large() {
    let (mut a, mut b) = (network(3, 2.0, Normalisation::Max), network(3, 2.0, Normalisation::Max));
    a.draw_weights(1, 0.1);
    b.draw_weights(2, 1.0);
    assert_ne!(a.weights(), b.weights());
    for step in 0..200 {
        a.step(&inputs(3, step), &[1.0]).unwrap();
        b.step(&inputs(3, step), &[1.0]).unwrap();
    }
    let apart = a.weights().iter().zip(b.weights()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(apart < 1e-4, "{apart}");
}

#[test]
fn constant_input_leads_to_a_fixed_point_and_zero_input_to_zero_output() {
    let mut network = network(4, 1.0, Normalisation::Max);
    network.draw_weights(1, 0.1);
    let input = inputs(4, 0);
    for _ in 0..2000 {
        network.step(&input, &[1.0]).unwrap();
    }
    let change = network.layers().iter().map(|layer| layer.change_mean).fold(0.0, f32::max);
    assert!(change < 1e-5, "{change}");

    let before = network.weights()[..NEURONS[0] * NEURONS[1]].to_vec();
    assert!(network.step(&[0.0; 5], &[1.0]).unwrap().iter().all(|&output| output == 0.0));
    assert_ne!(network.weights()[..before.len()], before[..], "the first layer still moves by eta D");
}

#[test]
fn without_normalisation_weights_of_large_rules_grow_without_bound() {
    let mut network = network(5, 2.0, Normalisation::None);
    network.draw_weights(1, 0.1);
    for step in 0..300 {
        network.step(&inputs(5, step), &[1.0]).unwrap();
    }
    assert!(network.layers().iter().any(|layer| layer.max_abs > 100.0));
}

proptest! {
    #[test]
    fn max_normalisation_makes_the_largest_weight_one_and_never_more(seed in 0u64..1000, size in 0.001f32..1e6, gate in 0.01f32..=1.0) {
        let mut network = network(seed, size, Normalisation::Max);
        network.draw_weights(seed, 0.1);
        for step in 0..10 {
            network.step(&inputs(seed, step), &[gate]).unwrap();
            for layer in network.layers() {
                prop_assert!(layer.max_abs <= 1.0 && layer.max_abs >= 1.0 - f32::EPSILON, "{}", layer.max_abs);
            }
            prop_assert!(network.weights().iter().all(|weight| weight.abs() <= 1.0));
        }
    }
}

#[test]
fn a_zero_rule_on_zero_weights_stays_zero_under_max_normalisation() {
    let mut network = network(6, 0.0, Normalisation::Max);
    network.draw_weights(0, 0.0);
    network.step(&inputs(6, 0), &[1.0]).unwrap();
    assert!(network.weights().iter().all(|&weight| weight == 0.0));
}
