//! Robot descriptions that cannot be used are refused, and the message names what is wrong.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;

use common::repository;
use hebbian_locomotion::config::read_yaml;
use hebbian_locomotion::robot::{RobotDescription, RobotModel};

fn refusal(edit_yaml: impl Fn(String) -> String, edit_urdf: impl Fn(String) -> String) -> String {
    let folder = tempfile::tempdir().unwrap();
    let read = |name: &str| std::fs::read_to_string(repository("config/robots").join(name)).unwrap();
    std::fs::write(folder.path().join("beetle.yaml"), edit_yaml(read("beetle.yaml"))).unwrap();
    std::fs::write(folder.path().join("beetle.urdf"), edit_urdf(read("beetle.urdf"))).unwrap();
    RobotModel::load(&folder.path().join("beetle.yaml")).unwrap_err().to_string()
}

fn replaced(from: &'static str, to: &'static str) -> impl Fn(String) -> String {
    move |text| {
        assert!(text.contains(from), "{from}");
        text.replacen(from, to, 1)
    }
}

fn same(text: String) -> String {
    text
}

#[test]
fn mistakes_in_the_yaml_are_named() {
    for (from, to, expected) in [
        ("[BC1, BC2,", "[BC7, BC2,", "names the joint `BC7`"),
        ("[BC1, BC2,", "[BC2, BC2,", "lists the joint `BC2` twice"),
        ("[tip0,", "[tipp0,", "did you mean `tip0`?"),
        ("[BC1, BC2,", "[BC2,", "`BC1`: can move but is not in the description's list"),
        ("stiffness: 57.3", "stifness: 57.3", "did you mean `stiffness`?"),
        ("damping: 5.73", "damping: -1", "`actuator.damping`: must be a positive number"),
        ("urdf: beetle.urdf", "urdf: beatle.urdf", "beatle.urdf"),
        ("base_link: base_link", "base_link: coxa0", "is not the root of the URDF, nor fixed to it: the joint `BC0`"),
        ("nominal_pose: {}", "nominal_pose: {BC11: 0.1}", "`BC11`"),
    ] {
        let message = refusal(replaced(from, to), same);
        assert!(message.contains(expected), "{to}: {message}");
    }
}

#[test]
fn mistakes_in_the_urdf_are_named() {
    for (from, to, expected) in [
        ("</robot>", "", "beetle.urdf: not a valid URDF"),
        ("<axis xyz=\"0.291 -0.710 -0.641\"/>", "<axis xyz=\"0 0 0\"/>", "`BC0`: has an axis of length 0"),
        ("lower=\"-0.6981\"", "lower=\"0.6981\"", "`BC0`: has the range"),
        ("<child link=\"coxa0\"/>", "<child link=\"nothing\"/>", "`nothing`"),
        ("<mass value=\"0.104\"/>", "<mass value=\"-1\"/>", "has the mass -1"),
        ("name=\"BC0\" type=\"revolute\"", "name=\"BC0\" type=\"floating\"", "`BC0`: has type Floating"),
        (
            "<collision><geometry><box size=\"0.19 0.11 0.09\"/>",
            "<collision><geometry><box size=\"0.19 0.11\"/>",
            "not a valid URDF",
        ),
        ("<mass value=\"0.104\"/>", "<mass value=\"${0.1 + 0.004}\"/>", "`<mass value=\"${0.1 + 0.004}\">` is xacro"),
        ("<link name=\"coxa0\">", "<xacro:leg number=\"6\"/><link name=\"coxa0\">", "beetle.expanded.urdf` and name that file"),
    ] {
        let message = refusal(same, replaced(from, to));
        assert!(message.contains(expected), "{to}: {message}");
    }
}

#[test]
fn a_urdf_without_a_link_is_said_to_have_none() {
    let message = refusal(same, |_| "<robot name=\"beetle\"></robot>".to_owned());
    assert!(message.contains("robot `beetle`: has no link"), "{message}");
}

#[test]
fn any_link_that_is_fixed_to_the_root_can_be_the_base() {
    let folder = tempfile::tempdir().unwrap();
    let read = |name: &str| std::fs::read_to_string(repository("config/robots").join(name)).unwrap();
    std::fs::write(folder.path().join("beetle.urdf"), read("beetle.urdf")).unwrap();
    let yaml = read("beetle.yaml");
    let load = |base: &str| {
        let yaml = yaml.replacen("base_link: base_link", &format!("base_link: {base}"), 1);
        std::fs::write(folder.path().join("beetle.yaml"), yaml).unwrap();
        RobotModel::load(&folder.path().join("beetle.yaml")).unwrap()
    };
    // The thorax is 0.192 m ahead of the base.
    let (ahead, usual) = (load("thorax"), load("base_link"));
    assert_eq!((ahead.base_link.as_str(), ahead.bodies.len()), ("thorax", usual.bodies.len()));
    assert!((ahead.mass() - usual.mass()).abs() < 1e-5, "{} kg instead of {} kg", ahead.mass(), usual.mass());
    let differences = [
        usual.bodies[0].centre_of_mass - ahead.bodies[0].centre_of_mass,
        usual.imu.translation.vector - ahead.imu.translation.vector,
        usual.joints[0].origin.translation.vector - ahead.joints[0].origin.translation.vector,
    ];
    for difference in differences {
        let [x, y, z]: [f32; 3] = difference.into();
        assert!((x - 0.192).abs() < 1e-5 && y.abs() < 1e-5 && z.abs() < 1e-5, "{difference:?}");
    }
    assert!((ahead.bodies[0].inertia - usual.bodies[0].inertia).norm() < 1e-6 * usual.bodies[0].inertia.norm());
}

#[test]
fn any_text_instead_of_a_urdf_is_refused_without_a_panic() {
    let description: RobotDescription = read_yaml(&repository("config/robots/beetle.yaml")).unwrap();
    let whole = std::fs::read_to_string(repository("config/robots/beetle.urdf")).unwrap();
    for length in (0..whole.len() - 10).step_by(97).filter(|&length| whole.is_char_boundary(length)) {
        assert!(RobotModel::from_parts(&description, whole[..length].to_owned(), Path::new("cut.urdf")).is_err(), "{length}");
    }
}
