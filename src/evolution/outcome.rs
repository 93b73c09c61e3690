//! What a candidate came to, and a generation in numbers.

use serde::{Deserialize, Serialize};

use super::Strategy;

/// What a candidate came to, the mean over its episodes. All numbers are finite.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CandidateResult {
    /// Fitness.
    pub fitness: f32,
    /// Forward speed \[m/s\].
    pub speed: f32,
    /// Share of episodes in which the robot fell.
    pub falls: f32,
}

/// Why a candidate has no result. It then ranks behind all that have one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// A number of it is not finite.
    #[error("a number of its result was not finite")]
    NotFinite,
    /// Its episode panicked.
    #[error("its episode panicked")]
    Panicked,
    /// Its episodes took more time than the evolution node's `time_limit`. In one process there is none.
    #[error("its episodes took too long, longer than the evolution node's `time_limit`")]
    TooLong,
    /// Worker after worker was lost while it ran.
    #[error("too many workers were lost while they ran it")]
    Lost,
}

/// A candidate's result, or why it has none.
pub type Outcome = Result<CandidateResult, Failure>;

impl CandidateResult {
    /// The result, if all its numbers are finite.
    ///
    /// # Errors
    /// [`Failure::NotFinite`] otherwise: infinity too must not be the best fitness.
    pub fn checked(self) -> Outcome {
        let finite = [self.fitness, self.speed, self.falls].iter().all(|value| value.is_finite());
        if finite { Ok(self) } else { Err(Failure::NotFinite) }
    }
}

impl Failure {
    /// All of them; the code of each is its place, from 1.
    pub const ALL: [Self; 4] = [Self::NotFinite, Self::Panicked, Self::TooLong, Self::Lost];

    /// Number of the failure in messages, from 1.
    pub fn code(self) -> u8 {
        match self {
            Self::NotFinite => 1,
            Self::Panicked => 2,
            Self::TooLong => 3,
            Self::Lost => 4,
        }
    }

    /// In a line with others.
    fn in_brief(self) -> &'static str {
        match self {
            Self::NotFinite => "not finite",
            Self::Panicked => "panicked",
            Self::TooLong => "too long",
            Self::Lost => "lost with workers",
        }
    }
}

/// How many candidates of a generation failed, for each reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FailureCounts([u32; Failure::ALL.len()]);

impl FailureCounts {
    /// Candidates that failed, for any reason.
    pub fn total(&self) -> u32 {
        self.0.iter().sum()
    }
}

impl FromIterator<Failure> for FailureCounts {
    fn from_iter<I: IntoIterator<Item = Failure>>(failures: I) -> Self {
        let mut counts = Self::default();
        for failure in failures {
            counts.0[usize::from(failure.code()) - 1] += 1;
        }
        counts
    }
}

impl std::fmt::Display for FailureCounts {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let counted = |(failure, count): (Failure, u32)| (count > 0).then(|| format!("{count} {}", failure.in_brief()));
        let reasons: Vec<String> = Failure::ALL.into_iter().zip(self.0).filter_map(counted).collect();
        match reasons.as_slice() {
            [] => formatter.write_str("none failed"),
            reasons => write!(formatter, "{} failed ({})", self.total(), reasons.join(", ")),
        }
    }
}

/// A generation in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Generation {
    /// Number, from 0.
    pub generation: u64,
    /// Best fitness.
    pub best: f32,
    /// Mean fitness.
    pub mean: f32,
    /// Standard deviation of fitness.
    pub spread: f32,
    /// Forward speed of the candidate with the best fitness \[m/s\].
    pub best_speed: f32,
    /// Mean forward speed \[m/s\].
    pub mean_speed: f32,
    /// Share of episodes in which the robot fell.
    pub falls: f32,
    /// Candidates without a result, which the means leave out.
    pub failed: u32,
    /// Noise of the generation.
    pub sigma: f32,
    /// Step size of the generation.
    pub learning_rate: f32,
}

impl Generation {
    /// Whether all its numbers are finite: JSON cannot hold others.
    pub(super) fn is_finite(&self) -> bool {
        let Self { best, mean, spread, best_speed, mean_speed, falls, sigma, learning_rate, .. } = *self;
        [best, mean, spread, best_speed, mean_speed, falls, sigma, learning_rate].iter().all(|value| value.is_finite())
    }

    /// The present generation of `strategy`, whose candidates came to `outcomes`.
    pub(super) fn new(strategy: &Strategy, outcomes: &[Outcome]) -> Self {
        let results: Vec<CandidateResult> = outcomes.iter().flatten().copied().collect();
        let mean = |value: fn(&CandidateResult) -> f32| mean(results.iter().map(value));
        let mean_fitness = mean(|result| result.fitness);
        let best = best_candidate(outcomes).and_then(|index| outcomes[index].ok()).unwrap_or_default();
        Self {
            generation: strategy.generation(),
            best: best.fitness,
            mean: mean_fitness,
            spread: spread(results.iter().map(|result| result.fitness), mean_fitness),
            best_speed: best.speed,
            mean_speed: mean(|result| result.speed),
            falls: mean(|result| result.falls),
            failed: (outcomes.len() - results.len()) as u32,
            sigma: finite(strategy.sigma()),
            learning_rate: strategy.learning_rate(),
        }
    }
}

