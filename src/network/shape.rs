//! Sizes of a network's layers and where their weights lie in one flat vector.

use serde::{Deserialize, Serialize};

/// Neurons per layer, input first: `[27, 64, 32, 18]` has three layers of weights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<usize>", into = "Vec<usize>")]
pub struct Shape {
    neurons: Vec<usize>,
}

/// One layer of weights, `inputs` x `outputs`, row-major from `offset` on in the flat vector of all weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Neurons that it reads.
    pub inputs: usize,
    /// Neurons that it drives.
    pub outputs: usize,
    /// Index of its first weight.
    pub offset: usize,
}

/// Why layer sizes were refused.
#[derive(Debug, thiserror::Error)]
#[error("layer sizes {given:?}: at least an input and an output layer are needed, each of 1 to {} neurons", Shape::LARGEST_LAYER)]
pub struct ShapeError {
    given: Vec<usize>,
}

impl Shape {
    /// Most neurons in one layer. Bounds what a damaged file can make us allocate.
    pub const LARGEST_LAYER: usize = 16_384;

    /// A network with `neurons` per layer, input first.
    ///
    /// # Errors
    /// [`ShapeError`] for fewer than two layers, or one that is empty or larger than [`Shape::LARGEST_LAYER`].
    pub fn new(neurons: Vec<usize>) -> Result<Self, ShapeError> {
        let fits = |&n: &usize| (1..=Self::LARGEST_LAYER).contains(&n);
        if neurons.len() < 2 || !neurons.iter().all(fits) {
            return Err(ShapeError { given: neurons });
        }
        Ok(Self { neurons })
    }

    /// Neurons per layer, input first.
    pub fn neurons(&self) -> &[usize] {
        &self.neurons
    }

    /// Number of inputs of the network.
    pub fn inputs(&self) -> usize {
        self.neurons[0]
    }

    /// Number of outputs of the network.
    pub fn outputs(&self) -> usize {
        self.neurons[self.neurons.len() - 1]
    }

    /// Layers of weights, input side first.
    pub fn layers(&self) -> impl ExactSizeIterator<Item = Layer> + Clone + '_ {
        let mut offset = 0;
        self.neurons.windows(2).map(move |pair| {
            let layer = Layer { inputs: pair[0], outputs: pair[1], offset };
            offset += layer.synapses();
            layer
        })
    }

    /// Weights in all layers.
    pub fn synapses(&self) -> usize {
        self.layers().map(|layer| layer.synapses()).sum()
    }
}

impl Layer {
    /// Weights of this layer.
    pub fn synapses(&self) -> usize {
        self.inputs * self.outputs
    }

    /// Where this layer's weights lie in the flat vector.
    pub fn range(&self) -> std::ops::Range<usize> {
        self.offset..self.offset + self.synapses()
    }
}

impl TryFrom<Vec<usize>> for Shape {
    type Error = ShapeError;

    fn try_from(neurons: Vec<usize>) -> Result<Self, ShapeError> {
        Self::new(neurons)
    }
}

impl From<Shape> for Vec<usize> {
    fn from(shape: Shape) -> Self {
        shape.neurons
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beetle_network_has_the_papers_4352_synapses() {
        let shape = Shape::new(vec![27, 64, 32, 18]).unwrap();
        assert_eq!(shape.synapses(), 4352);
        let ranges: Vec<_> = shape.layers().map(|layer| layer.range()).collect();
        assert_eq!(ranges, [0..1728, 1728..3776, 3776..4352]);
    }

    #[test]
    fn empty_and_oversized_layers_are_refused() {
        for neurons in [vec![], vec![3], vec![3, 0], vec![3, 100_000]] {
            assert!(Shape::new(neurons).is_err());
        }
    }
}
