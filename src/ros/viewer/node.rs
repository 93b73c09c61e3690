//! Putting the viewer node together.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{services, topics};
use crate::ros::node::{NodeError, Shell};
use crate::ros::parameters::{Declaration, ParameterError, Parameters};
use crate::viewer::protocol::weights_frame;
use crate::viewer::{Board, Frame, Kind, Limits, Picture, Server, WeightReference, default_weights_file, is_embedded};

/// A picture in which nothing has changed is sent this often, so that a browser knows that the viewer lives.
const HEARTBEAT: Duration = Duration::from_millis(500);

fn declarations() -> Vec<Declaration> {
    vec![
        Declaration::string("address", "127.0.0.1", "IP address to listen on; other than loopback only with a token"),
        Declaration::integer("port", 8080, (0, 65535), "TCP port; 0: any free one, which is printed"),
        Declaration::string("token", "", "what a browser must know, at least 16 letters and digits; empty: nothing"),
        Declaration::double("frame_rate", 30.0, (1.0, 60.0), "pictures per second, at most [Hz]"),
        Declaration::double("weights_rate", 10.0, (0.1, 60.0), "frames of all weights per second, at most [Hz]"),
        Declaration::integer("browsers", 32, (1, 1000), "browsers at the same time, at most"),
        Declaration::string(
            "policy",
            "",
            "policy file to simulate for the cloud that weights are compared with; empty: no cloud",
        ),
        Declaration::string("robot", "", "robot description (YAML) to simulate it with"),
        Declaration::string(
            "weights_file",
            "",
            "file on the policy node's computer that the page saves weights in; empty: one in the home folder",
        ),
    ]
}

/// What the topics write and the web server's frames are made of.
#[derive(Clone)]
pub struct Shared {
    /// Where frames go.
    pub board: Board,
    picture: Arc<Mutex<Watched>>,
    weights: Arc<Mutex<Option<LatestWeights>>>,
    reference: Arc<Mutex<Comparison>>,
    start: Instant,
}

#[derive(Default)]
struct Watched {
    picture: Picture,
    changed: bool,
}

/// All weights at one instant.
pub struct LatestWeights {
    /// The control step that they came out of.
    pub step: u64,
    /// Its stamp \[s\].
    pub time: f64,
    /// The weights, as in WeightSnapshot.msg.
    pub weights: Vec<f32>,
}

impl LatestWeights {
    /// The frame of them.
    pub fn frame(&self) -> Frame {
        Frame::Binary(weights_frame(self.step, self.time, &self.weights).into())
    }
}

/// The reference and the policy that runs: one is shown only if it is of the other.
#[derive(Default)]
struct Comparison {
    reference: Option<WeightReference>,
    running: String,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Changes the picture; `change` also gets the steady time.
    pub fn paint<T>(&self, change: impl FnOnce(&mut Picture, Duration) -> T) -> T {
        let mut watched = lock(&self.picture);
        watched.changed = true;
        change(&mut watched.picture, self.start.elapsed())
    }

    /// Posts the names of joints and feet.
    pub fn post_names(&self) {
        self.board.post_json(Kind::Names, &lock(&self.picture).picture.names_frame());
    }

    /// Keeps weights for whoever comes when nobody has watched: the next ones may not come for long.
    pub fn keep_weights(&self, weights: LatestWeights) {
        *lock(&self.weights) = Some(weights);
    }

    /// Forgets the weights: those of another policy mean something else.
    pub fn forget_weights(&self) {
        *lock(&self.weights) = None;
        self.board.clear(Kind::Weights);
    }

    /// Posts the weights that were kept, where somebody watches and has none.
    fn post_kept_weights(&self) {
        if let Some(weights) = &*lock(&self.weights)
            && self.board.is_watched()
            && !self.board.holds(Kind::Weights)
        {
            self.board.post(Kind::Weights, weights.frame());
        }
    }

    /// Notes that the policy with this hash runs.
    pub fn policy_runs(&self, hash: &str) {
        lock(&self.reference).running = hash.to_owned();
        self.post_reference();
    }

    fn post_reference(&self) {
        let comparison = lock(&self.reference);
        match &comparison.reference {
            Some(reference) if reference.policy_hash() == comparison.running => {
                self.board.post(Kind::Reference, reference.frame())
            }
            _ => self.board.clear(Kind::Reference),
        }
    }

