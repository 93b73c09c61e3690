//! What the path of the weights is compared with: the weights of undisturbed episodes, in their own first principal components.

use std::path::Path;
use std::sync::Arc;

use super::board::Frame;
use super::protocol::reference_frame;
use crate::episode::{Episode, EpisodeError, EpisodeSettings, Fitness};
use crate::plasticity::{Gate, Subspace, SubspaceError};
use crate::policy::{MapError, PolicyFile, PolicyFileError};
use crate::robot::{RobotError, RobotModel};
use crate::simulation::{SimulationSettings, StartNoise};

/// Components that a page can draw.
const COMPONENTS: u8 = 3;
/// Episodes that make the cloud: from as many start poses and initial weights.
const EPISODES: u64 = 6;
/// Length of an episode \[s\], and how much of its beginning is left out: there the weights only come in from where they were drawn.
const DURATION: f32 = 8.0;
const SETTLING: f32 = 2.0;
/// Samples that the components are fitted to; the cost grows with their cube.
const FITTED: usize = 240;

/// Why there is no reference.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReferenceError {
    /// The policy file is not usable.
    #[error(transparent)]
    File(#[from] PolicyFileError),
    /// The policy is not consistent.
    #[error(transparent)]
    Policy(#[from] MapError),
    /// The robot description is not usable.
    #[error(transparent)]
    Robot(#[from] RobotError),
    /// The policy does not fit the robot.
    #[error(transparent)]
    Episode(#[from] EpisodeError),
    /// The weights do not move in three directions.
    #[error(transparent)]
    Subspace(#[from] SubspaceError),
}

/// The weights of undisturbed episodes on flat ground.
#[derive(Clone, Debug)]
pub struct WeightReference {
    policy_hash: String,
    subspace: Subspace,
    /// \[points, components\]
    points: Vec<f32>,
}

impl WeightReference {
    /// Simulates episodes of the policy file `policy` with the robot description `robot` and finds the three directions in which
    /// their weights move most. Takes seconds; the result depends on nothing but the two files.
    ///
    /// # Errors
    /// [`ReferenceError`] when the files are not usable or do not fit each other, or the weights do not move.
    pub fn simulate(policy: &Path, robot: &Path) -> Result<Self, ReferenceError> {
        let (file, policy_hash) = PolicyFile::load(policy)?;
        let mut policy = file.policy()?;
        let control_rate = file.metadata.control_rate;
        let simulation = SimulationSettings { control_rate, ..SimulationSettings::default() }.with_fitting_physics_rate();
        let settings = EpisodeSettings { duration: DURATION, start_noise: StartNoise::default(), simulation, damage: Vec::new() };
        let mut episode = Episode::new(Arc::new(RobotModel::load(robot)?), settings)?;
        episode.check(&policy, control_rate)?;

        let settled = (SETTLING * control_rate) as u32;
        let mut samples = Vec::new();
        for seed in 0..EPISODES {
            episode.run(
                &mut policy,
                seed,
                &Fitness::default(),
                |_| Gate::OPEN,
                |view| {
                    if let (true, Some(network)) = (view.step >= settled, view.policy.network().plastic()) {
                        let mut weights = vec![0.0; network.shape().synapses()];
                        network.copy_weights(&mut weights);
                        samples.push(weights);
                    }
                },
            );
        }
        let every = samples.len().div_ceil(FITTED).max(1);
        let fitted: Vec<&Vec<f32>> = samples.iter().step_by(every).collect();
        let subspace = Subspace::fit(&fitted, usize::from(COMPONENTS))?;
        let points = samples.iter().flat_map(|sample| project(&subspace, sample)).collect();
        Ok(Self { policy_hash, subspace, points })
    }

    /// SHA-256 of the policy file.
    pub fn policy_hash(&self) -> &str {
        &self.policy_hash
    }

    /// As a frame.
    pub fn frame(&self) -> Frame {
        Frame::Binary(reference_frame(COMPONENTS, self.subspace.mean(), self.subspace.basis(), &self.points).into())
    }
}

fn project(subspace: &Subspace, sample: &[f32]) -> Vec<f32> {
    let along = |row: &[f32]| row.iter().zip(sample).zip(subspace.mean()).map(|((b, w), m)| b * (w - m)).sum();
    subspace.basis().chunks_exact(subspace.synapses()).map(along).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_policys_weights_are_a_cloud_around_their_mean() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
        let simulate =
            || WeightReference::simulate(&root.join("policies/beetle.safetensors"), &root.join("robots/beetle.yaml")).unwrap();
        let reference = simulate();
        let points = reference.points.len() / usize::from(COMPONENTS);
        assert_eq!(points, (EPISODES * 300) as usize);
        let mean = |component| reference.points.iter().skip(component).step_by(3).sum::<f32>() / points as f32;
        let spread = |component| {
            let squares: f32 = reference.points.iter().skip(component).step_by(3).map(|value| value * value).sum();
            (squares / points as f32).sqrt()
        };
        assert!((0..3).all(|component| mean(component).abs() < 0.1 * spread(0)));
        assert!(spread(0) > spread(1) && spread(1) > spread(2) && spread(2) > 0.0);
        assert_eq!(reference.frame(), simulate().frame());
    }

    #[test]
    fn a_policy_whose_rate_does_not_divide_that_of_the_physics_has_one_too() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
        let (mut file, _) = PolicyFile::load(&root.join("policies/beetle.safetensors")).unwrap();
        file.metadata.control_rate = 40.0;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("slow.safetensors");
        file.save(&path).unwrap();
        let reference = WeightReference::simulate(&path, &root.join("robots/beetle.yaml")).unwrap();
        assert_eq!(reference.points.len(), (EPISODES * 240) as usize * usize::from(COMPONENTS));
    }
}
