//! The publishing thread: step reports as messages. Commands have a thread of their own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use r2r::Publisher;
use r2r::diagnostic_msgs::msg::DiagnosticArray;
use r2r::hebbian_locomotion::msg::{
    LoopTiming as LoopTimingMessage, PlasticityState, PolicyStep, SafetyState, WeightSnapshot, WeightsLayout,
};
use r2r::std_msgs::msg::Header;

use super::diagnostics::{Thresholds, diagnostics};
use super::report::{SafetyReport, StepReport};
use super::sources::SourceWarnings;
use super::timing::LoopTiming;
use crate::policy::PolicyMetadata;
use crate::robot::Stamp;
use crate::ros::convert;
use crate::ros::outbox::{self, Inbox};
use crate::ros::rejection::{RejectionCount, Rejections};
use crate::ros::stop::Stop;
use crate::safety::{Fault, FaultKind, Phase};

/// Shortest time between two warnings of commands that are late.
const BETWEEN_WARNINGS: Duration = Duration::from_secs(1);

/// The policy node's publishers.
pub struct Telemetry {
    /// What each step saw and answered: what a replay needs.
    pub steps: Publisher<PolicyStep>,
    /// What each step did.
    pub plasticity: Publisher<PlasticityState>,
    /// All weights, now and then.
    pub weights: Publisher<WeightSnapshot>,
    /// What the supervisor says.
    pub safety: Publisher<SafetyState>,
    /// Timing of the loop.
    pub timing: Publisher<LoopTimingMessage>,
    /// For those who look at many nodes.
    pub diagnostics: Publisher<DiagnosticArray>,
    /// Name of the node.
    pub node: String,
    /// From when on timing is worth a warning.
    pub thresholds: Thresholds,
    /// What is wrong with the sources of commands and sensor values.
    pub sources: SourceWarnings,
    /// Messages refused so far.
    pub rejected: RejectionCount,
    /// Sets of sensor values that allowed no step.
    pub refused: Rejections,
}

/// The reports of one policy.
pub struct Subject {
    /// The reports.
    pub reports: Inbox<StepReport>,
    /// What they mean.
    pub about: About,
    /// Commands that were not published because newer ones took their places.
    pub overtaken: Arc<AtomicU64>,
}

/// What reports mean.
pub struct About {
    /// Name of the robot.
    pub robot: String,
    /// The policy's names of the joints.
    pub joints: Vec<String>,
    /// Control period \[s\].
    pub period: f32,
}

/// The publishing thread's state.
pub struct Publishing {
    telemetry: Telemetry,
    /// In the order in which they came. The last but one may still have reports when the last has its first.
    subjects: Vec<Subject>,
    timing: LoopTiming,
    said: Option<SafetyReport>,
    /// When it was last said that commands are late.
    said_late: Option<Instant>,
}

impl Publishing {
    /// A publishing thread without a policy.
    pub fn new(telemetry: Telemetry) -> Self {
        Self { telemetry, subjects: Vec::new(), timing: LoopTiming::default(), said: None, said_late: None }
    }

    /// Publishes the reports of all policies that come through `subjects`, for as long as each lives, until a stop is requested.
    pub fn run(mut self, subjects: &Receiver<Subject>, stop: &Stop) {
        while !stop.is_requested() {
            self.publish_from(subjects);
            outbox::wait();
        }
        self.publish_from(subjects);
    }

    fn publish_from(&mut self, subjects: &Receiver<Subject>) {
        let mut present = std::mem::take(&mut self.subjects);
        present.extend(subjects.try_iter());
        for Subject { reports, about, overtaken } in &mut present {
            reports.drain(|report| self.publish(about, report));
            if self.said_late.is_none_or(|last| last.elapsed() >= BETWEEN_WARNINGS) {
                let overtaken = overtaken.swap(0, Ordering::Relaxed);
                if overtaken > 0 {
                    tracing::warn!("commands go out late: newer ones took the place of {overtaken}");
                    self.said_late = Some(Instant::now());
                }
            }
        }
        present.retain(|subject| !subject.reports.has_ended());
        self.subjects = present;
    }

