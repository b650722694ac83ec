//! What is posted of a settlement: entries and lines say the same, and lines say where it comes from.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{NaiveDate, TimeDelta};
use vpp_core::{AggregatorId, EventId, Price, StationId};
use vpp_ledger::{Batch, Ledger};
use vpp_market_adapters::RulePack;
use vpp_market_adapters::response::baseline::{BaselineRules, Calendar, EventWindow};
use vpp_market_adapters::response::payment::{Direction, PaymentRules};
use vpp_market_adapters::subsidy::{Budget, SubsidyRules};
use vpp_settlement::event::{Cleared, Terms};
use vpp_settlement::metering::{Gate, QUARTER, Reading, Readings};
use vpp_settlement::month::{Account, Month, MonthEvent, MonthRules};

/// April 2027: three stations of two aggregators, one of which sends nothing during the event.
fn settled() -> Vec<Batch> {
    let day = |month, day| NaiveDate::from_ymd_opt(2027, month, day).expect("a day");
    let (baselines, payments) = (BaselineRules::standard(), PaymentRules::standard());
    let calendar = Calendar::default();
    let event = |aggregator: &str| MonthEvent {
        cleared: Cleared {
            event: EventId::new("dr-1").expect("an id"),
            aggregator: AggregatorId::new(aggregator).expect("an id"),
            direction: Direction::Shaving,
            window: EventWindow {
                date: day(4, 15),
                first: 56,
                slots: 2,
                invited_on: day(4, 14),
            },
            cleared_wh: vec![12_000; 2],
            price: Price::from_cny_per_kwh("2.5".parse().expect("a number")),
        },
        terms: Terms {
            baseline: baselines.entry("js5").expect("there"),
            baseline_pack: &baselines.pack,
            template: payments.template("tiered").expect("there"),
            payment_pack: &payments.pack,
            calendar: &calendar,
        },
        stations: None,
    };
    let hot = BTreeSet::new();
    let rules = MonthRules {
        tariff: RulePack::guangdong_2025(),
        hot_days: &hot,
        subsidies: Some(SubsidyRules::guangzhou()),
    };
    let month =
        Month::new(day(4, 1), rules, vec![event("agg-a"), event("agg-b")]).expect("a month");
    let start = month.interval().start() - TimeDelta::days(12);
    let mut stations = Vec::new();
    for (number, aggregator, wh) in [
        (1, "agg-a", 10_000),
        (2, "agg-a", 5_000),
        (3, "agg-b", 7_000),
    ] {
        let mut readings = Readings::default();
        for quarter in 0..42 * 96 {
            let at = start + QUARTER * quarter;
            let (day, slot) = (quarter / 96, quarter % 96);
            let in_event = day == 26 && (56..58).contains(&slot);
            if in_event && number == 2 {
                continue;
            }
            let reading = Reading {
                gate_in_wh: if in_event { 1_000 } else { wh },
                gate_out_wh: 300,
                pile_discharge_wh: 500,
                ..Reading::default()
            };
            readings.take(at, reading).expect("sound");
        }
        let account = Account {
            station: StationId::new(format!("station-{number}")).expect("an id"),
            aggregator: AggregatorId::new(aggregator).expect("an id"),
            gate: Gate::default(),
        };
        stations.push(month.measure(account, &readings).expect("sound"));
    }
    let mut budget = Budget::of(SubsidyRules::guangzhou(), 2027).expect("in force");
    let settled = month.close(stations, Some(&mut budget)).expect("sound");
    Batch::of_month(&settled)
}

#[test]
fn lines_and_entries_say_the_same() {
    let batches = settled();
    let ids: Vec<&str> = batches.iter().map(|b| b.id.as_str()).collect();
    assert_eq!(
        ids,
        [
            "month/2027-04/agg-a",
            "month/2027-04/agg-b",
            "event/dr-1/agg-a",
            "event/dr-1/agg-b"
        ]
    );
    for batch in &batches {
        let mut by_entries: BTreeMap<&str, i64> = BTreeMap::new();
        for entry in &batch.entries {
            *by_entries.entry(entry.debit.as_str()).or_insert(0) += entry.fen;
            *by_entries.entry(entry.credit.as_str()).or_insert(0) -= entry.fen;
        }
        assert_eq!(by_entries.values().sum::<i64>(), 0);
        let outside =
            by_entries.get("grid").unwrap_or(&0) + by_entries.get("subsidy").unwrap_or(&0);
        assert_eq!(-outside, batch.fen, "{}", batch.id);
        let mut by_lines: BTreeMap<String, i64> = BTreeMap::new();
        for line in batch.lines.iter().filter(|line| !line.station.is_empty()) {
            *by_lines
                .entry(format!("station:{}", line.station))
                .or_insert(0) += line.fen;
            let detail: serde_json::Value = serde_json::from_str(&line.detail).expect("JSON");
            if batch.id.starts_with("month/") {
                let readings = detail["readings"].as_str().expect("text");
                assert!(readings.contains(" readings, sha256:"), "{readings}");
            }
            assert!(line.rule.contains('/'), "{line:?}");
        }
        for (station, fen) in by_lines {
            assert_eq!(
                by_entries.get(station.as_str()).copied().unwrap_or(0),
                fen,
                "{station}"
            );
        }
    }
    // What led to a share: the readings, none where none came, and the days of the baseline.
    let part = &batches[2].lines;
    let of = |station: &str| {
        part.iter()
            .find(|line| line.station == station)
            .expect("there")
    };
    let silent: serde_json::Value = serde_json::from_str(&of("station-2").detail).expect("JSON");
    assert_eq!(silent["actual_wh"], serde_json::json!([null, null]));
    assert_eq!((of("station-2").wh, of("station-2").fen), (0, 0));
    let first: serde_json::Value = serde_json::from_str(&of("station-1").detail).expect("JSON");
    // 1,000 Wh drawn less 300 fed out; before, 9,700.
    assert_eq!(first["actual_wh"], serde_json::json!([700, 700]));
    assert_eq!(first["baseline_w"], serde_json::json!([38_800, 38_800]));
    assert_eq!(first["baseline_days"].as_array().map(Vec::len), Some(5));
    // 18 of 24 kWh.
    assert_eq!(of("station-1").wh, 18_000);
}

#[tokio::test]
async fn a_settled_month_is_posted_and_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite:{}", folder.path().join("ledger.db").display());
    let ledger = Ledger::open(&url).await.expect("opens");
    let all = settled();
    ledger
        .post_run("month/2027-04", &all, 1, None)
        .await
        .expect("posted");
    let balances = ledger.balances().await.expect("balances");
    assert_eq!(balances.values().sum::<i64>(), 0);
    for batch in &all {
        let lines = ledger.lines(&batch.id, 1, None, 0, 1_000).await;
        let lines = lines.expect("lines").into_iter().map(|(_, line)| line);
        assert_eq!(lines.collect::<Vec<_>>(), batch.lines);
    }
}
