//! From fitness values to the weights of a gradient estimate.

/// Centred ranks: the worst candidate gets -0.5, the best 0.5, equal ones the mean of their places; then scaled to a standard
/// deviation of 1 (as the OpenAI-ES of arXiv 2503.12406's code does). NaN ranks as worst.
///
/// All zeros where every candidate is equal, so that a generation without information moves nothing.
pub fn centred_ranks(fitness: &[f32]) -> Vec<f32> {
    let key = |index: usize| {
        if fitness[index].is_nan() { f32::NEG_INFINITY } else { fitness[index] }
    };
    let mut order: Vec<usize> = (0..fitness.len()).collect();
    order.sort_by(|&a, &b| key(a).total_cmp(&key(b)));

    let last = fitness.len().saturating_sub(1).max(1) as f64;
    let mut ranks = vec![0.0f64; fitness.len()];
    let mut start = 0;
    while start < order.len() {
        let equal = order[start..].iter().take_while(|&&index| key(index) == key(order[start])).count();
        let place = start as f64 + (equal - 1) as f64 / 2.0;
        for &index in &order[start..start + equal] {
            ranks[index] = place / last - 0.5;
        }
        start += equal;
    }

    let deviation = (ranks.iter().map(|rank| rank * rank).sum::<f64>() / ranks.len().max(1) as f64).sqrt();
    ranks.iter().map(|rank| if deviation > 0.0 { (rank / deviation) as f32 } else { 0.0 }).collect()
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
