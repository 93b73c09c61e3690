//! Claims about a study, on figures with known answers.
#![allow(clippy::unwrap_used)]

mod common;
#[path = "common/studied.rs"]
mod studied;

use common::lively_policy;
use hebbian_locomotion::config::parse_yaml;
use hebbian_locomotion::episode::EPISODE_VERSION;
use hebbian_locomotion::evidence::study::{Claim, ClaimVerdict, Evolved, Study, StudyFigures, WeightFigures, markdown};
use hebbian_locomotion::evidence::suite::{Suite, SuiteReport};
use hebbian_locomotion::evidence::{Carrier, Loss, Verdict};
use hebbian_locomotion::policy::{Ablation, AblationResult};
use studied::{PLASTIC, STATIC, STUDY, figures, row, study, suite, wide};

/// What an ablation says in which these shares are lost.
fn carried(activity: f32, change: f32, own: Option<f32>) -> Verdict {
    let loss = |share: f32| Loss { share, margin: 0.05, falls: None };
    Verdict {
        carrier: Carrier::Mixed,
        is_sure: true,
        falls: 0.0,
        activity: loss(activity),
        constant: loss(0.9),
        change: loss(change),
        own: own.map(loss),
        order: own.map(|_| loss(0.8)),
        rate: None,
        control: None,
    }
}

fn matters(times: f64) -> Claim {
    parse_yaml(&format!("matters: {{group: plastic, than: static, outcome: trouble, times: {times}}}")).unwrap()
}

/// An ablation in which nothing is lost of this speed \[m/s\].
fn lossless(speed_mean: f32) -> Ablation {
    let result =
        |variant: &str| AblationResult { variant: variant.to_owned(), speed_mean, speed_sd: 0.01, speed_retained: 1.0, falls: 0 };
    let results = ["intact", "A=B=C=0", "D=0", "frozen after 1 s"].map(result).into();
    Ablation { episodes: 8, duration: 3.0, seed: 0, episode_version: Some(EPISODE_VERSION), results }
}

