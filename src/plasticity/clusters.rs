//! One rule for many synapses: which synapses share one, and merging of rules that have become alike.
//!
//! After Evolve & Merge (Pedersen & Risi 2021, arXiv 2104.07959): evolution begins with a rule per synapse or a random sharing,
//! and k-means merges the rules as it goes on.

use std::collections::HashMap;

use rand::RngExt;
use rand::seq::SliceRandom;
use rayon::prelude::*;

use super::TERMS;
use crate::random::{Stream, stream};

/// Most rounds of Lloyd's algorithm. Rules in the thousands settle within some tens.
const ROUNDS: usize = 100;

/// A rule, or its place in the space in which distances count.
type Point = [f64; TERMS];

/// Which rule each synapse has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clusters {
    assignment: Vec<u16>,
    count: usize,
}

/// Why clusters, or rules to be merged, were refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// A number of clusters that cannot be.
    #[error("{given} clusters; give 1 to {most}")]
    Count {
        /// Clusters wanted.
        given: usize,
        /// Most that there can be.
        most: usize,
    },
    /// Nothing to cluster.
    #[error("no synapses: at least one is needed")]
    Empty,
    /// A synapse is assigned to a cluster that does not exist.
    #[error("synapse {synapse} is in cluster {cluster}, but the clusters are 0 to {}", .count - 1)]
    Assignment {
        /// Which synapse.
        synapse: usize,
        /// Its cluster.
        cluster: u16,
        /// Number of clusters.
        count: usize,
    },
    /// The number of rules is not that of the clusters.
    #[error("{given} rules for {expected} clusters; each cluster needs one")]
    Rules {
        /// Rules given.
        given: usize,
        /// Clusters.
        expected: usize,
    },
    /// A coefficient is NaN or infinite.
    #[error("rule {rule} holds {value}; every coefficient must be finite")]
    NotFinite {
        /// Which rule.
        rule: usize,
        /// What.
        value: f32,
    },
}

impl Clusters {
    /// Most clusters: an assignment is 16 bits.
    pub const MOST: usize = u16::MAX as usize + 1;

    /// `count` clusters, of which synapse s is in number `assignment[s]`. Clusters without synapses are allowed.
    ///
    /// # Errors
    /// [`ClusterError`] when there are no synapses, `count` is not 1 to [`Clusters::MOST`], or an assignment is not below it.
    pub fn new(assignment: Vec<u16>, count: usize) -> Result<Self, ClusterError> {
        check_count(count, Self::MOST)?;
        if assignment.is_empty() {
            return Err(ClusterError::Empty);
        }
        match assignment.iter().position(|&cluster| usize::from(cluster) >= count) {
            Some(synapse) => Err(ClusterError::Assignment { synapse, cluster: assignment[synapse], count }),
            None => Ok(Self { assignment, count }),
        }
    }

    /// `synapses` dealt at random to `count` clusters whose sizes differ by at most one, so that no rule goes unused.
    ///
    /// # Errors
    /// [`ClusterError`] unless `count` is 1 to `synapses` and at most [`Clusters::MOST`].
    pub fn random(synapses: usize, count: usize, seed: u64) -> Result<Self, ClusterError> {
        check_count(count, synapses.min(Self::MOST))?;
        let mut assignment: Vec<u16> = (0..synapses).map(|synapse| (synapse % count) as u16).collect();
        assignment.shuffle(&mut stream(seed, "random clusters", &[]));
        Ok(Self { assignment, count })
    }

    /// The cluster of each synapse.
    pub fn assignment(&self) -> &[u16] {
        &self.assignment
    }

    /// Number of clusters.
    pub fn count(&self) -> usize {
        self.count
    }
}

