//! Tests of differences by permutation, and the correction for many of them.

use rand::RngExt;
use rand::seq::SliceRandom;

use super::statistics::RESAMPLES;
use crate::random::stream;

/// Up to so many pairs a [`paired_test`] goes through all sign flips.
const EXACT_PAIRS: usize = 13;
/// Up to so many values a [`permutation_test`] goes through all ways to deal them.
const EXACT_VALUES: usize = 16;

/// Probability that random signs give these `differences` a mean as far from 0, either way (sign-flip permutation test): exact for
/// few pairs and for differences of one sign, else from [`RESAMPLES`] draws, the sample itself counted in.
pub(super) fn paired_test(differences: &[f64], seed: u64) -> f64 {
    let observed = differences.iter().sum::<f64>().abs();
    // Sums in another order round differently; that is not a smaller mean. Numbers that are none tell nothing: p is 1.
    let smaller = |sum: f64| sum.abs() < observed * (1.0 - 1e-12);
    let reached = |sum: f64| !smaller(sum);
    if differences.len() <= EXACT_PAIRS {
        let flips = 1u32 << differences.len();
        let signed = |flip: u32| differences.iter().enumerate().map(|(bit, d)| if flip >> bit & 1 == 1 { -d } else { *d }).sum();
        return (0..flips).filter(|&flip| reached(signed(flip))).count() as f64 / f64::from(flips);
    }
    // Of differences of one sign only they themselves and their mirror image are as far; those of 0 have no sign. Draws could not come below
    // 1 / (RESAMPLES + 1), which may be more than the correction for many comparisons leaves room for, see [`fewest_pairs`].
    let signed = || differences.iter().filter(|&&difference| difference != 0.0);
    if signed().all(|&difference| difference > 0.0) || signed().all(|&difference| difference < 0.0) {
        return 0.5f64.powi(signed().count() as i32 - 1).clamp(f64::MIN_POSITIVE, 1.0);
    }
    let mut random = stream(seed, "sign flips", &[]);
    let mut flipped = || differences.iter().map(|d| if random.random() { -d } else { *d }).sum();
    let count = (0..RESAMPLES).filter(|_| reached(flipped())).count();
    (count + 1) as f64 / (RESAMPLES + 1) as f64
}

/// Fewest pairs of which the clearest difference, one of a single sign, has, after Holm's correction for so many `comparisons`, a p of at most
/// 1 - `level`.
pub fn fewest_pairs(comparisons: usize, level: f64) -> usize {
    // Two of the 2^n ways to set the signs are as clear: all one way, and all the other.
    (comparisons as f64 / (1.0 - level)).log2().ceil().max(0.0) as usize + 1
}

/// A p value in a table: three digits, and never 0.
pub fn p_text(p: f64) -> String {
    if p < 0.001 { "<0.001".to_owned() } else { format!("{p:.3}") }
}

/// Probability that values dealt to the samples at random have means as far apart, either way: exact for samples of no more than
/// [`EXACT_VALUES`] values together, else from [`RESAMPLES`] deals, the sample itself counted in.
pub(super) fn permutation_test(first: &[f64], second: &[f64], seed: u64) -> f64 {
    let mut values: Vec<f64> = first.iter().chain(second).copied().collect();
    let total: f64 = values.iter().sum();
    let apart = |sum: f64| (sum / first.len() as f64 - (total - sum) / second.len() as f64).abs();
    let observed = apart(first.iter().sum());
    // Sums in another order round differently; that is not a smaller distance. Numbers that are none tell nothing: p is 1.
    let scale = values.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
    let nearer = |sum: f64| apart(sum) < observed - 1e-12 * scale;
    let reached = |sum: f64| !nearer(sum);
    if values.len() <= EXACT_VALUES {
        let deals = (0..1u32 << values.len()).filter(|deal| deal.count_ones() as usize == first.len());
        let sum = |deal: u32| values.iter().enumerate().filter(|(bit, _)| deal >> bit & 1 == 1).map(|(_, value)| value).sum();
        let (all, far) = deals.fold((0u32, 0u32), |(all, far), deal| (all + 1, far + u32::from(reached(sum(deal)))));
        return f64::from(far) / f64::from(all);
    }
    let mut random = stream(seed, "deals", &[]);
    let mut deal = || {
        let (dealt, _) = values.partial_shuffle(&mut random, first.len());
        dealt.iter().sum()
    };
    let count = (0..RESAMPLES).filter(|_| reached(deal())).count();
    (count + 1) as f64 / (RESAMPLES + 1) as f64
}

