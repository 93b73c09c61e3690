//! What other threads ask of the control thread: a bounded queue that it looks into between two steps.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use futures::channel::oneshot::{Receiver, Sender, channel};
use rtrb::{Consumer, Producer, RingBuffer};

use super::session::{Life, Session, StateError};
use crate::plasticity::{CommandedGate, GateError};
use crate::policy::{RingError, Snapshot};
use crate::safety::{MessageFaults, SENSORS};

/// Requests that can wait for the next step.
const REQUESTS: usize = 64;
/// Time between two looks for an answer.
pub(super) const MOMENT: Duration = Duration::from_millis(1);
/// Never, as the time at which a sensor spoke.
const NEVER: i64 = i64::MIN;

/// One request. What it gives back carries all memory that it brought, so that the control thread frees none.
pub enum Request {
    /// A robot and its policy, passive.
    Configure(Box<Session>),
    /// Gives them back, if there are any and someone still takes them.
    CleanUp(Sender<Option<Box<Session>>>),
    /// Walk, once the sensors are well, if someone still hears that it does.
    Activate(Sender<()>),
    /// No more commands, whether someone still hears it or not.
    Deactivate(Sender<()>),
    /// End a stop, if no emergency stop was asked for since there were so many.
    Release(u64, Sender<Released>),
    /// The same, if the last of them is the parameter's and nothing else had stopped the robot.
    ReleaseOwn(u64),
    /// Another gate.
    Gate(CommandedGate),
    /// New weights of this seed; `None`: of the present one. Answered with the seed.
    Reset(Option<u64>, Sender<u64>),
    /// A copy of the state, in the life of this number.
    Save(u64, Box<Snapshot>, Sender<Returned>),
    /// Another state, in the life of this number.
    Restore(u64, Box<Snapshot>, Sender<Returned>),
    /// The state of so many control steps ago. Answered with how many they are.
    RollBack(u64, Sender<Result<u64, RingError>>),
    /// Another policy for the same robot. Answered with the old one.
    Load(Box<Life>, Sender<Box<Life>>),
}

/// A snapshot that was sent to the control thread, and whether it did with it what was asked.
pub type Returned = (Box<Snapshot>, Result<(), StateError>);

/// What became of a request to end a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Released {
    /// The robot begins as at its start.
    Done,
    /// There was no stop.
    NotStopped,
    /// An emergency stop came after the request: it stays stopped.
    Overtaken,
}

/// Why the control thread did not do what it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// It did not answer in time.
    #[error("the control thread did not answer in time; ask again")]
    Busy,
    /// There is none.
    #[error("the control thread has ended; start the node again")]
    Ended,
}

/// What all threads of a policy node share with its control thread.
pub struct Shared {
    /// The control thread has the other end: it shares no lock.
    requests: Mutex<Producer<Request>>,
    thread: OnceLock<Thread>,
    is_closed: AtomicBool,
    /// Emergency stops asked for so far.
    emergency_stops: AtomicU64,
    /// Which of them is the parameter's, while it alone holds the robot; 0 for none.
    parameter_stop: AtomicU64,
    /// The last of them when a stop was ended.
    released: AtomicU64,
    /// So many of the emergency stops may be known to who asks for a release.
    releasable: AtomicU64,
    /// Whether a release was asked for in the present spin.
    has_release: AtomicBool,
    /// Raised whenever older commands must no longer be published.
    fence: AtomicU64,
    /// Whether the commanding thread is about to publish a command.
    is_publishing: AtomicBool,
    /// How often the robot began as at its start.
    starts: AtomicU64,
    /// Layers of the network; 0 while the node is unconfigured.
    layers: AtomicUsize,
    present_gate: AtomicU32,
    /// Every how many steps the weights are published; 0 for never.
    pub weights_every: AtomicU32,
    /// Whether the weights of the next step are wanted.
    pub weights_wanted: AtomicBool,
    /// When each sensor spoke last \[ns, steady clock\].
    received: [AtomicI64; SENSORS.len()],
    /// Messages found wrong, as [`MessageFaults`].
    faults: [AtomicU64; 4],
}

/// The handle to a control thread.
#[derive(Clone)]
pub struct ControlHandle(Arc<Shared>);

