//! Functions on which searches are compared: cheap, of any number of dimensions, with a known best value of 0.

use serde::{Deserialize, Serialize};

/// A test function, to be climbed: the usual one, negated. In double precision, so that a sum over many dimensions keeps its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TestFunction {
    /// `-sum x²`: one hill.
    Sphere,
    /// `-sum 100 (x_{i+1} - x_i²)² + (1 - x_i)²`: a long, bent ridge to the point of ones.
    Rosenbrock,
    /// `-(10 d + sum x² - 10 cos 2πx)`: a hill full of smaller ones.
    Rastrigin,
}

impl TestFunction {
    /// Its value at `point`.
    pub fn at(self, point: &[f32]) -> f32 {
        let values = || point.iter().map(|&value| f64::from(value));
        let value = match self {
            Self::Sphere => values().map(|x| x * x).sum::<f64>(),
            Self::Rosenbrock => values()
                .zip(values().skip(1))
                .map(|(x, next)| 100.0 * (next - x * x) * (next - x * x) + (1.0 - x) * (1.0 - x))
                .sum(),
            Self::Rastrigin => values().map(|x| 10.0 + x * x - 10.0 * libm::cos(std::f64::consts::TAU * x)).sum(),
        };
        -value as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_at_known_points() {
        for (function, point, value) in [
            (TestFunction::Sphere, [1.0, -2.0, 3.0], -14.0),
            (TestFunction::Rosenbrock, [1.0, 1.0, 1.0], 0.0),
            (TestFunction::Rosenbrock, [0.0, 0.0, 0.0], -2.0),
            (TestFunction::Rastrigin, [0.0, 0.0, 0.0], 0.0),
            (TestFunction::Rastrigin, [1.0, 0.0, 0.5], -21.25),
        ] {
            assert!((function.at(&point) - value).abs() < 1e-5, "{function:?} at {point:?}: {}", function.at(&point));
        }
    }
}
