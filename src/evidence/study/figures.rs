//! What the policies of a study came to, group by group, and how far groups are apart.

use serde::Serialize;

use super::description::{Comparison, Member, Outcome, Study};
use super::weights::WeightFigures;
use crate::episode::{EPISODE_VERSION, FIRST_EPISODE_VERSION};
use crate::evidence::p_values::holm;
use crate::evidence::statistics::{FEWEST_VALUES, Interval, SampleEffect, compare_samples, mean, mean_interval};
use crate::evidence::suite::{ConditionReport, Suite, SuiteReport};
use crate::evidence::{Verdict, verdict};
use crate::policy::{Ablation, PolicyFile};

/// Fewest policies of which an interval or a conclusion is made.
pub(super) const FEWEST: usize = FEWEST_VALUES;
/// Fewest episodes of an ablation that a study goes by. Of eight the standard error of what a shipped policy loses, if it walks at 0.09 m/s or more,
/// is at most 0.12: enough for the third and the half that `matters` asks for.
pub(super) const FEWEST_EPISODES: u32 = 8;

/// A policy of a study that is there.
pub struct Evolved<'a> {
    /// What it is.
    pub member: Member<'a>,
    /// Its file.
    pub file: PolicyFile,
    /// SHA-256 of the file.
    pub sha256: String,
    /// How its weights move; none without plasticity, or where it was not asked for.
    pub weights: Option<WeightFigures>,
}

/// A study in figures.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StudyFigures {
    /// Name of the study.
    pub name: String,
    /// Confidence of all intervals.
    pub level: f64,
    /// Episodes of each policy under each condition.
    pub episodes: u32,
    /// Names of the suite's conditions, then of the study's outcomes.
    pub outcomes: Vec<String>,
    /// The groups that have any policy.
    pub groups: Vec<GroupFigures>,
    /// The study's comparisons of groups that have enough policies.
    pub comparisons: Vec<ComparisonFigures>,
    /// Names of policies that are not evolved yet.
    pub missing: Vec<String>,
}

/// A group.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GroupFigures {
    /// Name.
    pub name: String,
    /// Policies that it is to have.
    pub planned: usize,
    /// Kind of network, as files call it.
    pub kind: &'static str,
    /// Numbers that evolve.
    pub numbers: usize,
    /// Weights that change in life; 0 without any.
    pub plastic: usize,
    /// Its policies.
    pub policies: Vec<PolicyFigures>,
    /// One for each of [`StudyFigures::outcomes`].
    pub outcomes: Vec<OutcomeFigures>,
}

/// A policy.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PolicyFigures {
    /// Name.
    pub name: String,
    /// Seed of its evolution.
    pub seed: u64,
    /// Generations that it evolved.
    pub generations: u64,
    /// [`EPISODE_VERSION`] of the program that evolved it.
    pub evolved_in: u16,
    /// SHA-256 of its file.
    pub sha256: String,
    /// SHA-256 of the numbers that evolved ([`PolicyFile::numbers_hash`]).
    pub numbers_sha256: String,
    /// Whether it walks under the first condition: it is as fast as [`Suite::walks_from`], and falls in at most half of its episodes.
    pub walks: bool,
    /// Whether it walks under the condition that it knows ([`WeightConditions::known`](super::WeightConditions::known)), which need not be the first
    /// one; not where none is named.
    pub walks_on_known: bool,
    /// Whether it walks under the condition that it does not know ([`WeightConditions::unknown`](super::WeightConditions::unknown)); not where none
    /// is named.
    pub walks_on_unknown: bool,
    /// What its ablation says, in which it walks from [`Suite::walks_from`] on, too; none without plasticity, or an ablation of at least eight
    /// episodes, of the present [`EPISODE_VERSION`], that has a verdict ([`Verdict::of_walk_from`]).
    pub verdict: Option<Verdict>,
    /// Whether it has a verdict no more, as its ablation is of another [`EPISODE_VERSION`].
    pub is_ablation_old: bool,
    /// How its weights move; none without plasticity, or where it was not asked for.
    pub weights: Option<WeightFigures>,
    /// One for each of [`StudyFigures::outcomes`].
    pub outcomes: Vec<PolicyOutcome>,
}

