//! What goes over the WebSocket `/ws`, version 1.
//!
//! To the browser, JSON text with a field `type`:
//!
//! | type | fields | when |
//! |---|---|---|
//! | `description` | `urdf` | once, and when it changes |
//! | `names` | `joints`, `feet`, and `motors`: the joints that the simulator takes damage to; null: none has said so | once, and when they change |
//! | `layout` | those of WeightsLayout.msg | once, and with a new policy |
//! | `ground` | `shapes`: for each `position` \[m\], `orientation` (x, y, z, w) and `size` \[m\] of a box or `points` \[m, three per triangle\] | on change; none: flat |
//! | `services` | `services`: for each `name`, `type`, `offered`, `request` (its fields and their types); `weights_file`, to save weights in | on change |
//! | `state` | [`StateFrame`] | at the frame rate, and at least once a second |
//! | `answer` | `id`, and `response` (the service's fields) or `error` | once for each call |
//!
//! Binary frames, little-endian, whose first byte is their kind:
//!
//! | kind | content |
//! |---|---|
//! | 1 weights | u8 kind, 7 bytes of 0, u64 step, f64 time \[s\], then all weights as f32, as in WeightSnapshot.msg |
//! | 2 reference | u8 kind, u8 components, 6 bytes of 0, u64 synapses, u64 points, then f32: mean \[synapses\], basis \[components, synapses\], points \[points, components\] |
//!
//! From the browser, JSON text only: `{"type": "call", "id": 7, "service": "policy/set_gate", "request": {"gate": 0.5}}`. Fields that are
//! left out have their defaults; unknown ones are refused, save those of an emergency stop. A text that is none of these, a binary frame, or
//! a message of more than 64 KiB closes the connection with a reason. Of one browser at most 16 calls wait for their answers, emergency stops
//! and releases not counted; what comes beyond is answered with an error at once. A browser too many is let in only to hear so: its
//! connection is closed with code 1013 and the reason.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::picture::{BasePose, Feet, Plasticity, Presence, Simulation};

/// Largest message accepted from a browser \[bytes\].
pub const LARGEST_REQUEST: usize = 64 * 1024;

/// A message from a browser.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Calls a service.
    Call {
        /// Comes back in the answer.
        id: u32,
        /// Name of the service.
        service: String,
        /// Fields of its request.
        #[serde(default)]
        request: Value,
    },
}

/// The answer to a call.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "answer")]
pub struct Answer {
    /// That of the call.
    pub id: u32,
    /// What the service responded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<Value>,
    /// Why there is no response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Answer {
    /// To the call `id`.
    pub fn new(id: u32, result: Result<Value, String>) -> Self {
        match result {
            Ok(response) => Self { id, response: Some(response), error: None },
            Err(error) => Self { id, response: None, error: Some(error) },
        }
    }
}

/// The robot's description.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "description")]
pub struct DescriptionFrame<'a> {
    /// URDF.
    pub urdf: &'a str,
}

/// Names that the arrays of the states belong to, and those that damage can name.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "names")]
pub struct NamesFrame<'a> {
    pub(super) joints: &'a [String],
    pub(super) feet: &'a [String],
    /// Not joints that mimic others, and not locked ones.
    pub(super) motors: Option<&'a [String]>,
}

/// What the weights mean, as in WeightsLayout.msg.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "layout")]
#[allow(missing_docs)]
pub struct LayoutFrame<'a> {
    pub policy: &'a str,
    pub policy_hash: &'a str,
    pub layers: &'a [String],
    pub inputs: &'a [u32],
    pub outputs: &'a [u32],
    pub input_names: &'a [String],
    pub output_names: &'a [String],
}

/// One piece of the ground, in the world.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GroundShape {
    /// Position \[m\].
    pub position: [f32; 3],
    /// Orientation as x, y, z, w.
    pub orientation: [f32; 4],
    /// Its form.
    #[serde(flatten)]
    pub form: GroundForm,
}

/// Form of a piece of ground.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GroundForm {
    /// Lengths of a box's edges \[m\].
    Size([f32; 3]),
    /// Corners of triangles, three numbers each \[m\].
    Points(Vec<f32>),
}

/// The ground around the robot.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "ground")]
pub struct GroundFrame<'a> {
    /// Its pieces.
    pub shapes: &'a [GroundShape],
}

/// One service that the page knows how to use.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ServiceEntry {
    /// Its name, relative as the viewer's namespace.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether a node offers it at present.
    pub offered: bool,
    /// The fields of its request, each with its type.
    pub request: Map<String, Value>,
}

