//! Sends sensor values to several nodes in turns and notes when their commands come.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::executor::LocalPool;
use futures::task::LocalSpawnExt;
use hebbian_locomotion::ros::convert;
use r2r::hebbian_locomotion::msg::LoopTiming;
use r2r::sensor_msgs::msg::JointState;
use r2r::{Context, Node, QosProfile};
use serde_json::{Value, json};

use crate::robot::Sensors;
use crate::{Result, spread};

/// One node's turn \[s\].
const TURN: f64 = 5.0;
/// Sets at the beginning of a turn that do not count: caches and the processor's clock are cold.
const COLD: usize = 25;
/// Sets until a node answers the first time, and time for it \[s\].
const DISCOVERY: f64 = 30.0;
/// Longer than the span of a node's timing statistics.
const SPAN: Duration = Duration::from_millis(1500);

/// What is known of one node, shared by the thread that sends and the one that receives.
struct Answers {
    /// When each set was sent and answered \[ns\]; 0: not (yet).
    sent: Vec<AtomicI64>,
    answered: Vec<AtomicI64>,
    /// Control steps that the node itself counts as missed.
    missed: AtomicU64,
}

/// A node and its sensors.
struct Target {
    name: String,
    sensors: Sensors,
    answers: Arc<Answers>,
    /// Sets sent so far.
    sets: usize,
    /// Those that count.
    counted: Vec<usize>,
    missed_before: u64,
}

/// Measures `nodes` for `seconds` each, `rate` sets of sensor values a second.
pub fn run(nodes: &[String], rate: f64, seconds: f64) -> Result<Value> {
    let mut node = Node::create(Context::create()?, "probe", "")?;
    let mut pool = LocalPool::new();
    let turns = (seconds / TURN).ceil().max(1.0) as usize;
    let per_turn = (seconds / turns as f64 * rate).ceil() as usize + COLD;
    let capacity = turns * per_turn + (DISCOVERY * rate) as usize + 1;
    let period = (1e9 / rate) as i64;
    let mut targets = Vec::new();
    for name in nodes {
        let zeros = || (0..capacity).map(|_| AtomicI64::new(0)).collect();
        let answers = Arc::new(Answers { sent: zeros(), answered: zeros(), missed: AtomicU64::new(0) });
        let commands = node.subscribe::<JointState>(&format!("/{name}/joint_commands"), QosProfile::default().keep_last(10))?;
        let noted = answers.clone();
        pool.spawner().spawn_local(commands.for_each(move |message| {
            let now = now();
            let set = convert::stamp(&message.header.stamp).map_or(0, |stamp| stamp / period) as usize;
            if let Some(answered) = noted.answered.get(set) {
                // A repeated command does not count.
                let _ = answered.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
            }
            std::future::ready(())
        }))?;
        let timing = node.subscribe::<LoopTiming>(&format!("/{name}/policy/timing"), QosProfile::default())?;
        let noted = answers.clone();
        pool.spawner().spawn_local(timing.for_each(move |message| {
            noted.missed.store(message.missed_steps, Ordering::Relaxed);
            std::future::ready(())
        }))?;
        let sensors = Sensors::new(&mut node, name)?;
        targets.push(Target { name: name.clone(), sensors, answers, sets: 0, counted: Vec::new(), missed_before: 0 });
    }
    let is_over = Arc::new(AtomicBool::new(false));
    let over = is_over.clone();
    let sender = std::thread::spawn(move || {
        let sent = send(&mut targets, turns, per_turn, period).map_err(|error| error.to_string());
        over.store(true, Ordering::Relaxed);
        sent.map(|()| targets)
    });
    while !is_over.load(Ordering::Relaxed) {
        node.spin_once(Duration::from_millis(50));
        pool.run_until_stalled();
    }
    let targets = sender.join().map_err(|_| "the sending thread panicked")??;
    Ok(targets.into_iter().map(|target| (target.name.clone(), target.figures(period))).collect())
}

/// The whole measurement, on its own thread: a late receiver must not hold up sending.
fn send(targets: &mut [Target], turns: usize, per_turn: usize, period: i64) -> Result<()> {
    for target in &mut *targets {
        let begin = now();
        while !target.sensors.are_heard()? || target.answers.answered.iter().all(|time| time.load(Ordering::Relaxed) == 0) {
            if now() - begin > (DISCOVERY * 1e9) as i64 - period {
                return Err(format!("`{}` does not answer", target.name).into());
            }
            target.send(period)?;
            sleep_until(now() + period);
        }
    }
    std::thread::sleep(SPAN);
    targets.iter_mut().for_each(|target| target.missed_before = target.answers.missed.load(Ordering::Relaxed));
    for _ in 0..turns {
        for target in &mut *targets {
            let mut due = now();
            for set in 0..per_turn {
                sleep_until(due);
                let number = target.send(period)?;
                if set >= COLD {
                    target.counted.push(number);
                }
                due += period;
            }
            // The last answer of this turn.
            sleep_until(due + 10 * period);
        }
    }
    std::thread::sleep(SPAN);
    Ok(())
}

impl Target {
    /// Sends the next set; returns its number. Stamps go on from turn to turn as if no time had passed.
    fn send(&mut self, period: i64) -> Result<usize> {
        // A stamp of zero means "no time".
        self.sets += 1;
        let stamp = self.sets as i64 * period;
        if let Some(sent) = self.answers.sent.get(self.sets) {
            sent.store(now(), Ordering::Relaxed);
        }
        self.sensors.send(stamp, stamp as f64 * 1e-9)?;
        Ok(self.sets)
    }

    fn figures(&self, period: i64) -> Value {
        let time = |times: &[AtomicI64], set: usize| times.get(set).map_or(0, |time| time.load(Ordering::Relaxed));
        let answered = self.counted.iter().filter(|&&set| time(&self.answers.answered, set) > 0);
        let latencies: Vec<i64> =
            answered.map(|&set| time(&self.answers.answered, set) - time(&self.answers.sent, set)).collect();
        let mut figures = spread(latencies.clone());
        figures["unanswered"] = json!(self.counted.len() - latencies.len());
        figures["later_than_a_period"] = json!(latencies.iter().filter(|&&latency| latency > period).count());
        figures["missed_steps"] = json!(self.answers.missed.load(Ordering::Relaxed) - self.missed_before);
        figures
    }
}

/// Steady time since the first call \[ns\], from 1 on.
pub fn now() -> i64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_nanos() as i64 + 1
}

/// Sleeps until `due` \[ns\].
pub fn sleep_until(due: i64) {
    std::thread::sleep(Duration::from_nanos((due - now()).max(0) as u64));
}
