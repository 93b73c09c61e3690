//! Joints that mimic others: their motors go where their masters are.

use rapier3d::prelude::*;

use super::actuator::{free_axis, spring_target};
use crate::robot::RobotModel;

/// Links of the multibody that the followers move, in the order of [`RobotModel::followers`].
#[derive(Clone)]
pub(super) struct Followers {
    links: Vec<usize>,
}

impl Followers {
    pub fn new(links: Vec<usize>) -> Self {
        Self { links }
    }

    /// Writes into `displacement` what puts every follower where its master, at `angles`, wants it.
    pub fn place(&self, robot: &RobotModel, tree: &Multibody, angles: &[f32], displacement: &mut [f32]) {
        for (follower, &link) in robot.followers.iter().zip(&self.links) {
            if let Some(link) = tree.link(link) {
                let present = link.joint().coords()[free_axis(&follower.joint) as usize];
                displacement[link.assembly_id()] = follower.position(angles[follower.master]) - present;
            }
        }
    }

    /// Gives every follower's motor the target that its master, at `angles`, makes of it; `dt` is the length of the physics step \[s\].
    pub fn aim(&self, robot: &RobotModel, tree: &mut Multibody, angles: &[f32], dt: f32) {
        for (follower, &link) in robot.followers.iter().zip(&self.links) {
            let axis = free_axis(&follower.joint) as usize;
            if let Some(link) = tree.link_mut(link) {
                let position = link.joint().coords()[axis];
                let target = follower.position(angles[follower.master]);
                link.joint.data.motors[axis].target_pos = spring_target(&follower.joint, position, target, dt);
            }
        }
    }
}
