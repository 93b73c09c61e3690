//! Running what a suite still lacks, on all threads.

use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::description::{Condition, Suite, SuiteError};
use super::records::{Record, Records, RecordsError};
use crate::episode::{EPISODE_VERSION, Episode, EpisodeError, FIRST_EPISODE_VERSION, Fitness};
use crate::evidence::held_out_seeds;
use crate::evidence::trial::finite;
use crate::plasticity::{Gate, Instructions};
use crate::policy::{MapError, Policy, PolicyFile};
use crate::robot::RobotModel;

/// A policy that takes part in a suite.
pub struct Entrant {
    /// Name in tables.
    pub name: String,
    /// The policy.
    pub file: PolicyFile,
    /// SHA-256 of its file.
    pub sha256: String,
    /// The robot that it drives.
    pub robot: Arc<RobotModel>,
}

/// An entrant under a condition, ready to run.
struct Pairing<'a> {
    entrant: &'a Entrant,
    condition: Condition,
    setting: String,
    policy: Policy,
    episode: Episode,
}

/// Why a suite cannot be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SuiteRunError {
    /// The suite contradicts itself, or does not fit a robot.
    #[error(transparent)]
    Suite(#[from] SuiteError),
    /// A policy is not consistent.
    #[error("{policy}: {source}")]
    Policy {
        /// Its name in tables.
        policy: String,
        /// What is wrong with it.
        source: Box<MapError>,
    },
    /// A policy does not fit its robot, or cannot be run under a condition.
    #[error("{policy} under {condition:?}: {source}")]
    Episode {
        /// Name of the policy.
        policy: String,
        /// Name of the condition.
        condition: String,
        /// Why.
        source: Box<EpisodeError>,
    },
    /// An episode cannot be kept.
    #[error(transparent)]
    Records(#[from] RecordsError),
}

impl Entrant {
    /// Names the whole setting of an episode except its seed: policy, robot and world.
    pub(in crate::evidence) fn setting(&self, condition: &Condition) -> String {
        self.setting_on(condition, Instructions::detect().is_fused())
    }

    /// The same on machines with fused multiply-add, or on others: there, the same episodes come to other bits.
    fn setting_on(&self, condition: &Condition, is_fused: bool) -> String {
        let mut hash = Sha256::new();
        // Neither what is said of a robot nor the names of what is welded changes an episode.
        let robot = RobotModel { warnings: Vec::new(), locked: Vec::new(), ..RobotModel::clone(&self.robot) };
        // Debug prints every number of robot and world exactly.
        for part in [&self.sha256, &format!("{robot:?}"), &format!("{:?}", condition.settings)] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        if EPISODE_VERSION != FIRST_EPISODE_VERSION {
            hash.update(EPISODE_VERSION.to_le_bytes());
        }
        // What says nothing is of machines with it, as all records of before are taken to be.
        if !is_fused {
            hash.update(b"unfused");
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Runs every episode of `suite` that `records` lack, on the threads of the present rayon pool. `begin` hears how many these are
/// before the first, `done` of each that has ended. Nothing is run when any policy or condition does not fit its robot.
///
/// # Errors
/// [`SuiteRunError`] names the first policy or condition that does not fit, or record that cannot be written.
pub fn run_suite(
    suite: &Suite,
    entrants: &[Entrant],
    records: &mut Records,
    begin: impl FnOnce(usize),
    done: impl Fn() + Sync,
) -> Result<(), SuiteRunError> {
    let mut pairings = Vec::new();
    for entrant in entrants {
        for condition in suite.conditions(&entrant.robot, entrant.file.metadata.control_rate)? {
            let (name, under) = (&entrant.name, &condition.name);
            let unfit =
                |source| SuiteRunError::Episode { policy: name.clone(), condition: under.clone(), source: Box::new(source) };
            let inconsistent = |source| SuiteRunError::Policy { policy: name.clone(), source: Box::new(source) };
            let episode = Episode::new(entrant.robot.clone(), condition.settings.clone()).map_err(unfit)?;
            let policy = entrant.file.policy().map_err(inconsistent)?;
            episode.check(&policy, entrant.file.metadata.control_rate).map_err(unfit)?;
            let setting = entrant.setting(&condition);
            pairings.push(Pairing { entrant, condition, setting, policy, episode });
        }
    }
    let seeds = held_out_seeds(suite.seed, suite.episodes);
    let jobs = pairings.iter().flat_map(|pairing| seeds.iter().map(move |&seed| (pairing, seed)));
    let jobs: Vec<_> = jobs.filter(|(pairing, seed)| records.get(&pairing.setting, *seed).is_none()).collect();
    begin(jobs.len());
    let records = Mutex::new(records);
    jobs.into_par_iter().try_for_each(|(pairing, seed)| {
        let (mut episode, mut policy) = (pairing.episode.clone(), pairing.policy.clone());
        let result = episode.run(&mut policy, seed, &Fitness::default(), |_| Gate::OPEN, |_| ());
        let (policy, condition) = (pairing.entrant.name.clone(), pairing.condition.name.clone());
        let record = Record { policy, condition, setting: pairing.setting.clone(), seed, result: finite(result) };
        records.lock().unwrap_or_else(PoisonError::into_inner).add(record)?;
        done();
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::robot::RobotWarning;

    #[test]
    fn another_warning_on_a_robot_has_no_episode_run_again_and_another_mass_has() {
        let path = |name: &str| std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(name);
        let (file, sha256) = PolicyFile::load(&path("policies/beetle.safetensors")).unwrap();
        let robot = RobotModel::load(&path("robots/beetle.yaml")).unwrap();
        let suite: Suite = crate::config::read_yaml(&path("suites/robustness.yaml")).unwrap();
        let condition = suite.conditions(&robot, 50.0).unwrap().remove(0);
        let mut entrant = Entrant { name: "walk".to_owned(), file, sha256, robot: Arc::new(robot.clone()) };
        let known = entrant.setting(&condition);
        let mut other = robot;
        other.warnings.push(RobotWarning::RangeAssumed { joint: "CF1".to_owned() });
        entrant.robot = Arc::new(other.clone());
        assert_eq!(entrant.setting(&condition), known);
        other.bodies[0].mass *= 1.01;
        entrant.robot = Arc::new(other);
        assert_ne!(entrant.setting(&condition), known);
    }

    #[test]
    fn episodes_of_machines_with_and_without_fused_multiply_add_are_not_taken_for_each_other() {
        let path = |name: &str| std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(name);
        let (file, sha256) = PolicyFile::load(&path("policies/beetle.safetensors")).unwrap();
        let robot = Arc::new(RobotModel::load(&path("robots/beetle.yaml")).unwrap());
        let suite: Suite = crate::config::read_yaml(&path("suites/robustness.yaml")).unwrap();
        let condition = suite.conditions(&robot, 50.0).unwrap().remove(0);
        let entrant = Entrant { name: "walk".to_owned(), file, sha256, robot };
        let [fused, unfused] = [true, false].map(|is_fused| entrant.setting_on(&condition, is_fused));
        assert_ne!(fused, unfused);
        assert_eq!(entrant.setting(&condition), if Instructions::detect().is_fused() { fused } else { unfused });
    }
}
