//! Any URDF loads: its joints, shapes and meshes are simulated, what is wrong with its masses is mended and said, and what is too large is refused.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hebbian_locomotion::robot::{Geometry, Outline, RobotError, RobotModel, RobotState, RobotWarning, read_urdf};
use hebbian_locomotion::simulation::{SimulationSettings, StartNoise, World};

const BALL: &str = "<collision><geometry><sphere radius='0.02'/></geometry></collision>";

fn mass(kg: f32) -> String {
    format!("<inertial><mass value='{kg}'/><inertia ixx='1e-3' iyy='1e-3' izz='1e-3' ixy='0' ixz='0' iyz='0'/></inertial>")
}

fn link(name: &str, content: &str) -> String {
    format!("<link name='{name}'>{content}</link>")
}

fn joint(name: &str, kind: &str, parent: &str, child: &str, content: &str) -> String {
    format!("<joint name='{name}' type='{kind}'><parent link='{parent}'/><child link='{child}'/>{content}</joint>")
}

const LIMIT: &str = "<limit lower='-1.5' upper='1.5' effort='50' velocity='5'/>";

/// A box on four legs at its corners; `leg` makes the joints and links of one, from the leg's number and the origin of its hip.
fn table(leg: impl Fn(usize, &str) -> String) -> String {
    let top = link("base", &(mass(2.0) + "<collision><geometry><box size='0.4 0.3 0.05'/></geometry></collision>"));
    let corners = ["0.2 0.15 0", "-0.2 0.15 0", "-0.2 -0.15 0", "0.2 -0.15 0"];
    let legs: String = corners.iter().enumerate().map(|(number, xyz)| leg(number, &format!("<origin xyz='{xyz}'/>"))).collect();
    format!("<robot name='table'>{top}{legs}</robot>")
}

/// The model of `urdf` with all its joints driven, and its feet `foot0` to `foot3` if it has them.
fn load_at(urdf: &str, path: &Path, extra: &str) -> Result<RobotModel, RobotError> {
    load_with(urdf, path, extra, &[])
}

/// As [`load_at`], with meshes of the packages that are installed in `packages`.
fn load_with(urdf: &str, path: &Path, extra: &str, packages: &[PathBuf]) -> Result<RobotModel, RobotError> {
    let outline = Outline::of(urdf, path)?;
    let feet: Vec<&String> = outline.solid_links.iter().filter(|name| name.starts_with("foot")).collect();
    let locked = extra.contains("locked");
    let joints: Vec<&String> = outline.joints.iter().filter(|name| !(locked && name.starts_with("lock"))).collect();
    let yaml = format!(
        "{{name: test, urdf: x, base_link: {}, joints: {joints:?}, feet: {feet:?}, contact_threshold: 0.1, \
         actuator: {{stiffness: 400, damping: 20}}, {extra}}}",
        outline.base_link
    );
    RobotModel::from_parts_and_packages(&serde_yaml::from_str(&yaml).unwrap(), urdf.to_owned(), path, packages)
}

fn load(urdf: &str, extra: &str) -> Result<RobotModel, RobotError> {
    load_at(urdf, Path::new("test.urdf"), extra)
}

/// Heights of the base of a robot that stands with all its driven joints at each of `targets` in turn.
fn heights(robot: RobotModel, targets: &[f32]) -> Vec<f32> {
    let robot = Arc::new(robot);
    let mut world = World::new(robot.clone(), SimulationSettings::default()).unwrap();
    let mut height = |&target: &f32| {
        world.set_targets(&vec![target; robot.joints.len()]);
        (0..150).for_each(|_| world.control_step());
        world.base().position[2]
    };
    targets.iter().map(&mut height).collect()
}

fn near(a: f32, b: f32, tolerance: f32) {
    assert!((a - b).abs() < tolerance, "{a} instead of {b}");
}

