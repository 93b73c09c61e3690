//! A study as a page of Markdown.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Component, Path, PathBuf};

use super::claims::ClaimResult;
use super::description::{Member, Study, StudyGroup};
use super::figures::{ComparisonFigures, FEWEST, GroupFigures, PolicyFigures, StudyFigures};
use crate::episode::EPISODE_VERSION;
use crate::evidence::Motion;
use crate::evidence::p_values::p_text;
use crate::evidence::statistics::{Interval, mean, student_interval};
use crate::evidence::suite::{ConditionDescription, Suite};
use crate::simulation::Damage;

/// What stands where there is no number.
const NOTHING: &str = "–";
/// What stands where there is no verdict for [`PolicyFigures::is_ablation_old`].
const OLD_ABLATION: &str =
    "no verdict: its ablation is of episodes of another version (`hebb evaluate --ablate --save` makes a new one)";

/// The section of a study: what was run, what came out, what that says about each claim, and the commands that make the numbers again. `file` is
/// the study's, as in these commands.
pub fn markdown(file: &str, study: &Study, suite: &Suite, figures: &StudyFigures, claims: &[ClaimResult]) -> String {
    let mut out = format!("## {}\n\n", study.name);
    if figures.groups.is_empty() {
        out.push_str("No policy of this study is evolved yet.\n");
        return out;
    }
    let _ = writeln!(
        out,
        "`hebb study train {file}` evolves the policies; the suite is `{}`. {} held-out episodes for each policy under each condition (and for \
         each leg, where legs are damaged), of {} s unless the suite says otherwise, the same for all. Intervals ({:.0} %, of three and more) and \
         tests are over policies, not episodes: docs/evidence.md.\n",
        study.suite.file_name().unwrap_or_default().to_string_lossy(),
        suite.episodes,
        suite.duration,
        100.0 * figures.level
    );
    if !study.note.is_empty() {
        let _ = writeln!(out, "{}\n", study.note.trim());
    }
    if !claims.is_empty() {
        let row = |claim: &ClaimResult| vec![claim.claim.clone(), format!("**{}**", claim.verdict), claim.evidence.clone()];
        table(&mut out, &["claim", "verdict", "numbers"], claims.iter().map(row));
    }
    groups(&mut out, suite, figures);
    policies(&mut out, figures);
    conditions(&mut out, suite, figures);
    comparisons(&mut out, study, figures);
    commands(&mut out, file, study, figures);
    out
}

fn table(out: &mut String, head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
    let _ = writeln!(out, "| {} |\n|{}", head.join(" | "), "---|".repeat(head.len()));
    for row in rows {
        // A bar in a cell would end it.
        let cells: Vec<String> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    }
    out.push('\n');
}

fn or_nothing(text: Option<String>) -> String {
    text.unwrap_or_else(|| NOTHING.to_owned())
}

fn groups(out: &mut String, suite: &Suite, figures: &StudyFigures) {
    out.push_str("### Groups\n\n");
    let head = [
        "group",
        "kind",
        "numbers evolved",
        "plastic weights",
        "generations",
        "policies",
        "that walk",
        "speed [m/s]",
        "J/m",
        "falls",
    ];
    let row = |group: &GroupFigures| {
        let walkers = group.policies.iter().filter(|policy| policy.walks);
        let works: Vec<f64> = walkers.filter_map(|policy| policy.outcomes[0].course.work_per_metre).collect();
        vec![
            group.name.clone(),
            group.kind.to_owned(),
            group.numbers.to_string(),
            group.plastic.to_string(),
            group.policies.iter().map(|policy| policy.generations).max().unwrap_or(0).to_string(),
            format!("{} of {}", group.policies.len(), group.planned),
            group.walkers().to_string(),
            format!("{:.3}", group.outcomes[0].speed),
            or_nothing((!works.is_empty()).then(|| format!("{:.0}", mean(&works)))),
            format!("{:.0} %", 100.0 * group.outcomes[0].falls),
        ]
    };
    table(out, &head, figures.groups.iter().map(row));
    let first = &figures.outcomes[0];
    let _ = writeln!(
        out,
        "Speed, work and falls are those under \"{first}\". A policy walks from {} m/s on, unless it falls in more than half of its episodes.\n",
        suite.walks_from
    );
}

