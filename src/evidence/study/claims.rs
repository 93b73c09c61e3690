//! Claims that others have published, and what the figures of a study say about them.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::StudyError;
use super::figures::{ComparisonFigures, FEWEST, FEWEST_EPISODES, GroupFigures, PolicyFigures, StudyFigures};
use super::weights::{COMPONENTS, WeightFigures};
use crate::evidence::p_values::p_text;
use crate::evidence::statistics::{Interval, mean, student_interval, welch_interval};
use crate::evidence::verdict::{ACTIVITY_CARRIES, CHANGE_CARRIES};
use crate::evidence::{Carrier, SHORTEST_ABLATION, Verdict};

/// Speeds that differ by no more than this share are equal.
const EQUAL_SPEED: f64 = 0.1;
/// Parts of [`Claim::Matters`], all of which must hold: three losses, and what is retained.
const PARTS: usize = 4;

/// A claim, and which groups of the study bear on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Claim {
    /// Normalisation keeps weights from diverging, and without it they do.
    Bounded {
        /// Groups with a normalisation.
        with: Vec<String>,
        /// The group without.
        without: String,
        /// Largest |w| from which on weights have diverged.
        bound: f32,
    },
    /// One group walks faster than another.
    Faster {
        /// The group.
        group: String,
        /// The other.
        than: String,
    },
    /// Weights move in few dimensions.
    LowDimensional {
        /// The group.
        group: String,
        /// Share of the variance that three components must explain.
        share: f64,
    },
    /// On ground that they do not know, weights spread wider.
    Wider {
        /// The group.
        group: String,
    },
    /// Without ground under its feet the robot does not walk.
    StillInTheAir {
        /// The group.
        group: String,
        /// The condition in the air.
        condition: String,
        /// Speed of the joints there, as a share of that under the first condition, up to which it stands still.
        share: f64,
    },
    /// One group retains more of its speed than others.
    MoreRobust {
        /// The group.
        group: String,
        /// The others.
        than: Vec<String>,
        /// Under which of the study's outcomes.
        outcome: String,
    },
    /// Plasticity carries the gait of one group, by weights that follow what happens in its life, and makes it more robust than another that is
    /// no faster.
    Matters {
        /// The group.
        group: String,
        /// The other.
        than: String,
        /// Under which of the study's outcomes.
        outcome: String,
        /// How many times the other's share of its speed the group must retain.
        times: f64,
    },
}

/// What figures say about a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimVerdict {
    /// It holds here.
    Holds,
    /// Its contrary holds here.
    Fails,
    /// The data do not tell.
    Open,
    /// Its policies are not evolved yet.
    Missing,
}

/// A claim with its verdict.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClaimResult {
    /// The claim in words.
    pub claim: String,
    /// The verdict.
    pub verdict: ClaimVerdict,
    /// The numbers behind it.
    pub evidence: String,
}

impl fmt::Display for ClaimVerdict {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(match self {
            Self::Holds => "holds here",
            Self::Fails => "does not hold here",
            Self::Open => "not decided",
            Self::Missing => "not measured yet",
        })
    }
}

/// The verdict of an interval that should lie above (or below) `bound`. One that is no number says nothing.
fn side(interval: &Interval, bound: f64, above: bool) -> ClaimVerdict {
    let Interval { estimate, low, high } = *interval;
    if [estimate, low, high].iter().any(|value| !value.is_finite()) {
        return ClaimVerdict::Open;
    }
    match (low > bound, high < bound) {
        (true, _) if above => ClaimVerdict::Holds,
        (_, true) if !above => ClaimVerdict::Holds,
        (true, _) | (_, true) => ClaimVerdict::Fails,
        _ => ClaimVerdict::Open,
    }
}

/// The verdict of one of so many `parts` of a claim, all of which must lie above their bounds, by the interval that `of` gives at a level. Each may
/// hold at `level`, as all must; but a single one that does not decides against the claim, so that it must say so at a level that is one for all of
/// them (Bonferroni).
fn part(of: impl Fn(f64) -> Interval, bound: f64, parts: usize, level: f64) -> ClaimVerdict {
    match side(&of(level), bound, true) {
        ClaimVerdict::Fails => side(&of(one_of(parts, level)), bound, true),
        verdict => verdict,
    }
}

/// Level of each of so many intervals that are all to hold at `level`.
fn one_of(parts: usize, level: f64) -> f64 {
    1.0 - (1.0 - level) / parts as f64
}

