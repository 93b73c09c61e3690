//! Putting the policy node together, and its lifecycle.

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use r2r::hebbian_locomotion::msg::WeightsLayout;
use r2r::{ParameterValue, Publisher};

use super::commanding::{CommandLine, Commanding};
use super::commands::{CommandMap, CommandPublisher};
use super::control::Control;
use super::declarations::declarations;
use super::diagnostics::{THRESHOLDS, Thresholds};
use super::keeping::{Keeping, KeptAt};
use super::pace::Pace;
use super::requests::{ControlHandle, MOMENT, Request, Unanswered};
use super::sensors::{Sensing, SharedSensing};
use super::session::{Known, Life, Session, Trigger};
use super::sources::{MayShare, SourceWarnings, Sources};
use super::telemetry::{About, Publishing, Subject, Telemetry, layout};
use super::{Outlets, Publishers, sensors, services};
use crate::plasticity::{Gate, GateSource};
use crate::robot::{ContactDescription, DriverDescription, RobotState, SensorFrame};
use crate::ros::clock::steady_now;
use crate::ros::convert::ImuMounting;
use crate::ros::lifecycle::Managed;
use crate::ros::logging::robot_warnings;
use crate::ros::node::{NodeError, Shell};
use crate::ros::parameters::{ParameterError, SharedParameters};
use crate::ros::qos;
use crate::ros::realtime::Realtime;
use crate::ros::rejection::{RejectionCount, Rejections};
use crate::ros::sensor_reader::{OrderRules, SensorReader};
use crate::ros::text::without_nul;
use crate::safety::{MessageFaults, Reaction, SafetyDescription, needed_sensors};

/// Steps that a recorder which comes late still gets: 20 s at 50 Hz, about half a megabyte.
const LATCHED_STEPS: usize = 1000;
/// The same for what is larger: 4 s at 50 Hz, in which a recorder finds the node or may be held up. Of the shipped policy's weights these are
/// 3.5 MB.
const LATCHED: usize = 200;
/// Longest time that a transition waits for the control thread.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the spin thread keeps of a policy node; shared by lifecycle and services.
pub struct PolicyNode {
    /// The control thread.
    pub control: ControlHandle,
    /// The parameters.
    pub parameters: SharedParameters,
    /// The policy, while the node is configured.
    pub known: RefCell<Option<Known>>,
    /// Where weights are kept.
    pub keeping: Keeping,
    /// Where those of the policy that the node was configured with are.
    kept: RefCell<Option<KeptAt>>,
    driver: DriverDescription,
    sensing: SharedSensing,
    sources: Rc<RefCell<Sources>>,
    lines: Sender<CommandLine>,
    subjects: Sender<Subject>,
    publishers: Publishers,
    layouts: Publisher<WeightsLayout>,
    /// How often the node was configured or cleaned up.
    configurations: Cell<u64>,
}

