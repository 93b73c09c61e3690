//! The course of one episode, step by step, as a file of tensors.
//!
//! A safetensors file; every tensor is f32 with one row per control step: `joint_position` \[steps, joints\] (what the policy saw),
//! `foot_contact` \[steps, feet\] (0 or 1), `targets` \[steps, joints\], `gate` \[steps, 1\], `base` \[steps, 7\] (position, then orientation x y z w, after
//! the step) and, where asked for, `weights` \[steps, synapses\] (after the step).

use std::path::Path;

use safetensors::tensor::{Dtype, TensorView, serialize};

use super::StepView;
use crate::durable::{WriteError, write_durably};
use crate::tensors::f32_bytes;

/// Names of the tensors, in the order of [`Trace`]'s columns.
const TENSORS: [&str; 6] = ["joint_position", "foot_contact", "targets", "gate", "base", "weights"];

/// What is kept of each step.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    steps: usize,
    with_weights: bool,
    /// Little-endian f32, one vector per tensor.
    columns: [Vec<u8>; TENSORS.len()],
}

impl Trace {
    /// An empty trace; `with_weights` keeps all weights of every step, which is most of its size.
    pub fn new(with_weights: bool) -> Self {
        Self { with_weights, ..Self::default() }
    }

    /// Adds one step, at which the gate was `gate`.
    pub fn push(&mut self, view: &StepView<'_>, gate: f32) {
        let base = view.world.base();
        let q = base.orientation;
        let contacts: Vec<f32> = view.state.foot_contact.iter().map(|&touches| f32::from(u8::from(touches))).collect();
        let base: Vec<f32> = base.position.into_iter().chain([q.x, q.y, q.z, q.w]).collect();
        let plastic = view.policy.network().plastic().filter(|_| self.with_weights);
        let weights = plastic.map_or_else(Vec::new, |network| network.weights());
        let rows = [&view.state.joint_position[..], &contacts, view.policy.targets(), &[gate], &base, &weights];
        for (column, row) in self.columns.iter_mut().zip(rows) {
            column.extend(f32_bytes(row));
        }
        self.steps += 1;
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
        let bytes = serialize(views, None);
        let bytes = bytes.map_err(|error| WriteError { path: path.into(), source: std::io::Error::other(error) })?;
        write_durably(path, &bytes)
    }
}
