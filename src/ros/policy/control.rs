//! The control thread: one policy step per control period, and nothing that could make it wait.

use std::time::Duration;

use super::report::{PlasticityReport, SafetyReport};
use super::requests::{ControlHandle, Released, Request, Requests};
use super::session::{Life, Session, Trigger};
use crate::policy::Policy;
use crate::robot::Stamp;
use crate::ros::clock::steady_now;
use crate::ros::realtime::Realtime;
use crate::ros::stop::Stop;
use crate::safety::{FaultKind, Phase, Proposal, SENSORS, Sensors, Supervisor};

/// Longest time that the thread sleeps without looking for a stop request.
const STOP_LATENCY: i64 = 20_000_000;

/// The control thread's world: a session, while the node is configured.
pub struct Control {
    handle: ControlHandle,
    requests: Requests,
    session: Option<Box<Session>>,
    /// Whether an emergency stop holds that no session knows of.
    is_stopped: bool,
    /// Emergency stops served so far.
    stops: u64,
}

/// One control step, as far as it is known before it begins.
#[derive(Clone, Copy)]
struct Due {
    /// When it was to begin \[ns\].
    at: i64,
    /// Whether there are sensor values to step on; else it only watches over the robot.
    is_new: bool,
    /// Whether the step comes late.
    is_late: bool,
    /// When each sensor spoke last, as known before its values were taken \[ns\].
    received: [Option<i64>; SENSORS.len()],
}

impl Control {
    /// A control thread without a session, that does what `handle` asks by `requests`.
    pub fn new(handle: ControlHandle, requests: Requests) -> Self {
        Self { handle, requests, session: None, is_stopped: false, stops: 0 }
    }

    /// Steps until a stop is requested; returns what there was to drive.
    pub fn run(&mut self, realtime: &Realtime, stop: &Stop) -> Option<Box<Session>> {
        for refused in realtime.apply() {
            tracing::warn!("{refused}");
        }
        while !stop.is_requested() {
            self.serve();
            match self.session.as_ref().map(|session| session.trigger) {
                None => park(STOP_LATENCY),
                Some(Trigger::Sensors) => self.on_sensors(),
                Some(Trigger::Timer) => self.on_timer(),
            }
        }
        self.session.take()
    }

    /// Says that it does nothing more of what is asked.
    pub fn close(mut self) {
        self.handle.close(&mut self.requests);
    }

    /// Steps when a complete set of sensor values has come; watches when none comes.
    fn on_sensors(&mut self) {
        let now = steady_now();
        let Some(session) = self.session.as_deref_mut() else { return };
        if session.frames.update() {
            session.has_frame = true;
            let stamp = session.frames.output_buffer().stamp;
            if session.last_stamp == Some(stamp) && session.answered {
                // The simulator repeats its sensor values when the command got lost: send it again, without a step.
                return session.life.commands.send(stamp, self.handle.fence(), &session.command);
            }
            let missed = session.last_stamp.map_or(0, |last| missed_between(last, stamp, session.period));
            session.missed += missed;
            session.last_stamp = Some(stamp);
            session.next_watch = now + session.period.max(session.life.supervisor.sensor_timeout());
            // Asked after the set: its own age counts as well.
            let received = self.handle.received();
            let arrived = received.into_iter().flatten().max().unwrap_or(now);
            self.step(Due { at: arrived, is_new: true, is_late: missed > 0, received });
        } else if now >= session.next_watch {
            session.next_watch = now + session.period;
            self.watch(now);
        } else {
            // The spin thread wakes this one with every frame.
            park(session.next_watch - now);
        }
    }

    /// Steps when the steady clock says so, on the latest sensor values.
    fn on_timer(&mut self) {
        let now = steady_now();
        let Some(session) = self.session.as_deref_mut() else { return };
        if now < session.deadline {
            // A sensor's silence is not waited out until the next step.
            let silent = session.life.supervisor.silent_at(self.handle.received()).unwrap_or(i64::MAX);
            if now < silent {
                return park(session.deadline.min(silent) - now);
            }
            return self.watch(now);
        }
        let received = latest(session, || self.handle.received());
        let (at, late) = (session.deadline, now - session.deadline);
        // Deadlines stay on their grid; those that passed are left out rather than caught up in a burst.
        let passed = if session.deadline == 0 { 0 } else { late / session.period };
        session.deadline = if session.deadline == 0 { now + session.period } else { at + (passed + 1) * session.period };
        session.missed += passed as u64;
        let at = if at == 0 { now } else { at };
        let due = Due { at, is_new: session.has_frame, is_late: passed > 0 || now - at > session.period / 2, received };
        self.step(due);
    }

