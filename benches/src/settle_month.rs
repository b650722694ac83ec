//! A month of a city's meter readings settled: `vpp settle-month` beside `DuckDB`, which gets the same files and must come to
//! the same figures, line by line.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use chrono::{Datelike as _, NaiveDate, TimeDelta, Weekday};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};
use vpp_market_adapters::RulePack;

use crate::support::round;

const AGGREGATORS: usize = 5;
/// The month, and how many days of readings come before it for the baselines.
const MONTH: (i32, u32) = (2027, 7);
const BEFORE: i64 = 30;
const QUARTERS: usize = 96;

/// How large, and with what.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Stations.
    #[arg(long, default_value_t = 1_080)]
    stations: usize,
    /// Events, each of which invites all five aggregators.
    #[arg(long, default_value_t = 20)]
    events: usize,
    /// The `vpp` program.
    #[arg(long, default_value = "target/release/vpp")]
    vpp: PathBuf,
    /// A Python with `duckdb`; without it only `vpp` is measured.
    #[arg(long)]
    python: Option<PathBuf>,
    /// Rounds; each runs both.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Keep the files in this folder.
    #[arg(long)]
    dir: Option<PathBuf>,
}

pub(crate) fn measure(asked: &Arguments, print: impl Fn(&Value)) -> anyhow::Result<()> {
    let temporary = tempfile::tempdir()?;
    let folder = asked.dir.as_deref().unwrap_or(temporary.path());
    std::fs::create_dir_all(folder)?;
    let rows = generate(folder, asked)?;
    let bytes = std::fs::metadata(folder.join("readings.csv"))?.len();
    for round_of in 1..=asked.rounds {
        let mut ours = Command::new(std::path::absolute(&asked.vpp)?);
        ours.args([
            "settle-month",
            "month.toml",
            "readings.csv",
            "--out",
            "ours",
            "--force",
        ]);
        let ours = run(ours.current_dir(folder))?;
        let mut ledger = Command::new(std::path::absolute(&asked.vpp)?);
        let url = format!("sqlite:ledger-{round_of}.db");
        ledger.args([
            "settle-month",
            "month.toml",
            "readings.csv",
            "--ledger",
            &url,
        ]);
        let ledger = run(ledger.current_dir(folder))?;
        let mut row = json!({
            "bench": "settle-month",
            "stations": asked.stations,
            "events": asked.events,
            "readings": rows,
            "csv_mib": bytes >> 20,
            "seconds": round(ours.seconds),
            "peak_mib": ours.peak_mib,
            "seconds_with_ledger": round(ledger.seconds),
        });
        if let Some(python) = &asked.python {
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("settle_month.py");
            let mut theirs = Command::new(std::path::absolute(python)?);
            let theirs = run(theirs.arg(script).current_dir(folder))?;
            let found: Value = serde_json::from_str(&theirs.output)?;
            row["duckdb_seconds"] = json!(round(theirs.seconds));
            row["duckdb_peak_mib"] = json!(theirs.peak_mib);
            row["duckdb_version"] = found["version"].clone();
            row["ratio"] = json!(round(theirs.seconds / ours.seconds));
            row["lines"] = found["lines"].clone();
            row["lines_that_differ"] = found["differ"].clone();
        }
        print(&row);
    }
    Ok(())
}

struct Ran {
    seconds: f64,
    peak_mib: u64,
    output: String,
}

/// Runs a program to its end, and looks at its memory meanwhile.
fn run(command: &mut Command) -> anyhow::Result<Ran> {
    let begun = Instant::now();
    let mut process = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("{command:?}"))?;
    let status_file = format!("/proc/{}/status", process.id());
    let mut peak_kib = 0;
    let status = loop {
        if let Some(status) = process.try_wait()? {
            break status;
        }
        let status = std::fs::read_to_string(&status_file).unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
        peak_kib = peak_kib.max(peak.unwrap_or(0_u64));
        std::thread::sleep(Duration::from_millis(5));
    };
    let seconds = begun.elapsed().as_secs_f64();
    ensure!(status.success(), "{command:?} ended with {status}");
    let mut output = String::new();
    let mut pipe = process.stdout.take().context("no output")?;
    std::io::Read::read_to_string(&mut pipe, &mut output)?;
    Ok(Ran {
        seconds,
        peak_mib: peak_kib / 1024,
        output,
    })
}

fn aggregator(station: usize) -> usize {
    station % AGGREGATORS
}

