//! Bodies and joints, put together from links and a description.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use nalgebra::{Isometry3, Translation3, Unit, UnitQuaternion, Vector3};
use urdf_rs::JointType;

use super::MAX_LENGTH;
use super::inertia::MassSum;
use super::tree::Tree;
use crate::robot::mesh::Meshes;
use crate::robot::{
    Body, Follower, Foot, Geometry, Joint, JointActuator, JointKind, LockedJoint, RobotDescription, RobotError, RobotModel,
    RobotWarning, Shape,
};

/// Range of a `continuous` joint, and of one that turns and has no limits \[rad\], …
const CONTINUOUS_RANGE: f64 = std::f64::consts::PI;
/// … and of one that shifts \[m\].
const PRISMATIC_RANGE: f64 = 1.0;
/// Largest gain, limit and friction: far beyond any motor, far within single precision.
const LARGEST_VALUE: f32 = 1e6;
/// How far beyond its range a nominal position may lie \[rad or m\]: as far as four decimals round.
const ROUNDING: f32 = 1e-4;

/// Checks what a description says by itself.
pub(super) fn check_description(description: &RobotDescription) -> Result<(), RobotError> {
    for (kind, names) in [("joint", &description.joints), ("foot", &description.feet)] {
        let mut seen = BTreeSet::new();
        if let Some(name) = names.iter().find(|name| !seen.insert(*name)) {
            return Err(RobotError::Doubled { kind, name: name.clone() });
        }
        if names.is_empty() {
            return Err(RobotError::unusable("robot", &description.name, format!("lists no {kind}; at least one is needed")));
        }
    }
    if let Some(name) = description.locked.iter().find(|name| description.joints.contains(name)) {
        return Err(RobotError::unusable("joint", name, "is listed both as driven and as locked"));
    }
    let actuator = &description.actuator;
    let motors = actuator.joints.keys().map(|joint| (format!("actuator of `{joint}`"), actuator.of(joint)));
    let common = JointActuator {
        stiffness: Some(actuator.stiffness),
        damping: Some(actuator.damping),
        effort_limit: actuator.effort_limit,
        velocity_limit: actuator.velocity_limit,
        armature: Some(actuator.armature),
    };
    for (name, motor) in [("actuator".to_owned(), common)].into_iter().chain(motors) {
        let positive = [
            ("stiffness", motor.stiffness),
            ("damping", motor.damping),
            ("effort_limit", motor.effort_limit),
            ("velocity_limit", motor.velocity_limit),
        ];
        for (value_name, value) in positive {
            value.map_or(Ok(()), |value| positive_number(&format!("{name}.{value_name}"), value))?;
        }
        at_least_zero(&format!("{name}.armature"), motor.armature.unwrap_or(0.0))?;
    }
    // From a threshold of 0 on every foot would always touch.
    positive_number("contact_threshold", description.contact_threshold)?;
    at_least_zero("friction", description.friction)?;
    match description.nominal_pose.iter().find(|(_, position)| !position.is_finite()) {
        Some((joint, position)) => Err(RobotError::unusable("joint", joint, format!("has the nominal position {position}"))),
        None => Ok(()),
    }
}

fn positive_number(name: &str, value: f32) -> Result<(), RobotError> {
    if value > 0.0 && value <= LARGEST_VALUE {
        return Ok(());
    }
    Err(RobotError::unusable("value", name, format!("must be a positive number of at most {LARGEST_VALUE}, not {value}")))
}

fn at_least_zero(name: &str, value: f32) -> Result<(), RobotError> {
    if (0.0..=LARGEST_VALUE).contains(&value) {
        return Ok(());
    }
    Err(RobotError::unusable("value", name, "must be a number of at least 0"))
}

/// A body that is to be added: its first link, and the joint that moves it with the body it is on and its pose there.
struct Open<'a> {
    link: &'a str,
    moved_by: Option<(usize, Isometry3<f64>, &'a urdf_rs::Joint)>,
}

/// The bodies gathered so far.
pub(super) struct Assembly<'a> {
    description: &'a RobotDescription,
    tree: &'a Tree<'a>,
    meshes: Meshes<'a>,
    bodies: Vec<Body>,
    joints: BTreeMap<&'a str, Joint>,
    locked: Vec<LockedJoint>,
    /// Body and pose in it, for every link.
    poses: BTreeMap<&'a str, (usize, Isometry3<f64>)>,
    warnings: Vec<RobotWarning>,
}