    /// Looks after the robot between two steps.
    fn watch(&mut self, now: i64) {
        let received = self.handle.received();
        self.step(Due { at: now, is_new: false, is_late: false, received });
    }

    /// One control step: the supervisor looks, the policy proposes, the supervisor commands.
    fn step(&mut self, due: Due) {
        let Some(session) = self.session.as_deref_mut() else { return };
        let begin = steady_now();
        let Life { policy, supervisor, ring, commands, outbox, .. } = &mut *session.life;
        let (needed, mut received) = (supervisor.needed(), due.received);
        // A sensor that nobody needs makes nothing old.
        received.iter_mut().zip(needed).for_each(|(received, needed)| *received = received.filter(|_| needed));
        let mut ages = received.map(|received| received.map(|received| (begin - received).max(0)));
        if !session.has_frame && ages.iter().zip(needed).all(|(age, needed)| age.is_some() || !needed) {
            // All have spoken, but never of one instant.
            ages[0] = None;
        }
        let frame = session.frames.output_buffer();
        if session.trigger == Trigger::Sensors && session.has_frame {
            // Sensors that speak, but no longer of one instant, are as old as the last instant of which all did.
            let age = (begin - frame.oldest_received).max(0);
            ages = ages.map(|own| own.map(|own| own.max(age)));
        }
        let sensors = Sensors { state: &frame.state, ages, faults: self.handle.faults() };
        if due.is_new {
            // A command that is not out when the next one is made was in vain as much as one that is made too late.
            supervisor.note_lateness(due.is_late || commands.is_waiting());
        }
        let (mut refused, mut has_stepped) = (None, false);
        let phase = supervisor.phase();
        let may_step = supervisor.admit(begin, &sensors);
        if phase == Phase::Passive && supervisor.phase() != phase {
            self.handle.note_start();
        }
        if may_step && due.is_new {
            match policy.step(&frame.state) {
                Ok(_) => has_stepped = true,
                Err(error) => refused = Some(error),
            }
        }
        let proposal = if has_stepped {
            let larger = |largest: f32, size: f32| if size <= largest { largest } else { size };
            Proposal::Targets(policy.targets(), policy.layers().iter().map(|layer| layer.max_abs).fold(0.0, larger))
        } else if refused.is_some() {
            Proposal::Refused
        } else {
            Proposal::None
        };
        // Without new values a robot in motion waits for them; only what must not depend on them goes on.
        let is_held = matches!(supervisor.phase(), Phase::Fallback | Phase::Stopped);
        let mut has_command = false;
        if (due.is_new || is_held)
            && let Some(command) = supervisor.command(begin, &sensors, proposal)
        {
            session.command.copy_from_slice(command);
            has_command = true;
        }
        if due.is_new {
            session.answered = has_command;
        }
        let is_held = matches!(supervisor.phase(), Phase::Fallback | Phase::Stopped);
        if is_held && supervisor.phase() != phase {
            // Commands to walk that are not out yet stay here.
            self.handle.raise_fence();
        }
        if has_command {
            commands.send(frame.stamp, self.handle.fence(), &session.command);
        }
        let end = steady_now();
        if end - begin > session.period {
            supervisor.note_lateness(true);
        }
        let plasticity = has_stepped.then(|| PlasticityReport {
            step: policy.steps() - 1,
            gate: policy.gates().gates().iter().copied().fold(1.0, f32::min),
            reason: policy.gates().reason(),
            compute_time: seconds(end - begin),
            sensor_age: ages.into_iter().flatten().max().map_or(0.0, seconds),
        });
        if due.is_new {
            let oldest = received.into_iter().flatten().min().unwrap_or(begin);
            session.timing.note(due.at, begin, end, oldest);
        }
        let timing = session.timing.take(begin);
        let safety = SafetyReport::of(supervisor);
        let is_news = safety.is_news(&session.reported);
        let has_weights = plasticity.is_some_and(|plasticity| {
            let every = u64::from(self.handle.weights_every.load(std::sync::atomic::Ordering::Relaxed));
            let is_due = every > 0 && plasticity.step.is_multiple_of(every);
            self.handle.weights_wanted.swap(false, std::sync::atomic::Ordering::Relaxed) || is_due
        });
        if has_stepped || refused.is_some() || is_news || timing.is_some() {
            let (stamp, state, missed, unpublished) = (frame.stamp, &frame.state, session.missed, session.unpublished);
            let is_sent = outbox.send(|report| {
                report.stamp = stamp;
                report.plasticity = plasticity;
                if has_stepped {
                    report.input.note(policy, state);
                    report.targets.copy_from_slice(policy.targets());
                }
                report.layers.copy_from_slice(policy.layers());
                report.gates.copy_from_slice(policy.gates().gates());
                report.has_weights = false;
                if has_weights && let Some(network) = policy.network().plastic() {
                    network.copy_weights(&mut report.weights);
                    report.has_weights = true;
                }
                (report.refused, report.safety, report.timing) = (refused, safety, timing);
                (report.missed_steps, report.unpublished_steps) = (missed, unpublished);
            });
            session.unpublished += u64::from(!is_sent);
            if is_sent {
                session.reported = safety;
            }
        }
        if has_stepped {
            ring.push(policy);
        }
    }

