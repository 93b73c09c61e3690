//! Legs as chains of joints, and poses in which their feet are where they carry the robot.

use nalgebra::{DMatrix, DVector, Isometry3, Point3, Vector3};

use crate::robot::{Joint, RobotModel};

/// Bodies whose lowest point is within this share of the robot's whole height above its lowest point may be feet.
const LOWEST_SHARE: f32 = 0.3;
/// Steps of the search for joint angles.
const STEPS: usize = 80;
/// Damping of its steps.
const DAMPING: f32 = 1e-2;
/// Joints from which on a leg can also choose how its foot lies.
const JOINTS_FOR_ORIENTATION: usize = 5;
/// Heights of the hip over the foot that are tried, as shares of the leg's length.
const HEIGHTS: [f32; 6] = [0.9, 0.8, 0.7, 0.6, 0.5, 0.35];
/// Distances of a foot from its hip, outwards, as shares of the leg's length.
const SPREADS: [f32; 3] = [0.0, 0.3, 0.6];

/// A chain of driven joints from the base to a body that may be a foot.
#[derive(Clone, Debug)]
pub(super) struct Leg {
    /// Body at its end.
    pub body: usize,
    /// Indices of its driven joints, base first.
    pub joints: Vec<usize>,
    /// Point of the body that touches the ground, in the body's frame \[m\].
    pub foot: Point3<f32>,
    /// Distance from its first joint to its foot when stretched \[m\].
    pub length: f32,
}

/// Bodies that move none, hang on driven joints, and reach down far enough at the joint positions `pose`; all that move none where fewer than two
/// do, as with legs that are folded there.
pub(super) fn legs(robot: &RobotModel, pose: &[f32]) -> Vec<Leg> {
    let poses = robot.body_poses(pose);
    let lowest = |body: usize| lowest_point(robot, &poses, body);
    let heights: Vec<f32> = (0..robot.bodies.len()).map(lowest).filter(|height| height.is_finite()).collect();
    let bottom = heights.iter().copied().fold(f32::INFINITY, f32::min);
    let top = poses.iter().map(|pose| pose.translation.z).chain(heights).fold(f32::NEG_INFINITY, f32::max);
    let mut above = vec![None; robot.bodies.len()];
    for joint in robot.moving_joints() {
        above[joint.child] = Some(joint);
    }
    let is_leaf = |body: usize| robot.moving_joints().all(|joint| joint.parent != body);
    let reaches = |body: usize| lowest(body) <= bottom + LOWEST_SHARE * (top - bottom);
    let leaves = || (1..robot.bodies.len()).filter(|&body| is_leaf(body));
    let low: Vec<Leg> = leaves().filter(|&body| reaches(body)).filter_map(|body| leg(robot, &above, body)).collect();
    if low.len() >= 2 { low } else { leaves().filter_map(|body| leg(robot, &above, body)).collect() }
}

/// Lowest point of `body` with the bodies at `poses` \[m\]; infinite without a shape.
pub(super) fn lowest_point(robot: &RobotModel, poses: &[Isometry3<f32>], body: usize) -> f32 {
    let shapes = robot.bodies[body].shapes.iter();
    shapes.map(|shape| shape.geometry.lowest_point(&(poses[body] * shape.pose))).fold(f32::INFINITY, f32::min)
}

fn leg(robot: &RobotModel, above: &[Option<&Joint>], body: usize) -> Option<Leg> {
    let foot = farthest_point(robot, body)?;
    let (mut joints, mut length, mut at) = (Vec::new(), foot.coords.norm(), body);
    while let Some(joint) = above[at] {
        joints.extend(robot.joints.iter().position(|driven| driven.name == joint.name));
        at = joint.parent;
        if at != 0 {
            length += joint.origin.translation.vector.norm();
        }
    }
    joints.reverse();
    (!joints.is_empty()).then_some(Leg { body, joints, foot, length })
}

/// The point of `body` that is farthest from the joint which moves it, nearly: on the ball around a shape.
fn farthest_point(robot: &RobotModel, body: usize) -> Option<Point3<f32>> {
    let points = robot.bodies[body].shapes.iter().map(|shape| {
        let (solid, _) = shape.geometry.solid();
        let ball = solid.compute_local_bounding_sphere();
        let centre = shape.pose * Point3::new(ball.center.x, ball.center.y, ball.center.z);
        // Around a shape's own frame, centres are the same for parry's axes and ours.
        let outwards = centre.coords.try_normalize(1e-6).unwrap_or(-Vector3::z());
        let thickness = solid.compute_local_aabb().half_extents().min_element();
        let reach = if centre.coords.norm() > 1e-6 { ball.radius } else { thickness };
        centre + outwards * reach
    });
    points.max_by(|a, b| a.coords.norm().total_cmp(&b.coords.norm()))
}

