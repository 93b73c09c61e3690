//! Putting the recorder node together.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::discovery::{Discovery, Missing};
use super::queue::queue;
use crate::recording::{BagError, BagWriter, Compression, WriterOptions};
use crate::ros::node::{NodeError, Shell, run_node};
use crate::ros::parameters::Declaration;

/// What is recorded by default: all that a replay needs, and what the world around it looked like.
const OWN: [&str; 16] = [
    "joint_states",
    "imu/data",
    "foot_contacts",
    "odom",
    "joint_commands",
    "robot_description",
    "policy/steps",
    "policy/plasticity",
    "policy/weights",
    "policy/weights_layout",
    "policy/gate",
    "policy/emergency_stop",
    "policy/safety",
    "policy/timing",
    "policy/transition_event",
    "simulator/status",
];
/// The same for all robots.
const OF_ALL: [&str; 4] = ["/clock", "/diagnostics", "/parameter_events", "/rosout"];

fn declarations() -> Vec<Declaration> {
    vec![
        Declaration::string("output", "", "folder of the bag; it must not exist"),
        Declaration::strings(
            "topics",
            &[],
            "topics to record, relative to the node's namespace or absolute; empty: those of the suite's own nodes",
        ),
        Declaration::choice("compression", &["none", "zstd"], "of the bag's chunks"),
        Declaration::integer(
            "queue_size",
            256,
            (1, 65_536),
            "messages that wait for the disk [MiB]; what comes while it is full is lost, and counted",
        ),
        Declaration::double(
            "flush_period",
            0.5,
            (0.0, 60.0),
            "how often all is handed to the system: so much is lost at most when the recorder is killed [s]",
        ),
    ]
}

/// The life of the recorder node. Exit code 1 also when the bag could not be written to its end. What is missing in the bag is named.
pub fn run() -> ExitCode {
    let (failure, missing) = (Arc::new(OnceLock::new()), Missing::default());
    let (of_thread, of_discovery) = (failure.clone(), missing.clone());
    let code = run_node("recorder", move |shell| build(shell, of_thread, of_discovery));
    let missing = missing.said();
    if !missing.is_empty() {
        // The terminal may be gone, where `eprintln!` panics.
        let _ = writeln!(std::io::stderr(), "recorder: {missing}");
    }
    match failure.get() {
        None => code,
        Some(failure) => {
            let _ = writeln!(std::io::stderr(), "recorder: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn build(shell: &mut Shell, failure: Arc<OnceLock<BagError>>, missing: Missing) -> Result<(), NodeError> {
    let parameters = shell.parameters(declarations(), |_, _, _| ())?;
    let parameters = parameters.read();
    let options = WriterOptions {
        compression: if parameters.string("compression") == "zstd" { Compression::Zstd } else { Compression::None },
        distribution: std::env::var("ROS_DISTRO").unwrap_or_default(),
        ..WriterOptions::default()
    };
    let bag = BagWriter::create(Path::new(parameters.required("output")?), &options)?;
    let (queue, written) = queue((parameters.integer("queue_size") as usize) << 20);
    let flush_period = Duration::from_secs_f64(parameters.double("flush_period"));
    let stop = shell.stop().clone();
    shell.thread("write", move || {
        if let Err(error) = written.run(bag, flush_period, &stop) {
            // Set once: there is one writing thread.
            let _ = failure.set(error);
        }
    })?;
    let namespace = shell.namespace()?;
    let full =
        |name: &str| if name.starts_with('/') { name.to_owned() } else { format!("{}/{name}", namespace.trim_end_matches('/')) };
    let given = parameters.strings("topics");
    let mut topics: Vec<String> = if given.is_empty() {
        OWN.iter().chain(&OF_ALL).map(|name| full(name)).collect()
    } else {
        given.iter().map(|name| full(name)).collect()
    };
    topics.sort();
    topics.dedup();
    let mut discovery = Discovery::new(topics, !given.is_empty(), missing, queue);
    shell.watch(move |node| discovery.look(node));
    Ok(())
}
