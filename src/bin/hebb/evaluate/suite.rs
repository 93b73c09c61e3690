//! `hebb evaluate --suite`: many policies under many conditions, resumable.

use std::path::Path;

use hebbian_locomotion::config::read_yaml;
use hebbian_locomotion::evidence::p_text;
use hebbian_locomotion::evidence::statistics::Interval;
use hebbian_locomotion::evidence::suite::{Entrant, Records, Suite, SuiteReport, fewest_episodes, run_suite};
use hebbian_locomotion::policy::PolicyFile;

use super::{Arguments, name_of};
use crate::Failure;
use crate::report::{RobotWarnings, progress_bar, write_json};

pub fn run(arguments: &Arguments, suite: &Path) -> Result<(), Failure> {
    let suite: Suite = read_yaml(suite)?;
    let entrants = arguments.policies.iter().map(|path| entrant(arguments, path)).collect::<Result<Vec<_>, Failure>>()?;
    if let Some((index, double)) =
        entrants.iter().enumerate().find(|(index, entrant)| entrants[..*index].iter().any(|other| other.name == entrant.name))
    {
        return Err(format!(
            "{} is named {:?} like another policy; rename its file",
            arguments.policies[index].display(),
            double.name
        )
        .into());
    }
    let baseline = arguments.baseline.as_deref().map(|name| index_of(name, &entrants)).transpose()?;
    if let Some(baseline) = baseline.filter(|_| entrants.len() > 1) {
        let (fewest, episodes) = (fewest_episodes(&suite, &entrants, baseline)?, suite.episodes);
        if (episodes as usize) < fewest {
            eprintln!("warning  {episodes} episodes cannot show any difference for sure; `episodes: {fewest}` in the suite can");
        }
    }
    let mut records = match &arguments.records {
        Some(path) => Records::open(path)?,
        None => Records::in_memory(),
    };
    let mut said = RobotWarnings::default();
    entrants.iter().for_each(|entrant| said.say(&entrant.robot));
    let bar = progress_bar(0, "{bar:30} {pos}/{len} episodes, {eta} left");
    run_suite(&suite, &entrants, &mut records, |count| bar.set_length(count as u64), || bar.inc(1))?;
    bar.finish_and_clear();
    let report = SuiteReport::new(&suite, &entrants, &records, baseline)?;
    print(&report);
    if let Some(path) = &arguments.json {
        write_json(path, &report)?;
    }
    Ok(())
}

/// A policy, named like its file.
fn entrant(arguments: &Arguments, path: &Path) -> Result<Entrant, Failure> {
    let (file, sha256) = PolicyFile::load(path)?;
    let robot = arguments.world.robot(path, &file)?;
    Ok(Entrant { name: name_of(path, &file), file, sha256, robot })
}

fn index_of(name: &str, entrants: &[Entrant]) -> Result<usize, Failure> {
    entrants.iter().position(|entrant| entrant.name == name).ok_or_else(|| {
        let names: Vec<&str> = entrants.iter().map(|entrant| entrant.name.as_str()).collect();
        format!("no policy is named {name:?}; the baseline must be one of {}", names.join(", ")).into()
    })
}

fn percent(interval: &Interval) -> String {
    format!("{:.0} %", interval.map(|share| 100.0 * share))
}

fn print(report: &SuiteReport) {
    println!("{} episodes each; intervals of {:.0} %", report.seeds.len(), 100.0 * report.level);
    let width = report.conditions.iter().map(|row| row.condition.chars().count()).max().unwrap_or(0).max(9);
    for rows in report.conditions.chunk_by(|a, b| a.policy == b.policy) {
        println!("\n{}", rows[0].policy);
        let head = ["speed [m/s]", "of the first", "falls", "J/m", "straight", "max |w|"];
        println!(
            "{:width$} {:>24} {:>20} {:>6} {:>7} {:>8} {:>8}",
            "condition", head[0], head[1], head[2], head[3], head[4], head[5]
        );
        for row in rows {
            let work = row.work_per_metre.map_or("-".to_owned(), |work| format!("{work:.0}"));
            let retained = row.retained.as_ref().map_or("-".to_owned(), percent);
            println!(
                "{:width$} {:>24} {retained:>20} {:>4.0} % {work:>7} {:>8.2} {:>8.2}",
                row.condition,
                format!("{:.3}", row.speed),
                100.0 * row.falls,
                row.straightness,
                row.weights_max_abs,
            );
        }
    }
    for rows in report.comparisons.chunk_by(|a, b| a.policy == b.policy) {
        let (count, episodes) = (report.comparisons.len(), report.seeds.len());
        let p = if episodes < report.fewest_episodes {
            format!("no p: of {count} comparisons {episodes} episodes cannot show any, {} can", report.fewest_episodes)
        } else {
            format!("p corrected for {count} comparisons (Holm)")
        };
        println!("\n{} against {}, seed by seed; {p}", rows[0].policy, rows[0].baseline);
        println!("{:width$} {:>24} {:>8} {:>8} {:>24}", "condition", "faster by [m/s]", "g", "p", "retains times as much");
        for row in rows {
            let or_nothing = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
            let effect = or_nothing(row.speed.effect_size.map(|g| format!("{g:.2}")));
            let p = or_nothing(row.p_adjusted.map(p_text));
            let (faster, ratio) = (&row.speed.difference, or_nothing(row.retained_ratio.map(|ratio| format!("{ratio:.2}"))));
            println!("{:width$} {:>24} {effect:>8} {p:>8} {ratio:>24}", row.condition, format!("{faster:.3}"));
        }
    }
}