/// Makes the policy node's parts in `shell`.
///
/// # Errors
/// [`NodeError`] names the parameter, file or robot that is not usable.
pub fn build(shell: &mut Shell) -> Result<(), NodeError> {
    let ((control, requests), thresholds) = (ControlHandle::new(), Thresholds::default());
    let may_share = MayShare::default();
    let parameters = {
        let (control, thresholds, may_share) = (control.clone(), thresholds.clone(), may_share.clone());
        shell.parameters(declarations(), move |name, value, is_changed| {
            apply(&control, &thresholds, &may_share, name, value, is_changed);
        })?
    };
    let (driver, realtime, autostart, keep_every) = {
        let parameters = parameters.read();
        for name in THRESHOLDS.into_iter().chain(["weights_every", "emergency_stop", "shared_commands"]) {
            if let Some(value) = parameters.value(name) {
                apply(&control, &thresholds, &may_share, name, value, false);
            }
        }
        let file = parameters.string("driver");
        let driver = if file.is_empty() { DriverDescription::default() } else { DriverDescription::load(Path::new(file))? };
        let processors =
            Realtime::processors(parameters.string("realtime.processors")).map_err(|part| ParameterError::Value {
                name: "realtime.processors".to_owned(),
                given: format!("`{part}`"),
                expected: "numbers of processors, such as `2,3`".to_owned(),
            })?;
        let realtime = Realtime {
            priority: parameters.integer("realtime.priority") as u8,
            lock_memory: parameters.bool("realtime.lock_memory"),
            processors,
        };
        let keep_every = Duration::from_secs_f64(parameters.double("keep_weights_every"));
        (driver, realtime, parameters.bool("autostart"), keep_every)
    };

    let (rejected, warnings) = (RejectionCount::default(), SourceWarnings::default());
    let sources = watch_sources(shell, &driver, may_share, &warnings)?;
    let telemetry = Telemetry {
        steps: shell.publisher("~/steps", qos::history(LATCHED_STEPS))?,
        plasticity: shell.publisher("~/plasticity", qos::history(LATCHED))?,
        weights: shell.publisher("~/weights", qos::history(LATCHED))?,
        safety: shell.publisher("~/safety", qos::latched())?,
        timing: shell.publisher("~/timing", qos::telemetry())?,
        diagnostics: shell.publisher("/diagnostics", qos::diagnostics())?,
        node: shell.full_name()?,
        thresholds,
        sources: warnings,
        rejected: rejected.clone(),
        refused: Rejections::new("sensor values", &rejected),
    };
    let layouts = shell.publisher("~/weights_layout", qos::latched())?;
    let (lines, received_lines) = channel();
    let commanding = Commanding::new(CommandPublisher::new(shell, &driver)?, control.clone());
    let (stop, above_control) = (shell.stop().clone(), realtime.above());
    let commands = shell.thread("command", move || commanding.run(&received_lines, &above_control, &stop))?;
    let (subjects, received_subjects) = channel();
    let stop = shell.stop().clone();
    let reports = shell.thread("publish", move || Publishing::new(telemetry).run(&received_subjects, &stop))?;
    let publishers = Publishers { commands, reports };

    let (stop, handle, keeping) = (shell.stop().clone(), control.clone(), Keeping::default());
    let kept = keeping.clone();
    let thread = shell.thread("control", move || {
        // What remains of a walk is kept when there is no more step that could be late.
        let mut control = Control::new(handle, requests);
        if let Some(session) = control.run(&realtime, &stop) {
            kept.keep(&session.life.policy);
        }
        control.close();
    })?;
    control.set_thread(thread);

    let sensing = SharedSensing::default();
    sensors::subscribe(shell, &driver, &sensing, &control, &rejected)?;
    let (known, kept, configurations) = (RefCell::new(None), RefCell::new(None), Cell::new(0));
    let node = Rc::new(PolicyNode {
        control,
        parameters,
        known,
        keeping,
        kept,
        driver,
        sensing,
        sources,
        lines,
        subjects,
        publishers,
        layouts,
        configurations,
    });
    services::serve(shell, &node, &rejected)?;
    services::keep_regularly(shell, &node, keep_every)?;
    shell.manage(Lifecycle(node), autostart)
}

/// Looks from now on who else publishes commands, and who publishes sensor values.
fn watch_sources(
    shell: &mut Shell,
    driver: &DriverDescription,
    may_share: MayShare,
    warnings: &SourceWarnings,
) -> Result<Rc<RefCell<Sources>>, NodeError> {
    let commands = shell.topic_name(&driver.command.topic)?;
    let sensors = [shell.topic_name(&driver.joint_states)?, shell.topic_name(&driver.imu.topic)?];
    let sources = Sources::new(shell.full_name()?, commands, sensors, may_share, warnings.clone());
    let sources = Rc::new(RefCell::new(sources));
    let looking = sources.clone();
    shell.watch(move |node| {
        looking.borrow_mut().look(node);
        Vec::new()
    });
    Ok(sources)
}

