//! `vpp report` and `vpp compare`: on whole runs, and on folders that hold none.
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)] // made-up figures

use std::path::Path;
use std::process::{Command, Output};

#[path = "../../results/tests/synthetic/mod.rs"]
mod synthetic;
use synthetic::Size;

const SIZE: Size = Size {
    days: 1,
    stations: 12,
    interval_s: 900,
    seed: 1,
};

fn vpp(arguments: &[&str], folder: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vpp"));
    command
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("vpp starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

#[test]
fn a_report_is_made_anew_and_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    synthetic::write(&folder.path().join("a"), SIZE).expect("written");
    let report = || std::fs::read_to_string(folder.path().join("a/report.html")).expect("a report");
    let made = vpp(&["report", "a"], folder.path());
    assert_eq!(made.status.code(), Some(0), "{}", text(&made.stderr));
    let english = report();
    vpp(&["report", "a", "--lang", "zh"], folder.path());
    assert!(report().contains("<html lang=\"zh-CN\">") && english.contains("<html lang=\"en\">"));
    vpp(&["report", "a"], folder.path());
    assert_eq!(report(), english);
}

#[test]
fn runs_are_compared_and_what_differs_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    synthetic::write(&folder.path().join("a"), SIZE).expect("written");
    synthetic::write(
        &folder.path().join("b"),
        Size {
            seed: 2,
            days: 2,
            ..SIZE
        },
    )
    .expect("written");
    let compared = vpp(&["compare", "a", "b", "--out", "c"], folder.path());
    assert_eq!(
        compared.status.code(),
        Some(0),
        "{}",
        text(&compared.stderr)
    );
    let table = text(&compared.stdout);
    assert!(
        table.starts_with("not alike: other scenario, other length, other seed\n"),
        "{table}"
    );
    // Two days of the same fleet draw more and cost more.
    let row = |name: &str| {
        table
            .lines()
            .find(|line| line.contains(name))
            .expect("a row")
            .to_owned()
    };
    assert!(
        row("net cost ").contains('▼') && row("earned by").contains('▲'),
        "{table}"
    );
    assert!(row("limits broken").contains('='), "{table}");
    assert!(folder.path().join("c/compare.html").exists());

    let same = text(&vpp(&["compare", "a", "a"], folder.path()).stdout);
    assert!(
        !same.contains("not alike") && !same.contains('▲') && !same.contains('▼'),
        "{same}"
    );
}

#[test]
fn a_folder_without_a_whole_run_is_an_error_with_its_file() {
    let folder = tempfile::tempdir().expect("a folder");
    synthetic::write(&folder.path().join("a"), SIZE).expect("written");
    let says = |arguments: &[&str]| {
        let output = vpp(arguments, folder.path());
        assert_eq!(output.status.code(), Some(2));
        text(&output.stderr)
    };
    let missing = says(&["compare", "a", "none"]);
    assert!(
        missing.starts_with("vpp: none/summary.json: No such file"),
        "{missing}"
    );
    let table = folder.path().join("a/system.parquet");
    let whole = std::fs::read(&table).expect("a table");
    std::fs::write(&table, &whole[..whole.len() / 2]).expect("cut");
    let cut = says(&["report", "a"]);
    assert!(
        cut.starts_with("vpp: a/system.parquet: not a whole Parquet file"),
        "{cut}"
    );
    assert!(!folder.path().join("a/report.html").exists());
}

/// Every table of a run, whether a command looks into it or not: a run whose copy broke off says nothing of which rows are missing.
#[test]
fn a_table_that_is_half_written_or_missing_is_an_error_with_its_file() {
    let folder = tempfile::tempdir().expect("a folder");
    for run in ["a", "b"] {
        synthetic::write(&folder.path().join(run), SIZE).expect("written");
    }
    let commands: [&[&str]; 5] = [
        &["compare", "a", "b", "--out", "c"],
        &["compare", "b", "a", "--out", "c"],
        &["report", "b"],
        &["evaluate", "b", "--out", "plan.html"],
        &["evaluate", "a", "b", "--json"],
    ];
    let tables = [
        "system",
        "aggregators",
        "nodes",
        "stations",
        "station_days",
        "events",
        "regulation",
        "promises",
        "visits",
        "prices",
        "alarms",
    ];
    for table in tables {
        let path = folder.path().join("b").join(format!("{table}.parquet"));
        let whole = std::fs::read(&path).expect("a table");
        let refused = |why: &str| {
            for command in commands {
                let output = vpp(command, folder.path());
                let said = text(&output.stderr);
                assert_eq!(output.status.code(), Some(2), "{command:?}: {said}");
                let begin = format!("vpp: b/{table}.parquet: {why}");
                assert!(said.starts_with(&begin), "{command:?}: {said}");
                assert!(output.stdout.is_empty(), "{command:?}");
            }
        };
        std::fs::write(&path, &whole[..whole.len() / 2]).expect("cut");
        refused("not a whole Parquet file");
        std::fs::remove_file(&path).expect("removed");
        refused("No such file");
        std::fs::write(&path, &whole).expect("whole again");
    }
    for made in ["c", "plan.html", "b/report.html"] {
        assert!(!folder.path().join(made).exists(), "{made}");
    }
}
