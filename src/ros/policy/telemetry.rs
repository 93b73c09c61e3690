//! The publishing thread: step reports as messages.

use r2r::Publisher;
use r2r::hebbian_locomotion::msg::{PlasticityState, WeightSnapshot, WeightsLayout};
use r2r::sensor_msgs::msg::JointState;
use r2r::std_msgs::msg::Header;

use super::control::StepReport;
use crate::policy::PolicyMetadata;
use crate::ros::convert;
use crate::ros::rejection::{RejectionCount, Rejections};

/// The policy node's publishers.
pub struct Telemetry {
    /// Joint targets.
    pub commands: Publisher<JointState>,
    /// What each step did.
    pub plasticity: Publisher<PlasticityState>,
    /// All weights, now and then.
    pub weights: Publisher<WeightSnapshot>,
    /// Names of the joints, in order.
    pub joints: Vec<String>,
    /// Messages refused so far.
    pub rejected: RejectionCount,
    /// Sets of sensor values that allowed no step.
    pub refused: Rejections,
}

impl Telemetry {
    /// Publishes one report, the command first.
    pub fn publish(&mut self, report: &StepReport) {
        if let Some(error) = &report.refused {
            self.refused.note(error);
            return;
        }
        note(self.commands.publish(&convert::command(report.stamp, &self.joints, &report.targets)));
        if report.plasticity.is_some() {
            note(self.plasticity.publish(&self.plasticity_state(report)));
        }
        if let (true, Some(plasticity)) = (report.has_weights, report.plasticity) {
            let weights = WeightSnapshot { header: header(report), step: plasticity.step, weights: report.weights.clone() };
            note(self.weights.publish(&weights));
        }
    }

    fn plasticity_state(&self, report: &StepReport) -> PlasticityState {
        let layers = |value: fn(&crate::plasticity::LayerActivity) -> f32| report.layers.iter().map(value).collect();
        let mut message = PlasticityState {
            header: header(report),
            weights_max_abs: layers(|layer| layer.max_abs),
            weights_norm: layers(|layer| layer.norm),
            weight_change_mean: layers(|layer| layer.change_mean),
            rejected_messages: self.rejected.get(),
            ..PlasticityState::default()
        };
        if let Some(plasticity) = &report.plasticity {
            message.step = plasticity.step;
            message.gate = plasticity.gate;
            message.layer_gates.clone_from(&report.gates);
            message.gate_reason = plasticity.reason.kind().to_owned();
            message.gate_detail = plasticity.reason.to_string();
            message.compute_time = plasticity.compute_time;
            message.sensor_age = plasticity.sensor_age;
            message.missed_steps = plasticity.missed_steps;
        }
        message
    }
}

/// Which policy the weights belong to and how they are laid out.
pub fn layout(metadata: &PolicyMetadata, hash: &str) -> WeightsLayout {
    let layers: Vec<_> = metadata.network.plastic().map_or_else(Vec::new, |plastic| plastic.layers.layers().collect());
    WeightsLayout {
        policy: metadata.name.clone(),
        policy_hash: hash.to_owned(),
        layers: (0..layers.len()).map(|index| format!("layers.{index}")).collect(),
        inputs: layers.iter().map(|layer| layer.inputs as u32).collect(),
        outputs: layers.iter().map(|layer| layer.outputs as u32).collect(),
        input_names: metadata.observation.names(&metadata.robot),
        output_names: metadata.robot.joint_names().map(str::to_owned).collect(),
    }
}

fn header(report: &StepReport) -> Header {
    Header { stamp: convert::time(report.stamp), frame_id: String::new() }
}

fn note(result: r2r::Result<()>) {
    if let Err(error) = result {
        tracing::warn!("a message could not be published: {error}");
    }
}
