//! From URDF to a tree of rigid bodies: fixed joints merged, names resolved, values checked.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use nalgebra::{Isometry3, Matrix3, Translation3, Unit, UnitQuaternion, Vector3};
use urdf_rs::{JointType, Link};

use super::model::{Body, Foot, Geometry, Joint, RobotModel, Shape};
use super::{RobotDescription, RobotError};

/// Range of a `continuous` joint, which has no limits \[rad\].
const CONTINUOUS_RANGE: f64 = std::f64::consts::PI;

pub(super) fn assemble(description: &RobotDescription, text: String, path: &Path) -> Result<RobotModel, RobotError> {
    let urdf = urdf_rs::read_from_string(&text)
        .map_err(|error| RobotError::MalformedUrdf { path: path.into(), message: error.to_string() })?;
    check_description(description)?;
    let tree = Tree::new(&urdf)?;
    tree.check_names(description)?;

    // Also what rules out a cycle, so the descent below ends.
    if let Some(joint) = urdf.joints.iter().find(|joint| joint.child.link == description.base_link) {
        return Err(RobotError::unusable(
            "base link",
            &description.base_link,
            format!("is not the root of the URDF: the joint `{}` moves it", joint.name),
        ));
    }
    let mut assembly = Assembly { description, tree: &tree, bodies: Vec::new(), joints: BTreeMap::new(), poses: BTreeMap::new() };
    assembly.add_body(&description.base_link, None)?;
    if let Some(link) = tree.links.keys().find(|link| !assembly.poses.contains_key(*link)) {
        return Err(RobotError::unusable("link", link, format!("is not connected to the base link `{}`", description.base_link)));
    }
    assembly.finish(text)
}

fn check_description(description: &RobotDescription) -> Result<(), RobotError> {
    for (kind, names) in [("joint", &description.joints), ("foot", &description.feet)] {
        let mut seen = BTreeSet::new();
        if let Some(name) = names.iter().find(|name| !seen.insert(*name)) {
            return Err(RobotError::Doubled { kind, name: name.clone() });
        }
        if names.is_empty() {
            return Err(RobotError::unusable("robot", &description.name, format!("lists no {kind}; at least one is needed")));
        }
    }
    let actuator = &description.actuator;
    let positive = [
        ("actuator.stiffness", Some(actuator.stiffness)),
        ("actuator.damping", Some(actuator.damping)),
        ("actuator.effort_limit", actuator.effort_limit),
        ("actuator.velocity_limit", actuator.velocity_limit),
    ];
    let at_least_zero = [
        ("actuator.armature", actuator.armature),
        ("contact_threshold", description.contact_threshold),
        ("friction", description.friction),
    ];
    for (name, value) in positive {
        if value.is_some_and(|value| !(value.is_finite() && value > 0.0)) {
            return Err(RobotError::unusable("value", name, "must be a positive number"));
        }
    }
    for (name, value) in at_least_zero {
        if !(value.is_finite() && value >= 0.0) {
            return Err(RobotError::unusable("value", name, "must be a number of at least 0"));
        }
    }
    Ok(())
}

/// The URDF's links and joints by name.
struct Tree<'a> {
    links: BTreeMap<&'a str, &'a Link>,
    joints: BTreeMap<&'a str, &'a urdf_rs::Joint>,
    /// Joints below a link, in the file's order.
    children: BTreeMap<&'a str, Vec<&'a urdf_rs::Joint>>,
}

impl<'a> Tree<'a> {
    fn new(urdf: &'a urdf_rs::Robot) -> Result<Self, RobotError> {
        let links: BTreeMap<_, _> = urdf.links.iter().map(|link| (link.name.as_str(), link)).collect();
        let joints: BTreeMap<_, _> = urdf.joints.iter().map(|joint| (joint.name.as_str(), joint)).collect();
        let mut children: BTreeMap<_, Vec<_>> = BTreeMap::new();
        let mut parents = BTreeSet::new();
        for joint in &urdf.joints {
            for link in [&joint.parent.link, &joint.child.link] {
                if !links.contains_key(link.as_str()) {
                    return Err(RobotError::unusable(
                        "joint",
                        &joint.name,
                        format!("joins the link `{link}`, which does not exist"),
                    ));
                }
            }
            if !parents.insert(joint.child.link.as_str()) {
                return Err(RobotError::unusable("link", &joint.child.link, "has two parent joints; a URDF is a tree"));
            }
            children.entry(joint.parent.link.as_str()).or_default().push(joint);
        }
        Ok(Self { links, joints, children })
    }

