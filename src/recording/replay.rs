//! Replay: what a policy saw, fed to it again, and what it then did compared bit for bit.

use std::collections::BTreeMap;

use super::message::{Message, PolicyStep, WeightSnapshot};
use super::records::{Life, Records, Topics};
use super::report::{Comparison, Difference, Gap, GapReason, Published, ReplayReport};
use super::{Bag, BagError, BagSummary};
use crate::network::NetworkError;
use crate::plasticity::{CommandedGate, Gate, GateError, GateSource};
use crate::policy::{MapError, Policy, PolicyFile, SeenState};
use crate::robot::{Orientation, RobotState};

/// What to replay.
#[derive(Clone, Debug, Default)]
pub struct ReplaySettings {
    /// Full name of the policy node, for a bag with several.
    pub node: Option<String>,
    /// Replay also with another policy file than the recorded one.
    pub any_policy: bool,
}

/// Why a recording cannot be replayed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The bag is not readable.
    #[error(transparent)]
    Bag(#[from] BagError),
    /// The policy file is not usable.
    #[error(transparent)]
    Policy(#[from] MapError),
    /// No policy was recorded.
    #[error("{path} holds no topic of type {}: what the policy saw was not recorded; record its `~/steps` (the recorder does by default). It holds {}", PolicyStep::TYPE, found.join(", "))]
    NoSteps {
        /// The bag.
        path: String,
        /// Topics that it holds.
        found: Vec<String>,
    },
    /// Several policies were recorded, or another one.
    #[error("the policy node {} was not recorded; choose one of {}", asked.as_deref().unwrap_or("(none named)"), nodes.join(", "))]
    Node {
        /// The node asked for.
        asked: Option<String>,
        /// Nodes in the bag.
        nodes: Vec<String>,
    },
    /// Nothing says which policy was recorded.
    #[error("{topic} is missing in the bag: nothing says which policy was recorded; give --any-policy to replay all the same")]
    NoLayout {
        /// The topic.
        topic: String,
    },
    /// The policy file is another one.
    #[error(
        "the bag was recorded with {}; the file given has sha256 {given}. Give a recorded file, or --any-policy to see what differs",
        recorded.join(", and ")
    )]
    OtherPolicy {
        /// Names and hashes of the recorded policies.
        recorded: Vec<String>,
        /// Hash of the file given.
        given: String,
    },
    /// The recorded values do not fit the policy.
    #[error("step {step} was recorded with {given} {what}; the policy has {expected}")]
    Length {
        /// Step.
        step: u64,
        /// Of what.
        what: &'static str,
        /// Recorded.
        given: usize,
        /// Of the policy.
        expected: usize,
    },
    /// A recorded gate is no gate.
    #[error("step {step}: {source}")]
    Gate {
        /// Step.
        step: u64,
        /// What is wrong with it.
        source: GateError,
    },
    /// The policy refuses what it accepted when it was recorded.
    #[error("the policy refuses the recorded sensor values of step {step}: {source}")]
    Refused {
        /// Step.
        step: u64,
        /// Its reason.
        source: NetworkError,
    },
    /// No step could be replayed.
    #[error("none of the {steps} recorded steps can be replayed: {reason}")]
    Nothing {
        /// Recorded steps.
        steps: usize,
        /// Why.
        reason: String,
    },
}

/// Replays the policy `file`, whose bytes have the hash `hash`, on what `bag` recorded.
///
/// The bag is read and its checksums are compared first; then it is read again. `watch` sees the policy after every replayed step. Of a node
/// that ran several policies, the steps of the others are not replayed.
///
/// # Errors
/// [`ReplayError`] when the bag is damaged, lacks a topic, or does not fit the policy. A difference is no error.
pub fn replay(
    bag: &Bag,
    file: &PolicyFile,
    hash: &str,
    settings: &ReplaySettings,
    watch: impl FnMut(&Policy),
) -> Result<ReplayReport, ReplayError> {
    let summary = bag.verify()?;
    let topics = Topics::find(bag, &summary, settings)?;
    let records = Records::read(bag, &topics)?;
    let lives = records.lives(&topics, hash, settings)?;
    let mut replay = Replay::new(file, &records, &lives, watch)?;
    let mut steps = 0;
    for message in bag.messages() {
        let message = message?;
        if message.topic() == topics.steps {
            steps += 1;
        } else if message.topic() == topics.weights {
            replay.take_weights(&message.decode()?, steps)?;
        }
    }
    replay.advance(records.steps.len())?;
    replay.report(topics, &summary)
}

