//! The services that a page may call, and what their requests hold.

use include_dir::{Dir, include_dir};
use serde_json::{Map, Value};

use super::protocol::ServiceEntry;

static DEFINITIONS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/srv");

/// The service that stops the robot.
pub(super) const EMERGENCY_STOP: &str = "policy/emergency_stop";
/// The service that ends a stop.
pub(super) const RELEASE: &str = "policy/release";

/// Every service that the page knows: its relative name and its type. Nothing else can be called through the viewer.
const SERVICES: [(&str, &str); 13] = [
    ("policy/set_gate", "hebbian_locomotion/srv/SetGate"),
    ("policy/reset_weights", "hebbian_locomotion/srv/ResetWeights"),
    ("policy/roll_back", "hebbian_locomotion/srv/RollBack"),
    ("policy/save_weights", "hebbian_locomotion/srv/SaveWeights"),
    ("policy/restore_weights", "hebbian_locomotion/srv/RestoreWeights"),
    (EMERGENCY_STOP, "std_srvs/srv/Trigger"),
    (RELEASE, "std_srvs/srv/Trigger"),
    ("simulator/reset", "hebbian_locomotion/srv/Reset"),
    ("simulator/pause", "std_srvs/srv/SetBool"),
    ("simulator/step", "hebbian_locomotion/srv/Step"),
    ("simulator/set_terrain", "hebbian_locomotion/srv/SetTerrain"),
    ("simulator/set_damage", "hebbian_locomotion/srv/SetDamage"),
    ("simulator/push", "hebbian_locomotion/srv/Push"),
];

/// Why a request was not sent.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// No object.
    #[error("a request must be an object of fields")]
    NotAnObject,
    /// A field that the service does not have: without a check the value meant would silently be the default.
    #[error("the service {service} has no field `{field}`; it has: {known}")]
    UnknownField {
        /// Which service.
        service: String,
        /// The field given.
        field: String,
        /// The fields that it has.
        known: String,
    },
    /// A list of another length than the message has, which the conversion to a ROS message does not survive.
    #[error("the field `{field}` of {service} holds {expected} values, not {given}")]
    Length {
        /// Which service.
        service: String,
        /// The field.
        field: String,
        /// Values given.
        given: usize,
        /// Values of the message.
        expected: usize,
    },
    /// A text that ROS cannot carry.
    #[error("the field `{field}` of {service} holds a text with a NUL character, which no ROS message can carry")]
    Nul {
        /// Which service.
        service: String,
        /// The field.
        field: String,
    },
}

/// The file that weights are saved in where no other is named: in the folder `home`, where nobody else can put one, and with the `namespace`
/// of the robot in its name, so that two robots of one policy do not share it.
pub fn default_weights_file(home: &str, namespace: &str) -> String {
    // No name in ROS has a dot: no two namespaces make one file.
    let mut robot = namespace.trim_matches('/').replace('/', ".");
    if !robot.is_empty() {
        robot.insert(0, '.');
    }
    format!("{}/hebbian_viewer_weights{robot}.safetensors", home.trim_end_matches('/'))
}

/// All services whose types this build knows; none is offered yet.
pub fn known_services() -> Vec<ServiceEntry> {
    let entry = |(name, kind): (&str, &str)| {
        let request = request_fields(kind)?;
        Some(ServiceEntry { name: name.to_owned(), kind: kind.to_owned(), offered: false, request })
    };
    SERVICES.into_iter().filter_map(entry).collect()
}

/// The fields of a request, each with its type; `None` for a type that this build does not know.
fn request_fields(kind: &str) -> Option<Map<String, Value>> {
    let field = |name: &str, kind: &str| (name.to_owned(), Value::from(kind));
    match kind {
        "std_srvs/srv/SetBool" => Some(Map::from_iter([field("data", "bool")])),
        "std_srvs/srv/Trigger" => Some(Map::new()),
        _ => {
            let name = kind.strip_prefix("hebbian_locomotion/srv/")?;
            let definition = DEFINITIONS.get_file(format!("{name}.srv"))?.contents_utf8()?;
            let lines = definition.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
            let request = lines.take_while(|line| *line != "---");
            // `type name`, or `type name default`; a constant is `type NAME=value`.
            Some(
                request
                    .filter_map(|line| line.split_once(char::is_whitespace))
                    .filter_map(|(kind, rest)| {
                        let name = rest.split_whitespace().next()?;
                        (!rest.contains('=')).then(|| field(name, kind))
                    })
                    .collect(),
            )
        }
    }
}

