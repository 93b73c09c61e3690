//! Runs of evolution: what their folders say about how the search went.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::drawing::{Curve, Panel, Panels, PlotError, save};
use crate::evolution::{HISTORY, PACE, Table, TableError};

/// Columns that a history must have.
const HISTORY_COLUMNS: [&str; 9] =
    ["generation", "mean", "best", "spread", "mean_speed", "best_speed", "falls", "failed", "sigma"];
/// Columns that a table of times must have.
const PACE_COLUMNS: [&str; 4] = ["generation", "candidates", "episodes", "seconds"];

/// The course of one run.
#[derive(Clone, Debug, PartialEq)]
pub struct RunHistory {
    /// Name of its folder.
    pub name: String,
    history: Table,
    /// Of the generations whose times are known.
    pace: Table,
}

/// A run in figures.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunFigures {
    /// Name of its folder.
    pub name: String,
    /// Generations.
    pub generations: usize,
    /// Best fitness of any candidate.
    pub best: f64,
    /// Mean fitness of the last generation.
    pub mean: f64,
    /// Spread of fitness in the last generation.
    pub spread: f64,
    /// Mean forward speed of the last generation \[m/s\].
    pub speed: f64,
    /// Share of episodes of the last generation in which the robot fell.
    pub falls: f64,
    /// Candidates without a result, of all generations.
    pub failed: f64,
    /// Noise of the last generation.
    pub sigma: f64,
    /// Time that the generations took \[s\]; none where the folder does not say.
    pub seconds: Option<f64>,
    /// Episodes per second of that time.
    pub episodes_per_second: Option<f64>,
}

/// A plot of runs.
#[derive(Clone, Copy, Debug)]
pub enum RunPlot {
    /// Mean, best and spread of fitness.
    Fitness,
    /// Forward speed.
    Speed,
    /// Robots that fell and candidates that failed.
    Losses,
    /// Noise of the search, and its pace.
    Search,
}

/// Why a run cannot be shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunHistoryError {
    /// A table cannot be read.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A table lacks something.
    #[error("{} has no column `{column}`; expected a table that `hebb evolve` or the evolution node wrote", path.display())]
    Column {
        /// The table.
        path: PathBuf,
        /// What it lacks.
        column: &'static str,
    },
    /// A table without a generation.
    #[error("{} holds no generation yet", path.display())]
    Empty {
        /// The table.
        path: PathBuf,
    },
}

impl RunHistory {
    /// Whether `path` is the folder of a run.
    pub fn is_at(path: &Path) -> bool {
        path.join(HISTORY).is_file()
    }

    /// Reads the run in `folder`.
    ///
    /// # Errors
    /// [`RunHistoryError`] names the table and what is wrong with it.
    pub fn load(folder: &Path) -> Result<Self, RunHistoryError> {
        let (history, pace) = (folder.join(HISTORY), folder.join(PACE));
        let run = Self {
            name: folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy().into_owned(),
            history: load(&history, &HISTORY_COLUMNS)?,
            // Runs of earlier versions have none.
            pace: if pace.exists() { load(&pace, &PACE_COLUMNS)? } else { Table::default() },
        };
        if run.history.is_empty() { Err(RunHistoryError::Empty { path: history }) } else { Ok(run) }
    }

    /// The run in figures.
    pub fn figures(&self) -> RunFigures {
        let column = |name| self.history.column(name).unwrap_or_default();
        let last = |name| column(name).last().copied().unwrap_or(f64::NAN);
        let sum = |name| self.pace.column(name).filter(|values| !values.is_empty()).map(|values| values.iter().sum::<f64>());
        let seconds = sum("seconds");
        RunFigures {
            name: self.name.clone(),
            generations: column("generation").len(),
            best: column("best").into_iter().fold(f64::NEG_INFINITY, f64::max),
            mean: last("mean"),
            spread: last("spread"),
            speed: last("mean_speed"),
            falls: last("falls"),
            failed: column("failed").iter().sum(),
            sigma: last("sigma"),
            seconds,
            episodes_per_second: sum("episodes").zip(seconds).map(|(episodes, seconds)| episodes / seconds),
        }
    }

