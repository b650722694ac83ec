//! `vpp run`: the whole plant in one process, doing real work.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio_stream::StreamExt as _;
use tonic::transport::Channel;
use vpp_aggregator::{Operator, kafka};
use vpp_core::{EventRequest, Programme, Scope, Timestamp};
use vpp_proto::convert::from_timestamp;
use vpp_proto::v1;
use vpp_proto::v1::dispatch_service_client::DispatchServiceClient;
use vpp_proto::v1::fleet_service_client::FleetServiceClient;
use vpp_scenarios::Scenario;
use vpp_scenarios::world::World;
use vpp_service::{Clock, EmbeddedBroker, Service, ServiceConfig};

use crate::plant;
use crate::summary::{Regulated, Summary};
use crate::view::View;

/// Run a scenario: broker, engine, aggregators with simulated stations, events and regulation through gRPC.
///
/// Examples:
///   vpp run                                          (the built-in pilot, nothing to install)
///   vpp run scenarios/guangzhou-pilot.toml --kafka 127.0.0.1:9092
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// The scenario file; without it the pilot that is built in.
    scenario: Option<PathBuf>,
    /// Use this broker instead of the embedded one.
    #[arg(long, value_name = "HOST:PORT")]
    kafka: Option<String>,
    /// Control cycle in seconds.
    #[arg(long, default_value_t = 4.0)]
    cycle: f64,
    /// Keep the engine's journal here; by default nothing is kept.
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// Print the summary as one JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

pub(crate) fn main(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let scenario = plant::scenario(arguments.scenario.as_deref())?;
    tokio::runtime::Runtime::new()?.block_on(run(arguments, scenario))
}

/// The aggregators' threads; they stop when told.
struct Aggregators {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Result<kafka::Report, kafka::Error>>>,
}

impl Aggregators {
    fn start(operators: Vec<Operator<World>>, bootstrap: &str, clock: &Clock) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let start = |operator: Operator<World>| {
            let config = kafka::Config::new(bootstrap, operator.aggregator().clone());
            let (clock, stop) = (clock.clone(), Arc::clone(&stop));
            std::thread::spawn(move || {
                let time: kafka::Clock = Arc::new(move || clock.now());
                kafka::run(&config, operator, &time, &stop)
            })
        };
        let threads = operators.into_iter().map(start).collect();
        Aggregators { stop, threads }
    }

    fn stop(self) -> anyhow::Result<Vec<kafka::Report>> {
        self.stop.store(true, Ordering::Relaxed);
        let end = |thread: JoinHandle<Result<kafka::Report, kafka::Error>>| {
            Ok(thread
                .join()
                .map_err(|_| anyhow::anyhow!("an aggregator panicked"))??)
        };
        self.threads.into_iter().map(end).collect()
    }
}

