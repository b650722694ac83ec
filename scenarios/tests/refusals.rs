//! What is refused, with which words, at which line.

#![allow(clippy::unwrap_used)] // a test that cannot go on shall fail

use vpp_scenarios::{Problem, Scenario};

const SMALL: &str = include_str!("../fleet-small.toml");

/// What is replaced, by what, what stands in the line where the problem is found, and what it says.
#[rustfmt::skip]
const BROKEN: &[(&str, &str, &str, &str)] = &[
    ("seed = 7", "seed = ", "seed =", ""),
    ("seed = 7", "seed = \"7\"", "seed =", "invalid type: string \"7\", expected u64"),
    ("seed = 7", "seed = -7", "seed =", "invalid value: integer `-7`, expected u64"),
    ("seed = 7", "seed = 7\nseed = 8", "seed = 8", "duplicate key"),
    ("seed = 7", "sed = 7", "sed = 7", "did you mean `seed`?"),
    ("seed = 7\n", "", "[scenario]", "missing field `seed`"),
    ("[scenario]\n", "[package]\n", "#:schema", "not a scenario: there is no [scenario] table"),
    ("format = 1", "format = 2", "format = 2", "format 2 is not 1"),
    ("2025-07-15T16:00:00+08:00", "2025-07-15T16:00:00", "start =", "no date-time with offset"),
    ("2025-07-15T16:00:00+08:00", "\"today\"", "start =", "write it bare"),
    ("2025-07-15T16:00:00+08:00", "2024-07-15T16:00:00+08:00", "start =", "feed_in: 2024-07-15 is before 2025-05-01"),
    ("duration_minutes = 10", "duration_minutes = 0", "duration_minutes", "0 is outside 1 to 527040"),
    ("guangdong-2025", "guangdong-2052", "rule_pack", "did you mean `guangdong-2025`?"),
    ("v2g_share_ac = 0.25", "v2g_share_ac = 25", "v2g_share_ac", "25 is outside 0 to 1"),
    ("charge_efficiency = 0.94", "charge_efficiency = 0", "charge_efficiency", "0 is not above 0 and at most 1"),
    ("charge_efficiency = 0.94", "charge_efficiency = nan", "charge_efficiency", "NaN is not above 0"),
    ("dc_shares = [0.5, 0.5]", "dc_shares = [0.5, 0.4]", "dc_shares", "add up to 0.9000, not to 1"),
    ("response_delay_s = [0.5, 2]", "response_delay_s = [5, 2]", "response_delay_s", "longest delay 2 is below the shortest 5"),
    ("stay_h = [0.5, 1, 2, 4, 10]", "stay_h = [0.5, 1, 3, 2, 10]", "stay_h", "quantile 2 is below the one before it, 3"),
    ("stay_h = [0.5, 1, 2, 4, 10]", "stay_h = [3]", "stay_h", "1 quantiles, at least 2"),
    ("  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,\n", "", "arrival_shape = [\n  0, 0, 0, 0.05", "12 values, not 24"),
    ("kind = \"demand_response\"", "kind = \"demand_respons\"", "demand_respons\"", "did you mean `demand_response`?"),
    ("reduction_kw = 300", "reduction_kw = -300", "reduction_kw", "-300 is not above 0"),
    ("reduction_kw = 300", "reduction_kwh = 300", "reduction_kwh", "did you mean `reduction_kw`?"),
    ("ac_power_kw = 7", "ac_power_kw = 7000000", "ac_power_kw", "7000000 is not above 0 and at most 10000"),
    ("reduction_kw = 300", "reduction_kw = 3e10", "reduction_kw", "30000000000 is not above 0 and at most"),
    ("reduction_kw = 300\n", "", "[[event]]", "demand_response needs reduction_kw"),
    ("ceiling_kw = 750", "ceiling_kw = 750\naggregator = \"agg-a\"", "aggregator = \"agg-a\"", "is not for peak_shaving"),
    ("id = \"shave-1\"", "id = \"dr-1\"", "id = \"dr-1\"\nkind = \"peak", "event dr-1 stands already at event[0].id"),
    ("duration_s = 300\nreduction", "duration_s = 600\nreduction", "duration_s = 600", "ends at 660 s, after the scenario's end at 600 s"),
    ("-1, -0.5, 0]", "-1.5, -0.5, 0]", "signal =", "-1.5 is outside -1 to 1"),
    ("id = \"agg-b\"", "id = \"agg-a\"", "id = \"agg-a\"\nname = \"Aggregator B", "aggregator agg-a stands already at aggregator[0].id"),
    ("id = \"agg-b\"", "id = \"agg b\"", "agg b", "has the character ' '"),
    ("id = \"feeder-b\"", "id = \"feeder-a\"", "id = \"feeder-a\"\nkind = \"feeder\"\nparent = \"sub-1\"\nimport_limit_kw = 1000", "node feeder-a stands already at node[1].id"),
    ("parent = \"feeder-c\"", "parent = \"feeder-d\"", "parent = \"feeder-d\"", "did you mean `feeder-a`?"),
    ("parent = \"feeder-c\"", "parent = \"transformer-1\"", "parent = \"transformer-1\"", "transformer-1 lies below itself"),
    ("kind = \"substation\"", "kind = \"transformer\"", "parent = \"sub-1\"", "sub-1 is of a lower level than feeder"),
    ("import_limit_kw = 1200", "import_limit_kw = -1200", "import_limit_kw = -1200", "-1200 is outside 0 to"),
    ("import_limit_kw = 1200", "import_limit_kw = 700", "import_limit_kw = 700", "700 kW is below"),
    ("base_load_kw = 300", "base_load_kw = [300, 301]", "base_load_kw = [300, 301]", "2 values, neither 1 nor 24"),
    ("base_load_kw = 300", "base_load_kw = \"300\"", "base_load_kw = \"300\"", "expected a number or an array of numbers"),
    ("id = \"s-02\"", "id = \"s-01\"", "\"s-01\", aggregator = \"agg-b\"", "station s-01 stands already at fleet.stations[0].id"),
    ("id = \"s-02\", aggregator = \"agg-b\"", "id = \"s-02\", aggregator = \"agg-c\"", "agg-c", "aggregator agg-c is unknown"),
    ("id = \"s-02\", aggregator = \"agg-b\", node = \"feeder-a\"", "id = \"s-02\", aggregator = \"agg-b\", node = \"feder-a\"", "feder-a", "did you mean `feeder-a`?"),
    ("ac = 10 }", "ac = 0 }", "s-02", "0 piles, outside 1 to 10000"),
    ("ac = 10 }", "ac = 10, colour = 1 }", "s-02", "unknown field `colour`"),
    ("v2g_dc = 2", "v2g_dc = 3", "s-06", "3 exporting piles of 2"),
    ("place = [113.26, 23.13]", "place = [23.13, 113.26]", "s-01", "113.26 is outside -90 to 90"),
    ("default_setpoint_kw = 120", "default_setpoint_kw = 220", "s-10", "220 is outside 0 to 200"),
    ("profile = \"public\"", "profile = \"publik\"", "publik", "did you mean `public`?"),
    ("[sessions.public]", "[warranties.van]\nsoc_floor = 1.5\nsoc_ceiling = 1\ndischarge_kwh_per_day = 5\n[sessions.public]", "soc_floor = 1.5", "warranties.van.soc_floor: 1.5 is outside 0 to 1"),
    ("[sessions.public]", "[warranties.van]\nsoc_floor = 0.5\nsoc_ceiling = 1\n[sessions.public]", "[warranties.van]", "missing field `discharge_kwh_per_day`"),
    ("[sessions.public]", "[warranties.5t]\nsoc_floor = 0.5\nsoc_ceiling = 1\ndischarge_kwh_per_day = 5\n[sessions.public]", "[warranties.5t]", "\"5t\" is no name (a letter, then up to 15"),
    ("[sessions.public]", "[warranties.van]\nsoc_floor = 0.5\nsoc_ceiling = 1\ndischarge_kwh_per_day = 5\n[sessions.public]\nmodels = { vam = 0.2 }", "models = {", "warranty vam is unknown (did you mean `van`?)"),
    ("[sessions.public]", "[warranties.van]\nsoc_floor = 0.5\nsoc_ceiling = 1\ndischarge_kwh_per_day = 5\n[warranties.bus]\nsoc_floor = 0.5\nsoc_ceiling = 1\ndischarge_kwh_per_day = 5\n[sessions.public]\nmodels = { van = 0.6, bus = 0.5 }", "models = {", "the shares add up to 1.1000, above 1"),
    ("[sessions.public]", "[warranties.van]\nsoc_floor = 0.5\nsoc_ceiling = 1\ndischarge_kwh_per_day = 5\n[sessions.public]\nmodels = { van = -0.1 }", "models = {", "sessions.public.models.van: -0.1 is outside 0 to 1"),
];

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
fn broken_files_are_refused_with_line_and_reason() {
    for &(from, to, at, says) in BROKEN {
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
