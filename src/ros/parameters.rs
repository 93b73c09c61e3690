//! Parameters declared once: name, default, description, range and whether they may change at run time.
//!
//! r2r accepts unknown names and has neither ranges nor read-only parameters; this adds them in front of its parameter services.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use r2r::indexmap::IndexMap;
use r2r::{Node, Parameter, ParameterValue, RosParams};

use crate::config::nearest;

/// Declaration of one parameter.
#[derive(Clone, Debug)]
pub struct Declaration {
    name: &'static str,
    default: ParameterValue,
    description: &'static str,
    range: Option<(f64, f64)>,
    choices: &'static [&'static str],
    read_only: bool,
}

/// Why a parameter was refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParameterError {
    /// No parameter has this name.
    #[error("unknown parameter `{name}`{}", hint.as_ref().map(|hint| format!("; did you mean `{hint}`?")).unwrap_or_default())]
    Unknown {
        /// The name given.
        name: String,
        /// The nearest that exists.
        hint: Option<String>,
    },
    /// The value is of another type.
    #[error("the parameter `{name}` is {given}; it must be {expected}")]
    Type {
        /// Which parameter.
        name: String,
        /// Type given.
        given: &'static str,
        /// Type needed.
        expected: &'static str,
    },
    /// The value is out of range.
    #[error("the parameter `{name}` is {given}; it must be {expected}")]
    Value {
        /// Which parameter.
        name: String,
        /// Value given.
        given: String,
        /// What is allowed.
        expected: String,
    },
    /// The parameter may not change at run time.
    #[error("the parameter `{name}` is read-only: it takes effect at start-up")]
    ReadOnly {
        /// Which parameter.
        name: String,
    },
    /// A parameter that has no default was not given.
    #[error("the parameter `{name}` must be set: {description}")]
    Missing {
        /// Which parameter.
        name: String,
        /// What it is.
        description: &'static str,
    },
}

impl Declaration {
    fn new(name: &'static str, default: ParameterValue, description: &'static str) -> Self {
        Self { name, default, description, range: None, choices: &[], read_only: true }
    }

    /// A whole number within `range`.
    pub fn integer(name: &'static str, default: i64, range: (i64, i64), description: &'static str) -> Self {
        Self { range: Some((range.0 as f64, range.1 as f64)), ..Self::new(name, ParameterValue::Integer(default), description) }
    }

    /// A number within `range`.
    pub fn double(name: &'static str, default: f64, range: (f64, f64), description: &'static str) -> Self {
        Self { range: Some(range), ..Self::new(name, ParameterValue::Double(default), description) }
    }

    /// True or false.
    pub fn bool(name: &'static str, default: bool, description: &'static str) -> Self {
        Self::new(name, ParameterValue::Bool(default), description)
    }

    /// A text.
    pub fn string(name: &'static str, default: &str, description: &'static str) -> Self {
        Self::new(name, ParameterValue::String(default.to_owned()), description)
    }

