//! The gate as configuration.

use serde::{Deserialize, Serialize};

use super::{FootContactSettings, GateDescriptionError, NoveltySettings, ScheduleEntry, SettledSettings, schedule};

/// One source of the gate. A description is a list of these.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum GateBlock {
    /// By control step: entries in force from a step on, 1 before the first.
    Schedule(Vec<ScheduleEntry>),
    /// Shut while too few feet touch the ground.
    FootContact(FootContactSettings),
    /// Shut once the updates have become small.
    Settled(SettledSettings),
    /// Shut when the weights leave the region that training knew.
    Novelty(NoveltySettings),
}

/// The sources of a gate beside commands, which it always obeys; none by default.
///
/// ```yaml
/// - schedule: [{from: 0, gate: 1.0}, {from: 150, gate: [0.0, 0.0, 1.0]}]     # one gate, or one for each layer
/// - foot_contact: {feet: 1, hold: 5, hold_open: 2}
/// - settled: {early: 50, window: 25, close_below: 0.4, open_above: 0.6}
/// - novelty: {close_above: 2.0, open_below: 1.5, every: 10, shut: 0.1}
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GateDescription {
    blocks: Vec<GateBlock>,
}

/// The numbers of network and robot that a gate must fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GateDimensions {
    /// Layers of weights.
    pub layers: usize,
    /// Weights in all layers.
    pub synapses: usize,
    /// Feet of the robot.
    pub feet: usize,
}

impl GateDescription {
    /// A gate with `blocks` as sources.
    pub fn new(blocks: Vec<GateBlock>) -> Self {
        Self { blocks }
    }

    /// The sources, in order.
    pub fn blocks(&self) -> &[GateBlock] {
        &self.blocks
    }

    /// Whether [`GateBlock::Novelty`] is among the sources.
    pub fn needs_subspace(&self) -> bool {
        self.blocks.iter().any(|block| matches!(block, GateBlock::Novelty(_)))
    }

    /// Whether a source follows the feet.
    pub fn needs_contacts(&self) -> bool {
        self.blocks.iter().any(|block| matches!(block, GateBlock::FootContact(_)))
    }

    /// Checks every number, and that it fits `dimensions`.
    ///
    /// # Errors
    /// [`GateDescriptionError`] names the key, as in `gate[2].settled.window`.
    pub fn check(&self, dimensions: &GateDimensions) -> Result<(), GateDescriptionError> {
        self.blocks.iter().enumerate().try_for_each(|(index, block)| {
            let place = |name: &str| format!("gate[{index}].{name}");
            match block {
                GateBlock::Schedule(entries) => schedule::check(entries, &place("schedule"), dimensions.layers),
                GateBlock::FootContact(settings) => settings.check(&place("foot_contact"), dimensions.feet),
                GateBlock::Settled(settings) => settings.check(&place("settled")),
                GateBlock::Novelty(settings) => settings.check(&place("novelty")),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::read_yaml;
    use crate::plasticity::LayerGates;

    #[derive(Debug, Deserialize)]
    struct File {
        #[serde(default)]
        gate: GateDescription,
    }

    fn read(text: &str) -> Result<GateDescription, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        read_yaml::<File>(file.path()).map(|file| file.gate).map_err(|error| error.to_string())
    }

    const ALL: &str = "
gate:
  - schedule: [{from: 0, gate: 1}, {from: 150, gate: [0.0, 0.5, 1]}]
  - foot_contact: {feet: 1, hold: 5, hold_open: 2}
  - settled: {early: 50, window: 25, close_below: 0.4, open_above: 0.6, shut: 0.25}
  - novelty: {close_above: 2.0, open_below: 1.5}
";

    fn expected() -> GateDescription {
        let gates = LayerGates::PerLayer(vec![0.0, 0.5, 1.0]);
        GateDescription::new(vec![
            GateBlock::Schedule(vec![
                ScheduleEntry { from: 0, gate: LayerGates::All(1.0) },
                ScheduleEntry { from: 150, gate: gates },
            ]),
            GateBlock::FootContact(FootContactSettings { feet: 1, hold: 5, hold_open: 2, shut: 0.0 }),
            GateBlock::Settled(SettledSettings { early: 50, window: 25, close_below: 0.4, open_above: 0.6, shut: 0.25 }),
            GateBlock::Novelty(NoveltySettings { close_above: 2.0, open_below: 1.5, every: 1, shut: 0.0 }),
        ])
    }

    #[test]
    fn all_sources_are_read_from_yaml() {
        assert_eq!(read(ALL).unwrap(), expected());
        assert_eq!(expected().check(&GateDimensions { layers: 3, synapses: 4352, feet: 6 }), Ok(()));
        assert_eq!(read("{}").unwrap(), GateDescription::default());
    }

    #[test]
    fn a_description_survives_the_way_through_json() {
        let text = serde_json::to_string(&expected()).unwrap();
        assert_eq!(serde_json::from_str::<GateDescription>(&text).unwrap(), expected());
    }

    #[test]
    fn unknown_keys_and_sources_are_refused_with_the_nearest_known_one() {
        let key = read("gate: [{foot_contact: {feet: 1, hold: 5, hold_opn: 2}}]").unwrap_err();
        assert!(key.contains("did you mean `hold_open`?"), "{key}");
        let source = read("gate: [{setled: {}}]").unwrap_err();
        assert!(source.contains("did you mean `settled`?"), "{source}");
        let gate = read("gate: [{schedule: [{from: 0, gate: shut}]}]").unwrap_err();
        assert!(gate.contains("a gate must be a number from 0 to 1"), "{gate}");
    }

    #[test]
    fn an_error_names_the_place_in_the_list() {
        let error = expected().check(&GateDimensions { layers: 3, synapses: 4352, feet: 0 }).unwrap_err().to_string();
        assert!(error.starts_with("gate[1].foot_contact.feet is 1; it must be at least 1 and at most 0"), "{error}");
    }
}
