//! The network of a policy: the plastic one, or a baseline to compare it with.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::MapError;
use crate::network::{Baseline, FeedForward, GenomeBlock, History, Lstm, NetworkError, Shape, check_finite};
use crate::plasticity::{Clusters, PlasticDescription, PlasticNetwork, RuleLayout};

/// Kind and sizes of a policy's network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum NetworkDescription {
    /// Weights change in life; the rule that changes them evolves.
    Plastic(PlasticDescription),
    /// Weights evolve and stay.
    FeedForward {
        /// Neurons per layer, input first.
        layers: Shape,
        /// Whether neurons have biases.
        #[serde(default)]
        biases: bool,
    },
    /// Weights evolve and stay; a state changes in life.
    Lstm {
        /// Inputs, then outputs of each cell.
        layers: Shape,
        /// Hidden units of each cell.
        hidden: Vec<usize>,
        /// States at the start of an episode are drawn from U(-s, s); this is s.
        #[serde(default)]
        initial_state: f32,
    },
    /// A static network that reads the last observations: the memory-matched control.
    History {
        /// Neurons per layer, input first; the input is one observation.
        layers: Shape,
        /// Observations that it reads.
        steps: usize,
    },
}

impl NetworkDescription {
    /// Neurons per layer; the first is one observation.
    pub fn layers(&self) -> &Shape {
        match self {
            Self::Plastic(description) => &description.layers,
            Self::FeedForward { layers, .. } | Self::Lstm { layers, .. } | Self::History { layers, .. } => layers,
        }
    }

    /// The plastic network, if it is one.
    pub fn plastic(&self) -> Option<&PlasticDescription> {
        match self {
            Self::Plastic(description) => Some(description),
            _ => None,
        }
    }

    /// The word that files use.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Plastic(_) => "plastic",
            Self::FeedForward { .. } => "feed_forward",
            Self::Lstm { .. } => "lstm",
            Self::History { .. } => "history",
        }
    }

    /// The genome's blocks, in order.
    pub fn blocks(&self) -> Vec<GenomeBlock> {
        let matrices = |shape: &Shape, first: usize| -> Vec<GenomeBlock> {
            let inputs = |index: usize, inputs: usize| if index == 0 { first } else { inputs };
            let block = |(index, layer): (usize, crate::network::Layer)| {
                let sizes = [inputs(index, layer.inputs), layer.outputs];
                GenomeBlock::new(format!("layers.{index}.weights"), "weights", &sizes)
            };
            shape.layers().enumerate().map(block).collect()
        };
        match self {
            Self::Plastic(description) => RuleLayout::blocks(description),
            Self::FeedForward { layers, biases } => {
                let mut blocks = matrices(layers, layers.inputs());
                if *biases {
                    let bias = |(index, layer): (usize, crate::network::Layer)| {
                        GenomeBlock::new(format!("layers.{index}.biases"), "biases", &[layer.outputs])
                    };
                    blocks.extend(layers.layers().enumerate().map(bias));
                }
                blocks
            }
            Self::Lstm { layers, hidden, .. } => {
                let cell = |((index, layer), &hidden): ((usize, crate::network::Layer), &usize)| {
                    [
                        GenomeBlock::new(format!("cells.{index}.input"), "input", &[layer.inputs, 4 * hidden]),
                        GenomeBlock::new(format!("cells.{index}.recurrent"), "recurrent", &[hidden, 4 * hidden]),
                        GenomeBlock::new(format!("cells.{index}.biases"), "biases", &[4 * hidden]),
                        GenomeBlock::new(format!("cells.{index}.output"), "output", &[layer.inputs + hidden, layer.outputs]),
                    ]
                };
                layers.layers().enumerate().zip(hidden).flat_map(cell).collect()
            }
            Self::History { layers, steps } => matrices(layers, layers.inputs().saturating_mul(*steps)),
        }
    }

    /// Numbers in the genome.
    pub fn genome_len(&self) -> usize {
        self.blocks().iter().map(GenomeBlock::size).fold(0, usize::saturating_add)
    }

    /// Checks every number that does not depend on a genome.
    ///
    /// # Errors
    /// [`MapError`] names the first that is not usable.
    pub fn check(&self) -> Result<(), MapError> {
        match self {
            Self::Plastic(description) => Ok(description.check()?),
            // Cheap next to a file of parameters, and never two places that say what is possible.
            _ if self.genome_len() <= Self::LARGEST_GENOME => {
                self.network(None, &vec![0.0; self.genome_len()])?;
                Ok(())
            }
            _ => Err(MapError::Value { name: "network", problem: "it must have at most 64 million parameters" }),
        }
    }

    /// Most parameters of a baseline. Bounds what a damaged file can make us allocate.
    const LARGEST_GENOME: usize = 1 << 26;

    /// A network of `genome`. `clusters` say which rule each synapse has, when a plastic network's rule has clusters.
    ///
    /// # Errors
    /// [`MapError`] when a number is not usable or the genome does not fit.
    pub fn network(&self, clusters: Option<Arc<Clusters>>, genome: &[f32]) -> Result<Network, MapError> {
        Ok(match self {
            Self::Plastic(description) => {
                description.check()?;
                Network::Plastic(PlasticNetwork::new(description, clusters, genome)?)
            }
            Self::FeedForward { layers, biases } => Network::FeedForward(FeedForward::new(layers.clone(), *biases, genome)?),
            Self::Lstm { layers, hidden, initial_state } => {
                Network::Lstm(Lstm::new(layers.clone(), hidden.clone(), genome)?.with_initial_state(*initial_state)?)
            }
            Self::History { layers, steps } => Network::History(History::new(layers.clone(), *steps, genome)?),
        })
    }
}

