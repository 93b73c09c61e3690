//! What every node has: a start that fails with a clear message, subscriptions and services, threads, and a clean end.

mod error;

use std::cell::RefCell;
use std::future::Future;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use futures::executor::{LocalPool, LocalSpawner};
use futures::future::LocalBoxFuture;
use futures::task::LocalSpawnExt;
use futures::{Stream, StreamExt};
use r2r::{
    ClientUntyped, Context, Node, ParameterValue, Publisher, QosProfile, ServiceRequest, WrappedNativeMsgUntyped,
    WrappedServiceTypeSupport, WrappedTypesupport,
};
use tokio::runtime::Runtime;

pub use self::error::NodeError;
use super::lifecycle::{Lifecycle, Managed};
use super::parameters::{Declaration, SharedParameters};
use super::stop::Stop;
use super::text::without_nul;
use super::{clock, logging, parameter_files, parameter_services, qos, topic_names};

/// Longest time that spinning waits for messages: bounds how late a stop request is seen.
const SPIN_TIMEOUT: Duration = Duration::from_millis(50);

/// A node that is being put together, then spins.
pub struct Shell {
    node: Node,
    stop: Stop,
    runtime: Runtime,
    pool: LocalPool,
    threads: Vec<(String, JoinHandle<()>)>,
    panicked: Arc<AtomicBool>,
    failure: Arc<Mutex<Option<NodeError>>>,
    lifecycle: Option<Managing>,
    watches: Vec<Watch>,
}

/// A managed node's lifecycle, and whether it becomes active by itself.
struct Managing {
    lifecycle: Rc<RefCell<Lifecycle>>,
    autostart: bool,
}

/// Looks at the node between two spins; what it returns runs on the spin thread.
type Watch = Box<dyn FnMut(&mut Node) -> Vec<LocalBoxFuture<'static, ()>>>;

/// The life of the node `name`: starts ROS, lets `build` make its parts, spins until SIGINT, SIGTERM or SIGHUP.
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
            // The terminal may be gone, where `eprintln!` panics.
            let _ = writeln!(std::io::stderr(), "{name}: {error}");
            ExitCode::FAILURE
        }
    }
}

impl Shell {
    fn start(name: &str) -> Result<Self, NodeError> {
        let context = create_context()?;
        let mut node = Node::create(context, name, "").map_err(NodeError::ros("cannot make the node"))?;
        let rosout = if logging::needs_rosout() {
            Some(node.create_publisher("/rosout", qos::rosout()).map_err(NodeError::ros("cannot publish /rosout"))?)
        } else {
            None
        };
        logging::to_ros(node.logger().to_owned(), rosout);
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
        Ok(Self {
            node,
            stop,
            runtime,
            pool: LocalPool::new(),
            threads: Vec::new(),
            panicked: Arc::default(),
            failure: Arc::default(),
            lifecycle: None,
            watches: Vec::new(),
        })
    }

    /// The node's stop flag.
    pub fn stop(&self) -> &Stop {
        &self.stop
    }

    /// The node's name with its namespace.
    ///
    /// # Errors
    /// [`NodeError::Ros`] when ROS does not know it.
    pub fn full_name(&self) -> Result<String, NodeError> {
        self.node.fully_qualified_name().map_err(NodeError::ros("the node has no name"))
    }

    /// The node's namespace, `/` for none.
    ///
    /// # Errors
    /// [`NodeError::Ros`] when ROS does not tell.
    pub fn namespace(&self) -> Result<String, NodeError> {
        self.node.namespace().map_err(NodeError::ros("cannot ask for the namespace"))
    }

    /// The full name of a topic that the node calls `topic`.
    ///
    /// # Errors
    /// [`NodeError::Ros`] when ROS does not know the node's own name.
    pub fn topic_name(&self, topic: &str) -> Result<String, NodeError> {
        Ok(topic_names::resolve(&std::env::args().collect::<Vec<_>>(), &self.full_name()?, topic))
    }

