//! Weight dynamics, or runs of evolution, as one HTML file that needs nothing else: figures, and plots that can be turned, zoomed and read off.

use std::fmt::Write;

use plotly::common::{Mode, Title};
use plotly::layout::{Axis, AxisType, LayoutScene, Margin};
use plotly::{Layout, Plot, Scatter, Scatter3D};

use super::Dynamics;
use super::drawing::Panel;
use super::plots::Recordings;
use super::runs::{RunFigures, RunHistory, RunPlot};

const STYLE: &str = "body{font-family:sans-serif;max-width:1100px;margin:2em auto;padding:0 1em;color:#222}\
table{border-collapse:collapse;margin:1em 0}td,th{padding:.3em .8em;text-align:right;border-bottom:1px solid #ccc}\
td:first-child,th:first-child{text-align:left}.plot{height:600px}.low{height:380px}p{max-width:50em}";
const END: &str = "</body></html>\n";
const TIME: &str = "time [s]";

/// The page of some recordings.
pub fn page(recordings: &Recordings<'_>) -> String {
    let Recordings { series, dynamics, components, left_out } = recordings;
    let count = components.subspace().components();
    let explained = components.explained(series);
    let mut out = head("Weight dynamics");
    figures(&mut out, dynamics);
    for (name, part) in dynamics.iter().filter_map(|dynamics| Some((&dynamics.name, dynamics.part?))) {
        let _ = write!(out, "<p>{} is {part}.</p>", escaped(name));
    }
    for left_out in *left_out {
        let _ = write!(out, "<p>{}</p>", escaped(&left_out.to_string()));
    }

    let shares: Vec<String> =
        explained.iter().enumerate().map(|(i, share)| format!("PC{} {:.1} %", i + 1, 100.0 * share)).collect();
    let _ = write!(
        out,
        "<h2>Principal components</h2><p>All layers' weights together, centred, not standardised; one basis for all recordings, fitted to \
         {} samples. Share of the variance: {}; {:.1} % together.</p>",
        components.fitted,
        shares.join(", "),
        100.0 * explained.iter().sum::<f64>()
    );
    spreads(&mut out, recordings, count);
    for (series, _) in series.iter().zip(&components.scores).filter(|(_, scores)| scores.figures.fitted == 0) {
        let (name, samples) = (escaped(&series.name), series.len());
        let _ = write!(out, "<p>{name} is a fragment of {samples} samples: the basis is not fitted to it.</p>");
    }

    let mut plot = Plot::new();
    for (series, scores) in series.iter().zip(&components.scores) {
        let column = |component: usize| -> Vec<f64> {
            scores.values.iter().map(|row| row.get(component).copied().unwrap_or(0.0)).collect()
        };
        plot.add_trace(Scatter3D::new(column(0), column(1), column(2)).mode(Mode::Lines).name(escaped(&series.name)));
    }
    let axis = |component: usize| Axis::new().title(Title::from(format!("PC{}", component + 1)));
    plot.set_layout(layout().scene(LayoutScene::new().x_axis(axis(0)).y_axis(axis(1)).z_axis(axis(2))));
    put(&mut out, &plot, "trajectory", "plot", "Trajectory");

    for component in 0..count.min(3) {
        let plot = lines(&recordings.scores(component), TIME, AxisType::Linear);
        put(&mut out, &plot, &format!("score{component}"), "low", &format!("PC{} over time", component + 1));
    }
    let (norms, updates) = (recordings.of_layers(|layer| &layer.norms, 0), recordings.of_layers(|layer| &layer.updates, 1));
    for (layer, (norms, updates)) in norms.iter().zip(&updates).enumerate() {
        let (norms, updates) = (lines(norms, TIME, AxisType::Linear), lines(updates, TIME, AxisType::Log));
        put(&mut out, &norms, &format!("norm{layer}"), "low", &format!("Layer {layer}: norm of the weights"));
        let title = format!("Layer {layer}: norm of the change from sample to sample");
        put(&mut out, &updates, &format!("update{layer}"), "low", &title);
    }
    out.push_str(END);
    out
}

