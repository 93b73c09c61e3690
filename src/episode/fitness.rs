//! Fitness: a sum over control steps of named terms.

use serde::{Deserialize, Serialize};

use crate::robot::Orientation;
use crate::simulation::{BasePose, Energy};

/// What an episode is worth: the sum over control steps of the sum over terms.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fitness {
    /// Time from the start that counts nothing \[s\]. Without it a policy that lurches forward while its weights settle and then stands
    /// still is as good as one that walks slowly, and evolution stays there.
    #[serde(default)]
    pub from: f32,
    /// A published form whose terms count.
    #[serde(default)]
    pub form: FitnessForm,
    /// Terms that count besides.
    #[serde(default)]
    pub terms: Vec<FitnessTerm>,
}

/// A form of fitness from the authors' code, by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FitnessForm {
    /// Beetle of arXiv 2503.12406, first version of the code: `2 v_x - 0.5 [up <= 0.93] - 0.5 [|yaw| >= 0.45]`, summed.
    #[default]
    Iros,
    /// Gecko of the published code: `2 v_forward - 0.25 [up <= 0.95] - 0.5 [|yaw| >= 0.30]`, summed.
    Gecko,
    /// No term of its own.
    None,
}

/// One term of the fitness in one control step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FitnessTerm {
    /// `weight * v_x`: mean velocity over the step along the world's x axis \[m/s\].
    WorldVelocity {
        /// Factor.
        weight: f32,
    },
    /// `weight * v`: mean velocity over the step along the base's heading (its x axis, level) \[m/s\].
    BodyVelocity {
        /// Factor.
        weight: f32,
    },
    /// `-penalty` while the base's up axis has at most `up` left along the world's (cosine of the tilt).
    Tilt {
        /// Smallest cosine that costs nothing.
        up: f32,
        /// Cost per step.
        penalty: f32,
    },
    /// `-penalty` while the base's yaw is at least `yaw` either way \[rad\].
    Heading {
        /// Smallest yaw that costs.
        yaw: f32,
        /// Cost per step.
        penalty: f32,
    },
    /// `-penalty * |v_y|`: sideways velocity over the step along the world's y axis \[m/s\].
    LateralVelocity {
        /// Factor.
        penalty: f32,
    },
    /// `-penalty *` mean squared change of the joint targets since the step before \[rad²\].
    TargetChange {
        /// Factor.
        penalty: f32,
    },
    /// Minus what the motors used in the step, at these costs (see [`Energy`]).
    Energy {
        /// Cost of a joule of mechanical work.
        #[serde(default)]
        work: f32,
        /// Cost of a N² m² s of squared torque.
        #[serde(default)]
        torque_squared: f32,
    },
    /// `-penalty *` mean |change of a weight| in the step, over all layers' means: the cost of plasticity; 0 without plastic weights.
    WeightChange {
        /// Factor.
        penalty: f32,
    },
}

/// What happened in one control step, as far as fitness depends on it.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Base before the step.
    pub before: BasePose,
    /// Base after the step.
    pub after: BasePose,
    /// Length of the step \[s\].
    pub control_step: f32,
    /// Mean squared change of the joint targets since the step before \[rad²\].
    pub target_change: f32,
    /// Mean |change of a weight| in the step, over all layers' means; 0 where it is not measured.
    pub weight_change: f32,
    /// What the motors used in the step.
    pub energy: Energy,
}

impl FitnessForm {
    fn terms(self) -> &'static [FitnessTerm] {
        use FitnessTerm::{BodyVelocity, Heading, Tilt, WorldVelocity};
        match self {
            Self::Iros => &[WorldVelocity { weight: 2.0 }, Tilt { up: 0.93, penalty: 0.5 }, Heading { yaw: 0.45, penalty: 0.5 }],
            Self::Gecko => &[BodyVelocity { weight: 2.0 }, Tilt { up: 0.95, penalty: 0.25 }, Heading { yaw: 0.30, penalty: 0.5 }],
            Self::None => &[],
        }
    }
}

impl Fitness {
    /// Whether its beginning is usable.
    pub fn is_valid(&self) -> bool {
        self.from.is_finite() && self.from >= 0.0
    }

    /// The first of its terms with a number that is not finite, and its place, from 0.
    pub fn unusable_term(&self) -> Option<(usize, FitnessTerm)> {
        self.terms.iter().copied().enumerate().find(|(_, term)| !term.is_finite())
    }

    /// Whether it needs [`Progress::weight_change`], so that the policy must measure it.
    pub fn counts_weight_change(&self) -> bool {
        self.terms.iter().any(|term| matches!(term, FitnessTerm::WeightChange { .. }))
    }

    /// What one step adds, `time` after the start \[s\].
    pub fn at(&self, time: f32, progress: &Progress) -> f32 {
        if time < self.from { 0.0 } else { self.step(progress) }
    }

    fn step(&self, progress: &Progress) -> f32 {
        self.form.terms().iter().chain(&self.terms).map(|term| term.value(progress)).sum()
    }
}

