//! Putting the policy node together.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use r2r::ParameterValue;
use r2r::hebbian_locomotion::msg::FootContacts;
use r2r::hebbian_locomotion::srv::SetGate;
use r2r::sensor_msgs::msg::{Imu, JointState};
use r2r::std_msgs::msg::Float32;

use super::control::{Control, GateControl, StepReport, Trigger, steady_now};
use super::telemetry::{Telemetry, layout};
use crate::plasticity::{CommandedGate, Gate, GateError, GateSource};
use crate::policy::PolicyFile;
use crate::robot::{RobotModel, SensorFrame};
use crate::ros::convert::{MessageError, SensorReader};
use crate::ros::node::{NodeError, Shell};
use crate::ros::outbox::outbox;
use crate::ros::parameters::Declaration;
use crate::ros::qos;
use crate::ros::rejection::{RejectionCount, Rejections};

/// Steps that publishing may lag behind.
const OUTBOX: usize = 32;

fn declarations() -> Vec<Declaration> {
    vec![
        Declaration::string("policy", "", "policy file (.safetensors)"),
        Declaration::string(
            "robot",
            "",
            "robot description (YAML) to check the policy against; empty: no check but by names in messages",
        ),
        Declaration::integer("seed", 0, (0, i64::MAX), "seed of the episode's initial weights"),
        Declaration::double("gate", 1.0, (0.0, 1.0), "plasticity gate: 1 fully plastic, 0 weights frozen").changeable(),
        Declaration::choice(
            "trigger",
            &["sensors", "timer"],
            "what makes a control step: each set of sensor values with one stamp (simulation), or the steady clock (robot)",
        ),
        Declaration::double(
            "sensor_timeout",
            0.1,
            (0.001, 10.0),
            "with the trigger timer: older sensor values give no command [s]",
        ),
        Declaration::integer(
            "weights_every",
            5,
            (0, i64::from(u32::MAX)),
            "publish all weights every so many control steps; 0: never",
        )
        .changeable(),
    ]
}

/// Makes the policy node's parts in `shell`.
///
/// # Errors
/// [`NodeError`] names the parameter, file or robot that is not usable.
pub fn build(shell: &mut Shell) -> Result<(), NodeError> {
    let weights_every = Arc::new(AtomicU32::new(0));
    // The parameters come first, because they name the policy whose layers the gate is for.
    let gate_control = Arc::new(std::sync::OnceLock::<GateControl>::new());
    let parameters = {
        let (weights_every, gate_control) = (weights_every.clone(), gate_control.clone());
        let request = move |value: f32| {
            if let Some(control) = gate_control.get() {
                warn(request_gate(control, value, GateSource::Parameter));
            }
        };
        shell.parameters(declarations(), move |name, value| match (name, value) {
            ("gate", ParameterValue::Double(value)) => request(*value as f32),
            ("gate", ParameterValue::Integer(value)) => request(*value as f32),
            ("weights_every", ParameterValue::Integer(value)) => weights_every.store(*value as u32, Ordering::Relaxed),
            _ => {}
        })?
    };
    let parameters = parameters.read();
    weights_every.store(parameters.integer("weights_every") as u32, Ordering::Relaxed);

    let (file, hash) = PolicyFile::load(Path::new(parameters.required("policy")?))?;
    let metadata = &file.metadata;
    let robot = parameters.string("robot");
    if !robot.is_empty() {
        metadata.robot.check(&RobotModel::load(Path::new(robot))?)?;
    }
    let mut policy = file.policy()?;
    policy.start(parameters.integer("seed") as u64);
    let period = Duration::from_secs_f64(1.0 / f64::from(metadata.control_rate));
    let trigger = match parameters.string("trigger") {
        "timer" => Trigger::Timer { period, timeout: Duration::from_secs_f64(parameters.double("sensor_timeout")) },
        _ => Trigger::Sensors,
    };
    let gate_control = gate_control.get_or_init(|| GateControl::new(metadata.gate_dimensions().layers)).clone();
    // The parameter's range is the gate's.
    warn(request_gate(&gate_control, parameters.double("gate") as f32, GateSource::Parameter));

    let rejected = RejectionCount::default();
    let joints = metadata.robot.joint_names();
    let mut telemetry = Telemetry {
        commands: shell.publisher("joint_commands", qos::command())?,
        plasticity: shell.publisher("~/plasticity", qos::telemetry())?,
        weights: shell.publisher("~/weights", qos::telemetry())?,
        joints: joints.map(str::to_owned).collect(),
        rejected: rejected.clone(),
        refused: Rejections::new("sensor values", &rejected),
    };
    let layouts = shell.publisher("~/weights_layout", qos::latched())?;
    layouts
        .publish(&layout(metadata, &hash))
        .map_err(|source| NodeError::Ros { what: "cannot publish ~/weights_layout".to_owned(), source })?;

    let (outbox, inbox) = outbox(OUTBOX, || StepReport::new(&policy));
    let stop = shell.stop().clone();
    let publisher = shell.thread("publish", move || inbox.run(&stop, |report| telemetry.publish(report)))?;

    let feet = metadata.robot.feet.iter().map(String::as_str);
    let reader = SensorReader::new(metadata.robot.joint_names(), feet, metadata.observation.needs_velocity());
    let empty = SensorFrame {
        stamp: 0,
        state: crate::robot::RobotState::at_rest(metadata.robot.joints.len(), metadata.robot.feet.len()),
        oldest_received: 0,
    };
    let (frames_in, frames_out) = triple_buffer::TripleBuffer::new(&empty).split();
    let mut control = Control {
        policy,
        gate_control: gate_control.clone(),
        frames: frames_out,
        outbox,
        trigger,
        period: period.as_nanos() as i64,
        weights_every,
    };
    control.outbox.wakes(publisher);
    let stop = shell.stop().clone();
    let control = shell.thread("control", move || control.run(&stop))?;

    subscribe_sensors(shell, reader, frames_in, control, trigger == Trigger::Sensors, &rejected)?;
    serve_gate(shell, gate_control, &rejected)?;
    tracing::info!(
        "policy `{}` for the robot `{}` at {} Hz, sha256 {hash:.12}…",
        metadata.name,
        metadata.robot.name,
        metadata.control_rate
    );
    Ok(())
}

