//! `vpp market-day`.

use crate::files::may_write;
use crate::say::{note, say};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use vpp_replay::market_day::file::MarketDayFile;
use vpp_replay::market_day::{DayResult, IntervalResult};

use vpp_results::files;

/// Run a day on a market for energy and fast regulation, from bid to score to money.
///
/// FILE says what there is, at which prices, and the signal that came; scenarios/README.md has its keys. Offers are made
/// half an interval ahead by what is expected; each value of the signal is shared out at least cost; PJM's rule scores how
/// it was followed. At the end: what each interval came to, and what the best bid would have earned in hindsight.
///
/// Examples:
///
///   vpp market-day scenarios/regd-day.toml --only vehicles
///
///   vpp market-day scenarios/regd-day.toml --json
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// The day.
    file: PathBuf,
    /// Only these assets and vehicles, by name.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Another table of when vehicles are plugged in, from the folder of the day's data.
    #[arg(long, value_name = "TABLE")]
    plugged_in: Option<PathBuf>,
    /// Write the intervals here as CSV.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Overwrite the file if it is there.
    #[arg(long)]
    force: bool,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

pub(crate) fn main(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    may_write(&arguments.out, arguments.force)?;
    let mut file = MarketDayFile::read(&arguments.file)?;
    if let Some(table) = &arguments.plugged_in {
        file.plug_in_by(table);
    }
    let day = file.load(&arguments.only)?;
    let bar = ProgressBar::new(day.energy_price.len() as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} interval {pos} of {len}, {eta} left")
    {
        bar.set_style(style);
    }
    let result = day
        .run(|interval| bar.set_position(interval as u64))
        .with_context(|| arguments.file.display().to_string())?;
    bar.finish_and_clear();
    let hindsight = day.in_hindsight().expected_profit()?;
    if let Some(path) = &arguments.out {
        files::write(path, csv(&result))?;
        note!("vpp: the intervals are in {}", path.display());
    }
    if arguments.json {
        say!("{}", report(&file, &result, hindsight));
    } else {
        show(&file, &result, hindsight);
    }
    if result.unmet_kwh > 0.01 {
        note!(
            "vpp: {:.1} kWh were missing at departures",
            result.unmet_kwh
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// A column: its name, its figure for an interval, and whether it adds up over the day.
type Column = (&'static str, fn(&IntervalResult) -> f64, bool);

const COLUMNS: [Column; 9] = [
    ("base_kw", |i| i.offer.base_kw, false),
    ("capacity_kw", |i| i.offer.capacity_kw, false),
    ("drawn_kwh", |i| i.drawn_kwh, true),
    ("energy", |i| i.energy_income, true),
    ("capacity", |i| i.capacity_income, true),
    ("mileage", |i| i.mileage_income, true),
    ("wear", |i| -i.wear, true),
    ("profit", IntervalResult::profit, true),
    ("worst_error_kw", |i| i.worst_error_kw, false),
];

/// To one place; nothing has no sign.
fn figure(value: f64) -> String {
    let text = format!("{value:.1}");
    if text == "-0.0" { "0.0".into() } else { text }
}

fn show(file: &MarketDayFile, result: &DayResult, hindsight: f64) {
    say!("{}", file.name);
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    let names = COLUMNS.iter().map(|(name, ..)| (*name).to_owned());
    table.set_header(
        ["interval".into()]
            .into_iter()
            .chain(names)
            .chain(["score".into()]),
    );
    let score = |score: Option<f64>| score.map_or(String::new(), |score| format!("{score:.3}"));
    for (at, interval) in result.intervals.iter().enumerate() {
        let mut row = vec![at.to_string()];
        row.extend(COLUMNS.iter().map(|(_, of, _)| figure(of(interval))));
        row.push(score(interval.score));
        table.add_row(row);
    }
    let mut row = vec!["all".to_owned()];
    row.extend(
        COLUMNS
            .iter()
            .map(|(_, of, adds)| adds.then(|| figure(result.sum(of))).unwrap_or_default()),
    );
    row.push(score(result.mean_score()));
    table.add_row(row);
    for column in table.column_iter_mut() {
        column.set_cell_alignment(CellAlignment::Right);
    }
    say!("{table}");
    let (profit, currency) = (result.profit(), &file.currency);
    say!("Money in {currency}; a positive draw is from the grid.");
    say!(
        "Profit {profit:.0} {currency}; {:.0} were expected at the start; the best bid in hindsight earns {hindsight:.0} \
         ({:.0} %).",
        result.expected_profit,
        100.0 * profit / hindsight
    );
    if !file.source.is_empty() {
        say!("Source: {}", file.source);
    }
}

fn report(file: &MarketDayFile, result: &DayResult, hindsight: f64) -> Value {
    let interval = |interval: &IntervalResult| {
        let figures = COLUMNS
            .iter()
            .map(|(name, of, _)| ((*name).to_owned(), json!(of(interval))));
        let mut object: serde_json::Map<String, Value> = figures.collect();
        object.insert("score".into(), json!(interval.score));
        Value::Object(object)
    };
    json!({
        "name": file.name,
        "currency": file.currency,
        "profit": result.profit(),
        "expected_profit": result.expected_profit,
        "profit_in_hindsight": hindsight,
        "mean_score": result.mean_score(),
        "unmet_kwh": result.unmet_kwh,
        "intervals": result.intervals.iter().map(interval).collect::<Vec<_>>(),
    })
}

fn csv(result: &DayResult) -> String {
    let mut text = String::from("interval");
    for (name, ..) in COLUMNS {
        let _ = write!(text, ",{name}");
    }
    text.push_str(",score\n");
    for (at, interval) in result.intervals.iter().enumerate() {
        let _ = write!(text, "{at}");
        for (_, of, _) in COLUMNS {
            let _ = write!(text, ",{}", of(interval));
        }
        let score = interval
            .score
            .map_or(String::new(), |score| score.to_string());
        let _ = writeln!(text, ",{score}");
    }
    text
}
