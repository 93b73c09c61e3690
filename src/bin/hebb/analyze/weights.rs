//! How the weights moved, in recordings and traces.

use std::path::PathBuf;

use hebbian_locomotion::episode::TracedRule;
use hebbian_locomotion::evidence::{
    ComponentFigures, Components, Dynamics, Plot, Recordings, Recurrence, TermMeter, TermSizes, WeightSeries, page,
};
use hebbian_locomotion::policy::PolicyFile;
use hebbian_locomotion::recording::{Bag, ReplaySettings, replay};
use serde::Serialize;

use super::{Arguments, write_report};
use crate::Failure;
use crate::report::write_json;

/// The JSON.
#[derive(Serialize)]
struct Report<'a> {
    /// Samples that the basis was fitted to.
    fitted: usize,
    /// Share of the variance of all recordings together along each component.
    explained: Vec<f64>,
    recordings: Vec<RecordingReport<'a>>,
    /// Per trace, and with --policy per bag: of the whole recording, whatever --skip leaves out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    terms: Vec<RecordingTerms>,
}

/// What the rule did in a recording, per layer.
#[derive(Serialize)]
struct RecordingTerms {
    recording: String,
    /// Mean size of each term of the update.
    terms: Vec<TermSizes>,
    /// Share of the old weights that an update leaves; absent where it is not one number.
    retention: Option<Vec<f64>>,
}

#[derive(Serialize)]
struct RecordingReport<'a> {
    #[serde(flatten)]
    dynamics: &'a Dynamics,
    components: &'a ComponentFigures,
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut series = Vec::new();
    for path in &arguments.paths {
        series.extend(WeightSeries::load(path, arguments.node.as_deref())?);
    }
    if arguments.skip > 0.0 {
        series = series.into_iter().map(|series| series.without_start(arguments.skip)).collect();
        if let Some(short) = series.iter().find(|series| series.len() < WeightSeries::FEWEST) {
            return Err(format!("--skip {}: nothing is left of `{}`", arguments.skip, short.name).into());
        }
    }
    let traced = series.iter().filter_map(RecordingTerms::of_trace);
    let terms: Vec<RecordingTerms> = traced.chain(replayed_terms(arguments)?).collect();
    let dynamics: Vec<Dynamics> = series.iter().map(Dynamics::of).collect();
    print_dynamics(&dynamics);
    let components = Components::fit(&series, arguments.components)?;
    let explained = components.explained(&series);
    print_components(&dynamics, &components, &explained);
    terms.iter().for_each(print_terms);

    if let Some(folder) = &arguments.out {
        let recordings = Recordings { series: &series, dynamics: &dynamics, components: &components };
        write_report(folder, &page(&recordings), || {
            Plot::ALL.iter().try_for_each(|&plot| recordings.draw(plot, folder).map(drop))
        })?;
    }
    let Some(path) = &arguments.json else { return Ok(()) };
    let of = |(dynamics, scores)| RecordingReport { dynamics, components: scores };
    let figures = components.scores.iter().map(|scores| &scores.figures);
    let recordings = dynamics.iter().zip(figures).map(of).collect();
    write_json(path, &Report { fitted: components.fitted, explained, recordings, terms })
}

impl RecordingTerms {
    fn of_trace(series: &WeightSeries) -> Option<Self> {
        let TracedRule { terms, retention } = series.rule.clone()?;
        Some(Self { recording: series.name.clone(), terms: terms.into_iter().map(TermSizes::from).collect(), retention })
    }
}

/// Replays the bags.
fn replayed_terms(arguments: &Arguments) -> Result<Vec<RecordingTerms>, Failure> {
    let Some(policy) = &arguments.policy else { return Ok(Vec::new()) };
    let (file, hash) = PolicyFile::load(policy)?;
    let settings = ReplaySettings { node: arguments.node.clone(), any_policy: false };
    let is_trace = |path: &&PathBuf| path.extension().is_some_and(|extension| extension == "safetensors");
    let mut all = Vec::new();
    for path in arguments.paths.iter().filter(|path| !is_trace(path)) {
        let Some(mut meter) = TermMeter::new(&file, &file.policy()?) else {
            return Err(format!("a network of kind {} has no rule", file.metadata.network.kind()).into());
        };
        replay(&Bag::open(path)?, &file, &hash, &settings, |policy| meter.note(policy))?;
        all.push(RecordingTerms { recording: path.display().to_string(), terms: meter.sizes(), retention: meter.retention() });
    }
    Ok(all)
}

