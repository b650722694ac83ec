//! `vpp evaluate`.

mod document;
mod read;
mod report;
mod words;

use crate::files::may_write;
use crate::say::{say, say_as_it_is};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use serde_json::{Value, json};
use vpp_market_adapters::plan::{Finding, Language, Measured, Plan, Verdict, judge};
use vpp_results::files;
use vpp_scenarios::Scenario;

use document::Document;

/// Hold runs against the city's plan: each target with what the run measured, met or not, and where the figures come from.
///
/// DIR is a folder as `vpp replay` leaves it. A run that does not cover a year is not extrapolated: what a year would have at the
/// same rate stands beside it and decides nothing.
///
/// Examples:
///
///   vpp evaluate out-2027 --scenario scenarios/guangzhou-2027.toml
///
///   vpp evaluate out-2025 out-2026 out-2027 --lang both --out pilot.html
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// Folders of runs.
    #[arg(required = true, value_name = "DIR")]
    runs: Vec<PathBuf>,
    /// The runs' scenarios, found by their names: what stations are built of stands there alone.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    scenario: Vec<PathBuf>,
    /// Language of the report.
    #[arg(long, value_enum, default_value_t = Tongue::En)]
    lang: Tongue,
    /// Write the report to a file: HTML that needs nothing else, or Markdown, by its ending.
    #[arg(long, value_name = "FILE.html|FILE.md")]
    out: Option<PathBuf>,
    /// Overwrite the file if it is there.
    #[arg(long)]
    force: bool,
    /// One JSON array, a value for each run.
    #[arg(long, conflicts_with = "out")]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum Tongue {
    En,
    Zh,
    Both,
}

impl Tongue {
    fn languages(self) -> &'static [Language] {
        match self {
            Tongue::En => &[Language::English],
            Tongue::Zh => &[Language::Chinese],
            Tongue::Both => &[Language::English, Language::Chinese],
        }
    }
}

pub(crate) fn main(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let ending = match &arguments.out {
        None => None,
        Some(path) => match path.extension().and_then(|ending| ending.to_str()) {
            Some(ending @ ("html" | "md")) => Some((path, ending)),
            _ => bail!("--out: {} ends neither in .html nor in .md", path.display()),
        },
    };
    may_write(&arguments.out, arguments.force)?;
    let runs = measured(arguments)?;
    let plan = Plan::guangzhou();
    if arguments.json {
        let all: Vec<Value> = runs.iter().map(|run| as_json(plan, run)).collect();
        say!("{}", serde_json::to_string_pretty(&all)?);
        return Ok(ExitCode::SUCCESS);
    }
    let languages = arguments.lang.languages().iter();
    let documents: Vec<Document> = languages
        .map(|language| report::document(plan, &runs, *language))
        .collect();
    match ending {
        Some((path, "html")) => files::write(path, document::html(&documents))?,
        Some((path, _)) => files::write(path, document::markdown(&documents))?,
        None => say_as_it_is!("{}", document::terminal(&documents)),
    }
    Ok(ExitCode::SUCCESS)
}

fn measured(arguments: &Arguments) -> anyhow::Result<Vec<Measured>> {
    let mut scenarios: Vec<(&PathBuf, Scenario)> = Vec::new();
    for path in &arguments.scenario {
        scenarios.push((path, Scenario::load(path)?));
    }
    let mut used = vec![false; scenarios.len()];
    let mut runs = Vec::new();
    for folder in &arguments.runs {
        let run = read::run(folder)?;
        let of = |(_, scenario): &(&PathBuf, Scenario)| scenario.header.name == run.scenario();
        let position = scenarios.iter().position(of);
        let scenario = position.map(|at| &scenarios[at].1);
        if let Some(at) = position {
            used[at] = true;
        }
        runs.push(run.measured(scenario)?);
    }
    if let Some(at) = used.iter().position(|used| !used) {
        let (path, scenario) = &scenarios[at];
        let name = &scenario.header.name;
        bail!("--scenario: {}: no run is one of {name}", path.display());
    }
    Ok(runs)
}

fn as_json(plan: &Plan, run: &Measured) -> Value {
    let findings = judge(plan, run);
    let facilities = report::facilities(run);
    let facilities = facilities.iter().map(|(profile, sums)| {
        json!({
            "profile": profile,
            "stations": sums.stations,
            "import_kwh": periods(sums.import_kwh),
            "export_kwh": periods(sums.export_kwh),
        })
    });
    json!({
        "plan": plan.pack.to_string(),
        "scenario": run.name,
        "first_day": run.first_day.to_string(),
        "days": run.days,
        "targets": findings.iter().map(finding).collect::<Vec<Value>>(),
        "response": run.strongest().map(|event| json!({
            "event": event.id,
            "asked_mw": event.asked_mw,
            "promised_mw": event.promised_mw,
            "delivered_mw": event.mean_mw(),
            "ratio": event.ratio(),
        })),
        "regulation": run.regulated.as_ref().map(|regulated| json!({
            "awards": regulated.awards,
            "values": regulated.values,
            "composite_index": regulated.composite.as_ref().map(|(k, _)| k),
            "performance_score": regulated.performance.as_ref().map(|(score, _)| score),
        })),
        "facilities": facilities.collect::<Vec<Value>>(),
    })
}

fn periods([sharp, peak, flat, valley]: [f64; 4]) -> Value {
    json!({ "sharp": sharp, "peak": peak, "flat": flat, "valley": valley })
}

fn finding(finding: &Finding<'_>) -> Value {
    let target = finding.target;
    let (verdict, reason) = match finding.verdict {
        Verdict::Met => ("met", None),
        Verdict::NotMet => ("not_met", None),
        Verdict::NotMeasurable(reason) => ("not_measurable", Some(words::name(reason))),
    };
    json!({
        "id": target.id,
        "unit": target.unit.en,
        "wanted": finding.wanted,
        "since": finding.since,
        "at_most": target.at_most,
        "measured": finding.measured,
        "at_piles": finding.at_piles,
        "scaled_to_a_year": finding.scaled,
        "verdict": verdict,
        "reason": reason,
        "source": target.source.en,
        "status": target.status.name(),
    })
}
