//! The city's pilot at the plan's full size, from the data sets that stand beside the project in `../shared/data`.

#![allow(clippy::unwrap_used)] // a test that cannot go on shall fail

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use chrono::TimeDelta;
use vpp_core::{Station, StationKind};
use vpp_scenarios::Scenario;
use vpp_scenarios::estimate::Estimate;
use vpp_scenarios::import::{City, import_city};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

#[test]
fn the_years_are_what_the_import_makes() {
    let data = folder().join("../../shared/data");
    for city in City::ALL {
        let text = import_city(&data, city, &mut |_| ()).unwrap_or_else(|error| panic!("{error}"));
        let path = folder().join(format!("{}.toml", city.name()));
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let stored = std::fs::read_to_string(&path).unwrap();
        assert!(
            stored == text,
            "{} differs; UPDATE_EXPECT=1 writes it anew",
            path.display()
        );
        assert!(text.len() < 200_000, "{} bytes", text.len());
    }
}

fn load(city: City) -> Scenario {
    let path = folder().join(format!("{}.toml", city.name()));
    Scenario::load(path).unwrap_or_else(|error| panic!("{error}"))
}

/// The plan's figures, part 2 and part 3 (3) 4: stations, swap stations, MVA. It has piles for 2025 alone.
#[test]
fn every_year_has_the_plan_s_numbers() {
    let plan = [
        (City::Guangzhou2025, 600, 130, 850_000.0, 28_000..=28_000),
        (City::Guangzhou2026, 750, 150, 1_000_000.0, 28_001..=40_000),
        (City::Guangzhou2027, 900, 180, 1_200_000.0, 33_000..=45_000),
    ];
    for (city, charging, swap, capacity_kw, piles) in plan {
        let scenario = load(city);
        let fleet = scenario.fleet().unwrap();
        let stations = fleet.stations();
        let (swaps, others): (Vec<&Station>, Vec<&Station>) =
            (stations.iter()).partition(|station| station.kind == StationKind::Swap);
        assert_eq!((others.len(), swaps.len()), (charging, swap), "{city:?}");
        let limits = stations
            .iter()
            .map(|station| station.import_limit.as_kilowatts());
        assert!((limits.sum::<f64>() - capacity_kw).abs() < 1e-6, "{city:?}");
        let count: u64 = others.iter().map(|station| station.pile_count()).sum();
        assert!(piles.contains(&count), "{city:?}: {count} piles");
        assert!(fleet.aggregators().len() >= 5);
        assert!(stations.iter().filter(|station| station.regulates).count() >= 10);
        let length = i64::from(scenario.header.duration_minutes);
        assert_eq!(TimeDelta::minutes(length), TimeDelta::days(365));
        let mut calls = scenario.events.iter();
        let city_call = calls.find(|row| row.id.as_str() == "dr-city").unwrap();
        let offset = TimeDelta::seconds(i64::from(city_call.start_offset_s));
        let called = (scenario.header.start + offset).to_rfc3339();
        assert!(called.ends_with("-07-15T13:00:00+08:00"), "{called}");
        assert_eq!(city_call.reduction_kw, Some(20_000.0));
        // A connection is no more than its piles could use, but for steps of 5 kW.
        for station in stations {
            let piles = station.piles.iter();
            let rated = piles.map(|pile| pile.rated_power.as_kilowatts() * f64::from(pile.count));
            assert!(
                station.import_limit.as_kilowatts() <= rated.sum::<f64>() + 5.0,
                "{}",
                station.id
            );
        }
    }
}

/// Part 3 (4) 1 and 2: 810 piles of the benchmark project, 300 in eight scenes in Baiyun. A year keeps what the one before had.
#[test]
fn the_projects_have_their_piles_and_scenes() {
    for city in City::ALL {
        let scenario = load(city);
        let fleet = scenario.fleet().unwrap();
        let exporting = |beginning: &str| -> u64 {
            let stations = fleet.stations().iter();
            let of = stations.filter(|station| station.id.as_str().starts_with(beginning));
            of.map(Station::v2g_pile_count).sum()
        };
        assert_eq!((exporting("benchmark-"), exporting("baiyun-")), (810, 300));
        let years = City::ALL.iter().filter(|other| **other < city).count() as u64;
        assert_eq!((exporting("v2g-"), exporting("gz-")), (370 * years, 0));
        let baiyun = scenario.fleet.stations.iter();
        let scenes: BTreeSet<&str> = baiyun
            .filter(|row| row.id.as_str().starts_with("baiyun-"))
            .filter_map(|row| row.profile.as_deref())
            .collect();
        assert_eq!(scenes.len(), 8, "{scenes:?}");
    }
    let (first, last) = (load(City::Guangzhou2025), load(City::Guangzhou2027));
    let known = first.fleet.stations.len();
    assert_eq!(first.fleet.stations, last.fleet.stations[..known]);
}

/// What the tables foresee without any control: energy of a day, and the greatest draw against the 430 MW that are connected.
#[test]
fn energy_and_power_are_plausible() {
    let scenario = load(City::Guangzhou2025);
    let day = scenario.start() + TimeDelta::days(7);
    let draws: Vec<_> = (0..24)
        .map(|hour| scenario.estimate(day + TimeDelta::hours(hour)).unwrap())
        .collect();
    let (ac, dc) = draws
        .iter()
        .fold((0.0, 0.0), |(ac, dc), now| (ac + now.ac_kw, dc + now.dc_kw));
    let peak = draws.iter().map(Estimate::draw_kw).fold(0.0, f64::max);
    // 20,991 slow piles of 10 to 30 kWh a day; 7,009 rapid ones of 60 to 200 with the 130 swap stations.
    assert!((200e3..630e3).contains(&ac), "{ac} kWh at slow piles");
    assert!(
        (500e3..1_700e3).contains(&dc),
        "{dc} kWh at rapid piles and slots"
    );
    assert!((60e3..250e3).contains(&peak), "{peak} kW at most");
    // 1,086 exporting piles: some of them always hold a vehicle.
    let plugged = draws.iter().map(|now| now.plugged_v2g);
    let least = plugged.fold(f64::INFINITY, f64::min);
    assert!(
        (100.0..900.0).contains(&least),
        "{least} vehicles at exporting piles"
    );
}