fn policies(out: &mut String, figures: &StudyFigures) {
    out.push_str("### Policy by policy\n\n");
    let head = [
        "policy",
        "speed [m/s]",
        "largest w",
        "three components explain",
        "wider on unknown ground",
        "motion of the weights",
        "is it plasticity?",
    ];
    let row = |policy: &PolicyFigures| {
        let (largest, weights) = (policy.largest_weight(), policy.weights.as_ref());
        let digits = |value: f32| if value < 1000.0 { format!("{value:.2}") } else { format!("{value:.1e}") };
        // Weights of a robot that is stuck spread less, whatever the ground does to them.
        let there = if policy.walks_on_unknown { "" } else { ", where it does not walk" };
        let verdict = match policy.is_ablation_old {
            true => Some(OLD_ABLATION.to_owned()),
            false => policy.verdict.map(|verdict| verdict.to_string()),
        };
        vec![
            policy.name.clone(),
            format!("{:.3}", policy.outcomes[0].speed),
            or_nothing((largest > 0.0).then(|| digits(largest))),
            or_nothing(weights.map(|weights| format!("{:.2}", mean(&weights.explained)))),
            or_nothing(weights.map(|weights| format!("{:.2} times{there}", weights.widening()))),
            or_nothing(weights.map(|weights| motions(&weights.motions))),
            or_nothing(verdict),
        ]
    };
    table(out, &head, figures.groups.iter().flat_map(|group| &group.policies).map(row));
}

/// How often each motion was seen, the most frequent first.
fn motions(motions: &[Motion]) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for motion in motions {
        match counts.iter_mut().find(|(name, _)| *name == motion.as_str()) {
            Some((_, count)) => *count += 1,
            None => counts.push((motion.as_str(), 1)),
        }
    }
    counts.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
    counts.iter().map(|(name, count)| format!("{name} {count} of {}", motions.len())).collect::<Vec<_>>().join(", ")
}

fn conditions(out: &mut String, suite: &Suite, figures: &StudyFigures) {
    out.push_str("### What is left of the speed\n\nPercent of each policy's own speed under the first condition, over the policies that walk.\n\n");
    let head: Vec<&str> = std::iter::once("condition").chain(figures.groups.iter().map(|group| group.name.as_str())).collect();
    let all = 0..figures.outcomes.len();
    // Where the robot is held it has no speed; how much its joints move there is what counts.
    let is_held =
        |condition: &ConditionDescription| condition.damage.iter().any(|damage| matches!(damage, Damage::Suspended { .. }));
    let held: Vec<&str> =
        suite.conditions.iter().filter(|condition| is_held(condition)).map(|condition| condition.name.as_str()).collect();
    let held = |index: &usize| held.contains(&figures.outcomes[*index].as_str());
    let rows = |outcomes: &mut dyn Iterator<Item = usize>, cell: &dyn Fn(&GroupFigures, usize) -> String| -> Vec<Vec<String>> {
        let row = |index: usize| {
            std::iter::once(figures.outcomes[index].clone())
                .chain(figures.groups.iter().map(|group| cell(group, index)))
                .collect()
        };
        outcomes.map(row).collect()
    };
    let retained = |group: &GroupFigures, index: usize| {
        let retained = group.outcomes[index].retained.as_ref();
        or_nothing(retained.map(|retained| format!("{:.0}", retained.map(|share| 100.0 * share))))
    };
    table(out, &head, rows(&mut all.clone().skip(1).filter(|index| !held(index)), &retained));
    // Who is faster has more to lose: a smaller share may still be more speed.
    out.push_str("Speed in m/s, over all policies:\n\n");
    let speed = |group: &GroupFigures, index: usize| format!("{:.3}", group.outcomes[index].speed);
    table(out, &head, rows(&mut all.clone().filter(|index| !held(index)), &speed));
    let motion = |group: &GroupFigures, index: usize| {
        let times = group.times(index, |course| course.joint_speed);
        let interval =
            if times.len() < FEWEST { Interval::endless(mean(&times)) } else { student_interval(&times, figures.level) };
        or_nothing((!times.is_empty()).then(|| format!("{interval:.2}")))
    };
    if all.clone().any(|index| held(&index)) {
        out.push_str(
            "Speed of the joints in the second half of the episodes, times that under the first condition, over the policies that walk (Student's t):\n\n",
        );
        table(out, &head, rows(&mut all.clone().filter(held), &motion));
    }
    out.push_str("Falls, percent of episodes:\n\n");
    table(out, &head, rows(&mut all.clone(), &|group, index| format!("{:.0}", 100.0 * group.outcomes[index].falls)));
}

