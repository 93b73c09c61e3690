//! Parameters declared once: name, default, description, range and whether they may change at run time.
//!
//! r2r accepts unknown names and has neither ranges nor read-only parameters.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use r2r::indexmap::IndexMap;
use r2r::{Node, ParameterValue};
use serde::de::DeserializeOwned;

use crate::config::{nearest, with_suggestion};

/// When a parameter may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changes {
    /// It takes effect at start-up.
    Never,
    /// It takes effect when a managed node is configured.
    WhileUnconfigured,
    /// It takes effect at once, or between two steps.
    Always,
}

/// Declaration of one parameter.
#[derive(Clone, Debug)]
pub struct Declaration {
    name: &'static str,
    default: ParameterValue,
    description: &'static str,
    range: Option<(f64, f64)>,
    choices: &'static [&'static str],
    changes: Changes,
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
    /// A parameter file names the node in a way that has no effect.
    #[error("the parameter file {} means this node by `{name}`, which has no effect; write `{expected}`, or `/**` for every node", path.display())]
    Unheard {
        /// The file.
        path: PathBuf,
        /// How it names the node.
        name: String,
        /// The node's full name.
        expected: String,
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
    /// The parameter may not change now.
    #[error("the parameter `{name}` is read-only while the node is configured: it takes effect in the transition `configure`")]
    Configured {
        /// Which parameter.
        name: String,
    },
    /// Parameters that belong together make no sense.
    #[error("the parameters `{prefix}.*`: {message}")]
    Section {
        /// What their names begin with.
        prefix: String,
        /// What is wrong.
        message: String,
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
        Self { name, default, description, range: None, choices: &[], changes: Changes::Never }
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

    /// A list of texts.
    pub fn strings(name: &'static str, default: &[&str], description: &'static str) -> Self {
        let default = default.iter().map(|&text| text.to_owned()).collect();
        Self::new(name, ParameterValue::StringArray(default), description)
    }

    /// One of `choices`, by default the first.
    pub fn choice(name: &'static str, choices: &'static [&'static str], description: &'static str) -> Self {
        let default = choices.first().copied().unwrap_or_default();
        Self::choice_of(name, default, choices, description)
    }

    /// One of `choices`, by default `default`.
    pub fn choice_of(name: &'static str, default: &str, choices: &'static [&'static str], description: &'static str) -> Self {
        Self { choices, ..Self::string(name, default, description) }
    }

    /// The parameter may change at run time.
    pub fn changeable(self) -> Self {
        Self { changes: Changes::Always, ..self }
    }

    /// The parameter may change while the node is unconfigured.
    pub fn configurable(self) -> Self {
        Self { changes: Changes::WhileUnconfigured, ..self }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its value unless another is given.
    pub fn default(&self) -> &ParameterValue {
        &self.default
    }

    /// What it is, in words.
    pub fn description(&self) -> &'static str {
        self.description
    }

    /// Smallest and largest value of a number.
    pub fn range(&self) -> Option<(f64, f64)> {
        self.range
    }

    /// What a text may be; empty: anything.
    pub fn choices(&self) -> &'static [&'static str] {
        self.choices
    }

    /// When it may change.
    pub fn changes(&self) -> Changes {
        self.changes
    }

    /// `value` as this parameter's type, if it may have it. Whole numbers pass as numbers, so that `1` can be written for `1.0`, and as text,
    /// so that one processor can be written as `2`.
    fn accept(&self, value: &ParameterValue) -> Result<ParameterValue, ParameterError> {
        let value = match (value, &self.default) {
            (ParameterValue::Integer(value), ParameterValue::Double(_)) => ParameterValue::Double(*value as f64),
            (ParameterValue::Integer(value), ParameterValue::String(_)) if self.choices.is_empty() => {
                ParameterValue::String(value.to_string())
            }
            // ROS reads a bare `off` as false, as YAML 1.1 does.
            (ParameterValue::Bool(false), ParameterValue::String(_)) if self.choices.contains(&"off") => {
                ParameterValue::String("off".to_owned())
            }
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
#[derive(Clone, Debug)]
pub struct Parameters {
    declarations: Vec<Declaration>,
    values: IndexMap<String, ParameterValue>,
    /// Names that were given and have no effect.
    ignored: Vec<String>,
    /// Whether the node runs, so that read-only parameters are refused.
    started: bool,
    /// Whether a managed node is configured.
    configured: bool,
}

/// A name that ROS gives to nodes and that is no parameter of theirs.
const OF_ROS: &str = "start_type_description_service";
/// What names begin with by which other nodes let the QoS of their topics be set.
const OF_QOS: &str = "qos_overrides.";

impl Parameters {
    /// Parameters at their defaults, then at the values in `given` (from the command line and parameter files). Those that would set the QoS of a
    /// topic are ignored: [`Parameters::ignored`] names them.
    ///
    /// # Errors
    /// [`ParameterError`] for the first that is unknown or has a value that it may not have.
    pub fn new(mut declarations: Vec<Declaration>, given: &IndexMap<String, ParameterValue>) -> Result<Self, ParameterError> {
        // Every ROS node has it.
        declarations.push(Declaration::bool("use_sim_time", false, "whether time is that of the topic /clock"));
        let values = declarations.iter().map(|declaration| (declaration.name.to_owned(), declaration.default.clone())).collect();
        let mut parameters = Self { declarations, values, ignored: Vec::new(), started: false, configured: false };
        for (name, value) in given {
            if name.starts_with(OF_QOS) {
                parameters.ignored.push(name.clone());
            } else if name != OF_ROS {
                parameters.set(name, value)?;
            }
        }
        parameters.started = true;
        Ok(parameters)
    }

    /// The names that were given at the start and have no effect.
    pub fn ignored(&self) -> &[String] {
        &self.ignored
    }

    /// The names, in the order of their declarations.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.declarations.iter().map(|declaration| declaration.name)
    }

    /// The value of `name`.
    pub fn value(&self, name: &str) -> Option<&ParameterValue> {
        self.values.get(name)
    }

    /// The declaration of `name`.
    ///
    /// # Errors
    /// [`ParameterError::Unknown`] with the nearest name.
    pub fn declaration(&self, name: &str) -> Result<&Declaration, ParameterError> {
        self.declarations.iter().find(|declaration| declaration.name == name).ok_or_else(|| ParameterError::Unknown {
            name: name.to_owned(),
            hint: nearest(name, self.declarations.iter().map(|declaration| declaration.name)).map(str::to_owned),
        })
    }

    /// `value` as `name` would take it now.
    ///
    /// # Errors
    /// [`ParameterError`] when it may not have that value, or not now.
    pub fn check(&self, name: &str, value: &ParameterValue) -> Result<ParameterValue, ParameterError> {
        let declaration = self.declaration(name)?;
        let value = declaration.accept(value)?;
        if self.started && self.values.get(name) != Some(&value) {
            match declaration.changes {
                Changes::Never => return Err(ParameterError::ReadOnly { name: name.to_owned() }),
                Changes::WhileUnconfigured if self.configured => {
                    return Err(ParameterError::Configured { name: name.to_owned() });
                }
                _ => {}
            }
        }
        Ok(value)
    }

    /// Sets `name`; returns whether its value is now another.
    ///
    /// # Errors
    /// As [`Parameters::check`]; the value then stays.
    pub fn set(&mut self, name: &str, value: &ParameterValue) -> Result<bool, ParameterError> {
        let value = self.check(name, value)?;
        let before = self.values.insert(name.to_owned(), value.clone());
        Ok(before.as_ref() != Some(&value))
    }

    /// Says whether a managed node is configured.
    pub fn set_configured(&mut self, configured: bool) {
        self.configured = configured;
    }

    /// The parameters `prefix.*` as one value, with a dot for each level.
    ///
    /// # Errors
    /// [`ParameterError::Section`] when they do not make one.
    pub fn section<T: DeserializeOwned>(&self, prefix: &str) -> Result<T, ParameterError> {
        let mut section = serde_json::Map::new();
        for (name, value) in &self.values {
            let Some(path) = name.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('.')) else { continue };
            let value = match value {
                ParameterValue::Bool(value) => (*value).into(),
                ParameterValue::Integer(value) => (*value).into(),
                ParameterValue::Double(value) => (*value).into(),
                ParameterValue::String(value) => value.clone().into(),
                _ => continue,
            };
            let mut level = &mut section;
            let mut keys = path.split('.').peekable();
            while let Some(key) = keys.next() {
                if keys.peek().is_none() {
                    level.insert(key.to_owned(), value);
                    break;
                }
                let inner = level.entry(key).or_insert_with(|| serde_json::Map::new().into());
                let Some(inner) = inner.as_object_mut() else { break };
                level = inner;
            }
        }
        serde_json::from_value(section.into())
            .map_err(|error| ParameterError::Section { prefix: prefix.to_owned(), message: with_suggestion(&error.to_string()) })
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

    /// The texts `name`, none for a name that is not a list of texts'.
    pub fn strings(&self, name: &str) -> &[String] {
        match self.values.get(name) {
            Some(ParameterValue::StringArray(values)) => values,
            _ => &[],
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
pub struct SharedParameters(Arc<Mutex<Parameters>>);

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
    fn a_bare_off_is_what_it_says() {
        let declarations = || vec![Declaration::choice("tilt", &["stop", "off"], ""), Declaration::choice("mode", &["fast"], "")];
        let given = |name: &str, value| Parameters::new(declarations(), &IndexMap::from([(name.to_owned(), value)]));
        assert_eq!(given("tilt", ParameterValue::Bool(false)).unwrap().string("tilt"), "off");
        assert!(given("tilt", ParameterValue::Bool(true)).is_err() && given("mode", ParameterValue::Bool(false)).is_err());
    }

    #[test]
    fn whole_numbers_pass_as_numbers_and_as_text_and_ros_own_names_pass() {
        assert_eq!(given("gate", ParameterValue::Integer(0)).unwrap().double("gate"), 0.0);
        assert_eq!(given("policy", ParameterValue::Integer(20_261_129)).unwrap().string("policy"), "20261129");
        assert!(given("mode", ParameterValue::Integer(2)).is_err());
        assert!(given("use_sim_time", ParameterValue::Bool(true)).is_ok());
    }

    #[test]
    fn parameters_that_would_set_the_qos_are_ignored_by_name() {
        let depth = "qos_overrides./joint_states.subscription.depth";
        let parameters = given(depth, ParameterValue::Integer(1)).unwrap();
        assert_eq!((parameters.ignored(), parameters.value(depth)), (&[depth.to_owned()][..], None));
        assert!(given("start_type_description_service", ParameterValue::Bool(true)).unwrap().ignored().is_empty());
        assert!(given("qos_override", ParameterValue::Integer(1)).is_err());
    }

    #[test]
    fn parameters_of_a_managed_node_change_while_it_is_unconfigured() {
        let declarations = || vec![Declaration::string("policy", "", "a policy file").configurable()];
        let mut parameters = Parameters::new(declarations(), &IndexMap::new()).unwrap();
        let value = |text: &str| ParameterValue::String(text.into());
        assert_eq!(parameters.set("policy", &value("a")), Ok(true));
        parameters.set_configured(true);
        assert_eq!(parameters.set("policy", &value("a")), Ok(false));
        assert_eq!(parameters.set("policy", &value("b")), Err(ParameterError::Configured { name: "policy".into() }));
    }

    #[test]
    fn a_section_is_what_its_names_say() {
        let declarations = vec![
            Declaration::double("safety.fade_in", 1.5, (0.0, 9.0), ""),
            Declaration::string("safety.reactions.tilt", "warn", ""),
        ];
        let parameters = Parameters::new(declarations, &IndexMap::new()).unwrap();
        let safety: crate::safety::SafetyDescription = parameters.section("safety").unwrap();
        assert_eq!((safety.fade_in, safety.reactions.tilt), (1.5, crate::safety::Reaction::Warn));
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
