//! Evolve & Merge: rules become fewer in the course of an evolution (arXiv 2104.07959).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Experiment, Strategy};
use crate::plasticity::{ClusterError, Clusters, TERMS, TermSource, merge};
use crate::policy::{NetworkDescription, PolicyFile};

/// When rules are merged, and to how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Merge {
    /// Before this generation.
    pub generation: u64,
    /// Rules that are left, at most.
    pub rules: usize,
}

/// Why rules cannot be merged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MergeError {
    /// The network has no rules of which each has five numbers of its own.
    #[error("evolution.merge needs a plastic network whose five terms are all `own`")]
    Family,
    /// Not in order.
    #[error(
        "evolution.merge must go to ever fewer rules (from 65536 at most to 1 at least) at ever later generations (from 1 on)"
    )]
    Order,
    /// k-means refused the rules.
    #[error(transparent)]
    Clusters(#[from] ClusterError),
}

/// Checks the plan of an experiment.
pub(super) fn check(plan: &[Merge], network: &NetworkDescription) -> Result<(), MergeError> {
    if plan.is_empty() {
        return Ok(());
    }
    let is_own = |rule: &crate::plasticity::RuleDescription| {
        crate::plasticity::Term::ALL.into_iter().all(|term| rule.source(term) == TermSource::Own)
    };
    if !network.plastic().is_some_and(|plastic| is_own(&plastic.rule)) {
        return Err(MergeError::Family);
    }
    let in_order = plan.windows(2).all(|pair| pair[0].generation < pair[1].generation && pair[0].rules > pair[1].rules);
    let is_possible = |merge: &Merge| (1..=Clusters::MOST).contains(&merge.rules) && merge.generation >= 1;
    if in_order && plan.iter().all(is_possible) { Ok(()) } else { Err(MergeError::Order) }
}

/// Merges the rules at the mean of the search to at most `rules`: k-means over synapses. The policy's description, clusters and genome
/// follow; the search goes on around the merged rules, its optimiser at rest.
pub(super) fn merge_rules(
    policy: &mut PolicyFile,
    strategy: &mut Strategy,
    rules: usize,
    experiment: &Experiment,
) -> Result<(), MergeError> {
    let NetworkDescription::Plastic(plastic) = &mut policy.metadata.network else { return Err(MergeError::Family) };
    let genome = strategy.mean_genome();
    let present = policy.clusters.as_ref().map_or(plastic.layers.synapses(), |clusters| clusters.count());
    let own: Vec<[f32; TERMS]> =
        (0..present).map(|rule| std::array::from_fn(|term| genome.get(term * present + rule).copied().unwrap_or(0.0))).collect();
    let seed = experiment.seed.wrapping_add(strategy.generation());
    let (clusters, merged) = merge(&own, policy.clusters.as_deref(), rules, seed)?;
    // Evolved initial weights stay as they are.
    let weights = genome.get(TERMS * present..).unwrap_or(&[]);
    let genome: Vec<f32> =
        (0..TERMS).flat_map(|term| merged.iter().map(move |rule| rule[term])).chain(weights.iter().copied()).collect();
    plastic.rule.clusters = clusters.count();
    policy.clusters = Some(Arc::new(clusters));
    policy.genome.clone_from(&genome);
    // The groups are those of before, for which the experiment was checked.
    let stretches = experiment.evolution.genome.stretches(&policy.metadata.network.blocks()).map_err(|_| MergeError::Family)?;
    strategy.go_on_at(stretches, genome);
    Ok(())
}
