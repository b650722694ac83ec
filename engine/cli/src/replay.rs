//! `vpp replay`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use chrono::{DateTime, FixedOffset, TimeDelta};
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use vpp_core::Timestamp;
use vpp_replay::folder::{self, Batch, Options};
use vpp_replay::run::Run;
use vpp_results::Summary;
use vpp_scenarios::Scenario;

use crate::report::Language;
use crate::say::{note, say};

/// Replay scenarios on a virtual clock, a day or a year of a whole city, and write what came of each into a folder.
///
/// The dispatcher, the aggregators and the stations are those that run live; `[dispatch]` in the scenario says how often they
/// plan and move. The folder gets tables (Parquet) and summary.json; the same scenario gives the same bytes.
///
/// A run that was killed is taken up by the same command, without --force: it goes on from where it was saved last and leaves
/// what it would have left. What was saved is of use to the very same program only; another one begins anew. Of several scenarios
/// those that were whole are kept; a sweep does the same.
///
/// Examples:
///
///   vpp replay scenarios/fleet-small.toml --out results
///
///   vpp replay spring.toml summer.toml --out results --until 24h --force
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// The scenarios.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The folder of the results; of several scenarios, each has one of its name in it.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// So many times as fast as real time at most (default: as fast as can be).
    #[arg(long, value_parser = speed)]
    speed: Option<f64>,
    /// Stop then: 90m, 24h, 7d after the start, or a time with its offset such as 2025-07-16T00:00:00+08:00.
    #[arg(long, value_name = "OFFSET_OR_TIME", value_parser = until)]
    until: Option<Until>,
    /// Replace results that are there.
    #[arg(long)]
    force: bool,
    /// Save a run that goes on after so many seconds, for when it is killed. Not while a regulation signal is followed.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    save_every: u32,
    /// Threads (default: as many as there are processors). The results are the same with any number.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Language of the report.
    #[arg(long, value_enum, default_value = "en")]
    lang: Language,
    /// The summaries as JSON, one a line.
    #[arg(long)]
    json: bool,
}

/// Where to stop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Until {
    Offset(TimeDelta),
    Time(DateTime<FixedOffset>),
}

impl Until {
    /// The instant in a scenario, after its start.
    pub(crate) fn of(self, scenario: &Scenario) -> anyhow::Result<Timestamp> {
        let start = scenario.start();
        let end = match self {
            Until::Offset(offset) => match start.checked_add_signed(offset) {
                Some(end) => end,
                None => bail!("--until: there is no time so far after the start, {start}"),
            },
            Until::Time(time) => time.to_utc(),
        };
        if end <= start {
            bail!("--until: {end} is not after the start, {start}");
        }
        Ok(end)
    }
}

fn speed(text: &str) -> Result<f64, String> {
    let speed: f64 = text.parse().map_err(|_| "is no number".to_owned())?;
    if speed > 0.0 && speed.is_finite() {
        Ok(speed)
    } else {
        Err("must be above 0".into())
    }
}

pub(crate) fn until(text: &str) -> Result<Until, String> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(Until::Time(time));
    }
    let unit = text.chars().last().unwrap_or_default();
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err("is neither an offset such as 24h nor a time with its offset".into()),
    };
    let count: u32 = text[..text.len() - 1]
        .parse()
        .map_err(|_| "is neither an offset such as 24h nor a time with its offset".to_owned())?;
    if count == 0 {
        return Err("must be after the start".into());
    }
    Ok(Until::Offset(TimeDelta::seconds(
        i64::from(count) * seconds,
    )))
}

/// What came of a scenario, and how fast.
struct Done {
    summary: Summary,
    /// So many times as fast as real time; nothing where it was there already.
    pace: Option<f64>,
}