/// Mean of finite `values`, finite itself; 0 of none. Sums are of f32, on which the bits of all checkpoints rest; where these overflow, of
/// f64.
fn mean(values: impl ExactSizeIterator<Item = f32> + Clone) -> f32 {
    let count = values.len().max(1);
    let mean = values.clone().sum::<f32>() / count as f32;
    if mean.is_finite() { mean } else { finite((values.map(f64::from).sum::<f64>() / count as f64) as f32) }
}

/// Standard deviation of finite `values` around their `mean`, summed as in [`mean`].
fn spread(values: impl ExactSizeIterator<Item = f32> + Clone, mean: f32) -> f32 {
    let count = values.len().max(1);
    let spread = (values.clone().map(|value| (value - mean).powi(2)).sum::<f32>() / count as f32).sqrt();
    if spread.is_finite() {
        return spread;
    }
    let squares: f64 = values.map(|value| (f64::from(value) - f64::from(mean)).powi(2)).sum();
    finite((squares / count as f64).sqrt() as f32)
}

/// The finite number next to `value`, as JSON has no other ones; NaN is as large as numbers get.
fn finite(value: f32) -> f32 {
    if value.is_nan() { f32::MAX } else { value.clamp(f32::MIN, f32::MAX) }
}

/// Number of the candidate with the best fitness, the first of equal ones; none if all failed.
pub fn best_candidate(outcomes: &[Outcome]) -> Option<usize> {
    let fitness = |index: &usize| outcomes[*index].map_or(f32::NEG_INFINITY, |result| result.fitness);
    (0..outcomes.len()).rev().filter(|&index| outcomes[index].is_ok()).max_by(|a, b| fitness(a).total_cmp(&fitness(b)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evolution::EvolutionSettings;
    use crate::network::GenomeBlock;

    #[test]
    fn a_failed_candidate_is_never_best() {
        let result = |fitness: f32| CandidateResult { fitness, ..Default::default() }.checked();
        assert_eq!(result(f32::INFINITY), Err(Failure::NotFinite));
        assert_eq!(best_candidate(&[result(f32::NAN), result(-3.0), result(-2.0), result(-2.0), Err(Failure::Lost)]), Some(2));
        assert_eq!(best_candidate(&[Err(Failure::TooLong); 2]), None);
    }

    #[test]
    fn the_speed_of_the_best_is_that_of_the_candidate_that_counts_as_best() {
        let result = |fitness: f32, speed: f32| CandidateResult { fitness, speed, falls: 0.0 }.checked();
        let outcomes = [result(1.0, 0.1), Err(Failure::Lost), result(2.0, 0.2), result(2.0, 0.3)];
        let settings = EvolutionSettings::default();
        let stretches = settings.genome.stretches(&[GenomeBlock::new("all", "A", &[1])]).unwrap();
        let generation = Generation::new(&Strategy::new(settings, 0, stretches), &outcomes);
        assert_eq!((generation.best, generation.best_speed, generation.failed), (2.0, 0.2, 1));
        assert_eq!(best_candidate(&outcomes), Some(2));
    }

    #[test]
    fn numbers_too_large_to_be_summed_leave_a_finite_generation() {
        let values = [3e38, -1e38, 3e38, 3e38f32];
        let average = mean(values.into_iter());
        assert!((average - 2e38).abs() < 1e32, "{average}");
        let deviation = spread(values.into_iter(), average);
        assert!((deviation / 1e38 - 3f32.sqrt()).abs() < 1e-5, "{deviation}");
        assert_eq!(mean([f32::MAX; 7].into_iter()), f32::MAX);
        assert_eq!(spread([f32::MAX, f32::MIN].into_iter(), 0.0), f32::MAX);
        assert_eq!((mean(std::iter::empty()), spread(std::iter::empty(), 0.0)), (0.0, 0.0));
        assert_eq!([f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.5].map(finite), [f32::MAX, f32::MAX, f32::MIN, -0.5]);
    }

    #[test]
    fn ordinary_statistics_are_those_of_sums_in_single_precision() {
        let values = [0.1, 0.7, 1e-3, -12.5, 1e4, 3.3f32];
        let average = values.iter().sum::<f32>() / 6.0;
        assert_eq!(mean(values.into_iter()).to_bits(), average.to_bits());
        let variance = values.iter().map(|value| (value - average).powi(2)).sum::<f32>() / 6.0;
        assert_eq!(spread(values.into_iter(), average).to_bits(), variance.sqrt().to_bits());
    }

    #[test]
    fn failures_are_counted_by_reason() {
        let failures = [Failure::Lost, Failure::NotFinite, Failure::TooLong, Failure::NotFinite];
        let counts: FailureCounts = failures.into_iter().collect();
        assert_eq!(counts.to_string(), "4 failed (2 not finite, 1 too long, 1 lost with workers)");
        assert_eq!((counts.total(), FailureCounts::default().total()), (4, 0));
        assert_eq!(FailureCounts::default().to_string(), "none failed");
        let one_of_each: FailureCounts = Failure::ALL.into_iter().collect();
        assert_eq!(one_of_each.total() as usize, Failure::ALL.len());
    }

    #[test]
    fn codes_are_places_from_one() {
        assert!(Failure::ALL.iter().zip(1..).all(|(failure, code)| failure.code() == code));
    }
}
