//! The six parameter services and `/parameter_events`.
//!
//! r2r serves parameters too, but without ranges and read-only marks in descriptions, without events, and with a panic when a client has gone.

use r2r::rcl_interfaces::msg::{
    FloatingPointRange, IntegerRange, ListParametersResult, Parameter, ParameterDescriptor, ParameterEvent,
    ParameterType as Type, ParameterValue as Message, SetParametersResult,
};
use r2r::rcl_interfaces::srv::{
    DescribeParameters, GetParameterTypes, GetParameters, ListParameters, SetParameters, SetParametersAtomically,
};
use r2r::{ParameterValue, Publisher};
use std::cell::RefCell;
use std::future::ready;
use std::rc::Rc;

use super::clock::ros_stamp;
use super::node::{NodeError, Shell};
use super::parameters::{Changes, Declaration, SharedParameters};
use super::qos;

/// What hears of a value that was set, by name, and whether it was another before.
type Heard = Box<dyn FnMut(&str, &ParameterValue, bool)>;

/// What hears of values that were set, and tells others of those that changed.
struct Changed {
    node: String,
    events: Publisher<ParameterEvent>,
    heard: Heard,
}

/// Serves `parameters`. `heard` hears on the spin thread of each that was set, also to the value that it had, and whether it changed: who
/// sets `emergency_stop` to true means it, whatever became of the last one.
pub(super) fn serve(
    shell: &mut Shell,
    parameters: &SharedParameters,
    heard: impl FnMut(&str, &ParameterValue, bool) + 'static,
) -> Result<(), NodeError> {
    let events = shell.publisher("/parameter_events", qos::parameter_events())?;
    let changed = Rc::new(RefCell::new(Changed { node: shell.full_name()?, events, heard: Box::new(heard) }));

    let shared = parameters.clone();
    shell.serve::<ListParameters::Service, _>("~/list_parameters", move |request| {
        let result = listed(shared.read().names(), &request.prefixes, request.depth);
        ready(ListParameters::Response { result })
    })?;
    let shared = parameters.clone();
    shell.serve::<GetParameters::Service, _>("~/get_parameters", move |request| {
        let parameters = shared.read();
        let value = |name: &String| parameters.value(name).map_or_else(Message::default, message);
        ready(GetParameters::Response { values: request.names.iter().map(value).collect() })
    })?;
    let shared = parameters.clone();
    shell.serve::<GetParameterTypes::Service, _>("~/get_parameter_types", move |request| {
        let parameters = shared.read();
        let kind = |name: &String| parameters.value(name).map_or(Type::PARAMETER_NOT_SET as u8, |value| message(value).type_);
        ready(GetParameterTypes::Response { types: request.names.iter().map(kind).collect() })
    })?;
    let shared = parameters.clone();
    shell.serve::<DescribeParameters::Service, _>("~/describe_parameters", move |request| {
        let parameters = shared.read();
        let describe = |name: &String| match parameters.declaration(name) {
            Ok(declaration) => descriptor(declaration),
            Err(_) => ParameterDescriptor { name: name.clone(), ..ParameterDescriptor::default() },
        };
        ready(DescribeParameters::Response { descriptors: request.names.iter().map(describe).collect() })
    })?;
    let (shared, listeners) = (parameters.clone(), changed.clone());
    shell.serve::<SetParameters::Service, _>("~/set_parameters", move |request| {
        let mut set = Vec::new();
        let results = request.parameters.iter().map(|parameter| {
            let checked = shared.read().set(&parameter.name, &value(&parameter.value));
            checked
                .map(|is_changed| set.push((parameter.name.clone(), is_changed)))
                .map_or_else(|error| refused(&error), |()| accepted())
        });
        let results = results.collect();
        listeners.borrow_mut().tell(&shared, set);
        ready(SetParameters::Response { results })
    })?;
    let (shared, listeners) = (parameters.clone(), changed);
    shell.serve::<SetParametersAtomically::Service, _>("~/set_parameters_atomically", move |request| {
        let given: Vec<_> = request.parameters.iter().map(|parameter| (&parameter.name, value(&parameter.value))).collect();
        let checked = given.iter().try_for_each(|(name, value)| shared.read().check(name, value).map(|_| ()));
        let result = match checked {
            Err(error) => refused(&error),
            Ok(()) => {
                // All of them were checked.
                let set =
                    |(name, value): &(&String, ParameterValue)| Some(((*name).clone(), shared.read().set(name, value).ok()?));
                let set = given.iter().filter_map(set).collect();
                listeners.borrow_mut().tell(&shared, set);
                accepted()
            }
        };
        ready(SetParametersAtomically::Response { result })
    })
}

