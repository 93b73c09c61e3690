//! Weights over time: from a recording of a policy node, or from the trace of an episode.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensors};
use serde::Serialize;

use crate::episode::{TraceMetadata, TracedRule};
use crate::recording::message::{Message, WeightSnapshot, WeightsLayout};
use crate::recording::{Bag, BagError};
use crate::tensors::f32_values;

/// A gap between samples that is less than one in so many is not the pace of a recording.
const RARE: usize = 10;

/// All weights of one network at many times.
#[derive(Clone, Debug, PartialEq)]
pub struct WeightSeries {
    /// What it is called in tables and plots.
    pub name: String,
    /// Time of each sample, from the first one on \[s\].
    pub times: Vec<f64>,
    /// Control step of each sample.
    pub steps: Vec<u64>,
    /// Where each layer's weights lie in a sample.
    pub layers: Vec<Range<usize>>,
    /// What the rule did, where the file says it.
    pub rule: Option<TracedRule>,
    /// \[samples, synapses\], row-major.
    weights: Vec<f32>,
}

/// What recordings hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoadedWeights {
    /// The series, in the order of the recordings and of the episodes in them.
    pub series: Vec<WeightSeries>,
    /// Episodes that are in none of the series.
    pub left_out: Vec<LeftOut>,
}

/// An episode of a bag that is no series: its network has other layers than that of the rest, and weights of both have no basis in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// What its series would be called.
    pub name: String,
    /// Name of its policy; empty where the bag does not say it.
    pub policy: String,
    /// Samples.
    pub samples: usize,
    /// Weights in a sample.
    pub synapses: usize,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, policy, samples, synapses } = self;
        let of = if policy.is_empty() { String::new() } else { format!(" of the policy `{policy}`") };
        let why = format!("its network, of {synapses} weights, has other layers than that of the rest");
        let advice = if policy.is_empty() { "" } else { "; --policy with the file of its policy takes it instead" };
        write!(f, "`{name}` ({samples} samples{of}) is left out: {why}{advice}")
    }
}

