//! A regulation signal through the real chain: gRPC stream, engine, broker, aggregators with the pilot's stations. The
//! engine is a process of its own, so that its memory is its own; it times each command from the arrival of its signal
//! to the broker's receipt.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use tokio_stream::StreamExt as _;
use tonic::transport::Channel;
use vpp_aggregator::kafka;
use vpp_proto::client::register_fleet;
use vpp_proto::convert::from_timestamp;
use vpp_proto::v1;
use vpp_proto::v1::dispatch_service_client::DispatchServiceClient;
use vpp_proto::v1::fleet_service_client::FleetServiceClient;
use vpp_proto::v1::regulate_request::Message;
use vpp_scenarios::Scenario;
use vpp_scenarios::world::World;
use vpp_service::{Clock, Distribution, Service};

use crate::instances;
use crate::support::{self, Broker, round};

/// Between two reports of a station when nothing else is asked for.
const USUAL_REPORT: Duration = Duration::from_secs(2);

/// What runs, and what runs beside it.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Use this broker instead of the embedded one.
    #[arg(long, value_name = "HOST:PORT")]
    kafka: Option<String>,
    /// Stations: the pilot's, or some of them twice.
    #[arg(long, default_value_t = 640)]
    stations: usize,
    /// Whether all stations follow the signal; without it the twenty that the pilot enrols, and their doubles.
    #[arg(long)]
    all_follow: bool,
    /// Values of the signal.
    #[arg(long, default_value_t = 60)]
    signals: u64,
    /// Seconds from one value to the next; 2 s is RegD's.
    #[arg(long, default_value_t = 2.0)]
    period_s: f64,
    /// Reports a second, of all stations together; without it each reports every 2 s.
    #[arg(long)]
    reports_per_s: Option<f64>,
    #[command(flatten)]
    engine: EngineArguments,
}

/// What the engine's process needs to know.
#[derive(Clone, Copy, clap::Args)]
pub(crate) struct EngineArguments {
    /// Seconds of a control cycle.
    #[arg(long, default_value_t = 4.0)]
    cycle_s: f64,
    /// Beside it, in the same process, plan a day in 96 intervals for so many stations, over and over.
    #[arg(long, value_name = "STATIONS")]
    plan_beside: Option<usize>,
}

pub(crate) async fn measure(asked: &Arguments) -> anyhow::Result<Vec<Value>> {
    ensure!(asked.period_s >= 0.01, "a period of at least 0.01 s");
    let broker = Broker::new(asked.kafka.clone())?;
    let clock = Clock::wall();
    let mut scenario = support::pilot_of(asked.stations)?;
    for station in &mut scenario.fleet.stations {
        station.regulates |= asked.all_follow;
    }
    // The world lives now, with the vehicles of this time of day: two processes share only the wall's clock.
    scenario.header.start = clock.now().fixed_offset();
    let stop = Arc::new(AtomicBool::new(false));
    let mut engine = Engine::spawn(&broker, asked.engine)?;
    let channel = support::connect(&engine.address).await?;
    register_fleet(channel.clone(), "bench", &scenario.fleet()?).await?;
    let every = asked.reports_per_s.map_or(USUAL_REPORT, |rate| {
        #[allow(clippy::cast_precision_loss)] // a count of stations
        Duration::from_secs_f64(scenario.fleet.stations.len() as f64 / rate)
    });
    let aggregators = aggregators(&scenario, &broker.bootstrap, every, &clock, &stop)?;
    await_reports(channel.clone()).await?;
    let regulated = regulate(channel, &clock, asked).await;
    let (rss_mib, peak_rss_mib) = engine.memory()?;
    let figures = engine.stop()?;
    stop.store(true, Ordering::Relaxed);
    for aggregator in aggregators {
        let ended = aggregator.join();
        ended.map_err(|_| anyhow::anyhow!("an aggregator panicked"))??;
    }
    let mut row = json!({
        "bench": "end-to-end",
        "broker": broker.name(),
        "stations": scenario.fleet.stations.len(),
        "following": scenario.fleet.stations.iter().filter(|s| s.regulates).count(),
        "period_s": asked.period_s,
        "cycle_s": asked.engine.cycle_s,
        "engine_rss_mib": rss_mib,
        "engine_peak_rss_mib": peak_rss_mib,
    });
    if let (Some(row), Value::Object(figures)) = (row.as_object_mut(), figures) {
        row.extend(figures);
    }
    regulated.with_context(|| format!("until it broke: {row}"))?;
    Ok(vec![row])
}

