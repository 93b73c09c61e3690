//! A first description of a robot from its URDF alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::gains::{Missing, gains};
use super::legs::{candidates, lowest_point};
use super::stand::{StandReport, stand, stand_and_sense};
use crate::robot::{ActuatorDescription, Joint, JointActuator, Outline, RobotDescription, RobotError, RobotModel, RobotState};
use crate::simulation::{SettingsError, SimulationSettings};

/// Motors before their loads are known: only their numbers are replaced.
const PROVISIONAL: ActuatorDescription = ActuatorDescription {
    stiffness: 100.0,
    damping: 10.0,
    effort_limit: None,
    velocity_limit: None,
    armature: 0.01,
    joints: BTreeMap::new(),
};
/// Largest contact threshold \[N\], and its largest share of the weight.
const THRESHOLD: (f32, f32) = (1.0, 0.05);
/// A leaf body this close to the ground is a foot too, as a share of the base's height: its leg is a little shorter.
const NEARLY: f32 = 0.15;

/// Why no description could be drafted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BringUpError {
    /// The URDF cannot be used at all.
    #[error(transparent)]
    Robot(#[from] RobotError),
    /// The simulation cannot be set up.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Nothing moves or nothing can touch the ground.
    #[error("the URDF has no {what}: a legged robot needs some")]
    Nothing {
        /// What it has none of.
        what: &'static str,
    },
}

/// A description, and how the robot stands with it.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The description.
    pub description: RobotDescription,
    /// The robot that it makes.
    pub robot: Arc<RobotModel>,
    /// How it stands in the nominal pose.
    pub report: StandReport,
    /// Links that touched the ground though they move others: it lies rather than stands. Empty when it stands.
    pub lies_on: Vec<String>,
    /// Poses that were tried.
    pub tried: usize,
}

/// A pose that was tried.
struct Attempt {
    pose: Vec<f32>,
    motors: BTreeMap<String, JointActuator>,
    report: StandReport,
    state: RobotState,
}

/// Drafts the description of the URDF `text`, which is in the file `path` (with meshes also from `packages`, as
/// [`RobotModel::from_parts_and_packages`] has them): all joints driven in the file's order, gains from the mass that each
/// joint carries, the first pose in which the robot stands, and as feet the links that touch the ground then. Where it stands in none,
/// the pose in which it stood best; [`Draft::report`] says so.
///
/// # Errors
/// [`BringUpError`] when the URDF cannot be used.
pub fn draft(text: String, path: &Path, packages: &[PathBuf], settings: SimulationSettings) -> Result<Draft, BringUpError> {
    let outline = Outline::of(&text, path)?;
    if outline.joints.is_empty() {
        return Err(BringUpError::Nothing { what: "joint that can be driven" });
    }
    if outline.solid_links.is_empty() {
        return Err(BringUpError::Nothing { what: "collision shape" });
    }
    let exploring = describe(&outline, path);
    let robot = RobotModel::from_parts_and_packages(&exploring, text.clone(), path, packages)?;
    let missing = Missing { effort: &outline.without_effort, velocity: &outline.without_velocity };

    let poses = candidates(&robot);
    let mut best: Option<Attempt> = None;
    let mut tried = 0;
    for pose in poses {
        tried += 1;
        let motors = gains(&robot, &pose, &missing);
        let (report, state) = stand_and_sense(Arc::new(posed(&robot, &pose, &motors)), settings)?;
        let attempt = Attempt { pose, motors, report, state };
        let done = attempt.report.stands() && carrying(&robot, &attempt.report).next().is_none();
        if best.as_ref().is_none_or(|best| done || attempt.badness(&robot) < best.badness(&robot)) {
            best = Some(attempt);
        }
        if done {
            break;
        }
    }
    let Some(best) = best else { return Err(BringUpError::Nothing { what: "pose" }) };

    let lies_on = carrying(&robot, &best.report).map(str::to_owned).collect();
    let mut description = exploring;
    description.feet = feet(&robot, &best);
    // Rounded, but not beyond a limit with more digits.
    let rounded = |joint: &Joint, q: f32| ((q * 1e3).round() / 1e3).clamp(joint.lower, joint.upper);
    let pose = robot.joints.iter().zip(&best.pose).map(|(joint, &q)| (joint.name.clone(), rounded(joint, q)));
    description.nominal_pose = pose.filter(|(_, q)| *q != 0.0).collect();
    description.actuator = grouped(best.motors);
    description.contact_threshold = threshold(&robot);
    let robot = Arc::new(RobotModel::from_parts_and_packages(&description, text, path, packages)?);
    let report = stand(robot.clone(), settings)?;
    Ok(Draft { description, robot, report, lies_on, tried })
}

