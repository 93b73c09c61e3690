//! Sets of sensor values that come faster than the policy runs, or slower.

use crate::robot::Stamp;

/// Share of its distance from the sensors' stamps by which the grid follows them in each step.
const FOLLOWED: i64 = 16;
/// It follows by no more than this share of a period: the policy then makes at most 0.4% more steps than it should, and clocks of sensors that have
/// its own rate are nearer than that to ours.
const MOST_FOLLOWED: i64 = 256;

/// Steps for which sensors count as faster after a set of theirs was left out: more than lie between two such sets of sensors that are a fifth faster.
const FASTER: u8 = 8;

/// Distances between sets that tell whether sensors are slower.
const DISTANCES: i64 = 25;

/// Leaves out sets that come too fast: each control step may move a joint as far as a whole period allows, and the policy knows no other rate. Of
/// sensors that are slower all sets are taken, but it is said once: then the policy makes too few steps.
///
/// Steps are due on a grid of one period. Of sensors that are faster, the set nearest to the grid is in time. Sensors of the policy's own rate whose
/// stamps jitter by less than a quarter period are all in time, also when their clock runs a little faster or slower: the grid follows them.
#[derive(Clone, Debug)]
pub struct Pace {
    period: i64,
    grid: Option<Grid>,
    /// The last distances between sets, as long as they are even.
    distances: Option<Distances>,
    /// Whether it was said that the sensors are slower.
    said_slower: bool,
}

/// What is known since the first set.
#[derive(Clone, Copy, Debug)]
struct Grid {
    /// When the next step is due.
    due: Stamp,
    /// The last set that was in time.
    taken: Stamp,
    /// The last set of all.
    seen: Stamp,
    /// For so many more steps the sensors count as faster than the policy, unless another set is left out.
    faster: u8,
}

/// Distances between sets that followed each other \[ns\].
#[derive(Clone, Copy, Debug)]
struct Distances {
    count: i64,
    sum: i64,
    shortest: i64,
    longest: i64,
}

impl Distances {
    fn one(distance: i64) -> Self {
        Self { count: 1, sum: distance, shortest: distance, longest: distance }
    }

    fn and(self, distance: i64) -> Self {
        Self {
            count: self.count + 1,
            sum: self.sum.saturating_add(distance),
            shortest: self.shortest.min(distance),
            longest: self.longest.max(distance),
        }
    }

    fn spread(self) -> i64 {
        self.longest.saturating_sub(self.shortest)
    }
}

/// Sensors whose sets come farther apart than the policy's steps: no error, as each is taken.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error(
    "sets of sensor values come every {interval:.1} ms, but the policy makes a step every {period:.1} ms: it makes too few, and does not move as it \
     was evolved to; let the sensors (or the simulator's control_rate) have its rate, or set trigger to `timer`"
)]
pub struct Slower {
    interval: f64,
    period: f64,
}

/// A set of sensor values that came too early for a control step.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error(
    "a set of sensor values {after:.1} ms after that of the last step is left out: the policy makes a step every {period:.1} ms; \
     let the sensors (or the simulator's control_rate) have its rate, or set trigger to `timer`"
)]
pub struct TooEarly {
    after: f64,
    period: f64,
}

impl Pace {
    /// For a control period of `period` \[ns\].
    pub fn new(period: i64) -> Self {
        Self { period, grid: None, distances: None, said_slower: false }
    }

    /// Takes note of a set of `stamp`. One that repeats a stamp, or follows a clock that was set back, is in time; so is one that comes half a
    /// period late or later, from which a new grid begins: what was missed is not made up for.
    ///
    /// Once, when that is known, it returns that the sensors are [`Slower`]. Stamps alone tell, as simulated time has any pace.
    ///
    /// # Errors
    /// [`TooEarly`] for one that comes within half a period of the last that was in time, half a period before the next is due, or, of sensors of
    /// which others were left out lately, so long before that the set after it will be nearer.
    pub fn note(&mut self, stamp: Stamp) -> Result<Option<Slower>, TooEarly> {
        let Some(Grid { due, taken, seen, faster }) = self.grid.filter(|grid| stamp >= grid.taken) else {
            self.take(stamp, stamp, 0);
            self.distances = None;
            return Ok(None);
        };
        if stamp == taken {
            return Ok(None);
        }
        let half = self.period / 2;
        let (gap, late) = (stamp.saturating_sub(taken), stamp.saturating_sub(due));
        let is_faster = faster > 0;
        let is_farther = is_faster && late < -(stamp.saturating_sub(seen).max(0) / 2);
        if gap <= half || late <= -half || is_farther {
            self.grid = Some(Grid { due, taken, seen: seen.max(stamp), faster: FASTER });
            self.distances = None;
            return Err(TooEarly { after: gap as f64 * 1e-6, period: self.period as f64 * 1e-6 });
        }
        let most = self.period / MOST_FOLLOWED;
        let place = if late >= half {
            stamp
        } else if is_faster {
            // Followed, faster sensors would set the rate.
            due
        } else {
            due.saturating_add((late / FOLLOWED).clamp(-most, most))
        };
        self.take(stamp, place, faster.saturating_sub(1));
        Ok(self.note_distance(stamp.saturating_sub(seen)))
    }

