//! What a URDF says before anyone has said how to use it.

use std::path::Path;

use urdf_rs::JointType;

use super::tree::Tree;
use crate::robot::RobotError;

/// The parts of a URDF that a description names.
#[derive(Clone, Debug, PartialEq)]
pub struct Outline {
    /// Name of the robot in the URDF.
    pub name: String,
    /// Link whose pose is the robot's: the root, or what a floating joint of the root moves; or, where that has neither mass nor collision
    /// shape and nothing but one link fixed to it (as a `base_footprint` has), that link, and so on.
    pub base_link: String,
    /// Joints that can be driven, in the file's order: those that turn or shift and mimic no other.
    pub joints: Vec<String>,
    /// Links with a collision shape, in the file's order.
    pub solid_links: Vec<String>,
    /// Link whose name says that it is an IMU and that is fixed to the base link.
    pub imu_link: Option<String>,
    /// Joints of `joints` that have no usable effort limit.
    pub without_effort: Vec<String>,
    /// Joints of `joints` that have no usable velocity limit.
    pub without_velocity: Vec<String>,
}

impl Outline {
    /// Reads the outline of the URDF `text`; `path` serves messages.
    ///
    /// # Errors
    /// As [`crate::robot::RobotModel::from_parts`], as far as the URDF alone is concerned.
    pub fn of(text: &str, path: &Path) -> Result<Self, RobotError> {
        let urdf = super::parse(text, path)?;
        let tree = Tree::new(&urdf)?;
        let root = urdf.links.iter().map(|link| link.name.as_str()).find(|link| !tree.parents.contains_key(link));
        let root = root.ok_or_else(|| RobotError::unusable("robot", &urdf.name, "has no root: its joints form a ring"))?;
        let mut base_link = match tree.children.get(root).map(Vec::as_slice) {
            Some([joint]) if joint.joint_type == JointType::Floating => joint.child.link.as_str(),
            _ => root,
        };
        while let Some([joint]) = tree.children.get(base_link).map(Vec::as_slice)
            && joint.joint_type == JointType::Fixed
            && is_empty(&tree, base_link)
        {
            base_link = joint.child.link.as_str();
        }
        tree.check_root(base_link)?;
        let driven: Vec<&urdf_rs::Joint> = urdf
            .joints
            .iter()
            .filter(|joint| !matches!(joint.joint_type, JointType::Fixed | JointType::Floating) && joint.mimic.is_none())
            .collect();
        let names = |joints: Vec<&urdf_rs::Joint>| joints.into_iter().map(|joint| joint.name.clone()).collect();
        let without = |limit: fn(&urdf_rs::JointLimit) -> f64| {
            let usable = move |value: f64| value.is_finite() && value > 0.0;
            names(driven.iter().copied().filter(|joint| !usable(limit(&joint.limit))).collect())
        };
        let (without_effort, without_velocity) = (without(|limit| limit.effort), without(|limit| limit.velocity));
        Ok(Self {
            name: urdf.name.clone(),
            base_link: base_link.to_owned(),
            joints: names(driven),
            solid_links: urdf.links.iter().filter(|link| !link.collision.is_empty()).map(|link| link.name.clone()).collect(),
            imu_link: imu_link(&tree, base_link),
            without_effort,
            without_velocity,
        })
    }
}

/// Whether `link` has neither mass nor collision shape.
fn is_empty(tree: &Tree<'_>, link: &str) -> bool {
    tree.links.get(link).is_none_or(|link| link.inertial.mass.value == 0.0 && link.collision.is_empty())
}

fn imu_link(tree: &Tree<'_>, base: &str) -> Option<String> {
    let mut open = vec![base];
    while let Some(link) = open.pop() {
        if names_an_imu(link) {
            return Some(link.to_owned());
        }
        let fixed = tree.children.get(link).into_iter().flatten().filter(|joint| joint.joint_type == JointType::Fixed);
        open.extend(fixed.map(|joint| joint.child.link.as_str()));
    }
    None
}

/// Whether "imu" is a word of `name`: words end at `_`, `-` and digits, and where a capital follows a small letter.
fn names_an_imu(name: &str) -> bool {
    let mut spaced = String::with_capacity(2 * name.len());
    let mut after_small = false;
    for letter in name.chars() {
        spaced.extend((after_small && letter.is_ascii_uppercase()).then_some('_'));
        spaced.push(letter.to_ascii_lowercase());
        after_small = letter.is_ascii_lowercase();
    }
    spaced.split(|letter: char| "_-".contains(letter) || letter.is_ascii_digit()).any(|word| word == "imu")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_imu_is_named_by_a_word_of_its_own() {
        for name in ["imu", "IMU", "imu_link", "base-imu", "trunk_imu", "imu0", "2imu_frame", "ImuTorsoGyrometer_frame"] {
            assert!(names_an_imu(name), "{name}");
        }
        for name in ["simulated_marker", "simulation", "imul", "im_u", "maximum", "base_link", ""] {
            assert!(!names_an_imu(name), "{name}");
        }
    }

    #[test]
    fn the_imu_link_is_the_one_that_is_called_so() {
        let fixed = |child: &str| {
            format!("<joint name='{child}_joint' type='fixed'><parent link='base'/><child link='{child}'/></joint>")
        };
        let of = |links: &[&str]| {
            let parts: String = links.iter().map(|name| format!("<link name='{name}'/>{}", fixed(name))).collect();
            Outline::of(&format!("<robot name='r'><link name='base'/>{parts}</robot>"), Path::new("r.urdf")).unwrap().imu_link
        };
        assert_eq!(of(&["simulated_marker", "imu_link"]).as_deref(), Some("imu_link"));
        assert_eq!(of(&["imu_link", "simulated_marker"]).as_deref(), Some("imu_link"));
        assert_eq!(of(&["simulated_marker"]), None);
    }
}
