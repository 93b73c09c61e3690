//! Putting the simulator node together.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use futures::channel::oneshot;
use r2r::hebbian_locomotion::srv::Reset;
use r2r::sensor_msgs::msg::JointState;
use r2r::std_srvs::srv::SetBool;

use super::pace::Mode;
use super::sensors::SensorPublishers;
use super::simulation::{Command, Request, Simulation};
use crate::robot::{NameMap, RobotModel};
use crate::ros::convert;
use crate::ros::node::{NodeError, Shell};
use crate::ros::parameters::{Declaration, Parameters};
use crate::ros::qos;
use crate::ros::rejection::{RejectionCount, Rejections};
use crate::simulation::{Mount, SimulationSettings, StartNoise, World};

/// What a service answers when the node ends before its request took effect.
const ENDING: &str = "the simulator is ending";

fn declarations() -> Vec<Declaration> {
    let rate = (1.0, 10_000.0);
    vec![
        Declaration::string("robot", "", "robot description (YAML)"),
        Declaration::choice(
            "mode",
            &["real_time", "free_running", "lockstep"],
            "what a control step waits for: its time, nothing, or the command that answers its stamp",
        ),
        Declaration::double("speed_factor", 1.0, (0.01, 100.0), "with the mode real_time: simulated over real time"),
        Declaration::bool("wait_for_command", true, "hold the world until the first command arrives"),
        Declaration::integer("seed", 0, (0, i64::MAX), "seed of the start pose"),
        Declaration::double(
            "start_noise.position",
            0.2,
            (0.0, 3.2),
            "start pose: joint angles off the nominal pose by at most this [rad]",
        ),
        Declaration::double("start_noise.velocity", 0.1, (0.0, 100.0), "start pose: joint speeds of at most this [rad/s]"),
        Declaration::double("physics_rate", 100.0, rate, "physics steps per second [Hz], a multiple of control_rate"),
        Declaration::double("control_rate", 50.0, rate, "control steps, and sensor messages, per second [Hz]"),
        Declaration::double(
            "velocity_limit",
            0.0,
            (0.0, 1000.0),
            "joint speed limit [rad/s] instead of the robot's; 0: the robot's own",
        ),
        Declaration::bool("suspended", false, "hold the base so that no foot reaches the ground"),
    ]
}

/// Makes the simulator node's parts in `shell`.
///
/// # Errors
/// [`NodeError`] names the parameter, file or robot that is not usable.
pub fn build(shell: &mut Shell) -> Result<(), NodeError> {
    let parameters = shell.parameters(declarations(), |_, _| ())?;
    let parameters = parameters.read();
    let robot = Arc::new(load_robot(&parameters)?);
    let settings = SimulationSettings {
        physics_rate: parameters.double("physics_rate") as f32,
        control_rate: parameters.double("control_rate") as f32,
        mount: if parameters.bool("suspended") { Mount::Suspended } else { Mount::Free },
    };
    let noise = StartNoise {
        position: parameters.double("start_noise.position") as f32,
        velocity: parameters.double("start_noise.velocity") as f32,
    };
    let mode = match parameters.string("mode") {
        "lockstep" => Mode::Lockstep,
        "free_running" => Mode::FreeRunning,
        _ => Mode::RealTime { factor: parameters.double("speed_factor") },
    };
    let seed = parameters.integer("seed") as u64;
    let start = World::new(robot.clone(), settings)?;
    let sensors = SensorPublishers::new(shell, &robot)?;
    let description = shell.publisher("robot_description", qos::latched())?;
    let urdf = r2r::std_msgs::msg::String { data: robot.urdf.clone() };
    description
        .publish(&urdf)
        .map_err(|source| NodeError::Ros { what: "cannot publish robot_description".to_owned(), source })?;

    let joints: Vec<String> = robot.joint_names().map(str::to_owned).collect();
    let no_command = Command { stamp: 0, targets: vec![f32::NAN; joints.len()], number: 0 };
    let (commands_in, commands) = triple_buffer::TripleBuffer::new(&no_command).split();
    let (requests_in, requests) = channel();
    let rejected = RejectionCount::default();
    let simulation = Simulation {
        world: start.start_of_episode(seed, noise),
        start,
        noise,
        seed,
        mode,
        wait_for_command: parameters.bool("wait_for_command"),
        period: Duration::from_nanos((1e9 / f64::from(settings.control_rate)).round() as u64),
        commands,
        requests,
        sensors,
        rejected: rejected.clone(),
    };
    tracing::info!("robot `{}`, {} mode, seed {seed}", robot.name, mode.name());
    let stop = shell.stop().clone();
    let thread = shell.thread("simulation", move || simulation.run(&stop))?;
    subscribe_commands(shell, &joints, no_command, commands_in, thread, &rejected)?;
    serve_requests(shell, requests_in)
}

fn load_robot(parameters: &Parameters) -> Result<RobotModel, NodeError> {
    let mut robot = RobotModel::load(Path::new(parameters.required("robot")?))?;
    let limit = parameters.double("velocity_limit") as f32;
    if limit > 0.0 {
        robot.set_velocity_limit(limit)?;
    }
    Ok(robot)
}

fn subscribe_commands(
    shell: &mut Shell,
    joints: &[String],
    mut command: Command,
    mut commands: triple_buffer::Input<Command>,
    simulation: std::thread::Thread,
    rejected: &RejectionCount,
) -> Result<(), NodeError> {
    let mut map = NameMap::new("joint", joints.iter().map(String::as_str));
    let mut rejections = Rejections::new("joint_commands", rejected);
    shell.subscribe("joint_commands", qos::command(), move |message: JointState| {
        match convert::read_command(&message, &mut map, &mut command.targets) {
            Ok(stamp) => {
                command.stamp = stamp;
                command.number += 1;
                commands.input_buffer_mut().clone_from(&command);
                commands.publish();
                simulation.unpark();
            }
            Err(error) => rejections.note(&error),
        }
    })
}

fn serve_requests(shell: &mut Shell, requests: Sender<Request>) -> Result<(), NodeError> {
    let resets = requests.clone();
    shell.serve::<Reset::Service, _>("~/reset", move |request| {
        let (answer, done) = oneshot::channel();
        let seed = (!request.keep_seed).then_some(request.seed);
        // Without a receiver `done` ends at once, and the answer says so.
        let _ = resets.send(Request::Reset(seed, answer));
        async {
            match done.await {
                Ok(seed) => {
                    Reset::Response { success: true, message: format!("at the start of the episode with seed {seed}"), seed }
                }
                Err(_) => Reset::Response { success: false, message: ENDING.to_owned(), seed: 0 },
            }
        }
    })?;
    shell.serve::<SetBool::Service, _>("~/pause", move |request| {
        let (answer, done) = oneshot::channel();
        let _ = requests.send(Request::Pause(request.data, answer));
        async move {
            let state = if request.data { "simulated time stands still" } else { "simulated time goes on" };
            match done.await {
                Ok(()) => SetBool::Response { success: true, message: state.to_owned() },
                Err(_) => SetBool::Response { success: false, message: ENDING.to_owned() },
            }
        }
    })
}
