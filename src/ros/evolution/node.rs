//! Putting the evolution node together.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::channel::oneshot;
use r2r::hebbian_locomotion::msg::{EvolutionDistribution, EvolutionHeartbeat, EvolutionResults, EvolutionWork};
use r2r::std_srvs::srv::Trigger;

use super::coordination::{Command, Coordination, Event};
use super::report::Report;
use crate::evolution::protocol::{Coordinator, CoordinatorSettings, experiment_key};
use crate::evolution::{Continuation, Experiment, Run};
use crate::ros::node::{NodeError, Shell};
use crate::ros::parameters::{Declaration, Parameters};
use crate::ros::qos;
use crate::ros::rejection::{RejectionCount, Rejections};

/// Messages that may wait while a generation is told. What finds no room is said again by its sender.
const WAITING_MESSAGES: usize = 4096;

fn declarations() -> Vec<Declaration> {
    vec![
        Declaration::string("experiment", "", "experiment file (YAML)"),
        Declaration::string("out", "", "folder for checkpoint, history and policies; empty: runs/NAME"),
        Declaration::integer("seed", -1, (-1, i64::MAX), "seed instead of the experiment's; -1: the experiment's"),
        Declaration::integer("generations", 0, (0, i64::MAX), "generations instead of the experiment's; 0: the experiment's"),
        Declaration::bool("resume", true, "go on from the checkpoint in the folder if there is one; false: there must be none"),
        Declaration::double("lease", 5.0, (1.0, 3600.0), "time after which a silent worker's candidates go to others [s]"),
        Declaration::double(
            "time_limit",
            600.0,
            (0.0, 86_400.0),
            "time that a candidate may run until it has failed [s]; 0: no limit",
        ),
        Declaration::integer(
            "most_losses",
            10,
            (1, 1000),
            "workers that may be lost while they run a candidate until it has failed",
        ),
        Declaration::double("listen", 1.0, (0.0, 60.0), "time to listen for another evolution node before the first word [s]"),
    ]
}

/// Makes the evolution node's parts in `shell`.
///
/// # Errors
/// [`NodeError`] names the parameter, experiment, folder or checkpoint that is not usable.
pub fn build(shell: &mut Shell) -> Result<(), NodeError> {
    let parameters = shell.parameters(declarations(), |_, _, _| ())?;
    let parameters = parameters.read();
    let run = open(&parameters)?;
    let seconds = |name| Duration::from_secs_f64(parameters.double(name));
    let settings = CoordinatorSettings { lease: seconds("lease"), most_losses: parameters.integer("most_losses") as u32 };
    // Of the operating system's randomness, as nothing of the result depends on it.
    let node = RandomState::new().build_hasher().finish();
    let rejected = RejectionCount::default();
    let (sender, events) = sync_channel(WAITING_MESSAGES);
    let experiment = run.search().experiment().clone();
    let population = run.search().strategy().population_size();
    tracing::info!(
        "{}: {} numbers, population {}, generation {} of {}, into {}, sha256 {:.12}…",
        experiment.name,
        run.search().strategy().state().mean.len(),
        population,
        run.search().strategy().generation(),
        experiment.evolution.generations,
        run.folder().display(),
        run.hash(),
    );
    let coordination = Coordination {
        coordinator: Coordinator::new(settings, experiment_key(run.hash()), node),
        run,
        node,
        time_limit: parameters.double("time_limit") as f32,
        listen: seconds("listen"),
        events,
        distributions: shell.publisher("evolution/distribution", qos::latched())?,
        works: shell.publisher("evolution/work", qos::evolution())?,
        report: Report::new(shell.publisher("evolution/progress", qos::latched())?, rejected.clone(), population),
        rejections: Rejections::new("evolution", &rejected),
        stop: shell.stop().clone(),
        clock: Instant::now(),
    };
    subscribe(shell, &sender)?;
    for (name, command) in [("~/pause", Command::Pause), ("~/resume", Command::Resume), ("~/stop", Command::Stop)] {
        serve(shell, name, command, sender.clone())?;
    }
    shell.fallible_thread("coordinate", move || coordination.run())?;
    Ok(())
}

fn open(parameters: &Parameters) -> Result<Run, NodeError> {
    let (mut experiment, robot) = Experiment::load(Path::new(parameters.required("experiment")?))?;
    if let Ok(seed) = u64::try_from(parameters.integer("seed")) {
        experiment.seed = seed;
    }
    if let generations @ 1.. = parameters.integer("generations") {
        experiment.evolution.generations = generations as u64;
    }
    let folder = match parameters.string("out") {
        "" => Run::default_folder(&experiment)?,
        folder => PathBuf::from(folder),
    };
    let continuation = if parameters.bool("resume") { Continuation::IfThere } else { Continuation::Never };
    Ok(Run::open(experiment, robot, &folder, continuation)?)
}

fn subscribe(shell: &mut Shell, sender: &SyncSender<Event>) -> Result<(), NodeError> {
    let events = sender.clone();
    shell.subscribe("evolution/heartbeat", qos::evolution(), move |message: EvolutionHeartbeat| {
        send(&events, Event::Heartbeat(message.into()));
    })?;
    let events = sender.clone();
    shell.subscribe("evolution/results", qos::evolution(), move |message: EvolutionResults| {
        send(&events, Event::Results(message.into()));
    })?;
    // What this node says, and what another one with the same names would say.
    let events = sender.clone();
    shell.subscribe("evolution/work", qos::evolution(), move |message: EvolutionWork| {
        send(&events, Event::Node { node: message.node, sequence: message.sequence });
    })?;
    let events = sender.clone();
    shell.subscribe("evolution/distribution", qos::latched(), move |message: EvolutionDistribution| {
        // It has no number, which that on evolution/work will have.
        send(&events, Event::Node { node: message.node, sequence: 0 });
    })
}

fn send(events: &SyncSender<Event>, event: Event) {
    // Full: the sender will say it again. Disconnected: the node is about to end.
    if let Err(TrySendError::Full(_)) = events.try_send(event) {
        tracing::debug!("messages of workers wait; one was dropped and will come again");
    }
}

fn serve(shell: &mut Shell, name: &str, command: Command, sender: SyncSender<Event>) -> Result<(), NodeError> {
    shell.serve::<Trigger::Service, _>(name, move |_| {
        let (answer, answered) = oneshot::channel();
        send(&sender, Event::Command(command, answer));
        answered.map(|answer| {
            let (success, message) = answer.unwrap_or((false, "the node is busy or about to end; ask again".to_owned()));
            Trigger::Response { success, message }
        })
    })
}