impl std::ops::Deref for ControlHandle {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// The control thread's end of the queue of requests. To look into it never waits, whatever becomes of the thread that fills it.
pub struct Requests(Consumer<Request>);

impl Requests {
    /// The oldest request.
    pub fn next(&mut self) -> Option<Request> {
        self.0.pop().ok()
    }
}

impl ControlHandle {
    /// A handle, and what the thread needs that it is a handle to.
    pub fn new() -> (Self, Requests) {
        let (requests, queued) = RingBuffer::new(REQUESTS);
        let shared = Shared {
            requests: Mutex::new(requests),
            thread: OnceLock::new(),
            is_closed: AtomicBool::new(false),
            emergency_stops: AtomicU64::new(0),
            parameter_stop: AtomicU64::new(0),
            released: AtomicU64::new(0),
            releasable: AtomicU64::new(0),
            has_release: AtomicBool::new(false),
            fence: AtomicU64::new(0),
            is_publishing: AtomicBool::new(false),
            starts: AtomicU64::new(0),
            layers: AtomicUsize::new(0),
            present_gate: AtomicU32::new(1f32.to_bits()),
            weights_every: AtomicU32::new(0),
            weights_wanted: AtomicBool::new(false),
            received: std::array::from_fn(|_| AtomicI64::new(NEVER)),
            faults: std::array::from_fn(|_| AtomicU64::new(0)),
        };
        (Self(Arc::new(shared)), Requests(queued))
    }
}

impl Shared {
    /// Names the thread to wake.
    pub fn set_thread(&self, thread: Thread) {
        // It is set once.
        let _ = self.thread.set(thread);
    }

    /// Wakes the control thread.
    pub fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    /// Queues a request. False when the queue is full or the thread has ended; the request is then dropped.
    pub fn send(&self, request: Request) -> bool {
        let mut queue = self.queue();
        let is_queued = !self.is_closed() && queue.push(request).is_ok();
        drop(queue);
        self.wake();
        is_queued
    }

    /// Queues the request that `make` makes of a channel for its answer. The answer is cancelled when the queue is full or the node
    /// unconfigured.
    pub fn ask<T>(&self, make: impl FnOnce(Sender<T>) -> Request) -> Receiver<T> {
        let (sender, receiver) = channel();
        self.send(make(sender));
        receiver
    }

    /// Asks and waits. What was not answered within `patience` is withdrawn: nothing begins to move after that.
    ///
    /// # Errors
    /// [`Unanswered`] when it was not done.
    pub fn insist<T>(&self, make: impl Fn(Sender<T>) -> Request, patience: Duration) -> Result<T, Unanswered> {
        let begin = Instant::now();
        let mut answer = self.ask(&make);
        loop {
            let is_late = self.is_closed() || begin.elapsed() >= patience;
            if is_late {
                // Only what was answered before this is done.
                answer.close();
            }
            match answer.try_recv() {
                Ok(Some(answer)) => return Ok(answer),
                _ if is_late => return Err(if self.is_closed() { Unanswered::Ended } else { Unanswered::Busy }),
                Ok(None) => {}
                // The queue was full.
                Err(_) => answer = self.ask(&make),
            }
            std::thread::sleep(MOMENT);
        }
    }

    fn queue(&self) -> MutexGuard<'_, Producer<Request>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that no thread answers `requests` any more; those that wait are dropped with the channels for their answers.
    pub fn close(&self, requests: &mut Requests) {
        // Nothing is queued between the two.
        let _queue = self.queue();
        self.is_closed.store(true, Ordering::SeqCst);
        while requests.next().is_some() {}
    }

