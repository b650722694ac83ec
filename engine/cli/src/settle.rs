//! `vpp settle`.

pub(crate) mod book;
pub(crate) mod event_file;
pub(crate) mod meters;
pub(crate) mod month;
mod month_file;

use crate::files::may_write;
use crate::say::{note, say, say_as_it_is};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use chrono::{NaiveDateTime, Timelike as _};
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use rust_decimal::Decimal;
use vpp_core::StationId;
use vpp_ledger::Batch;
use vpp_market_adapters::Status;
use vpp_market_adapters::response::baseline::{EventWindow, History};
use vpp_settlement::event::{Settlement, StationRecord, Terms, settle};

use book::Book;
use event_file::EventFile;

use vpp_results::files;

/// Settle a demand-response event from meter readings: each station's baseline and delivery, what the aggregator is paid,
/// and each station's part, exact to the fen.
///
/// EVENT is TOML:
///
///   event = "dr-1"
///   aggregator = "agg-a"
///   direction = "shaving"             # or "filling"
///   date = 2025-07-25                 # local
///   from = "14:00"
///   to = "16:00"
///   invited_on = 2025-07-24
///   cleared_kw = 20000                # one figure, or one for each quarter of an hour
///   price_cny_per_kwh = "2.0"
///   baseline = "similar5"             # a method of `vpp rules --pack baselines`
///   payment = "tiered"                # a template of `vpp rules --pack response-payments`
///   holidays = []                     # and worked = [], event_days = []: days that are not what their weekday says
///
/// READINGS is CSV with the columns `station`, `start` (local, 2025-07-25T14:00) and `wh`: what the gate drew in the quarter
/// of an hour, negative for an export. Readings after the event are left out.
///
/// Examples:
///
///   vpp settle event.toml readings.csv --out statements.csv
///
///   vpp settle event.toml readings.csv --ledger sqlite:ledger.db
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// What was cleared, and how it is settled.
    event: PathBuf,
    /// The meters' readings.
    readings: PathBuf,
    /// Write the statement here as CSV, one line for each station and one for the aggregator.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Overwrite the file if it is there.
    #[arg(long)]
    force: bool,
    /// Post it to this ledger: sqlite:FILE or postgres://HOST/DATABASE. Posted again after late readings, it is a new version
    /// and the old one is kept.
    #[arg(long, value_name = "URL")]
    ledger: Option<String>,
    /// Print the same CSV instead of a table.
    #[arg(long)]
    csv: bool,
}