/// A straight leg of 0.3 m that the joint `kind` lengthens or turns.
fn simple(kind: &str, content: &str) -> String {
    table(|n, at| {
        let foot = link(
            &format!("foot{n}"),
            &(mass(0.1) + "<collision><origin xyz='0 0 -0.3'/><geometry><sphere radius='0.02'/></geometry></collision>"),
        );
        foot + &joint(&format!("leg{n}"), kind, "base", &format!("foot{n}"), &format!("{at}{content}"))
    })
}

#[test]
fn prismatic_joints_lengthen_legs() {
    let robot = load(&simple("prismatic", &format!("<axis xyz='0 0 -1'/>{LIMIT}")), "").unwrap();
    let heights = heights(robot, &[0.0, 0.1]);
    near(heights[0], 0.32, 0.02);
    near(heights[1] - heights[0], 0.1, 0.005);
}

#[test]
fn joints_that_shift_start_within_a_share_of_their_travel_and_speed() {
    let limit = "<limit lower='-0.04' upper='0.06' effort='50' velocity='0.5'/>";
    let robot = Arc::new(load(&simple("prismatic", &format!("<axis xyz='0 0 -1'/>{limit}")), "").unwrap());
    let world = World::new(robot, SimulationSettings::default()).unwrap();
    let (mut state, mut farthest, mut fastest) = (RobotState::at_rest(4, 4), 0.0f32, 0.0f32);
    for seed in 0..50 {
        world.start_of_episode(seed, StartNoise::default()).sense(&mut state);
        farthest = state.joint_position.iter().fold(farthest, |most, position| most.max(position.abs()));
        fastest = state.joint_velocity.iter().fold(fastest, |most, speed| most.max(speed.abs()));
    }
    // 5 % of 0.1 m, and 2.5 % of 0.5 m/s.
    assert!(farthest > 0.0045 && farthest < 0.00501, "{farthest} m");
    assert!(fastest > 0.011 && fastest < 0.01251, "{fastest} m/s");
}

#[test]
fn a_mimicking_knee_follows_its_hip() {
    let urdf = table(|n, at| {
        let y = "<axis xyz='0 1 0'/>";
        let shank = mass(0.05) + "<collision><origin xyz='0 0 -0.2'/><geometry><sphere radius='0.02'/></geometry></collision>";
        let knee =
            format!("<origin xyz='0 0 -0.2'/>{y}<mimic joint='hip{n}' multiplier='-2' offset='0'/><limit lower='-3' upper='3'/>");
        link(&format!("thigh{n}"), &mass(0.05))
            + &link(&format!("foot{n}"), &shank)
            + &joint(&format!("hip{n}"), "revolute", "base", &format!("thigh{n}"), &format!("{at}{y}{LIMIT}"))
            + &joint(&format!("knee{n}"), "revolute", &format!("thigh{n}"), &format!("foot{n}"), &knee)
    });
    let robot = load(&urdf, "nominal_pose: {hip0: 0.3, hip1: 0.3, hip2: 0.3, hip3: 0.3}").unwrap();
    assert_eq!((robot.joints.len(), robot.followers.len()), (4, 4));
    near(robot.followers[0].joint.nominal, -0.6, 1e-6);
    for (height, hip) in heights(robot, &[0.3, 0.9]).into_iter().zip([0.3f32, 0.9]) {
        near(height, 0.4 * hip.cos() + 0.02, 0.015);
    }
    let ring = urdf.replace("mimic joint='hip0'", "mimic joint='knee0'");
    assert!(load(&ring, "").unwrap_err().to_string().contains("`knee0`: mimics"), "a joint that mimics itself");
    let alone = urdf.replace("mimic joint='hip0'", "mimic joint='tail'");
    assert!(load(&alone, "").unwrap_err().to_string().contains("mimics `tail`, which is not among the driven joints"));
}

