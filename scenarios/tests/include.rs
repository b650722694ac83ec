//! Scenarios out of several files: what holds where two say something, and whose line is named.

#![allow(clippy::unwrap_used)] // a test that cannot go on shall fail

use std::path::Path;

use tempfile::TempDir;
use vpp_scenarios::{MAX_FILES, Scenario};

const SMALL: &str = include_str!("../fleet-small.toml");

/// A folder with the small fleet as `base.toml` and other files.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("base.toml"), SMALL).unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

fn load(folder: &TempDir, name: &str) -> Result<Scenario, String> {
    Scenario::load(folder.path().join(name)).map_err(|error| error.to_string())
}

/// Line of the first occurrence of `part`, from 1.
fn line_of(text: &str, part: &str) -> usize {
    text[..text.find(part).unwrap()].matches('\n').count() + 1
}

#[test]
fn a_variant_is_three_lines() {
    let variant = "include = \"base.toml\"\n[assumptions]\nv2g_share_ac = 0.5\n";
    let folder = folder(&[("variant.toml", variant)]);
    let mut expected = Scenario::parse(SMALL).unwrap();
    expected.assumptions.v2g_share_ac = 0.5;
    assert_eq!(load(&folder, "variant.toml").unwrap(), expected);
}

#[test]
fn rows_with_an_id_are_merged_and_other_lists_replaced() {
    let variant = r#"
include = ["base.toml"]
assumptions.battery_capacity_kwh = [60, 80]
[[event]]
id = "dr-1"
reduction_kw = 250
[[event]]
id = "dr-2"
kind = "demand_response"
start_offset_s = 420
duration_s = 60
reduction_kw = 100
[[node]]
id = "feeder-a"
import_limit_kw = 1300
[fleet]
stations = [{ id = "s-03", ac = 10 }]
"#;
    let folder = folder(&[("variant.toml", variant)]);
    let (base, found) = (
        Scenario::parse(SMALL).unwrap(),
        load(&folder, "variant.toml").unwrap(),
    );
    let mut expected = base.clone();
    expected.events[0].reduction_kw = Some(250.0);
    let mut added = base.events[0].clone();
    added.id = "dr-2".parse().unwrap();
    (added.start_offset_s, added.duration_s) = (420, 60);
    added.reduction_kw = Some(100.0);
    expected.events.push(added);
    expected.nodes[1].import_limit_kw = 1300.0;
    expected.fleet.stations[2].ac = 10;
    expected.assumptions.battery_capacity_kwh =
        vpp_scenarios::draw::Quantiles::new(vec![60.0, 80.0]).unwrap();
    assert_eq!(found, expected);
    let quiet = "include = \"base.toml\"\nevent = []\n";
    std::fs::write(folder.path().join("quiet.toml"), quiet).unwrap();
    assert!(load(&folder, "quiet.toml").unwrap().events.is_empty());
}

#[test]
fn later_files_of_a_list_win_and_the_including_file_wins_over_all() {
    let folder = folder(&[
        (
            "more/one.toml",
            "scenario.seed = 1\nscenario.name = \"one\"\nassumptions.v2g_floor = 0.1",
        ),
        (
            "more/two.toml",
            "include = \"../base.toml\"\nscenario.seed = 2\nscenario.name = \"two\"",
        ),
        (
            "top.toml",
            "include = [\"more/two.toml\", \"more/one.toml\"]\nscenario.name = \"top\"",
        ),
    ]);
    let found = load(&folder, "top.toml").unwrap();
    assert_eq!((found.header.name.as_str(), found.header.seed), ("top", 1));
    assert!((found.assumptions.v2g_floor - 0.1).abs() < 1e-12);
}

/// What is told: the file and the line, and how it goes on.
fn told(found: Result<Scenario, String>, file: &Path, line: usize, says: &str) {
    let found = found.unwrap_err();
    let begin = format!("{}: line {line}, column ", file.display());
    let fits = |told: &str| told.starts_with(&begin) && told.contains(says);
    assert!(
        found.lines().any(fits),
        "expected {begin}… {says}, found {found}"
    );
}

