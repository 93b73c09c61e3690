//! Is it plasticity? What an ablation says about it, in a word and in numbers.

use std::fmt;

use serde::Serialize;
use statrs::distribution::{ContinuousCDF, StudentsT};

use super::ablation::{Control, Variant};
use super::statistics::{Interval, share_interval};
use crate::plasticity::Term;
use crate::policy::{Ablation, AblationResult};

/// A policy whose mean speed is less than this \[m/s\] does not walk, and nothing can be said about what carries its gait, where a suite
/// ([`Suite::walks_from`](super::suite::Suite::walks_from)) names no other speed.
pub const SLOWEST_WALK: f32 = 0.02;
/// A policy that falls in more than this share of its episodes does not walk either, however fast it gets forward: it tumbles.
pub(super) const MOST_FALLS: f64 = 0.5;
/// An ablation of shorter episodes \[s\] has no verdict. Weights are frozen, and updates shuffled, after the first second: of an episode that ends
/// then nothing is taken away, and of one that ends soon after hardly anything. From here on it is most of the way.
pub const SHORTEST_ABLATION: f32 = 3.0;
/// A loss of no more than this share of the speed is none.
const NO_LOSS: f32 = 0.1;
/// Losses from which on activity, and change throughout life, count as what the gait is carried by.
pub(super) const ACTIVITY_CARRIES: f32 = 0.5;
pub(super) const CHANGE_CARRIES: f32 = 1.0 / 3.0;
/// Loss without D from which on it is D that writes the net.
const CONSTANT_CARRIES: f32 = 0.5;

/// Whether a policy of this mean speed \[m/s\] that falls in this share of its episodes walks, where the slowest walk is one of `from` \[m/s\].
pub(super) fn walks(speed: f64, falls: f64, from: f32) -> bool {
    speed >= f64::from(from) && falls <= MOST_FALLS
}

/// What carries the gait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Carrier {
    /// The robot does not walk: it is too slow, or falls in most of its episodes.
    Nothing,
    /// What depends on activity only slows the robot down.
    Hindered,
    /// D alone: a static net that the rule writes into the weights whatever the robot does.
    StaticNet,
    /// D alone, but not with the weights that it has written after the first second.
    ConstantTerm,
    /// Neither activity nor D alone: the weights that life begins with, or whichever of them is left.
    NoTerm,
    /// Activity, in the first second: the weights find their place and could stay there.
    EarlyLife,
    /// Change throughout life, but not by what happens in it: another episode's weights do, or the same changes in another order.
    AnyLife,
    /// Activity, throughout life.
    WholeLife,
    /// Some of it all: losses between the bounds.
    Mixed,
}

/// What is lost when something is taken away.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Loss {
    /// Share of the intact policy's speed: all of it, or more, where the robot falls in most of the episodes. That is no walk that could be as
    /// fast as the intact one.
    pub share: f32,
    /// How far from that the loss of all possible episodes may lie, either way, with a confidence of 95 %: standard errors by Student's t, as if the
    /// episodes of the two rows had nothing in common. Infinite for a single episode. Of the speeds alone, whether the robot falls or not.
    pub margin: f32,
    /// Share of the episodes in which the robot fell, where that decides: where it got forward, but all counts as lost. None where speeds decide.
    pub falls: Option<f32>,
}

/// What an ablation says about plasticity.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// In a word.
    pub carrier: Carrier,
    /// Whether the word is the same wherever each loss lies within its margin, and each share of episodes with a fall, and the intact policy's
    /// speed, within the interval of 95 % that these episodes leave it. Of fewer than six episodes no share of falls is sure to be more than half, or
    /// less.
    pub is_sure: bool,
    /// Share of its episodes in which the intact policy fell.
    pub falls: f32,
    /// Lost without A, B and C, the terms that depend on activity.
    pub activity: Loss,
    /// Lost without D, the term that does not.
    pub constant: Loss,
    /// Lost when the weights stop changing after a second.
    pub change: Loss,
    /// Lost when the weights are those of another episode; none where that was not tried.
    pub own: Option<Loss>,
    /// Lost when the weights' changes come in another order; none where that was not tried.
    pub order: Option<Loss>,
    /// Lost when the rule is run in every second step only; none where that was not tried.
    pub rate: Option<Loss>,
    /// Speed of the fastest control, a net without plasticity, as a share of the intact policy's; none without one that falls in at most half of its
    /// episodes.
    pub control: Option<f32>,
}