#[test]
fn continuous_and_locked_joints_and_a_floating_root_are_understood() {
    let unlimited = load(&simple("revolute", "<axis xyz='0 1 0'/><limit effort='50' velocity='5'/>"), "").unwrap();
    near(unlimited.joints[0].upper, std::f32::consts::PI, 1e-6);
    assert!(matches!(&unlimited.warnings[0], RobotWarning::RangeAssumed { joint } if joint == "leg0"));
    let robot = load(&simple("continuous", "<axis xyz='0 1 0'/><limit effort='50' velocity='5'/>"), "").unwrap();
    near(robot.joints[0].upper, std::f32::consts::PI, 1e-6);

    let bend = |n: usize, at: &str| {
        let foot = mass(0.1) + "<collision><origin xyz='0 0 -0.2'/><geometry><sphere radius='0.02'/></geometry></collision>";
        link(&format!("thigh{n}"), &mass(0.1))
            + &link(&format!("foot{n}"), &foot)
            + &joint(&format!("hip{n}"), "revolute", "base", &format!("thigh{n}"), &format!("{at}<axis xyz='0 1 0'/>{LIMIT}"))
            + &joint(
                &format!("lock{n}"),
                "revolute",
                &format!("thigh{n}"),
                &format!("foot{n}"),
                &format!("<origin xyz='0 0 -0.2'/><axis xyz='0 1 0'/>{LIMIT}"),
            )
    };
    let locked = "locked: [lock0, lock1, lock2, lock3], nominal_pose: {lock0: 1.2, lock1: 1.2, lock2: -1.2, lock3: 1.2}";
    let robot = load(&table(bend), locked).unwrap();
    assert_eq!((robot.bodies.len(), robot.joints.len()), (5, 4));
    near(heights(robot, &[0.0])[0], 0.2 + 0.2 * 1.2f32.cos() + 0.02, 0.02);

    let floating = table(bend).replace(
        "<link name='base'>",
        &(link("world", "") + &joint("root", "floating", "world", "base", "") + "<link name='base'>"),
    );
    let robot = load(&floating, locked).unwrap();
    assert_eq!((robot.base_link.as_str(), robot.joints.len()), ("base", 4));
}