/// A parameter's present value takes effect. A stop does whenever it is set, a release only when it ends the parameter's own stop: else
/// loading a file of defaults would release a robot.
fn apply(
    control: &ControlHandle,
    thresholds: &Thresholds,
    may_share: &Cell<bool>,
    name: &str,
    value: &ParameterValue,
    is_changed: bool,
) {
    match (name, value) {
        ("gate", ParameterValue::Double(value)) => {
            // The parameter's range is the gate's, and one value fits any network. An unconfigured node reads it later.
            if let Ok(gate) = Gate::new(*value as f32, GateSource::Parameter) {
                let _ = control.request_gate(gate);
            }
        }
        ("weights_every", ParameterValue::Integer(value)) => control.weights_every.store(*value as u32, Ordering::Relaxed),
        ("emergency_stop", ParameterValue::Bool(true)) => control.stop_by_parameter(),
        ("emergency_stop", ParameterValue::Bool(false)) if is_changed => control.release_by_parameter(),
        // Who else publishes is looked at by and by.
        ("shared_commands", ParameterValue::Bool(value)) => may_share.set(*value),
        (name, ParameterValue::Double(value)) => thresholds.set(name, *value),
        _ => {}
    }
}

impl PolicyNode {
    /// Gives what comes out of a policy to the threads that publish it. Before its first step: else its commands would wait for this.
    ///
    /// # Errors
    /// [`NodeError`] when the driver does not fit.
    pub fn connect(&self, known: &Known, outlets: Outlets) -> Result<(), NodeError> {
        let robot = &known.metadata.robot;
        let period = 1.0 / known.metadata.control_rate;
        let names: Vec<&str> = robot.joint_names().collect();
        let map = CommandMap::new(&self.driver, &names, (f64::from(period) * 1e9) as i64)?;
        let joints = names.into_iter().map(str::to_owned).collect();
        // The receivers live as long as the node, and look before they publish.
        let (about, overtaken) = (About { robot: robot.name.clone(), joints, period }, outlets.commands.overtaken());
        let _ = self.lines.send(CommandLine { commands: outlets.commands, map });
        let _ = self.subjects.send(Subject { reports: outlets.reports, about, overtaken });
        Ok(())
    }

    /// Tells everyone of the policy that now runs.
    ///
    /// # Errors
    /// [`NodeError`] when ROS refuses.
    fn announce(&self, known: &Known) -> Result<(), NodeError> {
        let message = without_nul(layout(&known.metadata, &known.hash));
        let cannot = |source| NodeError::Ros { what: "cannot publish ~/weights_layout".to_owned(), source };
        self.layouts.publish(&message).map_err(cannot)?;
        tracing::info!(
            "policy `{}` for the robot `{}` at {} Hz, sha256 {:.12}…",
            known.metadata.name,
            known.metadata.robot.name,
            known.metadata.control_rate,
            known.hash
        );
        Ok(())
    }

    /// Changes whenever the node is configured or cleaned up.
    pub fn configuration(&self) -> u64 {
        self.configurations.get()
    }

    /// Whether the robot's last joint state lacked the speed of a joint.
    pub fn lacks_velocity(&self) -> bool {
        self.sensing.borrow().as_ref().is_some_and(|sensing| sensing.reader.lacks_velocity())
    }

    /// Whether the robot tells of its joints, but not of its feet.
    pub fn lacks_contacts(&self) -> bool {
        sensors::lacks_contacts(self.control.received(), steady_now())
    }

    /// What reads another policy, on any thread.
    pub fn loader(&self) -> Loader {
        Loader { parameters: self.parameters.clone(), publishers: self.publishers.clone() }
    }

    /// Whether weights of `policy` are kept, where any are: at the next start the node begins with the policy of its parameters, and weights of
    /// another would be refused.
    pub fn keeps(&self, policy: &Known) -> bool {
        self.kept.borrow().as_ref().is_none_or(|place| place.hash == policy.hash)
    }

    /// `new` now runs in place of the policy before.
    ///
    /// # Errors
    /// [`NodeError`] when ROS refuses.
    pub fn take_over(&self, new: Known) -> Result<(), NodeError> {
        if let Some(sensing) = self.sensing.borrow_mut().as_mut() {
            sensing.reader.set_needs_velocity(new.metadata.observation.needs_velocity());
            sensing.reader.set_needed(needed_sensors(new.metadata.needs_contacts()));
        }
        self.control.set_layers(new.metadata.gate_dimensions().layers);
        self.keeping.set(self.kept.borrow().clone().filter(|_| self.keeps(&new)));
        self.announce(&new)?;
        *self.known.borrow_mut() = Some(new);
        Ok(())
    }