/// Figures of a study of which there is a single policy, with such an ablation.
fn ablated(study: &Study, suite: &Suite, ablation: Ablation) -> StudyFigures {
    let mut file = lively_policy();
    file.metadata.provenance.ablation = Some(ablation);
    let member = study.members().next().unwrap();
    let conditions = ["flat", "rough", "limp", "air"].map(|condition| row(&member.name(), condition, 0.2)).into();
    let report = SuiteReport { level: 0.95, seeds: vec![1], conditions, comparisons: Vec::new(), fewest_episodes: 6 };
    let policies = [Evolved { member, file, sha256: "0123".to_owned(), weights: None }];
    StudyFigures::new(study, suite, &policies, &report)
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
fn how_wide_weights_spread_is_told_by_policies_that_walk_on_both_grounds() {
    let study = study("");
    let narrow = WeightFigures { unknown_spread: vec![0.5, 0.5, 0.25], ..wide() };
    let with = |plastic: &[[f64; 3]]| {
        let figures = figures(&study, plastic, &STATIC, &narrow);
        let claim: Claim = parse_yaml("wider: {group: plastic}").unwrap();
        (claim.judge(&figures), markdown("study.yaml", &study, &suite(), &figures, &[]))
    };
    let (result, page) = with(&PLASTIC);
    assert_eq!(result.verdict, ClaimVerdict::Fails, "{result:?}");
    assert!(page.contains("| 0.50 times |"), "{page}");
    // Stuck on the ground that they do not know, where their weights spread as little.
    let (result, page) = with(&PLASTIC.map(|[flat, _, limp]| [flat, 0.01, limp]));
    assert_eq!(result.verdict, ClaimVerdict::Open, "{result:?}");
    assert!(result.evidence.contains("5 of 5 policies walk on the ground that they know, 0 of these on the other"), "{result:?}");
    assert!(page.contains("| 0.50 times, where it does not walk |"), "{page}");
    let mut some = PLASTIC;
    (some[0][1], some[4][1]) = (0.01, -0.01);
    let (result, _) = with(&some);
    assert_eq!(result.verdict, ClaimVerdict::Fails, "{result:?}");
    let counts = "over 3 of 5 policies; 5 of 5 policies walk on the ground that they know, 3 of these on the other, too";
    assert!(result.evidence.contains(counts), "{result:?}");
}

#[test]
fn the_ground_that_policies_know_need_not_be_the_suites_first_condition() {
    let study: Study = parse_yaml(&STUDY.replacen("known: flat, unknown: rough", "known: rough, unknown: flat", 1)).unwrap();
    let mut plastic = PLASTIC;
    // Neither walks on both: the first not on the ground that it knows, the last there alone.
    (plastic[0][1], plastic[4][0]) = (0.01, 0.01);
    let claim: Claim = parse_yaml("wider: {group: plastic}").unwrap();
    let result = claim.judge(&figures(&study, &plastic, &STATIC, &wide()));
    let counts = "over 3 of 5 policies; 4 of 5 policies walk on the ground that they know, 3 of these on the other, too";
    assert!(result.verdict == ClaimVerdict::Holds && result.evidence.contains(counts), "{result:?}");
}

#[test]
fn plasticity_matters_where_losses_retention_and_equal_speed_all_say_so() {
    let study = study("");
    let judge_life = |activity: f32, change: f32, own: Option<f32>, fixed: &[[f64; 3]], times: f64| {
        let mut figures = figures(&study, &PLASTIC, fixed, &wide());
        for policy in &mut figures.groups[0].policies {
            policy.verdict = Some(carried(activity, change, own));
        }
        matters(times).judge(&figures)
    };
    let judge = |activity, change, fixed: &[[f64; 3]], times| judge_life(activity, change, Some(0.5), fixed, times);
    let holds = judge(0.8, 0.5, &STATIC, 1.5);
    assert_eq!(holds.verdict, ClaimVerdict::Holds, "{}", holds.evidence);
    assert!(holds.evidence.contains("plastic has 0.99 times the speed of static (5 and 5 policies"), "{}", holds.evidence);
    assert_eq!(judge(0.3, 0.5, &STATIC, 1.5).verdict, ClaimVerdict::Fails, "it walks without A, B and C");
    assert_eq!(judge(0.8, 0.1, &STATIC, 1.5).verdict, ClaimVerdict::Fails, "it walks on frozen weights");
    let other_life = judge_life(0.8, 0.5, Some(0.05), &STATIC, 1.5);
    assert_eq!(other_life.verdict, ClaimVerdict::Fails, "it walks on another life's weights");
    let followed = "; with changes that are not of this life 0.05, over 5 of 5 policies; ";
    assert!(other_life.evidence.contains(followed), "{}", other_life.evidence);
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
    let result = matters(1.5).judge(&figures(&study, &PLASTIC, &STATIC, &wide()));
    assert_eq!(result.verdict, ClaimVerdict::Open);
    assert!(result.evidence.contains("too few policies of plastic have an ablation of at least 8 episodes of 3 s"), "{result:?}");
}

#[test]
fn an_ablation_in_which_the_policy_does_not_walk_changes_no_loss() {
    let study = study("");
    let mut figures = figures(&study, &PLASTIC, &STATIC, &wide());
    for (policy, activity) in figures.groups[0].policies.iter_mut().zip([0.78, 0.80, 0.82, 0.84]) {
        policy.verdict = Some(carried(activity, 0.5, Some(0.5)));
    }
    let four = matters(1.5).judge(&figures);
    assert_eq!(four.verdict, ClaimVerdict::Holds, "{four:?}");
    // It walks in the suite; what is lost of 2 mm/s is any number.
    let still = Verdict { carrier: Carrier::Nothing, ..carried(-40.0, 30.0, Some(-7.0)) };
    figures.groups[0].policies[4].verdict = Some(still);
    assert_eq!(matters(1.5).judge(&figures), four);
    figures.groups[0].policies[3].verdict = Some(still);
    figures.groups[0].policies[2].verdict = Some(still);
    let two = matters(1.5).judge(&figures);
    assert!(two.verdict == ClaimVerdict::Open && two.evidence.ends_with("of 3 s in which they walk"), "{two:?}");
}

#[test]
fn what_is_lost_says_over_how_many_policies_it_is() {
    let study = study("");
    let mut figures = figures(&study, &PLASTIC, &STATIC, &wide());
    let own = [Some(0.5), Some(0.5), Some(0.5), None, Some(0.5)];
    for (policy, own) in figures.groups[0].policies.iter_mut().zip(own) {
        policy.verdict = Some(carried(0.75, 0.5, own));
    }
    // It walks in the suite alone.
    figures.groups[0].policies[4].verdict = Some(Verdict { carrier: Carrier::Nothing, ..carried(0.75, 0.5, Some(0.5)) });
    let result = matters(1.5).judge(&figures);
    let counts = "without A, B and C 0.75 of the speed is lost, with weights frozen after 1 s 0.50, over 4 of 5 policies; with changes that \
                  are not of this life 0.50, over 3 of 5 policies; plastic has ";
    assert!(result.verdict == ClaimVerdict::Holds && result.evidence.starts_with(counts), "{result:?}");
}

#[test]
fn a_ratio_that_means_nothing_is_left_out_of_a_claim() {
    let study = study("");
    let judge = |shares: [f64; 5]| {
        let of = |share: f64| [0.2, 0.2 * share, 0.2 * share];
        let mut fixed = STATIC;
        for (speeds, share) in fixed.iter_mut().zip([0.527, 0.074, 0.048, 0.132, 0.248]) {
            *speeds = of(share);
        }
        let mut figures = figures(&study, &shares.map(of), &fixed, &wide());
        for policy in &mut figures.groups[0].policies {
            policy.verdict = Some(carried(0.8, 0.5, Some(0.5)));
        }
        (figures.comparisons[1].effect.ratio, matters(1.5).judge(&figures))
    };
    // Either mean may be 0, as far as five policies tell.
    let (ratio, result) = judge([0.882, 0.576, -0.162, -0.017, 0.006]);
    assert!(ratio.is_none() && result.evidence.ends_with("and retains 0.26 of it beside 0.21"), "{result:?}");
    assert_eq!(result.verdict, ClaimVerdict::Open);
    // A lead is no matter of ratios.
    let (ratio, result) = judge([0.95, 0.96, 0.97, 0.98, 0.99]);
    assert!(ratio.is_none() && result.evidence.ends_with("and retains 0.97 of it beside 0.21"), "{result:?}");
    assert_eq!(result.verdict, ClaimVerdict::Holds);
}

#[test]
fn one_part_of_four_speaks_against_a_claim_only_at_a_level_for_all_four() {
    let study = study("");
    let judge = |change: [f32; 5]| {
        let mut figures = figures(&study, &PLASTIC, &STATIC, &wide());
        for (policy, change) in figures.groups[0].policies.iter_mut().zip(change) {
            policy.verdict = Some(carried(0.8, change, Some(0.5)));
        }
        matters(1.5).judge(&figures)
    };
    // Deviation 0.087, error 0.039: [0.09, 0.31] at 95 % lies below a third, [0.03, 0.37] at 98.75 % does not (t of 4 degrees: 2.78 and 4.31).
    let wide = judge([0.09, 0.145, 0.2, 0.255, 0.31]);
    assert!(wide.verdict == ClaimVerdict::Open && wide.evidence.contains("after 1 s 0.20 [0.09, 0.31]"), "{wide:?}");
    let narrow = judge([0.19, 0.195, 0.2, 0.205, 0.21]);
    assert_eq!(narrow.verdict, ClaimVerdict::Fails, "{narrow:?}");
}

#[test]
fn a_study_goes_by_no_ablation_of_few_or_short_episodes() {
    let study = study("");
    let verdict = |episodes: u32, duration: f32| {
        let figures = ablated(&study, &suite(), Ablation { episodes, duration, ..lossless(0.2) });
        figures.groups[0].policies[0].verdict
    };
    assert!(verdict(8, 3.0).is_some());
    assert!(verdict(7, 3.0).is_none() && verdict(32, 2.9).is_none() && verdict(32, f32::NAN).is_none());
}

#[test]
fn how_fast_a_walk_is_in_a_suite_holds_for_ablations_too() {
    let study = study("");
    let carrier = |walks_from: f32| {
        let figures = ablated(&study, &Suite { walks_from, ..suite() }, lossless(0.015));
        figures.groups[0].policies[0].verdict.unwrap().carrier
    };
    assert_eq!([0.005, 0.02].map(carrier), [Carrier::NoTerm, Carrier::Nothing]);
}

#[test]
fn an_ablation_of_another_version_of_episodes_counts_as_none_and_the_page_says_so() {
    let study = study("");
    for (version, is_old) in [(EPISODE_VERSION, false), (EPISODE_VERSION + 1, true)] {
        let figures = ablated(&study, &suite(), Ablation { episode_version: Some(version), ..lossless(0.2) });
        let policy = &figures.groups[0].policies[0];
        assert_eq!((policy.is_ablation_old, policy.verdict.is_none()), (is_old, is_old), "{version}");
        let page = markdown("study.yaml", &study, &suite(), &figures, &[]);
        assert_eq!(page.contains("| no verdict: its ablation is of episodes of another version"), is_old, "{page}");
    }
}

#[test]
fn the_page_says_in_which_version_of_episodes_policies_evolved_where_it_is_another() {
    let study = study("");
    let mut figures = ablated(&study, &suite(), lossless(0.2));
    for (version, is_said) in [(EPISODE_VERSION, false), (EPISODE_VERSION + 1, true)] {
        figures.groups[0].policies[0].evolved_in = version;
        let page = markdown("study.yaml", &study, &suite(), &figures, &[]);
        let said = format!("All of them evolved in episodes of version {version}");
        assert_eq!((page.contains(&said), page.contains("evolved in episodes")), (is_said, is_said), "{page}");
    }
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
    assert!(lame.verdict == ClaimVerdict::Open && lame.evidence.starts_with("too few policies walk: 0 of 5"), "{lame:?}");
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
