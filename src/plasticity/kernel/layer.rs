//! One layer's memory, and the choice of how a step is carried out.

use super::lanes::{Aligned, LANES, Lanes, Row, lanes};
use super::pass::{Deviation, Gather, Instructions, Pass, Pending, Step, Tiles, Update, UpdateOnly};
use crate::network::Layer;
use crate::plasticity::{Normalisation, Term};

/// Bounds below which single precision cannot overflow, squares and sums over the largest layers included.
const SAFE: f32 = 1e15;
/// Largest |v| below which 1 / |v| overflows; so small a layer is normalised in double precision.
const SMALLEST_DIVISOR: f32 = 1e-37;

/// Weights and coefficients of one layer, in tiles of eight columns.
#[derive(Clone, Debug)]
pub(in crate::plasticity) struct KernelLayer {
    pub(super) rows: usize,
    pub(super) columns: usize,
    /// Not yet normalised weights: W = (v - mean) scale.
    pub(super) weights: Vec<Row>,
    /// eta A, eta B, eta C, eta D.
    pub(super) coefficients: Vec<Aligned<[Lanes; 4]>>,
    pub(super) gathered: Vec<Lanes>,
    /// Sum of |W| that [`Normalisation::Mass`] keeps.
    pub(super) mass: f32,
    mean: f32,
    scale: Vec<Lanes>,
    /// Whether `mean` and `scale` change nothing.
    is_settled: bool,
    /// Bound of |W|.
    limit: f32,
    /// Largest |coefficient| of each term.
    strength: [f32; 4],
    normalisation: Normalisation,
    instructions: Instructions,
}

impl KernelLayer {
    /// A layer of zeros.
    pub(in crate::plasticity) fn new(layer: &Layer, normalisation: Normalisation, instructions: Instructions) -> Self {
        let (rows, columns) = (layer.inputs, layer.outputs);
        let tiles = columns.div_ceil(LANES);
        let mut new = Self {
            rows,
            columns,
            weights: vec![Row::default(); rows * tiles],
            coefficients: vec![Aligned::default(); rows * tiles],
            gathered: vec![[0.0; LANES]; tiles],
            mass: 0.0,
            mean: 0.0,
            scale: vec![[0.0; LANES]; tiles],
            is_settled: true,
            limit: 0.0,
            strength: [0.0; 4],
            normalisation,
            instructions,
        };
        new.set_settled();
        new
    }

    pub(in crate::plasticity) fn set_instructions(&mut self, instructions: Instructions) {
        self.instructions = instructions;
    }

    /// Sets a coefficient of the synapse `index` (row-major). To be followed by eta for all synapses, then by [`Self::fold`].
    pub(in crate::plasticity) fn set_coefficient(&mut self, index: usize, term: Term, value: f32) {
        let (tile, lane) = self.place(index);
        match term {
            Term::Eta => {
                for coefficient in self.coefficients[tile].iter_mut() {
                    coefficient[lane] = super::careful::saturate(f64::from(coefficient[lane]) * f64::from(value));
                }
            }
            term => self.coefficients[tile][term as usize][lane] = value,
        }
    }

    /// Takes the coefficients as they are now for complete.
    pub(in crate::plasticity) fn fold(&mut self) {
        self.strength = [0.0; 4];
        for coefficients in &self.coefficients {
            for (strength, coefficient) in self.strength.iter_mut().zip(&coefficients.0) {
                *strength = coefficient.iter().fold(*strength, |largest, value| largest.max(value.abs()));
            }
        }
    }

    /// Replaces the weights (row-major) and what [`Normalisation::Mass`] keeps.
    pub(in crate::plasticity) fn set_weights(&mut self, weights: &[f32], mass: f32) {
        for (index, &weight) in weights.iter().enumerate().take(self.rows * self.columns) {
            let (tile, lane) = self.place(index);
            self.weights[tile][lane] = weight;
        }
        self.set_settled();
        self.mass = mass;
        let largest = largest(weights);
        self.limit = largest.max(self.normalised_limit(largest));
    }

    /// Copies the weights W (row-major).
    pub(in crate::plasticity) fn copy_weights(&self, out: &mut [f32]) {
        for (index, out) in out.iter_mut().enumerate().take(self.rows * self.columns) {
            let (tile, lane) = self.place(index);
            *out = (self.weights[tile][lane] - self.mean) * self.scale[tile / self.rows][lane];
        }
    }

    /// Sum of |W| that [`Normalisation::Mass`] keeps.
    pub(in crate::plasticity) fn mass(&self) -> f32 {
        self.mass
    }

