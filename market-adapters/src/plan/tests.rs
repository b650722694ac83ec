//! Targets by hand, from the plan's text.

use super::*;
use crate::plan::measured::Built;
use chrono::NaiveDate;

fn of(id: &str) -> &'static Target {
    let mut targets = Plan::guangzhou().targets.iter();
    targets.find(|target| target.id == id).expect("a target")
}

/// The text of the plan, parts 2 and 3, figure by figure.
#[test]
fn the_plan_s_figures_are_those_of_its_text() {
    let table: [(&str, [f64; 3]); 21] = [
        ("charging-stations", [600.0, 750.0, 900.0]),
        ("swap-stations", [130.0, 150.0, 180.0]),
        ("piles", [28_000.0; 3]),
        ("capacity", [850.0, 1_000.0, 1_200.0]),
        ("connected", [430.0; 3]),
        ("v2g-energy", [1_500.0, 2_000.0, 2_500.0]),
        ("v2g-piles", [1_000.0; 3]),
        ("v2g-vehicles", [1_000.0; 3]),
        ("benchmark-piles", [810.0; 3]),
        ("benchmark-energy", [1_200.0; 3]),
        ("benchmark-vehicles", [800.0; 3]),
        ("baiyun-piles", [300.0; 3]),
        ("baiyun-energy", [300.0; 3]),
        ("baiyun-vehicles", [400.0; 3]),
        ("baiyun-scenes", [8.0; 3]),
        ("response-aggregators", [5.0; 3]),
        ("response-stations", [360.0; 3]),
        ("response-piles", [5_800.0; 3]),
        ("response-power", [20.0; 3]),
        ("regulation-stations", [10.0; 3]),
        ("subsidy", [20.0; 3]),
    ];
    assert_eq!(table.len(), Plan::guangzhou().targets.len());
    for (id, wanted) in table {
        let target = of(id);
        let found = [2025, 2026, 2027].map(|year| target.wanted_in(year).expect("a figure").1);
        let apart = found.iter().zip(wanted).map(|(a, b)| (a - b).abs());
        assert!(apart.fold(0.0, f64::max) < 1e-9, "{id}: {found:?}");
        assert_eq!(
            (target.wanted_in(2024), target.status),
            (None, Status::Seed),
            "{id}"
        );
        assert_eq!(target.at_most, id == "subsidy");
    }
}

#[test]
fn both_languages_are_written_for_every_target_and_place() {
    let plan = Plan::guangzhou();
    let has_hanzi = |text: &str| text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
    let texts = plan
        .targets
        .iter()
        .flat_map(|t| [&t.name, &t.how, &t.unit, &t.source]);
    let others = plan
        .cities
        .iter()
        .flat_map(|city| [&city.place, &city.figures]);
    for text in texts.chain(others) {
        assert!(has_hanzi(&text.zh) && text.en.is_ascii(), "{text:?}");
    }
    assert!(plan.cities.iter().all(|city| !city.source.is_empty()));
}

fn place(id: &str, profile: &str, aggregator: &str, export_kwh: [f64; 4]) -> Place {
    Place {
        id: id.into(),
        profile: profile.into(),
        aggregator: aggregator.into(),
        import_kwh: [0.0, 10.0, 20.0, 70.0],
        export_kwh,
        pile_kwh: Some(export_kwh.iter().sum::<f64>() * 1.5),
        v2g_vehicles: 365 * 400,
        built: Some(Built {
            piles: 3_000,
            v2g_piles: 405,
            connected_kw: 215_000.0,
            regulates: true,
        }),
    }
}

/// A year in which two stations of the benchmark project give 0.6 GWh each and one of Baiyun 0.3 GWh.
fn year() -> Measured {
    Measured {
        name: "by-hand".into(),
        first_day: NaiveDate::from_ymd_opt(2025, 1, 1).expect("a day"),
        days: 365.0,
        charging_stations: 600,
        swap_stations: 129,
        piles: 28_000,
        v2g_piles: 1_110,
        aggregators: 6,
        connection_mva: 850.0,
        peak_mw: 120.0,
        callable_mw: Some(80.0),
        places: vec![
            place(
                "benchmark-0001",
                "residential",
                "a",
                [400_000.0, 200_000.0, 0.0, 0.0],
            ),
            place(
                "benchmark-0002",
                "bus-depot",
                "b",
                [0.0, 600_000.0, 0.0, 0.0],
            ),
            place("baiyun-0003", "park", "c", [0.0, 299_999.0, 1.0, 0.0]),
        ],
        responses: vec![
            Response {
                id: "small".into(),
                hours: 2.0,
                aggregators: vec!["a".into()],
                asked_mw: 5.0,
                promised_mw: 5.0,
                delivered_mwh: 10.0,
            },
            Response {
                id: "great".into(),
                hours: 1.0,
                aggregators: vec!["a".into(), "b".into()],
                asked_mw: 20.0,
                promised_mw: 20.0,
                delivered_mwh: 19.96,
            },
        ],
        regulated: Some(Regulated::default()),
        subsidy_cny: 3_000_000.0,
    }
}

fn found(run: &Measured, id: &str) -> (Option<f64>, Verdict) {
    let all = judge(Plan::guangzhou(), run);
    let finding = all
        .iter()
        .find(|finding| finding.target.id == id)
        .expect("a finding");
    (finding.measured, finding.verdict)
}

