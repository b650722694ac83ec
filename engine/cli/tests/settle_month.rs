//! `vpp settle-month` as a process: from a file of readings to tables and a ledger.

#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output};

use chrono::{NaiveDate, TimeDelta};
use parquet::file::reader::{FileReader as _, SerializedFileReader};

const MONTH: &str = r#"
month = "2027-04"
tariff = "guangdong-2025"
stations = "stations.csv"
subsidies = true
hot_days = [2027-04-15]

[[claim]]
id = "i-1"
kind = "equipment"
aggregator = "agg-b"
station = "s-2"
cost_cny = "1000.01"
asked_cny = "600"

[[event]]
event = "dr-1"
aggregator = "agg-a"
direction = "shaving"
date = 2027-04-20
from = "14:00"
to = "14:30"
invited_on = 2027-04-19
cleared_kw = 2
price_cny_per_kwh = "2"
baseline = "js5"
payment = "tiered"
"#;
const STATIONS: &str =
    "station,aggregator,sun,storage\ns-1,agg-a,none,none\ns-2,agg-b,metered,none\n";

/// From 25 March on, 1 kWh drawn and 0.1 fed in by vehicles in each quarter; the first draws nothing during the event.
fn readings(stations: &[&str]) -> String {
    let mut text = String::from(
        "station,start,gate_in_wh,gate_out_wh,pile_discharge_wh,sun_out_wh,storage_out_wh\n",
    );
    let first = NaiveDate::from_ymd_opt(2027, 3, 25).unwrap();
    for station in stations {
        for day in 0..37 {
            let date = first + TimeDelta::days(day);
            for slot in 0..96 {
                let event = *station == "s-1" && day == 26 && (56..58).contains(&slot);
                let (hour, minute) = (slot / 4, slot % 4 * 15);
                let drawn = if event { 100 } else { 1_000 };
                writeln!(
                    text,
                    "{station},{date}T{hour:02}:{minute:02},{drawn},100,200,0,0"
                )
                .unwrap();
            }
        }
    }
    text
}

fn settle(folder: &Path, readings: &str, more: &[&str]) -> Output {
    std::fs::write(folder.join("month.toml"), MONTH).unwrap();
    std::fs::write(folder.join("stations.csv"), STATIONS).unwrap();
    std::fs::write(folder.join("readings.csv"), readings).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_vpp"));
    command
        .arg("settle-month")
        .args(["month.toml", "readings.csv"])
        .args(more);
    command.current_dir(folder).output().unwrap()
}

fn error_of(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The figures of April are worked out by hand in the settlement's own tests: 2 quarters of the peak draw 0.9 kWh less each:
/// 826.2 kWh · 0.99496875 = 822.0431…. Of the event 0.5 kWh are cleared in each quarter and 0.9 delivered: at most
/// what was cleared is paid.
#[test]
fn a_month_of_readings_becomes_tables_and_entries() {
    let folder = tempfile::tempdir().unwrap();
    let all = readings(&["s-2", "s-1"]);
    let output = settle(
        folder.path(),
        &all,
        &["--out", "tables", "--ledger", "sqlite:ledger.db"],
    );
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("posted 4 new and 0 corrected batches; 0 stood there"),
        "{said}"
    );
    let lines = std::fs::read_to_string(folder.path().join("tables/lines.csv")).unwrap();
    for expected in [
        "month/2027-04/agg-a,agg-a,s-1,energy/sharp,12000,1.24156875,-1490,guangdong-2025@1/sharp,",
        "month/2027-04/agg-a,agg-a,s-1,energy/peak,826200,0.99496875,-82204,guangdong-2025@1/peak,",
        "month/2027-04/agg-b,agg-b,s-2,energy/peak,828000,0.99496875,-82383,guangdong-2025@1/peak,",
        "month/2027-04/agg-b,agg-b,s-2,feed-in/valley,96000,0.17214,1653,guangdong-2025@1/valley,",
        "month/2027-04/agg-a,agg-a,s-1,subsidy/discharge,288000,,144000,subsidies-guangzhou@1/discharge_rate,",
        "claim/i-1,agg-b,s-2,subsidy/equipment,0,,50000,subsidies-guangzhou@1/equipment_share,",
        "event/dr-1/agg-a,agg-a,s-1,response,1800,,200,baselines@1/js5,",
    ] {
        assert!(lines.contains(expected), "{expected}\n{lines}");
    }
    assert!(lines.contains("3552 readings, sha256:"), "{lines}");
    let registers = std::fs::read_to_string(folder.path().join("tables/registers.csv")).unwrap();
    let second = "s-2,agg-b,12000,828000,1080000,960000,1200,82800,108000,96000,2880,0,0,";
    assert!(registers.contains(second), "{registers}");

    // Once more: nothing is posted. As Parquet: the same rows.
    let output = settle(
        folder.path(),
        &all,
        &[
            "--ledger",
            "sqlite:ledger.db",
            "--out",
            "tables",
            "--format",
            "parquet",
        ],
    );
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("posted 0 new and 0 corrected batches; 4 stood there"),
        "{said}"
    );
    let file = std::fs::File::open(folder.path().join("tables/lines.parquet")).unwrap();
    let table = SerializedFileReader::new(file).unwrap();
    assert_eq!(
        table.get_row_iter(None).unwrap().count(),
        lines.lines().count() - 1
    );

    // A reading is corrected: what depends on it is posted anew.
    let corrected = all.replacen("s-2,2027-04-01T00:00,1000", "s-2,2027-04-01T00:00,2000", 1);
    let output = settle(folder.path(), &corrected, &["--ledger", "sqlite:ledger.db"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("0 new and 1 corrected batches; 3 stood there"),
        "{said}"
    );
}

