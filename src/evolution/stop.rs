//! When a descent, and a run, is over, and why.

use super::Generation;
use super::settings::StopCriteria;

/// Why a run, or a descent of it, ended.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StopReason {
    /// All generations are done.
    #[error("all {0} generations are done")]
    Generations(u64),
    /// The fitness is reached.
    #[error("the mean fitness {reached} reached {wanted} (stop.fitness)")]
    Fitness {
        /// Mean fitness of the last generation.
        reached: f32,
        /// What was asked for.
        wanted: f32,
    },
    /// The fitness grows no more.
    #[error("the mean fitness has not grown by more than {improvement} in {generations} generations (stop.stagnation)")]
    Stagnation {
        /// Generations without growth.
        generations: u64,
        /// Growth that counts.
        improvement: f32,
    },
    /// All candidates are alike.
    #[error("the fitness spreads by {spread} only, less than {least} (stop.spread)")]
    Spread {
        /// Spread of the last generation.
        spread: f32,
        /// Least that leaves something to choose from.
        least: f32,
    },
}

impl StopReason {
    /// Whether a new descent, elsewhere, may do better.
    pub fn allows_restart(&self) -> bool {
        matches!(self, Self::Stagnation { .. } | Self::Spread { .. })
    }
}

impl StopCriteria {
    /// What `history`, that of one descent, says about its end.
    pub fn verdict(&self, history: &[Generation]) -> Option<StopReason> {
        let last = history.last()?;
        if let Some(wanted) = self.fitness.filter(|&wanted| last.mean >= wanted) {
            return Some(StopReason::Fitness { reached: last.mean, wanted });
        }
        if let Some(least) = self.spread.filter(|&least| last.spread < least) {
            return Some(StopReason::Spread { spread: last.spread, least });
        }
        let stagnation = self.stagnation?;
        let before = history.len().checked_sub(usize::try_from(stagnation.generations).ok()?)?;
        let best = |generations: &[Generation]| generations.iter().map(|g| g.mean).max_by(f32::total_cmp);
        let stagnates = best(&history[before..])? <= best(&history[..before])? + stagnation.improvement;
        let reason = StopReason::Stagnation { generations: stagnation.generations, improvement: stagnation.improvement };
        stagnates.then_some(reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evolution::Stagnation;

    fn history(means: &[f32]) -> Vec<Generation> {
        means.iter().map(|&mean| Generation { mean, spread: 1.0, ..Default::default() }).collect()
    }

    #[test]
    fn each_criterion_says_why() {
        let none = StopCriteria::default();
        assert_eq!(none.verdict(&history(&[1.0; 50])), None);
        let fitness = StopCriteria { fitness: Some(3.0), ..none };
        assert_eq!(fitness.verdict(&history(&[4.0, 2.9])), None);
        assert_eq!(fitness.verdict(&history(&[2.9, 3.5])), Some(StopReason::Fitness { reached: 3.5, wanted: 3.0 }));
        let spread = StopCriteria { spread: Some(1.5), ..none };
        assert!(spread.verdict(&history(&[0.0])).unwrap().allows_restart());
    }

    #[test]
    fn stagnation_needs_generations_to_compare_with() {
        let stop = StopCriteria { stagnation: Some(Stagnation { generations: 3, improvement: 0.5 }), ..StopCriteria::default() };
        assert_eq!(stop.verdict(&history(&[1.0, 1.0, 1.0])), None);
        assert!(stop.verdict(&history(&[1.0, 1.0, 1.4, 1.0])).is_some());
        assert_eq!(stop.verdict(&history(&[1.0, 1.0, 1.6, 1.0])), None);
        assert_eq!(stop.verdict(&[]), None);
    }
}
