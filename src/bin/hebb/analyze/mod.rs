//! `hebb analyze`: how weights moved in recordings and traces, or how runs of evolution went.

mod runs;
mod weights;

use std::path::{Path, PathBuf};

use hebbian_locomotion::durable::write_durably;
use hebbian_locomotion::evidence::{PlotError, RunHistory};

use crate::Failure;
use crate::output::refuse_json_loss;

#[derive(clap::Args)]
pub struct Arguments {
    /// Recordings: bags (folders or .mcap files) and traces of `hebb trace --weights` (.safetensors), compared in one basis. Or runs: folders
    /// of `hebb evolve` or the evolution node, compared in one figure.
    #[arg(required = true, value_name = "BAG|TRACE|RUN")]
    paths: Vec<PathBuf>,
    /// Full name of the policy node, for bags with several.
    #[arg(long)]
    node: Option<String>,
    /// Policy file: also replay the bags, to measure the rule's terms and how much of the old weights an update leaves. Of a bag in which
    /// networks with other layers follow each other, those with the layers of this policy are analysed.
    #[arg(long)]
    policy: Option<PathBuf>,
    /// Principal components of the weights [default: 3].
    #[arg(long)]
    components: Option<usize>,
    /// Leave out so much of the start of each recording [s]; the rule's terms are measured in the whole of it [default: 0].
    #[arg(long, value_parser = seconds, allow_negative_numbers = true)]
    skip: Option<f64>,
    /// Folder for the report (report.html, which needs nothing else) and the plots as SVG and PNG.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Write the figures as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// The value of `--skip`.
fn seconds(text: &str) -> Result<f64, String> {
    let expected = || format!("expected seconds from the start on, such as 1.5, and not {text}; 0 leaves out nothing");
    text.parse::<f64>().ok().filter(|seconds| seconds.is_finite() && *seconds >= 0.0).ok_or_else(expected)
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let files = arguments.paths.iter().chain(&arguments.policy).map(PathBuf::as_path);
    refuse_json_loss(arguments.json.as_deref(), files)?;
    let (runs, recordings): (Vec<_>, Vec<_>) = arguments.paths.iter().partition(|path| RunHistory::is_at(path));
    match (runs.first(), recordings.first()) {
        (Some(run), Some(recording)) => {
            let (run, recording) = (run.display(), recording.display());
            Err(format!("{run} is a run of evolution, {recording} is none; give runs alone, or recordings alone").into())
        }
        (Some(run), None) => {
            refuse_others(arguments, &["--node", "--policy", "--components", "--skip"], run, "a run of evolution")?;
            runs::run(arguments)
        }
        (None, Some(trace)) if recordings.iter().all(|path| is_trace(path)) => {
            refuse_others(arguments, &["--node", "--policy"], trace, "a trace")?;
            weights::run(arguments)
        }
        _ => weights::run(arguments),
    }
}

/// Whether `path` is a trace, going by its name.
fn is_trace(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "safetensors")
}

/// Refuses an option of `others` that was given: with nothing but what is of the kind of `path` it would do nothing.
fn refuse_others(arguments: &Arguments, others: &[&str], path: &Path, kind: &str) -> Result<(), Failure> {
    let given = [
        ("--node", arguments.node.is_some()),
        ("--policy", arguments.policy.is_some()),
        ("--components", arguments.components.is_some()),
        ("--skip", arguments.skip.is_some()),
    ];
    match given.iter().find(|(option, is_given)| *is_given && others.contains(option)) {
        Some((option, _)) => {
            Err(format!("{option} has no use here: {} is {kind}, and nothing else was given", path.display()).into())
        }
        None => Ok(()),
    }
}

/// Writes `page` to `folder`, and what `draw` draws beside it.
fn write_report(folder: &Path, page: &str, draw: impl FnOnce() -> Result<(), PlotError>) -> Result<(), Failure> {
    std::fs::create_dir_all(folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    let report = folder.join("report.html");
    write_durably(&report, page.as_bytes())?;
    draw()?;
    println!("\n{}; plots beside it as SVG and PNG", report.display());
    Ok(())
}
