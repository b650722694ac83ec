//! `vpp market-day` as a process.

#![allow(clippy::unwrap_used)]

use std::process::{Command, Output};

fn market_day(file: &std::path::Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vpp"));
    command.arg("market-day").arg(file).args(more);
    command.output().unwrap()
}

/// The study's battery on the real day: the public data stand beside the project.
#[test]
fn the_real_day_of_a_battery_is_run_and_shown() {
    let file =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios/regd-day.toml");
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("intervals.csv");
    let output = market_day(
        &file,
        &[
            "--only",
            "storage",
            "--json",
            "--out",
            out.to_str().unwrap(),
        ],
    );
    assert!(output.status.success(), "{output:?}");
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let number = |name: &str| found[name].as_f64().unwrap();
    let intervals = found["intervals"].as_array().unwrap();
    assert_eq!(
        (found["currency"].as_str(), intervals.len()),
        (Some("USD"), 24)
    );
    let sum: f64 = intervals
        .iter()
        .map(|i| i["profit"].as_f64().unwrap())
        .sum();
    assert!((sum - number("profit")).abs() < 1e-6);
    assert!(number("profit") > 0.95 * number("profit_in_hindsight"));
    assert!(number("mean_score") > 0.99 && number("unmet_kwh") < 1e-6);
    let csv = std::fs::read_to_string(out).unwrap();
    assert_eq!(csv.lines().count(), 25);
    assert!(csv.starts_with("interval,base_kw,capacity_kw,drawn_kwh,"));
    let shown = market_day(&file, &["--only", "storage"]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(
        shown.contains("the best bid in hindsight") && shown.contains("MIT licence"),
        "{shown}"
    );
}

#[test]
fn a_missing_table_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("day.toml");
    let text = include_str!("../../../scenarios/regd-day.toml");
    std::fs::write(&file, text).unwrap();
    let output = market_day(&file, &[]);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        message.contains("hourly_prices.csv: No such file"),
        "{message}"
    );
}
