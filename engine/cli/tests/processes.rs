//! The real processes on a real Kafka broker, killed with `kill -9` in the middle of an event: what anybody was told must
//! still be true afterwards.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

#[path = "../../service/tests/support/kafka.rs"]
mod kafka;
mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use prost::Message as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{ClientConfig, Message as _};
use tonic::transport::Channel;
use vpp_proto::v1::dispatch_service_client::DispatchServiceClient;
use vpp_proto::v1::fleet_service_client::FleetServiceClient;
use vpp_proto::v1::reservation_service_client::ReservationServiceClient;
use vpp_proto::v1::submit_event_request::Programme;
use vpp_proto::{topics, v1};
use vpp_scenarios::Scenario;

use kafka::Kafka;
use support::Vpp;

const SCENARIO: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../scenarios/fleet-small.toml"
);
const AGGREGATORS: [&str; 2] = ["agg-a", "agg-b"];
const STATIONS: usize = 12;
const PATIENCE: Duration = Duration::from_secs(60);

fn serve(config: &Path) -> Vpp {
    Vpp::start(&["serve", "--config", config.to_str().unwrap()], "gRPC on").0
}

fn aggregator(id: &str, bootstrap: &str) -> Vpp {
    let arguments = ["aggregator", SCENARIO, "--id", id, "--kafka", bootstrap];
    Vpp::start(&arguments, "aggregator").0
}

/// One whose owners reserve.
fn with_owners(id: &str, bootstrap: &str, grpc: &str, folder: &Path) -> Vpp {
    let folder = folder.to_str().unwrap();
    let arguments = [
        "aggregator",
        SCENARIO,
        "--id",
        id,
        "--kafka",
        bootstrap,
        "--grpc",
        grpc,
        "--data-dir",
        folder,
    ];
    Vpp::start(&arguments, "aggregator").0
}

/// A stay tomorrow.
fn reserve() -> v1::CreateReservationRequest {
    let after = |hours: u64| Some((SystemTime::now() + Duration::from_secs(hours * 3_600)).into());
    v1::CreateReservationRequest {
        request_id: "reserve".into(),
        validate_only: false,
        reservation: Some(v1::Reservation {
            reservation_id: "r-1".into(),
            station_id: "s-01".into(),
            arrival_time: after(24),
            departure_time: after(32),
            ..Default::default()
        }),
    }
}

fn register(address: &str) {
    let status = Command::new(env!("CARGO_BIN_EXE_vpp"))
        .args(["register", SCENARIO, "--engine", address])
        .status()
        .unwrap();
    assert!(status.success(), "register ends with {status}");
}

/// Records for a while in which the engine dies and comes back.
fn record(engine: &str, broker: &str, folder: &Path) -> Vpp {
    let places = ["record", "--engine", engine, "--broker", broker, "--out"];
    let process = Command::new(env!("CARGO_BIN_EXE_vpp"))
        .args(places)
        .arg(folder)
        .args(["--for", "30s"])
        .stdout(Stdio::null())
        .spawn();
    Vpp(process.unwrap())
}

async fn connect(address: &str) -> Channel {
    let endpoint = Channel::from_shared(format!("http://{address}")).unwrap();
    endpoint.connect().await.unwrap()
}

