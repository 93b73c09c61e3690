//! What a suite consists of, as written by a person, and its conditions for one robot.

use serde::{Deserialize, Serialize};

use crate::episode::EpisodeSettings;
use crate::evidence::SLOWEST_WALK;
use crate::robot::RobotModel;
use crate::simulation::{Damage, SimulationSettings, StartNoise, Terrain, When};

/// A suite of conditions. The first is the one that all others are compared with: the robot as it should be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suite {
    /// Episodes of each policy under each condition.
    pub episodes: u32,
    /// Seed that the episodes' seeds come from; no training uses these.
    #[serde(default)]
    pub seed: u64,
    /// Length of an episode \[s\].
    pub duration: f32,
    /// Physics steps per second, raised to the next whole multiple of a policy's control rate.
    #[serde(default = "physics_rate")]
    pub physics_rate: f32,
    /// Confidence of intervals, 0 to 1.
    #[serde(default = "level")]
    pub level: f64,
    /// Slowest mean speed under the first condition of a policy that walks \[m/s\]: for robots of other sizes another. One that falls in more than
    /// half of its episodes there does not walk, however fast.
    #[serde(default = "walks_from")]
    pub walks_from: f32,
    /// The conditions.
    pub conditions: Vec<ConditionDescription>,
}

/// One condition, or one for each leg.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConditionDescription {
    /// Name in tables.
    pub name: String,
    /// The ground.
    #[serde(default)]
    pub terrain: Terrain,
    /// What is wrong with the robot, or happens to it.
    #[serde(default)]
    pub damage: Vec<Damage>,
    /// Makes this one condition for each leg, with that leg damaged besides.
    #[serde(default)]
    pub each_leg: Option<LegDamage>,
    /// While `each_leg` holds.
    #[serde(default)]
    pub when: When,
    /// Length of an episode \[s\], if not the suite's.
    #[serde(default)]
    pub duration: Option<f32>,
}

/// Damage of a whole leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LegDamage {
    /// No motor of the leg has torque.
    Limp,
    /// All its joints are seized where they are.
    Stuck,
    /// The leg is gone.
    Lost,
    /// Half of its last segment is gone.
    Shortened,
}

/// A condition for one robot.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// Name of its description.
    pub group: String,
    /// Its own name: the group's, and the damaged foot's.
    pub name: String,
    /// Episodes under it.
    pub settings: EpisodeSettings,
}

/// A suite that cannot be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SuiteError {
    /// A number of the suite is out of range.
    #[error("{name} is {value}; it must be {expected}")]
    Value {
        /// Key in the suite's file.
        name: &'static str,
        /// What it is.
        value: String,
        /// What it must be.
        expected: &'static str,
    },
    /// Two conditions cannot be told apart.
    #[error("two conditions are named {0:?}; give each a name of its own")]
    SameName(String),
    /// A time that belongs to nothing.
    #[error(
        "the condition {0:?} has `when` without `each_leg`, whose time it is; give each damage its own, as in `damage: [limp_joint: {{joint: FT1, \
         when: {{from: 2}}}}]`"
    )]
    StrayWhen(String),
    /// There is no foot whose leg could be damaged.
    #[error("the condition {condition:?} is one for each leg, but {robot:?} has no feet")]
    NoLegs {
        /// The condition.
        condition: String,
        /// The robot.
        robot: String,
    },
}

fn physics_rate() -> f32 {
    SimulationSettings::default().physics_rate
}

fn level() -> f64 {
    0.95
}

fn walks_from() -> f32 {
    SLOWEST_WALK
}

impl Suite {
    /// The conditions for `robot` whose policy steps at `control_rate` \[Hz\].
    ///
    /// # Errors
    /// [`SuiteError`] names what is wrong. Whether grounds and damages fit the robot shows when an episode is made.
    pub fn conditions(&self, robot: &RobotModel, control_rate: f32) -> Result<Vec<Condition>, SuiteError> {
        let value = |name, value: &dyn ToString, expected| Err(SuiteError::Value { name, value: value.to_string(), expected });
        if self.episodes == 0 {
            return value("episodes", &self.episodes, "at least 1");
        }
        if !(self.level > 0.0 && self.level < 1.0) {
            return value("level", &self.level, "between 0 and 1, such as 0.95");
        }
        // Of a speed of 0 there would be no share.
        if !(self.walks_from > 0.0 && self.walks_from.is_finite()) {
            return value("walks_from", &self.walks_from, "a speed above 0 [m/s], such as 0.02");
        }
        if self.conditions.is_empty() {
            return value("conditions", &"empty", "a list; its first condition is the one that others are compared with");
        }
        let mut conditions: Vec<Condition> = Vec::new();
        for (index, description) in self.conditions.iter().enumerate() {
            // Conditions of one leg each have the name of their description in common, by which they are taken together.
            if self.conditions[..index].iter().any(|other| other.name == description.name) {
                return Err(SuiteError::SameName(description.name.clone()));
            }
            for condition in self.expand(description, robot, control_rate)? {
                if conditions.iter().any(|other| other.name == condition.name) {
                    return Err(SuiteError::SameName(condition.name));
                }
                conditions.push(condition);
            }
        }
        Ok(conditions)
    }

    fn expand(
        &self,
        description: &ConditionDescription,
        robot: &RobotModel,
        control_rate: f32,
    ) -> Result<Vec<Condition>, SuiteError> {
        let ConditionDescription { name, terrain, damage, each_leg, when, duration } = description;
        let settings = |damage| EpisodeSettings {
            duration: duration.unwrap_or(self.duration),
            start_noise: StartNoise::default(),
            simulation: SimulationSettings {
                physics_rate: self.physics_rate,
                control_rate,
                terrain: *terrain,
                ..Default::default()
            }
            .with_fitting_physics_rate(),
            damage,
        };
        let Some(leg_damage) = each_leg else {
            if *when != When::default() {
                return Err(SuiteError::StrayWhen(name.clone()));
            }
            return Ok(vec![Condition { group: name.clone(), name: name.clone(), settings: settings(damage.clone()) }]);
        };
        if robot.feet.is_empty() {
            return Err(SuiteError::NoLegs { condition: name.clone(), robot: robot.name.clone() });
        }
        let of_leg = |foot: usize| Condition {
            group: name.clone(),
            name: format!("{name}, {}", robot.feet[foot].name),
            settings: settings([&damage[..], &leg_damage.of(robot, foot, *when)].concat()),
        };
        Ok((0..robot.feet.len()).map(of_leg).collect())
    }
}

impl LegDamage {
    /// The damages of the leg that ends in `foot`.
    fn of(self, robot: &RobotModel, foot: usize, when: When) -> Vec<Damage> {
        let joints = leg(robot, foot);
        match self {
            Self::Limp => joints.map(|joint| Damage::LimpJoint { joint, when }).collect(),
            Self::Stuck => joints.map(|joint| Damage::StuckJoint { joint, angle: None, when }).collect(),
            // The last of the way up is the one at the base.
            Self::Lost => joints.last().map(|joint| Damage::LostLeg { joint, when }).into_iter().collect(),
            Self::Shortened => vec![Damage::ShortenedLimb { foot: robot.feet[foot].name.clone(), length: 0.5, when }],
        }
    }
}

/// Names of the joints from `foot` up to the base.
fn leg(robot: &RobotModel, foot: usize) -> impl Iterator<Item = String> {
    let above = |body: usize| robot.joints.iter().find(move |joint| joint.child == body);
    std::iter::successors(above(robot.feet[foot].body), move |joint| above(joint.parent)).map(|joint| joint.name.clone())
}