pub(crate) fn main(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    may_write(&arguments.out, arguments.force)?;
    let name = arguments.event.display();
    let text = std::fs::read_to_string(&arguments.event).with_context(|| format!("{name}"))?;
    let file: EventFile = toml::from_str(&text).with_context(|| format!("{name}"))?;
    let cleared = file.cleared().with_context(|| format!("{name}"))?;
    let mut records = records(&arguments.readings, &cleared.window)?;
    if let Some(stations) = &file.stations {
        records.retain(|record| stations.contains(&record.station));
        let silent =
            |station: &&StationId| records.iter().all(|record| record.station != **station);
        if let Some(silent) = stations.iter().find(silent) {
            let readings = arguments.readings.display();
            anyhow::bail!("{name}: stations: {silent} has no reading in {readings}");
        }
    }
    let calendar = file.calendar().with_context(|| format!("{name}"))?;
    let terms = file.terms(&calendar).with_context(|| format!("{name}"))?;
    let settled = settle(&cleared, &records, &terms)?;
    let csv = format!("{}\n{}", Settlement::CSV_HEADER, settled.to_csv());
    if let Some(path) = &arguments.out {
        files::write(path, &csv)?;
        note!("vpp: the statement is in {}", path.display());
    }
    if arguments.csv {
        say_as_it_is!("{csv}");
    } else {
        say!("{}", table(&settled));
    }
    warn(&terms);
    if let Some(url) = &arguments.ledger {
        let batch = Batch::of_event(&settled, "");
        let run = batch.id.clone();
        let book = Book::open(url)?;
        book.check_events(std::slice::from_ref(&settled))?;
        let run_of = run.clone();
        book.post(
            &run,
            &[Batch {
                run: run_of,
                ..batch
            }],
            None,
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Readings before the event are each station's past; those of the event are what it did.
fn records(path: &Path, window: &EventWindow) -> anyhow::Result<Vec<StationRecord>> {
    let name = path.display();
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_path(path)
        .with_context(|| format!("{name}"))?;
    let header = reader.headers().with_context(|| format!("{name}"))?;
    anyhow::ensure!(
        header.iter().eq(["station", "start", "wh"]),
        "{name}: line 1: the columns must be station,start,wh"
    );
    let slot_end = window.first + window.slots;
    let mut stations: BTreeMap<StationId, (History, Vec<Option<i64>>)> = BTreeMap::new();
    for (row, read) in reader.deserialize::<(String, String, i64)>().enumerate() {
        let line = row + 2;
        let (station, start, wh) = read.with_context(|| format!("{name}"))?;
        let place = || format!("{name}: line {line}");
        let station: StationId = station
            .parse()
            .map_err(anyhow::Error::from)
            .with_context(place)?;
        let time = NaiveDateTime::parse_from_str(&start, "%Y-%m-%dT%H:%M")
            .with_context(|| format!("{name}: line {line}: start {start:?}"))?;
        anyhow::ensure!(
            time.minute() % 15 == 0,
            "{name}: line {line}: {start} does not begin a quarter of an hour"
        );
        anyhow::ensure!(
            wh.unsigned_abs() <= 250_000_000,
            "{name}: line {line}: {wh} Wh in a quarter of an hour is beyond belief"
        );
        let (date, slot) = (time.date(), (time.hour() * 4 + time.minute() / 15) as usize);
        let (history, actual) = stations
            .entry(station.clone())
            .or_insert_with(|| (History::default(), vec![None; window.slots]));
        if date < window.date || (date == window.date && slot < window.first) {
            let twice = history.readings(date, slot..slot + 1).is_some();
            anyhow::ensure!(
                !twice,
                "{name}: line {line}: {station} at {start} is there twice"
            );
            // Readings are energies of a quarter of an hour, baselines are of power.
            history.read(date, slot, wh * 4);
        } else if date == window.date && slot < slot_end {
            let reading = &mut actual[slot - window.first];
            anyhow::ensure!(
                reading.is_none(),
                "{name}: line {line}: {station} at {start} is there twice"
            );
            *reading = Some(wh);
        }
    }
    anyhow::ensure!(!stations.is_empty(), "{name}: there is no reading");
    let record = |(station, (history, actual_wh))| StationRecord {
        station,
        history,
        actual_wh,
    };
    Ok(stations.into_iter().map(record).collect())
}

/// Says when a template is not verified.
fn warn(terms: &Terms<'_>) {
    let template = terms.template;
    if template.status() == Status::Unverified {
        note!(
            "vpp: the template {} is not verified: {}",
            template.name,
            template.source()
        );
    }
}

pub(crate) fn cny(fen: i64) -> String {
    let text = Decimal::new(fen, 2).to_string();
    format!("{text} CNY")
}

pub(crate) fn kwh(wh: i64) -> String {
    format!("{} kWh", Decimal::new(wh, 3).normalize())
}

fn table(settled: &Settlement) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header([
        "station",
        "delivered",
        "missing",
        "share",
        "baseline",
    ]);
    for line in &settled.stations {
        let baseline = match &line.baseline {
            Ok(curve) if curve.days.is_empty() => "the load just before".to_owned(),
            Ok(curve) => {
                let from = curve.days[0];
                let to = curve.days[curve.days.len() - 1];
                format!(
                    "{} days, {from} to {to}, × {:.3}",
                    curve.days.len(),
                    curve.factor
                )
            }
            Err(error) => format!("none: {error}"),
        };
        table.add_row([
            line.station.to_string(),
            kwh(line.delivered_wh),
            line.missing().to_string(),
            cny(line.share_fen),
            baseline,
        ]);
    }
    let payment = &settled.payment;
    let ratio = payment.ratio().map_or("none".to_owned(), |ratio| {
        format!("{} %", (ratio * Decimal::ONE_HUNDRED).round_dp(1))
    });
    table.add_row([
        format!("{} for {}", settled.event, settled.aggregator),
        kwh(payment.delivered_wh),
        String::new(),
        cny(payment.distributable_fen()),
        format!(
            "cleared {}, {ratio}; gross {}, penalty {}, net {}",
            kwh(payment.cleared_wh),
            cny(payment.gross_fen),
            cny(payment.penalty_fen),
            cny(payment.net_fen()),
        ),
    ]);
    for column in 1..4 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}
