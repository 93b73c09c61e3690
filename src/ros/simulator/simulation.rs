//! The simulation thread: publish the sensors, wait for the command or for time to pass, step.

use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use futures::channel::oneshot;
use r2r::hebbian_locomotion::msg::SimulatorStatus;

use super::pace::{Mode, Pace};
use super::sensors::SensorPublishers;
use crate::robot::Stamp;
use crate::ros::rejection::RejectionCount;
use crate::ros::stop::Stop;
use crate::simulation::{StartNoise, World};

/// Longest time that the thread sleeps without looking for requests and stops.
const REQUEST_LATENCY: Duration = Duration::from_millis(10);
/// While a command is awaited the sensor values are sent again this often: one of them, or the command, may have got lost.
const REPEAT: Duration = Duration::from_millis(100);
/// A command that is awaited for this long is worth a message in the log.
const SILENCE: Duration = Duration::from_secs(5);

/// The latest command.
#[derive(Clone, Debug)]
pub struct Command {
    /// Stamp of the sensor values that it answers.
    pub stamp: Stamp,
    /// Joint targets \[rad\]; NaN for joints that no command named yet.
    pub targets: Vec<f32>,
    /// Number of the command, from 1.
    pub number: u64,
}

/// What services ask of the simulation. Each is answered when it took effect.
pub enum Request {
    /// Back to the start of the episode of this seed; `None`: of the present one. Answered with the seed.
    Reset(Option<u64>, oneshot::Sender<u64>),
    /// Whether simulated time stands still.
    Pause(bool, oneshot::Sender<()>),
}

/// A simulated robot and the topics around it.
pub struct Simulation {
    /// The world, at the start of the first episode.
    pub world: World,
    /// A world that was never stepped.
    pub start: World,
    /// Spread of start poses.
    pub noise: StartNoise,
    /// Seed of the present episode.
    pub seed: u64,
    /// How time passes.
    pub mode: Mode,
    /// Whether the first step waits for the first command.
    pub wait_for_command: bool,
    /// Control period.
    pub period: Duration,
    /// Commands.
    pub commands: triple_buffer::Output<Command>,
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
    /// Number of the last command that was applied.
    applied: u64,
    control_steps: u64,
    unanswered: u64,
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
            applied: 0,
            control_steps: 0,
            unanswered: 0,
        };
        self.sensors.publish(run.stamp, &self.world);
        while !stop.is_requested() {
            let awaits = self.mode == Mode::Lockstep || (self.wait_for_command && run.applied == 0);
            if awaits {
                self.await_command(&mut run);
            } else {
                self.await_time(&mut run);
            }
            if stop.is_requested() {
                break;
            }
            let command = self.commands.output_buffer();
            run.unanswered += u64::from(command.number == run.applied);
            run.applied = command.number;
            self.world.set_targets(&command.targets);
            self.world.control_step();
            run.control_steps += 1;
            run.stamp += period;
            self.sensors.publish(run.stamp, &self.world);
            let factor = run.pace.note_step(Instant::now());
            self.publish_status(&run, factor);
        }
    }

    /// Waits for the command that answers the present sensor values, and sends these again now and then.
    fn await_command(&mut self, run: &mut Running<'_>) {
        let begin = Instant::now();
        let (mut sent, mut said) = (begin, false);
        while !run.stop.is_requested() {
            self.commands.update();
            let command = self.commands.output_buffer();
            if command.number != run.applied && command.stamp == run.stamp && !run.paused {
                run.pace.restart(Instant::now());
                return;
            }
            let stamp = run.stamp;
            self.serve_requests(run);
            if run.stamp != stamp || sent.elapsed() >= REPEAT {
                self.sensors.publish(run.stamp, &self.world);
                sent = Instant::now();
            }
            if !said && !run.paused && begin.elapsed() >= SILENCE {
                tracing::warn!(
                    "no command on joint_commands answers the sensor values of {:.2} s; waiting for it",
                    run.stamp as f64 * 1e-9
                );
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
        loop {
            let stamp = run.stamp;
            self.serve_requests(run);
            if run.stamp != stamp {
                self.sensors.publish(run.stamp, &self.world);
            }
            let wait = deadline.saturating_duration_since(Instant::now());
            if run.stop.is_requested() || (wait.is_zero() && !run.paused) {
                break;
            }
            let latency = if run.paused { REQUEST_LATENCY } else { REQUEST_LATENCY.min(wait) };
            std::thread::park_timeout(latency);
            if run.paused {
                run.pace.restart(Instant::now());
            }
        }
        self.commands.update();
    }

    fn serve_requests(&mut self, run: &mut Running<'_>) {
        while let Ok(request) = self.requests.try_recv() {
            match request {
                Request::Reset(seed, answer) => {
                    self.seed = seed.unwrap_or(self.seed);
                    self.world = self.start.start_of_episode(self.seed, self.noise);
                    // New sensor values need a new stamp.
                    run.stamp += self.period.as_nanos() as i64;
                    self.commands.update();
                    run.applied = self.commands.output_buffer().number;
                    // Whoever asked may have gone.
                    let _ = answer.send(self.seed);
                }
                Request::Pause(paused, answer) => {
                    run.paused = paused;
                    let _ = answer.send(());
                }
            }
        }
    }

    fn publish_status(&self, run: &Running<'_>, real_time_factor: f64) {
        let status = SimulatorStatus {
            seed: self.seed,
            mode: self.mode.name().to_owned(),
            paused: run.paused,
            control_steps: run.control_steps,
            physics_steps: run.control_steps * u64::from(self.world.substeps()),
            unanswered_steps: run.unanswered,
            real_time_factor,
            rejected_messages: self.rejected.get(),
            ..SimulatorStatus::default()
        };
        self.sensors.publish_status(run.stamp, status);
    }
}
