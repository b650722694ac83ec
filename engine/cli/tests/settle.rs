//! `vpp settle` as a process.

#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::process::{Command, Output};

use chrono::{NaiveDate, TimeDelta};

const EVENT: &str = r#"
event = "dr-1"
aggregator = "agg-a"
direction = "shaving"
date = 2025-07-25
from = "14:00"
to = "14:30"
invited_on = 2025-07-24
cleared_kw = 80
price_cny_per_kwh = "2"
baseline = "js5"
payment = "tiered"
"#;

/// Fourteen days of a station that draws the same all day, Wh a quarter.
fn past(text: &mut String, station: &str, wh: i64) {
    let day = NaiveDate::from_ymd_opt(2025, 7, 25).unwrap();
    for back in 1..15 {
        let date = day - TimeDelta::days(back);
        for slot in 0..96 {
            let (hour, minute) = (slot / 4, slot % 4 * 15);
            writeln!(text, "{station},{date}T{hour:02}:{minute:02},{wh}").unwrap();
        }
    }
}

fn readings() -> String {
    let mut text = String::from("station,start,wh\n");
    past(&mut text, "s-1", 10_000);
    past(&mut text, "s-2", 20_000);
    text.push_str("s-1,2025-07-25T14:00,0\ns-1,2025-07-25T14:15,0\n");
    text.push_str("s-2,2025-07-25T14:00,12000\ns-2,2025-07-25T18:00,1\n");
    text
}

fn settle(event: &str, readings: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (
        folder.path().join("event.toml"),
        folder.path().join("readings.csv"),
    );
    std::fs::write(&a, event).unwrap();
    std::fs::write(&b, readings).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_vpp"));
    command
        .arg("settle")
        .arg(a)
        .arg(b)
        .arg("--csv")
        .output()
        .unwrap()
}

/// By hand: 40 kWh cleared. The first station gives 20 kWh, the second 8 in one quarter; the reading of the other is missing
/// and counts as its baseline. 28 kWh at 2 CNY less a lack of 12 kWh at 2 CNY are 32 CNY, shared 20 : 8.
#[test]
fn a_statement_has_every_station_and_the_aggregator() {
    let output = settle(EVENT, &readings());
    assert!(output.status.success(), "{output:?}");
    let csv = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = csv.lines().collect();
    assert!(lines[0].starts_with("event,aggregator,station,baseline_wh,delivered_wh"));
    assert!(
        lines[1].starts_with("dr-1,agg-a,s-1,20000,20000,0,2286,baselines@1/js5,"),
        "{csv}"
    );
    assert!(
        lines[2].starts_with("dr-1,agg-a,s-2,40000,8000,1,914,"),
        "{csv}"
    );
    assert!(
        lines[3].contains("cleared 40000 Wh; gross 5600 penalty 2400 net 3200 fen"),
        "{csv}"
    );
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("tiered is not verified"), "{told}");
}

