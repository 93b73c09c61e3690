//! The course of one episode, step by step, as a file of tensors.
//!
//! A safetensors file; every tensor is f32 with one row per control step: `joint_position` \[steps, joints\] (what the policy saw),
//! `foot_contact` \[steps, feet\] (0 or 1), `targets` \[steps, joints\], `gate` \[steps, 1\] (the lowest of all layers), `base` \[steps, 7\] (position, then orientation x y z w, after
//! the step) and, where asked for, `weights` \[steps, synapses\] (after the step). The metadata hold one entry, `hebbian_locomotion`:
//! [`TraceMetadata`] as JSON.

use std::collections::HashMap;
use std::path::Path;

use safetensors::tensor::{Dtype, TensorView, serialize};
use serde::{Deserialize, Serialize};

use super::StepView;
use crate::durable::{WriteError, write_durably};
use crate::tensors::f32_bytes;

/// Names of the tensors, in the order of [`Trace`]'s columns.
const TENSORS: [&str; 6] = ["joint_position", "foot_contact", "targets", "gate", "base", "weights"];

/// Key of the metadata entry.
const KEY: &str = "hebbian_locomotion";

/// What a trace says of its episode.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TraceMetadata {
    /// Length of a control step \[s\].
    pub control_step: f64,
    /// Neurons per layer of the network, input first.
    pub neurons: Vec<usize>,
    /// What the rule did, where it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<TracedRule>,
}

/// What a rule did in an episode, layer by layer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TracedRule {
    /// Mean size of the terms A, B, C and D of an update.
    pub terms: Vec<[f64; 4]>,
    /// Share of the old weights that an update leaves; absent where it is not one number.
    pub retention: Option<Vec<f64>>,
}

impl TraceMetadata {
    /// From the metadata of a safetensors file; None when it is no trace.
    pub fn read(entries: Option<&HashMap<String, String>>) -> Option<Self> {
        serde_json::from_str(entries?.get(KEY)?).ok()
    }
}

/// What is kept of each step.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    steps: usize,
    with_weights: bool,
    metadata: TraceMetadata,
    /// Little-endian f32, one vector per tensor.
    columns: [Vec<u8>; TENSORS.len()],
}

impl Trace {
    /// An empty trace; `with_weights` keeps all weights of every step, which is most of its size.
    pub fn new(with_weights: bool) -> Self {
        Self { with_weights, ..Self::default() }
    }

    /// Adds one step.
    pub fn push(&mut self, view: &StepView<'_>) {
        let base = view.world.base();
        let q = base.orientation;
        let contacts: Vec<f32> = view.state.foot_contact.iter().map(|&touches| f32::from(u8::from(touches))).collect();
        let base: Vec<f32> = base.position.into_iter().chain([q.x, q.y, q.z, q.w]).collect();
        let plastic = view.policy.network().plastic();
        let gate = view.policy.gates().gates().iter().copied().fold(1.0, f32::min);
        if self.steps == 0 {
            let neurons = plastic.map_or_else(Vec::new, |network| network.shape().neurons().to_vec());
            // The rate and not its rounded inverse: 0.02 s, not 0.0199999.
            let control_step = 1.0 / f64::from(view.world.settings().control_rate);
            self.metadata = TraceMetadata { control_step, neurons, rule: None };
        }
        let plastic = plastic.filter(|_| self.with_weights);
        let weights = plastic.map_or_else(Vec::new, |network| network.weights());
        let rows = [&view.state.joint_position[..], &contacts, view.policy.targets(), &[gate], &base, &weights];
        for (column, row) in self.columns.iter_mut().zip(rows) {
            column.extend(f32_bytes(row));
        }
        self.steps += 1;
    }

    /// Adds what the rule did in all steps.
    pub fn note_rule(&mut self, rule: TracedRule) {
        self.metadata.rule = Some(rule);
    }

    /// Writes the trace.
    ///
    /// # Errors
    /// [`WriteError`] with the system's reason.
    pub fn save(&self, path: &Path) -> Result<(), WriteError> {
        let kept = TENSORS.iter().zip(&self.columns).filter(|(_, column)| !column.is_empty());
        let views = kept.filter_map(|(name, column)| {
            let width = column.len() / size_of::<f32>() / self.steps.max(1);
            Some((*name, TensorView::new(Dtype::F32, vec![self.steps, width], column).ok()?))
        });
        let failed = |error: Box<dyn std::error::Error + Send + Sync>| WriteError {
            path: path.into(),
            source: std::io::Error::other(error),
        };
        let metadata = serde_json::to_string(&self.metadata).map_err(|error| failed(error.into()))?;
        let bytes = serialize(views, Some(HashMap::from([(KEY.to_owned(), metadata)]))).map_err(|error| failed(error.into()))?;
        write_durably(path, &bytes)
    }
}