/// The verdict of a claim that holds when all of its `parts` do, and does not when one does not.
fn together(parts: &[ClaimVerdict]) -> ClaimVerdict {
    if parts.contains(&ClaimVerdict::Fails) {
        ClaimVerdict::Fails
    } else if parts.iter().all(|part| *part == ClaimVerdict::Holds) {
        ClaimVerdict::Holds
    } else {
        ClaimVerdict::Open
    }
}

impl Claim {
    /// Names of the groups that it needs.
    pub fn groups(&self) -> impl Iterator<Item = &String> {
        let (one, more): (&String, &[String]) = match self {
            Self::Bounded { with, without, .. } => (without, with),
            Self::Faster { group, than } | Self::Matters { group, than, .. } => (group, std::slice::from_ref(than)),
            Self::LowDimensional { group, .. } | Self::Wider { group } | Self::StillInTheAir { group, .. } => (group, &[]),
            Self::MoreRobust { group, than, .. } => (group, than),
        };
        std::iter::once(one).chain(more)
    }

    /// Name of the condition that it needs.
    pub fn condition(&self) -> Option<&String> {
        match self {
            Self::StillInTheAir { condition, .. } => Some(condition),
            _ => None,
        }
    }

    /// Name of the outcome under which it is about what is retained of the speed.
    pub fn outcome(&self) -> Option<&String> {
        match self {
            Self::MoreRobust { outcome, .. } | Self::Matters { outcome, .. } => Some(outcome),
            _ => None,
        }
    }

    /// Whether it is about how weights move.
    pub fn needs_weights(&self) -> bool {
        matches!(self, Self::LowDimensional { .. } | Self::Wider { .. })
    }

    /// Group, baseline and outcome of the comparisons that it needs; `first` is the suite's first condition.
    pub fn comparisons<'a>(&'a self, first: &'a str) -> Vec<(&'a String, &'a String, &'a str)> {
        match self {
            Self::Faster { group, than } => vec![(group, than, first)],
            Self::MoreRobust { group, than, outcome } => than.iter().map(|than| (group, than, outcome.as_str())).collect(),
            Self::Matters { group, than, outcome, .. } => vec![(group, than, outcome)],
            _ => Vec::new(),
        }
    }

    /// Checks its lists and numbers.
    ///
    /// # Errors
    /// [`StudyError`] names what is wrong.
    pub fn check(&self) -> Result<(), StudyError> {
        let share = |share: f64| {
            let expected = "more than 0 and at most 1";
            let fits = share > 0.0 && share <= 1.0;
            if fits { Ok(()) } else { Err(StudyError::Value { name: "share", value: share, expected }) }
        };
        match self {
            Self::Bounded { with, .. } if with.is_empty() => Err(StudyError::Empty("`with` of a claim")),
            Self::MoreRobust { than, .. } if than.is_empty() => Err(StudyError::Empty("`than` of a claim")),
            Self::Bounded { bound, .. } if !(bound.is_finite() && *bound > 0.0) => {
                Err(StudyError::Value { name: "bound", value: f64::from(*bound), expected: "a number above 0" })
            }
            Self::Matters { times, .. } if !(times.is_finite() && *times >= 1.0) => {
                Err(StudyError::Value { name: "times", value: *times, expected: "a number of at least 1" })
            }
            Self::LowDimensional { share: of_claim, .. } | Self::StillInTheAir { share: of_claim, .. } => share(*of_claim),
            _ => Ok(()),
        }
    }

    /// What `figures` say about it. While policies of its groups are still to be evolved there is no verdict, whatever those that are there say:
    /// who looks again and again until a test is passed will pass it.
    pub fn judge(&self, figures: &StudyFigures) -> ClaimResult {
        let groups: Vec<Option<&GroupFigures>> = self.groups().map(|name| figures.group(name)).collect();
        let is_complete = groups.iter().all(|group| group.is_some_and(|group| group.policies.len() == group.planned));
        let weighed = groups.iter().all(Option::is_some).then(|| self.weigh(figures)).flatten();
        let (verdict, evidence) = match weighed {
            Some((verdict, evidence)) if is_complete => (verdict, evidence),
            Some((_, evidence)) => (ClaimVerdict::Missing, format!("so far: {evidence}")),
            None if is_complete => (ClaimVerdict::Open, self.lack(groups[0])),
            None => (ClaimVerdict::Missing, String::new()),
        };
        ClaimResult { claim: self.to_string(), verdict, evidence }
    }

    /// What is missing where there are no numbers though all policies are evolved; `group` is the one that it is about.
    fn lack(&self, group: Option<&GroupFigures>) -> String {
        match (self, group) {
            (Self::LowDimensional { .. } | Self::Wider { .. } | Self::Matters { .. }, Some(fixed)) if fixed.plastic == 0 => {
                format!("{} has no plastic weights", fixed.name)
            }
            (Self::Matters { .. }, Some(group)) if group.walkers() >= FEWEST && verdicts(group).count() < FEWEST => format!(
                "too few policies of {} have an ablation of at least {FEWEST_EPISODES} episodes of {SHORTEST_ABLATION} s in which they walk",
                group.name
            ),
            (Self::Wider { .. }, Some(group)) => format!("too few policies walk: {}", walkers(group)),
            (Self::Bounded { .. } | Self::Faster { .. }, _) => "too few policies".to_owned(),
            _ => "too few policies walk".to_owned(),
        }
    }

    /// Verdict and numbers; none when too few policies have the numbers.
    fn weigh(&self, figures: &StudyFigures) -> Option<(ClaimVerdict, String)> {
        let level = figures.level;
        match self {
            Self::Bounded { with, without, bound } => {
                let with = with.iter().map(|name| figures.group(name)).collect::<Option<Vec<_>>>()?;
                Some(bounded(&with, figures.group(without)?, *bound))
            }
            Self::Faster { group, than } => faster(figures.comparison(group, than, figures.outcomes.first()?)?, level),
            Self::LowDimensional { group, share } => low_dimensional(figures.group(group)?, *share, level),
            Self::Wider { group } => wider(figures.group(group)?, level),
            Self::StillInTheAir { group, condition, share } => {
                still_in_the_air(figures.group(group)?, figures.outcome(condition)?, *share, level)
            }
            Self::MoreRobust { group, than, outcome } => {
                let comparisons = than.iter().map(|than| figures.comparison(group, than, outcome));
                more_robust(&comparisons.collect::<Option<Vec<_>>>()?, level)
            }
            Self::Matters { group, than, outcome, times } => {
                let (own, other) = (figures.group(group)?, figures.group(than)?);
                let shares =
                    [own, other].map(|group| figures.outcome(outcome).map(|index| group.retained(index)).unwrap_or_default());
                matters(own, other, &shares, figures.comparison(group, than, outcome)?, *times, level)
            }
        }
    }
}

