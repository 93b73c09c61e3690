//! The supervisor: when the robot may walk, and what it is commanded.

mod following;

use super::{
    Fault, FaultKind, Limiter, MessageFaults, Phase, Proposal, Reaction, SENSORS, SafetyDescription, SafetyError, Sensors,
};
use crate::policy::RobotInterface;
use crate::robot::JointKind;
use following::Way;

/// Stale after so many control periods, unless the settings say otherwise: one message may be late, two are missing.
const STALE_PERIODS: f64 = 1.5;

/// Watches a robot and has the last word on its commands.
///
/// Each control step calls [`Supervisor::admit`] with the sensors, lets the policy make a step if that says so, and then
/// sends what [`Supervisor::command`] gives.
///
/// No command is outside of a joint's range, but for one thing: a joint that stands outside where the robot begins, or that the policy before
/// was allowed to put there, is brought in. Its commands begin where it stands, or where the last one was, and go inwards only, as fast as the
/// limits of the phase allow; in a fallback or stop they stay where they are.
#[derive(Clone, Debug)]
pub struct Supervisor {
    description: SafetyDescription,
    limiter: Limiter,
    nominal: Vec<f32>,
    sensor_timeout: i64,
    /// Which sensors, as [`SENSORS`], the robot cannot do without.
    needed: [bool; SENSORS.len()],
    phase: Phase,
    /// When the phase began \[ns\].
    since: i64,
    /// Whether somebody wants the robot to walk.
    wanted: bool,
    /// Whether `command` was sent since the robot was passive.
    commanded: bool,
    /// Whether a control step has passed without a command, so that the next may begin from where the joints are.
    rested: bool,
    command: Vec<f32>,
    /// The last command of a step in which every check passed, on the way to the nominal pose or of the policy.
    safe: Vec<f32>,
    /// The command at the beginning of the phase. While the robot is held, a joint that is moved away takes it along.
    held: Vec<f32>,
    goal: Vec<f32>,
    /// The phase that a fallback or stop came from. A fallback goes back to it, or to positioning once a joint took its command along.
    resume: Phase,
    /// What is left of each joint's way to the nominal pose.
    ways: Vec<Way>,
    well_since: Option<i64>,
    late_steps: u32,
    seen: MessageFaults,
    fault: Option<Fault>,
    warning: Option<Fault>,
    counts: [u64; FaultKind::ALL.len()],
}

impl Supervisor {
    /// A supervisor for `robot`, passive. `velocities` \[rad/s\] are the joints' own limits, where they are known; `period` is that of control
    /// \[s\].
    ///
    /// # Errors
    /// [`SafetyError`] names what is not usable.
    pub fn new(
        description: &SafetyDescription,
        robot: &RobotInterface,
        velocities: Option<&[f32]>,
        period: f32,
    ) -> Result<Self, SafetyError> {
        let limiter = Limiter::new(description, robot, velocities, period)?;
        // A nominal pose beyond the limits is reached as far as it can be.
        let mut nominal: Vec<f32> = robot.joints.iter().map(|joint| joint.nominal).collect();
        for (nominal, joint) in nominal.iter_mut().zip(limiter.joints()) {
            *nominal = joint.range.map_or(*nominal, |(lower, upper)| nominal.clamp(lower, upper));
        }
        let timeout = f64::from(description.sensor_timeout);
        let timeout = if timeout > 0.0 { timeout } else { STALE_PERIODS * f64::from(period) };
        Ok(Self {
            description: description.clone(),
            limiter,
            sensor_timeout: (timeout * 1e9) as i64,
            needed: [true; SENSORS.len()],
            phase: Phase::Passive,
            since: 0,
            wanted: false,
            commanded: false,
            rested: true,
            command: nominal.clone(),
            safe: nominal.clone(),
            held: nominal.clone(),
            goal: nominal.clone(),
            ways: vec![Way::new(0); nominal.len()],
            nominal,
            resume: Phase::Positioning,
            well_since: None,
            late_steps: 0,
            seen: MessageFaults::default(),
            fault: None,
            warning: None,
            counts: [0; FaultKind::ALL.len()],
        })
    }

    /// The same for a robot that can do without the sensors that are not `needed`, in the order of [`SENSORS`]: their silence is no finding.
    pub fn with_needed(self, needed: [bool; SENSORS.len()]) -> Self {
        Self { needed, ..self }
    }

    /// The same for joints of these `kinds`, in joint order; unless told otherwise, all are taken for ones that turn. Of a joint that shifts, its
    /// messages speak in metres, and a tenth of each number of positioning holds, in m and m/s.
    pub fn with_kinds(self, kinds: &[JointKind]) -> Self {
        Self { limiter: self.limiter.with_kinds(kinds), ..self }
    }

