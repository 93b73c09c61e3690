//! Damages of one robot: names looked up, numbers checked, times in steps.

use rapier3d::prelude::*;

use super::condition::{BodyCondition, Condition, JointCondition};
use super::description::{Damage, DamageError, When};
use super::sensing::{SensorFault, SensorFaults};
use crate::config::nearest;
use crate::robot::RobotModel;

/// Most damages at once; bounds what a request can take.
const MOST: usize = 256;
/// Longest time in a damage \[s\]: a day.
const LONGEST: f32 = 86_400.0;
/// Most control steps that a delay may have.
pub(in crate::simulation) const LONGEST_DELAY: u32 = 100;

/// What goes wrong with one robot, and when.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    entries: Vec<Entry>,
    pushes: Vec<Push>,
}

#[derive(Clone, Debug)]
struct Entry {
    fault: Fault,
    span: Span,
    /// Angle at which a joint seized.
    held: f32,
}

/// Physics steps during which something holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// First step.
    pub from: u64,
    /// First step after it.
    pub until: u64,
}

impl Span {
    /// Whether it holds in `step`.
    pub fn holds(&self, step: u64) -> bool {
        (self.from..self.until).contains(&step)
    }
}

#[derive(Clone, Debug)]
enum Fault {
    Weak { joint: usize, torque: f32 },
    Stuck { joint: usize, angle: Option<f32> },
    Shortened { body: usize, length: f32 },
    Lost { bodies: Vec<usize>, joints: Vec<usize> },
    Payload { body: usize, properties: MassProperties },
    CommandDelay { steps: usize },
    Suspended,
}

/// A force on a body for a time.
#[derive(Clone, Debug)]
pub struct Push {
    /// Body.
    pub body: usize,
    /// Force in the world \[N\].
    pub force: Vector,
    /// Where, in the body's frame; `None`: centre of mass.
    pub point: Option<Vector>,
    /// Beginning and end, in steps and parts of steps.
    begin: f64,
    end: f64,
}

impl Push {
    /// Share of `step` during which it acts.
    pub fn share(&self, step: u64) -> f32 {
        let step = step as f64;
        ((self.end.min(step + 1.0) - self.begin.max(step)).max(0.0)) as f32
    }

    /// Whether it acted in the step before `step`: its force is then still on the body.
    pub fn acted_before(&self, step: u64) -> bool {
        step.checked_sub(1).is_some_and(|before| self.share(before) > 0.0)
    }
}

/// What a damage is checked against.
pub struct Scene<'a> {
    /// The robot.
    pub robot: &'a RobotModel,
    /// Length of a physics step \[s\].
    pub physics_step: f32,
    /// Physics steps in a control step.
    pub substeps: u32,
    /// Present physics step: when damages begin to count.
    pub now: u64,
}

impl Plan {
    /// Checks all of `damages`; the sensors' faults come apart.
    ///
    /// # Errors
    /// [`DamageError`] names the first damage that does not fit the robot.
    pub fn new(damages: &[Damage], scene: &Scene<'_>) -> Result<(Self, SensorFaults), DamageError> {
        if damages.len() > MOST {
            return Err(DamageError::TooMany { given: damages.len(), most: MOST });
        }
        let (mut plan, mut sensors) = (Self::default(), Vec::new());
        for (index, damage) in damages.iter().enumerate() {
            plan.add(damage, &Check { scene, number: index + 1 }, &mut sensors)?;
        }
        Ok((plan, SensorFaults::new(sensors, scene.robot)))
    }