/// A policy under a condition, or several: means over conditions of means over episodes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PolicyOutcome {
    /// Forward speed \[m/s\].
    pub speed: f64,
    /// Speed as a share of that under the first condition; none for a policy that does not walk.
    pub retained: Option<f64>,
    /// Share of episodes in which the robot fell.
    pub falls: f64,
    /// Course and cost.
    pub course: Course,
}

/// How a policy gets on, beside its speed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Course {
    /// Work of the motors per metre \[J/m\], of several conditions the mean over those in which it moved; none where it hardly did in any.
    pub work_per_metre: Option<f64>,
    /// Mean |joint velocity| in the second half of the episodes \[rad/s\].
    pub joint_speed: f64,
    /// Way forward as a share of the distance from start to end.
    pub straightness: f64,
    /// Mean |change of a weight| per control step.
    pub weight_change: f64,
    /// Largest |w| of any episode.
    pub weights_max_abs: f32,
}

/// A group under a condition, or several. Intervals are over its policies; fewer than three have estimates without ends.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OutcomeFigures {
    /// Forward speed \[m/s\].
    pub speed: Interval,
    /// Speed as a share of that under the first condition, over the policies that walk; none when none does.
    pub retained: Option<Interval>,
    /// Share of episodes in which the robot fell.
    pub falls: f64,
}

/// Two groups under one outcome.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ComparisonFigures {
    /// The group.
    pub group: String,
    /// The group that it is compared with.
    pub baseline: String,
    /// Name of the outcome.
    pub outcome: String,
    /// Whether speeds \[m/s\] are compared, or what is retained of them.
    pub retained: bool,
    /// Policies on either side.
    pub policies: [usize; 2],
    /// How far apart they are.
    pub effect: SampleEffect,
    /// The p value, corrected for all of the study's comparisons (Holm), those that cannot be made yet counted in with p = 1: what is evolved
    /// first must not pass more easily.
    pub p_adjusted: f64,
}