    /// y = tanh(x W) and, with a `gate`, the update and normalisation by these activities. `x` has `rows` numbers of at most
    /// `x_limit`, `y` a place for each tile.
    pub(in crate::plasticity) fn step(&mut self, x: &[f32], x_limit: f32, y: &mut [Lanes], gate: Option<f32>) {
        if self.rows as f32 * x_limit * self.limit > SAFE || x_limit > SAFE {
            self.settle();
            self.careful_forward(x, y);
            if let Some(gate) = gate {
                self.update(x, x_limit, y, gate);
            }
            return;
        }
        let gather = self.gather();
        let update = gate.filter(|&gate| self.is_safe(x_limit, gate)).map(|gate| Update { gate, gather });
        let instructions = self.instructions;
        let tiles = Tiles { weights: &mut self.weights, coefficients: &self.coefficients, gathered: &mut self.gathered };
        let pending = Pending { mean: self.mean, scale: &self.scale };
        Step { tiles, pending, x, y: &mut *y, update }.dispatch(self.rows, instructions);
        // What the pass did not leave to the next one is done; `max` sets its scale anew in any case.
        let sets_scale = update.is_some() && self.normalisation == Normalisation::Max;
        if !self.is_settled && !sets_scale {
            self.set_settled();
        }
        match (gate, update) {
            (Some(_), Some(_)) => self.normalise(),
            (Some(gate), None) => self.update(x, x_limit, y, gate),
            (None, _) => (),
        }
    }

    /// Update and normalisation by the activities `x` and `y`, of weights that a step has just read.
    pub(in crate::plasticity) fn update(&mut self, x: &[f32], x_limit: f32, y: &[Lanes], gate: f32) {
        self.settle();
        if !self.is_safe(x_limit, gate) {
            self.careful_update(x, y, gate, self.normalisation);
            self.limit = self.normalised_limit(self.largest_weight());
            return;
        }
        let update = Update { gate, gather: self.gather() };
        let instructions = self.instructions;
        let tiles = Tiles { weights: &mut self.weights, coefficients: &self.coefficients, gathered: &mut self.gathered };
        UpdateOnly { tiles, x, y, update }.dispatch(self.rows, instructions);
        self.normalise();
    }

    /// Carries a pending normalisation out. Same bits as when the next step does it.
    pub(in crate::plasticity) fn settle(&mut self) {
        if self.is_settled {
            return;
        }
        for (index, v) in self.weights.iter_mut().enumerate() {
            let scale = &self.scale[index / self.rows];
            for k in 0..LANES {
                v[k] = (v[k] - self.mean) * scale[k];
            }
        }
        self.set_settled();
    }

    /// The memory of the weights, after [`Self::settle`].
    pub(in crate::plasticity) fn settled(&self) -> &[Row] {
        &self.weights
    }

    /// Puts settled weights back that were copied before.
    pub(in crate::plasticity) fn restore(&mut self, settled: &[Row]) {
        self.weights.copy_from_slice(settled);
        self.set_settled();
        self.limit = self.normalised_limit(self.largest_weight()).max(self.largest_weight());
    }

    /// Whether an update cannot overflow single precision.
    fn is_safe(&self, x: f32, gate: f32) -> bool {
        let [a, b, c, d] = self.strength;
        // |y| <= 1.
        let largest = self.limit + gate * ((a + b) * x + c + d);
        x <= SAFE && (a + b) * x <= SAFE && largest <= SAFE
    }

    fn gather(&self) -> Gather {
        match self.normalisation {
            Normalisation::Max | Normalisation::NeuronMax | Normalisation::None => Gather::Largest,
            Normalisation::Clip => Gather::Clip,
            Normalisation::Standardize => Gather::Sum,
            Normalisation::Mass => Gather::Mass,
        }
    }

    /// Turns what an update gathered into the pending normalisation.
    fn normalise(&mut self) {
        // These two leave nothing to the next pass.
        self.is_settled = matches!(self.normalisation, Normalisation::Clip | Normalisation::None);
        match self.normalisation {
            Normalisation::Clip => (),
            Normalisation::None => self.limit = self.gathered_largest(),
            Normalisation::Max => {
                let largest = self.gathered_largest();
                if largest >= SMALLEST_DIVISOR {
                    self.set_scale(1.0 / largest);
                } else {
                    self.set_scale(1.0);
                    if largest > 0.0 {
                        self.multiply(1.0 / f64::from(largest));
                    }
                }
            }
            Normalisation::NeuronMax => {
                if self.gathered.iter().flatten().any(|&largest| largest > 0.0 && largest < SMALLEST_DIVISOR) {
                    self.divide_columns();
                } else {
                    for (scale, gathered) in self.scale.iter_mut().zip(&self.gathered) {
                        for (scale, &largest) in scale.iter_mut().zip(gathered) {
                            if largest > 0.0 {
                                *scale = 1.0 / largest;
                            }
                        }
                    }
                }
            }
            Normalisation::Mass => {
                let mass = self.gathered_sum();
                let scale = f64::from(self.mass) / mass;
                if mass > 0.0 && scale <= f64::from(SAFE) {
                    self.set_scale(scale as f32);
                } else if mass > 0.0 {
                    self.multiply(scale);
                }
            }
            Normalisation::Standardize => {
                let count = (self.rows * self.columns) as f64;
                self.mean = (self.gathered_sum() / count) as f32;
                let mean = self.mean;
                let instructions = self.instructions;
                let tiles = Tiles { weights: &mut self.weights, coefficients: &self.coefficients, gathered: &mut self.gathered };
                Deviation { tiles, mean }.dispatch(self.rows, instructions);
                let variance = self.gathered_sum() / (count - 1.0).max(1.0);
                self.set_scale((1.0 / (variance + Normalisation::VARIANCE_FLOOR).sqrt()) as f32);
            }
        }
        self.limit = self.normalised_limit(self.limit);
    }