async fn run(arguments: Arguments, scenario: Scenario) -> anyhow::Result<ExitCode> {
    let view = View::new(arguments.json);
    let (broker, mut config) = broker(&arguments, &view)?;
    config.grpc_address = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    config.data_dir.clone_from(&arguments.data_dir);
    config.dispatch.cycle_s = arguments.cycle;
    config.dispatch.deadline_s = config.dispatch.deadline_s.min(arguments.cycle);
    config.dispatch.solve_budget_s = config.dispatch.solve_budget_s.min(arguments.cycle * 0.6);
    let bootstrap = config.kafka.bootstrap.clone();

    view.say(&format!(
        "scenario {}: warming up the vehicles of the day before",
        scenario.header.name
    ));
    let operators = operators(&scenario).await?;
    let clock = Clock::starting_at(scenario.start());
    let prices = plant::prices(&scenario)?;
    let service = Service::start(config, prices, clock.clone()).await?;
    let channel = plant::connect(&service.address().to_string()).await?;
    plant::register(channel.clone(), &scenario).await?;
    let aggregators = Aggregators::start(operators, &bootstrap, &clock);
    view.say(&format!(
        "engine on gRPC {}, broker {bootstrap}, {} aggregators, {} stations",
        service.address(),
        scenario.aggregators.len(),
        scenario.fleet.stations.len()
    ));
    await_reports(channel.clone(), &scenario, &view).await?;
    let mut summary = drive(channel, &scenario, &clock, &view).await?;
    summary.read_statistics(service.statistics());
    tokio::task::spawn_blocking(move || aggregators.stop())
        .await?
        .context("stopping the aggregators")?
        .iter()
        .for_each(|report| summary.read_aggregator(report));
    service.stop().await;
    drop(broker);
    view.finish();
    summary.print(arguments.json)?;
    Ok(if summary.is_sound() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn broker(
    arguments: &Arguments,
    view: &View,
) -> anyhow::Result<(Option<EmbeddedBroker>, ServiceConfig)> {
    let mut config = ServiceConfig::default();
    if let Some(kafka) = &arguments.kafka {
        config.kafka.bootstrap.clone_from(kafka);
        // The scenario's clock begins anew with each run: what an earlier run left on the broker is not of this one.
        config.kafka.group = format!("vpp-run-{}", std::process::id());
        config
            .kafka
            .properties
            .insert("auto.offset.reset".into(), "latest".into());
        return Ok((None, config));
    }
    let broker = EmbeddedBroker::start()?;
    view.say(broker.notice());
    config.kafka.bootstrap = broker.bootstrap();
    config.kafka.create_topics = false;
    Ok((Some(broker), config))
}

async fn operators(scenario: &Scenario) -> anyhow::Result<Vec<Operator<World>>> {
    let scenario = scenario.clone();
    tokio::task::spawn_blocking(move || {
        let rows = scenario.aggregators.iter();
        rows.map(|row| Ok(World::operated(&scenario, &row.id)?))
            .collect()
    })
    .await?
}

/// Waits until the fleet reports.
async fn await_reports(channel: Channel, scenario: &Scenario, view: &View) -> anyhow::Result<()> {
    let mut client = FleetServiceClient::new(channel);
    let unreachable = scenario.assumptions.unreachable_station_share;
    for _ in 0..120 {
        let request = v1::GetFleetStateRequest {
            page_size: 1,
            ..Default::default()
        };
        let state = client.get_fleet_state(request).await?.into_inner();
        view.waiting(state.fresh_station_count, state.station_count);
        let share = f64::from(state.fresh_station_count) / f64::from(state.station_count.max(1));
        if share >= 0.97 - 2.0 * unreachable {
            // A few more reports, so that the baseline does not rest on one.
            tokio::time::sleep(Duration::from_secs(6)).await;
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    bail!("the stations do not report after a minute; is the broker reachable for the aggregators?")
}

/// Calls what the scenario calls, watches until all of it is over.
async fn drive(
    channel: Channel,
    scenario: &Scenario,
    clock: &Clock,
    view: &View,
) -> anyhow::Result<Summary> {
    let mut client = DispatchServiceClient::new(channel.clone());
    let mut summary = Summary::new(scenario)?;
    let capability = client
        .get_capability(v1::GetCapabilityRequest::default())
        .await?;
    summary.capability = capability.into_inner().capability;
    view.capability(summary.capability.as_ref());

    let start = clock.now();
    let shift = start - scenario.start();
    let mut end = start;
    for (id, request) in scenario.event_requests()? {
        let request_id = format!("{}.{}.{}", scenario.header.name, id, std::process::id());
        let wire = submit(request_id, request, shift);
        let event = client
            .submit_event(wire)
            .await
            .with_context(|| format!("event {id}"))?;
        let event = event
            .into_inner()
            .event
            .context("the engine answered without the event")?;
        view.event(&event);
        let over = event
            .end_time
            .as_ref()
            .map(|t| t.seconds)
            .unwrap_or_default();
        end = end.max(Timestamp::from_timestamp(over, 0).unwrap_or(start));
        summary.events.push(event);
    }
    let awards: Vec<Timestamp> = (scenario.regulation_intervals()?.iter())
        .inspect(|award| end = end.max(award.end() + shift))
        .map(|award| award.start() + shift)
        .collect();
    let regulation = scenario.regulation.clone().map(|regulation| {
        let name = scenario.header.name.clone();
        let (channel, clock) = (channel.clone(), clock.clone());
        tokio::spawn(async move {
            let mut regulated = Regulated::default();
            for (number, begin) in (1..).zip(awards) {
                let name = format!("{name}.regulation.{number}");
                let award = (&regulation, begin);
                regulate(channel.clone(), name, award, &clock, &mut regulated).await?;
            }
            anyhow::Ok(regulated)
        })
    });
    // Two cycles more, to see stations let go.
    end += chrono::TimeDelta::seconds(8);
    let mut cycles = client
        .watch_dispatch(v1::WatchDispatchRequest {})
        .await?
        .into_inner();
    while let Some(cycle) = cycles.next().await {
        let cycle = cycle?;
        view.cycle(&cycle, start, clock.now(), end);
        summary.add(&cycle);
        if clock.now() >= end {
            break;
        }
    }
    if let Some(task) = regulation {
        summary.regulated = Some(task.await??);
    }
    for event in &mut summary.events {
        let request = v1::GetEventRequest {
            event_id: event.event_id.clone(),
        };
        let now = client.get_event(request).await?.into_inner().event;
        *event = now.context("an event is gone")?;
    }
    Ok(summary)
}

fn submit(
    request_id: String,
    request: EventRequest,
    shift: chrono::TimeDelta,
) -> v1::SubmitEventRequest {
    use v1::submit_event_request::Programme as Wire;
    let (programme, scope) = match &request.programme {
        Programme::DemandResponse { reduction } => {
            let reduction_kw = reduction.as_kilowatts();
            let scope = (request.scope != Scope::All).then(|| (&request.scope).into());
            (
                Wire::DemandResponse(v1::DemandResponse { reduction_kw }),
                scope,
            )
        }
        Programme::ValleyFilling { increase } => {
            let increase_kw = increase.as_kilowatts();
            let scope = (request.scope != Scope::All).then(|| (&request.scope).into());
            (
                Wire::ValleyFilling(v1::ValleyFilling { increase_kw }),
                scope,
            )
        }
        Programme::PeakShaving { node, ceiling } => {
            let (node_id, ceiling_kw) = (node.to_string(), ceiling.as_kilowatts());
            (
                Wire::PeakShaving(v1::PeakShaving {
                    node_id,
                    ceiling_kw,
                }),
                None,
            )
        }
    };
    v1::SubmitEventRequest {
        request_id,
        validate_only: false,
        programme: Some(programme),
        scope,
        start_time: Some(from_timestamp(request.interval.start() + shift)),
        end_time: Some(from_timestamp(request.interval.end() + shift)),
    }
}

/// Plays the grid: opens regulation for an award, sends its signal, notes what is achieved.
async fn regulate(
    channel: Channel,
    name: String,
    (regulation, begin): (&vpp_scenarios::format::Regulation, Timestamp),
    clock: &Clock,
    regulated: &mut Regulated,
) -> anyhow::Result<()> {
    let wait = |since_s: f64| {
        let due = begin + chrono::TimeDelta::from_std(Duration::from_secs_f64(since_s))?;
        anyhow::Ok((due - clock.now()).to_std().unwrap_or_default())
    };
    tokio::time::sleep(wait(0.0)?).await;
    let (sender, receiver) = tokio::sync::mpsc::channel(16);
    let message = |message| v1::RegulateRequest {
        message: Some(message),
    };
    let opening = v1::RegulationStart {
        request_id: format!("{name}.{}", std::process::id()),
        capacity_up_kw: regulation.capacity_up_kw,
        capacity_down_kw: regulation.capacity_down_kw,
        sustain: None,
    };
    sender
        .send(message(v1::regulate_request::Message::Start(opening)))
        .await?;
    let mut client = DispatchServiceClient::new(channel);
    let requests = tokio_stream::wrappers::ReceiverStream::new(receiver);
    let mut answers = client
        .regulate(requests)
        .await
        .context("regulation")?
        .into_inner();
    let mut sequence = 0;
    let mut since = 0.0;
    if let Some(answer) = answers.next().await {
        regulated.take(answer?);
    }
    while let Some(value) = regulation.value_since(since) {
        sequence += 1;
        let signal_time = Some(from_timestamp(clock.now()));
        let signal = v1::RegulationSignal {
            sequence,
            signal_time,
            value,
        };
        sender
            .send(message(v1::regulate_request::Message::Signal(signal)))
            .await?;
        let answer = answers
            .next()
            .await
            .context("the regulation stream ended early")??;
        regulated.take(answer);
        since += regulation.period_s;
        tokio::time::sleep(wait(since)?).await;
    }
    Ok(())
}
