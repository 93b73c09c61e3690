//! The gate as a function of the control step.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::error::require;
use super::{GateDescriptionError, GateError, GateReason};

/// Gates from one control step on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleEntry {
    /// First control step of the episode, from 0, that it is valid for.
    pub from: u64,
    /// g.
    pub gate: LayerGates,
}

/// One gate for all layers, or one for each, input side first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "a gate must be a number from 0 to 1, or a list with one for each layer")]
pub enum LayerGates {
    /// The same for all layers.
    All(f32),
    /// One for each layer.
    PerLayer(Vec<f32>),
}

impl LayerGates {
    /// Checks that all gates are in [0, 1] and that they fit a network of `layers` layers.
    ///
    /// # Errors
    /// [`GateError`] says what does not fit.
    pub fn check(&self, layers: usize) -> Result<(), GateError> {
        let gates = match self {
            Self::All(gate) => std::slice::from_ref(gate),
            Self::PerLayer(gates) if gates.len() == layers => gates,
            Self::PerLayer(gates) => return Err(GateError::Layers { given: gates.len(), expected: layers }),
        };
        gates.iter().try_for_each(|gate| GateError::unless_in_range(*gate).map(|_| ()))
    }

    /// g of one layer; a layer that is not named stays frozen.
    pub fn value(&self, layer: usize) -> f32 {
        match self {
            Self::All(gate) => *gate,
            Self::PerLayer(gates) => gates.get(layer).copied().unwrap_or(0.0),
        }
    }
}

/// Checks entries: at least one, steps strictly increasing, gates that fit `layers`.
pub(super) fn check(entries: &[ScheduleEntry], place: &str, layers: usize) -> Result<(), GateDescriptionError> {
    require(!entries.is_empty(), place, "entries", "empty", "a list of at least one {from: <step>, gate: <g>}")?;
    let mut before = None;
    for (index, entry) in entries.iter().enumerate() {
        let place = format!("{place}[{index}]");
        let later = before.is_none_or(|before| entry.from > before);
        require(later, &place, "from", entry.from, "greater than the entry's before: control steps increase")?;
        entry.gate.check(layers).map_err(|error| GateDescriptionError::Gate { key: format!("{place}.gate"), error })?;
        before = Some(entry.from);
    }
    Ok(())
}

/// The schedule. It has no state: the control step alone decides.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    entries: Arc<[ScheduleEntry]>,
}

impl Schedule {
    /// From entries that passed [`check`].
    pub(super) fn new(entries: &[ScheduleEntry]) -> Self {
        Self { entries: entries.into() }
    }

    /// The gates of control step `step` and where they come from; none before the first entry.
    pub(super) fn decide(&self, step: u64) -> Option<(&LayerGates, GateReason)> {
        let due = self.entries.partition_point(|entry| entry.from <= step);
        let entry = self.entries.get(due.checked_sub(1)?)?;
        Some((&entry.gate, GateReason::Schedule { from: entry.from }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(from: u64, gate: f32) -> ScheduleEntry {
        ScheduleEntry { from, gate: LayerGates::All(gate) }
    }

    #[test]
    fn an_entry_is_valid_from_its_step_to_the_next_entry() {
        let schedule = Schedule::new(&[entry(10, 0.5), entry(20, 0.0)]);
        let gate = |step| schedule.decide(step).map(|(gate, _)| gate.value(0));
        assert_eq!([0, 9, 10, 19, 20, 1000].map(gate), [None, None, Some(0.5), Some(0.5), Some(0.0), Some(0.0)]);
        assert_eq!(schedule.decide(15).unwrap().1, GateReason::Schedule { from: 10 });
    }

    #[test]
    fn bad_entries_are_refused_by_name() {
        let error = |entries: &[ScheduleEntry]| check(entries, "gate[0].schedule", 3).unwrap_err().to_string();
        assert!(error(&[]).starts_with("gate[0].schedule.entries is empty"), "{}", error(&[]));
        let equal = error(&[entry(5, 1.0), entry(5, 0.0)]);
        assert!(equal.starts_with("gate[0].schedule[1].from is 5"), "{equal}");
        let out_of_range = error(&[entry(0, f32::NAN)]);
        assert!(out_of_range.starts_with("gate[0].schedule[0].gate: a gate of NaN"), "{out_of_range}");
        let layers = error(&[ScheduleEntry { from: 0, gate: LayerGates::PerLayer(vec![1.0; 2]) }]);
        assert!(layers.contains("2 layers") && layers.contains("has 3"), "{layers}");
    }
}
