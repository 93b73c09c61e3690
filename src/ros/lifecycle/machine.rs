//! States and transitions, with the numbers and labels of lifecycle_msgs.

/// A state, primary or on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum State {
    Unknown = 0,
    Unconfigured = 1,
    Inactive = 2,
    Active = 3,
    Finalized = 4,
    Configuring = 10,
    CleaningUp = 11,
    ShuttingDown = 12,
    Activating = 13,
    Deactivating = 14,
    ErrorProcessing = 15,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Unknown,
        Self::Unconfigured,
        Self::Inactive,
        Self::Active,
        Self::Finalized,
        Self::Configuring,
        Self::CleaningUp,
        Self::ShuttingDown,
        Self::Activating,
        Self::Deactivating,
        Self::ErrorProcessing,
    ];

    /// The label that `ros2 lifecycle` shows.
    pub fn label(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Unconfigured => "unconfigured",
            Self::Inactive => "inactive",
            Self::Active => "active",
            Self::Finalized => "finalized",
            Self::Configuring => "configuring",
            Self::CleaningUp => "cleaningup",
            Self::ShuttingDown => "shuttingdown",
            Self::Activating => "activating",
            Self::Deactivating => "deactivating",
            Self::ErrorProcessing => "errorprocessing",
        }
    }
}

/// One edge of the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// Its number in lifecycle_msgs.
    pub id: u8,
    /// Its label.
    pub label: &'static str,
    /// From here.
    pub start: State,
    /// To there.
    pub goal: State,
}

/// How a callback ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The goal is reached.
    Success,
    /// Back to where it was.
    Failure,
    /// Something is broken.
    Error,
}

const fn edge(id: u8, label: &'static str, start: State, goal: State) -> Transition {
    Transition { id, label, start, goal }
}

/// Every edge; those that a user may ask for first.
const GRAPH: [Transition; 25] = {
    use State::*;
    [
        edge(1, "configure", Unconfigured, Configuring),
        edge(2, "cleanup", Inactive, CleaningUp),
        edge(3, "activate", Inactive, Activating),
        edge(4, "deactivate", Active, Deactivating),
        edge(5, "shutdown", Unconfigured, ShuttingDown),
        edge(6, "shutdown", Inactive, ShuttingDown),
        edge(7, "shutdown", Active, ShuttingDown),
        edge(10, "transition_success", Configuring, Inactive),
        edge(11, "transition_failure", Configuring, Unconfigured),
        edge(12, "transition_error", Configuring, ErrorProcessing),
        edge(20, "transition_success", CleaningUp, Unconfigured),
        edge(21, "transition_failure", CleaningUp, Inactive),
        edge(22, "transition_error", CleaningUp, ErrorProcessing),
        edge(30, "transition_success", Activating, Active),
        edge(31, "transition_failure", Activating, Inactive),
        edge(32, "transition_error", Activating, ErrorProcessing),
        edge(40, "transition_success", Deactivating, Inactive),
        edge(41, "transition_failure", Deactivating, Active),
        edge(42, "transition_error", Deactivating, ErrorProcessing),
        edge(50, "transition_success", ShuttingDown, Finalized),
        edge(51, "transition_failure", ShuttingDown, Finalized),
        edge(52, "transition_error", ShuttingDown, ErrorProcessing),
        edge(60, "transition_success", ErrorProcessing, Unconfigured),
        edge(61, "transition_failure", ErrorProcessing, Finalized),
        edge(62, "transition_error", ErrorProcessing, Finalized),
    ]
};

/// Edges that a user may ask for.
const REQUESTABLE: usize = 7;

/// A transition that is not possible.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no transition {asked} from the state `{}`; possible are: {possible}", state.label())]
pub struct TransitionError {
    /// What was asked for: its label, or its number.
    pub asked: String,
    /// The present state.
    pub state: State,
    /// Labels of what is possible.
    pub possible: String,
}

/// Where a node is in the graph.
#[derive(Clone, Debug)]
pub struct Machine {
    state: State,
}

impl Default for Machine {
    /// Unconfigured.
    fn default() -> Self {
        Self { state: State::Unconfigured }
    }
}