    fn publish(&mut self, about: &About, report: &StepReport) {
        if let Some(error) = &report.refused {
            self.telemetry.refused.note(error);
        }
        if let Some(plasticity) = report.plasticity {
            note(self.telemetry.steps.publish(&report.input.message(header(report.stamp), plasticity.step, &report.targets)));
            note(self.telemetry.plasticity.publish(&self.telemetry.plasticity_state(report)));
        }
        if let (true, Some(plasticity)) = (report.has_weights, report.plasticity) {
            let weights = report.weights.clone();
            let header = header(report.stamp);
            note(self.telemetry.weights.publish(&WeightSnapshot { header, step: plasticity.step, weights }));
        }
        let is_news = self.said.is_none_or(|said| report.safety.is_news(&said));
        if is_news {
            say(about, &report.safety);
            self.said = Some(report.safety);
        }
        if let Some(timing) = report.timing {
            self.timing = timing;
            note(self.telemetry.timing.publish(&timing_message(about, report, &timing)));
        }
        if is_news || report.timing.is_some() {
            note(self.telemetry.safety.publish(&safety_state(about, report)));
            let describe = |safety: &SafetyReport| (about.describe(safety.fault), about.describe(safety.warning));
            let Telemetry { node, thresholds, sources, .. } = &self.telemetry;
            let message = diagnostics(node, &about.robot, report, &self.timing, thresholds, &sources.get(), describe);
            note(self.telemetry.diagnostics.publish(&message));
        }
    }
}

impl About {
    fn describe(&self, fault: Option<Fault>) -> String {
        fault.map_or_else(String::new, |fault| fault.describe(self.joints.iter().map(String::as_str)))
    }
}

/// Tells the log what people want to hear at once.
fn say(about: &About, safety: &SafetyReport) {
    let (phase, fault) = (safety.phase.as_str(), about.describe(safety.fault));
    match safety.phase {
        Phase::Stopped => tracing::error!("{phase}: {fault}; release it with ~/release"),
        Phase::Fallback => tracing::error!("{phase}: {fault}"),
        _ if fault.is_empty() => tracing::info!("{phase}"),
        _ => tracing::warn!("{phase}: {fault}"),
    }
}

fn safety_state(about: &About, report: &StepReport) -> SafetyState {
    let SafetyReport { phase, fault, warning, counts } = report.safety;
    let kind = |fault: Option<Fault>| fault.map_or_else(String::new, |fault| fault.kind.as_str().to_owned());
    SafetyState {
        header: header(report.stamp),
        phase: phase.as_str().to_owned(),
        fault: kind(fault),
        fault_detail: about.describe(fault),
        warning: kind(warning),
        warning_detail: about.describe(warning),
        checks: FaultKind::ALL.map(|kind| kind.as_str().to_owned()).into(),
        counts: counts.into(),
    }
}

fn timing_message(about: &About, report: &StepReport, timing: &LoopTiming) -> LoopTimingMessage {
    LoopTimingMessage {
        header: header(report.stamp),
        nominal_period: about.period,
        steps: timing.steps,
        period_mean: timing.period.mean,
        period_min: timing.period.min,
        period_max: timing.period.max,
        jitter: timing.period.deviation,
        wake_up_mean: timing.wake_up.mean,
        wake_up_max: timing.wake_up.max,
        compute_mean: timing.compute.mean,
        compute_max: timing.compute.max,
        sensor_age_mean: timing.sensor_age.mean,
        sensor_age_max: timing.sensor_age.max,
        missed_steps: report.missed_steps,
        unpublished_steps: report.unpublished_steps,
    }
}

impl Telemetry {
    fn plasticity_state(&self, report: &StepReport) -> PlasticityState {
        let layers = |value: fn(&crate::plasticity::LayerActivity) -> f32| report.layers.iter().map(value).collect();
        let mut message = PlasticityState {
            header: header(report.stamp),
            weights_max_abs: layers(|layer| layer.max_abs),
            weights_norm: layers(|layer| layer.norm),
            weight_change_mean: layers(|layer| layer.change_mean),
            missed_steps: report.missed_steps,
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

fn header(stamp: Stamp) -> Header {
    Header { stamp: convert::time(stamp), frame_id: String::new() }
}

fn note(result: r2r::Result<()>) {
    if let Err(error) = result {
        tracing::warn!("a message could not be published: {error}");
    }
}
