//! What a replay found: what was compared, what differs, and what could not be replayed.

use serde::Serialize;

use super::Integrity;
use crate::robot::Stamp;

/// What a replay found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReplayReport {
    /// The policy node.
    pub node: String,
    /// Soundness of the bag.
    pub integrity: Integrity,
    /// Recorded steps.
    pub steps: usize,
    /// Steps that were replayed and compared.
    pub replayed: usize,
    /// Steps that the recorder says it lost on the way into the bag. Those at the end of an episode leave no gap.
    pub dropped: u64,
    /// Where steps could not be replayed, and why.
    pub gaps: Vec<Gap>,
    /// Joint targets.
    pub commands: Comparison,
    /// Plasticity gates of the layers.
    pub gates: Comparison,
    /// All weights.
    pub weights: Comparison,
    /// The first difference.
    pub first_difference: Option<Difference>,
    /// Published commands beside the policy's targets.
    pub published: Published,
}

/// Rows of values that were compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Comparison {
    /// Steps compared.
    pub steps: usize,
    /// Steps with a difference.
    pub different: usize,
    /// Largest |recorded - replayed|.
    pub largest: f32,
}

/// Steps that were not replayed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// Number of the first of them.
    pub first_step: u64,
    /// How many were recorded but not replayed.
    pub steps: usize,
    /// Why.
    pub reason: GapReason,
}

/// Why steps do not follow from those before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GapReason {
    /// The recording begins in the middle of an episode.
    BeginsLate,
    /// Steps were lost on the way into the bag: within an episode, or its beginning.
    Lost {
        /// How many, at the least.
        steps: u64,
    },
    /// Weights or state were put in from outside, and no step was lost.
    Intervention,
    /// Another policy made them: the node loaded one, or was started or configured with one.
    OtherPolicy {
        /// Its name.
        policy: String,
        /// SHA-256 of its file.
        hash: String,
    },
}

/// A value that came out differently.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// Control step of the episode.
    pub step: u64,
    /// Stamp of its sensor values \[ns\].
    pub stamp: Stamp,
    /// Which value: `target of joint BC1`, `gate of layer 0`, `weight position/BC1 -> 17 of layer 0`.
    pub of: String,
    /// As recorded.
    pub recorded: f32,
    /// As replayed.
    pub replayed: f32,
}

/// Commands on their topic, beside what the policy wanted.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Published {
    /// The topic.
    pub topic: String,
    /// Steps whose command is the policy's.
    pub same: usize,
    /// Steps whose command something changed on the way: limits, fading in.
    pub changed: usize,
    /// Steps without a command in the bag.
    pub missing: usize,
}

impl ReplayReport {
    /// Whether all that was compared is the same, bit for bit, and no step was lost: none is missing between those in the bag, and the
    /// recorder counted none.
    pub fn is_identical(&self) -> bool {
        let is_lost = |gap: &Gap| matches!(gap.reason, GapReason::Lost { .. });
        self.first_difference.is_none() && self.replayed > 0 && self.dropped == 0 && !self.gaps.iter().any(is_lost)
    }
}