impl FitnessTerm {
    fn is_finite(&self) -> bool {
        let numbers = match *self {
            Self::WorldVelocity { weight } | Self::BodyVelocity { weight } => [weight, 0.0],
            Self::Tilt { up, penalty } => [up, penalty],
            Self::Heading { yaw, penalty } => [yaw, penalty],
            Self::LateralVelocity { penalty } | Self::TargetChange { penalty } | Self::WeightChange { penalty } => [penalty, 0.0],
            Self::Energy { work, torque_squared } => [work, torque_squared],
        };
        numbers.iter().all(|number| number.is_finite())
    }

    fn value(&self, progress: &Progress) -> f32 {
        let Progress { before, after, control_step, target_change, weight_change, energy } = progress;
        let velocity = |axis: usize| (after.position[axis] - before.position[axis]) / control_step;
        let orientation: Orientation = after.orientation;
        match *self {
            Self::WorldVelocity { weight } => weight * velocity(0),
            Self::BodyVelocity { weight } => {
                let [_, _, yaw] = orientation.roll_pitch_yaw();
                weight * (libm::cosf(yaw) * velocity(0) + libm::sinf(yaw) * velocity(1))
            }
            Self::Tilt { up, penalty } => {
                if orientation.up_projection() <= up {
                    -penalty
                } else {
                    0.0
                }
            }
            Self::Heading { yaw, penalty } => {
                if orientation.roll_pitch_yaw()[2].abs() >= yaw {
                    -penalty
                } else {
                    0.0
                }
            }
            Self::LateralVelocity { penalty } => -penalty * velocity(1).abs(),
            Self::TargetChange { penalty } => -penalty * target_change,
            Self::Energy { work, torque_squared } => -(work * energy.work as f32 + torque_squared * energy.torque_squared as f32),
            Self::WeightChange { penalty } => -penalty * weight_change,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nalgebra::UnitQuaternion;

    fn base(x: f32, y: f32, roll: f32, yaw: f32) -> BasePose {
        let q = UnitQuaternion::from_euler_angles(roll, 0.0, yaw);
        BasePose {
            position: [x, y, 0.2],
            orientation: Orientation { x: q.i, y: q.j, z: q.k, w: q.w },
            linear_velocity: [0.0; 3],
            angular_velocity: [0.0; 3],
        }
    }

    fn value(form: FitnessForm, terms: &[FitnessTerm], after: BasePose) -> f32 {
        let progress = Progress {
            before: base(0.0, 0.0, 0.0, 0.0),
            after,
            control_step: 0.02,
            target_change: 0.5,
            weight_change: 0.25,
            energy: Energy { work: 0.5, torque_squared: 3.0 },
        };
        Fitness { from: 1.0, form, terms: terms.to_vec() }.at(1.0, &progress)
    }

    #[test]
    fn a_term_with_a_number_that_is_not_finite_is_found() {
        let usable = FitnessTerm::Tilt { up: 0.9, penalty: 0.5 };
        let bad = [
            FitnessTerm::WorldVelocity { weight: f32::INFINITY },
            FitnessTerm::BodyVelocity { weight: f32::NAN },
            FitnessTerm::Tilt { up: f32::NAN, penalty: 0.5 },
            FitnessTerm::Heading { yaw: 0.5, penalty: f32::NEG_INFINITY },
            FitnessTerm::LateralVelocity { penalty: f32::NAN },
            FitnessTerm::TargetChange { penalty: f32::INFINITY },
            FitnessTerm::Energy { work: 0.0, torque_squared: f32::INFINITY },
            FitnessTerm::WeightChange { penalty: f32::NAN },
        ];
        for term in bad {
            let fitness = Fitness { terms: vec![usable, term], ..Fitness::default() };
            assert_eq!(fitness.unusable_term().map(|(place, _)| place), Some(1), "{term:?}");
        }
        assert_eq!(Fitness { terms: vec![usable], ..Fitness::default() }.unusable_term(), None);
    }

    #[test]
    fn the_iros_form_is_twice_the_speed_less_the_penalties() {
        // 4 mm in 20 ms is 0.2 m/s.
        let near = |a: f32, b: f32| assert!((a - b).abs() < 1e-5, "{a} {b}");
        near(value(FitnessForm::Iros, &[], base(0.004, 0.0, 0.0, 0.0)), 0.4);
        near(value(FitnessForm::Iros, &[], base(0.004, 0.0, 0.4, 0.0)), -0.1);
        near(value(FitnessForm::Iros, &[], base(0.004, 0.0, 0.4, 0.5)), -0.6);
        near(value(FitnessForm::Gecko, &[], base(0.0, 0.004, 0.0, std::f32::consts::FRAC_PI_2)), -0.1);
        let terms = [FitnessTerm::TargetChange { penalty: 2.0 }, FitnessTerm::LateralVelocity { penalty: 1.0 }];
        near(value(FitnessForm::None, &terms, base(0.0, -0.004, 0.0, 0.0)), -1.2);
        let still = |term| value(FitnessForm::None, &[term], base(0.0, 0.0, 0.0, 0.0));
        near(still(FitnessTerm::WeightChange { penalty: 2.0 }), -0.5);
        near(still(FitnessTerm::Energy { work: 2.0, torque_squared: 0.0 }), -1.0);
        near(still(FitnessTerm::Energy { work: 2.0, torque_squared: 0.1 }), -1.3);
    }
}
