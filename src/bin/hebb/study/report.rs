//! `hebb study report`.

use std::path::{Path, PathBuf};

use hebbian_locomotion::durable::write_durably;
use hebbian_locomotion::evidence::study::{ClaimResult, Evolved, Member, StudyFigures, WeightRecords, markdown, weight_figures};
use hebbian_locomotion::evidence::suite::{Entrant, Records, SuiteReport, run_suite};
use hebbian_locomotion::policy::PolicyFile;
use serde::Serialize;
use serde_json::{Map, Value};

use super::Opened;
use crate::Failure;
use crate::output::{is_same_file, loss, refuse_loss};
use crate::report::{progress_bar, write_json};

/// What the page begins with.
const TITLE: &str = "# Results\n";
const PREFACE: &str = "What policies of this suite were measured to do, and what that says about published claims.";
/// What the names of a study's files end with: figures, episodes, and how weights move.
const KEPT: [&str; 3] = ["json", "episodes.jsonl", "weights.jsonl"];

#[derive(clap::Args)]
pub struct Arguments {
    /// The studies (YAML).
    #[arg(required = true)]
    studies: Vec<PathBuf>,
    /// Folder of the episodes that were run, and of the figures; what is there is not run again.
    #[arg(long, default_value = "docs/results")]
    records: PathBuf,
    /// The page.
    #[arg(long, default_value = "docs/results.md")]
    out: PathBuf,
    /// Replace the page even if it has sections of studies that are not given, or is no such page, and figures even if what is there is none.
    #[arg(long)]
    force: bool,
}

/// The JSON of a study.
#[derive(Serialize)]
struct Report<'a> {
    claims: &'a [ClaimResult],
    #[serde(flatten)]
    figures: &'a StudyFigures,
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    if !arguments.force {
        let inputs: Vec<&Path> = arguments.studies.iter().map(PathBuf::as_path).collect();
        refuse_loss(&arguments.out, &inputs, "a page of `hebb study report`", |path| read_page(path).is_some())?;
        refuse_lost_sections(arguments)?;
    }
    // First: files in it are told apart by where they are, not by how they are spelled.
    std::fs::create_dir_all(&arguments.records)?;
    refuse_lost_records(arguments)?;
    let files: Vec<String> = arguments.studies.iter().map(|path| path.display().to_string()).collect();
    let command = format!("hebb study report {}", files.join(" "));
    let mut page = format!("{TITLE}\n{PREFACE} This page is made by `{command}`; do not edit it.\n\n");
    for (index, path) in arguments.studies.iter().enumerate() {
        if index > 0 {
            page.push('\n');
        }
        page.push_str(&report(path, &arguments.records)?);
    }
    write_durably(&arguments.out, page.as_bytes())?;
    println!("{}", arguments.out.display());
    Ok(())
}

/// What is at `path`, if that is a page which this command wrote.
fn read_page(path: &Path) -> Option<String> {
    // What is a pipe would be waited for.
    let text = path.is_file().then(|| std::fs::read_to_string(path).ok())??;
    text.starts_with(TITLE).then_some(text)
}

/// Refuses to write a page without sections that it has, of studies that are not given.
fn refuse_lost_sections(arguments: &Arguments) -> Result<(), Failure> {
    let Some(page) = read_page(&arguments.out) else { return Ok(()) };
    let name = |path: &PathBuf| -> Result<String, Failure> { Ok(Opened::read(path)?.study.name) };
    let given = arguments.studies.iter().map(name).collect::<Result<Vec<_>, _>>()?;
    let sections = page.lines().filter_map(|line| line.strip_prefix("## "));
    let lost: Vec<&str> = sections.filter(|name| !given.iter().any(|given| given == name)).collect();
    if lost.is_empty() {
        return Ok(());
    }
    let (page, lost) = (arguments.out.display(), lost.join(", "));
    let advice = "give their files too, in the order of the page, or another --out, or --force";
    Err(format!("{page} also has sections of {lost}, which would be lost; {advice}").into())
}

