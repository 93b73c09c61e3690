//! A run of evolution: the search, the policy whose genome it searches, and the rules that become fewer on the way.

use std::sync::Arc;

use super::merge::{MergeError, merge_rules};
use super::outcome::{Failure, Generation, Outcome};
use super::settings::Method;
use super::start::Start;
use super::{Checkpoint, Experiment, Population, Strategy, StrategyError, StrategyState};
use crate::episode::EPISODE_VERSION;
use crate::plasticity::{ClusterError, Clusters, Instructions};
use crate::policy::PolicyFile;
use crate::robot::RobotModel;

/// An evolution between two generations.
#[derive(Clone, Debug)]
pub struct Search {
    experiment: Arc<Experiment>,
    policy: PolicyFile,
    strategy: Strategy,
}

/// Why a search cannot begin or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SearchError {
    /// The genome's groups and the experiment do not fit each other.
    #[error("evolution.genome {0}")]
    Genome(String),
    /// The state does not fit the genome.
    #[error(transparent)]
    Strategy(#[from] StrategyError),
    /// Rules cannot be dealt to synapses.
    #[error(transparent)]
    Clusters(#[from] ClusterError),
    /// Rules cannot be merged.
    #[error(transparent)]
    Merge(#[from] MergeError),
}

/// Why a generation cannot be told.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TellError {
    /// The strategy refuses it.
    #[error(transparent)]
    Strategy(#[from] StrategyError),
    /// There is nothing to go by.
    #[error("all candidates of generation {generation} failed: {failure}; the experiment cannot be searched like this")]
    AllFailed {
        /// Which generation.
        generation: u64,
        /// Why the first of them did.
        failure: Failure,
    },
}

impl Search {
    /// The search of `experiment` as far as candidates need it: around the mean of `population`, with the rules of `clusters`.
    ///
    /// # Errors
    /// [`SearchError`] when they do not fit the experiment.
    pub fn of_population(
        experiment: Arc<Experiment>,
        robot: &RobotModel,
        population: &Population,
        clusters: Option<Arc<Clusters>>,
    ) -> Result<Self, SearchError> {
        let start = Self::new(experiment.clone(), robot)?.strategy;
        let adapts = experiment.evolution.method == Method::Snes;
        let zeros = |vector: &[f32]| if vector.is_empty() { Vec::new() } else { vec![0.0; population.mean.len()] };
        let state = StrategyState {
            generation: population.generation,
            began: 0,
            rested: 0,
            restarts: 0,
            mean: population.mean.clone(),
            deviation: if adapts { population.deviation.clone() } else { Vec::new() },
            first_moment: zeros(&start.state().first_moment),
            second_moment: zeros(&start.state().second_moment),
        };
        let checkpoint = Checkpoint {
            episode_version: EPISODE_VERSION,
            fused: Instructions::detect().is_fused(),
            experiment: (*experiment).clone(),
            experiment_hash: String::new(),
            state,
            clusters,
            history: Vec::new(),
        };
        Self::resume(experiment, robot, &checkpoint)
    }

    /// The search of `experiment` at its beginning.
    ///
    /// # Errors
    /// [`SearchError`] when the experiment is not consistent.
    pub fn new(experiment: Arc<Experiment>, robot: &RobotModel) -> Result<Self, SearchError> {
        let policy = first_policy(&experiment, robot)?;
        let stretches = experiment.evolution.genome.stretches(&policy.metadata.network.blocks()).map_err(SearchError::Genome)?;
        let mut strategy = Strategy::new(experiment.evolution.clone(), experiment.seed, stretches.clone());
        if let Some(start) = experiment.start.as_ref().and_then(Start::policy) {
            strategy.go_on_at(stretches, start.genome.clone());
        }
        Ok(Self { experiment, policy, strategy })
    }

    /// The search of `experiment` as a checkpoint left it.
    ///
    /// # Errors
    /// [`SearchError`] when the checkpoint's state does not fit the experiment.
    pub fn resume(experiment: Arc<Experiment>, robot: &RobotModel, checkpoint: &Checkpoint) -> Result<Self, SearchError> {
        let mut policy = first_policy(&experiment, robot)?;
        policy.metadata.network = checkpoint.network();
        if let Some(clusters) = &checkpoint.clusters {
            policy.clusters = Some(clusters.clone());
        }
        let stretches = experiment.evolution.genome.stretches(&policy.metadata.network.blocks()).map_err(SearchError::Genome)?;
        let strategy = Strategy::resume(experiment.evolution.clone(), experiment.seed, stretches, checkpoint.state.clone())?;
        policy.genome = strategy.mean_genome();
        Ok(Self { experiment, policy, strategy })
    }

    /// Merges rules if the plan says so before the present generation. Returns how many rules are left, if they were merged.
    ///
    /// # Errors
    /// [`SearchError::Merge`] when k-means refuses the rules; nothing has changed then.
    pub fn merge_if_due(&mut self) -> Result<Option<usize>, SearchError> {
        let generation = self.strategy.generation();
        let Some(merge) = self.experiment.evolution.merge.iter().find(|merge| merge.generation == generation) else {
            return Ok(None);
        };
        if self.clusters().is_some_and(|clusters| clusters.count() <= merge.rules) {
            return Ok(None);
        }
        merge_rules(&mut self.policy, &mut self.strategy, merge.rules, &self.experiment)?;
        Ok(self.clusters().map(|clusters| clusters.count()))
    }

    /// The experiment.
    pub fn experiment(&self) -> &Arc<Experiment> {
        &self.experiment
    }

    /// The search distribution and its optimiser.
    pub fn strategy(&self) -> &Strategy {
        &self.strategy
    }

    /// The rule of each synapse, where rules are shared.
    pub fn clusters(&self) -> Option<&Arc<Clusters>> {
        self.policy.clusters.as_ref()
    }

    /// Tells the search what each candidate of the present generation came to, in order, and goes on to the next generation.
    ///
    /// # Errors
    /// [`TellError`]; the search is then unchanged.
    pub fn tell(&mut self, outcomes: &[Outcome]) -> Result<Generation, TellError> {
        if outcomes.iter().all(|outcome| outcome.is_err()) {
            // Not on any account a generation like others: the next one would fail in the same way, for ever.
            let failure = outcomes.iter().find_map(|outcome| outcome.err()).unwrap_or(Failure::Lost);
            return Err(TellError::AllFailed { generation: self.strategy.generation(), failure });
        }
        let generation = Generation::new(&self.strategy, outcomes);
        // NaN ranks as worst.
        let fitness: Vec<f32> = outcomes.iter().map(|outcome| outcome.map_or(f32::NAN, |result| result.fitness)).collect();
        self.strategy.tell(&fitness)?;
        Ok(generation)
    }

    /// Begins a new descent from another random start.
    pub(super) fn restart(&mut self) {
        self.strategy.restart();
    }

    /// The policy that is searched, at the mean of the search distribution.
    pub fn policy(&self) -> PolicyFile {
        PolicyFile { genome: self.strategy.mean_genome(), ..self.policy.clone() }
    }
}

/// The policy of `experiment` at its beginning: no numbers yet. Where synapses share rules, they are dealt as in the policy that the search
/// begins at, or else at random.
fn first_policy(experiment: &Experiment, robot: &RobotModel) -> Result<PolicyFile, ClusterError> {
    let metadata = experiment.metadata(robot);
    let dealt = experiment.start.as_ref().and_then(Start::policy).and_then(|start| start.clusters.clone());
    let clusters = match metadata.network.plastic() {
        Some(_) if dealt.is_some() => dealt,
        Some(plastic) if plastic.rule.clusters > 0 => {
            Some(Arc::new(Clusters::random(plastic.layers.synapses(), plastic.rule.clusters, experiment.seed)?))
        }
        _ => None,
    };
    let genome = vec![0.0; metadata.network.genome_len()];
    Ok(PolicyFile { metadata, genome, clusters, subspace: None })
}