impl StudyFigures {
    /// The figures of `study`, of which `policies` are there. `report` is that of the suite with entrants of the members' names.
    pub fn new(study: &Study, suite: &Suite, policies: &[Evolved<'_>], report: &SuiteReport) -> Self {
        let each = suite.conditions.iter().map(|condition| condition.name.clone());
        let each: Vec<Outcome> = each.map(|name| Outcome { name: name.clone(), conditions: vec![name] }).collect();
        let outcomes: Vec<&Outcome> = each.iter().chain(&study.outcomes).collect();
        let mut groups = Vec::new();
        for group in &study.groups {
            let own: Vec<&Evolved> = policies.iter().filter(|policy| policy.member.group.name == group.name).collect();
            let Some(first) = own.first() else { continue };
            let network = &first.file.metadata.network;
            let figures = |policy: &&Evolved| {
                let name = policy.member.name();
                let rows: Vec<&ConditionReport> = report.conditions.iter().filter(|row| row.policy == name).collect();
                PolicyFigures::new(policy, suite, &outcomes, &rows)
            };
            let own: Vec<PolicyFigures> = own.iter().map(figures).collect();
            let sum = |index: usize| OutcomeFigures::new(&own, index, suite.level, suite.seed);
            groups.push(GroupFigures {
                name: group.name.clone(),
                planned: group.seeds.as_ref().unwrap_or(&study.seeds).len(),
                kind: network.kind(),
                numbers: network.genome_len(),
                plastic: network.plastic().map_or(0, |plastic| plastic.layers.synapses()),
                outcomes: (0..outcomes.len()).map(sum).collect(),
                policies: own,
            });
        }
        let is_there = |member: &Member| {
            policies.iter().any(|policy| policy.member.group.name == member.group.name && policy.member.seed == member.seed)
        };
        let missing = study.members().filter(|member| !is_there(member));
        let mut figures = Self {
            name: study.name.clone(),
            level: suite.level,
            episodes: suite.episodes,
            outcomes: outcomes.iter().map(|outcome| outcome.name.clone()).collect(),
            groups,
            comparisons: Vec::new(),
            missing: missing.map(|member| member.name()).collect(),
        };
        figures.compare(study, suite);
        figures
    }

    /// The group of this name, if any of its policies is there.
    pub fn group(&self, name: &str) -> Option<&GroupFigures> {
        self.groups.iter().find(|group| group.name == name)
    }

    /// Place of the outcome of this name, which may be that of a condition.
    pub fn outcome(&self, name: &str) -> Option<usize> {
        self.outcomes.iter().position(|outcome| outcome == name)
    }

    /// How what `group` retains under an outcome compares with what `baseline` does, or, under the first condition, their speeds.
    pub fn comparison(&self, group: &str, baseline: &str, outcome: &str) -> Option<&ComparisonFigures> {
        self.comparisons
            .iter()
            .find(|comparison| comparison.group == group && comparison.baseline == baseline && comparison.outcome == outcome)
    }

    fn compare(&mut self, study: &Study, suite: &Suite) {
        let figures: Vec<_> = study.comparisons.iter().map(|wanted| self.compared(wanted, suite)).collect();
        // The family is all of the study's comparisons, whichever of them can be made already.
        let p_value = |figures: &Option<ComparisonFigures>| figures.as_ref().map_or(1.0, |figures| figures.effect.p_value);
        let adjusted = holm(&figures.iter().map(p_value).collect::<Vec<_>>());
        let corrected =
            |(figures, p_adjusted): (Option<ComparisonFigures>, f64)| Some(ComparisonFigures { p_adjusted, ..figures? });
        self.comparisons = figures.into_iter().zip(adjusted).filter_map(corrected).collect();
    }

    /// A comparison, p not corrected; none while too few policies are there, or walk.
    fn compared(&self, wanted: &Comparison, suite: &Suite) -> Option<ComparisonFigures> {
        let (group, base) = (self.group(&wanted.group)?, self.group(&wanted.baseline)?);
        let index = self.outcome(&wanted.outcome)?;
        let retained = index != 0;
        let [first, second] = [group, base].map(|group| if retained { group.retained(index) } else { group.speeds(index) });
        // A spread is the least that a comparison needs.
        if first.len() < 2 || second.len() < 2 {
            return None;
        }
        let effect = compare_samples(&first, &second, suite.level, suite.seed);
        Some(ComparisonFigures {
            group: wanted.group.clone(),
            baseline: wanted.baseline.clone(),
            outcome: wanted.outcome.clone(),
            retained,
            policies: [first.len(), second.len()],
            p_adjusted: effect.p_value,
            effect,
        })
    }
}

impl GroupFigures {
    /// Speed of each policy under an outcome \[m/s\].
    pub fn speeds(&self, outcome: usize) -> Vec<f64> {
        self.policies.iter().map(|policy| policy.outcomes[outcome].speed).collect()
    }

    /// What each policy that walks retains of its speed under an outcome.
    pub fn retained(&self, outcome: usize) -> Vec<f64> {
        self.policies.iter().filter_map(|policy| policy.outcomes[outcome].retained).collect()
    }

    /// For each policy that walks, `value` under an outcome over that under the first condition.
    pub fn times(&self, outcome: usize, value: fn(&Course) -> f64) -> Vec<f64> {
        let walkers = self.policies.iter().filter(|policy| policy.walks);
        walkers.map(|policy| value(&policy.outcomes[outcome].course) / value(&policy.outcomes[0].course)).collect()
    }

    /// Policies that walk.
    pub fn walkers(&self) -> usize {
        self.policies.iter().filter(|policy| policy.walks).count()
    }

    /// Policies that walk under the condition that they know, of those under which weights are followed.
    pub fn walkers_on_known(&self) -> usize {
        self.policies.iter().filter(|policy| policy.walks_on_known).count()
    }

    /// Policies that walk both under the condition that they know and under the one that they do not, those under which weights are followed.
    pub fn walkers_on_both(&self) -> usize {
        self.on_both().count()
    }

