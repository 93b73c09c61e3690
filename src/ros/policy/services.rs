//! What can be asked of a running policy node. Nothing here makes the control thread wait: files are read and written elsewhere, and
//! each request takes effect between two steps.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use r2r::hebbian_locomotion::srv::{LoadPolicy, ResetWeights, RestoreWeights, RollBack, SaveWeights, SetGate};
use r2r::std_msgs::msg::{Bool, Float32};
use r2r::std_srvs::srv::Trigger;

use super::keeping::KeptAt;
use super::node::PolicyNode;
use super::requests::{ControlHandle, Released, Request};
use super::session::Known;
use crate::plasticity::{CommandedGate, Gate, GateError, GateSource};
use crate::policy::PolicyMetadata;
use crate::ros::node::{Background, NodeError, Shell};
use crate::ros::qos;
use crate::ros::rejection::{RejectionCount, Rejections};

/// What a service answers when the node has no policy.
const UNCONFIGURED: &str = "the node is not configured, or has too much to do";
/// What a service answers when the node was cleaned up while it worked.
const RECONFIGURED: &str = "the node was cleaned up meanwhile; ask again";
/// What is added where another policy runs than the one whose weights are kept.
const NOT_KEPT: &str = "; its weights are not kept: keep_weights is for the policy of the parameters";

/// Serves everything.
///
/// # Errors
/// [`NodeError::Ros`] when ROS refuses.
pub fn serve(shell: &mut Shell, node: &Rc<PolicyNode>, rejected: &RejectionCount) -> Result<(), NodeError> {
    serve_gate(shell, node, rejected)?;
    serve_stop(shell, node)?;
    serve_weights(shell, node)?;
    serve_files(shell, node)?;
    serve_policy(shell, node)
}

/// Keeps the weights every `period`, if they are to be kept.
///
/// # Errors
/// [`NodeError::Ros`] when ROS refuses the timer.
pub fn keep_regularly(shell: &mut Shell, node: &Rc<PolicyNode>, period: Duration) -> Result<(), NodeError> {
    let (node, background) = (node.clone(), shell.background());
    shell.every(period, move || {
        let (node, background) = (node.clone(), background.clone());
        async move {
            // When weights are not to be kept, the write says so.
            if let Some(place) = node.keeping.place()
                && let Err(error) = save(&node, &background, place).await
            {
                tracing::error!("the weights are not kept: {error}");
            }
        }
    })
}

