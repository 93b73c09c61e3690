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
    /// Number of the epoch that its targets are of.
    epoch: u64,
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
}

impl Collector {
    /// For the driven `joints`, whose simulation begins the epochs of `epoch`.
    pub fn new(joints: &[String], epoch: &Epoch) -> Self {
        Self {
            joints: NameMap::new("joint", joints.iter().map(String::as_str)),
            command: Command { stamp: 0, targets: vec![f32::NAN; joints.len()], number: 0, epoch: epoch.number() },
            epoch: epoch.clone(),
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
        if std::mem::replace(&mut self.command.epoch, epoch) != epoch {
            self.command.targets.fill(f32::NAN);
        }
        self.command.stamp = convert::read_command(message, &mut self.joints, &mut self.command.targets)?;
        self.command.number += 1;
        Ok(&self.command)
    }
}

/// The simulation's end: hands out the newest command once, and only in the epoch that its targets are of.
pub struct Commands {
    newest: triple_buffer::Output<Command>,
    epoch: Epoch,
    /// Number of the last command that was taken, or that came before a restart.
    taken: u64,
}

impl Commands {
    /// Of those that come through `newest`, whose collector knows of `epoch`.
    pub fn new(newest: triple_buffer::Output<Command>, epoch: Epoch) -> Self {
        Self { newest, epoch, taken: 0 }
    }

    /// Looks for a newer command.
    pub fn update(&mut self) {
        self.newest.update();
    }

    /// The newest command of the last look, if it was not taken yet. One that was put together while another epoch began is passed over: it
    /// arrives after that, and still holds what was commanded before.
    pub fn waiting(&self) -> Option<&Command> {
        let command = self.newest.output_buffer();
        (command.number != self.taken && command.epoch == self.epoch.number()).then_some(command)
    }

    /// Takes that command.
    pub fn take(&mut self) -> Option<&Command> {
        self.taken = self.waiting()?.number;
        Some(self.newest.output_buffer())
    }

    /// Whether there was any command, taken or before a restart.
    pub fn has_begun(&self) -> bool {
        self.taken != 0
    }

    /// Begins another epoch: what was commanded before holds no more.
    pub fn begin_epoch(&self) {
        self.epoch.begin();
    }

    /// As [`Commands::begin_epoch`], and what has come so far is over.
    pub fn restart(&mut self) {
        // Before the last look, so that what is put together after it is of the new epoch.
        self.begin_epoch();
        self.update();
        self.taken = self.newest.output_buffer().number;
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

    #[test]
    fn a_command_that_is_under_way_while_another_epoch_begins_is_not_applied() {
        let begins: [fn(&mut Commands); 2] = [Commands::restart, |commands| commands.begin_epoch()];
        for begin in begins {
            let epoch = Epoch::default();
            let mut collector = Collector::new(&["hip".to_owned(), "knee".to_owned()], &epoch);
            let (mut handed, newest) = triple_buffer::TripleBuffer::new(collector.command()).split();
            let mut commands = Commands::new(newest, epoch);
            let mut hand_over = |commands: &mut Commands, command: &Command| {
                handed.input_buffer_mut().clone_from(command);
                handed.publish();
                commands.update();
            };
            told(&mut collector, "knee", 0.5);
            hand_over(&mut commands, collector.command());
            assert_eq!(commands.take().map(|command| command.number), Some(1));
            assert!(commands.take().is_none(), "it was taken");

            told(&mut collector, "hip", 0.25);
            begin(&mut commands);
            hand_over(&mut commands, collector.command());
            assert!(commands.waiting().is_none() && commands.take().is_none(), "the knee's target of the epoch before");

            told(&mut collector, "hip", 0.75);
            hand_over(&mut commands, collector.command());
            let targets = commands.take().map(|command| command.targets.clone()).unwrap();
            assert!(targets[0] == 0.75 && targets[1].is_nan(), "{targets:?}");
        }
    }
}