/// A network in life.
#[derive(Clone, Debug)]
pub enum Network {
    /// [`NetworkDescription::Plastic`].
    Plastic(PlasticNetwork),
    /// [`NetworkDescription::FeedForward`].
    FeedForward(FeedForward),
    /// [`NetworkDescription::Lstm`].
    Lstm(Lstm),
    /// [`NetworkDescription::History`].
    History(History),
}

impl Network {
    /// The plastic network, if it is one.
    pub fn plastic(&self) -> Option<&PlasticNetwork> {
        if let Self::Plastic(network) = self { Some(network) } else { None }
    }

    /// The plastic network, if it is one.
    pub(super) fn plastic_mut(&mut self) -> Option<&mut PlasticNetwork> {
        if let Self::Plastic(network) = self { Some(network) } else { None }
    }

    fn baseline(&self) -> Option<&dyn Baseline> {
        match self {
            Self::Plastic(_) => None,
            Self::FeedForward(network) => Some(network),
            Self::Lstm(network) => Some(network),
            Self::History(network) => Some(network),
        }
    }

    fn baseline_mut(&mut self) -> Option<&mut dyn Baseline> {
        match self {
            Self::Plastic(_) => None,
            Self::FeedForward(network) => Some(network),
            Self::Lstm(network) => Some(network),
            Self::History(network) => Some(network),
        }
    }

    /// Starts the episode `seed`.
    pub fn start(&mut self, seed: u64) {
        match self {
            Self::Plastic(network) => network.start(seed),
            baseline => {
                if let Some(network) = baseline.baseline_mut() {
                    network.start(seed);
                }
            }
        }
    }

    /// One control step: the outputs for `input`. `gates`, one for each layer (missing ones count as the last, none as 1), matter to
    /// the plastic network only. Missing inputs count as 0.
    ///
    /// # Errors
    /// [`NetworkError::NotFinite`] when an input is NaN or infinite; nothing has changed then.
    pub fn step(&mut self, input: &[f32], gates: &[f32]) -> Result<&[f32], NetworkError> {
        match self {
            Self::Plastic(network) => network.step(input, gates),
            Self::FeedForward(network) => check_finite("input", input).map(|()| network.step(input)),
            Self::Lstm(network) => check_finite("input", input).map(|()| network.step(input)),
            Self::History(network) => check_finite("input", input).map(|()| network.step(input)),
        }
    }

    /// Gives the network other numbers; what changes in life stays.
    pub(super) fn set_genome(&mut self, genome: &[f32]) -> Result<(), NetworkError> {
        match self {
            Self::Plastic(network) => network.set_genome(genome),
            baseline => baseline.baseline_mut().map_or(Ok(()), |network| network.set_genome(genome)),
        }
    }

    /// Numbers that [`Network::save`] writes.
    pub(super) fn state_len(&self) -> usize {
        self.plastic().map_or_else(|| self.baseline().map_or(0, |network| network.state_len()), PlasticNetwork::state_len)
    }

    /// Copies all that changes in life; returns the counters that belong to it.
    pub(super) fn save(&self, out: &mut [f32]) -> [u64; 3] {
        match self {
            Self::Plastic(network) => network.save(out),
            baseline => {
                // The length is that of `state_len`.
                let _ = baseline.baseline().map(|network| network.save_state(out));
                [0; 3]
            }
        }
    }

    /// Continues from what [`Network::save`] of the same kind and sizes gave.
    pub(super) fn load(&mut self, state: &[f32], counters: [u64; 3]) {
        match self {
            Self::Plastic(network) => network.load(state, counters),
            baseline => {
                let _ = baseline.baseline_mut().map(|network| network.load_state(state));
            }
        }
    }
}