#[test]
fn a_wrong_value_is_named_in_the_file_in_which_it_stands() {
    let broken = SMALL.replace("default_setpoint_kw = 120", "default_setpoint_kw = 220");
    let folder = folder(&[
        ("broken.toml", &broken),
        (
            "a.toml",
            "# a variant\ninclude = \"broken.toml\"\nscenario.seed = 8\n",
        ),
        (
            "b.toml",
            "include = \"base.toml\"\n\n[[node]]\nid = \"feeder-a\"\nimport_limit_kw = -1\n",
        ),
        (
            "c.toml",
            "include = \"base.toml\"\n[assumptions]\nv2g_flor = 0.3\n",
        ),
        (
            "d.toml",
            "include = \"base.toml\"\n[fleet]\nstations = [\n  { id = \"s-13\", ac = 1 },\n]\n",
        ),
        ("e.toml", "include = \"cut.toml\"\n"),
        ("cut.toml", "format = 1\n[scenario]\nname = \n"),
        (
            "twice.toml",
            "include = \"base.toml\"\n[fleet]\nstations = [\n{ id = \"s-01\", ac = 1 },\n{ id = \"s-01\", ac = 2, aggregator = \"agg-a\", node = \"feeder-a\", place = [0, 0] }]\n",
        ),
    ]);
    let at = |name: &str| folder.path().join(name);
    let line = line_of(&broken, "s-10");
    told(
        load(&folder, "a.toml"),
        &at("broken.toml"),
        line,
        "220 is outside 0 to 200",
    );
    told(
        load(&folder, "b.toml"),
        &at("b.toml"),
        5,
        "node[1].import_limit_kw: -1 is outside 0 to",
    );
    told(
        load(&folder, "c.toml"),
        &at("c.toml"),
        3,
        "did you mean `v2g_floor`?",
    );
    told(
        load(&folder, "d.toml"),
        &at("d.toml"),
        4,
        "missing field `aggregator`",
    );
    told(load(&folder, "e.toml"), &at("cut.toml"), 3, "");
    told(
        load(&folder, "twice.toml"),
        &at("twice.toml"),
        5,
        "station s-01 stands already",
    );
}

#[test]
fn what_cannot_be_included_is_refused_where_it_is_asked_for() {
    let folder = folder(&[
        (
            "missing.toml",
            "# one\ninclude = [\"base.toml\", \"nowhere.toml\"]\n",
        ),
        ("self.toml", "include = \"self.toml\"\n"),
        ("there.toml", "include = \"back.toml\"\n"),
        ("back.toml", "\ninclude = \"./there.toml\"\n"),
        ("number.toml", "include = 7\n"),
        ("binary.toml", "include = \"bytes.toml\"\n"),
        (
            "wide.toml",
            &format!("include = [{}]\n", "\"base.toml\", ".repeat(MAX_FILES)),
        ),
        ("large.toml", "include = \"huge.toml\"\n"),
    ]);
    std::fs::write(folder.path().join("bytes.toml"), b"format = 1\n\xff").unwrap();
    let huge = std::fs::File::create(folder.path().join("huge.toml")).unwrap();
    huge.set_len(vpp_scenarios::MAX_FILE_BYTES).unwrap();
    for level in 0..10 {
        let text = format!("include = \"level-{}.toml\"\n", level + 1);
        std::fs::write(folder.path().join(format!("level-{level}.toml")), text).unwrap();
    }
    let at = |name: &str| folder.path().join(name);
    told(
        load(&folder, "missing.toml"),
        &at("missing.toml"),
        2,
        "nowhere.toml: No such file",
    );
    told(
        load(&folder, "self.toml"),
        &at("self.toml"),
        1,
        "self.toml includes itself",
    );
    told(
        load(&folder, "there.toml"),
        &at("back.toml"),
        2,
        "there.toml includes itself",
    );
    told(
        load(&folder, "number.toml"),
        &at("number.toml"),
        1,
        "integer where a file's name is meant",
    );
    told(
        load(&folder, "binary.toml"),
        &at("bytes.toml"),
        2,
        "byte 0xff is not UTF-8",
    );
    told(
        load(&folder, "wide.toml"),
        &at("wide.toml"),
        1,
        "more than 64 files in all",
    );
    told(
        load(&folder, "large.toml"),
        &at("large.toml"),
        1,
        "more than 67108864 bytes with huge.toml",
    );
    told(
        load(&folder, "level-0.toml"),
        &at("level-8.toml"),
        1,
        "more than 8 files deep",
    );
    let alone = Scenario::parse("include = \"base.toml\"").unwrap_err();
    assert!(
        alone[0]
            .to_string()
            .starts_with("line 1, column 11: include: a text by itself")
    );
}
