//! What a replay keeps of a bag: the steps, what belongs to each of them, and the lives that they are of.

use std::collections::{BTreeMap, HashMap};

use super::message::{JointState, Message, PlasticityState, PolicyStep, WeightsLayout};
use super::report::GapReason;
use super::{Bag, BagError, BagSummary, ReplayError, ReplaySettings};
use crate::robot::Stamp;

/// Most steps that lie between a message and its own step in the bag, where its key does not tell which step it means: half a second at 50 Hz.
const NEAR: usize = 25;

/// Names of the topics of one policy node.
pub(super) struct Topics {
    pub node: String,
    pub steps: String,
    pub plasticity: String,
    pub weights: String,
    pub layout: String,
    pub commands: String,
}

impl Topics {
    pub fn find(bag: &Bag, summary: &BagSummary, settings: &ReplaySettings) -> Result<Self, ReplayError> {
        let steps = summary.topics.iter().filter(|(_, topic)| topic.kind == PolicyStep::TYPE);
        let nodes: Vec<String> = steps.map(|(name, _)| name.strip_suffix("/steps").unwrap_or(name).to_owned()).collect();
        if nodes.is_empty() {
            let found = summary.topics.keys().cloned().collect();
            return Err(ReplayError::NoSteps { path: bag.path().display().to_string(), found });
        }
        let wanted = |node: &&String| settings.node.as_ref().map_or(nodes.len() == 1, |asked| **node == *asked);
        let Some(node) = nodes.iter().find(wanted).cloned() else {
            return Err(ReplayError::Node { asked: settings.node.clone(), nodes });
        };
        let of = |name: &str| format!("{node}/{name}");
        let namespace = node.rsplit_once('/').map_or("", |(namespace, _)| namespace);
        Ok(Self {
            steps: of("steps"),
            plasticity: of("plasticity"),
            weights: of("weights"),
            layout: of("weights_layout"),
            commands: format!("{namespace}/joint_commands"),
            node,
        })
    }
}

/// A step by stamp and number: a stamp alone may stand for several episodes, a number too. Where time goes back both may come again.
pub(super) type Key = (Stamp, u64);

/// A value, and how many steps stand before it in the bag.
struct Placed<T> {
    place: usize,
    value: T,
}

/// A policy in life: from when the node began it to when another took its place.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Life {
    /// Index of its first step.
    pub first: usize,
    /// Why it is not replayed; None when it is.
    pub skipped: Option<GapReason>,
}

/// All that is small in the bag.
#[derive(Default)]
pub(super) struct Records {
    /// The steps, in the order of the bag.
    pub steps: Vec<PolicyStep>,
    index: HashMap<Key, Vec<usize>>,
    gates: HashMap<Key, Vec<Placed<Vec<f32>>>>,
    commands: HashMap<Stamp, Vec<Placed<BTreeMap<String, f64>>>>,
    layouts: Vec<Placed<WeightsLayout>>,
    /// Whether a step has an earlier stamp than the one before it.
    goes_back: bool,
}

impl Records {
    pub fn read(bag: &Bag, topics: &Topics) -> Result<Self, BagError> {
        let mut records = Self::default();
        for message in bag.messages() {
            let message = message?;
            let (topic, place) = (message.topic(), records.steps.len());
            if topic == topics.steps {
                records.push(message.decode()?);
            } else if topic == topics.plasticity {
                let state: PlasticityState = message.decode()?;
                let key = (state.header.stamp(), state.step);
                records.gates.entry(key).or_default().push(Placed { place, value: state.layer_gates });
            } else if topic == topics.layout {
                records.layouts.push(Placed { place, value: message.decode()? });
            } else if topic == topics.commands && message.kind() == JointState::TYPE {
                let command: JointState = message.decode()?;
                let stamp = command.header.stamp();
                let value = command.name.into_iter().zip(command.position).collect();
                records.commands.entry(stamp).or_default().push(Placed { place, value });
            }
        }
        Ok(records)
    }

    fn push(&mut self, step: PolicyStep) {
        let stamp = step.header.stamp();
        self.goes_back |= self.steps.last().is_some_and(|before| stamp < before.header.stamp());
        self.index.entry((stamp, step.step)).or_default().push(self.steps.len());
        self.steps.push(step);
    }