#[test]
fn meshes_become_convex_hulls() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("urdf/table.urdf");
    std::fs::create_dir_all(folder.path().join("meshes")).unwrap();
    std::fs::create_dir_all(folder.path().join("urdf")).unwrap();
    // A pyramid: its base of 1 x 1 at height 0, its tip at height -1.
    let corners = [[-0.5f32, -0.5, 0.0], [0.5, -0.5, 0.0], [0.5, 0.5, 0.0], [-0.5, 0.5, 0.0], [0.0, 0.0, -1.0]];
    let faces = [[0usize, 1, 2], [0, 2, 3], [0, 4, 1], [1, 4, 2], [2, 4, 3], [3, 4, 0]];
    let vertices = |separator: &str| corners.map(|[x, y, z]| format!("{x} {y} {z}")).join(separator);
    let obj = corners.map(|[x, y, z]| format!("v {x} {y} {z}\n")).concat()
        + &faces.map(|[a, b, c]| format!("f {} {} {}\n", a + 1, b + 1, c + 1)).concat();
    let ascii = faces.map(|face| {
        let corners =
            face.map(|index| format!("vertex {} {} {}\n", corners[index][0], corners[index][1], corners[index][2])).concat();
        format!("facet normal 0 0 0\nouter loop\n{corners}endloop\nendfacet\n")
    });
    let stl = format!("solid p\n{}endsolid p\n", ascii.concat());
    let mut binary = vec![0u8; 80];
    binary[..6].copy_from_slice(b"solid ");
    binary.extend((faces.len() as u32).to_le_bytes());
    for face in faces {
        binary.extend([0u8; 12]);
        face.iter().flat_map(|&index| corners[index]).for_each(|value| binary.extend(value.to_le_bytes()));
        binary.extend([0u8; 2]);
    }
    let indices = faces.concat().iter().map(usize::to_string).collect::<Vec<_>>().join(" ");
    let dae = format!(
        "<?xml version='1.0'?><COLLADA xmlns='http://www.collada.org/2005/11/COLLADASchema' version='1.4.1'>\
         <asset><unit name='centimeter' meter='0.01'/><up_axis>Z_UP</up_axis></asset><library_geometries><geometry id='g'><mesh>\
         <source id='p'><float_array id='a' count='15'>{}</float_array><technique_common><accessor source='#a' count='5' stride='3'>\
         <param name='X' type='float'/><param name='Y' type='float'/><param name='Z' type='float'/></accessor></technique_common></source>\
         <vertices id='v'><input semantic='POSITION' source='#p'/></vertices>\
         <triangles count='6'><input semantic='VERTEX' source='#v' offset='0'/><p>{indices}</p></triangles></mesh></geometry></library_geometries>\
         <library_visual_scenes><visual_scene id='s'><node id='n'><instance_geometry url='#g'/></node></visual_scene></library_visual_scenes>\
         <scene><instance_visual_scene url='#s'/></scene></COLLADA>",
        vertices(" ")
    );
    for (name, content, scale) in [
        ("tip.obj", obj.into_bytes(), "0.3"),
        ("tip.stl", stl.into_bytes(), "0.3"),
        ("tip_b.STL", binary, "0.3"),
        ("tip.dae", dae.into_bytes(), "30"),
    ] {
        std::fs::write(folder.path().join("meshes").join(name), content).unwrap();
        for reference in [format!("package://table_description/meshes/{name}"), format!("../meshes/{name}")] {
            let shape = format!(
                "<collision><geometry><mesh filename='{reference}' scale='{scale} {scale} {scale}'/></geometry></collision>"
            );
            let urdf = table(|n, at| {
                link(&format!("foot{n}"), &(mass(0.1) + &shape))
                    + &joint(
                        &format!("leg{n}"),
                        "revolute",
                        "base",
                        &format!("foot{n}"),
                        &format!("{at}<axis xyz='0 1 0'/>{LIMIT}"),
                    )
            });
            let robot = load_at(&urdf, &path, "").unwrap_or_else(|error| panic!("{reference}: {error}"));
            let Geometry::ConvexHull(hull) = &robot.bodies[1].shapes[0].geometry else { panic!("{reference}: not a hull") };
            assert_eq!(hull.points().len(), 5, "{reference}");
            near(heights(robot, &[0.0])[0], 0.3, 0.02);
        }
    }
    let missing = simple("revolute", &format!("<axis xyz='0 1 0'/>{LIMIT}"))
        .replace("<sphere radius='0.02'/>", "<mesh filename='package://a/b.stl'/>");
    let message = load_at(&missing, &path, "").unwrap_err().to_string();
    assert!(message.contains("`package://a/b.stl` of the link `foot0`: no such file"), "{message}");
    // Sparse: its size alone must be enough to refuse it.
    std::fs::File::create(folder.path().join("urdf/huge.stl")).unwrap().set_len(1 << 33).unwrap();
    let huge = missing.replace("package://a/b.stl", "huge.stl");
    assert!(matches!(load_at(&huge, &path, "").unwrap_err(), RobotError::TooLarge { .. }));
}

#[test]
fn a_mesh_is_taken_from_its_own_package_before_a_folder_of_another_name_which_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let make = |path: &str| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 -1\nf 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n").unwrap();
        path
    };
    let urdf = simple("revolute", &format!("<axis xyz='0 1 0'/>{LIMIT}")).replacen(
        "<sphere radius='0.02'/>",
        "<mesh filename='package://legs/meshes/tip.obj' scale='0.1 0.1 0.1'/>",
        1,
    );
    let path = folder.path().join("work/table.urdf");
    let packages = [folder.path().join("ros")];
    assert!(load_with(&urdf, &path, "", &packages).unwrap_err().to_string().contains("no such file"));
    let taken = make("work/meshes/tip.obj").display().to_string();
    let warnings = load_with(&urdf, &path, "", &packages).unwrap().warnings;
    assert!(
        matches!(&warnings[..], [RobotWarning::MeshElsewhere { link, file, found }]
            if link == "foot0" && file == "package://legs/meshes/tip.obj" && *found == taken),
        "{warnings:?}"
    );
    make("ros/share/legs/meshes/tip.obj");
    assert_eq!(load_with(&urdf, &path, "", &packages).unwrap().warnings, []);
    assert_eq!(load_at(&urdf, &path, "").unwrap().warnings, warnings, "without the package");
}

