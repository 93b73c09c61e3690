//! The same robot on the same ground for MuJoCo: masses, inertias, joints, limits, motors, armature and friction.

use nalgebra::{Isometry3, Matrix3, SymmetricEigen};
use quick_xml::Writer;
use quick_xml::events::{BytesEnd, BytesStart, BytesText, Event};

use super::{SettingsError, SimulationSettings, World};
use crate::robot::{Geometry, Joint, JointKind, RobotModel, Shape};

/// Time step of the exported model \[s\].
const STEP: f32 = 0.001;
/// By which share the largest principal moment of inertia has to stay below the sum of the others: MuJoCo refuses one that rounding takes above.
const BELOW_SUM: f64 = 1e-5;
/// Least share that one principal moment has of the largest: what single precision cannot turn negative.
const LEAST_SHARE: f64 = 1e-6;
/// Time constant and damping ratio of MuJoCo's contacts: as stiff as its rules allow at this step, for our contacts are hard.
const STIFF_CONTACT: &str = "0.002 1";

/// `robot` as a MuJoCo model (MJCF) on flat ground, with a key frame `nominal` in which it stands like a new [`World`]; actuators are the driven
/// joints in order.
///
/// Inertias at the edge of what a body can have are lowered by a hundred thousandth, as MuJoCo accepts no rounding.
///
/// What MJCF cannot say: a motor's speed limit. It is a custom number `velocity_limit` per actuator; whoever drives the model has to bound each
/// target to `position ± limit * (damping / stiffness + step)` as [`World`] does.
///
/// # Errors
/// [`SettingsError`] when the rates in `settings` do not fit each other.
pub fn to_mjcf(robot: &std::sync::Arc<RobotModel>, settings: SimulationSettings) -> Result<String, SettingsError> {
    let height = World::new(robot.clone(), settings)?.base().position[2];
    let mut out = Xml::new();
    out.open("mujoco", &[("model", &robot.name)]);
    out.empty("compiler", &[("angle", "radian"), ("autolimits", "true"), ("balanceinertia", "false")]);
    let step = STEP.to_string();
    // The elliptic cone is Coulomb's; impratio keeps feet from slipping slowly.
    out.empty("option", &[("timestep", &step), ("integrator", "implicitfast"), ("cone", "elliptic"), ("impratio", "10")]);
    out.open("default", &[]);
    let friction = format!("{} 0.005 0.0001", robot.friction);
    // The robot meets the ground, never itself.
    let contact = [("contype", "1"), ("conaffinity", "2"), ("condim", "3"), ("friction", &*friction), ("solref", STIFF_CONTACT)];
    out.empty("geom", &contact);
    out.close("default");
    write_meshes(robot, &mut out);
    out.open("worldbody", &[]);
    let ground = [("contype", "2"), ("conaffinity", "1")];
    out.empty("geom", &[&[("name", "ground"), ("type", "plane"), ("size", "0 0 1")][..], &ground].concat());
    write_body(robot, 0, None, &format!("0 0 {height}"), &mut out);
    out.close("worldbody");
    write_motors(robot, &mut out);
    write_key_frame(robot, height, &mut out);
    out.close("mujoco");
    Ok(out.finish())
}

/// Writes XML; attributes are escaped.
struct Xml(Writer<Vec<u8>>);

impl Xml {
    fn new() -> Self {
        Self(Writer::new_with_indent(Vec::new(), b' ', 2))
    }

    // Writing to memory cannot fail.
    fn write(&mut self, event: Event<'_>) {
        let _ = self.0.write_event(event);
    }

    fn open(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.write(Event::Start(BytesStart::new(name).with_attributes(attributes.iter().copied())));
    }

    fn empty(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.write(Event::Empty(BytesStart::new(name).with_attributes(attributes.iter().copied())));
    }

    fn close(&mut self, name: &str) {
        self.write(Event::End(BytesEnd::new(name)));
    }

    fn finish(mut self) -> String {
        self.write(Event::Text(BytesText::new("\n")));
        String::from_utf8_lossy(&self.0.into_inner()).into_owned()
    }
}

fn numbers(values: impl IntoIterator<Item = f32>) -> String {
    values.into_iter().map(|value| value.to_string()).collect::<Vec<_>>().join(" ")
}

/// Position, and quaternion in MuJoCo's order.
fn placed(pose: &Isometry3<f32>) -> (String, String) {
    let q = pose.rotation;
    (numbers(pose.translation.vector.iter().copied()), numbers([q.w, q.i, q.j, q.k]))
}