/// Which services there are.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "services")]
pub struct ServicesFrame<'a> {
    /// All that the page knows, offered or not.
    pub services: &'a [ServiceEntry],
    /// The file, on the policy node's computer, that the page has weights saved in and restored from.
    pub weights_file: &'a str,
}

#[derive(Debug, Serialize)]
struct NodeFrame {
    presence: Presence,
    /// Since its last message \[s\].
    age: Option<f64>,
}

/// Who is there.
#[derive(Debug, Serialize)]
pub struct NodesFrame(BTreeMap<&'static str, NodeFrame>);

impl NodesFrame {
    pub(super) fn new(
        robot: (Presence, Option<f64>),
        policy: (Presence, Option<f64>),
        simulator: (Presence, Option<f64>),
    ) -> Self {
        let nodes = [("robot", robot), ("policy", policy), ("simulator", simulator)];
        Self(nodes.into_iter().map(|(name, (presence, age))| (name, NodeFrame { presence, age })).collect())
    }
}

/// The robot at one instant. Numbers that are not finite are null.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "state")]
pub struct StateFrame<'a> {
    /// Stamp of the joint angles \[s\].
    pub(super) time: f64,
    pub(super) nodes: NodesFrame,
    /// Joint angles \[rad\], in the order of the names.
    pub(super) joints: &'a [f32],
    pub(super) feet: &'a Feet,
    pub(super) base: Option<&'a BasePose>,
    /// The IMU's orientation as x, y, z, w.
    pub(super) imu: Option<&'a [f32; 4]>,
    pub(super) plasticity: Option<&'a Plasticity>,
    pub(super) simulation: Option<&'a Simulation>,
    /// What the policy node's supervisor says, with the fields of its message.
    pub(super) safety: Option<&'a Value>,
}

/// The binary frame of all weights after `step`, at `time` \[s\].
pub fn weights_frame(step: u64, time: f64, weights: &[f32]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(24 + 4 * weights.len());
    bytes.extend(1u64.to_le_bytes());
    bytes.extend(step.to_le_bytes());
    bytes.extend(time.to_le_bytes());
    extend(&mut bytes, weights);
    bytes
}

/// The binary frame of a reference: `basis` holds one row of `mean.len()` numbers per component, `points` one of `components`.
pub fn reference_frame(components: u8, mean: &[f32], basis: &[f32], points: &[f32]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(24 + 4 * (mean.len() + basis.len() + points.len()));
    bytes.extend([2, components, 0, 0, 0, 0, 0, 0]);
    bytes.extend((mean.len() as u64).to_le_bytes());
    bytes.extend(((points.len() / usize::from(components.max(1))) as u64).to_le_bytes());
    for part in [mean, basis, points] {
        extend(&mut bytes, part);
    }
    bytes
}

fn extend(bytes: &mut Vec<u8>, values: &[f32]) {
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_stand_behind_a_header_of_24_bytes() {
        let bytes = weights_frame(7, 1.5, &[0.25, -1.0]);
        assert_eq!(bytes.len(), 24 + 8);
        assert_eq!((bytes[0], u64::from_le_bytes(bytes[8..16].try_into().unwrap())), (1, 7));
        assert_eq!(f64::from_le_bytes(bytes[16..24].try_into().unwrap()), 1.5);
        assert_eq!(f32::from_le_bytes(bytes[28..32].try_into().unwrap()), -1.0);
    }

    #[test]
    fn a_reference_names_its_sizes() {
        let bytes = reference_frame(3, &[0.0; 5], &[0.0; 15], &[0.0; 6]);
        assert_eq!(bytes[..2], [2, 3]);
        let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
        assert_eq!((number(8), number(16), bytes.len()), (5, 2, 24 + 4 * 26));
    }

    #[test]
    fn requests_with_unknown_fields_or_types_are_refused() {
        let read = |text: &str| serde_json::from_str::<Request>(text).map(|_| ()).map_err(|error| error.to_string());
        assert!(read(r#"{"type":"call","id":1,"service":"policy/set_gate","request":{"gate":0.5}}"#).is_ok());
        assert!(read(r#"{"type":"call","id":1,"service":"s","args":{}}"#).unwrap_err().contains("args"));
        assert!(read(r#"{"type":"publish","id":1}"#).is_err());
        assert!(read(r#"{"type":"call","id":-1,"service":"s"}"#).is_err());
    }
}
