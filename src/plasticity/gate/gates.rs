//! The gate in life: the minimum over its sources.

use std::sync::Arc;

use super::foot_contact::FootContact;
use super::novelty::Novelty;
use super::schedule::Schedule;
use super::settled::Settled;
use super::{
    CommandedGate, Gate, GateBlock, GateDescription, GateDescriptionError, GateDimensions, GateError, GateReason, Subspace,
};

/// What a decision may depend on: what is known between two control steps.
#[derive(Clone, Copy, Debug)]
pub struct GateInput<'a> {
    /// The control step to come, counted from 0 at the start of the episode.
    pub step: u64,
    /// Whether the network makes an update in the step after the one whose activities it goes by: none in the first.
    pub is_delayed: bool,
    /// Whether each foot touches the ground, in the robot's order; missing feet count as in the air.
    pub contacts: &'a [bool],
    /// Mean |N(V) - W| over all synapses that a fully open gate would have made of the weights in the step before, also when
    /// the gate was shut; 0 before the first. Used when [`Gates::needs_update_size`].
    pub update_size: f32,
    /// All weights \[synapses\] at the start of the step to come; may be empty unless [`Gates::needs_weights`].
    pub weights: &'a [f32],
}

/// The plasticity gate of each layer: commanded from outside, and lowered by the sources of a [`GateDescription`].
///
/// A source that cannot judge, because its input is not finite, counts as shut. Gates are always numbers from 0 to 1.
#[derive(Clone, Debug)]
pub struct Gates {
    command: CommandedGate,
    sources: Vec<Source>,
    /// Decided gates \[layers\].
    gates: Vec<f32>,
    reason: GateReason,
    /// Room for sources to work in, one number per synapse where one needs it; no part of the state.
    room: Vec<f64>,
}

/// A source beside the command.
#[derive(Clone, Debug)]
enum Source {
    Schedule(Schedule),
    FootContact(FootContact),
    Settled(Settled),
    Novelty(Novelty),
}

impl Gates {
    /// The gate of `description` for network and robot of `dimensions`, at the start of an episode and commanded fully open.
    /// `subspace` is what [`GateBlock::Novelty`] measures from.
    ///
    /// # Errors
    /// [`GateDescriptionError`] when a number of the description is not usable or does not fit `dimensions`, and when
    /// [`GateBlock::Novelty`] finds no subspace or one of another number of synapses.
    pub fn new(
        description: &GateDescription,
        dimensions: &GateDimensions,
        subspace: Option<&Arc<Subspace>>,
    ) -> Result<Self, GateDescriptionError> {
        description.check(dimensions)?;
        let source = |(index, block): (usize, &GateBlock)| {
            Ok(match block {
                GateBlock::Schedule(entries) => Source::Schedule(Schedule::new(entries)),
                GateBlock::FootContact(settings) => Source::FootContact(FootContact::new(*settings)),
                GateBlock::Settled(settings) => Source::Settled(Settled::new(*settings)),
                GateBlock::Novelty(settings) => {
                    let subspace = subspace.ok_or(GateDescriptionError::NoSubspace { index })?;
                    let (given, expected) = (subspace.synapses(), dimensions.synapses);
                    if given != expected {
                        return Err(GateDescriptionError::SubspaceSize { given, expected });
                    }
                    Source::Novelty(Novelty::new(*settings, Arc::clone(subspace)))
                }
            })
        };
        let needs_room = description.blocks().iter().any(|block| matches!(block, GateBlock::Novelty(_)));
        Ok(Self {
            command: Gate::OPEN.into(),
            sources: description.blocks().iter().enumerate().map(source).collect::<Result<_, _>>()?,
            gates: vec![1.0; dimensions.layers],
            reason: GateReason::Open,
            room: vec![0.0; if needs_room { dimensions.synapses } else { 0 }],
        })
    }

