//! What a suite's episodes say, with intervals.

use serde::Serialize;

use super::description::Suite;
use super::records::Records;
use super::run::Entrant;
use crate::episode::EpisodeResult;
use crate::evidence::held_out_seeds;
use crate::evidence::statistics::{
    Interval, PairedEffect, bootstrap, compare_pairs, fewest_pairs, holm, mean, mean_interval, meaningful_ratio, ratio_interval,
};

/// Shorter ways forward have no energy per metre \[m\].
const SHORTEST_WAY: f32 = 0.1;

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
    /// Forward speed \[m/s\].
    pub speed: Interval,
    /// Speed as a share of that under the first condition, of the same seeds.
    pub retained: Interval,
    /// Share of episodes in which the robot fell.
    pub falls: f64,
    /// Work of the motors per metre forward \[J/m\]: mean over episodes that got at least 0.1 m far; `None` when none did.
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
    /// What the policy retains of its speed over what the baseline retains of its own, where both walk forward.
    pub retained_ratio: Option<Interval>,
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
            for (index, own) in groups.iter().enumerate().filter(|(index, _)| Some(*index) != baseline) {
                debug_assert!(index < entrants.len());
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

    fn report(&self, suite: &Suite, first: &Self) -> ConditionReport {
        let count = self.results.len() as f64;
        let mean = |value: &dyn Fn(&EpisodeResult) -> f64| self.results.iter().map(value).sum::<f64>() / count;
        let far: Vec<&EpisodeResult> = self.results.iter().filter(|result| result.distance >= SHORTEST_WAY).collect();
        let work: f64 = far.iter().map(|result| result.work / f64::from(result.distance)).sum();
        ConditionReport {
            policy: self.entrant.name.clone(),
            condition: self.name.clone(),
            speed: mean_interval(&self.speeds, suite.level, suite.seed),
            retained: ratio_interval(&self.speeds, &first.speeds, suite.level, suite.seed),
            falls: mean(&|result| f64::from(u8::from(result.fell))),
            work_per_metre: (!far.is_empty()).then(|| work / far.len() as f64),
            joint_speed: mean(&|result| f64::from(result.joint_speed)),
            weight_change: mean(&|result| f64::from(result.weight_change_mean)),
            straightness: mean(&|result| straightness(result)),
            weights_max_abs: self.results.iter().map(|result| result.weights_max_abs).fold(0.0, f32::max),
        }
    }

    fn compare(&self, suite: &Suite, first: &Self, base: &Self, base_first: &Self) -> Comparison {
        let speed = compare_pairs(&self.speeds, &base.speeds, suite.level, suite.seed);
        let retained_ratio = bootstrap(self.speeds.len(), suite.level, suite.seed, |indices| {
            let sum = |group: &Self| indices.iter().map(|&index| group.speeds[index]).sum::<f64>();
            (sum(self) / sum(first)) / (sum(base) / sum(base_first))
        });
        let share = |group: &Self, first: &Self| mean(&group.speeds) / mean(&first.speeds);
        Comparison {
            policy: self.entrant.name.clone(),
            baseline: base.entrant.name.clone(),
            condition: self.name.clone(),
            p_adjusted: None,
            speed,
            retained_ratio: meaningful_ratio(retained_ratio, share(self, first), share(base, base_first)),
        }
    }
}

fn straightness(result: &EpisodeResult) -> f64 {
    let (forward, sideways) = (f64::from(result.distance), f64::from(result.lateral_drift));
    let whole = forward.hypot(sideways);
    if whole > 0.0 { forward / whole } else { 0.0 }
}