    /// Declares the node's parameters and serves them. `changed` hears of changes at run time, on the spin thread.
    ///
    /// # Errors
    /// [`NodeError::Parameter`] for a name or value that cannot be.
    pub fn parameters(
        &mut self,
        declarations: Vec<Declaration>,
        set: impl FnMut(&str, &ParameterValue, bool) + 'static,
    ) -> Result<SharedParameters, NodeError> {
        let (arguments, node) = (std::env::args().collect::<Vec<_>>(), self.full_name()?);
        parameter_files::check(&arguments, &node)?;
        for warning in parameter_files::warnings(&arguments, &node) {
            tracing::warn!("{warning}");
        }
        let parameters = SharedParameters::declare(&self.node, declarations)?;
        let ignored = parameters.read().ignored().join(", ");
        if !ignored.is_empty() {
            tracing::warn!("parameters without effect: {ignored}; the QoS of this suite's topics is fixed");
        }
        if parameters.read().bool("use_sim_time") {
            let time = self.node.get_time_source();
            time.enable_sim_time(&mut self.node).map_err(NodeError::ros("cannot take the time from /clock"))?;
            clock::follow(self.node.get_ros_clock());
        }
        parameter_services::serve(self, &parameters, set)?;
        Ok(parameters)
    }

    /// Makes the node a managed one. With `autostart` it becomes active by itself, and ends when it cannot.
    ///
    /// # Errors
    /// [`NodeError::Ros`] when ROS refuses a service.
    pub fn manage(&mut self, managed: impl Managed + 'static, autostart: bool) -> Result<(), NodeError> {
        let lifecycle = Lifecycle::serve(self, Box::new(managed))?;
        self.lifecycle = Some(Managing { lifecycle, autostart });
        Ok(())
    }

