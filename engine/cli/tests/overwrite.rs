//! What is there already is written over only with `--force`, by every command that writes files.

#![allow(clippy::unwrap_used)] // a test that cannot go on shall fail
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

const EVENT: &str = r#"
event = "dr-1"
aggregator = "agg-a"
direction = "shaving"
date = 2025-07-25
from = "14:00"
to = "14:15"
invited_on = 2025-07-24
cleared_kw = 80
price_cny_per_kwh = "2"
baseline = "js5"
payment = "tiered"
"#;
const READINGS: &str = "station,start,wh\ns-1,2025-07-24T14:00,10000\ns-1,2025-07-25T14:00,0\n";
const MONTH: &str =
    "month = \"2027-04\"\ntariff = \"guangdong-2025\"\nstations = \"stations.csv\"\n";
const STATIONS: &str = "station,aggregator,sun,storage\ns-1,agg-a,none,none\n";
const METERS: &str = "station,start,gate_in_wh,gate_out_wh,pile_discharge_wh,sun_out_wh,storage_out_wh\n\
                      s-1,2027-04-01T00:00,1000,0,0,0,0\n";
const FREQUENCY: &str = "time_s,frequency_hz\n0,50.0\n";
const DAY: &str = r#"
format = 1
name = "two hours"
currency = "CNY"
interval_h = 1.0
sustain_h = 0.25
expected_score = 0.9
energy_price = [0.5, 0.6]
capacity_price = 0.1
mileage_price = 0.001
expected_mileage = 2.0
signal = [1.0, -1.0, 0.0, 0.0]

[[asset]]
name = "battery"
charge_max_kw = 100
discharge_max_kw = 100
store = { initial_kwh = 200, least_kwh = 0, greatest_kwh = 400, charge_efficiency = 0.9, discharge_efficiency = 0.8 }
"#;
const FLEET: &str = include_str!("../../../scenarios/fleet-small.toml");

/// A command in words, and the files that it writes.
const COMMANDS: [(&str, &[&str]); 11] = [
    ("new city", &["city.toml"]),
    ("schema --out schema.json", &["schema.json"]),
    ("compare a b --out compared", &["compared/compare.html"]),
    ("evaluate a --out evaluated.html", &["evaluated.html"]),
    ("evaluate a --out evaluated.md", &["evaluated.md"]),
    ("droop frequency.csv --out signal.csv", &["signal.csv"]),
    (
        "market-day day.toml --out intervals.csv",
        &["intervals.csv"],
    ),
    (
        "settle event.toml readings.csv --ledger sqlite:ledger.db --out event.csv",
        &["event.csv"],
    ),
    (
        "settle-month month.toml meters.csv --out month --format parquet",
        &["month/lines.parquet", "month/registers.parquet"],
    ),
    (
        "statements sqlite:ledger.db --out stated",
        &[
            "stated/statements.csv",
            "stated/lines.csv",
            "stated/entries.csv",
        ],
    ),
    (
        "test-capability fleet.toml --repeats 1 --hold-s 60 --out tested",
        &[
            "tested/report.html",
            "tested/report.json",
            "tested/trace.csv",
        ],
    ),
];

fn vpp(folder: &Path, words: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vpp"));
    command.current_dir(folder).args(words.split(' '));
    command.output().unwrap()
}

#[test]
fn what_is_there_is_overwritten_only_with_force() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (name, seed) in [("a", 1), ("b", 2)] {
        let size = Size {
            days: 1,
            stations: 12,
            interval_s: 900,
            seed,
        };
        synthetic::write(&folder.join(name), size).unwrap();
    }
    for (name, text) in [
        ("event.toml", EVENT),
        ("readings.csv", READINGS),
        ("month.toml", MONTH),
        ("stations.csv", STATIONS),
        ("meters.csv", METERS),
        ("frequency.csv", FREQUENCY),
        ("day.toml", DAY),
        ("fleet.toml", FLEET),
    ] {
        std::fs::write(folder.join(name), text).unwrap();
    }
    for (words, files) in COMMANDS {
        let files = files.iter().map(|file| (*file, folder.join(file)));
        let files: Vec<_> = files.collect();
        let made = vpp(folder, words);
        assert!(made.status.success(), "{words}: {made:?}");
        let read = || files.iter().map(|(_, path)| std::fs::read(path).unwrap());
        let first: Vec<Vec<u8>> = read().collect();
        // Any one of them that is there is enough, and nothing else is written or said.
        for (file, path) in &files {
            for (_, path) in &files {
                std::fs::remove_file(path).unwrap_or_default();
            }
            std::fs::write(path, "mine").unwrap();
            let refused = vpp(folder, words);
            let said = String::from_utf8(refused.stderr).unwrap();
            assert_eq!(refused.status.code(), Some(2), "{words}: {said}");
            let expected = format!("vpp: {file} is there already; --force overwrites it\n");
            assert_eq!(said, expected, "{words}");
            assert!(refused.stdout.is_empty(), "{words}");
            assert_eq!(std::fs::read(path).unwrap(), b"mine", "{words}");
            let there = files.iter().filter(|(_, path)| path.exists()).count();
            assert_eq!(there, 1, "{words}");
        }
        let forced = vpp(folder, &format!("{words} --force"));
        assert!(forced.status.success(), "{words}: {forced:?}");
        assert!(read().eq(first), "{words}");
    }
    // A terminal or a pipe holds nothing that could be lost.
    let said = vpp(folder, "schema --out /dev/stdout");
    assert!(said.status.success() && !said.stdout.is_empty(), "{said:?}");
}