    fn configure(&self) -> Result<(), NodeError> {
        let parameters = self.parameters.read();
        let policy = Path::new(parameters.required("policy")?);
        let seed = parameters.integer("seed") as u64;
        let (mut life, outlets, mut known) = Life::load(policy, seed, &parameters, &self.publishers)?;
        robot_warnings(&known.metadata.robot.name, &known.warnings);
        let trigger = if parameters.string("trigger") == "timer" { Trigger::Timer } else { Trigger::Sensors };
        let by_foot = matches!(self.driver.contacts, ContactDescription::Bool { .. } | ContactDescription::Wrench { .. });
        if by_foot && trigger == Trigger::Sensors {
            return Err(NodeError::Contradiction(
                "contacts that come foot by foot never carry one stamp: set the parameter trigger to `timer`".to_owned(),
            ));
        }
        if let Some(warning) = trigger.warning(parameters.bool("use_sim_time")) {
            tracing::warn!("{warning}");
        }
        let kept = parameters.string("keep_weights");
        let kept = (!kept.is_empty()).then(|| KeptAt::new(kept.into(), &known));
        if let Some(place) = kept.as_ref().filter(|place| holds_something(&place.path)) {
            known.template.read(&place.path, &known.hash)?;
            // It was made of this policy.
            let _ = life.policy.restore_network(&known.template);
            tracing::info!("weights of control step {} from {}", known.template.steps(), place.path.display());
        }
        let safety: SafetyDescription = parameters.section("safety")?;
        let kept = kept.map(|place| place.within(&safety));
        let is_unlimited = safety.velocity_limit == 0.0 && parameters.string("robot").is_empty();
        if is_unlimited && safety.reactions.velocity != Reaction::Off {
            tracing::warn!(
                "nothing limits the speed of commands: set `safety.velocity_limit`, or name the robot's description in `robot`"
            );
        }
        let order = order_rules(&safety, trigger, parameters.bool("use_sim_time"));
        let robot = &known.metadata.robot;
        let (joints, feet): (Vec<&str>, Vec<&str>) =
            (robot.joint_names().collect(), robot.feet.iter().map(String::as_str).collect());
        let needs_velocity = known.metadata.observation.needs_velocity();
        let model = sensors::robot_model(parameters.string("robot"))?;
        // Without a description the IMU is taken to be mounted as the base lies.
        let mounting = model.as_ref().map(|model| ImuMounting::new(&model.imu)).unwrap_or_default();
        let mut reader = SensorReader::new(&self.driver, &joints, &feet, needs_velocity, order, mounting)?;
        reader.set_needed(needed_sensors(known.metadata.needs_contacts()));
        if let Some(model) = &model {
            self.driver.check_units(model)?;
            reader.set_imu_link(&model.imu_link);
        }
        let empty = SensorFrame { stamp: 0, state: RobotState::at_rest(joints.len(), feet.len()), oldest_received: 0 };
        let (frames, received_frames) = triple_buffer::TripleBuffer::new(&empty).split();
        let timeout = life.supervisor.sensor_timeout();
        let session = Session::new(life, received_frames, trigger, known.metadata.control_rate);
        let pace = (trigger == Trigger::Sensors).then(|| Pace::new(session.period));
        drop(parameters);

        self.connect(&known, outlets)?;
        self.announce(&known)?;
        self.control.forget_sensors();
        self.control.set_faults(MessageFaults::default());
        let starts = self.control.starts();
        let (faults, watches) = Default::default();
        *self.sensing.borrow_mut() = Some(Sensing { reader, frames, pace, timeout, faults, starts, watches });
        self.control.set_layers(known.metadata.gate_dimensions().layers);
        self.keeping.set(kept.clone());
        *self.kept.borrow_mut() = kept;
        *self.known.borrow_mut() = Some(known);
        self.parameters.read().set_configured(true);
        self.configurations.set(self.configurations.get() + 1);
        if self.control.send(Request::Configure(Box::new(session))) {
            Ok(())
        } else {
            self.forget();
            Err(Unanswered::Busy.into())
        }
    }

    fn forget(&self) {
        self.configurations.set(self.configurations.get() + 1);
        *self.sensing.borrow_mut() = None;
        self.control.set_layers(0);
        *self.known.borrow_mut() = None;
        self.keeping.set(None);
        *self.kept.borrow_mut() = None;
        self.parameters.read().set_configured(false);
    }
}

