//! Shut when the weights leave the region that training knew.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::error::{require, require_shut};
use super::{GateDescriptionError, GateReason, Subspace};

/// Shuts the gate when the weights are far from the subspace in which training moved them ([`Subspace::distance`]).
///
/// A guard rather than a rhythm: weights behind a shut gate stay where they are, so with `shut: 0` it usually stays shut until
/// weights are restored or drawn anew. Weights at the start of an episode must lie within `open_below`; samples from the start
/// of life on see to that.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoveltySettings {
    /// It shuts when the distance is above this.
    pub close_above: f32,
    /// It opens when the distance is below this.
    pub open_below: f32,
    /// Control steps from one measurement to the next.
    #[serde(default = "each_step")]
    pub every: u32,
    /// g when shut.
    #[serde(default)]
    pub shut: f32,
}

fn each_step() -> u32 {
    1
}

impl NoveltySettings {
    /// Checks the numbers.
    pub(super) fn check(&self, place: &str) -> Result<(), GateDescriptionError> {
        let positive = self.open_below.is_finite() && self.open_below > 0.0;
        require(positive, place, "open_below", self.open_below, "a positive distance")?;
        let above = self.close_above.is_finite() && self.close_above > self.open_below;
        require(above, place, "close_above", self.close_above, format_args!("greater than open_below, {}", self.open_below))?;
        require(self.every >= 1, place, "every", self.every, "at least 1 control step")?;
        require_shut(self.shut, place)
    }
}

/// The state machine.
#[derive(Clone, Debug)]
pub(super) struct Novelty {
    settings: NoveltySettings,
    subspace: Arc<Subspace>,
    shut: bool,
    /// At the last measurement; none when the weights were no numbers.
    distance: Option<f32>,
    /// Control steps until the next measurement.
    wait: u32,
}

impl Novelty {
    pub(super) fn new(settings: NoveltySettings, subspace: Arc<Subspace>) -> Self {
        Self { settings, subspace, shut: false, distance: None, wait: 0 }
    }

    /// One control step that starts with `weights`. `room` is that of [`Subspace::distance`]. Returns why the gate is shut, if it is.
    pub(super) fn decide(&mut self, weights: &[f32], room: &mut Vec<f64>) -> Option<GateReason> {
        if let Some(wait) = self.wait.checked_sub(1) {
            self.wait = wait;
        } else {
            self.measure(weights, room);
            self.wait = self.settings.every.saturating_sub(1);
        }
        self.shut.then_some(GateReason::Novelty { distance: self.distance })
    }

    fn measure(&mut self, weights: &[f32], room: &mut Vec<f64>) {
        self.distance = self.subspace.distance(weights, room);
        self.shut = match self.distance {
            None => true,
            Some(distance) if distance > self.settings.close_above => true,
            Some(distance) if distance < self.settings.open_below => false,
            Some(_) => self.shut,
        };
    }

    /// g when shut.
    pub(super) fn shut_value(&self) -> f32 {
        self.settings.shut
    }

    /// Back to the start of an episode: open, to be measured at once.
    pub(super) fn reset(&mut self) {
        (self.shut, self.distance, self.wait) = (false, None, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    const SETTINGS: NoveltySettings = NoveltySettings { close_above: 2.0, open_below: 1.5, every: 1, shut: 0.0 };

    /// Training moved only the first of three weights, so the second is the distance.
    fn gate(every: u32) -> Novelty {
        let subspace = Subspace::new(vec![0.0; 3], vec![1.0, 0.0, 0.0], 1.0).unwrap();
        Novelty::new(NoveltySettings { every, ..SETTINGS }, Arc::new(subspace))
    }

    fn shut(gate: &mut Novelty, distance: f32) -> bool {
        gate.decide(&[100.0, distance, 0.0], &mut Vec::new()).is_some()
    }

    #[test]
    fn it_shuts_above_one_distance_and_opens_below_the_other() {
        let mut gate = gate(1);
        assert_eq!([0.0, 1.9, 2.1, 1.6, 1.4].map(|distance| shut(&mut gate, distance)), [false, false, true, true, false]);
    }

    #[test]
    fn it_says_how_far_the_weights_are() {
        let reason = gate(1).decide(&[7.0, 3.0, 4.0], &mut Vec::new());
        assert_eq!(reason, Some(GateReason::Novelty { distance: Some(5.0) }));
    }

    #[test]
    fn it_measures_at_the_first_step_and_then_every_so_many() {
        let mut gate = gate(3);
        let distances = [9.0, 0.0, 0.0, 0.0, 9.0, 9.0, 9.0];
        assert_eq!(distances.map(|distance| shut(&mut gate, distance)), [true, true, true, false, false, false, true]);
        gate.reset();
        assert!(!shut(&mut gate, 0.0));
    }

    #[test]
    fn weights_that_are_no_numbers_or_of_another_network_shut_it() {
        for weights in [&[0.0, f32::NAN, 0.0][..], &[f32::INFINITY, 0.0, 0.0], &[0.0, 0.0], &[]] {
            let mut gate = gate(1);
            let mut room = Vec::new();
            assert_eq!(gate.decide(weights, &mut room), Some(GateReason::Novelty { distance: None }));
            assert_eq!(gate.decide(&[0.0; 3], &mut room), None);
        }
    }

    #[test]
    fn bad_numbers_are_refused_by_name() {
        let cases = [
            (NoveltySettings { open_below: 0.0, ..SETTINGS }, "open_below"),
            (NoveltySettings { close_above: 1.5, ..SETTINGS }, "close_above"),
            (NoveltySettings { close_above: f32::INFINITY, ..SETTINGS }, "close_above"),
            (NoveltySettings { every: 0, ..SETTINGS }, "every"),
            (NoveltySettings { shut: f32::NAN, ..SETTINGS }, "shut"),
        ];
        for (settings, key) in cases {
            let error = settings.check("novelty").unwrap_err().to_string();
            assert!(error.starts_with(&format!("novelty.{key} is ")), "{error}");
        }
        assert_eq!(SETTINGS.check("novelty"), Ok(()));
    }

    proptest! {
        /// Between both thresholds it stays as it is.
        #[test]
        fn it_never_flaps_inside_the_band(was_shut in any::<bool>(), distances in vec(1.5f32..=2.0, 1..100)) {
            let mut gate = gate(1);
            shut(&mut gate, if was_shut { 2.1 } else { 1.4 });
            for distance in distances {
                prop_assert_eq!(shut(&mut gate, distance), was_shut);
            }
        }
    }
}
