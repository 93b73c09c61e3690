//! Statistics of experiments: intervals by bootstrap and by Student's t, and comparisons of samples.

use std::fmt;

use rand::RngExt;
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

use super::p_values::{paired_test, permutation_test};
use crate::random::stream;

/// Resamples of a bootstrap, and random sign flips of a [`paired_test`]; more change the third digit at most.
pub const RESAMPLES: usize = 10_000;

/// An estimate and the interval that it lies in.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// From the sample itself.
    pub estimate: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Interval {
    /// An estimate of too few values for ends: these are NaN.
    pub fn endless(estimate: f64) -> Self {
        Self { estimate, low: f64::NAN, high: f64::NAN }
    }

    /// The interval of an increasing `function` of what this is one of.
    pub fn map(&self, function: impl Fn(f64) -> f64) -> Self {
        Self { estimate: function(self.estimate), low: function(self.low), high: function(self.high) }
    }
}

impl fmt::Display for Interval {
    /// `0.282 [0.270, 0.295]`, with the digits (and the sign) that are asked for; the estimate alone where there is no spread, or none is
    /// known.
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        fmt::Display::fmt(&self.estimate, formatter)?;
        if self.low == self.high || self.low.is_nan() || self.high.is_nan() {
            return Ok(());
        }
        formatter.write_str(" [")?;
        fmt::Display::fmt(&self.low, formatter)?;
        formatter.write_str(", ")?;
        fmt::Display::fmt(&self.high, formatter)?;
        formatter.write_str("]")
    }
}

/// How far apart two paired samples are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PairedEffect {
    /// Mean of first minus second.
    pub difference: Interval,
    /// Hedges' g of the differences: their mean over their standard deviation, corrected for small samples. `None` when the
    /// differences do not vary, and for fewer than three, for which the correction is no use.
    pub effect_size: Option<f64>,
    /// Probability of so large a mean difference, either way, if signs were random.
    pub p_value: f64,
}

/// How far apart two independent samples are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SampleEffect {
    /// Mean of the first minus mean of the second.
    pub difference: Interval,
    /// Mean of the first over mean of the second, where it means something, see [`meaningful_ratio`].
    pub ratio: Option<Interval>,
    /// Hedges' g: the difference over the pooled standard deviation, corrected for small samples. `None` when neither varies.
    pub effect_size: Option<f64>,
    /// Probability of so large a difference of means, either way, if the values were dealt to the samples at random.
    pub p_value: f64,
}

/// Mean; NaN of nothing.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Standard deviation (n - 1); 0 of a single value.
pub fn standard_deviation(values: &[f64]) -> f64 {
    let mean = mean(values);
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (squares / (values.len() as f64 - 1.0).max(1.0)).sqrt()
}

/// Interval at confidence `level` (0 to 1) of a `statistic` of `count` observations, which gets their indices, drawn with replacement.
///
/// Bias-corrected and accelerated bootstrap (B. Efron, "Better bootstrap confidence intervals", JASA 82, 1987). Resamples whose statistic
/// is NaN, as a ratio of zeros is, are left out; the ends are NaN when none is left.
pub fn bootstrap(count: usize, level: f64, seed: u64, statistic: impl Fn(&[usize]) -> f64) -> Interval {
    bootstrap_samples([count], level, seed, |[indices]| statistic(indices))
}

