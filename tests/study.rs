//! Studies: what they consist of, and their statistics on data with known answers.
#![allow(clippy::unwrap_used)]

mod common;
#[path = "common/studied.rs"]
mod studied;

use common::{lively_policy, repository};
use hebbian_locomotion::config::parse_yaml;
use hebbian_locomotion::evidence::Motion;
use hebbian_locomotion::evidence::study::{
    ComparisonFigures, Study, StudyError, WeightConditions, WeightRecords, markdown, weight_figures,
};
use hebbian_locomotion::evidence::suite::{ConditionReport, Entrant, Suite};
use hebbian_locomotion::plasticity::{InitialWeights, Normalisation, PlasticDescription};
use hebbian_locomotion::policy::NetworkDescription;
use studied::{PLASTIC, STATIC, STUDY, SUITE, figures, figures_with, study, suite, wide};

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
fn who_falls_in_most_episodes_does_not_walk_however_fast() {
    let study = study("");
    // Of the first plastic policy, under one condition.
    let fallen = |condition: &str, falls: f64| {
        let change = |row: &mut ConditionReport| {
            if row.policy == "test_plastic_1" && row.condition == condition {
                row.falls = falls;
            }
        };
        figures_with(&study, &suite(), [&PLASTIC, &STATIC], &wide(), &change).groups.remove(0)
    };
    let tumbling = fallen("flat", 1.0);
    let first = &tumbling.policies[0];
    assert_eq!((first.walks, first.outcomes[4].retained, tumbling.walkers()), (false, None, 4));
    assert_eq!((tumbling.retained(4).len(), tumbling.walkers_on_known(), tumbling.walkers_on_both()), (4, 4, 4));
    assert_eq!((fallen("flat", 0.5).walkers(), fallen("flat", 0.5).policies[0].walks), (5, true));
    let elsewhere = fallen("rough", 0.6);
    assert_eq!((elsewhere.walkers(), elsewhere.walkers_on_both(), elsewhere.policies[0].walks_on_unknown), (5, 4, false));
}

#[test]
fn a_suite_says_how_fast_a_walk_is_and_the_page_names_it() {
    let study = study("");
    let mut plastic = PLASTIC;
    plastic[0] = [0.03; 3];
    let with = |suite: &Suite| {
        let figures = figures_with(&study, suite, [&plastic, &STATIC], &wide(), &|_| ());
        (figures.groups[0].walkers(), markdown("study.yaml", &study, suite, &figures, &[]))
    };
    let (walkers, page) = with(&suite());
    assert!(walkers == 5 && page.contains("walks from 0.02 m/s on, unless it falls in more than half"), "{walkers}, {page}");
    let (walkers, page) = with(&Suite { walks_from: 0.05, ..suite() });
    assert!(walkers == 4 && page.contains("walks from 0.05 m/s on"), "{walkers}, {page}");
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
    drop(records);
    let kept = std::fs::read(&path).unwrap();
    let mut records = WeightRecords::open(&path).unwrap();
    assert_eq!(weight_figures(&suite, &conditions, &entrant, &mut records).unwrap().unwrap(), measured);
    assert_eq!(std::fs::read(&path).unwrap(), kept, "nothing is measured again");
    let conditions = WeightConditions { known: "flat".into(), unknown: "limp".into() };
    let error = weight_figures(&suite, &conditions, &entrant, &mut records).unwrap_err().to_string();
    assert!(error.contains("none of this name"), "{error}");
    drop(records);
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