/// Merges `rules` (A, B, C, D, eta each) into at most `count`: the new clusters and their rules.
///
/// `present` says which synapses share which rule; without it each synapse has its own. K-means (k-means++ start from the stream
/// of `seed`, then Lloyd's rounds) runs over the rules of all synapses, each coordinate in units of its standard deviation, so a
/// rule weighs as much as the synapses that have it. A new rule is the mean of its members. With `count` or fewer distinct rules
/// in use, each synapse keeps its rule exactly. Every new cluster has a synapse. The result is a function of the arguments,
/// whatever the threads.
///
/// # Errors
/// [`ClusterError`] when there are no synapses, `count` is not 1 to [`Clusters::MOST`], `rules` are not as many as the `present`
/// clusters, or a coefficient is not finite.
pub fn merge(
    rules: &[[f32; TERMS]],
    present: Option<&Clusters>,
    count: usize,
    seed: u64,
) -> Result<(Clusters, Vec<[f32; TERMS]>), ClusterError> {
    check_count(count, Clusters::MOST)?;
    let expected = present.map_or(rules.len(), Clusters::count);
    if rules.len() != expected {
        return Err(ClusterError::Rules { given: rules.len(), expected });
    }
    if rules.is_empty() {
        return Err(ClusterError::Empty);
    }
    for (rule, terms) in rules.iter().enumerate() {
        if let Some(&value) = terms.iter().find(|value| !value.is_finite()) {
            return Err(ClusterError::NotFinite { rule, value });
        }
    }
    let (points, weights, point_of_synapse) = match present {
        Some(present) => distinct(present.assignment.iter().map(|&cluster| &rules[usize::from(cluster)])),
        None => distinct(rules.iter()),
    };
    let owner = if points.len() <= count {
        (0..points.len()).collect()
    } else {
        k_means(&in_deviations(&points, &weights), &weights, count, &mut stream(seed, "merge rules", &[]))
    };
    let count = count.min(points.len());
    let merged = means(&points, &weights, &owner, count).into_iter().map(|rule| rule.map(|value| value as f32)).collect();
    let assignment = point_of_synapse.into_iter().map(|point| owner[point] as u16).collect();
    Ok((Clusters { assignment, count }, merged))
}

fn check_count(given: usize, most: usize) -> Result<(), ClusterError> {
    if (1..=most).contains(&given) { Ok(()) } else { Err(ClusterError::Count { given, most }) }
}

/// The distinct ones of the synapses' rules, how many synapses have each, and which one each synapse has.
fn distinct<'a>(rules: impl Iterator<Item = &'a [f32; TERMS]>) -> (Vec<Point>, Vec<f64>, Vec<usize>) {
    let (mut points, mut weights, mut known) = (Vec::new(), Vec::new(), HashMap::new());
    let point_of_synapse = rules.map(|rule| {
        // Adding zero makes -0 the 0 that it equals.
        let point = *known.entry(rule.map(|value| (value + 0.0).to_bits())).or_insert(points.len());
        if point == points.len() {
            points.push(rule.map(f64::from));
            weights.push(0.0);
        }
        weights[point] += 1.0;
        point
    });
    let point_of_synapse = point_of_synapse.collect();
    (points, weights, point_of_synapse)
}

/// `points` with each coordinate divided by its standard deviation; one that never differs becomes 0.
fn in_deviations(points: &[Point], weights: &[f64]) -> Vec<Point> {
    let mean = means(points, weights, &vec![0; points.len()], 1)[0];
    let mut variance = [0.0; TERMS];
    for (point, weight) in points.iter().zip(weights) {
        for term in 0..TERMS {
            variance[term] += weight * (point[term] - mean[term]).powi(2);
        }
    }
    let total: f64 = weights.iter().sum();
    let deviation: Point = std::array::from_fn(|term| {
        // The mean of equal numbers may be off by a rounding error, so a variance of zero would not tell.
        let constant = points.iter().all(|point| point[term] == points[0][term]);
        if constant { 1.0 } else { (variance[term] / total).sqrt() }
    });
    // From the first point rather than from the mean: a constant coordinate, however large, adds nothing to any distance.
    points.iter().map(|point| std::array::from_fn(|term| (point[term] - points[0][term]) / deviation[term])).collect()
}

