//! A robot and the policy that drives it, from `configure` to `cleanup`.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use super::commanding::{CommandSlot, commands};
use super::report::{SafetyReport, StepReport};
use super::timing::TimingSums;
use super::{Outlets, Publishers};
use crate::plasticity::{Gate, GateSource};
use crate::policy::{InterfaceError, Policy, PolicyFile, PolicyMetadata, Snapshot, SnapshotError, SnapshotRing};
use crate::robot::{RobotModel, RobotWarning, SensorFrame, Stamp};
use crate::ros::node::NodeError;
use crate::ros::outbox::{Outbox, outbox};
use crate::ros::parameters::Parameters;
use crate::safety::{SafetyDescription, Supervisor, needed_sensors};

/// Steps that publishing may lag behind.
const OUTBOX: usize = 32;
/// Most memory for the history of weights \[bytes\].
const HISTORY_LIMIT: usize = 1 << 30;
/// Lives that this program has begun.
static LIVES: AtomicU64 = AtomicU64::new(0);

/// What makes the policy step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// Each complete set of sensor values with one stamp: simulation.
    Sensors,
    /// The steady clock, with the latest values: a robot.
    Timer,
}

impl Trigger {
    /// What is to be said of it, where `is_simulated` says whether time is that of the topic `/clock`.
    pub fn warning(self, is_simulated: bool) -> Option<&'static str> {
        (self == Self::Timer && is_simulated).then_some(
            "use_sim_time is set, but with `trigger: timer` the steady clock makes the steps: where simulated time runs slower \
             or faster, the gait does not; set trigger to `sensors`, which follows simulated time",
        )
    }
}

/// A policy in life and what belongs to it. Boxed, so that another one takes its place without a copy.
pub struct Life {
    /// No other life of this program has this number.
    pub number: u64,
    /// The policy.
    pub policy: Policy,
    /// The seed of its weights.
    pub seed: u64,
    /// How far it can be rolled back.
    pub ring: SnapshotRing,
    /// What has the last word.
    pub supervisor: Supervisor,
    /// Commands on their way out.
    pub commands: CommandSlot,
    /// Reports on theirs.
    pub outbox: Outbox<StepReport>,
}

/// The control thread's world.
pub struct Session {
    /// The policy.
    pub life: Box<Life>,
    /// Sensor values.
    pub frames: triple_buffer::Output<SensorFrame>,
    /// Whether there are any.
    pub has_frame: bool,
    /// What makes it step.
    pub trigger: Trigger,
    /// Control period \[ns\].
    pub period: i64,
    /// Stamp of the sensor values of the last step.
    pub last_stamp: Option<Stamp>,
    /// The last command, and whether there is one.
    pub command: Vec<f32>,
    /// Whether the last sensor values were answered by a command.
    pub answered: bool,
    /// Control steps left out.
    pub missed: u64,
    /// Steps that could not be published.
    pub unpublished: u64,
    /// Timing of the present second.
    pub timing: TimingSums,
    /// When the next step is due \[ns\], with [`Trigger::Timer`]; 0 before the first.
    pub deadline: i64,
    /// When to look after the robot although no sensor values come \[ns\], with [`Trigger::Sensors`].
    pub next_watch: i64,
    /// What was reported last.
    pub reported: SafetyReport,
}

/// What the other threads keep of a policy.
pub struct Known {
    /// As [`Life::number`].
    pub life: u64,
    /// What the policy file says.
    pub metadata: PolicyMetadata,
    /// SHA-256 of that file.
    pub hash: String,
    /// What was missing or wrong in the robot description, if one was read.
    pub warnings: Vec<RobotWarning>,
    /// A snapshot of the right size.
    pub template: Snapshot,
    /// Plastic weights.
    pub synapses: usize,
}