    /// Which sensors, as [`SENSORS`], the robot cannot do without; all of them, unless it was told otherwise.
    pub fn needed(&self) -> [bool; SENSORS.len()] {
        self.needed
    }

    /// Where the robot is.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Why the robot is in its fallback, stopped, or does not begin.
    pub fn fault(&self) -> Option<Fault> {
        self.fault
    }

    /// The latest finding that was only worth a warning.
    pub fn warning(&self) -> Option<Fault> {
        self.warning
    }

    /// Findings so far, by kind, as [`FaultKind::ALL`].
    pub fn counts(&self) -> &[u64; FaultKind::ALL.len()] {
        &self.counts
    }

    /// The limits of commands.
    pub fn limiter(&self) -> &Limiter {
        &self.limiter
    }

    /// Age from which on sensor values are stale \[ns\].
    pub fn sensor_timeout(&self) -> i64 {
        self.sensor_timeout
    }

    /// When silence becomes a fault of sensors that spoke last at `received` \[ns\], whether or not a control step is due then. `None`
    /// when nothing follows from it.
    pub fn silent_at(&self, received: [Option<i64>; SENSORS.len()]) -> Option<i64> {
        let is_moving = matches!(self.phase, Phase::Positioning | Phase::FadeIn | Phase::Active);
        let matters = is_moving && self.description.reactions.stale == Reaction::Stop;
        let of_needed = received.into_iter().zip(self.needed).filter_map(|(received, needed)| received.filter(|_| needed));
        let oldest = of_needed.min().filter(|_| matters)?;
        Some(oldest.saturating_add(self.sensor_timeout).saturating_add(1))
    }

    /// Lets the robot begin once its sensors are well.
    pub fn activate(&mut self, now: i64) {
        self.wanted = true;
        if self.phase == Phase::Passive {
            self.enter(Phase::Passive, now);
        }
    }

    /// Makes the robot passive: no commands. A stop stays.
    pub fn deactivate(&mut self, now: i64) {
        self.wanted = false;
        self.rest();
        if self.phase != Phase::Stopped {
            self.fault = None;
            self.enter(Phase::Passive, now);
        }
    }

    /// Stops the robot until it is released.
    pub fn emergency_stop(&mut self, now: i64) {
        let fault = Fault::whole(FaultKind::EmergencyStop, 1.0, 0.0);
        self.count(fault.kind);
        self.interrupt(Phase::Stopped, fault, now);
    }

    /// Ends a stop: the robot is passive and, if it is still wanted, begins as at its start. Returns whether it was stopped.
    pub fn release(&mut self, now: i64) -> bool {
        let was_stopped = self.phase == Phase::Stopped;
        if was_stopped {
            self.fault = None;
            self.rest();
            self.enter(Phase::Passive, now);
        }
        was_stopped
    }

    /// The robot goes over to targets of another policy: they fade in.
    pub fn fade_in(&mut self, now: i64) {
        match self.phase {
            Phase::Active | Phase::FadeIn => self.enter_fade_in(now),
            Phase::Fallback if self.resume == Phase::Active => self.resume = Phase::FadeIn,
            _ => {}
        }
    }

    /// Notes whether the control step that begins is late, because its deadline passed or the one before took too long.
    pub fn note_lateness(&mut self, is_late: bool) {
        self.late_steps = if is_late { self.late_steps.saturating_add(1) } else { 0 };
    }

    /// Looks at the sensors as of `now` \[ns\]. True when the policy should make a step.
    pub fn admit(&mut self, now: i64, sensors: &Sensors<'_>) -> bool {
        let fault = self.examine(sensors);
        match self.phase {
            Phase::Passive => {
                let mut fault = fault;
                if self.wanted && fault.is_none() {
                    let tolerance = self.description.positioning_tolerance;
                    fault = self.limiter.out_of_range(&sensors.state.joint_position, tolerance);
                    fault.into_iter().for_each(|far| self.note(far));
                }
                self.fault = fault.filter(|_| self.wanted);
                if self.wanted && self.rested && fault.is_none() && sensors.state.is_finite() {
                    self.begin(now, &sensors.state.joint_position);
                }
            }
            Phase::Positioning | Phase::FadeIn | Phase::Active => {
                if let Some(fault) = fault {
                    self.fall_back(now, fault);
                }
            }
            Phase::Fallback => match fault {
                Some(fault) => {
                    self.well_since = None;
                    self.fault = Some(fault);
                    if !fault.kind.is_recoverable() || self.elapsed(now) >= self.description.fallback_timeout {
                        self.enter(Phase::Stopped, now);
                    }
                }
                None => {
                    let well_since = *self.well_since.get_or_insert(now);
                    if seconds(now - well_since) >= self.description.recovery_time {
                        self.fault = None;
                        if self.resume == Phase::Positioning || self.has_strayed(sensors) {
                            self.enter(Phase::Positioning, now);
                        } else {
                            self.enter_fade_in(now);
                        }
                    }
                }
            },
            Phase::Stopped => {}
        }
        matches!(self.phase, Phase::FadeIn | Phase::Active)
    }

