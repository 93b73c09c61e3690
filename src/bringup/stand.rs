//! Whether a robot stands in its nominal pose.

use std::sync::Arc;

use serde::Serialize;

use crate::robot::{Joint, RobotModel, RobotState};
use crate::simulation::{SettingsError, SimulationSettings, World, torque_at_rest};

/// How long a robot stands before it is judged \[s\]; creeping is measured over the second half.
const DURATION: f32 = 2.0;
/// Least cosine of the tilt: 18 degrees.
const LEAST_UP: f32 = 0.95;
/// Least height of the base, as a share of that at which the feet touched the ground.
const LEAST_HEIGHT: f32 = 0.7;
/// Fastest creeping \[mm/s\].
const MOST_CREEP: f32 = 1.0;
/// Largest share of the weight that may rest on something else than the feet.
const MOST_ELSEWHERE: f32 = 0.1;
/// Largest distance of a joint from its target \[rad or m\].
const MOST_ERROR: f32 = 0.2;
/// Largest share of its torque that a motor may give. With less to spare it is not the motor that holds the joint but its limit, or something
/// on the ground.
const MOST_EFFORT: f32 = 0.99;

/// How a robot stood.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StandReport {
    /// How long it stood \[s\].
    pub duration: f32,
    /// Its mass \[kg\].
    pub mass: f32,
    /// Height of its base at the start, with the lowest foot on the ground \[m\].
    pub start_height: f32,
    /// Height of its base at the end \[m\].
    pub height: f32,
    /// Cosine of its tilt at the end: 1 upright.
    pub up: f32,
    /// Feet that touched the ground at the end.
    pub feet_in_contact: Vec<String>,
    /// Feet in all.
    pub feet: usize,
    /// Share of its weight that the feet carried: more than 1 where they lean against friction.
    pub carried: f32,
    /// How fast its base crept over the ground in the second half \[mm/s\].
    pub creep: f32,
    /// Largest distance of a joint from its target at the end \[rad or m\] …
    pub joint_error: f32,
    /// … and that joint.
    pub joint: String,
    /// Largest share that a motor gave at the end of the most torque (or force) that it gives at rest: its effort limit, or less where its speed
    /// limit leaves less …
    pub effort: f32,
    /// … and its joint.
    pub hardest: String,
}

impl StandReport {
    /// What keeps it from standing; empty when it stands.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        // A value that is not a number is within no bound.
        let mut expect = |holds: bool, otherwise: String| problems.extend((!holds).then_some(otherwise));
        expect(self.up >= LEAST_UP, format!("it is tilted: cosine {:.2}, least {LEAST_UP}", self.up));
        let sank = format!("its base sank from {:.3} m to {:.3} m", self.start_height, self.height);
        expect(self.height >= LEAST_HEIGHT * self.start_height, sank);
        // Two flat feet carry a biped; more are needed on points.
        let least = self.feet.min(if self.feet > 2 { 3 } else { 2 });
        let touching = self.feet_in_contact.len();
        expect(touching >= least, format!("{touching} of {} feet touch the ground, at least {least} should", self.feet));
        let share = 100.0 * self.carried;
        let elsewhere = format!("its feet carry {share:.0} % of its weight; something else lies on the ground");
        expect(self.carried >= 1.0 - MOST_ELSEWHERE, elsewhere);
        expect(self.creep <= MOST_CREEP, format!("it creeps at {:.2} mm/s, more than {MOST_CREEP}", self.creep));
        let off = format!(
            "the joint `{}` is {:.3} off its target, more than {MOST_ERROR}: too soft or too weak",
            self.joint, self.joint_error
        );
        expect(self.joint_error <= MOST_ERROR, off);
        let spent = format!("the motor of `{}` gives all the torque that it has: too weak", self.hardest);
        expect(self.effort <= MOST_EFFORT, spent);
        problems
    }

    /// Whether it stands.
    pub fn stands(&self) -> bool {
        self.problems().is_empty()
    }
}

/// Lets `robot` stand in its nominal pose for two seconds.
///
/// # Errors
/// [`SettingsError`] when the rates in `settings` do not fit each other.
pub fn stand(robot: Arc<RobotModel>, settings: SimulationSettings) -> Result<StandReport, SettingsError> {
    Ok(stand_and_sense(robot, settings)?.0)
}

/// As [`stand`], with what the sensors said at the end.
pub(super) fn stand_and_sense(
    robot: Arc<RobotModel>,
    settings: SimulationSettings,
) -> Result<(StandReport, RobotState), SettingsError> {
    let physics_step = settings.physics_step();
    let mut world = World::new(robot.clone(), settings)?;
    let start_height = world.base().position[2];
    let steps = (DURATION * settings.control_rate).round() as u32;
    let mut middle = world.base();
    for step in 0..steps {
        world.control_step();
        if step == steps / 2 {
            middle = world.base();
        }
    }
    let mut state = RobotState::at_rest(robot.joints.len(), robot.feet.len());
    world.sense(&mut state);
    let end = world.base();
    let [x, y] = [0, 1].map(|axis| end.position[axis] - middle.position[axis]);
    let touching = robot.foot_names().zip(&state.foot_contact).filter(|(_, touches)| **touches);
    let errors = robot.joints.iter().zip(&state.joint_position).map(|(joint, q)| ((q - joint.nominal).abs(), &joint.name));
    let (joint_error, joint) = largest(errors);
    let mut torques = vec![0.0; robot.joints.len()];
    world.motor_torques(&mut torques);
    let share = |joint: &Joint, torque: f32| torque.abs() / torque_at_rest(joint, physics_step);
    let efforts = robot.joints.iter().zip(torques).map(|(joint, torque)| (share(joint, torque), &joint.name));
    let (effort, hardest) = largest(efforts);
    let half = DURATION * 0.5;
    let report = StandReport {
        duration: DURATION,
        mass: robot.mass(),
        start_height,
        height: end.position[2],
        up: end.orientation.up_projection(),
        feet_in_contact: touching.map(|(name, _)| name.to_owned()).collect(),
        feet: robot.feet.len(),
        carried: state.foot_force.iter().sum::<f32>() / (robot.mass() * 9.81),
        creep: 1000.0 * x.hypot(y) / half,
        joint_error,
        joint,
        effort,
        hardest,
    };
    Ok((report, state))
}

/// The largest value and its name; one that is not a number counts as the largest.
fn largest<'a>(values: impl Iterator<Item = (f32, &'a String)>) -> (f32, String) {
    values.max_by(|a, b| a.0.total_cmp(&b.0)).map_or((0.0, String::new()), |(value, name)| (value, name.clone()))
}
