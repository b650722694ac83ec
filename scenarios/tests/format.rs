//! The format: what is read, and what is refused with which words at which line.

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
fn broken_files_are_refused_with_line_and_reason() {
    // (replace, by, where the line is found, what the problem says)
    for (from, to, at, says) in [
        ("seed = 7", "seed = ", "seed =", ""),
        (
            "seed = 7",
            "seed = \"7\"",
            "seed =",
            "invalid type: string \"7\", expected u64",
        ),
        (
            "seed = 7",
            "seed = -7",
            "seed =",
            "invalid value: integer `-7`, expected u64",
        ),
        (
            "seed = 7",
            "seed = 7\nseed = 8",
            "seed = 8",
            "duplicate key",
        ),
        ("seed = 7", "sed = 7", "sed = 7", "did you mean `seed`?"),
        ("seed = 7\n", "", "[scenario]", "missing field `seed`"),
        (
            "format = 1",
            "format = 2",
            "format = 2",
            "format 2 is not 1",
        ),
        (
            "2025-07-15T16:00:00+08:00",
            "2025-07-15T16:00:00",
            "start =",
            "no date-time with offset",
        ),
        (
            "2025-07-15T16:00:00+08:00",
            "\"today\"",
            "start =",
            "write it bare",
        ),
        (
            "2025-07-15T16:00:00+08:00",
            "2024-07-15T16:00:00+08:00",
            "start =",
            "feed_in: 2024-07-15 is before 2025-05-01",
        ),
        (
            "duration_minutes = 10",
            "duration_minutes = 0",
            "duration_minutes",
            "0 is outside 1 to 44640",
        ),
        (
            "guangdong-2025",
            "guangdong-2052",
            "rule_pack",
            "did you mean `guangdong-2025`?",
        ),
        (
            "v2g_share_ac = 0.25",
            "v2g_share_ac = 25",
            "v2g_share_ac",
            "25 is outside 0 to 1",
        ),
        (
            "charge_efficiency = 0.94",
            "charge_efficiency = 0",
            "charge_efficiency",
            "0 is not above 0 and at most 1",
        ),
        (
            "charge_efficiency = 0.94",
            "charge_efficiency = nan",
            "charge_efficiency",
            "NaN is not above 0",
        ),
        (
            "dc_shares = [0.5, 0.5]",
            "dc_shares = [0.5, 0.4]",
            "dc_shares",
            "add up to 0.9000, not to 1",
        ),
        (
            "response_delay_s = [0.5, 2]",
            "response_delay_s = [5, 2]",
            "response_delay_s",
            "longest delay 2 is below the shortest 5",
        ),
        (
            "stay_h = [0.5, 1, 2, 4, 10]",
            "stay_h = [0.5, 1, 3, 2, 10]",
            "stay_h",
            "quantile 2 is below the one before it, 3",
        ),
        (
            "stay_h = [0.5, 1, 2, 4, 10]",
            "stay_h = [3]",
            "stay_h",
            "1 quantiles, at least 2",
        ),
        (
            "  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,\n",
            "",
            "arrival_shape = [\n  0, 0, 0, 0.05",
            "12 values, not 24",
        ),
        (
            "kind = \"demand_response\"",
            "kind = \"demand_respons\"",
            "demand_respons\"",
            "did you mean `demand_response`?",
        ),
        (
            "reduction_kw = 300",
            "reduction_kw = -300",
            "reduction_kw",
            "-300 is not above 0",
        ),
        (
            "reduction_kw = 300\n",
            "",
            "[[event]]",
            "demand_response needs reduction_kw",
        ),
        (
            "ceiling_kw = 750",
            "ceiling_kw = 750\naggregator = \"agg-a\"",
            "aggregator = \"agg-a\"",
            "is not for peak_shaving",
        ),
        (
            "id = \"shave-1\"",
            "id = \"dr-1\"",
            "id = \"dr-1\"\nkind = \"peak",
            "event dr-1 stands already at event[0].id",
        ),
        (
            "duration_s = 300\nreduction",
            "duration_s = 600\nreduction",
            "duration_s = 600",
            "ends at 660 s, after the scenario's end at 600 s",
        ),
        (
            "-1, -0.5, 0]",
            "-1.5, -0.5, 0]",
            "signal =",
            "-1.5 is outside -1 to 1",
        ),
        (
            "id = \"agg-b\"",
            "id = \"agg-a\"",
            "id = \"agg-a\"\nname = \"Aggregator B",
            "aggregator agg-a stands already at aggregator[0].id",
        ),
        (
            "id = \"agg-b\"",
            "id = \"agg b\"",
            "agg b",
            "has the character ' '",
        ),
        (
            "id = \"feeder-b\"",
            "id = \"feeder-a\"",
            "id = \"feeder-a\"\nkind = \"feeder\"\nparent = \"sub-1\"\nimport_limit_kw = 1000",
            "node feeder-a stands already at node[1].id",
        ),
        (
            "parent = \"feeder-c\"",
            "parent = \"feeder-d\"",
            "parent = \"feeder-d\"",
            "did you mean `feeder-a`?",
        ),
        (
            "parent = \"feeder-c\"",
            "parent = \"transformer-1\"",
            "parent = \"transformer-1\"",
            "transformer-1 lies below itself",
        ),
        (
            "kind = \"substation\"",
            "kind = \"transformer\"",
            "parent = \"sub-1\"",
            "sub-1 is of a lower level than feeder",
        ),
        (
            "import_limit_kw = 1200",
            "import_limit_kw = -1200",
            "import_limit_kw = -1200",
            "-1200 is outside 0 to",
        ),
        (
            "import_limit_kw = 1200",
            "import_limit_kw = 700",
            "import_limit_kw = 700",
            "700 kW is below",
        ),
        (
            "base_load_kw = 300",
            "base_load_kw = [300, 301]",
            "base_load_kw = [300, 301]",
            "2 values, neither 1 nor 24",
        ),
        (
            "base_load_kw = 300",
            "base_load_kw = \"300\"",
            "base_load_kw = \"300\"",
            "expected a number or an array of numbers",
        ),
        (
            "id = \"s-02\"",
            "id = \"s-01\"",
            "\"s-01\", aggregator = \"agg-b\"",
            "station s-01 stands already at fleet.stations[0].id",
        ),
        (
            "id = \"s-02\", aggregator = \"agg-b\"",
            "id = \"s-02\", aggregator = \"agg-c\"",
            "agg-c",
            "aggregator agg-c is unknown",
        ),
        (
            "id = \"s-02\", aggregator = \"agg-b\", node = \"feeder-a\"",
            "id = \"s-02\", aggregator = \"agg-b\", node = \"feder-a\"",
            "feder-a",
            "did you mean `feeder-a`?",
        ),
        (
            "ac = 10 }",
            "ac = 0 }",
            "s-02",
            "0 piles, outside 1 to 10000",
        ),
        (
            "ac = 10 }",
            "ac = 10, colour = 1 }",
            "s-02",
            "unknown field `colour`",
        ),
        ("v2g_dc = 2", "v2g_dc = 3", "s-06", "3 exporting piles of 2"),
        (
            "place = [113.26, 23.13]",
            "place = [23.13, 113.26]",
            "s-01",
            "113.26 is outside -90 to 90",
        ),
        (
            "default_setpoint_kw = 120",
            "default_setpoint_kw = 220",
            "s-10",
            "220 is outside 0 to 200",
        ),
        (
            "profile = \"public\"",
            "profile = \"publik\"",
            "publik",
            "did you mean `public`?",
        ),
    ] {
        let text = changed(from, to);
        let found = problems(&text);
        let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
        let expected = format!("line {},", line_of(&text, at));
        assert!(
            lines
                .iter()
                .any(|line| line.starts_with(&expected) && line.contains(says)),
            "{to:?}: expected {expected} {says:?}, found {lines:#?}"
        );
    }
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let text = changed("v2g_floor = 0.4", "v2g_floor = 4")
        .replace("node = \"feeder-b\", place", "node = \"feeder-x\", place")
        .replace("capacity_up_kw = 60", "capacity_up_kw = -60")
        .replace("id = \"s-12\"", "id = \"s-11\"");
    let found = problems(&text);
    let paths: Vec<&str> = found.iter().map(|problem| problem.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "assumptions.v2g_floor",
            "regulation.capacity_up_kw",
            "fleet.stations[4].node",
            "fleet.stations[5].node",
            "fleet.stations[6].node",
            "fleet.stations[7].node",
            "fleet.stations[11].id",
        ]
    );
    assert!(
        found.is_sorted_by_key(|problem| problem.line),
        "in the order of the file"
    );
}

#[test]
fn a_problem_names_its_place() {
    let found = problems(&changed("v2g_floor = 0.4", "v2g_floor = 4"));
    let line = line_of(SMALL, "v2g_floor");
    let expected = format!("line {line}, column 13: assumptions.v2g_floor: 4 is outside 0 to 1");
    assert_eq!(found[0].to_string(), expected);
}

#[test]
fn what_is_not_utf_8_is_refused_with_its_line() {
    let mut bytes = SMALL.as_bytes().to_vec();
    let at = SMALL.find("seed").unwrap();
    bytes[at] = 0xff;
    let found = Scenario::parse_bytes(&bytes).unwrap_err();
    assert_eq!(found[0].line, line_of(SMALL, "seed"));
    assert_eq!(found[0].message, "byte 0xff is not UTF-8");
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
    SMALL.rfind(']').unwrap()
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