    /// Sets the gate from outside, from the next decision on.
    ///
    /// # Errors
    /// [`GateError::Layers`] when `command` names another number of layers; the command before then stays.
    pub fn set_command(&mut self, command: CommandedGate) -> Result<(), GateError> {
        command.check(self.gates.len())?;
        self.command = command;
        Ok(())
    }

    /// The gate as set from outside.
    pub fn command(&self) -> &CommandedGate {
        &self.command
    }

    /// Decides the gates of the step to come: for each layer the minimum over all sources. Returns them \[layers\].
    ///
    /// To be called once per control step. Allocates nothing.
    pub fn decide(&mut self, input: &GateInput<'_>) -> &[f32] {
        self.apply_command();
        let mut lowest = minimum(&self.gates);
        for source in &mut self.sources {
            let Some(reason) = source.lower(input, &mut self.gates, &mut self.room) else { continue };
            // Only a lower gate changes the reason, so of equals the first one counts.
            let gate = minimum(&self.gates);
            if gate < lowest {
                (lowest, self.reason) = (gate, reason);
            }
        }
        &self.gates
    }

    /// The gates as last decided \[layers\].
    pub fn gates(&self) -> &[f32] {
        &self.gates
    }

    /// What determines the lowest of the present gates. Of several equal sources it is the command, else the first in the list.
    pub fn reason(&self) -> GateReason {
        self.reason
    }

    /// Whether [`GateInput::weights`] counts.
    pub fn needs_weights(&self) -> bool {
        self.sources.iter().any(|source| matches!(source, Source::Novelty(_)))
    }

    /// Whether [`GateInput::update_size`] counts.
    pub fn needs_update_size(&self) -> bool {
        self.sources.iter().any(|source| matches!(source, Source::Settled(_)))
    }

    /// Starts an episode: all sources at their beginning; the command stays.
    pub fn reset(&mut self) {
        for source in &mut self.sources {
            match source {
                Source::Schedule(_) => (),
                Source::FootContact(source) => source.reset(),
                Source::Settled(source) => source.reset(),
                Source::Novelty(source) => source.reset(),
            }
        }
        self.apply_command();
    }

    /// Becomes `other`, command included: with the same inputs, both then decide the same.
    ///
    /// Allocates nothing when both come from the same description: how a step saves and restores a state.
    pub fn copy_state_from(&mut self, other: &Self) {
        if self.sources.len() != other.sources.len() {
            self.sources.clone_from(&other.sources);
        }
        for (source, other) in self.sources.iter_mut().zip(&other.sources) {
            source.copy_from(other);
        }
        self.gates.clone_from(&other.gates);
        (self.command, self.reason) = (other.command, other.reason);
    }

    /// A copy to keep: without the room that deciding needs, which the first decision of the copy would allocate.
    pub(crate) fn to_kept(&self) -> Self {
        let Self { command, sources, gates, reason, room: _ } = self;
        Self { command: *command, sources: sources.clone(), gates: gates.clone(), reason: *reason, room: Vec::new() }
    }

    /// Memory on the heap that no other gates share \[bytes\].
    pub(crate) fn heap_size(&self) -> usize {
        let of_source = |source: &Source| match source {
            Source::Settled(source) => source.heap_size(),
            // Schedules and subspaces are shared.
            Source::Schedule(_) | Source::FootContact(_) | Source::Novelty(_) => 0,
        };
        let of_sources: usize = self.sources.iter().map(of_source).sum();
        size_of_val(&self.sources[..]) + of_sources + size_of_val(&self.gates[..]) + size_of_val(&self.room[..])
    }

    /// The gates as if the command were the only source.
    fn apply_command(&mut self) {
        for (layer, gate) in self.gates.iter_mut().enumerate() {
            *gate = self.command.value(layer);
        }
        let is_open = minimum(&self.gates) >= 1.0;
        self.reason = if is_open { GateReason::Open } else { GateReason::Command(self.command.source()) };
    }
}

