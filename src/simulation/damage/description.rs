//! What is wrong with a robot, as written by a person in an experiment file or a service call.

use serde::{Deserialize, Serialize};

/// One thing that is wrong with the robot, or happens to it. Several at once add up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Damage {
    /// The motor of a joint transmits no torque.
    LimpJoint {
        /// Joint.
        joint: String,
        /// While this holds.
        #[serde(default)]
        when: When,
    },
    /// A joint is seized.
    StuckJoint {
        /// Joint.
        joint: String,
        /// Angle \[rad\]; default: where it is when it seizes.
        #[serde(default)]
        angle: Option<f32>,
        /// While this holds.
        #[serde(default)]
        when: When,
    },
    /// The motor of a joint has a part of its torque left.
    WeakMotor {
        /// Joint.
        joint: String,
        /// Share that is left of the largest torque which the motor gives at rest, 0 to 1.
        torque: f32,
        /// While this holds.
        #[serde(default)]
        when: When,
    },
    /// The last segment of a limb, that which ends in a foot, is shorter.
    ShortenedLimb {
        /// Foot at its end.
        foot: String,
        /// Share of its length that is left, 0 to 1.
        length: f32,
        /// While this holds.
        #[serde(default)]
        when: When,
    },
    /// All that hangs on a joint is gone. Its joints stay where they were, its feet touch nothing.
    LostLeg {
        /// Joint at which the leg came off.
        joint: String,
        /// While this holds.
        #[serde(default)]
        when: When,
    },
    /// A point mass on a body.
    Payload {
        /// Mass \[kg\].
        mass: f32,
        /// Link that carries it; default: the base link.
        #[serde(default)]
        link: Option<String>,
        /// Place in the link's frame \[m\].
        #[serde(default)]
        position: [f32; 3],
        /// While this holds.
        #[serde(default)]
        when: When,
    },
    /// A force on a body, as of a hand or a gust.
    Push {
        /// Force along the world's axes \[N\].
        force: [f32; 3],
        /// How long it acts \[s\]; force times duration is the momentum that arrives.
        duration: f32,
        /// Link that it acts on; default: the base link.
        #[serde(default)]
        link: Option<String>,
        /// Where it acts, in the link's frame \[m\]; default: at the body's centre of mass.
        #[serde(default)]
        point: Option<[f32; 3]>,
        /// When it begins \[s\].
        #[serde(default)]
        from: f32,
    },
    /// A sensor fails to deliver.
    SensorDropout {
        /// Sensor.
        sensor: Sensor,
        /// Joint, foot, or axis (x, y, z); default: all. Not of the orientation, which drops out as a whole.
        #[serde(default)]
        of: Option<String>,
        /// Probability per control step.
        #[serde(default = "always")]
        probability: f32,
        /// What is read instead.
        #[serde(default)]
        reads: Reads,
        /// While this holds.
        #[serde(default)]
        when: When,
    },
    /// Gaussian noise on a sensor, new in every control step.
    SensorNoise {
        /// Sensor.
        sensor: Sensor,
        /// Joint, foot, or axis; default: all.
        #[serde(default)]
        of: Option<String>,
        /// Standard deviation, in the sensor's unit.
        sd: f32,
        /// While this holds.
        #[serde(default)]
        when: When,
    },
    /// A constant error of a sensor.
    SensorBias {
        /// Sensor.
        sensor: Sensor,
        /// Joint, foot, or axis; default: all.
        #[serde(default)]
        of: Option<String>,
        /// What is added, in the sensor's unit.
        value: f32,
        /// While this holds.
        #[serde(default)]
        when: When,
    },
    /// A sensor shows what was true some control steps ago.
    SensorDelay {
        /// Sensor.
        sensor: Sensor,
        /// Joint, foot, or axis; default: all. Not of the orientation, which comes late as a whole.
        #[serde(default)]
        of: Option<String>,
        /// Control steps.
        steps: u32,
        /// While this holds.
        #[serde(default)]
        when: When,
    },
    /// Commands reach the motors some control steps late.
    CommandDelay {
        /// Control steps.
        steps: u32,
        /// While this holds.
        #[serde(default)]
        when: When,
    },
    /// The base is lifted and held, so that no foot reaches the ground.
    Suspended {
        /// While this holds.
        #[serde(default)]
        when: When,
    },
}

