//! Putting the worker node together.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use r2r::Publisher;
use r2r::hebbian_locomotion::msg::{EvolutionDistribution, EvolutionHeartbeat, EvolutionResults, EvolutionWork};

use super::crew::{Crew, Said};
use crate::evolution::Experiment;
use crate::evolution::protocol::{Distribution, Work, Worker};
use crate::ros::node::{NodeError, Shell};
use crate::ros::parameters::Declaration;
use crate::ros::qos;
use crate::ros::rejection::{RejectionCount, Rejections};
use crate::ros::stop::Stop;

/// Threads that may hang at a time in candidates that took too long until the worker ends: then something is wrong with it.
const MOST_HANGING: usize = 64;
/// Time for the last message to leave.
const FAREWELL: Duration = Duration::from_millis(100);

fn declarations() -> Vec<Declaration> {
    vec![
        Declaration::string(
            "experiment",
            "",
            "experiment file (YAML), the same as the evolution node's; the run's seed comes from there",
        ),
        Declaration::integer("threads", 0, (0, 1024), "threads that try candidates; 0: one for each core"),
    ]
}

/// Makes the worker node's parts in `shell`.
///
/// # Errors
/// [`NodeError`] names the parameter or experiment that is not usable.
pub fn build(shell: &mut Shell) -> Result<(), NodeError> {
    let parameters = shell.parameters(declarations(), |_, _, _| ())?;
    let parameters = parameters.read();
    let (experiment, robot) = Experiment::load(Path::new(parameters.required("experiment")?))?;
    let threads = match parameters.integer("threads") {
        0 => std::thread::available_parallelism().map_or(1, |cores| cores.get() as u16),
        threads => threads as u16,
    };
    // Of the operating system's randomness, as nothing of the result depends on it.
    let id = RandomState::new().build_hasher().finish();
    let crew = Crew::new(Worker::new(id, threads));
    tracing::info!("worker {id:016x}, {threads} threads, waits for an evolution of `{}`", experiment.name);

    let voice = Voice {
        crew: crew.clone(),
        heartbeats: shell.publisher("evolution/heartbeat", qos::evolution())?,
        results: shell.publisher("evolution/results", qos::evolution())?,
        stop: shell.stop().clone(),
    };
    subscribe(shell, &crew, experiment, robot)?;
    for _ in 0..threads {
        hire(&crew)?;
    }
    shell.fallible_thread("talk", move || voice.run())?;
    Ok(())
}

fn subscribe(
    shell: &mut Shell,
    crew: &Arc<Crew>,
    experiment: Experiment,
    robot: Arc<crate::robot::RobotModel>,
) -> Result<(), NodeError> {
    let rejected = RejectionCount::default();
    let (shared, mut rejections) = (crew.clone(), Rejections::new("evolution/distribution", &rejected));
    shell.subscribe("evolution/distribution", qos::latched(), move |message: EvolutionDistribution| {
        let distribution = Distribution::from(message);
        let (before, key, generation) = (shared.experiment(), distribution.key(), distribution.population.generation);
        match shared.begin(distribution, &experiment, &robot) {
            Ok(()) if before != Some(key) => tracing::info!("takes part from generation {generation} on"),
            Ok(()) => {}
            Err(error) => rejections.note(&error),
        }
    })?;
    let (shared, mut rejections) = (crew.clone(), Rejections::new("evolution/work", &rejected));
    shell.subscribe("evolution/work", qos::evolution(), move |message: EvolutionWork| match shared.work(&Work::from(message)) {
        Ok(None) => {}
        Ok(Some(reason)) => rejections.note(&format!("refused by the evolution node: {reason}")),
        Err(error) => rejections.note(&error),
    })
}

/// Starts a thread that tries candidates. It is not waited for at the end, as an episode may take long and nobody needs it any more.
fn hire(crew: &Arc<Crew>) -> Result<(), NodeError> {
    let crew = crew.clone();
    let system = |source| NodeError::System { what: "cannot start a thread for episodes".to_owned(), source };
    std::thread::Builder::new().name("episodes".to_owned()).spawn(move || crew.toil()).map_err(system)?;
    Ok(())
}

/// What tells the evolution node of the crew.
struct Voice {
    crew: Arc<Crew>,
    heartbeats: Publisher<EvolutionHeartbeat>,
    results: Publisher<EvolutionResults>,
    stop: Stop,
}

impl Voice {
    fn run(self) -> Result<(), NodeError> {
        while !self.stop.is_requested() {
            let Said { heartbeat, results, given_up, hanging } = self.crew.listen();
            // Not published is as good as lost, and said again.
            if let Some(results) = results {
                let _ = self.results.publish(&results.into());
            }
            if let Some(heartbeat) = heartbeat {
                let _ = self.heartbeats.publish(&heartbeat.into());
            }
            if given_up > 0 {
                tracing::error!(
                    "candidates that took too long (`time_limit` of the evolution node) were given up: {given_up}; their threads are \
                     replaced, {hanging} hang at present"
                );
                if hanging > MOST_HANGING {
                    let what = format!("more than {MOST_HANGING} threads hang in candidates that took too long");
                    return Err(NodeError::System { what, source: std::io::ErrorKind::TimedOut.into() });
                }
            }
            for _ in 0..given_up {
                hire(&self.crew)?;
            }
        }
        let _ = self.heartbeats.publish(&self.crew.end().into());
        std::thread::sleep(FAREWELL);
        Ok(())
    }
}