/// Checks that `request` names only fields that the service has, with values that a ROS message can hold. What is of another type the
/// conversion to a ROS message refuses. A stop is refused for no field.
///
/// # Errors
/// [`RequestError`] says what is wrong with the first that is.
pub fn check_request(service: &ServiceEntry, request: &Value) -> Result<(), RequestError> {
    let fields = match request {
        Value::Null => return Ok(()),
        Value::Object(fields) => fields,
        _ => return Err(RequestError::NotAnObject),
    };
    for (field, value) in fields {
        let (service_name, field_name) = (|| service.name.clone(), || field.clone());
        let Some(kind) = service.request.get(field) else {
            // A page of an older viewer, in which the service had a field, may still be open. The conversion leaves it out.
            if service.name == EMERGENCY_STOP {
                continue;
            }
            let known = service.request.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            let known = if known.is_empty() { "none".to_owned() } else { known };
            return Err(RequestError::UnknownField { service: service_name(), field: field_name(), known });
        };
        if let (Some(expected), Value::Array(values)) = (fixed_length(kind), value)
            && values.len() != expected
        {
            let given = values.len();
            return Err(RequestError::Length { service: service_name(), field: field_name(), given, expected });
        }
        if has_nul(value) {
            return Err(RequestError::Nul { service: service_name(), field: field_name() });
        }
    }
    Ok(())
}

/// Values in a field of the type `kind`, such as `float64[3]`; `None` where there may be any number.
fn fixed_length(kind: &Value) -> Option<usize> {
    let (_, length) = kind.as_str()?.strip_suffix(']')?.split_once('[')?;
    length.parse().ok()
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(values) => values.iter().any(has_nul),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn service(name: &str) -> ServiceEntry {
        known_services().into_iter().find(|service| service.name == name).unwrap()
    }

    #[test]
    fn requests_are_known_from_the_definitions() {
        let set_gate = service("policy/set_gate");
        assert_eq!(Value::Object(set_gate.request), json!({"gate": "float32", "layer_gates": "float32[]"}));
        assert_eq!(Value::Object(service("simulator/pause").request), json!({"data": "bool"}));
        assert!([EMERGENCY_STOP, RELEASE].iter().all(|name| service(name).request.is_empty()));
        assert_eq!(service("simulator/reset").request.len(), 7);
    }

    #[test]
    fn a_field_that_the_service_does_not_have_is_named() {
        let set_gate = service("policy/set_gate");
        assert_eq!(check_request(&set_gate, &json!({"gate": 0.5})), Ok(()));
        assert_eq!(check_request(&set_gate, &Value::Null), Ok(()));
        let error = check_request(&set_gate, &json!({"gaet": 1.0})).unwrap_err().to_string();
        assert_eq!(error, "the service policy/set_gate has no field `gaet`; it has: gate, layer_gates");
        assert_eq!(check_request(&set_gate, &json!([1.0])), Err(RequestError::NotAnObject));
    }

    #[test]
    fn a_stop_is_refused_for_no_field_as_a_release_is() {
        for request in [Value::Null, json!({}), json!({"data": true})] {
            assert_eq!(check_request(&service(EMERGENCY_STOP), &request), Ok(()), "{request}");
        }
        assert_eq!(check_request(&service(RELEASE), &json!({})), Ok(()));
        let error = check_request(&service(RELEASE), &json!({"data": true})).unwrap_err().to_string();
        assert_eq!(error, "the service policy/release has no field `data`; it has: none");
    }

    #[test]
    fn each_namespace_has_a_weights_file_of_its_own() {
        let file = |namespace| default_weights_file("/home/robot", namespace);
        assert_eq!(file("/"), "/home/robot/hebbian_viewer_weights.safetensors");
        assert_eq!(file("/lab/beetle"), "/home/robot/hebbian_viewer_weights.lab.beetle.safetensors");
        assert_ne!(file("/lab/beetle"), file("/lab_beetle"));
    }

    #[test]
    fn what_no_ros_message_can_hold_is_refused() {
        let push = service("simulator/push");
        assert_eq!(check_request(&push, &json!({"force": [0.0, 20.0, 0.0]})), Ok(()));
        let error = check_request(&push, &json!({"force": [0.0, 20.0]})).unwrap_err().to_string();
        assert_eq!(error, "the field `force` of simulator/push holds 3 values, not 2");
        let save = service("policy/save_weights");
        assert_eq!(check_request(&save, &json!({"path": "a/b"})), Ok(()));
        assert!(
            matches!(check_request(&save, &json!({"path": "a\0b"})), Err(RequestError::Nul { field, .. }) if field == "path")
        );
        let reset = service("simulator/reset");
        assert!(matches!(check_request(&reset, &json!({"joints": ["\0"]})), Err(RequestError::Nul { .. })));
    }
}
