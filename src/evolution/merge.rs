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
    /// There would be nothing to merge.
    #[error(
        "evolution.merge goes to {rules} rules, but the network has {clusters} from the start (policy.network.plastic.rule.clusters); merge to \
         fewer, or begin with more"
    )]
    Many {
        /// Rules to be left.
        rules: usize,
        /// Rules of the experiment.
        clusters: usize,
    },
    /// k-means refused the rules.
    #[error(transparent)]
    Clusters(#[from] ClusterError),
}

/// Checks a plan. Its merges may come after the experiment's last generation: a run can be prolonged.
pub(super) fn check(plan: &[Merge], network: &NetworkDescription) -> Result<(), MergeError> {
    let Some(first) = plan.first() else { return Ok(()) };
    let is_own = |rule: &crate::plasticity::RuleDescription| {
        crate::plasticity::Term::ALL.into_iter().all(|term| rule.source(term) == TermSource::Own)
    };
    let Some(plastic) = network.plastic().filter(|plastic| is_own(&plastic.rule)) else { return Err(MergeError::Family) };
    let in_order = plan.windows(2).all(|pair| pair[0].generation < pair[1].generation && pair[0].rules > pair[1].rules);
    let is_possible = |merge: &Merge| (1..=Clusters::MOST).contains(&merge.rules) && merge.generation >= 1;
    if !(in_order && plan.iter().all(is_possible)) {
        return Err(MergeError::Order);
    }
    // In order, so the first has the most rules.
    let clusters = plastic.rule.clusters;
    if clusters > 0 && first.rules >= clusters {
        return Err(MergeError::Many { rules: first.rules, clusters });
    }
    Ok(())
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
