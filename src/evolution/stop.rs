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
        /// Mean fitness of the last generation, or round of conditions.
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
    /// What `history`, that of one descent, says about its end. Fitness is compared as the mean, and spread as the largest, over `round`
    /// generations, in which every condition has its turn ([`crate::episode::Conditions::round`]): that of a single one says how easy its
    /// condition is.
    pub fn verdict(&self, history: &[Generation], round: usize) -> Option<StopReason> {
        let rounds = || history.windows(round.max(1));
        let means: Vec<f32> = rounds().map(mean_over).collect();
        // Nothing is said before the first round is over.
        let (&reached, last) = means.last().zip(rounds().last())?;
        if let Some(wanted) = self.fitness.filter(|&wanted| reached >= wanted) {
            return Some(StopReason::Fitness { reached, wanted });
        }
        let spread = last.iter().map(|generation| generation.spread).fold(0.0, f32::max);
        if let Some(least) = self.spread.filter(|&least| spread < least) {
            return Some(StopReason::Spread { spread, least });
        }
        let stagnation = self.stagnation?;
        let before = means.len().checked_sub(usize::try_from(stagnation.generations).ok()?)?;
        let best = |means: &[f32]| means.iter().copied().max_by(f32::total_cmp);
        let stagnates = best(&means[before..])? <= best(&means[..before])? + stagnation.improvement;
        let reason = StopReason::Stagnation { generations: stagnation.generations, improvement: stagnation.improvement };
        stagnates.then_some(reason)
    }
}

/// Mean fitness of `generations`, of which there is at least one; of one its own, bit for bit.
pub(super) fn mean_over(generations: &[Generation]) -> f32 {
    (generations.iter().map(|generation| f64::from(generation.mean)).sum::<f64>() / generations.len() as f64) as f32
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
        assert_eq!(none.verdict(&history(&[1.0; 50]), 1), None);
        let fitness = StopCriteria { fitness: Some(3.0), ..none };
        assert_eq!(fitness.verdict(&history(&[4.0, 2.9]), 1), None);
        assert_eq!(fitness.verdict(&history(&[2.9, 3.5]), 1), Some(StopReason::Fitness { reached: 3.5, wanted: 3.0 }));
        let spread = StopCriteria { spread: Some(1.5), ..none };
        assert!(spread.verdict(&history(&[0.0]), 1).unwrap().allows_restart());
    }

    #[test]
    fn stagnation_needs_generations_to_compare_with() {
        let stop = StopCriteria { stagnation: Some(Stagnation { generations: 3, improvement: 0.5 }), ..StopCriteria::default() };
        assert_eq!(stop.verdict(&history(&[1.0, 1.0, 1.0]), 1), None);
        assert!(stop.verdict(&history(&[1.0, 1.0, 1.4, 1.0]), 1).is_some());
        assert_eq!(stop.verdict(&history(&[1.0, 1.0, 1.6, 1.0]), 1), None);
        assert_eq!(stop.verdict(&[], 1), None);
    }

    #[test]
    fn conditions_in_turn_are_judged_round_by_round() {
        // An easy condition and a hard one, which are never compared with each other.
        let fitness = StopCriteria { fitness: Some(6.0), ..StopCriteria::default() };
        assert_eq!(fitness.verdict(&history(&[9.0]), 2), None);
        assert_eq!(fitness.verdict(&history(&[1.0, 9.0, 1.0, 9.0]), 2), None);
        let reached = Some(StopReason::Fitness { reached: 6.5, wanted: 6.0 });
        assert_eq!(fitness.verdict(&history(&[1.0, 9.0, 4.0, 9.0]), 2), reached);
        // In the easy one all do equally well.
        let mut even = history(&[1.0, 9.0]);
        even[1].spread = 0.0;
        let spread = StopCriteria { spread: Some(0.5), ..StopCriteria::default() };
        assert_eq!((spread.verdict(&even, 2), spread.verdict(&even, 1).is_some()), (None, true));
        // What grows is the hard one.
        let stop = StopCriteria { stagnation: Some(Stagnation { generations: 2, improvement: 0.0 }), ..StopCriteria::default() };
        assert_eq!(stop.verdict(&history(&[1.0, 9.0, 2.0, 9.0, 3.0, 9.0]), 2), None);
        assert!(stop.verdict(&history(&[1.0, 9.0, 1.0, 9.0, 1.0, 9.0]), 2).is_some());
    }
}