/// What the comparison of two groups' speeds says.
fn faster(comparison: &ComparisonFigures, level: f64) -> Option<(ClaimVerdict, String)> {
    let evidence = format!("faster by {:.3} m/s than {}", comparison.effect.difference, over(comparison));
    Some((apart(comparison, level)?, evidence))
}

/// Whether three components explain more than `share` of the variance of an episode's weights.
fn low_dimensional(group: &GroupFigures, share: f64, level: f64) -> Option<(ClaimVerdict, String)> {
    let explained = of_weights(walking(group), |weights| Some(mean(&weights.explained)));
    let interval = sure(&explained, level)?;
    let of = of(group, explained.len());
    let evidence = format!("three components explain {interval:.2} of the variance of an episode, {of}");
    Some((side(&interval, share, true), evidence))
}

/// Whether weights spread wider under the unknown condition than under the known one, of the policies that walk under both.
fn wider(group: &GroupFigures, level: f64) -> Option<(ClaimVerdict, String)> {
    // Weights of a robot that is stuck spread less, whatever else the ground does to them. Of ratios the logarithm has a mean that says which is
    // larger: twice and half come to nothing.
    let widening = of_weights(group.on_both(), |weights| Some(weights.widening().ln()));
    let interval = sure(&widening, level)?;
    let one_by_one = |component: usize| {
        let ratios = of_weights(group.on_both(), |weights| {
            Some((weights.unknown_spread.get(component)? / weights.known_spread.get(component)?).ln())
        });
        format!("{:.2}", mean(&ratios).exp())
    };
    let evidence = format!(
        "spread along three components {:.2} times as wide, one by one {}, {}; {}",
        interval.map(f64::exp),
        (0..COMPONENTS).map(one_by_one).collect::<Vec<_>>().join(", "),
        of(group, widening.len()),
        walkers(group)
    );
    Some((side(&interval, 0.0, true), evidence))
}