/// The engine's process: started with the broker's address, it says where it listens; at the end of its input it stops
/// and says what it measured.
struct Engine {
    process: Child,
    output: BufReader<std::process::ChildStdout>,
    address: String,
}

impl Engine {
    fn spawn(broker: &Broker, asked: EngineArguments) -> anyhow::Result<Engine> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["engine", "--kafka", &broker.bootstrap]);
        command.args(["--cycle-s", &asked.cycle_s.to_string()]);
        if let Some(stations) = asked.plan_beside {
            command.args(["--plan-beside", &stations.to_string()]);
        }
        if broker.is_real() {
            command.arg("--create-topics");
        }
        let mut process = command
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = process.stdout.take().context("no output")?;
        let mut engine = Engine {
            process,
            output: BufReader::new(output),
            address: String::new(),
        };
        engine.output.read_line(&mut engine.address)?;
        engine.address = engine.address.trim().to_owned();
        ensure!(!engine.address.is_empty(), "the engine did not start");
        Ok(engine)
    }

    /// Resident memory now and at most, MiB.
    fn memory(&self) -> anyhow::Result<(u64, u64)> {
        let file = format!("/proc/{}/status", self.process.id());
        let status = std::fs::read_to_string(file).context("memory is read from /proc")?;
        let mib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kib = line.and_then(|rest| rest.split_whitespace().nth(1)?.parse::<u64>().ok());
            kib.map(|kib| kib / 1024).context("no such line in /proc")
        };
        Ok((mib("VmRSS")?, mib("VmHWM")?))
    }

    fn stop(&mut self) -> anyhow::Result<Value> {
        drop(self.process.stdin.take());
        let mut text = String::new();
        self.output.read_to_string(&mut text)?;
        self.process.wait()?;
        Ok(serde_json::from_str(&text)?)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // After stop() it is gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The engine's side.
pub(crate) async fn engine(
    kafka: &str,
    create_topics: bool,
    asked: EngineArguments,
) -> anyhow::Result<()> {
    let group = format!("vpp-bench-{}", std::process::id());
    let folder = tempfile::tempdir()?;
    let journal = Some(folder.path().to_owned());
    let mut config = support::engine(kafka, create_topics, group, journal);
    config.dispatch.cycle_s = asked.cycle_s;
    config.dispatch.deadline_s = asked.cycle_s;
    config.dispatch.solve_budget_s = asked.cycle_s * 0.6;
    let service = Service::start(config, Vec::new(), Clock::wall()).await?;
    let plans = asked.plan_beside.map(Planner::start).transpose()?;
    println!("{}", service.address());
    std::io::stdout().flush()?;
    let started = Instant::now();
    let records = service.statistics().records.get();
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    let seconds = started.elapsed().as_secs_f64();
    let statistics = Arc::clone(service.statistics());
    let records = statistics.records.get() - records;
    service.stop().await;
    let (plans, plan_s) = plans.map_or((0, 0.0), Planner::stop);
    #[allow(clippy::cast_precision_loss)] // a count of records
    let records_per_s = (records as f64 / seconds).round();
    println!(
        "{}",
        json!({
            "signals": statistics.signals.get(),
            "late_signals": statistics.late_signals.get(),
            "cycles": statistics.cycles.get(),
            "deadline_misses": statistics.deadline_misses.get(),
            "skipped_cycles": statistics.skipped_cycles.get(),
            "degraded_cycles": statistics.degraded_cycles.get(),
            "cycle_time": quantiles(&statistics.cycle_time),
            "commands": statistics.signal_to_broker.count(),
            "lost_commands": statistics.lost_commands.get(),
            "signal_to_broker": quantiles(&statistics.signal_to_broker),
            "signal_to_commands_released": quantiles(&statistics.signal_to_command),
            "records_per_s": records_per_s,
            "dead_letters": statistics.dead_letters.get(),
            "day_plans_beside": plans,
            "day_plan_median_s": round(plan_s),
        })
    );
    Ok(())
}

/// Plans one and the same day over and over, on a thread of its own at the system's lowest priority.
struct Planner {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<Vec<f64>>,
}

impl Planner {
    fn start(stations: usize) -> anyhow::Result<Planner> {
        let problem = instances::generate(stations, 96, 1);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let plan = move || {
            // What may take minutes stands back for what must be ready within one; threads that the solver starts
            // inherit it. Where the system refuses, the run is only harder.
            let _ = rustix::process::setpriority_process(None, 19);
            let mut seconds = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                let begun = Instant::now();
                let cancel = || stopped.load(Ordering::Relaxed);
                if vpp_optimizer::solve(&problem, None, &cancel).is_ok() && !cancel() {
                    seconds.push(begun.elapsed().as_secs_f64());
                }
            }
            seconds
        };
        let thread = std::thread::Builder::new().name("vpp-day-plan".into());
        Ok(Planner {
            stop,
            thread: thread.spawn(plan)?,
        })
    }

    /// How many plans there were, and the seconds of the median one.
    fn stop(self) -> (usize, f64) {
        self.stop.store(true, Ordering::Relaxed);
        let mut seconds = self.thread.join().unwrap_or_default();
        seconds.sort_by(f64::total_cmp);
        let median = seconds.get(seconds.len() / 2).copied().unwrap_or_default();
        (seconds.len(), median)
    }
}

