//! Shares, as of the episodes in which a robot fell.

use statrs::distribution::{Beta, ContinuousCDF};

use super::Interval;

/// Halvings of the range from 0 to 1 in which an end is searched for: as many as a number has binary digits.
const HALVINGS: u32 = 53;

/// Interval at confidence `level` (0 to 1) of a share, of which `part` of `all` independent observations are an estimate. Of no observation the estimate
/// is NaN, and the interval all from 0 to 1.
///
/// That of C. J. Clopper and E. S. Pearson (Biometrika 26, 1934), which holds the share at least as often as it says, also where it is seen never or
/// always: from the quantile of Beta(part, all - part + 1) at (1 - level) / 2 to that of Beta(part + 1, all - part) at (1 + level) / 2.
pub fn share_interval(part: u32, all: u32, level: f64) -> Interval {
    let (counted, others) = (f64::from(part.min(all)), f64::from(all.saturating_sub(part)));
    Interval {
        estimate: counted / f64::from(all),
        // What was never seen may have a share of nothing, what was always seen one of all.
        low: quantile(counted, others + 1.0, 0.5 * (1.0 - level)).unwrap_or(0.0),
        high: quantile(counted + 1.0, others, 0.5 * (1.0 + level)).unwrap_or(1.0),
    }
}

/// The value up to which Beta(`a`, `b`) has this `probability`; none unless both are above 0.
fn quantile(a: f64, b: f64, probability: f64) -> Option<f64> {
    let distribution = Beta::new(a, b).ok()?;
    // Newton's steps, by which statrs inverts it, need not end where counts are as large as a file may say.
    let halve = |[low, high]: [f64; 2]| {
        let middle = 0.5 * (low + high);
        if distribution.cdf(middle) < probability { [middle, high] } else { [low, middle] }
    };
    let [low, high] = (0..HALVINGS).fold([0.0, 1.0], |range, _| halve(range));
    Some(0.5 * (low + high))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_of_a_share_has_a_width_where_none_or_all_are_counted() {
        // Of all of n the lower end is the nth root of 0.025: of a share as large n of n are seen in one of 40 cases.
        for (all, low) in [(1, 0.025), (4, 0.397_635), (8, 0.630_583)] {
            let [every, none] = [share_interval(all, all, 0.95), share_interval(0, all, 0.95)];
            assert!((every.low - low).abs() < 1e-6 && (every.estimate, every.high) == (1.0, 1.0), "{every:?}");
            assert!((none.high - (1.0 - low)).abs() < 1e-6 && (none.estimate, none.low) == (0.0, 0.0), "{none:?}");
        }
        // By sums of binomial probabilities: 0.025 for 5 and more of 20, and for 5 and fewer.
        let some = share_interval(5, 20, 0.95);
        assert!((some.low - 0.086_571).abs() < 1e-6 && (some.high - 0.491_046).abs() < 1e-6, "{some:?}");
    }

    #[test]
    fn counts_that_cannot_be_have_an_interval_all_the_same() {
        let Interval { estimate, low, high } = share_interval(0, 0, 0.95);
        assert!(estimate.is_nan() && (low, high) == (0.0, 1.0), "{estimate} [{low}, {high}]");
        assert_eq!(share_interval(9, 8, 0.95), share_interval(8, 8, 0.95));
        for part in [0, 1, u32::MAX / 2, u32::MAX] {
            let Interval { low, high, .. } = share_interval(part, u32::MAX, 0.95);
            assert!((0.0..=1.0).contains(&low) && (0.0..=1.0).contains(&high), "{part}: [{low}, {high}]");
        }
    }
}