    /// One of `choices`, by default the first.
    pub fn choice(name: &'static str, choices: &'static [&'static str], description: &'static str) -> Self {
        let default = choices.first().copied().unwrap_or_default();
        Self { choices, ..Self::string(name, default, description) }
    }

    /// The parameter may change at run time.
    pub fn changeable(mut self) -> Self {
        self.read_only = false;
        self
    }

    /// `value` as this parameter's type, if it may have it. Whole numbers pass as numbers, so that `1` can be written for `1.0`.
    fn accept(&self, value: &ParameterValue) -> Result<ParameterValue, ParameterError> {
        let value = match (value, &self.default) {
            (ParameterValue::Integer(value), ParameterValue::Double(_)) => ParameterValue::Double(*value as f64),
            _ => value.clone(),
        };
        if value.type_name() != self.default.type_name() {
            return Err(ParameterError::Type {
                name: self.name.to_owned(),
                given: value.type_name(),
                expected: self.default.type_name(),
            });
        }
        let refuse = |given: String, expected: String| Err(ParameterError::Value { name: self.name.to_owned(), given, expected });
        let number = match value {
            ParameterValue::Integer(value) => Some(value as f64),
            ParameterValue::Double(value) => Some(value),
            _ => None,
        };
        if let (Some(number), Some((lower, upper))) = (number, self.range)
            && !(lower..=upper).contains(&number)
        {
            return refuse(number.to_string(), format!("from {lower} to {upper}"));
        }
        if let ParameterValue::String(text) = &value
            && !self.choices.is_empty()
            && !self.choices.contains(&text.as_str())
        {
            return refuse(format!("`{text}`"), format!("one of {}", self.choices.join(", ")));
        }
        Ok(value)
    }
}

/// The parameters of a node and their present values.
#[derive(Debug)]
pub struct Parameters {
    declarations: Vec<Declaration>,
    values: IndexMap<String, ParameterValue>,
    /// Whether the node runs, so that read-only parameters are refused.
    started: bool,
}

/// Names that ROS itself gives to nodes.
const OF_ROS: [&str; 2] = ["use_sim_time", "start_type_description_service"];

impl Parameters {
    /// Parameters at their defaults, then at the values in `given` (from the command line and parameter files).
    ///
    /// # Errors
    /// [`ParameterError`] for the first that is unknown or has a value that it may not have.
    pub fn new(declarations: Vec<Declaration>, given: &IndexMap<String, ParameterValue>) -> Result<Self, ParameterError> {
        let values = declarations.iter().map(|declaration| (declaration.name.to_owned(), declaration.default.clone())).collect();
        let mut parameters = Self { declarations, values, started: false };
        for (name, value) in given {
            if !OF_ROS.contains(&name.as_str()) && !name.starts_with("qos_overrides.") {
                parameters.set(name, value)?;
            }
        }
        parameters.started = true;
        Ok(parameters)
    }

    fn declaration(&self, name: &str) -> Result<&Declaration, ParameterError> {
        self.declarations.iter().find(|declaration| declaration.name == name).ok_or_else(|| ParameterError::Unknown {
            name: name.to_owned(),
            hint: nearest(name, self.declarations.iter().map(|declaration| declaration.name)).map(str::to_owned),
        })
    }

    fn check(&self, name: &str, value: &ParameterValue) -> Result<ParameterValue, ParameterError> {
        let declaration = self.declaration(name)?;
        let value = declaration.accept(value)?;
        if self.started && declaration.read_only && self.values.get(name) != Some(&value) {
            return Err(ParameterError::ReadOnly { name: name.to_owned() });
        }
        Ok(value)
    }

    fn set(&mut self, name: &str, value: &ParameterValue) -> Result<(), ParameterError> {
        let value = self.check(name, value)?;
        self.values.insert(name.to_owned(), value);
        Ok(())
    }

    /// The number `name`, 0 for a name that is not a number's.
    pub fn double(&self, name: &str) -> f64 {
        match self.values.get(name) {
            Some(ParameterValue::Double(value)) => *value,
            _ => 0.0,
        }
    }

    /// The whole number `name`, 0 for a name that is not a whole number's.
    pub fn integer(&self, name: &str) -> i64 {
        match self.values.get(name) {
            Some(ParameterValue::Integer(value)) => *value,
            _ => 0,
        }
    }

    /// The text `name`, empty for a name that is not a text's.
    pub fn string(&self, name: &str) -> &str {
        match self.values.get(name) {
            Some(ParameterValue::String(value)) => value,
            _ => "",
        }
    }

    /// The switch `name`, false for a name that is not a switch's.
    pub fn bool(&self, name: &str) -> bool {
        matches!(self.values.get(name), Some(ParameterValue::Bool(true)))
    }

    /// The text `name`, which must not be empty.
    ///
    /// # Errors
    /// [`ParameterError::Missing`] when it is.
    pub fn required(&self, name: &str) -> Result<&str, ParameterError> {
        let value = self.string(name);
        if value.is_empty() {
            return Err(ParameterError::Missing { name: name.to_owned(), description: self.declaration(name)?.description });
        }
        Ok(value)
    }
}

/// Parameters that the parameter services and the node share.
#[derive(Clone, Debug)]
pub struct SharedParameters(pub(super) Arc<Mutex<Parameters>>);

impl SharedParameters {
    /// Declares the parameters of `node`, with the values that it was started with.
    ///
    /// # Errors
    /// As [`Parameters::new`].
    pub fn declare(node: &Node, declarations: Vec<Declaration>) -> Result<Self, ParameterError> {
        let given = node.params.lock().unwrap_or_else(PoisonError::into_inner);
        let given = given.iter().map(|(name, parameter)| (name.clone(), parameter.value.clone())).collect();
        Ok(Self(Arc::new(Mutex::new(Parameters::new(declarations, &given)?))))
    }

