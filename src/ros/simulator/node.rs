//! Putting the simulator node together.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use r2r::sensor_msgs::msg::JointState;
use serde::de::DeserializeOwned;

use super::commands::{Collector, Command, Commands, Epoch};
use super::pace::Mode;
use super::requests::serve;
use super::sensors::SensorPublishers;
use super::simulation::Simulation;
use crate::config::parse_description;
use crate::robot::RobotModel;
use crate::ros::logging::robot_warnings;
use crate::ros::node::{NodeError, Shell};
use crate::ros::parameters::{Declaration, ParameterError, Parameters};
use crate::ros::qos;
use crate::ros::rejection::{RejectionCount, Rejections};
use crate::simulation::{CommandWatchdog, Damage, Mount, SimulationSettings, StartNoise, World};

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
        Declaration::bool(
            "wait_for_command",
            true,
            "with the modes real_time and free_running: hold the world until the first command arrives, whatever its stamp",
        ),
        Declaration::double(
            "command_timeout",
            0.5,
            (0.0, 3600.0),
            "with the modes real_time and free_running: silence, simulated and real, after which the robot holds its pose until a command \
             comes [s]; 0: never",
        ),
        Declaration::integer("seed", 0, (0, i64::MAX), "seed of the start pose"),
        Declaration::double(
            "start_noise.position",
            0.2,
            (0.0, 3.2),
            "start pose: joint angles off the nominal pose by at most this [rad]",
        ),
        Declaration::double("start_noise.velocity", 0.1, (0.0, 100.0), "start pose: joint speeds of at most this [rad/s]"),
        Declaration::double(
            "physics_rate",
            100.0,
            rate,
            "physics steps per second [Hz], raised to the next whole multiple of control_rate",
        ),
        Declaration::double("control_rate", 50.0, rate, "control steps, and sensor messages, per second [Hz]"),
        Declaration::double(
            "velocity_limit",
            0.0,
            (0.0, 1000.0),
            "joint speed limit [rad/s] instead of the robot's; 0: the robot's own",
        ),
        Declaration::bool("suspended", false, "hold the base so that no foot reaches the ground"),
        Declaration::double(
            "actuator_delay",
            0.0,
            (0.0, 1.0),
            "time from a command to the motors' answer [s], in whole physics steps",
        ),
        Declaration::string("terrain", "", "the ground (YAML, as in an experiment file); empty: flat"),
        Declaration::string("damage", "", "what is wrong with the robot (YAML list, as in an experiment file); empty: nothing"),
        Declaration::bool("publish_clock", true, "publish the simulated time on /clock; of several simulators only one may"),
        Declaration::bool("ground_markers", false, "publish the ground around the robot as markers on ~/ground"),
    ]
}

/// Makes the simulator node's parts in `shell`.
///
/// # Errors
/// [`NodeError`] names the parameter, file or robot that is not usable.
pub fn build(shell: &mut Shell) -> Result<(), NodeError> {
    let parameters = shell.parameters(declarations(), |_, _, _| ())?;
    let parameters = parameters.read();
    let robot = Arc::new(load_robot(&parameters)?);
    robot_warnings(&robot.name, &robot.warnings);
    let given = SimulationSettings {
        physics_rate: parameters.double("physics_rate") as f32,
        control_rate: parameters.double("control_rate") as f32,
        mount: if parameters.bool("suspended") { Mount::Suspended } else { Mount::Free },
        actuator_delay: parameters.double("actuator_delay") as f32,
        terrain: described(&parameters, "terrain")?,
    };
    let settings = given.with_fitting_physics_rate();
    if settings != given {
        let SimulationSettings { physics_rate, control_rate, .. } = settings;
        tracing::info!(
            "physics at {physics_rate} Hz: `physics_rate` is {}, no whole multiple of {control_rate} Hz",
            given.physics_rate
        );
    }
    let damage: Vec<Damage> = described(&parameters, "damage")?;
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
    let mut start = World::new(robot.clone(), settings)?;
    start.set_damage(&damage)?;
    let sensors = SensorPublishers::new(shell, &robot, parameters.bool("publish_clock"), parameters.bool("ground_markers"))?;
    let description = shell.publisher("robot_description", qos::latched())?;
    let urdf = r2r::std_msgs::msg::String { data: robot.urdf.clone() };
    description
        .publish(&urdf)
        .map_err(|source| NodeError::Ros { what: "cannot publish robot_description".to_owned(), source })?;

    let joints: Vec<String> = robot.joint_names().map(str::to_owned).collect();
    // `joint_states` hold others too, which neither commands nor damage can name.
    let motors = shell.publisher("~/motors", qos::latched())?;
    motors
        .publish(&JointState { name: joints.clone(), ..JointState::default() })
        .map_err(|source| NodeError::Ros { what: "cannot publish ~/motors".to_owned(), source })?;
    let epoch = Epoch::default();
    let collector = Collector::new(&joints, &epoch);
    let (commands_in, commands) = triple_buffer::TripleBuffer::new(collector.command()).split();
    let (requests_in, requests) = channel();
    let rejected = RejectionCount::default();
    let simulation = Simulation {
        world: start.start_of_episode(seed, noise),
        start,
        damage,
        noise,
        seed,
        mode,
        wait_for_command: parameters.bool("wait_for_command"),
        watchdog: CommandWatchdog::new(Duration::from_secs_f64(parameters.double("command_timeout"))),
        period: Duration::from_nanos((1e9 / f64::from(settings.control_rate)).round() as u64),
        commands: Commands::new(commands, epoch),
        requests,
        sensors,
        rejected: rejected.clone(),
    };
    tracing::info!("robot `{}`, {} mode, seed {seed}", robot.name, mode.name());
    let stop = shell.stop().clone();
    let thread = shell.thread("simulation", move || simulation.run(&stop))?;
    subscribe_commands(shell, collector, commands_in, thread, &rejected)?;
    serve(shell, requests_in, &joints)
}

/// The value of a parameter that holds a description.
fn described<T: DeserializeOwned + Default>(parameters: &Parameters, name: &str) -> Result<T, NodeError> {
    parse_description(parameters.string(name)).map_err(|reason| {
        let (given, name) = (parameters.string(name).to_owned(), name.to_owned());
        NodeError::Parameter(ParameterError::Value { name, given, expected: format!("a description ({reason})") })
    })
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
    mut collector: Collector,
    mut commands: triple_buffer::Input<Command>,
    simulation: std::thread::Thread,
    rejected: &RejectionCount,
) -> Result<(), NodeError> {
    let mut rejections = Rejections::new("joint_commands", rejected);
    shell.subscribe("joint_commands", qos::command(), move |message: JointState| match collector.take(&message) {
        Ok(command) => {
            commands.input_buffer_mut().clone_from(command);
            commands.publish();
            simulation.unpark();
        }
        Err(error) => rejections.note(&error),
    })
}
