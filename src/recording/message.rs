//! The messages of this suite as values, decoded from the bytes of a bag without ROS.

use byteorder::{BigEndian, LittleEndian};
use cdr_encoding::from_bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{BagError, BagMessage};
use crate::robot::Stamp;

/// A message type that is decoded here.
pub trait Message: DeserializeOwned {
    /// Its name.
    const TYPE: &'static str;
    /// Its text, for a type of this suite: one recorded by another version may have other fields.
    const TEXT: Option<&'static str> = None;
}

/// builtin_interfaces/msg/Time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Time {
    /// Seconds.
    pub sec: i32,
    /// Nanoseconds.
    pub nanosec: u32,
}

/// std_msgs/msg/Header.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Header {
    /// Time.
    pub stamp: Time,
    /// Frame.
    pub frame_id: String,
}

impl Header {
    /// The time \[ns\].
    pub fn stamp(&self) -> Stamp {
        i64::from(self.stamp.sec) * 1_000_000_000 + i64::from(self.stamp.nanosec)
    }
}

/// hebbian_locomotion/msg/PolicyStep; see there.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[expect(missing_docs, reason = "msg/PolicyStep.msg says what they are")]
pub struct PolicyStep {
    pub header: Header,
    pub seed: u64,
    pub step: u64,
    pub interventions: u32,
    pub joint_position: Vec<f32>,
    pub joint_velocity: Vec<f32>,
    pub orientation: [f32; 4],
    pub angular_velocity: [f32; 3],
    pub linear_acceleration: [f32; 3],
    pub foot_contact: Vec<bool>,
    pub foot_force: Vec<f32>,
    pub gate_command: Vec<f32>,
    pub action: Vec<f32>,
    pub targets: Vec<f32>,
}

impl Message for PolicyStep {
    const TYPE: &'static str = "hebbian_locomotion/msg/PolicyStep";
    const TEXT: Option<&'static str> = Some(include_str!("../../msg/PolicyStep.msg"));
}

/// hebbian_locomotion/msg/PlasticityState; see there.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[expect(missing_docs, reason = "msg/PlasticityState.msg says what they are")]
pub struct PlasticityState {
    pub header: Header,
    pub step: u64,
    pub gate: f32,
    pub layer_gates: Vec<f32>,
    pub gate_reason: String,
    pub gate_detail: String,
    pub weights_max_abs: Vec<f32>,
    pub weights_norm: Vec<f32>,
    pub weight_change_mean: Vec<f32>,
    pub compute_time: f32,
    pub sensor_age: f32,
    pub missed_steps: u64,
    pub rejected_messages: u64,
}

impl Message for PlasticityState {
    const TYPE: &'static str = "hebbian_locomotion/msg/PlasticityState";
    const TEXT: Option<&'static str> = Some(include_str!("../../msg/PlasticityState.msg"));
}

/// hebbian_locomotion/msg/WeightSnapshot; see there.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[expect(missing_docs, reason = "msg/WeightSnapshot.msg says what they are")]
pub struct WeightSnapshot {
    pub header: Header,
    pub step: u64,
    pub weights: Vec<f32>,
}

impl Message for WeightSnapshot {
    const TYPE: &'static str = "hebbian_locomotion/msg/WeightSnapshot";
    const TEXT: Option<&'static str> = Some(include_str!("../../msg/WeightSnapshot.msg"));
}

/// hebbian_locomotion/msg/WeightsLayout; see there.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[expect(missing_docs, reason = "msg/WeightsLayout.msg says what they are")]
pub struct WeightsLayout {
    pub policy: String,
    pub policy_hash: String,
    pub layers: Vec<String>,
    pub inputs: Vec<u32>,
    pub outputs: Vec<u32>,
    pub input_names: Vec<String>,
    pub output_names: Vec<String>,
}

impl Message for WeightsLayout {
    const TYPE: &'static str = "hebbian_locomotion/msg/WeightsLayout";
    const TEXT: Option<&'static str> = Some(include_str!("../../msg/WeightsLayout.msg"));
}

