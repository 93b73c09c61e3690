//! Commands that name some of the joints only, put together until the robot is put elsewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use r2r::sensor_msgs::msg::JointState;

use crate::robot::{NameMap, Stamp};
use crate::ros::convert::{self, MessageError};

/// The latest command.
#[derive(Clone, Debug)]
pub struct Command {
    /// Stamp of the sensor values that it answers.
    pub stamp: Stamp,
    /// Joint targets \[rad\]; NaN for joints that no command of the present epoch named yet.
    pub targets: Vec<f32>,
    /// Number of the command, from 1.
    pub number: u64,
}

/// The present epoch of commands: the simulation begins another one when it gives the joints targets of its own.
#[derive(Clone, Debug, Default)]
pub struct Epoch(Arc<AtomicU64>);

impl Epoch {
    /// Begins another one: what was commanded before holds no more.
    pub fn begin(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }

    fn number(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// Puts commands together: the simulation may see only the last of several, each for other joints.
pub struct Collector {
    joints: NameMap,
    command: Command,
    epoch: Epoch,
    /// Number of the epoch that the targets are of.
    seen: u64,
}

impl Collector {
    /// For the driven `joints`, whose simulation begins the epochs of `epoch`.
    pub fn new(joints: &[String], epoch: &Epoch) -> Self {
        Self {
            joints: NameMap::new("joint", joints.iter().map(String::as_str)),
            command: Command { stamp: 0, targets: vec![f32::NAN; joints.len()], number: 0 },
            epoch: epoch.clone(),
            seen: epoch.number(),
        }
    }

    /// All that was commanded in the present epoch.
    pub fn command(&self) -> &Command {
        &self.command
    }

    /// Takes a message; joints that it does not name keep the targets of this epoch's earlier ones.
    ///
    /// # Errors
    /// [`MessageError`]; it is no command then.
    pub fn take(&mut self, message: &JointState) -> Result<&Command, MessageError> {
        let epoch = self.epoch.number();
        if std::mem::replace(&mut self.seen, epoch) != epoch {
            self.command.targets.fill(f32::NAN);
        }
        self.command.stamp = convert::read_command(message, &mut self.joints, &mut self.command.targets)?;
        self.command.number += 1;
        Ok(&self.command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(collector: &mut Collector, joint: &str, position: f64) -> Vec<f32> {
        let message = JointState { name: vec![joint.to_owned()], position: vec![position], ..JointState::default() };
        collector.take(&message).unwrap().targets.clone()
    }

    #[test]
    fn commands_of_an_epoch_add_up_and_those_of_the_one_before_are_forgotten() {
        let epoch = Epoch::default();
        let mut collector = Collector::new(&["hip".to_owned(), "knee".to_owned()], &epoch);
        assert!(told(&mut collector, "knee", 0.5)[0].is_nan());
        assert_eq!(told(&mut collector, "hip", 0.25), [0.25, 0.5]);
        epoch.begin();
        let targets = told(&mut collector, "hip", -0.25);
        assert!(targets[0] == -0.25 && targets[1].is_nan(), "{targets:?}");
        assert_eq!(told(&mut collector, "knee", 1.0), [-0.25, 1.0]);
        assert_eq!(collector.command().number, 4);
        // A message that is refused in a new epoch brings nothing back either.
        epoch.begin();
        collector.take(&JointState { name: vec!["tail".to_owned()], position: vec![0.0], ..JointState::default() }).unwrap_err();
        assert!(collector.command().targets.iter().all(|target| target.is_nan()) && collector.command().number == 4);
    }
}