/// What the three sensor subscriptions share; all run on the spin thread.
struct Sensors {
    reader: SensorReader,
    frames: triple_buffer::Input<SensorFrame>,
    control: std::thread::Thread,
    /// Whether only complete sets of one stamp count.
    matched: bool,
}

impl Sensors {
    /// Hands the present frame to the control thread.
    fn forward(&mut self) {
        let assembler = self.reader.assembler();
        if let Some(frame) = if self.matched { assembler.matched() } else { assembler.latest() } {
            self.frames.input_buffer_mut().clone_from(frame);
            self.frames.publish();
            self.control.unpark();
        }
    }
}

fn subscribe_sensors(
    shell: &mut Shell,
    reader: SensorReader,
    frames: triple_buffer::Input<SensorFrame>,
    control: std::thread::Thread,
    matched: bool,
    rejected: &RejectionCount,
) -> Result<(), NodeError> {
    let sensors = Rc::new(RefCell::new(Sensors { reader, frames, control, matched }));
    // One subscription: `take` checks a message and puts it into the reader.
    let subscription = |topic: &'static str| (sensors.clone(), Rejections::new(topic, rejected));
    fn receive(
        sensors: &RefCell<Sensors>,
        rejections: &mut Rejections,
        take: impl FnOnce(&mut SensorReader, i64) -> Result<(), MessageError>,
    ) {
        let mut sensors = sensors.borrow_mut();
        match take(&mut sensors.reader, steady_now()) {
            Ok(()) => sensors.forward(),
            Err(error) => rejections.note(&error),
        }
    }
    let (shared, mut rejections) = subscription("joint_states");
    shell.subscribe("joint_states", qos::sensor_subscriber(), move |message: JointState| {
        receive(&shared, &mut rejections, |reader, now| reader.joint_state(&message, now));
    })?;
    let (shared, mut rejections) = subscription("imu/data");
    shell.subscribe("imu/data", qos::sensor_subscriber(), move |message: Imu| {
        receive(&shared, &mut rejections, |reader, now| reader.imu(&message, now));
    })?;
    let (shared, mut rejections) = subscription("foot_contacts");
    shell.subscribe("foot_contacts", qos::sensor_subscriber(), move |message: FootContacts| {
        receive(&shared, &mut rejections, |reader, now| reader.foot_contacts(&message, now));
    })
}

fn request_gate(control: &GateControl, value: f32, source: GateSource) -> Result<(), GateError> {
    control.request(Gate::new(value, source)?)
}

fn warn(result: Result<(), GateError>) {
    if let Err(error) = result {
        tracing::warn!("{error}");
    }
}

fn serve_gate(shell: &mut Shell, control: GateControl, rejected: &RejectionCount) -> Result<(), NodeError> {
    let (by_topic, mut rejections) = (control.clone(), Rejections::new("~/gate", rejected));
    shell.subscribe("~/gate", qos::command(), move |message: Float32| {
        if let Err(error) = request_gate(&by_topic, message.data, GateSource::Topic) {
            rejections.note(&error);
        }
    })?;
    shell.serve::<SetGate::Service, _>("~/set_gate", move |request| {
        let previous_gate = control.present();
        let set = || {
            let gates = &request.layer_gates[..];
            match gates {
                [] => request_gate(&control, request.gate, GateSource::Service).map(|()| format!("gate {}", request.gate)),
                _ => control
                    .request(CommandedGate::per_layer(gates, GateSource::Service)?)
                    .map(|()| format!("gates {gates:?} of the layers")),
            }
        };
        let response = match set() {
            Ok(what) => {
                SetGate::Response { success: true, message: format!("{what} from the next control step on"), previous_gate }
            }
            Err(error) => SetGate::Response { success: false, message: error.to_string(), previous_gate },
        };
        std::future::ready(response)
    })
}