pub(crate) fn main(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if let Some(threads) = arguments.threads {
        rayon::ThreadPoolBuilder::new()
            .num_threads(usize::from(threads))
            .build_global()
            .context("starting the threads")?;
    }
    // All of them are read before the first begins: a mistake in the last one shows at once.
    let scenarios = arguments.files.iter().map(|file| Ok(Scenario::load(file)?));
    let scenarios = scenarios.collect::<anyhow::Result<Vec<Scenario>>>()?;
    let mut names = BTreeSet::new();
    for scenario in &scenarios {
        let name = &scenario.header.name;
        if !names.insert(name) {
            bail!("two scenarios have the name {name}; each needs a folder of its own");
        }
    }
    // On a thread of the pool from the start: handing it each of a step's parts would cost more than many a part does.
    let done = rayon::scope(|_| match scenarios.as_slice() {
        [one] => Ok(vec![alone(one, arguments)?]),
        several => together(several, arguments),
    });
    let done: Vec<Done> = done?;
    if arguments.json {
        for done in &done {
            say!("{}", serde_json::to_string(&done.summary)?);
        }
    } else {
        say!("{}", table(&done));
    }
    Ok(ExitCode::SUCCESS)
}

/// How a scenario is replayed.
fn options(scenario: &Scenario, arguments: &Arguments) -> anyhow::Result<Options> {
    let end = match arguments.until {
        Some(until) => until.of(scenario)?,
        None => scenario.end(),
    };
    Ok(Options {
        until: Some(end),
        force: arguments.force,
        language: arguments.lang.into(),
        checkpoint_every: Some(Duration::from_secs(arguments.save_every.into())),
    })
}

/// One scenario, into the folder itself.
fn alone(scenario: &Scenario, arguments: &Arguments) -> anyhow::Result<Done> {
    let options = options(scenario, arguments)?;
    let mut pace = Pace::new(scenario, options, arguments);
    let folder = &arguments.out;
    let summary = folder::replay(scenario, folder, options, |run| pace.step(run))?;
    Ok(pace.done(summary, scenario, folder, arguments))
}

/// Several, each into a folder of its name; one that was whole when they were killed is not run again.
fn together(scenarios: &[Scenario], arguments: &Arguments) -> anyhow::Result<Vec<Done>> {
    let runs = scenarios.iter();
    let runs = runs.map(|scenario| Ok((scenario, options(scenario, arguments)?)));
    let runs = runs.collect::<anyhow::Result<Vec<_>>>()?;
    let mut batch = Batch::open(&arguments.out, &runs, arguments.force)?;
    let mut done = Vec::new();
    for (at, (scenario, options)) in runs.into_iter().enumerate() {
        let folder = arguments.out.join(&scenario.header.name);
        if let Some(summary) = batch.known(at, scenario)? {
            let pace = None;
            done.push(Done { summary, pace });
            if !arguments.json {
                let name = &scenario.header.name;
                note!("vpp: {name} was whole in {} already", folder.display());
            }
            continue;
        }
        let mut pace = Pace::new(scenario, options, arguments);
        let summary = batch.replay(at, scenario, |run| pace.step(run))?;
        done.push(pace.done(summary, scenario, &folder, arguments));
    }
    batch.finish()?;
    Ok(done)
}

/// Shows how far a run is, and holds it back where a speed was asked for.
struct Pace {
    bar: ProgressBar,
    began: Instant,
    start: Timestamp,
    /// Where this process began; known from its first step on.
    from: Option<Timestamp>,
    /// Up to where it has come.
    now: Timestamp,
    speed: Option<f64>,
    quiet: bool,
}

impl Pace {
    fn new(scenario: &Scenario, options: Options, arguments: &Arguments) -> Pace {
        let (start, end) = (scenario.start(), scenario.end());
        let end = options.until.map_or(end, |until| until.min(end));
        let seconds = u64::try_from((end - start).num_seconds()).unwrap_or(0);
        let bar = ProgressBar::with_draw_target(Some(seconds), ProgressDrawTarget::stderr());
        if let Ok(style) =
            ProgressStyle::with_template("{prefix} {bar:30.cyan/dim} {msg}, {eta} left")
        {
            bar.set_style(style);
        }
        bar.set_prefix(scenario.header.name.clone());
        #[allow(clippy::disallowed_methods)] // what people see, and how long they wait
        let began = Instant::now();
        Pace {
            bar,
            began,
            start,
            from: None,
            now: start,
            speed: arguments.speed,
            quiet: arguments.json,
        }
    }

