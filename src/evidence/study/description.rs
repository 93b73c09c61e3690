//! What a study consists of, as written by a person.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Claim;
use crate::config::Change;
use crate::evidence::suite::Suite;
use crate::evolution::{Experiment, ExperimentError, StopCriteria};
use crate::policy::PolicyFile;
use crate::robot::RobotModel;

/// A study: groups of policies that are evolved alike but for their seeds, tried in one suite.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Study {
    /// Name; policies are files `NAME_GROUP_SEED.safetensors`.
    pub name: String,
    /// The suite's file, relative to the study's, as are all paths here.
    pub suite: PathBuf,
    /// Folder of the evolved policies.
    pub policies: PathBuf,
    /// Seeds of evolution: one policy of each group for each.
    pub seeds: Vec<u64>,
    /// Generations of each evolution.
    pub generations: u64,
    /// The groups.
    pub groups: Vec<StudyGroup>,
    /// Conditions taken together, whose results are compared.
    #[serde(default)]
    pub outcomes: Vec<Outcome>,
    /// What is compared. All of these are one family of tests: the fewer, the more each can show.
    #[serde(default)]
    pub comparisons: Vec<Comparison>,
    /// What a reader has to know: what was tuned, and on which seeds.
    #[serde(default)]
    pub note: String,
    /// Under which conditions weights are followed; not at all by default.
    #[serde(default)]
    pub weights: Option<WeightConditions>,
    /// What others have claimed.
    #[serde(default)]
    pub claims: Vec<Claim>,
}

/// Policies that are evolved alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudyGroup {
    /// Name.
    pub name: String,
    /// The experiment's file.
    pub experiment: PathBuf,
    /// Other values than the experiment's, by key (`evolution.sigma.initial`); `{seed}` in a text stands for the seed of the evolution.
    #[serde(default)]
    pub set: BTreeMap<String, serde_yaml::Value>,
    /// Seeds instead of the study's.
    #[serde(default)]
    pub seeds: Option<Vec<u64>>,
    /// Generations instead of the study's.
    #[serde(default)]
    pub generations: Option<u64>,
}

/// Conditions taken together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// Name.
    pub name: String,
    /// Names of conditions (or groups of conditions, one per leg) in the suite.
    pub conditions: Vec<String>,
}

/// Two groups, and in what they are compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    /// The group.
    pub group: String,
    /// The one that it is compared with.
    pub baseline: String,
    /// The name of an outcome: what is retained of the speed is compared; or that of the suite's first condition: speed is.
    #[serde(rename = "in")]
    pub outcome: String,
}

/// Conditions under which weights are followed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightConditions {
    /// The condition that policies were evolved for.
    pub known: String,
    /// The one that they do not know.
    pub unknown: String,
}

/// One policy of a study.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Member<'a> {
    /// Its study.
    pub study: &'a Study,
    /// Its group.
    pub group: &'a StudyGroup,
    /// Seed of its evolution.
    pub seed: u64,
}

/// A study that contradicts itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StudyError {
    /// Something is named that is not there.
    #[error("{place} names {name:?}; known are {known}")]
    Unknown {
        /// Where.
        place: &'static str,
        /// The name.
        name: String,
        /// What there is.
        known: String,
    },
    /// Two things of one kind have one name, or one seed stands twice.
    #[error("{0:?} stands twice in the study, which could then not be told apart")]
    Twice(String),
    /// A list is empty.
    #[error("{0} is empty; give at least one")]
    Empty(&'static str),
    /// A name that cannot be part of a file's name.
    #[error("{0:?} cannot be a name; use letters, digits, - and _")]
    Name(String),
    /// A number of a claim is out of range.
    #[error("{name} of a claim is {value}; it must be {expected}")]
    Value {
        /// Key of the claim.
        name: &'static str,
        /// What it is.
        value: f64,
        /// What it must be.
        expected: &'static str,
    },
    /// A claim needs what the study does not measure.
    #[error("the claim `{claim}` needs {needs}, which the study does not have")]
    Unmeasured {
        /// The claim in words.
        claim: String,
        /// What it needs.
        needs: String,
    },
    /// A claim about what is retained of the speed under the first condition names that condition.
    #[error(
        "the claim `{claim}` is about what is retained of the speed, but under {condition:?}, the suite's first condition, speeds themselves are \
         compared; name one of the outcomes: {known}"
    )]
    FirstCondition {
        /// The claim in words.
        claim: String,
        /// The condition.
        condition: String,
        /// Names of the study's outcomes.
        known: String,
    },
    /// A group sets what the study itself sets.
    #[error("the group {group:?} sets `{key}`; give it as {instead} instead")]
    Reserved {
        /// The group.
        group: String,
        /// The key.
        key: String,
        /// Where it belongs.
        instead: &'static str,
    },
    /// A policy's file that is not of its member's evolution.
    #[error(
        "{} is not of the experiment, seed and generations that the study asks for ({difference}); evolve it again, or give the study another \
         folder of policies",
        path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What differs.
        difference: String,
    },
    /// Conditions in which weights cannot be followed.
    #[error("weights cannot be followed under {condition:?}: {problem}")]
    Weights {
        /// The condition.
        condition: String,
        /// Why.
        problem: &'static str,
    },
}