    /// The command of this control step \[rad\]; `None` while the robot is passive. `sensors` as given to [`Supervisor::admit`].
    pub fn command(&mut self, now: i64, sensors: &Sensors<'_>, proposal: Proposal<'_>) -> Option<&[f32]> {
        if self.phase == Phase::Passive || (self.phase == Phase::Stopped && !self.commanded) {
            self.rested = true;
            return None;
        }
        if let Some(fault) = proposal.fault(self.command.len(), self.description.weight_limit)
            && matches!(self.phase, Phase::FadeIn | Phase::Active)
        {
            self.note(fault);
            match self.description.reactions.to(fault.kind) {
                Reaction::Stop => self.fall_back(now, fault),
                Reaction::Warn => self.warning = Some(fault),
                Reaction::Off => {}
            }
        }
        // Where a policy of wider ranges left it, or a joint stood at the start. The targets fade in once it is in, and are not to blame for the way.
        let is_returning = matches!(self.phase, Phase::FadeIn | Phase::Active) && self.limiter.is_outside(&self.command);
        if is_returning {
            self.goal.copy_from_slice(&self.command);
        }
        let is_walking = !is_returning && self.set_goal(now, sensors, &proposal);
        let (is_positioning, speed) = (self.phase == Phase::Positioning, self.speed_limit(sensors));
        let is_held = self.phase.is_held();
        let (mut worst, mut counted) = (None, [0u64; FaultKind::ALL.len()]);
        let on = &self.description.reactions;
        let note = |fault: Fault| {
            counted[fault.kind as usize] = 1;
            if worst.is_none_or(|worst: Fault| on.to(fault.kind) == Reaction::Stop && on.to(worst.kind) != Reaction::Stop) {
                worst = Some(fault);
            }
        };
        self.limiter.approach(&self.goal, speed, is_held, &mut self.command, note);
        self.commanded = true;
        if !self.command.iter().all(|angle| angle.is_finite()) {
            // Whatever happened: the last word is never a number that is none.
            self.command.copy_from_slice(&self.safe);
            let fault = Fault::whole(FaultKind::NotFinite, f32::NAN, f32::MAX);
            self.note(fault);
            self.fall_back(now, fault);
            return Some(&self.command);
        }
        if is_walking {
            // On its way to a pose the robot is meant to be slower than its goal; only the policy's targets can be wrong.
            self.counts.iter_mut().zip(counted).for_each(|(count, new)| *count += new);
            match worst {
                Some(fault) if self.description.reactions.to(fault.kind) == Reaction::Stop => self.fall_back(now, fault),
                Some(fault) => self.warning = Some(fault),
                None => self.safe.copy_from_slice(&self.command),
            }
        }
        if is_returning {
            self.enter_fade_in(now);
        }
        if is_positioning {
            self.safe.copy_from_slice(&self.command);
            self.arrive(now, sensors);
        }
        Some(&self.command)
    }

    /// Continues from where `other` is, for a policy with the same joints. Which sensors are needed stays its own.
    pub fn take_over(&mut self, other: &Self, now: i64) {
        (self.phase, self.since, self.wanted, self.commanded) = (other.phase, other.since, other.wanted, other.commanded);
        self.rested = other.rested;
        (self.resume, self.well_since, self.late_steps) = (other.resume, other.well_since, other.late_steps);
        (self.seen, self.fault, self.warning, self.counts) = (other.seen, other.fault, other.warning, other.counts);
        let pairs = [
            (&mut self.command, &other.command),
            (&mut self.safe, &other.safe),
            (&mut self.held, &other.held),
            (&mut self.goal, &other.goal),
        ];
        for (own, other) in pairs {
            own.iter_mut().zip(other).for_each(|(own, other)| *own = *other);
        }
        self.limiter.continue_from(&other.limiter);
        // Its nominal pose may be another one.
        self.ways.fill(Way::new(now));
        self.fade_in(now);
    }

