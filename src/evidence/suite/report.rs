//! What a suite's episodes say, with intervals.

use std::collections::BTreeSet;

use serde::Serialize;

use super::description::Suite;
use super::records::Records;
use super::run::Entrant;
use crate::episode::EpisodeResult;
use crate::evidence::p_values::{fewest_pairs, holm};
use crate::evidence::statistics::{
    Interval, PairedEffect, compare_pairs, mean, mean_interval, meaningful_ratio, ratio_interval, ratio_of_ratios_interval,
};
use crate::evidence::{held_out_seeds, verdict};

/// Shorter ways forward, in the mean over episodes, have no energy per metre \[m\].
const SHORTEST_WAY: f64 = 0.1;

/// A suite in figures.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SuiteReport {
    /// Confidence of all intervals.
    pub level: f64,
    /// Seeds of the episodes, the same for all.
    pub seeds: Vec<u64>,
    /// Policy after policy, each under condition after condition.
    pub conditions: Vec<ConditionReport>,
    /// Each policy but the baseline against the baseline.
    pub comparisons: Vec<Comparison>,
    /// Fewest episodes that can tell policies apart under so many comparisons.
    pub fewest_episodes: usize,
}

/// A policy under one condition, or under all of a group of conditions.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ConditionReport {
    /// Name of the policy.
    pub policy: String,
    /// Name of the group of conditions.
    pub condition: String,
    /// Forward speed \[m/s\]. As all intervals here, one of fewer than three episodes has no ends.
    pub speed: Interval,
    /// Speed as a share of that under the first condition, of the same seeds; none for a policy that does not walk there ([`Suite::walks_from`]).
    pub retained: Option<Interval>,
    /// Share of episodes in which the robot fell.
    pub falls: f64,
    /// Work of the motors per metre forward \[J/m\]: that of all episodes over the way of all; `None` when that is less than 0.1 m an episode.
    pub work_per_metre: Option<f64>,
    /// Mean |joint velocity| in the second half of the episodes \[rad/s\].
    pub joint_speed: f64,
    /// Mean |change of a weight| per control step; 0 without plastic weights.
    pub weight_change: f64,
    /// Way forward as a share of the distance from start to end, mean.
    pub straightness: f64,
    /// Largest |w| of any episode.
    pub weights_max_abs: f32,
}

/// A policy against the baseline under one group of conditions, seed by seed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Name of the policy.
    pub policy: String,
    /// Name of the baseline.
    pub baseline: String,
    /// Name of the group of conditions.
    pub condition: String,
    /// Difference in speed \[m/s\].
    pub speed: PairedEffect,
    /// The p value, corrected for all comparisons of this report; none with fewer than [`SuiteReport::fewest_episodes`], whose p says
    /// nothing however clear the difference.
    pub p_adjusted: Option<f64>,
    /// What the policy retains of its speed over what the baseline retains of its own, where both walk under the first condition
    /// ([`Suite::walks_from`]) and get forward under this one; none of fewer than three episodes, and of fewer than ten none where one of the four
    /// speeds may be 0 ([`meaningful_ratio`]).
    pub retained_ratio: Option<Interval>,
}

/// Fewest episodes of `suite` with which the others of `entrants` can be told from the one of index `baseline` under any condition; a report of
/// fewer has no p value.
///
/// # Errors
/// [`super::SuiteError`] when the suite does not fit an entrant's robot.
pub fn fewest_episodes(suite: &Suite, entrants: &[Entrant], baseline: usize) -> Result<usize, super::SuiteError> {
    let groups = |entrant: &Entrant| -> Result<BTreeSet<String>, super::SuiteError> {
        let conditions = suite.conditions(&entrant.robot, entrant.file.metadata.control_rate)?;
        Ok(conditions.into_iter().map(|condition| condition.group).collect())
    };
    let all = entrants.iter().map(groups).collect::<Result<Vec<_>, _>>()?;
    let others = all.iter().enumerate().filter(|(index, _)| *index != baseline);
    let common = |(_, own): (usize, &BTreeSet<String>)| all.get(baseline).map_or(0, |base| own.intersection(base).count());
    Ok(fewest_pairs(others.map(common).sum::<usize>().max(1), suite.level))
}