    /// The lives in the bag, in order, where anything says whose they are. Those of the policy with the hash `hash` are replayed, with
    /// [`ReplaySettings::any_policy`] all.
    pub fn lives(&self, topics: &Topics, hash: &str, settings: &ReplaySettings) -> Result<Vec<Life>, ReplayError> {
        let begun = self.begun();
        if settings.any_policy {
            return Ok(begun.into_iter().map(|(first, _)| Life { first, skipped: None }).collect());
        }
        if begun.is_empty() {
            return Err(ReplayError::NoLayout { topic: topics.layout.clone() });
        }
        if begun.iter().all(|(_, layout)| layout.policy_hash != hash) {
            let mut recorded: Vec<String> = Vec::new();
            for (_, WeightsLayout { policy, policy_hash, .. }) in &begun {
                let name = format!("the policy `{policy}`, sha256 {policy_hash}");
                if !recorded.contains(&name) {
                    recorded.push(name);
                }
            }
            return Err(ReplayError::OtherPolicy { recorded, given: hash.to_owned() });
        }
        let skipped = |layout: &WeightsLayout| {
            let reason = || GapReason::OtherPolicy { policy: layout.policy.clone(), hash: layout.policy_hash.clone() };
            (layout.policy_hash != hash).then(reason)
        };
        Ok(begun.into_iter().map(|(first, layout)| Life { first, skipped: skipped(layout) }).collect())
    }

    /// The lives that made a step, by the index of their first one. The node says each once, on another topic than its steps: a few of
    /// these may stand on the wrong side in the bag.
    fn begun(&self) -> Vec<(usize, &WeightsLayout)> {
        let mut lives: Vec<(usize, &WeightsLayout)> = Vec::new();
        for Placed { place, value: layout } in &self.layouts {
            let first = match lives.last() {
                // To a recorder that comes late it is said after steps that are already those of this life.
                None => 0,
                Some((last, before)) => match self.beginning_near(*place, *last) {
                    Some(first) => first,
                    // Said once more, to a subscription that followed another.
                    None if before.policy_hash == layout.policy_hash => continue,
                    // Its first steps were lost.
                    None => (*place).max(*last),
                },
            };
            lives.retain(|(begin, _)| *begin < first);
            lives.push((first, layout));
        }
        lives
    }

    /// The first step of an episode that is nearest to `place`, and not before the step `from`.
    fn beginning_near(&self, place: usize, from: usize) -> Option<usize> {
        let (first, end) = (from.max(place.saturating_sub(NEAR)), self.steps.len().min(place + NEAR + 1));
        (first..end).filter(|&index| self.begins_episode(index)).min_by_key(|index| index.abs_diff(place))
    }

    /// Whether the step `index` is of another episode than the one before it.
    pub fn begins_episode(&self, index: usize) -> bool {
        let Some(step) = self.steps.get(index) else { return false };
        let Some(before) = index.checked_sub(1).and_then(|before| self.steps.get(before)) else { return true };
        // The count of interventions begins with the episode, and only what it counts sets the step back.
        step.step == 0
            || step.seed != before.seed
            || step.interventions < before.interventions
            || (step.interventions == before.interventions && step.step <= before.step)
    }

    /// The step of that key which a message means that stands behind `place` steps.
    pub fn step_of(&self, key: Key, place: usize) -> Option<usize> {
        let nearest = self.index.get(&key)?.iter().copied().min_by_key(|index| place.abs_diff(index + 1))?;
        self.is_meant(nearest, place).then_some(nearest)
    }

    /// The gates of the step `index`, where they are in the bag.
    pub fn gates(&self, index: usize) -> Option<&[f32]> {
        let step = self.steps.get(index)?;
        self.of_step(self.gates.get(&(step.header.stamp(), step.step))?, index).map(Vec::as_slice)
    }

    /// What was commanded of each joint in the step `index`, where it is in the bag.
    pub fn command(&self, index: usize) -> Option<&BTreeMap<String, f64>> {
        self.of_step(self.commands.get(&self.steps.get(index)?.header.stamp())?, index)
    }

