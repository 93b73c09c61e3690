//! The subspace in which training moved the weights.

use nalgebra::{DMatrix, SymmetricEigen};

/// Principal components of weights that were seen in training, and how far from their mean those weights were.
#[derive(Clone, Debug, PartialEq)]
pub struct Subspace {
    /// \[synapses\]
    mean: Vec<f32>,
    /// \[components, synapses\], row-major, rows orthonormal.
    basis: Vec<f32>,
    /// Root mean square of |w - mean| over the samples.
    scale: f32,
}

/// Why there is no subspace.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SubspaceError {
    /// Too few samples for so many components.
    #[error("{samples} samples for {components} components; needed are at least 1 component and more samples than components")]
    Counts {
        /// Samples given.
        samples: usize,
        /// Components asked for.
        components: usize,
    },
    /// More components than are possible.
    #[error("{given} components; at most {} are possible", Subspace::MOST_COMPONENTS)]
    Components {
        /// Components given or asked for.
        given: usize,
    },
    /// Samples differ in length, or are empty.
    #[error("sample {index} has {given} weights, the first one {expected}; all must have the same number, at least 1")]
    Length {
        /// Which sample.
        index: usize,
        /// Its weights.
        given: usize,
        /// Weights of the first sample.
        expected: usize,
    },
    /// A number is NaN or infinite.
    #[error("{what} holds a number that is not finite; leave out weights that diverged")]
    NotFinite {
        /// `sample 7`, `the mean` or `the basis`.
        what: String,
    },
    /// The samples move in fewer directions than asked for.
    #[error("the samples move in {rank} directions, but {components} components are asked for; ask for fewer of them")]
    Rank {
        /// Directions with more variance than rounding leaves.
        rank: usize,
        /// Components asked for.
        components: usize,
    },
    /// Mean, basis and scale make no subspace.
    #[error("mean, basis and scale make no subspace: {0}")]
    Parts(&'static str),
}

/// Share of the samples' sum of squares below which a direction counts as rounding: that of f32 weights is some 1e-15.
const ROUNDING: f64 = 1e-13;
/// Largest deviation from orthonormal rows; rounding them to f32 leaves some 1e-7.
const ORTHONORMAL: f64 = 1e-4;

impl Subspace {
    /// Most components, as many as samples are fitted to. To check that rows are orthonormal costs the square of their number: bounds the
    /// time that a file can ask for.
    pub const MOST_COMPONENTS: usize = 600;

    /// From its parts, as [`Subspace::mean`], [`Subspace::basis`] and [`Subspace::scale`] give them.
    ///
    /// # Errors
    /// [`SubspaceError`] when lengths do not fit, there are more than [`Subspace::MOST_COMPONENTS`], a number is not finite or the basis
    /// not orthonormal.
    pub fn new(mean: Vec<f32>, basis: Vec<f32>, scale: f32) -> Result<Self, SubspaceError> {
        let synapses = mean.len();
        if synapses == 0 || basis.is_empty() || !basis.len().is_multiple_of(synapses) || basis.len() / synapses > synapses {
            return Err(SubspaceError::Parts("the basis must hold from one to `synapses` rows, each as long as the mean"));
        }
        let components = basis.len() / synapses;
        if components > Self::MOST_COMPONENTS {
            return Err(SubspaceError::Components { given: components });
        }
        if !(scale.is_finite() && scale > 0.0) {
            return Err(SubspaceError::Parts("the scale must be a positive number"));
        }
        for (what, values) in [("the mean", &mean), ("the basis", &basis)] {
            if !values.iter().all(|value| value.is_finite()) {
                return Err(SubspaceError::NotFinite { what: what.to_owned() });
            }
        }
        let rows: Vec<Vec<f64>> = basis.chunks_exact(synapses).map(to_f64).collect();
        for (index, row) in basis.chunks_exact(synapses).enumerate() {
            for (other, values) in rows.iter().enumerate().take(index + 1) {
                let expected = if other == index { 1.0 } else { 0.0 };
                if (dot(row, values) - expected).abs() > ORTHONORMAL {
                    return Err(SubspaceError::Parts("the rows of the basis must be orthonormal"));
                }
            }
        }
        Ok(Self { mean, basis, scale })
    }

