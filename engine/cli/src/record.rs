//! `vpp record`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use chrono::{TimeDelta, Utc};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::runtime::Runtime;
use tonic::transport::Channel;
use vpp_core::{Aggregator, AggregatorId, Event, Fleet, Node, Station};
use vpp_market_adapters::RulePack;
use vpp_proto::v1;
use vpp_proto::v1::dispatch_service_client::DispatchServiceClient;
use vpp_proto::v1::fleet_service_client::FleetServiceClient;
use vpp_results::files;
use vpp_scenarios::record::{self, About, Counts, Recorder, Recording, SCENARIO_FILE, STAYS_FILE};
use vpp_scenarios::{Scenario, stays};
use vpp_service::Listener;

use crate::plant;
use crate::replay::{Until, until};
use crate::say::{note, say};

/// Record what a running plant reports, as a scenario that `vpp replay` takes.
///
/// The engine says who and what there is and what it was called for; the broker's telemetry, from now on, says which vehicles
/// come, stay and leave. Nothing is written to either. Reports name no vehicles: they are recognised from one report to the next by
/// departure, limits and energy. Ctrl-C ends it sooner and keeps what was recorded.
///
/// Examples:
///
///   vpp record --engine 127.0.0.1:50051 --broker 127.0.0.1:9092 --out tuesday --for 24h
///
///   vpp check tuesday/scenario.toml && vpp replay tuesday/scenario.toml --out results
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// Where the engine's gRPC is.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:50051")]
    engine: String,
    /// Where the broker is.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9092")]
    broker: String,
    /// The folder of the recording: scenario.toml and sessions.csv.
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// For how long: 30s, 90m, 24h, 7d.
    #[arg(long = "for", value_name = "LENGTH", default_value = "1h", value_parser = length)]
    length: TimeDelta,
    /// The scenario's name (default: the folder's).
    #[arg(long)]
    name: Option<AggregatorId>,
    /// The rule pack of its prices.
    #[arg(long, value_name = "RULE_PACK", default_value = "guangdong-2025@1")]
    tariff: String,
    /// Write into a folder that holds something; a recording in it is replaced.
    #[arg(long)]
    force: bool,
}

/// How often the progress is shown, and Ctrl-C looked for.
const LOOK: Duration = Duration::from_millis(100);

fn length(text: &str) -> Result<TimeDelta, String> {
    match until(text) {
        Ok(Until::Offset(length)) if length <= TimeDelta::days(366) => Ok(length),
        Ok(Until::Offset(_)) => Err("is more than 366 days".into()),
        _ => Err("is no length such as 90m or 24h".into()),
    }
}

pub(crate) fn main(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    // Whatever can be refused is refused before an hour has been recorded.
    may_write(&arguments.out, arguments.force)?;
    if RulePack::by_name(&arguments.tariff).is_none() {
        let known: Vec<&str> = RulePack::names().collect();
        let (tariff, known) = (&arguments.tariff, known.join(", "));
        bail!("--tariff: there is no rule pack {tariff}; there is {known}");
    }
    let name = name(arguments)?;
    let runtime = Runtime::new()?;
    let channel = runtime.block_on(plant::connect(&arguments.engine))?;
    let fleet = runtime.block_on(fleet(channel.clone()))?;
    if fleet.stations().is_empty() {
        let engine = &arguments.engine;
        bail!("the engine at {engine} has no stations; register them first, with `vpp register`");
    }
    let listener = Listener::start(&arguments.broker);
    let listener = listener.with_context(|| format!("reading from {}", arguments.broker))?;
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    runtime.spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            flag.store(true, Ordering::Relaxed);
        }
    });
    let mut recorder = Recorder::new(fleet.stations().to_vec());
    let spent = listen(&listener, &mut recorder, arguments.length, &stop)?;
    let counts = recorder.counts();
    let Some(recording) = recorder.finish() else {
        bail!("no station of the engine has reported; do aggregators run with this broker?");
    };
    let called = match runtime.block_on(events(channel)) {
        Ok(called) => called,
        // What was recorded is not lost with the engine.
        Err(error) => {
            note!("vpp: what was called is missing, for the engine does not say it: {error:#}");
            Vec::new()
        }
    };
    let about = About {
        name,
        description: format!(
            "{} stations as they reported live, with the vehicles that came.",
            fleet.stations().len()
        ),
        length: spent,
        rule_pack: arguments.tariff.clone(),
    };
    let text = record::scenario(&about, &recording, &fleet, &called)?;
    let file = write(&arguments.out, &text, &recording)?;
    // What cannot be replayed is told now.
    Scenario::load(&file)?;
    say!("{}", words(&counts, fleet.stations().len()));
    say!(
        "{}: {} stays; replay it with: vpp replay {} --out results",
        file.display(),
        recording.stays.len(),
        file.display()
    );
    Ok(ExitCode::SUCCESS)
}

