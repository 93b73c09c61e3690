//! Weights over time: from a recording of a policy node, or from the trace of an episode.

use std::ops::Range;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensors};

use crate::episode::{TraceMetadata, TracedRule};
use crate::recording::message::{Message, WeightSnapshot, WeightsLayout};
use crate::recording::{Bag, BagError};
use crate::tensors::f32_values;

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
    /// is long enough is a series of its own. Series are called as their files are, or by the path where two of those are called the same.
    ///
    /// # Errors
    /// [`SeriesError`] when there are no weights, or they are not usable.
    pub fn load(paths: &[PathBuf], node: Option<&str>) -> Result<Vec<Self>, SeriesError> {
        let names: Vec<String> = paths.iter().map(|path| name_of(path)).collect();
        let mut series = Vec::new();
        for (path, name) in paths.iter().zip(&names) {
            let is_shared = names.iter().filter(|other| *other == name).count() > 1;
            let name = if is_shared { path.display().to_string() } else { name.clone() };
            if path.extension().is_some_and(|extension| extension == "safetensors") {
                series.push(Self::of_trace(path, &name)?);
            } else {
                series.extend(Self::of_bag(path, &name, node)?);
            }
        }
        Ok(series)
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
        let sizes: Vec<usize> = metadata.neurons.windows(2).map(|pair| pair[0] * pair[1]).collect();
        let synapses: usize = sizes.iter().sum();
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

    fn of_bag(path: &Path, name: &str, node: Option<&str>) -> Result<Vec<Self>, SeriesError> {
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
        let (mut sizes, mut episodes) = (None, Vec::<Episode>::new());
        for message in bag.messages() {
            let message = message?;
            if message.topic() == layout_topic && sizes.is_none() {
                let layout: WeightsLayout = message.decode()?;
                let size = |(inputs, outputs): (&u32, &u32)| *inputs as usize * *outputs as usize;
                sizes = Some(layout.inputs.iter().zip(&layout.outputs).map(size).collect::<Vec<_>>());
            } else if message.topic() == weights_topic {
                let snapshot: WeightSnapshot = message.decode()?;
                // A step that does not come after the last one begins another episode.
                match episodes.last_mut() {
                    Some(episode) if episode.steps.last().is_some_and(|last| snapshot.step > *last) => episode.push(snapshot),
                    _ => episodes.push(Episode::new(snapshot)),
                }
            }
        }
        // Without a layout all weights are one layer.
        let whole = episodes.first().map_or(0, |episode| episode.synapses);
        let sizes = sizes.unwrap_or_else(|| vec![whole]);
        let expected: usize = sizes.iter().sum();
        let mut series = Vec::new();
        let (count, longest) = (episodes.len(), episodes.iter().map(|episode| episode.steps.len()).max().unwrap_or(0));
        for (index, episode) in episodes.into_iter().enumerate() {
            if let Some((&step, &given)) = episode.steps.iter().zip(&episode.lengths).find(|(_, given)| **given != expected) {
                return Err(SeriesError::Length { path: path.to_owned(), step, given, expected });
            }
            if episode.steps.len() < Self::FEWEST {
                continue;
            }
            let name = if count > 1 { format!("{name} episode {}", index + 1) } else { name.to_owned() };
            let first = episode.stamps.first().copied().unwrap_or(0);
            let times = episode.stamps.iter().map(|stamp| (stamp - first) as f64 * 1e-9).collect();
            let one = Self { name, times, steps: episode.steps, layers: ranges(&sizes), rule: None, weights: episode.weights };
            series.push(one.checked(path)?);
        }
        if series.is_empty() {
            return Err(SeriesError::TooShort { path: path.to_owned(), samples: longest });
        }
        Ok(series)
    }
}

/// Weights of one episode of a bag.
#[derive(Default)]
struct Episode {
    synapses: usize,
    steps: Vec<u64>,
    stamps: Vec<i64>,
    lengths: Vec<usize>,
    weights: Vec<f32>,
}

impl Episode {
    fn new(snapshot: WeightSnapshot) -> Self {
        let mut episode = Self { synapses: snapshot.weights.len(), ..Self::default() };
        episode.push(snapshot);
        episode
    }

    fn push(&mut self, snapshot: WeightSnapshot) {
        self.steps.push(snapshot.step);
        self.stamps.push(snapshot.header.stamp());
        self.lengths.push(snapshot.weights.len());
        self.weights.extend(snapshot.weights);
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

    #[test]
    fn a_name_is_cut_at_no_other_dot_than_that_of_its_ending() {
        let names = ["/tmp/friction_0.3", "walk/friction_0.5/", "walk_0.3_0.mcap", "seed.7.safetensors", "..", "walk"];
        let expected = ["friction_0.3", "friction_0.5", "walk_0.3_0", "seed.7", "..", "walk"];
        assert_eq!(names.map(|path| name_of(Path::new(path))), expected);
    }
}
