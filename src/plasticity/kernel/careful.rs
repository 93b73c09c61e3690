//! One layer in double precision, for numbers that could overflow single precision. Slow, and rare.

use super::lanes::{LANES, Lanes};
use super::layer::KernelLayer;
use crate::plasticity::Normalisation;

/// Rounds to single precision; what is too large becomes the largest finite number.
pub(super) fn saturate(value: f64) -> f32 {
    (value as f32).clamp(-f32::MAX, f32::MAX)
}

impl KernelLayer {
    /// y = tanh(x W) of weights whose normalisation is carried out.
    pub(super) fn careful_forward(&self, x: &[f32], y: &mut [Lanes]) {
        for (tile, y) in self.weights.chunks_exact(self.rows).zip(y) {
            for (k, y) in y.iter_mut().enumerate() {
                let sum: f64 = x.iter().zip(tile).map(|(x, w)| f64::from(*x) * f64::from(w[k])).sum();
                *y = crate::network::tanh(saturate(sum));
            }
        }
    }

    /// Update and normalisation. Three passes that compute each v anew, so that no memory for them is needed.
    pub(super) fn careful_update(&mut self, x: &[f32], y: &[Lanes], gate: f32, normalisation: Normalisation) {
        let (mut largest, mut sum, mut mass) = (0.0f64, 0.0f64, 0.0f64);
        self.careful_each(x, y, gate, |_, v| {
            largest = largest.max(v.abs());
            sum += v;
            mass += v.abs();
        });
        let count = (self.rows * self.columns) as f64;
        let (mut mean, mut scale) = (0.0, 1.0);
        match normalisation {
            Normalisation::Max if largest > 0.0 => scale = 1.0 / largest,
            Normalisation::Mass if mass > 0.0 => scale = f64::from(self.mass) / mass,
            Normalisation::Standardize => {
                mean = sum / count;
                let mut squares = 0.0;
                self.careful_each(x, y, gate, |_, v| squares += (v - mean) * (v - mean));
                scale = 1.0 / (squares / (count - 1.0).max(1.0) + Normalisation::VARIANCE_FLOOR).sqrt();
            }
            Normalisation::NeuronMax => self.careful_columns(x, y, gate),
            _ => (),
        }
        for index in 0..self.weights.len() {
            for k in 0..LANES {
                let v = self.careful_v(index, k, x, y, gate);
                // The products of a huge and a tiny number stay in double precision until the last rounding.
                let w = match normalisation {
                    Normalisation::Clip => v.clamp(-1.0, 1.0),
                    Normalisation::NeuronMax => match f64::from(self.gathered[index / self.rows][k]) {
                        0.0 => v,
                        // What was rounded down, or up from the smallest numbers, may reach a little beyond 1.
                        largest => (v / largest).clamp(-1.0, 1.0),
                    },
                    _ => (v - mean) * scale,
                };
                self.weights[index][k] = saturate(w);
            }
        }
        self.clear_padding();
    }

    /// Leaves the largest |v| of each column in `gathered`.
    fn careful_columns(&mut self, x: &[f32], y: &[Lanes], gate: f32) {
        for tile in 0..self.gathered.len() {
            for k in 0..LANES {
                let rows = tile * self.rows..(tile + 1) * self.rows;
                let largest = rows.map(|index| self.careful_v(index, k, x, y, gate).abs()).fold(0.0, f64::max);
                self.gathered[tile][k] = saturate(largest);
            }
        }
    }

    fn careful_each(&self, x: &[f32], y: &[Lanes], gate: f32, mut each: impl FnMut(usize, f64)) {
        for index in 0..self.weights.len() {
            for k in 0..self.used_lanes(index / self.rows) {
                each(index, self.careful_v(index, k, x, y, gate));
            }
        }
    }

    fn careful_v(&self, index: usize, k: usize, x: &[f32], y: &[Lanes], gate: f32) -> f64 {
        let [a, b, c, d] = self.coefficients[index].each_ref().map(|term| f64::from(term[k]));
        let (x, y) = (f64::from(x[index % self.rows]), f64::from(y[index / self.rows][k]));
        f64::from(self.weights[index][k]) + f64::from(gate) * (a * x * y + b * x + c * y + d)
    }
}