    /// Calls `work` on the spin thread once in every `period` of the steady clock; the next call waits for the end of the last.
    ///
    /// # Errors
    /// [`NodeError::Ros`] when ROS refuses the timer.
    pub fn every<F>(&mut self, period: Duration, mut work: impl FnMut() -> F + 'static) -> Result<(), NodeError>
    where
        F: Future<Output = ()> + 'static,
    {
        let mut timer = self.node.create_wall_timer(period).map_err(NodeError::ros("cannot make a timer"))?;
        self.local(async move {
            while timer.tick().await.is_ok() {
                work().await;
            }
        });
        Ok(())
    }

    /// Runs slow work, such as that on files, without holding up the spin thread.
    pub fn background(&self) -> Background {
        Background(self.runtime.handle().clone())
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

    /// Serves `service`; `answer` runs on the spin thread and may wait without holding it up. NUL in its texts is replaced.
    ///
    /// # Errors
    /// [`NodeError::Ros`] when ROS refuses.
    pub fn serve<S, F>(&mut self, service: &str, mut answer: impl FnMut(S::Request) -> F + 'static) -> Result<(), NodeError>
    where
        S: WrappedServiceTypeSupport + 'static,
        S::Request: Clone,
        F: Future<Output = S::Response> + 'static,
    {
        let requests = self.requests::<S>(service)?;
        self.local(requests.for_each(move |request: ServiceRequest<S>| {
            let response = answer(request.message.clone());
            respond(request, response)
        }));
        Ok(())
    }

    /// As [`Shell::serve`], but no request waits for the answers to those before it: what `answer` does before its future is done as soon as
    /// the request is there.
    ///
    /// # Errors
    /// [`NodeError::Ros`] when ROS refuses.
    pub fn serve_at_once<S, F>(
        &mut self,
        service: &str,
        mut answer: impl FnMut(S::Request) -> F + 'static,
    ) -> Result<(), NodeError>
    where
        S: WrappedServiceTypeSupport + 'static,
        S::Request: Clone,
        F: Future<Output = S::Response> + 'static,
    {
        let requests = self.requests::<S>(service)?;
        self.local(requests.for_each_concurrent(None::<usize>, move |request: ServiceRequest<S>| {
            let response = answer(request.message.clone());
            respond(request, response)
        }));
        Ok(())
    }

    /// The requests of `service`.
    fn requests<S>(&mut self, service: &str) -> Result<impl Stream<Item = ServiceRequest<S>> + use<S>, NodeError>
    where
        S: WrappedServiceTypeSupport + 'static,
    {
        let requests = self.node.create_service::<S>(service, QosProfile::services_default());
        requests.map_err(NodeError::ros(format!("cannot serve {service}")))
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

    /// Starts a thread of the node that may fail, which ends the node with its error.
    ///
    /// # Errors
    /// As [`Shell::thread`].
    pub fn fallible_thread(
        &mut self,
        name: &str,
        body: impl FnOnce() -> Result<(), NodeError> + Send + 'static,
    ) -> Result<std::thread::Thread, NodeError> {
        let failure = self.failure.clone();
        self.thread(name, move || {
            if let Err(error) = body() {
                failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            }
        })
    }

    /// The runtime for what waits for networks or clocks.
    pub fn runtime(&self) -> &tokio::runtime::Handle {
        self.runtime.handle()
    }

    /// Subscribes `topic` with a type that is known by name only. Returns false when this build has no such type.
    ///
    /// # Errors
    /// [`NodeError::Ros`] when ROS refuses.
    pub fn subscribe_untyped(
        &mut self,
        topic: &str,
        kind: &str,
        qos: QosProfile,
        mut receive: impl FnMut(serde_json::Value) + 'static,
    ) -> Result<bool, NodeError> {
        if WrappedNativeMsgUntyped::new_from(kind).is_err() {
            return Ok(false);
        }
        let messages = self.node.subscribe_untyped(topic, kind, qos);
        let messages = messages.map_err(NodeError::ros(format!("cannot subscribe {topic}")))?;
        self.local(messages.for_each(move |message| {
            // r2r makes JSON of its own types: there is no reason for it to fail.
            message.into_iter().for_each(&mut receive);
            std::future::ready(())
        }));
        Ok(true)
    }

    /// A client of `service`, whose type is known by name only. `None` when this build has no such type.
    pub fn client_untyped(&mut self, service: &str, kind: &str) -> Option<ClientUntyped> {
        self.node.create_client_untyped(service, kind, QosProfile::services_default()).ok()
    }

    /// Lets `watch` look at the node after every spin, at least every 50 ms: for what depends on who else is there. The tasks that it
    /// returns run on the spin thread.
    pub fn watch(&mut self, watch: impl FnMut(&mut Node) -> Vec<LocalBoxFuture<'static, ()>> + 'static) {
        self.watches.push(Box::new(watch));
    }

    fn local(&self, task: impl Future<Output = ()> + 'static) {
        let spawner: LocalSpawner = self.pool.spawner();
        // Refused only once the pool is gone, with which the shell is gone.
        let _ = spawner.spawn_local(task);
    }

    /// Lets all watches look.
    fn look(&mut self) {
        for watch in &mut self.watches {
            let spawner = self.pool.spawner();
            watch(&mut self.node).into_iter().for_each(|task| {
                let _ = spawner.spawn_local(task);
            });
        }
    }

    fn start_by_itself(&mut self) -> Result<(), NodeError> {
        let Some(Managing { lifecycle, autostart: true }) = &self.lifecycle else { return Ok(()) };
        let lifecycle = lifecycle.clone();
        lifecycle.borrow_mut().change(0, "configure")?;
        // While it read its files it may have heard of others.
        self.look();
        lifecycle.borrow_mut().change(0, "activate")
    }

    fn spin(mut self) -> Result<(), NodeError> {
        let mut result = self.start_by_itself();
        if result.is_err() {
            self.stop.request();
        }
        while !self.stop.is_requested() {
            self.node.spin_once(SPIN_TIMEOUT);
            self.pool.run_until_stalled();
            self.look();
        }
        if let Some(managing) = &self.lifecycle {
            managing.lifecycle.borrow_mut().shut_down();
        }
        for (name, thread) in self.threads {
            thread.thread().unpark();
            let ended = thread.join();
            if (ended.is_err() || self.panicked.load(Ordering::Relaxed)) && result.is_ok() {
                result = Err(NodeError::Panicked { thread: name });
            }
        }
        self.runtime.shutdown_timeout(SPIN_TIMEOUT);
        match self.failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(error) => Err(error),
            None => result,
        }
    }
}

/// Where slow work runs.
#[derive(Clone, Debug)]
pub struct Background(tokio::runtime::Handle);

impl Background {
    /// Runs `work`; `None` when it panicked or the node ends.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        self.0.spawn_blocking(work).await.ok()
    }
}

/// Answers `request` with what `response` comes to.
async fn respond<S>(request: ServiceRequest<S>, response: impl Future<Output = S::Response>)
where
    S: WrappedServiceTypeSupport + 'static,
{
    if let Err(error) = request.respond(without_nul(response.await)) {
        tracing::warn!("an answer could not be sent: {error}");
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
