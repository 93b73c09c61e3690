//! How one series of weights moves: norms, sizes of updates, and whether it comes to rest, repeats itself, or neither.

use std::fmt;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::WeightSeries;

/// Swing, as a share of the weights' norm, below which they count as at rest.
const AT_REST: f64 = 0.01;
/// Closest return up to which weights count as repeating themselves: walking beetles have 0.03, noise of their pace in three dimensions 0.3.
const REPEATS: f64 = 0.15;
/// Difference after one period up to which they do. The closest return alone is the least of many distances, which is small by chance, too: of
/// Ornstein-Uhlenbeck noise (500 samples at 50 Hz, correlated over 0.2 s) 59 of 60 series in one dimension, 38 of 60 in two and 24 of 50 in three
/// (seeds from 0 on) come within [`REPEATS`]; with this bound as well it is 3, 0 and 0. A cycle whose turns take
/// 22 to 44 samples has 0.41; one whose pace varies more counts as wandering.
const IN_STEP: f64 = 0.5;
/// Where a return is looked for, in periods: a gait has no clock.
const RETURNS: std::ops::RangeInclusive<f64> = 0.6..=1.4;
/// Late over early updates below which weights settle: the test for a fixed point of the authors of arXiv 2603.22512.
const SETTLES: f64 = 0.4;
/// The early part, by the same test.
const EARLY: f64 = 0.05;
/// Most samples of the second half that recurrence is looked for in, the last ones: the cost grows with the square of their number.
const MOST_LATE: usize = 1000;
/// Share of the second half's variance that those must have to speak for it: a robot that walks and then stands leaves little.
const TYPICAL: f64 = 0.5;

/// A series in figures and curves.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Dynamics {
    /// Name of the series.
    pub name: String,
    /// Samples.
    pub samples: usize,
    /// Time from the first to the last \[s\].
    pub duration: f64,
    /// Layer by layer.
    pub layers: Vec<LayerDynamics>,
    /// Mean of the updates' norm, summed over layers, in the second half over that in the first 5 %; none where weights begin to move later
    /// than that, as behind a gate that is shut at first.
    pub late_over_early: Option<f64>,
    /// Root mean square distance from their mean in the second half, as a share of that mean's norm.
    pub swing: f64,
    /// How the second half, of a long one its last 1000 samples, repeats itself; none where it is too short or never comes back.
    pub recurrence: Option<Recurrence>,
    /// What it comes to.
    pub motion: Motion,
    /// Which of the samples recurrence and motion are of; absent where these are all, as they lie evenly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<EvenPart>,
}

/// Samples that lie evenly, of a recording in which not all do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct EvenPart {
    /// Control step of the first.
    pub first_step: u64,
    /// Control step of the last.
    pub last_step: u64,
    /// How many there are.
    pub samples: usize,
}

/// One layer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerDynamics {
    /// Mean Frobenius norm of the weights.
    pub norm_mean: f64,
    /// Largest |w|.
    pub max_abs: f32,
    /// Mean norm of the change from sample to sample.
    pub update_norm_mean: f64,
    /// Mean |change| of a weight from sample to sample.
    pub change_mean: f64,
    /// Norm of each sample.
    #[serde(skip)]
    pub norms: Vec<f64>,
    /// Norm of the change to each sample but the first.
    #[serde(skip)]
    pub updates: Vec<f64>,
}

/// After how long weights come back.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Recurrence {
    /// The period \[s\].
    pub period: f64,
    /// Mean squared difference after a period over that after any time: 0 for an exact repetition, 1 for none.
    pub difference: f64,
    /// The same, each time after the time from 0.6 to 1.4 periods at which the weights come closest: 0 for a cycle at whatever pace. As the least
    /// of many it is small for slow noise in few dimensions, too.
    pub closest: f64,
}

impl Recurrence {
    /// Whether weights come back closely, and not by chance.
    fn repeats(&self) -> bool {
        self.closest <= REPEATS && self.difference <= IN_STEP
    }
}

/// What a motion comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Motion {
    /// The weights stay where they are, within 1 % of their norm.
    FixedPoint,
    /// They repeat themselves: after about a period they come back closely, and not by chance.
    LimitCycle,
    /// They still move, but with updates under 40 % of the first ones.
    Settling,
    /// None of these.
    Wandering,
}

