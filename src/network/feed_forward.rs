//! The static layered network.

use super::dense::{add_product, receive, squash};
use super::error::{check, replace};
use super::{Baseline, NetworkError, Shape};

/// A static layered network, y = tanh(x W + b) on every layer, the output too: the feed-forward baseline of arXiv 2503.12406.
///
/// Genome: all weights, layer after layer, row-major \[inputs, outputs\]; then, with biases, all biases, layer after layer. Its
/// state is empty.
#[derive(Clone, Debug)]
pub struct FeedForward {
    shape: Shape,
    genome: Vec<f32>,
    /// Activities of all neurons, input layer first.
    activity: Vec<f32>,
    /// Sums of the layer at work.
    sums: Vec<f64>,
}

impl FeedForward {
    /// A network of `shape`; `biases` adds one to each neuron that is not an input (the paper's has none).
    ///
    /// # Errors
    /// [`NetworkError`] when `genome` does not hold [`FeedForward::parameters`] finite numbers.
    pub fn new(shape: Shape, biases: bool, genome: &[f32]) -> Result<Self, NetworkError> {
        check("genome", genome, Self::parameters(&shape, biases))?;
        let widest = shape.layers().map(|layer| layer.outputs).max().unwrap_or(0);
        let activity = vec![0.0; shape.neurons().iter().sum()];
        Ok(Self { shape, genome: genome.to_vec(), activity, sums: vec![0.0; widest] })
    }

    /// Numbers in the genome of a network of `shape`.
    pub fn parameters(shape: &Shape, biases: bool) -> usize {
        shape.synapses() + if biases { shape.neurons()[1..].iter().sum() } else { 0 }
    }
}

impl Baseline for FeedForward {
    fn genome(&self) -> &[f32] {
        &self.genome
    }

    fn set_genome(&mut self, genome: &[f32]) -> Result<(), NetworkError> {
        replace("genome", genome, &mut self.genome)
    }

    fn start(&mut self, _seed: u64) {}

    fn step(&mut self, input: &[f32]) -> &[f32] {
        receive(input, &mut self.activity[..self.shape.inputs()]);
        let (weights, mut biases) = self.genome.split_at(self.shape.synapses());
        let mut start = 0;
        for layer in self.shape.layers() {
            let (x, y) = self.activity[start..start + layer.inputs + layer.outputs].split_at_mut(layer.inputs);
            start += layer.inputs;
            let sums = &mut self.sums[..layer.outputs];
            match biases.split_at_checked(layer.outputs) {
                Some((bias, rest)) => {
                    sums.iter_mut().zip(bias).for_each(|(sum, &bias)| *sum = bias.into());
                    biases = rest;
                }
                None => sums.fill(0.0),
            }
            add_product(x, &weights[layer.range()], sums);
            squash(sums, y);
        }
        &self.activity[start..]
    }

    fn state(&self) -> &[f32] {
        &[]
    }

    fn load_state(&mut self, state: &[f32]) -> Result<(), NetworkError> {
        replace("state", state, &mut [])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The network's outputs, written down anew in f64.
    fn reference(neurons: &[usize], genome: &[f32], biases: bool, input: &[f32]) -> Vec<f64> {
        let mut weight = genome.iter().map(|&number| f64::from(number));
        let mut bias =
            genome.iter().skip(neurons.windows(2).map(|pair| pair[0] * pair[1]).sum()).map(|&number| f64::from(number));
        let mut x: Vec<f64> = input.iter().map(|&value| value.into()).collect();
        for &outputs in &neurons[1..] {
            let matrix: Vec<Vec<f64>> = x.iter().map(|_| weight.by_ref().take(outputs).collect()).collect();
            let sum = |j: usize| x.iter().zip(&matrix).map(|(x, row)| x * row[j]).sum::<f64>();
            x = (0..outputs).map(|j| (sum(j) + if biases { bias.next().unwrap() } else { 0.0 }).tanh()).collect();
        }
        x
    }

    #[test]
    fn outputs_are_those_of_the_formula_with_and_without_biases() {
        let neurons = [4, 6, 5, 3];
        let shape = Shape::new(neurons.to_vec()).unwrap();
        for biases in [false, true] {
            let genome: Vec<f32> = (0..FeedForward::parameters(&shape, biases)).map(|k| (k as f32 * 1.7).sin()).collect();
            let input = [0.3, -1.2, 0.0, 2.0];
            let mut network = FeedForward::new(shape.clone(), biases, &genome).unwrap();
            let expected = reference(&neurons, &genome, biases, &input);
            for (output, expected) in network.step(&input).iter().zip(expected) {
                assert!((f64::from(*output) - expected).abs() < 1e-6, "{output} {expected}");
            }
        }
    }

    #[test]
    fn the_beetle_network_has_the_papers_4352_parameters() {
        let shape = Shape::new(vec![27, 64, 32, 18]).unwrap();
        assert_eq!(FeedForward::parameters(&shape, false), 4352);
        assert_eq!(FeedForward::parameters(&shape, true), 4352 + 64 + 32 + 18);
        assert!(FeedForward::new(shape.clone(), true, &[0.1; 4352]).is_err());
        assert!(FeedForward::new(shape, false, &[0.1; 4352]).is_ok());
    }
}
