//! From fitness values to the weights of a gradient estimate.

use std::ops::Range;

/// Centred ranks: the worst candidate gets -0.5, the best 0.5, equal ones the mean of their places; then scaled to a standard
/// deviation of 1 (as the OpenAI-ES of arXiv 2503.12406's code does). NaN ranks as worst.
///
/// All zeros where every candidate is equal, so that a generation without information moves nothing.
pub fn centred_ranks(fitness: &[f32]) -> Vec<f32> {
    let last = fitness.len().saturating_sub(1).max(1) as f64;
    let ranks = by_place(fitness, |places| (places.start as f64 + (places.len() - 1) as f64 / 2.0) / last - 0.5);
    let deviation = (ranks.iter().map(|rank| rank * rank).sum::<f64>() / ranks.len().max(1) as f64).sqrt();
    ranks.iter().map(|rank| if deviation > 0.0 { (rank / deviation) as f32 } else { 0.0 }).collect()
}

/// The utilities of Wierstra et al. (2014, eq. 10): for the k-th best of n, `max(0, ln(n/2 + 1) - ln k)`, scaled to a sum of 1, less
/// `1/n`. Equal ones share the mean; NaN ranks as worst.
pub fn log_utilities(fitness: &[f32]) -> Vec<f32> {
    let count = fitness.len() as f64;
    let raw = |place: usize| (libm::log(count / 2.0 + 1.0) - libm::log(count - place as f64)).max(0.0);
    let sum: f64 = (0..fitness.len()).map(raw).sum();
    let utilities = by_place(fitness, |places| {
        // Exactly nothing where nothing differs.
        if places.len() == fitness.len() {
            0.0
        } else {
            places.clone().map(raw).sum::<f64>() / places.len() as f64 / sum - 1.0 / count
        }
    });
    utilities.into_iter().map(|utility| utility as f32).collect()
}

/// For each candidate what `value` gives for its places: one, the worst at 0, or all that equal ones share.
fn by_place(fitness: &[f32], value: impl Fn(&Range<usize>) -> f64) -> Vec<f64> {
    let key = |index: usize| {
        if fitness[index].is_nan() { f32::NEG_INFINITY } else { fitness[index] }
    };
    let mut order: Vec<usize> = (0..fitness.len()).collect();
    order.sort_by(|&a, &b| key(a).total_cmp(&key(b)));
    let mut values = vec![0.0; fitness.len()];
    let mut start = 0;
    while start < order.len() {
        let equal = order[start..].iter().take_while(|&&index| key(index) == key(order[start])).count();
        let shared = value(&(start..start + equal));
        order[start..start + equal].iter().for_each(|&index| values[index] = shared);
        start += equal;
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranks_are_centred_and_nan_is_worst() {
        let ranks = centred_ranks(&[3.0, f32::NAN, 1.0, 2.0]);
        assert!(ranks[1] < ranks[2] && ranks[2] < ranks[3] && ranks[3] < ranks[0], "{ranks:?}");
        assert!((ranks.iter().sum::<f32>()).abs() < 1e-6);
        assert!((ranks.iter().map(|rank| rank * rank).sum::<f32>() / 4.0 - 1.0).abs() < 1e-6);
    }

    #[test]
    fn equal_candidates_share_a_rank() {
        assert_eq!(centred_ranks(&[5.0, 5.0, 5.0]), [0.0, 0.0, 0.0]);
        let ranks = centred_ranks(&[1.0, 2.0, 1.0, 2.0]);
        assert_eq!((ranks[0], ranks[1]), (ranks[2], ranks[3]));
    }

    #[test]
    fn utilities_sum_to_nothing_and_the_worse_half_counts_alike() {
        let utilities = log_utilities(&[4.0, 1.0, 3.0, f32::NAN, 2.0, 5.0]);
        assert!(utilities.iter().sum::<f32>().abs() < 1e-6);
        assert!(utilities[5] > utilities[0] && utilities[0] > utilities[2], "{utilities:?}");
        assert_eq!(utilities[1], utilities[3]);
        // ln(3 + 1) - ln 1 over the sum of this, ln 4 - ln 2 and ln 4 - ln 3.
        let (first, second, third) = (4.0f32.ln(), 2.0f32.ln(), (4.0f32 / 3.0).ln());
        assert!((utilities[5] + 1.0 / 6.0 - first / (first + second + third)).abs() < 1e-6);
        assert!(log_utilities(&[1.0; 6]).iter().all(|utility| utility.abs() < 1e-7));
    }

    proptest! {
        #[test]
        fn only_the_order_of_fitness_counts(fitness in proptest::collection::vec(-100.0f32..100.0, 0..40)) {
            let scaled: Vec<f32> = fitness.iter().map(|value| value * 2.0 + 512.0).collect();
            let distinct = |values: &[f32]| {
                let mut bits: Vec<u32> = values.iter().map(|value| value.to_bits()).collect();
                bits.sort_unstable();
                bits.dedup();
                bits.len()
            };
            // Rounding may make two values equal, which is another order.
            prop_assume!(distinct(&fitness) == distinct(&scaled));
            prop_assert_eq!(centred_ranks(&fitness), centred_ranks(&scaled));
        }
    }
}
