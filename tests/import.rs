//! `hebb import`: genomes of other programs become policies.
#![allow(clippy::unwrap_used)]

mod common;

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
fn a_genome_of_another_network_is_refused_and_nothing_is_written() {
    let (_folder, out, output) = import(&[0.5; 4352]);
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && !out.exists());
    for part in ["walker.npy", "has 4352 numbers", "plastic [27, 64, 32, 18]) needs 21760", "4352 feed_forward"] {
        assert!(message.contains(part), "{message}");
    }
}
