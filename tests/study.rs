//! Studies: what they consist of, and their statistics on data with known answers.
#![allow(clippy::unwrap_used)]

mod common;

use common::{lively_policy, repository};
use hebbian_locomotion::config::parse_yaml;
use hebbian_locomotion::evidence::study::{
    Claim, ClaimVerdict, ComparisonFigures, Evolved, Study, StudyError, StudyFigures, WeightConditions, WeightFigures,
    WeightRecords, markdown, weight_figures,
};
use hebbian_locomotion::evidence::suite::{ConditionReport, Entrant, Suite, SuiteReport};
use hebbian_locomotion::evidence::{Carrier, Loss, Motion, Verdict, statistics::Interval};
use hebbian_locomotion::plasticity::{InitialWeights, Normalisation, PlasticDescription};
use hebbian_locomotion::policy::{Ablation, AblationResult, NetworkDescription};

const SUITE: &str = "{episodes: 3, duration: 3, conditions: [{name: flat}, {name: rough, terrain: {relief: {uneven: {}}}}, \
                     {name: limp, each_leg: limp}, {name: air, damage: [suspended: {}]}]}";
const STUDY: &str = "
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

fn study(more: &str) -> Study {
    parse_yaml(&format!("{STUDY}{more}")).unwrap()
}

fn suite() -> Suite {
    parse_yaml(SUITE).unwrap()
}

#[test]
fn policies_are_evolved_seed_by_seed_so_that_groups_grow_together() {
    let study = study("");
    let names: Vec<String> = study.members().map(|member| member.name()).collect();
    let expected = ["plastic_1", "static_5", "plastic_2", "static_6", "plastic_3"];
    assert_eq!(names[..5], expected.map(|name| format!("test_{name}")));
    assert_eq!((names.len(), names[10].as_str()), (11, "test_static_10"));
    let generations: Vec<u64> = study.members().take(2).map(|member| member.generations()).collect();
    assert_eq!(generations, [9, 4]);
}

#[test]
fn a_study_that_contradicts_itself_is_refused_before_anything_runs() {
    let check = |text: &str| parse_yaml::<Study>(text).unwrap().check(&suite());
    let more = |text: &str| check(&format!("{STUDY}{text}")).unwrap_err().to_string();
    let changed = |from: &str, to: &str| check(&STUDY.replacen(from, to, 1)).unwrap_err();
    assert!(check(STUDY).is_ok());
    assert!(more("claims: [{wider: {group: lstm}}]").contains("\"lstm\"; known are plastic, static"));
    assert!(more("claims: [{more_robust: {group: plastic, than: [static], outcome: damage}}]").contains("known are trouble"));
    // Under the first condition speeds are compared, of which a claim on shares would say that they are retained.
    for claim in ["more_robust: {group: plastic, than: [static]", "matters: {group: plastic, than: static, times: 1"] {
        let text = more(&format!("claims: [{{{claim}, outcome: flat}}}}]"));
        assert!(text.contains("retained") && text.contains("under \"flat\"") && text.contains("outcomes: trouble"), "{text}");
        assert!(more(&format!("claims: [{{{claim}, outcome: rough}}}}]")).contains("known are trouble"));
    }
    assert!(more("claims: [{more_robust: {group: plastic, than: [], outcome: trouble}}]").contains("`than` of a claim is empty"));
    assert!(more("claims: [{faster: {group: static, than: plastic}}]").contains("{group: static, baseline: plastic, in: flat}"));
    assert!(more("claims: [{low_dimensional: {group: plastic, share: 88}}]").contains("share of a claim is 88"));
    assert!(more("claims: [{bounded: {with: [plastic], without: static, bound: .nan}}]").contains("bound of a claim is NaN"));
    assert!(
        more("claims: [{matters: {group: plastic, than: static, outcome: trouble, times: 0.5}}]")
            .contains("times of a claim is 0.5")
    );
    assert!(changed("unknown: rough", "unknown: ice").to_string().contains("known are flat, rough, limp, air"));
    assert!(changed("unknown: rough", "unknown: limp").to_string().contains("one for each leg"));
    assert!(changed("[1, 2, 3, 4, 5]", "[]").to_string().contains("seeds is empty"));
    assert!(changed("[rough, limp]", "[]").to_string().contains("is empty"));
    assert!(matches!(changed("[1, 2, 3, 4, 5]", "[1, 1]"), StudyError::Twice(name) if name == "1"));
    assert!(matches!(changed("name: trouble", "name: rough"), StudyError::Twice(name) if name == "rough"));
    assert!(matches!(changed("name: static", "name: plastic"), StudyError::Twice(name) if name == "plastic"));
    assert!(matches!(changed("name: static", "name: ../static"), StudyError::Name(name) if name == "../static"));
    assert!(changed("generations: 4", "set: {seed: 3}").to_string().contains("give it as seeds instead"));
    let error = parse_yaml::<Study>(&STUDY.replace("outcomes", "outcome")).unwrap_err().to_string();
    assert!(error.contains("did you mean `outcomes`"), "{error}");
}