/// A replay on its way.
struct Replay<'a, W> {
    records: &'a Records,
    /// Lives that have not begun.
    lives: &'a [Life],
    hidden_state: Option<&'static str>,
    /// The policy as each life begins with it.
    unborn: Policy,
    policy: Policy,
    state: RobotState,
    /// Whether the life so far is one that is not replayed.
    is_skipped: bool,
    /// Recorded steps that are done with.
    position: usize,
    /// Whether the policy is what it was after the last of them.
    is_in_step: bool,
    replayed: usize,
    gaps: Vec<Gap>,
    commands: Comparison,
    gates: Comparison,
    weights: Comparison,
    replayed_weights: Vec<f32>,
    first_difference: Option<Difference>,
    published: Published,
    weight_names: WeightNames,
    watch: W,
}

/// What is needed to name a weight: names of the network's inputs and outputs, and its layers.
struct WeightNames {
    layers: Vec<crate::network::Layer>,
    inputs: Vec<String>,
    outputs: Vec<String>,
}

impl<'a, W: FnMut(&Policy)> Replay<'a, W> {
    fn new(file: &PolicyFile, records: &'a Records, lives: &'a [Life], watch: W) -> Result<Self, ReplayError> {
        let policy = file.policy()?;
        let (metadata, robot) = (&file.metadata, &file.metadata.robot);
        Ok(Self {
            records,
            lives,
            hidden_state: metadata.hidden_state(),
            state: RobotState::at_rest(robot.joints.len(), robot.feet.len()),
            replayed_weights: policy.network().plastic().map_or_else(Vec::new, |network| network.weights()),
            weight_names: WeightNames {
                layers: metadata.network.layers().layers().collect(),
                inputs: metadata.observation.names(robot),
                outputs: robot.joint_names().map(str::to_owned).collect(),
            },
            unborn: policy.clone(),
            policy,
            is_skipped: false,
            position: 0,
            is_in_step: false,
            replayed: 0,
            gaps: Vec::new(),
            commands: Comparison::default(),
            gates: Comparison::default(),
            weights: Comparison::default(),
            first_difference: None,
            published: Published::default(),
            watch,
        })
    }

    /// Compares recorded weights, which stand in the bag behind `place` steps, or goes on from them where the replay has lost the thread.
    fn take_weights(&mut self, snapshot: &WeightSnapshot, place: usize) -> Result<(), ReplayError> {
        let key = (snapshot.header.stamp(), snapshot.step);
        let Some(index) = self.records.step_of(key, place).filter(|&index| index >= self.position) else { return Ok(()) };
        self.advance(index + 1)?;
        let Some(network) = self.policy.network().plastic().filter(|_| !self.is_skipped) else { return Ok(()) };
        length(snapshot.step, "weights", snapshot.weights.len(), network.shape().synapses())?;
        let record = &self.records.steps[index];
        if self.is_in_step {
            network.copy_weights(&mut self.replayed_weights);
            let differing = compare(&mut self.weights, &snapshot.weights, &self.replayed_weights);
            if let Some(synapse) = differing {
                let of = self.weight_names.name(synapse);
                self.note(record, of, snapshot.weights[synapse], self.replayed_weights[synapse]);
            }
        } else if self.hidden_state.is_none() {
            self.continue_from(record, &snapshot.weights)?;
        }
        Ok(())
    }

    fn continue_from(&mut self, record: &PolicyStep, weights: &[f32]) -> Result<(), ReplayError> {
        let &PolicyStep { seed, step, interventions, ref action, .. } = record;
        length(step, "actions", action.len(), self.policy.action().len())?;
        let seen = SeenState { seed, steps: step + 1, interventions, action, weights };
        self.policy.continue_from(&seen).map_err(|source| ReplayError::Refused { step, source })?;
        self.is_in_step = true;
        Ok(())
    }