impl<'a> Assembly<'a> {
    pub fn new(description: &'a RobotDescription, tree: &'a Tree<'a>, path: &'a Path, packages: &'a [PathBuf]) -> Self {
        Self {
            description,
            tree,
            meshes: Meshes::of(path, packages),
            bodies: Vec::new(),
            joints: BTreeMap::new(),
            locked: Vec::new(),
            poses: BTreeMap::new(),
            warnings: Vec::new(),
        }
    }

    /// Adds all bodies, parents before children.
    pub fn add_bodies(&mut self) -> Result<(), RobotError> {
        let mut open = vec![Open { link: &self.description.base_link, moved_by: None }];
        while let Some(next) = open.pop() {
            let below = self.add_body(next)?;
            open.extend(below.into_iter().rev());
        }
        Ok(())
    }

    /// Adds a body with all links fixed to it; returns the bodies that hang on it.
    fn add_body(&mut self, Open { link: root, moved_by }: Open<'a>) -> Result<Vec<Open<'a>>, RobotError> {
        let index = self.bodies.len();
        let mut mass = MassSum::default();
        let mut shapes = Vec::new();
        let mut below = Vec::new();
        let mut open = vec![if moved_by.is_some() { (root, Isometry3::identity()) } else { self.top()? }];
        while let Some((name, pose)) = open.pop() {
            self.poses.insert(name, (index, pose));
            let link = self.tree.links[name];
            let own = self.shapes(link, &pose)?;
            mass.add(link, &pose, &own, &mut self.warnings)?;
            shapes.extend(own);
            for joint in self.tree.children.get(name).into_iter().flatten() {
                let child_pose = pose * isometry("joint", &joint.name, &joint.origin)?;
                let child = joint.child.link.as_str();
                match joint.joint_type {
                    JointType::Fixed => open.push((child, child_pose)),
                    _ if self.description.locked.contains(&joint.name) => {
                        let welded = self.joint(joint, index, index, &Isometry3::identity())?;
                        open.push((child, child_pose * welded.motion(welded.nominal).cast::<f64>()));
                        self.locked.push(LockedJoint { name: welded.name, position: welded.nominal });
                    }
                    _ => below.push(Open { link: child, moved_by: Some((index, child_pose, joint)) }),
                }
            }
        }
        if let Some((parent, origin, joint)) = moved_by {
            if joint.mimic.is_none() && !self.description.joints.contains(&joint.name) {
                let problem = "can move but is not in the description's list of driven joints; list it under `joints`, or under `locked` \
                    to weld it at its nominal position";
                return Err(RobotError::unusable("joint", &joint.name, problem));
            }
            let joint = (joint.name.as_str(), self.joint(joint, parent, index, &origin)?);
            self.joints.extend([joint]);
        }
        self.bodies.push(mass.body(root, shapes, &mut self.warnings)?);
        Ok(below)
    }

    /// The topmost link that the base link is fixed to, with its pose in the base link's frame; the base link itself where it is the root.
    fn top(&self) -> Result<(&'a str, Isometry3<f64>), RobotError> {
        let mut top = (self.description.base_link.as_str(), Isometry3::identity());
        for joint in self.tree.above(&self.description.base_link) {
            let pose = isometry("joint", &joint.name, &joint.origin)?;
            top = (joint.parent.link.as_str(), top.1 * pose.inverse());
        }
        Ok(top)
    }

    /// Collision shapes of `link`, whose frame has the pose `at` in its body.
    fn shapes(&mut self, link: &urdf_rs::Link, at: &Isometry3<f64>) -> Result<Vec<Shape>, RobotError> {
        let foot = self.description.feet.iter().position(|foot| *foot == link.name);
        let mut shapes = Vec::with_capacity(link.collision.len());
        for collision in &link.collision {
            let pose = (at * isometry("link", &link.name, &collision.origin)?).cast();
            match self.geometry(&link.name, &collision.geometry)? {
                Some(geometry) => shapes.push(Shape { geometry, pose, foot }),
                None => self.warnings.push(RobotWarning::EmptyShape { link: link.name.clone() }),
            }
        }
        Ok(shapes)
    }

    /// A shape of `link`, if it has any size.
    fn geometry(&mut self, link: &str, geometry: &urdf_rs::Geometry) -> Result<Option<Geometry>, RobotError> {
        let (result, sizes) = match geometry {
            urdf_rs::Geometry::Sphere { radius } => (Geometry::Sphere { radius: *radius as f32 }, [*radius; 3]),
            urdf_rs::Geometry::Box { size } => (Geometry::Box { half_extents: Vector3::from(size.0).cast() * 0.5 }, size.0),
            urdf_rs::Geometry::Cylinder { radius, length } => {
                (Geometry::Cylinder { radius: *radius as f32, half_length: *length as f32 * 0.5 }, [*radius, *length, *radius])
            }
            urdf_rs::Geometry::Capsule { radius, length } => {
                (Geometry::Capsule { radius: *radius as f32, half_length: *length as f32 * 0.5 }, [*radius, *length, *radius])
            }
            urdf_rs::Geometry::Mesh { filename, scale } => {
                let scale = scale.map_or(Vector3::repeat(1.0), |scale| Vector3::from(scale.0).cast());
                let hull = self.meshes.hull(link, filename, scale)?;
                if hull.flat {
                    self.warnings.push(RobotWarning::FlatMesh { link: link.to_owned(), file: filename.clone() });
                }
                if let Some(found) = hull.elsewhere {
                    let (link, file, found) = (link.to_owned(), filename.clone(), found.display().to_string());
                    self.warnings.push(RobotWarning::MeshElsewhere { link, file, found });
                }
                return Ok(Some(hull.geometry));
            }
        };
        if !sizes.iter().all(|size| (0.0..=MAX_LENGTH).contains(size)) {
            let problem =
                format!("has a collision shape of the size {sizes:?} m; each must be at least 0 and at most {MAX_LENGTH}");
            return Err(RobotError::unusable("link", link, problem));
        }
        // A micrometre: what is thinner has no volume in single precision.
        Ok(sizes.iter().all(|size| *size > 1e-6).then_some(result))
    }

    /// The joint with its motor; what moves only `child` when that is another body than `parent`.
    fn joint(
        &mut self,
        joint: &urdf_rs::Joint,
        parent: usize,
        child: usize,
        origin: &Isometry3<f64>,
    ) -> Result<Joint, RobotError> {
        let unusable = |problem: &str| RobotError::unusable("joint", &joint.name, problem);
        let kind = match joint.joint_type {
            JointType::Revolute | JointType::Continuous => JointKind::Revolute,
            JointType::Prismatic => JointKind::Prismatic,
            ref other => {
                return Err(unusable(&format!(
                    "has type {other:?}; revolute, continuous, prismatic and fixed joints are supported"
                )));
            }
        };
        let axis = Vector3::from(joint.axis.xyz.0);
        let axis = Unit::try_new(axis, 1e-6).filter(|axis| axis.iter().all(|value| value.is_finite()));
        let axis = axis.ok_or_else(|| unusable("has an axis of length 0, or not of numbers"))?.cast();
        let without_range = joint.limit.lower == 0.0 && joint.limit.upper == 0.0;
        let (lower, upper) = match joint.joint_type {
            JointType::Continuous => (-CONTINUOUS_RANGE, CONTINUOUS_RANGE),
            JointType::Prismatic if without_range => (-PRISMATIC_RANGE, PRISMATIC_RANGE),
            _ if without_range => (-CONTINUOUS_RANGE, CONTINUOUS_RANGE),
            _ => (joint.limit.lower, joint.limit.upper),
        };
        // What follows another goes as far as that takes it.
        let is_led = joint.mimic.is_some() && parent != child && !has_range(joint);
        if without_range && joint.joint_type != JointType::Continuous && !is_led {
            self.warnings.push(RobotWarning::RangeAssumed { joint: joint.name.clone() });
        }
        if lower >= upper || lower.is_nan() || upper.is_nan() {
            return Err(unusable(&format!("has the range {lower} to {upper}; lower must be less than upper")));
        }
        if lower.abs().max(upper.abs()) > MAX_LENGTH {
            let (unit, advice) = match kind {
                JointKind::Revolute => ("rad", "; a joint without limits is of the type `continuous`"),
                JointKind::Prismatic => ("m", ""),
            };
            return Err(unusable(&format!(
                "has the range {lower} to {upper} {unit}; limits must lie between -{MAX_LENGTH} and {MAX_LENGTH} {unit}. \
                 Correct them in the URDF{advice}"
            )));
        }
        // URDF's defaults, 0 and 0, are no limits.
        let soft = joint.safety_controller.as_ref().map(|safety| [safety.soft_lower_limit, safety.soft_upper_limit]);
        let (lower, upper) = match soft {
            Some([soft_lower, soft_upper]) if soft_upper > soft_lower => {
                if soft_lower.max(lower) >= soft_upper.min(upper) {
                    return Err(unusable(&format!(
                        "has the range {lower} to {upper}, of which the soft limits {soft_lower} to {soft_upper} of its \
                         safety_controller leave nothing; correct either in the URDF"
                    )));
                }
                (soft_lower.max(lower), soft_upper.min(upper))
            }
            _ => (lower, upper),
        };
        let (lower, upper) = (lower as f32, upper as f32);
        let motor = self.description.actuator.of(&joint.name);
        // A follower may take its master's limits, a locked joint needs none.
        let needs_none = parent == child || joint.mimic.is_some();
        let limit = |name: &str, own: Option<f32>, urdf: f64| {
            // Not `min`, by which what is no number would become the largest.
            let value = own.unwrap_or((urdf as f32).clamp(f32::NEG_INFINITY, LARGEST_VALUE));
            if needs_none || value > 0.0 {
                return Ok(value);
            }
            Err(unusable(&format!("has the {name} limit {value}; set it in the URDF or as actuator.{name}_limit")))
        };
        Ok(Joint {
            name: joint.name.clone(),
            kind,
            parent,
            child,
            origin: origin.cast(),
            axis,
            lower,
            upper,
            nominal: self.nominal(&joint.name, kind, [lower, upper])?,
            effort_limit: limit("effort", motor.effort_limit, joint.limit.effort)?,
            velocity_limit: limit("velocity", motor.velocity_limit, joint.limit.velocity)?,
            stiffness: motor.stiffness.unwrap_or(self.description.actuator.stiffness),
            damping: motor.damping.unwrap_or(self.description.actuator.damping),
            armature: motor.armature.unwrap_or(self.description.actuator.armature),
        })
    }

    /// Where the joint `name` stands: where the description says, else at what is nearest to 0.
    fn nominal(&self, name: &str, kind: JointKind, [lower, upper]: [f32; 2]) -> Result<f32, RobotError> {
        let given = self.description.nominal_pose.get(name).copied();
        if let Some(given) = given.filter(|given| !(lower - ROUNDING..=upper + ROUNDING).contains(given)) {
            let (unit, advice) = match kind {
                JointKind::Revolute => ("rad", "which is in rad, not degrees"),
                JointKind::Prismatic => ("m", "which is in m"),
            };
            let problem = format!(
                "has the nominal position {given} {unit}, beyond its range of {lower} to {upper} {unit}; correct nominal_pose, {advice}"
            );
            return Err(RobotError::unusable("joint", name, problem));
        }
        Ok(given.unwrap_or(0.0).clamp(lower, upper))
    }

    /// The joint `joint` as a follower of the driven joint that it mimics, maybe by way of others that do.
    fn follower(&self, mut joint: Joint) -> Result<Follower, RobotError> {
        let unusable = |problem: String| RobotError::unusable("joint", &joint.name, problem);
        let (mut multiplier, mut offset) = (1.0, 0.0);
        let mut name = joint.name.as_str();
        // As many steps as there are joints: more would be a ring.
        for _ in 0..=self.tree.joints.len() {
            let Some(mimic) = self.tree.joints.get(name).and_then(|joint| joint.mimic.as_ref()) else { break };
            offset += multiplier * mimic.offset.unwrap_or(0.0);
            multiplier *= mimic.multiplier.unwrap_or(1.0);
            name = mimic.joint.as_str();
        }
        let Some(master) = self.description.joints.iter().position(|driven| driven == name) else {
            return Err(unusable(format!(
                "mimics `{name}`, which is not among the driven joints; list that one, or lock this one"
            )));
        };
        let (multiplier, offset) = (multiplier as f32, offset as f32);
        if !(multiplier.abs() <= LARGEST_VALUE && offset.abs() <= LARGEST_VALUE) {
            return Err(unusable(format!("mimics `{name}` by the factor {multiplier} and the offset {offset}")));
        }
        if let Some(master) = self.joints.get(name) {
            let usable = |own: f32, of_master: f32| if own > 0.0 { own } else { of_master };
            joint.effort_limit = usable(joint.effort_limit, master.effort_limit);
            joint.velocity_limit = usable(joint.velocity_limit, master.velocity_limit);
            if self.tree.joints.get(joint.name.as_str()).is_some_and(|own| !has_range(own)) {
                let [one, other] = [master.lower, master.upper].map(|end| multiplier * end + offset);
                (joint.lower, joint.upper) = (one.min(other), one.max(other));
                if one.abs().max(other.abs()) > MAX_LENGTH as f32 {
                    return Err(unusable(format!(
                        "mimics `{name}`, which takes it from {one} to {other}; limits must lie between -{MAX_LENGTH} and \
                         {MAX_LENGTH}. Correct the factor in the URDF, or give the joint limits there"
                    )));
                }
            }
            joint.nominal = (multiplier * master.nominal + offset).clamp(joint.lower, joint.upper);
        }
        Ok(Follower { joint, master, multiplier, offset })
    }

    pub fn finish(mut self, urdf: String) -> Result<RobotModel, RobotError> {
        let description = self.description;
        let names: Vec<&str> = self.joints.keys().copied().collect();
        let mimics = names.into_iter().filter(|name| self.tree.joints[name].mimic.is_some());
        let mut followers = Vec::new();
        for name in mimics {
            if description.joints.iter().any(|driven| driven == name) {
                return Err(RobotError::unusable("joint", name, "mimics another joint, so it cannot be driven itself"));
            }
            let joint = self.joints[name].clone();
            followers.push(self.follower(joint)?);
        }
        let mut joints = Vec::new();
        for name in &description.joints {
            let Some(joint) = self.joints.remove(name.as_str()) else {
                return Err(RobotError::unusable("joint", name, "is fixed in the URDF and cannot be driven"));
            };
            joints.push(joint);
        }
        let mut feet = Vec::new();
        for (index, name) in description.feet.iter().enumerate() {
            let body = self.poses.get(name.as_str()).map_or(0, |(body, _)| *body);
            if !self.bodies[body].shapes.iter().any(|shape| shape.foot == Some(index)) {
                return Err(RobotError::unusable("foot", name, "has no collision shape, so it can never touch the ground"));
            }
            feet.push(Foot { name: name.clone(), body });
        }
        let imu_link = description.imu_link.clone().unwrap_or_else(|| description.base_link.clone());
        let imu = match self.poses.get(imu_link.as_str()) {
            Some((0, pose)) => pose.cast(),
            _ => return Err(RobotError::unusable("IMU link", &imu_link, "must be fixed to the base link")),
        };
        let mut robot = RobotModel {
            name: description.name.clone(),
            bodies: self.bodies,
            joints,
            followers,
            locked: self.locked,
            feet,
            imu,
            base_link: description.base_link.clone(),
            imu_link,
            contact_threshold: description.contact_threshold,
            friction: description.friction,
            urdf,
            warnings: self.warnings,
        };
        let of_the_whole = [robot.effort_out_of_reach(), robot.low_base()];
        robot.warnings.extend(of_the_whole.into_iter().flatten());
        Ok(robot)
    }
}

/// Whether the URDF says how far `joint` goes, by limits or by soft limits. Its defaults, 0 and 0, are none.
fn has_range(joint: &urdf_rs::Joint) -> bool {
    let is_limited = joint.joint_type != JointType::Continuous && (joint.limit.lower != 0.0 || joint.limit.upper != 0.0);
    is_limited || joint.safety_controller.as_ref().is_some_and(|safety| safety.soft_upper_limit > safety.soft_lower_limit)
}

/// `pose` of the `subject` called `name`, if it is within reach.
pub(super) fn isometry(subject: &'static str, name: &str, pose: &urdf_rs::Pose) -> Result<Isometry3<f64>, RobotError> {
    let [roll, pitch, yaw] = pose.rpy.0;
    if !pose.xyz.0.iter().chain(&pose.rpy.0).all(|value| value.abs() <= MAX_LENGTH) {
        let problem = format!("has the origin {:?}, {:?}; its numbers must be at most {MAX_LENGTH}", pose.xyz.0, pose.rpy.0);
        return Err(RobotError::unusable(subject, name, problem));
    }
    Ok(Isometry3::from_parts(Translation3::from(pose.xyz.0), UnitQuaternion::from_euler_angles(roll, pitch, yaw)))
}
