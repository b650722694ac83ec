//! Fleets from distributions: what is made of a row, and that it is the same whatever stands beside it.

#![allow(clippy::unwrap_used)] // a test that cannot go on shall fail

use vpp_core::{NodeKind, Power};
use vpp_scenarios::Scenario;

const SMALL: &str = include_str!("../fleet-small.toml");

const HOMES: &str = r#"
generate = [
  {
    id = "homes", stations = 95, profile = "private",
    ac = [10, 20, 60], dc = [0, 0, 2], v2g_share_ac = 0.2, regulates_share = 0.1,
    aggregators = { agg-a = 0.6, agg-b = 0.4 },
    place = [[113.2, 23.0], [113.6, 23.3]],
    grid = { stations_per_feeder = 10, feeders_per_substation = 4, base_load_kw = 300, feeder_share = 0.9, substation_share = 0.8, export_share = 0.4 },
  },
]
"#;

fn with(rows: &str) -> Scenario {
    let text = SMALL.replace(
        "profile = \"public\"\n",
        &format!("profile = \"public\"{rows}"),
    );
    Scenario::parse(&text).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

#[test]
fn a_row_becomes_stations_feeders_and_substations() {
    let scenario = with(HOMES);
    let fleet = scenario.fleet().unwrap();
    // Twelve of the file; 95 stations on ten feeders below three substations beside the five nodes of the file.
    assert_eq!(fleet.stations().len(), 12 + 95);
    assert_eq!(fleet.tree().nodes().len(), 5 + 10 + 3);
    let homes = &scenario.fleet.stations[12..];
    assert_eq!(
        (homes[0].id.as_str(), homes[94].id.as_str()),
        ("homes-0001", "homes-0095")
    );
    assert_eq!(
        (homes[9].node.as_str(), homes[10].node.as_str()),
        ("homes-f001", "homes-f002")
    );
    assert!(
        homes
            .iter()
            .all(|row| (10..=60).contains(&row.ac) && row.dc <= 2)
    );
    // Median 20: half of them at least, and at most.
    let below = homes.iter().filter(|row| row.ac < 20).count();
    assert!((35..=60).contains(&below), "{below} of 95 below the median");
    let of_a = homes
        .iter()
        .filter(|row| row.aggregator.as_str() == "agg-a");
    assert_eq!(of_a.count(), 57, "0.6 of 95");
    assert_eq!(
        homes.iter().filter(|row| row.regulates).count(),
        10,
        "0.1 of 95"
    );
    let (all, exporting) = homes.iter().fold((0, 0), |(all, exporting), row| {
        (all + row.ac, exporting + row.v2g_ac.unwrap())
    });
    assert!(
        (f64::from(exporting) - f64::from(all) * 0.2).abs() < 1.0,
        "{exporting} of {all}"
    );
    for row in homes {
        assert!((113.2..=113.6).contains(&row.place[0]) && (23.0..=23.3).contains(&row.place[1]));
    }
}

#[test]
fn limits_follow_the_connections_underneath() {
    let scenario = with(HOMES);
    let fleet = scenario.fleet().unwrap();
    let connected = |numbers: std::ops::Range<usize>| -> f64 {
        let stations = &fleet.stations()[12 + numbers.start..12 + numbers.end];
        stations.iter().map(|s| s.import_limit.as_kilowatts()).sum()
    };
    let up = |kw: f64| Power::round_kilowatts((kw / 10.0).ceil() * 10.0);
    let node = |id: &str| {
        let nodes = fleet.tree().nodes();
        nodes.iter().find(|node| node.id.as_str() == id).unwrap()
    };
    let feeder = node("homes-f001");
    assert_eq!(
        (feeder.kind, feeder.parent.as_ref().unwrap().as_str()),
        (NodeKind::Feeder, "homes-s01")
    );
    assert_eq!(feeder.import_limit, up(300.0 + 0.9 * connected(0..10)));
    // The last feeder has five stations, the last substation two feeders.
    assert_eq!(
        node("homes-f010").import_limit,
        up(300.0 + 0.9 * connected(90..95))
    );
    assert_eq!(
        node("homes-f010").parent.as_ref().unwrap().as_str(),
        "homes-s03"
    );
    let substation = node("homes-s03");
    assert_eq!(substation.import_limit, up(600.0 + 0.8 * connected(80..95)));
    assert_eq!(
        substation.export_limit,
        up(substation.import_limit.as_kilowatts() * 0.4)
    );
}

#[test]
fn one_more_station_and_another_row_change_none_that_are_there() {
    let (first, again) = (with(HOMES), with(HOMES));
    assert_eq!(first, again);
    let more = with(&HOMES.replace("stations = 95", "stations = 120"));
    for (row, other) in first.fleet.stations.iter().zip(&more.fleet.stations) {
        assert_eq!(
            (&row.id, row.ac, row.dc, row.place),
            (&other.id, other.ac, other.dc, other.place)
        );
    }
    let other = "generate = [\n  { id = \"depots\", stations = 3, dc = [4, 20], aggregators = { agg-a = 1 }, place = [[113, 23], [113, 23]], grid = { parent = \"sub-1\", stations_per_feeder = 1, base_load_kw = 0, feeder_share = 1, export_share = 0 } },";
    let raised = HOMES.replace("generate = [", other);
    let text = SMALL
        .replace(
            "profile = \"public\"\n",
            &format!("profile = \"public\"{raised}"),
        )
        .replace("import_limit_kw = 3200", "import_limit_kw = 32000");
    let beside = Scenario::parse(&text).unwrap();
    assert_eq!(first.fleet.stations[12..], beside.fleet.stations[15..]);
    let seeded = SMALL
        .replace(
            "profile = \"public\"\n",
            &format!("profile = \"public\"{HOMES}"),
        )
        .replace("seed = 7", "seed = 8");
    let seeded = Scenario::parse(&seeded).unwrap();
    assert_ne!(first.fleet.stations[12..], seeded.fleet.stations[12..]);
}

#[test]
fn events_may_name_what_is_generated() {
    let text = SMALL
        .replace(
            "profile = \"public\"\n",
            &format!("profile = \"public\"{HOMES}"),
        )
        .replace(
            "node = \"feeder-c\"\nceiling",
            "node = \"homes-s01\"\nceiling",
        );
    let scenario = Scenario::parse(&text).unwrap();
    assert_eq!(
        scenario.events[1].node.as_ref().unwrap().as_str(),
        "homes-s01"
    );
}

#[test]
fn a_wrong_row_is_told_at_the_row() {
    for (from, to, says) in [
        (
            "agg-b = 0.4",
            "agg-x = 0.4",
            "fleet.generate[0].aggregators.agg-x: aggregator agg-x is unknown (did you mean `agg-a`?)",
        ),
        (
            "agg-b = 0.4",
            "agg-b = 0.5",
            "the shares add up to 1.1000, not to 1",
        ),
        (
            "profile = \"private\"",
            "profile = \"privat\"",
            "did you mean `private`?",
        ),
        (
            "ac = [10, 20, 60]",
            "ac = [10, 60, 20]",
            "quantile 20 is below the one before it, 60",
        ),
        (
            "ac = [10, 20, 60], dc = [0, 0, 2],",
            "",
            "neither ac nor dc nor slots",
        ),
        (
            "ac = [10, 20, 60]",
            "ac = [10, 20, 60], slots = [2, 3]",
            "piles and slots at one station",
        ),
        ("stations = 95", "stations = 0", "0 is outside 1 to 100000"),
        (
            "place = [[113.2, 23.0], [113.6, 23.3]]",
            "place = [[113.6, 23.0], [113.2, 23.3]]",
            "[[west, south], [east, north]]",
        ),
        (
            "stations_per_feeder = 10",
            "stations_per_feeder = 0",
            "grid.stations_per_feeder: 0 is not positive",
        ),
        (
            "grid = {",
            "grid = { parent = \"transformer-1\",",
            "transformer-1 is of a lower level than substation",
        ),
        (
            "grid = {",
            "grid = { parent = \"sub-2\",",
            "did you mean `sub-1`?",
        ),
        ("id = \"homes\"", "id = \"s p\"", "fleet.generate[0].id"),
        // All silent stations draw 0.7 of their connections.
        (
            "feeder_share = 0.9",
            "feeder_share = 0.2",
            "fleet.generate[0].grid.feeder_share: homes-f001: ",
        ),
        (
            "substation_share = 0.8",
            "substation_share = 0.2",
            "fleet.generate[0].grid.substation_share: homes-s01: ",
        ),
    ] {
        assert!(HOMES.contains(from), "{from}");
        let text = SMALL.replace(
            "profile = \"public\"\n",
            &format!("profile = \"public\"{}", HOMES.replacen(from, to, 1)),
        );
        let found = Scenario::parse(&text).expect_err(to);
        let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert!(
            lines.iter().any(|line| line.contains(says)),
            "{to}: {lines:#?}"
        );
        let at = SMALL
            .lines()
            .position(|line| line.starts_with("profile ="))
            .unwrap()
            + 3;
        assert!(
            found
                .iter()
                .all(|problem| (at..at + 8).contains(&problem.line)),
            "{lines:#?}"
        );
    }
}
