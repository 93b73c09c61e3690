//! What commands write their files over, and where.
#![allow(clippy::unwrap_used)]

mod common;

use std::os::unix::fs::{FileTypeExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{hebb, repository};
use hebbian_locomotion::tensors::f32_bytes;
use safetensors::tensor::{Dtype, TensorView, serialize};

/// Writes a safetensors file of one tensor of zeros.
fn write_zeros(path: &Path, name: &str, shape: [usize; 2]) {
    let bytes = f32_bytes(&vec![0.0; shape[0] * shape[1]]);
    let view = TensorView::new(Dtype::F32, shape.to_vec(), &bytes).unwrap();
    std::fs::write(path, serialize([(name, view)], None).unwrap()).unwrap();
}

/// A folder with a policy, robot and inputs for each command; and what a command may not write over.
fn folder() -> (tempfile::TempDir, impl Fn(&str) -> String) {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().to_owned();
    std::fs::copy(repository("config/policies/beetle.safetensors"), path.join("policy")).unwrap();
    write_zeros(&path.join("inputs"), "input", [2, 27]);
    write_zeros(&path.join("targets"), "targets", [2, 18]);
    std::fs::write(path.join("notes"), b"of a person").unwrap();
    std::fs::write(path.join("empty"), b"").unwrap();
    (folder, move |name: &str| path.join(name).to_str().unwrap().to_owned())
}

/// Checks that the command which `first`, the file to write and `options` make replaces only its own files, which are `kind`, unless it is forced.
fn check_that_only_own_files_are_replaced(
    file: &impl Fn(&str) -> String,
    first: &[&str],
    options: &[&str],
    input: &str,
    kind: &str,
) {
    let run = |out: &str, more: &[&str]| hebb([first, &[file(out).as_str()][..], options, more].concat());
    let refused = |out: &str, says: &str| {
        let before = std::fs::read(file(out)).unwrap();
        let output = run(out, &[]);
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && text.contains(says) && text.contains("--force"), "{text}");
        assert_eq!(std::fs::read(file(out)).unwrap(), before);
    };
    let written = |out: &str, more: &[&str]| {
        let output = run(out, more);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    refused(input, "is read by this command");
    symlink(file(input), file("link")).unwrap();
    refused("link", "is read by this command");
    std::fs::copy(repository("config/policies/beetle.safetensors"), file("other")).unwrap();
    for out in ["other", "notes"] {
        refused(out, &format!("is there and is not {kind}"));
    }
    for out in ["new", "new", "empty", "empty"] {
        written(out, &[]);
    }
    written("other", &["--force"]);
    written("other", &[]);
    assert_eq!(std::fs::read(file("other")).unwrap(), std::fs::read(file("new")).unwrap());
}

#[test]
fn a_trace_replaces_traces_alone() {
    let (_folder, file) = folder();
    let robot = repository("config/robots/beetle.yaml");
    let (policy, new) = (file("policy"), file("new"));
    let options = ["--robot", robot.to_str().unwrap(), "--duration", "0.1"];
    check_that_only_own_files_are_replaced(&file, &["trace", policy.as_str()], &options, "policy", "a trace");
    let weights = hebb([&["trace", policy.as_str(), new.as_str(), "--weights"][..], &options[..]].concat());
    assert!(weights.status.success(), "{}", String::from_utf8_lossy(&weights.stderr));
}

#[test]
fn outputs_of_a_network_replace_such_outputs_alone_and_never_its_inputs() {
    let (_folder, file) = folder();
    let (policy, inputs) = (file("policy"), file("inputs"));
    let first = ["feed", policy.as_str(), inputs.as_str()];
    check_that_only_own_files_are_replaced(&file, &first, &[], "inputs", "what `hebb feed` wrote");
}

#[test]
fn the_course_of_a_driven_robot_replaces_such_courses_alone_and_never_its_targets() {
    let (_folder, file) = folder();
    let robot = repository("config/robots/beetle.yaml");
    let targets = file("targets");
    let first = ["robot", "drive", robot.to_str().unwrap(), targets.as_str()];
    check_that_only_own_files_are_replaced(&file, &first, &[], "targets", "what `hebb robot drive` wrote");
}

/// `hebb inspect` of a policy without a rule, and so without an episode.
fn inspect() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hebb"));
    command.arg("inspect").arg(repository("config/policies/study/beetle_feed_forward_11.safetensors"));
    command
}