fn may_write(folder: &Path, force: bool) -> anyhow::Result<()> {
    let there = match std::fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
        Err(error) => return Err(error).with_context(|| folder.display().to_string()),
    };
    if there && !force {
        bail!("{} is not empty; --force writes into it", folder.display());
    }
    Ok(())
}

fn name(arguments: &Arguments) -> anyhow::Result<String> {
    if let Some(name) = &arguments.name {
        return Ok(name.to_string());
    }
    let folder = arguments.out.file_name().and_then(|name| name.to_str());
    let name = AggregatorId::new(folder.unwrap_or("recorded"));
    let name = name.map_err(|invalid| {
        anyhow::anyhow!("the folder's name is none for a scenario, give --name: {invalid}")
    })?;
    Ok(name.to_string())
}

/// Takes reports until the time is over or somebody says stop; for how long it was.
fn listen(
    listener: &Listener,
    recorder: &mut Recorder,
    length: TimeDelta,
    stop: &AtomicBool,
) -> anyhow::Result<TimeDelta> {
    let length = length.to_std()?;
    let bar = ProgressBar::with_draw_target(Some(length.as_secs()), ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{bar:30.cyan/dim} {msg}") {
        bar.set_style(style);
    }
    #[allow(clippy::disallowed_methods)] // how long people wait
    let began = Instant::now();
    let mut shown = Duration::ZERO;
    while began.elapsed() < length && !stop.load(Ordering::Relaxed) {
        match listener.next(LOOK.min(length - began.elapsed().min(length))) {
            Some(Ok(report)) => recorder.take(Utc::now(), &report),
            Some(Err(_)) => recorder.refuse(),
            None => {}
        }
        let spent = began.elapsed();
        if spent >= shown + LOOK {
            shown = spent;
            let left = length.saturating_sub(spent).as_secs();
            let Counts {
                reports,
                stations,
                stays,
                ..
            } = recorder.counts();
            bar.set_position(spent.as_secs());
            bar.set_message(format!(
                "{left} s left, {reports} reports of {stations} stations, {stays} stays"
            ));
        }
    }
    bar.finish_and_clear();
    Ok(TimeDelta::from_std(began.elapsed().min(length))?)
}

/// Writes the scenario last: a folder without it holds no recording.
fn write(folder: &Path, text: &str, recording: &Recording) -> anyhow::Result<PathBuf> {
    let problem = || format!("cannot write {}", folder.display());
    std::fs::create_dir_all(folder).with_context(problem)?;
    let file = folder.join(SCENARIO_FILE);
    match std::fs::remove_file(&file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(problem);
        }
        _ => {}
    }
    let table = stays::to_csv(&recording.stays)?;
    files::write(&folder.join(STAYS_FILE), table)?;
    files::write(&file, text)?;
    Ok(file)
}

fn words(counts: &Counts, stations: usize) -> String {
    format!(
        "{} reports of {} of {stations} stations; left out: {} late, {} repeated, {} of unknown stations, {} unreadable or \
         impossible",
        counts.reports,
        counts.stations,
        counts.late,
        counts.repeated,
        counts.unknown,
        counts.refused
    )
}

/// Who and what there is.
async fn fleet(channel: Channel) -> anyhow::Result<Fleet> {
    let mut client = FleetServiceClient::new(channel);
    let mut fleet = Fleet::default();
    let mut page_token = String::new();
    loop {
        let request = v1::ListAggregatorsRequest {
            page_size: 0,
            page_token,
        };
        let page = client.list_aggregators(request).await?.into_inner();
        for aggregator in page.aggregators {
            fleet.insert_aggregator(Aggregator::try_from(aggregator)?)?;
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    loop {
        let request = v1::ListNodesRequest {
            page_size: 1_000,
            page_token,
        };
        let page = client.list_nodes(request).await?.into_inner();
        for node in page.nodes {
            fleet.insert_node(Node::try_from(node)?)?;
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    loop {
        let request = v1::ListStationsRequest {
            page_size: 1_000,
            page_token,
            ..Default::default()
        };
        let page = client.list_stations(request).await?.into_inner();
        for station in page.stations {
            fleet.insert_station(Station::try_from(station)?)?;
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(fleet);
        }
    }
}

/// What was called, the earliest first.
async fn events(channel: Channel) -> anyhow::Result<Vec<Event>> {
    let mut client = DispatchServiceClient::new(channel);
    let (mut events, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListEventsRequest {
            page_size: 1_000,
            page_token,
        };
        let page = client.list_events(request).await?.into_inner();
        for event in page.events {
            events.push(Event::try_from(event)?);
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    events.sort_by(|a, b| {
        let start = |event: &Event| event.request.interval.start();
        (start(a), &a.id).cmp(&(start(b), &b.id))
    });
    Ok(events)
}
