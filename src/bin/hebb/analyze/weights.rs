//! How the weights moved, in recordings and traces.

use hebbian_locomotion::episode::TracedRule;
use hebbian_locomotion::evidence::{
    ComponentFigures, Components, Dynamics, LeftOut, LoadedWeights, Plot, Recordings, Recurrence, TermMeter, TermSizes,
    WeightSeries, page,
};
use hebbian_locomotion::policy::PolicyFile;
use hebbian_locomotion::recording::{Bag, Difference, GapReason, ReplayReport, ReplaySettings, replay};
use serde::Serialize;

use super::{Arguments, is_trace, write_report};
use crate::Failure;
use crate::report::write_json;

/// Principal components where nobody says how many.
const COMPONENTS: usize = 3;

/// The JSON.
#[derive(Serialize)]
struct Report<'a> {
    /// Samples that the basis was fitted to.
    fitted: usize,
    /// Share of the variance of all recordings together along each component.
    explained: Vec<f64>,
    recordings: Vec<RecordingReport<'a>>,
    /// Episodes of bags that are no recordings here, as their networks have other layers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left_out: Vec<LeftOut>,
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
    /// Of a bag: how much of it the above is of.
    #[serde(skip_serializing_if = "Option::is_none")]
    replay: Option<Replayed>,
}

/// How the replay went that measured the terms.
#[derive(Serialize)]
struct Replayed {
    /// Recorded steps.
    steps: usize,
    /// Those that were replayed, which the terms are of.
    replayed: usize,
    /// Steps that are missing in the recording, at the least.
    lost: u64,
    /// Where the replay first came out differently: from there on the terms are its own.
    first_difference: Option<Difference>,
}

#[derive(Serialize)]
struct RecordingReport<'a> {
    #[serde(flatten)]
    dynamics: &'a Dynamics,
    components: &'a ComponentFigures,
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let policy = arguments.policy.as_deref().map(PolicyFile::load).transpose()?;
    let hash = policy.as_ref().map(|(_, hash)| hash.as_str());
    let LoadedWeights { mut series, left_out } = WeightSeries::load(&arguments.paths, arguments.node.as_deref(), hash)?;
    if let Some(skip) = arguments.skip.filter(|&skip| skip > 0.0) {
        series = series.into_iter().map(|series| series.without_start(skip)).collect();
        if let Some(short) = series.iter().find(|series| series.len() < WeightSeries::FEWEST) {
            return Err(format!("--skip {skip}: nothing is left of `{}`", short.name).into());
        }
    }
    let traced = series.iter().filter_map(RecordingTerms::of_trace);
    let terms: Vec<RecordingTerms> = traced.chain(replayed_terms(arguments, policy.as_ref())?).collect();
    let dynamics: Vec<Dynamics> = series.iter().map(Dynamics::of).collect();
    print_dynamics(&dynamics);
    dynamics.iter().for_each(|dynamics| dynamics.part.iter().for_each(|part| println!("warning: `{}` is {part}", dynamics.name)));
    left_out.iter().for_each(|left_out| println!("{left_out}"));
    let components = Components::fit(&series, arguments.components.unwrap_or(COMPONENTS))?;
    let explained = components.explained(&series);
    print_components(&dynamics, &components, &explained);
    terms.iter().for_each(print_terms);

    if let Some(folder) = &arguments.out {
        let recordings = Recordings { series: &series, dynamics: &dynamics, components: &components, left_out: &left_out };
        write_report(folder, &page(&recordings), || {
            Plot::ALL.iter().try_for_each(|&plot| recordings.draw(plot, folder).map(drop))
        })?;
    }
    let Some(path) = &arguments.json else { return Ok(()) };
    let of = |(dynamics, scores)| RecordingReport { dynamics, components: scores };
    let figures = components.scores.iter().map(|scores| &scores.figures);
    let recordings = dynamics.iter().zip(figures).map(of).collect();
    write_json(path, &Report { fitted: components.fitted, explained, recordings, left_out, terms })
}

impl RecordingTerms {
    fn of_trace(series: &WeightSeries) -> Option<Self> {
        let TracedRule { terms, retention } = series.rule.clone()?;
        let terms = terms.into_iter().map(TermSizes::from).collect();
        Some(Self { recording: series.name.clone(), terms, retention, replay: None })
    }
}

impl Replayed {
    fn of(report: ReplayReport) -> Self {
        let lost_before = |reason: &GapReason| if let GapReason::Lost { steps } = reason { *steps } else { 0 };
        let lost: u64 = report.gaps.iter().map(|gap| lost_before(&gap.reason)).sum();
        let ReplayReport { steps, replayed, dropped, first_difference, .. } = report;
        Self { steps, replayed, lost: lost.max(dropped), first_difference }
    }

    /// What to know of the terms.
    fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let left_out = self.steps - self.replayed;
        if left_out > 0 {
            warnings.push(format!("{left_out} recorded steps could not be replayed; `hebb replay` says why"));
        }
        if self.lost > 0 {
            warnings.push(format!("at least {} steps are missing in the recording", self.lost));
        }
        if let Some(Difference { step, of, recorded, replayed, .. }) = &self.first_difference {
            let values = format!("{of}: recorded {recorded:e}, replayed {replayed:e}");
            warnings
                .push(format!("the replay differs from the recording, first in step {step}, {values}; the terms are its own"));
        }
        warnings
    }
}

/// Replays the bags through `policy`, a file with its hash.
fn replayed_terms(arguments: &Arguments, policy: Option<&(PolicyFile, String)>) -> Result<Vec<RecordingTerms>, Failure> {
    let Some((file, hash)) = policy else { return Ok(Vec::new()) };
    let settings = ReplaySettings { node: arguments.node.clone(), any_policy: false };
    let mut all = Vec::new();
    for path in arguments.paths.iter().filter(|path| !is_trace(path)) {
        let Some(mut meter) = TermMeter::new(file, &file.policy()?) else {
            return Err(format!("a network of kind {} has no rule", file.metadata.network.kind()).into());
        };
        let report = replay(&Bag::open(path)?, file, hash, &settings, |policy| meter.note(policy))?;
        let (recording, replay) = (path.display().to_string(), Some(Replayed::of(report)));
        all.push(RecordingTerms { recording, terms: meter.sizes(), retention: meter.retention(), replay });
    }
    Ok(all)
}

fn print_terms(terms: &RecordingTerms) {
    let warnings = terms.replay.as_ref().map_or_else(Vec::new, Replayed::warnings);
    let part = match &terms.replay {
        Some(Replayed { steps, replayed, .. }) if !warnings.is_empty() => format!("{replayed} of {steps} recorded steps,"),
        _ => "the whole recording".to_owned(),
    };
    println!("\n{}: terms of the update, mean magnitude and share, in {part} whatever --skip leaves out", terms.recording);
    warnings.iter().for_each(|warning| println!("warning: {warning}"));
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
        let late_over_early = dynamics.late_over_early.map_or("-".to_owned(), |ratio| format!("{ratio:.3}"));
        println!(
            "{:<width$} {:>8} {:>9.2} {:>12} {period:>11} {closest:>8} {difference:>10} {:>7.3} {late_over_early:>11}",
            dynamics.name,
            dynamics.samples,
            dynamics.duration,
            dynamics.motion.as_str(),
            dynamics.swing
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
    let fragments = dynamics.iter().zip(&components.scores).filter(|(_, scores)| scores.figures.fitted == 0);
    fragments.for_each(|(dynamics, _)| {
        println!("`{}` is a fragment of {} samples: the basis is not fitted to it", dynamics.name, dynamics.samples);
    });
}