impl Source {
    /// Lowers `gates` to what this source allows in the step to come, working in `room`. Returns why it does not leave them fully open.
    fn lower(&mut self, input: &GateInput<'_>, gates: &mut [f32], room: &mut Vec<f64>) -> Option<GateReason> {
        let (shut, reason) = match self {
            Self::Schedule(source) => {
                let (planned, reason) = source.decide(input.step)?;
                for (layer, gate) in gates.iter_mut().enumerate() {
                    *gate = gate.min(planned.value(layer));
                }
                return Some(reason);
            }
            Self::FootContact(source) => (source.shut_value(), source.decide(input.contacts)?),
            Self::Settled(source) => {
                let chances = input.step.saturating_sub(u64::from(input.is_delayed));
                (source.shut_value(), source.decide(chances, input.update_size)?)
            }
            Self::Novelty(source) => (source.shut_value(), source.decide(input.weights, room)?),
        };
        for gate in gates {
            *gate = gate.min(shut);
        }
        Some(reason)
    }

    /// Becomes `other`, without allocating when both come from the same description.
    fn copy_from(&mut self, other: &Self) {
        match (self, other) {
            (Self::Settled(source), Self::Settled(other)) => source.copy_from(other),
            // The others have no part that a clone would allocate.
            (source, other) => *source = other.clone(),
        }
    }
}

