//! `vpp replay` as a process.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

fn vpp() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vpp"));
    command.arg("replay");
    command
}

fn replay(file: &Path, out: &Path, more: &[&str]) -> Output {
    let mut command = vpp();
    command.arg(file).arg("--out").arg(out).args(more);
    command.output().unwrap()
}

fn small() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios/fleet-small.toml")
}

/// The small fleet for two hours.
fn two_hours(folder: &Path) -> PathBuf {
    let text = std::fs::read_to_string(small()).unwrap();
    let text = text.replace("duration_minutes = 10", "duration_minutes = 120");
    let file = folder.join("two-hours.toml");
    std::fs::write(&file, text).unwrap();
    file
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, std::fs::read(path).unwrap())
    });
    entries.collect()
}

#[test]
fn a_scenario_leaves_its_results_and_they_are_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("results");
    let output = replay(&small(), &out, &["--json", "--threads", "2"]);
    assert!(output.status.success(), "{output:?}");
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["scenario"]["name"], "fleet-small");
    assert_eq!(summary["limits"]["violations"], 0);
    assert!(
        summary["energy"]["import_kwh"].as_f64().unwrap() > 10.0,
        "{summary}"
    );
    let made = files(&out);
    let names: Vec<&str> = made.keys().map(String::as_str).collect();
    assert!(
        names.contains(&"summary.json") && names.contains(&"report.html"),
        "{names:?}"
    );
    assert!(
        names.contains(&"system.parquet") && names.len() == 13,
        "{names:?}"
    );

    let again = replay(&small(), &out, &[]);
    assert_eq!(again.status.code(), Some(2));
    assert!(
        String::from_utf8_lossy(&again.stderr).contains("--force"),
        "{again:?}"
    );
    assert_eq!(files(&out), made);
    let forced = replay(&small(), &out, &["--force", "--threads", "1"]);
    assert!(forced.status.success(), "{forced:?}");
    assert!(
        String::from_utf8_lossy(&forced.stdout).contains("limits broken"),
        "{forced:?}"
    );
    assert_eq!(
        files(&out),
        made,
        "the same bytes on another number of threads"
    );
}

#[test]
fn a_run_that_was_killed_is_taken_up_and_ends_as_if_it_had_not_been() {
    let folder = tempfile::tempdir().unwrap();
    let file = two_hours(folder.path());
    let (out, whole) = (folder.path().join("out"), folder.path().join("whole"));
    // Two hours in twelve seconds: it is killed on the way.
    let mut child = vpp()
        .args([file.to_str().unwrap(), "--speed", "600", "--out"])
        .arg(&out)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let marker = out.join("replay.unfinished");
    let began = Instant::now();
    while !(marker.exists() && out.join("system.parquet.part").exists()) {
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "it does not begin"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(500));
    // While it is at it, nobody else is.
    let busy = replay(&file, &out, &[]);
    assert_eq!(busy.status.code(), Some(2), "{busy:?}");
    assert!(
        String::from_utf8_lossy(&busy.stderr).contains("another process"),
        "{busy:?}"
    );
    child.kill().unwrap();
    child.wait().unwrap();
    let left: Vec<String> = files(&out).into_keys().collect();
    assert!(
        marker.exists() && !left.contains(&"summary.json".to_owned()),
        "{left:?}"
    );

    let other = replay(&small(), &out, &[]);
    assert_eq!(other.status.code(), Some(2), "{other:?}");
    assert!(
        String::from_utf8_lossy(&other.stderr).contains("another scenario"),
        "{other:?}"
    );
    let taken_up = replay(&file, &out, &[]);
    assert!(taken_up.status.success(), "{taken_up:?}");
    assert!(replay(&file, &whole, &[]).status.success());
    assert_eq!(files(&out), files(&whole));
}

