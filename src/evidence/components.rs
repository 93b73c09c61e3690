//! Principal components of the weights of one or several recordings, in one basis.

use serde::Serialize;

use super::{MOST_SAMPLES, WeightSeries};
use crate::plasticity::{Subspace, SubspaceError};

/// A series with fewer samples than the longest one, and than [`MOST_SAMPLES`], over this is a fragment.
const FRAGMENT: usize = 10;

/// The common principal components of several series: mean-centred, not standardised, all layers together (as arXiv 2503.12406).
#[derive(Clone, Debug)]
pub struct Components {
    subspace: Subspace,
    /// Samples that the basis was fitted to, each counted once.
    pub fitted: usize,
    /// One per series, in order.
    pub scores: Vec<Scores>,
}

/// One series in the common basis.
#[derive(Clone, Debug, PartialEq)]
pub struct Scores {
    /// \[samples\]\[components\]
    pub values: Vec<Vec<f64>>,
    /// In figures.
    pub figures: ComponentFigures,
}

/// How far a series moves along the components.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ComponentFigures {
    /// Samples of this series that the basis was fitted to; 0 for a fragment.
    pub fitted: usize,
    /// Share of this series' own variance (about its own mean) along each component.
    pub explained: Vec<f64>,
    /// Standard deviation of the score (n - 1): the spread that arXiv 2503.12406 compares between flat and uneven ground.
    pub spread: Vec<f64>,
    /// Mean score: where the series lies.
    pub mean: Vec<f64>,
    /// Smallest score.
    pub min: Vec<f64>,
    /// Largest score.
    pub max: Vec<f64>,
}

/// Why there are no components.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ComponentError {
    /// Series of networks of other sizes.
    #[error(
        "`{name}` has {given} weights, `{first}` {expected}; recordings can only be compared when their networks have the same layers; \
         of bags with several networks, --policy chooses those with its layers"
    )]
    Sizes {
        /// A series.
        name: String,
        /// Its weights.
        given: usize,
        /// The first series.
        first: String,
        /// Its weights.
        expected: usize,
    },
    /// Nothing moved.
    #[error("the weights do not move: with the gate shut there is nothing to analyse")]
    Still,
    /// The samples make no subspace.
    #[error(transparent)]
    Subspace(#[from] SubspaceError),
}

impl Components {
    /// The first `count` components of all `series` together, or as many as the weights move in. Each series has the same say, however
    /// long it is: as many samples of each are fitted, evenly spread, at most [`MOST_SAMPLES`] in all; those of a series that has not as many
    /// come several times. A single series that is not longer is taken whole. A fragment, which has less than a tenth of the longest series'
    /// samples and fewer than 60, says too little of how weights move: it is not fitted and has no say in [`Components::explained`], but has
    /// scores.
    ///
    /// # Errors
    /// [`ComponentError`] when layers differ or nothing moves.
    pub fn fit(series: &[WeightSeries], count: usize) -> Result<Self, ComponentError> {
        let Some(first) = series.first() else { return Err(ComponentError::Still) };
        if let Some(other) = series.iter().find(|other| other.layers != first.layers) {
            let (given, expected) = (other.synapses(), first.synapses());
            return Err(ComponentError::Sizes { name: other.name.clone(), given, first: first.name.clone(), expected });
        }
        if series.iter().any(WeightSeries::is_empty) {
            return Err(ComponentError::Still);
        }
        let (longest, most) = (series.iter().map(WeightSeries::len).max().unwrap_or(1), MOST_SAMPLES as usize);
        let is_fragment = |series: &WeightSeries| FRAGMENT * series.len() < longest.min(most);
        let whole: Vec<&WeightSeries> = series.iter().filter(|series| !is_fragment(series)).collect();
        let share = (most / whole.len()).min(longest).max(1);
        let spread = |series: &WeightSeries| -> Vec<usize> { (0..share).map(|index| index * series.len() / share).collect() };
        let samples: Vec<&[f32]> =
            whole.iter().flat_map(|&series| spread(series).into_iter().map(|index| series.sample(index))).collect();
        let subspace = match Subspace::fit(&samples, count) {
            Err(SubspaceError::Rank { rank: 0, .. }) => return Err(ComponentError::Still),
            Err(SubspaceError::Rank { rank, .. }) => Subspace::fit(&samples, rank)?,
            other => other?,
        };
        let fitted = |series: &WeightSeries| if is_fragment(series) { 0 } else { share.min(series.len()) };
        let scores: Vec<Scores> = series.iter().map(|series| Scores::of(series, &subspace, fitted(series))).collect();
        Ok(Self { subspace, fitted: scores.iter().map(|scores| scores.figures.fitted).sum(), scores })
    }

