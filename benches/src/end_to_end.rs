//! A regulation signal through the real chain: gRPC stream, engine, broker, aggregators with the pilot's stations. The
//! engine is a process of its own, so that its memory is its own; it times each command from the arrival of its signal
//! to the broker's receipt.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use tokio_stream::StreamExt as _;
use tonic::transport::Channel;
use vpp_aggregator::{Operator, kafka};
use vpp_proto::client::register_fleet;
use vpp_proto::convert::from_timestamp;
use vpp_proto::v1;
use vpp_proto::v1::dispatch_service_client::DispatchServiceClient;
use vpp_proto::v1::fleet_service_client::FleetServiceClient;
use vpp_proto::v1::regulate_request::Message;
use vpp_scenarios::Scenario;
use vpp_scenarios::world::World;
use vpp_service::{Clock, Distribution, Service};

use crate::support::{self, Broker, round};

/// Between two values of the signal; that of RegD.
const PERIOD: Duration = Duration::from_secs(2);

pub(crate) async fn measure(kafka: Option<String>, signals: u64) -> anyhow::Result<Vec<Value>> {
    let broker = Broker::new(kafka)?;
    let clock = Clock::wall();
    let mut scenario = support::pilot()?;
    // The world lives now, with the vehicles of this time of day: two processes share only the wall's clock.
    scenario.header.start = clock.now().fixed_offset();
    let stop = Arc::new(AtomicBool::new(false));
    let mut engine = Engine::spawn(&broker)?;
    let channel = support::connect(&engine.address).await?;
    register_fleet(channel.clone(), "bench", &scenario.fleet()?).await?;
    let aggregators = aggregators(&scenario, &broker.bootstrap, &clock, &stop)?;
    await_reports(channel.clone()).await?;
    regulate(channel, &clock, signals).await?;
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
        "signals": signals,
        "engine_rss_mib": rss_mib,
        "engine_peak_rss_mib": peak_rss_mib,
    });
    if let (Some(row), Value::Object(figures)) = (row.as_object_mut(), figures) {
        row.extend(figures);
    }
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
    fn spawn(broker: &Broker) -> anyhow::Result<Engine> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["engine", "--kafka", &broker.bootstrap]);
        if broker.is_real() {
            command.arg("--create-topics");
        }
        let mut process = command
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
pub(crate) async fn engine(kafka: &str, create_topics: bool) -> anyhow::Result<()> {
    let group = format!("vpp-bench-{}", std::process::id());
    let config = support::engine(kafka, create_topics, group, None);
    let service = Service::start(config, Vec::new(), Clock::wall()).await?;
    println!("{}", service.address());
    std::io::stdout().flush()?;
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    let statistics = Arc::clone(service.statistics());
    service.stop().await;
    println!(
        "{}",
        json!({
            "commands": statistics.signal_to_broker.count(),
            "signal_to_broker": quantiles(&statistics.signal_to_broker),
            "signal_to_commands_released": quantiles(&statistics.signal_to_command),
            "lost_commands": statistics.lost_commands.get(),
        })
    );
    Ok(())
}

fn quantiles(distribution: &Distribution) -> Value {
    let ms = |length: Duration| round(length.as_secs_f64() * 1e3);
    json!({
        "median_ms": ms(distribution.quantile(0.5)),
        "p99_ms": ms(distribution.quantile(0.99)),
        "worst_ms": ms(distribution.worst()),
    })
}

type Aggregator = std::thread::JoinHandle<Result<kafka::Report, kafka::Error>>;

fn aggregators(
    scenario: &Scenario,
    bootstrap: &str,
    clock: &Clock,
    stop: &Arc<AtomicBool>,
) -> anyhow::Result<Vec<Aggregator>> {
    let start = |id: &vpp_core::AggregatorId| {
        let world = World::from_scenario(scenario, Some(id))?;
        let operator = Operator::new(id.clone(), world);
        let config = kafka::Config::new(bootstrap, id.clone());
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
    for _ in 0..120 {
        let request = v1::GetFleetStateRequest::default();
        let state = client.get_fleet_state(request).await?.into_inner();
        if state.fresh_station_count * 10 >= state.station_count * 9 {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    anyhow::bail!("the stations do not report after a minute")
}

/// Plays the grid: half of what is callable both ways, and a signal that moves all the time.
async fn regulate(channel: Channel, clock: &Clock, signals: u64) -> anyhow::Result<()> {
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
    let mut ticks = tokio::time::interval(PERIOD);
    for sequence in 1..=signals {
        ticks.tick().await;
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