    fn add(&mut self, damage: &Damage, check: &Check<'_>, sensors: &mut Vec<SensorFault>) -> Result<(), DamageError> {
        let robot = check.scene.robot;
        let (fault, when) = match damage {
            Damage::LimpJoint { joint, when } => (Fault::Weak { joint: check.joint(joint)?, torque: 0.0 }, when),
            Damage::WeakMotor { joint, torque, when } => {
                (Fault::Weak { joint: check.joint(joint)?, torque: check.within("torque", *torque, 0.0, 1.0)? }, when)
            }
            Damage::StuckJoint { joint, angle, when } => {
                let angle = angle.map(|angle| check.within("angle", angle, -10.0, 10.0)).transpose()?;
                (Fault::Stuck { joint: check.joint(joint)?, angle }, when)
            }
            Damage::ShortenedLimb { foot, length, when } => {
                let foot = check.name("foot", foot, robot.foot_names())?;
                (Fault::Shortened { body: robot.feet[foot].body, length: check.within("length", *length, 0.01, 1.0)? }, when)
            }
            Damage::LostLeg { joint, when } => {
                let (bodies, joints) = beyond(robot, check.joint(joint)?);
                (Fault::Lost { bodies, joints }, when)
            }
            Damage::Payload { mass, link, position, when } => {
                let mass = check.within("mass", *mass, 0.0, 1000.0)?;
                let at = Vector::from(check.vector("position", *position, 100.0)?);
                (
                    Fault::Payload {
                        body: check.link(link.as_deref())?,
                        properties: MassProperties::new(at, mass, Vector::ZERO),
                    },
                    when,
                )
            }
            Damage::Push { force, duration, link, point, from } => {
                let step = f64::from(check.scene.physics_step);
                let begin = check.scene.now as f64 + f64::from(check.within("from", *from, 0.0, LONGEST)?) / step;
                let duration = check.within("duration", *duration, 0.0, LONGEST)?;
                self.pushes.push(Push {
                    body: check.link(link.as_deref())?,
                    force: check.vector("force", *force, 1e6)?.into(),
                    point: point.map(|point| check.vector("point", point, 100.0)).transpose()?.map(Vector::from),
                    begin,
                    end: begin + f64::from(duration) / step,
                });
                return Ok(());
            }
            Damage::CommandDelay { steps, when } => {
                let steps = check.steps(*steps)? * check.scene.substeps as usize;
                (Fault::CommandDelay { steps }, when)
            }
            Damage::Suspended { when } => (Fault::Suspended, when),
            Damage::SensorDropout { .. }
            | Damage::SensorNoise { .. }
            | Damage::SensorBias { .. }
            | Damage::SensorDelay { .. } => {
                sensors.extend(SensorFault::new(damage, check)?);
                return Ok(());
            }
        };
        self.entries.push(Entry { fault, span: check.span(when)?, held: 0.0 });
        Ok(())
    }

    /// Lets `push` happen besides; pushes that are over, and whose forces were taken away, are forgotten.
    pub fn push(&mut self, push: Self, now: u64) {
        self.pushes.retain(|push| push.end > now as f64 || push.acted_before(now));
        self.pushes.extend(push.pushes);
    }

    /// Whether anything begins or ends with `step`.
    pub fn changes(&self, step: u64) -> bool {
        self.entries.iter().any(|entry| entry.span.from == step || entry.span.until == step)
    }

    /// The largest delay of commands that it may come to \[physics steps\].
    pub fn longest_delay(&self) -> usize {
        let delays = self.entries.iter().map(|entry| match entry.fault {
            Fault::CommandDelay { steps } => steps,
            _ => 0,
        });
        delays.sum()
    }

    /// What all that holds in `step` amounts to. `angles` are those of the joints now. Does not allocate.
    pub fn condition(&mut self, step: u64, angles: &[f32], condition: &mut Condition) {
        condition.joints.fill(JointCondition::default());
        condition.bodies.fill(BodyCondition::default());
        (condition.suspended, condition.command_delay) = (false, 0);
        for entry in &mut self.entries {
            if let (Fault::Stuck { joint, angle }, true) = (&entry.fault, entry.span.from == step) {
                entry.held = angle.unwrap_or(angles[*joint]);
            }
        }
        for Entry { fault, held, .. } in self.entries.iter().filter(|entry| entry.span.holds(step)) {
            match fault {
                Fault::Weak { joint, torque } => condition.joints[*joint].torque *= torque,
                Fault::Stuck { joint, .. } => condition.joints[*joint].stuck = Some(*held),
                Fault::Shortened { body, length } => condition.bodies[*body].length *= length,
                Fault::Lost { bodies, joints } => {
                    bodies.iter().for_each(|&body| condition.bodies[body].lost = true);
                    joints.iter().for_each(|&joint| condition.joints[joint].lost = true);
                }
                Fault::Payload { body, properties } => condition.bodies[*body].payload += *properties,
                Fault::CommandDelay { steps } => condition.command_delay += steps,
                Fault::Suspended => condition.suspended = true,
            }
        }
    }