/// Readings of an evening-heavy load, a fifth of the stations with vehicles that feed in at peak hours; events on workdays.
fn generate(folder: &Path, asked: &Arguments) -> anyhow::Result<usize> {
    let first = NaiveDate::from_ymd_opt(MONTH.0, MONTH.1, 1).context("a month")?;
    let next = first + chrono::Months::new(1);
    let mut stations = String::from("station,aggregator,sun,storage\n");
    for station in 0..asked.stations {
        let sun = if station % 7 == 0 { "metered" } else { "none" };
        writeln!(
            stations,
            "station-{station:06},agg-{},{sun},none",
            aggregator(station)
        )?;
    }
    std::fs::write(folder.join("stations.csv"), stations)?;
    std::fs::write(folder.join("month.toml"), month(first, next, asked)?)?;
    std::fs::write(folder.join("prices.json"), prices(first)?.to_string())?;

    let file = std::fs::File::create(folder.join("readings.csv"))?;
    let mut out = std::io::BufWriter::with_capacity(1 << 20, file);
    writeln!(
        out,
        "station,start,gate_in_wh,gate_out_wh,pile_discharge_wh,sun_out_wh,storage_out_wh"
    )?;
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let from = first - TimeDelta::days(BEFORE);
    let mut rows = 0;
    for station in 0..asked.stations {
        let size = 5_000 + random.next_u32() % 45_000;
        let mut date = from;
        while date < next {
            for slot in 0..QUARTERS {
                let hour = slot / 4;
                let noise = random.next_u32();
                let share = [30, 20, 15, 40, 60, 80][hour / 4] + noise % 20;
                let drawn = size * share / 100;
                let sun = if station % 7 == 0 && (7..18).contains(&hour) {
                    noise >> 8 & 1_023
                } else {
                    0
                };
                let discharge = if station % 5 == 0 && (14..19).contains(&hour) {
                    noise >> 18 & 4_095
                } else {
                    0
                };
                let fed_out = (discharge + sun) * 3 / 4;
                writeln!(
                    out,
                    "station-{station:06},{date}T{hour:02}:{:02},{drawn},{fed_out},{discharge},{sun},0",
                    slot % 4 * 15,
                )?;
                rows += 1;
            }
            date += TimeDelta::days(1);
        }
    }
    out.flush()?;
    Ok(rows)
}

/// The month's file: two events on each of the first workdays, in the morning and in the afternoon.
fn month(first: NaiveDate, next: NaiveDate, asked: &Arguments) -> anyhow::Result<String> {
    let days = first.iter_days().take_while(|date| *date < next);
    let workdays: Vec<NaiveDate> = days
        .filter(|date| !matches!(date.weekday(), Weekday::Sat | Weekday::Sun))
        .collect();
    ensure!(
        asked.events <= 2 * workdays.len(),
        "at most {} events",
        2 * workdays.len()
    );
    let mut text = format!(
        "month = \"{}\"\ntariff = \"guangdong-2025\"\nstations = \"stations.csv\"\nsubsidies = true\n",
        first.format("%Y-%m")
    );
    for event in 0..asked.events {
        let date = workdays[event / 2];
        let (from, to) = if event % 2 == 0 {
            ("10:00", "12:00")
        } else {
            ("14:00", "17:00")
        };
        for of in 0..AGGREGATORS {
            write!(
                text,
                "\n[[event]]\nevent = \"dr-{event}\"\naggregator = \"agg-{of}\"\ndirection = \"shaving\"\ndate = {date}\n\
                 from = \"{from}\"\nto = \"{to}\"\ninvited_on = {}\ncleared_kw = {}\nprice_cny_per_kwh = \"{}.25\"\n\
                 baseline = \"js5\"\npayment = \"tiered\"\n",
                date - TimeDelta::days(1),
                asked.stations,
                1 + event % 3,
            )?;
        }
    }
    Ok(text)
}

/// What each local hour costs, for the other side.
fn prices(first: NaiveDate) -> anyhow::Result<Value> {
    let tariff = RulePack::guangdong_2025().tariff();
    let hour = |hour: u32| {
        let local = first.and_hms_opt(hour, 0, 0).context("an hour")?;
        let at = local
            .and_local_timezone(tariff.zone())
            .earliest()
            .context("an instant")?
            .to_utc();
        Ok(json!({
            "period": tariff.period_at(at, false).name(),
            "price": tariff.price_at(at, false).as_cny_per_kwh().to_string(),
            "feed_in": tariff.feed_in_price_at(at, false).as_cny_per_kwh().to_string(),
        }))
    };
    (0..24)
        .map(hour)
        .collect::<anyhow::Result<Vec<Value>>>()
        .map(Value::from)
}
