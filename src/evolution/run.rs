//! A run of evolution and the folder where it leaves its files: the same whoever tries the candidates.

use std::fs::{File, TryLockError};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::history::{HISTORY, PACE, Pace, mend_pace, note_pace, write_history};
use super::outcome::{Generation, Outcome, best_candidate};
use super::search::TellError;
use super::stop::{StopReason, mean_over};
use super::{Checkpoint, CheckpointError, Experiment, ExperimentError, Search, SearchError};
use crate::durable::{WriteError, remove_temporaries, write_durably};
use crate::episode::EPISODE_VERSION;
use crate::plasticity::Instructions;
use crate::policy::{PolicyFile, PolicyFileError};
use crate::robot::RobotModel;

/// Name of the checkpoint in a run's folder.
const CHECKPOINT: &str = "checkpoint.safetensors";
/// Name of the checkpoint of the generation before.
const PREVIOUS: &str = "checkpoint.previous.safetensors";

/// A run of evolution between two generations, kept in a folder: `checkpoint.safetensors`, that of the generation before in
/// `checkpoint.previous.safetensors`, `history.csv`, `pace.csv`, and the policies `mean.safetensors`, `best.safetensors` and, of each descent
/// that a restart ended, `descent_N.safetensors`.
#[derive(Debug)]
pub struct Run {
    robot: Arc<RobotModel>,
    hash: String,
    search: Search,
    history: Vec<Generation>,
    folder: PathBuf,
    /// Held as long as the run is open, where the file system has locks.
    _lock: File,
}

/// What to do with a checkpoint in the folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Continuation {
    /// There must be none.
    Never,
    /// Go on from it; there must be one.
    Required,
    /// Go on from it if there is one.
    IfThere,
}

/// What happened to a search between two generations.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum Event {
    /// Rules were merged.
    #[error("rules merged to {rules}")]
    Merged {
        /// Rules that are left.
        rules: usize,
    },
    /// A new descent began.
    #[error("restart {number}: {reason}")]
    Restarted {
        /// Which restart, from 1.
        number: u32,
        /// Why the descent before ended.
        reason: StopReason,
    },
}

