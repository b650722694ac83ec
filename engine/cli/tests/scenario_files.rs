//! `vpp new`, `vpp check` and `vpp schema` as processes.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn vpp(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vpp"));
    command.current_dir(folder).args(arguments);
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn every_template_passes_the_check_and_none_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    for template in ["city", "community", "swap", "minimal"] {
        let made = vpp(
            folder.path(),
            &["new", "my-city", "--template", template, "--force"],
        );
        assert!(made.status.success(), "{template}: {}", text(&made.stderr));
        let checked = vpp(folder.path(), &["check", "my-city.toml"]);
        assert!(
            checked.status.success(),
            "{template}: {}",
            text(&checked.stderr)
        );
    }
    std::fs::write(folder.path().join("my-city.toml"), "mine").unwrap();
    let refused = vpp(folder.path(), &["new", "my-city.toml"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("is there already; --force overwrites it"));
    assert_eq!(
        std::fs::read_to_string(folder.path().join("my-city.toml")).unwrap(),
        "mine"
    );
    let nameless = vpp(folder.path(), &["new", "my city"]);
    assert_eq!(nameless.status.code(), Some(2));
    assert!(
        text(&nameless.stderr).contains("is no name"),
        "{}",
        text(&nameless.stderr)
    );
}

#[test]
fn a_check_names_file_and_line_for_people_and_for_editors() {
    let folder = tempfile::tempdir().unwrap();
    assert!(vpp(folder.path(), &["new", "base"]).status.success());
    let variant = "include = \"base.toml\"\n[assumptions]\nv2g_floor = 4\n";
    std::fs::write(folder.path().join("variant.toml"), variant).unwrap();
    let refused = vpp(folder.path(), &["check", "base.toml", "variant.toml"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stdout).starts_with("base.toml: sound: 1 aggregators, 2 stations"));
    let told = "variant.toml: line 3, column 13: assumptions.v2g_floor: 4 is outside 0 to 1\n";
    assert_eq!(text(&refused.stderr), told);
    let refused = vpp(
        folder.path(),
        &["check", "--json", "base.toml", "variant.toml", "none.toml"],
    );
    assert_eq!(refused.status.code(), Some(2));
    let lines = text(&refused.stdout)
        .lines()
        .map(serde_json::from_str::<Value>);
    let lines: Vec<Value> = lines.collect::<Result<_, _>>().unwrap();
    assert_eq!(
        (&lines[0]["sound"], &lines[0]["stations"]),
        (&true.into(), &2.into())
    );
    let problem = &lines[1]["problems"][0];
    assert_eq!(problem["file"], "variant.toml");
    assert_eq!(
        (&problem["line"], &problem["key"]),
        (&3.into(), &"assumptions.v2g_floor".into())
    );
    assert!(
        lines[2]["problems"][0]["message"]
            .as_str()
            .unwrap()
            .contains("No such file")
    );
}

#[test]
fn the_schema_is_printed_and_written() {
    let folder = tempfile::tempdir().unwrap();
    let printed = vpp(folder.path(), &["schema"]);
    let schema: Value = serde_json::from_slice(&printed.stdout).unwrap();
    assert_eq!(
        schema["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
    assert!(
        vpp(folder.path(), &["schema", "--out", "s.json"])
            .status
            .success()
    );
    assert_eq!(
        std::fs::read(folder.path().join("s.json")).unwrap(),
        printed.stdout
    );
}
