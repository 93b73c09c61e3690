//! The numbers of a genome in figures: per block and per group.

use serde::Serialize;

use crate::network::GenomeBlock;

/// Bins of a histogram.
pub const BINS: usize = 16;

/// Some numbers in figures.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Distribution {
    /// How many.
    pub count: usize,
    /// Mean.
    pub mean: f64,
    /// Standard deviation (n - 1).
    pub sd: f64,
    /// Smallest.
    pub min: f32,
    /// Largest.
    pub max: f32,
    /// Largest magnitude.
    pub max_abs: f32,
    /// How many fall into each of as many equal parts of the range from `min` to `max`.
    pub histogram: [usize; BINS],
}

/// A block, or all blocks of a group, in figures.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NumbersOf {
    /// Name of the block or group.
    pub name: String,
    /// Sizes of the block; empty for a group.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shape: Vec<usize>,
    /// The figures.
    #[serde(flatten)]
    pub numbers: Distribution,
}

/// A genome in figures.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GenomeNumbers {
    /// Block after block.
    pub blocks: Vec<NumbersOf>,
    /// Group after group, in the order of their first blocks.
    pub groups: Vec<NumbersOf>,
}

impl Distribution {
    /// The figures of `values`, which should be finite.
    pub fn of(values: &[f32]) -> Self {
        let Some(&first) = values.first() else { return Self::default() };
        let count = values.len() as f64;
        let mean = values.iter().map(|&value| f64::from(value)).sum::<f64>() / count;
        let squares = values.iter().map(|&value| (f64::from(value) - mean).powi(2)).sum::<f64>();
        let (min, max) = values.iter().fold((first, first), |(min, max), &value| (min.min(value), max.max(value)));
        let mut histogram = [0; BINS];
        let (start, range) = (f64::from(min), f64::from(max) - f64::from(min));
        for &value in values {
            // Equal numbers have no range: all of them fall into the first bin.
            let share = if range > 0.0 { (f64::from(value) - start) / range } else { 0.0 };
            histogram[((share * BINS as f64) as usize).min(BINS - 1)] += 1;
        }
        let sd = (squares / (count - 1.0).max(1.0)).sqrt();
        Self { count: values.len(), mean, sd, min, max, max_abs: max.abs().max(min.abs()), histogram }
    }
}

impl GenomeNumbers {
    /// The figures of `genome`, which `blocks` divide.
    pub fn of(blocks: &[GenomeBlock], genome: &[f32]) -> Self {
        let mut groups: Vec<(&str, Vec<f32>)> = Vec::new();
        let mut rest = genome;
        let mut of_block = |block: &GenomeBlock| {
            let (values, tail) = rest.split_at(block.size().min(rest.len()));
            rest = tail;
            match groups.iter_mut().find(|(name, _)| *name == block.group) {
                Some((_, all)) => all.extend(values),
                None => groups.push((block.group, values.to_vec())),
            }
            NumbersOf { name: block.name.clone(), shape: block.shape.clone(), numbers: Distribution::of(values) }
        };
        let blocks = blocks.iter().map(&mut of_block).collect();
        let of_group = |(name, values): &(&str, Vec<f32>)| NumbersOf {
            name: (*name).to_owned(),
            shape: Vec::new(),
            numbers: Distribution::of(values),
        };
        Self { blocks, groups: groups.iter().map(of_group).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_those_of_the_numbers() {
        let numbers = Distribution::of(&[-3.0, 1.0, 1.0, 5.0]);
        assert_eq!((numbers.count, numbers.mean, numbers.min, numbers.max, numbers.max_abs), (4, 1.0, -3.0, 5.0, 5.0));
        assert!((numbers.sd - (32.0f64 / 3.0).sqrt()).abs() < 1e-12);
        let mut histogram = [0; BINS];
        (histogram[0], histogram[8], histogram[15]) = (1, 2, 1);
        assert_eq!(numbers.histogram, histogram);
    }

    #[test]
    fn numbers_without_a_range_and_no_numbers_have_figures_too() {
        let same = Distribution::of(&[2.0; 3]);
        assert_eq!((same.sd, same.histogram[0]), (0.0, 3));
        assert_eq!(Distribution::of(&[]), Distribution::default());
        let wide = Distribution::of(&[f32::MIN, 0.0, f32::MAX]);
        assert!(wide.sd.is_finite() && wide.histogram.iter().sum::<usize>() == 3);
    }

    #[test]
    fn groups_gather_their_blocks() {
        let blocks =
            [GenomeBlock::new("0.A", "A", &[2]), GenomeBlock::new("1.A", "A", &[1, 1]), GenomeBlock::new("eta", "eta", &[1])];
        let numbers = GenomeNumbers::of(&blocks, &[1.0, 2.0, 6.0, -1.0]);
        let means = |parts: &[NumbersOf]| parts.iter().map(|part| (part.name.clone(), part.numbers.mean)).collect::<Vec<_>>();
        assert_eq!(means(&numbers.blocks), [("0.A".into(), 1.5), ("1.A".into(), 6.0), ("eta".into(), -1.0)]);
        assert_eq!(means(&numbers.groups), [("A".into(), 3.0), ("eta".into(), -1.0)]);
    }
}
