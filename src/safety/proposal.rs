//! What a policy asks of its robot in one control step.

use super::{Fault, FaultKind, Subject};

/// What the policy makes of a control step.
#[derive(Clone, Copy, Debug)]
pub enum Proposal<'a> {
    /// It was not asked.
    None,
    /// Joint targets \[rad\], and the largest |w| of its network.
    Targets(&'a [f32], f32),
    /// The sensor values allow no step.
    Refused,
}

impl<'a> Proposal<'a> {
    /// What is wrong with it, for a robot of so many joints whose weights may have the size `weight_limit`.
    pub(super) fn fault(&self, joints: usize, weight_limit: f32) -> Option<Fault> {
        match *self {
            Self::None => None,
            Self::Refused => Some(Fault::whole(FaultKind::NotFinite, f32::NAN, f32::MAX)),
            Self::Targets(targets, largest_weight) => {
                if targets.len() != joints {
                    return Some(Fault::whole(FaultKind::NotFinite, targets.len() as f32, joints as f32));
                }
                if let Some(index) = targets.iter().position(|target| !target.is_finite()) {
                    return Some(Fault::about(FaultKind::NotFinite, Subject::Joint(index), targets[index], f32::MAX));
                }
                // Written so that NaN is too large.
                let is_small = largest_weight <= weight_limit;
                (!is_small).then(|| Fault::whole(FaultKind::Weights, largest_weight, weight_limit))
            }
        }
    }

    /// Targets that `joints` joints can be sent to.
    pub(super) fn targets(&self, joints: usize) -> Option<&'a [f32]> {
        let Self::Targets(targets, _) = *self else { return None };
        (targets.len() == joints && targets.iter().all(|target| target.is_finite())).then_some(targets)
    }
}
