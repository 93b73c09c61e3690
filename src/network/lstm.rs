//! The recurrent baseline.

use rand::RngExt;

use super::dense::{add_product, receive, squash};
use super::error::{check, replace};
use super::{Baseline, NetworkError, Shape, tanh};
use crate::random::stream;

/// A chain of LSTM cells, each with an output layer that also reads the cell's input: the baseline of arXiv 2503.12406's code.
///
/// With input x, hidden state h, cell state c and the logistic function s, each cell computes
///
/// ```text
/// [i f g o] = x W_x + h W_h + b
/// c' = s(f) c + s(i) tanh(g)
/// h' = s(o) tanh(c')
/// y  = tanh([x h'] W_y)
/// ```
///
/// and y is the input of the next cell within the same step.
///
/// Genome: cell after cell; of each W_x \[inputs, 4 hidden\], W_h \[hidden, 4 hidden\], b \[4 hidden\], W_y \[inputs + hidden,
/// outputs\], row-major, the columns of the gates i, f, g, o one block after the other. State: cell after cell, h then c.
#[derive(Clone, Debug)]
pub struct Lstm {
    layers: Shape,
    hidden: Vec<usize>,
    initial_state: f32,
    genome: Vec<f32>,
    state: Vec<f32>,
    /// Input of the network and outputs of all cells.
    activity: Vec<f32>,
    /// Sums of the gates or outputs at work.
    sums: Vec<f64>,
}

impl Lstm {
    /// One cell per layer of `layers`, each with its `hidden` units: `[27, 18]` with `[27]` is one cell of 6,912 parameters.
    /// Episodes start from zero states; see [`Lstm::with_initial_state`].
    ///
    /// # Errors
    /// [`NetworkError`] when there is not one hidden size of 1 to [`Shape::LARGEST_LAYER`] per cell, or `genome` does not hold
    /// [`Lstm::parameters`] finite numbers.
    pub fn new(layers: Shape, hidden: Vec<usize>, genome: &[f32]) -> Result<Self, NetworkError> {
        let cells = layers.layers().len();
        if hidden.len() != cells || !hidden.iter().all(|size| (1..=Shape::LARGEST_LAYER).contains(size)) {
            return Err(NetworkError::Hidden { given: hidden, cells });
        }
        check("genome", genome, Self::parameters(&layers, &hidden))?;
        let widest = layers.layers().zip(&hidden).map(|(cell, hidden)| cell.outputs.max(4 * hidden)).max().unwrap_or(0);
        Ok(Self {
            initial_state: 0.0,
            genome: genome.to_vec(),
            state: vec![0.0; 2 * hidden.iter().sum::<usize>()],
            activity: vec![0.0; layers.neurons().iter().sum()],
            sums: vec![0.0; widest],
            layers,
            hidden,
        })
    }

    /// Lets [`Baseline::start`] draw all states from U(-`bound`, `bound`).
    ///
    /// # Errors
    /// [`NetworkError::InitialState`] unless `bound` is from 0 to 1, the range of h.
    pub fn with_initial_state(self, bound: f32) -> Result<Self, NetworkError> {
        if !(0.0..=1.0).contains(&bound) {
            return Err(NetworkError::InitialState { given: bound });
        }
        Ok(Self { initial_state: bound, ..self })
    }

    /// Numbers in the genome of cells that [`Lstm::new`] accepts: 4 (n_i + n_h) n_h + 4 n_h + (n_i + n_h) n_o for each.
    pub fn parameters(layers: &Shape, hidden: &[usize]) -> usize {
        let cells = layers.layers().zip(hidden);
        cells.map(|(cell, hidden)| (cell.inputs + hidden) * (4 * hidden + cell.outputs) + 4 * hidden).sum()
    }
}

impl Baseline for Lstm {
    fn genome(&self) -> &[f32] {
        &self.genome
    }

    fn set_genome(&mut self, genome: &[f32]) -> Result<(), NetworkError> {
        replace("genome", genome, &mut self.genome)
    }

    fn start(&mut self, seed: u64) {
        let mut random = stream(seed, "initial LSTM state", &[]);
        self.state.fill_with(|| self.initial_state * random.random_range(-1.0..=1.0));
    }

