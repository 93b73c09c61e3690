//! Robots whose URDF begins with a link that only marks a place, as `base_footprint` does, and whose base hangs on it by fixed joints.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;
use std::sync::Arc;

use common::repository;
use hebbian_locomotion::bringup::{draft, to_yaml};
use hebbian_locomotion::config::Change;
use hebbian_locomotion::episode::{Episode, EpisodeSettings, Fitness};
use hebbian_locomotion::evolution::{Experiment, Search};
use hebbian_locomotion::plasticity::Gate;
use hebbian_locomotion::robot::{Outline, RobotModel, RobotWarning};
use hebbian_locomotion::simulation::{SimulationSettings, StartNoise};

fn fixed(parent: &str, child: &str, xyz: &str) -> String {
    let links = format!("<parent link='{parent}'/><child link='{child}'/><origin xyz='{xyz}'/>");
    format!("<joint name='{child}_joint' type='fixed'>{links}</joint>")
}

fn mass(kg: f32) -> String {
    format!("<inertial><mass value='{kg}'/><inertia ixx='1e-3' iyy='1e-3' izz='1e-3' ixy='0' ixz='0' iyz='0'/></inertial>")
}

/// A box of 2 kg on four legs of 0.1 kg that turn at its corners, 0.32 m over the link `base_footprint`, which has `content`.
fn table(content: &str) -> String {
    let shape = "<collision><geometry><box size='0.4 0.3 0.05'/></geometry></collision>";
    let top = format!("<link name='base'>{}{shape}</link>", mass(2.0));
    let leg = |(number, xyz): (usize, &str)| {
        let shape = "<collision><origin xyz='0 0 -0.3'/><geometry><sphere radius='0.02'/></geometry></collision>";
        let links = format!("<parent link='base'/><child link='foot{number}'/><origin xyz='{xyz}'/><axis xyz='0 1 0'/>");
        let limit = "<limit lower='-1.5' upper='1.5' effort='5' velocity='20'/>";
        let joint = format!("<joint name='leg{number}' type='revolute'>{links}{limit}</joint>");
        format!("<link name='foot{number}'>{}{shape}</link>{joint}", mass(0.1))
    };
    let corners = ["0.2 0.15 0", "-0.2 0.15 0", "-0.2 -0.15 0", "0.2 -0.15 0"];
    let legs: String = corners.into_iter().enumerate().map(leg).collect();
    let root = format!("<link name='base_footprint'>{content}</link>{}", fixed("base_footprint", "base", "0.1 0 0.32"));
    format!("<robot name='table'>{root}{top}{legs}</robot>")
}

fn load(urdf: &str, base: &str) -> RobotModel {
    let yaml = format!(
        "{{name: table, urdf: x, base_link: {base}, joints: [leg0, leg1, leg2, leg3], feet: [foot0, foot1, foot2, foot3], \
         actuator: {{stiffness: 40, damping: 2}}}}"
    );
    RobotModel::from_parts(&serde_yaml::from_str(&yaml).unwrap(), urdf.to_owned(), Path::new("table.urdf")).unwrap()
}

#[test]
fn a_robot_on_a_footprint_is_drafted_and_has_not_fallen_while_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    let (urdf, yaml) = (folder.path().join("table.urdf"), folder.path().join("table.yaml"));
    std::fs::write(&urdf, table("")).unwrap();
    let made = draft(table(""), &urdf, &[], SimulationSettings::default()).unwrap();
    assert_eq!(made.description.base_link, "base");
    assert!(made.report.stands() && made.lies_on.is_empty(), "{:?}: {:?}", made.report.problems(), made.report);
    assert!((made.report.start_height - 0.32).abs() < 1e-3, "{} m", made.report.start_height);
    std::fs::write(&yaml, to_yaml(&made.description)).unwrap();

    // A network of zeros holds the nominal pose.
    let changes = [format!("robot={}", yaml.display()), "policy.network={feed_forward: {layers: [15, 8, 4]}}".to_owned()];
    let changes: [Change; 2] = changes.map(|change| change.parse().unwrap());
    let (experiment, robot) = Experiment::load_changed(&repository("config/experiments/gecko.yaml"), &changes).unwrap();
    let mut file = Search::new(Arc::new(experiment), &robot).unwrap().policy();
    file.genome.fill(0.0);
    let start_noise = StartNoise { position: 0.0, velocity: 0.0 };
    let settings = EpisodeSettings { duration: 1.0, start_noise, ..EpisodeSettings::default() };
    let (mut episode, mut policy) = (Episode::new(robot, settings).unwrap(), file.policy().unwrap());
    let result = episode.run(&mut policy, 1, &Fitness::default(), |_| Gate::OPEN, |_| ());
    assert!(!result.fell, "{result:?}");
}

#[test]
fn masses_and_shapes_above_the_base_link_count_to_its_body() {
    let ball = mass(1.0) + "<collision><geometry><sphere radius='0.01'/></geometry></collision>";
    let (robot, alone) = (load(&table(&ball), "base"), load(&table(""), "base"));
    assert_eq!((robot.bodies[0].name.as_str(), robot.base_link.as_str()), ("base", "base"));
    assert!((robot.mass() - 3.4).abs() < 1e-5 && (alone.mass() - 2.4).abs() < 1e-5, "{} kg, {} kg", robot.mass(), alone.mass());
    assert_eq!((robot.bodies[0].shapes.len(), alone.bodies[0].shapes.len()), (2, 1));
    let [x, y, z]: [f32; 3] = robot.bodies[0].centre_of_mass.into();
    assert!((x + 0.1 / 3.0).abs() < 1e-6 && y.abs() < 1e-6 && (z + 0.32 / 3.0).abs() < 1e-6, "{x} {y} {z}");
    // The joints are where they would be without the footprint.
    assert!((robot.joints[0].origin.translation.vector - alone.joints[0].origin.translation.vector).norm() < 1e-6);
    assert_eq!(Outline::of(&table(&ball), Path::new("table.urdf")).unwrap().base_link, "base_footprint", "it is not empty");
}

#[test]
fn a_base_link_on_the_ground_is_warned_of() {
    let low = |base: &str| {
        let is_that = |warning: &RobotWarning| matches!(warning, RobotWarning::LowBase { height, .. } if height.abs() < 1e-3);
        load(&table(""), base).warnings.iter().any(is_that)
    };
    assert!(low("base_footprint") && !low("base"));
}

#[test]
fn a_floating_joint_may_be_above_the_footprint_and_a_ring_of_fixed_ones_is_refused() {
    let links = "<parent link='world'/><child link='base_footprint'/>";
    let world = format!("<link name='world'/><joint name='free' type='floating'>{links}</joint>");
    let floating = table("").replacen("<robot name='table'>", &format!("<robot name='table'>{world}"), 1);
    assert_eq!(Outline::of(&floating, Path::new("table.urdf")).unwrap().base_link, "base");
    assert_eq!(load(&floating, "base").bodies.len(), 5);

    let ring = table("").replacen("</robot>", &(fixed("foot0", "base_footprint", "0 0 0") + "</robot>"), 1);
    let description = "{name: table, urdf: x, base_link: base, joints: [leg0, leg1, leg2, leg3], feet: [foot0], \
                       actuator: {stiffness: 40, damping: 2}}";
    let error = RobotModel::from_parts(&serde_yaml::from_str(description).unwrap(), ring, Path::new("table.urdf")).unwrap_err();
    assert!(error.to_string().contains("base link `base`: is not the root of the URDF"), "{error}");
}