    fn check_names(&self, description: &RobotDescription) -> Result<(), RobotError> {
        let joints = description.joints.iter().chain(description.nominal_pose.keys());
        if let Some(name) = joints.into_iter().find(|name| !self.joints.contains_key(name.as_str())) {
            return Err(RobotError::unknown("joint", name, self.joints.keys().copied()));
        }
        let links = description.feet.iter().chain([&description.base_link]).chain(&description.imu_link);
        if let Some(name) = links.into_iter().find(|name| !self.links.contains_key(name.as_str())) {
            return Err(RobotError::unknown("link", name, self.links.keys().copied()));
        }
        Ok(())
    }
}

/// The bodies gathered so far.
struct Assembly<'a> {
    description: &'a RobotDescription,
    tree: &'a Tree<'a>,
    bodies: Vec<Body>,
    joints: BTreeMap<&'a str, Joint>,
    /// Body and pose in it, for every link.
    poses: BTreeMap<&'a str, (usize, Isometry3<f64>)>,
}

impl<'a> Assembly<'a> {
    /// Adds the body that starts at `root` with all links fixed to it, then the bodies below.
    fn add_body(
        &mut self,
        root: &'a str,
        moved_by: Option<(usize, Isometry3<f64>, &'a urdf_rs::Joint)>,
    ) -> Result<(), RobotError> {
        let index = self.bodies.len();
        let mut mass = MassSum::default();
        let mut shapes = Vec::new();
        let mut below = Vec::new();
        let mut open = vec![(root, Isometry3::identity())];
        while let Some((name, pose)) = open.pop() {
            self.poses.insert(name, (index, pose));
            let link = self.tree.links[name];
            mass.add(link, &pose)?;
            let foot = self.description.feet.iter().position(|foot| foot == name);
            for collision in &link.collision {
                let pose = (pose * isometry(&collision.origin)).cast();
                shapes.push(Shape { geometry: geometry(name, &collision.geometry)?, pose, foot });
            }
            for joint in self.tree.children.get(name).into_iter().flatten() {
                let child_pose = pose * isometry(&joint.origin);
                match joint.joint_type {
                    JointType::Fixed => open.push((joint.child.link.as_str(), child_pose)),
                    JointType::Revolute | JointType::Continuous => below.push((child_pose, *joint)),
                    ref other => {
                        return Err(RobotError::unusable(
                            "joint",
                            &joint.name,
                            format!("has type {other:?}; revolute, continuous and fixed joints are supported"),
                        ));
                    }
                }
            }
        }
        if let Some((parent, origin, joint)) = moved_by {
            self.joints.insert(joint.name.as_str(), self.driven_joint(joint, parent, index, &origin)?);
        }
        self.bodies.push(mass.body(root, shapes)?);
        for (origin, joint) in below {
            self.add_body(joint.child.link.as_str(), Some((index, origin, joint)))?;
        }
        Ok(())
    }

    fn driven_joint(
        &self,
        joint: &urdf_rs::Joint,
        parent: usize,
        child: usize,
        origin: &Isometry3<f64>,
    ) -> Result<Joint, RobotError> {
        let unusable = |problem: &str| RobotError::unusable("joint", &joint.name, problem);
        if !self.description.joints.contains(&joint.name) {
            return Err(unusable(
                "can move but is not in the description's list of driven joints; list it, or make it fixed in the URDF",
            ));
        }
        if joint.mimic.is_some() {
            return Err(unusable("mimics another joint, which is not supported"));
        }
        let axis = Vector3::from(joint.axis.xyz.0);
        let axis = Unit::try_new(axis, 1e-6).ok_or_else(|| unusable("has an axis of length 0"))?.cast();
        let (lower, upper) = match joint.joint_type {
            JointType::Continuous => (-CONTINUOUS_RANGE, CONTINUOUS_RANGE),
            _ => (joint.limit.lower, joint.limit.upper),
        };
        if !(lower.is_finite() && upper.is_finite() && lower < upper) {
            return Err(unusable(&format!("has the range {lower} to {upper} rad; lower must be less than upper")));
        }
        let actuator = &self.description.actuator;
        let effort_limit = actuator.effort_limit.unwrap_or(joint.limit.effort as f32);
        let velocity_limit = actuator.velocity_limit.unwrap_or(joint.limit.velocity as f32);
        for (name, value) in [("effort", effort_limit), ("velocity", velocity_limit)] {
            if !(value.is_finite() && value > 0.0) {
                return Err(unusable(&format!("has the {name} limit {value}; set it in the URDF or as actuator.{name}_limit")));
            }
        }
        let nominal = self.description.nominal_pose.get(&joint.name).copied().unwrap_or(0.0).clamp(lower as f32, upper as f32);
        Ok(Joint {
            name: joint.name.clone(),
            parent,
            child,
            origin: origin.cast(),
            axis,
            lower: lower as f32,
            upper: upper as f32,
            nominal,
            effort_limit,
            velocity_limit,
            stiffness: actuator.stiffness,
            damping: actuator.damping,
            armature: actuator.armature,
        })
    }

    fn finish(mut self, urdf: String) -> Result<RobotModel, RobotError> {
        let description = self.description;
        let mut joints = Vec::new();
        for name in &description.joints {
            let Some(joint) = self.joints.remove(name.as_str()) else {
                return Err(RobotError::unusable("joint", name, "is fixed in the URDF and cannot be driven"));
            };
            joints.push(joint);
        }
        let mut feet = Vec::new();
        for name in &description.feet {
            let (body, _) = self.poses[name.as_str()];
            if self.tree.links[name.as_str()].collision.is_empty() {
                return Err(RobotError::unusable("foot", name, "has no collision shape, so it can never touch the ground"));
            }
            feet.push(Foot { name: name.clone(), body });
        }
        let imu_link = description.imu_link.clone().unwrap_or_else(|| description.base_link.clone());
        let (imu_body, imu) = self.poses[imu_link.as_str()];
        if imu_body != 0 {
            return Err(RobotError::unusable("IMU link", &imu_link, "must be fixed to the base link"));
        }
        Ok(RobotModel {
            name: description.name.clone(),
            bodies: self.bodies,
            joints,
            feet,
            imu: imu.cast(),
            base_link: description.base_link.clone(),
            imu_link,
            contact_threshold: description.contact_threshold,
            friction: description.friction,
            urdf,
        })
    }
}

/// Sum of the masses and inertias of links that are one body, about the body's origin.
#[derive(Default)]
struct MassSum {
    mass: f64,
    moment: Vector3<f64>,
    inertia: Matrix3<f64>,
}

impl MassSum {
    fn add(&mut self, link: &Link, pose: &Isometry3<f64>) -> Result<(), RobotError> {
        let mass = link.inertial.mass.value;
        if !(mass.is_finite() && mass >= 0.0) {
            return Err(RobotError::unusable("link", &link.name, format!("has the mass {mass}; it must be at least 0")));
        }
        let inertial = pose * isometry(&link.inertial.origin);
        let i = &link.inertial.inertia;
        let local = Matrix3::new(i.ixx, i.ixy, i.ixz, i.ixy, i.iyy, i.iyz, i.ixz, i.iyz, i.izz);
        let rotation = inertial.rotation.to_rotation_matrix();
        let centre = inertial.translation.vector;
        self.mass += mass;
        self.moment += centre * mass;
        self.inertia += rotation * local * rotation.transpose() + parallel_axis(mass, &centre);
        Ok(())
    }

