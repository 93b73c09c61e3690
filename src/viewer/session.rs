//! One browser's WebSocket, from the upgrade to the reason why it closed.

use std::time::{Duration, Instant};

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::board::{Board, Call, Watcher};
use super::protocol::{Answer, Request};
use super::services::{EMERGENCY_STOP, RELEASE};

/// A browser that takes nothing for this long is gone.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest wait for a service.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// Calls of one browser that can wait for their answers, emergency stops and releases not counted.
const CALLS: usize = 16;
/// Answers to emergency stops, releases and refused calls that can wait for a browser: more than it may cause until it counts as gone.
const URGENT: usize = 1024;
/// Longest wait until a browser that is refused has read why.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(2);
/// Messages that a browser may send at once, and how many more each second: far beyond what hands can do.
const BURST: u32 = 60;
const REFILL: Duration = Duration::from_millis(20);

/// Why a connection is closed by the server.
struct Reason {
    code: u16,
    text: String,
}

/// Where answers go. Urgent ones have places of their own, which no call that waits for a service takes.
struct Answers {
    /// To calls that wait for a service.
    calls: mpsc::Sender<Answer>,
    /// To emergency stops and releases, and to calls that are refused at once.
    urgent: mpsc::Sender<Answer>,
}

impl Answers {
    fn new() -> (Self, Waiting) {
        let (calls, waiting_calls) = mpsc::channel(CALLS);
        let (urgent, waiting_urgent) = mpsc::channel(URGENT);
        (Self { calls, urgent }, Waiting { calls: waiting_calls, urgent: waiting_urgent })
    }

    /// Answers a call at once with the error `why`. `Err`: the browser takes no answers.
    fn refuse(&self, id: u32, why: String) -> Result<(), Reason> {
        let text = "too many answers were not taken";
        let sent = self.urgent.try_send(Answer::new(id, Err(why)));
        sent.map_err(|_| Reason { code: close_code::POLICY, text: text.to_owned() })
    }
}

/// Answers that are on their way to the browser.
struct Waiting {
    calls: mpsc::Receiver<Answer>,
    urgent: mpsc::Receiver<Answer>,
}

impl Waiting {
    /// The next answer, urgent ones first; `None` when there will be none any more.
    async fn next(&mut self) -> Option<Answer> {
        tokio::select! {
            biased;
            Some(answer) = self.urgent.recv() => Some(answer),
            Some(answer) = self.calls.recv() => Some(answer),
            else => None,
        }
    }
}

/// Closes a connection for which there is no room, with a reason.
pub async fn refuse(mut socket: WebSocket, reason: &str) {
    let close = Message::Close(Some(CloseFrame { code: close_code::AGAIN, reason: short(reason).into() }));
    let farewell = async {
        // Whoever closes before the other side has answered may take the reason back.
        if socket.send(close).await.is_ok() {
            while let Some(Ok(_)) = socket.recv().await {}
        }
    };
    let _ = timeout(REFUSAL_TIMEOUT, farewell).await;
}

/// Serves one browser until it leaves or breaks a rule.
pub async fn run(socket: WebSocket, board: Board) {
    let (mut sink, stream) = socket.split();
    let (answers, mut waiting) = Answers::new();
    let reason = tokio::select! {
        // A frame that is half sent when the other side breaks a rule does not matter: the connection ends.
        () = send(&mut sink, board.watch(), &mut waiting) => None,
        reason = receive(stream, &board, answers) => reason,
    };
    if let Some(Reason { code, text }) = reason {
        let close = Message::Close(Some(CloseFrame { code, reason: text.into() }));
        let _ = timeout(SEND_TIMEOUT, sink.send(close)).await;
    }
    let _ = timeout(SEND_TIMEOUT, sink.close()).await;
}

/// Sends frames and answers until the browser takes no more or the board is gone.
async fn send(sink: &mut SplitSink<WebSocket, Message>, mut frames: Watcher, answers: &mut Waiting) {
    loop {
        let messages: Vec<Message> = tokio::select! {
            Some(answer) = answers.next() => match serde_json::to_string(&answer) {
                Ok(text) => vec![Message::Text(text.into())],
                Err(_) => continue,
            },
            frames = frames.next() => match frames {
                Some(frames) => frames.into_iter().map(Message::from).collect(),
                None => return,
            },
        };
        for message in messages {
            if !matches!(timeout(SEND_TIMEOUT, sink.send(message)).await, Ok(Ok(()))) {
                return;
            }
        }
    }
}

