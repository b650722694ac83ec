//! The format: what is read, and that nothing makes the reader fall.

#![allow(clippy::unwrap_used)] // a test that cannot go on shall fail

use proptest::prelude::*;
use vpp_core::{Power, Programme, Scope};
use vpp_scenarios::{Problem, Scenario};

const SMALL: &str = include_str!("../fleet-small.toml");

fn small() -> Scenario {
    Scenario::parse(SMALL).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

/// The small fleet with one text replaced, which must be there.
fn changed(from: &str, to: &str) -> String {
    assert!(SMALL.contains(from), "{from:?} is not in the file");
    SMALL.replacen(from, to, 1)
}

/// Line of the first occurrence of `part`, from 1.
fn line_of(text: &str, part: &str) -> usize {
    let offset = text
        .find(part)
        .unwrap_or_else(|| panic!("{part:?} is not in the text"));
    text[..offset].matches('\n').count() + 1
}

fn problems(text: &str) -> Vec<Problem> {
    Scenario::parse(text).expect_err("the file is broken")
}

#[test]
fn the_small_fleet_becomes_a_fleet() {
    let scenario = small();
    let fleet = scenario.fleet().unwrap();
    assert_eq!((fleet.stations().len(), fleet.aggregators().len()), (12, 2));
    assert_eq!(fleet.tree().nodes().len(), 5);
    let station = &fleet.stations()[0];
    // 8 × 7 + 60 + 120 = 236 kW, connected with 0.8 of it, silent at 0.7 of that.
    assert_eq!(station.pile_count(), 10);
    assert_eq!(station.import_limit, Power::from_watts(188_800));
    assert_eq!(station.default_setpoint, Power::from_watts(132_160));
    let stated = &fleet.stations()[9];
    assert_eq!(stated.import_limit, Power::from_watts(200_000));
    assert_eq!(stated.default_setpoint, Power::from_watts(120_000));
    assert_eq!(fleet.stations()[7].v2g_pile_count(), 10);
    assert!(fleet.stations()[6].regulates && !fleet.stations()[7].regulates);
}

#[test]
fn shares_hold_over_the_whole_fleet_however_small_the_stations() {
    let scenario = small();
    let fleet = scenario.fleet().unwrap();
    let piles = || fleet.stations().iter().flat_map(|station| &station.piles);
    let count = |kw: i64| -> u32 {
        let rated = Power::from_watts(kw * 1_000);
        piles()
            .filter(|pile| pile.rated_power == rated)
            .map(|pile| pile.count)
            .sum()
    };
    assert_eq!((count(60), count(120)), (9, 8), "half of 17 DC piles each");
    // 116 AC piles share a quarter; ten more are stated.
    let ac = scenario
        .fleet
        .stations
        .iter()
        .filter(|row| row.v2g_ac.is_none())
        .map(|row| row.ac);
    let exporting: u32 = piles()
        .filter(|pile| pile.rated_power == Power::from_watts(7_000))
        .filter(|pile| pile.discharge_power > Power::ZERO)
        .map(|pile| pile.count)
        .sum();
    assert_eq!(exporting, ac.sum::<u32>() / 4 + 10);
}

#[test]
fn events_and_regulation_keep_their_words() {
    let scenario = small();
    let events = scenario.event_requests().unwrap();
    let (id, request) = &events[0];
    assert_eq!((id.as_str(), &request.scope), ("dr-1", &Scope::All));
    assert_eq!(
        request.programme,
        Programme::DemandResponse {
            reduction: Power::from_watts(300_000)
        }
    );
    assert_eq!(
        request.interval.start(),
        scenario.start() + chrono::TimeDelta::seconds(60)
    );
    assert!(matches!(&events[1].1.scope, Scope::Node(node) if node.as_str() == "feeder-c"));
    let regulation = scenario.regulation.as_ref().unwrap();
    assert_eq!(regulation.award().up, Power::from_watts(60_000));
    for (offset_s, value) in [
        (29.9, None),
        (30.0, Some(0.0)),
        (34.0, Some(0.2)),
        // Twelve values of 4 s: after 48 s the signal begins anew.
        (83.0, Some(0.2)),
        (150.0, None),
    ] {
        assert_eq!(regulation.value_at(offset_s), value, "{offset_s}");
    }
}

#[test]
fn nodes_may_stand_in_any_order() {
    let feeder = "[[node]]\nid = \"early\"\nkind = \"transformer\"\nparent = \"feeder-b\"\nimport_limit_kw = 1\nexport_limit_kw = 0\nbase_load_kw = 0\n\n[[aggregator]]";
    let scenario = Scenario::parse(&changed("[[aggregator]]", feeder)).unwrap();
    assert_eq!(scenario.nodes[0].id.as_str(), "early");
    assert_eq!(scenario.fleet().unwrap().tree().nodes().len(), 6);
}

#[test]
fn marks_and_line_ends_of_windows_are_fine() {
    let windows = format!("\u{feff}{}", SMALL.replace('\n', "\r\n"));
    assert_eq!(Scenario::parse(&windows).unwrap(), small());
    let broken = windows.replace(
        "agg-b\", node = \"feeder-c\"",
        "agg-x\", node = \"feeder-c\"",
    );
    let place = line_of(SMALL, "s-10");
    assert_eq!(problems(&broken)[0].line, place);
}

#[test]
fn files_that_cannot_be_read_or_are_too_large_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let missing = Scenario::load(folder.path().join("none.toml"))
        .unwrap_err()
        .to_string();
    assert!(missing.contains("none.toml: "), "{missing}");
    let large = folder.path().join("large.toml");
    std::fs::File::create(&large)
        .unwrap()
        .set_len(vpp_scenarios::MAX_FILE_BYTES + 1)
        .unwrap();
    let refusal = Scenario::load(&large).unwrap_err().to_string();
    assert!(refusal.ends_with("more than 67108864 bytes"), "{refusal}");
    let good = folder.path().join("good.toml");
    std::fs::write(&good, SMALL).unwrap();
    assert_eq!(Scenario::load(&good).unwrap(), small());
    std::fs::write(&good, changed("seed = 7", "seed = x")).unwrap();
    let refusal = Scenario::load(&good).unwrap_err().to_string();
    assert!(refusal.contains("good.toml: line "), "{refusal}");
}

/// Nothing follows the closing bracket of the stations, so a shorter text has lost stations at least.
fn bytes_that_count() -> usize {
    SMALL.rfind(']').expect("the stations end with a bracket")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_file_cut_short_is_never_a_smaller_scenario(length in 0..bytes_that_count()) {
        let found = Scenario::parse_bytes(&SMALL.as_bytes()[..length]).unwrap_err();
        prop_assert!(!found.is_empty());
        prop_assert!(found.iter().all(|problem| problem.line >= 1 && problem.column >= 1));
    }

    #[test]
    fn no_text_makes_the_reader_fall(at in 0..SMALL.len(), noise in proptest::collection::vec(any::<u8>(), 0..8)) {
        let mut bytes = SMALL.as_bytes().to_vec();
        let end = (at + noise.len()).min(bytes.len());
        bytes.splice(at..end, noise);
        if let Ok(scenario) = Scenario::parse_bytes(&bytes) {
            scenario.fleet().unwrap();
            scenario.event_requests().unwrap();
        }
    }
}
