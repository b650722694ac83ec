//! `docs/results.md` says what is in the tables, and its example runs as it stands.
//!
//! `UPDATE_EXPECT=1 cargo test -p vpp-results --test document -- --test-threads 1` writes tables and
//! answers anew.
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)] // made-up figures

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use vpp_results::rows;
use vpp_results::schema::{Row, Table};

mod synthetic;
use synthetic::Size;

const BEGIN: &str = "--test document -->\n";
const END: &str = "<!-- end of tables -->";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn update() -> bool {
    std::env::var_os("UPDATE_EXPECT").is_some()
}

fn tables() -> [Table; 11] {
    [
        rows::System::TABLE,
        rows::Aggregator::TABLE,
        rows::Node::TABLE,
        rows::Station::TABLE,
        rows::StationDay::TABLE,
        rows::Event::TABLE,
        rows::Regulation::TABLE,
        rows::Promise::TABLE,
        rows::Visits::TABLE,
        rows::Price::TABLE,
        rows::Alarm::TABLE,
    ]
}

fn described() -> String {
    let mut text = String::new();
    for table in tables() {
        let _ = write!(
            text,
            "\n### `{}`\n\nA row is {}.\n\n| column | type | unit | holds |\n| --- | --- | --- | --- |\n",
            table.name, table.row
        );
        for field in table.fields {
            let null = if field.nullable { ", or null" } else { "" };
            let (name, kind, unit, doc) = (field.name, field.kind.name(), field.unit, field.doc);
            let unit = if unit.is_empty() { "–" } else { unit };
            let _ = writeln!(text, "| `{name}` | {kind}{null} | {unit} | {doc} |");
        }
    }
    text.push('\n');
    text
}

#[test]
fn every_table_and_column_is_described() {
    let path = root().join("docs/results.md");
    let document = std::fs::read_to_string(&path).expect("the document");
    let (before, rest) = document.split_once(BEGIN).expect("where the tables begin");
    let (found, after) = rest.split_once(END).expect("where the tables end");
    let expected = described();
    if update() {
        std::fs::write(path, format!("{before}{BEGIN}{expected}{END}{after}")).expect("written");
    } else {
        assert_eq!(found, expected);
    }
}

#[test]
fn columns_of_a_quantity_name_their_unit() {
    for table in tables() {
        for field in table.fields {
            let suffix = match field.unit {
                "kW" => "_kw",
                "kWh" => "_kwh",
                "CNY" => "_cny",
                "CNY/kWh" => "_cny_per_kwh",
                _ => continue,
            };
            assert!(
                field.name.ends_with(suffix),
                "{}.{}",
                table.name,
                field.name
            );
            assert!(field.doc.ends_with('.'), "{}.{}", table.name, field.name);
        }
    }
}

/// Runs the Python of the document, block after block, and holds what it prints against the block that follows.
#[test]
fn the_example_runs_and_answers_as_it_says() {
    let fetch = root().join("tools/python/fetch.sh");
    let output = Command::new(&fetch)
        .arg("--where")
        .output()
        .expect("the script starts");
    let room = PathBuf::from(String::from_utf8(output.stdout).expect("text").trim());
    assert!(
        room.join("whole").exists(),
        "no Python packages in {}: `make python` fetches them",
        room.display()
    );

    let folder = tempfile::tempdir().expect("a folder");
    let size = Size {
        days: 1,
        stations: 60,
        interval_s: 900,
        seed: 1,
    };
    synthetic::write(&folder.path().join("out"), size).expect("written");

    let path = root().join("docs/results.md");
    let mut document = std::fs::read_to_string(&path).expect("the document");
    let mut program = String::new();
    let mut blocks = document.split("```python\n").skip(1);
    let answers: Vec<&str> = blocks
        .by_ref()
        .map(|block| {
            let (code, rest) = block
                .split_once("```\n\n```text\n")
                .expect("an answer after the code");
            program.push_str(code);
            program.push_str("print('\\0', end='')\n");
            rest.split_once("```").expect("the answer ends").0
        })
        .collect();
    assert_eq!(answers.len(), 4);
    let file = folder.path().join("example.py");
    std::fs::write(&file, program).expect("written");
    let output = Command::new(room.join("bin/python"))
        .arg(&file)
        .current_dir(folder.path())
        .output();
    let output = output.expect("Python starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let printed = String::from_utf8(output.stdout).expect("text");
    let printed: Vec<String> = printed.split_terminator('\0').map(str::to_owned).collect();
    assert_eq!(printed.len(), answers.len());
    if update() {
        let mut parts: Vec<String> = document.split("```text\n").map(str::to_owned).collect();
        for (part, answer) in parts[1..].iter_mut().zip(&printed) {
            let after = part.find("```").expect("the answer ends");
            part.replace_range(..after, answer);
        }
        document = parts.join("```text\n");
        std::fs::write(path, document).expect("written");
    } else {
        assert_eq!(printed, answers);
    }
}
