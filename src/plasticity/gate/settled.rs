//! Shut once the updates have become small.

use serde::{Deserialize, Serialize};

use super::error::{require, require_shut};
use super::{GateDescriptionError, GateReason};

/// Shuts the gate when the rule has found its weights: when its updates have become small against those of early life.
///
/// It watches the size of the update that a fully open gate would make, mean |N(V) - W| over all synapses, and so can see
/// while it is shut that the rule wants to move again. When the early updates were zero, it stays open.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SettledSettings {
    /// Early size: mean over this many updates from the first control step of life that may make one.
    pub early: u32,
    /// Present size: mean over this many updates. In a limit cycle it should span a period of the gait.
    pub window: u32,
    /// It shuts when the present size is below this share of the early one.
    pub close_below: f32,
    /// It opens when the present size is above this share of the early one.
    pub open_above: f32,
    /// g when shut.
    #[serde(default)]
    pub shut: f32,
}

/// Longest window: its mean is summed anew in each step, and a damaged file must not make us allocate without bounds.
const LONGEST_WINDOW: u32 = 10_000;

impl SettledSettings {
    /// Checks the numbers.
    pub(super) fn check(&self, place: &str) -> Result<(), GateDescriptionError> {
        let window = (1..=LONGEST_WINDOW).contains(&self.window);
        require(self.early >= 1, place, "early", self.early, "at least 1 control step")?;
        require(window, place, "window", self.window, format_args!("from 1 to {LONGEST_WINDOW} control steps"))?;
        let positive = self.close_below.is_finite() && self.close_below > 0.0;
        require(positive, place, "close_below", self.close_below, "a positive share of the early size")?;
        let above = self.open_above.is_finite() && self.open_above > self.close_below;
        require(above, place, "open_above", self.open_above, format_args!("greater than close_below, {}", self.close_below))?;
        require_shut(self.shut, place)
    }
}

/// The state machine.
#[derive(Clone, Debug)]
pub(super) struct Settled {
    settings: SettledSettings,
    shut: bool,
    /// Present size as a share of the early one. None before both are known, and after a size that is no number.
    share: Option<f32>,
    early_sum: f64,
    early_count: u32,
    /// The last `filled` sizes; `next` is the place of the next one.
    sizes: Vec<f32>,
    next: usize,
    filled: usize,
}

impl Settled {
    pub(super) fn new(settings: SettledSettings) -> Self {
        let sizes = vec![0.0; settings.window as usize];
        Self { settings, shut: false, share: None, early_sum: 0.0, early_count: 0, sizes, next: 0, filled: 0 }
    }

    /// The decision after `chances` control steps that could make an update; the last one made one of `update_size` or would have. Returns
    /// why the gate is shut, if it is.
    pub(super) fn decide(&mut self, chances: u64, update_size: f32) -> Option<GateReason> {
        // Before the first one there was no update.
        if chances > 0 {
            self.watch(update_size);
        }
        self.shut.then_some(GateReason::Settled { share: self.share })
    }

    fn watch(&mut self, size: f32) {
        if !(size.is_finite() && size >= 0.0) {
            // Weights or rule have diverged: shut until a whole window of sizes can be trusted again.
            (self.shut, self.share, self.next, self.filled) = (true, None, 0, 0);
            return;
        }
        if self.early_count < self.settings.early {
            self.early_sum += f64::from(size);
            self.early_count += 1;
        }
        if let Some(place) = self.sizes.get_mut(self.next) {
            *place = size;
        }
        self.filled = self.sizes.len().min(self.filled + 1);
        self.next = if self.next + 1 < self.sizes.len() { self.next + 1 } else { 0 };
        if self.early_count < self.settings.early || self.filled < self.sizes.len() {
            return;
        }
        if self.early_sum == 0.0 {
            self.shut = false;
            return;
        }
        let early = self.early_sum / f64::from(self.early_count);
        let share = (self.mean() / early) as f32;
        self.share = Some(share);
        if share < self.settings.close_below {
            self.shut = true;
        } else if share > self.settings.open_above {
            self.shut = false;
        }
    }

    /// Mean of a full window. Summed anew, because a sum that is carried along gathers rounding errors for as long as it lives.
    fn mean(&self) -> f64 {
        self.sizes.iter().map(|&size| f64::from(size)).sum::<f64>() / self.sizes.len() as f64
    }

    /// g when shut.
    pub(super) fn shut_value(&self) -> f32 {
        self.settings.shut
    }

    /// Back to the start of an episode: open, early size unknown.
    pub(super) fn reset(&mut self) {
        (self.shut, self.share, self.next, self.filled) = (false, None, 0, 0);
        (self.early_sum, self.early_count) = (0.0, 0);
    }

