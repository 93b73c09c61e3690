//! What a run leaves as tables: `history.csv`, which follows from the experiment alone, and `pace.csv`, which says how fast it went here.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::outcome::Generation;
use crate::durable::{WriteError, in_part, write_durably};

/// Name of the table of generations in a run's folder.
pub const HISTORY: &str = "history.csv";
/// Name of the table of times in a run's folder.
pub const PACE: &str = "pace.csv";

/// How long a generation took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// Number of the generation, from 0.
    pub generation: u64,
    /// Candidates tried.
    pub candidates: usize,
    /// Episodes run.
    pub episodes: u64,
    /// Time that they took.
    pub took: Duration,
}

/// A table of numbers under names, as runs leave them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    names: Vec<String>,
    rows: Vec<Vec<f64>>,
}

/// A table that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", path.display())]
pub struct TableError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: String,
}

/// Writes the history to `folder`.
pub(super) fn write_history(folder: &Path, history: &[Generation]) -> Result<(), WriteError> {
    let mut table = "generation,best,mean,spread,best_speed,mean_speed,falls,failed,sigma,learning_rate\n".to_owned();
    for g in history {
        table += &format!(
            "{},{},{},{},{},{},{},{},{},{}\n",
            g.generation, g.best, g.mean, g.spread, g.best_speed, g.mean_speed, g.falls, g.failed, g.sigma, g.learning_rate
        );
    }
    write_durably(&folder.join(HISTORY), table.as_bytes())
}

/// Adds `pace` to the table of times in `folder`.
pub(super) fn note_pace(folder: &Path, pace: &Pace) -> Result<(), WriteError> {
    let path = folder.join(PACE);
    let write = || {
        let mut file = OpenOptions::new().append(true).create(true).open(&path)?;
        let head = if file.metadata()?.len() == 0 { "generation,candidates,episodes,seconds\n" } else { "" };
        let Pace { generation, candidates, episodes, took } = pace;
        // In one piece, so that a kill leaves whole lines.
        let line = format!("{head}{generation},{candidates},{episodes},{}\n", took.as_secs_f64());
        file.write_all(line.as_bytes()).map_err(in_part)
    };
    write().map_err(|source| WriteError { path: path.clone(), source })
}

/// Takes from the end of the table of times in `folder` what is no whole line: what a full disk or a loss of power left of the last one. Else the next
/// line would be joined to it, and the table could never be read again.
pub(super) fn mend_pace(folder: &Path) -> Result<(), WriteError> {
    let path = folder.join(PACE);
    let mend = || -> std::io::Result<()> {
        let table = match std::fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            table => table?,
        };
        let whole = table.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        if whole < table.len() {
            OpenOptions::new().write(true).open(&path)?.set_len(whole as u64)?;
        }
        Ok(())
    };
    mend().map_err(|source| WriteError { path: path.clone(), source })
}

impl Table {
    /// Reads the table at `path`.
    ///
    /// # Errors
    /// [`TableError`] when it cannot be read, or a line is not as many numbers as the first line has names.
    pub fn load(path: &Path) -> Result<Self, TableError> {
        let failed = |problem: String| TableError { path: path.into(), problem };
        let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
        let mut lines = text.lines();
        let names: Vec<String> = lines.next().unwrap_or_default().split(',').map(|name| name.trim().to_owned()).collect();
        let mut rows = Vec::new();
        for (number, line) in lines.enumerate() {
            let row: Result<Vec<f64>, _> = line.split(',').map(|value| value.trim().parse()).collect();
            match row {
                Ok(row) if row.len() == names.len() => rows.push(row),
                _ => return Err(failed(format!("line {}: expected {} numbers, got `{line:.80}`", number + 2, names.len()))),
            }
        }
        Ok(Self { names, rows })
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The column `name`, if there is one.
    pub fn column(&self, name: &str) -> Option<Vec<f64>> {
        let place = self.names.iter().position(|other| other == name)?;
        Some(self.rows.iter().map(|row| row[place]).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let generation = |generation| Generation { generation, mean: -0.5, failed: 2, ..Default::default() };
        write_history(folder.path(), &[generation(0), generation(1)]).unwrap();
        let history = Table::load(&folder.path().join(HISTORY)).unwrap();
        assert_eq!((history.column("generation"), history.column("failed")), (Some(vec![0.0, 1.0]), Some(vec![2.0; 2])));
        assert_eq!((history.column("mean"), history.column("median")), (Some(vec![-0.5; 2]), None));
        for generation in 0..2 {
            let pace = Pace { generation, candidates: 8, episodes: 16, took: Duration::from_millis(250) };
            note_pace(folder.path(), &pace).unwrap();
        }
        let pace = Table::load(&folder.path().join(PACE)).unwrap();
        assert_eq!((pace.column("seconds"), pace.column("episodes")), (Some(vec![0.25; 2]), Some(vec![16.0; 2])));
    }

    #[test]
    fn a_line_that_is_cut_short_is_taken_from_the_table_of_times() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(PACE);
        mend_pace(folder.path()).unwrap();
        assert!(!path.exists());
        let head = "generation,candidates,episodes,seconds\n";
        let whole = format!("{head}0,8,16,0.25\n");
        let pace = Pace { generation: 1, candidates: 8, episodes: 16, took: Duration::from_millis(250) };
        for (text, left) in [
            (format!("{whole}1,8,1"), whole.as_str()),
            (format!("{whole}\0\0"), whole.as_str()),
            (whole.clone(), whole.as_str()),
            (head[..9].to_owned(), ""),
        ] {
            std::fs::write(&path, text).unwrap();
            mend_pace(folder.path()).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), left);
            note_pace(folder.path(), &pace).unwrap();
            assert_eq!(Table::load(&path).unwrap().column("seconds").unwrap().last(), Some(&0.25));
        }
    }

    #[test]
    fn a_line_that_is_cut_short_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(HISTORY);
        for text in ["generation,best\n0,1\n1", "generation,best\n0,1\n1,one\n"] {
            std::fs::write(&path, text).unwrap();
            let error = Table::load(&path).unwrap_err().to_string();
            assert!(error.contains("history.csv: line 3: expected 2 numbers"), "{error}");
        }
    }
}
