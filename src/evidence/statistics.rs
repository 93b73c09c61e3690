//! Statistics of experiments: intervals by bootstrap and by Student's t, and comparisons of samples.

mod resampling;
mod shares;

use std::fmt;

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

use super::p_values::{paired_test, permutation_test};
pub use resampling::bootstrap;
use resampling::bootstrap_samples;
pub use shares::share_interval;

/// Resamples of a bootstrap, and random sign flips of a [`paired_test`]; more change the third digit at most.
pub const RESAMPLES: usize = 10_000;
/// Fewest values that have an interval: of two, one may be an exception.
pub const FEWEST_VALUES: usize = 3;
/// Fewest values of which an interval is bootstrapped. Of fewer, resamples hold too little of what other values there might be, and intervals are
/// too narrow; Student's t knows how much so few values tell, if not that they are skewed.
pub const FEWEST_RESAMPLED: usize = 10;

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

    /// That of `ratio`, above 0, where `change` is the interval of what its logarithm may be off, around whatever estimate.
    fn of_ratio(ratio: f64, change: Self) -> Self {
        let end = |end: f64| ratio * (end - change.estimate).exp();
        Self { estimate: ratio, low: end(change.low), high: end(change.high) }
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

/// Interval at confidence `level` of the mean of `values`: by [`bootstrap`], of fewer than [`FEWEST_RESAMPLED`] by Student's t. NaN ends for fewer
/// than [`FEWEST_VALUES`].
pub fn mean_interval(values: &[f64], level: f64, seed: u64) -> Interval {
    match values.len() {
        ..FEWEST_VALUES => Interval::endless(mean(values)),
        FEWEST_VALUES..FEWEST_RESAMPLED => student_interval(values, level),
        _ => resampled_mean(values, level, seed),
    }
}

fn resampled_mean(values: &[f64], level: f64, seed: u64) -> Interval {
    bootstrap(values.len(), level, seed, |indices| mean_at(values, indices))
}

fn mean_at(values: &[f64], indices: &[usize]) -> f64 {
    indices.iter().map(|&index| values[index]).sum::<f64>() / indices.len() as f64
}

/// Interval at confidence `level` of mean `first` over mean `second`, whose values belong together in pairs. As [`mean_interval`]; of few pairs, by
/// what each adds to the ratio, to first order.
///
/// # Panics
/// Unless both are equally long.
pub fn ratio_interval(first: &[f64], second: &[f64], level: f64, seed: u64) -> Interval {
    assert_eq!(first.len(), second.len(), "values come in pairs");
    if first.len() >= FEWEST_RESAMPLED {
        return bootstrap(first.len(), level, seed, |indices| mean_at(first, indices) / mean_at(second, indices));
    }
    let scale = mean(second);
    let ratio = mean(first) / scale;
    // Not by its logarithm: a share that is retained may be below 0.
    let parts: Vec<f64> = first.iter().zip(second).map(|(first, second)| ratio + (first - ratio * second) / scale).collect();
    Interval { estimate: ratio, ..mean_interval(&parts, level, seed) }
}

/// Interval at confidence `level` of one ratio of means over another, `[[first, its base], [second, its base]]`, whose values all belong together.
/// As [`mean_interval`]; of few, of the logarithm, so that it says something only where all four means are surely above 0 ([`meaningful_ratio`]).
///
/// # Panics
/// Unless all are equally long.
pub fn ratio_of_ratios_interval(ratios: [[&[f64]; 2]; 2], level: f64, seed: u64) -> Interval {
    let [[own, own_base], [other, other_base]] = ratios;
    let count = own.len();
    assert!([own_base, other, other_base].iter().all(|values| values.len() == count), "values belong together");
    let of = |means: &dyn Fn(&[f64]) -> f64| (means(own) / means(own_base)) / (means(other) / means(other_base));
    if count >= FEWEST_RESAMPLED {
        return bootstrap(count, level, seed, |indices| of(&|values: &[f64]| mean_at(values, indices)));
    }
    let [own, own_base, other, other_base] = [own, own_base, other, other_base].map(relative);
    let change = |index: usize| own[index] - own_base[index] - other[index] + other_base[index];
    Interval::of_ratio(of(&mean), mean_interval(&(0..count).map(change).collect::<Vec<_>>(), level, seed))
}

/// `values` over their mean: the logarithm of a mean varies, to first order, as the mean of these does.
fn relative(values: &[f64]) -> Vec<f64> {
    let mean = mean(values);
    values.iter().map(|value| value / mean).collect()
}

/// `ratio` of the means of `sides`, or of ratios of them, if it means something: all of these are above 0, and its interval is, too. With fewer than
/// [`FEWEST_RESAMPLED`] values on a side the interval is by the logarithm, to first order, and above 0 whatever the values: then Student's t interval
/// of each mean, at confidence `level`, must be, too. A mean that may be 0 has no logarithm to first order, and over it any ratio is possible.
pub fn meaningful_ratio(ratio: Interval, sides: &[&[f64]], level: f64) -> Option<Interval> {
    let are_few = sides.iter().any(|side| side.len() < FEWEST_RESAMPLED);
    let is_above = |side: &&[f64]| mean(side) > 0.0 && (!are_few || student_interval(side, level).low > 0.0);
    (sides.iter().all(is_above) && ratio.low > 0.0 && ratio.high.is_finite()).then_some(ratio)
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

/// Interval at confidence `level` of the mean of `values` by Student's t. NaN ends for fewer than two.
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

/// Compares two independent samples, at confidence `level`. Where both have [`FEWEST_RESAMPLED`] values intervals are bootstrapped, else they are
/// Welch's, of the ratio by its logarithm; with fewer than [`FEWEST_VALUES`] on a side the difference has NaN ends and there is no ratio.
pub fn compare_samples(first: &[f64], second: &[f64], level: f64, seed: u64) -> SampleEffect {
    let by_welch = |first: &[f64], second: &[f64]| match first.len().min(second.len()) {
        ..FEWEST_VALUES => Interval::endless(mean(first) - mean(second)),
        _ => welch_interval(first, second, level),
    };
    let (difference, ratio) = match first.len().min(second.len()) {
        ..FEWEST_RESAMPLED => {
            let change = by_welch(&relative(first), &relative(second));
            (by_welch(first, second), Interval::of_ratio(mean(first) / mean(second), change))
        }
        _ => (
            resampled_means(first, second, level, seed, |one, two| one - two),
            resampled_means(first, second, level, seed, |one, two| one / two),
        ),
    };
    let degrees = (first.len() + second.len()) as f64 - 2.0;
    let squares = |values: &[f64]| (values.len() as f64 - 1.0) * standard_deviation(values).powi(2);
    let pooled = ((squares(first) + squares(second)) / degrees.max(1.0)).sqrt();
    SampleEffect {
        difference,
        ratio: meaningful_ratio(ratio, &[first, second], level),
        effect_size: hedges_g(mean(first) - mean(second), pooled, degrees),
        p_value: permutation_test(first, second, seed),
    }
}

/// Interval by bootstrap of what `combine` makes of the means of two samples, each of which is drawn from alone.
fn resampled_means(first: &[f64], second: &[f64], level: f64, seed: u64, combine: impl Fn(f64, f64) -> f64) -> Interval {
    bootstrap_samples([first.len(), second.len()], level, seed, |[one, two]| combine(mean_at(first, one), mean_at(second, two)))
}

#[cfg(test)]
mod tests {
    use rand::RngExt;
    use rand_distr::{Distribution, LogNormal, StandardNormal};

    use super::*;
    use crate::random::{Stream, stream};

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
    fn of_few_values_intervals_hold_what_they_are_of_about_as_often_as_they_say() {
        type Holds<'a> = &'a dyn Fn(&[f64], &[f64], u64) -> bool;
        let share = |holds: Holds, draw: &dyn Fn(&mut Stream) -> f64, count: u64| {
            let once = |seed: &u64| {
                let mut random = stream(*seed, "test", &[]);
                let mut sample = || (0..5).map(|_| draw(&mut random)).collect::<Vec<f64>>();
                let (first, second) = (sample(), sample());
                holds(&first, &second, *seed)
            };
            (0..count).filter(once).count() as f64 / count as f64
        };
        let within = |interval: Interval, truth: f64| interval.low <= truth && truth <= interval.high;
        let normal = |random: &mut Stream| 5.0 + random.sample::<f64, _>(StandardNormal);
        let longer = |values: &[f64]| -> Vec<f64> { values.iter().map(|value| value + 1.0).collect() };
        let mean = |values: &[f64], _: &[f64], seed| within(mean_interval(values, 0.95, seed), 5.0);
        let compared = |one: &[f64], two: &[f64], seed| {
            let SampleEffect { difference, ratio, .. } = compare_samples(&longer(one), two, 0.95, seed);
            within(difference, 1.0) && ratio.is_some_and(|ratio| within(ratio, 1.2))
        };
        let paired = |one: &[f64], two: &[f64], seed| within(ratio_interval(&longer(one), two, 0.95, seed), 1.2);
        let shares = |one: &[f64], two: &[f64], seed| {
            let (own, other) = (longer(one), longer(two));
            within(ratio_of_ratios_interval([[&own, two], [one, &other]], 0.95, seed), 1.44)
        };
        // Two intervals at once, difference and ratio, hold a little less often.
        for (share, least) in [
            (share(&mean, &normal, 2000), 0.92),
            (share(&compared, &normal, 2000), 0.91),
            (share(&paired, &normal, 2000), 0.92),
            (share(&shares, &normal, 2000), 0.92),
        ] {
            assert!((least..=0.98).contains(&share), "{share}");
        }
        let normal_mean = share(&mean, &normal, 2000);
        assert!((0.92..=0.97).contains(&normal_mean), "{normal_mean}");
        // Skewed values have more of their weight beyond the end of the few: of five, about 91 %.
        let lognormal = LogNormal::new(0.0, 0.5).unwrap();
        let truth = (0.125f64).exp();
        let skewed = |values: &[f64], _: &[f64], seed| within(mean_interval(values, 0.95, seed), truth);
        let held = share(&skewed, &|random: &mut Stream| lognormal.sample(random), 2000);
        assert!((0.88..=0.97).contains(&held), "{held}");
        // A bootstrap of so few knows less than it says.
        let resampled = |values: &[f64], _: &[f64], seed| within(resampled_mean(values, 0.95, seed), 5.0);
        let held = share(&resampled, &normal, 200);
        assert!(held < 0.92, "{held}");
    }

    #[test]
    fn two_values_have_no_interval_and_ten_are_bootstrapped() {
        let of = |count: usize| {
            let values: Vec<f64> = (1..=count).map(|value| (value * value) as f64).collect();
            let larger: Vec<f64> = values.iter().map(|value| value + 1.0).collect();
            let compared = compare_samples(&larger, &values, 0.95, 0);
            [
                mean_interval(&values, 0.95, 0),
                ratio_interval(&larger, &values, 0.95, 0),
                compare_pairs(&larger, &vec![0.0; count], 0.95, 0).difference,
                compared.difference,
                ratio_of_ratios_interval([[&larger, &values], [&values, &values]], 0.95, 0),
            ]
        };
        assert!(of(2).iter().all(|interval| interval.low.is_nan() && interval.high.is_nan() && interval.estimate.is_finite()));
        assert!(compare_samples(&[1.0, 2.0], &[1.0, 2.0, 3.0], 0.95, 0).ratio.is_none());
        for count in [3, 9, 10] {
            assert!(of(count).iter().all(|interval| interval.low < interval.estimate && interval.estimate < interval.high));
            // As far on one side as on the other by t, and not by a bootstrap of skewed values.
            let Interval { estimate, low, high } = of(count)[0];
            assert_eq!(((estimate - low) - (high - estimate)).abs() < 1e-9, count < 10, "{count}");
        }
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
            near(resampled_mean(&first, 0.9, seed), 0.5375, 2.2125);
            near(resampled_means(&first, &second, 0.9, seed, |one, two| one - two), -0.3917, 1.2667);
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
        assert!(ratio(&[3.0, 4.0, 5.0], &[-0.1, 0.1, -0.2]).is_none());
        assert!(ratio(&[3.0, 4.0, 5.0], &[0.0; 3]).is_none());
        assert!(ratio(&[3.0, 4.0, 5.0], &[4.0, 5.0, 6.0]).is_some());
    }

    #[test]
    fn a_ratio_of_few_values_whose_mean_may_be_0_means_nothing() {
        let ratio = |first: &[f64], second: &[f64]| compare_samples(first, second, 0.95, 0).ratio;
        // What policies retained in a study: 0.26 [-0.30, 0.81] and 0.21 [-0.04, 0.45]; of the ratio, 1.25, the logarithm makes [0.14, 10.83].
        let (plastic, fixed) = ([0.882, 0.576, -0.162, -0.017, 0.006], [0.527, 0.074, 0.048, 0.132, 0.248]);
        assert_eq!(ratio(&plastic, &fixed), None);
        // One such side is enough, whichever, and however many values the other has.
        let (five, twenty) = ([0.8, 0.9, 1.0, 1.1, 1.2], [0.9, 1.1].repeat(10));
        for sure in [&five[..], &twenty[..]] {
            assert_eq!((ratio(&plastic, sure), ratio(sure, &plastic)), (None, None));
            assert!(ratio(&five, sure).is_some() && ratio(sure, &five).is_some());
        }
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
        let effect = compare_samples(&[5.0, 6.0, 7.0], &[2.0, 3.0, 4.0], 0.95, 0);
        assert!((effect.effect_size.unwrap() - 3.0 * (1.0 - 3.0 / 15.0)).abs() < 1e-12);
        assert_eq!((effect.difference.estimate, effect.ratio.unwrap().estimate), (3.0, 2.0));
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
        let [single, resampled] = [mean_interval(&[1.5], 0.95, 0), resampled_mean(&[1.5], 0.95, 0)];
        assert!(single.estimate == 1.5 && single.low.is_nan() && single.high.is_nan(), "{single:?}");
        assert_eq!((resampled.low, resampled.high), (1.5, 1.5));
    }
}