fn comparisons(out: &mut String, study: &Study, figures: &StudyFigures) {
    if figures.comparisons.is_empty() {
        return;
    }
    out.push_str("### Group against group\n\n");
    let corrected = format!("p of {} (Holm)", study.comparisons.len());
    let head = ["compared", "in", "policies", "difference", "ratio", "Hedges' g", "p", &corrected];
    let row = |comparison: &ComparisonFigures| {
        let ComparisonFigures { group, baseline, outcome, policies, effect, .. } = comparison;
        let what = if comparison.retained { "share retained" } else { "speed [m/s]" };
        vec![
            format!("{group} – {baseline}"),
            format!("{what}, {outcome}"),
            format!("{} and {}", policies[0], policies[1]),
            format!("{:+.3}", effect.difference),
            or_nothing(effect.ratio.map(|ratio| format!("{ratio:.2}"))),
            or_nothing(effect.effect_size.map(|g| format!("{g:.2}"))),
            p_text(effect.p_value),
            p_text(comparison.p_adjusted),
        ]
    };
    table(out, &head, figures.comparisons.iter().map(row));
}

fn commands(out: &mut String, file: &str, study: &Study, figures: &StudyFigures) {
    out.push_str("### The same policies again\n\n```\n");
    let folder = Path::new(file).parent().unwrap_or(Path::new(""));
    let command = |group: &StudyGroup, policy: &PolicyFigures| {
        let changes = Member { study, group, seed: policy.seed }.changes();
        // JSON is YAML, too.
        let json = |value| serde_json::to_string(value).unwrap_or_default();
        let set: String = changes.iter().map(|change| format!(" --set '{}={}'", change.key, json(&change.value))).collect();
        format!(
            "hebb evolve {}{set} --seed {} --generations {}    # {}",
            without_detours(&folder.join(&group.experiment)).display(),
            policy.seed,
            policy.generations,
            policy.numbers_sha256.get(..12).unwrap_or(&policy.numbers_sha256)
        )
    };
    for group in &figures.groups {
        let Some(of_study) = study.groups.iter().find(|other| other.name == group.name) else { continue };
        for policy in &group.policies {
            let _ = writeln!(out, "{}", command(of_study, policy));
        }
    }
    out.push_str("```\n\nEach with the first digits of the SHA-256 of its numbers, which `hebb inspect` shows.\n");
    let policies = || figures.groups.iter().flat_map(|group| &group.policies);
    let versions: BTreeSet<u16> = policies().map(|policy| policy.evolved_in).collect();
    for version in versions.into_iter().filter(|version| *version != EPISODE_VERSION) {
        let is_of = |policy: &&PolicyFigures| policy.evolved_in == version;
        let names: Vec<&str> = policies().filter(is_of).map(|policy| policy.name.as_str()).collect();
        let which = if names.len() == policies().count() { "All of them".to_owned() } else { names.join(", ") };
        let _ = writeln!(
            out,
            "\n{which} evolved in episodes of version {version} (docs/evidence.md): a program of another version need not come to the same numbers. \
             All figures here are of episodes of version {EPISODE_VERSION}."
        );
    }
    if !figures.missing.is_empty() {
        let _ = writeln!(out, "\nNot evolved yet: {}.", figures.missing.join(", "));
    }
}

/// `path` without `name/..`.
fn without_detours(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir if matches!(out.components().next_back(), Some(Component::Normal(_))) => {
                out.pop();
            }
            _ => out.push(part),
        }
    }
    out
}