/// Why an ablation says nothing about plasticity.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NoVerdict {
    /// It lacks a row that decides; that of a network without a rule has none.
    #[error("the ablation has no row {0:?}")]
    Row(String),
    /// Its episodes are shorter than [`SHORTEST_ABLATION`].
    #[error(
        "episodes of {duration} s say nothing about it, as weights are frozen, and updates shuffled, only after the first second; let them \
         last at least {SHORTEST_ABLATION} s (`hebb evaluate --duration`, or `episode.duration` of the experiment)"
    )]
    Short {
        /// Length of its episodes \[s\].
        duration: f32,
    },
}

impl Verdict {
    /// The verdict on `ablation`, in which a policy walks from [`SLOWEST_WALK`] on.
    ///
    /// # Errors
    /// [`NoVerdict`] if it lacks the variants that decide, or they had no time to act.
    pub fn of(ablation: &Ablation) -> Result<Self, NoVerdict> {
        Self::of_walk_from(ablation, SLOWEST_WALK)
    }

    /// The verdict on `ablation`, in which a policy walks from this speed on \[m/s\], as in the suite of a study.
    ///
    /// # Errors
    /// As those of [`Verdict::of`].
    pub fn of_walk_from(ablation: &Ablation, walks_from: f32) -> Result<Self, NoVerdict> {
        let find = |variant: Variant| -> Result<&AblationResult, NoVerdict> {
            let name = variant.name();
            ablation.results.iter().find(|result| result.variant == name).ok_or(NoVerdict::Row(name))
        };
        let intact = find(Variant::Intact)?;
        let lost = |variant| -> Result<(Loss, [f32; 2]), NoVerdict> { Ok(Loss::of(find(variant)?, intact, ablation.episodes)) };
        let activity = lost(Variant::Without(&[Term::A, Term::B, Term::C]))?;
        let constant = lost(Variant::Without(&[Term::D]))?;
        let change = lost(Variant::FrozenAfter(1.0))?;
        let tried = [Variant::OtherWeights, Variant::ShuffledAfter(1.0), Variant::Every(2)];
        let [own, order, rate] = tried.map(|variant| lost(variant).ok());
        let controls = ablation.results.iter().filter(|result| Control::is_row(&result.variant));
        // What tumbles may be as fast as it likes.
        let upright = controls.filter(|result| falls(result, ablation.episodes).estimate <= MOST_FALLS);
        let control = upright.map(|result| result.speed_retained).reduce(f32::max);
        let falls = falls(intact, ablation.episodes);
        let is_walk = walks(intact.speed_mean.into(), falls.estimate, walks_from);
        // A length that is no number is none.
        let is_long = ablation.duration >= SHORTEST_ABLATION;
        if !is_long {
            return Err(NoVerdict::Short { duration: ablation.duration });
        }
        // Change that carries must be this life's own; where that was not tried nothing speaks against it.
        let losses = [activity, constant, change, own.unwrap_or(change), order.unwrap_or(change)];
        let at = |losses: [f32; 5]| if is_walk { Carrier::at(losses) } else { Carrier::Nothing };
        let carrier = at(losses.map(|(loss, _)| loss.share));
        let corner = |corner: u32| -> [f32; 5] { std::array::from_fn(|loss| losses[loss].1[(corner >> loss & 1) as usize]) };
        // One that walks only just may as well not, and the other way round.
        let margin = margin(intact.speed_sd, ablation.episodes);
        let [worst, best] = [(intact.speed_mean - margin, falls.high), (intact.speed_mean + margin, falls.low)];
        let is_surely = [worst, best].into_iter().all(|(speed, falls)| walks(speed.into(), falls, walks_from) == is_walk);
        let is_sure = is_surely && (0..1u32 << losses.len()).all(|number| at(corner(number)) == carrier);
        let [(activity, _), (constant, _), (change, _), ..] = losses;
        let [own, order, rate] = [own, order, rate].map(|tried| tried.map(|(loss, _)| loss));
        let falls = falls.estimate as f32;
        Ok(Self { carrier, is_sure, falls, activity, constant, change, own, order, rate, control })
    }
}

