//! The control thread: one policy step per control period, and nothing that could make it wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crossbeam_queue::ArrayQueue;

use crate::network::NetworkError;
use crate::plasticity::{CommandedGate, GateError, GateReason, LayerActivity};
use crate::policy::Policy;
use crate::robot::{SensorFrame, Stamp};
use crate::ros::outbox::Outbox;
use crate::ros::stop::Stop;

/// Longest time that the thread sleeps without looking for a stop request.
const STOP_LATENCY: Duration = Duration::from_millis(20);
/// Requests that can wait for the next step.
const REQUESTS: usize = 64;

/// What makes the policy step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// Each complete set of sensor values with one stamp: simulation.
    Sensors,
    /// The steady clock, with the latest values: a robot.
    Timer {
        /// Control period.
        period: Duration,
        /// Sensor values older than this give no command.
        timeout: Duration,
    },
}

/// Steady time since the program started \[ns\].
pub fn steady_now() -> i64 {
    static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    START.elapsed().as_nanos() as i64
}

/// The gate as other threads see it: requests for the control thread, and the value in force.
#[derive(Clone)]
pub struct GateControl {
    requests: Arc<ArrayQueue<CommandedGate>>,
    layers: usize,
    present: Arc<AtomicU32>,
}

impl GateControl {
    /// Open, for a network of `layers` layers.
    pub fn new(layers: usize) -> Self {
        Self { requests: Arc::new(ArrayQueue::new(REQUESTS)), layers, present: Arc::new(AtomicU32::new(1f32.to_bits())) }
    }

    /// Asks for `gate` from the next step on; the newest request wins.
    ///
    /// # Errors
    /// [`GateError::Layers`] when it names another number of layers.
    pub fn request(&self, gate: impl Into<CommandedGate>) -> Result<(), GateError> {
        let gate = gate.into();
        gate.check(self.layers)?;
        self.requests.force_push(gate);
        Ok(())
    }

    /// Lowest g of the last step.
    pub fn present(&self) -> f32 {
        f32::from_bits(self.present.load(Ordering::Relaxed))
    }
}

/// What one control step leaves for publishing. Reused: all vectors keep their lengths.
#[derive(Debug)]
pub struct StepReport {
    /// Of the sensor values.
    pub stamp: Stamp,
    /// Joint targets \[rad\].
    pub targets: Vec<f32>,
    /// What the step did to the weights; absent when the command of a step is sent again.
    pub plasticity: Option<PlasticityReport>,
    /// Layers, valid with `plasticity`.
    pub layers: Vec<LayerActivity>,
    /// Gate of each layer, valid with `plasticity`.
    pub gates: Vec<f32>,
    /// Whether `weights` are those of this step.
    pub has_weights: bool,
    /// All weights.
    pub weights: Vec<f32>,
    /// Why there was no step; nothing else in the report counts then.
    pub refused: Option<NetworkError>,
}

/// Numbers of one step.
#[derive(Clone, Copy, Debug)]
pub struct PlasticityReport {
    /// Control step of the episode, from 0.
    pub step: u64,
    /// Lowest g of all layers.
    pub gate: f32,
    /// What determines it.
    pub reason: GateReason,
    /// Duration of the step \[s\].
    pub compute_time: f32,
    /// Age of the oldest sensor value \[s\].
    pub sensor_age: f32,
    /// Steps missed since start.
    pub missed_steps: u64,
}

impl StepReport {
    /// An empty report for `policy`.
    pub fn new(policy: &Policy) -> Self {
        Self {
            stamp: 0,
            targets: policy.targets().to_vec(),
            plasticity: None,
            layers: policy.layers().to_vec(),
            gates: policy.gates().gates().to_vec(),
            has_weights: false,
            weights: policy.network().plastic().map_or_else(Vec::new, |network| network.weights()),
            refused: None,
        }
    }
}

/// The control thread's world.
pub struct Control {
    /// The policy, at the start of its episode.
    pub policy: Policy,
    /// Requests for the gate.
    pub gate_control: GateControl,
    /// Sensor values.
    pub frames: triple_buffer::Output<SensorFrame>,
    /// To the publishing thread.
    pub outbox: Outbox<StepReport>,
    /// What makes it step.
    pub trigger: Trigger,
    /// Control period \[ns\], by which missed steps are counted.
    pub period: i64,
    /// Every how many steps the weights are published; 0 for never.
    pub weights_every: Arc<AtomicU32>,
}

impl Control {
    /// Steps until a stop is requested.
    pub fn run(mut self, stop: &Stop) {
        match self.trigger {
            Trigger::Sensors => self.run_on_sensors(stop),
            Trigger::Timer { period, timeout } => self.run_on_timer(stop, period, timeout),
        }
    }

