//! The subspace in which a policy's weights move, measured, and how far from it they stray.

use rand::RngExt;
use rayon::prelude::*;
use serde::Serialize;

use super::{TrialError, watch_weights};
use crate::episode::Episode;
use crate::plasticity::{GateBlock, GateDescription, NoveltySettings, Subspace, SubspaceError};
use crate::policy::PolicyFile;
use crate::random::stream;

/// Most samples that a subspace is fitted to: the cost grows with the cube of their number.
pub const MOST_SAMPLES: u32 = 600;
/// Fewest samples of an episode: with hardly any, most would be of the random start and not of life.
const FEWEST_PER_EPISODE: u32 = 10;
/// Most episodes that a subspace is fitted to.
const MOST_EPISODES: u32 = MOST_SAMPLES / FEWEST_PER_EPISODE;

/// Times the largest distance of held-out episodes: a distance that speaks for weights that training did not know.
const MARGIN: f32 = 1.5;

/// A subspace and how it fits.
#[derive(Clone, Debug)]
pub struct SubspaceFit {
    /// The subspace.
    pub subspace: Subspace,
    /// The figures.
    pub figures: SubspaceFigures,
}

/// How a subspace fits.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SubspaceFigures {
    /// Samples that it was fitted to.
    pub samples: usize,
    /// Control steps from one sample of an episode to the next; the first one is that of the start.
    pub every: u32,
    /// Share of the samples' variance that each component explains.
    pub explained: Vec<f64>,
    /// Weights of held-out episodes whose distance was measured: at the start and after each step.
    pub measured: usize,
    /// Median of their distances.
    pub p50: f32,
    /// 99 % of the distances are at most this.
    pub p99: f32,
    /// Largest distance.
    pub max: f32,
    /// Largest distance at the start of an episode.
    pub start_max: f32,
    /// Proposal for a gate: shut above 1.5 times the largest distance, open below the largest.
    pub close_above: f32,
    /// The other threshold of the proposal.
    pub open_below: f32,
}

