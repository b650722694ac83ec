//! `vpp baselines`.

use crate::say::say;
use std::io::Read as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use chrono::{NaiveDate, NaiveTime, TimeDelta, Timelike as _};
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use indicatif::ProgressBar;
use serde_json::{Value, json};
use vpp_market_adapters::response::SLOTS;
use vpp_market_adapters::response::accuracy::{Accuracy, accuracy};
use vpp_market_adapters::response::baseline::{BaselineRules, Calendar, History, MethodEntry};

/// Try the baseline methods on a year of load: how far they are from what was drawn on days without an event.
///
/// FILE is CSV without a header: one row for each quarter of an hour from midnight of --start on, one column for each
/// account, mean draw in kW. A name that ends in .gz is unpacked.
///
/// Examples:
///
///   vpp baselines loads.csv.gz --start 2019-01-01
///
///   vpp baselines loads.csv.gz --start 2019-01-01 --from 19:00 --to 21:00 --together --json
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// The loads.
    file: PathBuf,
    /// The first day, YYYY-MM-DD.
    #[arg(long)]
    start: NaiveDate,
    /// When the event would begin, local.
    #[arg(long, default_value = "14:00", value_parser = clock)]
    from: NaiveTime,
    /// When it would end.
    #[arg(long, default_value = "16:00", value_parser = clock)]
    to: NaiveTime,
    /// All accounts as one, as an aggregator is judged; without it each by itself, and the mean over accounts is told.
    #[arg(long)]
    together: bool,
    /// One JSON array.
    #[arg(long)]
    json: bool,
}

fn clock(text: &str) -> Result<NaiveTime, String> {
    let time = NaiveTime::parse_from_str(text, "%H:%M").map_err(|e| format!("{text:?}: {e}"))?;
    if time.minute() % 15 != 0 {
        return Err(format!("{text:?} is no quarter of an hour"));
    }
    Ok(time)
}

pub(crate) fn main(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let slot = |time: NaiveTime| (time.hour() * 4 + time.minute() / 15) as usize;
    let (first, last) = (slot(arguments.from), slot(arguments.to));
    anyhow::ensure!(first < last, "--to must come after --from on the same day");
    let accounts = read(arguments)?;
    let methods = BaselineRules::standard().methods();
    let bar = ProgressBar::new((methods.len() * accounts.len()) as u64);
    let mut rows = Vec::new();
    for entry in methods {
        let found: Vec<Accuracy> = accounts
            .iter()
            .map(|history| {
                bar.inc(1);
                let calendar = Calendar::default();
                accuracy(entry.method(), history, &calendar, first, last - first)
            })
            .collect();
        rows.push(Row::new(entry, &found));
    }
    bar.finish_and_clear();
    if arguments.json {
        let rows: Vec<Value> = rows.iter().map(Row::json).collect();
        say!("{}", Value::Array(rows));
    } else {
        say!("{}", table(&rows));
    }
    Ok(ExitCode::SUCCESS)
}

struct Row {
    method: String,
    status: &'static str,
    days: usize,
    refused: usize,
    bias: f64,
    rrmse: f64,
}

impl Row {
    fn new(entry: &MethodEntry, found: &[Accuracy]) -> Row {
        let used: Vec<&Accuracy> = found.iter().filter(|one| one.days > 0).collect();
        #[allow(clippy::cast_precision_loss)] // a count of accounts
        let mean = |of: fn(&Accuracy) -> f64| {
            used.iter().map(|one| of(one)).sum::<f64>() / used.len().max(1) as f64
        };
        Row {
            method: entry.method().name().to_owned(),
            status: entry.status.name(),
            days: found.iter().map(|one| one.days).sum(),
            refused: found.iter().map(|one| one.refused).sum(),
            bias: mean(|one| one.bias),
            rrmse: mean(|one| one.rrmse),
        }
    }

    fn json(&self) -> Value {
        json!({
            "method": self.method,
            "status": self.status,
            "days": self.days,
            "refused": self.refused,
            "bias": self.bias,
            "rrmse": self.rrmse,
        })
    }
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new();
    table
        .load_style(UTF8_FULL_CONDENSED)
        .set_header(["method", "status", "days", "refused", "bias", "RRMSE"]);
    for row in rows {
        table.add_row([
            row.method.clone(),
            row.status.to_owned(),
            row.days.to_string(),
            row.refused.to_string(),
            format!("{:+.1} %", 100.0 * row.bias),
            format!("{:.1} %", 100.0 * row.rrmse),
        ]);
    }
    for column in 2..6 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

fn read(arguments: &Arguments) -> anyhow::Result<Vec<History>> {
    let name = arguments.file.display();
    let file = std::fs::File::open(&arguments.file).with_context(|| format!("{name}"))?;
    let mut text = String::new();
    if arguments.file.extension().is_some_and(|end| end == "gz") {
        flate2::read::GzDecoder::new(file).read_to_string(&mut text)
    } else {
        std::io::BufReader::new(file).read_to_string(&mut text)
    }
    .with_context(|| format!("{name}"))?;
    let mut accounts: Vec<History> = Vec::new();
    for (row, line) in text.lines().enumerate() {
        let days = i64::try_from(row / SLOTS)?;
        let date = arguments.start + TimeDelta::days(days);
        let kilowatts: Result<Vec<f64>, _> =
            line.split(',').map(|cell| cell.trim().parse()).collect();
        let kilowatts = kilowatts.with_context(|| format!("{name}: line {}: {line:?}", row + 1))?;
        let count = if arguments.together {
            1
        } else {
            kilowatts.len()
        };
        anyhow::ensure!(
            kilowatts.iter().all(|kw| kw.is_finite()) && (row == 0 || accounts.len() == count),
            "{name}: line {}: as many finite numbers as before are needed",
            row + 1
        );
        accounts.resize_with(count, History::default);
        let sum = [kilowatts.iter().sum()];
        let values: &[f64] = if arguments.together { &sum } else { &kilowatts };
        for (history, kw) in accounts.iter_mut().zip(values) {
            #[allow(clippy::cast_possible_truncation)] // kilowatts of an account
            history.read(date, row % SLOTS, (kw * 1e3).round() as i64);
        }
    }
    anyhow::ensure!(!accounts.is_empty(), "{name}: there is no row");
    Ok(accounts)
}
