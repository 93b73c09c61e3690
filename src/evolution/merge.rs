//! Evolve & Merge: rules become fewer in the course of an evolution (arXiv 2104.07959).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Experiment, Strategy};
use crate::plasticity::{ClusterError, Clusters, TERMS, TermSource, merge};
use crate::policy::{NetworkDescription, PolicyFile};
use crate::robot::RobotModel;

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
    #[error("evolution.merge must go to ever fewer rules (at least 1) at ever later generations (from 1 on)")]
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
    if in_order && plan.iter().all(|merge| merge.rules >= 1 && merge.generation >= 1) { Ok(()) } else { Err(MergeError::Order) }
}

/// The policy of `experiment` at its beginning: no numbers yet, and rules dealt at random where synapses share them.
pub(super) fn first_policy(experiment: &Experiment, robot: &RobotModel) -> Result<PolicyFile, ClusterError> {
    let metadata = experiment.metadata(robot);
    let clusters = match metadata.network.plastic() {
        Some(plastic) if plastic.rule.clusters > 0 => {
            Some(Arc::new(Clusters::random(plastic.layers.synapses(), plastic.rule.clusters, experiment.seed)?))
        }
        _ => None,
    };
    let genome = vec![0.0; metadata.network.genome_len()];
    Ok(PolicyFile { metadata, genome, clusters, subspace: None })
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
    let mut genome: Vec<f32> = (0..TERMS).flat_map(|term| merged.iter().map(move |rule| rule[term])).collect();
    // Evolved initial weights stay as they are.
    genome.extend(strategy.mean_genome().get(TERMS * present..).unwrap_or(&[]));
    plastic.rule.clusters = clusters.count();
    policy.clusters = Some(Arc::new(clusters));
    policy.genome.clone_from(&genome);
    let stretches = experiment.evolution.genome.stretches(&policy.metadata.network.blocks()).map_err(|_| MergeError::Family)?;
    strategy.restart(stretches, genome);
    Ok(())
}
