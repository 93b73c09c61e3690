//! Whether a robot is the one that a policy evolved on: a policy file keeps the ablation of no other.

use std::path::{Path, PathBuf};

use hebbian_locomotion::policy::PolicyFile;
use hebbian_locomotion::robot::{RobotError, RobotModel};

use crate::world::{WorldArguments, usual_robot_path};

/// Why the ablation on a robot is not kept in the policy's file.
#[derive(Debug, thiserror::Error)]
pub enum NotOwnRobot {
    /// It has another name.
    #[error("--save is for an ablation on the policy's own robot, `{own}`; this one is `{given}`")]
    Name {
        /// Name of the policy's robot.
        own: String,
        /// Name of the robot that was given.
        given: String,
    },
    /// It has the same name, as all variants of a robot may, but is not the one that is taken for the policy's own.
    #[error(
        "--save: {} is not what {} describes, which is taken for the policy's own robot, `{name}`, as a policy file names its robot and does not \
         describe it; give that one, or leave --save out",
        given.display(), own.display()
    )]
    Description {
        /// Name of both.
        name: String,
        /// Description that is taken for that of the policy's robot.
        own: PathBuf,
        /// Description that was given.
        given: PathBuf,
    },
    /// The description that is taken for that of the policy's robot is not usable.
    #[error("--save compares the robot with what is taken for the policy's own: {0}")]
    Own(#[from] RobotError),
}

/// Checks that `robot` is that of the policy `file`, which was read from `path`. No policy file holds its robot, so for the policy's own is taken the
/// one that evaluation takes if nobody names another, or else the one of its name beside what was given. Where there is neither, says so.
pub fn check(world: &WorldArguments, path: &Path, file: &PolicyFile, robot: &RobotModel) -> Result<(), NotOwnRobot> {
    let name = &file.metadata.robot.name;
    if robot.name != *name {
        return Err(NotOwnRobot::Name { own: name.clone(), given: robot.name.clone() });
    }
    let Some(given) = world.given_robot() else { return Ok(()) };
    let places = [usual_robot_path(path, file), given.with_file_name(format!("{name}.yaml"))];
    let Some(own) = places.iter().find(|place| place.exists()) else {
        let [usual, beside] = places.each_ref().map(|place| place.display());
        eprintln!(
            "warning  nothing says whether {} is the robot that the policy evolved on: there is neither {usual} nor {beside} to compare it with",
            given.display()
        );
        return Ok(());
    };
    if described(&RobotModel::load(own)?) != described(robot) {
        return Err(NotOwnRobot::Description { name: name.clone(), own: own.clone(), given: given.to_owned() });
    }
    Ok(())
}

/// All of `robot` that an episode depends on.
fn described(robot: &RobotModel) -> String {
    // Of the URDF all that counts is in the rest: its text has comments and colours as well. Debug prints every number exactly.
    format!("{:?}", RobotModel { urdf: String::new(), warnings: Vec::new(), locked: Vec::new(), ..robot.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_descriptions_that_differ_in_a_comment_of_the_urdf_are_one_robot_and_in_a_mass_two() {
        let (folder, shipped) = (tempfile::tempdir().unwrap(), Path::new(env!("CARGO_MANIFEST_DIR")).join("config/robots"));
        let [yaml, urdf] = ["beetle.yaml", "beetle.urdf"].map(|name| folder.path().join(name));
        std::fs::copy(shipped.join("beetle.yaml"), &yaml).unwrap();
        let text = std::fs::read_to_string(shipped.join("beetle.urdf")).unwrap();
        let described_by = |text: &str| {
            std::fs::write(&urdf, text).unwrap();
            described(&RobotModel::load(&yaml).unwrap())
        };
        let own = described_by(&text);
        for (from, to, is_same) in [
            ("<robot name", "<!-- Weighed again. -->\n<robot name", true),
            ("<mass value=\"0.793\"/>", "<mass value=\"0.794\"/>", false),
        ] {
            assert_eq!(text.matches(from).count(), 1);
            assert!((described_by(&text.replace(from, to)) == own) == is_same, "{to}");
        }
    }
}
