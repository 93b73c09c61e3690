//! `hebb bench` runs and writes what it says; how fast things are is no matter of tests.
#![allow(clippy::unwrap_used)]

use std::process::{Command, Stdio};

use serde_json::Value;

#[test]
fn bench_step_writes_every_figure_without_peers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("step.json");
    let output = Command::new(env!("CARGO_BIN_EXE_hebb"))
        .args(["bench", "step", "--quick", "--rounds", "10", "--json"])
        .arg(&path)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("27-64-32-18, 4352 synapses") && text.contains("scripts/bench step"), "{text}");

    let report: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    for key in ["cpu", "instructions", "rounds", "bytes_moved_per_synapse", "bytes_read_per_synapse", "versions"] {
        assert!(!report[key].is_null(), "{key}");
    }
    assert_eq!(report["nets"].as_array().unwrap().len(), 2);
    for net in report["nets"].as_array().unwrap() {
        for timing in ["step", "portable", "memory_moved", "memory_read", "batch"] {
            for key in ["median_us", "min_us", "ratio"] {
                assert!(net[timing][key].as_f64().unwrap() > 0.0, "{timing} {key}");
            }
        }
        let tail = ["p50_us", "p99_us", "p999_us", "max_us"].map(|key| net["tail"][key].as_f64().unwrap());
        assert!(tail.is_sorted());
    }
    for square in report["linearity"].as_array().unwrap() {
        assert!(square["ns_per_synapse"].as_f64().unwrap() > 0.0 && square["share"].as_f64().unwrap() > 0.0);
    }
}

#[test]
fn a_python_that_is_not_there_is_named() {
    let output = Command::new(env!("CARGO_BIN_EXE_hebb")).args(["bench", "step", "--peers", "/no/python"]).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && text.contains("/no/python") && text.contains("scripts/bench"), "{text}");
}

#[test]
fn a_python_that_ends_is_reported() {
    let output = Command::new(env!("CARGO_BIN_EXE_hebb")).args(["bench", "step", "--peers", "true"]).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && text.contains("did not answer"), "{text}");
}

#[test]
fn a_reader_that_goes_away_ends_a_benchmark_quietly_when_its_file_is_written() {
    use std::os::unix::process::ExitStatusExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("step.json");
    let mut command = Command::new(env!("CARGO_BIN_EXE_hebb"));
    command.args(["bench", "step", "--quick", "--rounds", "1", "--json"]).arg(&path);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let done = child.wait_with_output().unwrap();
    let sigpipe = 13;
    assert_eq!((done.status.signal(), String::from_utf8_lossy(&done.stderr).as_ref()), (Some(sigpipe), ""));
    let report: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!(report["nets"].as_array().unwrap().len(), 2);
}

#[test]
fn bench_sim_writes_every_figure_and_both_loops_take_the_same_way() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sim.json");
    let output = Command::new(env!("CARGO_BIN_EXE_hebb"))
        .args(["bench", "sim", "--quick", "--rounds", "10", "--json"])
        .arg(&path)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let grounds = report["grounds"].as_array().unwrap();
    assert_eq!(grounds.len(), 2);
    for ground in grounds {
        assert_eq!(ground["same_bits"], true, "{ground}");
        for key in ["ratio", "real_time_factor", "reset_us"] {
            assert!(ground[key].as_f64().unwrap() > 0.0, "{key}");
        }
    }
    assert_eq!(report["same_bits"], true);
    assert_eq!(report["episodes"].as_array().unwrap().len(), 2);
}
