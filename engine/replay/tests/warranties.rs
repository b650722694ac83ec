//! Vehicles of several makers at one station: each is kept to its own warranty, whatever the grid pays.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use std::collections::BTreeMap;

use vpp_aggregator::Sites as _;
use vpp_core::VehicleId;
use vpp_replay::run::Run;
use vpp_scenarios::Scenario;
use vpp_scenarios::template::Template;

/// Forty exporting piles from noon to four, with a payment that makes every kWh fed in worth its wear. Three in ten vehicles are
/// vans, as many taxis, and the others have the usual limits.
fn scenario() -> Scenario {
    in_steps(1, 60)
}

/// The same in steps of `step_s`, with a plan every `cycle_s`.
fn in_steps(step_s: u32, cycle_s: u32) -> Scenario {
    const LIMITS: &str = r#"
[subsidy]
discharge_cny_per_kwh = 3

[warranty]
soc_floor = 0.3
soc_ceiling = 1.0
discharge_kwh_per_day = 4

[warranties.van]
soc_floor = 0.72
soc_ceiling = 0.78
discharge_kwh_per_day = 20
discharge_kw = 6

[warranties.taxi]
soc_floor = 0.3
soc_ceiling = 1.0
discharge_kwh_per_day = 1.5
discharge_kw = 2

[dispatch]
cycle_s = 60
step_s = 1
orderly = "all"

[sessions.public]
models = { van = 0.3, taxi = 0.3 }
"#;
    let text = Template::by_name("minimal").unwrap().text("warranties");
    let changes = [
        ("T16:00:00", "T12:00:00"),
        ("duration_minutes = 10", "duration_minutes = 240"),
        ("v2g_consent_share = 0.6", "v2g_consent_share = 1"),
        ("v2g_floor = 0.4", "v2g_floor = 0.2"),
        ("ac = 20, dc = 2", "ac = 40, v2g_ac = 40"),
        ("[sessions.public]", LIMITS),
    ];
    let changed = changes.iter().fold(text, |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replacen(from, to, 1)
    });
    let changed = changed
        .replace("cycle_s = 60", &format!("cycle_s = {cycle_s}"))
        .replace("step_s = 1\n", &format!("step_s = {step_s}\n"));
    Scenario::parse(&changed).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

/// What was seen of a vehicle.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// What its battery held, kWh, at the last look.
    stored: f64,
    /// What was taken out of it, kWh.
    taken: f64,
    /// Up to which state of charge it was discharged at least, and charged at most.
    lowest: f64,
    highest: f64,
    /// The strongest discharge, kW at the plug.
    strongest: f64,
}

fn look(run: &Run, seen: &mut BTreeMap<VehicleId, Seen>) {
    let world = run.plant().operators()[0].sites();
    for reading in world.readings(0) {
        let Some(battery) = reading.battery else {
            continue;
        };
        let (stored, soc) = (battery.stored.as_kilowatt_hours(), battery.soc());
        let id = reading.vehicle.clone().unwrap();
        let vehicle = seen.entry(id).or_insert(Seen {
            stored,
            lowest: 1.0,
            ..Seen::default()
        });
        if stored < vehicle.stored {
            vehicle.taken += vehicle.stored - stored;
            vehicle.lowest = vehicle.lowest.min(soc);
        }
        if stored > vehicle.stored {
            vehicle.highest = vehicle.highest.max(soc);
        }
        vehicle.stored = stored;
        vehicle.strongest = (vehicle.strongest).max(-reading.active_power.as_kilowatts());
    }
}

#[test]
fn vehicles_of_each_model_are_kept_to_their_own_limits() {
    kept_to_their_own_limits(&scenario());
}

/// In a quarter of an hour much is discharged, and only its ends are seen.
#[test]
fn they_are_kept_in_long_steps() {
    kept_to_their_own_limits(&in_steps(900, 900));
}

fn kept_to_their_own_limits(scenario: &Scenario) {
    let warranties = scenario.warranties();
    let mut run = Run::new(scenario).unwrap();
    let mut seen = BTreeMap::new();
    run.begin();
    while !run.is_over() {
        look(&run, &mut seen);
        run.advance();
    }
    let groups = [
        ("van.", &warranties.models["van."]),
        ("taxi.", &warranties.models["taxi."]),
        ("", warranties.usual.as_ref().unwrap()),
    ];
    for (begins, limits) in groups {
        let is_of = |id: &VehicleId| match begins.is_empty() {
            true => !id.as_str().contains("van.") && !id.as_str().contains("taxi."),
            false => id.as_str().starts_with(begins),
        };
        let all: Vec<&Seen> = (seen.iter())
            .filter(|(id, _)| is_of(id))
            .map(|(_, seen)| seen)
            .collect();
        let most = |of: fn(&Seen) -> f64| all.iter().map(|seen| of(seen)).fold(0.0, f64::max);
        let lowest = all.iter().map(|seen| seen.lowest).fold(1.0, f64::min);
        let (taken, strongest) = (most(|seen| seen.taken), most(|seen| seen.strongest));
        let highest = most(|seen| seen.highest);
        println!(
            "{begins:6} {} vehicles: at most {taken:.3} kWh taken out and {strongest:.3} kW, down to {lowest:.3}, up to {highest:.3}",
            all.len()
        );
        assert!(all.len() >= 10, "{begins} {}", all.len());
        assert!(taken <= limits.discharge_kwh_per_day, "{begins} {taken}");
        assert!(lowest >= limits.soc_floor, "{begins} {lowest}");
        assert!(highest <= limits.soc_ceiling, "{begins} {highest}");
        assert!(strongest <= limits.discharge_kw.unwrap_or(7.0));
    }
    // Names without a model begin with the year 2025's seconds.
    let most = |begins: &str, of: fn(&Seen) -> f64| {
        let of_group = (seen.iter()).filter(|(id, _)| id.as_str().starts_with(begins));
        of_group.map(|(_, seen)| of(seen)).fold(0.0, f64::max)
    };
    // Each group is used, and where one's limit holds it back, another's lets more be done.
    let [taxi, van, other] = ["taxi.", "van.", "1"].map(|of| most(of, |seen| seen.taken));
    assert!(
        taxi > 1.0 && van > 1.0 && other > 3.0,
        "{taxi} {van} {other}"
    );
    assert!(most("taxi.", |seen| seen.strongest) > 1.9);
    assert!(most("van.", |seen| seen.strongest) > 4.0);
    assert!(most("1", |seen| 1.0 - seen.lowest) > 0.4);
    assert!(most("1", |seen| seen.highest) > 0.8);
}

/// The same vehicles come and go, whoever made them.
#[test]
fn models_change_nothing_about_who_comes() {
    let with = scenario();
    let mut without = with.clone();
    let profile = without.sessions.get_mut("public").unwrap();
    profile.models.clear();
    let stays = |scenario: &Scenario| {
        let mut run = Run::new(scenario).unwrap();
        run.end_at(scenario.start() + chrono::TimeDelta::minutes(10));
        while !run.is_over() {
            run.advance();
        }
        let world = run.plant().operators()[0].sites();
        let stay = |reading: &vpp_aggregator::PileReading| {
            let name = reading.vehicle.as_ref().unwrap().as_str();
            let (_, stay) = name.rsplit_once('.').unwrap_or(("", name));
            (stay.to_owned(), reading.session.departure)
        };
        world.readings(0).iter().map(stay).collect::<Vec<_>>()
    };
    assert_eq!(stays(&with), stays(&without));
}
