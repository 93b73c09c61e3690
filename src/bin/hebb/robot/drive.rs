//! `hebb robot drive`: recorded joint targets, simulated. To compare with a real robot or another simulator that got the same ones.
//!
//! Targets and results are safetensors files of f32 with one row per control step:
//!
//! | tensor | shape | |
//! |---|---|---|
//! | `targets` | \[steps, joints\] | read: joint targets in the order of the description \[rad\] |
//! | `joint_position` | \[steps, joints\] | written: after each step \[rad\] |
//! | `joint_velocity` | \[steps, joints\] | written \[rad/s\] |
//! | `foot_force` | \[steps, feet\] | written \[N\] |
//! | `base` | \[steps, 7\] | written: position \[m\], then orientation x y z w |

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hebbian_locomotion::durable::write_durably;
use hebbian_locomotion::robot::{RobotModel, RobotState};
use hebbian_locomotion::simulation::{Mount, SimulationSettings, World};
use hebbian_locomotion::tensors::{f32_bytes, f32_values};
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};

use crate::Failure;
use crate::output::{holds_tensors, refuse_loss, say_written};

#[derive(clap::Args)]
pub struct Arguments {
    /// Robot description (YAML).
    robot: PathBuf,
    /// File with the tensor `targets`, one row per control step (.safetensors).
    targets: PathBuf,
    /// File to write (.safetensors).
    out: PathBuf,
    /// Physics steps per second.
    #[arg(long, default_value_t = 100.0)]
    physics_rate: f32,
    /// Control steps per second: rows of the targets.
    #[arg(long, default_value_t = 50.0)]
    control_rate: f32,
    /// Hold the base so that no foot reaches the ground.
    #[arg(long)]
    suspended: bool,
    /// Replace the file to write whatever it holds, and not only what this command wrote.
    #[arg(long)]
    force: bool,
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let Arguments { physics_rate, control_rate, suspended, force, .. } = *arguments;
    if !force {
        let is_own = |path: &Path| holds_tensors(path, &["joint_position", "joint_velocity", "foot_force", "base"], &[]);
        refuse_loss(&arguments.out, &[&arguments.robot, &arguments.targets], "what `hebb robot drive` wrote", is_own)?;
    }
    let robot = Arc::new(RobotModel::load(&arguments.robot)?);
    let targets = load_targets(&arguments.targets, robot.joints.len())
        .map_err(|problem| format!("the targets {} are not usable: {problem}", arguments.targets.display()))?;
    let mount = if suspended { Mount::Suspended } else { Mount::Free };
    let mut world = World::new(robot.clone(), SimulationSettings { physics_rate, control_rate, mount, ..Default::default() })?;
    let mut state = RobotState::at_rest(robot.joints.len(), robot.feet.len());
    let (mut positions, mut velocities, mut forces, mut bases) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for row in targets.chunks_exact(robot.joints.len()) {
        world.set_targets(row);
        world.control_step();
        world.sense(&mut state);
        let base = world.base();
        let q = base.orientation;
        positions.extend_from_slice(&state.joint_position);
        velocities.extend_from_slice(&state.joint_velocity);
        forces.extend_from_slice(&state.foot_force);
        bases.extend(base.position.into_iter().chain([q.x, q.y, q.z, q.w]));
    }
    let steps = bases.len() / 7;
    let (joints, feet) = (robot.joints.len(), robot.feet.len());
    let tensors = [
        ("joint_position", joints, positions),
        ("joint_velocity", joints, velocities),
        ("foot_force", feet, forces),
        ("base", 7, bases),
    ];
    let tensors = tensors.map(|(name, width, values)| (name, vec![steps, width], f32_bytes(&values)));
    let views = tensors.iter().map(|(name, shape, data)| Ok((*name, TensorView::new(Dtype::F32, shape.clone(), data)?)));
    let views = views.collect::<Result<Vec<_>, safetensors::SafeTensorError>>()?;
    write_durably(&arguments.out, &serialize(views, None)?)?;
    say_written(&arguments.out, &format!("{steps} control steps, in {}", arguments.out.display()));
    Ok(())
}

fn load_targets(path: &PathBuf, joints: usize) -> Result<Vec<f32>, Failure> {
    let bytes = std::fs::read(path)?;
    let tensors = SafeTensors::deserialize(&bytes)?;
    let tensor = tensors.tensor("targets")?;
    if tensor.dtype() != Dtype::F32 || tensor.shape().len() != 2 || tensor.shape()[1] != joints {
        let (kind, shape) = (tensor.dtype(), tensor.shape());
        return Err(format!("the tensor `targets` is {kind:?} {shape:?}; this robot needs F32 [steps, {joints}]").into());
    }
    Ok(f32_values(tensor.data()))
}