/// Why no subspace was found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubspaceFitError {
    /// The network has no weights that change.
    #[error("a {0} network has no plastic weights, so there is nothing to find a subspace of")]
    NotPlastic(&'static str),
    /// None, or so many that each would have hardly any samples.
    #[error("{0} episodes; give 1 to {MOST_EPISODES}")]
    Episodes(u32),
    /// The weights of a held-out episode have no distance.
    #[error("the weights of a held-out episode diverged: no distance can be measured; use a normalisation that bounds them")]
    Diverged,
    /// Held-out weights never leave the subspace.
    #[error("held-out weights lie within the subspace up to rounding, so no threshold can be proposed; fit fewer components")]
    NoDistance,
    /// The policy is not consistent, or does not fit the robot.
    #[error(transparent)]
    Trial(#[from] TrialError),
    /// The samples make no subspace.
    #[error(transparent)]
    Subspace(#[from] SubspaceError),
}

/// Runs `episodes` episodes of the policy `file`, fits `components` principal components to the weights, and measures the distances
/// of the weights in as many other episodes. All seeds come from `seed`; the result does not depend on the number of threads.
///
/// Weights move as with a gate without novelty source: one that is there already would hide what it was made for.
///
/// # Errors
/// [`SubspaceFitError`] when the network is not plastic, the policy does not fit the episode's robot, or the weights do not move in
/// so many directions.
pub fn fit_subspace(
    file: &PolicyFile,
    episode: &Episode,
    episodes: u32,
    components: usize,
    seed: u64,
) -> Result<SubspaceFit, SubspaceFitError> {
    if file.metadata.network.plastic().is_none() {
        return Err(SubspaceFitError::NotPlastic(file.metadata.network.kind()));
    }
    if !(1..=MOST_EPISODES).contains(&episodes) {
        return Err(SubspaceFitError::Episodes(episodes));
    }
    let policy = without_novelty(file).policy().map_err(TrialError::from)?;
    episode.check(&policy, file.metadata.control_rate).map_err(TrialError::from)?;
    // Others than those of `held_out_seeds`: thresholds must not be chosen by the episodes that an evaluation reports.
    let seeds: Vec<u64> = (0..2 * episodes).map(|index| stream(seed, "subspace episode", &[index.into()]).random()).collect();
    let (fitted, held_out) = seeds.split_at(episodes as usize);

    // One sample more than steps: that of the start.
    let per_episode = MOST_SAMPLES / episodes;
    let every = (episode.control_steps() + 1).div_ceil(per_episode);
    let sample = |&seed: &u64| {
        let mut samples = Vec::new();
        watch_weights(episode, &policy, seed, |step, weights| {
            if step.is_multiple_of(every) {
                samples.push(weights.to_vec());
            }
        });
        samples
    };
    let samples: Vec<Vec<f32>> = fitted.par_iter().flat_map_iter(sample).collect();
    let subspace = Subspace::fit(&samples, components)?;

    let distances = |&seed: &u64| {
        let (mut distances, mut residual) = (Vec::new(), Vec::new());
        watch_weights(episode, &policy, seed, |_, weights| distances.push(subspace.distance(weights, &mut residual)));
        distances.into_iter().collect()
    };
    let distances: Option<Vec<Vec<f32>>> = held_out.par_iter().map(distances).collect();
    let distances = distances.ok_or(SubspaceFitError::Diverged)?;
    let start_max = distances.iter().filter_map(|distances| distances.first()).copied().fold(0.0, f32::max);
    let mut all = distances.concat();
    all.sort_by(f32::total_cmp);
    // The nearest rank: a distance that was seen.
    let rank = |share: f64| all.get((share * all.len() as f64).ceil() as usize - 1).copied().unwrap_or(0.0);
    let max = rank(1.0);
    if max < 1e-6 {
        return Err(SubspaceFitError::NoDistance);
    }
    let figures = SubspaceFigures {
        samples: samples.len(),
        every,
        explained: explained(&subspace, &samples),
        measured: all.len(),
        p50: rank(0.5),
        p99: rank(0.99),
        max,
        start_max,
        close_above: rounded_up(MARGIN * max),
        open_below: rounded_up(max),
    };
    Ok(SubspaceFit { subspace, figures })
}

impl SubspaceFigures {
    /// The proposed gate source; it measures every `every` control steps.
    pub fn gate(&self, every: u32) -> NoveltySettings {
        NoveltySettings { close_above: self.close_above, open_below: self.open_below, every, shut: 0.0 }
    }
}

/// The policy `file` without a novelty source.
fn without_novelty(file: &PolicyFile) -> PolicyFile {
    let mut file = file.clone();
    let blocks = file.metadata.gate.blocks().iter().filter(|block| !matches!(block, GateBlock::Novelty(_)));
    file.metadata.gate = GateDescription::new(blocks.cloned().collect());
    file
}

/// Share of the samples' variance along each component.
fn explained(subspace: &Subspace, samples: &[Vec<f32>]) -> Vec<f64> {
    let total = f64::from(subspace.scale()).powi(2) * samples.len() as f64;
    let along = |component: &[f32], sample: &Vec<f32>| -> f64 {
        let centred = sample.iter().zip(subspace.mean()).map(|(w, m)| f64::from(*w) - f64::from(*m));
        centred.zip(component).map(|(centred, &direction)| centred * f64::from(direction)).sum()
    };
    let share = |component| samples.iter().map(|sample| along(component, sample).powi(2)).sum::<f64>() / total;
    subspace.basis().chunks_exact(subspace.synapses()).map(share).collect()
}

/// To two digits, upwards: a threshold that one can write down.
fn rounded_up(value: f32) -> f32 {
    let unit = 10f64.powf(f64::from(value).log10().floor() - 1.0);
    ((f64::from(value) / unit).ceil() * unit) as f32
}
