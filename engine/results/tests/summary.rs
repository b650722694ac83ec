//! Summary and report of a run of two hours, worked out by hand.

use std::path::Path;

use chrono::{DateTime, NaiveDate, TimeDelta};
use serde_json::{Value, json};
use vpp_results::report::{self, Language};
use vpp_results::{Header, Summary, Tables, Timestamp, rows};

/// 15 July 2025, 23:00 in Guangzhou: the second hour is of another day.
fn at(minute: i64) -> Timestamp {
    DateTime::from_timestamp(1_752_591_600, 0).expect("an instant") + TimeDelta::minutes(minute)
}

fn write(folder: &Path) -> Summary {
    let mut tables = Tables::create(folder).expect("begun");
    // The first hour draws 100 kW, the second feeds 40 kW back.
    for (hour, power, price) in [(0, 100.0, 0.6), (1, -40.0, 0.2)] {
        let (import, export) = (f64::max(power, 0.0), f64::max(-power, 0.0));
        tables
            .system
            .push(rows::System {
                start: at(60 * hour),
                power_kw: power,
                import_kwh: import,
                export_kwh: export,
                energy_price_cny_per_kwh: Some(price),
                commands: 7,
                limit_violations: 1,
                decision: "optimal".into(),
                ..rows::System::default()
            })
            .expect("taken");
        tables
            .aggregators
            .push(rows::Aggregator {
                start: at(60 * hour),
                aggregator: "a".into(),
                import_kwh: import,
                export_kwh: export,
                energy_cost_cny: import * price,
                feed_in_cny: export * price,
                subsidy_cny: export * 0.5,
                ..rows::Aggregator::default()
            })
            .expect("taken");
        // Loose draws half of its limit; tight is nearer to what it may feed back than to what it may draw.
        for (node, import_limit, export_limit) in [("loose", 200.0, 200.0), ("tight", 125.0, 44.0)]
        {
            tables
                .nodes
                .push(rows::Node {
                    start: at(60 * hour),
                    node: node.into(),
                    power_kw: power,
                    stations_kw: power,
                    import_limit_kw: import_limit,
                    export_limit_kw: export_limit,
                })
                .expect("taken");
        }
        for station in ["late", "early"] {
            let draws = (station == "early") == (hour == 1);
            tables
                .stations
                .push(rows::Station {
                    start: at(60 * hour),
                    station: station.into(),
                    power_kw: if draws { 50.0 } else { -25.0 },
                    ..rows::Station::default()
                })
                .expect("taken");
        }
    }
    for (day, arrivals, short) in [(15, 3, 1), (16, 2, 0)] {
        tables
            .station_days
            .push(rows::StationDay {
                day: NaiveDate::from_ymd_opt(2025, 7, day).expect("a day"),
                station: "late".into(),
                profile: "home".into(),
                import_flat_kwh: 10.0,
                arrivals,
                departures: arrivals,
                short_departures: short,
                short_ceiling: short,
                ..rows::StationDay::default()
            })
            .expect("taken");
    }
    // Two hours of 30 and 10 kW: 80 kWh promised, 75 of them delivered.
    for (aggregator, promised, delivered, state) in [
        ("a", 30.0, 55.0, "partly_delivered"),
        ("b", 10.0, 20.0, "delivered"),
    ] {
        tables
            .events
            .push(rows::Event {
                event: "e".into(),
                aggregator: aggregator.into(),
                start: at(0),
                end: at(120),
                asked_kw: promised,
                promised_kw: promised,
                delivered_kwh: delivered,
                shortfall_kwh: promised * 2.0 - delivered,
                state: state.into(),
                ..rows::Event::default()
            })
            .expect("taken");
    }
    for (second, requested, achieved) in [(0, 10.0, 8.0), (4, -30.0, -26.0)] {
        tables
            .regulation
            .push(rows::Regulation {
                time: at(0) + TimeDelta::seconds(second),
                requested_kw: requested,
                ordered_kw: requested,
                achieved_kw: achieved,
            })
            .expect("taken");
    }
    let promises = [
        (0.9, &[true, true, false][..]),
        (0.5, &[true]),
        (0.95, &[true, true, false, true]),
    ];
    let each = |(confidence, kept): (f64, &'static [bool])| {
        kept.iter().map(move |kept| (confidence, *kept))
    };
    for (confidence, kept) in promises.into_iter().flat_map(each) {
        tables
            .promises
            .push(rows::Promise {
                confidence,
                kept,
                ..rows::Promise::default()
            })
            .expect("taken");
    }
    for (hour, limit, price) in [(0, "x", 0.2), (1, "x", 0.4), (0, "y", 0.7)] {
        tables
            .prices
            .push(rows::Price {
                start: at(60 * hour),
                limit: limit.into(),
                price_cny_per_kwh: price,
            })
            .expect("taken");
    }
    for severity in ["info", "error", "warning", "warning"] {
        tables
            .alarms
            .push(rows::Alarm {
                severity: severity.into(),
                ..rows::Alarm::default()
            })
            .expect("taken");
    }
    tables.finish().expect("whole");
    let header = Header {
        start: at(0),
        duration_minutes: 120,
        interval_s: 3600,
        utc_offset_h: 8.0,
        ..Header::default()
    };
    let summary = Summary::derive(folder, header).expect("tables");
    summary.write(folder).expect("written");
    summary
}

