//! The space that evolution searches in, and how a point of it becomes a genome.

use std::collections::BTreeMap;

use rand::RngExt;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use crate::config::nearest;
use crate::network::GenomeBlock;
use crate::random::stream;

/// Where evolution starts and how far it steps, for each group of the genome's numbers (`A`, `B`, `C`, `D`, `eta`, `weights`, …; `all` for
/// those that are not named): `genome = offset + scale * point`.
///
/// The scale is a group's unit of mutation: with a small one, noise changes that group less.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SearchSpace {
    groups: BTreeMap<String, GroupSearch>,
}

/// How one group of numbers is searched.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupSearch {
    /// Number at the point 0.
    #[serde(default)]
    pub offset: f32,
    /// Number per unit of the point.
    pub scale: f32,
    /// Standard deviation of the point at the start, around 0.
    pub spread: f32,
}

/// The search space of one network: a stretch of the genome after the other.
#[derive(Clone, Debug, PartialEq)]
pub struct SearchStretches(Vec<(usize, GroupSearch)>);

/// The group that stands for all that are not named.
const ALL: &str = "all";

impl SearchSpace {
    /// The same search for every number.
    pub fn uniform(search: GroupSearch) -> Self {
        Self { groups: BTreeMap::from([(ALL.to_owned(), search)]) }
    }

    /// The search of a genome of `blocks`.
    ///
    /// # Errors
    /// What is wrong: a group that the network does not have, one that is missing, or a number that is not usable.
    pub fn stretches(&self, blocks: &[GenomeBlock]) -> Result<SearchStretches, String> {
        let known = || blocks.iter().map(|block| block.group);
        if let Some(unknown) = self.groups.keys().find(|name| *name != ALL && !known().any(|group| group == *name)) {
            let mut message = format!("has the group `{unknown}`, which this network does not have");
            if let Some(name) = nearest(unknown, known()) {
                message += &format!("; did you mean `{name}`?");
            }
            return Err(message);
        }
        let stretch = |block: &GenomeBlock| {
            let search = self.groups.get(block.group).or(self.groups.get(ALL)).ok_or_else(|| {
                format!("says nothing of the group `{}`; give it {{scale, spread}}, or give them to `{ALL}`", block.group)
            })?;
            if [search.offset, search.scale, search.spread].iter().all(|value| value.is_finite())
                && search.spread >= 0.0
                && search.scale != 0.0
            {
                Ok((block.size(), *search))
            } else {
                Err(format!("has a number that is not usable in the group `{}`; spread is at least 0, scale not 0", block.group))
            }
        };
        Ok(SearchStretches(blocks.iter().map(stretch).collect::<Result<_, _>>()?))
    }
}

impl SearchStretches {
    /// Numbers in a genome.
    pub fn size(&self) -> usize {
        self.0.iter().map(|(size, _)| size).sum()
    }

    /// The point at which the evolution `seed` starts, or starts anew for the `restart`-th time.
    pub(super) fn start(&self, seed: u64, restart: u32) -> Vec<f32> {
        let restart = u64::from(restart);
        let mut random = stream(seed, "initial genome", if restart == 0 { &[] } else { std::slice::from_ref(&restart) });
        let mut point = Vec::with_capacity(self.size());
        for (size, search) in &self.0 {
            point.extend((0..*size).map(|_| search.spread * random.sample::<f32, _>(StandardNormal)));
        }
        point
    }

    /// Turns `point` into a genome, in place.
    pub(super) fn express(&self, point: &mut [f32]) {
        self.each(point, |value, search| search.offset + search.scale * value);
    }

    /// Turns `genome` into the point that it is expressed from, in place.
    pub(super) fn locate(&self, genome: &mut [f32]) {
        self.each(genome, |value, search| (value - search.offset) / search.scale);
    }

    fn each(&self, values: &mut [f32], change: impl Fn(f32, &GroupSearch) -> f32) {
        let mut rest = values;
        for (size, search) in &self.0 {
            let (values, tail) = rest.split_at_mut((*size).min(rest.len()));
            values.iter_mut().for_each(|value| *value = change(*value, search));
            rest = tail;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks() -> Vec<GenomeBlock> {
        vec![GenomeBlock::new("a", "A", &[2, 3]), GenomeBlock::new("e", "eta", &[1])]
    }

    fn space(yaml: &str) -> SearchSpace {
        serde_yaml::from_str(yaml).unwrap()
    }

    #[test]
    fn each_group_has_its_own_search_and_the_others_that_of_all() {
        let space = space("{all: {scale: 2, spread: 0}, eta: {offset: 1, scale: 0.5, spread: 0}}");
        let stretches = space.stretches(&blocks()).unwrap();
        let mut point = vec![1.0; 7];
        stretches.express(&mut point);
        assert_eq!(point, [2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 1.5]);
        stretches.locate(&mut point);
        assert_eq!(point, [1.0; 7]);
    }

    #[test]
    fn missing_unknown_and_unusable_groups_are_named() {
        let error = |yaml: &str| space(yaml).stretches(&blocks()).unwrap_err();
        assert!(error("{A: {scale: 1, spread: 0}}").contains("nothing of the group `eta`"));
        assert!(error("{A: {scale: 1, spread: 0}, etaa: {scale: 1, spread: 0}}").contains("did you mean `eta`?"));
        assert!(error("{all: {scale: 0, spread: 0}}").contains("not usable in the group `A`"));
    }
}
