//! The shipped robots stand, from their YAML and from their URDF alone.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::{hebb, repository};
use hebbian_locomotion::bringup::{draft, stand, to_yaml};
use hebbian_locomotion::episode::{Episode, EpisodeSettings};
use hebbian_locomotion::evolution::{Experiment, Search};
use hebbian_locomotion::robot::{RobotModel, RobotWarning};
use hebbian_locomotion::simulation::{Mount, SimulationSettings};

fn shipped(extension: &str) -> Vec<PathBuf> {
    let files = std::fs::read_dir(repository("config/robots")).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|found| found == extension)).collect();
    files.sort();
    assert!(files.len() >= 7, "{files:?}");
    files
}

#[test]
fn every_shipped_robot_stands_at_training_and_reference_rates() {
    for path in shipped("yaml") {
        for physics_rate in [100.0, 1000.0] {
            let robot = Arc::new(RobotModel::load(&path).unwrap());
            let others: &[RobotWarning] = match &robot.warnings[..] {
                // An ant's motors are slower than their 30 N m would make them: 4 rad/s * 3 N m s/rad.
                [RobotWarning::EffortOutOfReach { reached: 12.0, effort_limit: 30.0, others, .. }] if robot.name == "ant" => {
                    assert_eq!(others.len(), 7, "{others:?}");
                    &[]
                }
                others => others,
            };
            assert_eq!(others, [], "{}", path.display());
            let report = stand(robot, SimulationSettings { physics_rate, ..Default::default() }).unwrap();
            assert!(report.stands(), "{} at {physics_rate} Hz: {:?} {report:?}", path.display(), report.problems());
        }
    }
}

#[test]
fn a_motor_that_its_speed_limit_leaves_too_little_torque_is_said_to_give_all_that_it_has() {
    let mut robot = RobotModel::load(&repository("config/robots/ant.yaml")).unwrap();
    // In the air a foot pulls with 0.12 N m; of 30 N m, 0.014 rad/s * (3 N m s/rad + 60 N m/rad * 0.01 s) = 0.05 N m are left.
    robot.set_velocity_limit(0.014).unwrap();
    assert!(
        matches!(&robot.warnings[..], [RobotWarning::EffortOutOfReach { reached, .. }] if (reached - 0.042).abs() < 1e-6),
        "{:?}",
        robot.warnings
    );
    let report = stand(Arc::new(robot), SimulationSettings { mount: Mount::Suspended, ..Default::default() }).unwrap();
    let is_said = report.problems().iter().any(|problem| problem.contains("gives all the torque that it has"));
    assert!(is_said && report.hardest.starts_with("ankle"), "{report:?}");
}

#[test]
fn every_shipped_urdf_stands_with_the_description_that_is_drafted_for_it() {
    for path in shipped("urdf") {
        let known = RobotModel::load(&path.with_extension("yaml")).unwrap();
        let made = draft(std::fs::read_to_string(&path).unwrap(), &path, &[], SimulationSettings::default()).unwrap();
        assert!(made.report.stands() && made.lies_on.is_empty(), "{}: {:?} {:?}", path.display(), made.lies_on, made.report);
        let mut found: Vec<&str> = made.robot.foot_names().collect();
        found.sort_unstable();
        // A foot that the damage took off the ground is no foot any more.
        let damaged = path.to_string_lossy().contains("damaged");
        let feet: Vec<&str> = known.foot_names().filter(|foot| !damaged || found.contains(foot)).collect();
        assert!(found == feet && feet.len() >= 3, "{}: {found:?}", path.display());
        assert_eq!(made.robot.joints.len(), known.joints.len());
        assert_eq!(made.description.imu_link.as_deref(), Some("imu_link"));
    }
}

#[test]
fn a_drafted_pose_stays_within_limits_that_have_more_digits() {
    let path = repository("config/robots/ant.urdf");
    let text = std::fs::read_to_string(&path).unwrap();
    // All of it rounds to 0.524.
    let narrow = text.replace("lower=\"0.5236\" upper=\"1.7453\"", "lower=\"0.5242\" upper=\"0.5244\"");
    assert_ne!(narrow, text);
    let made = draft(narrow, &path, &[], SimulationSettings::default()).unwrap();
    for ankle in ["ankle1", "ankle2", "ankle3", "ankle4"] {
        let position = made.description.nominal_pose[ankle];
        assert!((0.5242..=0.5244).contains(&position), "{ankle}: {position}");
    }
}

#[test]
fn gecko_and_ant_see_and_move_what_is_published() {
    for (name, inputs, outputs, mass) in [("gecko", 51, 16, 1.369), ("ant", 28, 8, 0.911)] {
        let (experiment, robot) = Experiment::load(&repository(&format!("config/experiments/{name}.yaml"))).unwrap();
        assert!((robot.mass() - mass).abs() < 2e-3, "{name} weighs {} kg", robot.mass());
        let file = Search::new(Arc::new(experiment), &robot).unwrap().policy();
        let layers = file.metadata.network.layers();
        assert_eq!((layers.inputs(), layers.outputs()), (inputs, outputs), "{name}");
        let settings = EpisodeSettings { duration: 1.0, ..Default::default() };
        Episode::new(robot, settings).unwrap().check(&file.policy().unwrap(), 50.0).unwrap();
    }
}

fn run(arguments: &[&str]) -> (bool, String) {
    let output = hebb(arguments);
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr))
}