    /// Does what was asked since the last step.
    fn serve(&mut self) {
        let now = steady_now();
        self.stop_if_asked(now);
        while let Some(request) = self.requests.next() {
            // A request may know of a stop that came after the last look.
            self.stop_if_asked(now);
            self.answer(request, now);
        }
    }

    fn stop_if_asked(&mut self, now: i64) {
        let stops = self.handle.emergency_stops();
        if std::mem::replace(&mut self.stops, stops) == stops {
            return;
        }
        let Some(session) = self.session.as_deref_mut() else {
            self.is_stopped = true;
            return;
        };
        let supervisor = &mut session.life.supervisor;
        let was_stopped = supervisor.phase() == Phase::Stopped;
        if was_stopped && !is_emergency_stop(supervisor) {
            self.handle.disown_stop();
        }
        supervisor.emergency_stop(now);
        if !was_stopped {
            self.handle.raise_fence();
            // At once, not at the next deadline. Only the first time: each step may move a joint as far as a period allows.
            self.watch(now);
        }
    }

    /// Ends a stop, if the last emergency stop is still that of the number `known`.
    fn release(&mut self, known: u64, now: i64) -> Released {
        if known != self.handle.emergency_stops() {
            return Released::Overtaken;
        }
        let was_stopped = match self.session.as_deref_mut() {
            Some(session) => {
                let was_stopped = session.life.supervisor.release(now);
                session.answered &= !was_stopped;
                was_stopped
            }
            None => std::mem::take(&mut self.is_stopped),
        };
        if !was_stopped {
            return Released::NotStopped;
        }
        self.handle.note_release(known);
        self.handle.raise_fence();
        Released::Done
    }

    /// Whoever asked may have gone. Then the node is neither activated nor cleaned up, as its state says; all else is done.
    fn answer(&mut self, request: Request, now: i64) {
        let request = match request {
            Request::Release(known, answer) => {
                let _ = answer.send(self.release(known, now));
                return;
            }
            Request::ReleaseOwn(known) => {
                if self.handle.is_parameters(known) {
                    self.release(known, now);
                }
                return;
            }
            request => request,
        };
        let Some(session) = self.session.as_deref_mut() else {
            match request {
                Request::Configure(mut session) => {
                    if self.is_stopped {
                        session.life.supervisor.emergency_stop(now);
                    }
                    self.handle.set_present_gate(commanded_gate(&session.life.policy));
                    self.session = Some(session);
                }
                // There is nothing to end.
                Request::Deactivate(answer) => {
                    let _ = answer.send(());
                }
                Request::CleanUp(answer) => {
                    let _ = answer.send(None);
                }
                // Dropped with the channel for its answer, which says that the node is unconfigured.
                _ => {}
            }
            return;
        };
        let Life { policy, supervisor, ring, .. } = &mut *session.life;
        match request {
            // The node configures only after it cleaned up. Releases were answered above.
            Request::Configure(_) | Request::Release(..) | Request::ReleaseOwn(_) => {}
            Request::CleanUp(answer) => {
                let is_stopped = is_emergency_stop(supervisor);
                match answer.send(self.session.take()) {
                    Ok(()) => self.is_stopped = is_stopped,
                    Err(session) => self.session = session,
                }
                self.handle.raise_fence();
            }
            Request::Activate(answer) => {
                if answer.send(()).is_ok() {
                    supervisor.activate(now);
                }
            }
            Request::Deactivate(answer) => {
                // Late or not: a robot that was to rest must not walk on, least of all when the node was shut down.
                supervisor.deactivate(now);
                // What was answered before is not answered again to sensors that repeat themselves.
                session.answered = false;
                self.handle.raise_fence();
                // What is latched says so before the session may end; a stop is latched already.
                if supervisor.phase() == Phase::Passive {
                    self.watch(now);
                }
                let _ = answer.send(());
            }
            Request::Gate(gate) => {
                // Requests were checked when they came.
                let _ = policy.set_gate(gate);
                self.handle.set_present_gate(commanded_gate(policy));
            }
            Request::Reset(seed, answer) => {
                session.life.seed = seed.unwrap_or(session.life.seed);
                let Life { policy, supervisor, ring, seed, .. } = &mut *session.life;
                // Nothing is left of the weights that were, whatever the policy's episodes keep: they may have diverged.
                policy.start_anew(*seed);
                ring.clear();
                supervisor.fade_in(now);
                let _ = answer.send(*seed);
            }
            Request::Save(life, mut snapshot, answer) => {
                let result = session.life.save(life, &mut snapshot);
                let _ = answer.send((snapshot, result));
            }
            Request::Restore(life, snapshot, answer) => {
                let result = session.life.restore(life, &snapshot);
                if result.is_ok() {
                    // Another network state has other targets, and not every policy has a filter on their way.
                    session.life.supervisor.fade_in(now);
                }
                let _ = answer.send((snapshot, result));
            }
            Request::RollBack(back, answer) => {
                let step = policy.steps();
                let result = ring.roll_back(step, back).map(|snapshot| {
                    // The ring is this policy's.
                    let _ = policy.restore_network(snapshot);
                    step - snapshot.steps()
                });
                if result.is_ok() {
                    supervisor.fade_in(now);
                }
                let _ = answer.send(result);
            }
            Request::Load(mut life, answer) => {
                life.supervisor.take_over(supervisor, now);
                // What was commanded of the gate stays, where it fits the other network.
                let _ = life.policy.set_gate(*policy.gates().command());
                self.handle.set_present_gate(commanded_gate(&life.policy));
                std::mem::swap(&mut session.life, &mut life);
                let _ = answer.send(life);
            }
        }
    }
}