impl Motion {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FixedPoint => "fixed point",
            Self::LimitCycle => "limit cycle",
            Self::Settling => "settling",
            Self::Wandering => "wandering",
        }
    }

    /// By the second half and how it repeats itself, and its updates over the first ones.
    fn new(half: &Late, swing: f64, recurrence: Option<Recurrence>, late_over_early: Option<f64>) -> Self {
        match recurrence {
            _ if swing < AT_REST => Self::FixedPoint,
            Some(recurrence) if recurrence.repeats() && half.ends_as_it_is() => Self::LimitCycle,
            _ if late_over_early.is_some_and(|ratio| ratio < SETTLES) => Self::Settling,
            _ => Self::Wandering,
        }
    }
}

impl Dynamics {
    /// The figures of `series`.
    pub fn of(series: &WeightSeries) -> Self {
        let layers = LayerDynamics::all(series);
        let parts = series.even_parts();
        let late_over_early = match &parts {
            None => late_over_early(&layers),
            Some(parts) => late_over_early(&LayerDynamics::of_parts(parts)),
        };
        // Of equally long ones the first.
        let even = parts.iter().flatten().rev().max_by_key(|part| part.len());
        let part = even.map(EvenPart::of);
        let half = even.map(Late::of);
        // How far weights swing needs no evenness.
        let whole = Late::of(series);
        let second_half = half.as_ref().unwrap_or(&whole);
        let (swing, recurrence) = (whole.swing(), second_half.recurrence(even.unwrap_or(series).period()));
        let motion = Motion::new(second_half, swing, recurrence, late_over_early);
        let duration = series.times.last().copied().unwrap_or(0.0) - series.times.first().copied().unwrap_or(0.0);
        let recurrence = recurrence.filter(|_| motion != Motion::FixedPoint);
        Self {
            name: series.name.clone(),
            samples: series.len(),
            duration,
            layers,
            late_over_early,
            swing,
            recurrence,
            motion,
            part,
        }
    }

    /// What `series` comes to when its first `seconds` are left out of swing and recurrence. Whether it settles is told from its very first
    /// updates all the same: without them nothing is left to settle from.
    pub(super) fn motion_after(series: &WeightSeries, seconds: f64) -> Motion {
        let rest = series.clone().without_start(seconds);
        let second_half = Late::of(&rest);
        let late_over_early = late_over_early(&LayerDynamics::all(series));
        Motion::new(&second_half, second_half.swing(), second_half.recurrence(rest.period()), late_over_early)
    }
}

impl EvenPart {
    /// All of `series`, which is some.
    fn of(series: &WeightSeries) -> Self {
        let [first_step, last_step] = [series.steps.first(), series.steps.last()].map(|step| step.copied().unwrap_or(0));
        Self { first_step, last_step, samples: series.len() }
    }
}

impl fmt::Display for EvenPart {
    /// As a part of a sentence.
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let Self { first_step, last_step, samples } = self;
        write!(
            formatter,
            "not recorded evenly: its period is told from the longest part that is, {samples} samples from step {first_step} to {last_step}"
        )
    }
}

/// Mean of the updates' norm, summed over `layers`, in the second half over that in the first 5 %; 0 where both are 0, and none where only
/// the first is.
fn late_over_early(layers: &[LayerDynamics]) -> Option<f64> {
    let count = layers.iter().map(|layer| layer.updates.len()).min().unwrap_or(0);
    let updates: Vec<f64> = (0..count).map(|update| layers.iter().map(|layer| layer.updates[update]).sum()).collect();
    let early = ((count as f64 * EARLY).ceil() as usize).clamp(1, count.max(1));
    let (first, late) = (mean(&updates[..early.min(count)]), mean(&updates[count / 2..]));
    match late {
        _ if count == 0 => None,
        0.0 => Some(0.0),
        _ => (first > 0.0).then_some(late / first),
    }
}

impl LayerDynamics {
    /// Those of each layer in `parts` of a series together: no update spans the gap between two.
    fn of_parts(parts: &[WeightSeries]) -> Vec<Self> {
        let mut layers: Vec<Self> = Vec::new();
        for part in parts.iter().map(Self::all) {
            if layers.is_empty() {
                layers = part;
            } else {
                layers.iter_mut().zip(part).for_each(|(layer, part)| layer.updates.extend(part.updates));
            }
        }
        layers
    }