impl Carrier {
    /// What carries the gait of a policy that walks and loses these shares without A, B and C, without D, with frozen weights, with another
    /// episode's, and with its own changes shuffled.
    fn at([activity, constant, change, own, order]: [f32; 5]) -> Self {
        let own_change = change.min(own).min(order);
        match () {
            () if activity < -NO_LOSS => Self::Hindered,
            () if activity <= NO_LOSS && constant <= CONSTANT_CARRIES => Self::NoTerm,
            () if activity <= NO_LOSS && change <= NO_LOSS => Self::StaticNet,
            () if activity <= NO_LOSS => Self::ConstantTerm,
            () if activity > ACTIVITY_CARRIES && own_change > CHANGE_CARRIES => Self::WholeLife,
            () if activity > ACTIVITY_CARRIES && change > CHANGE_CARRIES && own_change <= NO_LOSS => Self::AnyLife,
            () if activity > ACTIVITY_CARRIES && change <= NO_LOSS => Self::EarlyLife,
            () => Self::Mixed,
        }
    }
}

impl Loss {
    /// Of a `row` beside the `intact` one, both of so many `episodes`; then the ends of the interval that it lies in.
    fn of(row: &AblationResult, intact: &AblationResult, episodes: u32) -> (Self, [f32; 2]) {
        let retained = row.speed_retained;
        // Of a ratio of two means, to first order.
        let deviation = row.speed_sd.hypot(retained * intact.speed_sd) / intact.speed_mean.abs();
        let (of_speed, margin) = (1.0 - retained, margin(deviation, episodes));
        let falls = falls(row, episodes);
        let counted = |share: f32, falls: f64| if falls > MOST_FALLS { share.max(1.0) } else { share };
        let share = counted(of_speed, falls.estimate);
        let decides = share > of_speed;
        let ends = [counted(of_speed - margin, falls.low), counted(of_speed + margin, falls.high)];
        (Self { share, margin, falls: decides.then_some(falls.estimate as f32) }, ends)
    }
}

/// Share of the `episodes` of a row in which the robot fell, with its interval of 95 %. Not by Student's t, which leaves none where it fell in all of
/// them, or in none.
fn falls(row: &AblationResult, episodes: u32) -> Interval {
    share_interval(row.falls, episodes, 0.95)
}

/// Half of the interval of 95 % of a mean of so many `episodes`, of a quantity with this standard `deviation`.
fn margin(deviation: f32, episodes: u32) -> f32 {
    match StudentsT::new(0.0, 1.0, f64::from(episodes) - 1.0) {
        Ok(student) => student.inverse_cdf(0.975) as f32 * deviation / (episodes as f32).sqrt(),
        Err(_) => f32::INFINITY,
    }
}

