//! What every node has: a start that fails with a clear message, subscriptions and services, threads, and a clean end.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use futures::StreamExt;
use futures::executor::{LocalPool, LocalSpawner};
use futures::task::LocalSpawnExt;
use r2r::{Context, Node, ParameterValue, Publisher, QosProfile, ServiceRequest, WrappedServiceTypeSupport, WrappedTypesupport};
use tokio::runtime::Runtime;

use super::logging;
use super::parameters::{Declaration, ParameterError, SharedParameters};
use super::stop::Stop;
use crate::policy::{InterfaceError, MapError, PolicyFileError};
use crate::robot::RobotError;
use crate::simulation::SettingsError;

/// Longest time that spinning waits for messages: bounds how late a stop request is seen.
const SPIN_TIMEOUT: Duration = Duration::from_millis(50);

/// Why a node could not start or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// ROS refused something.
    #[error("ROS: {what}: {source}")]
    Ros {
        /// What was tried.
        what: String,
        /// ROS's reason.
        source: r2r::Error,
    },
    /// ROS refused the command line or a parameter file.
    #[error("ROS refuses the command line or a parameter file: {reason}")]
    CommandLine {
        /// ROS's reason.
        reason: String,
    },
    /// A parameter is not usable.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    /// The policy file is not usable.
    #[error(transparent)]
    PolicyFile(#[from] PolicyFileError),
    /// The policy is not consistent.
    #[error(transparent)]
    Policy(#[from] MapError),
    /// The policy drives another robot.
    #[error(transparent)]
    Interface(#[from] InterfaceError),
    /// The robot description is not usable.
    #[error(transparent)]
    Robot(#[from] RobotError),
    /// The simulation's settings are not usable.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The system refused a thread or signal handler.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A thread of the node panicked.
    #[error("the thread `{thread}` panicked; the node ends and publishes no more commands")]
    Panicked {
        /// Which.
        thread: String,
    },
}

impl NodeError {
    fn ros(what: impl Into<String>) -> impl FnOnce(r2r::Error) -> Self {
        move |source| Self::Ros { what: what.into(), source }
    }
}

/// A node that is being put together, then spins.
pub struct Shell {
    node: Node,
    stop: Stop,
    runtime: Runtime,
    pool: LocalPool,
    threads: Vec<(String, JoinHandle<()>)>,
    panicked: Arc<AtomicBool>,
}

/// The life of the node `name`: starts ROS, lets `build` make its parts, spins until SIGINT or SIGTERM.
///
/// Exit code 0 after a signal, 1 after an error, which is named on the standard error.
pub fn run_node(name: &str, build: impl FnOnce(&mut Shell) -> Result<(), NodeError>) -> ExitCode {
    let run = || {
        let mut shell = Shell::start(name)?;
        build(&mut shell)?;
        shell.spin()
    };
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {error}");
            ExitCode::FAILURE
        }
    }
}

impl Shell {
    fn start(name: &str) -> Result<Self, NodeError> {
        let context = create_context()?;
        let node = Node::create(context, name, "").map_err(NodeError::ros("cannot make the node"))?;
        logging::to_ros(node.logger().to_owned());
        let system = |what: &str| {
            let what = what.to_owned();
            move |source| NodeError::System { what, source }
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(system("cannot start threads"))?;
        let stop = Stop::default();
        let signals = stop.clone().on_signals();
        runtime.spawn(async {
            if let Err(error) = signals.await {
                tracing::error!("cannot wait for signals: {error}");
            }
        });
        Ok(Self { node, stop, runtime, pool: LocalPool::new(), threads: Vec::new(), panicked: Arc::default() })
    }

    /// The node's stop flag.
    pub fn stop(&self) -> &Stop {
        &self.stop
    }

    /// Declares the node's parameters and serves them. `changed` hears of changes at run time, on the spin thread.
    ///
    /// # Errors
    /// [`NodeError::Parameter`] for a name or value that cannot be.
    pub fn parameters(
        &mut self,
        declarations: Vec<Declaration>,
        mut changed: impl FnMut(&str, &ParameterValue) + 'static,
    ) -> Result<SharedParameters, NodeError> {
        let parameters = SharedParameters::declare(&self.node, declarations)?;
        let (services, changes) =
            self.node.make_derived_parameter_handler(parameters.0.clone()).map_err(NodeError::ros("cannot serve parameters"))?;
        self.runtime.spawn(async {
            // r2r panics when a client has gone before its answer; that must not take the node along.
            if tokio::spawn(services).await.is_err() {
                tracing::error!("the parameter services have ended; restart the node to get them back");
            }
        });
        self.local(changes.for_each(move |(name, value)| {
            changed(&name, &value);
            std::future::ready(())
        }));
        Ok(parameters)
    }

    /// Subscribes `topic`; `receive` runs on the spin thread.
    ///
    /// # Errors
    /// [`NodeError::Ros`] when ROS refuses.
    pub fn subscribe<T: WrappedTypesupport + 'static>(
        &mut self,
        topic: &str,
        qos: QosProfile,
        mut receive: impl FnMut(T) + 'static,
    ) -> Result<(), NodeError> {
        let messages = self.node.subscribe::<T>(topic, qos).map_err(NodeError::ros(format!("cannot subscribe {topic}")))?;
        self.local(messages.for_each(move |message| {
            receive(message);
            std::future::ready(())
        }));
        Ok(())
    }

    /// Serves `service`; `answer` runs on the spin thread and may wait without holding it up.
    ///
    /// # Errors
    /// [`NodeError::Ros`] when ROS refuses.
    pub fn serve<S, F>(&mut self, service: &str, mut answer: impl FnMut(S::Request) -> F + 'static) -> Result<(), NodeError>
    where
        S: WrappedServiceTypeSupport + 'static,
        S::Request: Clone,
        F: Future<Output = S::Response> + 'static,
    {
        let requests = self.node.create_service::<S>(service, QosProfile::services_default());
        let requests = requests.map_err(NodeError::ros(format!("cannot serve {service}")))?;
        self.local(requests.for_each(move |request: ServiceRequest<S>| {
            let response = answer(request.message.clone());
            async {
                if let Err(error) = request.respond(response.await) {
                    tracing::warn!("an answer could not be sent: {error}");
                }
            }
        }));
        Ok(())
    }

    /// A publisher.
    ///
    /// # Errors
    /// [`NodeError::Ros`] when ROS refuses.
    pub fn publisher<T: WrappedTypesupport>(&mut self, topic: &str, qos: QosProfile) -> Result<Publisher<T>, NodeError> {
        self.node.create_publisher(topic, qos).map_err(NodeError::ros(format!("cannot publish {topic}")))
    }

    /// Starts a thread of the node. A panic in it ends the node with an error.
    ///
    /// # Errors
    /// [`NodeError::System`] when there can be no further thread.
    pub fn thread(&mut self, name: &str, body: impl FnOnce() + Send + 'static) -> Result<std::thread::Thread, NodeError> {
        let (stop, panicked) = (self.stop.clone(), self.panicked.clone());
        let guarded = move || {
            if catch_unwind(AssertUnwindSafe(body)).is_err() {
                panicked.store(true, Ordering::Relaxed);
            }
            // A node without one of its threads is of no use.
            stop.request();
        };
        let system = |source| NodeError::System { what: format!("cannot start the thread `{name}`"), source };
        let handle = std::thread::Builder::new().name(name.to_owned()).spawn(guarded).map_err(system)?;
        let thread = handle.thread().clone();
        self.threads.push((name.to_owned(), handle));
        Ok(thread)
    }

    fn local(&self, task: impl Future<Output = ()> + 'static) {
        let spawner: LocalSpawner = self.pool.spawner();
        // Refused only once the pool is gone, with which the shell is gone.
        let _ = spawner.spawn_local(task);
    }

    fn spin(mut self) -> Result<(), NodeError> {
        while !self.stop.is_requested() {
            self.node.spin_once(SPIN_TIMEOUT);
            self.pool.run_until_stalled();
        }
        let mut result = Ok(());
        for (name, thread) in self.threads {
            thread.thread().unpark();
            let ended = thread.join();
            if (ended.is_err() || self.panicked.load(Ordering::Relaxed)) && result.is_ok() {
                result = Err(NodeError::Panicked { thread: name });
            }
        }
        self.runtime.shutdown_timeout(SPIN_TIMEOUT);
        result
    }
}

/// Starts ROS. r2r panics where ROS refuses the command line, for example a parameter file that is no YAML; here that is an error like any other.
fn create_context() -> Result<Context, NodeError> {
    let reason = Arc::new(Mutex::new(String::new()));
    let hook = std::panic::take_hook();
    let kept = reason.clone();
    std::panic::set_hook(Box::new(move |panic| {
        *kept.lock().unwrap_or_else(PoisonError::into_inner) = panic.payload_as_str().unwrap_or("no reason given").to_owned();
    }));
    let context = catch_unwind(Context::create);
    std::panic::set_hook(hook);
    match context {
        Ok(context) => context.map_err(NodeError::ros("cannot start")),
        Err(_) => Err(NodeError::CommandLine { reason: reason.lock().unwrap_or_else(PoisonError::into_inner).clone() }),
    }
}
