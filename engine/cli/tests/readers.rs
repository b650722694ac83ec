//! What becomes of a command whose words nobody reads, or that cannot be written.

#![allow(clippy::unwrap_used)]

use std::process::{Command, Stdio};

fn vpp(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vpp"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// `vpp … | head -0`, and with its errors on the same pipe.
#[test]
fn a_reader_that_has_gone_ends_no_command() {
    for arguments in [vec!["rules"], vec!["schema"], vec!["tariff", "2025-07-15"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = vpp(&arguments).stdout(writer).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            output.status.success() && !said.contains("panicked"),
            "{arguments:?}: {said}"
        );
    }
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let status = vpp(&["tariff", "2025-02-30"])
        .stdout(Stdio::null())
        .stderr(writer)
        .status();
    assert_eq!(status.unwrap().code(), Some(2));
}

#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_is_full_fails_the_command() {
    let full = std::fs::File::create("/dev/full").unwrap();
    let output = vpp(&["rules"]).stdout(full).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.starts_with("standard output: No space left"), "{said}");
}
