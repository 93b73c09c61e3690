//! Stops a walking policy node again and again and notes when its first stopped command comes.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::StreamExt;
use futures::executor::LocalPool;
use futures::future::try_join;
use futures::task::LocalSpawnExt;
use r2r::hebbian_locomotion::msg::SafetyState;
use r2r::sensor_msgs::msg::JointState;
use r2r::std_msgs::msg::Bool;
use r2r::std_srvs::srv::Trigger;
use r2r::{Client, Context, Node, QosProfile};
use rand::RngExt;
use serde_json::{Value, json};

use crate::probe::{now, sleep_until};
use crate::robot::Sensors;
use crate::{Result, spread};

/// For a service, a phase or a command to come \[ns\].
const PATIENCE: i64 = 30_000_000_000;

/// The client's side of ROS.
struct Asker {
    node: Node,
    pool: LocalPool,
}

impl Asker {
    /// Spins until `condition`.
    fn until(&mut self, what: &str, condition: impl Fn() -> bool) -> Result<()> {
        let begin = now();
        while !condition() {
            if now() - begin > PATIENCE {
                return Err(format!("no {what}").into());
            }
            self.node.spin_once(Duration::from_millis(1));
            self.pool.run_until_stalled();
        }
        Ok(())
    }

    /// Calls the service; it may be answered while the client spins.
    fn call(&self, service: &Client<Trigger::Service>) -> Result<Rc<Cell<bool>>> {
        let (answer, is_done) = (service.request(&Trigger::Request {})?, Rc::new(Cell::new(false)));
        let done = is_done.clone();
        self.pool.spawner().spawn_local(async move { done.set(answer.await.is_ok_and(|answer| answer.success)) })?;
        Ok(is_done)
    }
}

/// Measures `repeats` stops of the node in `namespace`, which steps at `rate`.
pub fn run(namespace: &str, rate: f64, repeats: usize) -> Result<Value> {
    let mut node = Node::create(Context::create()?, "stopper", "")?;
    let pool = LocalPool::new();
    let period = (1e9 / rate) as i64;
    let name = |topic: &str| format!("/{namespace}/{topic}");

    // The latest command, and when one first came that was the same as the one before it, since `first` was emptied.
    let (last, first) = (Rc::new(RefCell::new(Vec::new())), Rc::new(Cell::new(None)));
    let commands = node.subscribe::<JointState>(&name("joint_commands"), QosProfile::default().keep_last(10))?;
    let (seen, noted) = (last.clone(), first.clone());
    pool.spawner().spawn_local(commands.for_each(move |message| {
        if *seen.borrow() == message.position && noted.get().is_none() {
            noted.set(Some(now()));
        }
        seen.replace(message.position);
        std::future::ready(())
    }))?;
    let phase = Rc::new(RefCell::new(String::new()));
    let states = node.subscribe::<SafetyState>(&name("policy/safety"), QosProfile::default().keep_last(10))?;
    let present = phase.clone();
    pool.spawner().spawn_local(states.for_each(move |message| {
        present.replace(message.phase);
        std::future::ready(())
    }))?;
    let topic = node.create_publisher::<Bool>(&name("policy/emergency_stop"), QosProfile::default().keep_last(1))?;
    let stop = node.create_client::<Trigger::Service>(&name("policy/emergency_stop"), QosProfile::services_default())?;
    let release = node.create_client::<Trigger::Service>(&name("policy/release"), QosProfile::services_default())?;
    let available = try_join(Node::is_available(&stop)?, Node::is_available(&release)?);
    let is_available = Rc::new(Cell::new(false));
    let found = is_available.clone();
    pool.spawner().spawn_local(async move { found.set(available.await.is_ok()) })?;

    let mut sensors = Sensors::new(&mut node, namespace)?;
    let is_over = Arc::new(AtomicBool::new(false));
    let over = is_over.clone();
    let robot = std::thread::spawn(move || {
        let begin = now();
        let mut due = begin;
        while !over.load(Ordering::Relaxed) && sensors.send(due, (due - begin) as f64 * 1e-9).is_ok() {
            due += period;
            sleep_until(due);
        }
    });

    let mut client = Asker { node, pool };
    let walks = || *phase.borrow() == "active";
    client.until("services of the emergency stop and its release", || is_available.get())?;
    client
        .until("listener of the emergency stop", || topic.get_inter_process_subscription_count().is_ok_and(|count| count > 0))?;
    let mut random = hebbian_locomotion::random::stream(1, "stops", &[]);
    let mut latencies = [Vec::new(), Vec::new()];
    for repeat in 0..repeats {
        client.until("walking robot", walks)?;
        // Some steps, and then anywhere between two of them.
        let stop_at = now() + 3 * period + random.random_range(0..period);
        client.until("time", || now() >= stop_at)?;
        first.set(None);
        let begin = now();
        let by_topic = repeat % 2;
        if by_topic == 1 {
            topic.publish(&Bool { data: true })?;
        } else {
            client.call(&stop)?;
        }
        client.until("stopped command", || first.get().is_some())?;
        latencies[by_topic].extend(first.get().map(|time| time - begin));
        client.until("stopped robot", || *phase.borrow() == "stopped")?;
        let is_released = client.call(&release)?;
        client.until("release", || is_released.get())?;
    }
    is_over.store(true, Ordering::Relaxed);
    robot.join().map_err(|_| "the robot's thread panicked")?;
    let [by_service, by_topic] = latencies;
    let all = by_service.iter().chain(&by_topic).copied().collect();
    Ok(json!({"service": spread(by_service), "topic": spread(by_topic), "all": spread(all), "period_us": period as f64 * 1e-3}))
}