/// Two hours in twelve seconds, killed wherever it happens to be: it goes on from where it was saved, also when that is damaged or
/// another build's, from its start then.
#[test]
fn a_run_that_was_saved_goes_on_from_there() {
    let folder = tempfile::tempdir().unwrap();
    let file = two_hours(folder.path());
    let (out, whole) = (folder.path().join("out"), folder.path().join("whole"));
    let saved = out.join("replay.checkpoint");
    let killed_after = |millis: u64| {
        let mut child = vpp()
            .args([file.to_str().unwrap(), "--speed", "600"])
            .args(["--save-every", "0", "--out"])
            .arg(&out)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let began = Instant::now();
        while !saved.exists() {
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "nothing is saved"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        std::thread::sleep(Duration::from_millis(millis));
        child.kill().unwrap();
        String::from_utf8(child.wait_with_output().unwrap().stderr).unwrap()
    };
    assert!(!killed_after(1_200).contains("goes on"));
    assert!(killed_after(1_700).contains("goes on from 20"));
    assert!(killed_after(900).contains("goes on from 20"));
    // A state that is not whole is none, nor one of another program.
    let bytes = std::fs::read(&saved).unwrap();
    let mut damaged = bytes.clone();
    *damaged.last_mut().unwrap() ^= 1;
    let mut others = bytes.clone();
    others[70] ^= 1;
    for bytes in [&bytes[..bytes.len() / 2], &damaged, &others, b""] {
        std::fs::write(&saved, bytes).unwrap();
        assert!(!killed_after(0).contains("goes on"));
    }
    std::fs::write(&saved, &bytes).unwrap();
    let taken_up = replay(&file, &out, &[]);
    assert!(taken_up.status.success(), "{taken_up:?}");
    let said = String::from_utf8_lossy(&taken_up.stderr);
    assert!(said.contains("goes on from 20"), "{said}");
    assert!(replay(&file, &whole, &[]).status.success());
    assert_eq!(files(&out), files(&whole));
}

/// Three scenarios of which the second is killed: the first is not run again, the second anew, the third for the first time.
#[test]
fn of_several_scenarios_those_that_were_whole_are_not_run_again() {
    let folder = tempfile::tempdir().unwrap();
    let (out, apart) = (folder.path().join("out"), folder.path().join("apart"));
    let text = std::fs::read_to_string(small()).unwrap();
    let scenario = |name: &str, minutes: &str| {
        let text = text.replacen("\"fleet-small\"", &format!("\"{name}\""), 1);
        let text = text.replace("duration_minutes = 10", minutes);
        let file = folder.path().join(format!("{name}.toml"));
        std::fs::write(&file, text).unwrap();
        file
    };
    let scenarios = [
        scenario("first", "duration_minutes = 10"),
        scenario("second", "duration_minutes = 120"),
        scenario("third", "duration_minutes = 10"),
    ];
    let batch = |out: &Path, scenarios: &[PathBuf], more: &[&str]| {
        let mut command = vpp();
        command.args(scenarios).arg("--out").arg(out).args(more);
        command
    };
    // What was in the folder of the third shall go.
    assert!(
        replay(&scenarios[2], &out.join("third"), &["--lang", "zh"])
            .status
            .success()
    );
    let refused = batch(&out, &scenarios, &[]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("third: holds the results"), "{said}");
    assert!(!out.join("first").exists(), "it is told before the first");

    // Ten minutes in a second, then two hours in twelve: it is killed on the way.
    let mut child = batch(&out, &scenarios, &["--speed", "600", "--force"]);
    let mut child = child.stderr(Stdio::null()).spawn().unwrap();
    let began = Instant::now();
    let marker = out.join("second/replay.unfinished");
    while !(marker.exists() && out.join("second/system.parquet.part").exists()) {
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "it does not begin"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(500));
    let busy = batch(&out, &scenarios, &[]).output().unwrap();
    let said = String::from_utf8_lossy(&busy.stderr);
    assert!(said.contains("another process"), "{said}");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(marker.exists() && !out.join("second/summary.json").exists());
    let list = out.join("replays.unfinished");
    let listed = std::fs::read_to_string(&list).unwrap();
    let listed: Vec<&str> = listed.lines().collect();
    assert_eq!(listed.len(), 2);
    let when = |file: &str| {
        let about = std::fs::metadata(out.join(file)).unwrap();
        about.modified().unwrap()
    };
    let whole = files(&out.join("first"));
    let made = when("first/summary.json");

    // Others are not taken for these.
    let other = batch(&out, &scenarios[..2], &[]).output().unwrap();
    assert_eq!(other.status.code(), Some(2), "{other:?}");
    let said = String::from_utf8_lossy(&other.stderr);
    assert!(said.contains("of other scenarios"), "{said}");

    // As if it had been killed just before the marker of the first went; but not while somebody else is at it.
    let (digest, _) = listed[1].split_once(' ').unwrap();
    let marker = out.join("first/replay.unfinished");
    std::fs::write(&marker, digest).unwrap();
    let held = std::fs::File::open(&marker).unwrap();
    held.lock().unwrap();
    let busy = batch(&out, &scenarios, &[]).output().unwrap();
    let said = String::from_utf8_lossy(&busy.stderr);
    assert!(said.contains("another process"), "{said}");
    assert!(marker.exists());
    drop(held);
    let taken_up = batch(&out, &scenarios, &[]).output().unwrap();
    assert!(taken_up.status.success(), "{taken_up:?}");
    let said = String::from_utf8_lossy(&taken_up.stderr);
    assert!(said.contains("first was whole"), "{said}");
    assert_eq!(files(&out.join("first")), whole);
    assert_eq!(when("first/summary.json"), made, "it was not run again");
    assert!(!list.exists());
    for (name, file) in ["first", "second", "third"].into_iter().zip(&scenarios) {
        let apart = apart.join(name);
        assert!(replay(file, &apart, &[]).status.success());
        assert_eq!(files(&out.join(name)), files(&apart), "{name}");
    }
    // All are whole: nobody was killed, and nothing is replaced unasked.
    let again = batch(&out, &scenarios, &[]).output().unwrap();
    assert_eq!(again.status.code(), Some(2), "{again:?}");
}

#[test]
fn bad_input_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let bad = folder.path().join("bad.toml");
    let text = std::fs::read_to_string(small()).unwrap();
    std::fs::write(
        &bad,
        text.replacen(
            "[[event]]",
            "[dispatch]\nstep_s = 7\ncycle_s = 4000\n[[event]]",
            1,
        ),
    )
    .unwrap();
    for (file, more, expected) in [
        (folder.path().join("none.toml"), vec![], "none.toml"),
        (bad, vec![], "dispatch.step_s"),
        (small(), vec!["--until", "soon"], "--until"),
        (small(), vec!["--until", "4294967295d"], "--until"),
        (
            small(),
            vec!["--until", "2020-01-01T00:00:00Z"],
            "not after the start",
        ),
        (small(), vec!["--speed", "0"], "--speed"),
        (small(), vec!["--threads", "0"], "--threads"),
        (
            small(),
            vec!["../../scenarios/fleet-small.toml"],
            "two scenarios have the name",
        ),
    ] {
        let output = replay(&file, &out, &more);
        assert_eq!(output.status.code(), Some(2), "{expected}: {output:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(expected), "{expected}: {said}");
        assert!(!out.exists(), "{expected}");
    }
}
