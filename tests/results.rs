//! What is shipped of studies: it fits, and is made again bit for bit.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::{Path, PathBuf};

use common::repository;
use hebbian_locomotion::config::read_yaml;
use hebbian_locomotion::episode::{Episode, Fitness};
use hebbian_locomotion::evidence::study::{Member, Study};
use hebbian_locomotion::evidence::suite::{Entrant, Record, Suite};
use hebbian_locomotion::plasticity::Gate;
use hebbian_locomotion::policy::PolicyFile;

/// Every shipped study with its folder.
fn shipped() -> Vec<(PathBuf, Study, Suite)> {
    let files = std::fs::read_dir(repository("config/studies")).unwrap().map(|entry| entry.unwrap().path());
    let read = |path: PathBuf| {
        let study: Study = read_yaml(&path).unwrap();
        let folder = path.parent().unwrap().to_owned();
        let suite = read_yaml(&folder.join(&study.suite)).unwrap();
        (folder, study, suite)
    };
    files.map(read).collect()
}

fn entrant(folder: &Path, member: &Member) -> Option<Entrant> {
    let path = folder.join(&member.study.policies).join(member.file_name());
    let (file, sha256) = path.exists().then(|| PolicyFile::load(&path).unwrap())?;
    Some(Entrant { name: member.name(), file, sha256, robot: member.experiment(folder).unwrap().1 })
}

#[test]
fn shipped_studies_fit_their_suites_and_experiments() {
    for (folder, study, suite) in shipped() {
        study.check(&suite).unwrap();
        for member in study.members() {
            let (experiment, robot) = member.experiment(&folder).unwrap();
            suite.conditions(&robot, experiment.episode.simulation.control_rate).unwrap();
            // A policy that is there is of just this experiment.
            if let Some(entrant) = entrant(&folder, &member) {
                let check = |member: &Member| member.check_policy(Path::new("it"), &entrant.file, &experiment, &robot);
                check(&member).unwrap();
                let other = check(&Member { seed: 99, ..member }).unwrap_err().to_string();
                assert!(other.contains("instead of 99"), "{other}");
            }
        }
    }
}

#[test]
fn a_sample_of_the_shipped_results_is_made_again_bit_for_bit() {
    let mut sampled = 0;
    for (folder, study, suite) in shipped() {
        let path = repository("docs/results").join(format!("{}.episodes.jsonl", study.name));
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let records: Vec<Record> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        // Spread over the file, so that every kind of policy has its turn; long episodes would take too long here.
        let short: Vec<&Record> = records.iter().filter(|record| record.result.control_steps <= 400).collect();
        for record in short.iter().step_by((short.len() / 8).max(1)) {
            let member = study.members().find(|member| member.name() == record.policy).unwrap();
            let entrant = entrant(&folder, &member).unwrap();
            let conditions = suite.conditions(&entrant.robot, entrant.file.metadata.control_rate).unwrap();
            let condition = conditions.iter().find(|condition| condition.name == record.condition).unwrap();
            let mut episode = Episode::new(entrant.robot.clone(), condition.settings.clone()).unwrap();
            let mut policy = entrant.file.policy().unwrap();
            let result = episode.run(&mut policy, record.seed, &Fitness::default(), |_| Gate::OPEN, |_| ());
            assert_eq!(result, record.result, "{} under {}, seed {}", record.policy, record.condition, record.seed);
            sampled += 1;
        }
    }
    assert!(sampled >= 8, "{sampled} records");
}

#[test]
fn the_page_of_results_is_what_the_records_say() {
    let studies: Vec<PathBuf> = {
        let page = std::fs::read_to_string(repository("docs/results.md")).unwrap();
        let names = page.lines().filter_map(|line| line.strip_prefix("## "));
        names.map(|name| PathBuf::from(format!("config/studies/{name}.yaml"))).collect()
    };
    assert!(!studies.is_empty());
    // No study with a policy is left out of the page.
    for (folder, study, _) in shipped() {
        let is_begun = study.members().any(|member| folder.join(&study.policies).join(member.file_name()).exists());
        let is_there = studies.contains(&PathBuf::from(format!("config/studies/{}.yaml", study.name)));
        assert!(is_there || !is_begun, "docs/results.md lacks the study {}", study.name);
    }
    let folder = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(repository("docs/results")).unwrap().map(|entry| entry.unwrap().path()) {
        if file.extension().is_some_and(|ending| ending == "jsonl") {
            std::fs::copy(&file, folder.path().join(file.file_name().unwrap())).unwrap();
        }
    }
    let page = folder.path().join("results.md");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_hebb"))
        .current_dir(repository(""))
        .args(["study", "report"])
        .args(studies)
        .args([Path::new("--records"), folder.path(), Path::new("--out"), &page])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(std::fs::read_to_string(&page).unwrap(), std::fs::read_to_string(repository("docs/results.md")).unwrap());
}
