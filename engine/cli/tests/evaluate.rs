//! `vpp evaluate` as a process, on small folders made by hand.

#![allow(clippy::unwrap_used)] // a test that cannot go on shall fail

use std::path::Path;
use std::process::{Command, Output};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde_json::Value;
use vpp_results::rows::{Aggregator, Event, Regulation, StationDay, System};
use vpp_results::{Header, RulePack, Summary, Tables};

fn vpp(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vpp"))
        .arg("evaluate")
        .args(arguments)
        .output()
        .unwrap()
}

fn start() -> DateTime<Utc> {
    // The first of January in Guangzhou.
    "2024-12-31T16:00:00Z".parse().unwrap()
}

/// Two stations for some days: one of Baiyun feeds 5 kWh back in the peak of each, the other draws.
fn run(folder: &Path, name: &str, days: u64) {
    let mut tables = Tables::create(folder).unwrap();
    for day in 0..i64::try_from(days).unwrap() {
        let date = NaiveDate::from_ymd_opt(2025, 1, 1).unwrap() + TimeDelta::days(day);
        for (station, profile, export) in [("baiyun-0001", "park", 5.0), ("gz-0002", "public", 0.0)]
        {
            let row = StationDay {
                day: date,
                station: station.into(),
                aggregator: "agg-a".into(),
                profile: profile.into(),
                import_valley_kwh: 40.0,
                export_peak_kwh: export,
                pile_export_kwh: export * 1.2,
                v2g_vehicles: u64::from(export > 0.0) * 3,
                ..StationDay::default()
            };
            tables.station_days.push(row).unwrap();
        }
        let money = Aggregator {
            start: start() + TimeDelta::days(day),
            aggregator: "agg-a".into(),
            export_kwh: 5.0,
            subsidy_cny: 10.0,
            ..Aggregator::default()
        };
        tables.aggregators.push(money).unwrap();
        let fleet = System {
            start: start() + TimeDelta::days(day),
            power_kw: 3.0,
            callable_up_kw: Some(1_500.0),
            decision: "optimal".into(),
            ..System::default()
        };
        tables.system.push(fleet).unwrap();
    }
    let begin = start() + TimeDelta::hours(13);
    let event = Event {
        event: "dr".into(),
        kind: "demand_response".into(),
        aggregator: "agg-a".into(),
        start: begin,
        end: begin + TimeDelta::hours(2),
        asked_kw: 1_000.0,
        promised_kw: 900.0,
        delivered_kwh: 1_600.0,
        shortfall_kwh: 200.0,
        state: "partly_delivered".into(),
    };
    tables.events.push(event).unwrap();
    // Two awards, each a step that is followed to the full after one value.
    for award in 0..2 {
        for value in 0..20 {
            let requested_kw = if value < 10 { 100.0 } else { -100.0 };
            let row = Regulation {
                time: begin + TimeDelta::hours(award) + TimeDelta::seconds(4 * value),
                requested_kw,
                ordered_kw: requested_kw,
                achieved_kw: requested_kw,
            };
            tables.regulation.push(row).unwrap();
        }
    }
    tables.finish().unwrap();
    let header = Header {
        name: name.into(),
        start: start(),
        duration_minutes: days * 1_440,
        interval_s: 86_400,
        utc_offset_h: 8.0,
        seed: 1,
        rule_packs: vec![RulePack {
            name: "guangdong-2025".into(),
            version: 1,
        }],
        stations: 2,
        piles: 30,
        v2g_piles: 4,
        swap_stations: 0,
        aggregators: 1,
        capacity_mva: 1.5,
    };
    Summary::derive(folder, header)
        .unwrap()
        .write(folder)
        .unwrap();
}

fn target<'a>(run: &'a Value, id: &str) -> &'a Value {
    let targets = run["targets"].as_array().unwrap();
    targets.iter().find(|target| target["id"] == id).unwrap()
}

