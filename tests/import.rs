//! `hebb import`: genomes of other programs become policies.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;
use std::process::{Command, Output};

use common::{lively_policy, repository};
use hebbian_locomotion::policy::PolicyFile;

fn npy(numbers: &[f32]) -> Vec<u8> {
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({},), }}\n", numbers.len());
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    bytes
}

fn import(numbers: &[f32]) -> (tempfile::TempDir, std::path::PathBuf, Output) {
    let folder = tempfile::tempdir().unwrap();
    let [genome, out] = ["walker.npy", "walker.safetensors"].map(|name| folder.path().join(name));
    std::fs::write(&genome, npy(numbers)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_hebb"));
    command.arg("import").arg(genome).arg("--experiment").arg(repository("config/experiments/beetle.yaml"));
    let output = command.arg("--out").arg(&out).args(["--name", "walker"]).output().unwrap();
    (folder, out, output)
}

#[test]
fn an_imported_policy_is_the_experiments_with_the_arrays_genome() {
    let expected = lively_policy();
    let (_folder, out, output) = import(&expected.genome);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (file, _) = PolicyFile::load(&out).unwrap();
    assert_eq!(file.genome, expected.genome);
    assert_eq!(file.metadata.name, "walker");
    assert_eq!(file.metadata.network, expected.metadata.network);
    assert_eq!(file.metadata.provenance.experiment, "imported from walker.npy as beetle");
}

#[test]
fn an_imported_policy_replaces_the_one_of_the_same_array_and_no_other_file() {
    let (folder, out, output) = import(&lively_policy().genome);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let file = |name: &str| folder.path().join(name);
    std::fs::copy(repository("config/policies/beetle.safetensors"), file("evolved")).unwrap();
    std::fs::write(file("notes"), b"of a person").unwrap();
    let again = |out: &Path, more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hebb"));
        command.arg("import").arg(file("walker.npy")).arg("--experiment").arg(repository("config/experiments/beetle.yaml"));
        let output = command.arg("--out").arg(out).args(more).output().unwrap();
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    };
    let is_another = "is there and is not a policy imported from walker.npy as beetle";
    for (name, says) in [("evolved", is_another), ("notes", is_another), ("walker.npy", "is read by this command")] {
        let before = std::fs::read(file(name)).unwrap();
        let (fine, text) = again(&file(name), &[]);
        assert!(!fine && text.contains(says) && text.contains("--force"), "{text}");
        assert_eq!(std::fs::read(file(name)).unwrap(), before);
    }
    assert!(again(&out, &[]).0 && again(&file("evolved"), &["--force"]).0);
    assert_eq!(std::fs::read(file("evolved")).unwrap(), std::fs::read(out).unwrap());
}

#[test]
fn an_imported_policy_for_standard_output_is_all_that_comes_out_of_it() {
    let (folder, out, output) = import(&lively_policy().genome);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut command = Command::new(env!("CARGO_BIN_EXE_hebb"));
    command.arg("import").arg(folder.path().join("walker.npy")).args(["--name", "walker", "--out", "/dev/stdout"]);
    let output = command.arg("--experiment").arg(repository("config/experiments/beetle.yaml")).output().unwrap();
    assert!(output.status.success() && output.stdout == std::fs::read(out).unwrap());
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("policy /dev/stdout, "));
}

#[test]
fn a_genome_of_another_network_is_refused_and_nothing_is_written() {
    let (_folder, out, output) = import(&[0.5; 4352]);
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && !out.exists());
    for part in ["walker.npy", "has 4352 numbers", "plastic [27, 64, 32, 18]) needs 21760", "4352 feed_forward"] {
        assert!(message.contains(part), "{message}");
    }
}
