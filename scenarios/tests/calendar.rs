//! A year: prices by the calendar, events that come again, faults with whom they befall.

#![allow(clippy::unwrap_used)] // a test that cannot go on shall fail

use chrono::TimeDelta;
use vpp_core::{FaultKind, Timestamp};
use vpp_market_adapters::tariff::Period;
use vpp_scenarios::Scenario;

const SMALL: &str = include_str!("../fleet-small.toml");

fn changed(changes: &[(&str, &str)]) -> String {
    let mut text = SMALL.to_owned();
    for (from, to) in changes {
        assert!(text.contains(from), "{from:?} is not in the file");
        text = text.replacen(from, to, 1);
    }
    text
}

fn parsed(changes: &[(&str, &str)]) -> Scenario {
    Scenario::parse(&changed(changes)).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

/// A year from 1 June 2025, 00:00 local.
const YEAR: [(&str, &str); 2] = [
    (
        "start = 2025-07-15T16:00:00+08:00",
        "start = 2025-06-01T00:00:00+08:00",
    ),
    ("duration_minutes = 10", "duration_minutes = 525600"),
];

fn at(text: &str) -> Timestamp {
    text.parse::<chrono::DateTime<chrono::FixedOffset>>()
        .unwrap()
        .to_utc()
}

#[test]
fn a_year_has_a_price_for_every_quarter_hour() {
    let calendar = "[calendar]\nhot_days = [2025-06-20]\n\n[assumptions]";
    let scenario = parsed(&[YEAR[0], YEAR[1], ("[assumptions]", calendar)]);
    let prices = scenario.prices(TimeDelta::zero()).unwrap();
    assert_eq!(prices.len(), 365 * 96);
    let of = |text: &str| {
        let wanted = at(text);
        prices
            .iter()
            .find(|price| price.interval.start() == wanted)
            .unwrap()
    };
    // The sharp hours are 11 to 12 and 15 to 17: in July to September, and on the hot day alone of June.
    for (time, period) in [
        ("2025-06-19T15:30:00+08:00", Period::Peak),
        ("2025-06-20T15:30:00+08:00", Period::Sharp),
        ("2025-06-21T15:30:00+08:00", Period::Peak),
        ("2025-07-15T15:30:00+08:00", Period::Sharp),
        ("2025-06-20T03:00:00+08:00", Period::Valley),
    ] {
        assert_eq!(of(time).period, period, "{time}");
    }
    assert!(of("2025-06-20T15:30:00+08:00").energy > of("2025-06-19T15:30:00+08:00").energy);
    assert!(of("2025-06-20T15:30:00+08:00").feed_in > of("2025-06-19T15:30:00+08:00").feed_in);
    let every_day = parsed(&[YEAR[0], YEAR[1], ("sharp_day = false", "sharp_day = true")]);
    let hot = every_day.prices(TimeDelta::zero()).unwrap();
    assert_eq!(
        hot.iter()
            .filter(|price| price.period == Period::Sharp)
            .count(),
        365 * 12
    );
}

#[test]
fn a_scenario_between_quarters_has_the_price_of_its_first() {
    let scenario = parsed(&[("16:00:00+08:00", "16:07:00+08:00")]);
    let prices = scenario.prices(TimeDelta::hours(1)).unwrap();
    // 16:07 to 16:17 and an hour: from the quarter of 16:00 to that of 17:15.
    assert_eq!(prices.len(), 6);
    assert_eq!(prices[0].interval.start(), at("2025-07-15T16:00:00+08:00"));
}

#[test]
fn what_repeats_comes_at_the_same_local_time_until_the_end() {
    let scenario = parsed(&[
        YEAR[0],
        ("duration_minutes = 10", "duration_minutes = 43200"), // 30 days
        (
            "start_offset_s = 60\n",
            "start_offset_s = 54000\nevery_days = 7\n",
        ),
        (
            "start_offset_s = 30\n",
            "start_offset_s = 86370\nevery_days = 1\n",
        ),
    ]);
    let events = scenario.event_requests().unwrap();
    let names: Vec<&str> = events.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(
        names,
        [
            "dr-1-0001",
            "dr-1-0002",
            "dr-1-0003",
            "dr-1-0004",
            "dr-1-0005",
            "shave-1"
        ]
    );
    assert_eq!(
        events[4].1.interval.start(),
        at("2025-06-29T15:00:00+08:00")
    );
    assert_eq!(events[4].1.interval.length(), TimeDelta::minutes(5));
    // It lasts 120 s from 23:59:30: that of the last day would end after the scenario.
    let awards = scenario.regulation_intervals().unwrap();
    assert_eq!(awards.len(), 29);
    assert_eq!(awards[28].start(), at("2025-06-29T23:59:30+08:00"));
}

const FAULTS: &str = r#"
[[fault]]
id = "quiet"
kind = "station_silent"
start_offset_s = 60
duration_s = 120
share = 0.25

[[fault]]
id = "late"
kind = "telemetry_late"
delay_s = 30.5
start_offset_s = 0
duration_s = 600
node = "feeder-c"

[[fault]]
id = "clock"
kind = "clock_skew"
skew_s = -3
start_offset_s = 0
duration_s = 60
aggregator = "agg-b"

[[fault]]
id = "away"
kind = "broker_away"
start_offset_s = 300
duration_s = 60

[[aggregator]]"#;

#[test]
fn faults_say_whom_they_befall() {
    let scenario = parsed(&[("[[aggregator]]", FAULTS)]);
    let faults = scenario.faults().unwrap();
    assert_eq!(faults[0].stations.len(), 3, "a quarter of twelve");
    assert_eq!(faults, scenario.faults().unwrap());
    let late: Vec<&str> = faults[1]
        .stations
        .iter()
        .map(vpp_core::StationId::as_str)
        .collect();
    // Those of the feeder and of the transformer below it.
    assert_eq!(late, ["s-09", "s-10", "s-11", "s-12"]);
    assert_eq!(
        faults[1].kind,
        FaultKind::TelemetryLate(TimeDelta::milliseconds(30_500))
    );
    assert_eq!(faults[2].aggregators.len(), 1);
    assert_eq!(
        (faults[3].aggregators.len(), faults[3].stations.len()),
        (2, 0)
    );
    assert_eq!(
        faults[3].interval.start(),
        scenario.start() + TimeDelta::seconds(300)
    );
    let other = parsed(&[("[[aggregator]]", FAULTS), ("seed = 7", "seed = 9")]);
    assert_ne!(faults[0].stations, other.faults().unwrap()[0].stations);
}

/// What is replaced, by what, and what is said at which line.
#[rustfmt::skip]
const BROKEN: &[(&str, &str, &str, &str)] = &[
    ("[assumptions]", "[calendar]\nhot_days = [2020-06-20]\n[assumptions]", "hot_days =", "calendar.hot_days[0]: guangdong-2025@1: hours: 2020-06-20 is before 2021-10-01"),
    ("[assumptions]", "[calendar]\nholidays = [2025-10-01, 2025-10-01]\n[assumptions]", "holidays =", "day 2025-10-01 stands already at calendar.holidays[0]"),
    ("[assumptions]", "[calendar]\nhot_days = [2025-06-20T00:00:00]\n[assumptions]", "hot_days =", "is no date such as 2025-06-20"),
    ("[assumptions]", "[calendar]\nhot_days = [\"2025-06-20\"]\n[assumptions]", "hot_days =", "expected dates such as 2025-06-20"),
    ("[assumptions]", "[calendar]\nhot_day = [2025-06-20]\n[assumptions]", "hot_day =", "did you mean `hot_days`?"),
    ("[assumptions]", "[subsidy]\ndischarge_cny_per_kwh = -1\n[assumptions]", "discharge_cny", "-1 is not above 0"),
    ("duration_minutes = 10", "duration_minutes = 527041", "duration_minutes", "527041 is outside 1 to 527040"),
    ("kind = \"demand_response\"", "kind = \"demand_response\"\nevery_days = 0", "every_days", "0 is outside 1 to 366"),
    ("id = \"dr-1\"", "id = \"d-123456789-123456789-123456789-123456789-123456789-123456789\"\nevery_days = 1", "id = \"d-", "event[0].id: "),
    ("id = \"shave-1\"", "id = \"dr-1-0001\"", "id = \"dr-1\"", ""),
    ("[[aggregator]]", "[[fault]]\nid = \"f\"\nkind = \"station_silence\"\nstart_offset_s = 0\nduration_s = 1\n[[aggregator]]", "kind = \"station_silence", "did you mean `station_silent`?"),
    ("[[aggregator]]", "[[fault]]\nid = \"f\"\nkind = \"clock_skew\"\nstart_offset_s = 0\nduration_s = 1\n[[aggregator]]", "[[fault]]", "clock_skew needs skew_s"),
    ("[[aggregator]]", "[[fault]]\nid = \"f\"\nkind = \"broker_away\"\nshare = 0.1\nstart_offset_s = 0\nduration_s = 1\n[[aggregator]]", "share = 0.1", "is not for broker_away"),
    ("[[aggregator]]", "[[fault]]\nid = \"f\"\nkind = \"station_silent\"\ndelay_s = 1\nstart_offset_s = 0\nduration_s = 1\n[[aggregator]]", "delay_s = 1", "is not for station_silent"),
    ("[[aggregator]]", "[[fault]]\nid = \"f\"\nkind = \"station_silent\"\nnode = \"feedr-a\"\nstart_offset_s = 0\nduration_s = 1\n[[aggregator]]", "feedr-a", "did you mean `feeder-a`?"),
    ("[[aggregator]]", "[[fault]]\nid = \"f\"\nkind = \"station_silent\"\nstart_offset_s = 500\nduration_s = 101\n[[aggregator]]", "duration_s = 101", "ends at 601 s, after the scenario's end at 600 s"),
];

#[test]
fn what_is_wrong_is_told_with_its_line() {
    for &(from, to, part, says) in BROKEN {
        let mut changes = vec![(from, to)];
        if to.contains("dr-1-0001") {
            changes.push(("id = \"dr-1\"", "id = \"dr-1\"\nevery_days = 1"));
        }
        let text = changed(&changes);
        let line = text[..text.find(part).unwrap()].matches('\n').count() + 1;
        let found = Scenario::parse(&text).expect_err(to);
        let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
        let begin = format!("line {line}, ");
        let fits = |told: &String| told.starts_with(&begin) && told.contains(says);
        assert!(
            lines.iter().any(fits),
            "{to:?}: expected {begin} {says:?}, found {lines:#?}"
        );
    }
}
