//! `vpp check`.

use crate::say::{note, say};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};
use vpp_core::Station;
use vpp_scenarios::{LoadError, Scenario};

/// Check scenario files with all that they include; say what is wrong with file, line and column.
///
/// Examples:
///   vpp check scenarios/guangzhou-pilot.toml my-city.toml
///   vpp check --json my-city.toml                    (one JSON object a file, for editors and CI)
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// The files.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Print one JSON object for each file: what is in it, or what is wrong with it.
    #[arg(long)]
    json: bool,
}

pub(crate) fn main(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut sound = true;
    for file in &arguments.files {
        match Scenario::load(file) {
            Ok(scenario) => {
                let found = Found::of(&scenario)?;
                if arguments.json {
                    say!("{}", found.json(file));
                } else {
                    say!("{}: sound: {}", file.display(), found.words());
                }
            }
            Err(error) => {
                sound = false;
                if arguments.json {
                    say!("{}", wrong(file, &error));
                } else {
                    note!("{error}");
                }
            }
        }
    }
    Ok(if sound {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(2)
    })
}

/// What is in a sound scenario.
struct Found {
    name: String,
    /// Counts with what is counted.
    counts: [(&'static str, u64); 9],
}

impl Found {
    fn of(scenario: &Scenario) -> anyhow::Result<Found> {
        let fleet = scenario.fleet()?;
        let sum = |count: fn(&Station) -> u64| fleet.stations().iter().map(count).sum();
        let events = scenario.event_requests()?.len();
        Ok(Found {
            name: scenario.header.name.clone(),
            counts: [
                ("minutes", u64::from(scenario.header.duration_minutes)),
                ("aggregators", fleet.aggregators().len() as u64),
                ("stations", fleet.stations().len() as u64),
                ("piles", sum(Station::pile_count)),
                ("v2g_piles", sum(Station::v2g_pile_count)),
                ("nodes", fleet.tree().nodes().len() as u64),
                ("events", events as u64),
                ("awards", scenario.regulation_intervals()?.len() as u64),
                ("faults", scenario.faults()?.len() as u64),
            ],
        })
    }

    fn words(&self) -> String {
        let [
            _,
            aggregators,
            stations,
            piles,
            v2g,
            nodes,
            events,
            awards,
            faults,
        ] = self.counts.map(|(_, count)| count);
        let mut words = format!(
            "{aggregators} aggregators, {stations} stations, {piles} piles ({v2g} V2G), {nodes} nodes, {events} events"
        );
        for (count, what) in [(awards, "regulation awards"), (faults, "faults")] {
            if count > 0 {
                words += &format!(", {count} {what}");
            }
        }
        words
    }

    fn json(&self, file: &Path) -> Value {
        let mut object = json!({ "file": file, "sound": true, "name": self.name, "problems": [] });
        for (what, count) in self.counts {
            object[what] = count.into();
        }
        object
    }
}

fn wrong(file: &Path, error: &LoadError) -> Value {
    let problems: Vec<Value> = match error {
        LoadError::Problems { problems, .. } => (problems.iter())
            .map(|problem| {
                json!({
                    "file": problem.file.as_deref().unwrap_or(file),
                    "line": problem.line,
                    "column": problem.column,
                    "key": problem.path,
                    "message": problem.message,
                    "hint": problem.hint,
                })
            })
            .collect(),
        LoadError::Io { .. } | LoadError::TooLarge { .. } => {
            vec![json!({ "file": file, "message": error.to_string() })]
        }
    };
    json!({ "file": file, "sound": false, "problems": problems })
}
