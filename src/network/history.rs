//! The memory-matched control.

use super::dense::receive;
use super::error::replace;
use super::{Baseline, FeedForward, NetworkError, Shape};

/// A static network without biases that reads its last observations, newest first, zeros before the start.
///
/// It answers an open question about arXiv 2503.12406: do plastic weights adapt, or are they a recurrent state? With max
/// normalisation an evolved weight keeps about 3 % of itself per step, so the weights are close to a function of the last few
/// inputs. A network that sees those inputs and evolves as many parameters ([`History::matched_steps`]), but changes no weight,
/// has all that such a state could hold; only what the plastic network does better than this one can speak for plasticity.
///
/// Genome: that of a [`FeedForward`] whose first layer has observation x steps inputs. State: the window, newest observation
/// first.
#[derive(Clone, Debug)]
pub struct History {
    network: FeedForward,
    observation: usize,
    window: Vec<f32>,
}

impl History {
    /// A network of `shape` (one observation, hidden layers, outputs) that reads `steps` observations, the present one included.
    ///
    /// # Errors
    /// [`NetworkError`] when `steps` is 0, the window exceeds [`Shape::LARGEST_LAYER`], or `genome` does not hold
    /// [`History::parameters`] finite numbers.
    pub fn new(shape: Shape, steps: usize, genome: &[f32]) -> Result<Self, NetworkError> {
        let observation = shape.inputs();
        let mut neurons = Vec::from(shape);
        neurons[0] = observation.saturating_mul(steps);
        let network = FeedForward::new(Shape::new(neurons)?, false, genome)?;
        Ok(Self { network, observation, window: vec![0.0; observation * steps] })
    }

    /// Numbers in the genome of a network of `shape` that reads `steps` observations.
    pub fn parameters(shape: &Shape, steps: usize) -> usize {
        let [observation, first] = [shape.neurons()[0], shape.neurons()[1]];
        (observation * first).saturating_mul(steps).saturating_add(shape.synapses() - observation * first)
    }

    /// The number of steps, at least 1, that brings the genome closest to `parameters` numbers; the fewer of two that are as
    /// close.
    ///
    /// `observation` is the length of one, `hidden_and_out` the neurons of the layers behind it. To the 21,760 coefficients of
    /// the 27-64-32-18 rule, 11 steps with their 21,632 parameters come closest.
    pub fn matched_steps(observation: usize, hidden_and_out: &[usize], parameters: usize) -> usize {
        let per_step = observation.saturating_mul(hidden_and_out.first().copied().unwrap_or(0)).max(1);
        let behind = hidden_and_out.windows(2).fold(0, |sum: usize, pair| sum.saturating_add(pair[0].saturating_mul(pair[1])));
        let room = parameters.saturating_sub(behind);
        (room / per_step + usize::from(room % per_step > per_step / 2)).max(1)
    }
}

impl Baseline for History {
    fn genome(&self) -> &[f32] {
        self.network.genome()
    }

    fn set_genome(&mut self, genome: &[f32]) -> Result<(), NetworkError> {
        self.network.set_genome(genome)
    }

    fn start(&mut self, _seed: u64) {
        self.window.fill(0.0);
    }

    fn step(&mut self, input: &[f32]) -> &[f32] {
        // Shifting costs a small part of what the first layer does, and keeps the state free of a ring's position.
        let older = self.window.len() - self.observation;
        self.window.copy_within(..older, self.observation);
        receive(input, &mut self.window[..self.observation]);
        self.network.step(&self.window)
    }

    fn state(&self) -> &[f32] {
        &self.window
    }

    fn load_state(&mut self, state: &[f32]) -> Result<(), NetworkError> {
        replace("state", state, &mut self.window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(neurons: &[usize]) -> Shape {
        Shape::new(neurons.to_vec()).unwrap()
    }

    #[test]
    fn it_is_a_static_network_of_the_last_observations_newest_first() {
        let shape = shape(&[2, 4, 3]);
        let genome: Vec<f32> = (0..History::parameters(&shape, 3)).map(|k| (k as f32 * 1.7).sin()).collect();
        let mut history = History::new(shape, 3, &genome).unwrap();
        let mut plain = FeedForward::new(Shape::new(vec![6, 4, 3]).unwrap(), false, &genome).unwrap();
        let mut window = [0.0; 6];
        for observation in [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]] {
            window = [observation[0], observation[1], window[0], window[1], window[2], window[3]];
            assert_eq!(history.step(&observation), plain.step(&window));
            assert_eq!(history.state(), window);
        }
        history.start(0);
        assert_eq!(history.state(), [0.0; 6]);
    }

    #[test]
    fn one_step_is_the_plain_network() {
        let beetle = shape(&[27, 64, 32, 18]);
        assert_eq!(History::parameters(&beetle, 1), beetle.synapses());
    }

    #[test]
    fn matched_steps_come_closest_to_the_parameters_wanted() {
        assert_eq!(History::matched_steps(27, &[64, 32, 18], 21_760), 11);
        assert_eq!(History::parameters(&shape(&[27, 64, 32, 18]), 11), 21_632);
        for neurons in [[3, 5, 2], [2, 3, 4]] {
            let distance = |steps: usize, wanted: usize| History::parameters(&shape(&neurons), steps).abs_diff(wanted);
            for wanted in 0..200 {
                let closest = (1..40).min_by_key(|&steps| distance(steps, wanted)).unwrap();
                assert_eq!(History::matched_steps(neurons[0], &neurons[1..], wanted), closest, "{neurons:?} {wanted}");
            }
        }
        assert_eq!([History::matched_steps(0, &[], 0), History::matched_steps(3, &[0, 0], 0)], [1, 1]);
    }

    #[test]
    fn windows_without_steps_or_beyond_the_largest_layer_are_refused() {
        for steps in [0, 10_000, usize::MAX] {
            assert!(matches!(History::new(shape(&[3, 2]), steps, &[]), Err(NetworkError::Shape(_))));
        }
    }
}