/// The p values of a family of tests, adjusted so that the chance of any false alarm stays what each alone would have
/// (S. Holm, Scand. J. Statist. 6, 1979).
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut adjusted = vec![0.0; p_values.len()];
    let mut largest = 0.0f64;
    for (rank, index) in order.into_iter().enumerate() {
        largest = largest.max(p_values[index] * (p_values.len() - rank) as f64).min(1.0);
        adjusted[index] = largest;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use rand_distr::{Distribution, StandardNormal};

    use super::*;
    use crate::evidence::statistics::compare_pairs;

    #[test]
    fn paired_samples_that_share_a_distribution_seldom_differ_and_shifted_ones_do() {
        let alarms = |shift: f64| {
            let alarm = |seed: &u64| {
                let mut random = stream(*seed, "test", &[]);
                let mut draw = || StandardNormal.sample(&mut random);
                let pairs: Vec<[f64; 2]> = (0..20).map(|_| [draw(), draw()]).collect();
                let [first, second] = [0, 1].map(|side| pairs.iter().map(|pair| pair[side]).collect::<Vec<f64>>());
                let first: Vec<f64> = first.iter().map(|value| value + shift).collect();
                compare_pairs(&first, &second, 0.95, *seed).p_value < 0.05
            };
            (0..100).filter(alarm).count()
        };
        assert!((0..=12).contains(&alarms(0.0)));
        assert!(alarms(2.0) > 98);
    }

    #[test]
    fn a_test_of_few_pairs_is_exact() {
        // All of one sign: only the sample and its mirror image reach the mean.
        assert_eq!(paired_test(&[1.0, 2.0, 0.5, 3.0, 1.5], 0), 2.0 / 32.0);
        assert_eq!(paired_test(&[1.0, -1.0], 0), 1.0);
        assert_eq!(paired_test(&[0.0; 4], 0), 1.0);
    }

    #[test]
    fn many_pairs_of_one_sign_have_the_smallest_p_that_there_is() {
        let smallest = 2.0 / f64::from(1u32 << 20);
        assert_eq!(paired_test(&[1.5; 20], 0), smallest);
        assert_eq!(paired_test(&[-1.5; 20], 0), smallest);
        // What is 0 has no sign, as where all flips are gone through.
        assert_eq!(paired_test(&[&[1.5; 20][..], &[0.0, -0.0]].concat(), 0), smallest);
        assert_eq!(paired_test(&[1.0, 1.0, 0.0], 0), 2.0 / 4.0);
        assert_eq!(paired_test(&[0.0; 20], 0), 1.0);
        // One of the other sign, and one that is no number.
        assert!(paired_test(&[&[1.5; 20][..], &[-1.5]].concat(), 0) >= 1.0 / (RESAMPLES + 1) as f64);
        assert_eq!(paired_test(&[&[1.5; 20][..], &[f64::NAN]].concat(), 0), 1.0);
    }

    #[test]
    fn a_test_of_small_samples_is_exact() {
        // Apart: of the ten ways to deal 2 and 3, only the sample itself, as mirrored deals have other sizes.
        assert_eq!(permutation_test(&[5.0, 6.0], &[1.0, 2.0, 3.0], 0), 0.1);
        assert_eq!(permutation_test(&[5.0, 6.0, 7.0], &[1.0, 2.0, 3.0], 0), 0.1);
        assert_eq!(permutation_test(&[1.0; 3], &[1.0; 4], 0), 1.0);
    }

    #[test]
    fn pairs_that_are_too_few_for_their_correction_are_known_beforehand() {
        // Of 501 comparisons no p from 10,000 draws would pass.
        for (comparisons, level) in [(1, 0.95), (20, 0.95), (7, 0.9), (501, 0.95), (2000, 0.99)] {
            let fewest = fewest_pairs(comparisons, level);
            let clearest = |pairs: usize| paired_test(&vec![1.0; pairs], 0) * comparisons as f64;
            assert!(clearest(fewest) <= 1.0 - level && clearest(fewest - 1) > 1.0 - level, "{comparisons}: {fewest}");
        }
    }

    #[test]
    fn samples_that_are_no_numbers_tell_nothing() {
        assert_eq!(permutation_test(&[f64::NAN, 1.0], &[2.0, 3.0], 0), 1.0);
        assert_eq!(permutation_test(&[], &[2.0, 3.0], 0), 1.0);
        assert_eq!(paired_test(&[f64::NAN, 1.0], 0), 1.0);
    }

    #[test]
    fn holm_adjusts_as_in_its_paper() {
        let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (value, expected) in adjusted.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert!((value - expected).abs() < 1e-12, "{adjusted:?}");
        }
        assert_eq!(holm(&[0.9, 0.8]), [1.0, 1.0]);
    }
}