fn request_gate(node: &PolicyNode, gate: impl Into<CommandedGate>) -> Result<(), String> {
    match node.control.request_gate(gate) {
        Ok(true) => Ok(()),
        Ok(false) => Err(UNCONFIGURED.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn serve_gate(shell: &mut Shell, node: &Rc<PolicyNode>, rejected: &RejectionCount) -> Result<(), NodeError> {
    let set = |node: &PolicyNode, message: &Float32| {
        let gate = Gate::new(message.data, GateSource::Topic).map_err(|error: GateError| error.to_string());
        gate.and_then(|gate| request_gate(node, gate))
    };
    // Twice as the stop. The one that hears all publishers says what is refused, so that it is said once.
    let (by_topic, mut rejections) = (node.clone(), Rejections::new("~/gate", rejected));
    shell.subscribe("~/gate", qos::command().best_effort(), move |message: Float32| {
        if let Err(error) = set(&by_topic, &message) {
            rejections.note(&error);
        }
    })?;
    let by_topic = node.clone();
    shell.subscribe("~/gate", qos::command(), move |message: Float32| {
        let _ = set(&by_topic, &message);
    })?;
    let node = node.clone();
    shell.serve::<SetGate::Service, _>("~/set_gate", move |request| {
        let previous_gate = node.control.present_gate();
        let gates = &request.layer_gates[..];
        let (gate, what) = if gates.is_empty() {
            (Gate::new(request.gate, GateSource::Service).map(CommandedGate::from), format!("gate {}", request.gate))
        } else {
            (CommandedGate::per_layer(gates, GateSource::Service), format!("gates {gates:?} of the layers"))
        };
        let set = gate.map_err(|error| error.to_string()).and_then(|gate| request_gate(&node, gate));
        let (success, message) = match set {
            Ok(()) => (true, format!("{what} from the next control step on")),
            Err(error) => (false, error),
        };
        std::future::ready(SetGate::Response { success, message, previous_gate })
    })
}

fn serve_stop(shell: &mut Shell, node: &Rc<PolicyNode>) -> Result<(), NodeError> {
    // Reliably, so that none is lost, and best effort, since those who publish so are never heard reliably. To stop twice is to stop.
    for qos in [qos::stop(), qos::stop().best_effort()] {
        let by_topic = node.clone();
        shell.subscribe("~/emergency_stop", qos, move |message: Bool| {
            // A topic cannot release: whoever repeats `false` does not mean that.
            if message.data {
                by_topic.control.emergency_stop();
            }
        })?;
    }
    // Two services without fields: a request that was typed in a hurry does what the service is called. Neither waits for the answer to one
    // before it.
    let stopping = node.clone();
    shell.serve_at_once::<Trigger::Service, _>("~/emergency_stop", move |_| {
        stopping.control.emergency_stop();
        std::future::ready(Trigger::Response { success: true, message: "stopped until it is released".to_owned() })
    })?;
    let releasing = node.clone();
    shell.serve_at_once::<Trigger::Service, _>("~/release", move |_| {
        let answer = release(&releasing.control);
        async {
            let (success, message) = answer.await;
            Trigger::Response { success, message: message.to_owned() }
        }
    })?;
    // A stop by a parameter at the start is older than all requests.
    node.control.note_spin();
    let node = node.clone();
    shell.watch(move |_| {
        node.control.note_spin();
        Vec::new()
    });
    Ok(())
}

/// Asks for the release of the robot: that is done when this returns. What is to be answered, the future says.
fn release(control: &ControlHandle) -> impl Future<Output = (bool, &'static str)> + use<> {
    let released = control.ask_release();
    async move {
        match released.await {
            Ok(Released::Done) => (true, "released; it begins as at its start"),
            Ok(Released::NotStopped) => (false, "it was not stopped; nothing changed"),
            Ok(Released::Overtaken) => (false, "another stop came meanwhile; it stays stopped"),
            Err(_) => (false, UNCONFIGURED),
        }
    }
}

fn serve_weights(shell: &mut Shell, node: &Rc<PolicyNode>) -> Result<(), NodeError> {
    let asked = node.clone();
    shell.serve::<Trigger::Service, _>("~/publish_weights", move |_| {
        let published = of_known(&asked, |known| weights_of(&known.metadata)).flatten();
        asked.control.weights_wanted.store(published.is_ok(), Ordering::Relaxed);
        let (success, message) = match published {
            Ok(()) => (true, "the weights of the next control step come on ~/weights".to_owned()),
            Err(message) => (false, message),
        };
        std::future::ready(Trigger::Response { success, message })
    })?;
    let resetting = node.clone();
    shell.serve::<ResetWeights::Service, _>("~/reset_weights", move |request| {
        let seed = (!request.keep_seed).then_some(request.seed);
        let answer = resetting.control.ask(|answer| Request::Reset(seed, answer));
        async {
            match answer.await {
                Ok(seed) => {
                    let message = format!("new weights of the seed {seed}");
                    ResetWeights::Response { success: true, message, seed }
                }
                Err(_) => ResetWeights::Response { success: false, message: UNCONFIGURED.to_owned(), seed: 0 },
            }
        }
    })?;
    let node = node.clone();
    shell.serve::<RollBack::Service, _>("~/roll_back", move |request| {
        let node = node.clone();
        async move {
            let (success, message, seconds) = match roll_back(&node, request.seconds).await {
                Ok(seconds) => (true, format!("weights of {seconds:.2} s ago"), seconds),
                Err(message) => (false, message, 0.0),
            };
            RollBack::Response { success, message, seconds }
        }
    })
}

/// Whether the policy has weights that are published, or why not.
fn weights_of(policy: &PolicyMetadata) -> Result<(), String> {
    if policy.network.plastic().is_some() {
        return Ok(());
    }
    let (name, kind) = (&policy.name, policy.network.kind());
    Err(format!("the policy `{name}` has no plastic weights, and others are not published: its network is `{kind}`"))
}

async fn roll_back(node: &PolicyNode, seconds: f32) -> Result<f32, String> {
    if !(seconds.is_finite() && seconds >= 0.0) {
        return Err(format!("cannot go {seconds} s back; give a finite number, 0 or more"));
    }
    let rate = node.known.borrow().as_ref().map(|known| known.metadata.control_rate);
    let rate = rate.ok_or_else(|| UNCONFIGURED.to_owned())?;
    let steps = (f64::from(seconds) * f64::from(rate)).ceil() as u64;
    let answer = node.control.ask(|answer| Request::RollBack(steps, answer)).await;
    let back = answer.map_err(|_| UNCONFIGURED.to_owned())?.map_err(|error| error.to_string())?;
    Ok(back as f32 / rate)
}

fn serve_files(shell: &mut Shell, node: &Rc<PolicyNode>) -> Result<(), NodeError> {
    let (saving, background) = (node.clone(), shell.background());
    shell.serve::<SaveWeights::Service, _>("~/save_weights", move |request| {
        let (node, background) = (saving.clone(), background.clone());
        async move {
            let (success, message, step) = match save_as(&node, &background, &request.path).await {
                Ok(step) => (true, format!("weights of control step {step} in {}", request.path), step),
                Err(message) => (false, message, 0),
            };
            SaveWeights::Response { success, message, step }
        }
    })?;
    let (node, background) = (node.clone(), shell.background());
    shell.serve::<RestoreWeights::Service, _>("~/restore_weights", move |request| {
        let (node, background) = (node.clone(), background.clone());
        async move {
            let (success, message, step) = match restore(&node, &background, request.path).await {
                Ok(step) => (true, format!("weights of control step {step}"), step),
                Err(message) => (false, message, 0),
            };
            RestoreWeights::Response { success, message, step }
        }
    })
}

async fn save_as(node: &PolicyNode, background: &Background, path: &str) -> Result<u64, String> {
    if path.is_empty() {
        return Err("give the path of a file".to_owned());
    }
    let place = of_known(node, |known| KeptAt::new(path.into(), known))?;
    match save(node, background, place).await? {
        (step, true) => Ok(step),
        (step, false) => Err(format!("weights of control step {step} were overtaken: newer ones are in {path}")),
    }
}

/// Asks for a copy of the state and writes it. Returns its control step, and whether it was written: not where a newer one was meanwhile.
async fn save(node: &PolicyNode, background: &Background, place: KeptAt) -> Result<(u64, bool), String> {
    let (life, empty) = of_known(node, |known| (known.life, Box::new(known.template.clone())))?;
    let planned = node.keeping.plan(place);
    let answer = node.control.ask(|answer| Request::Save(life, empty, answer)).await;
    let (snapshot, result) = answer.map_err(|_| UNCONFIGURED.to_owned())?;
    result.map_err(|error| error.to_string())?;
    let step = snapshot.steps();
    let written = background.run(move || planned.write(&snapshot)).await;
    let is_written = written.ok_or_else(|| UNCONFIGURED.to_owned())?.map_err(|error| error.to_string())?;
    Ok((step, is_written))
}

/// Reads weights and puts them back, unless another policy runs by then: only of the present one it is known whether they are its own.
async fn restore(node: &PolicyNode, background: &Background, path: String) -> Result<u64, String> {
    let own = |known: &Known| (known.life, known.hash.clone(), Box::new(known.template.clone()));
    let (life, hash, mut snapshot) = of_known(node, own)?;
    let read = background.run(move || snapshot.read(Path::new(&path), &hash).map(|()| snapshot)).await;
    let snapshot = read.ok_or_else(|| UNCONFIGURED.to_owned())?.map_err(|error| error.to_string())?;
    let answer = node.control.ask(|answer| Request::Restore(life, snapshot, answer)).await;
    let (snapshot, result) = answer.map_err(|_| UNCONFIGURED.to_owned())?;
    result.map_err(|error| error.to_string())?;
    Ok(snapshot.steps())
}

/// What `of` takes of the present policy.
fn of_known<T>(node: &PolicyNode, of: impl FnOnce(&Known) -> T) -> Result<T, String> {
    node.known.borrow().as_ref().map(of).ok_or_else(|| UNCONFIGURED.to_owned())
}

fn serve_policy(shell: &mut Shell, node: &Rc<PolicyNode>) -> Result<(), NodeError> {
    let node = node.clone();
    let background = shell.background();
    shell.serve::<LoadPolicy::Service, _>("~/load_policy", move |request| {
        let (node, background) = (node.clone(), background.clone());
        async move {
            let (success, message, policy) = match exchange(&node, &background, request).await {
                Ok((name, note)) => (true, format!("`{name}` from the next control step on{note}"), name),
                Err(message) => (false, message, String::new()),
            };
            LoadPolicy::Response { success, message, policy }
        }
    })
}

/// The name of the policy that now runs, and what else is to be said.
async fn exchange(
    node: &PolicyNode,
    background: &Background,
    request: LoadPolicy::Request,
) -> Result<(String, &'static str), String> {
    if node.known.borrow().is_none() {
        return Err(UNCONFIGURED.to_owned());
    }
    // What is loaded has the settings of this configuration; another one may come while the file is read.
    let configuration = node.configuration();
    let is_same = || if node.configuration() == configuration { Ok(()) } else { Err(RECONFIGURED.to_owned()) };
    let loader = node.loader();
    let path = PathBuf::from(request.path);
    let loaded = background.run(move || loader.load(&path, request.seed)).await.ok_or_else(|| UNCONFIGURED.to_owned())?;
    let (life, outlets, new) = loaded.map_err(|error| error.to_string())?;
    is_same()?;
    match node.known.borrow().as_ref() {
        Some(known) => {
            known.check_exchange(&new, node.lacks_velocity(), node.lacks_contacts()).map_err(|error| error.to_string())?
        }
        None => return Err(UNCONFIGURED.to_owned()),
    }
    let (name, note) = (new.metadata.name.clone(), if node.keeps(&new) { "" } else { NOT_KEPT });
    // The first command must not wait until this thread comes back.
    node.connect(&new, outlets).map_err(|error| error.to_string())?;
    // From here on a snapshot may be of either.
    let place = node.keeping.place();
    node.keeping.set(None);
    let Ok(old) = node.control.ask(|answer| Request::Load(Box::new(life), answer)).await else {
        if is_same().is_ok() {
            node.keeping.set(place);
        }
        return Err(UNCONFIGURED.to_owned());
    };
    drop(old);
    is_same()?;
    node.take_over(new).map_err(|error| error.to_string())?;
    Ok((name, note))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::PolicyFile;

    #[test]
    fn a_release_is_asked_for_before_its_answer_is_awaited_and_fails_unless_it_is_done() {
        for (outcome, is_done) in [(Released::Done, true), (Released::NotStopped, false), (Released::Overtaken, false)] {
            let (control, mut requests) = ControlHandle::new();
            control.emergency_stop();
            control.note_spin();
            let answer = release(&control);
            // A stop that comes before the answer: what the control thread is asked for knows of the first one alone.
            control.emergency_stop();
            let Some(Request::Release(known, sender)) = requests.next() else { panic!("no release is queued") };
            assert_eq!((known, sender.send(outcome)), (1, Ok(())));
            assert_eq!(futures::executor::block_on(answer).0, is_done, "{outcome:?}");
        }
    }

    #[test]
    fn weights_that_are_not_plastic_are_refused_by_the_kind_of_their_network() {
        let policy = |name: &str| {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/policies").join(name);
            PolicyFile::load(&path).unwrap().0.metadata
        };
        assert_eq!(weights_of(&policy("beetle.safetensors")), Ok(()));
        let error = weights_of(&policy("study/beetle_lstm_11.safetensors")).unwrap_err();
        assert!(error.contains("no plastic weights") && error.contains("`lstm`"), "{error}");
    }
}