#[test]
fn a_folder_is_evaluated_by_hand() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), "small", 73);
    let output = vpp(&[folder.path().to_str().unwrap(), "--json"]);
    assert!(output.status.success(), "{output:?}");
    let all: Value = serde_json::from_slice(&output.stdout).unwrap();
    let run = &all[0];
    // 73 days of 5 kWh, a fifth of a year.
    let energy = target(run, "v2g-energy");
    let near = |value: &Value, wanted: f64| (value.as_f64().unwrap() - wanted).abs() < 1e-9;
    assert!(near(&energy["measured"], 0.365), "{energy}");
    assert!(near(&energy["at_piles"], 0.438), "{energy}");
    assert!(near(&energy["scaled_to_a_year"], 1.825), "{energy}");
    assert_eq!(energy["verdict"], "not_measurable");
    assert_eq!(energy["reason"], "part_of_year");
    for (id, measured, verdict) in [
        ("charging-stations", 2.0, "not_met"),
        ("v2g-vehicles", 3.0, "not_met"),
        ("baiyun-scenes", 1.0, "not_met"),
        ("response-aggregators", 1.0, "not_met"),
        ("response-power", 0.8, "not_met"),
        ("subsidy", 0.00073, "not_measurable"),
    ] {
        let found = target(run, id);
        assert!(near(&found["measured"], measured), "{found}");
        assert_eq!(found["verdict"], verdict, "{found}");
    }
    assert_eq!(target(run, "connected")["reason"], "needs_scenario");
    assert_eq!(target(run, "benchmark-energy")["reason"], "no_station");
    assert!(near(&run["response"]["ratio"], 0.8));
    assert_eq!(run["regulation"]["awards"], 2);
    // What a value led to is known when the next comes: k1 capped at 3, k2 = 1 - 4/60, k3 by the first value's error. The
    // score itself is tested with the scorers.
    assert!(
        run["regulation"]["composite_index"].as_f64().unwrap() > 1.0,
        "{run}"
    );
    let facilities = run["facilities"].as_array().unwrap();
    assert_eq!(facilities[0]["profile"], "park");
    assert!(near(&facilities[0]["export_kwh"]["peak"], 365.0));
    assert!(near(&facilities[1]["import_kwh"]["valley"], 2_920.0));
}

#[test]
fn reports_are_written_in_both_languages() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), "small", 2);
    let dir = folder.path().to_str().unwrap();
    let out = folder.path().join("report.md");
    let written = vpp(&[dir, "--lang", "both", "--out", out.to_str().unwrap()]);
    assert!(written.status.success(), "{written:?}");
    let text = std::fs::read_to_string(&out).unwrap();
    for expected in [
        "covers 2 of the 365 days of 2025",
        "| Smart charging stations | ≥ 600 stations (2025) | 2 stations | not met |",
        "覆盖2025年365天中的2天",
        "| 智能有序充电站 | 不少于600座（2025年） | 2座 | 未达标 |",
        "按同等速率折算全年",
        "响应率",
        "Changzhou",
        "常州",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert!(!text.contains(['{', '}']), "{text}");
    let page = folder.path().join("report.html");
    let written = vpp(&[dir, "--lang", "zh", "--out", page.to_str().unwrap()]);
    assert!(written.status.success(), "{written:?}");
    let html = std::fs::read_to_string(&page).unwrap();
    assert!(
        html.contains("<html lang=\"zh-CN\">") && !html.contains("<script"),
        "{html}"
    );
    let terminal = String::from_utf8(vpp(&[dir]).stdout).unwrap();
    assert!(terminal.contains("not measurable"), "{terminal}");
}

#[test]
fn what_is_no_run_or_another_scenario_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().to_str().unwrap();
    let error = |arguments: &[&str]| {
        let output = vpp(arguments);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(error(&[dir]).contains("summary.json"));
    run(folder.path(), "fleet-small", 1);
    let small = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../scenarios/fleet-small.toml"
    );
    let baiyun = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../scenarios/baiyun-scenes.toml"
    );
    let refused = error(&[dir, "--scenario", small]);
    assert!(refused.contains("the scenario has 12"), "{refused}");
    let refused = error(&[dir, "--scenario", baiyun]);
    assert!(
        refused.contains("no run is one of baiyun-scenes"),
        "{refused}"
    );
    assert!(error(&[dir, "--out", "report.pdf"]).contains("neither in .html nor in .md"));
}