impl Changed {
    /// Tells of the parameters that were set, each with whether it changed.
    fn tell(&mut self, parameters: &SharedParameters, set: Vec<(String, bool)>) {
        let present = |(name, is_changed): (String, bool)| {
            let value = parameters.read().value(&name).cloned()?;
            Some((name, value, is_changed))
        };
        let set: Vec<(String, ParameterValue, bool)> = set.into_iter().filter_map(present).collect();
        // First what has to happen, then the news of it.
        for (name, value, is_changed) in &set {
            (self.heard)(name, value, *is_changed);
        }
        let changed = set.iter().filter(|(.., is_changed)| *is_changed);
        let changed_parameters: Vec<_> =
            changed.map(|(name, value, _)| Parameter { name: name.clone(), value: message(value) }).collect();
        if changed_parameters.is_empty() {
            return;
        }
        let (stamp, node) = (ros_stamp(), self.node.clone());
        let event = ParameterEvent { stamp, node, changed_parameters, ..ParameterEvent::default() };
        if let Err(error) = self.events.publish(&event) {
            tracing::warn!("a parameter event could not be published: {error}");
        }
    }
}

/// Those of `names` that are one of `prefixes` or lie below it, or all where there are none, and what stands before their last dots.
/// `depth` counts as in rclcpp: 1 takes what lies directly below the prefix, 0 all.
fn listed<'a>(names: impl Iterator<Item = &'a str>, prefixes: &[String], depth: u64) -> ListParametersResult {
    let is_within = |rest: &str| depth == 0 || (rest.matches('.').count() as u64) < depth;
    let is_under = |name: &str, prefix: &String| match name.strip_prefix(prefix.as_str()) {
        Some("") => true,
        Some(rest) => rest.strip_prefix('.').is_some_and(is_within),
        None => false,
    };
    let is_meant = |name: &&str| match prefixes {
        [] => is_within(name),
        prefixes => prefixes.iter().any(|prefix| is_under(name, prefix)),
    };
    let names: Vec<String> = names.filter(is_meant).map(str::to_owned).collect();
    let mut before = Vec::<String>::new();
    for (prefix, _) in names.iter().filter_map(|name| name.rsplit_once('.')) {
        if !before.iter().any(|known| known == prefix) {
            before.push(prefix.to_owned());
        }
    }
    ListParametersResult { names, prefixes: before }
}

fn accepted() -> SetParametersResult {
    SetParametersResult { successful: true, reason: String::new() }
}

fn refused(reason: &dyn std::fmt::Display) -> SetParametersResult {
    SetParametersResult { successful: false, reason: reason.to_string() }
}

fn descriptor(declaration: &Declaration) -> ParameterDescriptor {
    let mut descriptor = ParameterDescriptor {
        name: declaration.name().to_owned(),
        type_: message(declaration.default()).type_,
        description: declaration.description().to_owned(),
        read_only: declaration.changes() == Changes::Never,
        ..ParameterDescriptor::default()
    };
    if let Some((from, to)) = declaration.range() {
        match declaration.default() {
            ParameterValue::Integer(_) => {
                descriptor.integer_range = vec![IntegerRange { from_value: from as i64, to_value: to as i64, step: 0 }];
            }
            _ => {
                descriptor.floating_point_range = vec![FloatingPointRange { from_value: from, to_value: to, step: 0.0 }];
            }
        }
    }
    let mut constraints = Vec::new();
    if !declaration.choices().is_empty() {
        constraints.push(format!("one of {}", declaration.choices().join(", ")));
    }
    if declaration.changes() == Changes::WhileUnconfigured {
        constraints.push("may change while the node is unconfigured".to_owned());
    }
    descriptor.additional_constraints = constraints.join("; ");
    descriptor
}