    /// The first `components` principal components of `samples`, each all weights of a network at one time: mean-centred, not
    /// standardised (as arXiv 2503.12406 analyses weights).
    ///
    /// Works on the samples' Gram matrix \[samples, samples\] in f64, so the cost grows with the cube of their number but only
    /// linearly with the synapses: some hundred samples, spread over whole lives, are enough. Of each row's two possible signs it
    /// takes the one that makes the entry of largest magnitude positive.
    ///
    /// # Errors
    /// [`SubspaceError`] for too few samples, samples of different lengths or with numbers that are not finite, and samples that
    /// do not move in as many directions.
    pub fn fit<S: AsRef<[f32]>>(samples: &[S], components: usize) -> Result<Self, SubspaceError> {
        let count = samples.len();
        if components == 0 || count <= components {
            return Err(SubspaceError::Counts { samples: count, components });
        }
        if components > Self::MOST_COMPONENTS {
            return Err(SubspaceError::Components { given: components });
        }
        let synapses = samples.first().map_or(0, |sample| sample.as_ref().len());
        for (index, sample) in samples.iter().map(AsRef::as_ref).enumerate() {
            if sample.len() != synapses || synapses == 0 {
                return Err(SubspaceError::Length { index, given: sample.len(), expected: synapses });
            }
            if !sample.iter().all(|weight| weight.is_finite()) {
                return Err(SubspaceError::NotFinite { what: format!("sample {index}") });
            }
        }

        // One column per sample.
        let weights = samples.iter().flat_map(|sample| sample.as_ref().iter().map(|&weight| f64::from(weight)));
        let mut centred = DMatrix::from_iterator(synapses, count, weights);
        let sum_of_squares = centred.norm_squared();
        let mean = centred.column_mean();
        for mut column in centred.column_iter_mut() {
            column -= &mean;
        }
        let gram = centred.tr_mul(&centred);
        let scale = (gram.trace() / count as f64).sqrt();

        let eigen = SymmetricEigen::new(gram);
        let mut order: Vec<(usize, f64)> = eigen.eigenvalues.iter().copied().enumerate().collect();
        order.sort_by(|a, b| b.1.total_cmp(&a.1));
        let rank = order.iter().filter(|(_, eigenvalue)| *eigenvalue > ROUNDING * sum_of_squares).count();
        if rank < components {
            return Err(SubspaceError::Rank { rank, components });
        }
        let mut basis = Vec::with_capacity(components * synapses);
        for &(index, eigenvalue) in order.iter().take(components) {
            let direction = &centred * eigen.eigenvectors.column(index) / eigenvalue.sqrt();
            let sign = direction.get(direction.iamax()).map_or(1.0, |largest| largest.signum());
            basis.extend(direction.iter().map(|value| (sign * value) as f32));
        }
        Self::new(mean.iter().map(|&value| value as f32).collect(), basis, scale as f32)
    }

    /// Distance of `weights` from the subspace: the norm of what is left of w - mean without its part in the subspace, divided by
    /// [`Subspace::scale`]. Dimensionless; 0 within the subspace, and about 1 for weights as far outside of it as training's
    /// were from their mean.
    ///
    /// None when `weights` are not [`Subspace::synapses`] numbers or the distance is not finite. `residual` is room to work in;
    /// once it has held that many values, nothing is allocated.
    pub fn distance(&self, weights: &[f32], residual: &mut Vec<f64>) -> Option<f32> {
        if weights.len() != self.mean.len() {
            return None;
        }
        residual.clear();
        residual.extend(weights.iter().zip(&self.mean).map(|(&weight, &mean)| f64::from(weight) - f64::from(mean)));
        // Row by row from what is left, which forgives rows that rounding made not quite orthogonal.
        for row in self.basis.chunks_exact(self.mean.len()) {
            let part = dot(row, residual);
            for (left, &direction) in residual.iter_mut().zip(row) {
                *left -= part * f64::from(direction);
            }
        }
        let squares = residual.iter().map(|left| left * left).sum::<f64>();
        let distance = (squares.sqrt() / f64::from(self.scale)) as f32;
        distance.is_finite().then_some(distance)
    }

    /// Mean of the training's weights \[synapses\].
    pub fn mean(&self) -> &[f32] {
        &self.mean
    }

    /// Orthonormal directions \[components, synapses\], row-major, most variance first.
    pub fn basis(&self) -> &[f32] {
        &self.basis
    }

