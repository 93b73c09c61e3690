//! What a policy knows of its robot: names, limits and standing pose.

use serde::{Deserialize, Serialize};

use crate::config::nearest;
use crate::robot::RobotModel;

/// The robot that a policy was evolved for, as far as the policy depends on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RobotInterface {
    /// Name of the robot.
    pub name: String,
    /// Driven joints in the order of observations and actions.
    pub joints: Vec<JointInterface>,
    /// Feet in the order of observations.
    pub feet: Vec<String>,
}

/// One joint as the policy sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JointInterface {
    /// Name in the URDF and in every message.
    pub name: String,
    /// Smallest angle \[rad\].
    pub lower: f32,
    /// Largest angle \[rad\].
    pub upper: f32,
    /// Angle of the standing pose \[rad\].
    pub nominal: f32,
}

/// A policy and a robot that do not fit each other.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("the policy drives the robot `{policy_robot}` and cannot drive `{robot}`: {difference}")]
pub struct InterfaceError {
    /// The robot that the policy was evolved for.
    pub policy_robot: String,
    /// The robot at hand.
    pub robot: String,
    /// The first difference found, naming the joint or foot.
    pub difference: String,
}

impl From<&RobotModel> for RobotInterface {
    fn from(robot: &RobotModel) -> Self {
        let joint = |joint: &crate::robot::Joint| JointInterface {
            name: joint.name.clone(),
            lower: joint.lower,
            upper: joint.upper,
            nominal: joint.nominal,
        };
        Self {
            name: robot.name.clone(),
            joints: robot.joints.iter().map(joint).collect(),
            feet: robot.foot_names().map(str::to_owned).collect(),
        }
    }
}

impl RobotInterface {
    /// Names of the joints, in order.
    pub fn joint_names(&self) -> impl Iterator<Item = &str> {
        self.joints.iter().map(|joint| joint.name.as_str())
    }

    /// Checks that `robot` has just the joints and feet of this interface, in the same order.
    ///
    /// # Errors
    /// [`InterfaceError`] names the first joint or foot that differs.
    pub fn check(&self, robot: &RobotModel) -> Result<(), InterfaceError> {
        let own_joints: Vec<&str> = self.joint_names().collect();
        let own_feet: Vec<&str> = self.feet.iter().map(String::as_str).collect();
        let joints = difference("joint", &own_joints, &robot.joint_names().collect::<Vec<_>>());
        match joints.or_else(|| difference("foot", &own_feet, &robot.foot_names().collect::<Vec<_>>())) {
            None => Ok(()),
            Some(difference) => Err(InterfaceError { policy_robot: self.name.clone(), robot: robot.name.clone(), difference }),
        }
    }
}

/// The first difference between two lists of names, in words.
fn difference(kind: &str, wanted: &[&str], given: &[&str]) -> Option<String> {
    if let Some(name) = wanted.iter().find(|name| !given.contains(name)) {
        let hint = nearest(name, given.iter().copied()).map(|name| format!(" (the nearest is `{name}`)")).unwrap_or_default();
        return Some(format!("it needs the {kind} `{name}`, which the robot does not have{hint}"));
    }
    if let Some(name) = given.iter().find(|name| !wanted.contains(name)) {
        return Some(format!("the robot has the {kind} `{name}`, which the policy does not know"));
    }
    if wanted.len() != given.len() {
        let (wanted, given) = (wanted.len(), given.len());
        return Some(format!(
            "the policy lists {wanted} names under `{kind}`, the robot description {given} and no others: one stands twice"
        ));
    }
    let (index, (wanted, given)) = wanted.iter().zip(given).enumerate().find(|(_, (wanted, given))| wanted != given)?;
    Some(format!(
        "{kind} number {index} is `{wanted}` in the policy but `{given}` in the robot description; give them the same order"
    ))
}

#[cfg(test)]
mod tests {
    use super::difference;

    #[test]
    fn differences_name_the_joint() {
        assert_eq!(difference("joint", &["a", "b"], &["a", "b"]), None);
        let missing = difference("joint", &["hip_left", "knee"], &["hip_lefd", "knee"]).unwrap();
        assert!(missing.contains("`hip_left`") && missing.contains("`hip_lefd`"), "{missing}");
        assert!(difference("joint", &["a"], &["a", "tail"]).unwrap().contains("`tail`"));
        assert!(difference("foot", &["a", "b"], &["b", "a"]).unwrap().contains("order"));
    }

    #[test]
    fn lists_of_different_lengths_differ_although_they_hold_the_same_names() {
        for (wanted, given) in [(&["a", "b", "b"][..], &["a", "b"][..]), (&["a", "b"][..], &["a", "b", "b"][..])] {
            let difference = difference("joint", wanted, given).unwrap();
            assert!(difference.contains("`joint`") && difference.contains("twice"), "{difference}");
        }
    }
}