    /// Replays up to the recorded step with index `end`.
    fn advance(&mut self, end: usize) -> Result<(), ReplayError> {
        while self.position < end {
            let (records, index) = (self.records, self.position);
            let record = &records.steps[index];
            let is_new_life = self.begin_life(record);
            if !self.is_skipped {
                self.look_at_command(record, records.command(index));
                if record.step == 0 && record.interventions == 0 {
                    // A node begins each of its episodes anew: the seed says all.
                    self.policy.start_anew(record.seed);
                    self.is_in_step = true;
                } else if let Some(reason) = self.break_before(record, is_new_life) {
                    self.gaps.push(Gap { first_step: record.step, steps: 0, reason });
                    self.is_in_step = false;
                }
            }
            self.position += 1;
            if self.is_in_step {
                self.step(index)?;
            } else {
                // Without plastic weights there is nothing to wait for.
                if !self.is_skipped && self.policy.network().plastic().is_none() && self.hidden_state.is_none() {
                    self.continue_from(record, &[])?;
                }
                if let Some(gap) = self.gaps.last_mut() {
                    gap.steps += 1;
                }
            }
        }
        Ok(())
    }

    /// Whether a life begins with the next step, which is `record`; then nothing is left of the one before.
    fn begin_life(&mut self, record: &PolicyStep) -> bool {
        let lives = self.lives;
        let Some((life, later)) = lives.split_first().filter(|(life, _)| life.first == self.position) else {
            // Where nothing says whose the steps are, all are of one life.
            return self.position == 0;
        };
        self.lives = later;
        self.policy = self.unborn.clone();
        (self.is_in_step, self.is_skipped) = (false, life.skipped.is_some());
        if let Some(reason) = life.skipped.clone() {
            self.gaps.push(Gap { first_step: record.step, steps: 0, reason });
        }
        true
    }

    /// Why `record`, which is no start, does not follow from the step before it, if it does not.
    fn break_before(&self, record: &PolicyStep, is_new_life: bool) -> Option<GapReason> {
        let Some(before) = self.position.checked_sub(1).map(|index| &self.records.steps[index]) else {
            return Some(GapReason::BeginsLate);
        };
        let is_another_episode = is_new_life || self.records.begins_episode(self.position);
        let lost = if is_another_episode { record.step } else { record.step.saturating_sub(before.step).saturating_sub(1) };
        if lost > 0 {
            return Some(GapReason::Lost { steps: lost });
        }
        (is_another_episode || record.interventions != before.interventions).then_some(GapReason::Intervention)
    }

    /// Replays the recorded step with that index.
    fn step(&mut self, index: usize) -> Result<(), ReplayError> {
        let record = &self.records.steps[index];
        let step = record.step;
        self.set_state(record)?;
        let gate = commanded(&record.gate_command).map_err(|source| ReplayError::Gate { step, source })?;
        self.policy.set_gate(gate).map_err(|source| ReplayError::Gate { step, source })?;
        self.policy.step(&self.state).map_err(|source| ReplayError::Refused { step, source })?;
        self.replayed += 1;
        (self.watch)(&self.policy);

        let (targets, layers) = (self.policy.targets(), self.policy.gates().gates());
        length(step, "targets", record.targets.len(), targets.len())?;
        let mut found = None;
        if let Some(gates) = self.records.gates(index) {
            length(step, "gates", gates.len(), layers.len())?;
            if let Some(layer) = compare(&mut self.gates, gates, layers) {
                found = Some((format!("gate of layer {layer}"), gates[layer], layers[layer]));
            }
        }
        if let Some(joint) = compare(&mut self.commands, &record.targets, targets) {
            let name = self.weight_names.outputs.get(joint).map_or("?", String::as_str);
            found = found.or_else(|| Some((format!("target of joint {name}"), record.targets[joint], targets[joint])));
        }
        if let Some((of, recorded, replayed)) = found {
            self.note(record, of, recorded, replayed);
        }
        Ok(())
    }

    fn set_state(&mut self, record: &PolicyStep) -> Result<(), ReplayError> {
        let PolicyStep { step, joint_position, joint_velocity, foot_contact, foot_force, .. } = record;
        let state = &mut self.state;
        let (joints, feet) = (state.joint_position.len(), state.foot_contact.len());
        length(*step, "joint positions", joint_position.len(), joints)?;
        length(*step, "joint velocities", joint_velocity.len(), joints)?;
        length(*step, "foot contacts", foot_contact.len(), feet)?;
        length(*step, "foot forces", foot_force.len(), feet)?;
        state.joint_position.copy_from_slice(joint_position);
        state.joint_velocity.copy_from_slice(joint_velocity);
        state.foot_contact.copy_from_slice(foot_contact);
        state.foot_force.copy_from_slice(foot_force);
        let [x, y, z, w] = record.orientation;
        state.orientation = Orientation { x, y, z, w };
        (state.angular_velocity, state.linear_acceleration) = (record.angular_velocity, record.linear_acceleration);
        Ok(())
    }

