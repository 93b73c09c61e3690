//! The policy node's state on `/diagnostics`, for those who look at many nodes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use r2r::diagnostic_msgs::msg::DiagnosticArray;

use super::report::{SafetyReport, StepReport};
use super::timing::LoopTiming;
use crate::ros::diagnostics::{ERROR, OK, WARN, message, status, value};
use crate::safety::Phase;

/// From when on timing is worth a warning; changeable at run time.
#[derive(Clone, Debug, Default)]
pub struct Thresholds(Arc<[AtomicU32; 3]>);

/// Names of the thresholds' parameters, in order \[s\].
pub const THRESHOLDS: [&str; 3] = ["timing.jitter_warning", "timing.compute_warning", "timing.sensor_age_warning"];

impl Thresholds {
    /// Sets the threshold of this parameter; no other name is one.
    pub fn set(&self, name: &str, seconds: f64) {
        if let Some(index) = THRESHOLDS.iter().position(|known| *known == name) {
            self.0[index].store((seconds as f32).to_bits(), Ordering::Relaxed);
        }
    }

    fn get(&self) -> [f32; 3] {
        std::array::from_fn(|index| f32::from_bits(self.0[index].load(Ordering::Relaxed)))
    }

    /// What of `timing` is worth a warning.
    fn exceeded(&self, timing: &LoopTiming) -> Option<String> {
        let found =
            [("jitter", timing.period.deviation), ("compute time", timing.compute.max), ("sensor age", timing.sensor_age.max)];
        let (limit, (what, found)) =
            self.get().into_iter().zip(found).find(|(limit, (_, found))| *limit > 0.0 && found > limit)?;
        Some(format!("{what} {:.2} ms; {:.2} ms are allowed", found * 1e3, limit * 1e3))
    }
}

/// The node's three statuses. `sources`: what is wrong with the sources of commands and sensor values.
pub fn diagnostics(
    node: &str,
    robot: &str,
    report: &StepReport,
    timing: &LoopTiming,
    thresholds: &Thresholds,
    sources: &[String],
    describe: impl Fn(&SafetyReport) -> (String, String),
) -> DiagnosticArray {
    let (fault, warning) = describe(&report.safety);
    let level = match report.safety.phase {
        Phase::Stopped | Phase::Fallback => ERROR,
        _ if report.safety.fault.is_some() => WARN,
        _ => OK,
    };
    let phase = report.safety.phase.as_str();
    let text = if fault.is_empty() { phase.to_owned() } else { format!("{phase}: {fault}") };
    let safety = status(node, "safety", robot, level, text, vec![value("phase", phase), value("last warning", warning)]);

    let milliseconds = |seconds: f32| format!("{:.3}", seconds * 1e3);
    let values = vec![
        value("steps", timing.steps),
        value("period mean [ms]", milliseconds(timing.period.mean)),
        value("jitter [ms]", milliseconds(timing.period.deviation)),
        value("wake-up max [ms]", milliseconds(timing.wake_up.max)),
        value("compute max [ms]", milliseconds(timing.compute.max)),
        value("sensor age max [ms]", milliseconds(timing.sensor_age.max)),
        value("missed steps", report.missed_steps),
        value("unpublished steps", report.unpublished_steps),
    ];
    let (level, text) = match thresholds.exceeded(timing) {
        Some(exceeded) => (WARN, exceeded),
        None => (OK, "on time".to_owned()),
    };
    let control = status(node, "control loop", robot, level, text, values);
    let (level, text) = if sources.is_empty() { (OK, "one for each topic".to_owned()) } else { (WARN, sources.join("; ")) };
    message(vec![safety, control, status(node, "sources", robot, level, text, Vec::new())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_exceeds_a_threshold_is_said_with_both_numbers() {
        let thresholds = Thresholds::default();
        let mut timing = LoopTiming::default();
        timing.compute.max = 0.005;
        assert_eq!(thresholds.exceeded(&timing), None);
        thresholds.set("timing.compute_warning", 0.002);
        assert_eq!(thresholds.exceeded(&timing).unwrap(), "compute time 5.00 ms; 2.00 ms are allowed");
    }
}