fn hulls(robot: &RobotModel) -> impl Iterator<Item = (usize, usize, &Geometry)> {
    let shapes = robot
        .bodies
        .iter()
        .enumerate()
        .flat_map(|(body, parts)| parts.shapes.iter().enumerate().map(move |(i, s)| (body, i, &s.geometry)));
    shapes.filter(|(.., geometry)| matches!(geometry, Geometry::ConvexHull(_)))
}

fn write_meshes(robot: &RobotModel, out: &mut Xml) {
    if hulls(robot).next().is_none() {
        return;
    }
    out.open("asset", &[]);
    for (body, index, geometry) in hulls(robot) {
        if let Geometry::ConvexHull(hull) = geometry {
            let vertices = numbers(hull.points().iter().flat_map(|point| point.to_array()));
            out.empty("mesh", &[("name", &format!("hull_{body}_{index}")), ("vertex", &vertices)]);
        }
    }
    out.close("asset");
}

fn write_body(robot: &RobotModel, index: usize, moved_by: Option<&Joint>, at: &str, out: &mut Xml) {
    let body = &robot.bodies[index];
    let rotation = moved_by.map_or_else(|| "1 0 0 0".to_owned(), |joint| placed(&joint.origin).1);
    out.open("body", &[("name", &body.name), ("pos", at), ("quat", &rotation)]);
    match moved_by {
        None => out.empty("freejoint", &[("name", "base")]),
        Some(joint) => {
            let kind = if joint.kind == JointKind::Revolute { "hinge" } else { "slide" };
            let (axis, range) = (numbers(joint.axis.iter().copied()), numbers([joint.lower, joint.upper]));
            let armature = joint.armature.to_string();
            // Limits act on targets, as in our world; the range is kept for whoever reads the model.
            let limits = [("range", &*range), ("limited", "false")];
            let own = [("name", &*joint.name), ("type", kind), ("axis", &axis), ("armature", &armature)];
            out.empty("joint", &[&own[..], &limits].concat());
        }
    }
    let centre = numbers(body.centre_of_mass.iter().copied());
    let i = accepted(&body.inertia);
    let inertia = numbers([i.m11, i.m22, i.m33, i.m12, i.m13, i.m23]);
    out.empty("inertial", &[("pos", &centre), ("mass", &body.mass.to_string()), ("fullinertia", &inertia)]);
    for (number, shape) in body.shapes.iter().enumerate() {
        write_shape(shape, &format!("hull_{index}_{number}"), out);
    }
    for joint in robot.moving_joints().filter(|joint| joint.parent == index) {
        write_body(robot, joint.child, Some(joint), &placed(&joint.origin).0, out);
    }
    out.close("body");
}

/// `inertia`, or, where that is at the edge of what a body can have (flat, or lowered to the edge when the URDF was read) or a little beyond,
/// the nearest that MuJoCo accepts. It compares without tolerance.
fn accepted(inertia: &Matrix3<f32>) -> Matrix3<f32> {
    let SymmetricEigen { eigenvectors, eigenvalues: given } = inertia.cast::<f64>().symmetric_eigen();
    let least = LEAST_SHARE * given.max();
    let mut moments = given.map(|moment| moment.max(least));
    let largest = moments.imax();
    let others = moments.sum() - moments[largest];
    // Of a thin rod two moments are nearly the same: neither of them needs to go below the other.
    let second = moments.iter().enumerate().filter(|(axis, _)| *axis != largest).map(|(_, moment)| *moment).fold(0.0, f64::max);
    moments[largest] = moments[largest].min(((1.0 - BELOW_SUM) * others).max(second));
    if moments == given {
        return *inertia;
    }
    let mended = eigenvectors * Matrix3::from_diagonal(&moments) * eigenvectors.transpose();
    mended.cast()
}

fn write_shape(shape: &Shape, mesh: &str, out: &mut Xml) {
    let (position, rotation) = placed(&shape.pose);
    let (kind, size) = match &shape.geometry {
        Geometry::Sphere { radius } => ("sphere", numbers([*radius])),
        Geometry::Box { half_extents } => ("box", numbers(half_extents.iter().copied())),
        Geometry::Cylinder { radius, half_length } => ("cylinder", numbers([*radius, *half_length])),
        Geometry::Capsule { radius, half_length } => ("capsule", numbers([*radius, *half_length])),
        Geometry::ConvexHull(_) => ("mesh", String::new()),
    };
    let form = if kind == "mesh" { ("mesh", mesh) } else { ("size", &*size) };
    out.empty("geom", &[("type", kind), form, ("pos", &position), ("quat", &rotation)]);
}