#[test]
fn figures_for_the_file_that_the_output_goes_to_follow_what_was_printed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out");
    let output = std::fs::File::create(&path).unwrap();
    assert!(inspect().arg("--json").arg(&path).stdout(output).status().unwrap().success());
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("policy ") && text.contains("\"kind\": \"policy\"") && text.ends_with("}\n"), "{text}");
}

#[test]
fn figures_for_an_open_file_follow_what_is_in_it_and_others_go_on_after_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let script = r#"exec 3>>"$1"; shift; echo before >&3; "$@" --json /dev/fd/3 && echo after >&3"#;
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).arg(&path).arg(env!("CARGO_BIN_EXE_hebb")).arg("inspect");
    let output = command.arg(repository("config/policies/study/beetle_feed_forward_11.safetensors")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = std::fs::read_to_string(&path).unwrap();
    let json = text.strip_prefix("before\n").and_then(|text| text.strip_suffix("after\n"));
    let report: serde_json::Value = serde_json::from_str(json.unwrap()).unwrap();
    assert_eq!(report["kind"], "policy");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn what_goes_to_standard_output_is_the_file_and_nothing_else() {
    let (_folder, file) = folder();
    let robot = repository("config/robots/beetle.yaml");
    let (robot, policy, inputs, targets) = (robot.to_str().unwrap(), file("policy"), file("inputs"), file("targets"));
    let new = file("new");
    let commands = [
        &["feed", policy.as_str(), inputs.as_str(), "OUT"][..],
        &["trace", policy.as_str(), "OUT", "--robot", robot, "--duration", "0.1"],
        &["robot", "drive", robot, targets.as_str(), "OUT"],
        &["robot", "export", robot, "--mjcf", "OUT"],
    ];
    for command in commands {
        let to = |out: &str| {
            let output = hebb(command.iter().map(|&word| if word == "OUT" { out.to_owned() } else { word.to_owned() }));
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            output
        };
        let written = to("/dev/stdout");
        let said = String::from_utf8(to(&new).stdout).unwrap();
        assert_eq!(written.stdout, std::fs::read(&new).unwrap(), "{command:?}");
        assert_eq!(String::from_utf8(written.stderr).unwrap(), said.replace(&new, "/dev/stdout"));
        std::fs::remove_file(&new).unwrap();
    }
}

#[test]
fn figures_replace_figures_alone_and_never_what_a_command_reads() {
    let (_folder, file) = folder();
    std::fs::copy(file("policy"), file("other.safetensors")).unwrap();
    std::fs::copy(repository("config/robots/beetle.urdf"), file("urdf")).unwrap();
    std::fs::write(file("records"), b"{}\n{}\n").unwrap();
    symlink(file("policy"), file("link")).unwrap();
    let [suite, robot] = ["config/suites/robustness.yaml", "config/robots/beetle.yaml"].map(repository);
    let [suite, robot] = [&suite, &robot].map(|path| path.to_str().unwrap());
    let paths = ["policy", "other.safetensors", "link", "notes", "records", "urdf"].map(&file);
    let [policy, other, link, notes, records, urdf] = paths.each_ref().map(String::as_str);
    let (is_read, is_none) = ("is read by this command", "is there and is not JSON");
    for (command, out, says) in [
        (vec!["evaluate", policy, "--robot", robot, "--json"], policy, is_read),
        (vec!["evaluate", policy, "--robot", robot, "--json"], link, is_read),
        (vec!["evaluate", policy, "--robot", robot, "--json"], other, is_none),
        (vec!["evaluate", policy, "--suite", suite, "--json"], other, is_none),
        (vec!["evaluate", policy, "--suite", suite, "--records", records, "--json"], records, is_read),
        (vec!["inspect", policy, "--json"], policy, is_read),
        (vec!["inspect", policy, "--json"], other, is_none),
        (vec!["inspect", policy, "--json"], notes, is_none),
        (vec!["inspect", policy, "--json"], records, is_none),
        (vec!["robot", "check", robot, "--json"], notes, is_none),
        (vec!["bench", "search", "--json"], notes, is_none),
        (vec!["robot", "export", robot, "--mjcf"], urdf, "is there and is not a MuJoCo model"),
    ] {
        let before = std::fs::read(out).unwrap();
        let output = hebb([&command[..], &[out]].concat());
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && text.contains(says), "{command:?}: {text}");
        assert!(output.stdout.is_empty(), "{command:?} refuses before any work");
        assert_eq!(std::fs::read(out).unwrap(), before);
    }
    let same = file("same");
    let output = hebb(["evaluate", policy, "--suite", suite, "--records", &same, "--json", &same]);
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("name one file"));
    assert!(!Path::new(&same).exists());
    for out in ["new", "new", "empty", "empty"] {
        assert!(inspect().arg("--json").arg(file(out)).output().unwrap().status.success());
    }
    for _ in 0..2 {
        assert!(hebb(["robot", "export", robot, "--mjcf", &file("model")]).status.success());
    }
}