#[test]
fn collada_parts_lie_where_their_scene_puts_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("table.urdf");
    // Lowest and highest corner of the shape of a foot that is a cube of 2 units in `unit` metres, placed by `nodes`.
    let bounds = |unit: &str, library: &str, nodes: &str| {
        let corners = "-1 -1 -1 1 -1 -1 -1 1 -1 1 1 -1 -1 -1 1 1 -1 1 -1 1 1 1 1 1";
        let dae = format!(
            "<?xml version='1.0'?><COLLADA xmlns='http://www.collada.org/2005/11/COLLADASchema' version='1.4.1'>\
             <asset><unit meter='{unit}'/><up_axis>Z_UP</up_axis></asset><library_geometries><geometry id='g'><mesh>\
             <source id='p'><float_array id='a' count='24'>{corners}</float_array><technique_common><accessor source='#a' count='8' stride='3'>\
             <param name='X' type='float'/><param name='Y' type='float'/><param name='Z' type='float'/></accessor></technique_common></source>\
             <vertices id='v'><input semantic='POSITION' source='#p'/></vertices><triangles count='12'>\
             <input semantic='VERTEX' source='#v' offset='0'/>\
             <p>0 1 2 1 3 2 4 6 5 5 6 7 0 4 1 1 4 5 2 3 6 3 7 6 0 2 4 2 6 4 1 5 3 3 5 7</p></triangles></mesh></geometry></library_geometries>\
             {library}<library_visual_scenes><visual_scene id='s'>{nodes}</visual_scene></library_visual_scenes>\
             <scene><instance_visual_scene url='#s'/></scene></COLLADA>"
        );
        std::fs::write(folder.path().join("cube.dae"), dae).unwrap();
        let urdf = simple("revolute", &format!("<axis xyz='0 1 0'/>{LIMIT}"))
            .replace("<origin xyz='0 0 -0.3'/>", "")
            .replace("<sphere radius='0.02'/>", "<mesh filename='cube.dae'/>");
        let robot = load_at(&urdf, &path, "").unwrap();
        let Geometry::ConvexHull(hull) = &robot.bodies[1].shapes[0].geometry else { panic!("not a hull") };
        let corners = || hull.points().iter().map(|point| [point.x, point.y, point.z]);
        [f32::min, f32::max]
            .map(|pick: fn(f32, f32) -> f32| [0, 1, 2].map(|axis| corners().map(|at| at[axis]).reduce(pick).unwrap()))
    };
    let shift = |z: &str, what: &str| format!("<node><translate>0 0 {z}</translate>{what}</node>");
    let cube = "<instance_geometry url='#g'/>";
    let cases = [
        // A translation is in the file's unit.
        (bounds("0.001", "", &shift("100", cube)), [[-0.001, -0.001, 0.099], [0.001, 0.001, 0.101]]),
        // A parent turns what is in its child.
        (
            bounds("1", "", &format!("<node><rotate>1 0 0 90</rotate>{}</node>", shift("10", cube))),
            [[-1.0, -11.0, -1.0], [1.0, -9.0, 1.0]],
        ),
        // One geometry in two places.
        (bounds("0.1", "", &(shift("2", cube) + &shift("-2", cube))), [[-0.1, -0.1, -0.3], [0.1, 0.1, 0.3]]),
        // By way of the library of nodes, as SketchUp writes it.
        (
            bounds(
                "0.0254",
                &format!("<library_nodes><node id='n'>{cube}</node></library_nodes>"),
                "<node><matrix>2 0 0 0 0 2 0 0 0 0 2 0 0 0 0 1</matrix><instance_node url='#n'/></node>",
            ),
            [[-0.0508; 3], [0.0508; 3]],
        ),
    ];
    for (number, (found, expected)) in cases.into_iter().enumerate() {
        let mut all = found.into_iter().flatten().zip(expected.into_iter().flatten());
        assert!(all.all(|(a, b)| (a - b).abs() < 1e-5), "case {number}: {found:?} instead of {expected:?}");
    }
}