/// Why there is no series.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SeriesError {
    /// The bag is not readable.
    #[error(transparent)]
    Bag(#[from] BagError),
    /// The trace is not readable.
    #[error("{}: {problem}", path.display())]
    Trace {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A bag without weights.
    #[error("{} holds no topic of type {} with weights; record the policy's `~/weights`", path.display(), WeightSnapshot::TYPE)]
    NoWeights {
        /// The bag.
        path: PathBuf,
    },
    /// Several policies, or another one than asked for.
    #[error("{} has weights of {}; choose one by its full name (--node)", path.display(), nodes.join(", "))]
    Node {
        /// The bag.
        path: PathBuf,
        /// Policy nodes with weights.
        nodes: Vec<String>,
    },
    /// Weights that do not fit the layout beside them, or each other.
    #[error("{}: weights of {given} synapses at step {step}; expected {expected}", path.display())]
    Length {
        /// The file or bag.
        path: PathBuf,
        /// The step.
        step: u64,
        /// Synapses given.
        given: usize,
        /// Synapses expected.
        expected: usize,
    },
    /// A weight is NaN or infinite.
    #[error("{}: a weight at step {step} is not finite", path.display())]
    NotFinite {
        /// The file or bag.
        path: PathBuf,
        /// The step.
        step: u64,
    },
    /// Nothing to analyse.
    #[error("{}: {samples} samples; at least {} are needed", path.display(), WeightSeries::FEWEST)]
    TooShort {
        /// The file or bag.
        path: PathBuf,
        /// Samples found.
        samples: usize,
    },
}

impl WeightSeries {
    /// Fewest samples of which anything can be said.
    pub const FEWEST: usize = 4;

    /// Reads the bags and traces `paths`. `node` names the policy node where a bag has several. Of a bag with several episodes, each that
    /// is long enough is a series of its own. Where networks with other layers follow each other in a bag (`~/load_policy`), those episodes are
    /// taken whose layers the policy has whose file has the SHA-256 `policy`, and without such a one those of the layers with most samples.
    /// Series are called as their files are, or by the path where two of those are called the same.
    ///
    /// # Errors
    /// [`SeriesError`] when there are no weights, or they are not usable.
    pub fn load(paths: &[PathBuf], node: Option<&str>, policy: Option<&str>) -> Result<LoadedWeights, SeriesError> {
        let names: Vec<String> = paths.iter().map(|path| name_of(path)).collect();
        let mut loaded = LoadedWeights::default();
        for (path, name) in paths.iter().zip(&names) {
            let is_shared = names.iter().filter(|other| *other == name).count() > 1;
            let name = if is_shared { path.display().to_string() } else { name.clone() };
            if path.extension().is_some_and(|extension| extension == "safetensors") {
                loaded.series.push(Self::of_trace(path, &name)?);
            } else {
                let LoadedWeights { series, left_out } = Self::of_bag(path, &name, node, policy)?;
                loaded.series.extend(series);
                loaded.left_out.extend(left_out);
            }
        }
        Ok(loaded)
    }

    /// A series of `weights` \[samples, synapses\], all of one `period` \[s\], of layers with so many synapses. For tests and programs.
    pub fn new(name: &str, period: f64, layer_sizes: &[usize], weights: Vec<f32>) -> Self {
        let layers = ranges(layer_sizes);
        let synapses = layers.last().map_or(0, |layer| layer.end);
        let samples = weights.len().checked_div(synapses).unwrap_or(0);
        Self {
            name: name.to_owned(),
            times: (0..samples).map(|sample| sample as f64 * period).collect(),
            steps: (0..samples as u64).collect(),
            layers,
            rule: None,
            weights,
        }
    }

    /// Samples.
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// Weights in a sample.
    pub fn synapses(&self) -> usize {
        self.layers.last().map_or(0, |layer| layer.end)
    }

    /// All weights of one sample.
    pub fn sample(&self, index: usize) -> &[f32] {
        &self.weights[index * self.synapses()..][..self.synapses()]
    }

    /// All samples, in order.
    pub fn samples(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.weights.chunks_exact(self.synapses().max(1))
    }

    /// Time from one sample to the next, in the middle of all \[s\].
    pub fn period(&self) -> f64 {
        let mut gaps: Vec<f64> = self.times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        gaps.sort_by(f64::total_cmp);
        gaps.get(gaps.len() / 2).copied().unwrap_or(0.0)
    }

    /// The series without its first `seconds`.
    pub fn without_start(mut self, seconds: f64) -> Self {
        let first = self.times.iter().position(|&time| time >= seconds).unwrap_or(self.times.len());
        self.weights.drain(..first * self.synapses());
        self.times.drain(..first);
        self.steps.drain(..first);
        self
    }

    /// The parts whose samples lie evenly, in order: of a recording whose `weights_every` was changed those at its coarsest, and of one with gaps
    /// what lies between them. `None` where all samples lie evenly.
    pub(super) fn even_parts(&self) -> Option<Vec<Self>> {
        let gaps: Vec<u64> = self.steps.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let first = *gaps.first()?;
        if gaps.iter().all(|&gap| gap == first) {
            return None;
        }
        let mut counts = BTreeMap::<u64, usize>::new();
        gaps.iter().for_each(|&gap| *counts.entry(gap).or_default() += 1);
        // A gap that is rare is not a pace but a loss.
        let is_pace = |count: usize| count * RARE >= gaps.len();
        let spacing = counts.iter().rev().find(|&(_, &count)| is_pace(count)).map_or(first, |(&gap, _)| gap);
        let mut parts: Vec<Vec<usize>> = vec![vec![0]];
        let mut next = self.steps[0] + spacing;
        for (index, &step) in self.steps.iter().enumerate().skip(1) {
            if step == next {
                parts.last_mut()?.push(index);
            } else if step > next {
                parts.push(vec![index]);
            } else {
                continue;
            }
            next = step + spacing;
        }
        Some(parts.into_iter().map(|part| self.only(&part)).collect())
    }

    /// These of its samples.
    fn only(&self, indices: &[usize]) -> Self {
        let weights = indices.iter().flat_map(|&index| self.sample(index)).copied().collect();
        let (times, steps) = indices.iter().map(|&index| (self.times[index], self.steps[index])).unzip();
        Self { name: self.name.clone(), times, steps, layers: self.layers.clone(), rule: self.rule.clone(), weights }
    }

    fn checked(self, path: &Path) -> Result<Self, SeriesError> {
        if self.len() < Self::FEWEST {
            return Err(SeriesError::TooShort { path: path.to_owned(), samples: self.len() });
        }
        let not_finite = self.samples().position(|sample| !sample.iter().all(|weight| weight.is_finite()));
        match not_finite {
            Some(index) => Err(SeriesError::NotFinite { path: path.to_owned(), step: self.steps[index] }),
            None => Ok(self),
        }
    }

    fn of_trace(path: &Path, name: &str) -> Result<Self, SeriesError> {
        let failed = |problem: String| SeriesError::Trace { path: path.to_owned(), problem };
        let bytes = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
        let foreign = |error: safetensors::SafeTensorError| failed(format!("not a complete safetensors file ({error})"));
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(foreign)?;
        let tensors = SafeTensors::deserialize(&bytes).map_err(foreign)?;
        let metadata = TraceMetadata::read(header.metadata().as_ref());
        let metadata =
            metadata.ok_or_else(|| failed("it is no trace of an episode; make one by `hebb trace --weights`".to_owned()))?;
        let tensor =
            tensors.tensor("weights").map_err(|_| failed("it holds no weights; make it by `hebb trace --weights`".to_owned()))?;
        let layer = |pair: &[usize]| pair[0].checked_mul(pair[1]).filter(|&size| size > 0);
        let sizes = metadata.neurons.windows(2).map(layer).collect::<Option<Vec<usize>>>();
        let sum = |sizes: &[usize]| sizes.iter().try_fold(0usize, |sum, &size| sum.checked_add(size));
        let sizes = sizes.and_then(|sizes| Some((sum(&sizes)?, sizes)));
        let (synapses, sizes) =
            sizes.ok_or_else(|| failed("its `neurons` are not those of a network whose weights a file can hold".to_owned()))?;
        if tensor.dtype() != Dtype::F32 || tensor.shape().len() != 2 || tensor.shape()[1] != synapses {
            return Err(failed(format!(
                "its weights are {:?} {:?}; expected F32 [steps, {synapses}]",
                tensor.dtype(),
                tensor.shape()
            )));
        }
        let series = Self::new(name, metadata.control_step, &sizes, f32_values(tensor.data()));
        Self { rule: metadata.rule, ..series }.checked(path)
    }

    fn of_bag(path: &Path, name: &str, node: Option<&str>, policy: Option<&str>) -> Result<LoadedWeights, SeriesError> {
        let bag = Bag::open(path)?;
        let summary = bag.verify()?;
        let topics = summary.topics.iter().filter(|(_, topic)| topic.kind == WeightSnapshot::TYPE && topic.messages > 0);
        let nodes: Vec<String> = topics.map(|(name, _)| name.strip_suffix("/weights").unwrap_or(name).to_owned()).collect();
        if nodes.is_empty() {
            return Err(SeriesError::NoWeights { path: path.to_owned() });
        }
        let wanted = |candidate: &&String| node.map_or(nodes.len() == 1, |node| *candidate == node);
        let Some(node) = nodes.iter().find(wanted) else {
            return Err(SeriesError::Node { path: path.to_owned(), nodes });
        };
        let (weights_topic, layout_topic) = (format!("{node}/weights"), format!("{node}/weights_layout"));
        let (mut layouts, mut episodes, mut place) = (Vec::new(), Vec::<Episode>::new(), 0);
        for message in bag.messages() {
            let message = message?;
            if message.topic() == layout_topic {
                let said: WeightsLayout = message.decode()?;
                layouts.push(Layout::new(place, said));
            } else if message.topic() == weights_topic {
                let snapshot: WeightSnapshot = message.decode()?;
                match episodes.last_mut() {
                    Some(episode) if episode.goes_on_with(&snapshot) => episode.push(snapshot),
                    _ => episodes.push(Episode::new(place, snapshot)),
                }
                place += 1;
            }
        }
        if layouts.is_empty() {
            layouts.extend(episodes.iter().map(Layout::of_one_layer));
        }
        // For each choice of layers: whether it is that of the policy asked for, its samples in series, and where it comes first.
        let mut parts = BTreeMap::<&[usize], (bool, usize, Reverse<usize>)>::new();
        let mut placed = Vec::new();
        for episode in episodes {
            let layout = episode.layout(&layouts).ok_or_else(|| episode.unfit(path, &layouts))?;
            let part = parts.entry(&layout.sizes).or_insert((false, 0, Reverse(episode.place)));
            part.0 |= policy == Some(layout.policy_hash.as_str());
            if episode.steps.len() >= Self::FEWEST {
                part.1 += episode.steps.len();
            }
            placed.push((episode, layout));
        }
        let chosen = parts.into_iter().max_by_key(|(_, rank)| *rank).map(|(sizes, _)| sizes);
        let (mut loaded, count, mut longest) = (LoadedWeights::default(), placed.len(), 0);
        for (index, (episode, layout)) in placed.into_iter().enumerate() {
            let (samples, is_chosen) = (episode.steps.len(), chosen == Some(layout.sizes.as_slice()));
            if is_chosen {
                longest = longest.max(samples);
            }
            if samples < Self::FEWEST {
                continue;
            }
            let name = if count > 1 { format!("{name} episode {}", index + 1) } else { name.to_owned() };
            if !is_chosen {
                loaded.left_out.push(LeftOut { name, policy: layout.policy.clone(), samples, synapses: episode.synapses });
                continue;
            }
            let first = episode.stamps.first().copied().unwrap_or(0);
            let times = episode.stamps.iter().map(|stamp| (stamp - first) as f64 * 1e-9).collect();
            let layers = ranges(&layout.sizes);
            let one = Self { name, times, steps: episode.steps, layers, rule: None, weights: episode.weights };
            loaded.series.push(one.checked(path)?);
        }
        if loaded.series.is_empty() {
            return Err(SeriesError::TooShort { path: path.to_owned(), samples: longest });
        }
        Ok(loaded)
    }
}

/// How weights are laid out, as a bag says it.
struct Layout {
    /// Samples before it in the bag.
    place: usize,
    policy: String,
    policy_hash: String,
    /// Weights of each layer.
    sizes: Vec<usize>,
}

impl Layout {
    fn new(place: usize, said: WeightsLayout) -> Self {
        let WeightsLayout { policy, policy_hash, inputs, outputs, .. } = said;
        let size = |(inputs, outputs): (&u32, &u32)| (*inputs as usize).saturating_mul(*outputs as usize);
        Self { place, policy, policy_hash, sizes: inputs.iter().zip(&outputs).map(size).collect() }
    }

    /// Of an episode of a bag that says nothing.
    fn of_one_layer(episode: &Episode) -> Self {
        let Episode { place, synapses, .. } = *episode;
        Self { place, policy: String::new(), policy_hash: String::new(), sizes: vec![synapses] }
    }

    fn synapses(&self) -> usize {
        self.sizes.iter().fold(0usize, |sum, size| sum.saturating_add(*size))
    }
}

/// Weights of one episode of a bag.
#[derive(Default)]
struct Episode {
    /// Samples before it in the bag.
    place: usize,
    synapses: usize,
    steps: Vec<u64>,
    stamps: Vec<i64>,
    weights: Vec<f32>,
}

impl Episode {
    fn new(place: usize, snapshot: WeightSnapshot) -> Self {
        let mut episode = Self { place, synapses: snapshot.weights.len(), ..Self::default() };
        episode.push(snapshot);
        episode
    }

    /// Whether `snapshot` is of the same episode: a step that does not come after the last one begins another, as do weights of another network.
    fn goes_on_with(&self, snapshot: &WeightSnapshot) -> bool {
        snapshot.weights.len() == self.synapses && self.steps.last().is_some_and(|last| snapshot.step > *last)
    }

    fn push(&mut self, snapshot: WeightSnapshot) {
        self.steps.push(snapshot.step);
        self.stamps.push(snapshot.header.stamp());
        self.weights.extend(snapshot.weights);
    }

    /// Where half of it has passed in the bag. Layouts go out on another topic than weights, so that a few of either may stand on the wrong
    /// side of a change: what was said before this is of this episode or of one before it.
    fn middle(&self) -> usize {
        self.place + self.steps.len() / 2
    }

    /// Its layout: the last one said that fits, or to a recorder that came late the first one that it was told afterwards.
    fn layout<'a>(&self, layouts: &'a [Layout]) -> Option<&'a Layout> {
        let (middle, fits) = (self.middle(), |layout: &&Layout| layout.synapses() == self.synapses);
        let said = layouts.iter().rev().filter(|layout| layout.place <= middle).find(fits);
        said.or_else(|| layouts.iter().find(fits))
    }

    /// The error where no layout fits.
    fn unfit(&self, path: &Path, layouts: &[Layout]) -> SeriesError {
        let said = layouts.iter().rev().find(|layout| layout.place <= self.middle()).or(layouts.first());
        let (step, expected) = (self.steps.first().copied().unwrap_or(0), said.map_or(0, Layout::synapses));
        SeriesError::Length { path: path.to_owned(), step, given: self.synapses, expected }
    }
}