    /// Bound of |W| after an update, given the largest |W| where the normalisation sets none.
    fn normalised_limit(&self, largest: f32) -> f32 {
        match self.normalisation {
            Normalisation::Max | Normalisation::Clip | Normalisation::NeuronMax => 1.0,
            Normalisation::None => largest,
            // All but one number alike: that one is (n - 1) / sqrt(n) standard deviations away.
            Normalisation::Standardize => ((self.rows * self.columns) as f32).sqrt(),
            Normalisation::Mass => self.mass * 1.001,
        }
    }

    fn gathered_largest(&self) -> f32 {
        // None is negative or NaN, so that one comparison each is enough.
        let larger = |a: f32, b: f32| if a > b { a } else { b };
        let lanes = self.gathered.iter().fold([0.0; LANES], |largest, tile| lanes!(|k| larger(tile[k], largest[k])));
        let [a, b, c, d, e, f, g, h] = lanes;
        larger(larger(larger(a, e), larger(b, f)), larger(larger(c, g), larger(d, h)))
    }

    /// Sum of `gathered` over the columns that exist.
    fn gathered_sum(&self) -> f64 {
        let tile = |(tile, gathered): (usize, &Lanes)| {
            gathered[..self.used_lanes(tile)].iter().map(|&value| f64::from(value)).sum::<f64>()
        };
        self.gathered.iter().enumerate().map(tile).sum()
    }

    fn multiply(&mut self, factor: f64) {
        for v in self.weights.iter_mut().flat_map(|row| &mut row.0) {
            *v = super::careful::saturate(f64::from(*v) * factor);
        }
    }

    fn divide_columns(&mut self) {
        for (index, v) in self.weights.iter_mut().enumerate() {
            let largest = &self.gathered[index / self.rows];
            for (v, &largest) in v.iter_mut().zip(largest) {
                if largest > 0.0 {
                    *v = (f64::from(*v) / f64::from(largest)) as f32;
                }
            }
        }
    }

    fn set_settled(&mut self) {
        self.mean = 0.0;
        self.set_scale(1.0);
        self.is_settled = true;
    }

    /// The same scale for all columns that exist.
    fn set_scale(&mut self, scale: f32) {
        let used = self.used_lanes(self.gathered.len() - 1);
        if let Some((last, whole)) = self.scale.split_last_mut() {
            whole.fill([scale; LANES]);
            last[..used].fill(scale);
        }
    }

    /// Columns of a tile that exist.
    pub(super) fn used_lanes(&self, tile: usize) -> usize {
        (self.columns - tile * LANES).min(LANES)
    }

    pub(super) fn clear_padding(&mut self) {
        let last = self.gathered.len() - 1;
        let used = self.used_lanes(last);
        for v in &mut self.weights[last * self.rows..] {
            v[used..].fill(0.0);
        }
    }

    fn largest_weight(&self) -> f32 {
        largest_weight(&self.weights)
    }

    /// Where a synapse lies: index of its row in a tile, and lane.
    fn place(&self, index: usize) -> (usize, usize) {
        let (row, column) = (index / self.columns, index % self.columns);
        (column / LANES * self.rows + row, column % LANES)
    }
}

/// Largest |value|; 0 for none. Infinite or NaN when a value is.
pub(in crate::plasticity) fn largest(values: &[f32]) -> f32 {
    largest_of(values)
}

/// Largest |w|, likewise.
pub(in crate::plasticity) fn largest_weight(weights: &[Row]) -> f32 {
    largest_of(weights.iter().flat_map(|row| &row.0))
}

fn largest_of<'a>(values: impl IntoIterator<Item = &'a f32>) -> f32 {
    // Magnitudes are ordered as their bits are, and the largest of integers may be taken in any order, thus many at once.
    f32::from_bits(values.into_iter().fold(0, |largest, value| largest.max(value.abs().to_bits())))
}
