//! `hebb bench search`: what the searches reach on test functions, beside the same algorithms of evosax with equal settings.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use hebbian_locomotion::evolution::{
    EvolutionSettings, GroupSearch, Method, Optimiser, Schedule, SearchSpace, Strategy, TestFunction,
};
use hebbian_locomotion::network::GenomeBlock;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{give, quantile};
use crate::Failure;
use crate::output::refuse_json_loss;
use crate::report::progress_bar;

/// The program; part of this one, so that it works wherever that is installed.
const PROGRAM: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers/search.py"));
const BETA1: f32 = 0.9;
const BETA2: f32 = 0.999;

#[derive(clap::Args)]
pub struct Arguments {
    /// Python with evosax, for the same by others (scripts/bench makes one).
    #[arg(long)]
    peers: Option<PathBuf>,
    /// Searches of each kind, from seeds 0, 1, 2, …
    #[arg(long, default_value_t = 20)]
    seeds: u64,
    /// Write the figures as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// One kind of search, as others are told of it.
#[derive(Clone, Debug, Serialize)]
struct Task {
    method: Method,
    optimiser: Optimiser,
    function: TestFunction,
    dimensions: usize,
    population: usize,
    generations: u64,
    learning_rate: f32,
    momentum: f32,
    beta1: f32,
    beta2: f32,
    sigma: f32,
    /// Standard deviation of the start.
    spread: f32,
    seeds: u64,
}

#[derive(Deserialize)]
struct Answer {
    versions: BTreeMap<String, String>,
    best: Vec<Vec<f64>>,
}

/// The best values that searches of one kind found, smallest first.
#[derive(Clone, Debug, Serialize)]
struct Best {
    median: f64,
    lower_quartile: f64,
    upper_quartile: f64,
    least: f64,
    most: f64,
}

#[derive(Serialize)]
struct Row {
    #[serde(flatten)]
    task: Task,
    suite: Best,
    evosax: Option<Best>,
    /// Whether the suite's median lies between the least and the most of evosax.
    within_spread: Option<bool>,
}

#[derive(Serialize)]
struct Report {
    versions: BTreeMap<String, String>,
    rows: Vec<Row>,
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    refuse_json_loss(arguments.json.as_deref(), [])?;
    let tasks = tasks(arguments.seeds);
    let bar = progress_bar(tasks.len() as u64 * arguments.seeds, "{bar:30.cyan} {percent:>3}%  {eta} left");
    let suite: Vec<Best> = tasks
        .iter()
        .map(|task| {
            let values: Vec<f64> = (0..task.seeds)
                .into_par_iter()
                .map(|seed| {
                    let best = task.best(seed);
                    bar.inc(1);
                    best
                })
                .collect::<Result<_, _>>()?;
            Ok(Best::new(values))
        })
        .collect::<Result<_, Failure>>()?;
    bar.finish_and_clear();
    let (versions, others) = match &arguments.peers {
        Some(python) => {
            let answer = ask(python, &tasks)?;
            (answer.versions, answer.best.into_iter().map(|values| Some(Best::new(values))).collect())
        }
        None => (BTreeMap::new(), vec![None; tasks.len()]),
    };
    let row = |((task, suite), evosax): ((Task, Best), Option<Best>)| {
        let within_spread = evosax.as_ref().map(|evosax| (evosax.least..=evosax.most).contains(&suite.median));
        Row { task, suite, evosax, within_spread }
    };
    let report = Report { versions, rows: tasks.into_iter().zip(suite).zip(others).map(row).collect() };
    give(&report, arguments.json.as_deref(), print)
}

fn tasks(seeds: u64) -> Vec<Task> {
    let mut tasks = Vec::new();
    for (dimensions, population, generations) in [(100, 64, 300), (10_000, 64, 60)] {
        for function in [TestFunction::Sphere, TestFunction::Rosenbrock, TestFunction::Rastrigin] {
            for (method, optimiser, learning_rate, sigma) in [
                (Method::OpenEs, Optimiser::Adam, 0.05, 0.1),
                (Method::OpenEs, Optimiser::Sgd, 0.003, 0.1),
                (Method::Snes, Optimiser::Adam, 1.0, 0.5),
            ] {
                let momentum = 0.9;
                let (beta1, beta2, spread) = (BETA1, BETA2, 1.0);
                let task = Task {
                    method,
                    optimiser,
                    function,
                    dimensions,
                    population,
                    generations,
                    learning_rate,
                    momentum,
                    beta1,
                    beta2,
                    sigma,
                    spread,
                    seeds,
                };
                tasks.push(task);
            }
        }
    }
    tasks
}

impl Task {
    /// The best value, to be small, that the search from `seed` found.
    fn best(&self, seed: u64) -> Result<f64, Failure> {
        let settings = EvolutionSettings {
            population: self.population,
            method: self.method,
            optimiser: self.optimiser,
            learning_rate: Schedule::constant(self.learning_rate),
            sigma: Schedule::constant(self.sigma),
            beta1: self.beta1,
            beta2: self.beta2,
            momentum: self.momentum,
            genome: SearchSpace::uniform(GroupSearch { offset: 0.0, scale: 1.0, spread: self.spread }),
            ..EvolutionSettings::default()
        };
        let stretches = settings.genome.stretches(&[GenomeBlock::new("all", "all", &[self.dimensions])])?;
        let mut strategy = Strategy::new(settings, seed, stretches);
        let mut best = f64::INFINITY;
        for _ in 0..self.generations {
            let population = strategy.population();
            let fitness: Vec<f32> =
                (0..population.size).map(|index| self.function.at(&population.genome(index, strategy.stretches()))).collect();
            best = fitness.iter().fold(best, |best, &value| best.min(-f64::from(value)));
            strategy.tell(&fitness)?;
        }
        Ok(best)
    }
}

impl Best {
    fn new(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |part| quantile(&values, part);
        Self { median: at(0.5), lower_quartile: at(0.25), upper_quartile: at(0.75), least: at(0.0), most: at(1.0) }
    }
}

fn ask(python: &Path, tasks: &[Task]) -> Result<Answer, Failure> {
    let problem =
        |error: &dyn std::fmt::Display| format!("{} with evosax: {error}; scripts/bench makes such a Python", python.display());
    let mut process = Command::new(python)
        .args(["-c", PROGRAM])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| problem(&error))?;
    if let Some(mut questions) = process.stdin.take() {
        questions.write_all(serde_json::to_string(tasks)?.as_bytes())?;
        questions.write_all(b"\n")?;
    }
    let output = process.wait_with_output()?;
    serde_json::from_slice(&output.stdout).map_err(|error| problem(&error).into())
}

fn print(report: &Report) {
    println!("best value (0 is the least possible), median and quartiles over seeds; evosax: {:?}", report.versions);
    println!("{:<12} {:<6} {:>6} {:>34} {:>34}  within its spread", "function", "dim.", "method", "suite", "evosax");
    for Row { task, suite, evosax, within_spread } in &report.rows {
        let method = match (task.method, task.optimiser) {
            (Method::Snes, _) => "snes",
            (Method::OpenEs, Optimiser::Adam) => "adam",
            (Method::OpenEs, Optimiser::Sgd) => "sgd",
        };
        let text = |best: &Best| format!("{:.4e} ({:.4e} … {:.4e})", best.median, best.lower_quartile, best.upper_quartile);
        let function = format!("{:?}", task.function).to_lowercase();
        let (other, within) =
            (evosax.as_ref().map_or("-".into(), text), within_spread.map_or("-", |within| if within { "yes" } else { "NO" }));
        println!("{function:<12} {:<6} {method:>6} {:>34} {other:>34}  {within}", task.dimensions, text(suite));
    }
}