    /// Pushes.
    pub fn pushes(&self) -> &[Push] {
        &self.pushes
    }
}

/// Bodies and joints from `joint` outwards.
fn beyond(robot: &RobotModel, joint: usize) -> (Vec<usize>, Vec<usize>) {
    let (mut bodies, mut joints) = (vec![robot.joints[joint].child], vec![joint]);
    // As many rounds as there are bodies reach the end of every chain, in whatever order the joints are.
    for _ in 0..robot.bodies.len() {
        for (index, joint) in robot.moving_joints().enumerate() {
            if bodies.contains(&joint.parent) && !bodies.contains(&joint.child) {
                bodies.push(joint.child);
                // The driven joints come first.
                joints.extend((index < robot.joints.len()).then_some(index));
            }
        }
    }
    (bodies, joints)
}

/// Checks the names and numbers of one damage.
pub struct Check<'a> {
    scene: &'a Scene<'a>,
    number: usize,
}

impl Check<'_> {
    pub fn robot(&self) -> &RobotModel {
        self.scene.robot
    }

    /// Number of the damage in its list, from 1.
    pub fn number(&self) -> usize {
        self.number
    }

    pub fn within(&self, key: &'static str, value: f32, lower: f32, upper: f32) -> Result<f32, DamageError> {
        // NaN is in no range.
        if (lower..=upper).contains(&value) {
            Ok(value)
        } else {
            Err(DamageError::Range { number: self.number, key, value, lower, upper })
        }
    }

    fn vector(&self, key: &'static str, values: [f32; 3], most: f32) -> Result<[f32; 3], DamageError> {
        for value in values {
            self.within(key, value, -most, most)?;
        }
        Ok(values)
    }

    pub fn steps(&self, steps: u32) -> Result<usize, DamageError> {
        self.within("steps", steps as f32, 0.0, LONGEST_DELAY as f32)?;
        Ok(steps as usize)
    }

    pub fn name<'a>(&self, kind: &'static str, name: &str, known: impl Iterator<Item = &'a str>) -> Result<usize, DamageError> {
        let known: Vec<_> = known.collect();
        known.iter().position(|one| *one == name).ok_or_else(|| DamageError::Unknown {
            number: self.number,
            kind,
            name: name.to_owned(),
            hint: nearest(name, known).map(str::to_owned),
        })
    }

    fn joint(&self, name: &str) -> Result<usize, DamageError> {
        self.name("joint", name, self.robot().joint_names())
    }

    fn link(&self, name: Option<&str>) -> Result<usize, DamageError> {
        name.map_or(Ok(0), |name| self.name("link", name, self.robot().bodies.iter().map(|body| body.name.as_str())))
    }

    /// The physics steps of `when`.
    pub fn span(&self, when: &When) -> Result<Span, DamageError> {
        self.span_of_every(1, when)
    }

    /// As [`Check::span`], for what acts only when sensors are read: once in a control step.
    pub fn sensor_span(&self, when: &When) -> Result<Span, DamageError> {
        self.span_of_every(self.scene.substeps, when)
    }

    /// The physics steps of `when`, which must hold in at least one of every so many of them.
    fn span_of_every(&self, every: u32, when: &When) -> Result<Span, DamageError> {
        let step = |seconds: f32| self.scene.now + (seconds / self.scene.physics_step).round() as u64;
        let from = self.within("from", when.from, 0.0, LONGEST)?;
        let Some(until) = when.until else {
            return Ok(Span { from: step(from), until: u64::MAX });
        };
        self.within("until", until, 0.0, LONGEST)?;
        if until <= from {
            return Err(DamageError::Span { number: self.number, from, until });
        }
        let span = Span { from: step(from), until: step(until) };
        if span.from.next_multiple_of(u64::from(every.max(1))) >= span.until {
            let step = every as f32 * self.scene.physics_step;
            return Err(DamageError::Brief { number: self.number, from, until, step });
        }
        Ok(span)
    }
}
