//! The import of the public data sets, which stand beside the project in `../shared/data`.

#![allow(clippy::unwrap_used)] // a test that cannot go on shall fail

use std::path::{Path, PathBuf};

use chrono::TimeDelta;
use vpp_aggregator::Sites;
use vpp_core::{Flexibility, NodeKind, Power, Session, Station};
use vpp_scenarios::Scenario;
use vpp_scenarios::import::{ImportError, ImportOptions, Stage, import};
use vpp_scenarios::world::World;

/// The folder of the data sets. Without it these tests fail: a skipped test proves nothing.
fn data() -> PathBuf {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let sample = data.join("shenzhen-stations/stations.csv");
    assert!(
        sample.is_file(),
        "the data sets are missing: {} is not there; see scenarios/README.md for what belongs into it",
        sample.display()
    );
    data
}

fn made(options: &ImportOptions) -> String {
    import(&data(), options, &mut |_| ()).unwrap_or_else(|error| panic!("{error}"))
}

fn pilot() -> Scenario {
    Scenario::parse(include_str!("../guangzhou-pilot.toml"))
        .unwrap_or_else(|problems| panic!("{problems:#?}"))
}

#[test]
fn the_pilot_is_what_the_import_makes() {
    let text = made(&ImportOptions::default());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("guangzhou-pilot.toml");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap();
    assert!(
        stored == text,
        "guangzhou-pilot.toml differs; UPDATE_EXPECT=1 writes it anew"
    );
    assert!(text.len() < 100_000, "{} bytes", text.len());
}

#[test]
fn another_seed_makes_another_fleet_and_the_same_seed_the_same() {
    let options = |seed| ImportOptions {
        seed,
        stations: 60,
        ..ImportOptions::default()
    };
    assert_eq!(made(&options(1)), made(&options(1)));
    assert_ne!(made(&options(1)), made(&options(2)));
}

#[test]
fn any_number_of_stations_and_aggregators_makes_a_sound_fleet() {
    for (stations, aggregators) in [(1, 1), (7, 5), (123, 26), (900, 5), (1_600, 3)] {
        let options = ImportOptions {
            stations,
            aggregators,
            ..ImportOptions::default()
        };
        let scenario = Scenario::parse(&made(&options)).unwrap();
        let fleet = scenario.fleet().unwrap();
        assert_eq!(fleet.stations().len(), stations as usize);
        assert_eq!(fleet.aggregators().len(), aggregators as usize);
    }
}

#[test]
fn sizes_keep_the_distribution_of_the_source() {
    let source = std::fs::read_to_string(data().join("shenzhen-stations/stations.csv")).unwrap();
    let last = |line: &str| {
        line.rsplit(',')
            .next()
            .unwrap()
            .trim()
            .parse::<u32>()
            .unwrap()
    };
    let mut known: Vec<u32> = source
        .lines()
        .skip(1)
        .map(last)
        .filter(|size| *size > 0)
        .collect();
    let mut sampled: Vec<u32> = pilot()
        .fleet
        .stations
        .iter()
        .map(|row| row.ac + row.dc)
        .collect();
    known.sort_unstable();
    sampled.sort_unstable();
    for percent in [5, 10, 25, 50, 75, 90, 95] {
        let at = |sizes: &[u32]| f64::from(sizes[(sizes.len() - 1) * percent / 100]);
        let (expected, found) = (at(&known), at(&sampled));
        let allowed = (expected * 0.15).max(1.0);
        assert!(
            (found - expected).abs() <= allowed,
            "{percent} %: {found}, not {expected}"
        );
    }
}

#[test]
fn progress_is_told_and_bad_options_are_refused() {
    let mut told = Vec::new();
    let options = ImportOptions {
        stations: 10,
        ..ImportOptions::default()
    };
    import(&data(), &options, &mut |stage| told.push(stage)).unwrap();
    assert_eq!(told, Stage::ALL);
    for (options, says) in [
        (
            ImportOptions {
                stations: 0,
                ..options.clone()
            },
            "stations: 0 is outside 1 to 1644",
        ),
        (
            ImportOptions {
                stations: 1_645,
                ..options.clone()
            },
            "stations: 1645 is outside 1 to",
        ),
        (
            ImportOptions {
                aggregators: 27,
                ..options.clone()
            },
            "aggregators: 27 is outside 1 to 26",
        ),
        (
            ImportOptions {
                name: "a\nb".into(),
                ..options.clone()
            },
            "name: has the character",
        ),
        (
            ImportOptions {
                reduction_kw: Some(-1.0),
                ..options.clone()
            },
            "-1 is not above 0",
        ),
        (
            ImportOptions {
                duration_minutes: 1,
                ..options
            },
            "after the scenario's end at 60 s",
        ),
    ] {
        let refusal = import(&data(), &options, &mut |_| ())
            .unwrap_err()
            .to_string();
        assert!(refusal.contains(says), "{refusal}");
    }
}