/// Why a policy cannot take the place of another.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExchangeError {
    /// It drives another robot.
    #[error(transparent)]
    Robot(#[from] InterfaceError),
    /// Its joints or feet are others.
    #[error("the policy drives {given}; this node drives {expected}")]
    Joints {
        /// Joints and feet of the policy.
        given: String,
        /// Joints and feet of the node.
        expected: String,
    },
    /// Its control rate is another.
    #[error("the policy runs at {given} Hz; this node runs at {expected} Hz: configure it anew")]
    Rate {
        /// Rate of the policy \[Hz\].
        given: f32,
        /// Rate of the node \[Hz\].
        expected: f32,
    },
    /// It needs contacts, and there are none.
    #[error("the policy needs foot contacts, and none have come for a second; load one without, or publish them")]
    Contacts,
    /// It needs what the robot does not measure.
    #[error("the policy needs joint speeds, and the last joint state lacked some; load one without, or let the driver send them")]
    Velocity,
}

/// Why a state was not copied or put back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// It is that of another life.
    #[error("the policy that was meant no longer runs: another one was loaded or configured meanwhile; ask again")]
    Life,
    /// It is that of a policy of other sizes.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
}

impl Life {
    /// Reads the policy at `path` and begins its life; the robot and all else are what the parameters say.
    ///
    /// # Errors
    /// [`NodeError`] names the file, parameter or robot that is not usable.
    pub fn load(
        path: &Path,
        seed: u64,
        parameters: &Parameters,
        publishers: &Publishers,
    ) -> Result<(Self, Outlets, Known), NodeError> {
        let (file, hash) = PolicyFile::load(path)?;
        let metadata = file.metadata.clone();
        let (mut limits, mut velocities, mut warnings) = (metadata.robot.clone(), None, Vec::new());
        let mut kinds = Vec::new();
        let robot = parameters.string("robot");
        if !robot.is_empty() {
            let model = RobotModel::load(Path::new(robot))?;
            metadata.robot.check(&model)?;
            // The policy was evolved for some robot of these names; this one may allow less.
            for (own, joint) in limits.joints.iter_mut().zip(&model.joints) {
                (own.lower, own.upper) = (own.lower.max(joint.lower), own.upper.min(joint.upper));
            }
            velocities = Some(model.joints.iter().map(|joint| joint.velocity_limit).collect::<Vec<_>>());
            kinds = model.joints.iter().map(|joint| joint.kind).collect();
            warnings = model.warnings;
        }
        let safety: SafetyDescription = parameters.section("safety")?;
        let period = 1.0 / metadata.control_rate;
        let supervisor = Supervisor::new(&safety, &limits, velocities.as_deref(), period)?;
        let supervisor = supervisor.with_needed(needed_sensors(metadata.needs_contacts())).with_kinds(&kinds);
        let mut policy = file.policy()?;
        policy.start(seed);
        if let Ok(gate) = Gate::new(parameters.double("gate") as f32, GateSource::Parameter) {
            // The parameter's range is the gate's, and one value fits any network.
            let _ = policy.set_gate(gate);
        }
        let every = parameters.integer("history.every").max(1) as u64;
        let steps = (parameters.double("history.duration") * f64::from(metadata.control_rate)).ceil() as u64;
        let slots = (steps / every + 1) as usize;
        let ring = SnapshotRing::new(&policy, slots, every, HISTORY_LIMIT)?;
        let (mut outbox, reports) = outbox(OUTBOX, || StepReport::new(&policy));
        outbox.wakes(publishers.reports.clone());
        let (mut slot, commands) = commands(policy.targets().len());
        slot.wakes(publishers.commands.clone());
        let synapses = policy.network().plastic().map_or(0, |network| network.shape().synapses());
        let number = LIVES.fetch_add(1, Ordering::Relaxed);
        let known = Known { life: number, template: policy.snapshot(), metadata, hash, warnings, synapses };
        let life = Self { number, policy, seed, ring, supervisor, commands: slot, outbox };
        Ok((life, Outlets { commands, reports }, known))
    }

    /// Copies the state to `snapshot`, if this is the life of that `number`. Allocates nothing.
    ///
    /// # Errors
    /// [`StateError`]; the snapshot is then unchanged.
    pub fn save(&self, number: u64, snapshot: &mut Snapshot) -> Result<(), StateError> {
        self.check(number)?;
        Ok(self.policy.save(snapshot)?)
    }

