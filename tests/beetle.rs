//! The shipped beetle is the published one: every number against the table of its model (db-alpha, arXiv 2503.12406).
#![allow(clippy::unwrap_used)]

mod common;

use common::beetle;
use hebbian_locomotion::robot::{Joint, RobotModel};
use nalgebra::{Isometry3, Translation3, UnitQuaternion, Vector3};

/// Anchor, axis and limits \[deg\] of one joint at the zero pose.
type Row = ([f32; 3], [f32; 3], [f32; 2]);

/// Per leg: BC, CF and FT, then the position of the tip.
#[rustfmt::skip]
const LEGS: [([Row; 3], [f32; 3]); 6] = [
    ([([0.1678, 0.0623, 0.3211], [0.291, -0.710, -0.641], [-40.0, 20.0]), ([0.1722, 0.0240, 0.3058], [-0.859, 0.102, -0.502], [-15.0, 30.0]), ([0.2231, 0.1881, 0.2520], [0.858, -0.102, 0.503], [-60.0, 60.0])], [0.3132, 0.1684, 0.0943]),
    ([([0.0300, 0.0448, 0.3186], [-0.548, -0.441, -0.711], [-5.0, 30.0]), ([0.0059, 0.0433, 0.2874], [-0.790, -0.005, 0.613], [-80.0, 10.0]), ([-0.0401, 0.2075, 0.2296], [0.790, 0.006, -0.612], [-70.0, 50.0])], [-0.1518, 0.2176, 0.0856]),
    ([([-0.0778, 0.0566, 0.3263], [-0.421, -0.721, -0.550], [-30.0, 5.0]), ([-0.1001, 0.0417, 0.2975], [-0.790, -0.006, 0.613], [-60.0, 30.0]), ([-0.1461, 0.2058, 0.2397], [0.790, 0.006, -0.612], [-70.0, 50.0])], [-0.2578, 0.2159, 0.0956]),
    ([([0.1701, -0.0577, 0.3219], [-0.267, -0.703, 0.659], [-40.0, 20.0]), ([0.1730, -0.0203, 0.3064], [0.854, 0.144, 0.499], [-15.0, 30.0]), ([0.2295, -0.1838, 0.2566], [-0.854, -0.143, -0.500], [-60.0, 60.0])], [0.3188, -0.1650, 0.0985]),
    ([([0.0315, -0.0446, 0.3197], [0.562, -0.404, 0.722], [-5.0, 30.0]), ([0.0074, -0.0447, 0.2885], [0.790, 0.006, -0.613], [-80.0, 10.0]), ([-0.0337, -0.2117, 0.2354], [-0.790, -0.006, 0.613], [-70.0, 50.0])], [-0.1443, -0.2291, 0.0912]),
    ([([-0.0758, -0.0597, 0.3278], [0.445, -0.693, 0.568], [-30.0, 5.0]), ([-0.0986, -0.0463, 0.2986], [0.791, 0.006, -0.612], [-60.0, 30.0]), ([-0.1390, -0.2133, 0.2449], [-0.791, -0.006, 0.612], [-70.0, 50.0])], [-0.2502, -0.2308, 0.1011]),
];

/// The base link's origin in the table's coordinates \[m\]; the table itself does not place it.
const BASE: [f32; 3] = [-0.023, 0.0, 0.323];
/// The table gives four digits after the point.
const ROUNDING: f32 = 1.5e-4;

fn joint<'a>(robot: &'a RobotModel, name: &str) -> &'a Joint {
    robot.joints.iter().find(|joint| joint.name == name).unwrap()
}

/// Pose of every body at the zero pose; parents come before children.
fn zero_pose(robot: &RobotModel) -> Vec<Isometry3<f32>> {
    let base = Isometry3::from_parts(Translation3::from(BASE), UnitQuaternion::identity());
    let mut poses = vec![base; robot.bodies.len()];
    let mut joints: Vec<&Joint> = robot.joints.iter().collect();
    joints.sort_by_key(|joint| joint.child);
    for joint in joints {
        poses[joint.child] = poses[joint.parent] * joint.origin;
    }
    poses
}

