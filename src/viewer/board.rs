//! The latest frame of each kind, for any number of browsers, and the calls that come back from them.

use axum::body::Bytes;
use axum::extract::ws::{Message, Utf8Bytes};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};

/// Calls that can wait for the node.
const CALLS: usize = 64;

/// What a frame is about. A newer frame of a kind replaces the older one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The robot's description (URDF).
    Description,
    /// Names of joints and feet, in the order of the states.
    Names,
    /// What the weights mean.
    Layout,
    /// Weights of undisturbed episodes, to compare with.
    Reference,
    /// Which services are offered.
    Services,
    /// The ground around the robot.
    Ground,
    /// The robot at one instant.
    State,
    /// All weights at one instant.
    Weights,
}

const KINDS: usize = 8;

/// One message to browsers, made once for all of them.
#[derive(Clone, Debug, PartialEq)]
pub enum Frame {
    /// JSON.
    Text(Utf8Bytes),
    /// A binary frame of [`super::protocol`].
    Binary(Bytes),
}

impl From<Frame> for Message {
    fn from(frame: Frame) -> Self {
        match frame {
            Frame::Text(text) => Self::Text(text),
            Frame::Binary(bytes) => Self::Binary(bytes),
        }
    }
}

/// A service call from a browser.
#[derive(Debug)]
pub struct Call {
    /// Name of the service, as in the frame of [`Kind::Services`].
    pub service: String,
    /// The request's fields.
    pub request: Value,
    /// Takes the response's fields, or why there is none.
    pub answer: oneshot::Sender<Result<Value, String>>,
}

#[derive(Clone, Debug, Default)]
struct Slot {
    version: u64,
    frame: Option<Frame>,
}

/// Where the node posts frames. Cloning it is cheap; all clones are one board.
#[derive(Clone, Debug)]
pub struct Board {
    slots: watch::Sender<[Slot; KINDS]>,
    calls: mpsc::Sender<Call>,
}

impl Board {
    /// An empty board, and the receiving end of calls.
    pub fn new() -> (Self, mpsc::Receiver<Call>) {
        let (calls, receiver) = mpsc::channel(CALLS);
        (Self { slots: watch::Sender::new(Default::default()), calls }, receiver)
    }

    /// Whether anybody watches: nothing needs to be made when nobody does.
    pub fn is_watched(&self) -> bool {
        self.slots.receiver_count() > 0
    }

    /// Whether there is a frame of a kind, for whoever comes next.
    pub fn holds(&self, kind: Kind) -> bool {
        self.slots.borrow()[kind as usize].frame.is_some()
    }

    /// Posts a frame, in place of the last one of its kind. Never waits for a browser.
    pub fn post(&self, kind: Kind, frame: Frame) {
        self.slots.send_modify(|slots| {
            let slot = &mut slots[kind as usize];
            slot.version += 1;
            slot.frame = Some(frame);
        });
    }

    /// Takes the frame of a kind away: it holds no longer.
    pub fn clear(&self, kind: Kind) {
        self.slots.send_modify(|slots| slots[kind as usize].frame = None);
    }

    /// Posts JSON.
    pub fn post_json(&self, kind: Kind, value: &impl serde::Serialize) {
        // Fails only for maps whose keys are no text, of which the protocol has none.
        if let Ok(text) = serde_json::to_string(value) {
            self.post(kind, Frame::Text(text.into()));
        }
    }

    /// Hands a call to the node. `Err`: too many wait already, or the node ends.
    pub fn call(&self, call: Call) -> Result<(), Call> {
        self.calls.try_send(call).map_err(|error| match error {
            mpsc::error::TrySendError::Full(call) | mpsc::error::TrySendError::Closed(call) => call,
        })
    }

    /// The frames from now on, beginning with the latest of each kind. Where nobody watched before, [`Kind::State`] and [`Kind::Weights`] are
    /// not among them: they tell of an instant, and nothing newer was made since.
    pub fn watch(&self) -> Watcher {
        if !self.is_watched() {
            self.clear(Kind::State);
            self.clear(Kind::Weights);
        }
        let mut slots = self.slots.subscribe();
        slots.mark_changed();
        Watcher { slots, sent: [0; KINDS] }
    }
}

/// One browser's view of a board.
#[derive(Debug)]
pub struct Watcher {
    slots: watch::Receiver<[Slot; KINDS]>,
    sent: [u64; KINDS],
}

impl Watcher {
    /// Waits for frames that this watcher has not had yet; the latest of each kind, in the order of [`Kind`]. `None`: the board is gone.
    pub async fn next(&mut self) -> Option<Vec<Frame>> {
        loop {
            self.slots.changed().await.ok()?;
            let slots = self.slots.borrow_and_update();
            let mut frames = Vec::new();
            for (slot, sent) in slots.iter().zip(&mut self.sent) {
                if slot.version > *sent {
                    *sent = slot.version;
                    frames.extend(slot.frame.clone());
                }
            }
            drop(slots);
            if !frames.is_empty() {
                return Some(frames);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Frame {
        Frame::Text(text.to_owned().into())
    }

    #[tokio::test]
    async fn a_slow_watcher_gets_the_latest_of_each_kind_and_a_late_one_too() {
        let (board, _calls) = Board::new();
        assert!(!board.is_watched());
        let mut slow = board.watch();
        assert!(board.is_watched());
        for number in 0..1000 {
            board.post(Kind::State, text(&number.to_string()));
        }
        board.post(Kind::Names, text("names"));
        assert_eq!(slow.next().await, Some(vec![text("names"), text("999")]));
        assert_eq!(board.watch().next().await, Some(vec![text("names"), text("999")]));
        board.post(Kind::State, text("1000"));
        assert_eq!(slow.next().await, Some(vec![text("1000")]));
        drop(board);
        assert_eq!(slow.next().await, None);
    }

    #[tokio::test]
    async fn an_instant_that_was_posted_before_all_left_is_not_shown_to_who_comes_next() {
        let (board, _calls) = Board::new();
        let first = board.watch();
        for kind in [Kind::Names, Kind::State, Kind::Weights] {
            board.post(kind, text("old"));
        }
        let second = board.watch();
        assert!(board.holds(Kind::State) && board.holds(Kind::Weights));
        drop((first, second));
        let mut late = board.watch();
        assert!(board.holds(Kind::Names) && !board.holds(Kind::State) && !board.holds(Kind::Weights));
        assert_eq!(late.next().await, Some(vec![text("old")]));
        board.post(Kind::State, text("new"));
        assert_eq!(late.next().await, Some(vec![text("new")]));
    }

    #[test]
    fn calls_beyond_what_the_node_can_take_come_back() {
        let (board, calls) = Board::new();
        let call = || Call { service: "s".into(), request: Value::Null, answer: oneshot::channel().0 };
        assert!((0..CALLS).all(|_| board.call(call()).is_ok()));
        assert_eq!(board.call(call()).unwrap_err().service, "s");
        drop(calls);
        assert!(board.call(call()).is_err());
    }
}