/// A description in which every link may touch the ground.
fn describe(outline: &Outline, path: &Path) -> RobotDescription {
    let mut actuator = PROVISIONAL;
    for (names, is_effort) in [(&outline.without_effort, true), (&outline.without_velocity, false)] {
        for name in names {
            let own = actuator.joints.entry(name.clone()).or_default();
            *(if is_effort { &mut own.effort_limit } else { &mut own.velocity_limit }) = Some(100.0);
        }
    }
    RobotDescription {
        name: outline.name.clone(),
        urdf: path.file_name().map_or_else(|| path.into(), Into::into),
        base_link: outline.base_link.clone(),
        imu_link: outline.imu_link.clone(),
        joints: outline.joints.clone(),
        locked: Vec::new(),
        feet: outline.solid_links.clone(),
        nominal_pose: BTreeMap::new(),
        actuator,
        contact_threshold: THRESHOLD.0,
        friction: 1.0,
    }
}

/// `robot` with the nominal pose `pose` and `motors`.
fn posed(robot: &RobotModel, pose: &[f32], motors: &BTreeMap<String, JointActuator>) -> RobotModel {
    let mut robot = robot.clone();
    robot.contact_threshold = threshold(&robot);
    for (joint, &nominal) in robot.joints.iter_mut().zip(pose) {
        joint.nominal = nominal;
        let motor = motors.get(&joint.name).copied().unwrap_or_default();
        joint.stiffness = motor.stiffness.unwrap_or(joint.stiffness);
        joint.damping = motor.damping.unwrap_or(joint.damping);
        joint.armature = motor.armature.unwrap_or(joint.armature);
        joint.effort_limit = motor.effort_limit.unwrap_or(joint.effort_limit);
        joint.velocity_limit = motor.velocity_limit.unwrap_or(joint.velocity_limit);
    }
    robot
}

fn threshold(robot: &RobotModel) -> f32 {
    let (most, share) = THRESHOLD;
    let threshold = most.min(share * robot.mass() * 9.81 / 4.0);
    let rounded = (threshold * 1e3).round() / 1e3;
    // Of a robot under 4 g nothing would be left.
    if rounded > 0.0 { rounded } else { threshold }
}

/// Links that touch the ground though their bodies move others.
fn carrying<'a>(robot: &'a RobotModel, report: &'a StandReport) -> impl Iterator<Item = &'a str> {
    let touching = robot.feet.iter().filter(|foot| report.feet_in_contact.contains(&foot.name));
    touching.filter(|foot| !is_leaf(robot, foot.body)).map(|foot| foot.name.as_str())
}

fn is_leaf(robot: &RobotModel, body: usize) -> bool {
    body != 0 && robot.moving_joints().all(|joint| joint.parent != body)
}

impl Attempt {
    /// Smaller for poses that are nearer to standing.
    fn badness(&self, robot: &RobotModel) -> f32 {
        let report = &self.report;
        // With its base on the ground there is no height to sink from.
        let stands_up = report.start_height > 0.0;
        let sunk = if stands_up { 1.0 - (report.height / report.start_height).clamp(0.0, 1.0) } else { 1.0 };
        let lies = if carrying(robot, report).next().is_some() { 1.0 } else { 0.0 };
        let badness = 2.0 * (1.0 - report.up) + sunk + lies + 0.01 * report.creep.min(50.0) + report.joint_error.min(1.0);
        if badness.is_finite() { badness } else { f32::MAX }
    }
}