    fn step(&mut self, input: &[f32]) -> &[f32] {
        receive(input, &mut self.activity[..self.layers.inputs()]);
        let (mut genome, mut states, mut start) = (&self.genome[..], &mut self.state[..], 0);
        for (cell, &hidden) in self.layers.layers().zip(&self.hidden) {
            let (x, y) = self.activity[start..start + cell.inputs + cell.outputs].split_at_mut(cell.inputs);
            start += cell.inputs;
            let (state, other_states) = states.split_at_mut(2 * hidden);
            states = other_states;
            let (h, c) = state.split_at_mut(hidden);

            let gates = &mut self.sums[..4 * hidden];
            let [input_weights, recurrent_weights] = [cell.inputs, hidden].map(|inputs| take(&mut genome, inputs * 4 * hidden));
            gates.iter_mut().zip(take(&mut genome, 4 * hidden)).for_each(|(gate, &bias)| *gate = bias.into());
            add_product(x, input_weights, gates);
            add_product(h, recurrent_weights, gates);
            for (unit, (h, c)) in h.iter_mut().zip(c).enumerate() {
                let [i, f, g, o] = [0, 1, 2, 3].map(|gate| gates[gate * hidden + unit] as f32);
                *c = logistic(f) * *c + logistic(i) * tanh(g);
                *h = logistic(o) * tanh(*c);
            }

            let outputs = &mut self.sums[..cell.outputs];
            outputs.fill(0.0);
            add_product(x, take(&mut genome, cell.inputs * cell.outputs), outputs);
            add_product(h, take(&mut genome, hidden * cell.outputs), outputs);
            squash(outputs, y);
        }
        &self.activity[start..]
    }

    fn state(&self) -> &[f32] {
        &self.state
    }

    fn load_state(&mut self, state: &[f32]) -> Result<(), NetworkError> {
        replace("state", state, &mut self.state)
    }
}

/// The first `count` numbers of `genome`, which then begins behind them.
fn take<'a>(genome: &mut &'a [f32], count: usize) -> &'a [f32] {
    let (part, rest) = genome.split_at(count);
    *genome = rest;
    part
}

