//! The plasticity gate.

/// Who set the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GateSource {
    /// A start-up parameter.
    Parameter,
    /// A message on a topic.
    Topic,
    /// A service call.
    Service,
}

impl GateSource {
    /// The word that messages and logs use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Parameter => "parameter",
            Self::Topic => "topic",
            Self::Service => "service",
        }
    }
}

/// How strongly the rule acts: g in [0, 1] scales every update; 0 leaves the weights bit-identical.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gate {
    value: f32,
    source: GateSource,
}

/// A gate value outside [0, 1] or not finite.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("a gate of {given}; it must be a number from 0 (frozen) to 1 (fully plastic)")]
pub struct GateError {
    /// The value that was refused.
    pub given: f32,
}

impl Gate {
    /// A gate of `value`, set by `source`.
    ///
    /// # Errors
    /// [`GateError`] when `value` is outside [0, 1] or not finite.
    pub fn new(value: f32, source: GateSource) -> Result<Self, GateError> {
        // Also refuses NaN, which lies in no range.
        if (0.0..=1.0).contains(&value) { Ok(Self { value, source }) } else { Err(GateError { given: value }) }
    }

    /// Fully plastic, by parameter.
    pub const OPEN: Self = Self { value: 1.0, source: GateSource::Parameter };

    /// g.
    pub fn value(&self) -> f32 {
        self.value
    }

    /// Who set it.
    pub fn source(&self) -> GateSource {
        self.source
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_from_0_to_1_pass() {
        for value in [0.0, 0.5, 1.0] {
            assert_eq!(Gate::new(value, GateSource::Topic).unwrap().value(), value);
        }
        for value in [-0.1, 1.1, f32::NAN, f32::INFINITY] {
            assert!(Gate::new(value, GateSource::Topic).is_err());
        }
    }
}