    /// Those of each layer.
    fn all(series: &WeightSeries) -> Vec<Self> {
        (0..series.layers.len()).map(|layer| Self::of(series, layer)).collect()
    }

    fn of(series: &WeightSeries, layer: usize) -> Self {
        let range = series.layers[layer].clone();
        let of_layer = |index: usize| &series.sample(index)[range.clone()];
        let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>().sqrt();
        let norms: Vec<f64> = (0..series.len()).map(|index| norm(&mut of_layer(index).iter().map(|&w| f64::from(w)))).collect();
        let pairs = || (1..series.len()).map(|index| of_layer(index - 1).iter().zip(of_layer(index)));
        let change = |(before, after): (&f32, &f32)| f64::from(*after) - f64::from(*before);
        let updates: Vec<f64> = pairs().map(|pair| norm(&mut pair.map(change))).collect();
        let changes: Vec<f64> =
            pairs().map(|pair| pair.map(|pair| change(pair).abs()).sum::<f64>() / range.len() as f64).collect();
        let max_abs = (0..series.len()).flat_map(of_layer).fold(0.0f32, |max, weight| max.max(weight.abs()));
        Self { norm_mean: mean(&norms), max_abs, update_norm_mean: mean(&updates), change_mean: mean(&changes), norms, updates }
    }
}

/// The second half of a series, and its end.
struct Late {
    /// Norm of the mean of all of it.
    mean_norm: f64,
    /// Mean squared distance of all of it from that mean.
    half_variance: f64,
    /// All of it, or its last [`MOST_LATE`] samples, about their own mean.
    samples: Vec<Vec<f32>>,
    /// Mean squared distance of those from their mean.
    variance: f64,
}

impl Late {
    fn of(series: &WeightSeries) -> Self {
        let half = series.len() / 2;
        let end = half.max(series.len().saturating_sub(MOST_LATE));
        let count = |start: usize| (series.len() - start).max(1) as f64;
        let mean_from = |start: usize| -> Vec<f64> {
            let mut mean = vec![0.0f64; series.synapses()];
            for index in start..series.len() {
                let sample = series.sample(index);
                mean.iter_mut().zip(sample).for_each(|(mean, &weight)| *mean += f64::from(weight) / count(start));
            }
            mean
        };
        let centred = |index: usize, mean: &[f64]| -> Vec<f32> {
            series.sample(index).iter().zip(mean).map(|(&weight, mean)| (f64::from(weight) - mean) as f32).collect()
        };
        let (mean, mean_of_end) = (mean_from(half), mean_from(end));
        let half_variance = (half..series.len()).map(|index| squared(&centred(index, &mean))).sum::<f64>() / count(half);
        let samples: Vec<Vec<f32>> = (end..series.len()).map(|index| centred(index, &mean_of_end)).collect();
        let variance = samples.iter().map(|sample| squared(sample)).sum::<f64>() / count(end);
        Self { mean_norm: mean.iter().map(|mean| mean * mean).sum::<f64>().sqrt(), half_variance, samples, variance }
    }

    fn swing(&self) -> f64 {
        match (self.half_variance.sqrt(), self.mean_norm) {
            (0.0, _) => 0.0,
            (distance, norm) if norm > 0.0 => distance / norm,
            _ => f64::INFINITY,
        }
    }

    /// Whether its end, where recurrence is looked for, swings about as far as all of it.
    fn ends_as_it_is(&self) -> bool {
        self.variance >= TYPICAL * self.half_variance
    }

    /// Mean squared difference between weights `lag` samples apart, over that between weights of any two times (twice the variance).
    fn difference(&self, lag: usize) -> f64 {
        let pairs = self.samples.iter().zip(&self.samples[lag..]);
        let count = self.samples.len() - lag;
        pairs.map(|(a, b)| apart(a, b)).sum::<f64>() / (count as f64 * 2.0 * self.variance)
    }