    /// Whether no thread answers any more.
    pub fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::SeqCst)
    }

    /// Stops the robot, whatever waits in the queue.
    pub fn emergency_stop(&self) {
        self.emergency_stops.fetch_add(1, Ordering::SeqCst);
        self.wake();
    }

    /// The same, as the parameter says. All emergency stops are asked for on the spin thread.
    pub fn stop_by_parameter(&self) {
        let before = self.emergency_stops();
        // Of a robot that another stop holds the parameter ends nothing.
        let is_alone = [&self.released, &self.parameter_stop].iter().any(|stop| stop.load(Ordering::SeqCst) == before);
        self.parameter_stop.store(if is_alone { before + 1 } else { 0 }, Ordering::SeqCst);
        self.emergency_stop();
    }

    /// Asks for the end of the parameter's own stop, if that holds.
    pub fn release_by_parameter(&self) {
        let own = self.parameter_stop.load(Ordering::SeqCst);
        if own != 0 {
            self.send(Request::ReleaseOwn(own));
        }
    }

    /// Whether the parameter's stop of this number holds the robot, and nothing else.
    pub fn is_parameters(&self, stop: u64) -> bool {
        self.parameter_stop.load(Ordering::SeqCst) == stop
    }

    /// Says that what stopped the robot before an emergency stop still holds it: the parameter's stop is not alone.
    pub fn disown_stop(&self) {
        self.parameter_stop.store(0, Ordering::SeqCst);
    }

    /// Says that a stop was ended when the last emergency stop was that of this number. What stops the robot from then on is not the parameter's
    /// to end.
    pub fn note_release(&self, known: u64) {
        self.released.store(known, Ordering::SeqCst);
        let _ = self.parameter_stop.compare_exchange(known, 0, Ordering::SeqCst, Ordering::SeqCst);
    }

    /// Emergency stops asked for so far.
    pub fn emergency_stops(&self) -> u64 {
        self.emergency_stops.load(Ordering::SeqCst)
    }

    /// Says that all that a spin took was handled: who asks for a release from now on may know of the stops until now.
    pub fn note_spin(&self) {
        // Of several releases that wait, a spin takes one: those behind it may be older than a stop that came meanwhile.
        if !self.has_release.swap(false, Ordering::SeqCst) {
            self.releasable.store(self.emergency_stops(), Ordering::SeqCst);
        }
    }

    /// Asks for the end of the present stop, but of none that may be younger than the request: neither the queue nor the order in which a
    /// spin takes what waits must undo it. On the spin thread.
    pub fn ask_release(&self) -> Receiver<Released> {
        self.has_release.store(true, Ordering::SeqCst);
        let known = self.releasable.load(Ordering::SeqCst);
        self.ask(|answer| Request::Release(known, answer))
    }

    /// Says that commands made so far must no longer be published.
    pub fn raise_fence(&self) {
        self.fence.fetch_add(1, Ordering::SeqCst);
    }

    /// The fence that a command is made within.
    pub fn fence(&self) -> u64 {
        self.fence.load(Ordering::SeqCst)
    }

    /// Calls `publish` unless the fence was raised since `fence`. On the commanding thread.
    pub fn publish_within(&self, fence: u64, publish: impl FnOnce()) {
        // Announced before the look at the fence: who raises it first and looks for this then, misses nothing.
        self.is_publishing.store(true, Ordering::SeqCst);
        if self.fence() == fence {
            publish();
        }
        self.is_publishing.store(false, Ordering::SeqCst);
    }

    /// Whether the commanding thread may be about to publish a command.
    pub fn is_publishing(&self) -> bool {
        self.is_publishing.load(Ordering::SeqCst)
    }

    /// Says that the robot begins as at its start.
    pub fn note_start(&self) {
        self.starts.fetch_add(1, Ordering::Relaxed);
    }

    /// How often it has.
    pub fn starts(&self) -> u64 {
        self.starts.load(Ordering::Relaxed)
    }

    /// Says how many layers the network has; 0: there is none.
    pub fn set_layers(&self, layers: usize) {
        self.layers.store(layers, Ordering::Relaxed);
    }

    /// Asks for `gate` from the next step on; the newest request wins. False when the node is unconfigured or the queue full.
    ///
    /// # Errors
    /// [`GateError::Layers`] when it names another number of layers.
    pub fn request_gate(&self, gate: impl Into<CommandedGate>) -> Result<bool, GateError> {
        let (gate, layers) = (gate.into(), self.layers.load(Ordering::Relaxed));
        if layers == 0 {
            return Ok(false);
        }
        gate.check(layers)?;
        let lowest = (0..layers).map(|layer| gate.value(layer)).fold(1.0, f32::min);
        let is_queued = self.send(Request::Gate(gate));
        if is_queued {
            // Who asks next is told of this one, also before the control thread has seen it.
            self.set_present_gate(lowest);
        }
        Ok(is_queued)
    }

    /// What is commanded of the gate; of layers with different ones the lowest.
    pub fn present_gate(&self) -> f32 {
        f32::from_bits(self.present_gate.load(Ordering::Relaxed))
    }

    /// Says what is commanded of the gate.
    pub fn set_present_gate(&self, gate: f32) {
        self.present_gate.store(gate.to_bits(), Ordering::Relaxed);
    }

    /// Says that a sensor spoke.
    pub fn note_received(&self, sensor: usize, now: i64) {
        if let Some(received) = self.received.get(sensor) {
            received.store(now, Ordering::Release);
        }
    }

    /// Forgets that sensors spoke: at the beginning of a session.
    pub fn forget_sensors(&self) {
        self.received.iter().for_each(|received| received.store(NEVER, Ordering::Release));
    }

    /// When each sensor spoke last \[ns, steady clock\].
    pub fn received(&self) -> [Option<i64>; 3] {
        std::array::from_fn(|sensor| Some(self.received[sensor].load(Ordering::Acquire)).filter(|&time| time != NEVER))
    }

    /// Says what was wrong with messages so far.
    pub fn set_faults(&self, faults: MessageFaults) {
        let values = [faults.refused, faults.not_finite, faults.reordered, faults.clock_jumps];
        self.faults.iter().zip(values).for_each(|(fault, value)| fault.store(value, Ordering::Relaxed));
    }

    /// What was wrong with messages so far.
    pub fn faults(&self) -> MessageFaults {
        let [refused, not_finite, reordered, clock_jumps] =
            std::array::from_fn(|index| self.faults[index].load(Ordering::Relaxed));
        MessageFaults { refused, not_finite, reordered, clock_jumps }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plasticity::Gate;

    #[test]
    fn a_release_knows_only_the_stops_before_it() {
        let (control, mut requests) = ControlHandle::new();
        control.emergency_stop();
        control.note_spin();
        let _answer = control.ask_release();
        control.emergency_stop();
        let Some(Request::Release(known, _)) = requests.next() else { panic!("no release is queued") };
        assert_eq!((known, control.emergency_stops()), (1, 2));
    }

    #[test]
    fn releases_that_waited_with_a_stop_do_not_end_it_in_whatever_order_they_are_taken() {
        let (control, mut requests) = ControlHandle::new();
        // The stop may be the last of all that waited. It is taken first, and the second release one spin after it.
        control.emergency_stop();
        let _first = control.ask_release();
        control.note_spin();
        let _second = control.ask_release();
        control.note_spin();
        // Who asks after that had time to hear of the stop.
        control.note_spin();
        let _third = control.ask_release();
        let mut known = Vec::new();
        while let Some(Request::Release(stops, _)) = requests.next() {
            known.push(stops);
        }
        assert_eq!((known, control.emergency_stops()), (vec![0, 0, 1], 1));
    }

    #[test]
    fn the_parameter_asks_for_no_release_but_that_of_its_own_stop() {
        let (control, mut requests) = ControlHandle::new();
        control.emergency_stop();
        control.release_by_parameter();
        assert!(requests.next().is_none(), "the stop is not the parameter's");
        // Nor is one that the parameter's came on top of.
        control.stop_by_parameter();
        control.release_by_parameter();
        assert!(requests.next().is_none(), "the robot was stopped before");
        control.note_release(control.emergency_stops());
        control.stop_by_parameter();
        control.stop_by_parameter();
        control.emergency_stop();
        control.release_by_parameter();
        // The control thread leaves a robot stopped that was stopped again since.
        let Some(Request::ReleaseOwn(known)) = requests.next() else { panic!("no release is queued") };
        assert_eq!((known, control.emergency_stops()), (4, 5));
    }

    #[test]
    fn what_was_not_answered_in_time_is_withdrawn() {
        let (control, mut requests) = ControlHandle::new();
        assert_eq!(control.insist(Request::Activate, Duration::from_millis(5)), Err(Unanswered::Busy));
        let Some(Request::Activate(answer)) = requests.next() else { panic!("nothing is queued") };
        assert!(answer.send(()).is_err(), "a robot that nobody waits for any more would walk");
        control.close(&mut requests);
        assert_eq!(control.insist(Request::Activate, Duration::from_secs(60)), Err(Unanswered::Ended));
    }

    #[test]
    fn a_full_queue_is_asked_again_until_there_is_room() {
        let (control, mut requests) = ControlHandle::new();
        while control.send(Request::Gate(Gate::OPEN.into())) {}
        let thread = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            loop {
                match requests.next() {
                    Some(Request::Deactivate(answer)) => return answer.send(()),
                    _ => std::thread::yield_now(),
                }
            }
        });
        assert_eq!(control.insist(Request::Deactivate, Duration::from_secs(60)), Ok(()));
        assert_eq!(thread.join().ok(), Some(Ok(())));
    }

    #[test]
    fn commands_from_before_a_fence_stay_unpublished() {
        let (control, _requests) = ControlHandle::new();
        let (before, mut published) = (control.fence(), Vec::new());
        control.publish_within(before, || published.push("walk"));
        control.raise_fence();
        control.publish_within(before, || published.push("walk on"));
        control.publish_within(control.fence(), || published.push("hold"));
        assert_eq!(published, ["walk", "hold"]);
        assert!(!control.is_publishing());
    }
}
