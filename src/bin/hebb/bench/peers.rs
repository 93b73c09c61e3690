//! The same by others: a Python process (of a program in `benches/peers`) that takes turns with this one.
//!
//! One line of JSON is asked, one is answered: first what is to be done, answered by what came out; then, for each round, how long it took.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// What can go wrong with the others.
#[derive(Debug, thiserror::Error)]
pub enum PeersError {
    /// It could not be started.
    #[error("cannot start {python}: {source}; scripts/bench makes a Python that has what is needed")]
    Start { python: String, source: std::io::Error },
    /// It ended, or could not be understood.
    #[error("the Python process did not answer ({0}); its own message is above")]
    Answer(String),
    /// It computes something else.
    #[error(
        "{peer} and this suite differ by {difference:e} in the weights of {layers:?} after {steps} steps; at most {limit:e} is rounding"
    )]
    Disagreement { peer: String, layers: Vec<usize>, steps: usize, difference: f32, limit: f32 },
}

/// The running process. Ends with this value.
pub struct Peers {
    process: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Peers {
    /// Starts `program` (its text) in `python`, gives it `task`, and waits for the answer: by then everything is compiled and warm.
    ///
    /// # Errors
    /// [`PeersError`] when it does not start or does not answer.
    pub fn start<T: DeserializeOwned>(python: &Path, program: &str, task: &impl Serialize) -> Result<(Self, T), PeersError> {
        let started = Command::new(python).args(["-c", program]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut process = started.map_err(|source| PeersError::Start { python: python.display().to_string(), source })?;
        let (Some(questions), Some(answers)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(PeersError::Answer("no pipes".into()));
        };
        let mut peers = Self { process, questions, answers: BufReader::new(answers) };
        let answer = peers.ask(task)?;
        Ok((peers, answer))
    }

    /// Seconds that each of them takes: one round.
    ///
    /// # Errors
    /// [`PeersError::Answer`] when the process has ended.
    pub fn round<T: DeserializeOwned>(&mut self) -> Result<T, PeersError> {
        self.ask(&"round")
    }

    fn ask<T: DeserializeOwned>(&mut self, question: &impl Serialize) -> Result<T, PeersError> {
        let problem = |problem: &dyn std::fmt::Display| PeersError::Answer(problem.to_string());
        let mut line = serde_json::to_string(question).map_err(|error| problem(&error))?;
        line.push('\n');
        self.questions.write_all(line.as_bytes()).map_err(|error| problem(&error))?;
        line.clear();
        self.answers.read_line(&mut line).map_err(|error| problem(&error))?;
        serde_json::from_str(&line).map_err(|error| problem(&error))
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