/// Poses that may stand, most natural first: that of the URDF's zeros, the middle of all ranges, then crouches.
pub(super) fn candidates(robot: &RobotModel) -> Vec<Vec<f32>> {
    let zero: Vec<f32> = robot.joints.iter().map(|joint| 0.0f32.clamp(joint.lower, joint.upper)).collect();
    let middle: Vec<f32> = robot.joints.iter().map(|joint| 0.5 * (joint.lower + joint.upper)).collect();
    let mut poses = vec![zero.clone()];
    let legs = legs(robot, &zero);
    let keep_feet_flat = legs.len() <= 2;
    for height in HEIGHTS {
        for spread in SPREADS {
            let mut pose = zero.clone();
            for leg in &legs {
                let starts =
                    [&zero, &middle].map(|start| reach(robot, leg, start, [height, spread], Vector3::zeros(), keep_feet_flat));
                let [a, b] = starts;
                let (found, _) = if a.1 <= b.1 { a } else { b };
                leg.joints.iter().for_each(|&joint| pose[joint] = found[joint]);
            }
            // Once more, with the feet shifted under the centre of mass.
            let shift = off_balance(robot, &legs, &pose);
            let balanced = legs.iter().fold(pose.clone(), |mut balanced, leg| {
                let (found, _) = reach(robot, leg, &pose, [height, spread], shift, keep_feet_flat);
                leg.joints.iter().for_each(|&joint| balanced[joint] = found[joint]);
                balanced
            });
            poses.push(balanced);
        }
    }
    poses.insert(1, middle);
    poses
}

/// Horizontal way from the middle of the feet to the centre of mass, in the base's frame \[m\].
fn off_balance(robot: &RobotModel, legs: &[Leg], pose: &[f32]) -> Vector3<f32> {
    let poses = robot.body_poses(pose);
    let feet = legs.iter().map(|leg| (poses[leg.body] * leg.foot).coords).sum::<Vector3<f32>>() / legs.len().max(1) as f32;
    let mut way = centre_of_mass(robot, &poses) - feet;
    way.z = 0.0;
    way
}

pub(super) fn centre_of_mass(robot: &RobotModel, poses: &[Isometry3<f32>]) -> Vector3<f32> {
    let moments =
        robot.bodies.iter().zip(poses).map(|(body, pose)| (pose * Point3::from(body.centre_of_mass)).coords * body.mass);
    moments.sum::<Vector3<f32>>() / robot.mass()
}

/// Joint positions, from `start` on, that bring the foot of `leg` to the height and spread given as shares of its length, shifted by `shift`;
/// and how far off it stays. Damped least squares.
fn reach(
    robot: &RobotModel,
    leg: &Leg,
    start: &[f32],
    [height, spread]: [f32; 2],
    shift: Vector3<f32>,
    keep_flat: bool,
) -> (Vec<f32>, f32) {
    let mut pose = start.to_vec();
    let zero: Vec<f32> = robot.joints.iter().map(|joint| 0.0f32.clamp(joint.lower, joint.upper)).collect();
    let hip = robot.joints[leg.joints[0]].parent;
    let at_zero = robot.body_poses(&zero);
    let hip = (at_zero[hip] * robot.joints[leg.joints[0]].origin).translation.vector;
    let outwards = Vector3::new(0.0, hip.y, 0.0).try_normalize(1e-3).unwrap_or_default();
    // A leg that sprawls in its zero pose spreads in that direction.
    let sprawl = (at_zero[leg.body] * leg.foot).coords - hip;
    let sprawl = Vector3::new(sprawl.x, sprawl.y, 0.0);
    let outwards = if sprawl.norm() > 0.5 * leg.length { sprawl.normalize() } else { outwards };
    let target = hip - Vector3::z() * (height * leg.length) + outwards * (spread * leg.length) + shift;
    let flat = keep_flat && leg.joints.len() >= JOINTS_FOR_ORIENTATION;
    let upright = at_zero[leg.body].rotation;
    let residual = |pose: &[f32]| {
        let body = robot.body_poses(pose)[leg.body];
        let off = (body * leg.foot).coords - target;
        let turned = if flat { (body.rotation * upright.inverse()).scaled_axis() * (0.3 * leg.length) } else { Vector3::zeros() };
        DVector::from_iterator(6, off.iter().chain(turned.iter()).copied())
    };
    for _ in 0..STEPS {
        let now = residual(&pose);
        let mut jacobian = DMatrix::zeros(6, leg.joints.len());
        for (column, &joint) in leg.joints.iter().enumerate() {
            let mut moved = pose.clone();
            moved[joint] += 1e-3;
            jacobian.set_column(column, &((residual(&moved) - &now) / 1e-3));
        }
        let scale = leg.length * leg.length;
        let square = jacobian.transpose() * &jacobian + DMatrix::identity(leg.joints.len(), leg.joints.len()) * (DAMPING * scale);
        let Some(step) = square.lu().solve(&(-jacobian.transpose() * now)) else { break };
        for (&joint, step) in leg.joints.iter().zip(step.iter()) {
            let limits = &robot.joints[joint];
            pose[joint] = (pose[joint] + step.clamp(-0.3, 0.3)).clamp(limits.lower, limits.upper);
        }
    }
    let off = residual(&pose).norm();
    (pose, off)
}