impl fmt::Display for Loss {
    /// `78 ± 3 %`; the share alone where no margin is known; that all is lost, and why, where falls decide.
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        if let Some(falls) = self.falls {
            return write!(formatter, "all, as it falls in {:.0} % of the episodes", 100.0 * falls);
        }
        let [share, margin] = [self.share, self.margin].map(|part| 100.0 * part);
        match margin.is_finite() {
            true => write!(formatter, "{share:.0} ± {margin:.0} %"),
            false => write!(formatter, "{share:.0} %"),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let word = match self.carrier {
            Carrier::Nothing if f64::from(self.falls) > MOST_FALLS => {
                return write!(
                    formatter,
                    "nothing can be said: the intact policy falls in {:.0} % of its episodes",
                    100.0 * self.falls
                );
            }
            Carrier::Nothing => return formatter.write_str("nothing can be said: the intact policy does not walk"),
            Carrier::Hindered => "no, it walks faster without what depends on activity",
            Carrier::StaticNet => "no, it is a static net that D writes into the weights",
            Carrier::ConstantTerm => "no, it walks as well by D alone",
            Carrier::NoTerm => "no, what depends on activity does nothing",
            Carrier::EarlyLife => "in the first second only: then the weights could stay as they are",
            Carrier::AnyLife => "in part: weights have to change all the time, but need not follow what happens in this life",
            Carrier::WholeLife => "yes, weights that follow activity all the time",
            Carrier::Mixed => "in part",
        };
        let losses = [
            ("without A, B, C", Some(self.activity)),
            ("without D", Some(self.constant)),
            ("frozen after 1 s", Some(self.change)),
            ("with another episode's weights", self.own),
            ("updates shuffled", self.order),
            ("every second update", self.rate),
        ];
        let losses = losses.into_iter().filter_map(|(what, loss)| Some(format!("{what}: {}", loss?)));
        let doubt = if self.is_sure { "" } else { "not sure with so few episodes, rather: " };
        write!(formatter, "{doubt}{word} (lost {})", losses.collect::<Vec<_>>().join("; "))?;
        match self.control {
            Some(speed) => write!(formatter, "; without plasticity the control has {:.0} % of its speed", 100.0 * speed),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ablation(speed: f32, without_activity: f32, frozen: f32) -> Ablation {
        let result = |variant: &str, retained: f32| AblationResult {
            variant: variant.to_owned(),
            speed_mean: speed * retained,
            speed_sd: 0.0,
            speed_retained: retained,
            falls: 0,
        };
        let results = vec![
            result("intact", 1.0),
            result("A=B=C=0", without_activity),
            result("D=0", 0.0),
            result("frozen after 1 s", frozen),
        ];
        Ablation { episodes: 8, duration: 6.0, seed: 0, episode_version: None, results }
    }

    #[test]
    fn the_verdict_follows_the_losses() {
        let carrier = |speed, activity, frozen| Verdict::of(&ablation(speed, activity, frozen)).unwrap().carrier;
        assert_eq!(carrier(0.3, 1.04, 0.98), Carrier::StaticNet);
        assert_eq!(carrier(0.3, 0.93, 0.67), Carrier::ConstantTerm);
        assert_eq!(carrier(0.3, 3.57, 0.57), Carrier::Hindered);
        let mut idle = ablation(0.3, 1.04, 0.2);
        idle.results[2].speed_retained = 0.88;
        assert_eq!(Verdict::of(&idle).unwrap().carrier, Carrier::NoTerm);
        assert_eq!(carrier(0.3, 0.04, 0.98), Carrier::EarlyLife);
        assert_eq!(carrier(0.3, 0.04, 0.13), Carrier::WholeLife);
        assert_eq!(carrier(0.3, 0.7, 0.5), Carrier::Mixed);
        assert_eq!(carrier(0.01, 0.0, 0.0), Carrier::Nothing);
    }

    #[test]
    fn weights_that_need_not_be_of_this_life_are_no_proof_of_plasticity() {
        let with = |own: f32, order: f32| {
            let mut ablation = ablation(0.3, 0.04, 0.13);
            let row = |variant: String, speed_retained| AblationResult { variant, speed_retained, ..ablation.results[0].clone() };
            let rows = [row(Variant::OtherWeights.name(), own), row(Variant::ShuffledAfter(1.0).name(), order)];
            ablation.results.extend(rows);
            Verdict::of(&ablation).unwrap()
        };
        assert_eq!(with(0.1, 0.2).carrier, Carrier::WholeLife);
        assert_eq!(with(0.8, 0.2).carrier, Carrier::Mixed);
        assert_eq!(with(0.95, 0.2).carrier, Carrier::AnyLife);
        assert_eq!(with(0.1, 1.1).carrier, Carrier::AnyLife);
        let text = with(0.1, 0.25).to_string();
        assert!(text.contains("with another episode's weights: 90 ± 0 %; updates shuffled: 75 ± 0 %)"), "{text}");
    }

    #[test]
    fn a_word_that_a_few_more_episodes_may_change_is_not_sure() {
        let with = |sd: f32, episodes: u32| {
            let mut ablation = Ablation { episodes, ..ablation(0.3, 0.04, 0.13) };
            let row =
                AblationResult { variant: Variant::OtherWeights.name(), speed_retained: 0.64, ..ablation.results[0].clone() };
            ablation.results.push(row);
            ablation.results.iter_mut().for_each(|result| result.speed_sd = sd);
            Verdict::of(&ablation).unwrap()
        };
        // 36 % is lost, more than a third. The error of the ratio of two means of 32 episodes: 0.03 / 0.3 * sqrt((1 + 0.64^2) / 32); t of 31
        // degrees at 97.5 % is 2.0395.
        let margin = |verdict: &Verdict| verdict.own.unwrap().margin;
        let near = with(0.03, 32);
        assert!((margin(&near) - 2.0395 * 0.1 * (1.4096f32 / 32.0).sqrt()).abs() < 1e-6, "{near:?}");
        assert!(near.carrier == Carrier::WholeLife && !near.is_sure);
        let text = near.to_string();
        assert!(text.starts_with("not sure with so few episodes, rather: yes, ") && text.contains("weights: 36 ± 4 %"), "{text}");
        let sure = with(0.01, 32);
        assert!(sure.is_sure && sure.to_string().starts_with("yes, "), "{sure:?}");
        // Of two episodes t is 12.7.
        let two = with(0.01, 2);
        assert!((margin(&two) - 12.706 / 30.0 * (1.4096f32 / 2.0).sqrt()).abs() < 1e-3 && !two.is_sure, "{two:?}");
        let single = with(0.0, 1);
        assert!(!single.is_sure && single.to_string().contains("weights: 36 %"), "{single}");
    }

    #[test]
    fn what_is_said_of_a_policy_that_walks_only_just_is_not_sure() {
        let with = |speed: f32| {
            let mut slow = ablation(speed, 0.04, 0.13);
            slow.results.iter_mut().for_each(|result| result.speed_sd = 0.003);
            Verdict::of(&slow).unwrap()
        };
        assert_eq!((with(0.0205).carrier, with(0.0205).is_sure), (Carrier::WholeLife, false));
        assert_eq!((with(0.0195).carrier, with(0.3).is_sure), (Carrier::Nothing, true));
        // Nor is what is said of one that only just does not.
        assert_eq!([0.0195, 0.01].map(|speed| with(speed).is_sure), [false, true]);
    }

    #[test]
    fn the_slowest_walk_may_be_another_than_the_usual_one() {
        let slow = ablation(0.015, 0.04, 0.13);
        let carrier = |walks_from: f32| Verdict::of_walk_from(&slow, walks_from).unwrap().carrier;
        assert_eq!([0.005, 0.015, 0.03].map(carrier), [Carrier::WholeLife, Carrier::WholeLife, Carrier::Nothing]);
        assert_eq!(Verdict::of(&slow).unwrap().carrier, carrier(SLOWEST_WALK));
    }

    #[test]
    fn what_falls_in_most_of_its_episodes_neither_walks_nor_walks_faster() {
        // The A=B=C=0 row is three and a half times as fast.
        let with = |intact: u32, without_activity: u32| {
            let mut fallen = Ablation { episodes: 32, ..ablation(0.3, 3.57, 0.57) };
            (fallen.results[0].falls, fallen.results[1].falls) = (intact, without_activity);
            Verdict::of(&fallen).unwrap()
        };
        assert_eq!(with(0, 0).carrier, Carrier::Hindered);
        let fallen = with(0, 31);
        assert_eq!((fallen.carrier, fallen.is_sure, fallen.activity.share), (Carrier::WholeLife, true, 1.0));
        let text = fallen.to_string();
        assert!(text.contains("without A, B, C: all, as it falls in 97 % of the episodes; without D: 100 ± 0 %"), "{text}");
        // What falls in hardly more, or hardly less, than half of its episodes may as well be on the other side.
        for (falls, carrier) in [(17, Carrier::WholeLife), (16, Carrier::Hindered), (15, Carrier::Hindered)] {
            assert_eq!((with(0, falls).carrier, with(0, falls).is_sure), (carrier, false), "{falls}");
        }
        let tumbling = with(31, 31);
        assert_eq!(tumbling.carrier, Carrier::Nothing);
        assert!(tumbling.to_string().ends_with("the intact policy falls in 97 % of its episodes"), "{tumbling}");
        assert_eq!([(16, false), (5, true)].map(|(falls, is_sure)| with(falls, 0).is_sure == is_sure), [true; 2]);
    }

    #[test]
    fn falls_in_all_of_four_episodes_are_not_surely_more_than_half_and_those_in_all_of_eight_are() {
        let with = |episodes: u32, row: usize| {
            let mut fallen = Ablation { episodes, ..ablation(0.3, 3.57, 0.57) };
            fallen.results[row].falls = episodes;
            Verdict::of(&fallen).unwrap()
        };
        // Four of four are seen of a share of 40 % in one of 40 cases, eight of eight of one of 63 %.
        for (episodes, is_sure) in [(4, false), (8, true)] {
            let (intact, without_activity) = (with(episodes, 0), with(episodes, 1));
            assert_eq!((intact.carrier, intact.is_sure), (Carrier::Nothing, is_sure), "{episodes}");
            assert_eq!((without_activity.carrier, without_activity.is_sure), (Carrier::WholeLife, is_sure), "{episodes}");
        }
        // Nor are none of five surely less than half: of a share of 52 % as few are seen.
        let upright = |episodes: u32| Verdict::of(&Ablation { episodes, ..ablation(0.3, 0.04, 0.13) }).unwrap();
        assert_eq!([5, 6].map(|episodes| upright(episodes).is_sure), [false, true]);
    }

    #[test]
    fn falls_take_nothing_from_a_loss_that_is_more_than_all() {
        let mut backwards = ablation(0.3, -1.16, 0.57);
        backwards.results[1].falls = 8;
        let activity = Verdict::of(&backwards).unwrap().activity;
        assert!((activity.share - 2.16).abs() < 1e-6 && activity.falls.is_none(), "{activity:?}");
    }

    #[test]
    fn the_fastest_control_is_named_beside_the_losses() {
        let mut ablation = ablation(0.3, 0.04, 0.13);
        for speed_retained in [0.3, 0.75] {
            let variant = "control beetle_history (history)".to_owned();
            ablation.results.push(AblationResult { variant, speed_retained, ..ablation.results[0].clone() });
        }
        let verdict = Verdict::of(&ablation).unwrap();
        assert_eq!((verdict.control, verdict.own), (Some(0.75), None));
        assert!(verdict.to_string().ends_with("the control has 75 % of its speed"), "{verdict}");
    }

    #[test]
    fn a_control_that_falls_in_most_of_its_episodes_is_not_the_fastest() {
        let with = |falls: [u32; 2]| {
            let mut ablation = ablation(0.3, 0.04, 0.13);
            for (speed_retained, falls) in [0.75, 1.4].into_iter().zip(falls) {
                let variant = "control beetle_history (history)".to_owned();
                ablation.results.push(AblationResult { variant, speed_retained, falls, ..ablation.results[0].clone() });
            }
            Verdict::of(&ablation).unwrap().control
        };
        assert_eq!([[0, 4], [0, 5], [8, 8]].map(with), [Some(1.4), Some(0.75), None]);
    }

    #[test]
    fn an_ablation_without_the_deciding_variants_has_no_verdict() {
        let mut without = ablation(0.3, 0.0, 0.0);
        without.results.truncate(1);
        assert_eq!(Verdict::of(&without), Err(NoVerdict::Row("A=B=C=0".to_owned())));
    }

    #[test]
    fn an_ablation_whose_episodes_hardly_outlast_what_it_leaves_alone_has_no_verdict() {
        for (duration, is_long) in [(1.0, false), (2.9, false), (f32::NAN, false), (3.0, true)] {
            // As if nothing had been lost by frozen weights, which it was not: the gate never shut.
            let verdict = Verdict::of(&Ablation { duration, ..ablation(0.3, 0.04, 1.0) });
            assert_eq!(verdict.is_ok(), is_long, "{duration}: {verdict:?}");
        }
        let text = Verdict::of(&Ablation { duration: 1.0, ..ablation(0.3, 0.04, 1.0) }).unwrap_err().to_string();
        assert!(text.contains("episodes of 1 s") && text.contains("at least 3 s") && text.contains("--duration"), "{text}");
        // One without the rows of a rule is no matter of time.
        let mut fixed = Ablation { duration: 1.0, ..ablation(0.3, 0.0, 0.0) };
        fixed.results.truncate(1);
        assert!(matches!(Verdict::of(&fixed), Err(NoVerdict::Row(_))));
    }
}