/// The page of some runs of evolution.
pub fn runs_page(runs: &[RunHistory]) -> String {
    let mut out = head("Evolution");
    let heads = RunFigures::HEADS.map(|head| format!("<th>{head}</th>")).concat();
    let _ = write!(out, "<table><tr><th>run</th>{heads}</tr>");
    for run in runs {
        let cells = run.figures().cells().map(|cell| format!("<td>{cell}</td>")).concat();
        let _ = write!(out, "<tr><td>{}</td>{cells}</tr>", escaped(&run.name));
    }
    out.push_str("</table>");
    for plot in RunPlot::ALL {
        let _ = write!(out, "<h2>{}</h2>", plot.caption());
        for (number, panel) in plot.panels(runs).iter().enumerate() {
            let id = format!("{}{number}", plot.name());
            put(&mut out, &lines(panel, "generation", AxisType::Linear), &id, "low", &panel.title);
        }
    }
    out.push_str(END);
    out
}

fn head(title: &str) -> String {
    let (start, script) = ("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">", script());
    format!("{start}<title>{title}</title><style>{STYLE}</style>{script}</head><body><h1>{title}</h1>")
}

/// The plotting library, in the page itself. What plotly's own page has beside it, for formulas, is not needed.
fn script() -> String {
    let sources = Plot::offline_js_sources();
    let end = sources.find("</script>").map_or(sources.len(), |start| start + "</script>".len());
    sources[..end].to_owned()
}

/// Titles stand above the plots, not in them.
fn layout() -> Layout {
    Layout::new().margin(Margin::new().top(30).bottom(60))
}

fn put(out: &mut String, plot: &Plot, id: &str, class: &str, title: &str) {
    // Writing to a string does not fail.
    let _ = write!(out, "<h3>{title}</h3><div class=\"{class}\">{}</div>", plot.to_inline_html(Some(id)));
}

/// The lines of a panel.
fn lines(panel: &Panel, x: &str, y_axis: AxisType) -> Plot {
    let mut plot = Plot::new();
    for curve in &panel.curves {
        let (across, up): (Vec<f64>, Vec<f64>) = curve.points.iter().copied().unzip();
        plot.add_trace(Scatter::new(across, up).mode(Mode::Lines).name(escaped(&curve.name)));
    }
    let axis = |title: &str| Axis::new().title(Title::from(title.to_owned()));
    plot.set_layout(layout().x_axis(axis(x)).y_axis(axis(&panel.title).type_(y_axis)));
    plot
}

fn figures(out: &mut String, dynamics: &[Dynamics]) {
    out.push_str(
        "<table><tr><th>recording</th><th>samples</th><th>time [s]</th><th>motion</th><th>period [s]</th><th>closest return</th>\
         <th>difference</th><th>swing</th><th>late / early update</th><th>max |w|</th></tr>",
    );
    for dynamics in dynamics {
        let [period, closest, difference] = dynamics.recurrence.map_or(["–"; 3].map(str::to_owned), |recurrence| {
            [recurrence.period, recurrence.closest, recurrence.difference].map(|value| format!("{value:.3}"))
        });
        let late_over_early = dynamics.late_over_early.map_or("–".to_owned(), |ratio| format!("{ratio:.3}"));
        let max_abs = dynamics.layers.iter().map(|layer| layer.max_abs).fold(0.0, f32::max);
        let _ = write!(
            out,
            "<tr><td>{}</td><td>{}</td><td>{:.2}</td><td>{}</td><td>{period}</td><td>{closest}</td>\
             <td>{difference}</td><td>{:.3}</td><td>{late_over_early}</td><td>{max_abs:.3}</td></tr>",
            escaped(&dynamics.name),
            dynamics.samples,
            dynamics.duration,
            dynamics.motion.as_str(),
            dynamics.swing,
        );
    }
    out.push_str("</table>");
}

fn spreads(out: &mut String, recordings: &Recordings<'_>, count: usize) {
    out.push_str("<table><tr><th>spread (standard deviation of the score)</th>");
    (1..=count).for_each(|component| {
        let _ = write!(out, "<th>PC{component}</th>");
    });
    out.push_str("</tr>");
    for (series, scores) in recordings.series.iter().zip(&recordings.components.scores) {
        let _ = write!(out, "<tr><td>{}</td>", escaped(&series.name));
        scores.figures.spread.iter().for_each(|spread| {
            let _ = write!(out, "<td>{spread:.4}</td>");
        });
        out.push_str("</tr>");
    }
    out.push_str("</table>");
}

/// Names of files may hold what HTML takes for its own.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
