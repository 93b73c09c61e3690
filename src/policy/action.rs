//! The action: from network outputs to joint targets.

use serde::{Deserialize, Serialize};

use super::RobotInterface;

/// How outputs in [-1, 1] become joint targets: `nominal + scale * low-passed output`, clamped to the joint's limits.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActionMap {
    /// Target offset at an output of 1 \[rad\] (arXiv 2503.12406: 1).
    pub scale: f32,
    /// Share of the new output in the filtered action, `a = low_pass * new + (1 - low_pass) * a`; 1 is no filter. The authors'
    /// code has 0.1 in one version and no filter in another.
    pub low_pass: f32,
}

impl ActionMap {
    /// Whether both numbers make sense: a finite scale, and a low-pass share in (0, 1].
    pub(super) fn is_valid(&self) -> bool {
        self.scale.is_finite() && self.low_pass > 0.0 && self.low_pass <= 1.0
    }

    /// Filters `output` into `action` and writes the joint targets \[rad\]. All slices are in joint order.
    pub fn act(&self, robot: &RobotInterface, output: &[f32], action: &mut [f32], targets: &mut [f32]) {
        for (((joint, output), action), target) in robot.joints.iter().zip(output).zip(action).zip(targets) {
            *action = self.low_pass * output.clamp(-1.0, 1.0) + (1.0 - self.low_pass) * *action;
            *target = (joint.nominal + self.scale * *action).clamp(joint.lower, joint.upper);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::JointInterface;

    #[test]
    fn outputs_are_filtered_scaled_and_clamped() {
        let joint = JointInterface { name: "hip".into(), lower: -0.1, upper: 0.5, nominal: 0.1 };
        let robot = RobotInterface { name: "r".into(), joints: vec![joint], feet: vec![] };
        let map = ActionMap { scale: 1.0, low_pass: 0.5 };
        let (mut action, mut target) = ([0.0], [0.0]);
        map.act(&robot, &[0.5], &mut action, &mut target);
        assert_eq!((action, target), ([0.25], [0.35]));
        map.act(&robot, &[1.0], &mut action, &mut target);
        assert_eq!((action, target), ([0.625], [0.5]));
    }
}