fn message(value: &ParameterValue) -> Message {
    let of = |type_: u8| Message { type_, ..Message::default() };
    match value.clone() {
        ParameterValue::NotSet => of(Type::PARAMETER_NOT_SET as u8),
        ParameterValue::Bool(bool_value) => Message { bool_value, ..of(Type::PARAMETER_BOOL as u8) },
        ParameterValue::Integer(integer_value) => Message { integer_value, ..of(Type::PARAMETER_INTEGER as u8) },
        ParameterValue::Double(double_value) => Message { double_value, ..of(Type::PARAMETER_DOUBLE as u8) },
        ParameterValue::String(string_value) => Message { string_value, ..of(Type::PARAMETER_STRING as u8) },
        ParameterValue::BoolArray(bool_array_value) => Message { bool_array_value, ..of(Type::PARAMETER_BOOL_ARRAY as u8) },
        ParameterValue::ByteArray(byte_array_value) => Message { byte_array_value, ..of(Type::PARAMETER_BYTE_ARRAY as u8) },
        ParameterValue::IntegerArray(integer_array_value) => {
            Message { integer_array_value, ..of(Type::PARAMETER_INTEGER_ARRAY as u8) }
        }
        ParameterValue::DoubleArray(double_array_value) => {
            Message { double_array_value, ..of(Type::PARAMETER_DOUBLE_ARRAY as u8) }
        }
        ParameterValue::StringArray(string_array_value) => {
            Message { string_array_value, ..of(Type::PARAMETER_STRING_ARRAY as u8) }
        }
    }
}

fn value(message: &Message) -> ParameterValue {
    let message = message.clone();
    match message.type_ {
        kind if kind == Type::PARAMETER_BOOL as u8 => ParameterValue::Bool(message.bool_value),
        kind if kind == Type::PARAMETER_INTEGER as u8 => ParameterValue::Integer(message.integer_value),
        kind if kind == Type::PARAMETER_DOUBLE as u8 => ParameterValue::Double(message.double_value),
        kind if kind == Type::PARAMETER_STRING as u8 => ParameterValue::String(message.string_value),
        kind if kind == Type::PARAMETER_BYTE_ARRAY as u8 => ParameterValue::ByteArray(message.byte_array_value),
        kind if kind == Type::PARAMETER_BOOL_ARRAY as u8 => ParameterValue::BoolArray(message.bool_array_value),
        kind if kind == Type::PARAMETER_INTEGER_ARRAY as u8 => ParameterValue::IntegerArray(message.integer_array_value),
        kind if kind == Type::PARAMETER_DOUBLE_ARRAY as u8 => ParameterValue::DoubleArray(message.double_array_value),
        kind if kind == Type::PARAMETER_STRING_ARRAY as u8 => ParameterValue::StringArray(message.string_array_value),
        _ => ParameterValue::NotSet,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_depth_of_a_list_counts_from_the_prefix() {
        let names = ["gate", "safety.latency", "safety.reactions.latency", "safety.reactions.tilt", "safety.tilt", "safety_net"];
        let list = |prefixes: &[&str], depth| {
            let prefixes: Vec<String> = prefixes.iter().map(|&prefix| prefix.to_owned()).collect();
            let ListParametersResult { names, prefixes } = listed(names.into_iter(), &prefixes, depth);
            (names, prefixes)
        };
        assert_eq!(list(&["safety"], 1).0, ["safety.latency", "safety.tilt"]);
        assert_eq!(list(&["safety"], 2).0, names[1..5]);
        assert_eq!(list(&["safety"], 0).0, names[1..5]);
        assert_eq!(list(&["safety"], 0).1, ["safety", "safety.reactions"], "each once");
        assert_eq!(list(&["safety.reactions"], 1).0, names[2..4]);
        assert_eq!(list(&["gate", "safety.tilt"], 1).0, ["gate", "safety.tilt"], "a prefix that is a parameter itself");
        assert_eq!(list(&["saf", ""], 0).0.len(), 0);
        assert_eq!(list(&[], 1).0, ["gate", "safety_net"]);
        assert_eq!(list(&[], 2).0, ["gate", "safety.latency", "safety.tilt", "safety_net"]);
        assert_eq!(list(&[], 0).0, names);
    }
}
