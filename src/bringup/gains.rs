//! Gains of a robot's motors, from the mass that each joint carries.

use std::collections::BTreeMap;

use nalgebra::Isometry3;

use super::legs::{Leg, centre_of_mass, legs};
use crate::robot::{JointActuator, JointKind, RobotModel};

/// How far a motor may give way under its load \[rad or m\].
const GIVES_WAY: f32 = 0.04;
/// Share of the largest lever that is taken for the mean one.
const MEAN_LEVER: f32 = 0.5;
/// Damping over stiffness \[s\]: the time constant of a motor without load.
const TIME_CONSTANT: f32 = 0.05;
/// Armature over stiffness \[s²\], that of the beetle's motors; it also keeps a 10 ms step accurate.
const ARMATURE_SHARE: f32 = 1.75e-4;
/// Effort limit over the expected load, where the URDF has no limit.
const RESERVE: f32 = 4.0;
/// Speed limit where the URDF has none \[rad/s or m/s\].
const SPEED_LIMIT: f32 = 10.0;
const GRAVITY: f32 = 9.81;

/// Which joints need limits of their own.
pub(super) struct Missing<'a> {
    pub effort: &'a [String],
    pub velocity: &'a [String],
}

/// A motor for every driven joint of `robot`, which stands at the joint positions `pose`.
pub(super) fn gains(robot: &RobotModel, pose: &[f32], missing: &Missing<'_>) -> BTreeMap<String, JointActuator> {
    let poses = robot.body_poses(pose);
    let legs = legs(robot, pose);
    let motor = |index: usize| {
        let load = load(robot, &legs, &poses, index).max(1e-3);
        let stiffness = two_digits(load / GIVES_WAY);
        let name = &robot.joints[index].name;
        let actuator = JointActuator {
            stiffness: Some(stiffness),
            damping: Some(two_digits(stiffness * TIME_CONSTANT)),
            armature: Some(two_digits(stiffness * ARMATURE_SHARE)),
            effort_limit: missing.effort.contains(name).then(|| two_digits(RESERVE * load)),
            velocity_limit: missing.velocity.contains(name).then_some(SPEED_LIMIT),
        };
        (name.clone(), actuator)
    };
    (0..robot.joints.len()).map(motor).collect()
}

/// Torque, or force, that the driven joint `index` has to bear \[N m or N\].
fn load(robot: &RobotModel, legs: &[Leg], poses: &[Isometry3<f32>], index: usize) -> f32 {
    let joint = &robot.joints[index];
    let at = (poses[joint.parent] * joint.origin).translation.vector;
    let below = subtree(robot, joint.child);
    // What hangs on it …
    let mass: f32 = below.iter().map(|&body| robot.bodies[body].mass).sum();
    let lever = below.iter().map(|&body| {
        let centre = (poses[body] * nalgebra::Point3::from(robot.bodies[body].centre_of_mass)).coords;
        (centre - at).norm() * robot.bodies[body].mass
    });
    let hanging = (mass * GRAVITY, lever.sum::<f32>() * GRAVITY);
    // … and what stands on it, when it is in a leg.
    let standing = legs.iter().filter(|leg| leg.joints.contains(&index)).map(|leg| {
        let force = robot.mass() * GRAVITY / legs.len() as f32;
        let foot = ((poses[leg.body] * leg.foot).coords - at).norm();
        // On two legs or fewer every joint balances all that is above it.
        let balanced = if legs.len() <= 2 { (centre_of_mass(robot, poses).z - at.z).abs() } else { 0.0 };
        (force, force * MEAN_LEVER * foot.max(balanced))
    });
    let (force, torque) = standing.fold(hanging, |a, b| (a.0.max(b.0), a.1.max(b.1)));
    match joint.kind {
        JointKind::Revolute => torque,
        JointKind::Prismatic => force,
    }
}

/// `body` and all that it moves.
fn subtree(robot: &RobotModel, body: usize) -> Vec<usize> {
    let mut found = vec![body];
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        found.extend(robot.moving_joints().filter(|joint| joint.parent == parent).map(|joint| joint.child));
        next += 1;
    }
    found
}

/// `value` with two significant digits, so that mirrored joints get the same.
fn two_digits(value: f32) -> f32 {
    let unit = 10f64.powf(f64::from(value).abs().log10().floor() - 1.0);
    if value == 0.0 || !unit.is_finite() { value } else { ((f64::from(value) / unit).round() * unit) as f32 }
}

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_are_rounded_to_two_digits() {
        assert_eq!([57.3, 0.01004, 1234.0, 0.0, 9.99].map(super::two_digits), [57.0, 0.01, 1200.0, 0.0, 10.0]);
    }
}
