//! What all baselines have in common.

use super::NetworkError;
use super::error::check_length;

/// A network whose parameters, unlike a plastic network's weights, stay as they are in life.
///
/// No method of it allocates, and none panics. Finite inputs give finite outputs within -1 to 1, however large the genome's
/// numbers are.
pub trait Baseline {
    /// All parameters in the order that the network documents.
    fn genome(&self) -> &[f32];

    /// Replaces all parameters; the state stays.
    ///
    /// # Errors
    /// [`NetworkError`] when the length does not fit or a number is not finite; the network then keeps what it has.
    fn set_genome(&mut self, genome: &[f32]) -> Result<(), NetworkError>;

    /// Forgets all that came before: the start of the episode `seed`.
    fn start(&mut self, seed: u64);

    /// One control step: the outputs, each within -1 to 1, for `input`. Missing inputs count as 0.
    fn step(&mut self, input: &[f32]) -> &[f32];

    /// All that changes in life, in the order that the network documents.
    fn state(&self) -> &[f32];

    /// Continues from a state that was saved, bit by bit.
    ///
    /// # Errors
    /// [`NetworkError`] when the length does not fit or a number is not finite; the network then keeps the state it has.
    fn load_state(&mut self, state: &[f32]) -> Result<(), NetworkError>;

    /// Numbers in the state.
    fn state_len(&self) -> usize {
        self.state().len()
    }

    /// Copies the state to `buffer`.
    ///
    /// # Errors
    /// [`NetworkError::Length`] unless the buffer holds [`Baseline::state_len`] numbers; it is then unchanged.
    fn save_state(&self, buffer: &mut [f32]) -> Result<(), NetworkError> {
        check_length("state buffer", buffer.len(), self.state_len())?;
        buffer.copy_from_slice(self.state());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{FeedForward, History, Lstm, Shape};
    use super::*;
    use crate::random::stream;
    use proptest::prelude::*;
    use rand::RngExt;

    /// One of each kind, the genome of `count` numbers made by `genome(count)`.
    fn all(mut genome: impl FnMut(usize) -> Vec<f32>) -> Vec<Box<dyn Baseline>> {
        let shape = Shape::new(vec![3, 5, 2]).unwrap();
        let [plain, biased] = [false, true].map(|biases| {
            let genome = genome(FeedForward::parameters(&shape, biases));
            FeedForward::new(shape.clone(), biases, &genome).unwrap()
        });
        let hidden = vec![4, 3];
        let parameters = genome(Lstm::parameters(&shape, &hidden));
        let lstm = Lstm::new(shape.clone(), hidden, &parameters).unwrap().with_initial_state(0.1).unwrap();
        let history = History::new(shape.clone(), 4, &genome(History::parameters(&shape, 4))).unwrap();
        vec![Box::new(plain), Box::new(biased), Box::new(lstm), Box::new(history)]
    }

    fn random(count: usize) -> Vec<f32> {
        let mut random = stream(count as u64, "test genome", &[]);
        (0..count).map(|_| random.random_range(-1.0..=1.0)).collect()
    }

    fn run(network: &mut dyn Baseline, steps: std::ops::Range<usize>) -> Vec<u32> {
        let input = |step: usize| [0.1, 0.7, 1.3].map(|rate| (rate * step as f32).sin());
        steps.flat_map(|step| network.step(&input(step)).iter().map(|y| y.to_bits()).collect::<Vec<_>>()).collect()
    }

    #[test]
    fn an_episode_is_a_function_of_its_seed() {
        for mut network in all(random) {
            network.start(7);
            let first = run(&mut *network, 0..20);
            network.start(7);
            assert_eq!(run(&mut *network, 0..20), first);
        }
    }

    #[test]
    fn a_loaded_state_continues_with_the_same_bits() {
        for (mut network, mut other) in all(random).into_iter().zip(all(random)) {
            network.start(1);
            run(&mut *network, 0..13);
            let mut state = vec![0.0; network.state_len()];
            network.save_state(&mut state).unwrap();
            let rest = run(&mut *network, 13..30);
            network.load_state(&state).unwrap();
            assert_eq!(run(&mut *network, 13..30), rest);
            other.load_state(&state).unwrap();
            assert_eq!(run(&mut *other, 13..30), rest);
        }
    }

    #[test]
    fn a_refused_genome_or_state_changes_nothing() {
        for (mut network, mut untouched) in all(random).into_iter().zip(all(random)) {
            let mut damaged = random(network.genome().len());
            damaged[3] = f32::NAN;
            assert!(matches!(network.set_genome(&damaged), Err(NetworkError::NotFinite { what: "genome", index: 3, .. })));
            assert!(matches!(network.set_genome(&damaged[1..]), Err(NetworkError::Length { what: "genome", .. })));
            let long = vec![0.5; network.state_len() + 1];
            assert!(matches!(network.load_state(&long), Err(NetworkError::Length { what: "state", .. })));
            assert!(matches!(network.save_state(&mut long.clone()), Err(NetworkError::Length { what: "state buffer", .. })));
            assert!(network.state_len() == 0 || network.load_state(&vec![f32::INFINITY; network.state_len()]).is_err());
            assert_eq!(run(&mut *network, 0..10), run(&mut *untouched, 0..10));
        }
    }

    #[test]
    fn a_new_genome_keeps_the_state() {
        for mut network in all(random) {
            run(&mut *network, 0..5);
            let state = network.state().to_vec();
            network.set_genome(&vec![0.25; network.genome().len()]).unwrap();
            assert_eq!(network.state(), state);
            assert!(network.genome().iter().all(|&parameter| parameter == 0.25));
        }
    }

    #[test]
    fn missing_inputs_count_as_zero_and_surplus_ones_as_nothing() {
        for (mut network, mut other) in all(random).into_iter().zip(all(random)) {
            assert_eq!(network.step(&[0.5]), other.step(&[0.5, 0.0, 0.0, 9.0]));
        }
    }

    /// Every finite f32, and the extremes often.
    fn extreme() -> impl Strategy<Value = f32> {
        use proptest::num::f32::{NEGATIVE, NORMAL, POSITIVE, SUBNORMAL, ZERO};
        let extremes = prop::sample::select(vec![f32::MAX, f32::MIN, f32::MIN_POSITIVE, f32::from_bits(1), -1.0, 0.0]);
        prop_oneof![POSITIVE | NEGATIVE | NORMAL | SUBNORMAL | ZERO, extremes]
    }

    proptest! {
        #[test]
        fn outputs_and_states_stay_finite_with_the_largest_finite_numbers(
            numbers in prop::collection::vec(extreme(), 250),
            inputs in prop::collection::vec(prop::array::uniform3(extreme()), 8),
        ) {
            for mut network in all(|count| numbers.iter().copied().cycle().take(count).collect()) {
                network.load_state(&numbers[..network.state_len()]).unwrap();
                for input in &inputs {
                    prop_assert!(network.step(input).iter().all(|output| output.abs() <= 1.0));
                    prop_assert!(network.state().iter().all(|value| value.is_finite()));
                }
            }
        }
    }
}