impl Study {
    /// Checks it in itself and against `suite`.
    ///
    /// # Errors
    /// [`StudyError`] names what is wrong.
    pub fn check(&self, suite: &Suite) -> Result<(), StudyError> {
        let groups: Vec<&str> = self.groups.iter().map(|group| group.name.as_str()).collect();
        let conditions: Vec<&str> = suite.conditions.iter().map(|condition| condition.name.as_str()).collect();
        let outcomes: Vec<&str> = self.outcomes.iter().map(|outcome| outcome.name.as_str()).collect();
        for name in groups.iter().copied().chain([self.name.as_str()]) {
            let fits = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
            if name.is_empty() || !name.chars().all(fits) {
                return Err(StudyError::Name(name.to_owned()));
            }
        }
        for group in &self.groups {
            let seeds = group.seeds.as_deref().unwrap_or(&self.seeds);
            if seeds.is_empty() {
                return Err(StudyError::Empty("seeds"));
            }
            once(seeds.iter().map(u64::to_string))?;
            let reserved = [("seed", "seeds"), ("evolution.generations", "generations")];
            if let Some((key, instead)) = reserved.into_iter().find(|(key, _)| group.set.contains_key(*key)) {
                return Err(StudyError::Reserved { group: group.name.clone(), key: key.to_owned(), instead });
            }
        }
        once(groups.iter().copied())?;
        // An outcome of a condition's name would hide it.
        once(conditions.iter().chain(&outcomes).copied())?;
        for outcome in &self.outcomes {
            if outcome.conditions.is_empty() {
                return Err(StudyError::Empty("conditions of an outcome"));
            }
            outcome.conditions.iter().try_for_each(|name| known("outcomes", &conditions, name))?;
        }
        let comparable: Vec<&str> = conditions.first().into_iter().chain(&outcomes).copied().collect();
        for comparison in &self.comparisons {
            known("comparisons", &groups, &comparison.group)?;
            known("comparisons", &groups, &comparison.baseline)?;
            known("comparisons", &comparable, &comparison.outcome)?;
        }
        once(self.comparisons.iter().map(|own| format!("{} – {} in {}", own.group, own.baseline, own.outcome)))?;
        for name in self.weights.iter().flat_map(|weights| [&weights.known, &weights.unknown]) {
            known("weights", &conditions, name)?;
            let of_legs = suite.conditions.iter().any(|condition| condition.name == *name && condition.each_leg.is_some());
            if of_legs {
                return Err(StudyError::Weights {
                    condition: name.clone(),
                    problem: "it is one for each leg; name a single one",
                });
            }
        }
        for claim in &self.claims {
            claim.groups().try_for_each(|name| known("claims", &groups, name))?;
            claim.condition().map_or(Ok(()), |name| known("claims", &conditions, name))?;
            claim.check()?;
            if let Some(name) = claim.outcome() {
                if conditions.first().is_some_and(|first| *first == name.as_str()) {
                    let known = outcomes.join(", ");
                    return Err(StudyError::FirstCondition { claim: claim.to_string(), condition: name.clone(), known });
                }
                known("claims", &outcomes, name)?;
            }
            let unmeasured = |needs| StudyError::Unmeasured { claim: claim.to_string(), needs };
            if claim.needs_weights() && self.weights.is_none() {
                return Err(unmeasured("`weights`".to_owned()));
            }
            for (group, baseline, outcome) in claim.comparisons(comparable.first().copied().unwrap_or_default()) {
                known("claims", &comparable, outcome)?;
                let is_it = |own: &Comparison| own.group == *group && own.baseline == *baseline && own.outcome == *outcome;
                if !self.comparisons.iter().any(is_it) {
                    let needs = format!("{{group: {group}, baseline: {baseline}, in: {outcome}}} among its comparisons");
                    return Err(unmeasured(needs));
                }
            }
        }
        Ok(())
    }

