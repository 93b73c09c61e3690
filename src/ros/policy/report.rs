//! What one control step leaves for publishing.

use super::steps::StepInput;
use super::timing::LoopTiming;
use crate::network::NetworkError;
use crate::plasticity::{GateReason, LayerActivity};
use crate::policy::Policy;
use crate::robot::Stamp;
use crate::safety::{Fault, FaultKind, Phase, Supervisor};

/// The report of a control step. Reused: all vectors keep their lengths.
#[derive(Debug)]
pub struct StepReport {
    /// Of the sensor values.
    pub stamp: Stamp,
    /// What the policy's step saw, valid with `plasticity`.
    pub input: StepInput,
    /// The policy's own targets \[rad\], valid with `plasticity`.
    pub targets: Vec<f32>,
    /// What the step did to the weights; absent when the policy made none.
    pub plasticity: Option<PlasticityReport>,
    /// Layers, valid with `plasticity`.
    pub layers: Vec<LayerActivity>,
    /// Gate of each layer, valid with `plasticity`.
    pub gates: Vec<f32>,
    /// Whether `weights` are those of this step.
    pub has_weights: bool,
    /// All weights.
    pub weights: Vec<f32>,
    /// Why the policy made no step although it should have.
    pub refused: Option<NetworkError>,
    /// What the supervisor says.
    pub safety: SafetyReport,
    /// Timing of the last second, once a second.
    pub timing: Option<LoopTiming>,
    /// Steps missed since the node was configured.
    pub missed_steps: u64,
    /// Steps not published since then.
    pub unpublished_steps: u64,
}

/// Numbers of one step.
#[derive(Clone, Copy, Debug)]
pub struct PlasticityReport {
    /// Control step of the episode, from 0.
    pub step: u64,
    /// Lowest g of all layers.
    pub gate: f32,
    /// What determines it.
    pub reason: GateReason,
    /// Duration of the step \[s\].
    pub compute_time: f32,
    /// Age of the oldest sensor value \[s\].
    pub sensor_age: f32,
}

/// What the supervisor says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SafetyReport {
    /// Where the robot is.
    pub phase: Phase,
    /// What keeps it from walking.
    pub fault: Option<Fault>,
    /// The latest warning.
    pub warning: Option<Fault>,
    /// Findings by kind.
    pub counts: [u64; FaultKind::ALL.len()],
}

impl SafetyReport {
    /// What `supervisor` says now.
    pub fn of(supervisor: &Supervisor) -> Self {
        Self { phase: supervisor.phase(), fault: supervisor.fault(), warning: supervisor.warning(), counts: *supervisor.counts() }
    }

    /// Whether it differs from `other` in what people want to hear at once.
    pub fn is_news(&self, other: &Self) -> bool {
        let kind = |fault: Option<Fault>| fault.map(|fault| (fault.kind, fault.subject));
        self.phase != other.phase || kind(self.fault) != kind(other.fault)
    }
}

impl StepReport {
    /// An empty report for `policy`.
    pub fn new(policy: &Policy) -> Self {
        Self {
            stamp: 0,
            input: StepInput::new(policy),
            targets: policy.targets().to_vec(),
            plasticity: None,
            layers: policy.layers().to_vec(),
            gates: policy.gates().gates().to_vec(),
            has_weights: false,
            weights: policy.network().plastic().map_or_else(Vec::new, |network| network.weights()),
            refused: None,
            safety: SafetyReport { phase: Phase::Passive, fault: None, warning: None, counts: [0; FaultKind::ALL.len()] },
            timing: None,
            missed_steps: 0,
            unpublished_steps: 0,
        }
    }
}