fn row(policy: &str, condition: &str, speed: f64) -> ConditionReport {
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
fn figures(study: &Study, plastic: &[[f64; 3]], fixed: &[[f64; 3]], weights: &WeightFigures) -> StudyFigures {
    let suite = suite();
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
    let report = SuiteReport { level: 0.95, seeds: vec![1, 2, 3], conditions: rows, comparisons: Vec::new(), fewest_episodes: 6 };
    StudyFigures::new(study, &suite, &policies, &report)
}

fn wide() -> WeightFigures {
    WeightFigures {
        explained: vec![0.9, 0.88],
        known_spread: vec![1.0, 1.0, 0.5],
        unknown_spread: vec![2.0, 2.0, 1.0],
        motions: vec![Motion::LimitCycle, Motion::LimitCycle, Motion::Wandering],
    }
}

const PLASTIC: [[f64; 3]; 5] =
    [[0.20, 0.16, 0.12], [0.22, 0.18, 0.13], [0.21, 0.17, 0.12], [0.20, 0.15, 0.12], [0.22, 0.17, 0.14]];
/// The last one does not walk.
const STATIC: [[f64; 3]; 6] =
    [[0.20, 0.06, 0.05], [0.23, 0.06, 0.06], [0.20, 0.05, 0.06], [0.21, 0.05, 0.06], [0.22, 0.07, 0.06], [0.01, 0.01, 0.01]];

#[test]
fn figures_are_over_policies_and_leave_out_of_retention_who_does_not_walk() {
    let study = study("");
    let figures = figures(&study, &PLASTIC, &STATIC, &wide());
    assert_eq!(figures.outcomes, ["flat", "rough", "limp", "air", "trouble"]);
    let (plastic, fixed) = (figures.group("plastic").unwrap(), figures.group("static").unwrap());
    assert_eq!((plastic.walkers(), fixed.walkers(), fixed.policies.len(), fixed.planned), (5, 5, 6, 6));
    let near = |value: f64, expected: f64| assert!((value - expected).abs() < 1e-12, "{value} is not {expected}");
    near(plastic.outcomes[0].speed.estimate, 0.21);
    near(plastic.policies[0].outcomes[4].speed, 0.14);
    near(plastic.policies[0].outcomes[4].retained.unwrap(), 0.7);
    assert_eq!(fixed.policies[5].outcomes[4].retained, None);
    near(fixed.policies[0].outcomes[1].retained.unwrap(), 0.3);

    // Speed on flat ground, then what is retained in trouble.
    let [speed, trouble] = &figures.comparisons[..] else { panic!("two comparisons") };
    assert_eq!((speed.retained, speed.policies, trouble.retained, trouble.policies), (false, [5, 6], true, [5, 5]));
    near(speed.effect.difference.estimate, 0.21 - 1.07 / 6.0);
    // Apart: of 252 ways to deal 5 and 5, the one seen and its mirror image; and one of two comparisons.
    near(trouble.effect.p_value, 2.0 / 252.0);
    near(trouble.p_adjusted, 4.0 / 252.0);
    assert!(trouble.effect.ratio.is_some_and(|ratio| ratio.low > 1.5), "{trouble:?}");
    assert!(figures.missing.is_empty());
}

#[test]
fn claims_follow_the_numbers() {
    let study = study("");
    let judge = |claim: &str, weights: &WeightFigures, plastic: &[[f64; 3]], fixed: &[[f64; 3]]| {
        let claim: Claim = parse_yaml(claim).unwrap();
        claim.judge(&figures(&study, plastic, fixed, weights))
    };
    let verdict = |claim: &str| judge(claim, &wide(), &PLASTIC, &STATIC).verdict;
    let robust = "more_robust: {group: plastic, than: [static], outcome: trouble}";
    assert_eq!(verdict(robust), ClaimVerdict::Holds);
    assert_eq!(verdict("faster: {group: plastic, than: static}"), ClaimVerdict::Open);
    let mixed = [[0.2, 0.06, 0.04], [0.2, 0.03, 0.06], [0.2, 0.09, 0.07], [0.2, 0.05, 0.05], [0.2, 0.06, 0.06]];
    assert_eq!(judge(robust, &wide(), &mixed, &STATIC).verdict, ClaimVerdict::Open);
    // Worse, and backwards: the ratio would have the wrong sign.
    let result = judge(robust, &wide(), &[[0.2, -0.05, -0.01]; 5], &STATIC);
    assert_eq!(result.verdict, ClaimVerdict::Fails, "{}", result.evidence);
    assert_eq!(verdict("bounded: {with: [plastic], without: static, bound: 1000}"), ClaimVerdict::Holds);
    assert_eq!(verdict("bounded: {with: [plastic], without: plastic, bound: 1000}"), ClaimVerdict::Fails);
    assert_eq!(verdict("bounded: {with: [static], without: plastic, bound: 1000}"), ClaimVerdict::Fails);
    assert_eq!(verdict("low_dimensional: {group: plastic, share: 0.75}"), ClaimVerdict::Holds);
    assert_eq!(verdict("low_dimensional: {group: plastic, share: 0.95}"), ClaimVerdict::Fails);
    assert_eq!(verdict("still_in_the_air: {group: plastic, condition: air, share: 0.2}"), ClaimVerdict::Holds);
    assert_eq!(verdict("still_in_the_air: {group: plastic, condition: limp, share: 0.2}"), ClaimVerdict::Fails);
    assert_eq!(verdict("wider: {group: plastic}"), ClaimVerdict::Holds);
    let narrow = WeightFigures { unknown_spread: vec![0.5, 0.5, 0.25], ..wide() };
    let result = judge("wider: {group: plastic}", &narrow, &PLASTIC, &STATIC);
    assert_eq!(result.verdict, ClaimVerdict::Fails);
    assert!(result.evidence.contains("0.50") && result.evidence.contains("over 5 of 5 policies"), "{}", result.evidence);
}

#[test]
fn plasticity_matters_where_losses_retention_and_equal_speed_all_say_so() {
    let study = study("");
    let loss = |share: f32| Loss { share, margin: 0.05 };
    let judge_life = |activity: f32, change: f32, own: Option<f32>, fixed: &[[f64; 3]], times: f64| {
        let mut figures = figures(&study, &PLASTIC, fixed, &wide());
        for policy in &mut figures.groups[0].policies {
            let verdict = Verdict {
                carrier: Carrier::Mixed,
                is_sure: true,
                activity: loss(activity),
                constant: loss(0.9),
                change: loss(change),
                own: own.map(loss),
                order: own.map(|_| loss(0.8)),
                rate: None,
                control: None,
            };
            policy.verdict = Some(verdict);
        }
        let claim: Claim =
            parse_yaml(&format!("matters: {{group: plastic, than: static, outcome: trouble, times: {times}}}")).unwrap();
        claim.judge(&figures)
    };
    let judge = |activity, change, fixed: &[[f64; 3]], times| judge_life(activity, change, Some(0.5), fixed, times);
    let holds = judge(0.8, 0.5, &STATIC, 1.5);
    assert_eq!(holds.verdict, ClaimVerdict::Holds, "{}", holds.evidence);
    assert!(holds.evidence.contains("plastic has 0.99 times the speed of static (5 and 5 policies"), "{}", holds.evidence);
    assert_eq!(judge(0.3, 0.5, &STATIC, 1.5).verdict, ClaimVerdict::Fails, "it walks without A, B and C");
    assert_eq!(judge(0.8, 0.1, &STATIC, 1.5).verdict, ClaimVerdict::Fails, "it walks on frozen weights");
    let other_life = judge_life(0.8, 0.5, Some(0.05), &STATIC, 1.5);
    assert_eq!(other_life.verdict, ClaimVerdict::Fails, "it walks on another life's weights");
    assert!(other_life.evidence.contains("changes that are not of this life 0.05;"), "{}", other_life.evidence);
    assert_eq!(judge_life(0.8, 0.5, None, &STATIC, 1.5).verdict, ClaimVerdict::Open, "another life's weights were not tried");
    assert_eq!(judge(0.8, 0.5, &STATIC, 9.0).verdict, ClaimVerdict::Fails, "it retains more, but not nine times as much");
    // Who is faster has more to lose.
    let at_speed = |times: f64| STATIC.map(|speeds| speeds.map(|speed| times * speed));
    assert_eq!(judge(0.8, 0.5, &at_speed(2.0), 1.5).verdict, ClaimVerdict::Open, "the other is twice as fast");
    assert_eq!(judge(0.8, 0.5, &at_speed(0.5), 1.5).verdict, ClaimVerdict::Holds, "the other is slower and retains less");
    assert_eq!(judge(0.8, 0.5, &at_speed(0.5), 9.0).verdict, ClaimVerdict::Open, "the other is slower, so it would retain more");
    // A share below 0 is less than any, not more.
    let backwards = STATIC.map(|[flat, ..]| [flat, -0.01, -0.02]);
    assert_eq!(judge(0.8, 0.5, &backwards, 1.5).verdict, ClaimVerdict::Holds, "the other walks backwards");
    // Without an ablation nothing is known of what carries the gait.
    let claim: Claim = parse_yaml("matters: {group: plastic, than: static, outcome: trouble, times: 1.5}").unwrap();
    let result = claim.judge(&figures(&study, &PLASTIC, &STATIC, &wide()));
    assert_eq!(result.verdict, ClaimVerdict::Open);
    assert!(result.evidence.contains("too few policies of plastic have an ablation of at least 8 episodes of 3 s"), "{result:?}");
}

#[test]
fn a_study_goes_by_no_ablation_of_few_or_short_episodes() {
    let study = study("");
    let verdict = |episodes: u32, duration: f32| {
        let result = |variant: &str| AblationResult {
            variant: variant.to_owned(),
            speed_mean: 0.2,
            speed_sd: 0.01,
            speed_retained: 1.0,
            falls: 0,
        };
        let results = ["intact", "A=B=C=0", "D=0", "frozen after 1 s"].map(result).into();
        let mut file = lively_policy();
        file.metadata.provenance.ablation = Some(Ablation { episodes, duration, seed: 0, results });
        let member = study.members().next().unwrap();
        let conditions = ["flat", "rough", "limp", "air"].map(|condition| row(&member.name(), condition, 0.2)).into();
        let report = SuiteReport { level: 0.95, seeds: vec![1], conditions, comparisons: Vec::new(), fewest_episodes: 6 };
        let policies = [Evolved { member, file, sha256: "0123".to_owned(), weights: None }];
        StudyFigures::new(&study, &suite(), &policies, &report).groups[0].policies[0].verdict
    };
    assert!(verdict(8, 3.0).is_some());
    assert!(verdict(7, 3.0).is_none() && verdict(32, 2.9).is_none() && verdict(32, f32::NAN).is_none());
}

#[test]
fn a_text_that_a_group_sets_names_the_seed_of_each_evolution() {
    let set = "{start: \"walker_{seed}.safetensors\", evolution.sigma.initial: 0.05}";
    let study: Study =
        parse_yaml(&STUDY.replacen("experiment: plastic.yaml", &format!("experiment: plastic.yaml, set: {set}"), 1)).unwrap();
    let of = |index: usize| study.members().nth(index).unwrap().changes();
    let values = |index| of(index).into_iter().map(|change| (change.key, change.value)).collect::<Vec<_>>();
    let expected = |seed: u64| {
        let start = (String::from("start"), format!("walker_{seed}.safetensors").into());
        vec![(String::from("evolution.sigma.initial"), 0.05.into()), start]
    };
    assert_eq!([values(0), values(2)], [expected(1), expected(2)]);
    let page = markdown("study.yaml", &study, &suite(), &figures(&study, &PLASTIC, &STATIC, &wide()), &[]);
    assert!(page.contains("--set 'start=\"walker_3.safetensors\"' --seed 3"), "{page}");
}

#[test]
fn there_is_no_verdict_on_half_of_the_policies_or_on_hardly_any_that_walk() {
    let study = study("");
    let judge = |claim: &str, plastic: &[[f64; 3]], fixed: &[[f64; 3]]| {
        let claim: Claim = parse_yaml(claim).unwrap();
        claim.judge(&figures(&study, plastic, fixed, &wide()))
    };
    let half = judge("wider: {group: plastic}", &PLASTIC[..4], &STATIC);
    assert!(half.verdict == ClaimVerdict::Missing && half.evidence.starts_with("so far: "), "{half:?}");
    let none = judge("more_robust: {group: plastic, than: [static], outcome: trouble}", &PLASTIC, &[]);
    assert!(none.verdict == ClaimVerdict::Missing && none.evidence.is_empty(), "{none:?}");
    let lame = [[0.001, 0.0, 0.0]; 5];
    let lame = judge("wider: {group: plastic}", &lame, &STATIC);
    assert!(lame.verdict == ClaimVerdict::Open && lame.evidence == "too few policies walk", "{lame:?}");
}

#[test]
fn a_claim_about_weights_of_a_static_group_is_not_decided_for_what_it_lacks() {
    let study = study("");
    let mut figures = figures(&study, &PLASTIC, &STATIC, &wide());
    let fixed = &mut figures.groups[1];
    fixed.plastic = 0;
    fixed.policies.iter_mut().for_each(|policy| policy.weights = None);
    let judge = |claim: &str| parse_yaml::<Claim>(claim).unwrap().judge(&figures);
    for claim in ["low_dimensional: {group: static, share: 0.75}", "wider: {group: static}"] {
        let result = judge(claim);
        assert_eq!((result.verdict, result.evidence.as_str()), (ClaimVerdict::Open, "static has no plastic weights"));
    }
    let result = judge("still_in_the_air: {group: static, condition: air, share: 0.2}");
    assert!(result.verdict == ClaimVerdict::Holds && !result.evidence.contains("weights"), "{}", result.evidence);
}

#[test]
fn two_policies_have_no_interval() {
    let study = study("");
    let figures = figures(&study, &PLASTIC[..2], &STATIC, &wide());
    let [two, six] = &figures.groups[..] else { panic!("two groups") };
    assert!(two.outcomes[0].speed.low.is_nan() && six.outcomes[0].speed.low.is_finite());
    assert_eq!(format!("{:.3}", two.outcomes[0].speed), "0.210");
    // Nor has a comparison with two.
    let ComparisonFigures { effect, policies, .. } = &figures.comparisons[0];
    assert!(policies.contains(&2) && effect.difference.low.is_nan() && effect.ratio.is_none(), "{effect:?}");
    assert!(effect.difference.estimate.is_finite());
}

#[test]
fn a_page_says_how_fast_joints_move_in_the_air_and_not_that_a_robot_that_is_held_has_no_speed() {
    let study = study("");
    let page = markdown("study.yaml", &study, &suite(), &figures(&study, &PLASTIC, &STATIC, &wide()), &[]);
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| air |")).collect();
    let [motion, falls] = rows[..] else { panic!("two rows: {rows:?}") };
    assert!(motion.contains("| 0.05 |") && falls == "| air | 25 | 25 |", "{rows:?}");
    assert!(page.contains("times that under the first condition"), "{page}");
}

#[test]
fn a_p_value_is_never_written_as_0() {
    let study = study("");
    let mut figures = figures(&study, &PLASTIC, &STATIC, &wide());
    (figures.comparisons[0].effect.p_value, figures.comparisons[0].p_adjusted) = (0.00016, 0.0003);
    let page = markdown("study.yaml", &study, &suite(), &figures, &[]);
    assert!(page.contains("| <0.001 | <0.001 |"), "{page}");
}

#[test]
fn three_against_three_fully_apart_decide_where_a_tenth_is_enough() {
    let study = study("");
    let mut figures = figures(&study, &PLASTIC, &STATIC, &wide());
    figures.level = 0.9;
    let comparison = figures.comparisons.iter_mut().find(|comparison| comparison.retained).unwrap();
    (comparison.p_adjusted, comparison.policies) = (0.1, [3, 3]);
    let claim: Claim = parse_yaml("more_robust: {group: plastic, than: [static], outcome: trouble}").unwrap();
    assert_eq!(claim.judge(&figures).verdict, ClaimVerdict::Holds);
}

#[test]
fn a_comparison_that_cannot_be_made_yet_still_counts_in_the_correction() {
    let study = study("");
    // Of the static ones none walks, so that nothing is retained; two of them are too few, none is no group at all.
    let lame = [[0.001, 0.0, 0.0]; 6];
    let few = figures(&study, &PLASTIC, &lame, &wide());
    let [speed] = &few.comparisons[..] else { panic!("one comparison") };
    assert!(!speed.retained && speed.effect.p_value > 0.0 && speed.effect.p_value < 0.1, "{speed:?}");
    assert_eq!(speed.p_adjusted, 2.0 * speed.effect.p_value);
    let page = markdown("study.yaml", &study, &suite(), &few, &[]);
    assert!(page.contains("p of 2 (Holm)"), "{page}");
    assert!(figures(&study, &PLASTIC, &[], &wide()).comparisons.is_empty());
}

#[test]
fn weights_are_not_judged_bounded_by_fewer_than_three_policies() {
    let two = STUDY.replace("seeds: [5, 6, 7, 8, 9, 10]", "seeds: [5, 6]");
    let study: Study = parse_yaml(&two).unwrap();
    for (claim, verdict) in [
        ("bounded: {with: [plastic], without: static, bound: 1000}", ClaimVerdict::Open),
        ("bounded: {with: [static], without: plastic, bound: 1000}", ClaimVerdict::Open),
        ("bounded: {with: [plastic], without: plastic, bound: 1000}", ClaimVerdict::Fails),
    ] {
        let claim: Claim = parse_yaml(claim).unwrap();
        let result = claim.judge(&figures(&study, &PLASTIC, &STATIC[..2], &wide()));
        assert_eq!(result.verdict, verdict, "{}", result.evidence);
        assert_eq!(result.evidence.contains("static has fewer than 3 policies"), verdict == ClaimVerdict::Open);
    }
    let faster: Claim = parse_yaml("faster: {group: plastic, than: static}").unwrap();
    let result = faster.judge(&figures(&study, &PLASTIC, &STATIC[..2], &wide()));
    assert_eq!((result.verdict, result.evidence.as_str()), (ClaimVerdict::Open, "too few policies"));
}

#[test]
fn weights_are_followed_on_both_grounds_and_kept() {
    let mut suite = suite();
    (suite.episodes, suite.duration) = (2, 2.5);
    let conditions = WeightConditions { known: "flat".into(), unknown: "rough".into() };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.jsonl");
    let entrant = Entrant { name: "lively".into(), file: lively_policy(), sha256: "1".into(), robot: common::beetle() };
    let mut records = WeightRecords::open(&path).unwrap();
    let measured = weight_figures(&suite, &conditions, &entrant, &mut records).unwrap().unwrap();
    assert_eq!((measured.explained.len(), measured.motions.len(), measured.known_spread.len()), (2, 2, 3));
    assert!(measured.explained.iter().all(|share| (0.0..=1.0).contains(share)) && measured.widening() > 0.0, "{measured:?}");
    let kept = std::fs::read(&path).unwrap();
    let mut records = WeightRecords::open(&path).unwrap();
    assert_eq!(weight_figures(&suite, &conditions, &entrant, &mut records).unwrap().unwrap(), measured);
    assert_eq!(std::fs::read(&path).unwrap(), kept, "nothing is measured again");
    let conditions = WeightConditions { known: "flat".into(), unknown: "limp".into() };
    let error = weight_figures(&suite, &conditions, &entrant, &mut records).unwrap_err().to_string();
    assert!(error.contains("none of this name"), "{error}");
    std::fs::write(&path, b"{}\n").unwrap();
    assert!(WeightRecords::open(&path).unwrap_err().to_string().contains("line 1"));
}

#[test]
fn weights_that_settle_are_seen_to_though_the_way_to_the_gait_is_left_out_of_their_motion() {
    let mut suite = suite();
    (suite.episodes, suite.duration) = (2, 2.5);
    // With eta = 1, D = d and nothing else, V = W + d: from small random weights one long step, then ever smaller ones to W = 1.
    let mut file = lively_policy();
    let shape = file.metadata.network.layers().clone();
    file.metadata.network = NetworkDescription::Plastic(PlasticDescription {
        normalisation: Normalisation::Max,
        ..PlasticDescription::new(shape.clone(), InitialWeights::Random(0.1))
    });
    file.genome = [0.0, 0.0, 0.0, 0.008, 1.0].iter().flat_map(|&number| vec![number; shape.synapses()]).collect();
    let entrant = Entrant { name: "slow".into(), file, sha256: "2".into(), robot: common::beetle() };
    let folder = tempfile::tempdir().unwrap();
    let mut records = WeightRecords::open(&folder.path().join("weights.jsonl")).unwrap();
    let conditions = WeightConditions { known: "flat".into(), unknown: "rough".into() };
    let measured = weight_figures(&suite, &conditions, &entrant, &mut records).unwrap().unwrap();
    assert_eq!(measured.motions, [Motion::Settling; 2], "{measured:?}");
}

#[test]
fn a_page_loses_no_section_of_a_study_that_is_not_given_and_no_other_file_unless_forced() {
    let folder = tempfile::tempdir().unwrap();
    let [suite, study, page, records] =
        ["unused.yaml", "test.yaml", "page.md", "records"].map(|name| folder.path().join(name).to_str().unwrap().to_owned());
    std::fs::write(suite, SUITE).unwrap();
    std::fs::write(&study, STUDY).unwrap();
    let report = |more: &[&str]| {
        let command: [&str; 7] = ["study", "report", &study, "--out", &page, "--records", &records];
        let output = common::hebb([&command[..], more].concat());
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    };
    let (fine, text) = report(&[]);
    assert!(fine, "{text}");
    let made = std::fs::read_to_string(&page).unwrap();
    assert!(made.contains("\n## test\n\nNo policy"), "{made}");
    // Made again.
    assert!(report(&[]).0);
    let both = format!("{made}\n## beetle\n\n### Groups\n\n## ant\n");
    let others = ["# Notes\n".to_owned(), format!("# Notes\n{made}"), "name: test\n".to_owned()];
    for (text, says) in [(both, "sections of beetle, ant,")].into_iter().chain(others.map(|text| (text, "not a page of"))) {
        std::fs::write(&page, &text).unwrap();
        let (fine, message) = report(&[]);
        assert!(!fine && message.contains(says) && message.contains("--force"), "{message}");
        assert_eq!(std::fs::read_to_string(&page).unwrap(), text);
    }
    assert!(report(&["--force"]).0);
    assert_eq!(std::fs::read_to_string(&page).unwrap(), made);
}

#[test]
fn training_can_be_of_some_groups_and_refuses_those_that_are_not_there() {
    let train = |groups: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_hebb"));
        command.current_dir(repository("")).args([
            "study",
            "train",
            "config/studies/beetle.yaml",
            "--most",
            "0",
            "--groups",
            groups,
        ]);
        command.output().unwrap()
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    // 5 seeds of the one, 3 of the other.
    let some = train("lstm,clip");
    assert!(some.status.success() && text(&some.stdout).contains("of 8 policies"), "{some:?}");
    let none = train("lstm,gru");
    assert!(!none.status.success() && text(&none.stderr).contains("\"gru\"; known are plastic, feed_forward"), "{none:?}");
}