#[test]
fn soft_limits_narrow_the_range() {
    let range = |soft: &str| {
        let urdf = simple("revolute", &format!("<axis xyz='0 1 0'/>{LIMIT}<safety_controller {soft} k_velocity='1'/>"));
        load(&urdf, "").map(|robot| (robot.joints[0].lower, robot.joints[0].upper))
    };
    assert_eq!(range("soft_lower_limit='-0.5' soft_upper_limit='1'").unwrap(), (-0.5, 1.0));
    assert_eq!(range("soft_lower_limit='-9' soft_upper_limit='1'").unwrap(), (-1.5, 1.0), "beyond the lower limit");
    assert_eq!(range("soft_upper_limit='1'").unwrap(), (0.0, 1.0), "URDF's default for the other is 0");
    for none in ["", "soft_lower_limit='0' soft_upper_limit='0'", "soft_lower_limit='1' soft_upper_limit='-1'"] {
        assert_eq!(range(none).unwrap(), (-1.5, 1.5), "{none}");
    }
    let message = range("soft_lower_limit='1.5' soft_upper_limit='2'").unwrap_err().to_string();
    assert!(message.contains("joint `leg0`: has the range -1.5 to 1.5, of which the soft limits 1.5 to 2 "), "{message}");
    let without_gain = simple("revolute", &format!("<axis xyz='0 1 0'/>{LIMIT}<safety_controller soft_upper_limit='1'/>"));
    assert_eq!(load(&without_gain, "").unwrap().joints[0].upper, 1.0);
}

#[test]
fn a_range_that_is_too_wide_or_empty_is_refused_with_its_own_message() {
    let message = |kind: &str, lower: &str, upper: &str| {
        let limit = format!("<limit lower='{lower}' upper='{upper}' effort='50' velocity='5'/>");
        load(&simple(kind, &format!("<axis xyz='0 1 0'/>{limit}")), "").unwrap_err().to_string()
    };
    let wide = message("revolute", "-1e16", "1e16");
    let expected = "joint `leg0`: has the range -10000000000000000 to 10000000000000000 rad; limits must lie between -1000 and 1000 rad. \
                    Correct them in the URDF; a joint without limits is of the type `continuous`";
    assert_eq!(wide, expected);
    let wide = message("prismatic", "0", "inf");
    assert!(wide.ends_with("limits must lie between -1000 and 1000 m. Correct them in the URDF"), "{wide}");
    for (lower, upper) in [("0.5", "0.5"), ("1", "-1"), ("1e16", "-1e16"), ("nan", "1"), ("-1", "nan")] {
        let empty = message("revolute", lower, upper);
        assert!(empty.ends_with("lower must be less than upper"), "{lower} to {upper}: {empty}");
    }
    load(&simple("revolute", "<axis xyz='0 1 0'/><limit lower='-1000' upper='1000' effort='50' velocity='5'/>"), "").unwrap();
}

#[test]
fn limits_that_are_no_numbers_are_refused_by_the_joint_or_are_those_of_its_master() {
    let urdf = simple("revolute", &format!("<axis xyz='0 1 0'/>{LIMIT}"));
    for (limit, given) in [("effort", "effort='50'"), ("velocity", "velocity='5'")] {
        let message = load(&urdf.replacen(given, &format!("{limit}='nan'"), 1), "").unwrap_err().to_string();
        assert!(message.contains(&format!("joint `leg0`: has the {limit} limit NaN; set it in the URDF")), "{message}");
    }
    let (head, tail) = urdf.rsplit_once("effort='50' velocity='5'/>").unwrap();
    let mimic = format!("{head}effort='nan' velocity='nan'/><mimic joint='leg0'/>{tail}");
    let robot = load(&mimic, "").unwrap();
    assert_eq!((robot.followers[0].joint.effort_limit, robot.followers[0].joint.velocity_limit), (50.0, 5.0));
}