async fn fresh_stations(channel: &Channel) -> v1::GetFleetStateResponse {
    let begun = Instant::now();
    loop {
        let request = v1::GetFleetStateRequest::default();
        let mut client = FleetServiceClient::new(channel.clone());
        let state = client.get_fleet_state(request).await.unwrap().into_inner();
        if state.fresh_station_count as usize == STATIONS {
            return state;
        }
        assert!(begun.elapsed() < PATIENCE, "they do not report: {state:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn event(channel: &Channel, id: &str) -> v1::Event {
    let request = v1::GetEventRequest {
        event_id: id.into(),
    };
    let mut client = DispatchServiceClient::new(channel.clone());
    let answer = client.get_event(request).await.unwrap();
    answer.into_inner().event.unwrap()
}

/// Watches cycles until one is as wanted; no limit is broken meanwhile.
async fn watch(channel: &Channel, wanted: impl Fn(&v1::WatchDispatchResponse) -> bool) {
    let mut client = DispatchServiceClient::new(channel.clone());
    let request = v1::WatchDispatchRequest {};
    let mut cycles = client.watch_dispatch(request).await.unwrap().into_inner();
    let begun = Instant::now();
    loop {
        let cycle = cycles.message().await.unwrap().unwrap();
        assert_eq!(cycle.limit_violation_count, 0, "{cycle:?}");
        if wanted(&cycle) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "it does not come: {cycle:?}");
    }
}

fn reduction(request_id: &str, kw: f64, from_s: u64, to_s: u64) -> v1::SubmitEventRequest {
    let after = |seconds| Some((SystemTime::now() + Duration::from_secs(seconds)).into());
    v1::SubmitEventRequest {
        request_id: request_id.into(),
        programme: Some(Programme::DemandResponse(v1::DemandResponse {
            reduction_kw: kw,
        })),
        start_time: after(from_s),
        end_time: after(to_s),
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_kill_dash_nine_of_any_process() {
    let kafka = Kafka::start();
    let bootstrap = kafka.bootstrap();
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("engine.toml");
    let address = format!("127.0.0.1:{}", kafka::free_port());
    let text = format!(
        "grpc_address = \"{address}\"\ndata_dir = {:?}\n[kafka]\nbootstrap = \"{bootstrap}\"\n[dispatch]\ncycle_s = 1.0\n\
         deadline_s = 1.0\nsolve_budget_s = 0.7\ntelemetry_period_s = 2.0\n",
        folder.path().join("data")
    );
    std::fs::write(&config, text).unwrap();

    let engine = serve(&config);
    register(&address);
    register(&address);
    let mut aggregators: BTreeMap<&str, Vpp> = BTreeMap::new();
    let owners = format!("127.0.0.1:{}", kafka::free_port());
    let kept = folder.path().join("owners");
    let first = || with_owners(AGGREGATORS[0], &bootstrap, &owners, &kept);
    aggregators.insert(AGGREGATORS[0], first());
    aggregators.insert(AGGREGATORS[1], aggregator(AGGREGATORS[1], &bootstrap));
    let channel = connect(&address).await;
    fresh_stations(&channel).await;
    let recording = folder.path().join("recording");
    let mut recorder = record(&address, &bootstrap, &recording);
    tokio::time::sleep(Duration::from_secs(4)).await;

    // What the engine says yes to: an event now, one later, one called off.
    let mut dispatch = DispatchServiceClient::new(channel.clone());
    let request = v1::GetCapabilityRequest::default();
    let capability = dispatch.get_capability(request).await.unwrap().into_inner();
    let callable = capability.capability.unwrap().up.unwrap().callable_kw;
    assert!(callable > 10.0, "{callable} kW are callable");
    let asked = reduction("now", callable / 2.0, 0, 45);
    let called = [
        asked.clone(),
        reduction("later", 5.0, 3_600, 4_000),
        reduction("off", 5.0, 7_200, 8_000),
    ];
    let mut told = Vec::new();
    for request in called {
        let answer = dispatch.submit_event(request).await.unwrap();
        told.push(answer.into_inner().event.unwrap());
    }
    let request = v1::CancelEventRequest {
        request_id: "call-off".into(),
        event_id: told[2].event_id.clone(),
        ..Default::default()
    };
    dispatch.cancel_event(request).await.unwrap();
    let enough = told[0].accepted_kw * 0.9;
    watch(&channel, |cycle| cycle.delivered_kw >= enough).await;

    // The engine dies, and comes back after a while.
    drop(engine);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let engine = serve(&config);
    let channel = connect(&address).await;
    let state = fresh_stations(&channel).await;
    assert_eq!(state.station_count as usize, STATIONS);
    for before in &told {
        let now = event(&channel, &before.event_id).await;
        assert_eq!(now.commitments, before.commitments);
        assert_eq!(now.end_time, before.end_time);
    }
    let off = event(&channel, &told[2].event_id).await;
    assert_eq!(off.outcome(), v1::EventOutcome::Cancelled);
    let mut dispatch = DispatchServiceClient::new(channel.clone());
    let again = dispatch.submit_event(asked).await.unwrap().into_inner();
    assert_eq!(again.event.unwrap().event_id, told[0].event_id);
    watch(&channel, |cycle| cycle.delivered_kw >= enough).await;

    // An aggregator dies just after it has answered an owner, and comes back at once.
    let mut reservations = ReservationServiceClient::new(connect(&owners).await);
    let wish = reserve();
    let reserved = reservations
        .create_reservation(wish.clone())
        .await
        .unwrap()
        .into_inner();
    drop(aggregators.remove(AGGREGATORS[0]).unwrap());
    aggregators.insert(AGGREGATORS[0], first());
    let mut reservations = ReservationServiceClient::new(connect(&owners).await);
    let again = reservations
        .create_reservation(wish)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(again, reserved);
    let known = v1::ListReservationsRequest::default();
    let known = reservations
        .list_reservations(known)
        .await
        .unwrap()
        .into_inner()
        .reservations;
    assert_eq!(known, [reserved.reservation.unwrap()]);
    tokio::time::sleep(Duration::from_secs(4)).await;
    watch(&channel, |cycle| cycle.delivered_kw >= enough).await;

    let begun = Instant::now();
    let ended = loop {
        let now = event(&channel, &told[0].event_id).await;
        if now.outcome() != v1::EventOutcome::Unspecified {
            break now;
        }
        assert!(begun.elapsed() < PATIENCE, "it does not end: {now:?}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    let short = ended.committed_kwh - ended.delivered_kwh;
    match ended.outcome() {
        v1::EventOutcome::Delivered => {}
        v1::EventOutcome::PartlyDelivered => {
            let stated = ended.shortfall_kwh.unwrap();
            assert!((stated - short).abs() < 1e-6, "{ended:?}");
        }
        other => panic!("an event that was promised ends as {other:?}"),
    }
    assert!(ended.delivered_kwh > 0.0, "{ended:?}");
    let later = event(&channel, &told[1].event_id).await;
    assert_eq!(later.outcome(), v1::EventOutcome::Unspecified);
    // Who read along did not need the engine meanwhile.
    assert!(recorder.0.wait().unwrap().success());
    let recorded = Scenario::load(recording.join("scenario.toml")).unwrap();
    assert_eq!(recorded.fleet.stations.len(), STATIONS);
    assert!(recorded.fleet.stays.len() > STATIONS, "{recorded:?}");
    let reduction_kw = recorded.events[0].reduction_kw.unwrap();
    assert!((reduction_kw - callable / 2.0).abs() < 1e-3);
    drop((engine, aggregators));
    History::read(&bootstrap).check();
}

/// What went over the broker.
#[derive(Default)]
struct History {
    /// When each command expires.
    expiry: BTreeMap<(String, Number), SystemTime>,
    accepted: Vec<(String, Number, SystemTime)>,
    reports: Vec<(String, Option<Number>, SystemTime)>,
}

/// Epoch and number of a command.
type Number = (u64, u64);

fn number(wire: Option<v1::SequenceNumber>) -> Option<Number> {
    wire.map(|number| (number.epoch, number.number))
}

fn time(wire: Option<prost_types::Timestamp>) -> SystemTime {
    wire.unwrap().try_into().unwrap()
}

impl History {
    fn read(bootstrap: &str) -> History {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("group.id", "history")
            .set("auto.offset.reset", "earliest")
            .set("enable.partition.eof", "false")
            .create()
            .unwrap();
        let commands = AGGREGATORS.map(|id| format!("vpp.commands.v1.{id}"));
        let mut names = vec![topics::TELEMETRY, topics::ACKNOWLEDGEMENTS];
        names.extend(commands.iter().map(String::as_str));
        consumer.subscribe(&names).unwrap();
        let mut history = History::default();
        let begun = Instant::now();
        let mut quiet = 0;
        while quiet < 3 {
            assert!(begun.elapsed() < PATIENCE, "the broker does not answer");
            match consumer.poll(Duration::from_secs(1)) {
                Some(message) => {
                    let message = message.unwrap();
                    history.take(message.topic(), message.payload().unwrap());
                    quiet = 0;
                }
                // Nothing comes before the group has its partitions.
                None => quiet += i32::from(!history.reports.is_empty()),
            }
        }
        history
    }

    fn take(&mut self, topic: &str, payload: &[u8]) {
        match topic {
            topics::TELEMETRY => {
                let wire = v1::Telemetry::decode(payload).unwrap();
                let follows = number(wire.command_in_force);
                self.reports
                    .push((wire.station_id, follows, time(wire.sample_time)));
            }
            topics::ACKNOWLEDGEMENTS => {
                let wire = v1::Acknowledgement::decode(payload).unwrap();
                if wire.status() == v1::AcknowledgementStatus::Accepted {
                    let sequence = number(wire.sequence).unwrap();
                    self.accepted
                        .push((wire.station_id, sequence, time(wire.acknowledge_time)));
                }
            }
            _ => {
                let wire = v1::Command::decode(payload).unwrap();
                let key = (wire.station_id, number(wire.sequence).unwrap());
                self.expiry.insert(key, time(wire.expire_time));
            }
        }
    }

    /// A station whose aggregator accepted a command follows it, or a later one, until it expires.
    fn check(&self) {
        let mut checked = 0;
        for (station, accepted, from) in &self.accepted {
            let until = self.expiry[&(station.clone(), *accepted)];
            for (reporter, follows, at) in &self.reports {
                if reporter == station && from < at && *at < until {
                    assert!(
                        *follows >= Some(*accepted),
                        "{station} accepted {accepted:?} at {from:?} and follows {follows:?} at {at:?}"
                    );
                    checked += 1;
                }
            }
        }
        assert!(checked > 100, "only {checked} reports to check");
        let epochs = self.accepted.iter().map(|(_, (epoch, _), _)| epoch);
        let epochs: std::collections::BTreeSet<_> = epochs.collect();
        assert_eq!(epochs.len(), 2, "commands of both lives of the engine");
    }
}
