//! The five services and the topic by which others manage a node.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use r2r::Publisher;
use r2r::lifecycle_msgs::msg::{State as StateMessage, Transition as TransitionMessage, TransitionDescription, TransitionEvent};
use r2r::lifecycle_msgs::srv::{ChangeState, GetAvailableStates, GetAvailableTransitions, GetState};

use super::{Machine, Outcome, State, Transition};
use crate::ros::node::{NodeError, Shell};
use crate::ros::qos;

/// What a managed node does in its transitions. All run on the spin thread.
pub trait Managed {
    /// Reads what the parameters name and makes everything ready.
    ///
    /// # Errors
    /// Why not; the node is then still unconfigured.
    fn configure(&mut self) -> Result<(), NodeError>;

    /// Begins to work.
    ///
    /// # Errors
    /// Why not; the node is then still inactive.
    fn activate(&mut self) -> Result<(), NodeError>;

    /// Stops working. Must do no harm in a node that does not work.
    ///
    /// # Errors
    /// Why not; the node is then still active.
    fn deactivate(&mut self) -> Result<(), NodeError>;

    /// Forgets what `configure` made, also after an error and at the node's end.
    ///
    /// # Errors
    /// Why not; the node is then still inactive.
    fn cleanup(&mut self) -> Result<(), NodeError>;
}

/// A node's lifecycle: the machine, what it manages, and the topic that tells of it.
pub struct Lifecycle {
    machine: Machine,
    managed: Box<dyn Managed>,
    events: Publisher<TransitionEvent>,
}

impl Lifecycle {
    /// Serves the lifecycle of `managed` in `shell`.
    pub fn serve(shell: &mut Shell, managed: Box<dyn Managed>) -> Result<Rc<RefCell<Self>>, NodeError> {
        let events = shell.publisher("~/transition_event", qos::events())?;
        let lifecycle = Rc::new(RefCell::new(Self { machine: Machine::default(), managed, events }));
        let shared = lifecycle.clone();
        shell.serve::<ChangeState::Service, _>("~/change_state", move |request| {
            let asked = request.transition;
            let success = match shared.borrow_mut().change(asked.id, &asked.label) {
                Ok(()) => true,
                Err(error) => {
                    tracing::error!("{error}");
                    false
                }
            };
            std::future::ready(ChangeState::Response { success })
        })?;
        let shared = lifecycle.clone();
        shell.serve::<GetState::Service, _>("~/get_state", move |_| {
            std::future::ready(GetState::Response { current_state: state(shared.borrow().machine.state()) })
        })?;
        shell.serve::<GetAvailableStates::Service, _>("~/get_available_states", |_| {
            std::future::ready(GetAvailableStates::Response { available_states: State::ALL.map(state).into() })
        })?;
        let shared = lifecycle.clone();
        shell.serve::<GetAvailableTransitions::Service, _>("~/get_available_transitions", move |_| {
            let available_transitions = shared.borrow().machine.available().map(description).collect();
            std::future::ready(GetAvailableTransitions::Response { available_transitions })
        })?;
        shell.serve::<GetAvailableTransitions::Service, _>("~/get_transition_graph", |_| {
            let available_transitions = Machine::graph().iter().map(description).collect();
            std::future::ready(GetAvailableTransitions::Response { available_transitions })
        })?;
        Ok(lifecycle)
    }

    /// Makes the transition of this label or, without one, this number.
    ///
    /// # Errors
    /// [`NodeError`] when it is not possible now or fails.
    pub fn change(&mut self, id: u8, label: &str) -> Result<(), NodeError> {
        let begun = self.machine.begin(id, label)?;
        self.tell(&begun);
        let managed = &mut self.managed;
        let work = || match begun.goal {
            State::Configuring => managed.configure(),
            State::Activating => managed.activate(),
            State::Deactivating => managed.deactivate(),
            _ => managed.deactivate().and_then(|()| managed.cleanup()),
        };
        let result = catch_unwind(AssertUnwindSafe(work));
        let outcome = match &result {
            Ok(Ok(())) => Outcome::Success,
            Ok(Err(_)) => Outcome::Failure,
            Err(_) => Outcome::Error,
        };
        self.end(outcome);
        if self.machine.state() == State::ErrorProcessing {
            let cleaned = catch_unwind(AssertUnwindSafe(|| self.managed.deactivate().and_then(|()| self.managed.cleanup())));
            self.end(if matches!(cleaned, Ok(Ok(()))) { Outcome::Success } else { Outcome::Failure });
        }
        tracing::info!("{}: now {}", begun.label, self.machine.state().label());
        result.unwrap_or_else(|_| Err(NodeError::Panicked { thread: begun.label.to_owned() }))
    }

    /// Brings the node to its end, from whichever state.
    pub fn shut_down(&mut self) {
        if self.machine.available().next().is_some() {
            // Shutting down is possible in each state that has transitions.
            let _ = self.change(0, "shutdown");
        }
    }

    fn end(&mut self, outcome: Outcome) {
        if let Some(ended) = self.machine.end(outcome) {
            self.tell(&ended);
        }
    }

    fn tell(&self, made: &Transition) {
        let event = TransitionEvent {
            timestamp: crate::ros::clock::time_of_day() as u64,
            transition: transition(made),
            start_state: state(made.start),
            goal_state: state(made.goal),
        };
        if let Err(error) = self.events.publish(&event) {
            tracing::warn!("a transition could not be published: {error}");
        }
    }
}

fn state(state: State) -> StateMessage {
    StateMessage { id: state as u8, label: state.label().to_owned() }
}

fn transition(transition: &Transition) -> TransitionMessage {
    TransitionMessage { id: transition.id, label: transition.label.to_owned() }
}

fn description(edge: &Transition) -> TransitionDescription {
    TransitionDescription { transition: transition(edge), start_state: state(edge.start), goal_state: state(edge.goal) }
}