#[test]
fn a_year_is_judged_by_hand() {
    let run = year();
    for (id, measured, verdict) in [
        ("charging-stations", 600.0, Verdict::Met),
        ("swap-stations", 129.0, Verdict::NotMet),
        ("piles", 28_000.0, Verdict::Met),
        ("capacity", 850.0, Verdict::Met),
        ("connected", 645.0, Verdict::Met),
        ("v2g-energy", 1_500.0, Verdict::Met),
        ("v2g-piles", 1_110.0, Verdict::Met),
        ("v2g-vehicles", 1_200.0, Verdict::Met),
        ("benchmark-piles", 810.0, Verdict::Met),
        ("benchmark-energy", 1_200.0, Verdict::Met),
        ("benchmark-vehicles", 800.0, Verdict::Met),
        ("baiyun-piles", 405.0, Verdict::Met),
        ("baiyun-energy", 300.0, Verdict::Met),
        ("baiyun-vehicles", 400.0, Verdict::Met),
        ("baiyun-scenes", 1.0, Verdict::NotMet),
        ("response-aggregators", 2.0, Verdict::NotMet),
        ("response-stations", 2.0, Verdict::NotMet),
        ("response-piles", 6_000.0, Verdict::Met),
        // 19.96 MW are 20.0 MW to the decimal that counts.
        ("response-power", 19.96, Verdict::Met),
        ("regulation-stations", 3.0, Verdict::NotMet),
        ("subsidy", 3.0, Verdict::Met),
    ] {
        let (value, judged) = found(&run, id);
        assert!(
            (value.expect("measured") - measured).abs() < 1e-9,
            "{id}: {value:?}"
        );
        assert_eq!(judged, verdict, "{id}");
    }
    let all = judge(Plan::guangzhou(), &run);
    let energy = all
        .iter()
        .find(|f| f.target.id == "v2g-energy")
        .expect("there");
    assert_eq!((energy.at_piles, energy.scaled), (Some(2_250.0), None));
    let great = run.strongest().expect("an event");
    assert_eq!((great.id.as_str(), great.ratio()), ("great", Some(0.998)));
}

/// 73 of 365 days: a fifth.
#[test]
fn a_part_of_a_year_is_never_extrapolated_in_a_verdict() {
    let mut run = year();
    run.days = 73.0;
    let part = Verdict::NotMeasurable(Reason::PartOfYear);
    // 1.5 GWh in a fifth of the year: more time cannot take it back.
    assert_eq!(found(&run, "v2g-energy").1, Verdict::Met);
    assert_eq!(found(&run, "subsidy").1, part);
    run.places[1].export_kwh = [0.0; 4];
    assert_eq!(found(&run, "v2g-energy"), (Some(900.0), part));
    let all = judge(Plan::guangzhou(), &run);
    let energy = all
        .iter()
        .find(|f| f.target.id == "v2g-energy")
        .expect("there");
    assert!((energy.scaled.expect("scaled") - 4_500.0).abs() < 1e-9);
    run.subsidy_cny = 21e6;
    assert_eq!(found(&run, "subsidy").1, Verdict::NotMet);
    // 2028 is a leap year, and its targets are those of 2027.
    run.first_day = NaiveDate::from_ymd_opt(2028, 1, 1).expect("a day");
    run.days = 365.0;
    assert_eq!(found(&run, "v2g-energy").1, part);
    assert_eq!(found(&run, "charging-stations").1, Verdict::NotMet);
}

#[test]
fn what_a_run_cannot_tell_is_said_with_its_reason() {
    let mut run = year();
    run.regulated = None;
    run.responses.clear();
    run.places.retain(|place| !place.id.starts_with("baiyun"));
    let table = [
        ("regulation-stations", Reason::NoRegulation),
        ("response-power", Reason::NoResponse),
        ("baiyun-energy", Reason::NoStation),
    ];
    for (id, reason) in table {
        assert_eq!(
            found(&run, id),
            (None, Verdict::NotMeasurable(reason)),
            "{id}"
        );
    }
    run.places[0].built = None;
    let needs = (None, Verdict::NotMeasurable(Reason::NeedsScenario));
    assert_eq!(found(&run, "benchmark-piles"), needs);
    assert_eq!(found(&run, "connected"), needs);
    assert_eq!(found(&run, "v2g-piles"), (Some(1_110.0), Verdict::Met));
}

#[test]
fn a_broken_plan_is_refused_with_the_line() {
    let text = include_str!("../../rules/guangzhou-plan.toml");
    for (from, to, says) in [
        (
            "id = \"swap-stations\"",
            "id = \"charging-stations\"",
            "stands already above",
        ),
        (
            "values = { 2025 = 28000 }",
            "values = { year = 28000 }",
            "no year with a number",
        ),
        (
            "values = { 2025 = 28000 }",
            "values = { 2025 = -1 }",
            "no year with a number",
        ),
        ("values = { 2025 = 28000 }", "values = {}", "no year"),
        ("measure = \"piles\"", "measure = \"poles\"", "poles"),
    ] {
        let broken = text.replacen(from, to, 1);
        let refused = Plan::parse(&broken).expect_err("refused").to_string();
        assert!(
            refused.contains(says) && refused.contains("line"),
            "{refused}"
        );
    }
}
