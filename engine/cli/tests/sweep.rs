//! `vpp sweep` as a process.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const SCENARIO: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../scenarios/fleet-small.toml"
);
const VARIED: [&str; 4] = [
    "--set",
    "assumptions.v2g_consent_share=0,1",
    "--seeds",
    "1-3",
];

fn sweep(out: &Path, arguments: &[&str]) -> Output {
    sweep_of(Path::new(SCENARIO), out, arguments)
}

fn sweep_of(scenario: &Path, out: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vpp"));
    command.arg("sweep").arg(scenario).arg("--out").arg(out);
    command.args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

fn runs(out: &Path) -> Vec<String> {
    let entries = fs::read_dir(out.join("runs")).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn machines_share_a_sweep_and_what_was_stopped_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let [whole, first, second] = ["whole", "first", "second"].map(|name| folder.path().join(name));
    let done = sweep(&whole, &VARIED);
    assert!(done.status.success(), "{}", said(&done));
    assert_eq!(runs(&whole).len(), 6);
    let table = fs::read(whole.join("sweep.parquet")).unwrap();
    let page = fs::read(whole.join("report.html")).unwrap();

    // Each machine does its half.
    for (out, shard) in [(&first, "1/2"), (&second, "2/2")] {
        let done = sweep(out, &[&VARIED[..], &["--shard", shard]].concat());
        assert!(done.status.success(), "{}", said(&done));
        assert!(said(&done).contains("3 of 6 runs"), "{}", said(&done));
        assert!(!out.join("sweep.parquet").exists());
    }
    assert_eq!(runs(&first), ["000000.json", "000002.json", "000004.json"]);
    for name in runs(&second) {
        fs::copy(
            second.join("runs").join(&name),
            first.join("runs").join(&name),
        )
        .unwrap();
    }
    // One of them was damaged on the way: it is run again, the others are not.
    let (kept, spoiled) = (
        first.join("runs/000001.json"),
        first.join("runs/000003.json"),
    );
    fs::write(&spoiled, "{\"number\": 3").unwrap();
    let before = fs::metadata(&kept).unwrap().modified().unwrap();
    let done = sweep(&first, &[&VARIED[..], &["--jobs", "1"]].concat());
    assert!(done.status.success(), "{}", said(&done));
    assert_eq!(fs::metadata(&kept).unwrap().modified().unwrap(), before);
    assert_eq!(fs::read(first.join("sweep.parquet")).unwrap(), table);
    assert_eq!(fs::read(first.join("report.html")).unwrap(), page);

    // A run is a file that can be replayed by itself.
    let variant = fs::read_to_string(whole.join("variants/000004.toml")).unwrap();
    assert!(
        variant.contains("v2g_consent_share = 1\n") && variant.contains("seed = 2\n"),
        "{variant}"
    );
}

/// Numbers, values and seeds are those of the sweep; what was run is not.
#[test]
fn a_run_of_another_sweep_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let scenario = folder.path().join("fleet.toml");
    let sound = fs::read_to_string(SCENARIO).unwrap();
    let ours = folder.path().join("ours");
    let run = |out: &Path, text: &str, until: &str, shard: &[&str]| {
        fs::write(&scenario, text).unwrap();
        let varied = ["--seeds", "1-2", "--until", until];
        sweep_of(&scenario, out, &[&varied[..], shard].concat())
    };
    let done = run(&ours, &sound, "2m", &["--shard", "1/2"]);
    assert!(done.status.success(), "{}", said(&done));
    let copied = ours.join("runs/000001.json");
    let other = sound.replace("reduction_kw = 300", "reduction_kw = 200");
    for (name, text, until) in [("end", &sound, "1m"), ("scenario", &other, "2m")] {
        let foreign = folder.path().join(name);
        let done = run(&foreign, text, until, &["--shard", "2/2"]);
        assert!(done.status.success(), "{}", said(&done));
        fs::copy(foreign.join("runs/000001.json"), &copied).unwrap();
        refused(&run(&ours, &sound, "2m", &[]), &ours);
    }
    // An earlier version does not say which sweep its runs are of.
    let mut earlier: serde_json::Value =
        serde_json::from_slice(&fs::read(&copied).unwrap()).unwrap();
    earlier.as_object_mut().unwrap().remove("sweep").unwrap();
    fs::write(&copied, earlier.to_string()).unwrap();
    refused(&run(&ours, &sound, "2m", &["--shard", "1/2"]), &ours);
    fs::remove_file(&copied).unwrap();
    let done = run(&ours, &sound, "2m", &[]);
    assert!(done.status.success(), "{}", said(&done));
    assert!(ours.join("sweep.parquet").exists());
}

fn refused(output: &Output, out: &Path) {
    let told = said(output);
    assert_eq!(output.status.code(), Some(2), "{told}");
    let named = told.contains("runs/000001.json: is a run of another sweep");
    assert!(named && told.contains("remove it"), "{told}");
    assert!(!out.join("sweep.parquet").exists());
}

#[test]
fn what_cannot_be_is_said_before_anything_is_run() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    for (arguments, problem) in [
        (
            vec!["--set", "assumptions.v2g_consent_share=0,1.5"],
            "v2g_consent_share",
        ),
        (
            vec!["--set", "assumptions.v2g_consent_shore=1"],
            "v2g_consent_share",
        ),
        (vec!["--set", "nothing"], "KEY=VALUE"),
        (vec!["--seeds", "5-1"], "1-20"),
        (vec!["--shard", "3/2"], "K/N"),
        (vec!["--until", "0h"], "after the start"),
    ] {
        let failed = sweep(&out, &arguments);
        assert_eq!(failed.status.code(), Some(2), "{}", said(&failed));
        assert!(said(&failed).contains(problem), "{}", said(&failed));
        assert!(!out.exists());
    }
    fs::create_dir(&out).unwrap();
    fs::write(out.join("letter.txt"), "mine").unwrap();
    let failed = sweep(&out, &["--until", "1m"]);
    assert_eq!(failed.status.code(), Some(2));
    assert!(
        said(&failed).contains("holds no sweep"),
        "{}",
        said(&failed)
    );
    fs::remove_file(out.join("letter.txt")).unwrap();
    assert!(sweep(&out, &["--until", "1m"]).status.success());
    let failed = sweep(&out, &["--until", "2m"]);
    assert_eq!(failed.status.code(), Some(2));
    assert!(said(&failed).contains("another sweep"), "{}", said(&failed));
    assert!(sweep(&out, &["--until", "2m", "--force"]).status.success());
}