impl Machine {
    /// The present state.
    pub fn state(&self) -> State {
        self.state
    }

    /// The whole graph.
    pub fn graph() -> &'static [Transition] {
        &GRAPH
    }

    /// What a user may ask for now.
    pub fn available(&self) -> impl Iterator<Item = &'static Transition> {
        let state = self.state;
        GRAPH[..REQUESTABLE].iter().filter(move |transition| transition.start == state)
    }

    /// Begins the transition of this label or, without one, this number.
    ///
    /// # Errors
    /// [`TransitionError`] when it is not possible now; the state stays.
    pub fn begin(&mut self, id: u8, label: &str) -> Result<Transition, TransitionError> {
        // As rclcpp: a label counts before a number, and is what `ros2 lifecycle set` sends beside it.
        let is_meant = |transition: &&&Transition| if label.is_empty() { transition.id == id } else { transition.label == label };
        let Some(transition) = self.available().collect::<Vec<_>>().iter().find(is_meant).map(|found| **found) else {
            let possible: Vec<_> =
                self.available().map(|transition| format!("{} ({})", transition.label, transition.id)).collect();
            let asked = if label.is_empty() { id.to_string() } else { format!("`{label}`") };
            return Err(TransitionError { asked, state: self.state, possible: possible.join(", ") });
        };
        self.state = transition.goal;
        Ok(transition)
    }

    /// Ends the callback of a state on the way. `None` in a primary state, where nothing ends.
    pub fn end(&mut self, outcome: Outcome) -> Option<Transition> {
        let from = |transition: &&Transition| transition.start == self.state;
        let transition = *GRAPH[REQUESTABLE..].iter().filter(from).nth(outcome as usize)?;
        self.state = transition.goal;
        Some(transition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn go(machine: &mut Machine, label: &str, outcome: Outcome) -> State {
        machine.begin(0, label).unwrap();
        machine.end(outcome).unwrap();
        machine.state()
    }

    #[test]
    fn a_life_from_begin_to_end() {
        let mut machine = Machine::default();
        assert_eq!(go(&mut machine, "configure", Outcome::Success), State::Inactive);
        assert_eq!(go(&mut machine, "activate", Outcome::Success), State::Active);
        assert_eq!(go(&mut machine, "deactivate", Outcome::Success), State::Inactive);
        assert_eq!(go(&mut machine, "cleanup", Outcome::Success), State::Unconfigured);
        assert_eq!(go(&mut machine, "shutdown", Outcome::Success), State::Finalized);
        assert_eq!(machine.available().count(), 0);
        assert_eq!(machine.end(Outcome::Success), None);
    }

    #[test]
    fn failures_go_back_and_errors_are_processed() {
        let mut machine = Machine::default();
        assert_eq!(go(&mut machine, "configure", Outcome::Failure), State::Unconfigured);
        assert_eq!(go(&mut machine, "configure", Outcome::Error), State::ErrorProcessing);
        machine.end(Outcome::Success);
        assert_eq!(machine.state(), State::Unconfigured);
        go(&mut machine, "configure", Outcome::Success);
        assert_eq!(go(&mut machine, "activate", Outcome::Failure), State::Inactive);
    }

    #[test]
    fn what_is_not_possible_is_refused_with_what_is() {
        let mut machine = Machine::default();
        let error = machine.begin(3, "").unwrap_err().to_string();
        assert_eq!(error, "no transition 3 from the state `unconfigured`; possible are: configure (1), shutdown (5)");
        assert!(machine.begin(0, "fly").unwrap_err().to_string().contains("`fly`"));
        assert_eq!(machine.state(), State::Unconfigured);
        assert_eq!(machine.begin(5, "").unwrap().goal, State::ShuttingDown);
    }

    #[test]
    fn every_state_on_the_way_has_all_three_outcomes() {
        for state in State::ALL.into_iter().filter(|state| *state as u8 >= 10) {
            let ends: Vec<u8> = GRAPH.iter().filter(|edge| edge.start == state).map(|edge| edge.id % 10).collect();
            assert_eq!(ends, [0, 1, 2], "{state:?}");
        }
    }
}