/// 1 / (1 + exp(-x)), by `tanh`: one transcendental function, the same bits on every machine.
fn logistic(x: f32) -> f32 {
    0.5 + 0.5 * tanh(0.5 * x)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(neurons: &[usize]) -> Shape {
        Shape::new(neurons.to_vec()).unwrap()
    }

    fn genome(count: usize, size: f32) -> Vec<f32> {
        (0..count).map(|k| size * (k as f32 * 1.7).sin()).collect()
    }

    /// The cells in f64, written down anew: each parameter is addressed by its index in the genome.
    struct Reference {
        neurons: Vec<usize>,
        genome: Vec<f64>,
        h: Vec<Vec<f64>>,
        c: Vec<Vec<f64>>,
    }

    impl Reference {
        fn new(neurons: &[usize], hidden: &[usize], genome: &[f32]) -> Self {
            let zeros: Vec<_> = hidden.iter().map(|&size| vec![0.0; size]).collect();
            let genome = genome.iter().map(|&number| number.into()).collect();
            Self { neurons: neurons.to_vec(), genome, h: zeros.clone(), c: zeros }
        }

        fn step(&mut self, input: &[f32]) -> Vec<f64> {
            let logistic = |x: f64| 1.0 / (1.0 + (-x).exp());
            let mut x: Vec<f64> = input.iter().map(|&value| value.into()).collect();
            let mut start = 0;
            for cell in 0..self.h.len() {
                let (n_i, n_h, n_o) = (x.len(), self.h[cell].len(), self.neurons[cell + 1]);
                let p = &self.genome[start..];
                let sum = |gate: usize, unit: usize| {
                    let column = gate * n_h + unit;
                    let mut sum = p[(n_i + n_h) * 4 * n_h + column];
                    for (row, value) in x.iter().chain(&self.h[cell]).enumerate() {
                        sum += value * p[row * 4 * n_h + column];
                    }
                    sum
                };
                let unit = |j: usize| {
                    let c = logistic(sum(1, j)) * self.c[cell][j] + logistic(sum(0, j)) * sum(2, j).tanh();
                    (c, logistic(sum(3, j)) * c.tanh())
                };
                let (c, h): (Vec<_>, Vec<_>) = (0..n_h).map(unit).unzip();
                let read: Vec<f64> = x.iter().chain(&h).copied().collect();
                let output = (n_i + n_h + 1) * 4 * n_h;
                let y = |j: usize| read.iter().enumerate().map(|(row, v)| v * p[output + row * n_o + j]).sum::<f64>().tanh();
                x = (0..n_o).map(y).collect();
                (self.c[cell], self.h[cell]) = (c, h);
                start += output + (n_i + n_h) * n_o;
            }
            assert_eq!((start, x.len()), (self.genome.len(), *self.neurons.last().unwrap()));
            x
        }
    }

    #[test]
    fn outputs_and_states_are_those_of_the_formula() {
        for (neurons, hidden) in [(vec![4, 3], vec![5]), (vec![4, 6, 2, 3], vec![5, 1, 7])] {
            let genome = genome(Lstm::parameters(&shape(&neurons), &hidden), 0.8);
            let mut reference = Reference::new(&neurons, &hidden, &genome);
            let mut network = Lstm::new(shape(&neurons), hidden, &genome).unwrap();
            for step in 0..50 {
                let input = [0.2, 0.5, 1.1, 2.3].map(|rate| (rate * step as f32).sin());
                let expected = reference.step(&input);
                for (output, expected) in network.step(&input).iter().zip(expected) {
                    assert!((f64::from(*output) - expected).abs() < 1e-5, "{output} {expected}");
                }
                let states = reference.h.iter().zip(&reference.c).flat_map(|(h, c)| h.iter().chain(c));
                for (state, expected) in network.state().iter().zip(states) {
                    assert!((f64::from(*state) - expected).abs() < 1e-5, "{state} {expected}");
                }
            }
        }
    }

    #[test]
    fn parameter_counts_are_the_papers() {
        let parameters = |neurons: &[usize], hidden: &[usize]| Lstm::parameters(&shape(neurons), hidden);
        assert_eq!(parameters(&[27, 18], &[27]), 6_912);
        assert_eq!(parameters(&[27, 18], &[60]), 22_686);
        assert_eq!(parameters(&[27, 18], &[100]), 53_486);
        assert_eq!(parameters(&[27, 27, 27, 18], &[27, 27, 27]), 21_708);
    }

    #[test]
    fn hidden_sizes_must_fit_the_cells() {
        for hidden in [vec![], vec![3, 3], vec![0], vec![100_000]] {
            assert!(matches!(Lstm::new(shape(&[2, 1]), hidden, &[]), Err(NetworkError::Hidden { cells: 1, .. })));
        }
    }

    #[test]
    fn states_start_at_zero_or_anywhere_within_the_bound() {
        let network = || Lstm::new(shape(&[2, 1]), vec![50], &genome(Lstm::parameters(&shape(&[2, 1]), &[50]), 1.0)).unwrap();
        let mut zero = network();
        zero.step(&[1.0, -1.0]);
        zero.start(3);
        assert!(zero.state().iter().all(|&state| state == 0.0));

        let mut drawn = network().with_initial_state(0.1).unwrap();
        drawn.start(3);
        let first = drawn.state().to_vec();
        assert!(first.iter().all(|state| state.abs() <= 0.1) && first.iter().any(|state| state.abs() > 0.09));
        drawn.start(4);
        assert_ne!(drawn.state(), first);

        for bound in [-0.1, 1.5, f32::NAN] {
            assert!(matches!(network().with_initial_state(bound), Err(NetworkError::InitialState { .. })));
        }
    }

    #[test]
    fn with_zero_parameters_the_cell_state_halves_and_the_output_stays_zero() {
        let mut network = Lstm::new(shape(&[2, 1]), vec![1], &[0.0; 19]).unwrap();
        network.load_state(&[0.0, 1.0]).unwrap();
        for step in 1..10 {
            assert_eq!(network.step(&[3.0, -2.0]), [0.0]);
            assert_eq!(network.state()[1], 0.5f32.powi(step));
        }
    }
}