/// How the order of sensor messages is judged, where `is_simulated` says whether time is that of the topic `/clock`.
fn order_rules(safety: &SafetyDescription, trigger: Trigger, is_simulated: bool) -> OrderRules {
    OrderRules {
        clock_jump: (f64::from(safety.clock_jump) * 1e9) as i64,
        drops_reordered: safety.reactions.reordered != Reaction::Off,
        needs_stamps: trigger == Trigger::Sensors,
        // Simulated time may run at any pace, and stand still.
        counts_lag: safety.counts_lag && trigger == Trigger::Timer && !is_simulated,
    }
}

/// Whether there is anything at `path`: an empty file is one that is still to be written.
fn holds_something(path: &Path) -> bool {
    match std::fs::metadata(path) {
        Ok(metadata) => metadata.len() > 0 || !metadata.is_file(),
        Err(error) => error.kind() != std::io::ErrorKind::NotFound,
    }
}

/// Reads a policy for the robot that the node drives.
pub struct Loader {
    parameters: SharedParameters,
    publishers: Publishers,
}

impl Loader {
    /// Reads the policy at `path` and begins its life with weights of `seed`.
    ///
    /// # Errors
    /// [`NodeError`] when it is not usable.
    pub fn load(&self, path: &Path, seed: u64) -> Result<(Life, Outlets, Known), NodeError> {
        // A copy, so that a slow disk holds up no parameter service.
        let parameters = self.parameters.read().clone();
        Life::load(path, seed, &parameters, &self.publishers)
    }
}

/// The policy node as a managed one.
struct Lifecycle(Rc<PolicyNode>);

impl Managed for Lifecycle {
    fn configure(&mut self) -> Result<(), NodeError> {
        self.0.configure()
    }

    fn activate(&mut self) -> Result<(), NodeError> {
        let mut sources = self.0.sources.borrow_mut();
        sources.check()?;
        self.0.control.insist(Request::Activate, PATIENCE)?;
        sources.begin();
        Ok(())
    }

    fn deactivate(&mut self) -> Result<(), NodeError> {
        if !self.0.control.is_closed() {
            self.0.control.insist(Request::Deactivate, PATIENCE)?;
            // No command after the transition: older ones are fenced off, and one that is on its way is waited for.
            let begin = Instant::now();
            while self.0.control.is_publishing() && begin.elapsed() < PATIENCE {
                std::thread::sleep(MOMENT);
            }
        }
        self.0.sources.borrow_mut().end();
        Ok(())
    }

    fn cleanup(&mut self) -> Result<(), NodeError> {
        // A thread that has ended has kept its weights itself.
        if !self.0.control.is_closed()
            && let Some(session) = self.0.control.insist(Request::CleanUp, PATIENCE)?
        {
            self.0.keeping.keep(&session.life.policy);
        }
        self.0.forget();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ros::convert::joint_state;

    #[test]
    fn a_clock_that_loses_2_ms_in_a_second_makes_no_value_old_where_lags_do_not_count() {
        let largest = |counts_lag: bool, trigger: Trigger, is_simulated: bool| {
            let safety = SafetyDescription { counts_lag, ..SafetyDescription::default() };
            let order = order_rules(&safety, trigger, is_simulated);
            let (driver, mounting, state) = (DriverDescription::default(), ImuMounting::default(), RobotState::at_rest(1, 1));
            let mut reader = SensorReader::new(&driver, &["hip"], &["toe"], false, order, mounting).unwrap();
            let mut lag = |step: i64| {
                // Some time of day.
                let stamp = 1_750_000_000_000_000_000 + step * 19_960_000;
                reader.joint_state(&joint_state(stamp, &["hip".to_owned()], &state), step * 20_000_000).unwrap();
                reader.lag(0)
            };
            (0..5_000).map(&mut lag).max()
        };
        assert_eq!(largest(false, Trigger::Timer, false), Some(0));
        assert!(largest(true, Trigger::Timer, false) > Some(90_000_000));
        assert_eq!(largest(true, Trigger::Timer, true), Some(0), "simulated time");
        assert_eq!(largest(true, Trigger::Sensors, false), Some(0), "sets of one stamp");
    }
}