/// As [`bootstrap`], of a `statistic` of several samples that are independent of each other: each is drawn from alone.
fn bootstrap_samples<const N: usize>(
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

/// Interval at confidence `level` of the mean of `values`.
pub fn mean_interval(values: &[f64], level: f64, seed: u64) -> Interval {
    bootstrap(values.len(), level, seed, |indices| indices.iter().map(|&index| values[index]).sum::<f64>() / indices.len() as f64)
}

/// Interval at confidence `level` of mean `first` over mean `second`, whose values belong together in pairs.
///
/// # Panics
/// Unless both are equally long.
pub fn ratio_interval(first: &[f64], second: &[f64], level: f64, seed: u64) -> Interval {
    assert_eq!(first.len(), second.len(), "values come in pairs");
    bootstrap(first.len(), level, seed, |indices| {
        let sum = |values: &[f64]| indices.iter().map(|&index| values[index]).sum::<f64>();
        sum(first) / sum(second)
    })
}

/// `ratio` of `sides`, or of ratios of them, if it means something: all of them are above 0, and its interval is, too.
pub fn meaningful_ratio(ratio: Interval, sides: &[f64]) -> Option<Interval> {
    (sides.iter().all(|&side| side > 0.0) && ratio.low > 0.0 && ratio.high.is_finite()).then_some(ratio)
}

/// Compares `first` with `second`, whose values belong together in pairs, at confidence `level`.
///
/// # Panics
/// Unless both are equally long.
pub fn compare_pairs(first: &[f64], second: &[f64], level: f64, seed: u64) -> PairedEffect {
    assert_eq!(first.len(), second.len(), "values come in pairs");
    let differences: Vec<f64> = first.iter().zip(second).map(|(first, second)| first - second).collect();
    let spread = standard_deviation(&differences);
    PairedEffect {
        difference: mean_interval(&differences, level, seed),
        effect_size: hedges_g(mean(&differences), spread, differences.len() as f64 - 1.0),
        p_value: paired_test(&differences, seed),
    }
}

/// Interval at confidence `level` of the mean of `values` by Student's t: for few values, of which a bootstrap knows too little. NaN ends for
/// fewer than two.
pub fn student_interval(values: &[f64], level: f64) -> Interval {
    let (estimate, count) = (mean(values), values.len() as f64);
    let margin = match StudentsT::new(0.0, 1.0, count - 1.0) {
        Ok(student) => student.inverse_cdf(0.5 * (1.0 + level)) * standard_deviation(values) / count.sqrt(),
        Err(_) => f64::NAN,
    };
    Interval { estimate, low: estimate - margin, high: estimate + margin }
}

/// Interval at confidence `level` of the mean of `first` minus that of `second`, of which either may vary more
/// (B. L. Welch, Biometrika 34, 1947). NaN ends when neither varies, or one has fewer than two values.
pub fn welch_interval(first: &[f64], second: &[f64], level: f64) -> Interval {
    let estimate = mean(first) - mean(second);
    let error = |values: &[f64]| standard_deviation(values).powi(2) / values.len() as f64;
    let (one, two) = (error(first), error(second));
    let degrees = (one + two).powi(2) / (one.powi(2) / (first.len() as f64 - 1.0) + two.powi(2) / (second.len() as f64 - 1.0));
    let margin = match StudentsT::new(0.0, 1.0, degrees) {
        Ok(student) => student.inverse_cdf(0.5 * (1.0 + level)) * (one + two).sqrt(),
        Err(_) => f64::NAN,
    };
    Interval { estimate, low: estimate - margin, high: estimate + margin }
}

/// A difference of means over their standard deviation, which has so many `degrees` of freedom, corrected for small samples by the approximate
/// factor of L. V. Hedges (Journal of Educational Statistics 6, 1981). That is 0 for a single degree, whatever the difference: then there is none.
fn hedges_g(difference: f64, deviation: f64, degrees: f64) -> Option<f64> {
    (deviation > 0.0 && degrees > 1.0).then(|| (1.0 - 3.0 / (4.0 * degrees - 1.0)) * difference / deviation)
}

/// Compares two independent samples, at confidence `level`.
pub fn compare_samples(first: &[f64], second: &[f64], level: f64, seed: u64) -> SampleEffect {
    let counts = [first.len(), second.len()];
    let means = |[one, two]: [&[usize]; 2]| {
        let mean =
            |values: &[f64], indices: &[usize]| indices.iter().map(|&index| values[index]).sum::<f64>() / indices.len() as f64;
        (mean(first, one), mean(second, two))
    };
    let degrees = (first.len() + second.len()) as f64 - 2.0;
    let squares = |values: &[f64]| (values.len() as f64 - 1.0) * standard_deviation(values).powi(2);
    let pooled = ((squares(first) + squares(second)) / degrees.max(1.0)).sqrt();
    SampleEffect {
        difference: bootstrap_samples(counts, level, seed, |indices| {
            let (one, two) = means(indices);
            one - two
        }),
        ratio: meaningful_ratio(
            bootstrap_samples(counts, level, seed, |indices| {
                let (one, two) = means(indices);
                one / two
            }),
            &[mean(first), mean(second)],
        ),
        effect_size: hedges_g(mean(first) - mean(second), pooled, degrees),
        p_value: permutation_test(first, second, seed),
    }
}

#[cfg(test)]
mod tests {
    use rand_distr::{Distribution, LogNormal, StandardNormal};

    use super::*;

    #[test]
    fn intervals_of_a_mean_hold_it_as_often_as_they_say() {
        // Lognormal: skew, which a plain percentile interval misses more often.
        let distribution = LogNormal::new(0.0, 0.5).unwrap();
        let truth = (0.125f64).exp();
        let holds = (0..200).filter(|&seed| {
            let mut random = stream(seed, "test", &[]);
            let sample: Vec<f64> = (0..40).map(|_| distribution.sample(&mut random)).collect();
            let interval = mean_interval(&sample, 0.9, seed);
            assert!(interval.low <= interval.estimate && interval.estimate <= interval.high);
            interval.low <= truth && truth <= interval.high
        });
        let share = holds.count() as f64 / 200.0;
        // Three standard errors of a share of 0.9 in 200.
        assert!((share - 0.9).abs() < 0.064, "{share}");
    }

    #[test]
    fn intervals_are_those_of_another_implementation_which_the_plain_quantiles_are_not() {
        // scipy 1.17.1, stats.bootstrap(method="BCa", confidence_level=0.9, n_resamples=1_000_000): of the mean of one skewed sample, and of the
        // difference of two. By quantiles alone: [0.450, 1.813] and [-0.500, 0.971].
        let (first, second) = ([0.2, 0.3, 0.3, 0.5, 0.6, 0.9, 1.4, 4.0], [1.0, 1.1, 1.3, 1.2, 0.4, 0.2]);
        let near = |interval: Interval, low: f64, high: f64| {
            // The ends of 10,000 resamples vary by about 0.01 and 0.03.
            assert!((interval.low - low).abs() < 0.03 && (interval.high - high).abs() < 0.09, "{interval:?}");
        };
        for seed in 0..5 {
            near(mean_interval(&first, 0.9, seed), 0.5375, 2.2125);
            near(compare_samples(&first, &second, 0.9, seed).difference, -0.3917, 1.2667);
        }
    }

    #[test]
    fn the_effect_size_is_hedges_g() {
        let effect = compare_pairs(&[3.0, 4.0, 5.0, 4.0], &[1.0, 1.0, 1.0, 1.0], 0.95, 0);
        // Differences 2, 3, 4, 3: mean 3, sd sqrt(2/3), correction 1 - 3/11.
        let expected = 3.0 / (2.0f64 / 3.0).sqrt() * (8.0 / 11.0);
        assert!((effect.effect_size.unwrap() - expected).abs() < 1e-12);
        assert_eq!(effect.difference.estimate, 3.0);
        assert_eq!(compare_pairs(&[1.0; 3], &[0.5; 3], 0.95, 0).effect_size, None);
        // Of two pairs the correction would leave nothing of any difference.
        assert_eq!(compare_pairs(&[3.0, 5.0], &[1.0, 1.0], 0.95, 0).effect_size, None);
    }

    #[test]
    fn independent_samples_of_one_distribution_seldom_differ_and_intervals_hold_the_difference_as_often_as_they_say() {
        let draw = |seed: u64, count: usize, shift: f64| -> (Vec<f64>, Vec<f64>) {
            let mut random = stream(seed, "test", &[]);
            let mut sample = |shift: f64| (0..count).map(|_| 5.0 + shift + random.sample::<f64, _>(StandardNormal)).collect();
            (sample(shift), sample(0.0))
        };
        let compared = |seed: u64, count, shift| {
            let (first, second) = draw(seed, count, shift);
            compare_samples(&first, &second, 0.9, seed)
        };
        for count in [5, 15] {
            let alarms = (0..100).filter(|&seed| compared(seed, count, 0.0).p_value < 0.05).count();
            assert!(alarms <= 12, "{alarms}");
            assert!((0..100).filter(|&seed| compared(seed, count, 4.0).p_value < 0.05).count() > 98);
        }
        let holds = (0..200).filter(|&seed| {
            let effect = compared(seed, 20, 1.0);
            let (difference, ratio) = (effect.difference, effect.ratio.unwrap());
            (difference.low <= 1.0 && 1.0 <= difference.high) && (ratio.low <= 1.2 && 1.2 <= ratio.high)
        });
        // Three standard errors of a share of 0.9 in 200, and a little for two intervals at once.
        let share = holds.count() as f64 / 200.0;
        assert!((0.82..=0.97).contains(&share), "{share}");
    }

    #[test]
    fn an_interval_by_students_t_is_that_of_the_tables() {
        // t of 4 degrees at 97.5 %: 2.776; sd of 1 to 5: sqrt(2.5).
        let interval = student_interval(&[1.0, 2.0, 3.0, 4.0, 5.0], 0.95);
        assert!((interval.high - 3.0 - 2.776 * 0.5f64.sqrt()).abs() < 1e-3 && interval.estimate == 3.0, "{interval:?}");
        assert!(student_interval(&[1.0], 0.95).low.is_nan() && student_interval(&[], 0.95).low.is_nan());
    }

    #[test]
    fn an_interval_by_welch_is_that_of_the_tables() {
        // Variances 1 and 4 over 3 values each: 25 / (1/2 + 16/2) = 2.941 degrees, whose t at 97.5 % is 3.219.
        let interval = welch_interval(&[4.0, 5.0, 6.0], &[1.0, 3.0, 5.0], 0.95);
        assert!((interval.high - 2.0 - 3.219 * (5.0f64 / 3.0).sqrt()).abs() < 5e-3 && interval.estimate == 2.0, "{interval:?}");
        assert!(
            welch_interval(&[1.0], &[1.0, 2.0], 0.95).low.is_nan() && welch_interval(&[1.0; 3], &[2.0; 3], 0.95).low.is_nan()
        );
    }

    #[test]
    fn a_ratio_of_what_is_not_above_0_means_nothing() {
        let ratio = |first: &[f64], second: &[f64]| compare_samples(first, second, 0.95, 0).ratio;
        assert!(ratio(&[-1.0, -2.0, -3.0], &[-4.0, -5.0, -6.0]).is_none());
        assert!(ratio(&[1.0, 2.0, 3.0], &[-0.1, 0.1, -0.2]).is_none());
        assert!(ratio(&[1.0, 2.0, 3.0], &[0.0; 3]).is_none());
        assert!(ratio(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0]).is_some());
    }

    #[test]
    fn an_interval_is_written_with_its_ends() {
        let interval = Interval { estimate: 0.2821, low: 0.2704, high: 0.297 };
        assert_eq!(format!("{interval:.2}"), "0.28 [0.27, 0.30]");
        assert_eq!(format!("{:+.1}", interval.map(|value| 10.0 * value)), "+2.8 [+2.7, +3.0]");
        assert_eq!(format!("{:.1}", Interval { estimate: 1.0, low: 1.0, high: 1.0 }), "1.0");
        assert_eq!(format!("{:.1}", Interval { estimate: 1.0, low: f64::NAN, high: f64::NAN }), "1.0");
    }

    #[test]
    fn the_effect_size_of_samples_is_over_their_pooled_deviation() {
        let effect = compare_samples(&[4.0, 5.0, 6.0], &[1.0, 2.0, 3.0], 0.95, 0);
        assert!((effect.effect_size.unwrap() - 3.0 * (1.0 - 3.0 / 15.0)).abs() < 1e-12);
        assert_eq!((effect.difference.estimate, effect.ratio.unwrap().estimate), (3.0, 2.5));
        assert_eq!(compare_samples(&[1.0; 3], &[1.0; 3], 0.95, 0).effect_size, None);
    }

    #[test]
    fn a_ratio_of_pairs_uses_that_they_belong_together() {
        // Each first is half of its second, whatever the second: no spread is left.
        let second: Vec<f64> = (1..20).map(f64::from).collect();
        let first: Vec<f64> = second.iter().map(|value| 0.5 * value).collect();
        let interval = ratio_interval(&first, &second, 0.95, 0);
        assert!(interval.high - interval.low < 1e-12 && (interval.estimate - 0.5).abs() < 1e-12);
    }

    #[test]
    fn samples_without_spread_or_ratios_of_nothing_give_no_panic() {
        let same = mean_interval(&[2.0; 5], 0.95, 0);
        assert_eq!((same.low, same.estimate, same.high), (2.0, 2.0, 2.0));
        assert!(ratio_interval(&[0.0; 3], &[0.0; 3], 0.95, 0).low.is_nan());
        assert!(mean_interval(&[], 0.95, 0).estimate.is_nan());
        let single = mean_interval(&[1.5], 0.95, 0);
        assert_eq!((single.low, single.high), (1.5, 1.5));
    }
}