    /// All policies, seed after seed: when time runs out every group has as many.
    pub fn members(&self) -> impl Iterator<Item = Member<'_>> {
        let seeds = |group: &'_ StudyGroup| group.seeds.as_ref().unwrap_or(&self.seeds).len();
        let most = self.groups.iter().map(seeds).max().unwrap_or(0);
        let of_turn = move |turn: usize| {
            self.groups.iter().filter_map(move |group| {
                let seeds = group.seeds.as_ref().unwrap_or(&self.seeds);
                Some(Member { study: self, group, seed: *seeds.get(turn)? })
            })
        };
        (0..most).flat_map(of_turn)
    }
}

/// Refuses a name that stands twice.
fn once<T: Ord + ToString>(names: impl Iterator<Item = T>) -> Result<(), StudyError> {
    let mut names: Vec<T> = names.collect();
    names.sort();
    names.windows(2).find(|pair| pair[0] == pair[1]).map_or(Ok(()), |pair| Err(StudyError::Twice(pair[0].to_string())))
}

/// Refuses a name that is not among `known`.
fn known(place: &'static str, known: &[&str], name: &str) -> Result<(), StudyError> {
    if known.contains(&name) {
        return Ok(());
    }
    Err(StudyError::Unknown { place, name: name.to_owned(), known: known.join(", ") })
}

impl Member<'_> {
    /// Name of its policy.
    pub fn name(&self) -> String {
        format!("{}_{}_{}", self.study.name, self.group.name, self.seed)
    }

    /// Name of its policy's file.
    pub fn file_name(&self) -> String {
        format!("{}.safetensors", self.name())
    }

    /// Generations of its evolution.
    pub fn generations(&self) -> u64 {
        self.group.generations.unwrap_or(self.study.generations)
    }

    /// What its group sets, for its seed.
    pub fn changes(&self) -> Vec<Change> {
        let seed = self.seed.to_string();
        let change = |(key, value): (&String, &serde_yaml::Value)| {
            let value = value.as_str().map_or_else(|| value.clone(), |text| text.replace("{seed}", &seed).into());
            Change { key: key.clone(), value }
        };
        self.group.set.iter().map(change).collect()
    }

    /// Its experiment and robot; `folder` is that of the study's file.
    ///
    /// # Errors
    /// [`ExperimentError`] names the file, key or value.
    pub fn experiment(&self, folder: &Path) -> Result<(Experiment, Arc<RobotModel>), ExperimentError> {
        let (mut experiment, robot) = Experiment::load_changed(&folder.join(&self.group.experiment), &self.changes())?;
        experiment.seed = self.seed;
        experiment.evolution.generations = self.generations();
        Ok((experiment, robot))
    }

    /// Whether `file`, read from `path`, is of its evolution: of this `experiment` with `robot`.
    ///
    /// # Errors
    /// [`StudyError::Foreign`] says what differs.
    pub fn check_policy(
        &self,
        path: &Path,
        file: &PolicyFile,
        experiment: &Experiment,
        robot: &RobotModel,
    ) -> Result<(), StudyError> {
        let provenance = &file.metadata.provenance;
        let difference = if provenance.experiment_hash != experiment.hash(robot) {
            "another experiment or robot".to_owned()
        } else if provenance.seed != self.seed {
            format!("seed {} instead of {}", provenance.seed, self.seed)
        } else if provenance.generation != self.generations() && experiment.evolution.stop == StopCriteria::default() {
            format!("{} generations instead of {}", provenance.generation, self.generations())
        } else {
            return Ok(());
        };
        Err(StudyError::Foreign { path: path.into(), difference })
    }
}
