//! Faults of sensors: what is sensed instead of what is true.

use std::ops::Range;

use rand::RngExt;
use rand_distr::StandardNormal;

use super::description::{Damage, DamageError, Reads, Sensor};
use super::plan::{Check, Span};
use crate::random::{Stream, stream};
use crate::robot::{Orientation, RobotModel, RobotState};

/// One fault of some values of a sensor.
#[derive(Clone, Debug)]
pub struct SensorFault {
    sensor: Sensor,
    /// Joints, feet or axes.
    values: Range<usize>,
    kind: Kind,
    span: Span,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Delay(usize),
    Bias(f32),
    Noise(f32),
    Dropout(f32, Reads),
}

impl SensorFault {
    /// The fault that `damage` is, if it is one of a sensor.
    pub fn new(damage: &Damage, check: &Check<'_>) -> Result<Option<Self>, DamageError> {
        let (sensor, of, kind, when) = match damage {
            Damage::SensorDelay { sensor, of, steps, when } => (sensor, of, Kind::Delay(check.steps(*steps)?), when),
            Damage::SensorBias { sensor, of, value, when } => {
                (sensor, of, Kind::Bias(check.within("value", *value, -1e6, 1e6)?), when)
            }
            Damage::SensorNoise { sensor, of, sd, when } => (sensor, of, Kind::Noise(check.within("sd", *sd, 0.0, 1e6)?), when),
            Damage::SensorDropout { sensor, of, probability, reads, when } => {
                (sensor, of, Kind::Dropout(check.within("probability", *probability, 0.0, 1.0)?, *reads), when)
            }
            _ => return Ok(None),
        };
        let robot = check.robot();
        let (group, names): (_, Vec<&str>) = match sensor {
            Sensor::JointPosition | Sensor::JointVelocity => ("joint", robot.joint_names().collect()),
            Sensor::FootContact => ("foot", robot.foot_names().collect()),
            Sensor::Orientation | Sensor::AngularVelocity | Sensor::LinearAcceleration => ("axis", vec!["x", "y", "z"]),
        };
        let values = match of {
            Some(name) => {
                let index = check.name(group, name, names.iter().copied())?;
                index..index + 1
            }
            None => 0..names.len(),
        };
        if let (Sensor::Orientation, Some(axis), Kind::Delay(_) | Kind::Dropout(..)) = (sensor, of, kind) {
            return Err(DamageError::WholeOrientation { number: check.number(), axis: axis.clone() });
        }
        Ok(Some(Self { sensor: *sensor, values, kind, span: check.sensor_span(when)? }))
    }
}

/// All sensors' faults of one robot, with the memory that they need.
#[derive(Clone, Debug)]
pub struct SensorFaults {
    /// Delays first: what is late is also off and noisy.
    faults: Vec<SensorFault>,
    /// True states, the newest at `newest`.
    history: Vec<RobotState>,
    newest: usize,
    sensed: RobotState,
    /// What was sensed a control step before.
    last: RobotState,
    /// Seed of the episode, and the stream that it gives.
    seed: u64,
    random: Stream,
    contact_threshold: f32,
}

impl SensorFaults {
    /// Nothing was sensed yet.
    pub fn new(mut faults: Vec<SensorFault>, robot: &RobotModel) -> Self {
        faults.sort_by_key(|fault| !matches!(fault.kind, Kind::Delay(_)));
        let delay = |fault: &SensorFault| if let Kind::Delay(steps) = fault.kind { steps } else { 0 };
        let longest = faults.iter().map(delay).max();
        let at_rest = RobotState::at_rest(robot.joints.len(), robot.feet.len());
        Self {
            history: longest.map_or_else(Vec::new, |longest| vec![at_rest.clone(); longest + 1]),
            faults,
            newest: 0,
            sensed: at_rest.clone(),
            last: at_rest,
            seed: 0,
            random: stream(0, "sensors", &[]),
            contact_threshold: robot.contact_threshold,
        }
    }

    /// Whether no sensor has a fault.
    pub fn is_empty(&self) -> bool {
        self.faults.is_empty()
    }

    /// Writes what is sensed into `state`. Does not allocate when its lengths are those of the robot.
    pub fn sense(&self, state: &mut RobotState) {
        copy_state(&self.sensed, state);
    }

    /// Draws from the stream of the episode `seed` from now on.
    pub fn start_of_episode(&mut self, seed: u64) {
        (self.seed, self.random) = (seed, stream(seed, "sensors", &[]));
    }