    /// The policies that walk both under the condition that they know and under the one that they do not.
    pub(super) fn on_both(&self) -> impl Iterator<Item = &PolicyFigures> {
        self.policies.iter().filter(|policy| policy.walks_on_known && policy.walks_on_unknown)
    }
}

impl PolicyFigures {
    /// Largest |w| in any episode.
    pub fn largest_weight(&self) -> f32 {
        self.outcomes.iter().map(|own| own.course.weights_max_abs).fold(0.0, f32::max)
    }

    /// Of `policy` under `outcomes`; `rows` are its conditions, the first one first.
    fn new(policy: &Evolved<'_>, suite: &Suite, outcomes: &[&Outcome], rows: &[&ConditionReport]) -> Self {
        let first = rows.first().map_or(0.0, |row| row.speed.estimate);
        let is_walk = |row: &&ConditionReport| verdict::walks(row.speed.estimate, row.falls, suite.walks_from);
        let walks = rows.first().is_some_and(is_walk);
        let walks_under = |name: &String| rows.iter().find(|row| row.condition == *name).is_some_and(is_walk);
        let followed = policy.member.study.weights.as_ref();
        let provenance = &policy.file.metadata.provenance;
        let is_plastic = policy.file.metadata.network.plastic().is_some();
        let ablation = provenance.ablation.as_ref().filter(|ablation| is_plastic && ablation.episodes >= FEWEST_EPISODES);
        let is_old = |ablation: &&Ablation| ablation.episode_version.unwrap_or(FIRST_EPISODE_VERSION) != EPISODE_VERSION;
        let (is_ablation_old, ablation) = (ablation.is_some_and(|own| is_old(&own)), ablation.filter(|own| !is_old(own)));
        let outcome = |outcome: &&Outcome| {
            let own: Vec<&ConditionReport> =
                rows.iter().copied().filter(|row| outcome.conditions.contains(&row.condition)).collect();
            let mean_of = |value: &dyn Fn(&ConditionReport) -> f64| mean(&own.iter().map(|row| value(row)).collect::<Vec<_>>());
            let works: Vec<f64> = own.iter().filter_map(|row| row.work_per_metre).collect();
            let speed = mean_of(&|row| row.speed.estimate);
            PolicyOutcome {
                speed,
                retained: walks.then_some(speed / first),
                falls: mean_of(&|row| row.falls),
                course: Course {
                    work_per_metre: (!works.is_empty()).then(|| mean(&works)),
                    joint_speed: mean_of(&|row| row.joint_speed),
                    straightness: mean_of(&|row| row.straightness),
                    weight_change: mean_of(&|row| row.weight_change),
                    weights_max_abs: own.iter().map(|row| row.weights_max_abs).fold(0.0, f32::max),
                },
            }
        };
        Self {
            name: policy.member.name(),
            seed: policy.member.seed,
            generations: provenance.generation,
            evolved_in: provenance.episode_version.unwrap_or(FIRST_EPISODE_VERSION),
            sha256: policy.sha256.clone(),
            numbers_sha256: policy.file.numbers_hash(),
            walks,
            walks_on_known: followed.is_some_and(|conditions| walks_under(&conditions.known)),
            walks_on_unknown: followed.is_some_and(|conditions| walks_under(&conditions.unknown)),
            is_ablation_old,
            verdict: ablation.and_then(|ablation| Verdict::of_walk_from(ablation, suite.walks_from).ok()),
            weights: policy.weights.clone(),
            outcomes: outcomes.iter().map(outcome).collect(),
        }
    }
}

impl OutcomeFigures {
    fn new(policies: &[PolicyFigures], outcome: usize, level: f64, seed: u64) -> Self {
        let own = || policies.iter().map(|policy| &policy.outcomes[outcome]);
        let retained: Vec<f64> = own().filter_map(|own| own.retained).collect();
        let interval = |values: &[f64]| mean_interval(values, level, seed);
        Self {
            speed: interval(&own().map(|own| own.speed).collect::<Vec<_>>()),
            retained: (!retained.is_empty()).then(|| interval(&retained)),
            falls: mean(&own().map(|own| own.falls).collect::<Vec<_>>()),
        }
    }
}