    /// Takes note of the distance between a set and the one before it.
    fn note_distance(&mut self, distance: i64) -> Option<Slower> {
        // Where sets get lost they are uneven, by whole periods: that is no rate.
        let even = self.distances.map(|before| before.and(distance)).filter(|all| all.spread() < self.period / 2);
        let distances = even.unwrap_or_else(|| Distances::one(distance));
        if distances.count < DISTANCES {
            self.distances = Some(distances);
            return None;
        }
        self.distances = None;
        // By a whole period: neither jitter of less than a quarter period nor a clock that runs a little slower makes that much of them.
        let is_slower = distances.sum >= (DISTANCES + 1) * self.period;
        if !is_slower || std::mem::replace(&mut self.said_slower, true) {
            return None;
        }
        let interval = distances.sum as f64 * 1e-6 / DISTANCES as f64;
        Some(Slower { interval, period: self.period as f64 * 1e-6 })
    }

    /// The set of `stamp` is in time; `place` is where the grid has it.
    fn take(&mut self, stamp: Stamp, place: Stamp, faster: u8) {
        self.grid = Some(Grid { due: place.saturating_add(self.period), taken: stamp, seen: stamp, faster });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: i64 = 20_000_000;

    /// Those of `stamps` that are in time.
    fn in_time(stamps: impl IntoIterator<Item = i64>) -> Vec<i64> {
        let mut pace = Pace::new(PERIOD);
        stamps.into_iter().filter(|&stamp| pace.note(stamp).is_ok()).collect()
    }

    /// Stamps of sensors with `interval`, each off by less than `jitter`, drawn from a fixed seed \[ns\].
    fn jittering(interval: i64, jitter: i64, count: i64) -> impl Iterator<Item = i64> {
        let mut state = 20_261_130_u64;
        (0..count).map(move |index| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            index * interval + (state >> 33) as i64 % (2 * jitter) - jitter
        })
    }

    #[test]
    fn faster_sensors_make_as_many_steps_as_the_policy_has() {
        let steps = |interval: i64| in_time((0..10_000_000_000).step_by(interval as usize));
        for milliseconds in [4, 5, 8, 10] {
            let steps = steps(milliseconds * 1_000_000);
            assert!((499..=501).contains(&steps.len()), "{} steps on a set every {milliseconds} ms", steps.len());
            let shortest = steps.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap();
            assert!(shortest >= 16_000_000, "two steps within {shortest} ns on a set every {milliseconds} ms");
        }
        // Where most sets are taken the grid may follow, but hardly; the nearest set may lie half a period after the last.
        for milliseconds in 11..20 {
            let steps = steps(milliseconds * 1_000_000);
            assert!((499..=502).contains(&steps.len()), "{} steps on a set every {milliseconds} ms", steps.len());
            assert!(steps.windows(2).all(|pair| pair[1] - pair[0] > PERIOD / 2), "on a set every {milliseconds} ms");
        }
    }

    #[test]
    fn of_the_sets_of_sensors_that_are_a_third_faster_the_nearest_to_each_step_are_taken() {
        let steps = in_time((0..2_000_000_000).step_by(15_000_000));
        assert_eq!(steps[..5], [0, 15, 30, 60, 75].map(|stamp| stamp * 1_000_000));
        // The first ones were followed, as nobody could know yet. From then on no set lies farther from the grid than half of what is between them.
        let due = (3..).map(|step| step * PERIOD - 2 * (PERIOD / MOST_FOLLOWED));
        assert!(steps[3..].iter().zip(due).all(|(step, due)| (step - due).abs() <= 7_500_000), "{steps:?}");
    }

    #[test]
    fn no_set_of_sensors_with_the_policys_rate_is_left_out() {
        let hour = 180_000;
        for interval in [19_960_000, PERIOD, 20_040_000] {
            assert_eq!(in_time((0..hour).map(|index| index * interval)).len(), hour as usize, "every {interval} ns");
            for jitter in [4_000_000, 4_900_000] {
                let taken = in_time(jittering(interval, jitter, hour)).len();
                assert_eq!(taken, hour as usize, "every {interval} ns, off by less than {jitter} ns");
            }
        }
        // The first set late, all others early.
        let stamps = (0..hour).map(|index| index * PERIOD + if index == 0 { 4_900_000 } else { -4_900_000 });
        assert_eq!(in_time(stamps).len(), hour as usize);
    }

