//! How the weights of a study's policies move: on the ground that they were evolved for, and on another.

use std::collections::HashMap;
use std::path::Path;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{StudyError, WeightConditions};
use crate::episode::{Episode, EpisodeError};
use crate::evidence::suite::{Entrant, Lines, RecordsError, Suite, SuiteError};
use crate::evidence::{Components, Dynamics, Motion, Scores, WeightSeries, held_out_seeds, watch_weights};
use crate::policy::MapError;

/// Components that are looked at, as in arXiv 2503.12406.
pub(super) const COMPONENTS: usize = 3;
/// Most episodes that are followed under each condition: all their weights are held in memory at once.
const EPISODES: u32 = 10;
/// What is left out of spreads and motions \[s\]: the way from random weights to those of the gait. Only whether weights settle is told from there.
const START: f64 = 1.0;
/// Counted up when the figures come to mean something else, so that those of before are measured again. Since 2 a limit cycle is one in step,
/// and settling is told from the first updates of the episode.
const DEFINITION: u32 = 2;

/// How a policy's weights move. One number per episode, unless said otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightFigures {
    /// Share of the variance that three components explain, of each episode under the known condition alone, its start included.
    pub explained: Vec<f64>,
    /// Spread along the three components of a basis common to all episodes, under the known condition: root mean square over episodes of the
    /// standard deviation along each component.
    pub known_spread: Vec<f64>,
    /// The same under the unknown condition.
    pub unknown_spread: Vec<f64>,
    /// What the motion comes to under the known condition.
    pub motions: Vec<Motion>,
}

/// A line of the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    policy: String,
    setting: String,
    figures: WeightFigures,
}

/// Figures that were measured, kept on disk.
#[derive(Debug)]
pub struct WeightRecords {
    lines: Lines,
    known: HashMap<String, WeightFigures>,
}

/// Weights that cannot be followed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightError {
    /// A condition is not there, or of no use.
    #[error(transparent)]
    Study(#[from] StudyError),
    /// The suite does not fit the robot.
    #[error(transparent)]
    Suite(#[from] SuiteError),
    /// The policy is not consistent.
    #[error(transparent)]
    Policy(#[from] MapError),
    /// The episode cannot be made.
    #[error(transparent)]
    Episode(#[from] EpisodeError),
    /// The figures cannot be kept.
    #[error(transparent)]
    Records(#[from] RecordsError),
}

impl WeightFigures {
    /// Spread along all components together under the unknown condition over that under the known one.
    pub fn widening(&self) -> f64 {
        let norm = |values: &[f64]| values.iter().map(|value| value * value).sum::<f64>().sqrt();
        norm(&self.unknown_spread) / norm(&self.known_spread)
    }
}

impl WeightRecords {
    /// Opens the file at `path`, or makes it. A last line without an end is cut off.
    ///
    /// # Errors
    /// [`RecordsError`] when it cannot be read and written, or holds something else; then it is unchanged.
    pub fn open(path: &Path) -> Result<Self, RecordsError> {
        let (lines, records) = Lines::open(path)?;
        let known = records.into_iter().map(|record: Record| (record.setting, record.figures)).collect();
        Ok(Self { lines, known })
    }

    fn add(&mut self, record: Record) -> Result<(), RecordsError> {
        self.lines.add(&record)?;
        self.known.insert(record.setting, record.figures);
        Ok(())
    }
}

/// How the weights of `entrant` move in episodes of `suite` under `conditions`: from `records`, or measured and kept there. `None` for a policy
/// without plastic weights, and where they do not move or have left all bounds.
///
/// # Errors
/// [`WeightError`]: conditions that do not fit, or a record that cannot be written.
pub fn weight_figures(
    suite: &Suite,
    conditions: &WeightConditions,
    entrant: &Entrant,
    records: &mut WeightRecords,
) -> Result<Option<WeightFigures>, WeightError> {
    if entrant.file.metadata.network.plastic().is_none() {
        return Ok(None);
    }
    let all = suite.conditions(&entrant.robot, entrant.file.metadata.control_rate)?;
    let refused = |condition: &str, problem| StudyError::Weights { condition: condition.to_owned(), problem };
    let find = |name: &str| {
        let found = all.iter().find(|condition| condition.name == name);
        let found = found.ok_or_else(|| refused(name, "the suite has none of this name"))?;
        let is_long = f64::from(found.settings.duration) > 2.0 * START;
        is_long.then_some(found).ok_or_else(|| refused(name, "its episodes must last more than 2 s"))
    };
    let pair = [find(&conditions.known)?, find(&conditions.unknown)?];
    let seeds = held_out_seeds(suite.seed, suite.episodes.min(EPISODES));
    // All that the figures depend on.
    let settings = pair.map(|condition| entrant.setting(condition)).join(" ");
    let setting = format!("{settings} seed {} episodes {} definition {DEFINITION}", suite.seed, seeds.len());
    if let Some(figures) = records.known.get(&setting) {
        return Ok(Some(figures.clone()));
    }
    let policy = entrant.file.policy()?;
    let sizes: Vec<usize> = entrant.file.metadata.network.layers().layers().map(|layer| layer.synapses()).collect();
    let period = 1.0 / f64::from(entrant.file.metadata.control_rate);
    let mut series = Vec::new();
    for condition in pair {
        let episode = Episode::new(entrant.robot.clone(), condition.settings.clone())?;
        let of_seed = |&seed: &u64| {
            let mut weights = Vec::new();
            watch_weights(&episode, &policy, seed, |_, now| weights.extend_from_slice(now));
            WeightSeries::new(&condition.name, period, &sizes, weights)
        };
        series.push(seeds.par_iter().map(of_seed).collect::<Vec<_>>());
    }
    let explained = |series: &WeightSeries| -> Option<f64> {
        let series = std::slice::from_ref(series);
        Some(Components::fit(series, COMPONENTS).ok()?.explained(series).iter().sum())
    };
    let Some(explained) = series[0].iter().map(explained).collect::<Option<Vec<f64>>>() else { return Ok(None) };
    let motions = series[0].iter().map(|series| Dynamics::motion_after(series, START)).collect();
    let settled: Vec<WeightSeries> = series.into_iter().flatten().map(|series| series.without_start(START)).collect();
    let Ok(components) = Components::fit(&settled, COMPONENTS) else { return Ok(None) };
    let spread = |scores: &[Scores]| -> Vec<f64> {
        let squares = |component: usize| scores.iter().map(|scores| scores.figures.spread[component].powi(2)).sum::<f64>();
        (0..components.subspace().components()).map(|component| (squares(component) / scores.len() as f64).sqrt()).collect()
    };
    let (known, unknown) = components.scores.split_at(seeds.len());
    let figures = WeightFigures { explained, known_spread: spread(known), unknown_spread: spread(unknown), motions };
    records.add(Record { policy: entrant.name.clone(), setting, figures: figures.clone() })?;
    Ok(Some(figures))
}
