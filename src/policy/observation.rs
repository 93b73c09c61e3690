//! The observation: which sensor values the network sees, in which order and scale.

use serde::{Deserialize, Serialize};

use super::RobotInterface;
use crate::robot::RobotState;

/// One block of network inputs. A policy's observation is a list of these.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ObservationBlock {
    /// Joint angles \[rad\] times `scale` (arXiv 2503.12406, beetle: 0.5).
    JointPosition {
        /// Factor.
        scale: f32,
    },
    /// Joint angles as share of their range, (2q - upper - lower) / (upper - lower), times `scale`.
    JointRange {
        /// Factor.
        scale: f32,
    },
    /// Joint speeds \[rad/s\] times `scale`.
    JointVelocity {
        /// Factor.
        scale: f32,
    },
    /// 1 for each foot that touches the ground, else 0; times `scale`.
    FootContact {
        /// Factor.
        scale: f32,
    },
    /// Roll, pitch and yaw of the base \[rad\], wrapped to (-pi, pi], times `scale`.
    RollPitchYaw {
        /// Factor.
        scale: f32,
    },
    /// The policy's action of the step before (after its low-pass), times `scale`.
    PreviousAction {
        /// Factor.
        scale: f32,
    },
}

/// Blocks of an observation in the order of the network's inputs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ObservationMap {
    blocks: Vec<ObservationBlock>,
}

impl ObservationMap {
    /// An observation of `blocks`, in order.
    pub fn new(blocks: Vec<ObservationBlock>) -> Self {
        Self { blocks }
    }

    /// Whether every factor is a finite number.
    pub(super) fn is_finite(&self) -> bool {
        self.blocks.iter().all(|block| block.scale().is_finite())
    }

    /// Whether joint speeds are among the values.
    pub fn needs_velocity(&self) -> bool {
        self.blocks.iter().any(|block| matches!(block, ObservationBlock::JointVelocity { .. }))
    }

    /// Whether foot contacts are among the values.
    pub fn needs_contacts(&self) -> bool {
        self.blocks.iter().any(|block| matches!(block, ObservationBlock::FootContact { .. }))
    }

    /// Number of values for `robot`.
    pub fn len(&self, robot: &RobotInterface) -> usize {
        self.blocks.iter().map(|block| block.len(robot)).sum()
    }

    /// Name of every value, in order: `position/BC1`, `contact/tip0`, `orientation/roll`.
    pub fn names(&self, robot: &RobotInterface) -> Vec<String> {
        let joints = |what: &str| robot.joint_names().map(|name| format!("{what}/{name}")).collect::<Vec<_>>();
        let names = |block: &ObservationBlock| match block {
            ObservationBlock::JointPosition { .. } | ObservationBlock::JointRange { .. } => joints("position"),
            ObservationBlock::JointVelocity { .. } => joints("velocity"),
            ObservationBlock::FootContact { .. } => robot.feet.iter().map(|name| format!("contact/{name}")).collect(),
            ObservationBlock::RollPitchYaw { .. } => ["roll", "pitch", "yaw"].map(|name| format!("orientation/{name}")).into(),
            ObservationBlock::PreviousAction { .. } => joints("previous_action"),
        };
        self.blocks.iter().flat_map(names).collect()
    }

    /// Writes the observation of `state` to `out`, which should hold [`ObservationMap::len`] values.
    pub fn observe(&self, robot: &RobotInterface, state: &RobotState, previous_action: &[f32], out: &mut [f32]) {
        let mut out = out.iter_mut();
        let mut put = |value: f32| {
            if let Some(out) = out.next() {
                *out = value;
            }
        };
        for block in &self.blocks {
            match *block {
                ObservationBlock::JointPosition { scale } => state.joint_position.iter().for_each(|q| put(q * scale)),
                ObservationBlock::JointRange { scale } => {
                    for (q, joint) in state.joint_position.iter().zip(&robot.joints) {
                        put((2.0 * q - joint.upper - joint.lower) / (joint.upper - joint.lower) * scale);
                    }
                }
                ObservationBlock::JointVelocity { scale } => state.joint_velocity.iter().for_each(|v| put(v * scale)),
                ObservationBlock::FootContact { scale } => {
                    state.foot_contact.iter().for_each(|&touches| put(if touches { scale } else { 0.0 }));
                }
                ObservationBlock::RollPitchYaw { scale } => {
                    state.orientation.roll_pitch_yaw().iter().for_each(|angle| put(angle * scale))
                }
                ObservationBlock::PreviousAction { scale } => previous_action.iter().for_each(|action| put(action * scale)),
            }
        }
    }
}

impl ObservationBlock {
    fn scale(&self) -> f32 {
        match *self {
            Self::JointPosition { scale }
            | Self::JointRange { scale }
            | Self::JointVelocity { scale }
            | Self::FootContact { scale }
            | Self::RollPitchYaw { scale }
            | Self::PreviousAction { scale } => scale,
        }
    }

    fn len(&self, robot: &RobotInterface) -> usize {
        match self {
            Self::JointPosition { .. } | Self::JointRange { .. } | Self::JointVelocity { .. } | Self::PreviousAction { .. } => {
                robot.joints.len()
            }
            Self::FootContact { .. } => robot.feet.len(),
            Self::RollPitchYaw { .. } => 3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::JointInterface;

    fn robot() -> RobotInterface {
        let joint = |name: &str| JointInterface { name: name.into(), lower: -1.0, upper: 3.0, nominal: 0.0 };
        RobotInterface { name: "biped".into(), joints: vec![joint("hip"), joint("knee")], feet: vec!["toe".into()] }
    }

    #[test]
    fn blocks_follow_each_other_in_order_and_scale() {
        use ObservationBlock as B;
        let map = ObservationMap::new(vec![
            B::JointPosition { scale: 0.5 },
            B::FootContact { scale: 1.0 },
            B::JointRange { scale: 1.0 },
            B::RollPitchYaw { scale: 1.0 },
            B::JointVelocity { scale: 0.1 },
            B::PreviousAction { scale: 2.0 },
        ]);
        let mut state = RobotState::at_rest(2, 1);
        state.joint_position = vec![1.0, 3.0];
        state.joint_velocity = vec![10.0, -10.0];
        state.foot_contact = vec![true];
        let mut out = vec![f32::NAN; map.len(&robot())];
        map.observe(&robot(), &state, &[0.25, -0.25], &mut out);
        assert_eq!(out, [0.5, 1.5, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, -1.0, 0.5, -0.5]);
        let names = map.names(&robot());
        assert_eq!(names.len(), out.len());
        assert_eq!([&names[0], &names[2], &names[5]], ["position/hip", "contact/toe", "orientation/roll"]);
    }
}
