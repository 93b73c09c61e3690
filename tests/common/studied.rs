//! A study of two groups whose figures are made up.
#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses a part of this")]

use hebbian_locomotion::config::parse_yaml;
use hebbian_locomotion::evidence::study::{Evolved, Study, StudyFigures, WeightFigures};
use hebbian_locomotion::evidence::suite::{ConditionReport, Suite, SuiteReport};
use hebbian_locomotion::evidence::{Motion, statistics::Interval};

use crate::common::lively_policy;

pub const SUITE: &str = "{episodes: 3, duration: 3, conditions: [{name: flat}, {name: rough, terrain: {relief: {uneven: {}}}}, \
                     {name: limp, each_leg: limp}, {name: air, damage: [suspended: {}]}]}";
pub const STUDY: &str = "
name: test
suite: unused.yaml
policies: unused
seeds: [1, 2, 3, 4, 5]
generations: 9
groups:
  - {name: plastic, experiment: plastic.yaml}
  - {name: static, experiment: static.yaml, seeds: [5, 6, 7, 8, 9, 10], generations: 4}
outcomes: [{name: trouble, conditions: [rough, limp]}]
comparisons:
  - {group: plastic, baseline: static, in: flat}
  - {group: plastic, baseline: static, in: trouble}
weights: {known: flat, unknown: rough}
";

pub fn study(more: &str) -> Study {
    parse_yaml(&format!("{STUDY}{more}")).unwrap()
}

pub fn suite() -> Suite {
    parse_yaml(SUITE).unwrap()
}

/// What a policy came to under a condition.
pub fn row(policy: &str, condition: &str, speed: f64) -> ConditionReport {
    let interval = |estimate| Interval { estimate, low: estimate, high: estimate };
    ConditionReport {
        policy: policy.to_owned(),
        condition: condition.to_owned(),
        speed: interval(speed),
        retained: None,
        falls: 0.25,
        work_per_metre: Some(80.0),
        joint_speed: if condition == "air" { 0.05 } else { 1.0 },
        weight_change: 0.1,
        straightness: 0.9,
        weights_max_abs: if policy.contains("static") { 5e4 } else { 1.0 },
    }
}

/// Figures of policies whose speeds are given: \[flat, rough, limp\], of the plastic group and of the static one.
pub fn figures(study: &Study, plastic: &[[f64; 3]], fixed: &[[f64; 3]], weights: &WeightFigures) -> StudyFigures {
    figures_with(study, &suite(), [plastic, fixed], weights, &|_| ())
}

/// The same in another suite, each row changed by `change`.
pub fn figures_with(
    study: &Study,
    suite: &Suite,
    [plastic, fixed]: [&[[f64; 3]]; 2],
    weights: &WeightFigures,
    change: &dyn Fn(&mut ConditionReport),
) -> StudyFigures {
    let mut rows = Vec::new();
    let mut policies = Vec::new();
    for (group, speeds) in [("plastic", plastic), ("static", fixed)] {
        for (member, speeds) in study.members().filter(|member| member.group.name == group).zip(speeds) {
            let conditions = ["flat", "rough", "limp"].iter().zip(speeds);
            rows.extend(conditions.map(|(condition, &speed)| row(&member.name(), condition, speed)));
            rows.push(row(&member.name(), "air", 0.0));
            policies.push(Evolved { member, file: lively_policy(), sha256: "0123".to_owned(), weights: Some(weights.clone()) });
        }
    }
    rows.iter_mut().for_each(change);
    let report = SuiteReport { level: 0.95, seeds: vec![1, 2, 3], conditions: rows, comparisons: Vec::new(), fewest_episodes: 6 };
    StudyFigures::new(study, suite, &policies, &report)
}

pub fn wide() -> WeightFigures {
    WeightFigures {
        explained: vec![0.9, 0.88],
        known_spread: vec![1.0, 1.0, 0.5],
        unknown_spread: vec![2.0, 2.0, 1.0],
        motions: vec![Motion::LimitCycle, Motion::LimitCycle, Motion::Wandering],
    }
}

pub const PLASTIC: [[f64; 3]; 5] =
    [[0.20, 0.16, 0.12], [0.22, 0.18, 0.13], [0.21, 0.17, 0.12], [0.20, 0.15, 0.12], [0.22, 0.17, 0.14]];
/// The last one does not walk.
pub const STATIC: [[f64; 3]; 6] =
    [[0.20, 0.06, 0.05], [0.23, 0.06, 0.06], [0.20, 0.05, 0.06], [0.21, 0.05, 0.06], [0.22, 0.07, 0.06], [0.01, 0.01, 0.01]];
