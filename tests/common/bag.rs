//! A bag of a policy in life, as the nodes make it, without ROS.
#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses a part of this")]

use std::path::Path;

use byteorder::LittleEndian;
use hebbian_locomotion::plasticity::{CommandedGate, GateSource};
use hebbian_locomotion::policy::{Policy, PolicyFile};
use hebbian_locomotion::recording::message::{
    Header, JointState, Message, PlasticityState, PolicyStep, Time, WeightSnapshot, WeightsLayout,
};
use hebbian_locomotion::recording::{BagWriter, MessageDefinition, Topic, TopicId, TopicQos, WriterOptions};
use hebbian_locomotion::robot::RobotState;
use serde::Serialize;

/// The control period \[ns\].
pub const PERIOD: i64 = 20_000_000;

/// Text of a type as a ROS installation has it.
fn text(package: &str, name: &str) -> Option<String> {
    let text = match (package, name) {
        ("hebbian_locomotion", name) => {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("msg/{name}.msg"));
            return std::fs::read_to_string(path).ok();
        }
        ("std_msgs", "Header") => "builtin_interfaces/Time stamp\nstring frame_id\n",
        ("builtin_interfaces", "Time") => "int32 sec\nuint32 nanosec\n",
        ("sensor_msgs", "JointState") => {
            "std_msgs/Header header\nstring[] name\nfloat64[] position\nfloat64[] velocity\nfloat64[] effort\n"
        }
        _ => return None,
    };
    Some(text.to_owned())
}

/// The bytes of a message.
pub fn cdr<T: Serialize>(message: &T) -> Vec<u8> {
    let mut bytes = vec![0, 1, 0, 0];
    bytes.extend(cdr_encoding::to_vec::<T, LittleEndian>(message).unwrap());
    bytes
}

/// A topic with messages of type `T`.
pub fn topic<T: Message>(name: &str) -> Topic {
    let definition = MessageDefinition::resolve(T::TYPE, text).unwrap();
    Topic { name: name.to_owned(), definition, qos: vec![TopicQos::new(true, false)] }
}

fn header(stamp: i64) -> Header {
    let stamp = Time { sec: (stamp / 1_000_000_000) as i32, nanosec: (stamp % 1_000_000_000) as u32 };
    Header { stamp, frame_id: String::new() }
}

/// Writes what a policy node would publish.
pub struct LifeRecorder {
    pub bag: BagWriter,
    topics: [TopicId; 5],
    joints: Vec<String>,
    /// Stamp of the last step \[ns\].
    pub stamp: i64,
    /// Leave these steps out of the bag.
    pub lost: Vec<u64>,
    /// Every how many steps weights are recorded.
    pub weights_every: u64,
}

impl LifeRecorder {
    pub fn new(folder: &Path, file: &PolicyFile, hash: &str) -> Self {
        Self::with_options(folder, file, hash, &WriterOptions::default())
    }

    pub fn with_options(folder: &Path, file: &PolicyFile, hash: &str, options: &WriterOptions) -> Self {
        let mut bag = BagWriter::create(folder, options).unwrap();
        let layout = bag.add_topic(topic::<WeightsLayout>("/policy/weights_layout")).unwrap();
        let topics = [
            layout,
            bag.add_topic(topic::<PolicyStep>("/policy/steps")).unwrap(),
            bag.add_topic(topic::<PlasticityState>("/policy/plasticity")).unwrap(),
            bag.add_topic(topic::<WeightSnapshot>("/policy/weights")).unwrap(),
            bag.add_topic(topic::<JointState>("/joint_commands")).unwrap(),
        ];
        let joints = file.metadata.robot.joint_names().map(str::to_owned).collect();
        let mut recorder = Self { bag, topics, joints, stamp: 0, lost: Vec::new(), weights_every: 1 };
        recorder.say_layout(file, hash);
        recorder
    }

    /// Records what a node says when the policy `file` begins a life.
    pub fn say_layout(&mut self, file: &PolicyFile, hash: &str) {
        let layers: Vec<_> = file.metadata.network.layers().layers().collect();
        let message = WeightsLayout {
            policy: file.metadata.name.clone(),
            policy_hash: hash.to_owned(),
            layers: (0..layers.len()).map(|index| format!("layers.{index}")).collect(),
            inputs: layers.iter().map(|layer| layer.inputs as u32).collect(),
            outputs: layers.iter().map(|layer| layer.outputs as u32).collect(),
            input_names: file.metadata.observation.names(&file.metadata.robot),
            output_names: self.joints.clone(),
        };
        let time = self.stamp as u64 + 1;
        self.bag.write(self.topics[0], time, time, &cdr(&message)).unwrap();
    }

    /// One control step of `policy` on `state`, recorded.
    pub fn step(&mut self, policy: &mut Policy, state: &RobotState, gates: &[f32]) {
        policy.set_gate(CommandedGate::per_layer(gates, GateSource::Service).unwrap()).unwrap();
        policy.step(state).unwrap();
        self.stamp += PERIOD;
        let step = policy.steps() - 1;
        let (header, time) = (header(self.stamp), self.stamp as u64);
        let q = state.orientation;
        let record = PolicyStep {
            header: header.clone(),
            seed: policy.seed(),
            step,
            interventions: policy.interventions(),
            joint_position: state.joint_position.clone(),
            joint_velocity: state.joint_velocity.clone(),
            orientation: [q.x, q.y, q.z, q.w],
            angular_velocity: state.angular_velocity,
            linear_acceleration: state.linear_acceleration,
            foot_contact: state.foot_contact.clone(),
            foot_force: state.foot_force.clone(),
            gate_command: gates.to_vec(),
            action: policy.action().to_vec(),
            targets: policy.targets().to_vec(),
        };
        if self.lost.contains(&step) {
            return;
        }
        let [_, steps, plasticity, weights, commands] = self.topics;
        self.bag.write(steps, time, time, &cdr(&record)).unwrap();
        let layers = policy.layers();
        let state = PlasticityState {
            header: header.clone(),
            step,
            gate: policy.gates().gates().iter().copied().fold(1.0, f32::min),
            layer_gates: policy.gates().gates().to_vec(),
            gate_reason: policy.gates().reason().kind().to_owned(),
            gate_detail: policy.gates().reason().to_string(),
            weights_max_abs: layers.iter().map(|layer| layer.max_abs).collect(),
            weights_norm: layers.iter().map(|layer| layer.norm).collect(),
            weight_change_mean: layers.iter().map(|layer| layer.change_mean).collect(),
            compute_time: 1e-5,
            sensor_age: 1e-3,
            missed_steps: 0,
            rejected_messages: 0,
        };
        self.bag.write(plasticity, time, time, &cdr(&state)).unwrap();
        let command = JointState {
            header: header.clone(),
            name: self.joints.clone(),
            position: policy.targets().iter().map(|&target| f64::from(target)).collect(),
            velocity: Vec::new(),
            effort: Vec::new(),
        };
        self.bag.write(commands, time, time, &cdr(&command)).unwrap();
        if let Some(network) = policy.network().plastic()
            && step.is_multiple_of(self.weights_every)
        {
            let snapshot = WeightSnapshot { header, step, weights: network.weights() };
            self.bag.write(weights, time, time, &cdr(&snapshot)).unwrap();
        }
    }
}
