//! The same step by others: a Python process (`benches/peers/step.py`) that takes turns with this one.
//!
//! One line of JSON is asked, one is answered: first the networks, answered by the weights after some steps; then, for each round,
//! the times of one step.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The program; part of this one, so that it works wherever that is installed.
const PROGRAM: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers/step.py"));

/// Contestants by name, for each network in turn.
pub type PerNet<T> = Vec<BTreeMap<String, T>>;

/// One network, as others are told of it.
#[derive(Serialize)]
pub struct Task {
    /// Neurons per layer, input first.
    pub layers: Vec<usize>,
    /// Weights at the start, layer after layer, row-major \[inputs, outputs\].
    pub weights: Vec<f32>,
    /// eta A, eta B, eta C and eta D in the same order.
    pub coefficients: [Vec<f32>; 4],
    /// Inputs of the steps.
    pub inputs: Vec<Vec<f32>>,
    /// For each network of the batch: what the coefficients are multiplied by.
    pub batch: Vec<f32>,
}

/// The answer to the tasks.
#[derive(Deserialize)]
pub struct Ready {
    /// Of Python and the packages.
    pub versions: BTreeMap<String, String>,
    /// Weights after one step for each input; of a batch, those of its last network.
    pub weights: PerNet<Vec<f32>>,
}

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
    /// Starts `python` and waits until everything is compiled and warm.
    ///
    /// # Errors
    /// [`PeersError`] when it does not start or does not answer.
    pub fn start(python: &Path, tasks: &[Task]) -> Result<(Self, Ready), PeersError> {
        let started = Command::new(python).args(["-c", PROGRAM]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut process = started.map_err(|source| PeersError::Start { python: python.display().to_string(), source })?;
        let (Some(questions), Some(answers)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(PeersError::Answer("no pipes".into()));
        };
        let mut peers = Self { process, questions, answers: BufReader::new(answers) };
        let ready = peers.ask(&tasks)?;
        Ok((peers, ready))
    }

    /// Seconds that a step takes each of them: one round.
    ///
    /// # Errors
    /// [`PeersError::Answer`] when the process has ended.
    pub fn round(&mut self) -> Result<PerNet<f64>, PeersError> {
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