fn ranges(sizes: &[usize]) -> Vec<Range<usize>> {
    let mut end = 0;
    let next = |size: &usize| {
        end += size;
        end - size..end
    };
    sizes.iter().map(next).collect()
}

/// Name of the file or folder `path` without the ending of a bag's file or a trace. Folders are often called by a number: `friction_0.3`.
fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    [".mcap", ".safetensors"].into_iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(&name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(steps: impl IntoIterator<Item = u64>) -> WeightSeries {
        let steps: Vec<u64> = steps.into_iter().collect();
        let mut series = WeightSeries::new("test", 0.02, &[1], steps.iter().map(|&step| step as f32).collect());
        (series.times, series.steps) = (steps.iter().map(|&step| 0.02 * step as f64).collect(), steps);
        series
    }

    #[test]
    fn samples_of_two_paces_are_thinned_to_the_coarser_one() {
        let even = recorded((0..100).step_by(5).chain(100..200)).even_parts().unwrap();
        let [even] = &even[..] else { panic!("one part") };
        assert_eq!(even.steps, (0..200).step_by(5).collect::<Vec<_>>());
        assert!(even.samples().zip(&even.steps).all(|(sample, &step)| sample == [step as f32]));
        assert_eq!(recorded((10..50).step_by(2)).even_parts(), None);
    }

    #[test]
    fn a_sample_that_was_lost_parts_a_series() {
        let even = recorded((0..100).filter(|&step| step != 30)).even_parts().unwrap();
        let [before, after] = &even[..] else { panic!("two parts") };
        assert_eq!((&before.steps, &after.steps), (&(0..30).collect::<Vec<_>>(), &(31..100).collect()));
        assert!((after.period() - 0.02).abs() < 1e-12);
    }

    #[test]
    fn a_name_is_cut_at_no_other_dot_than_that_of_its_ending() {
        let names = ["/tmp/friction_0.3", "walk/friction_0.5/", "walk_0.3_0.mcap", "seed.7.safetensors", "..", "walk"];
        let expected = ["friction_0.3", "friction_0.5", "walk_0.3_0", "seed.7", "..", "walk"];
        assert_eq!(names.map(|path| name_of(Path::new(path))), expected);
    }
}