    #[test]
    fn after_a_gap_and_after_time_that_goes_back_a_new_grid_begins() {
        let milliseconds = |stamps: &[i64]| in_time(stamps.iter().map(|stamp| stamp * 1_000_000));
        let expected = |stamps: &[i64]| stamps.iter().map(|stamp| stamp * 1_000_000).collect::<Vec<_>>();
        // Sets every 5 ms, of which some are lost.
        let gap = milliseconds(&[0, 5, 10, 15, 20, 57, 62, 67, 72, 77, 82, 87, 92, 97]);
        assert_eq!(gap, expected(&[0, 20, 57, 77, 97]), "what was missed is not made up for");
        let back = milliseconds(&[1000, 1005, 1010, 1015, 1020, 3, 8, 13, 18, 23, 28, 33, 38, 43]);
        assert_eq!(back, expected(&[1000, 1020, 3, 23, 43]));
        // One that was left out and comes again is left out again.
        assert_eq!(milliseconds(&[0, 5, 5, 10, 10, 5, 15, 20, 20]), expected(&[0, 20, 20]));
        // Slower sensors make all the steps there are.
        assert_eq!(milliseconds(&[0, 30, 60, 90, 120]), expected(&[0, 30, 60, 90, 120]));
    }

    /// What is said of sensors that are slower, and by how many sets before it.
    fn said(stamps: impl IntoIterator<Item = i64>) -> Vec<(usize, String)> {
        let mut pace = Pace::new(PERIOD);
        let notes = stamps.into_iter().map(|stamp| pace.note(stamp).ok().flatten());
        notes.enumerate().filter_map(|(number, slower)| Some((number, slower?.to_string()))).collect()
    }

    #[test]
    fn sensors_that_are_slower_than_the_policy_are_named_once() {
        for (interval, text) in [(20_900_000_i64, "20.9 ms"), (40_000_000, "40.0 ms"), (1_000_000_000, "1000.0 ms")] {
            let said = said((0..1000).map(|index| index * interval));
            assert_eq!(said.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [DISTANCES as usize], "every {interval} ns");
            let message = &said[0].1;
            assert!(message.contains(&format!("every {text}")) && message.contains("every 20.0 ms"), "{message}");
        }
        // As in lockstep, where the simulator repeats what was not answered yet.
        let repeated = (0..30).flat_map(|index| [2 * PERIOD * index; 3]);
        assert_eq!(said(repeated).len(), 1);
        // Half of the policy's rate, and jitter.
        assert_eq!(said(jittering(2 * PERIOD, 2_400_000, 100)).len(), 1);
    }

    #[test]
    fn sensors_with_the_policys_rate_or_a_faster_one_and_lost_sets_are_not_called_slower() {
        let hour = 180_000;
        for interval in [10_000_000, 15_000_000, 19_960_000, PERIOD, 20_040_000] {
            assert!(said((0..hour).map(|index| index * interval)).is_empty(), "every {interval} ns");
            assert!(said(jittering(interval, 4_900_000, hour)).is_empty(), "every {interval} ns, with jitter");
        }
        // Every third set is lost; half of them, by chance; all for a while, again and again.
        assert!(said((0..hour).filter(|index| index % 3 > 0).map(|index| index * PERIOD)).is_empty());
        let chance = jittering(0, 1_000, hour).zip(0..hour).filter(|(drawn, _)| *drawn < 0);
        assert!(said(chance.map(|(_, index)| index * PERIOD)).is_empty());
        assert!(said((0..hour).filter(|index| index / 50 % 2 > 0).map(|index| index * PERIOD)).is_empty());
        // Too few to tell, before each time that goes back.
        let few = (0..100).flat_map(|_| (0..DISTANCES).map(|index| 2 * PERIOD * index));
        assert!(said(few).is_empty());
    }

    #[test]
    fn sets_that_come_faster_than_the_policy_runs_are_left_out() {
        let mut pace = Pace::new(20_000_000);
        let mut in_time = |milliseconds: i64| pace.note(milliseconds * 1_000_000).is_ok();
        // Twice as fast as the policy, then jitter, a repetition, a gap, and a clock that was set back.
        assert_eq!([100, 110, 120, 130, 140].map(&mut in_time), [true, false, true, false, true]);
        assert_eq!([156, 156, 400, 50, 60, 70].map(&mut in_time), [true, true, true, true, false, true]);
        let message = pace.note(75_000_000).unwrap_err().to_string();
        assert!(message.contains("5.0 ms after") && message.contains("every 20.0 ms"), "{message}");
    }
}
