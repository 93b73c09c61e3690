//! The gate as set from outside.

use super::GateError;

/// Who set the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GateSource {
    /// A parameter.
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

/// One gate for all layers, set from outside.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gate {
    value: f32,
    source: GateSource,
}

impl Gate {
    /// A gate of `value`, set by `source`.
    ///
    /// # Errors
    /// [`GateError::Range`] when `value` is outside [0, 1] or not finite.
    pub fn new(value: f32, source: GateSource) -> Result<Self, GateError> {
        Ok(Self { value: GateError::unless_in_range(value)?, source })
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

/// Gates set from outside: one for all layers, or one for each.
///
/// Plain data without a heap part, so that a request can go through a queue into the control thread and be dropped there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CommandedGate {
    values: [f32; Self::MOST_LAYERS],
    /// Layers named one by one; `None` when the first value is meant for all.
    layers: Option<usize>,
    source: GateSource,
}

impl CommandedGate {
    /// Most layers that a command can name one by one; one value for all fits any network.
    pub const MOST_LAYERS: usize = 16;

    /// One gate for each layer, input side first, set by `source`.
    ///
    /// # Errors
    /// [`GateError`] when a value is outside [0, 1] or not finite, for no values, or for more than
    /// [`CommandedGate::MOST_LAYERS`]. Whether the number fits a network, [`CommandedGate::check`] tells.
    pub fn per_layer(gates: &[f32], source: GateSource) -> Result<Self, GateError> {
        let mut values = [0.0; Self::MOST_LAYERS];
        let Some(named) = values.get_mut(..gates.len()) else {
            return Err(GateError::TooManyLayers { given: gates.len() });
        };
        for (value, gate) in named.iter_mut().zip(gates) {
            *value = GateError::unless_in_range(*gate)?;
        }
        Ok(Self { values, layers: Some(gates.len()), source })
    }

    /// Checks that it fits a network of `layers` layers.
    ///
    /// # Errors
    /// [`GateError::Layers`] when it names another number of layers.
    pub fn check(&self, layers: usize) -> Result<(), GateError> {
        match self.layers {
            Some(given) if given != layers => Err(GateError::Layers { given, expected: layers }),
            _ => Ok(()),
        }
    }

    /// g of one layer; a layer that the command does not know stays frozen.
    pub fn value(&self, layer: usize) -> f32 {
        let index = if self.layers.is_some() { layer } else { 0 };
        self.values.get(index).copied().unwrap_or(0.0)
    }

    /// Who set it.
    pub fn source(&self) -> GateSource {
        self.source
    }
}

impl From<Gate> for CommandedGate {
    /// The same gate for all layers.
    fn from(gate: Gate) -> Self {
        let mut values = [0.0; Self::MOST_LAYERS];
        values[0] = gate.value;
        Self { values, layers: None, source: gate.source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_from_0_to_1_pass() {
        for value in [0.0, 0.5, 1.0] {
            assert_eq!(Gate::new(value, GateSource::Topic).unwrap().value(), value);
            assert_eq!(CommandedGate::per_layer(&[1.0, value], GateSource::Topic).unwrap().value(1), value);
        }
        for value in [-0.1, 1.1, f32::NAN, f32::INFINITY] {
            assert!(Gate::new(value, GateSource::Topic).is_err());
            assert!(CommandedGate::per_layer(&[1.0, value], GateSource::Topic).is_err());
        }
    }

    #[test]
    fn a_command_for_another_number_of_layers_is_refused() {
        let two = CommandedGate::per_layer(&[0.0, 1.0], GateSource::Service).unwrap();
        assert_eq!(two.check(2), Ok(()));
        let error = two.check(3).unwrap_err().to_string();
        assert!(error.contains("2 layers") && error.contains("has 3"), "{error}");
        assert!(CommandedGate::per_layer(&[], GateSource::Service).unwrap().check(3).is_err());
        assert!(CommandedGate::per_layer(&[1.0; 17], GateSource::Service).is_err());
    }

    #[test]
    fn one_gate_for_all_fits_every_network() {
        let all = CommandedGate::from(Gate::new(0.25, GateSource::Topic).unwrap());
        assert_eq!((all.check(1), all.check(99)), (Ok(()), Ok(())));
        assert_eq!((all.value(0), all.value(98)), (0.25, 0.25));
    }
}