fn near(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-9, "{found}, not {expected}");
}

#[test]
fn the_summary_adds_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let summary = write(folder.path());
    near(summary.energy.import_kwh, 100.0);
    near(summary.energy.export_kwh, 40.0);
    near(summary.energy.peak_kw, 100.0);
    near(summary.energy.import_by_period_kwh.flat, 20.0);
    // 100 × 0.6 − 40 × 0.2 − 40 × 0.5
    near(summary.money.net_cost_cny, 32.0);
    assert_eq!((summary.events.events, summary.events.delivered), (1, 0));
    near(summary.events.promised_kwh, 80.0);
    near(summary.events.delivered_kwh, 75.0);
    near(summary.events.shortfall_kwh, 5.0);
    let regulation = summary.regulation.expect("a signal");
    near(regulation.mean_requested_kw, 20.0);
    near(regulation.mean_achieved_error_kw, 3.0);
    near(regulation.mean_ordered_error_kw, 0.0);
    // Those of 95 % alone.
    let reliability = summary.reliability.expect("promises");
    assert_eq!((reliability.promises, reliability.kept), (4, 3));
    near(reliability.kept_share, 0.75);
    near(reliability.stated_share, 0.95);
    // 40 of 44 kW fed back is tighter than 100 of 125 kW drawn.
    near(summary.limits.worst_loading, 40.0 / 44.0);
    assert_eq!(
        (&*summary.limits.worst_node, summary.limits.worst_at),
        ("tight", Some(at(60)))
    );
    assert_eq!(
        (summary.limits.violations, summary.messages.commands),
        (2, 14)
    );
    assert_eq!(
        (summary.vehicles.arrivals, summary.vehicles.short_departures),
        (5, 1)
    );
    let causes = summary.vehicles.short_causes.named();
    assert_eq!(causes.map(|(_, count)| count), [0, 1, 0, 0]);
    assert_eq!((summary.messages.warnings, summary.messages.errors), (2, 1));
    assert_eq!(Summary::read(folder.path()).expect("read"), summary);
}

#[test]
fn the_report_draws_what_the_tables_say() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path());
    let html = report::html(folder.path(), Language::English).expect("a report");
    let data = html
        .split("id=\"data\">")
        .nth(1)
        .and_then(|rest| rest.split("</script>").next());
    let model: Value = serde_json::from_str(data.expect("data")).expect("JSON");
    assert_eq!(
        model["fleet"]["axis"],
        json!({ "start_ms": at(0).timestamp_millis(), "step_s": 3600 })
    );
    assert_eq!(model["fleet"]["power"], json!([100.0, -40.0]));
    let days = json!([
        { "day": "2025-07-15", "import_kwh": 100.0, "export_kwh": 0.0, "peak_kw": 100.0, "net_cost_cny": 60.0, "violations": 1 },
        { "day": "2025-07-16", "import_kwh": 0.0, "export_kwh": 40.0, "peak_kw": 0.0, "net_cost_cny": -28.0, "violations": 1 },
    ]);
    assert_eq!(model["days"], days);
    assert_eq!(model["nodes"][0]["id"], "tight");
    assert_eq!(model["nodes"][0]["worst_loading"], 0.9091);
    // y: 0.7 for an hour; x: 0.2 and 0.4 for an hour each.
    assert_eq!(model["prices"][0]["limit"], "y");
    assert_eq!(model["prices"][1]["cny_per_kw"], 0.6);
    assert_eq!(model["prices"][1]["hours"], 2.0);
    assert_eq!(model["events"]["list"][0]["promised_kwh"], 80.0);
    assert_eq!(model["reliability"][1]["stated"], 0.9);
    assert_eq!(model["reliability"][1]["kept"], 0.6667);
    assert_eq!(model["reliability"][2]["stated"], 0.95);
    assert_eq!(model["reliability"].as_array().map(Vec::len), Some(3));
    assert_eq!(model["regulation"]["axis"]["step_s"], 4);
    assert_eq!(model["alarms"]["list"][0]["severity"], "error");
    // The station whose profile is not known sorts first; an hour fills four quarters: 127 is 50 kW, −64 is −25 kW.
    let stations = &model["stations"];
    assert_eq!(stations["width"], 96);
    assert_eq!(stations["stations"][0]["id"], "early");
    assert_eq!(
        stations["stations"][1],
        json!({ "id": "late", "aggregator": "", "profile": "home", "scale_kw": 50.0 })
    );
    let cells = stations["cells"].as_str().expect("cells");
    // Early: 50 kW from midnight on, nothing, −25 kW (−64, 0xc0) from 23:00 on; late the other way round.
    assert!(
        cells.starts_with("f39/fwAA") && cells[..128].ends_with("AADAwMDA"),
        "{cells}"
    );
    assert!(
        cells[128..].starts_with("wMDAwAAA") && cells.ends_with("AAB/f39/"),
        "{cells}"
    );
}
