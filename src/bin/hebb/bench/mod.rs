//! `hebb bench`: how fast the suite is, beside others and beside what the machine allows, in one run, as ratios.

mod bandwidth;
mod peers;
mod step;

use std::time::Instant;

use serde::Serialize;

use crate::Failure;

#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// One step of the plastic network: beside numpy and jax, and beside the memory traffic that it cannot do without.
    Step(step::Arguments),
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    match &arguments.what {
        What::Step(arguments) => step::run(arguments),
    }
}

/// What many rounds gave for one contestant.
#[derive(Clone, Copy, Debug, Serialize)]
struct Timing {
    /// Median over the rounds.
    median_us: f64,
    /// Best round.
    min_us: f64,
    /// Median over the rounds of this time over that of the suite in the same round.
    ratio: f64,
}

/// Times in seconds, one a round.
#[derive(Clone, Debug, Default)]
struct Rounds(Vec<f64>);

impl Rounds {
    fn push(&mut self, seconds: f64) {
        self.0.push(seconds);
    }

    /// Beside `suite`, which ran in the same rounds, so that what disturbed a round disturbed both.
    fn beside(&self, suite: &Self) -> Timing {
        let ratios = self.0.iter().zip(&suite.0).map(|(own, suite)| own / suite).collect();
        let mut times = self.0.clone();
        times.sort_by(f64::total_cmp);
        Timing { median_us: 1e6 * quantile(&times, 0.5), min_us: 1e6 * quantile(&times, 0.0), ratio: median(ratios) }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    quantile(&values, 0.5)
}

/// Of sorted values, the one below which the share `part` lies; NaN of none.
fn quantile(sorted: &[f64], part: f64) -> f64 {
    let index = (sorted.len() as f64 * part) as usize;
    sorted.get(index.min(sorted.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}

/// Seconds that one of `calls` calls takes, after a tenth as many that fill the caches and do not count.
fn time(calls: usize, mut work: impl FnMut()) -> f64 {
    (0..calls / 10).for_each(|_| work());
    let start = Instant::now();
    (0..calls).for_each(|_| work());
    start.elapsed().as_secs_f64() / calls as f64
}

/// What /proc/cpuinfo calls the processor.
fn cpu() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split_once(": "));
    model.map_or("unknown", |(_, name)| name).to_owned()
}