/// Whether joints move at no more than `share` of their speed on the ground; `air` is the place of the condition in the air.
fn still_in_the_air(group: &GroupFigures, air: usize, share: f64, level: f64) -> Option<(ClaimVerdict, String)> {
    let motion = group.times(air, |course| course.joint_speed);
    let interval = sure(&motion, level)?;
    let mut evidence = format!(
        "in the second half of an episode in the air joints move {interval:.2} times as fast as on the ground, {}",
        of(group, motion.len())
    );
    if group.plastic > 0 {
        let change = mean(&group.times(air, |course| course.weight_change));
        evidence += &format!("; the weights' change per step, start included, is {change:.2} times that on the ground");
    }
    Some((side(&interval, share, false), evidence))
}

/// What the comparisons with all other groups say together.
fn more_robust(comparisons: &[&ComparisonFigures], level: f64) -> Option<(ClaimVerdict, String)> {
    let verdicts = comparisons.iter().map(|comparison| apart(comparison, level)).collect::<Option<Vec<_>>>()?;
    let sentence = |comparison: &&ComparisonFigures| {
        format!("retains {:+.2} of its speed more than {}", comparison.effect.difference, over(comparison))
    };
    Some((together(&verdicts), comparisons.iter().map(sentence).collect::<Vec<_>>().join("; ")))
}

/// The policies that walk.
fn walking(group: &GroupFigures) -> impl Iterator<Item = &PolicyFigures> {
    group.policies.iter().filter(|policy| policy.walks)
}

/// How many of a group's policies walk on the ground that they know, and on the other.
fn walkers(group: &GroupFigures) -> String {
    let (on_known, all, on_both) = (group.walkers_on_known(), group.policies.len(), group.walkers_on_both());
    format!("{on_known} of {all} policies walk on the ground that they know, {on_both} of these on the other, too")
}

/// `value` of the weights of each of `policies`, where it is a number.
fn of_weights<'a>(policies: impl Iterator<Item = &'a PolicyFigures>, value: impl Fn(&WeightFigures) -> Option<f64>) -> Vec<f64> {
    let weights = policies.filter_map(|policy| policy.weights.as_ref());
    weights.filter_map(value).filter(|value| value.is_finite()).collect()
}

/// What the ablations of the policies that walk say, those in which they do not walk left out: shares of next to no speed say nothing.
fn verdicts(group: &GroupFigures) -> impl Iterator<Item = Verdict> {
    walking(group).filter_map(|policy| policy.verdict).filter(|verdict| verdict.carrier != Carrier::Nothing)
}

/// Interval of the mean of `values`, unless they are too few.
fn sure(values: &[f64], level: f64) -> Option<Interval> {
    (values.len() >= FEWEST).then(|| student_interval(values, level))
}

/// How many of a group's policies a number is from.
fn of(group: &GroupFigures, count: usize) -> String {
    format!("over {count} of {} policies", group.policies.len())
}

/// The other side of a comparison, how many policies there are on either, and p.
fn over(comparison: &ComparisonFigures) -> String {
    let [own, others] = comparison.policies;
    format!("{} ({own} and {others} policies, corrected p {})", comparison.baseline, p_text(comparison.p_adjusted))
}

/// Which side of a comparison is ahead: the corrected test and the interval, which is not corrected, must both say so.
fn apart(comparison: &ComparisonFigures, level: f64) -> Option<ClaimVerdict> {
    if comparison.policies.iter().any(|&count| count < FEWEST) {
        return None;
    }
    // The best p of three against three is 0.1, and 1 - 0.9 is a little less in binary.
    let is_sure = comparison.p_adjusted <= 1.0 - level + 1e-12;
    Some(if is_sure { side(&comparison.effect.difference, 0.0, true) } else { ClaimVerdict::Open })
}