fn near(what: &str, given: Vector3<f32>, expected: [f32; 3], tolerance: f32) {
    assert!((given - Vector3::from(expected)).norm() < tolerance, "{what}: {given:?} instead of {expected:?}");
}

#[test]
fn anchors_axes_limits_and_tips_are_those_of_the_table() {
    let robot = beetle();
    let poses = zero_pose(&robot);
    for (leg, (rows, tip)) in LEGS.iter().enumerate() {
        for (kind, (anchor, axis, limits)) in ["BC", "CF", "FT"].iter().zip(rows) {
            let name = format!("{kind}{leg}");
            let joint = joint(&robot, &name);
            near(&name, poses[joint.child].translation.vector, *anchor, ROUNDING);
            near(&name, poses[joint.child].rotation * joint.axis.into_inner(), Vector3::from(*axis).normalize().into(), 1e-3);
            let degrees = [joint.lower.to_degrees(), joint.upper.to_degrees()];
            assert!((degrees[0] - limits[0]).abs() < 0.01 && (degrees[1] - limits[1]).abs() < 0.01, "{name}: {degrees:?}");
        }
        let foot = &robot.feet[leg];
        assert_eq!(foot.name, format!("tip{leg}"));
        let shape = robot.bodies[foot.body].shapes.iter().find(|shape| shape.foot == Some(leg)).unwrap();
        near(&foot.name, (poses[foot.body] * shape.pose).translation.vector, *tip, ROUNDING);
    }
}

#[test]
fn masses_torque_and_speed_are_those_of_the_table() {
    let robot = beetle();
    let mass = |name: &str| robot.bodies.iter().find(|body| body.name == name).unwrap().mass;
    // The table's parts add up to 3.164 kg; it gives 3.160 as the total.
    assert!((robot.mass() - 3.160).abs() < 0.01, "{}", robot.mass());
    assert!((mass("base_link") - (0.793 + 0.393)).abs() < 1e-4);
    for leg in 0..6 {
        let femur = if leg % 3 == 0 { 0.180 } else { 0.183 };
        assert!((mass(&format!("coxa{leg}")) - 0.104).abs() < 1e-5);
        assert!((mass(&format!("femur{leg}")) - femur).abs() < 1e-5);
        assert!((mass(&format!("tibia{leg}")) - (0.0348 + 0.0081)).abs() < 1e-5);
    }
    for joint in &robot.joints {
        assert!((joint.effort_limit - 4.1).abs() < 1e-6);
        assert!((joint.velocity_limit - 60f32.to_radians()).abs() < 1e-3);
        assert!((joint.stiffness - 180.0 / std::f32::consts::PI).abs() < 0.01);
    }
}

#[test]
fn link_inertias_are_those_of_the_table() {
    let robot = beetle();
    let principal = |name: &str| {
        let inertia = robot.bodies.iter().find(|body| body.name == name).unwrap().inertia;
        let mut values: Vec<f32> = inertia.symmetric_eigenvalues().iter().copied().collect();
        values.sort_by(f32::total_cmp);
        values
    };
    for (name, expected) in [("coxa1", [2.7e-5, 4.4e-5, 5.3e-5]), ("femur4", [6.0e-5, 6.7e-4, 6.9e-4])] {
        for (given, expected) in principal(name).iter().zip(expected) {
            assert!((given - expected).abs() < 0.01 * expected, "{name}: {given} instead of {expected}");
        }
    }
}

#[test]
fn joints_are_in_the_authors_order() {
    let robot = beetle();
    let names: Vec<&str> = robot.joint_names().collect();
    assert_eq!(names[..7], ["BC1", "BC2", "BC4", "BC5", "BC0", "BC3", "CF1"]);
    assert_eq!(names[12..], ["FT1", "FT2", "FT4", "FT5", "FT0", "FT3"]);
}

#[test]
fn the_speed_limit_is_a_parameter_and_must_be_positive() {
    let mut robot = (*beetle()).clone();
    robot.set_velocity_limit(30f32.to_radians()).unwrap();
    assert!(robot.joints.iter().all(|joint| joint.velocity_limit == 30f32.to_radians()));
    for limit in [0.0, -1.0, f32::NAN] {
        assert!(robot.set_velocity_limit(limit).is_err(), "{limit}");
    }
}
