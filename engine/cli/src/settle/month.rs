//! `vpp settle-month`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use indicatif::{ProgressBar, ProgressStyle};
use rayon::iter::{ParallelBridge as _, ParallelIterator as _};
use vpp_core::{AggregatorId, StationId};
use vpp_ledger::Batch;
use vpp_settlement::metering::{Behind, Gate};
use vpp_settlement::month::{Account, Month, MonthSettlement, StationMonth};

use super::book::Book;
use super::event_file::dates;
use super::meters::Meters;
use super::month_file::MonthFile;
use super::{cny, kwh};
use crate::files::may_write;
use crate::say::{note, say};
use crate::table::{self, Column, Format};

/// Settle a month of meter readings: what each station draws and feeds in by the tariff's periods, its subsidy, and its
/// part of every event; exact to the fen.
///
/// MONTH is TOML:
///
///   month = "2027-07"
///   tariff = "guangdong-2025"         # a rule pack of `vpp rules`
///   stations = "stations.csv"         # beside this file: station,aggregator,sun,storage; the last two none, metered or
///                                     # unmetered
///   subsidies = true                  # Guangzhou's, out of what is left of the year's budget
///   subsidy_left_cny = "18000000"     # without it: by the ledger; without a ledger all of the year's
///   hot_days = [2027-07-20]           # and holidays, worked: days that are not what their weekday says
///
///   [[claim]]                         # any number: subsidies for what was bought, before those for energy
///   id = "invoice-7"                  # what the ledger has of it from another month is not paid twice
///   kind = "equipment"                # or "platform"
///   aggregator = "agg-a"
///   station = "station-1"             # without it: the aggregator itself
///   cost_cny = "120000"
///   asked_cny = "60000"
///
///   [[event]]                         # any number: keys as in `vpp settle --help`; `stations` names those that took part
///
/// READINGS is CSV sorted by station, with the columns station,start,gate_in_wh,gate_out_wh,pile_discharge_wh,sun_out_wh,
/// storage_out_wh: energies of a quarter of an hour that begins at `start` (local, 2027-07-01T00:15, or with an offset), none
/// negative. What lies before the month makes the baselines.
///
/// Examples:
///
///   vpp settle-month july.toml readings.csv --out july --format parquet
///
///   vpp settle-month july.toml readings.csv --ledger sqlite:ledger.db
#[allow(rustdoc::broken_intra_doc_links)] // a table of TOML is no link
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// The month.
    month: PathBuf,
    /// The meters' readings.
    readings: PathBuf,
    /// Post it to this ledger: sqlite:FILE or postgres://HOST/DATABASE. Posted again after late readings, it is a new version
    /// and the old one is kept.
    #[arg(long, value_name = "URL")]
    ledger: Option<String>,
    /// Write the tables `lines` and `registers` into this folder.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Of these tables.
    #[arg(long, value_enum, default_value_t = Format::Csv)]
    format: Format,
    /// Overwrite files of these names that are there.
    #[arg(long)]
    force: bool,
}

/// The tables.
const TABLES: [&str; 2] = ["lines", "registers"];