    /// The one of `values`, which all have the key of the step `index`, that belongs to it.
    fn of_step<'a, T>(&self, values: &'a [Placed<T>], index: usize) -> Option<&'a T> {
        // Of several at one place the last holds.
        let nearest = values.iter().rev().min_by_key(|value| value.place.abs_diff(index + 1))?;
        self.is_meant(index, nearest.place).then_some(&nearest.value)
    }

    /// Whether the step `index` is meant by a message with its key behind `place` steps. Where time goes back only if the two are near each
    /// other: the step that was meant may be missing, and one of the same key stand elsewhere.
    fn is_meant(&self, index: usize, place: usize) -> bool {
        !self.goes_back || place.abs_diff(index + 1) <= NEAR
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::{Header, Time};
    use super::*;

    fn step(stamp: i32, seed: u64, step: u64) -> PolicyStep {
        PolicyStep {
            header: Header { stamp: Time { sec: stamp, nanosec: 0 }, frame_id: String::new() },
            seed,
            step,
            interventions: 0,
            joint_position: Vec::new(),
            joint_velocity: Vec::new(),
            orientation: [0.0, 0.0, 0.0, 1.0],
            angular_velocity: [0.0; 3],
            linear_acceleration: [0.0; 3],
            foot_contact: Vec::new(),
            foot_force: Vec::new(),
            gate_command: Vec::new(),
            action: Vec::new(),
            targets: Vec::new(),
        }
    }

    /// Episodes of so many steps, all with the seed 1; `stamp` [s] is that of a step by its number in its episode and in all.
    fn episodes(lengths: &[u64], stamp: impl Fn(u64, usize) -> i32) -> Records {
        let mut records = Records::default();
        for length in lengths {
            (0..*length).for_each(|number| records.push(step(stamp(number, records.steps.len()), 1, number)));
        }
        records
    }

    fn begun(mut records: Records, layouts: &[(usize, &str)]) -> Vec<(usize, String)> {
        records.layouts = layouts.iter().map(|&(place, hash)| Placed { place, value: layout(hash) }).collect();
        records.begun().into_iter().map(|(first, layout)| (first, layout.policy_hash.clone())).collect()
    }

    fn layout(hash: &str) -> WeightsLayout {
        WeightsLayout {
            policy: "walk".to_owned(),
            policy_hash: hash.to_owned(),
            layers: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            input_names: Vec::new(),
            output_names: Vec::new(),
        }
    }

    #[test]
    fn a_life_begins_with_an_episode_though_it_is_said_some_steps_before_or_after() {
        let lives = |places: [usize; 3]| {
            let records = episodes(&[100, 80, 60], |_, index| index as i32);
            begun(records, &[(places[0], "a"), (places[1], "b"), (places[2], "a")])
        };
        let expected = [(0, "a".to_owned()), (100, "b".to_owned()), (180, "a".to_owned())];
        for places in [[0, 100, 180], [3, 97, 190], [0, 110, 170]] {
            assert_eq!(lives(places), expected, "{places:?}");
        }
    }

    #[test]
    fn the_same_policy_said_again_is_a_new_life_only_where_an_episode_begins() {
        let records = || episodes(&[100, 80], |_, index| index as i32);
        let expected = |first: &[usize]| first.iter().map(|&first| (first, "a".to_owned())).collect::<Vec<_>>();
        assert_eq!(begun(records(), &[(0, "a"), (101, "a")]), expected(&[0, 100]));
        assert_eq!(begun(records(), &[(0, "a"), (50, "a")]), expected(&[0]));
        // Another one begins where it is said, when its first steps are missing; and one that made no step leaves nothing.
        assert_eq!(begun(records(), &[(0, "b"), (0, "a"), (50, "b")]), [(0, "a".to_owned()), (50, "b".to_owned())]);
    }

    #[test]
    fn where_time_goes_back_a_key_means_the_nearest_step_or_none() {
        let mut records = episodes(&[100, 100], |number, _| number as i32);
        let key = (7_000_000_000, 7);
        // Behind the step itself, a little early, and a little late.
        assert_eq!([8, 5, 20].map(|place| records.step_of(key, place)), [Some(7); 3]);
        assert_eq!([108, 105, 120].map(|place| records.step_of(key, place)), [Some(107); 3]);
        assert_eq!(records.step_of(key, 60), None);
        for (place, gate) in [(8, 0.25), (108, 0.5)] {
            records.gates.entry(key).or_default().push(Placed { place, value: vec![gate] });
        }
        assert_eq!((records.gates(7), records.gates(107), records.gates(8)), (Some(&[0.25][..]), Some(&[0.5][..]), None));
        // The second episode's own are missing.
        records.gates.get_mut(&key).unwrap().pop();
        assert_eq!((records.gates(7), records.gates(107)), (Some(&[0.25][..]), None));

        // Where it does not, the key says all: a recorder that comes late gets what is latched topic by topic.
        let records = episodes(&[100, 100], |_, index| index as i32);
        assert_eq!(records.step_of((7_000_000_000, 7), 200), Some(7));
    }
}