    /// Memory on the heap \[bytes\].
    pub(super) fn heap_size(&self) -> usize {
        size_of_val(&self.sizes[..])
    }

    /// Becomes `other`, without allocating when the windows are of one length.
    pub(super) fn copy_from(&mut self, other: &Self) {
        let mut sizes = std::mem::take(&mut self.sizes);
        sizes.clone_from(&other.sizes);
        let Self { settings, shut, share, early_sum, early_count, sizes: _, next, filled } = *other;
        *self = Self { settings, shut, share, early_sum, early_count, sizes, next, filled };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    const SETTINGS: SettledSettings = SettledSettings { early: 4, window: 2, close_below: 0.4, open_above: 0.6, shut: 0.0 };

    /// A gate that has seen early updates of size 1.
    fn grown_up() -> Settled {
        let mut gate = Settled::new(SETTINGS);
        for step in 0..=4 {
            assert_eq!(gate.decide(step, 1.0), None);
        }
        gate
    }

    fn shut(gate: &mut Settled, size: f32) -> bool {
        gate.decide(100, size).is_some()
    }

    #[test]
    fn it_shuts_below_one_share_and_opens_above_the_other() {
        let mut gate = grown_up();
        let sizes = [0.5, 0.2, 0.1, 0.9, 0.2, 1.1, 0.5];
        assert_eq!(sizes.map(|size| shut(&mut gate, size)), [false, true, true, true, true, false, false]);
    }

    #[test]
    fn it_says_how_small_the_updates_are() {
        let mut gate = grown_up();
        shut(&mut gate, 0.125);
        assert_eq!(gate.decide(6, 0.125), Some(GateReason::Settled { share: Some(0.125) }));
    }

    #[test]
    fn small_updates_in_early_life_do_not_shut_it() {
        let mut gate = Settled::new(SETTINGS);
        assert!([9.0, 1e-3, 1e-3, 1e-3].iter().zip(0..).all(|(&size, step)| gate.decide(step, size).is_none()));
    }

    #[test]
    fn a_rule_that_never_moved_the_weights_keeps_it_open() {
        let mut gate = Settled::new(SETTINGS);
        assert!((0..50).all(|step| gate.decide(step, 0.0).is_none()));
    }

    #[test]
    fn a_size_that_is_no_number_shuts_it_until_a_window_of_numbers_has_passed() {
        for bad in [f32::NAN, f32::INFINITY, -1.0] {
            let mut gate = grown_up();
            assert_eq!(gate.decide(5, bad), Some(GateReason::Settled { share: None }));
            assert_eq!([1.0, 1.0].map(|size| shut(&mut gate, size)), [true, false]);
        }
    }

    #[test]
    fn a_new_episode_measures_its_own_early_size() {
        let mut gate = grown_up();
        shut(&mut gate, 0.0);
        assert!(shut(&mut gate, 0.0));
        gate.reset();
        assert!((0..50).all(|step| gate.decide(step, 1e-3).is_none()));
    }

    #[test]
    fn copying_the_state_reuses_the_window() {
        let (mut copy, original) = (Settled::new(SETTINGS), grown_up());
        let place = copy.sizes.as_ptr();
        copy.copy_from(&original);
        assert_eq!(copy.sizes.as_ptr(), place);
        assert_eq!(copy.sizes, original.sizes);
    }

    #[test]
    fn bad_numbers_are_refused_by_name() {
        let cases = [
            (SettledSettings { early: 0, ..SETTINGS }, "early"),
            (SettledSettings { window: 0, ..SETTINGS }, "window"),
            (SettledSettings { window: u32::MAX, ..SETTINGS }, "window"),
            (SettledSettings { close_below: f32::NAN, ..SETTINGS }, "close_below"),
            (SettledSettings { open_above: 0.4, ..SETTINGS }, "open_above"),
            (SettledSettings { shut: -0.1, ..SETTINGS }, "shut"),
        ];
        for (settings, key) in cases {
            let error = settings.check("settled").unwrap_err().to_string();
            assert!(error.starts_with(&format!("settled.{key} is ")), "{error}");
        }
        assert_eq!(SETTINGS.check("settled"), Ok(()));
    }

    proptest! {
        /// Between both thresholds it stays as it is.
        #[test]
        fn it_never_flaps_inside_the_band(was_shut in any::<bool>(), sizes in vec(0.401f32..0.599, 1..100)) {
            let mut gate = grown_up();
            let before = if was_shut { 0.39 } else { 0.61 };
            shut(&mut gate, before);
            shut(&mut gate, before);
            for size in sizes {
                prop_assert_eq!(shut(&mut gate, size), was_shut);
            }
        }
    }
}