#[test]
fn nominal_positions_beyond_the_range_are_refused() {
    let nominal = |kind: &str, pose: &str, limit: &str| {
        let urdf = simple(kind, &format!("<axis xyz='0 1 0'/>{limit}"));
        load(&urdf, &format!("nominal_pose: {pose}")).map(|robot| robot.joints[0].nominal)
    };
    let message = nominal("revolute", "{leg0: 52}", LIMIT).unwrap_err().to_string();
    let expected = "joint `leg0`: has the nominal position 52 rad, beyond its range of -1.5 to 1.5 rad; correct nominal_pose, which is in rad, not degrees";
    assert_eq!(message, expected);
    let message = nominal("prismatic", "{leg0: -1.6}", LIMIT).unwrap_err().to_string();
    assert!(message.contains("-1.6 m, beyond its range of -1.5 to 1.5 m"), "{message}");
    // Rounded values are meant to be the limit, and who says nothing gets what is nearest to 0.
    assert_eq!(nominal("revolute", "{leg0: 1.50005}", LIMIT).unwrap(), 1.5);
    assert_eq!(nominal("revolute", "{}", &LIMIT.replace("-1.5", "0.5")).unwrap(), 0.5);
    let welded = "locked: [lock0], nominal_pose: {lock0: 90}";
    let urdf = simple("revolute", &format!("<axis xyz='0 1 0'/>{LIMIT}")).replace("</robot>", "")
        + &link("head", "")
        + &joint("lock0", "revolute", "base", "head", LIMIT)
        + "</robot>";
    assert!(load(&urdf, welded).unwrap_err().to_string().contains("`lock0`: has the nominal position 90 rad"));
}

#[test]
fn contact_thresholds_are_positive_numbers() {
    let urdf = simple("revolute", &format!("<axis xyz='0 1 0'/>{LIMIT}"));
    let load = |threshold: &str| {
        let yaml = format!(
            "{{name: test, urdf: x, base_link: base, joints: [leg0, leg1, leg2, leg3], feet: [foot0], contact_threshold: {threshold}, \
             actuator: {{stiffness: 400, damping: 20}}}}"
        );
        RobotModel::from_parts(&serde_yaml::from_str(&yaml).unwrap(), urdf.clone(), Path::new("test.urdf"))
    };
    for threshold in ["0", "-0.5", ".nan", ".inf"] {
        let message = load(threshold).unwrap_err().to_string();
        assert!(message.starts_with("value `contact_threshold`: must be a positive number"), "{threshold}: {message}");
    }
    assert_eq!(load("1e-3").unwrap().contact_threshold, 1e-3);
}

