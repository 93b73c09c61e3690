//! Why the gate is what it is.

use std::fmt;

use super::GateSource;

/// The source that keeps the gate from being fully open, and the number that it decided by.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum GateReason {
    /// Nothing does: g is 1 in all layers.
    Open,
    /// Set from outside.
    Command(GateSource),
    /// The schedule.
    Schedule {
        /// First control step of the entry in force.
        from: u64,
    },
    /// Too few feet on the ground.
    FootContact {
        /// Feet that touch it.
        touching: u32,
        /// Feet that must.
        needed: u32,
    },
    /// Small updates.
    Settled {
        /// Their size as a share of the early one; none when the size was not a finite number within the last window.
        share: Option<f32>,
    },
    /// Unknown weights.
    Novelty {
        /// Their distance from the training's subspace; none when they are not finite.
        distance: Option<f32>,
    },
}

impl GateReason {
    /// One word for messages: who commanded (`parameter`, `topic`, `service`), the source's name in YAML, or `open`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Command(source) => source.as_str(),
            Self::Schedule { .. } => "schedule",
            Self::FootContact { .. } => "foot_contact",
            Self::Settled { .. } => "settled",
            Self::Novelty { .. } => "novelty",
        }
    }
}

impl fmt::Display for GateReason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind();
        match *self {
            Self::Open => write!(out, "{kind}"),
            Self::Command(_) => write!(out, "{kind}: set from outside"),
            Self::Schedule { from } => write!(out, "{kind}: as planned from control step {from} on"),
            Self::FootContact { touching, needed } if touching < needed => {
                write!(out, "{kind}: {touching} feet on the ground, {needed} needed")
            }
            Self::FootContact { touching, .. } => {
                write!(out, "{kind}: {touching} feet on the ground, but not for long enough yet")
            }
            Self::Settled { share: Some(share) } => write!(out, "{kind}: updates at {:.0} % of their early size", 100.0 * share),
            Self::Settled { share: None } => write!(out, "{kind}: the size of the updates is not a finite number"),
            Self::Novelty { distance: Some(distance) } => {
                write!(out, "{kind}: weights at a distance of {distance:.2} from training's")
            }
            Self::Novelty { distance: None } => write!(out, "{kind}: the weights are not finite numbers"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_reads_as_its_kind_and_its_number() {
        let cases = [
            (GateReason::Open, "open"),
            (GateReason::Command(GateSource::Topic), "topic: set from outside"),
            (GateReason::Schedule { from: 150 }, "schedule: as planned from control step 150 on"),
            (GateReason::FootContact { touching: 0, needed: 1 }, "foot_contact: 0 feet on the ground, 1 needed"),
            (GateReason::Settled { share: Some(0.12) }, "settled: updates at 12 % of their early size"),
            (GateReason::Novelty { distance: Some(2.312) }, "novelty: weights at a distance of 2.31 from training's"),
        ];
        for (reason, text) in cases {
            assert_eq!(reason.to_string(), text);
            assert!(text.starts_with(reason.kind()));
        }
    }
}