#[test]
fn broken_data_is_refused_with_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let stations = folder.path().join("shenzhen-stations/stations.csv");
    let attempt = || import(folder.path(), &ImportOptions::default(), &mut |_| ()).unwrap_err();
    assert!(matches!(attempt(), ImportError::Io { .. }));
    std::fs::create_dir(stations.parent().unwrap()).unwrap();
    let header = "station_id,latitude,longitude,fast,slow,count";
    for (rows, says) in [
        ("a,b\n1,2\n".into(), "stations.csv: line 1: columns"),
        (
            format!("{header}\n1,22.7,113.8,5,5,10\n2,22.7,113.8,x,5,5\n"),
            "line 3: column 4: \"x\"",
        ),
        (
            format!("{header}\n1,22.7,113.8,-5,5,10\n"),
            "line 2: column 4: \"-5\"",
        ),
        (
            format!("{header}\n1,122.7,113.8,5,5,10\n"),
            "line 2: 113.8, 122.7 is no place",
        ),
        (format!("{header}\n1,22.7,113.8\n"), "line 2: "),
        (format!("{header}\n"), "stations: 640 is outside 1 to 0"),
    ] {
        std::fs::write(&stations, rows).unwrap();
        let refusal = attempt().to_string();
        assert!(refusal.contains(says), "{refusal}");
    }
}

#[test]
fn the_pilot_has_what_the_city_asks_for() {
    let scenario = pilot();
    let fleet = scenario.fleet().unwrap();
    let sum = |of: fn(&Station) -> u64| fleet.stations().iter().map(of).sum::<u64>();
    let (piles, exporting) = (sum(Station::pile_count), sum(Station::v2g_pile_count));
    assert!(
        fleet.stations().len() >= 360 && piles >= 5_800,
        "{piles} piles"
    );
    assert!(exporting >= 1_000, "{exporting} exporting piles");
    assert!(fleet.aggregators().len() >= 5);
    assert!(
        fleet
            .stations()
            .iter()
            .filter(|station| station.regulates)
            .count()
            >= 10
    );
    // The two trees cut across each other: no feeder is one aggregator's, and none of those has but one feeder.
    for (index, node) in fleet.tree().nodes().iter().enumerate() {
        let operators: std::collections::BTreeSet<usize> = (0..fleet.stations().len())
            .filter(|&station| fleet.node_of(station) == index)
            .map(|station| fleet.aggregator_of(station))
            .collect();
        assert!(
            node.kind != NodeKind::Feeder || operators.len() >= 2,
            "{}",
            node.id
        );
    }
}

#[test]
fn limits_hold_the_defaults_and_not_all_connections() {
    let scenario = pilot();
    let fleet = scenario.fleet().unwrap();
    let tree = fleet.tree();
    let mut full: Vec<Power> = tree
        .nodes()
        .iter()
        .map(|node| node.base_load.peak())
        .collect();
    let mut silent = full.clone();
    for (index, station) in fleet.stations().iter().enumerate() {
        full[fleet.node_of(index)] += station.import_limit;
        silent[fleet.node_of(index)] += station.default_setpoint;
    }
    tree.sum_upwards(&mut full);
    tree.sum_upwards(&mut silent);
    for (index, node) in tree.nodes().iter().enumerate() {
        assert!(silent[index] <= node.import_limit, "{}", node.id);
        assert!(full[index] > node.import_limit, "{} never binds", node.id);
    }
}

/// The least mean draw that the plugged-in vehicles allow for so long, if all obey and none leaves short.
fn least_kw(world: &World, scenario: &Scenario, minutes: i64) -> f64 {
    let length = TimeDelta::minutes(minutes);
    let start = scenario.start();
    let least = |(index, station): (usize, &Station)| {
        let readings = world.readings(index).iter();
        let sessions: Vec<Session> = readings.map(|reading| reading.session.clone()).collect();
        let (lowest, _) = Flexibility::sustained(station, &sessions, start, length);
        lowest.as_kilowatts()
    };
    world.stations().iter().enumerate().map(least).sum()
}

#[test]
fn twenty_megawatts_can_be_shed_at_the_start() {
    let scenario = pilot();
    let foreseen = scenario.estimate(scenario.start()).unwrap().draw_kw();
    assert!(
        (28_000.0..40_000.0).contains(&foreseen),
        "{foreseen} kW foreseen"
    );
    let world = World::from_scenario(&scenario, None).unwrap();
    let stations = 0..world.stations().len();
    let lived = stations
        .map(|station| world.active_power(station))
        .sum::<Power>()
        .as_kilowatts();
    assert!(
        (28_000.0..40_000.0).contains(&lived),
        "{lived} kW in the simulated world"
    );
    let apart = (lived - foreseen).abs() / foreseen;
    assert!(
        apart < 0.12,
        "{lived} kW in the simulated world, {foreseen} kW foreseen"
    );
    for minutes in [2, 15] {
        let shed = lived - least_kw(&world, &scenario, minutes);
        // A tenth above what is asked: some piles do not obey, some stations do not answer.
        assert!(
            shed > 22_000.0,
            "{shed} kW could be shed for {minutes} minutes"
        );
    }
}

#[test]
fn the_excerpt_of_the_signal_moves_both_ways() {
    let regulation = pilot().regulation.unwrap();
    assert_eq!(regulation.signal.len(), 150);
    assert!(regulation.signal.iter().any(|value| *value > 0.5));
    assert!(regulation.signal.iter().any(|value| *value < -0.5));
}