fn write_motors(robot: &RobotModel, out: &mut Xml) {
    if !robot.followers.is_empty() {
        out.open("equality", &[]);
        for follower in &robot.followers {
            let polynomial = numbers([follower.offset, follower.multiplier, 0.0, 0.0, 0.0]);
            let joints = [("joint1", &*follower.joint.name), ("joint2", &*robot.joints[follower.master].name)];
            out.empty("joint", &[&joints[..], &[("polycoef", &*polynomial), ("solref", STIFF_CONTACT)]].concat());
        }
        out.close("equality");
    }
    out.open("actuator", &[]);
    for joint in &robot.joints {
        let (stiffness, damping) = (joint.stiffness.to_string(), joint.damping.to_string());
        let (targets, efforts) = (numbers([joint.lower, joint.upper]), numbers([-joint.effort_limit, joint.effort_limit]));
        let gains = [("kp", &*stiffness), ("kv", &*damping), ("ctrlrange", &*targets), ("forcerange", &*efforts)];
        out.empty("position", &[&[("name", &*joint.name), ("joint", &*joint.name)][..], &gains].concat());
    }
    out.close("actuator");
    out.open("custom", &[]);
    let limits = numbers(robot.joints.iter().map(|joint| joint.velocity_limit));
    out.empty("numeric", &[("name", "velocity_limit"), ("data", &limits)]);
    out.close("custom");
}

fn write_key_frame(robot: &RobotModel, height: f32, out: &mut Xml) {
    // Coordinates in the order in which the bodies are written: depth first.
    let mut positions = vec![0.0, 0.0, height, 1.0, 0.0, 0.0, 0.0];
    let mut open = vec![0];
    while let Some(body) = open.pop() {
        if let Some(joint) = robot.moving_joints().find(|joint| joint.child == body) {
            positions.push(joint.nominal);
        }
        let mut below: Vec<usize> = robot.moving_joints().filter(|joint| joint.parent == body).map(|joint| joint.child).collect();
        below.reverse();
        open.extend(below);
    }
    let targets = numbers(robot.joints.iter().map(|joint| joint.nominal));
    out.open("keyframe", &[]);
    out.empty("key", &[("name", "nominal"), ("qpos", &numbers(positions)), ("ctrl", &targets)]);
    out.close("keyframe");
}

#[cfg(test)]
mod tests {
    use nalgebra::{UnitQuaternion, Vector3};

    use super::*;

    /// Principal moments, the smallest first, of what MuJoCo reads where `inertia` is exported: the numbers of the text in double precision.
    fn exported(inertia: &Matrix3<f32>) -> [f64; 3] {
        let i = accepted(inertia);
        let text = numbers([i.m11, i.m22, i.m33, i.m12, i.m13, i.m23]);
        let n: Vec<f64> = text.split(' ').map(|number| number.parse().unwrap()).collect();
        let read = Matrix3::new(n[0], n[3], n[4], n[3], n[1], n[5], n[4], n[5], n[2]);
        let mut moments: [f64; 3] = read.symmetric_eigenvalues().into();
        moments.sort_by(f64::total_cmp);
        moments
    }

    #[test]
    fn no_exported_moment_of_inertia_reaches_the_sum_of_the_others() {
        let plates = [[1.0, 2.0, 3.0], [1.0, 2.0, 3.02], [4.0, 4.0, 8.0]];
        let rods = [[1e-7, 1.0, 1.0], [1e-6, 1.0, 1.000_000_2], [3e-6, 1.0, 1.000_003]];
        for given in plates.into_iter().chain(rods) {
            for turn in [UnitQuaternion::identity(), UnitQuaternion::from_euler_angles(0.3, -1.1, 2.0)] {
                for scale in [1e-6, 1.0, 100.0] {
                    let rotation = turn.to_rotation_matrix();
                    let inertia = rotation * Matrix3::from_diagonal(&Vector3::from(given)) * rotation.transpose() * scale;
                    let [a, b, c] = exported(&inertia.cast());
                    assert!(a > 0.0 && c < a + b, "{given:?} by {scale}: {a}, {b}, {c}");
                    let wanted = [given[0], given[1], f64::min(given[2], given[0] + given[1])];
                    let near = |found: f64, wanted: f64| (found / scale - wanted).abs() < 2e-5 * given[2];
                    let all_near = [a, b, c].into_iter().zip(wanted).all(|(found, wanted)| near(found, wanted));
                    assert!(all_near, "{given:?} by {scale}: {a}, {b}, {c}");
                }
            }
        }
        let solid = Matrix3::from_diagonal(&Vector3::new(1e-3, 2e-3, 2.9e-3));
        assert_eq!(accepted(&solid), solid);
    }
}