/// An entrant's episodes under one group of conditions: one value per seed, the mean over the group.
struct Group<'a> {
    entrant: &'a Entrant,
    name: String,
    speeds: Vec<f64>,
    results: Vec<EpisodeResult>,
}

impl SuiteReport {
    /// Sums up the episodes of `suite` in `records`, which [`super::run_suite`] has completed. With a `baseline`, the index of an entrant, the
    /// others are compared with it under the conditions that both were in. Intervals are drawn with the suite's seed.
    ///
    /// # Errors
    /// [`super::SuiteError`] when the suite does not fit an entrant's robot.
    pub fn new(
        suite: &Suite,
        entrants: &[Entrant],
        records: &Records,
        baseline: Option<usize>,
    ) -> Result<Self, super::SuiteError> {
        let seeds = held_out_seeds(suite.seed, suite.episodes);
        let mut groups: Vec<Vec<Group>> = Vec::new();
        for entrant in entrants {
            groups.push(Group::all(suite, entrant, &seeds, records)?);
        }
        let conditions = groups.iter().flat_map(|groups| groups.iter().map(|group| group.report(suite, &groups[0]))).collect();
        let mut comparisons = Vec::new();
        if let Some(base) = baseline.and_then(|index| groups.get(index)) {
            let others = groups.iter().enumerate().filter(|(index, _)| Some(*index) != baseline);
            for own in others.map(|(_, own)| own) {
                let pairs = own.iter().filter_map(|group| Some((group, base.iter().find(|other| other.name == group.name)?)));
                comparisons.extend(pairs.map(|(group, other)| group.compare(suite, &own[0], other, &base[0])));
            }
        }
        let fewest_episodes = fewest_pairs(comparisons.len().max(1), suite.level);
        if seeds.len() >= fewest_episodes {
            let adjusted = holm(&comparisons.iter().map(|comparison| comparison.speed.p_value).collect::<Vec<_>>());
            for (comparison, p) in comparisons.iter_mut().zip(adjusted) {
                comparison.p_adjusted = Some(p);
            }
        }
        Ok(Self { level: suite.level, seeds, conditions, comparisons, fewest_episodes })
    }
}

impl<'a> Group<'a> {
    fn all(suite: &Suite, entrant: &'a Entrant, seeds: &[u64], records: &Records) -> Result<Vec<Self>, super::SuiteError> {
        let conditions = suite.conditions(&entrant.robot, entrant.file.metadata.control_rate)?;
        let group = |conditions: &[super::Condition]| {
            let settings: Vec<String> = conditions.iter().map(|condition| entrant.setting(condition)).collect();
            let of_seed = |&seed: &u64| settings.iter().filter_map(move |setting| records.get(setting, seed).copied());
            let speed = |seed: &u64| of_seed(seed).map(|result| f64::from(result.speed)).sum::<f64>() / settings.len() as f64;
            let speeds = seeds.iter().map(speed).collect();
            let results = seeds.iter().flat_map(of_seed).collect();
            Self { entrant, name: conditions[0].group.clone(), speeds, results }
        };
        Ok(conditions.chunk_by(|a, b| a.group == b.group).map(group).collect())
    }

    /// Share of episodes in which the robot fell.
    fn falls(&self) -> f64 {
        self.results.iter().filter(|result| result.fell).count() as f64 / self.results.len() as f64
    }

    /// Whether these episodes, those under the first condition, are of a policy that walks.
    fn walks(&self, suite: &Suite) -> bool {
        verdict::walks(mean(&self.speeds), self.falls(), suite.walks_from)
    }

