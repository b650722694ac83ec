//! The schema for editors: it fits the files that there are, refuses spoiled ones, and the one on disk is the types'.

#![allow(clippy::unwrap_used)] // a test that cannot go on shall fail

use std::path::{Path, PathBuf};

use jsonschema::Validator;
use serde_json::Value;
use vpp_scenarios::Scenario;
use vpp_scenarios::schema::schema;
use vpp_scenarios::template::TEMPLATES;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn validator() -> Validator {
    let options = jsonschema::options().should_validate_formats(true);
    options.build(&schema()).unwrap()
}

/// TOML as editors hand it to a schema: dates are text.
fn json(text: &str) -> Value {
    fn value(from: toml::Value) -> Value {
        match from {
            toml::Value::Datetime(date) => Value::String(date.to_string()),
            toml::Value::Array(all) => all.into_iter().map(value).collect(),
            toml::Value::Table(table) => table
                .into_iter()
                .map(|(key, from)| (key, value(from)))
                .collect(),
            toml::Value::String(text) => Value::String(text),
            toml::Value::Integer(number) => number.into(),
            toml::Value::Float(number) => number.into(),
            toml::Value::Boolean(flag) => flag.into(),
        }
    }
    value(toml::Value::Table(toml::from_str(text).unwrap()))
}

fn scenario_files() -> Vec<PathBuf> {
    let in_folder = |folder: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    };
    let mut files = in_folder(&root());
    files.extend(in_folder(&root().join("templates")));
    let is_scenario = |path: &PathBuf| {
        path.extension().is_some_and(|ending| ending == "toml") && {
            let text = std::fs::read_to_string(path).unwrap();
            let table: toml::Table = toml::from_str(&text).unwrap();
            table.contains_key("scenario")
        }
    };
    files.retain(is_scenario);
    files
}

#[test]
fn the_schema_on_disk_is_that_of_the_types() {
    let path = root().join("scenario.schema.json");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, format!("{:#}\n", schema())).unwrap();
    }
    let found: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert!(
        found == schema(),
        "UPDATE_EXPECT=1 cargo test -p vpp-scenarios --test schema writes it anew"
    );
}

#[test]
fn all_files_fit_the_schema_and_name_it() {
    let (validator, files) = (validator(), scenario_files());
    assert!(files.len() >= 8, "{files:?}");
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let wrong: Vec<String> = (validator.iter_errors(&json(&text)))
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(wrong.is_empty(), "{}: {wrong:#?}", file.display());
        let first = text.lines().next().unwrap();
        let schema = first
            .strip_prefix("#:schema ")
            .unwrap_or_else(|| panic!("{}", file.display()));
        assert!(
            file.parent().unwrap().join(schema).is_file(),
            "{}: {first}",
            file.display()
        );
    }
}

#[test]
fn variants_fit_and_may_lack_anything() {
    let validator = validator();
    for (variant, fits) in [
        (
            "include = \"base.toml\"\n[assumptions]\nv2g_share_ac = 0.5\n",
            true,
        ),
        (
            "include = [\"a.toml\", \"b.toml\"]\n[[event]]\nid = \"dr-1\"\nreduction_kw = 100\n",
            true,
        ),
        ("[assumptions]\nv2g_share_ac = 0.5\n", false),
        ("include = 7\n", false),
        (
            "include = \"base.toml\"\n[assumptions]\nv2g_share = 0.5\n",
            false,
        ),
        (
            "include = \"base.toml\"\n[[node]]\nid = \"a\"\nkind = \"cable\"\n",
            false,
        ),
    ] {
        assert_eq!(validator.is_valid(&json(variant)), fits, "{variant}");
    }
}

#[test]
fn spoiled_files_are_refused() {
    const SMALL: &str = include_str!("../fleet-small.toml");
    let validator = validator();
    assert!(validator.is_valid(&json(SMALL)));
    for (from, to) in [
        ("seed = 7", "sed = 7"),
        ("seed = 7\n", ""),
        ("seed = 7", "seed = \"7\""),
        ("seed = 7", "seed = -7"),
        ("start = 2025-07-15T16:00:00+08:00", "start = \"noon\""),
        ("kind = \"demand_response\"", "kind = \"demand_respons\""),
        ("kind = \"substation\"", "kind = \"station\""),
        ("id = \"agg-a\"", "id = \"agg a\""),
        ("soc_floor = 0.3", "soc_flor = 0.3"),
        ("base_load_kw = 0", "base_load_kw = \"0\""),
        ("stay_h = [0.5, 1, 2, 4, 10]", "stay_h = 4"),
        ("ac = 10 }", "ac = 10, colour = 1 }"),
        (
            "[assumptions]",
            "[calendar]\nhot_days = [\"June\"]\n[assumptions]",
        ),
        ("[assumptions]", "[subsidy]\nbudget_cny = 1\n[assumptions]"),
        (
            "[[aggregator]]",
            "[[fault]]\nid = \"f\"\nkind = \"fire\"\nstart_offset_s = 0\nduration_s = 1\n[[aggregator]]",
        ),
    ] {
        assert!(SMALL.contains(from), "{from}");
        assert!(
            !validator.is_valid(&json(&SMALL.replacen(from, to, 1))),
            "{to}"
        );
    }
}

/// Every key has words in an editor.
#[test]
fn every_key_is_described() {
    let schema = schema();
    let definitions = schema["$defs"].as_object().unwrap();
    for (name, definition) in definitions {
        for (key, property) in definition["properties"].as_object().into_iter().flatten() {
            assert!(property["description"].is_string(), "{name}.{key}");
        }
    }
}

#[test]
fn templates_are_sound_scenarios() {
    for template in TEMPLATES {
        let text = template.text("my-city");
        let scenario = Scenario::parse(&text)
            .unwrap_or_else(|problems| panic!("{}: {problems:#?}", template.name));
        assert_eq!(scenario.header.name, "my-city");
        assert!(
            !text.contains("NAME") && text.starts_with("# "),
            "{text:.200}"
        );
        assert!(!scenario.fleet().unwrap().stations().is_empty());
    }
}