/// sensor_msgs/msg/JointState.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[expect(missing_docs, reason = "sensor_msgs/msg/JointState.msg says what they are")]
pub struct JointState {
    pub header: Header,
    pub name: Vec<String>,
    pub position: Vec<f64>,
    pub velocity: Vec<f64>,
    pub effort: Vec<f64>,
}

impl Message for JointState {
    const TYPE: &'static str = "sensor_msgs/msg/JointState";
}

impl BagMessage {
    /// The message as a value.
    ///
    /// # Errors
    /// [`BagError::Message`] when it is of another type, of another version of the type, or its bytes are not such a message.
    pub fn decode<T: Message>(&self) -> Result<T, BagError> {
        let failed = |problem: String| BagError::Message { topic: self.topic().to_owned(), kind: T::TYPE, problem };
        if self.kind() != T::TYPE {
            return Err(failed(format!("it is a `{}`", self.kind())));
        }
        if let Some(text) = T::TEXT
            && !fields(text.as_bytes()).eq(fields(self.definition()))
        {
            let problem =
                "it was recorded with other fields than this version of the suite knows; use the version that recorded it";
            return Err(failed(problem.to_owned()));
        }
        decode_cdr(&self.data).map_err(failed)
    }
}

/// A value from CDR bytes, the four in front included (OMG DDSI-RTPS 10.2: representation identifier and options).
fn decode_cdr<T: DeserializeOwned>(data: &[u8]) -> Result<T, String> {
    let Some((&[0, order, _, _], body)) = data.split_first_chunk() else {
        return Err("it does not begin as CDR does".to_owned());
    };
    let value = match order {
        0 => from_bytes::<T, BigEndian>(body),
        1 => from_bytes::<T, LittleEndian>(body),
        _ => return Err(format!("its representation is {order}, not plain CDR")),
    };
    value.map(|(value, _)| value).map_err(|error| error.to_string())
}

/// The lines of a type's text that say something, up to the first contained type.
fn fields(text: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    let lines = text.split(|&byte| byte == b'\n').take_while(|line| !line.starts_with(b"====="));
    lines.filter_map(|line| {
        let said = line.split(|&byte| byte == b'#').next()?;
        let words: Vec<&[u8]> = said.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).collect();
        (!words.is_empty()).then(|| words.join(&b' '))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `std_msgs/Header` 3.5 s "imu", step 7, weights 0.5 and -1, as Fast DDS writes it.
    const SNAPSHOT: [u8; 44] = [
        0, 1, 0, 0, 3, 0, 0, 0, 0, 101, 205, 29, 4, 0, 0, 0, b'i', b'm', b'u', 0, 7, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0,
        63, 0, 0, 128, 191, 0, 0, 0, 0,
    ];

    #[test]
    fn bytes_of_ros_are_understood() {
        // A sequence of two floats ends at 40; the padding behind is no part of it.
        let snapshot: WeightSnapshot = decode_cdr(&SNAPSHOT[..40]).unwrap();
        assert_eq!((snapshot.header.stamp(), snapshot.header.frame_id.as_str()), (3_500_000_000, "imu"));
        assert_eq!((snapshot.step, snapshot.weights), (7, vec![0.5, -1.0]));
    }

    #[test]
    fn bytes_that_end_too_early_or_are_something_else_are_refused() {
        for length in 0..40 {
            assert!(decode_cdr::<WeightSnapshot>(&SNAPSHOT[..length]).is_err(), "{length} bytes");
        }
        let mut other = SNAPSHOT;
        other[1] = 3;
        assert_eq!(decode_cdr::<WeightSnapshot>(&other).unwrap_err(), "its representation is 3, not plain CDR");
        // A length that the message does not have must not be allocated.
        let mut long = SNAPSHOT;
        long[28..32].fill(255);
        assert!(decode_cdr::<WeightSnapshot>(&long).is_err());
    }

    #[test]
    fn comments_and_spaces_make_no_other_type() {
        let same = |a: &str, b: &str| fields(a.as_bytes()).eq(fields(b.as_bytes()));
        assert!(same("# x\nuint64 step  # y\n\n", "uint64   step\n=====\nMSG: a/B\nint8 z\n"));
        assert!(!same("uint64 step", "uint32 step"));
    }
}
