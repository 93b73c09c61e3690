//! Commands on their way out: a place for the newest one, and the thread that publishes it.
//!
//! A command is worth something until the next one. So it waits in no queue, behind no telemetry: when publishing was held up, only the newest
//! goes out; a robot never gets a run of old ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Receiver;
use std::thread::Thread;

use super::commands::{CommandMap, CommandPublisher};
use super::requests::ControlHandle;
use crate::robot::Stamp;
use crate::ros::outbox;
use crate::ros::realtime::Realtime;
use crate::ros::stop::Stop;

/// A command, and what it was made within.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// Of the sensor values that it answers.
    pub stamp: Stamp,
    /// No longer to be published when the fence was raised since.
    pub fence: u64,
    /// What the joints are commanded \[rad or m\].
    pub targets: Vec<f32>,
}

/// The control thread's end. Nothing here waits or allocates.
pub struct CommandSlot {
    input: triple_buffer::Input<Command>,
    /// Of the last command.
    fence: u64,
    overtaken: Arc<AtomicU64>,
    publisher: Option<Thread>,
    /// While it is there, more commands may come.
    _alive: Arc<()>,
}

/// The publishing thread's end.
pub struct Commands {
    output: triple_buffer::Output<Command>,
    overtaken: Arc<AtomicU64>,
    alive: Arc<()>,
}

/// A place for one command of `joints` joints.
pub fn commands(joints: usize) -> (CommandSlot, Commands) {
    let empty = Command { stamp: 0, fence: 0, targets: vec![0.0; joints] };
    let (input, output) = triple_buffer::TripleBuffer::new(&empty).split();
    let (overtaken, alive) = (Arc::new(AtomicU64::new(0)), Arc::new(()));
    let slot = CommandSlot { input, fence: 0, overtaken: overtaken.clone(), publisher: None, _alive: alive.clone() };
    (slot, Commands { output, overtaken, alive })
}

impl CommandSlot {
    /// Names the thread to wake, that of the [`Commands`].
    pub fn wakes(&mut self, publisher: Thread) {
        self.publisher = Some(publisher);
    }

    /// Takes the place of whatever command still waits.
    pub fn send(&mut self, stamp: Stamp, fence: u64, targets: &[f32]) {
        let command = self.input.input_buffer_mut();
        (command.stamp, command.fence) = (stamp, fence);
        command.targets.copy_from_slice(targets);
        // What a stop takes the place of is no loss.
        if self.input.publish() && self.fence == fence {
            self.overtaken.fetch_add(1, Ordering::Relaxed);
        }
        self.fence = fence;
        if let Some(publisher) = &self.publisher {
            publisher.unpark();
        }
    }

    /// Whether the last command still waits to be published.
    pub fn is_waiting(&self) -> bool {
        !self.input.consumed()
    }
}

impl Commands {
    /// The newest command, if it was not taken yet.
    pub fn take(&mut self) -> Option<&Command> {
        self.output.update().then(|| self.output.output_buffer())
    }

    /// How many commands newer ones took the place of before they were out. For the thread that says so: this one has no time for the log.
    pub fn overtaken(&self) -> Arc<AtomicU64> {
        self.overtaken.clone()
    }

    /// Whether no more command will come.
    fn has_ended(&self) -> bool {
        Arc::strong_count(&self.alive) == 1
    }
}

/// The commands of one policy, and how they become those of the robot's driver.
pub struct CommandLine {
    /// The commands.
    pub commands: Commands,
    /// The driver's form of them.
    pub map: CommandMap,
}

/// The commanding thread's state.
pub struct Commanding {
    publisher: CommandPublisher,
    control: ControlHandle,
    lines: Vec<CommandLine>,
}

impl Commanding {
    /// A commanding thread without a policy. `control` knows which commands must no longer go out.
    pub fn new(publisher: CommandPublisher, control: ControlHandle) -> Self {
        Self { publisher, control, lines: Vec::new() }
    }

    /// Publishes the commands of all policies that come through `lines`, for as long as each lives, until a stop is requested.
    pub fn run(mut self, lines: &Receiver<CommandLine>, realtime: &Realtime, stop: &Stop) {
        // What the system refuses of it, the control thread says.
        let _ = realtime.apply();
        while !stop.is_requested() {
            self.publish_from(lines);
            outbox::wait();
        }
        self.publish_from(lines);
    }

    fn publish_from(&mut self, lines: &Receiver<CommandLine>) {
        self.lines.extend(lines.try_iter());
        let Self { publisher, control, lines } = self;
        publish_newest(lines, |Command { stamp, fence, targets }, map| {
            control.publish_within(*fence, || {
                if let Err(error) = publisher.publish(*stamp, map, targets) {
                    tracing::warn!("a command could not be published: {error}");
                }
            });
        });
        lines.retain(|line| !line.commands.has_ended());
    }
}

/// Gives the newest command of `lines`, if there is a new one, to `publish`. Lines come in the order of their policies: when one gives a
/// command, those before it are over, and no command of theirs is of use.
fn publish_newest(lines: &mut Vec<CommandLine>, publish: impl FnOnce(&Command, &CommandMap)) {
    for index in (0..lines.len()).rev() {
        let Some(CommandLine { commands, map }) = lines.get_mut(index) else { continue };
        if let Some(command) = commands.take() {
            publish(command, map);
            lines.drain(..index);
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_commands_that_were_held_up_only_the_newest_goes_out() {
        let (mut slot, mut commands) = commands(1);
        assert_eq!(commands.take(), None);
        assert!(!slot.is_waiting());
        (0..40).for_each(|step| slot.send(step, 3, &[step as f32]));
        assert!(slot.is_waiting());
        assert_eq!(commands.take(), Some(&Command { stamp: 39, fence: 3, targets: vec![39.0] }));
        assert_eq!(commands.take(), None);
        let overtaken = commands.overtaken();
        assert_eq!(overtaken.swap(0, Ordering::Relaxed), 39);
        assert!(!slot.is_waiting());
        // However many waited before it, a stop's command is the next.
        slot.send(40, 3, &[40.0]);
        slot.send(40, 4, &[0.0]);
        assert_eq!(commands.take().map(|command| command.fence), Some(4));
        assert_eq!(overtaken.load(Ordering::Relaxed), 0, "a stop holds nothing up");
        assert!(!commands.has_ended());
        drop(slot);
        assert!(commands.has_ended());
    }

    #[test]
    fn when_another_policy_has_commanded_the_one_before_commands_no_more() {
        let driver = crate::robot::DriverDescription::default();
        let line = |commands| CommandLine { commands, map: CommandMap::new(&driver, &["hip"], 20_000_000).unwrap() };
        let ((mut old, first), (mut new, second)) = (commands(1), commands(1));
        let mut lines = vec![line(first), line(second)];
        let mut published = Vec::new();
        let mut publish = |lines: &mut Vec<CommandLine>| publish_newest(lines, |command, _| published.push(command.stamp));
        old.send(1, 0, &[0.1]);
        publish(&mut lines);
        old.send(2, 0, &[0.2]);
        new.send(3, 0, &[0.3]);
        publish(&mut lines);
        publish(&mut lines);
        assert_eq!((published, lines.len()), (vec![1, 3], 1));
    }
}
