//! `hebb bench`: how fast the suite is, beside others and beside what the machine allows, in one run, as ratios.

mod bandwidth;
mod gait;
mod peers;
mod search;
mod sim;
mod step;

use std::path::Path;
use std::time::Instant;

use serde::Serialize;

use crate::Failure;
use crate::report::write_json;

#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// One step of the plastic network: beside numpy and jax, and beside the memory traffic that it cannot do without.
    Step(step::Arguments),
    /// The simulated world: beside a bare loop over rapier's step, beside MuJoCo, on several threads, and how fast an episode starts anew.
    Sim(sim::Arguments),
    /// The searches on test functions: what they reach, beside the same algorithms of evosax.
    Search(search::Arguments),
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    match &arguments.what {
        What::Step(arguments) => step::run(arguments),
        What::Sim(arguments) => sim::run(arguments),
        What::Search(arguments) => search::run(arguments),
    }
}

/// Writes `report` as JSON, where that was asked for, and prints it. The other programs must have ended: from here on the program ends when nobody reads
/// what it writes, as all commands do.
fn give<R: Serialize>(report: &R, json: Option<&Path>, print: impl FnOnce(&R)) -> Result<(), Failure> {
    sigpipe::reset();
    // Before that may happen; and what cannot be written is printed all the same.
    let written = json.map_or(Ok(()), |path| write_json(path, report));
    print(report);
    written
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

/// Seconds that the processor has spent on this thread: whoever else uses the machine does not count.
fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// CPU seconds that `work` takes.
fn cpu_seconds_of(work: impl FnOnce()) -> f64 {
    let begin = cpu_seconds();
    work();
    cpu_seconds() - begin
}

/// What /proc/cpuinfo calls the processor.
fn cpu() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split_once(": "));
    model.map_or("unknown", |(_, name)| name).to_owned()
}
