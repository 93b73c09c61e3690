//! The simulator's services: requests are checked as far as their text goes, handed to the simulation, and answered when they took effect.

use std::future::Future;
use std::sync::mpsc::Sender;

use futures::channel::oneshot;
use r2r::hebbian_locomotion::srv::{Push, Reset, SetDamage, SetTerrain, Step};
use r2r::std_srvs::srv::SetBool;
use serde::de::DeserializeOwned;

use crate::config::parse_description;
use crate::robot::NameMap;
use crate::ros::convert;
use crate::ros::node::{NodeError, Shell};
use crate::simulation::{Damage, StartPose, Terrain};

/// What a service answers when the node ends before its request took effect.
const ENDING: &str = "the simulator is ending";

/// What services ask of the simulation.
pub enum Action {
    /// Back to the start of the episode of this seed (`None`: of the present one), at this pose.
    Reset(Option<u64>, StartPose),
    /// Whether simulated time stands still.
    Pause(bool),
    /// Control steps during a pause.
    Step(u32),
    /// Another ground.
    Terrain(Terrain),
    /// Other damages.
    Damage(Vec<Damage>),
    /// A push.
    Push(Damage),
}

/// An action and where its outcome goes: what was done, or why not.
pub struct Request {
    /// What is asked.
    pub action: Action,
    /// Who asked; may have gone.
    pub answer: oneshot::Sender<Result<Done, String>>,
}

/// What was done.
#[derive(Clone, Debug, Default)]
pub struct Done {
    /// In words.
    pub message: String,
    /// Seed of the present episode.
    pub seed: u64,
    /// Control steps since the start of the node.
    pub control_steps: u64,
}

/// Hands actions to the simulation.
#[derive(Clone)]
struct Desk(Sender<Request>);

impl Desk {
    /// Hands over `action` (or its refusal) and waits for the outcome.
    fn submit(&self, action: Result<Action, String>) -> impl Future<Output = Result<Done, String>> + use<> {
        let submitted = action.map(|action| {
            let (answer, done) = oneshot::channel();
            // Without a receiver `done` ends at once, and the answer says so.
            let _ = self.0.send(Request { action, answer });
            done
        });
        async { submitted?.await.unwrap_or_else(|_| Err(ENDING.to_owned())) }
    }
}

/// Serves everything that `requests` leads to; `joints` are the robot's.
///
/// # Errors
/// [`NodeError::Ros`] when ROS refuses.
pub fn serve(shell: &mut Shell, requests: Sender<Request>, joints: &[String]) -> Result<(), NodeError> {
    let desk = Desk(requests);
    let mut map = NameMap::new("joint", joints.iter().map(String::as_str));
    let reset = desk.clone();
    shell.serve::<Reset::Service, _>("~/reset", move |request| {
        let pose = convert::start_pose(&request, &mut map).map_err(|error| error.to_string());
        let seed = (!request.keep_seed).then_some(request.seed);
        let outcome = reset.submit(pose.map(|pose| Action::Reset(seed, pose)));
        async {
            let (success, Done { message, seed, .. }) = parts(outcome.await);
            Reset::Response { success, message, seed }
        }
    })?;
    let pause = desk.clone();
    shell.serve::<SetBool::Service, _>("~/pause", move |request| {
        let outcome = pause.submit(Ok(Action::Pause(request.data)));
        async {
            let (success, Done { message, .. }) = parts(outcome.await);
            SetBool::Response { success, message }
        }
    })?;
    let step = desk.clone();
    shell.serve::<Step::Service, _>("~/step", move |request| {
        let outcome = step.submit(Ok(Action::Step(request.steps)));
        async {
            let (success, Done { message, control_steps, .. }) = parts(outcome.await);
            Step::Response { success, message, control_steps }
        }
    })?;
    let terrain = desk.clone();
    shell.serve::<SetTerrain::Service, _>("~/set_terrain", move |request| {
        let outcome = terrain.submit(described(&request.terrain).map(Action::Terrain));
        async {
            let (success, Done { message, .. }) = parts(outcome.await);
            SetTerrain::Response { success, message }
        }
    })?;
    let damage = desk.clone();
    shell.serve::<SetDamage::Service, _>("~/set_damage", move |request| {
        let outcome = damage.submit(described(&request.damage).map(Action::Damage));
        async {
            let (success, Done { message, .. }) = parts(outcome.await);
            SetDamage::Response { success, message }
        }
    })?;
    shell.serve::<Push::Service, _>("~/push", move |request| {
        let outcome = desk.submit(convert::push(&request).map(Action::Push).map_err(|error| error.to_string()));
        async {
            let (success, Done { message, .. }) = parts(outcome.await);
            Push::Response { success, message }
        }
    })
}

fn parts(outcome: Result<Done, String>) -> (bool, Done) {
    match outcome {
        Ok(done) => (true, done),
        Err(message) => (false, Done { message, ..Done::default() }),
    }
}

fn described<T: DeserializeOwned + Default>(text: &str) -> Result<T, String> {
    parse_description(text).map_err(|error| error.to_string())
}