/// Refuses to write the page where records or figures go, and figures over a file that is none.
fn refuse_lost_records(arguments: &Arguments) -> Result<(), Failure> {
    for path in &arguments.studies {
        let name = Opened::read(path)?.study.name;
        let kept = KEPT.map(|ending| kept(&arguments.records, &name, ending));
        if kept.iter().any(|kept| is_same_file(kept, &arguments.out)) {
            let out = arguments.out.display();
            return Err(format!("{out} is where --records keeps what it has of {name}; name another file by --out").into());
        }
        let [figures, ..] = &kept;
        let inputs = arguments.studies.iter().map(PathBuf::as_path);
        let lost = loss(figures, inputs, "figures of `hebb study report`", is_figures).filter(|_| !arguments.force);
        if let Some(lost) = lost {
            return Err(format!("{lost}; name another folder by --records, or replace it by --force").into());
        }
    }
    Ok(())
}

/// Whether `path` holds the figures of a study.
fn is_figures(path: &Path) -> bool {
    let read = || serde_json::from_slice::<Map<String, Value>>(&std::fs::read(path).ok()?).ok();
    read().is_some_and(|figures| ["claims", "name", "groups"].iter().all(|key| figures.contains_key(*key)))
}

/// File of the study `name` in the folder of records.
fn kept(folder: &Path, name: &str, ending: &str) -> PathBuf {
    folder.join(format!("{name}.{ending}"))
}

/// The section of the study at `path`.
fn report(path: &Path, folder: &Path) -> Result<String, Failure> {
    let opened = Opened::read(path)?;
    let Opened { study, suite, .. } = &opened;
    let there = study.members().filter(|member| opened.policy_path(member).exists());
    let (members, entrants): (Vec<Member>, Vec<Entrant>) =
        there.map(|member| Ok((member, entrant(&opened, &member)?))).collect::<Result<Vec<_>, Failure>>()?.into_iter().unzip();
    let [figures_path, episodes_path, weights_path] = KEPT.map(|ending| kept(folder, &study.name, ending));

    let mut records = Records::open(&episodes_path)?;
    let bar = progress_bar(0, "{bar:30} {pos}/{len} episodes, {eta} left");
    run_suite(suite, &entrants, &mut records, |count| bar.set_length(count as u64), || bar.inc(1))?;
    bar.finish_and_clear();
    let report = SuiteReport::new(suite, &entrants, &records, None)?;

    let mut weight_records = WeightRecords::open(&weights_path)?;
    let mut policies = Vec::new();
    for (member, entrant) in members.into_iter().zip(&entrants) {
        let weights = match &study.weights {
            Some(conditions) => weight_figures(suite, conditions, entrant, &mut weight_records)?,
            None => None,
        };
        policies.push(Evolved { member, file: entrant.file.clone(), sha256: entrant.sha256.clone(), weights });
    }
    let figures = StudyFigures::new(study, suite, &policies, &report);
    let claims: Vec<ClaimResult> = study.claims.iter().map(|claim| claim.judge(&figures)).collect();
    write_json(&figures_path, &Report { claims: &claims, figures: &figures })?;
    for ClaimResult { claim, verdict, evidence } in &claims {
        let evidence = if evidence.is_empty() { String::new() } else { format!(" ({evidence})") };
        println!("{claim}: {verdict}{evidence}");
    }
    Ok(markdown(&path.display().to_string(), study, suite, &figures, &claims))
}

fn entrant(opened: &Opened, member: &Member) -> Result<Entrant, Failure> {
    let path = opened.policy_path(member);
    let (file, sha256) = PolicyFile::load(&path)?;
    let (experiment, robot) = member.experiment(&opened.folder)?;
    member.check_policy(&path, &file, &experiment, &robot)?;
    Ok(Entrant { name: member.name(), file, sha256, robot })
}
