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
    /// Its episodes took more computing time than is allowed.
    #[error("its episodes took too long")]
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
    /// The present generation of `strategy`, whose candidates came to `outcomes`.
    pub(super) fn new(strategy: &Strategy, outcomes: &[Outcome]) -> Self {
        let results: Vec<CandidateResult> = outcomes.iter().flatten().copied().collect();
        let count = results.len().max(1) as f32;
        let mean = |value: fn(&CandidateResult) -> f32| results.iter().map(value).sum::<f32>() / count;
        let mean_fitness = mean(|result| result.fitness);
        let variance = results.iter().map(|result| (result.fitness - mean_fitness).powi(2)).sum::<f32>() / count;
        let best = results.iter().max_by(|a, b| a.fitness.total_cmp(&b.fitness)).copied().unwrap_or_default();
        Self {
            generation: strategy.generation(),
            best: best.fitness,
            mean: mean_fitness,
            spread: variance.sqrt(),
            best_speed: best.speed,
            mean_speed: mean(|result| result.speed),
            falls: mean(|result| result.falls),
            failed: (outcomes.len() - results.len()) as u32,
            sigma: strategy.sigma(),
            learning_rate: strategy.learning_rate(),
        }
    }
}

/// Number of the candidate with the best fitness, the first of equal ones; none if all failed.
pub fn best_candidate(outcomes: &[Outcome]) -> Option<usize> {
    let fitness = |index: &usize| outcomes[*index].map_or(f32::NEG_INFINITY, |result| result.fitness);
    (0..outcomes.len()).rev().filter(|&index| outcomes[index].is_ok()).max_by(|a, b| fitness(a).total_cmp(&fitness(b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_candidate_is_never_best() {
        let result = |fitness: f32| CandidateResult { fitness, ..Default::default() }.checked();
        assert_eq!(result(f32::INFINITY), Err(Failure::NotFinite));
        assert_eq!(best_candidate(&[result(f32::NAN), result(-3.0), result(-2.0), result(-2.0), Err(Failure::Lost)]), Some(2));
        assert_eq!(best_candidate(&[Err(Failure::TooLong); 2]), None);
    }

    #[test]
    fn codes_are_places_from_one() {
        assert!(Failure::ALL.iter().zip(1..).all(|(failure, code)| failure.code() == code));
    }
}