    /// Mean and basis.
    pub fn subspace(&self) -> &Subspace {
        &self.subspace
    }

    /// Share of the variance of all samples of the fitted series together (about the common mean) along each component. `series` are those of
    /// [`Components::fit`].
    pub fn explained(&self, series: &[WeightSeries]) -> Vec<f64> {
        let mean = self.subspace.mean();
        let squares =
            |sample: &[f32]| -> f64 { sample.iter().zip(mean).map(|(w, m)| (f64::from(*w) - f64::from(*m)).powi(2)).sum() };
        // Each series with the same say, as in the fit.
        let mean_of = |length: usize, sum: f64| sum / length.max(1) as f64;
        let fitted = || series.iter().zip(&self.scores).filter(|(_, scores)| scores.figures.fitted > 0);
        let total: f64 = fitted().map(|(series, _)| mean_of(series.len(), series.samples().map(squares).sum())).sum();
        let along = |component: usize| -> f64 {
            let of = |scores: &Scores| mean_of(scores.values.len(), scores.values.iter().map(|row| row[component].powi(2)).sum());
            fitted().map(|(_, scores)| of(scores)).sum()
        };
        (0..self.subspace.components()).map(|component| if total > 0.0 { along(component) / total } else { 0.0 }).collect()
    }
}

impl Scores {
    /// Of `series`, of which so many samples were `fitted`.
    fn of(series: &WeightSeries, subspace: &Subspace, fitted: usize) -> Self {
        let mean = subspace.mean();
        let rows: Vec<&[f32]> = subspace.basis().chunks_exact(subspace.synapses()).collect();
        let along = |sample: &[f32], row: &[f32]| -> f64 {
            let centred = sample.iter().zip(mean).map(|(w, m)| f64::from(*w) - f64::from(*m));
            centred.zip(row).map(|(centred, &direction)| centred * f64::from(direction)).sum()
        };
        let score = |sample: &[f32]| -> Vec<f64> { rows.iter().map(|row| along(sample, row)).collect() };
        let values: Vec<Vec<f64>> = series.samples().map(score).collect();

        let count = values.len().max(1) as f64;
        let column = |component: usize| values.iter().map(move |row| row[component]);
        let components = 0..rows.len();
        let means: Vec<f64> = components.clone().map(|component| column(component).sum::<f64>() / count).collect();
        let squares: Vec<f64> =
            components.clone().map(|component| column(component).map(|value| (value - means[component]).powi(2)).sum()).collect();
        let total = sum_of_squares(series);
        let figures = ComponentFigures {
            fitted,
            explained: squares.iter().map(|squares| if total > 0.0 { squares / total } else { 0.0 }).collect(),
            spread: squares.iter().map(|squares| (squares / (count - 1.0).max(1.0)).sqrt()).collect(),
            min: components.clone().map(|component| column(component).fold(f64::INFINITY, f64::min)).collect(),
            max: components.map(|component| column(component).fold(f64::NEG_INFINITY, f64::max)).collect(),
            mean: means,
        };
        Self { values, figures }
    }
}