    fn episodes_per_second(&self) -> Vec<(f64, f64)> {
        let seconds = self.pace.column("seconds").unwrap_or_default();
        points(&self.pace, "episodes")
            .into_iter()
            .zip(seconds)
            .map(|((at, episodes), seconds)| (at, episodes / seconds))
            .collect()
    }

    /// Share of failed candidates, of the generations whose size is known.
    fn failed(&self) -> Vec<(f64, f64)> {
        let sizes = points(&self.pace, "candidates");
        let size = |generation: f64| sizes.iter().find(|(other, _)| *other == generation).map(|(_, size)| *size);
        let share = |(generation, failed)| Some((generation, failed / size(generation)?));
        points(&self.history, "failed").into_iter().filter_map(share).collect()
    }
}

/// The table at `path`, which must have these columns.
fn load(path: &Path, columns: &[&'static str]) -> Result<Table, RunHistoryError> {
    let table = Table::load(path)?;
    match columns.iter().find(|column| table.column(column).is_none()) {
        Some(column) => Err(RunHistoryError::Column { path: path.into(), column }),
        None => Ok(table),
    }
}

/// A column against the generation.
fn points(table: &Table, name: &str) -> Vec<(f64, f64)> {
    table.column("generation").unwrap_or_default().into_iter().zip(table.column(name).unwrap_or_default()).collect()
}

impl RunFigures {
    /// Heads of [`RunFigures::cells`].
    pub const HEADS: [&'static str; 10] = [
        "generations",
        "best fitness",
        "mean fitness",
        "spread",
        "speed [m/s]",
        "falls",
        "failed",
        "sigma",
        "time [s]",
        "episodes/s",
    ];

    /// The figures in words, for tables; those of the last generation but for `generations`, `best fitness`, `failed` and the times.
    pub fn cells(&self) -> [String; Self::HEADS.len()] {
        let one = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.1}"));
        [
            self.generations.to_string(),
            format!("{:.2}", self.best),
            format!("{:.2}", self.mean),
            format!("{:.2}", self.spread),
            format!("{:.3}", self.speed),
            format!("{:.0} %", 100.0 * self.falls),
            self.failed.to_string(),
            format!("{:.4}", self.sigma),
            one(self.seconds),
            one(self.episodes_per_second),
        ]
    }
}

impl RunPlot {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Fitness, Self::Speed, Self::Losses, Self::Search];

    /// Name of its files, without extension.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fitness => "fitness",
            Self::Speed => "speed",
            Self::Losses => "losses",
            Self::Search => "search",
        }
    }

    /// Its heading.
    pub fn caption(self) -> &'static str {
        match self {
            Self::Fitness => "Fitness of the candidates",
            Self::Speed => "Forward speed",
            Self::Losses => "Fallen and failed",
            Self::Search => "Noise and pace of the search",
        }
    }

    /// Its panels, each with a line per run that has something to show.
    pub(super) fn panels(self, runs: &[RunHistory]) -> Vec<Panel> {
        let panel = |title: &str, points: &dyn Fn(&RunHistory) -> Vec<(f64, f64)>| {
            let curves = runs.iter().map(|run| Curve { name: run.name.clone(), points: points(run) });
            Panel { title: title.to_owned(), curves: curves.filter(|curve| !curve.points.is_empty()).collect() }
        };
        let column = |title: &str, name: &str| panel(title, &|run| points(&run.history, name));
        match self {
            Self::Fitness => vec![column("mean fitness", "mean"), column("best fitness", "best"), column("spread", "spread")],
            Self::Speed => vec![column("mean speed [m/s]", "mean_speed"), column("speed of the best [m/s]", "best_speed")],
            Self::Losses => vec![
                column("share of episodes that fell", "falls"),
                panel("share of candidates that failed", &RunHistory::failed),
            ],
            Self::Search => vec![column("sigma", "sigma"), panel("episodes/s", &RunHistory::episodes_per_second)],
        }
    }

    /// Draws it for `runs` to `folder`, as NAME.svg and NAME.png. Returns the two paths.
    ///
    /// # Errors
    /// [`PlotError`] when a file cannot be written.
    pub fn draw(self, runs: &[RunHistory], folder: &Path) -> Result<[PathBuf; 2], PlotError> {
        save(folder, self.name(), self.caption(), &Panels { x: "generation", panels: self.panels(runs) })
    }
}
