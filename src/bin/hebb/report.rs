//! What several commands print and write.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use hebbian_locomotion::durable::write_durably;
use hebbian_locomotion::evidence::{NoVerdict, Verdict};
use hebbian_locomotion::policy::Ablation;
use hebbian_locomotion::robot::RobotModel;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::Failure;

/// Writes `value` as JSON for programs.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<(), Failure> {
    let mut text = serde_json::to_vec_pretty(value)?;
    text.push(b'\n');
    Ok(write_durably(path, &text)?)
}

/// A progress bar; `template` as in indicatif. Invisible where the output is no terminal.
pub fn progress_bar(length: u64, template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(length).with_style(style.progress_chars("━╸ "))
}

/// What a command has said of the robots that it runs, so that each thing is said once.
#[derive(Default)]
pub struct RobotWarnings(BTreeSet<String>);

impl RobotWarnings {
    /// Says what was missing or wrong in the description of `robot`, as far as it was not said before: on standard error, as standard output
    /// may be read by a program.
    pub fn say(&mut self, robot: &RobotModel) {
        for warning in &robot.warnings {
            let text = format!("warning  robot `{}`: {warning}", robot.name);
            if !self.0.contains(&text) {
                eprintln!("{text}");
                self.0.insert(text);
            }
        }
    }
}

/// `1 h 02 min`, `3 min 20 s`, `12 s`.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        3600.. => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
        60.. => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{seconds} s"),
    }
}

/// Prints an ablation as a table, and what it says about plasticity.
pub fn print_ablation(ablation: &Ablation) {
    println!("{} held-out episodes of {} s each (seed {})", ablation.episodes, ablation.duration, ablation.seed);
    println!("{:<28} {:>18} {:>9} {:>6}", "variant", "speed [m/s]", "retained", "falls");
    for row in &ablation.results {
        let speed = format!("{:.3} ± {:.3}", row.speed_mean, row.speed_sd);
        println!("{:<28} {speed:>18} {:>8.0}% {:>6}", row.variant, 100.0 * row.speed_retained, row.falls);
    }
    match Verdict::of(ablation) {
        Ok(verdict) => println!("is it plasticity? {verdict}"),
        // Of a network without a rule nobody asks.
        Err(NoVerdict::Row(_)) => {}
        Err(reason) => println!("is it plasticity? no verdict: {reason}"),
    }
}