    /// The first lag at which weights come back after they have gone: a dip of the difference, of all dips nearly as deep as the deepest
    /// one the first, between samples by a parabola. A lag is looked at only when it fits in twice.
    fn recurrence(&self, period: f64) -> Option<Recurrence> {
        let longest = self.samples.len() / 2;
        if self.variance <= 0.0 || longest < 4 {
            return None;
        }
        let differences: Vec<f64> = (0..=longest).into_par_iter().map(|lag| self.difference(lag)).collect();
        let gone = differences.iter().position(|&difference| difference > 0.5)?;
        let is_dip = |&lag: &usize| differences[lag] <= differences[lag - 1] && differences[lag] < differences[lag + 1];
        let dips: Vec<usize> = (gone.max(1)..longest).filter(is_dip).collect();
        let deepest = dips.iter().map(|&lag| differences[lag]).fold(f64::INFINITY, f64::min);
        // Multiples of the period are as deep; rounding and drift must not make one of them win.
        let &lag = dips.iter().find(|&&lag| differences[lag] <= deepest + 0.05)?;
        let (before, here, after) = (differences[lag - 1], differences[lag], differences[lag + 1]);
        let curvature = before - 2.0 * here + after;
        let offset = if curvature > 0.0 { (0.5 * (before - after) / curvature).clamp(-0.5, 0.5) } else { 0.0 };
        Some(Recurrence { period: (lag as f64 + offset) * period, difference: here, closest: self.closest_return(lag) })
    }