/// Takes the latest sensor values into `session`. Returns when each sensor spoke last by `received`, which is asked before that: of a message that
/// comes between the two looks the values are taken, but older ones never count as its.
fn latest(session: &mut Session, received: impl FnOnce() -> [Option<i64>; SENSORS.len()]) -> [Option<i64>; SENSORS.len()] {
    let received = received();
    session.has_frame |= session.frames.update();
    received
}

/// Sleeps for `wait` \[ns\], but not so long that a stop would go unnoticed. Whoever has a request ends it.
fn park(wait: i64) {
    std::thread::park_timeout(Duration::from_nanos(wait.clamp(0, STOP_LATENCY) as u64));
}

fn seconds(nanoseconds: i64) -> f32 {
    (nanoseconds as f64 * 1e-9) as f32
}

/// Control steps left out between two stamps. A jump of more than a minute, or back, is a new beginning and counts as none.
fn missed_between(last: Stamp, stamp: Stamp, period: i64) -> u64 {
    const LONGEST_GAP: i64 = 60_000_000_000;
    let gap = stamp - last;
    if (1..LONGEST_GAP).contains(&gap) { ((gap + period / 2) / period - 1).max(0) as u64 } else { 0 }
}

/// What is commanded of the gate; of layers with different ones the lowest.
fn commanded_gate(policy: &Policy) -> f32 {
    let gates = policy.gates();
    (0..gates.gates().len()).map(|layer| gates.command().value(layer)).fold(1.0, f32::min)
}

fn is_emergency_stop(supervisor: &Supervisor) -> bool {
    supervisor.fault().is_some_and(|fault| fault.kind == FaultKind::EmergencyStop)
}

#[cfg(test)]
mod requested;

#[cfg(test)]
mod tests {
    use super::{Control, ControlHandle, Released, missed_between};

    #[test]
    fn a_stop_that_was_released_is_no_longer_the_parameters() {
        let (handle, requests) = ControlHandle::new();
        let mut control = Control::new(handle.clone(), requests);
        handle.stop_by_parameter();
        control.serve();
        handle.note_spin();
        let mut answer = handle.ask_release();
        control.serve();
        assert_eq!(answer.try_recv(), Ok(Some(Released::Done)));
        // Whatever stops the robot from here on is not the parameter's to release.
        handle.release_by_parameter();
        assert!(control.requests.next().is_none());
    }

    #[test]
    fn missed_steps_are_counted_by_the_gap_between_stamps() {
        let period = 20_000_000;
        let missed = |gap: f64| missed_between(0, (gap * period as f64) as i64, period);
        assert_eq!([missed(1.0), missed(1.3), missed(2.0), missed(5.0)], [0, 0, 1, 4]);
        assert_eq!([missed(0.2), missed(-3.0), missed(1e6)], [0, 0, 0]);
    }
}
