//! `vpp settle`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use chrono::{NaiveDate, NaiveDateTime, NaiveTime, Timelike as _};
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use rust_decimal::Decimal;
use serde::Deserialize;
use vpp_core::{AggregatorId, EventId, Price, StationId};
use vpp_market_adapters::Status;
use vpp_market_adapters::response::SLOTS;
use vpp_market_adapters::response::baseline::{BaselineRules, Calendar, EventWindow, History};
use vpp_market_adapters::response::payment::{Direction, PaymentRules};
use vpp_settlement::event::{Cleared, Settlement, StationRecord, Terms, settle};

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
/// Example: vpp settle event.toml readings.csv --out statements.csv
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
    /// Print the same CSV instead of a table.
    #[arg(long)]
    csv: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EventFile {
    event: EventId,
    aggregator: AggregatorId,
    direction: Way,
    date: toml::value::Datetime,
    from: String,
    to: String,
    invited_on: toml::value::Datetime,
    cleared_kw: Power,
    price_cny_per_kwh: Decimal,
    baseline: String,
    payment: String,
    #[serde(default)]
    holidays: Vec<toml::value::Datetime>,
    #[serde(default)]
    worked: Vec<toml::value::Datetime>,
    #[serde(default)]
    event_days: Vec<toml::value::Datetime>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Way {
    Shaving,
    Filling,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Power {
    All(f64),
    Each(Vec<f64>),
}

pub(crate) fn main(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let name = arguments.event.display();
    let text = std::fs::read_to_string(&arguments.event).with_context(|| format!("{name}"))?;
    let file: EventFile = toml::from_str(&text).with_context(|| format!("{name}"))?;
    let cleared = cleared(&file).with_context(|| format!("{name}"))?;
    let records = records(&arguments.readings, &cleared.window)?;
    let (baselines, payments) = (BaselineRules::standard(), PaymentRules::standard());
    let known: Vec<&str> = baselines
        .methods()
        .iter()
        .map(|m| m.method().name())
        .collect();
    let baseline = baselines.method(&file.baseline).with_context(|| {
        let known = known.join(", ");
        format!(
            "{name}: baseline: there is no method {:?}; known: {known}",
            file.baseline
        )
    })?;
    let known: Vec<&str> = payments
        .templates()
        .iter()
        .map(|t| t.name.as_str())
        .collect();
    let template = payments.template(&file.payment).with_context(|| {
        let known = known.join(", ");
        format!(
            "{name}: payment: there is no template {:?}; known: {known}",
            file.payment
        )
    })?;
    let days = |days: &[toml::value::Datetime]| -> anyhow::Result<BTreeSet<NaiveDate>> {
        days.iter().map(date).collect()
    };
    let calendar = Calendar {
        holidays: days(&file.holidays).with_context(|| format!("{name}: holidays"))?,
        worked: days(&file.worked).with_context(|| format!("{name}: worked"))?,
        events: days(&file.event_days).with_context(|| format!("{name}: event_days"))?,
    };
    let terms = Terms {
        baseline,
        baseline_pack: &baselines.name,
        template,
        payment_pack: &payments.name,
        calendar: &calendar,
    };
    let settled = settle(&cleared, &records, &terms)?;
    let csv = format!("{}\n{}", Settlement::CSV_HEADER, settled.to_csv());
    if let Some(path) = &arguments.out {
        std::fs::write(path, &csv).with_context(|| path.display().to_string())?;
        eprintln!("vpp: the statement is in {}", path.display());
    }
    if arguments.csv {
        print!("{csv}");
    } else {
        println!("{}", table(&settled));
    }
    if template.status() == Status::Unverified {
        eprintln!(
            "vpp: the template {} is not verified: {}",
            template.name,
            template.source()
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn date(date: &toml::value::Datetime) -> anyhow::Result<NaiveDate> {
    let text = date.to_string();
    text.parse()
        .with_context(|| format!("{text} is no plain date"))
}

fn quarter(field: &str, text: &str) -> anyhow::Result<usize> {
    if text == "24:00" {
        return Ok(SLOTS);
    }
    let time =
        NaiveTime::parse_from_str(text, "%H:%M").with_context(|| format!("{field}: {text:?}"))?;
    anyhow::ensure!(
        time.minute() % 15 == 0,
        "{field}: {text:?} is no quarter of an hour"
    );
    Ok((time.hour() * 4 + time.minute() / 15) as usize)
}

fn cleared(file: &EventFile) -> anyhow::Result<Cleared> {
    let (first, last) = (quarter("from", &file.from)?, quarter("to", &file.to)?);
    anyhow::ensure!(first < last, "to: {:?} does not come after from", file.to);
    let slots = last - first;
    let kilowatts = match &file.cleared_kw {
        Power::All(kw) => vec![*kw; slots],
        Power::Each(each) => {
            let count = each.len();
            anyhow::ensure!(
                count == slots,
                "cleared_kw: {count} figures for {slots} quarters"
            );
            each.clone()
        }
    };
    let wh = |kw: &f64| {
        anyhow::ensure!(
            (0.0..=1e6).contains(kw),
            "cleared_kw: {kw} is outside 0 to 1000000"
        );
        #[allow(clippy::cast_possible_truncation)] // bounded above
        Ok((kw * 250.0).round() as i64)
    };
    Ok(Cleared {
        event: file.event.clone(),
        aggregator: file.aggregator.clone(),
        direction: match file.direction {
            Way::Shaving => Direction::Shaving,
            Way::Filling => Direction::Filling,
        },
        window: EventWindow {
            date: date(&file.date).context("date")?,
            first,
            slots,
            invited_on: date(&file.invited_on).context("invited_on")?,
        },
        cleared_wh: kilowatts.iter().map(wh).collect::<anyhow::Result<_>>()?,
        price: Price::from_cny_per_kwh(file.price_cny_per_kwh),
    })
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

fn cny(fen: i64) -> String {
    let text = Decimal::new(fen, 2).to_string();
    format!("{text} CNY")
}

fn kwh(wh: i64) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quarters_are_read_and_others_refused() {
        assert_eq!(quarter("from", "14:15").expect("a quarter"), 57);
        assert_eq!(quarter("to", "24:00").expect("the end"), 96);
        assert!(quarter("from", "14:10").is_err());
        assert!(quarter("from", "25:00").is_err());
    }
}