fn print_terms(terms: &RecordingTerms) {
    println!(
        "\n{}: terms of the update, mean magnitude and share, in the whole recording whatever --skip leaves out",
        terms.recording
    );
    println!("{:<8} {:>16} {:>16} {:>16} {:>16} {:>10}", "layer", "A", "B", "C", "D", "retained");
    for (index, layer) in terms.terms.iter().enumerate() {
        let sum: f64 = layer.values().iter().sum();
        let share = |value: f64| if sum > 0.0 { 100.0 * value / sum } else { 0.0 };
        let columns = layer.values().map(|value| format!(" {value:>10.4} {:>4.0}%", share(value))).concat();
        let retained = terms.retention.as_ref().map_or("-".to_owned(), |retention| format!("{:.1} %", 100.0 * retention[index]));
        println!("{index:<8}{columns} {retained:>10}");
    }
}

fn print_dynamics(dynamics: &[Dynamics]) {
    let width = dynamics.iter().map(|dynamics| dynamics.name.chars().count()).max().unwrap_or(0).max("recording".len());
    println!(
        "{:<width$} {:>8} {:>9} {:>12} {:>11} {:>8} {:>10} {:>7} {:>11}",
        "recording", "samples", "time [s]", "motion", "period [s]", "closest", "difference", "swing", "late/early"
    );
    for dynamics in dynamics {
        let figures = |recurrence: Recurrence| [recurrence.period, recurrence.closest, recurrence.difference];
        let recurrence = dynamics.recurrence.map(|recurrence| figures(recurrence).map(|value| format!("{value:.3}")));
        let [period, closest, difference] = recurrence.unwrap_or(["-"; 3].map(str::to_owned));
        println!(
            "{:<width$} {:>8} {:>9.2} {:>12} {period:>11} {closest:>8} {difference:>10} {:>7.3} {:>11.3}",
            dynamics.name,
            dynamics.samples,
            dynamics.duration,
            dynamics.motion.as_str(),
            dynamics.swing,
            dynamics.late_over_early
        );
    }
    println!(
        "\n{:<width$} {:>6} {:>10} {:>10} {:>14} {:>12}",
        "recording", "layer", "norm", "max |w|", "norm of change", "mean |change|"
    );
    for dynamics in dynamics {
        for (index, layer) in dynamics.layers.iter().enumerate() {
            println!(
                "{:<width$} {index:>6} {:>10.3} {:>10.3} {:>14.4} {:>12.5}",
                dynamics.name, layer.norm_mean, layer.max_abs, layer.update_norm_mean, layer.change_mean
            );
        }
    }
}

fn print_components(dynamics: &[Dynamics], components: &Components, explained: &[f64]) {
    let width = dynamics.iter().map(|dynamics| dynamics.name.chars().count()).max().unwrap_or(0).max("variance of all".len());
    let row = |name: &str, values: &mut dyn Iterator<Item = String>| {
        let values: String = values.map(|value| format!(" {value:>10}")).collect();
        println!("{name:<width$}{values}");
    };
    println!("\nprincipal components of all layers' weights, centred; one basis, fitted to {} samples", components.fitted);
    row("", &mut (1..=explained.len()).map(|component| format!("PC{component}")));
    row("variance of all", &mut explained.iter().map(|share| format!("{:.1} %", 100.0 * share)));
    println!("spread (standard deviation of the score)");
    for (dynamics, scores) in dynamics.iter().zip(&components.scores) {
        row(&dynamics.name, &mut scores.figures.spread.iter().map(|spread| format!("{spread:.4}")));
    }
}