    fn report(&self, suite: &Suite, first: &Self) -> ConditionReport {
        let count = self.results.len() as f64;
        let mean = |value: &dyn Fn(&EpisodeResult) -> f64| self.results.iter().map(value).sum::<f64>() / count;
        ConditionReport {
            policy: self.entrant.name.clone(),
            condition: self.name.clone(),
            speed: mean_interval(&self.speeds, suite.level, suite.seed),
            retained: first.walks(suite).then(|| retained(&self.speeds, &first.speeds, suite)).flatten(),
            falls: self.falls(),
            work_per_metre: work_per_metre(&self.results),
            joint_speed: mean(&|result| f64::from(result.joint_speed)),
            weight_change: mean(&|result| f64::from(result.weight_change_mean)),
            straightness: mean(&|result| straightness(result)),
            weights_max_abs: self.results.iter().map(|result| result.weights_max_abs).fold(0.0, f32::max),
        }
    }

    fn compare(&self, suite: &Suite, first: &Self, base: &Self, base_first: &Self) -> Comparison {
        let speed = compare_pairs(&self.speeds, &base.speeds, suite.level, suite.seed);
        let speeds = [[self, first], [base, base_first]].map(|pair| pair.map(|group| group.speeds.as_slice()));
        let both_walk = first.walks(suite) && base_first.walks(suite);
        Comparison {
            policy: self.entrant.name.clone(),
            baseline: base.entrant.name.clone(),
            condition: self.name.clone(),
            p_adjusted: None,
            speed,
            retained_ratio: both_walk.then(|| retained_ratio(speeds, suite)).flatten(),
        }
    }
}

/// Share that `speeds` are of the `first` ones, those of the same seeds under the first condition, which are a walk: of next to nothing every share
/// is large, and of a way backwards it has the wrong sign.
fn retained(speeds: &[f64], first: &[f64], suite: &Suite) -> Option<Interval> {
    let share = ratio_interval(speeds, first, suite.level, suite.seed);
    // Without ends it says something, too.
    let is_number = share.estimate.is_finite() && !share.low.is_infinite() && !share.high.is_infinite();
    is_number.then_some(share)
}

/// What a policy retains over what another does: its speeds and those under the first condition, then the same of the other.
fn retained_ratio(speeds: [[&[f64]; 2]; 2], suite: &Suite) -> Option<Interval> {
    // The four speeds, not the two shares: of a way backwards out of a way backwards the share is above 0.
    meaningful_ratio(ratio_of_ratios_interval(speeds, suite.level, suite.seed), speeds.as_flattened(), suite.level)
}

/// Work of all episodes over the way of all. The mean of that of each would be that of the ones that got far, which are the cheap ones.
fn work_per_metre(results: &[EpisodeResult]) -> Option<f64> {
    let work: f64 = results.iter().map(|result| result.work).sum();
    let way: f64 = results.iter().map(|result| f64::from(result.distance)).sum();
    (way >= SHORTEST_WAY * results.len() as f64).then_some(work / way)
}

