//! The simulation thread: publish the sensors, wait for the command or for time to pass, step.

use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use futures::channel::oneshot;
use r2r::hebbian_locomotion::msg::SimulatorStatus;

use super::commands::Commands;
use super::diagnostics::command_diagnostics;
use super::pace::{Mode, Pace};
use super::requests::{Action, Done, Request};
use super::sensors::SensorPublishers;
use crate::robot::Stamp;
use crate::ros::rejection::RejectionCount;
use crate::ros::stop::Stop;
use crate::simulation::{Alarm, CommandWatchdog, Damage, SimulationSettings, StartNoise, StartPose, Terrain, World};

/// Longest time that the thread sleeps without looking for requests and stops.
const REQUEST_LATENCY: Duration = Duration::from_millis(10);
/// While time stands still the sensor values are sent again this often: one of them, or the command, may have got lost, and who has only
/// just come knows none.
const REPEAT: Duration = Duration::from_millis(100);
/// A command that is awaited for this long is worth a message in the log.
const SILENCE: Duration = Duration::from_secs(5);
/// How often `/diagnostics` are published; a change goes out at once.
const DIAGNOSTICS: Duration = Duration::from_secs(1);
/// How often the status is published while no step does it; a change goes out at once.
const STATUS: Duration = Duration::from_secs(1);
/// Longest time that one request may step \[s\].
const LONGEST_STEPPING: f64 = 3600.0;

/// A simulated robot and the topics around it.
pub struct Simulation {
    /// The world, at the start of the first episode.
    pub world: World,
    /// A world that was never stepped.
    pub start: World,
    /// What is wrong with its robot.
    pub damage: Vec<Damage>,
    /// Spread of start poses.
    pub noise: StartNoise,
    /// Seed of the present episode.
    pub seed: u64,
    /// How time passes.
    pub mode: Mode,
    /// Whether the first step waits for the first command, whatever its stamp, if nobody asks for it during a pause; in lockstep each waits
    /// for its own.
    pub wait_for_command: bool,
    /// What notices that commands have stopped; lockstep waits for them instead.
    pub watchdog: CommandWatchdog,
    /// Control period.
    pub period: Duration,
    /// Commands: another epoch of them begins with each start and hold.
    pub commands: Commands,
    /// Requests of services.
    pub requests: Receiver<Request>,
    /// Publishers.
    pub sensors: SensorPublishers,
    /// Messages refused so far.
    pub rejected: RejectionCount,
}

/// Counters and flags of a running simulation.
struct Running<'a> {
    stop: &'a Stop,
    pace: Pace,
    stamp: Stamp,
    paused: bool,
    /// Control steps that are still to be done during a pause, and who asked for them.
    stepping: Option<(u32, oneshot::Sender<Result<Done, String>>)>,
    control_steps: u64,
    unanswered: u64,
    /// When the watchdog last looked, or a pause ended.
    looked: Instant,
    /// When `/diagnostics` were last published.
    diagnosed: Option<Instant>,
    /// When the status was last published; `None` when something has changed since.
    reported: Option<Instant>,
}

impl Running<'_> {
    /// Whether simulated time stands still.
    fn stands(&self) -> bool {
        self.paused && self.stepping.is_none()
    }
}

impl Simulation {
    /// Simulates until a stop is requested.
    pub fn run(mut self, stop: &Stop) {
        let period = self.period.as_nanos() as i64;
        let mut run = Running {
            stop,
            pace: Pace::new(self.period, Instant::now()),
            // Time begins after zero, which in ROS means "no time yet".
            stamp: period,
            paused: false,
            stepping: None,
            control_steps: 0,
            unanswered: 0,
            looked: Instant::now(),
            diagnosed: None,
            reported: None,
        };
        self.sensors.publish(run.stamp, &self.world);
        while !stop.is_requested() {
            let awaits_first = self.wait_for_command && !self.commands.has_begun() && run.stepping.is_none();
            if self.mode == Mode::Lockstep || awaits_first {
                self.await_command(&mut run);
            } else {
                self.await_time(&mut run);
            }
            if stop.is_requested() {
                break;
            }
            self.apply_command(&mut run);
            self.world.control_step();
            run.control_steps += 1;
            run.stamp += period;
            self.sensors.publish(run.stamp, &self.world);
            run.pace.note_step(Instant::now());
            self.publish_status(&mut run);
            self.note_stepped(&mut run);
        }
    }