/// Settled into a ledger, corrected by a late reading, and read again: as a list, line by line and as tables.
#[test]
fn a_settled_event_is_in_the_ledger_with_all_of_its_versions() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let ledger = format!("sqlite:{}", at("ledger.db").display());
    let vpp = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_vpp"))
            .current_dir(folder.path())
            .args(arguments)
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (
            output.status.success(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    let (sound, _, told) = vpp(&["statements", &ledger]);
    assert!(!sound && told.contains("there is no ledger"), "{told}");
    std::fs::write(at("event.toml"), EVENT).unwrap();
    let late = format!("{}s-2,2025-07-25T14:15,0\n", readings());
    for (text, expected) in [
        (readings(), "posted 1 new and 0 corrected batches"),
        (readings(), "1 stood there as they are"),
        (late, "posted 0 new and 1 corrected batches"),
    ] {
        std::fs::write(at("readings.csv"), text).unwrap();
        let (sound, _, told) = vpp(&["settle", "event.toml", "readings.csv", "--ledger", &ledger]);
        assert!(sound && told.contains(expected), "{told}");
    }
    let (_, listed, _) = vpp(&["statements", &ledger]);
    assert!(
        listed.contains("event/dr-1/agg-a") && listed.contains("80.00 CNY"),
        "{listed}"
    );
    // 40 of 40 kWh at 2 CNY, of which 28 came of the second station.
    let (_, lines, _) = vpp(&[
        "statements",
        &ledger,
        "--id",
        "event/dr-1/agg-a",
        "--station",
        "s-2",
    ]);
    assert!(
        lines.contains("46.67 CNY") && lines.contains("event/dr-1/agg-a@2"),
        "{lines}"
    );
    assert!(!lines.contains("s-1"), "{lines}");
    // The same stations at the same time: what they deliver is paid once. Later it is settled.
    let second = EVENT
        .replace("dr-1", "dr-2")
        .replace("14:30", "14:45")
        .replace("14:00", "14:15");
    for (event, expected) in [
        (
            second.clone(),
            "s-1 is paid for event/dr-1 on 2025-07-25 already, and dr-2 is at the same time",
        ),
        (
            second.replace("14:45", "15:00").replace("14:15", "14:30"),
            "posted 1 new",
        ),
    ] {
        std::fs::write(at("second.toml"), event).unwrap();
        let (_, _, told) = vpp(&["settle", "second.toml", "readings.csv", "--ledger", &ledger]);
        assert!(told.contains(expected), "{told}");
    }
    let (sound, _, told) = vpp(&["statements", &ledger, "--id", "event/dr-3/agg-a"]);
    assert!(!sound && told.contains("there is no statement"), "{told}");
    for format in ["csv", "parquet"] {
        let (sound, _, told) = vpp(&[
            "statements",
            &ledger,
            "--subject",
            "event/dr-1",
            "--superseded",
            "--out",
            "tables",
            "--format",
            format,
        ]);
        assert!(
            sound && told.contains("2 statements are in tables"),
            "{told}"
        );
    }
    let table = |name: &str| std::fs::read_to_string(at("tables").join(name)).unwrap();
    let statements = table("statements.csv");
    let mut rows = statements.lines();
    assert_eq!(
        rows.next(),
        Some("statement,version,superseded,posted_time,subject,aggregator,rules,fen")
    );
    let rows: Vec<Vec<&str>> = rows.map(|row| row.split(',').collect()).collect();
    let money: Vec<[&str; 4]> = rows
        .iter()
        .map(|row| [row[1], row[2], row[6], row[7]])
        .collect();
    let rules = "baselines@1/js5 response-payments@1/tiered";
    assert_eq!(
        money,
        [["1", "1", rules, "3200"], ["2", "0", rules, "8000"]]
    );
    // What the first version moved is taken back by the second.
    let entries = table("entries.csv");
    assert_eq!(
        entries.lines().filter(|row| row.contains("back: ")).count(),
        4,
        "{entries}"
    );
    assert_eq!(table("lines.csv").lines().count(), 1 + 2 * 4);
    for name in ["statements", "lines", "entries"] {
        let parquet = std::fs::read(at("tables").join(format!("{name}.parquet"))).unwrap();
        assert!(parquet.starts_with(b"PAR1") && parquet.ends_with(b"PAR1"));
    }
}

#[test]
fn what_cannot_be_settled_is_refused_with_its_place() {
    let good = readings();
    let twice = format!("{good}s-1,2025-07-25T14:00,5\n");
    let count = twice.lines().count();
    let cut = good[..good.len() - "T18:00,1\n".len()].to_owned();
    let last = good.lines().count();
    let table = [
        (
            EVENT.to_owned(),
            cut,
            format!(
                "readings.csv: CSV error: record {} (line: {last},",
                last - 1
            ),
        ),
        (
            EVENT.replace("js5", "js6"),
            good.clone(),
            "no method \"js6\"; known: js-real-time".to_owned(),
        ),
        (
            EVENT.replace("tiered", "t"),
            good.clone(),
            "no template \"t\"; known: ".to_owned(),
        ),
        (
            EVENT.replace("14:30", "13:30"),
            good.clone(),
            "does not come after from".to_owned(),
        ),
        (
            EVENT.replace("cleared_kw = 80", "cleared_kw = -1"),
            good.clone(),
            "outside 0 to".to_owned(),
        ),
        (
            EVENT.replace("cleared_kw", "cleard_kw"),
            good.clone(),
            "unknown field".to_owned(),
        ),
        (
            EVENT.to_owned(),
            twice,
            format!("line {count}: s-1 at 2025-07-25T14:00 is there twice"),
        ),
        (
            EVENT.to_owned(),
            "station,start,kwh\n".to_owned(),
            "line 1: the columns must be".to_owned(),
        ),
        (
            EVENT.to_owned(),
            "station,start,wh\ns,2025-07-25T14:01,1\n".to_owned(),
            "line 2: ".to_owned(),
        ),
        (
            EVENT.to_owned(),
            "station,start,wh\n".to_owned(),
            "there is no reading".to_owned(),
        ),
    ];
    for (event, readings, expected) in table {
        let output = settle(&event, &readings);
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(
            !output.status.success() && message.contains(&expected),
            "{expected}: {message}"
        );
        assert!(output.stdout.is_empty());
    }
}