    /// What is wrong with the sensors, worst first; counts everything.
    fn examine(&mut self, sensors: &Sensors<'_>) -> Option<Fault> {
        let description = &self.description;
        let new = |now: u64, seen: u64, kind| (now != seen).then(|| Fault::whole(kind, now.wrapping_sub(seen) as f32, 0.0));
        let (now, seen) = (sensors.faults, std::mem::replace(&mut self.seen, sensors.faults));
        let is_late = self.late_steps >= description.overruns;
        let findings = [
            sensors.not_finite(),
            // What was never measured does not lean.
            if sensors.ages[1].is_some() { sensors.tilt(description.tilt_limit) } else { None },
            new(now.clock_jumps, seen.clock_jumps, FaultKind::ClockJump),
            new(now.not_finite, seen.not_finite, FaultKind::NotFinite),
            new(now.reordered, seen.reordered, FaultKind::Reordered),
            new(now.refused, seen.refused, FaultKind::Refused),
            sensors.stale(self.needed, self.sensor_timeout),
            is_late.then(|| Fault::whole(FaultKind::Overrun, self.late_steps as f32, description.overruns as f32 - 1.0)),
        ];
        let mut worst = None;
        for fault in findings.into_iter().flatten() {
            // While nobody wants anything of the robot, silence is no finding.
            if self.phase == Phase::Passive && !(self.wanted && fault.kind == FaultKind::Stale) {
                if self.description.reactions.to(fault.kind) == Reaction::Stop && worst.is_none() {
                    worst = Some(fault);
                }
                continue;
            }
            self.note(fault);
            match self.description.reactions.to(fault.kind) {
                Reaction::Stop if worst.is_none() => worst = Some(fault),
                Reaction::Warn => self.warning = Some(fault),
                _ => {}
            }
        }
        // A robot never begins on values that it does not have, or no longer, whatever the settings.
        if self.phase == Phase::Passive && worst.is_none() {
            worst = sensors.stale(self.needed, self.sensor_timeout);
        }
        worst
    }

    /// Sets the goal of this step; true when it comes from the policy.
    fn set_goal(&mut self, now: i64, sensors: &Sensors<'_>, proposal: &Proposal<'_>) -> bool {
        match (self.phase, proposal.targets(self.goal.len())) {
            (Phase::Active, Some(targets)) => {
                self.goal.copy_from_slice(targets);
                return true;
            }
            (Phase::FadeIn, Some(targets)) => {
                let share = if self.description.fade_in > 0.0 { self.elapsed(now) / self.description.fade_in } else { 1.0 };
                if share >= 1.0 {
                    self.goal.copy_from_slice(targets);
                    self.enter(Phase::Active, now);
                } else {
                    for ((goal, held), target) in self.goal.iter_mut().zip(&self.held).zip(targets) {
                        *goal = held + share.max(0.0) * (target - held);
                    }
                }
                return true;
            }
            // A step without targets keeps the command.
            (Phase::Active | Phase::FadeIn, None) => {}
            (Phase::Positioning, _) => self.go_to_nominal(sensors),
            (Phase::Fallback | Phase::Stopped, _) => self.hold(sensors),
            (Phase::Passive, _) => {}
        }
        false
    }

    /// The command so far is over: the next one need not continue it.
    fn rest(&mut self) {
        self.rested &= !self.commanded;
        self.commanded = false;
    }

    fn begin(&mut self, now: i64, position: &[f32]) {
        let speed = Some(self.description.positioning_speed).filter(|speed| *speed > 0.0);
        self.limiter.begin(position, speed, &mut self.command);
        self.safe.copy_from_slice(&self.command);
        self.goal.copy_from_slice(&self.command);
        self.late_steps = 0;
        if speed.is_some() {
            self.enter(Phase::Positioning, now);
        } else {
            self.enter_fade_in(now);
        }
    }

    fn enter_fade_in(&mut self, now: i64) {
        self.enter(if self.description.fade_in > 0.0 { Phase::FadeIn } else { Phase::Active }, now);
    }

    fn fall_back(&mut self, now: i64, fault: Fault) {
        self.well_since = None;
        self.interrupt(if fault.kind.is_recoverable() { Phase::Fallback } else { Phase::Stopped }, fault, now);
    }

    /// Goes over to `phase`, a fallback or stop, because of `fault`.
    fn interrupt(&mut self, phase: Phase, fault: Fault, now: i64) {
        self.fault = Some(fault);
        if !self.phase.is_held() {
            self.resume = self.phase;
        }
        self.enter(phase, now);
    }

    fn enter(&mut self, phase: Phase, now: i64) {
        // A robot that is held already, and now for another reason, stays in the same pose.
        if !(self.phase.is_held() && phase.is_held()) {
            self.held.copy_from_slice(&self.command);
        }
        (self.phase, self.since) = (phase, now);
        self.ways.fill(Way::new(now));
    }

    fn note(&mut self, fault: Fault) {
        if self.description.reactions.to(fault.kind) != Reaction::Off {
            self.count(fault.kind);
        }
    }

    fn count(&mut self, kind: FaultKind) {
        if let Some(count) = self.counts.get_mut(kind as usize) {
            *count += 1;
        }
    }

    /// Time in this phase \[s\].
    fn elapsed(&self, now: i64) -> f32 {
        seconds(now - self.since)
    }
}

fn seconds(nanoseconds: i64) -> f32 {
    (nanoseconds as f64 * 1e-9) as f32
}