    fn closest_return(&self, lag: usize) -> f64 {
        let part = |share: f64| share * lag as f64;
        let (first, last) = ((part(*RETURNS.start()) as usize).max(1), part(*RETURNS.end()).ceil() as usize);
        let starts = self.samples.len().saturating_sub(last);
        let closest = |start: usize| {
            let here = &self.samples[start];
            (first..=last.min(self.samples.len() - 1 - start))
                .map(|lag| apart(here, &self.samples[start + lag]))
                .fold(f64::INFINITY, f64::min)
        };
        let sum: f64 = (0..starts).into_par_iter().map(closest).collect::<Vec<_>>().iter().sum();
        if starts == 0 { f64::INFINITY } else { sum / (starts as f64 * 2.0 * self.variance) }
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// Squared distance.
fn apart(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum()
}

fn squared(values: &[f32]) -> f64 {
    values.iter().map(|&value| f64::from(value).powi(2)).sum()
}

#[cfg(test)]
mod tests {
    use rand::RngExt;
    use rand_distr::StandardNormal;

    use super::*;
    use crate::random::stream;

    fn series(samples: usize, weight: impl Fn(f32, usize) -> f32) -> WeightSeries {
        let weights = (0..samples).flat_map(|sample| (0..12).map(move |i| (sample, i)));
        let weights = weights.map(|(sample, i)| weight(sample as f32, i)).collect();
        WeightSeries::new("test", 0.02, &[8, 4], weights)
    }

    #[test]
    fn a_cycle_is_found_with_its_period_between_two_samples() {
        let turn = std::f32::consts::TAU / 33.4;
        let cycle = series(400, |t, i| 0.3 + 0.2 * (turn * t + i as f32).sin() + 0.05 * (2.0 * turn * t).cos());
        let dynamics = Dynamics::of(&cycle);
        assert_eq!(dynamics.motion, Motion::LimitCycle, "{dynamics:?}");
        let recurrence = dynamics.recurrence.unwrap();
        assert!((recurrence.period - 33.4 * 0.02).abs() < 0.003, "{recurrence:?}");
        assert!(recurrence.difference < 0.05, "{recurrence:?}");
    }

    #[test]
    fn a_recording_whose_pace_was_changed_has_the_motion_of_an_even_one() {
        let turn = std::f32::consts::TAU / 53.0;
        let whole = series(1200, |t, i| {
            0.3 + (0.2 + 0.1 * (-t / 40.0).exp()) * (turn * t + i as f32).sin() + 0.03 * (t * i as f32).sin()
        });
        let expected = Dynamics::of(&whole);
        assert_eq!((expected.motion, expected.part), (Motion::LimitCycle, None), "{expected:?}");
        // Every fifth step, and from the middle on, where it looks for the period, every one; and the other way round.
        for fine in [700..1200, 0..700] {
            let kept: Vec<usize> = (0..whole.len()).filter(|step| step % 5 == 0 || fine.contains(step)).collect();
            let weights = kept.iter().flat_map(|&index| whole.sample(index)).copied().collect();
            let mut uneven = WeightSeries::new("test", 0.02, &[8, 4], weights);
            uneven.times = kept.iter().map(|&index| whole.times[index]).collect();
            uneven.steps = kept.iter().map(|&index| index as u64).collect();
            let dynamics = Dynamics::of(&uneven);
            assert_eq!(dynamics.part, Some(EvenPart { first_step: 0, last_step: 1195, samples: 240 }));
            assert_eq!(dynamics.motion, Motion::LimitCycle, "{dynamics:?}");
            let [period, found] = [&expected, &dynamics].map(|dynamics| dynamics.recurrence.unwrap().period);
            assert!((period - found).abs() < 0.02, "{period} {found}");
            let text = dynamics.part.unwrap().to_string();
            assert!(text.contains("240 samples from step 0 to 1195"), "{text}");
        }
    }

    #[test]
    fn a_recording_without_one_of_its_samples_settles_as_the_whole_does_and_few_samples_are_no_fixed_point() {
        let without = |whole: &WeightSeries, kept: &dyn Fn(usize) -> bool| {
            let kept: Vec<usize> = (0..whole.len()).filter(|&step| kept(step)).collect();
            let weights = kept.iter().flat_map(|&index| whole.sample(index)).copied().collect();
            let mut rest = WeightSeries::new("test", 0.02, &[8, 4], weights);
            rest.times = kept.iter().map(|&index| whole.times[index]).collect();
            rest.steps = kept.iter().map(|&index| index as u64).collect();
            Dynamics::of(&rest)
        };
        let slowing = series(300, |t, i| 0.5 + (-t / 120.0).exp() * (i as f32).cos());
        let rest = without(&slowing, &|step| step != 30);
        assert_eq!((rest.motion, rest.part.map(|part| part.first_step)), (Motion::Settling, Some(31)), "{rest:?}");
        let turning = series(40, |t, i| 0.3 + 0.2 * (t + i as f32).sin());
        let few = without(&turning, &|step| [0, 7, 9, 30].contains(&step));
        assert!(few.motion == Motion::Wandering && few.late_over_early.is_none() && few.swing > 0.1, "{few:?}");
    }

    #[test]
    fn a_cycle_at_a_changing_pace_is_one_all_the_same() {
        // From 22 to 44 samples a turn in the second half.
        let angle = |t: f32| std::f32::consts::TAU * (t / 33.0 + 0.9 * (t / 60.0).sin());
        let dynamics = Dynamics::of(&series(500, |t, i| 0.3 + 0.2 * (angle(t) + i as f32).sin()));
        let recurrence = dynamics.recurrence.unwrap();
        assert_eq!(dynamics.motion, Motion::LimitCycle, "{recurrence:?}");
        assert!(recurrence.closest < 0.1 && recurrence.difference > 2.0 * recurrence.closest, "{recurrence:?}");
    }

    #[test]
    fn weights_that_come_to_rest_are_a_fixed_point_and_slowing_ones_settle() {
        let rest = Dynamics::of(&series(300, |t, i| 0.5 + (-t / 10.0).exp() * (i as f32).cos()));
        assert_eq!((rest.motion, rest.recurrence), (Motion::FixedPoint, None));
        assert!(rest.late_over_early.unwrap() < 0.01);
        let slowing = Dynamics::of(&series(300, |t, i| 0.5 + (-t / 120.0).exp() * (i as f32).cos()));
        assert_eq!(slowing.motion, Motion::Settling, "{slowing:?}");
        let still = Dynamics::of(&series(50, |_, _| 0.5));
        assert_eq!((still.motion, still.late_over_early), (Motion::FixedPoint, Some(0.0)));
        // Of rounding alone.
        assert!(still.swing < 1e-12, "{}", still.swing);
    }

    #[test]
    fn all_of_the_second_half_is_judged_and_not_its_end_alone() {
        // 40 s in motion, and the last 20 s at rest.
        let stopped = |rest: fn(f32, usize) -> f32| {
            let moves = |t: f32, i: usize| 0.3 + 0.2 * (t / 2000.0 + i as f32).sin();
            Dynamics::of(&series(6000, |t, i| if t < 5000.0 { moves(t, i) } else { rest(t, i) }))
        };
        let still = stopped(|_, _| 0.3);
        assert!(still.motion != Motion::FixedPoint && still.swing > 0.1, "{:?} {}", still.motion, still.swing);
        // A tremble at rest repeats itself, but it is not how the weights moved.
        let trembling = stopped(|t, i| 0.3 + 1e-3 * (t / 5.0 + i as f32).sin());
        assert!(trembling.recurrence.is_some_and(|recurrence| recurrence.repeats()), "{:?}", trembling.recurrence);
        assert_ne!(trembling.motion, Motion::LimitCycle);
    }

    #[test]
    fn a_cycle_of_minutes_is_found_in_its_end() {
        let turn = std::f32::consts::TAU / 33.4;
        let dynamics = Dynamics::of(&series(6000, |t, i| 0.3 + 0.2 * (turn * t + i as f32).sin()));
        let recurrence = dynamics.recurrence.unwrap();
        assert_eq!(dynamics.motion, Motion::LimitCycle, "{recurrence:?}");
        assert!((recurrence.period - 33.4 * 0.02).abs() < 0.003, "{recurrence:?}");
    }

    #[test]
    fn a_walk_at_random_wanders() {
        assert_eq!(Dynamics::of(&walk(|_| 0.1)).motion, Motion::Wandering);
    }

    #[test]
    fn weights_that_begin_to_move_late_have_no_ratio_and_do_not_settle() {
        let walk = walk(|_| 0.1);
        let mut weights = walk.sample(0).repeat(30);
        weights.extend(walk.samples().flatten());
        let late = Dynamics::of(&WeightSeries::new("late", 0.02, &[12], weights));
        assert_eq!((late.motion, late.late_over_early), (Motion::Wandering, None));
        assert!(serde_json::to_value(&late).unwrap()["late_over_early"].is_null());
    }

    /// A walk at random, whose steps are up to `step` of the sample's number.
    fn walk(step: impl Fn(usize) -> f32) -> WeightSeries {
        let mut random = stream(7, "a walk", &[]);
        let mut place = [0.5f32; 12];
        let weights = (0..400).flat_map(|sample| {
            place.iter_mut().for_each(|place| *place += random.random_range(-step(sample)..step(sample)));
            place
        });
        WeightSeries::new("walk", 0.02, &[12], weights.collect())
    }

    #[test]
    fn whether_weights_settle_is_told_from_the_first_updates_though_the_start_is_left_out_of_the_rest() {
        // A long first second.
        let walk = walk(|sample| if sample < 50 { 1.0 } else { 0.1 });
        assert_eq!(Dynamics::motion_after(&walk, 1.0), Motion::Settling);
        assert_eq!(Dynamics::of(&walk.without_start(1.0)).motion, Motion::Wandering);
    }

    #[test]
    fn slow_noise_in_few_dimensions_is_no_cycle_however_often_it_comes_close_by_chance() {
        for dimensions in [2, 3] {
            let all: Vec<Dynamics> = (0..30).map(|seed| Dynamics::of(&noise(seed, dimensions))).collect();
            let close = |dynamics: &&Dynamics| dynamics.recurrence.is_some_and(|recurrence| recurrence.closest <= REPEATS);
            let cycles = all.iter().filter(|dynamics| dynamics.motion == Motion::LimitCycle).count();
            assert!(all.iter().filter(close).count() > 5 && cycles <= 2, "{dimensions} dimensions: {cycles} of 30");
        }
    }

    /// Ornstein-Uhlenbeck noise of unit variance about 5, 500 samples at 50 Hz with a correlation time of 0.2 s.
    fn noise(seed: u64, dimensions: usize) -> WeightSeries {
        let mut random = stream(seed, "noise", &[]);
        let kept = (-0.02f32 / 0.2).exp();
        let mut place = vec![0.0f32; dimensions];
        let mut weights = Vec::new();
        for _ in 0..500 {
            for place in &mut place {
                *place = kept * *place + (1.0 - kept * kept).sqrt() * random.sample::<f32, _>(StandardNormal);
                weights.push(5.0 + *place);
            }
        }
        WeightSeries::new("noise", 0.02, &[dimensions], weights)
    }

    #[test]
    fn layers_are_measured_by_themselves() {
        let dynamics = Dynamics::of(&series(10, |t, i| if i < 8 { 0.5 } else { t }));
        let [first, second] = &dynamics.layers[..] else { panic!("{dynamics:?}") };
        assert!((first.norm_mean - 2f64.sqrt()).abs() < 1e-9 && first.update_norm_mean == 0.0 && first.max_abs == 0.5);
        assert!((second.update_norm_mean - 2.0).abs() < 1e-9 && second.change_mean == 1.0 && second.max_abs == 9.0);
    }
}