/// The cluster of each point. There must be more points than clusters; none of these stays empty.
fn k_means(points: &[Point], weights: &[f64], count: usize, random: &mut Stream) -> Vec<usize> {
    let mut centres = first_centres(points, weights, count, random);
    let mut owner = Vec::new();
    for _ in 0..ROUNDS {
        // Each point is by itself, so threads change nothing.
        let (mut now, mut distance): (Vec<_>, Vec<_>) = points.par_iter().map(|point| nearest(point, &centres)).unzip();
        fill_empty(&mut now, &mut distance, count);
        if now == owner {
            break;
        }
        owner = now;
        centres = means(points, weights, &owner, count);
    }
    owner
}

/// K-means++ (Arthur & Vassilvitskii 2007): each further centre is a point drawn by its squared distance to the centres before.
fn first_centres(points: &[Point], weights: &[f64], count: usize, random: &mut Stream) -> Vec<Point> {
    let mut centres = Vec::with_capacity(count);
    let mut distance = vec![f64::INFINITY; points.len()];
    let mut chances = weights.to_vec();
    while centres.len() < count {
        let centre = points[draw(&chances, random)];
        for (index, point) in points.iter().enumerate() {
            distance[index] = squared_distance(point, &centre).min(distance[index]);
            chances[index] = weights[index] * distance[index];
        }
        centres.push(centre);
    }
    centres
}

/// An index, each with a probability proportional to its chance.
fn draw(chances: &[f64], random: &mut Stream) -> usize {
    let mut left = random.random::<f64>() * chances.iter().sum::<f64>();
    let drawn = chances.iter().position(|chance| {
        left -= chance;
        left < 0.0
    });
    // Rounding may leave a little at the end.
    drawn.or_else(|| chances.iter().rposition(|&chance| chance > 0.0)).unwrap_or(0)
}

/// The centre nearest to `point`, the first of equals, and its squared distance.
fn nearest(point: &Point, centres: &[Point]) -> (usize, f64) {
    let closer = |best: (usize, f64), (index, centre): (usize, &Point)| {
        let distance = squared_distance(point, centre);
        if distance < best.1 { (index, distance) } else { best }
    };
    centres.iter().enumerate().fold((0, f64::INFINITY), closer)
}

/// Gives each empty cluster the point that is farthest from its centre and not alone there.
fn fill_empty(owner: &mut [usize], distance: &mut [f64], count: usize) {
    let mut members = vec![0usize; count];
    owner.iter().for_each(|&cluster| members[cluster] += 1);
    for empty in 0..count {
        if members[empty] > 0 {
            continue;
        }
        let movable = (0..owner.len()).filter(|&point| members[owner[point]] > 1);
        if let Some(point) = movable.max_by(|&a, &b| distance[a].total_cmp(&distance[b])) {
            members[owner[point]] -= 1;
            members[empty] = 1;
            (owner[point], distance[point]) = (empty, 0.0);
        }
    }
}

/// The weighted mean of each cluster's points.
fn means(points: &[Point], weights: &[f64], owner: &[usize], count: usize) -> Vec<Point> {
    let mut sums = vec![([0.0; TERMS], 0.0); count];
    for ((point, weight), &cluster) in points.iter().zip(weights).zip(owner) {
        let (sum, total) = &mut sums[cluster];
        sum.iter_mut().zip(point).for_each(|(sum, value)| *sum += weight * value);
        *total += weight;
    }
    sums.into_iter().map(|(sum, total)| sum.map(|sum| sum / total)).collect()
}

