//! `vpp tariff`.

use crate::say::{note, say};
use std::process::ExitCode;

use anyhow::Context as _;
use chrono::{NaiveDate, TimeDelta, TimeZone as _};
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use serde_json::{Value, json};
use vpp_core::Timestamp;
use vpp_market_adapters::{RulePack, Status, Tariff};

/// Print a day's prices: what is drawn and what a vehicle feeds in, period by period.
///
/// Examples:
///
///   vpp tariff 2025-07-15
///
///   vpp tariff 2025-06-30 --hot --pack shenzhen-2025 --json
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// The local day, YYYY-MM-DD.
    date: NaiveDate,
    /// The tariff's rule pack: guangdong-2025, shenzhen-2025, guangzhou-residential-2025, or a file.
    #[arg(long, default_value = "guangdong-2025")]
    pack: String,
    /// The day was declared hot: peak becomes sharp also outside the sharp months.
    #[arg(long)]
    hot: bool,
    /// One JSON array with a row for each quarter of an hour.
    #[arg(long)]
    json: bool,
}

pub(crate) fn main(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let loaded;
    let pack = if let Some(known) = RulePack::by_name(&arguments.pack) {
        known
    } else if std::path::Path::new(&arguments.pack).exists() {
        loaded = RulePack::load(&arguments.pack)?;
        &loaded
    } else {
        let known: Vec<&str> = RulePack::names().collect();
        anyhow::bail!(
            "--pack: there is no pack or file {:?}; known: {}",
            arguments.pack,
            known.join(", ")
        );
    };
    let tariff = pack.tariff();
    let slots = slots(tariff, arguments.date)?;
    for at in &slots {
        tariff.require_in_force(*at)?;
    }
    if arguments.json {
        let rows: Vec<Value> = slots
            .iter()
            .map(|at| row(tariff, *at, arguments.hot))
            .collect();
        say!("{}", Value::Array(rows));
        return Ok(ExitCode::SUCCESS);
    }
    say!("{}", table(tariff, &slots, arguments.hot));
    for (name, figure) in [
        ("base price", tariff.base_at(slots[0])),
        ("feed-in", tariff.feed_in_base_at(slots[0])),
    ] {
        if figure.status == Status::Unverified {
            note!("vpp: {name} is not verified: {}", figure.source);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The quarters of an hour of a local day.
fn slots(tariff: &Tariff, date: NaiveDate) -> anyhow::Result<Vec<Timestamp>> {
    let midnight = |date: NaiveDate| {
        let local = date.and_hms_opt(0, 0, 0)?;
        let at = tariff.zone().from_local_datetime(&local).earliest()?;
        Some(at.to_utc())
    };
    let start = midnight(date).context("a day without a midnight")?;
    let end = date.succ_opt().and_then(midnight).context("the last day")?;
    let quarter = TimeDelta::minutes(15);
    let all = std::iter::successors(Some(start), |at| Some(*at + quarter));
    Ok(all.take_while(|at| *at < end).collect())
}

fn row(tariff: &Tariff, at: Timestamp, hot: bool) -> Value {
    json!({
        "start": at.with_timezone(&tariff.zone()).to_rfc3339(),
        "period": tariff.period_at(at, hot).name(),
        "price_cny_per_kwh": tariff.price_at(at, hot).as_cny_per_kwh().normalize().to_string(),
        "feed_in_cny_per_kwh": tariff.feed_in_price_at(at, hot).as_cny_per_kwh().normalize().to_string(),
    })
}

/// One row for each run of quarters with the same period.
fn table(tariff: &Tariff, slots: &[Timestamp], hot: bool) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header([
        "from",
        "to",
        "period",
        "drawn, CNY/kWh",
        "fed in, CNY/kWh",
    ]);
    let period = |at: &Timestamp| tariff.period_at(*at, hot);
    for run in slots.chunk_by(|a, b| period(a) == period(b)) {
        let (first, last) = (run[0], run[run.len() - 1]);
        let end = last + TimeDelta::minutes(15);
        let clock = |at: Timestamp| at.with_timezone(&tariff.zone()).format("%H:%M").to_string();
        let end = match clock(end).as_str() {
            "00:00" => "24:00".to_owned(),
            other => other.to_owned(),
        };
        table.add_row([
            clock(first),
            end,
            period(&first).name().to_owned(),
            tariff
                .price_at(first, hot)
                .as_cny_per_kwh()
                .normalize()
                .to_string(),
            tariff
                .feed_in_price_at(first, hot)
                .as_cny_per_kwh()
                .normalize()
                .to_string(),
        ]);
    }
    for column in [3, 4] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}