/// Why a run cannot begin or go on. What was in the folder is still there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// A setting of the experiment, maybe changed since it was read, is not usable.
    #[error(transparent)]
    Experiment(#[from] ExperimentError),
    /// The experiment's name would name a folder elsewhere, or none.
    #[error(
        "the experiment's name {name:?} cannot be that of its folder in `runs`: it must be without `/`, and neither empty nor `.` or `..`; give it \
         another `name`, or name a folder (`--out`; of the node, `out`)"
    )]
    Name {
        /// The name.
        name: String,
    },
    /// The folder, or the file in it that is locked, cannot be made.
    #[error("cannot use the folder {}: {source}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Another process evolves into the folder.
    #[error("another process evolves into {} at this moment; end it, or name another folder", folder.display())]
    InUse {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder holds a run.
    #[error("{} holds a run already; go on with it (`--resume`), or name another folder", folder.display())]
    Occupied {
        /// The folder.
        folder: PathBuf,
    },
    /// There is nothing to go on from.
    #[error("there is no checkpoint {} to resume", path.display())]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// There is nothing to go on from but the checkpoint of the generation before, which a new run would replace.
    #[error(
        "there is no checkpoint {}, but that of the generation before, {}; rename it to {CHECKPOINT} to go on from it, or name another folder",
        path.display(),
        previous.display()
    )]
    OnlyPrevious {
        /// Where the checkpoint should be.
        path: PathBuf,
        /// That of the generation before.
        previous: PathBuf,
    },
    /// The checkpoint is damaged, but there is that of the generation before.
    #[error("{source}; rename {}, that of the generation before, to {CHECKPOINT} to go on from it", previous.display())]
    Damaged {
        /// What is wrong with the checkpoint.
        source: CheckpointError,
        /// That of the generation before.
        previous: PathBuf,
    },
    /// The checkpoint is of something else.
    #[error(
        "{} is of another experiment, robot or seed (hash {found:.12}…, now {expected:.12}…); give the same ones, or name another folder",
        path.display()
    )]
    Foreign {
        /// The checkpoint.
        path: PathBuf,
        /// Hash of its experiment.
        found: String,
        /// Hash of the experiment given.
        expected: String,
    },
    /// The checkpoint is of a version of this program whose episodes come to other bits.
    #[error(
        "{} is of a run that began with another version of this program: the same episodes come to other bits in it (version {found} of \
         them, here {expected}); go on with that version, or start anew in another folder",
        path.display()
    )]
    EpisodeVersion {
        /// The checkpoint.
        path: PathBuf,
        /// [`EPISODE_VERSION`] of the run.
        found: u16,
        /// [`EPISODE_VERSION`] of this program.
        expected: u16,
    },
    /// The checkpoint is of machines on which episodes come to other bits.
    #[error(
        "{} is of a run on machines {found} fused multiply-add (FMA), and this one is {expected}: the same episodes come to other bits in it; go on \
         with it on machines of that kind, or start anew in another folder",
        path.display()
    )]
    Rounding {
        /// The checkpoint.
        path: PathBuf,
        /// `with` or `without`: the machines of the run.
        found: &'static str,
        /// This machine.
        expected: &'static str,
    },
    /// A checkpoint cannot be read or written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The history cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A policy cannot be written.
    #[error(transparent)]
    Policy(#[from] PolicyFileError),
    /// The search cannot begin or go on.
    #[error(transparent)]
    Search(#[from] SearchError),
    /// The generation cannot be told.
    #[error(transparent)]
    Tell(#[from] TellError),
}

impl Run {
    /// The folder of a run of `experiment` for which nobody named one: `runs/NAME`.
    ///
    /// # Errors
    /// [`RunError::Name`] when the name is not one part of a path, so that the folder would be another one.
    pub fn default_folder(experiment: &Experiment) -> Result<PathBuf, RunError> {
        let mut parts = Path::new(&experiment.name).components();
        match (parts.next(), parts.next()) {
            // The same, as a slash at the end would make no part of its own.
            (Some(Component::Normal(part)), None) if part == experiment.name.as_str() => Ok(Path::new("runs").join(part)),
            _ => Err(RunError::Name { name: experiment.name.clone() }),
        }
    }

    /// Opens the run of `experiment` in `folder`, which no other process may evolve into meanwhile; where the file system has no locks, one that
    /// does is not noticed. What a run that was killed has left half written is removed, if the folder is locked.
    ///
    /// # Errors
    /// [`RunError`] says what is in the way.
    pub fn open(
        experiment: Experiment,
        robot: Arc<RobotModel>,
        folder: &Path,
        continuation: Continuation,
    ) -> Result<Self, RunError> {
        experiment.evolution.check(&experiment.policy.network)?;
        let [path, previous] = [CHECKPOINT, PREVIOUS].map(|name| folder.join(name));
        if !path.exists() && !previous.exists() {
            // Before anything is made: the folder may be a slip of the pen.
            if continuation == Continuation::Required {
                return Err(RunError::Missing { path });
            }
            experiment.evolution.check_beginning()?;
        }
        let problem = |source| RunError::Folder { folder: folder.into(), source };
        std::fs::create_dir_all(folder).map_err(problem)?;
        let lock = File::create(folder.join("lock")).map_err(problem)?;
        let is_locked = match lock.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => return Err(RunError::InUse { folder: folder.into() }),
            // Of a file system without locks: a run goes on without, as records do, and another process is not noticed.
            Err(TryLockError::Error(_)) => false,
        };
        let hash = experiment.hash(&robot);
        let experiment = Arc::new(experiment);
        let (search, history) = match (path.exists(), continuation) {
            (true, Continuation::Never) => return Err(RunError::Occupied { folder: folder.into() }),
            (false, _) if previous.exists() => return Err(RunError::OnlyPrevious { path, previous }),
            (false, Continuation::Required) => return Err(RunError::Missing { path }),
            (false, _) => {
                // What a run that is gone has left behind.
                let _ = std::fs::remove_file(folder.join(PACE));
                (Search::new(experiment, &robot)?, Vec::new())
            }
            (true, _) => {
                let checkpoint = load(&path, previous)?;
                if checkpoint.episode_version != EPISODE_VERSION {
                    return Err(RunError::EpisodeVersion { path, found: checkpoint.episode_version, expected: EPISODE_VERSION });
                }
                let is_fused = Instructions::detect().is_fused();
                if checkpoint.fused != is_fused {
                    let [found, expected] = [checkpoint.fused, is_fused].map(|fused| if fused { "with" } else { "without" });
                    return Err(RunError::Rounding { path, found, expected });
                }
                if checkpoint.experiment_hash != hash {
                    return Err(RunError::Foreign { path, found: checkpoint.experiment_hash, expected: hash });
                }
                (Search::resume(experiment, &robot, &checkpoint)?, checkpoint.history)
            }
        };
        if is_locked {
            remove_temporaries(folder, is_of_a_run);
        }
        mend_pace(folder)?;
        Ok(Self { robot, hash, search, history, folder: folder.to_owned(), _lock: lock })
    }

    /// The search.
    pub fn search(&self) -> &Search {
        &self.search
    }

    /// The robot.
    pub fn robot(&self) -> &Arc<RobotModel> {
        &self.robot
    }

    /// The experiment's hash.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// One entry per generation so far.
    pub fn history(&self) -> &[Generation] {
        &self.history
    }

    /// Whether the run is over, and why.
    pub fn ended(&self) -> Option<StopReason> {
        let settings = &self.search.experiment().evolution;
        if self.search.strategy().generation() >= settings.generations {
            return Some(StopReason::Generations(settings.generations));
        }
        self.verdict().filter(|reason| !(reason.allows_restart() && self.restarts_left()))
    }

    /// Does what is due before the present generation. To be called once before each, also after opening.
    ///
    /// # Errors
    /// [`RunError::Search`] when rules cannot be merged; [`RunError::Policy`] when that of a descent that ends cannot be written.
    pub fn prepare(&mut self) -> Result<Vec<Event>, RunError> {
        let mut events = Vec::new();
        if let Some(reason) = self.verdict().filter(|reason| reason.allows_restart() && self.restarts_left()) {
            // The next descent may come to less.
            let path = self.descent(self.search.strategy().state().restarts);
            self.present().save(&path)?;
            self.search.restart();
            events.push(Event::Restarted { number: self.search.strategy().state().restarts, reason });
        }
        if let Some(rules) = self.search.merge_if_due()? {
            events.push(Event::Merged { rules });
        }
        Ok(events)
    }

    /// Ends the present generation, which took so long, with what its candidates came to: tells the search and writes the folder's files, the
    /// checkpoint after policies and history. So a kill in between leaves at most these one generation ahead, and the generation is run
    /// again, to the same files; were it the other way round, nothing would write those of the last generation again. The pace comes after the
    /// checkpoint, as a generation that is run again would be noted twice.
    ///
    /// # Errors
    /// [`RunError`]; the checkpoint of the generation before is still there, and resumes to the same result.
    pub fn finish_generation(&mut self, outcomes: &[Outcome], took: Duration) -> Result<Generation, RunError> {
        let best = best_candidate(outcomes).map(|index| self.search.strategy().candidate(index));
        let generation = self.search.tell(outcomes)?;
        self.history.push(generation);
        let path = self.folder.join(CHECKPOINT);
        // Before anything is replaced: it may be refused.
        let checkpoint = self.checkpoint().to_bytes(&path)?;
        self.present().save(&self.folder.join("mean.safetensors"))?;
        if let Some(genome) = best {
            self.policy_of(genome, generation.best).save(&self.folder.join("best.safetensors"))?;
        }
        write_history(&self.folder, &self.history)?;
        self.keep(&path, &checkpoint)?;
        let candidates = outcomes.len();
        let episodes = candidates as u64 * u64::from(self.search.experiment().episodes_per_candidate());
        note_pace(&self.folder, &Pace { generation: generation.generation, candidates, episodes, took })?;
        Ok(generation)
    }

    /// The policy that the run came to: that at the mean of the descent whose last generation had the largest mean fitness. Where conditions
    /// come in turn, the last round of them counts, as one condition may be easier than the next.
    ///
    /// # Errors
    /// [`RunError::Policy`] when that of an earlier descent cannot be read.
    pub fn policy(&self) -> Result<PolicyFile, RunError> {
        // One that the end cut off in its first round has not met every condition, and is only taken where there is no other.
        let (mut best, mut is_whole) = (self.present(), self.present_descent().len() >= self.round());
        for path in (0..self.search.strategy().state().restarts).map(|number| self.descent(number)).filter(|path| path.exists()) {
            let (file, _) = PolicyFile::load(&path)?;
            if !is_whole || file.metadata.provenance.fitness > best.metadata.provenance.fitness {
                (best, is_whole) = (file, true);
            }
        }
        Ok(best)
    }

    /// The policy at the mean of the present descent, with the mean fitness of the candidates by which it was found: of the last generation, or of the
    /// last round of conditions, as far as the descent has come.
    fn present(&self) -> PolicyFile {
        let descent = self.present_descent();
        let fitness = match &descent[descent.len().saturating_sub(self.round())..] {
            [] => f32::NEG_INFINITY,
            last => mean_over(last),
        };
        self.policy_of(self.search.strategy().mean_genome(), fitness)
    }

    /// Generations in which every condition has its turn.
    fn round(&self) -> usize {
        let experiment = self.search.experiment();
        experiment.conditions.round(experiment.evolution.episodes)
    }

    /// Where the policy of descent `number` is kept when it has ended.
    fn descent(&self, number: u32) -> PathBuf {
        self.folder.join(format!("descent_{number}.safetensors"))
    }

    fn verdict(&self) -> Option<StopReason> {
        self.search.experiment().evolution.stop.verdict(self.present_descent(), self.round())
    }

    /// History since the last restart.
    fn present_descent(&self) -> &[Generation] {
        let began = self.search.strategy().state().began;
        &self.history[self.history.partition_point(|generation| generation.generation < began)..]
    }

    fn restarts_left(&self) -> bool {
        let restarts = self.search.experiment().evolution.restarts;
        restarts.is_some_and(|restarts| self.search.strategy().state().restarts < restarts.most)
    }

    fn policy_of(&self, genome: Vec<f32>, fitness: f32) -> PolicyFile {
        let mut file = PolicyFile { genome, ..self.search.policy() };
        file.metadata.provenance.generation = self.search.strategy().generation();
        file.metadata.provenance.fitness = fitness;
        file
    }

    /// Writes `checkpoint` to `path`. The checkpoint of the generation before stays beside it.
    fn keep(&self, path: &Path, checkpoint: &[u8]) -> Result<(), WriteError> {
        if path.exists() {
            let older = self.folder.join(PREVIOUS);
            let _ = std::fs::remove_file(&older);
            // A link, so that at no moment there is no checkpoint. Without links (some file systems) only the newest is kept.
            let _ = std::fs::canonicalize(path).and_then(|file| std::fs::hard_link(file, &older));
        }
        write_durably(path, checkpoint)
    }

    fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            episode_version: EPISODE_VERSION,
            fused: Instructions::detect().is_fused(),
            experiment: (**self.search.experiment()).clone(),
            experiment_hash: self.hash.clone(),
            state: self.search.strategy().state().clone(),
            clusters: self.search.clusters().cloned(),
            history: self.history.clone(),
        }
    }
}

/// Reads the checkpoint at `path`. Where it is damaged, the error names the `previous` one, if that is there.
fn load(path: &Path, previous: PathBuf) -> Result<Checkpoint, RunError> {
    Checkpoint::load(path).map_err(|error| match error {
        CheckpointError::Malformed { .. } if previous.exists() => RunError::Damaged { source: error, previous },
        error => error.into(),
    })
}

/// Whether the holder of a run's lock writes a file of this name.
fn is_of_a_run(name: &str) -> bool {
    let stem = name.strip_suffix(".safetensors");
    let is_descent = |stem: &str| stem.strip_prefix("descent_").is_some_and(|number| number.parse::<u32>().is_ok());
    name == HISTORY || stem.is_some_and(|stem| ["checkpoint", "mean", "best", "policy"].contains(&stem) || is_descent(stem))
}