#[test]
fn missing_and_impossible_inertias_are_mended_and_said() {
    let one_leg = |inertial: &str| {
        let urdf = simple("revolute", &format!("<axis xyz='0 1 0'/>{LIMIT}"));
        urdf.replacen(&mass(0.1), inertial, 1)
    };
    let tensor = |xx: f32, yy: f32, zz: f32| {
        format!("<inertial><mass value='0.1'/><inertia ixx='{xx}' iyy='{yy}' izz='{zz}' ixy='0' ixz='0' iyz='0'/></inertial>")
    };
    let warnings = |inertial: &str| load(&one_leg(inertial), "").unwrap().warnings;
    assert_eq!(warnings(&mass(0.1)), []);
    assert!(
        matches!(&warnings("")[..], [RobotWarning::MassFromShapes { link, mass }] if link == "foot0" && (mass - 0.0335).abs() < 1e-3)
    );
    for inertial in [
        "<inertial><mass value='0.1'/></inertial>".to_owned(),
        tensor(0.0, 0.0, 0.0),
        tensor(1e-3, -1e-3, 1e-3),
        tensor(f32::NAN, 1.0, 1.0),
    ] {
        let warnings = warnings(&inertial);
        // A ball of 0.1 kg and 2 cm.
        assert!(
            matches!(&warnings[..], [RobotWarning::InertiaReplaced { taken, .. }] if (taken[0] - 1.6e-5).abs() < 1e-7),
            "{inertial}: {warnings:?}"
        );
    }
    let warnings = warnings(&tensor(1e-3, 1e-3, 5e-3));
    assert!(
        matches!(&warnings[..], [RobotWarning::InertiaClamped { taken, .. }] if (taken.iter().fold(0.0f32, |a, b| a.max(*b)) - 2e-3).abs() < 1e-8),
        "{warnings:?}"
    );
    let bare =
        load(&one_leg("").replacen("<sphere radius='0.02'/>", "<sphere radius='0'/>", 1).replace("foot0", "stub0"), "").unwrap();
    assert!(
        matches!(&bare.warnings[..], [RobotWarning::EmptyShape { .. }, RobotWarning::MassAssumed { .. }]),
        "{:?}",
        bare.warnings
    );
    assert_eq!(bare.feet.len(), 3, "{:?}", bare.feet);
}

#[test]
fn hostile_sizes_are_refused_by_their_number() {
    let chain = |links: usize, kind: &str| {
        let link = |index: usize| link(&format!("l{index}"), BALL);
        let joint = |index: usize| joint(&format!("j{index}"), kind, &format!("l{}", index - 1), &format!("l{index}"), LIMIT);
        let parts: String = (0..links).map(link).chain((1..links).map(joint)).collect();
        format!("<robot name='chain'>{parts}</robot>")
    };
    let refusal = |urdf: &str| Outline::of(urdf, Path::new("hostile.urdf")).unwrap_err();
    let shapes = |count: usize| format!("<robot name='r'><link name='a'>{}</link></robot>", BALL.repeat(count));
    for urdf in [chain(3000, "fixed"), chain(300, "revolute"), shapes(5000), "<a>".repeat(1_000_000), chain(30_000, "fixed")] {
        assert!(matches!(refusal(&urdf), RobotError::TooLarge { .. }));
    }
    let folder = tempfile::tempdir().unwrap();
    for name in ["huge.urdf", "huge.yaml"] {
        // Sparse: its size alone must be enough.
        std::fs::File::create(folder.path().join(name)).unwrap().set_len(1 << 33).unwrap();
    }
    assert!(matches!(RobotModel::load(&folder.path().join("huge.yaml")).unwrap_err(), RobotError::TooLarge { .. }));
    assert!(matches!(read_urdf(&folder.path().join("huge.urdf")).unwrap_err(), RobotError::TooLarge { .. }));
    // As long as is allowed: no recursion gives way.
    assert!(Outline::of(&chain(2000, "fixed"), Path::new("long.urdf")).is_ok());
    assert!(Outline::of(&chain(201, "revolute"), Path::new("long.urdf")).is_ok());
    let ring = format!(
        "<robot name='ring'>{}{}{}{}</robot>",
        link("a", ""),
        link("b", ""),
        joint("x", "fixed", "a", "b", ""),
        joint("y", "fixed", "b", "a", "")
    );
    assert!(refusal(&ring).to_string().contains("ring"), "{}", refusal(&ring));
    for (from, to) in [
        ("0.4 0.3 0.05", "1e9 1 1"),
        ("value='2'", "value='1e30'"),
        ("xyz='0.2 0.15 0'", "xyz='1e7 0 0'"),
        ("xyz='0.2 0.15 0'", "xyz='NaN 0 0'"),
    ] {
        let urdf = simple("revolute", &format!("<axis xyz='0 1 0'/>{LIMIT}"));
        assert!(urdf.contains(from));
        let error = load(&urdf.replace(from, to), "").unwrap_err();
        assert!(matches!(error, RobotError::Unusable { .. }), "{to}: {error}");
    }
}
