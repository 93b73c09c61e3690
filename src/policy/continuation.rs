//! Going on from a recorded step, for policies whose state is no more than what telemetry shows.

use super::{NetworkDescription, Policy, PolicyMetadata};
use crate::network::NetworkError;
use crate::plasticity::{GateBlock, Normalisation};

/// What telemetry shows of a policy after a control step.
#[derive(Clone, Copy, Debug)]
pub struct SeenState<'a> {
    /// Seed of the episode.
    pub seed: u64,
    /// Steps since its start, this one included.
    pub steps: u64,
    /// As [`Policy::interventions`].
    pub interventions: u32,
    /// As [`Policy::action`] \[joints\].
    pub action: &'a [f32],
    /// Plastic weights, layer after layer; empty for another network.
    pub weights: &'a [f32],
}

impl PolicyMetadata {
    /// What the policy remembers from step to step that telemetry does not show; None when [`Policy::continue_from`] is exact.
    pub fn hidden_state(&self) -> Option<&'static str> {
        let is_remembered = |block: &GateBlock| !matches!(block, GateBlock::Schedule(_));
        if self.gate.blocks().iter().any(is_remembered) {
            return Some("what a source of the gate remembers");
        }
        match &self.network {
            NetworkDescription::Plastic(plastic) if plastic.update.every > 1 || plastic.update.average > 1 => {
                Some("activities of earlier steps")
            }
            NetworkDescription::Plastic(plastic) if plastic.convention.is_delayed() => Some("an update that is still to come"),
            NetworkDescription::Plastic(plastic) if plastic.normalisation == Normalisation::Mass => {
                Some("the mass of the weights")
            }
            NetworkDescription::Plastic(_) | NetworkDescription::FeedForward { .. } => None,
            NetworkDescription::Lstm { .. } => Some("the state of its LSTM cells"),
            NetworkDescription::History { .. } => Some("earlier observations"),
        }
    }
}

impl Policy {
    /// Becomes what it was after the step that `seen` shows. Exact unless the policy has a [`PolicyMetadata::hidden_state`], which is
    /// then as at the start of the episode. It has lived: where episodes keep the weights of the last one
    /// ([`Kept`](crate::plasticity::InitialWeights::Kept)), the next one starts from those that `seen` leads to.
    ///
    /// # Errors
    /// [`NetworkError`] when numbers of actions or weights do not fit, or one is not finite; nothing has changed then.
    pub fn continue_from(&mut self, seen: &SeenState<'_>) -> Result<(), NetworkError> {
        crate::network::check("action", seen.action, self.action().len())?;
        let synapses = self.network().plastic().map(|network| network.shape().synapses());
        if let Some(synapses) = synapses {
            crate::network::check("weights", seen.weights, synapses)?;
        }
        // Whose step was seen had begun its episode.
        self.start(seen.seed);
        if synapses.is_some() {
            self.set_weights(seen.weights)?;
        }
        self.go_on_at(seen);
        Ok(())
    }
}
