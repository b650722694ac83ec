//! `vpp droop` as a process.

#![allow(clippy::unwrap_used)]

use std::process::{Command, Output};

fn droop(text: &str, more: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("frequency.csv");
    std::fs::write(&file, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_vpp"));
    command.arg("droop").arg(&file).args(more);
    command.output().unwrap()
}

#[test]
fn frequency_becomes_a_signal_that_can_be_followed() {
    let text = "time_s,frequency_hz\n0,50.0\n2,49.845\n4,50.4\n";
    let output = droop(text, &["--dead-band-hz", "0.03", "--droop", "0.005"]);
    assert!(output.status.success());
    let signal = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        signal,
        "time_s,signal\n0,0.000000\n2,0.500000\n4,-1.000000\n"
    );
    assert!(output.stderr.is_empty());
    // What is not known for sure is said.
    let warned = String::from_utf8(droop(text, &[]).stderr).unwrap();
    assert!(warned.contains("not verified"), "{warned}");
}

#[test]
fn a_bad_record_is_refused_by_line() {
    let table = [
        ("time_s,hz\n", "line 1: the columns must be"),
        (
            "time_s,frequency_hz\n0,50\n0,50\n",
            "line 3: time_s 0 does not come after",
        ),
        (
            "time_s,frequency_hz\n0,nan\n",
            "line 2: frequency_hz: NaN Hz is no frequency",
        ),
        (
            "time_s,frequency_hz\n0,500\n",
            "line 2: frequency_hz: 500 Hz is no frequency",
        ),
    ];
    for (text, expected) in table {
        let output = droop(text, &["--dead-band-hz", "0.03", "--droop", "0.005"]);
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(
            !output.status.success() && message.contains(expected),
            "{message}"
        );
        assert!(output.stdout.is_empty());
    }
}