/// The lowest gate; 1 for none.
fn minimum(gates: &[f32]) -> f32 {
    gates.iter().copied().fold(1.0, f32::min)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plasticity::{FootContactSettings, GateSource, LayerGates, NoveltySettings, ScheduleEntry, SettledSettings};

    const DIMENSIONS: GateDimensions = GateDimensions { layers: 3, synapses: 2, feet: 2 };
    const INPUT: GateInput<'static> =
        GateInput { step: 0, is_delayed: false, contacts: &[true; 2], update_size: 0.0, weights: &[0.0; 2] };

    fn gates(blocks: Vec<GateBlock>) -> Gates {
        let subspace = Arc::new(Subspace::new(vec![0.0; 2], vec![1.0, 0.0], 1.0).unwrap());
        Gates::new(&GateDescription::new(blocks), &DIMENSIONS, Some(&subspace)).unwrap()
    }

    fn command(values: [f32; 3]) -> CommandedGate {
        CommandedGate::per_layer(&values, GateSource::Service).unwrap()
    }

    fn schedule(gates: [f32; 3]) -> GateBlock {
        GateBlock::Schedule(vec![ScheduleEntry { from: 0, gate: LayerGates::PerLayer(gates.to_vec()) }])
    }

    fn foot_contact(shut: f32) -> GateBlock {
        GateBlock::FootContact(FootContactSettings { feet: 1, hold: 1, hold_open: 1, shut })
    }

    #[test]
    fn without_sources_or_commands_it_is_open() {
        let mut gates = gates(vec![]);
        assert_eq!(gates.decide(&INPUT), [1.0; 3]);
        assert_eq!(gates.reason(), GateReason::Open);
        assert!(!gates.needs_weights() && !gates.needs_update_size());
    }

    #[test]
    fn each_layer_gets_the_lowest_gate_and_the_reason_is_that_of_the_lowest_layer() {
        let mut gates = gates(vec![schedule([0.2, 1.0, 0.9]), foot_contact(0.5)]);
        gates.set_command(command([1.0, 0.4, 1.0])).unwrap();
        assert_eq!(gates.decide(&GateInput { contacts: &[], ..INPUT }), [0.2, 0.4, 0.5]);
        assert_eq!(gates.reason(), GateReason::Schedule { from: 0 });
        gates.set_command(command([1.0, 0.1, 1.0])).unwrap();
        assert_eq!(gates.decide(&INPUT), [0.2, 0.1, 0.9]);
        assert_eq!(gates.reason(), GateReason::Command(GateSource::Service));
    }

    #[test]
    fn of_equal_sources_the_command_counts_and_then_the_first_in_the_list() {
        let air = GateInput { contacts: &[], ..INPUT };
        let mut gates = gates(vec![foot_contact(0.0), schedule([1.0, 0.0, 1.0])]);
        gates.decide(&air);
        assert_eq!(gates.reason(), GateReason::FootContact { touching: 0, needed: 1 });
        gates.set_command(command([1.0, 1.0, 0.0])).unwrap();
        gates.decide(&air);
        assert_eq!(gates.reason(), GateReason::Command(GateSource::Service));
    }

    #[test]
    fn a_command_for_another_network_changes_nothing() {
        let mut gates = gates(vec![]);
        gates.set_command(Gate::new(0.5, GateSource::Topic).unwrap().into()).unwrap();
        let two = CommandedGate::per_layer(&[0.0; 2], GateSource::Service).unwrap();
        assert_eq!(gates.set_command(two), Err(GateError::Layers { given: 2, expected: 3 }));
        assert_eq!(gates.decide(&INPUT), [0.5; 3]);
    }

    #[test]
    fn a_new_episode_forgets_everything_but_the_command() {
        let mut gates = gates(vec![foot_contact(0.0)]);
        gates.set_command(command([0.5; 3])).unwrap();
        gates.decide(&GateInput { contacts: &[], ..INPUT });
        assert_eq!(gates.gates(), [0.0; 3]);
        gates.reset();
        assert_eq!(gates.gates(), [0.5; 3]);
        assert_eq!(gates.reason(), GateReason::Command(GateSource::Service));
    }

    #[test]
    fn it_says_what_it_needs() {
        let settled = SettledSettings { early: 1, window: 1, close_below: 0.1, open_above: 0.2, shut: 0.0 };
        let settled = gates(vec![GateBlock::Settled(settled)]);
        assert!(settled.needs_update_size() && !settled.needs_weights());
        let novelty = NoveltySettings { close_above: 2.0, open_below: 1.0, every: 1, shut: 0.0 };
        let novelty = gates(vec![GateBlock::Novelty(novelty)]);
        assert!(!novelty.needs_update_size() && novelty.needs_weights());
    }

    #[test]
    fn the_first_step_of_a_delayed_network_has_no_say_in_whether_it_is_settled() {
        let settings = SettledSettings { early: 2, window: 1, close_below: 0.5, open_above: 2.0, shut: 0.0 };
        let first_shut = |is_delayed: bool, sizes: &[f32]| {
            let mut gates = gates(vec![GateBlock::Settled(settings)]);
            let is_shut = |(&update_size, step): (&f32, u64)| {
                gates.decide(&GateInput { step, is_delayed, update_size, ..INPUT });
                gates.gates() == [0.0; 3]
            };
            sizes.iter().zip(0..).map(is_shut).position(|is_shut| is_shut)
        };
        // Before the first step, after it, and so on; updates of size 1, 0.5, 0.3.
        assert_eq!(first_shut(false, &[0.0, 1.0, 0.5, 0.3]), Some(3));
        assert_eq!(first_shut(true, &[0.0, 0.0, 1.0, 0.5, 0.3]), Some(4));
    }

    #[test]
    fn novelty_needs_the_subspace_of_this_network() {
        let novelty = NoveltySettings { close_above: 2.0, open_below: 1.0, every: 1, shut: 0.0 };
        let description = GateDescription::new(vec![foot_contact(0.0), GateBlock::Novelty(novelty)]);
        let error = Gates::new(&description, &DIMENSIONS, None).unwrap_err();
        assert_eq!(error, GateDescriptionError::NoSubspace { index: 1 });
        let other = Arc::new(Subspace::new(vec![0.0; 3], vec![1.0, 0.0, 0.0], 1.0).unwrap());
        let error = Gates::new(&description, &DIMENSIONS, Some(&other)).unwrap_err();
        assert_eq!(error, GateDescriptionError::SubspaceSize { given: 3, expected: 2 });
    }
}