    fn done(
        &self,
        summary: Summary,
        scenario: &Scenario,
        folder: &Path,
        arguments: &Arguments,
    ) -> Done {
        self.bar.finish_and_clear();
        if !arguments.json {
            note!("vpp: {} is in {}", scenario.header.name, folder.display());
        }
        let pace = Some(self.lived().as_secs_f64() / self.began.elapsed().as_secs_f64());
        Done { summary, pace }
    }

    /// What this process lived through.
    fn lived(&self) -> Duration {
        let from = self.from.unwrap_or(self.start);
        (self.now - from).to_std().unwrap_or_default()
    }

    fn step(&mut self, run: &Run) {
        self.now = run.now();
        let now = run.now().format("%Y-%m-%d %H:%M UTC");
        if self.from.is_none() {
            self.from = Some(run.now());
            if run.now() > self.start {
                self.bar.reset_eta();
                if !self.quiet {
                    self.bar.suspend(|| note!("vpp: goes on from {now}"));
                }
            }
        }
        let lived = self.lived();
        if let Some(speed) = self.speed {
            let due = lived.div_f64(speed);
            std::thread::sleep(due.saturating_sub(self.began.elapsed()));
        }
        let position = (run.now() - self.start).to_std().unwrap_or_default();
        self.bar.set_position(position.as_secs());
        let times = lived.as_secs_f64() / self.began.elapsed().as_secs_f64();
        self.bar
            .set_message(format!("{now}, {times:.0} times real time"));
    }
}

fn table(done: &[Done]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    let names = done.iter().map(|done| done.summary.scenario.name.clone());
    table.set_header(std::iter::once(String::new()).chain(names));
    type Figure = (&'static str, fn(&Done) -> String);
    let figures: [Figure; 10] = [
        ("drawn, MWh", |d| {
            format!("{:.1}", d.summary.energy.import_kwh / 1e3)
        }),
        ("fed back, MWh", |d| {
            format!("{:.1}", d.summary.energy.export_kwh / 1e3)
        }),
        ("peak, MW", |d| {
            format!("{:.2}", d.summary.energy.peak_kw / 1e3)
        }),
        ("vehicles", |d| d.summary.vehicles.arrivals.to_string()),
        ("left short", |d| {
            d.summary.vehicles.short_departures.to_string()
        }),
        ("  why", |d| {
            let causes = d.summary.vehicles.short_causes.named();
            let seen = causes.iter().filter(|(_, count)| *count > 0);
            let each: Vec<String> = seen
                .map(|(name, count)| format!("{} {count}", name.replace('_', " ")))
                .collect();
            each.join(", ")
        }),
        ("events delivered", |d| {
            let events = &d.summary.events;
            format!("{} of {}", events.delivered, events.events)
        }),
        ("limits broken", |d| d.summary.limits.violations.to_string()),
        ("net cost, CNY", |d| {
            format!("{:.0}", d.summary.money.net_cost_cny)
        }),
        ("times real time", |d| {
            d.pace.map_or("–".into(), |pace| format!("{pace:.0}"))
        }),
    ];
    for (name, figure) in figures {
        table.add_row(std::iter::once(name.to_owned()).chain(done.iter().map(figure)));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_to_stop_is_an_offset_or_a_time() {
        assert_eq!(until("90m"), Ok(Until::Offset(TimeDelta::minutes(90))));
        assert_eq!(until("7d"), Ok(Until::Offset(TimeDelta::days(7))));
        assert!(matches!(
            until("2025-07-16T00:00:00+08:00"),
            Ok(Until::Time(_))
        ));
        for bad in [
            "",
            "h",
            "0h",
            "-1h",
            "12",
            "2025-07-16",
            "99999999999d",
            "1½h",
            "é",
        ] {
            assert!(until(bad).is_err(), "{bad}");
        }
    }
}