fn quantiles(distribution: &Distribution) -> Value {
    let ms = |length: Duration| round(length.as_secs_f64() * 1e3);
    json!({
        "median_ms": ms(distribution.quantile(0.5)),
        "p99_ms": ms(distribution.quantile(0.99)),
        "p999_ms": ms(distribution.quantile(0.999)),
        "worst_ms": ms(distribution.worst()),
    })
}

type Aggregator = std::thread::JoinHandle<Result<kafka::Report, kafka::Error>>;

fn aggregators(
    scenario: &Scenario,
    bootstrap: &str,
    every: Duration,
    clock: &Clock,
    stop: &Arc<AtomicBool>,
) -> anyhow::Result<Vec<Aggregator>> {
    let start = |id: &vpp_core::AggregatorId| {
        let operator = World::operated(scenario, id)?;
        let mut config = kafka::Config::new(bootstrap, id.clone());
        config.telemetry_period = every;
        let (clock, stop) = (clock.clone(), Arc::clone(stop));
        Ok(std::thread::spawn(move || {
            let time: kafka::Clock = Arc::new(move || clock.now());
            kafka::run(&config, operator, &time, &stop)
        }))
    };
    scenario.aggregators.iter().map(|a| start(&a.id)).collect()
}

async fn await_reports(channel: Channel) -> anyhow::Result<()> {
    let mut client = FleetServiceClient::new(channel);
    let (mut fresh, mut all) = (0, 0);
    for _ in 0..120 {
        let request = v1::GetFleetStateRequest::default();
        let state = client.get_fleet_state(request).await?.into_inner();
        (fresh, all) = (state.fresh_station_count, state.station_count);
        if fresh * 10 >= all * 9 {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    anyhow::bail!("after a minute {fresh} of {all} stations have reported lately")
}

/// Plays the grid: half of what is callable both ways, and a signal that moves all the time.
async fn regulate(channel: Channel, clock: &Clock, asked: &Arguments) -> anyhow::Result<()> {
    let mut client = DispatchServiceClient::new(channel);
    let request = v1::GetCapabilityRequest::default();
    let answer = client.get_capability(request).await?.into_inner();
    let capability = answer.capability.context("no capability")?;
    let half = |direction: Option<v1::CapabilityDirection>| {
        direction.map_or(0.0, |direction| direction.callable_kw / 2.0)
    };
    let start = v1::RegulationStart {
        request_id: "bench".into(),
        capacity_up_kw: half(capability.up),
        capacity_down_kw: half(capability.down),
        sustain: None,
    };
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    let message = |message| v1::RegulateRequest {
        message: Some(message),
    };
    sender.send(message(Message::Start(start))).await?;
    let requests = tokio_stream::wrappers::ReceiverStream::new(receiver);
    let mut answers = client.regulate(requests).await?.into_inner();
    answers.next().await.context("no answer to the start")??;
    // The next cycles hold the capacity free; before that there is nothing to move.
    tokio::time::sleep(Duration::from_secs(9)).await;
    let mut ticks = tokio::time::interval(Duration::from_secs_f64(asked.period_s));
    for sequence in 1..=asked.signals {
        tokio::select! {
            _ = ticks.tick() => {}
            // A long run that is broken off still says what it measured.
            _ = tokio::signal::ctrl_c() => break,
        }
        #[allow(clippy::cast_precision_loss)] // a count of signals
        let signal = v1::RegulationSignal {
            sequence,
            signal_time: Some(from_timestamp(clock.now())),
            value: (sequence as f64 * 0.7).sin(),
        };
        sender.send(message(Message::Signal(signal))).await?;
        answers.next().await.context("the stream ended early")??;
    }
    // The last receipts.
    tokio::time::sleep(Duration::from_millis(500)).await;
    Ok(())
}