/// One link of each leaf body that touches the ground or nearly does: the one that does, or the lowest.
fn feet(robot: &RobotModel, attempt: &Attempt) -> Vec<String> {
    let poses = robot.body_poses(&attempt.state.joint_position);
    let bottom = (0..robot.bodies.len()).map(|body| lowest_point(robot, &poses, body)).fold(f32::INFINITY, f32::min);
    let reach = bottom + NEARLY * (-bottom).abs();
    let touching: BTreeSet<usize> =
        robot.feet.iter().zip(&attempt.state.foot_contact).filter(|(_, touches)| **touches).map(|(foot, _)| foot.body).collect();
    let is_foot = |body: usize| is_leaf(robot, body) && (touching.contains(&body) || lowest_point(robot, &poses, body) <= reach);
    let bodies: Vec<usize> = (1..robot.bodies.len()).filter(|&body| is_foot(body)).collect();
    // Something must be a foot: a robot that lies gets what touches.
    let bodies = if bodies.is_empty() { touching.into_iter().collect() } else { bodies };
    let lowest_link = |body: usize| {
        let shapes = robot.bodies[body].shapes.iter();
        let by_height = shapes.filter_map(|shape| Some((shape.foot?, shape.geometry.lowest_point(&(poses[body] * shape.pose)))));
        by_height.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(link, _)| robot.feet[link].name.clone())
    };
    let mut feet: Vec<String> = bodies.into_iter().filter_map(lowest_link).collect();
    if feet.is_empty() {
        feet.extend(robot.feet.first().map(|foot| foot.name.clone()));
    }
    feet
}

/// `motors` as what most have and what differs.
fn grouped(motors: BTreeMap<String, JointActuator>) -> ActuatorDescription {
    let mut actuator = PROVISIONAL;
    let most = |of: fn(&JointActuator) -> Option<f32>| {
        let values: Vec<f32> = motors.values().filter_map(of).collect();
        let count = |value: f32| values.iter().filter(|other| **other == value).count();
        values.iter().copied().max_by_key(|&value| count(value))
    };
    actuator.stiffness = most(|motor| motor.stiffness).unwrap_or(actuator.stiffness);
    actuator.damping = most(|motor| motor.damping).unwrap_or(actuator.damping);
    actuator.armature = most(|motor| motor.armature).unwrap_or(actuator.armature);
    for (name, motor) in motors {
        let differs = |value: Option<f32>, common: f32| value.filter(|value| *value != common);
        let own = JointActuator {
            stiffness: differs(motor.stiffness, actuator.stiffness),
            damping: differs(motor.damping, actuator.damping),
            armature: differs(motor.armature, actuator.armature),
            ..motor
        };
        if own != JointActuator::default() {
            actuator.joints.insert(name, own);
        }
    }
    actuator
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lightest_robot_has_a_contact_threshold_below_its_weight() {
        let link = |name: &str, mass: f32| {
            format!(
                "<link name='{name}'><inertial><mass value='{mass}'/></inertial><collision><geometry><sphere radius='0.01'/></geometry>\
                 </collision></link>"
            )
        };
        for mass in [1e-4f32, 1e-3, 10.0] {
            let text = format!(
                "<robot name='r'>{}{}<joint name='j' type='continuous'><parent link='a'/><child link='b'/></joint></robot>",
                link("a", mass),
                link("b", mass)
            );
            let path = Path::new("r.urdf");
            let description = describe(&Outline::of(&text, path).unwrap(), path);
            let robot = RobotModel::from_parts(&description, text, path).unwrap();
            let threshold = threshold(&robot);
            assert!(threshold > 0.0 && threshold < 0.25 * robot.mass() * 9.81, "{threshold} N at {mass} kg");
        }
    }
}