/// Takes requests until the browser leaves (`None`) or breaks a rule.
async fn receive(mut stream: SplitStream<WebSocket>, board: &Board, answers: Answers) -> Option<Reason> {
    let mut allowance = Allowance::new(Instant::now());
    loop {
        let message = match stream.next().await? {
            Ok(message) => message,
            // Broken or too large frames; axum has told the browser which where it can.
            Err(error) => return Some(Reason { code: close_code::PROTOCOL, text: short(&error.to_string()) }),
        };
        if !allowance.take(Instant::now()) {
            return Some(Reason { code: close_code::POLICY, text: "too many messages".to_owned() });
        }
        match message {
            Message::Text(text) => match serde_json::from_str(&text) {
                Ok(Request::Call { id, service, request }) => {
                    if let Err(reason) = call(board, &answers, id, service, request) {
                        return Some(reason);
                    }
                }
                Err(error) => return Some(Reason { code: close_code::INVALID, text: short(&error.to_string()) }),
            },
            Message::Binary(_) => {
                return Some(Reason { code: close_code::UNSUPPORTED, text: "only text is understood".to_owned() });
            }
            Message::Ping(_) | Message::Pong(_) => {}
            Message::Close(_) => return None,
        }
    }
}

/// Hands a call on, and its answer back when it comes; never waits. Of calls beyond those that may wait only an emergency stop and a release
/// are handed on. `Err`: the browser takes no answers.
fn call(board: &Board, answers: &Answers, id: u32, service: String, request: serde_json::Value) -> Result<(), Reason> {
    let is_stop = service == EMERGENCY_STOP;
    let places = if is_stop || service == RELEASE { &answers.urgent } else { &answers.calls };
    // The place for the answer is taken first: who does not fetch answers gets none, but stops the robot all the same.
    let place = places.clone().try_reserve_owned().ok();
    if place.is_none() && !is_stop {
        return answers.refuse(id, format!("{CALLS} calls of this page wait for their answers already; try again"));
    }
    let (answer, result) = oneshot::channel();
    if board.call(Call { service, request, answer }).is_err() {
        drop(place);
        return answers.refuse(id, "the viewer is busy; try again".to_owned());
    }
    tokio::spawn(async move {
        let result = match timeout(CALL_TIMEOUT, result).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err("the viewer is ending".to_owned()),
            Err(_) => Err(format!("no answer within {} s", CALL_TIMEOUT.as_secs())),
        };
        if let Some(place) = place {
            place.send(Answer::new(id, result));
        }
    });
    Ok(())
}

/// At most 123 bytes, which is what a close frame has room for.
fn short(text: &str) -> String {
    let end = (0..=123.min(text.len())).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    text[..end].to_owned()
}

/// How many messages a browser may still send.
struct Allowance {
    left: u32,
    refilled: Instant,
}

impl Allowance {
    fn new(now: Instant) -> Self {
        Self { left: BURST, refilled: now }
    }

    fn take(&mut self, now: Instant) -> bool {
        let elapsed = now.saturating_duration_since(self.refilled);
        let periods = (elapsed.as_nanos() / REFILL.as_nanos()).min(u128::from(BURST)) as u32;
        if periods > 0 {
            self.refilled = now;
            self.left = (self.left + periods).min(BURST);
        }
        let allowed = self.left > 0;
        self.left = self.left.saturating_sub(1);
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_allowed_and_refills_with_time() {
        let start = Instant::now();
        let mut allowance = Allowance::new(start);
        assert!((0..BURST).all(|_| allowance.take(start)));
        assert!(!allowance.take(start));
        assert_eq!((0..5).filter(|_| allowance.take(start + 3 * REFILL)).count(), 3);
    }

    #[test]
    fn reasons_fit_into_a_close_frame() {
        assert_eq!(short("fine"), "fine");
        assert_eq!(short(&"ä".repeat(100)).len(), 122);
    }
}