#[test]
fn what_does_not_fit_is_refused_and_posts_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let whole = readings(&["s-1", "s-2"]);
    let table = [
        (
            whole[..whole.len() - "0,0\n".len()].to_owned(),
            "(line: 7105,",
        ),
        (
            readings(&["s-1"]),
            "1 stations have no reading at all, such as s-2",
        ),
        (
            readings(&["s-1", "s-2", "s-3"]),
            "s-3: it is not in the table of stations",
        ),
        (
            readings(&["s-1", "s-2", "s-1"]),
            "the rows must be sorted by station",
        ),
        (
            readings(&["s-1", "s-2"]).replacen(",100,", ",-100,", 1),
            "gate_out_wh: \"-100\" is no whole number",
        ),
    ];
    for (readings, expected) in table {
        let output = settle(
            folder.path(),
            &readings,
            &["--ledger", "sqlite:ledger.db", "--out", "tables"],
        );
        let error = error_of(&output);
        assert!(
            error.contains("readings.csv: ") && error.contains(expected),
            "{error}"
        );
        assert!(!folder.path().join("tables").exists());
    }
}

/// Of a budget that the months before used up, the ledger knows; and what is no longer part of the month is taken back.
#[test]
fn the_ledger_knows_what_was_granted_and_what_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let all = readings(&["s-1", "s-2"]);
    let run = |more: &[&str]| {
        settle(
            folder.path(),
            &all,
            &[&["--ledger", "sqlite:ledger.db"], more].concat(),
        )
    };
    assert!(run(&[]).status.success());
    // The same month again counts once: the budget is not used up by it.
    assert!(run(&["--out", "again"]).status.success());
    let lines = std::fs::read_to_string(folder.path().join("again/lines.csv")).unwrap();
    assert!(
        lines.contains("s-1,subsidy/discharge,288000,,144000,"),
        "{lines}"
    );
    // Another aggregator operates the second station now.
    let moved = STATIONS.replace("s-2,agg-b", "s-2,agg-c");
    std::fs::write(folder.path().join("moved.csv"), moved).unwrap();
    let month = MONTH
        .replace("stations.csv", "moved.csv")
        .replace("agg-b", "agg-c");
    std::fs::write(folder.path().join("moved.toml"), month).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_vpp"));
    command.args([
        "settle-month",
        "moved.toml",
        "readings.csv",
        "--ledger",
        "sqlite:ledger.db",
    ]);
    let output = command.current_dir(folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains(
            "1 new and 1 corrected batches; 2 stood there as they are, 1 were taken back"
        ),
        "{said}"
    );
    // A name that is mistyped is not settled as a failure to deliver.
    for (from, to, expected) in [
        (
            "aggregator = \"agg-a\"",
            "aggregator = \"agg-z\"",
            "no station of agg-z took part",
        ),
        (
            "invited_on",
            "stations = [\"s-2\"]\ninvited_on",
            "no station of agg-a took part",
        ),
        (
            "invited_on",
            "stations = [\"s-1\", \"s-2\"]\ninvited_on",
            "s-2 is not there, or not operated by agg-a",
        ),
        (
            "price_cny_per_kwh = \"2\"",
            "price_cny_per_kwh = \"-2\"",
            "price_cny_per_kwh: -2 is outside 0 to 1000",
        ),
        (
            "subsidies = true",
            "subsidies = true\nsubsidy_left_cny = \"5\"",
            "the ledger knows",
        ),
    ] {
        std::fs::write(
            folder.path().join("wrong.toml"),
            MONTH.replacen(from, to, 1),
        )
        .unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_vpp"));
        command.args([
            "settle-month",
            "wrong.toml",
            "readings.csv",
            "--ledger",
            "sqlite:ledger.db",
        ]);
        let error = error_of(&command.current_dir(folder.path()).output().unwrap());
        assert!(error.contains(expected), "{error}");
    }
}