#[test]
fn a_report_of_studies_writes_figures_over_figures_alone_and_its_page_over_no_records() {
    let (home, file) = folder();
    let written = "{name: package, suite: suite.yaml, policies: none, seeds: [1], generations: 1, \
                   groups: [{name: plastic, experiment: plastic.yaml}]}";
    std::fs::write(file("study.yaml"), written).unwrap();
    std::fs::write(file("suite.yaml"), "{episodes: 1, duration: 1, conditions: [{name: flat}]}").unwrap();
    std::fs::create_dir(file("kept")).unwrap();
    let [study, page, kept, figures] = ["study.yaml", "page.md", "kept", "kept/package.json"].map(&file);
    let report = |out: &str, more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hebb"));
        command.current_dir(home.path()).args(["study", "report", study.as_str(), "--records", "kept", "--out", out]);
        let output = command.args(more).output().unwrap();
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    };
    // However the page is spelled, and whatever links lead there, also to what is not there yet.
    symlink("kept", file("folder")).unwrap();
    let refuse_page_over_records = || {
        for name in ["package.json", "package.episodes.jsonl", "package.weights.jsonl"] {
            let link = file(&format!("link to {name}"));
            if !Path::new(&link).is_symlink() {
                symlink(format!("kept/{name}"), &link).unwrap();
            }
            let path = file(&format!("kept/{name}"));
            let before = std::fs::read(&path).ok();
            let ways = ["kept/", "./kept/", "kept/./", "kept/../kept/", "folder/", "link to "].map(|way| format!("{way}{name}"));
            for out in ways.iter().chain([&path, &link]) {
                let (fine, text) = report(out, &["--force"]);
                assert!(!fine && text.contains("is where --records keeps"), "{out}: {text}");
                assert_eq!(std::fs::read(&path).ok(), before, "{out}");
            }
        }
    };
    let foreign = "{\"name\": \"package\", \"version\": \"1.0.0\"}";
    std::fs::write(&figures, foreign).unwrap();
    let (fine, text) = report(&page, &[]);
    assert!(!fine && text.contains("package.json is there and is not figures") && text.contains("--force"), "{text}");
    assert_eq!(std::fs::read_to_string(&figures).unwrap(), foreign);
    refuse_page_over_records();
    assert_eq!(std::fs::read_dir(&kept).unwrap().count(), 1, "it refuses before any work");
    for more in [&["--force"][..], &[]] {
        let (fine, text) = report(&page, more);
        assert!(fine, "{text}");
    }
    refuse_page_over_records();
}

#[test]
fn figures_for_a_pipe_come_out_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let reader = std::thread::spawn({
        let path = path.clone();
        move || std::fs::read(path).unwrap()
    });
    let output = inspect().arg("--json").arg(&path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(std::fs::metadata(&path).unwrap().file_type().is_fifo());
    let report: serde_json::Value = serde_json::from_slice(&reader.join().unwrap()).unwrap();
    assert_eq!(report["kind"], "policy");
}