/// Sum of squares of the series about its own mean.
fn sum_of_squares(series: &WeightSeries) -> f64 {
    let mut mean = vec![0.0; series.synapses()];
    for sample in series.samples() {
        mean.iter_mut().zip(sample).for_each(|(mean, weight)| *mean += f64::from(*weight));
    }
    mean.iter_mut().for_each(|mean| *mean /= series.len().max(1) as f64);
    let squares = |sample: &[f32]| -> f64 { sample.iter().zip(&mean).map(|(w, m)| (f64::from(*w) - m).powi(2)).sum() };
    series.samples().map(squares).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Weights on an ellipse in a plane of 40 dimensions: half axes 3 and 1, `samples` to a turn, around `centre`.
    fn ellipse(name: &str, samples: usize, centre: f32, wide: f32) -> WeightSeries {
        let (u, v) = (
            |i: usize| if i.is_multiple_of(2) { 1.0f32 } else { 0.0 },
            |i: usize| if i.is_multiple_of(2) { 0.0 } else { 1.0f32 },
        );
        let scale = 1.0 / 20f32.sqrt();
        let weights = (0..samples).flat_map(|sample| {
            let angle = std::f32::consts::TAU * sample as f32 / samples as f32;
            (0..40).map(move |i| centre + scale * (wide * angle.cos() * u(i) + angle.sin() * v(i)))
        });
        WeightSeries::new(name, 0.02, &[30, 10], weights.collect())
    }

    #[test]
    fn an_ellipse_has_the_spread_of_its_half_axes() {
        let series = [ellipse("flat", 100, 0.5, 3.0)];
        let components = Components::fit(&series, 2).unwrap();
        assert_eq!(components.fitted, 100);
        let explained = components.explained(&series);
        assert!((explained[0] - 0.9).abs() < 1e-6 && (explained[1] - 0.1).abs() < 1e-6, "{explained:?}");
        let figures = &components.scores[0].figures;
        // Half axis over sqrt 2, with n - 1.
        let spread = |half_axis: f64| half_axis * (0.5f64 * 100.0 / 99.0).sqrt();
        assert!((figures.spread[0] - spread(3.0)).abs() < 1e-5 && (figures.spread[1] - spread(1.0)).abs() < 1e-5, "{figures:?}");
        assert!((figures.max[0] - 3.0).abs() < 1e-2 && (figures.min[0] + 3.0).abs() < 1e-2);
    }

    #[test]
    fn recordings_of_other_layers_are_refused_with_the_option_that_chooses_among_them() {
        let series = [ellipse("large", 50, 0.0, 2.0), WeightSeries::new("small", 0.02, &[3], vec![0.0; 30])];
        let error = Components::fit(&series, 2).unwrap_err().to_string();
        assert!(error.starts_with("`small` has 3 weights, `large` 40") && error.contains("--policy"), "{error}");
    }

    #[test]
    fn two_recordings_share_one_basis_with_an_equal_say() {
        let series = [ellipse("flat", 50, 0.0, 2.0), ellipse("uneven", 400, 0.0, 4.0)];
        let components = Components::fit(&series, 2).unwrap();
        let spread = |index: usize| components.scores[index].figures.spread[0];
        assert!((spread(1) / spread(0) - 2.0).abs() < 0.03, "{} {}", spread(0), spread(1));
    }

    #[test]
    fn a_short_recording_has_the_same_say_and_takes_nothing_from_a_long_one() {
        let components = Components::fit(&[ellipse("short", 50, 0.0, 2.0), ellipse("long", 400, 1.0, 2.0)], 2).unwrap();
        let fitted = components.scores.iter().map(|scores| scores.figures.fitted);
        assert_eq!((fitted.collect::<Vec<_>>(), components.fitted), (vec![50, 300], 350));
        let mean = components.subspace().mean();
        assert!(mean.iter().all(|&mean| (mean - 0.5).abs() < 1e-3), "{mean:?}");
    }

    #[test]
    fn a_fragment_does_not_change_what_is_said_of_the_others() {
        // Elsewhere, as after weights were drawn anew.
        let series = [ellipse("walk episode 1", 400, 0.5, 3.0), ellipse("walk episode 2", 4, 5.0, 0.5)];
        let (alone, both) = (Components::fit(&series[..1], 2).unwrap(), Components::fit(&series, 2).unwrap());
        assert_eq!((both.subspace(), both.fitted, &both.scores[0]), (alone.subspace(), 400, &alone.scores[0]));
        assert_eq!(both.explained(&series), alone.explained(&series[..1]));
        assert_eq!((both.scores[1].figures.fitted, both.scores[1].values.len()), (0, 4));
    }

    #[test]
    fn fewer_directions_than_asked_for_are_fewer_components_and_none_is_an_error() {
        assert_eq!(Components::fit(&[ellipse("flat", 60, 0.0, 2.0)], 5).unwrap().subspace().components(), 2);
        let still = WeightSeries::new("still", 0.02, &[3], vec![0.5; 30]);
        assert!(matches!(Components::fit(&[still], 3), Err(ComponentError::Still)));
        let other = WeightSeries::new("other", 0.02, &[20, 20], vec![0.5; 400]);
        let error = Components::fit(&[ellipse("flat", 60, 0.0, 2.0), other], 2).unwrap_err().to_string();
        assert!(error.contains("`other`") && error.contains("`flat`"), "{error}");
    }
}