fn squared_distance(a: &Point, b: &Point) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Centres far apart in every coordinate, on scales as different as evolved coefficients may have.
    const CENTRES: [[f32; TERMS]; 4] =
        [[0.0, 10.0, 0.0, 1e3, 0.01], [5.0, 0.0, 0.0, -1e3, 0.02], [-5.0, -10.0, 0.0, 0.0, 0.03], [9.0, 20.0, 0.0, 2e3, -0.01]];

    /// Rules around the centres in turn: rule r belongs to centre r % 4.
    fn around_centres(count: usize) -> Vec<[f32; TERMS]> {
        let mut random = stream(1, "test rules", &[]);
        let spread = [0.1, 0.1, 0.0, 10.0, 1e-4];
        let mut near = |centre: [f32; TERMS]| std::array::from_fn(|t| centre[t] + spread[t] * random.random_range(-1.0f32..1.0));
        (0..count).map(|rule| near(CENTRES[rule % 4])).collect()
    }

    fn rules_of_synapses(clusters: &Clusters, rules: &[[f32; TERMS]]) -> Vec<[f32; TERMS]> {
        clusters.assignment().iter().map(|&cluster| rules[usize::from(cluster)]).collect()
    }

    #[test]
    fn well_separated_rules_merge_into_their_means() {
        let rules = around_centres(200);
        for seed in 0..20 {
            let (clusters, merged) = merge(&rules, None, 4, seed).unwrap();
            assert_eq!((clusters.count(), merged.len()), (4, 4));
            for group in 0..4 {
                let members = || (group..200).step_by(4);
                let cluster = clusters.assignment()[group];
                assert!(members().all(|rule| clusters.assignment()[rule] == cluster), "seed {seed}");
                for term in 0..TERMS {
                    let mean = members().map(|rule| f64::from(rules[rule][term])).sum::<f64>() / 50.0;
                    assert_eq!(merged[usize::from(cluster)][term], mean as f32);
                }
            }
        }
    }

    #[test]
    fn the_scale_of_a_coordinate_does_not_matter() {
        let rules = around_centres(100);
        let scaled: Vec<_> = rules.iter().map(|[a, b, c, d, eta]| [a * 1024.0, b / 4096.0, *c, d * 65536.0, eta / 2.0]).collect();
        assert_eq!(merge(&rules, None, 7, 3).unwrap().0, merge(&scaled, None, 7, 3).unwrap().0);
    }

    #[test]
    fn a_large_constant_coordinate_does_not_matter() {
        let mut rules = around_centres(100);
        let expected = merge(&rules, None, 7, 3).unwrap().0;
        rules.iter_mut().for_each(|rule| rule[2] = 1.1e30);
        let (clusters, merged) = merge(&rules, None, 7, 3).unwrap();
        assert_eq!(clusters, expected);
        assert!(merged.iter().all(|rule| rule[2] == 1.1e30));
    }

    #[test]
    fn enough_clusters_keep_every_rule_exactly() {
        let mut rules = around_centres(40);
        rules.extend_from_within(..10);
        for count in [40, 41, 50, 1000] {
            let (clusters, merged) = merge(&rules, None, count, 0).unwrap();
            assert_eq!(merged.len(), 40, "equal rules are one");
            assert_eq!(rules_of_synapses(&clusters, &merged), rules);
        }
    }

    #[test]
    fn a_rule_weighs_as_much_as_the_synapses_that_share_it() {
        let rules = [[1.0, 0.0, 0.0, 0.0, 0.0], [4.0, 0.0, 0.0, 0.0, 0.0], [100.0, 0.0, 0.0, 0.0, 0.0]];
        let present = Clusters::new(vec![0, 2, 1, 0], 3).unwrap();
        let (clusters, merged) = merge(&rules, Some(&present), 2, 0).unwrap();
        let a: Vec<f32> = rules_of_synapses(&clusters, &merged).iter().map(|rule| rule[0]).collect();
        assert_eq!(a, [2.0, 100.0, 2.0, 2.0]);
    }

    #[test]
    fn merging_in_turn_composes_and_shared_rules_merge_like_those_of_their_synapses() {
        let (first, shared) = merge(&around_centres(300), None, 30, 5).unwrap();
        let (second, merged) = merge(&shared, Some(&first), 6, 6).unwrap();
        assert_eq!(second.assignment().len(), 300);
        assert_eq!(merge(&rules_of_synapses(&first, &shared), None, 6, 6).unwrap(), (second.clone(), merged));
        let pairs: std::collections::BTreeSet<_> = first.assignment().iter().zip(second.assignment()).collect();
        assert_eq!(pairs.len(), 30, "synapses that shared a rule still do");
    }

    #[test]
    fn rules_that_no_synapse_uses_vanish() {
        let rules = around_centres(3);
        let (clusters, merged) = merge(&rules, Some(&Clusters::new(vec![2, 0, 2], 3).unwrap()), 3, 0).unwrap();
        assert_eq!((clusters.assignment(), merged), (&[0, 1, 0][..], vec![rules[2], rules[0]]));
    }

    #[test]
    fn the_result_depends_on_the_seed_but_not_on_threads() {
        let rules = around_centres(500);
        let with = |threads: usize, seed: u64| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| merge(&rules, None, 40, seed).unwrap())
        };
        assert_eq!(with(1, 9), with(3, 9));
        assert_ne!(with(1, 9), with(1, 10));
    }

    #[test]
    fn an_empty_cluster_gets_the_farthest_point_that_is_not_alone() {
        let (mut owner, mut distance) = (vec![0, 0, 0, 2], vec![1.0, 3.0, 2.0, 9.0]);
        fill_empty(&mut owner, &mut distance, 4);
        assert_eq!(owner, [0, 1, 3, 2]);
    }

    #[test]
    fn random_clusters_are_balanced_and_a_function_of_the_seed() {
        let clusters = Clusters::random(4352, 384, 1).unwrap();
        let mut sizes = [0; 384];
        clusters.assignment().iter().for_each(|&cluster| sizes[usize::from(cluster)] += 1);
        assert!(sizes.iter().all(|size| [11, 12].contains(size)));
        assert_eq!(clusters, Clusters::random(4352, 384, 1).unwrap());
        assert_ne!(clusters, Clusters::random(4352, 384, 2).unwrap());
    }

    #[test]
    fn clusters_and_rules_that_do_not_fit_are_refused() {
        assert_eq!(Clusters::new(vec![], 1), Err(ClusterError::Empty));
        assert_eq!(Clusters::new(vec![0], 0), Err(ClusterError::Count { given: 0, most: 65_536 }));
        assert_eq!(Clusters::new(vec![0, 3], 3), Err(ClusterError::Assignment { synapse: 1, cluster: 3, count: 3 }));
        assert_eq!(Clusters::random(5, 6, 0), Err(ClusterError::Count { given: 6, most: 5 }));
        let mut rules = around_centres(4);
        let two = Clusters::new(vec![0, 1], 2).unwrap();
        assert_eq!(merge(&rules, Some(&two), 1, 0), Err(ClusterError::Rules { given: 4, expected: 2 }));
        assert_eq!(merge(&[], None, 1, 0), Err(ClusterError::Empty));
        assert_eq!(merge(&rules, None, 70_000, 0), Err(ClusterError::Count { given: 70_000, most: 65_536 }));
        rules[2][4] = f32::INFINITY;
        assert_eq!(merge(&rules, None, 1, 0), Err(ClusterError::NotFinite { rule: 2, value: f32::INFINITY }));
    }

    fn finite() -> impl Strategy<Value = f32> {
        prop_oneof![-1.0f32..1.0, prop::num::f32::ANY.prop_filter("finite", |x| x.is_finite()), Just(f32::MAX), Just(f32::MIN)]
    }

    proptest! {
        #[test]
        fn whatever_the_rules_every_cluster_is_used_and_its_rule_lies_among_its_members(
            rules in prop::collection::vec(prop::array::uniform5(finite()), 1..40),
            count in 1usize..12,
            seed in 0u64..100,
        ) {
            let (clusters, merged) = merge(&rules, None, count, seed).unwrap();
            prop_assert!(merged.len() == clusters.count() && clusters.count() <= count);
            for (cluster, rule) in merged.iter().enumerate() {
                let members = || rules.iter().zip(clusters.assignment()).filter(|(_, of)| usize::from(**of) == cluster);
                prop_assert!(members().count() > 0);
                for term in 0..TERMS {
                    let values = || members().map(|(member, _)| member[term]);
                    let (min, max) = (values().fold(f32::MAX, f32::min), values().fold(f32::MIN, f32::max));
                    prop_assert!((min..=max).contains(&rule[term]), "{} not in {min}..={max}", rule[term]);
                }
            }
        }
    }
}
