//! Policy files: what is written is read, and everything else is refused by name.
#![allow(clippy::unwrap_used)]

mod common;

use common::{beetle, lively_policy};
use hebbian_locomotion::network::Shape;
use hebbian_locomotion::plasticity::{InitialWeights, PlasticDescription, RuleDescription, TermSource};
use hebbian_locomotion::policy::{NetworkDescription, PolicyFile};
use hebbian_locomotion::robot::RobotModel;

fn saved(file: &PolicyFile) -> (tempfile::TempDir, std::path::PathBuf, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.safetensors");
    let hash = file.save(&path).unwrap();
    (folder, path, hash)
}

fn refusal(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged.safetensors");
    std::fs::write(&path, bytes).unwrap();
    let message = PolicyFile::load(&path).unwrap_err().to_string();
    assert!(message.contains("damaged.safetensors"), "the message does not name the file: {message}");
    message
}

/// The bytes of `file` with `from` replaced by `to`, which must be as long: the file's header keeps its length.
fn with_replaced(file: &PolicyFile, from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let (_folder, path, _) = saved(file);
    let mut bytes = std::fs::read(path).unwrap();
    let at = bytes.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
    bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    bytes
}

#[test]
fn a_saved_policy_is_read_back_whole_and_always_has_the_same_bytes() {
    let file = lively_policy();
    let (_folder, path, hash) = saved(&file);
    let (read, read_hash) = PolicyFile::load(&path).unwrap();
    assert_eq!(read, file);
    assert_eq!(read_hash, hash);
    assert_eq!(saved(&file).2, hash);
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let (_folder, path, _) = saved(&lively_policy());
    let bytes = std::fs::read(path).unwrap();
    for length in [0, 1, 7, 8, 100, 2000, bytes.len() / 2, bytes.len() - 1] {
        let message = refusal(&bytes[..length]);
        assert!(message.contains("not a complete safetensors file"), "{length} bytes: {message}");
    }
}

#[test]
fn foreign_files_are_refused() {
    assert!(refusal(b"\x80\x04\x95 a pickle, or any other file").contains("not a complete safetensors file"));
    let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![1], &[0; 4]).unwrap();
    let foreign = safetensors::serialize([("weight", view)], None).unwrap();
    assert!(refusal(&foreign).contains("no metadata entry `hebbian_locomotion`"));
}

#[test]
fn another_version_and_unknown_keys_are_refused_by_name() {
    let file = lively_policy();
    let message = refusal(&with_replaced(&file, "format_version\\\":2", "format_version\\\":9"));
    assert!(message.contains("format version 9"), "{message}");
    let message = refusal(&with_replaced(&file, "control_rate", "control_rats"));
    assert!(message.contains("did you mean `control_rate`?"), "{message}");
    let message = refusal(&with_replaced(&file, "layers.0.eta", "layers.0.eti"));
    assert!(message.contains("`layers.0.eta` is missing"), "{message}");
}

#[test]
fn numbers_that_are_not_finite_are_refused() {
    let mut file = lively_policy();
    file.genome[3] = f32::NAN;
    let folder = tempfile::tempdir().unwrap();
    let message = file.save(&folder.path().join("nan.safetensors")).unwrap_err().to_string();
    assert!(message.contains("NaN at index 3"), "{message}");
}

#[test]
fn a_policy_for_another_robot_is_refused_with_the_joint_that_differs() {
    let file = lively_policy();
    let mut robot: RobotModel = (*beetle()).clone();
    robot.joints[4].name = "BC9".into();
    let message = file.metadata.robot.check(&robot).unwrap_err().to_string();
    assert!(message.contains("`BC0`"), "{message}");
    robot = (*beetle()).clone();
    robot.feet.swap(0, 1);
    assert!(file.metadata.robot.check(&robot).unwrap_err().to_string().contains("order"));
}

#[test]
fn names_that_stand_twice_are_refused_by_their_list() {
    let mut file = lively_policy();
    file.metadata.robot.joints[5].name = file.metadata.robot.joints[2].name.clone();
    let message = file.metadata.check().unwrap_err().to_string();
    assert!(message.starts_with("robot.joints has `") && message.contains("twice"), "{message}");
    let mut file = lively_policy();
    file.metadata.robot.feet[1] = file.metadata.robot.feet[0].clone();
    let message = file.metadata.check().unwrap_err().to_string();
    assert!(message.starts_with("robot.feet has `") && message.contains("twice"), "{message}");
    assert!(file.save(&tempfile::tempdir().unwrap().path().join("doubled.safetensors")).is_err());
}