/// What ablations say about one group, and what it retains beside another of equal speed: all of it must hold. `shares` are what the policies
/// of either retain.
fn matters(
    own: &GroupFigures,
    other: &GroupFigures,
    [own_shares, other_shares]: &[Vec<f64>; 2],
    comparison: &ComparisonFigures,
    times: f64,
    level: f64,
) -> Option<(ClaimVerdict, String)> {
    let lost = |share: fn(&Verdict) -> Option<f32>| {
        let lost: Vec<f64> = verdicts(own).filter_map(|verdict| share(&verdict).map(f64::from)).collect();
        (lost.len() >= FEWEST).then_some(lost)
    };
    let (activity, change) = (lost(|verdict| Some(verdict.activity.share))?, lost(|verdict| Some(verdict.change.share))?);
    // Of the two ways to take from the weights what happens in this life, the one that costs less.
    let followed = lost(|verdict| Some(verdict.own?.share.min(verdict.order?.share)));
    let speed = |group: &GroupFigures| mean(&walking(group).map(|policy| policy.outcomes[0].speed).collect::<Vec<_>>());
    let pace = speed(own) / speed(other);
    // How much more it retains than it must. Not a ratio, whose sign is wrong where the other walks backwards.
    let wanted: Vec<f64> = other_shares.iter().map(|share| times * share).collect();
    let lead = |level: f64| welch_interval(own_shares, &wanted, level);
    // Who is faster has more to lose: to retain more is then worth more, and to retain less says nothing.
    let robust = match apart(comparison, level)? {
        ClaimVerdict::Holds if lead(level).estimate >= 0.0 && pace >= 1.0 - EQUAL_SPEED => ClaimVerdict::Holds,
        _ if lead(one_of(PARTS, level)).high < 0.0 && pace <= 1.0 + EQUAL_SPEED => ClaimVerdict::Fails,
        _ => ClaimVerdict::Open,
    };
    let more = |lost: &[f64], bound: f32| part(|level| student_interval(lost, level), bound.into(), PARTS, level);
    // Where it was not tried, nothing says that weights need to follow this life.
    let follows = followed.as_ref().map_or(ClaimVerdict::Open, |lost| more(lost, CHANGE_CARRIES));
    let verdict = together(&[more(&activity, ACTIVITY_CARRIES), more(&change, CHANGE_CARRIES), follows, robust]);
    let share = |lost: &[f64]| format!("{:.2}", student_interval(lost, level));
    let followed = followed
        .map(|lost| format!("; with changes that are not of this life {}, {}", share(&lost), of(own, lost.len())))
        .unwrap_or_default();
    let ratio = comparison.effect.ratio.map(|ratio| format!(", {ratio:.2} times as much")).unwrap_or_default();
    let evidence = format!(
        "without A, B and C {} of the speed is lost, with weights frozen after 1 s {}, {}{followed}; {} has {pace:.2} times the speed of {}, \
         and retains {:.2} of it beside {:.2}{ratio}",
        share(&activity),
        share(&change),
        of(own, activity.len()),
        own.name,
        over(comparison),
        mean(own_shares),
        mean(other_shares)
    );
    Some((verdict, evidence))
}

/// What the largest weights of all policies say, those that do not walk included: weights diverge without a walk, too.
fn bounded(with: &[&GroupFigures], without: &GroupFigures, bound: f32) -> (ClaimVerdict, String) {
    if let Some(fixed) = with.iter().chain([&without]).find(|group| group.plastic == 0) {
        return (ClaimVerdict::Open, format!("{} has no plastic weights", fixed.name));
    }
    let few = with.iter().chain([&without]).find(|group| group.policies.len() < FEWEST);
    let kept = with.iter().flat_map(|group| &group.policies).map(PolicyFigures::largest_weight).fold(0.0, f32::max);
    let (diverged, all) =
        (without.policies.iter().filter(|policy| policy.largest_weight() > bound).count(), without.policies.len());
    let verdict = match diverged {
        _ if few.is_some() => ClaimVerdict::Open,
        _ if kept > bound => ClaimVerdict::Fails,
        0 => ClaimVerdict::Fails,
        count if count == all => ClaimVerdict::Holds,
        _ => ClaimVerdict::Open,
    };
    let lack = few.map(|group| format!("; {} has fewer than {FEWEST} policies", group.name)).unwrap_or_default();
    (verdict, format!("with one |w| is at most {kept:.2e}; without, {diverged} of {all} policies exceed {bound:.0}{lack}"))
}

impl fmt::Display for Claim {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Bounded { bound, .. } => {
                write!(formatter, "normalisation prevents divergence, and without it |w| passes {bound:.0} within an episode")
            }
            Self::Faster { group, than } => write!(formatter, "{group} walks faster than {than}"),
            Self::LowDimensional { group, share } => write!(
                formatter,
                "weights of {group} are low-dimensional: three components explain more than {:.0} % of their variance",
                100.0 * share
            ),
            Self::Wider { group } => write!(formatter, "weights of {group} spread wider on ground that they do not know"),
            Self::StillInTheAir { group, .. } => write!(formatter, "{group} does not walk in the air"),
            Self::MoreRobust { group, than, outcome } => {
                write!(formatter, "{group} is more robust than {}: {outcome}", than.join(" and "))
            }
            Self::Matters { group, than, outcome, times } => write!(
                formatter,
                "plasticity carries the gait of {group}, which retains more than {than} at equal speed, about {times} times as much or more: {outcome}"
            ),
        }
    }
}
