//! How a flat genome is divided into named matrices.

/// One matrix or vector of a genome. A network lists its blocks in the genome's order; files name their tensors by them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenomeBlock {
    /// Name in files: `layers.0.A`.
    pub name: String,
    /// What kind of number it holds; an experiment gives each group its start and scale: `A`, `weights`.
    pub group: &'static str,
    /// Sizes, row-major.
    pub shape: Vec<usize>,
}

impl GenomeBlock {
    /// A block.
    pub fn new(name: impl Into<String>, group: &'static str, shape: &[usize]) -> Self {
        Self { name: name.into(), group, shape: shape.to_vec() }
    }

    /// Numbers in it.
    pub fn size(&self) -> usize {
        self.shape.iter().product()
    }
}