pub(crate) fn main(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let out = arguments.out.as_deref();
    let tables = out.map(|folder| arguments.format.files(folder, TABLES));
    may_write(tables.iter().flatten(), arguments.force)?;
    let name = arguments.month.display().to_string();
    let text = std::fs::read_to_string(&arguments.month).with_context(|| name.clone())?;
    let file: MonthFile = toml::from_str(&text).with_context(|| name.clone())?;
    let folder = arguments.month.parent().unwrap_or(Path::new(""));
    let accounts = accounts(&folder.join(&file.stations))?;
    let calendars = file.calendars().with_context(|| name.clone())?;
    let hot_days = dates(&file.hot_days).with_context(|| format!("{name}: hot_days"))?;
    let month = file
        .month(&calendars, &hot_days)
        .with_context(|| name.clone())?;
    let ledger = arguments.ledger.as_deref().map(Book::open).transpose()?;
    let mut budget = file.budget(ledger.as_ref()).with_context(|| name.clone())?;
    let stations = measure(arguments, &month, accounts)?;
    let settled = month.close(stations, budget.as_mut())?;
    if let Some(ledger) = &ledger {
        ledger.check_events(&settled.events)?;
    }

    let batches = Batch::of_month(&settled);
    if let Some(folder) = &arguments.out {
        write(folder, arguments.format, &settled, &batches)?;
    }
    say!("{}", overview(&settled, &batches));
    if let Some(ledger) = &ledger {
        ledger.post(&settled.run(), &batches, file.whole_budget()?)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads the table of stations.
fn accounts(path: &Path) -> anyhow::Result<BTreeMap<StationId, Account>> {
    let name = path.display();
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_path(path)
        .with_context(|| format!("{name}"))?;
    let header = reader.headers().with_context(|| format!("{name}"))?;
    anyhow::ensure!(
        header
            .iter()
            .eq(["station", "aggregator", "sun", "storage"]),
        "{name}: line 1: the columns must be station,aggregator,sun,storage"
    );
    let mut accounts = BTreeMap::new();
    let rows = reader.deserialize::<(StationId, AggregatorId, String, String)>();
    for (row, read) in rows.enumerate() {
        let line = row + 2;
        let (station, aggregator, sun, storage) = read.with_context(|| format!("{name}"))?;
        let behind = |column: &str, text: &str| match text {
            "none" => Ok(Behind::None),
            "metered" => Ok(Behind::Metered),
            "unmetered" => Ok(Behind::Unmetered),
            _ => anyhow::bail!(
                "{name}: line {line}: {column}: {text:?} is not none, metered or unmetered"
            ),
        };
        let gate = Gate {
            sun: behind("sun", &sun)?,
            storage: behind("storage", &storage)?,
        };
        let account = Account {
            station: station.clone(),
            aggregator,
            gate,
        };
        let twice = accounts.insert(station, account);
        if let Some(Account { station, .. }) = twice {
            anyhow::bail!("{name}: line {line}: {station} is there twice");
        }
    }
    Ok(accounts)
}

/// Measures station by station, on all cores; the readings of a few are held at a time.
fn measure(
    arguments: &Arguments,
    month: &Month<'_>,
    mut accounts: BTreeMap<StationId, Account>,
) -> anyhow::Result<Vec<StationMonth>> {
    let name = arguments.readings.display().to_string();
    let length = std::fs::metadata(&arguments.readings).map_or(0, |about| about.len());
    let bar = ProgressBar::new(length);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {bytes} of {total_bytes}, {eta} left")
    {
        bar.set_style(style);
    }
    let zone = month.zone();
    let moved = bar.clone();
    let meters = Meters::open(&arguments.readings, zone, move |count| moved.inc(count));
    let mut meters = meters.with_context(|| name.clone())?;
    let with_accounts = (&mut meters).map(|station| {
        let station = station?;
        let account = accounts.remove(&station.station);
        let account = account
            .with_context(|| format!("{}: it is not in the table of stations", station.station))?;
        anyhow::Ok((account, station))
    });
    let measured: anyhow::Result<Vec<StationMonth>> = with_accounts
        .par_bridge()
        .map(|one| {
            let (account, station) = one?;
            let readings = station.take()?;
            Ok(month.measure(account, &readings)?)
        })
        .collect();
    bar.finish_and_clear();
    let stations = measured.with_context(|| name.clone())?;
    if let Some(silent) = accounts.keys().next() {
        anyhow::bail!(
            "{name}: {} stations have no reading at all, such as {silent}",
            accounts.len()
        );
    }
    Ok(stations)
}

fn write(
    folder: &Path,
    format: Format,
    settled: &MonthSettlement,
    batches: &[Batch],
) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let lines = || {
        batches
            .iter()
            .flat_map(|batch| batch.lines.iter().map(move |line| (batch, line)))
    };
    let text = |of: &dyn Fn(&Batch, &vpp_ledger::Line) -> String| {
        Column::Text(lines().map(|(batch, line)| of(batch, line)).collect())
    };
    let [lines_file, registers_file] = format.files(folder, TABLES);
    let columns = [
        ("batch", text(&|batch, _| batch.id.clone())),
        ("aggregator", text(&|batch, _| batch.aggregator.clone())),
        ("station", text(&|_, line| line.station.clone())),
        ("item", text(&|_, line| line.item.clone())),
        (
            "wh",
            Column::Whole(lines().map(|(_, line)| line.wh).collect()),
        ),
        ("price_cny_per_kwh", text(&|_, line| line.price.clone())),
        (
            "fen",
            Column::Whole(lines().map(|(_, line)| line.fen).collect()),
        ),
        ("rule", text(&|_, line| line.rule.clone())),
        ("detail", text(&|_, line| line.detail.clone())),
    ];
    table::write(&lines_file, &columns)?;
    let stations = &settled.stations;
    let whole =
        |of: &dyn Fn(&StationMonth) -> i64| Column::Whole(stations.iter().map(of).collect());
    let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let mut columns = vec![
        (
            "station",
            Column::Text(
                stations
                    .iter()
                    .map(|s| s.account.station.to_string())
                    .collect(),
            ),
        ),
        (
            "aggregator",
            Column::Text(
                stations
                    .iter()
                    .map(|s| s.account.aggregator.to_string())
                    .collect(),
            ),
        ),
    ];
    const FORWARD: [&str; 4] = ["sharp_in_wh", "peak_in_wh", "flat_in_wh", "valley_in_wh"];
    const REVERSE: [&str; 4] = [
        "sharp_v2g_wh",
        "peak_v2g_wh",
        "flat_v2g_wh",
        "valley_v2g_wh",
    ];
    for (of, name) in FORWARD.into_iter().enumerate() {
        columns.push((name, whole(&|station| station.registers.forward_wh[of])));
    }
    for (of, name) in REVERSE.into_iter().enumerate() {
        columns.push((name, whole(&|station| station.registers.reverse_wh[of])));
    }
    columns.push(("quarters", whole(&|station| count(station.quarters))));
    columns.push((
        "estimated_quarters",
        whole(&|station| count(station.registers.estimated)),
    ));
    columns.push((
        "unmetered_quarters",
        whole(&|station| count(station.registers.unmetered)),
    ));
    let fen = settled.station_fen();
    columns.push((
        "fen",
        whole(&|station| fen.get(&station.account.station).copied().unwrap_or(0)),
    ));
    table::write(&registers_file, &columns)?;
    note!("vpp: the tables are in {}", folder.display());
    Ok(())
}

fn overview(settled: &MonthSettlement, batches: &[Batch]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header([
        "statement",
        "stations",
        "drawn",
        "fed in",
        "delivered",
        "money",
    ]);
    let mut estimated: usize = 0;
    for batch in batches {
        let of = |item: &str| -> i64 {
            let lines = batch
                .lines
                .iter()
                .filter(|line| line.item.starts_with(item));
            lines.map(|line| line.wh).sum()
        };
        let energy = |wh: i64| if wh == 0 { String::new() } else { kwh(wh) };
        let stations: BTreeSet<&str> = (batch.lines.iter())
            .filter(|line| !line.station.is_empty())
            .map(|line| line.station.as_str())
            .collect();
        table.add_row([
            batch.id.clone(),
            stations.len().to_string(),
            energy(of("energy/")),
            energy(of("feed-in/")),
            energy(of("response")),
            cny(batch.fen),
        ]);
    }
    for station in &settled.stations {
        estimated += station.registers.estimated;
    }
    let total = batches.iter().map(|batch| batch.fen).sum();
    table.add_row([
        format!("all; {estimated} quarters estimated"),
        settled.stations.len().to_string(),
        String::new(),
        String::new(),
        String::new(),
        cny(total),
    ]);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