    /// Takes the network of `snapshot`, if this is the life of that `number`. Allocates nothing.
    ///
    /// # Errors
    /// [`StateError`]; nothing has changed then.
    pub fn restore(&mut self, number: u64, snapshot: &Snapshot) -> Result<(), StateError> {
        self.check(number)?;
        Ok(self.policy.restore_network(snapshot)?)
    }

    fn check(&self, number: u64) -> Result<(), StateError> {
        if number == self.number { Ok(()) } else { Err(StateError::Life) }
    }
}

impl Session {
    /// A session of `life`, fed by `frames`.
    pub fn new(life: Life, frames: triple_buffer::Output<SensorFrame>, trigger: Trigger, rate: f32) -> Self {
        Self {
            command: life.policy.targets().to_vec(),
            reported: SafetyReport::of(&life.supervisor),
            life: Box::new(life),
            frames,
            has_frame: false,
            trigger,
            period: (1e9 / f64::from(rate)) as i64,
            last_stamp: None,
            answered: false,
            missed: 0,
            unpublished: 0,
            timing: TimingSums::default(),
            deadline: 0,
            next_watch: 0,
        }
    }
}

impl Known {
    /// Checks that `other` can take the place of this policy while the robot walks; `lacks_velocity`: without the speeds of all joints;
    /// `lacks_contacts`: without those of the feet.
    ///
    /// # Errors
    /// [`ExchangeError`] says what differs.
    pub fn check_exchange(&self, other: &Self, lacks_velocity: bool, lacks_contacts: bool) -> Result<(), ExchangeError> {
        let (own, new) = (&self.metadata, &other.metadata);
        let names = |metadata: &PolicyMetadata| {
            let joints: Vec<_> = metadata.robot.joint_names().collect();
            format!("the joints {} with the feet {}", joints.join(" "), metadata.robot.feet.join(" "))
        };
        if names(own) != names(new) {
            return Err(ExchangeError::Joints { given: names(new), expected: names(own) });
        }
        if own.control_rate != new.control_rate {
            return Err(ExchangeError::Rate { given: new.control_rate, expected: own.control_rate });
        }
        if lacks_velocity && new.observation.needs_velocity() {
            return Err(ExchangeError::Velocity);
        }
        if lacks_contacts && new.needs_contacts() && !own.needs_contacts() {
            return Err(ExchangeError::Contacts);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(policy: &Policy, number: u64) -> Life {
        let supervisor = Supervisor::new(&SafetyDescription::default(), policy.robot(), None, 0.02).unwrap();
        let ring = SnapshotRing::new(policy, 1, 1, HISTORY_LIMIT).unwrap();
        let ((outbox, _), (commands, _)) = (outbox(1, || StepReport::new(policy)), commands(policy.targets().len()));
        Life { number, policy: policy.clone(), seed: 0, ring, supervisor, commands, outbox }
    }

    #[test]
    fn a_timer_in_simulated_time_is_named() {
        let warning = Trigger::Timer.warning(true).unwrap();
        assert!(warning.contains("steady clock") && warning.contains("set trigger to `sensors`"), "{warning}");
        assert_eq!([Trigger::Timer.warning(false), Trigger::Sensors.warning(true), Trigger::Sensors.warning(false)], [None; 3]);
    }

    #[test]
    fn the_state_of_one_life_is_not_put_into_another_of_the_same_sizes() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/policies/beetle.safetensors");
        let mut policy = PolicyFile::load(&path).unwrap().0.policy().unwrap();
        policy.start(1);
        let (mut snapshot, mut before) = (policy.snapshot(), life(&policy, 1));
        policy.start(2);
        let mut after = life(&policy, 2);
        let state = |life: &Life| format!("{:?}", life.policy.snapshot());
        let [first, second] = [&before, &after].map(state);
        assert_ne!(first, second);

        assert_eq!(after.restore(1, &snapshot), Err(StateError::Life));
        assert_eq!(state(&after), second);
        assert_eq!(after.save(1, &mut snapshot), Err(StateError::Life));
        assert_eq!(format!("{snapshot:?}"), first);

        assert_eq!(after.save(2, &mut snapshot), Ok(()));
        assert_eq!(format!("{snapshot:?}"), second);
        assert_eq!(before.restore(1, &snapshot), Ok(()));
        assert_ne!(state(&before), first);
    }
}