    /// Hands the motors the newest command, if it is new, or lets them hold the robot's pose when there was none for too long.
    fn apply_command(&mut self, run: &mut Running<'_>) {
        let command = self.commands.take();
        let is_new = command.is_some();
        run.unanswered += u64::from(!is_new);
        if let Some(command) = command {
            // Otherwise those of before hold, or after a reset the start pose.
            self.world.set_targets(&command.targets);
        }
        let real = std::mem::replace(&mut run.looked, Instant::now());
        let alarm = self.watchdog.look(is_new, self.period, run.looked.duration_since(real));
        match alarm {
            Some(Alarm::Silent(time)) => {
                self.world.hold_joints();
                self.commands.begin_epoch();
                tracing::warn!("no command on joint_commands for {time:.2?}: the robot holds its pose until one comes");
            }
            Some(Alarm::Over(time)) => tracing::info!("commands on joint_commands again, after {time:.2?}"),
            None => {}
        }
        if alarm.is_some() || run.diagnosed.is_none_or(|published| published.elapsed() >= DIAGNOSTICS) {
            self.sensors.publish_diagnostics(|node| command_diagnostics(node, &self.world.robot().name, &self.watchdog));
            run.diagnosed = Some(run.looked);
        }
    }

    /// Waits for the command that answers the present sensor values (lockstep) or for the first one, and sends the values again now and then.
    fn await_command(&mut self, run: &mut Running<'_>) {
        let begin = Instant::now();
        let (mut sent, mut said, is_lockstep) = (begin, false, self.mode == Mode::Lockstep);
        while !run.stop.is_requested() {
            self.commands.update();
            let answers = self.commands.waiting().is_some_and(|command| !is_lockstep || command.stamp == run.stamp);
            // Steps that are asked for during a pause hold what there is; only lockstep lets them wait.
            let is_asked_for = !is_lockstep && run.stepping.is_some();
            if (answers && !run.stands()) || is_asked_for {
                run.pace.restart(Instant::now());
                return;
            }
            let stamp = run.stamp;
            self.serve_requests(run);
            if run.stamp != stamp || sent.elapsed() >= REPEAT {
                self.sensors.publish(run.stamp, &self.world);
                sent = Instant::now();
            }
            self.report(run);
            if !said && !run.stands() && begin.elapsed() >= SILENCE {
                if is_lockstep {
                    let time = run.stamp as f64 * 1e-9;
                    tracing::warn!("no command on joint_commands answers the sensor values of {time:.2} s; waiting for it");
                } else {
                    tracing::warn!("no command on joint_commands yet; waiting for the first one (`wait_for_command`)");
                }
                said = true;
            }
            std::thread::park_timeout(REQUEST_LATENCY);
        }
    }

    /// Waits until it is time for the next step; takes the newest command then.
    fn await_time(&mut self, run: &mut Running<'_>) {
        let deadline = match self.mode {
            Mode::RealTime { factor } => run.pace.deadline(Instant::now(), factor),
            Mode::FreeRunning | Mode::Lockstep => Instant::now(),
        };
        let mut sent = Instant::now();
        loop {
            let stamp = run.stamp;
            self.serve_requests(run);
            if run.stamp != stamp || (run.stands() && sent.elapsed() >= REPEAT) {
                self.sensors.publish(run.stamp, &self.world);
                sent = Instant::now();
            }
            self.report(run);
            let wait = deadline.saturating_duration_since(Instant::now());
            if run.stop.is_requested() || run.stepping.is_some() || (wait.is_zero() && !run.paused) {
                break;
            }
            let latency = if run.paused { REQUEST_LATENCY } else { REQUEST_LATENCY.min(wait) };
            std::thread::park_timeout(latency);
            if run.paused {
                run.looked = Instant::now();
                run.pace.restart(run.looked);
            }
        }
        self.commands.update();
    }

    fn serve_requests(&mut self, run: &mut Running<'_>) {
        while let Ok(Request { action, answer }) = self.requests.try_recv() {
            let outcome = match action {
                Action::Step(steps) => {
                    match self.check_stepping(run, steps) {
                        // Answered when they are done.
                        Ok(()) => run.stepping = Some((steps, answer)),
                        Err(reason) => _ = answer.send(Err(reason)),
                    }
                    continue;
                }
                Action::Reset(seed, pose) => self.reset(run, seed, &pose),
                Action::Pause(paused) => Ok(self.pause(run, paused)),
                Action::Terrain(terrain) => self.set_terrain(run, terrain),
                Action::Damage(damage) => self.set_damage(damage),
                Action::Push(push) => {
                    let pushed = self.world.push(&push);
                    pushed.map(|()| "pushed".to_owned()).map_err(|error| error.to_string())
                }
            };
            if outcome.is_ok() {
                run.reported = None;
            }
            // Whoever asked may have gone.
            let _ = answer.send(outcome.map(|message| self.done(run, message)));
        }
    }