    fn body(self, name: &str, shapes: Vec<Shape>) -> Result<Body, RobotError> {
        if self.mass <= 0.0 {
            return Err(RobotError::unusable("link", name, "has no mass (with the links fixed to it); give it an <inertial>"));
        }
        let centre = self.moment / self.mass;
        let inertia = self.inertia - parallel_axis(self.mass, &centre);
        if inertia.symmetric_eigenvalues().min() <= 0.0 {
            return Err(RobotError::unusable("link", name, "has an inertia that is not positive definite"));
        }
        Ok(Body { name: name.to_owned(), mass: self.mass as f32, centre_of_mass: centre.cast(), inertia: inertia.cast(), shapes })
    }
}

/// Inertia of a point mass at `r` about the origin (Steiner).
fn parallel_axis(mass: f64, r: &Vector3<f64>) -> Matrix3<f64> {
    (Matrix3::identity() * r.norm_squared() - r * r.transpose()) * mass
}

fn isometry(pose: &urdf_rs::Pose) -> Isometry3<f64> {
    let [roll, pitch, yaw] = pose.rpy.0;
    Isometry3::from_parts(Translation3::from(pose.xyz.0), UnitQuaternion::from_euler_angles(roll, pitch, yaw))
}

fn geometry(link: &str, geometry: &urdf_rs::Geometry) -> Result<Geometry, RobotError> {
    let result = match geometry {
        urdf_rs::Geometry::Sphere { radius } => Geometry::Sphere { radius: *radius as f32 },
        urdf_rs::Geometry::Box { size } => Geometry::Box { half_extents: Vector3::from(size.0).cast() * 0.5 },
        urdf_rs::Geometry::Cylinder { radius, length } => {
            Geometry::Cylinder { radius: *radius as f32, half_length: *length as f32 * 0.5 }
        }
        _ => {
            return Err(RobotError::unusable("link", link, "has a collision shape that is not a box, cylinder or sphere"));
        }
    };
    let sizes = match result {
        Geometry::Sphere { radius } => [radius; 3],
        Geometry::Box { half_extents } => half_extents.into(),
        Geometry::Cylinder { radius, half_length } => [radius, half_length, radius],
    };
    if sizes.iter().any(|size| !(size.is_finite() && *size > 0.0)) {
        return Err(RobotError::unusable("link", link, "has a collision shape whose size is not positive"));
    }
    Ok(result)
}