fn straightness(result: &EpisodeResult) -> f64 {
    let (forward, sideways) = (f64::from(result.distance), f64::from(result.lateral_drift));
    let whole = forward.hypot(sideways);
    if whole > 0.0 { forward / whole } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::PolicyFile;
    use crate::robot::RobotModel;

    fn suite() -> Suite {
        crate::config::parse_yaml("{episodes: 3, duration: 1, conditions: [{name: flat}]}").unwrap()
    }

    fn entrant() -> Entrant {
        let path = |name: &str| std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(name);
        let (file, sha256) = PolicyFile::load(&path("policies/beetle.safetensors")).unwrap();
        Entrant { name: "walk".to_owned(), file, sha256, robot: RobotModel::load(&path("robots/beetle.yaml")).unwrap().into() }
    }

    /// Episodes of these speeds \[m/s\], the first `falls` of them with a fall.
    fn group<'a>(entrant: &'a Entrant, speeds: &[f64], falls: usize) -> Group<'a> {
        let result = |index: usize| EpisodeResult { fell: index < falls, ..EpisodeResult::default() };
        let results = (0..speeds.len()).map(result).collect();
        Group { entrant, name: "flat".to_owned(), speeds: speeds.to_vec(), results }
    }

    #[test]
    fn nothing_is_retained_of_what_is_no_walk() {
        let entrant = entrant();
        let under = |suite: &Suite, first: [f64; 3], falls: usize| {
            let later = group(&entrant, &[0.1, 0.2, 0.3], 0);
            later.report(suite, &group(&entrant, &first, falls)).retained
        };
        let share = |first, falls| under(&suite(), first, falls);
        assert_eq!(share([0.2, 0.4, 0.6], 0).unwrap().estimate, 0.5);
        // In the air, on the spot, and backwards.
        for first in [[0.0; 3], [0.001, 0.03, -0.02], [-0.2; 3]] {
            assert_eq!(share(first, 0), None, "{first:?}");
        }
        // Tumbling, however fast.
        assert_eq!([1, 2, 3].map(|falls| share([0.2, 0.4, 0.6], falls).is_some()), [true, false, false]);
        // Of a robot that should be faster.
        let slowest = |walks_from: f32| under(&Suite { walks_from, ..suite() }, [0.2, 0.4, 0.6], 0).is_some();
        assert!(slowest(0.3) && !slowest(0.5));
    }

    #[test]
    fn two_episodes_have_estimates_without_ends() {
        let entrant = entrant();
        let report = |speeds: &[f64]| {
            let both = group(&entrant, speeds, 0);
            (both.report(&suite(), &both), both.compare(&suite(), &both, &both, &both))
        };
        let (two, compared) = report(&[0.1, 0.3]);
        let retained = two.retained.unwrap();
        assert!(
            (two.speed.estimate, retained.estimate) == (0.2, 1.0) && two.speed.low.is_nan() && retained.low.is_nan(),
            "{two:?}"
        );
        assert!(compared.speed.difference.low.is_nan() && compared.retained_ratio.is_none(), "{compared:?}");
        let (three, compared) = report(&[0.2, 0.4, 0.3]);
        assert!(three.speed.low < 0.2 && three.speed.high > 0.4, "a bootstrap stays within the values: {three:?}");
        assert!(compared.retained_ratio.is_some());
    }

    #[test]
    fn an_episode_that_hardly_got_forward_counts_in_the_work_per_metre() {
        let result = |distance| EpisodeResult { distance, work: 3.0, ..EpisodeResult::default() };
        assert_eq!(work_per_metre(&[result(0.0625), result(0.1875)]), Some(24.0));
        assert_eq!(work_per_metre(&[result(0.0625), result(0.125)]), None);
    }

    #[test]
    fn what_two_policies_retain_is_compared_where_both_walk_and_still_get_forward() {
        let entrant = entrant();
        let ratio = |speeds: [f64; 4]| {
            let [own, own_first, other, other_first] = speeds.map(|speed| group(&entrant, &[speed; 3], 0));
            own.compare(&suite(), &own_first, &other, &other_first).retained_ratio
        };
        assert_eq!(ratio([0.1, 0.2, 0.1, 0.4]).unwrap().estimate, 2.0);
        // Backwards at first, and later, too: the shares are above 0 all the same.
        assert_eq!(ratio([-0.1, -0.2, -0.1, -0.4]), None);
        assert_eq!(ratio([-0.1, -0.2, 0.1, 0.4]), None);
        assert_eq!(ratio([-0.1, 0.2, -0.1, 0.4]), None);
        assert_eq!(ratio([0.1, 0.01, 0.1, 0.4]), None, "a policy that does not walk");
    }

    #[test]
    fn what_two_policies_retain_is_compared_in_few_episodes_only_where_all_speeds_are_surely_above_0() {
        let entrant = entrant();
        let steady = group(&entrant, &[0.20, 0.21, 0.19, 0.20, 0.20], 0);
        let ratios = |speeds: &[f64]| {
            let under = group(&entrant, speeds, 0);
            let compared = |own: &Group, other: &Group| own.compare(&suite(), &steady, other, &steady).retained_ratio;
            [compared(&under, &steady), compared(&steady, &under)]
        };
        assert!(ratios(&[0.10, 0.11, 0.09, 0.10, 0.10]).iter().all(Option::is_some));
        // 0.1 [-0.1, 0.3] m/s.
        assert_eq!(ratios(&[0.38, 0.10, 0.02, -0.02, 0.02]), [None; 2]);
    }
}
