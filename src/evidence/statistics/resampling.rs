//! The bootstrap: what a statistic might have been of other observations.

use rand::RngExt;
use statrs::distribution::{ContinuousCDF, Normal};

use super::{Interval, RESAMPLES, mean};
use crate::random::stream;

/// Interval at confidence `level` (0 to 1) of a `statistic` of `count` observations, which gets their indices, drawn with replacement.
///
/// Bias-corrected and accelerated bootstrap (B. Efron, "Better bootstrap confidence intervals", JASA 82, 1987). Resamples whose statistic
/// is NaN, as a ratio of zeros is, are left out; the ends are NaN when none is left.
pub fn bootstrap(count: usize, level: f64, seed: u64, statistic: impl Fn(&[usize]) -> f64) -> Interval {
    bootstrap_samples([count], level, seed, |[indices]| statistic(indices))
}

/// As [`bootstrap`], of a `statistic` of several samples that are independent of each other: each is drawn from alone.
pub(super) fn bootstrap_samples<const N: usize>(
    counts: [usize; N],
    level: f64,
    seed: u64,
    statistic: impl Fn([&[usize]; N]) -> f64,
) -> Interval {
    let mut indices = counts.map(|count| (0..count).collect::<Vec<usize>>());
    let estimate = statistic(indices.each_ref().map(Vec::as_slice));
    // One observation of one sample left out, sample after sample.
    let accelerations = (0..N).map(|sample| {
        let without = |left_out: usize| {
            let mut kept = indices.clone();
            kept[sample].remove(left_out);
            statistic(kept.each_ref().map(Vec::as_slice))
        };
        (0..counts[sample]).map(without).filter(|value| value.is_finite()).collect::<Vec<f64>>()
    });
    let acceleration = acceleration(&accelerations.collect::<Vec<_>>());
    let mut random = stream(seed, "bootstrap", &[]);
    let mut resampled: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            for (indices, count) in indices.iter_mut().zip(counts) {
                indices.fill_with(|| random.random_range(0..count.max(1)));
            }
            statistic(indices.each_ref().map(Vec::as_slice))
        })
        .filter(|value| !value.is_nan())
        .collect();
    if resampled.is_empty() {
        return Interval::endless(estimate);
    }
    resampled.sort_by(f64::total_cmp);
    let normal = Normal::standard();
    let below = resampled.partition_point(|&value| value < estimate) as f64;
    let equal = resampled.partition_point(|&value| value <= estimate) as f64 - below;
    let share = (below + 0.5 * equal) / resampled.len() as f64;
    // Never 0 or 1, where the correction would be infinite.
    let margin = 1.0 / (RESAMPLES + 1) as f64;
    let bias = normal.inverse_cdf(share.clamp(margin, 1.0 - margin));
    let end = |probability: f64| {
        let z = bias + normal.inverse_cdf(probability);
        let denominator = 1.0 - acceleration * z;
        // Beyond its pole the correction would turn back.
        let corrected = if denominator > 0.0 { bias + z / denominator } else { f64::INFINITY.copysign(z) };
        quantile(&resampled, normal.cdf(corrected))
    };
    Interval { estimate, low: end(0.5 * (1.0 - level)), high: end(0.5 * (1.0 + level)) }
}

/// Skewness of the jackknife values of each sample, by which the bootstrap's interval is corrected; 0 when they do not vary.
///
/// With several samples the influences of their observations come together, each over the size of its sample
/// (A. C. Davison and D. V. Hinkley, Bootstrap Methods and their Application, 1997, chapter 5).
fn acceleration(jackknife: &[Vec<f64>]) -> f64 {
    let sum = |power: i32| -> f64 {
        let of_sample = |values: &Vec<f64>| {
            let (mean, count) = (mean(values), values.len() as f64);
            values.iter().map(|value| ((mean - value) * (count - 1.0) / count).powi(power)).sum::<f64>()
        };
        jackknife.iter().filter(|values| !values.is_empty()).map(of_sample).sum()
    };
    let squares = sum(2);
    if squares > 0.0 { sum(3) / (6.0 * squares.powf(1.5)) } else { 0.0 }
}

/// Value at `probability` of `sorted`, which are not none, between neighbours in proportion.
fn quantile(sorted: &[f64], probability: f64) -> f64 {
    let place = probability.clamp(0.0, 1.0) * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    // Equal ones may be infinite.
    if below == above { below } else { below + (above - below) * place.fract() }
}