    /// Counts what was commanded of each joint in the step `record`, beside what the policy wanted.
    fn look_at_command(&mut self, record: &PolicyStep, sent: Option<&BTreeMap<String, f64>>) {
        let mut wanted = self.weight_names.outputs.iter().zip(&record.targets);
        match sent.map(|sent| wanted.all(|(joint, target)| sent.get(joint) == Some(&f64::from(*target)))) {
            None => self.published.missing += 1,
            Some(true) => self.published.same += 1,
            Some(false) => self.published.changed += 1,
        }
    }

    fn note(&mut self, record: &PolicyStep, of: String, recorded: f32, replayed: f32) {
        let stamp = record.header.stamp();
        self.first_difference.get_or_insert(Difference { step: record.step, stamp, of, recorded, replayed });
    }

    fn report(self, topics: Topics, summary: &BagSummary) -> Result<ReplayReport, ReplayError> {
        let steps = self.records.steps.len();
        if self.replayed == 0 {
            let is_other = |gap: &Gap| matches!(gap.reason, GapReason::OtherPolicy { .. });
            let are_others = !self.gaps.is_empty() && self.gaps.iter().all(is_other);
            let reason = match self.hidden_state {
                _ if steps == 0 => format!("{} holds no message", topics.steps),
                _ if are_others => "all of them are of other policies; give the file of one of these".to_owned(),
                Some(hidden) => format!(
                    "the recording begins after the episode did, and the policy has a state that it does not show ({hidden}); record from the start"
                ),
                None => format!(
                    "the recording begins after the episode did, and {} has no weights to go on from; record from the start, or all weights (weights_every: 1)",
                    topics.weights
                ),
            };
            return Err(ReplayError::Nothing { steps, reason });
        }
        Ok(ReplayReport {
            integrity: summary.integrity,
            dropped: summary.topics.get(&topics.steps).map_or(0, |topic| topic.dropped),
            node: topics.node,
            steps,
            replayed: self.replayed,
            gaps: self.gaps,
            commands: self.commands,
            gates: self.gates,
            weights: self.weights,
            first_difference: self.first_difference,
            published: Published { topic: topics.commands, ..self.published },
        })
    }
}

impl WeightNames {
    fn name(&self, synapse: usize) -> String {
        let Some((number, layer)) = self.layers.iter().enumerate().find(|(_, layer)| layer.range().contains(&synapse)) else {
            return format!("weight {synapse}");
        };
        let (from, to) = ((synapse - layer.offset) / layer.outputs, (synapse - layer.offset) % layer.outputs);
        let name = |names: &[String], is_named: bool, index: usize| {
            names.get(index).filter(|_| is_named).cloned().unwrap_or_else(|| format!("neuron {index}"))
        };
        let (from, to) = (name(&self.inputs, number == 0, from), name(&self.outputs, number + 1 == self.layers.len(), to));
        format!("weight {from} -> {to} of layer {number}")
    }
}

/// Counts a comparison; returns the index of the first value with other bits.
fn compare(comparison: &mut Comparison, recorded: &[f32], replayed: &[f32]) -> Option<usize> {
    comparison.steps += 1;
    let first = recorded.iter().zip(replayed).position(|(a, b)| a.to_bits() != b.to_bits())?;
    comparison.different += 1;
    let largest = recorded.iter().zip(replayed).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    comparison.largest = comparison.largest.max(largest);
    Some(first)
}

/// Recorded gates as a command. One for all where they are equal, since only so many can be named one by one.
fn commanded(gates: &[f32]) -> Result<CommandedGate, GateError> {
    match gates {
        [] => Ok(Gate::OPEN.into()),
        [first, rest @ ..] if rest.iter().all(|gate| gate == first) => Ok(Gate::new(*first, GateSource::Parameter)?.into()),
        _ => CommandedGate::per_layer(gates, GateSource::Parameter),
    }
}

fn length(step: u64, what: &'static str, given: usize, expected: usize) -> Result<(), ReplayError> {
    if given == expected { Ok(()) } else { Err(ReplayError::Length { step, what, given, expected }) }
}