    /// Posts pictures at most every `period`, for as long as it is polled.
    async fn post_pictures(self, period: Duration) {
        let mut ticks = tokio::time::interval(period);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut posted = self.start;
        loop {
            ticks.tick().await;
            self.post_kept_weights();
            let mut watched = lock(&self.picture);
            let is_due = watched.changed || posted.elapsed() >= HEARTBEAT || !self.board.holds(Kind::State);
            if self.board.is_watched() && is_due {
                watched.changed = false;
                posted = Instant::now();
                self.board.post_json(Kind::State, &watched.picture.state_frame(self.start.elapsed()));
            }
        }
    }
}

/// Makes the viewer node's parts in `shell`.
///
/// # Errors
/// [`NodeError`] names the parameter or address that is not usable.
pub fn build(shell: &mut Shell) -> Result<(), NodeError> {
    let parameters = shell.parameters(declarations(), |_, _, _| ())?;
    let parameters = parameters.read();
    let (board, calls) = Board::new();
    let server = bind(shell, &parameters, board.clone())?;
    let start = Instant::now();
    let shared = Shared { board, picture: Arc::default(), weights: Arc::default(), reference: Arc::default(), start };

    topics::subscribe(shell, &shared, Duration::from_secs_f64(1.0 / parameters.double("weights_rate")))?;
    let weights_file = weights_file(shell, &parameters)?;
    services::call_and_watch(shell, &shared, calls, weights_file);
    let period = Duration::from_secs_f64(1.0 / parameters.double("frame_rate"));
    shell.runtime().spawn(shared.clone().post_pictures(period));
    simulate_reference(shell, &parameters, &shared);

    if !is_embedded() {
        tracing::warn!("this build has no page: npm was missing; see docs/viewer.md");
    }
    // On the standard output and at once: scripts wait for this line.
    println!("viewer: {}", server.url());
    shell.runtime().spawn(server.run());
    Ok(())
}

fn bind(shell: &Shell, parameters: &Parameters, board: Board) -> Result<Server, NodeError> {
    let given = parameters.string("address");
    let ip: IpAddr = given.parse().map_err(|_| ParameterError::Value {
        name: "address".to_owned(),
        given: format!("`{given}`"),
        expected: "an IP address, for example 127.0.0.1 or 0.0.0.0".to_owned(),
    })?;
    // Both are within their ranges.
    let address = SocketAddr::new(ip, parameters.integer("port") as u16);
    let limits = Limits { browsers: parameters.integer("browsers") as usize, ..Limits::default() };
    Ok(shell.runtime().block_on(Server::bind(address, parameters.string("token"), board, limits))?)
}

/// The file that the page saves weights in.
fn weights_file(shell: &Shell, parameters: &Parameters) -> Result<String, NodeError> {
    let given = parameters.string("weights_file");
    let home = std::env::var("HOME").unwrap_or_default();
    if !given.is_empty() {
        Ok(given.to_owned())
    } else if home.is_empty() {
        tracing::warn!("there is no home folder to save weights in; to save some in the page set the parameter `weights_file`");
        Ok(String::new())
    } else {
        Ok(default_weights_file(&home, &shell.namespace()?))
    }
}

/// Simulates the policy aside, so that its weights can be compared with those that are seen.
fn simulate_reference(shell: &Shell, parameters: &Parameters, shared: &Shared) {
    let [policy, robot] = ["policy", "robot"].map(|name| PathBuf::from(parameters.string(name)));
    match (policy.as_os_str().is_empty(), robot.as_os_str().is_empty()) {
        (false, false) => {}
        (true, true) => return,
        _ => {
            tracing::warn!("no cloud to compare weights with: it takes both parameters, `policy` and `robot`");
            return;
        }
    }
    let shared = shared.clone();
    shell.runtime().spawn_blocking(move || match WeightReference::simulate(&policy, &robot) {
        Ok(reference) => {
            lock(&shared.reference).reference = Some(reference);
            shared.post_reference();
        }
        Err(error) => tracing::warn!("no cloud to compare weights with: {error}"),
    });
}