#[test]
fn a_small_file_cannot_ask_for_a_network_of_any_size() {
    let mut file = lively_policy();
    let rule = RuleDescription {
        a: TermSource::Network,
        b: TermSource::Network,
        c: TermSource::Network,
        d: TermSource::Network,
        eta: TermSource::Network,
        clusters: 0,
    };
    let layers = Shape::new(vec![27, 16_384, 16_384, 18]).unwrap();
    let large = PlasticDescription { rule, ..PlasticDescription::new(layers, InitialWeights::Random(0.1)) };
    file.metadata.network = NetworkDescription::Plastic(large);
    file.genome = vec![0.1; 5];
    let message = file.metadata.check().unwrap_err().to_string();
    assert_eq!(message, "network.plastic.layers asks for 269172736 synapses; at most 16777216 are possible");
}

#[test]
fn the_shipped_policies_load_fit_their_robot_and_carry_their_ablation() {
    let mut count = 0;
    for entry in std::fs::read_dir(common::repository("config/policies")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "safetensors") {
            let (file, _) = PolicyFile::load(&path).unwrap();
            let robot = common::repository(&format!("config/robots/{}.yaml", file.metadata.robot.name));
            file.metadata.robot.check(&RobotModel::load(&robot).unwrap()).unwrap();
            let ablation = file.metadata.provenance.ablation.unwrap();
            for variant in ["intact", "A=B=C=0", "D=0", "frozen after 1 s"] {
                assert!(ablation.results.iter().any(|row| row.variant == variant), "{} has no row {variant}", path.display());
            }
            count += 1;
        }
    }
    assert!(count > 0, "no policy is shipped");
}

#[test]
fn rates_and_ranges_that_no_robot_has_are_refused() {
    let refused = |change: &dyn Fn(&mut PolicyFile)| {
        let mut file = lively_policy();
        change(&mut file);
        file.metadata.check().unwrap_err().to_string()
    };
    for rate in [0.0, -50.0, 1e-12, 1e10, f32::NAN, f32::INFINITY] {
        let message = refused(&|file| file.metadata.control_rate = rate);
        assert!(message.contains("from 0.1 to 10000 Hz"), "{rate}: {message}");
    }
    let message = refused(&|file| {
        let joint = &mut file.metadata.robot.joints[3];
        (joint.lower, joint.nominal, joint.upper) = (f32::INFINITY, f32::INFINITY, f32::INFINITY);
    });
    assert!(message.contains("all finite"), "{message}");
}

#[test]
fn texts_that_no_message_can_carry_are_refused_by_their_place() {
    type Change = fn(&mut PolicyFile) -> &mut String;
    let places: [(&str, Change); 6] = [
        ("name", |file| &mut file.metadata.name),
        ("robot.name", |file| &mut file.metadata.robot.name),
        ("robot.joints", |file| &mut file.metadata.robot.joints[3].name),
        ("robot.feet", |file| &mut file.metadata.robot.feet[2]),
        ("provenance.experiment", |file| &mut file.metadata.provenance.experiment),
        ("provenance.start", |file| file.metadata.provenance.start.get_or_insert_default()),
    ];
    for (place, text) in places {
        let mut file = lively_policy();
        *text(&mut file) = "a\0b".to_owned();
        let message = file.metadata.check().unwrap_err().to_string();
        assert!(message.starts_with(&format!("{place} has the text")) && !message.contains('\0'), "{message:?}");
        assert!(file.save(&tempfile::tempdir().unwrap().path().join("nul.safetensors")).is_err());
    }
    let mut file = lively_policy();
    file.metadata.name = "beetles".to_owned();
    // The escape of NUL, once more escaped, because the metadata are JSON in JSON.
    let message = refusal(&with_replaced(&file, "beetles", r"\\u0000"));
    assert!(message.contains("without NUL"), "{message}");
}