    fn run_on_sensors(&mut self, stop: &Stop) {
        let (mut last, mut missed, mut answered) = (None, 0, false);
        while !stop.is_requested() {
            if !self.frames.update() {
                // The spin thread wakes this one with every frame.
                std::thread::park_timeout(STOP_LATENCY);
                continue;
            }
            let stamp = self.frames.output_buffer().stamp;
            match last {
                // The simulator repeats its sensor values when the command got lost: send it again, without a step.
                Some(last) if stamp == last => {
                    if answered {
                        self.send_again(stamp);
                    }
                }
                _ => {
                    missed += last.map_or(0, |last| missed_between(last, stamp, self.period));
                    last = Some(stamp);
                    answered = self.step(missed);
                }
            }
        }
    }

    fn run_on_timer(&mut self, stop: &Stop, period: Duration, timeout: Duration) {
        let (mut missed, mut started) = (0, false);
        let mut deadline = Instant::now();
        while !stop.is_requested() {
            deadline += period;
            let now = Instant::now();
            if let Some(wait) = deadline.checked_duration_since(now) {
                std::thread::sleep(wait);
            } else {
                // Too late for this deadline: go on from now rather than catch up in a burst.
                missed += 1;
                deadline = now;
            }
            started |= self.frames.update();
            let age = steady_now() - self.frames.output_buffer().oldest_received;
            if !started {
                continue;
            }
            if age > timeout.as_nanos() as i64 {
                // No command: whoever drives the motors has a watchdog, and a policy must not walk on old sensor values.
                missed += 1;
                continue;
            }
            self.step(missed);
        }
    }

    /// One control step; false when the sensor values allow none.
    fn step(&mut self, missed_steps: u64) -> bool {
        while let Some(gate) = self.gate_control.requests.pop() {
            // Requests were checked when they came.
            let _ = self.policy.set_gate(gate);
        }
        let begin = steady_now();
        let frame = self.frames.output_buffer();
        if let Err(error) = self.policy.step(&frame.state) {
            // Messages with values that are not finite are refused on arrival; a scale that makes one infinite ends here. No command,
            // as for sensor values that are too old.
            self.outbox.send(|report| report.refused = Some(error));
            return false;
        }
        let gate = self.policy.gates().gates().iter().copied().fold(1.0, f32::min);
        let plasticity = PlasticityReport {
            step: self.policy.steps() - 1,
            gate,
            reason: self.policy.gates().reason(),
            compute_time: seconds(steady_now() - begin),
            sensor_age: seconds(begin - frame.oldest_received),
            missed_steps,
        };
        let weights_every = u64::from(self.weights_every.load(Ordering::Relaxed));
        let (policy, stamp) = (&self.policy, frame.stamp);
        self.outbox.send(|report| {
            report.refused = None;
            report.stamp = stamp;
            report.targets.copy_from_slice(policy.targets());
            report.plasticity = Some(plasticity);
            report.layers.copy_from_slice(policy.layers());
            report.gates.copy_from_slice(policy.gates().gates());
            report.has_weights = false;
            if let Some(network) = policy.network().plastic()
                && weights_every > 0
                && plasticity.step.is_multiple_of(weights_every)
            {
                network.copy_weights(&mut report.weights);
                report.has_weights = true;
            }
        });
        self.gate_control.present.store(gate.to_bits(), Ordering::Relaxed);
        true
    }

    fn send_again(&mut self, stamp: Stamp) {
        let policy = &self.policy;
        self.outbox.send(|report| {
            report.refused = None;
            report.stamp = stamp;
            report.targets.copy_from_slice(policy.targets());
            report.plasticity = None;
            report.has_weights = false;
        });
    }
}

fn seconds(nanoseconds: i64) -> f32 {
    (nanoseconds as f64 * 1e-9) as f32
}

/// Control steps left out between two stamps. A jump of more than a minute, or back, is a new beginning and counts as none.
fn missed_between(last: Stamp, stamp: Stamp, period: i64) -> u64 {
    const LONGEST_GAP: i64 = 60_000_000_000;
    let gap = stamp - last;
    if (1..LONGEST_GAP).contains(&gap) { ((gap + period / 2) / period - 1).max(0) as u64 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::missed_between;

    #[test]
    fn missed_steps_are_counted_by_the_gap_between_stamps() {
        let period = 20_000_000;
        let missed = |gap: f64| missed_between(0, (gap * period as f64) as i64, period);
        assert_eq!([missed(1.0), missed(1.3), missed(2.0), missed(5.0)], [0, 0, 1, 4]);
        assert_eq!([missed(0.2), missed(-3.0), missed(1e6)], [0, 0, 0]);
    }
}