    /// Root mean square of |w - mean| over the training's weights.
    pub fn scale(&self) -> f32 {
        self.scale
    }

    /// Weights of the network.
    pub fn synapses(&self) -> usize {
        self.mean.len()
    }

    /// Directions of the subspace.
    pub fn components(&self) -> usize {
        self.basis.len() / self.mean.len()
    }
}

fn to_f64(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

/// Scalar product in eight interleaved partial sums: a fixed order that the compiler can vectorise.
fn dot(a: &[f32], b: &[f64]) -> f64 {
    const LANES: usize = 8;
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut lanes = [0.0; LANES];
    for (a, b) in a.iter().zip(b) {
        for ((lane, &a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += f64::from(a) * b;
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(&a, b)| f64::from(a) * b).sum();
    lanes.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::stream;
    use rand::RngExt;

    const SYNAPSES: usize = 203;

    fn random_vector(name: &str, index: u64) -> Vec<f32> {
        let mut random = stream(1, name, &[index]);
        (0..SYNAPSES).map(|_| random.random_range(-1.0..=1.0)).collect()
    }

    /// offset + sum_k coefficients_k direction_k, with directions that are nearly orthogonal in so many dimensions.
    fn point(coefficients: &[f32]) -> Vec<f32> {
        let mut point = random_vector("offset", 0);
        for (coefficient, index) in coefficients.iter().zip(0..) {
            point.iter_mut().zip(random_vector("direction", index)).for_each(|(sum, value)| *sum += coefficient * value);
        }
        point
    }

    /// Weights that move in three directions, the first one most.
    fn samples(count: u64) -> Vec<Vec<f32>> {
        let sample = |index| {
            let mut random = stream(2, "coefficients", &[index]);
            point(&[3.0, 1.0, 0.3].map(|spread| random.random_range(-spread..=spread)))
        };
        (0..count).map(sample).collect()
    }

    fn distance(subspace: &Subspace, weights: &[f32]) -> f32 {
        subspace.distance(weights, &mut Vec::new()).unwrap()
    }

    #[test]
    fn weights_of_low_rank_lie_in_their_subspace_however_far_they_go() {
        let subspace = Subspace::fit(&samples(40), 3).unwrap();
        assert_eq!((subspace.components(), subspace.synapses()), (3, SYNAPSES));
        for coefficients in [[0.0, 0.0, 0.0], [1.0, -0.5, 0.2], [30.0, 30.0, -30.0]] {
            assert!(distance(&subspace, &point(&coefficients)) < 1e-4);
        }
        assert!(distance(&subspace, &point(&[0.0, 0.0, 0.0, 3.0])) > 1.0);
    }

    #[test]
    fn the_distance_is_the_part_outside_in_units_of_trainings_spread() {
        let samples = samples(40);
        let subspace = Subspace::fit(&samples, 3).unwrap();
        let norm = |values: &[f32]| values.iter().map(|value| value * value).sum::<f32>();
        let centred = |sample: &Vec<f32>| sample.iter().zip(subspace.mean()).map(|(w, m)| w - m).collect::<Vec<_>>();
        let spread = (samples.iter().map(|sample| norm(&centred(sample))).sum::<f32>() / 40.0).sqrt();
        assert!((subspace.scale() / spread - 1.0).abs() < 1e-5);

        // With two of three components, the distances' root mean square is what the third one explains of the spread.
        let plane = Subspace::fit(&samples, 2).unwrap();
        let left = samples.iter().map(|sample| distance(&plane, sample).powi(2)).sum::<f32>() / 40.0;
        let third = &subspace.basis()[2 * SYNAPSES..];
        let along = |sample| centred(sample).iter().zip(third).map(|(w, b)| w * b).sum::<f32>();
        let variance = samples.iter().map(|sample| along(sample).powi(2)).sum::<f32>() / 40.0;
        assert!((left / (variance / spread.powi(2)) - 1.0).abs() < 1e-3);
    }

    #[test]
    fn rows_are_orthonormal_with_their_largest_entry_positive_and_most_variance_first() {
        let samples = samples(40);
        let subspace = Subspace::fit(&samples, 3).unwrap();
        let rows: Vec<_> = subspace.basis().chunks_exact(SYNAPSES).collect();
        for (i, row) in rows.iter().enumerate() {
            for (j, other) in rows.iter().enumerate() {
                assert!((dot(row, &to_f64(other)) - f64::from(i == j)).abs() < 1e-6);
            }
            let largest = row.iter().copied().max_by(|a, b| a.abs().total_cmp(&b.abs())).unwrap();
            assert!(largest > 0.0);
        }
        let variance = |row: &[f32]| samples.iter().map(|w| dot(row, &to_f64(w))).map(|part| part * part).sum::<f64>();
        let mean = to_f64(subspace.mean());
        let variances: Vec<_> = rows.iter().map(|row| variance(row) / 40.0 - dot(row, &mean).powi(2)).collect();
        assert!(variances.is_sorted_by(|a, b| a >= b), "{variances:?}");
    }

    #[test]
    fn the_order_of_samples_does_not_matter() {
        let mut samples = samples(40);
        let forward = Subspace::fit(&samples, 3);
        samples.reverse();
        let reversed = Subspace::fit(&samples, 3);
        for (a, b) in forward.unwrap().basis().iter().zip(reversed.unwrap().basis()) {
            assert!((a - b).abs() < 1e-4);
        }
    }

    #[test]
    fn a_subspace_survives_the_way_through_its_parts() {
        let subspace = Subspace::fit(&samples(20), 2).unwrap();
        let again = Subspace::new(subspace.mean().to_vec(), subspace.basis().to_vec(), subspace.scale());
        assert_eq!(again.unwrap(), subspace);
    }

    #[test]
    fn unusable_samples_are_refused() {
        let error = |samples: &[Vec<f32>], components| Subspace::fit(samples, components).unwrap_err();
        let good = samples(6);
        assert_eq!(error(&good, 6), SubspaceError::Counts { samples: 6, components: 6 });
        assert_eq!(error(&good, 0), SubspaceError::Counts { samples: 6, components: 0 });
        assert_eq!(error(&good, 4), SubspaceError::Rank { rank: 3, components: 4 });
        assert_eq!(error(&vec![good[0].clone(); 6], 1), SubspaceError::Rank { rank: 0, components: 1 });
        assert_eq!(error(&vec![vec![0.0; 5]; 6], 1), SubspaceError::Rank { rank: 0, components: 1 });
        let mut bad = good.clone();
        bad[4].pop();
        assert_eq!(error(&bad, 2), SubspaceError::Length { index: 4, given: SYNAPSES - 1, expected: SYNAPSES });
        bad[3][7] = f32::NAN;
        assert_eq!(error(&bad, 2), SubspaceError::NotFinite { what: "sample 3".into() });
        assert_eq!(error(&[vec![], vec![]], 1), SubspaceError::Length { index: 0, given: 0, expected: 0 });
    }

    #[test]
    fn more_components_than_could_be_checked_in_time_are_refused() {
        let many = Subspace::MOST_COMPONENTS + 1;
        let mut basis = vec![0.0; many * many];
        basis.iter_mut().step_by(many + 1).for_each(|value| *value = 1.0);
        let refused = SubspaceError::Components { given: many };
        assert_eq!(Subspace::new(vec![0.0; many], basis, 1.0), Err(refused.clone()));
        assert_eq!(Subspace::fit(&vec![vec![0.0; 5]; many + 1], many), Err(refused));
    }

    #[test]
    fn parts_that_do_not_fit_are_refused() {
        assert!(Subspace::new(vec![0.0; 2], vec![1.0, 0.0], 1.0).is_ok());
        let bad = [
            Subspace::new(vec![], vec![], 1.0),
            Subspace::new(vec![0.0; 2], vec![], 1.0),
            Subspace::new(vec![0.0; 2], vec![1.0, 0.0, 0.0], 1.0),
            Subspace::new(vec![0.0; 2], vec![1.0, 0.0, 1.0, 0.0], 1.0),
            Subspace::new(vec![0.0; 2], vec![2.0, 0.0], 1.0),
            Subspace::new(vec![0.0; 2], vec![1.0, f32::NAN], 1.0),
            Subspace::new(vec![f32::INFINITY, 0.0], vec![1.0, 0.0], 1.0),
            Subspace::new(vec![0.0; 2], vec![1.0, 0.0], 0.0),
        ];
        assert!(bad.iter().all(Result::is_err));
    }
}