#[test]
fn init_check_export_and_drive_work_from_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    std::fs::copy(repository("config/robots/gecko.urdf"), file("mine.urdf")).unwrap();
    let (fine, text) = run(&["robot", "init", &file("mine.urdf")]);
    assert!(fine && text.contains("16 joints, feet lf_foot lh_foot rf_foot rh_foot"), "{text}");
    let (fine, text) = run(&["robot", "init", &file("mine.urdf")]);
    assert!(!fine && text.contains("--force"), "what a person wrote would be lost: {text}");
    let (fine, text) = run(&["robot", "check", &file("mine.yaml"), "--json", &file("check.json")]);
    assert!(fine && text.contains("4 of 4 on the ground"), "{text}");
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(file("check.json")).unwrap()).unwrap();
    assert_eq!((report["stands"].as_bool(), report["feet"].as_u64()), (Some(true), Some(4)));

    // As long as it is, but far too weak: its joints' limits hold it.
    let weak = std::fs::read_to_string(file("mine.yaml")).unwrap().replace("actuator:\n", "actuator:\n  effort_limit: 0.02\n");
    std::fs::write(file("weak.yaml"), weak).unwrap();
    let (fine, text) = run(&["robot", "check", &file("weak.yaml")]);
    assert!(!fine && text.contains("does not stand"), "{text}");

    let (fine, text) = run(&["robot", "export", &file("mine.yaml"), "--mjcf", &file("mine.xml")]);
    assert!(fine, "{text}");
    let model = std::fs::read_to_string(file("mine.xml")).unwrap();
    assert_eq!((model.matches("<joint ").count(), model.matches("<position ").count()), (16, 16));
    let (fine, text) = run(&["robot", "drive", &file("mine.yaml"), &file("none.safetensors"), &file("out.safetensors")]);
    assert!(!fine && text.contains("not usable"), "{text}");
}

#[test]
fn who_evolves_or_evaluates_hears_once_and_beside_the_results_of_motors_that_do_not_reach_their_effort_limit() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let shipped = |name: &str| repository("config").join(name).to_string_lossy().into_owned();
    let (run, policy, copy, suite) = (file("run"), file("run/policy.safetensors"), file("copy.safetensors"), file("suite.yaml"));
    let (experiment, ant, beetle) =
        (shipped("experiments/ant.yaml"), shipped("robots/ant.yaml"), shipped("policies/beetle.safetensors"));
    let times_said = |arguments: &[&str]| {
        let output = hebb(arguments);
        let [out, error] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        assert!(output.status.success() && !out.contains("robot `ant`"), "{out}\n{error}");
        error.matches("warning  robot `ant`: the motor of `").count()
    };
    let small = ["evolution.population=4", "episode.duration=0.5", "fitness.from=0.1"].map(|change| ["--set", change]);
    let evolve: [&str; 8] = ["evolve", &experiment, "--out", &run, "--generations", "2", "--ablation", "1"];
    assert_eq!(times_said(&[&evolve[..], small.as_flattened()].concat()), 1);
    assert_eq!(times_said(&["evaluate", &policy, "--robot", &ant, "--duration", "0.5", "--episodes", "3"]), 1);
    // Several policies of one robot.
    std::fs::copy(&policy, &copy).unwrap();
    let conditions = "[{name: flat}, {name: slope, terrain: {slope: 0.1}}]";
    std::fs::write(&suite, format!("{{episodes: 3, duration: 0.4, conditions: {conditions}}}")).unwrap();
    assert_eq!(times_said(&["evaluate", &policy, &copy, "--robot", &ant, "--suite", &suite]), 1);
    // Nothing is wrong with its robot.
    let output = hebb(["evaluate", beetle.as_str(), "--duration", "0.5", "--episodes", "1"]);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn a_mesh_of_an_installed_package_is_found_from_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    std::fs::create_dir_all(file("ros/share/legs")).unwrap();
    let corners = "v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 -1\nf 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n";
    std::fs::write(file("ros/share/legs/foot.obj"), corners).unwrap();
    let inertial = "<inertial><mass value='1'/></inertial>";
    let mesh = "<collision><geometry><mesh filename='package://legs/foot.obj'/></geometry></collision>";
    let links = format!("<link name='base'>{inertial}</link><link name='foot'>{inertial}{mesh}</link>");
    let limit = "<axis xyz='0 1 0'/><limit lower='-1' upper='1' effort='9' velocity='9'/>";
    let joint = format!("<joint name='hip' type='revolute'><parent link='base'/><child link='foot'/>{limit}</joint>");
    std::fs::write(file("leg.urdf"), format!("<robot name='leg'>{links}{joint}</robot>")).unwrap();
    let yaml = "{name: leg, urdf: leg.urdf, base_link: base, joints: [hip], feet: [foot], actuator: {stiffness: 40, damping: 2}}";
    std::fs::write(file("leg.yaml"), yaml).unwrap();
    let export = |prefixes: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_hebb"));
        command.args(["robot", "export"]).arg(file("leg.yaml")).arg("--mjcf").arg(file("leg.xml"));
        let output = command.env("AMENT_PREFIX_PATH", prefixes).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for none in ["", "/nowhere"] {
        let (fine, said) = export(none);
        assert!(!fine && said.contains("no such file") && said.contains("AMENT_PREFIX_PATH"), "{none}: {said}");
    }
    let (fine, said) = export(&format!("/nowhere:{}", file("ros").display()));
    assert!(fine, "{said}");
}

#[test]
fn a_drafted_description_reads_back_as_it_was_made() {
    let path = repository("config/robots/beetle.urdf");
    let made = draft(std::fs::read_to_string(&path).unwrap(), &path, &[], SimulationSettings::default()).unwrap();
    let read = serde_yaml::from_str(&to_yaml(&made.description)).unwrap();
    assert_eq!(made.description, read);
    assert_eq!(made.description.urdf, Path::new("beetle.urdf"));
}