    /// The parameters. Not for the control thread.
    pub fn read(&self) -> MutexGuard<'_, Parameters> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refusal(error: &ParameterError) -> r2r::Error {
    let name = match error {
        ParameterError::Unknown { name, .. }
        | ParameterError::Type { name, .. }
        | ParameterError::Value { name, .. }
        | ParameterError::ReadOnly { name }
        | ParameterError::Missing { name, .. } => name.clone(),
    };
    r2r::Error::ParameterValueConv { name, msg: error.to_string() }
}

impl RosParams for Parameters {
    fn register_parameters(
        &mut self,
        _: &str,
        _: Option<Parameter>,
        params: &mut IndexMap<String, Parameter>,
    ) -> r2r::Result<()> {
        for declaration in &self.declarations {
            let value = self.values.get(declaration.name).unwrap_or(&declaration.default).clone();
            params.shift_remove(declaration.name);
            params.insert(declaration.name.to_owned(), Parameter { value, description: declaration.description });
        }
        // Listed by every ROS node, whether it was given or not.
        params.entry("use_sim_time".to_owned()).or_insert(Parameter {
            value: ParameterValue::Bool(false),
            description: "whether time is that of the topic /clock; takes effect at start-up",
        });
        Ok(())
    }

    fn get_parameter(&mut self, name: &str) -> r2r::Result<ParameterValue> {
        self.values.get(name).cloned().ok_or_else(|| r2r::Error::InvalidParameterName { name: name.to_owned() })
    }

    fn set_parameter(&mut self, name: &str, value: &ParameterValue) -> r2r::Result<()> {
        self.set(name, value).map_err(|error| refusal(&error))
    }

    fn check_parameter(&self, name: &str, value: &ParameterValue) -> r2r::Result<()> {
        self.check(name, value).map(|_| ()).map_err(|error| refusal(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declarations() -> Vec<Declaration> {
        vec![
            Declaration::double("gate", 1.0, (0.0, 1.0), "the gate").changeable(),
            Declaration::choice("mode", &["real_time", "lockstep"], "the mode"),
            Declaration::string("policy", "", "a policy file"),
        ]
    }

    fn given(name: &str, value: ParameterValue) -> Result<Parameters, ParameterError> {
        Parameters::new(declarations(), &IndexMap::from([(name.to_owned(), value)]))
    }

    #[test]
    fn unknown_names_and_values_out_of_range_are_refused_with_what_is_allowed() {
        let message = |name, value| given(name, value).unwrap_err().to_string();
        assert_eq!(message("gat", ParameterValue::Double(1.0)), "unknown parameter `gat`; did you mean `gate`?");
        assert_eq!(message("gate", ParameterValue::Double(1.5)), "the parameter `gate` is 1.5; it must be from 0 to 1");
        assert_eq!(message("gate", ParameterValue::Double(f64::NAN)), "the parameter `gate` is NaN; it must be from 0 to 1");
        assert_eq!(
            message("mode", ParameterValue::String("fast".into())),
            "the parameter `mode` is `fast`; it must be one of real_time, lockstep"
        );
        assert_eq!(message("gate", ParameterValue::Bool(true)), "the parameter `gate` is boolean; it must be double");
    }

    #[test]
    fn whole_numbers_pass_as_numbers_and_ros_own_names_pass() {
        assert_eq!(given("gate", ParameterValue::Integer(0)).unwrap().double("gate"), 0.0);
        assert!(given("use_sim_time", ParameterValue::Bool(true)).is_ok());
    }

    #[test]
    fn read_only_parameters_stay_once_the_node_runs() {
        let mut parameters = given("mode", ParameterValue::String("lockstep".into())).unwrap();
        let refused = parameters.set("mode", &ParameterValue::String("real_time".into()));
        assert_eq!(refused, Err(ParameterError::ReadOnly { name: "mode".into() }));
        assert!(parameters.set("gate", &ParameterValue::Double(0.5)).is_ok());
        assert_eq!((parameters.double("gate"), parameters.string("mode")), (0.5, "lockstep"));
        assert!(parameters.required("policy").unwrap_err().to_string().contains("a policy file"));
    }
}