    /// Seed of the present episode.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Begins at the physics step `step`, with the true state that `read` writes, which is taken to have been so for all time before.
    pub fn begin(&mut self, step: u64, read: &dyn Fn(&mut RobotState)) {
        self.history.iter_mut().for_each(read);
        read(&mut self.sensed);
        self.update(step, read);
    }

    /// Takes the true state, which `read` writes, at the physics step `step`. Does not allocate.
    pub fn update(&mut self, step: u64, read: &dyn Fn(&mut RobotState)) {
        let Self { faults, history, newest, sensed, last, random, contact_threshold, .. } = self;
        if history.is_empty() {
            return;
        }
        *newest = (*newest + 1) % history.len();
        read(&mut history[*newest]);
        std::mem::swap(sensed, last);
        copy_state(&history[*newest], sensed);
        for fault in faults.iter().filter(|fault| fault.span.holds(step)) {
            let past = |steps: usize| &history[(*newest + history.len() - steps) % history.len()];
            match fault.kind {
                Kind::Delay(steps) => fault.copy(past(steps), sensed),
                Kind::Bias(value) => fault.add(sensed, || value),
                Kind::Noise(sd) => fault.add(sensed, || sd * random.sample::<f32, _>(StandardNormal)),
                Kind::Dropout(probability, reads) if random.random_range(0.0..1.0) < probability => match reads {
                    Reads::Last => fault.copy(last, sensed),
                    Reads::Zero => fault.clear(sensed),
                },
                Kind::Dropout(..) => (),
            }
            if fault.sensor == Sensor::FootContact {
                for (force, contact) in sensed.foot_force.iter_mut().zip(&mut sensed.foot_contact) {
                    *force = force.max(0.0);
                    *contact = *force >= *contact_threshold;
                }
            }
        }
    }
}

impl SensorFault {
    /// Its values in `state`; of an orientation none, as it is no list of numbers.
    fn values<'a>(&self, state: &'a mut RobotState) -> &'a mut [f32] {
        let all: &mut [f32] = match self.sensor {
            Sensor::JointPosition => &mut state.joint_position,
            Sensor::JointVelocity => &mut state.joint_velocity,
            Sensor::AngularVelocity => &mut state.angular_velocity,
            Sensor::LinearAcceleration => &mut state.linear_acceleration,
            Sensor::FootContact => &mut state.foot_force,
            Sensor::Orientation => return &mut [],
        };
        &mut all[self.values.clone()]
    }

    fn copy(&self, from: &RobotState, to: &mut RobotState) {
        let source: &[f32] = match self.sensor {
            Sensor::JointPosition => &from.joint_position,
            Sensor::JointVelocity => &from.joint_velocity,
            Sensor::AngularVelocity => &from.angular_velocity,
            Sensor::LinearAcceleration => &from.linear_acceleration,
            Sensor::FootContact => &from.foot_force,
            Sensor::Orientation => {
                to.orientation = from.orientation;
                return;
            }
        };
        self.values(to).copy_from_slice(&source[self.values.clone()]);
    }

    fn clear(&self, state: &mut RobotState) {
        match self.sensor {
            Sensor::Orientation => state.orientation = Orientation::IDENTITY,
            _ => self.values(state).fill(0.0),
        }
    }

    fn add(&self, state: &mut RobotState, mut error: impl FnMut() -> f32) {
        if self.sensor == Sensor::Orientation {
            for axis in self.values.clone() {
                let mut turn = [0.0; 3];
                turn[axis] = error();
                state.orientation = turned(state.orientation, turn);
            }
        } else {
            self.values(state).iter_mut().for_each(|value| *value += error());
        }
    }
}

/// Field by field: a derived `clone_from` would allocate each vector anew.
fn copy_state(from: &RobotState, to: &mut RobotState) {
    let RobotState {
        joint_position,
        joint_velocity,
        orientation,
        angular_velocity,
        linear_acceleration,
        foot_contact,
        foot_force,
    } = from;
    to.joint_position.clone_from(joint_position);
    to.joint_velocity.clone_from(joint_velocity);
    to.foot_contact.clone_from(foot_contact);
    to.foot_force.clone_from(foot_force);
    (to.orientation, to.angular_velocity, to.linear_acceleration) = (*orientation, *angular_velocity, *linear_acceleration);
}

/// `orientation`, then turned by the rotation vector `turn` \[rad\] in the base's axes.
fn turned(orientation: Orientation, turn: [f32; 3]) -> Orientation {
    let Orientation { x, y, z, w } = orientation;
    let q = rapier3d::math::Rotation::from_xyzw(x, y, z, w) * rapier3d::math::Rotation::from_scaled_axis(turn.into());
    Orientation { x: q.x, y: q.y, z: q.z, w: q.w }
}
