//! `vpp tariff`, `vpp rules` and `vpp baselines` as processes.

#![allow(clippy::unwrap_used)]

use std::process::{Command, Output};

use serde_json::Value;

fn vpp(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vpp"))
        .args(arguments)
        .output()
        .unwrap()
}

fn json(arguments: &[&str]) -> Value {
    let output = vpp(arguments);
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn error(arguments: &[&str]) -> String {
    let output = vpp(arguments);
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// The test vectors of the province's rule: 8 hours of valley, 9 flat, 7 peak, of which 3 sharp in July.
#[test]
fn a_day_of_the_tariff_is_printed() {
    let day = json(&["tariff", "2025-07-15", "--json"]);
    let rows = day.as_array().unwrap();
    let count = |period: &str| rows.iter().filter(|row| row["period"] == period).count();
    let counts = ["valley", "flat", "peak", "sharp"].map(count);
    assert_eq!(counts, [32, 36, 16, 12]);
    assert_eq!(rows[60]["start"], "2025-07-15T15:00:00+08:00");
    assert_eq!(
        (rows[60]["period"].as_str(), rows[59]["period"].as_str()),
        (Some("sharp"), Some("peak"))
    );
    assert_eq!(rows[60]["feed_in_cny_per_kwh"], "0.962625");
    let table = String::from_utf8(vpp(&["tariff", "2025-06-30"]).stdout).unwrap();
    assert!(
        table.contains("peak") && !table.contains("sharp"),
        "{table}"
    );
    let hot = String::from_utf8(vpp(&["tariff", "2025-06-30", "--hot"]).stdout).unwrap();
    assert!(hot.contains("sharp"), "{hot}");
    let homes = [
        "tariff",
        "2025-07-15",
        "--pack",
        "guangzhou-residential-2025",
        "--json",
    ];
    assert_eq!(json(&homes)[60]["price_cny_per_kwh"], "0.99500875");
}

#[test]
fn what_cannot_be_printed_is_refused() {
    assert!(error(&["tariff", "2025-02-30"]).contains("2025-02-30"));
    let unknown = error(&["tariff", "2025-07-15", "--pack", "guangdong"]);
    assert!(
        unknown.contains("known: guangdong-2025, shenzhen-2025"),
        "{unknown}"
    );
    let early = error(&["tariff", "2020-07-15"]);
    assert!(early.contains("is before 2021-10-01"), "{early}");
    assert!(error(&["rules", "--pack", "x"]).contains("known: guangdong-2025"));
    assert!(error(&["rules", "--status", "sure"]).contains("unverified"));
}

#[test]
fn rules_tell_what_is_not_sure() {
    let unsure = json(&["rules", "--status", "unverified", "--json"]);
    let rows = unsure.as_array().unwrap();
    assert!(rows.iter().all(|row| row["status"] == "unverified"));
    assert!(rows.iter().any(|row| row["pack"] == "southern-2025"));
    let table = String::from_utf8(vpp(&["rules", "--pack", "guangdong-2025"]).stdout).unwrap();
    assert!(
        table.contains("multiplier.peak") && table.contains("1.7"),
        "{table}"
    );
}

/// The public load series stand beside the project.
#[test]
fn baselines_are_tried_on_a_real_year() {
    let data = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data/loads-residential/loads_15min_kw_20_houses.csv.gz");
    let file = data.to_str().unwrap();
    let rows = json(&[
        "baselines",
        file,
        "--start",
        "2019-01-01",
        "--together",
        "--json",
    ]);
    for row in rows.as_array().unwrap() {
        let (bias, rrmse) = (
            row["bias"].as_f64().unwrap(),
            row["rrmse"].as_f64().unwrap(),
        );
        assert!(row["days"].as_u64().unwrap() > 200, "{row}");
        assert!(bias.abs() < 0.2 && (0.01..0.6).contains(&rrmse), "{row}");
    }
    let early = error(&[
        "baselines",
        file,
        "--start",
        "2019-01-01",
        "--from",
        "16:00",
        "--to",
        "14:00",
    ]);
    assert!(early.contains("--to must come after"), "{early}");
}