/// A span of time, counted from the start of the episode (or from the call that set the damage), in whole physics steps. One in which nothing
/// could act is refused: it must hold in at least one physics step, and for a sensor in one at which sensors are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct When {
    /// Beginning \[s\].
    #[serde(default)]
    pub from: f32,
    /// End \[s\]; default: never.
    #[serde(default)]
    pub until: Option<f32>,
}

/// A group of sensor values, with its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sensor {
    /// Joint angles \[rad\].
    JointPosition,
    /// Joint speeds \[rad/s\].
    JointVelocity,
    /// Orientation of the base; noise and bias turn it about the base's axes \[rad\].
    Orientation,
    /// Angular velocity of the IMU \[rad/s\].
    AngularVelocity,
    /// Specific force of the IMU \[m/s²\].
    LinearAcceleration,
    /// Contact force of a foot \[N\], which also decides whether it touches.
    FootContact,
}

/// What a sensor that drops out reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reads {
    /// Its last value again.
    #[default]
    Last,
    /// Zero (no rotation, no contact).
    Zero,
}

fn always() -> f32 {
    1.0
}

/// Why a damage was refused. Nothing of the list that it came in takes effect.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DamageError {
    /// A name that the robot does not have.
    #[error("damage {number}: unknown {kind} `{name}`{}", hint.as_ref().map(|hint| format!("; did you mean `{hint}`?")).unwrap_or_default())]
    Unknown {
        /// Its number in the list, from 1.
        number: usize,
        /// "joint", "foot", "link" or "axis".
        kind: &'static str,
        /// Name given.
        name: String,
        /// The nearest that the robot has.
        hint: Option<String>,
    },
    /// A number out of range.
    #[error("damage {number}: `{key}` is {value}; it must be {lower} to {upper}")]
    Range {
        /// Its number in the list, from 1.
        number: usize,
        /// Which number.
        key: &'static str,
        /// Its value.
        value: f32,
        /// Smallest value allowed.
        lower: f32,
        /// Largest value allowed.
        upper: f32,
    },
    /// An end that is not after its beginning.
    #[error("damage {number}: it ends at {until} s, which is not after its beginning at {from} s")]
    Span {
        /// Its number in the list, from 1.
        number: usize,
        /// Beginning \[s\].
        from: f32,
        /// End \[s\].
        until: f32,
    },
    /// A span of time between two steps at which it could act.
    #[error(
        "damage {number}: it would never act from {from} s to {until} s, as no step begins in between (one does every {step} s); let it \
         last longer"
    )]
    Brief {
        /// Its number in the list, from 1.
        number: usize,
        /// Beginning \[s\].
        from: f32,
        /// End \[s\].
        until: f32,
        /// Time from one step at which it could act to the next \[s\].
        step: f32,
    },
    /// One axis of an orientation, where only all of it can be meant.
    #[error("damage {number}: `of: {axis}` with the orientation, which drops out and comes late as a whole; leave out `of`")]
    WholeOrientation {
        /// Its number in the list, from 1.
        number: usize,
        /// The axis given.
        axis: String,
    },
    /// Too many.
    #[error("{given} damages at once; at most {most} are possible")]
    TooMany {
        /// How many were given.
        given: usize,
        /// How many are possible.
        most: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse_yaml;

    #[test]
    fn a_list_of_damages_is_read_from_yaml() {
        let text = "[{limp_joint: {joint: FT1, when: {from: 2}}}, {payload: {mass: 1.5}}, {suspended: {}},
            {push: {force: [0, 20, 0], duration: 0.1, from: 3}}, {sensor_noise: {sensor: joint_position, sd: 0.01}}]";
        let list: Vec<Damage> = parse_yaml(text).unwrap();
        assert_eq!(list[0], Damage::LimpJoint { joint: "FT1".into(), when: When { from: 2.0, until: None } });
        assert_eq!(list.len(), 5);
        let again = serde_json::to_string(&list).unwrap();
        assert_eq!(serde_json::from_str::<Vec<Damage>>(&again).unwrap(), list);
    }

    #[test]
    fn a_mistyped_damage_is_refused_with_the_nearest_name() {
        for (text, said) in [
            ("[{limpjoint: {joint: FT1}}]", "did you mean `limp_joint`?"),
            ("[{weak_motor: {joint: FT1, torqe: 0.5}}]", "did you mean `torque`?"),
            ("[{sensor_bias: {sensor: joint_positon, value: 1}}]", "did you mean `joint_position`?"),
        ] {
            let error = parse_yaml::<Vec<Damage>>(text).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
