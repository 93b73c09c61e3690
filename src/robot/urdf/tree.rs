//! The links and joints of a URDF by name, and that they are a tree.

use std::collections::{BTreeMap, BTreeSet};

use urdf_rs::{JointType, Link};

use crate::robot::{RobotDescription, RobotError};

/// Most links.
const MAX_LINKS: u64 = 2000;
/// Most joints that move: the mass matrix of the physics grows with their square.
pub(super) const MAX_MOVING_JOINTS: u64 = 200;
/// Most collision shapes.
const MAX_SHAPES: u64 = 4000;

/// The URDF's links and joints by name.
pub(super) struct Tree<'a> {
    pub links: BTreeMap<&'a str, &'a Link>,
    pub joints: BTreeMap<&'a str, &'a urdf_rs::Joint>,
    /// Joints below a link, in the file's order.
    pub children: BTreeMap<&'a str, Vec<&'a urdf_rs::Joint>>,
    /// Joint above a link.
    pub parents: BTreeMap<&'a str, &'a urdf_rs::Joint>,
}

impl<'a> Tree<'a> {
    pub fn new(urdf: &'a urdf_rs::Robot) -> Result<Self, RobotError> {
        if urdf.links.is_empty() {
            return Err(RobotError::unusable("robot", &urdf.name, "has no link; a URDF has at least one"));
        }
        let moving = urdf.joints.iter().filter(|joint| joint.joint_type != JointType::Fixed).count();
        let shapes = urdf.links.iter().map(|link| link.collision.len()).sum::<usize>();
        for (what, given, limit) in [
            ("links of the URDF", urdf.links.len(), MAX_LINKS),
            ("joints that move in the URDF", moving, MAX_MOVING_JOINTS),
            ("collision shapes of the URDF", shapes, MAX_SHAPES),
        ] {
            if given as u64 > limit {
                return Err(RobotError::TooLarge { what: what.to_owned(), given: given as u64, limit });
            }
        }
        let links: BTreeMap<_, _> = urdf.links.iter().map(|link| (link.name.as_str(), link)).collect();
        let joints: BTreeMap<_, _> = urdf.joints.iter().map(|joint| (joint.name.as_str(), joint)).collect();
        let names = [
            ("link", urdf.links.iter().map(|link| link.name.as_str()).collect::<Vec<_>>()),
            ("joint", urdf.joints.iter().map(|joint| joint.name.as_str()).collect()),
        ];
        for (kind, names) in names {
            let mut seen = BTreeSet::new();
            if let Some(name) = names.into_iter().find(|name| !seen.insert(*name)) {
                return Err(RobotError::unusable(kind, name, "is defined twice in the URDF"));
            }
        }
        let mut children: BTreeMap<_, Vec<_>> = BTreeMap::new();
        let mut parents = BTreeMap::new();
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
            if parents.insert(joint.child.link.as_str(), joint).is_some() {
                return Err(RobotError::unusable("link", &joint.child.link, "has two parent joints; a URDF is a tree"));
            }
            children.entry(joint.parent.link.as_str()).or_default().push(joint);
        }
        Ok(Self { links, joints, children, parents })
    }

    /// Checks that every name in `description` exists.
    pub fn check_names(&self, description: &RobotDescription) -> Result<(), RobotError> {
        let actuators = description.actuator.joints.keys();
        let mut joints =
            description.joints.iter().chain(&description.locked).chain(description.nominal_pose.keys()).chain(actuators);
        if let Some(name) = joints.find(|name| !self.joints.contains_key(name.as_str())) {
            return Err(RobotError::unknown("joint", name, self.joints.keys().copied()));
        }
        let links = description.feet.iter().chain([&description.base_link]).chain(&description.imu_link);
        if let Some(name) = links.into_iter().find(|name| !self.links.contains_key(name.as_str())) {
            return Err(RobotError::unknown("link", name, self.links.keys().copied()));
        }
        Ok(())
    }

    /// The fixed joints above `base`, the nearest first, up to one that moves or to the root: what they join is one body with it.
    pub fn above(&self, base: &str) -> Vec<&'a urdf_rs::Joint> {
        let mut above = Vec::new();
        let mut link = base;
        // As many as there are joints: more would be a ring.
        while let Some(&joint) = self.parents.get(link)
            && joint.joint_type == JointType::Fixed
            && above.len() < self.joints.len()
        {
            above.push(joint);
            link = joint.parent.link.as_str();
        }
        above
    }

    /// Checks that `base` is the root, or hangs on it by fixed joints only, above which there may be a floating one, and that every other link
    /// hangs on what is one body with it.
    ///
    /// Also what rules out a cycle, so that every descent from the base ends.
    pub fn check_root(&self, base: &str) -> Result<(), RobotError> {
        let mut outside = BTreeSet::new();
        let top = self.above(base).last().copied().map_or(base, |joint| joint.parent.link.as_str());
        if let Some(joint) = self.parents.get(top) {
            let world = joint.parent.link.as_str();
            let alone = self.children[world].len() == 1 && !self.parents.contains_key(world);
            if joint.joint_type != JointType::Floating || !alone {
                return Err(RobotError::unusable(
                    "base link",
                    base,
                    format!("is not the root of the URDF, nor fixed to it: the joint `{}` is between them", joint.name),
                ));
            }
            outside.insert(world);
        }
        let mut reached = outside;
        let mut open = vec![top];
        while let Some(link) = open.pop() {
            reached.insert(link);
            open.extend(self.children.get(link).into_iter().flatten().map(|joint| joint.child.link.as_str()));
        }
        match self.links.keys().find(|link| !reached.contains(*link)) {
            Some(link) => Err(RobotError::unusable("link", link, format!("is not connected to the base link `{base}`"))),
            None => Ok(()),
        }
    }
}