    fn done(&self, run: &Running<'_>, message: String) -> Done {
        Done { message, seed: self.seed, control_steps: run.control_steps }
    }

    fn reset(&mut self, run: &mut Running<'_>, seed: Option<u64>, pose: &StartPose) -> Result<String, String> {
        for &(index, angle) in &pose.joints {
            let joint = &self.world.robot().joints[index];
            if !(joint.lower..=joint.upper).contains(&angle) {
                let (name, lower, upper, unit) = (&joint.name, joint.lower, joint.upper, joint.kind.unit());
                return Err(format!("the joint `{name}` at {angle} {unit}; it must be from {lower} to {upper} {unit}"));
            }
        }
        self.seed = seed.unwrap_or(self.seed);
        self.restart(run, pose);
        Ok(format!("at the start of the episode with seed {}", self.seed))
    }

    fn restart(&mut self, run: &mut Running<'_>, pose: &StartPose) {
        self.world = self.start.start_at(self.seed, self.noise, pose);
        self.sensors.ground_changed();
        // New sensor values need a new stamp.
        run.stamp += self.period.as_nanos() as i64;
        self.commands.restart();
        self.watchdog.restart();
    }

    fn pause(&mut self, run: &mut Running<'_>, paused: bool) -> String {
        run.paused = paused;
        if let Some((left, answer)) = run.stepping.take() {
            let _ = answer.send(Err(format!("`pause` was called with {left} steps still to do")));
        }
        if paused { "simulated time stands still" } else { "simulated time goes on" }.to_owned()
    }

    fn check_stepping(&self, run: &Running<'_>, steps: u32) -> Result<(), String> {
        let most = (LONGEST_STEPPING / self.period.as_secs_f64()) as u32;
        if !run.paused {
            return Err("the simulation is not paused; call `pause` first".to_owned());
        }
        if run.stepping.is_some() {
            return Err("another call of `step` is still under way".to_owned());
        }
        if steps == 0 || steps > most {
            return Err(format!("{steps} steps; it must be from 1 to {most}"));
        }
        Ok(())
    }

    /// Counts a step done during a pause.
    fn note_stepped(&self, run: &mut Running<'_>) {
        match run.stepping.take() {
            Some((1, answer)) => _ = answer.send(Ok(self.done(run, "stepped".to_owned()))),
            Some((left, answer)) => run.stepping = Some((left - 1, answer)),
            None => (),
        }
    }

    /// All of it or nothing: the new world is complete before the old one goes.
    fn set_terrain(&mut self, run: &mut Running<'_>, terrain: Terrain) -> Result<String, String> {
        let settings = SimulationSettings { terrain, ..*self.start.settings() };
        let mut start = World::new(self.start.robot().clone(), settings).map_err(|error| error.to_string())?;
        start.set_damage(&self.damage).map_err(|error| error.to_string())?;
        self.start = start;
        self.restart(run, &StartPose::default());
        Ok(format!("another ground, at the start of the episode with seed {}", self.seed))
    }

    fn set_damage(&mut self, damage: Vec<Damage>) -> Result<String, String> {
        // Both have the same robot: if one takes it, so does the other.
        self.start.set_damage(&damage).map_err(|error| error.to_string())?;
        self.world.set_damage(&damage).map_err(|error| error.to_string())?;
        let message = if damage.is_empty() { "healthy".to_owned() } else { format!("{} damages", damage.len()) };
        self.damage = damage;
        Ok(message)
    }

    /// Publishes the status between steps: when something has changed, and now and then.
    fn report(&self, run: &mut Running<'_>) {
        if run.reported.is_none_or(|published| published.elapsed() >= STATUS) {
            self.publish_status(run);
        }
    }

    fn publish_status(&self, run: &mut Running<'_>) {
        let status = SimulatorStatus {
            seed: self.seed,
            mode: self.mode.name().to_owned(),
            paused: run.paused,
            control_steps: run.control_steps,
            physics_steps: run.control_steps * u64::from(self.world.substeps()),
            unanswered_steps: run.unanswered,
            real_time_factor: run.pace.factor(),
            rejected_messages: self.rejected.get(),
            work: self.world.energy().work,
            torque_squared: self.world.energy().torque_squared,
            ..SimulatorStatus::default()
        };
        self.sensors.publish_status(run.stamp, status);
        run.reported = Some(Instant::now());
    }
}
