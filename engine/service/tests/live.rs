//! The live engine against a real Kafka broker: an event from call to delivery, bad records, a broker killed and back,
//! and what survives a restart.

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use prost::Message as _;
use rdkafka::ClientConfig;
use rdkafka::Message as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use tonic::Code;
use tonic::transport::Channel;
use vpp_aggregator::kafka;
use vpp_proto::client::register_fleet;
use vpp_proto::convert::from_timestamp;
use vpp_proto::v1::dispatch_service_client::DispatchServiceClient;
use vpp_proto::v1::fleet_service_client::FleetServiceClient;
use vpp_proto::{topics, v1};
use vpp_scenarios::Scenario;
use vpp_scenarios::world::World;
use vpp_service::{Clock, Service, ServiceConfig};

use support::kafka::Kafka;

const SMALL: &str = include_str!("../../../scenarios/fleet-small.toml");

struct Plant {
    service: Service,
    channel: Channel,
    clock: Clock,
    scenario: Scenario,
}

fn config(kafka: &Kafka, folder: Option<&std::path::Path>) -> ServiceConfig {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let grpc_address = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let mut config = ServiceConfig {
        grpc_address,
        ..ServiceConfig::default()
    };
    config.kafka.bootstrap = kafka.bootstrap();
    config.kafka.group = format!("live-{number}");
    config.kafka.partitions = 2;
    config.data_dir = folder.map(Into::into);
    config.dispatch.cycle_s = 1.0;
    config.dispatch.deadline_s = 1.0;
    config.dispatch.solve_budget_s = 0.7;
    config.dispatch.telemetry_period_s = 1.0;
    config
}

async fn start(config: ServiceConfig) -> Plant {
    let scenario = Scenario::parse(SMALL).expect("the small scenario is sound");
    let clock = Clock::starting_at(scenario.start());
    let service = Service::start(config, Vec::new(), clock.clone())
        .await
        .expect("starts");
    let url = format!("http://{}", service.address());
    let channel = Channel::from_shared(url)
        .expect("a url")
        .connect()
        .await
        .expect("connects");
    Plant {
        service,
        channel,
        clock,
        scenario,
    }
}

impl Plant {
    fn fleet(&self) -> FleetServiceClient<Channel> {
        FleetServiceClient::new(self.channel.clone())
    }

    fn dispatch(&self) -> DispatchServiceClient<Channel> {
        DispatchServiceClient::new(self.channel.clone())
    }

    async fn register(&self) {
        let fleet = self.scenario.fleet().expect("sound");
        let registered = register_fleet(self.channel.clone(), "live", &fleet).await;
        registered.expect("registers");
    }

    fn aggregators(&self, kafka: &Kafka, stop: &Arc<AtomicBool>) {
        for row in &self.scenario.aggregators {
            let mut config = kafka::Config::new(kafka.bootstrap(), row.id.clone());
            config.telemetry_period = Duration::from_secs(1);
            let operator = World::operated(&self.scenario, &row.id).expect("sound");
            let (clock, stop) = (self.clock.clone(), Arc::clone(stop));
            std::thread::spawn(move || {
                let time: kafka::Clock = Arc::new(move || clock.now());
                kafka::run(&config, operator, &time, &stop)
            });
        }
    }

    async fn await_fresh(&self, count: u32) {
        for _ in 0..120 {
            let state = self
                .fleet()
                .get_fleet_state(v1::GetFleetStateRequest::default())
                .await;
            if state.expect("answers").into_inner().fresh_station_count >= count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        panic!("{count} stations did not report within a minute");
    }

    fn reduction(&self, id: &str, kw: f64, seconds: i64) -> v1::SubmitEventRequest {
        let end = self.clock.now() + chrono::TimeDelta::seconds(seconds);
        v1::SubmitEventRequest {
            request_id: id.into(),
            programme: Some(v1::submit_event_request::Programme::DemandResponse(
                v1::DemandResponse { reduction_kw: kw },
            )),
            end_time: Some(from_timestamp(end)),
            ..Default::default()
        }
    }
}

/// One broker for one test at a time: they share the topics' names.
static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_delivered_also_when_the_broker_is_killed_meanwhile() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let mut kafka = Kafka::start();
    let plant = start(config(&kafka, None)).await;
    plant.register().await;
    let stop = Arc::new(AtomicBool::new(false));
    plant.aggregators(&kafka, &stop);
    plant.await_fresh(12).await;
    tokio::time::sleep(Duration::from_secs(3)).await;

    let capability = plant
        .dispatch()
        .get_capability(v1::GetCapabilityRequest::default())
        .await;
    let capability = capability
        .expect("answers")
        .into_inner()
        .capability
        .expect("there");
    let callable = capability.up.expect("up").callable_kw;
    assert!(
        callable > 10.0,
        "{callable} kW callable of {} kW",
        capability.active_power_kw
    );

    let request = plant.reduction("dr", callable * 0.5, 40);
    let mut cycles = plant
        .dispatch()
        .watch_dispatch(v1::WatchDispatchRequest {})
        .await
        .expect("streams")
        .into_inner();
    let event = plant
        .dispatch()
        .submit_event(request)
        .await
        .expect("accepted")
        .into_inner();
    let event = event.event.expect("there");
    let (mut delivered_before, mut delivered_after, mut violations) = (0.0_f64, 0.0_f64, 0);
    for number in 0..38 {
        let cycle = cycles.message().await.expect("goes on").expect("goes on");
        violations += cycle.limit_violation_count;
        match number {
            0..10 => delivered_before = delivered_before.max(cycle.delivered_kw),
            10 => {
                tokio::task::block_in_place(|| {
                    kafka.kill();
                    kafka.restart();
                });
            }
            25.. => delivered_after = delivered_after.max(cycle.delivered_kw),
            _ => {}
        }
    }
    assert!(
        delivered_before >= event.accepted_kw * 0.9,
        "{delivered_before} of {event:?}"
    );
    assert!(
        delivered_after >= event.accepted_kw * 0.9,
        "{delivered_after} of {event:?}"
    );
    assert_eq!(violations, 0);
    stop.store(true, Ordering::Relaxed);
    plant.service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_records_go_to_the_dead_letter_topic_and_change_nothing() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let kafka = Kafka::start();
    let mut config = config(&kafka, None);
    // The records are there before the engine reads.
    let earliest = ("auto.offset.reset".to_owned(), "earliest".to_owned());
    config.kafka.properties.extend([earliest]);
    let plant = start(config).await;
    plant.register().await;
    let now = plant.clock.now();
    let id = plant.scenario.fleet.stations[0].id.to_string();
    let good = v1::Telemetry {
        schema_version: 1,
        station_id: id.clone(),
        sample_time: Some(from_timestamp(now)),
        active_power_kw: 5.0,
        ..Default::default()
    };
    let later = |seconds| Some(from_timestamp(now + chrono::TimeDelta::seconds(seconds)));
    let with = |change: &dyn Fn(&mut v1::Telemetry)| {
        let mut telemetry = v1::Telemetry {
            sample_time: later(1),
            ..good.clone()
        };
        change(&mut telemetry);
        telemetry.encode_to_vec()
    };
    let session = |needed: f64| v1::Session {
        departure_time: later(3_600),
        energy_needed_kwh: needed,
        energy_room_kwh: 10.0,
        ..Default::default()
    };
    let bad: Vec<(Vec<u8>, &str)> = vec![
        (vec![0xff, 0xff, 0xff], ""),
        (with(&|t| t.schema_version = 2), "schema_version"),
        (with(&|t| t.active_power_kw = f64::NAN), "active_power_kw"),
        (
            with(&|t| t.active_power_kw = f64::INFINITY),
            "active_power_kw",
        ),
        (with(&|t| t.active_power_kw = 1e6), "active_power_kw"),
        (with(&|t| t.station_id = "nobody".into()), "station_id"),
        (with(&|t| t.sample_time = None), "sample_time"),
        (with(&|t| t.sample_time = later(400)), "sample_time"),
        (with(&|t| t.sample_time = later(-10)), "sample_time"),
        (
            with(&|t| t.sessions = vec![session(-1.0)]),
            "sessions[0].energy_needed_kwh",
        ),
        (
            with(&|t| t.sessions = vec![session(11.0)]),
            "sessions[0].energy_needed_kwh",
        ),
    ];
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", kafka.bootstrap())
        .create()
        .expect("a client");
    let send = |payload: &[u8], key: &str| {
        let record = BaseRecord::to(topics::TELEMETRY).key(key).payload(payload);
        producer.send(record).expect("queued");
    };
    send(&good.encode_to_vec(), &id);
    // The same once more is no error: it is ordinary.
    send(&good.encode_to_vec(), &id);
    for (payload, _) in &bad {
        send(payload, &id);
    }
    send(&good.encode_to_vec(), "another-key");
    producer.flush(Duration::from_secs(10)).expect("delivered");

    let letters = dead_letters(&kafka, bad.len() + 1);
    for (payload, field) in &bad {
        let letter = letters.iter().find(|letter| letter.payload == *payload);
        let letter = letter.unwrap_or_else(|| panic!("no dead letter for {field:?}"));
        // An unknown station is not the key either; the key is looked at first.
        assert_eq!(letter.field, *field, "{}", letter.reason);
        assert_eq!(letter.topic, topics::TELEMETRY);
        assert!(!letter.reason.is_empty());
    }
    let request = v1::GetFleetStateRequest::default();
    let state = plant
        .fleet()
        .get_fleet_state(request)
        .await
        .expect("answers")
        .into_inner();
    let reported: Vec<_> = state
        .stations
        .iter()
        .filter(|s| s.sample_time.is_some())
        .collect();
    assert_eq!(reported.len(), 1, "only the good record counts");
    assert!((reported[0].active_power_kw - 5.0).abs() < 1e-9);
    plant.service.stop().await;
}

fn dead_letters(kafka: &Kafka, count: usize) -> Vec<v1::DeadLetter> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", kafka.bootstrap())
        .set("group.id", "dead-letters")
        .set("auto.offset.reset", "earliest")
        .create()
        .expect("a client");
    consumer
        .subscribe(&[topics::DEAD_LETTER])
        .expect("subscribes");
    let mut letters = Vec::new();
    for _ in 0..300 {
        if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
            let payload = message.payload().expect("a payload");
            letters.push(v1::DeadLetter::decode(payload).expect("a dead letter"));
        }
        if letters.len() == count {
            break;
        }
    }
    assert_eq!(letters.len(), count, "{letters:?}");
    letters
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_a_restart_and_is_not_done_twice() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let kafka = Kafka::start();
    let folder = tempfile::tempdir().expect("a folder");
    let settings = config(&kafka, Some(folder.path()));
    let plant = start(settings.clone()).await;
    plant.register().await;
    let stop = Arc::new(AtomicBool::new(false));
    plant.aggregators(&kafka, &stop);
    plant.await_fresh(12).await;
    let mut request = plant.reduction("dr", 5.0, 3_600);
    request.start_time = Some(from_timestamp(
        plant.clock.now() + chrono::TimeDelta::minutes(30),
    ));
    let first = plant
        .dispatch()
        .submit_event(request.clone())
        .await
        .expect("accepted");
    let first = first.into_inner().event.expect("there");
    stop.store(true, Ordering::Relaxed);
    plant.service.stop().await;

    let plant = start(settings).await;
    let stations = plant
        .fleet()
        .list_stations(v1::ListStationsRequest::default())
        .await;
    assert_eq!(stations.expect("answers").into_inner().stations.len(), 12);
    let again = plant
        .dispatch()
        .submit_event(request.clone())
        .await
        .expect("the same answer");
    assert_eq!(
        again.into_inner().event.expect("there").event_id,
        first.event_id
    );
    let events = plant
        .dispatch()
        .list_events(v1::ListEventsRequest::default())
        .await;
    assert_eq!(events.expect("answers").into_inner().events.len(), 1);
    request.programme = Some(v1::submit_event_request::Programme::DemandResponse(
        v1::DemandResponse { reduction_kw: 6.0 },
    ));
    let other = plant
        .dispatch()
        .submit_event(request)
        .await
        .expect_err("another request");
    assert_eq!(other.code(), Code::AlreadyExists);
    plant.service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_sent_again_after_another_is_not_done_again() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let kafka = Kafka::start();
    let folder = tempfile::tempdir().expect("a folder");
    let settings = config(&kafka, Some(folder.path()));
    let plant = start(settings.clone()).await;
    plant.register().await;
    let station_id = plant.scenario.fleet.stations[0].id.to_string();
    let update = |request_id: &str, path: &str, kw: f64| v1::UpdateStationRequest {
        request_id: request_id.into(),
        station: Some(v1::Station {
            station_id: station_id.clone(),
            ramp_kw_per_second: kw,
            default_setpoint_kw: kw,
            ..Default::default()
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: vec![path.into()],
        }),
        ..Default::default()
    };
    let first = update("u1", "ramp_kw_per_second", 7.0);
    let answer = plant.fleet().update_station(first.clone()).await;
    let answer = answer.expect("changes").into_inner();
    let second = update("u2", "default_setpoint_kw", 1.0);
    let now = plant.fleet().update_station(second).await.expect("changes");

    // The very same, before and after a restart: answered as the first time, and the second one stays.
    let again = plant.fleet().update_station(first.clone()).await;
    assert_eq!(again.expect("is known").into_inner(), answer);
    plant.service.stop().await;
    let plant = start(settings).await;
    let again = plant.fleet().update_station(first).await;
    assert_eq!(again.expect("is known").into_inner(), answer);
    let request = v1::GetStationRequest {
        station_id: station_id.clone(),
    };
    let station = plant.fleet().get_station(request).await.expect("answers");
    assert_eq!(station.into_inner().station, now.into_inner().station);
    let other = update("u1", "ramp_kw_per_second", 8.0);
    let refused = plant.fleet().update_station(other).await;
    assert_eq!(
        refused.expect_err("another request").code(),
        Code::AlreadyExists
    );
    plant.service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_are_refused_with_the_field() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let kafka = Kafka::start();
    let plant = start(config(&kafka, None)).await;
    plant.register().await;
    let mut refused: BTreeMap<&str, (tonic::Status, Code, &str)> = BTreeMap::new();
    let mut dispatch = plant.dispatch();

    let nan = plant.reduction("e1", f64::NAN, 60);
    let status = dispatch.submit_event(nan).await.expect_err("nan");
    refused.insert(
        "nan",
        (
            status,
            Code::InvalidArgument,
            "demand_response.reduction_kw",
        ),
    );
    let negative = plant.reduction("e2", -1.0, 60);
    let status = dispatch.submit_event(negative).await.expect_err("negative");
    refused.insert(
        "negative",
        (
            status,
            Code::InvalidArgument,
            "demand_response.reduction_kw",
        ),
    );
    let past = plant.reduction("e3", 1.0, -60);
    let status = dispatch.submit_event(past).await.expect_err("past");
    refused.insert("past", (status, Code::InvalidArgument, "end_time"));
    let unnamed = plant.reduction("", 1.0, 60);
    let status = dispatch.submit_event(unnamed).await.expect_err("no id");
    refused.insert("unnamed", (status, Code::InvalidArgument, "request_id"));
    // Nobody reports yet: nothing is callable.
    let too_much = plant.reduction("e4", 1.0, 60);
    let status = dispatch
        .submit_event(too_much)
        .await
        .expect_err("nothing callable");
    refused.insert(
        "nothing callable",
        (status, Code::FailedPrecondition, "programme"),
    );
    let unknown = v1::GetEventRequest {
        event_id: "event-999999".into(),
    };
    let status = dispatch.get_event(unknown).await.expect_err("unknown");
    refused.insert("unknown event", (status, Code::NotFound, "event_id"));
    let scope = Some(v1::Scope {
        scope: Some(v1::scope::Scope::NodeId("nowhere".into())),
    });
    let lost = v1::GetCapabilityRequest {
        scope,
        ..Default::default()
    };
    let status = dispatch
        .get_capability(lost)
        .await
        .expect_err("unknown node");
    refused.insert("unknown node", (status, Code::NotFound, "scope.node_id"));
    let at = |hours| {
        Some(from_timestamp(
            plant.clock.now() + chrono::TimeDelta::hours(hours),
        ))
    };
    let (soon, past) = (at(1), at(-1));
    let asked = |start_time, confidence| v1::GetCapabilityRequest {
        start_time,
        confidence,
        ..Default::default()
    };
    for (case, request, field) in [
        ("past start", asked(past, None), "start_time"),
        ("certain", asked(soon, Some(1.0)), "confidence"),
        ("no start", asked(None, Some(0.9)), "confidence"),
    ] {
        let status = dispatch.get_capability(request).await.expect_err(case);
        refused.insert(case, (status, Code::InvalidArgument, field));
    }
    // Too little has been seen to promise anything.
    let answer = dispatch.get_capability(asked(soon, None)).await;
    let reliable = answer
        .expect("answered")
        .into_inner()
        .reliable
        .expect("asked for");
    assert!((reliable.confidence - 0.95).abs() < 1e-12);
    assert_eq!(reliable.up, Some(v1::ReliableDirection::default()));
    let asked = |start_time, hours: i32| v1::GetExpectedVisitsRequest {
        start_time,
        duration: Some(prost_types::Duration {
            seconds: i64::from(hours) * 3_600,
            nanos: 0,
        }),
        ..Default::default()
    };
    for (case, request, field) in [
        ("visits of the past", asked(past, 1), "start_time"),
        ("visits of next week", asked(soon, 168), "duration"),
        ("visits backwards", asked(soon, -1), "duration"),
    ] {
        let status = dispatch.get_expected_visits(request).await.expect_err(case);
        refused.insert(case, (status, Code::InvalidArgument, field));
    }
    let answer = dispatch.get_expected_visits(asked(None, 24)).await;
    assert_eq!(answer.expect("answered").into_inner().quarters, []);

    let mut node: v1::Node = plant.scenario.fleet().expect("sound").tree().nodes()[0]
        .clone()
        .ref_into();
    node.import_limit_kw = -1.0;
    let request = v1::UpdateNodeRequest {
        request_id: "n1".into(),
        node: Some(node),
        ..Default::default()
    };
    let status = plant
        .fleet()
        .update_node(request)
        .await
        .expect_err("negative limit");
    refused.insert(
        "negative limit",
        (status, Code::InvalidArgument, "node.import_limit_kw"),
    );

    for (case, (status, code, field)) in refused {
        assert_eq!(status.code(), code, "{case}: {status:?}");
        let details = tonic_types::StatusExt::get_error_details(&status);
        let violations = &details.bad_request().expect("details").field_violations;
        assert_eq!(violations[0].field, field, "{case}");
    }
    plant.service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_can_be_listed_page_by_page_and_watched() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let kafka = Kafka::start();
    let plant = start(config(&kafka, None)).await;
    plant.register().await;
    let stop = Arc::new(AtomicBool::new(false));
    plant.aggregators(&kafka, &stop);
    plant.await_fresh(12).await;
    let (mut fleet, mut dispatch) = (plant.fleet(), plant.dispatch());

    let aggregators = fleet
        .list_aggregators(v1::ListAggregatorsRequest::default())
        .await;
    let aggregators = aggregators.expect("answers").into_inner().aggregators;
    assert_eq!(aggregators.len(), 2);
    let mut renamed = aggregators[0].clone();
    renamed.display_name = "another name".into();
    let update = v1::UpdateAggregatorRequest {
        request_id: "rename".into(),
        aggregator: Some(renamed.clone()),
        ..Default::default()
    };
    let updated = fleet.update_aggregator(update).await.expect("updated");
    assert_eq!(updated.into_inner().aggregator, Some(renamed));
    let nodes = fleet.list_nodes(v1::ListNodesRequest::default()).await;
    assert_eq!(nodes.expect("answers").into_inner().nodes.len(), 5);
    let (mut stations, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListStationsRequest {
            page_size: 5,
            page_token,
            ..Default::default()
        };
        let page = fleet.list_stations(request).await.expect("answers");
        let page = page.into_inner();
        assert!(page.stations.len() <= 5);
        stations.extend(page.stations.into_iter().map(|station| station.station_id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    stations.dedup();
    assert_eq!(stations.len(), 12);

    let mut events = dispatch
        .watch_events(v1::WatchEventsRequest::default())
        .await
        .expect("answers")
        .into_inner();
    let mut states = fleet
        .watch_fleet_state(v1::WatchFleetStateRequest::default())
        .await
        .expect("answers")
        .into_inner();
    // One after the other: a station is promised to one event at a time.
    for (id, minutes) in [("e1", 0), ("e2", 20), ("e3", 40)] {
        let begin = chrono::TimeDelta::minutes(minutes);
        let end = begin + chrono::TimeDelta::minutes(10);
        let mut request = plant.reduction(id, 1.0, end.num_seconds());
        request.start_time = (minutes > 0).then(|| from_timestamp(plant.clock.now() + begin));
        dispatch.submit_event(request).await.expect("accepted");
    }
    let seen = events.message().await.expect("goes on").expect("an event");
    assert!(seen.event.is_some());
    let seen = states.message().await.expect("goes on").expect("a state");
    assert_eq!(seen.stations.len(), 12);
    let request = v1::ListEventsRequest {
        page_size: 2,
        ..Default::default()
    };
    let page = dispatch.list_events(request.clone()).await;
    let page = page.expect("answers").into_inner();
    assert_eq!(page.events.len(), 2);
    let rest = v1::ListEventsRequest {
        page_token: page.next_page_token,
        ..request
    };
    let rest = dispatch.list_events(rest).await.expect("answers");
    assert_eq!(rest.into_inner().events.len(), 1);

    let mut planned = None;
    for _ in 0..60 {
        if let Ok(plan) = dispatch.get_plan(v1::GetPlanRequest::default()).await {
            planned = Some(plan.into_inner()).filter(|plan| !plan.stations.is_empty());
        }
        if planned.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    let plan = planned.expect("an event makes a plan");
    assert!(!plan.intervals.is_empty());
    stop.store(true, Ordering::Relaxed);
    plant.service.stop().await;
}

/// What grpcurl needs to work without files, and what an orchestrator asks.
#[tokio::test(flavor = "multi_thread")]
async fn health_and_reflection_answer() {
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_check_response::ServingStatus;
    use tonic_health::pb::health_client::HealthClient;
    use tonic_reflection::pb::v1::ServerReflectionRequest;
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

    let _turn = ONE_AT_A_TIME.lock().await;
    let kafka = Kafka::start();
    let plant = start(config(&kafka, None)).await;
    let mut health = HealthClient::new(plant.channel.clone());
    let answer = health.check(HealthCheckRequest::default()).await;
    let status = answer.expect("answers").into_inner().status();
    assert_eq!(status, ServingStatus::Serving);
    let mut reflection = ServerReflectionClient::new(plant.channel.clone());
    let list = ServerReflectionRequest {
        message_request: Some(MessageRequest::ListServices(String::new())),
        ..Default::default()
    };
    let answers = reflection.server_reflection_info(tokio_stream::once(list));
    let mut answers = answers.await.expect("answers").into_inner();
    let answer = answers.message().await.expect("goes on").expect("one");
    let Some(MessageResponse::ListServicesResponse(listed)) = answer.message_response else {
        panic!("{answer:?}");
    };
    for service in ["vpp.v1.FleetService", "vpp.v1.DispatchService"] {
        assert!(
            listed.service.iter().any(|s| s.name == service),
            "{listed:?}"
        );
    }
    plant.service.stop().await;
}

/// A regulation stream of one's own: what is said, and what is answered.
struct Regulation {
    said: tokio::sync::mpsc::Sender<v1::RegulateRequest>,
    answers: tonic::Streaming<v1::RegulateResponse>,
}

impl Regulation {
    async fn open(plant: &Plant, id: &str) -> Self {
        Self::try_open(plant, id).await.expect("opens")
    }

    async fn try_open(plant: &Plant, id: &str) -> Result<Self, tonic::Status> {
        let (said, heard) = tokio::sync::mpsc::channel(4);
        let start = v1::RegulationStart {
            request_id: id.into(),
            capacity_up_kw: 40.0,
            capacity_down_kw: 40.0,
            sustain: None,
        };
        let message = Some(v1::regulate_request::Message::Start(start));
        let start = v1::RegulateRequest { message };
        said.send(start).await.expect("the stream is open");
        let requests = tokio_stream::wrappers::ReceiverStream::new(heard);
        let answers = plant.dispatch().regulate(requests).await?;
        let mut opened = Self {
            said,
            answers: answers.into_inner(),
        };
        let first = opened.answers.message().await.expect("an answer");
        assert!(matches!(
            first.and_then(|answer| answer.message),
            Some(v1::regulate_response::Message::Started(_))
        ));
        Ok(opened)
    }

    async fn signal(
        &mut self,
        sequence: u64,
        time: chrono::DateTime<chrono::Utc>,
        value: f64,
    ) -> Result<v1::RegulationAchieved, tonic::Status> {
        let signal = v1::RegulationSignal {
            sequence,
            signal_time: Some(from_timestamp(time)),
            value,
        };
        let message = Some(v1::regulate_request::Message::Signal(signal));
        let signal = v1::RegulateRequest { message };
        self.said.send(signal).await.expect("the stream is open");
        match self.answers.message().await?.and_then(|a| a.message) {
            Some(v1::regulate_response::Message::Achieved(achieved)) => Ok(achieved),
            other => panic!("not what a value is answered with: {other:?}"),
        }
    }
}

/// `GET /metrics`, as a scraper without HTTP/2 asks for it.
async fn metrics(plant: &Plant) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let address = plant.service.address();
    let mut stream = tokio::net::TcpStream::connect(address)
        .await
        .expect("connects");
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answered");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_regulation_value_is_refused_and_changes_nothing() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let kafka = Kafka::start();
    let plant = start(config(&kafka, None)).await;
    plant.register().await;
    let stop = Arc::new(AtomicBool::new(false));
    plant.aggregators(&kafka, &stop);
    plant.await_fresh(12).await;

    let now = || plant.clock.now();
    let mut regulation = Regulation::open(&plant, "r1").await;
    let followed = regulation.signal(5, now(), 0.5).await.expect("sound");
    assert!(followed.requested_kw != 0.0, "{followed:?}");
    let backwards = now() - chrono::TimeDelta::seconds(30);
    let repeated = regulation.signal(5, now(), -1.0).await.expect("harmless");
    assert!(repeated.note.starts_with("repeated"), "{}", repeated.note);
    for (sequence, time) in [(4, now()), (6, backwards)] {
        let late = regulation.signal(sequence, time, -1.0).await;
        let late = late.expect("harmless");
        assert!(late.note.starts_with("older"), "{}", late.note);
        assert!((late.requested_kw - followed.requested_kw).abs() < 1e-9);
    }

    let ahead = now() + chrono::TimeDelta::minutes(6);
    let cases = [
        (7, ahead, 0.0, "signal.signal_time"),
        (8, now(), f64::NAN, "signal.value"),
        (9, now(), f64::INFINITY, "signal.value"),
    ];
    for (sequence, time, value, field) in cases {
        let status = regulation.signal(sequence, time, value).await;
        let status = status.expect_err("refused");
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        let details = tonic_types::StatusExt::get_error_details(&status);
        let violations = &details.bad_request().expect("details").field_violations;
        assert_eq!(violations[0].field, field);
        // That ended the stream: its successor finds the value in force as it was.
        regulation = Regulation::open(&plant, "r1").await;
        let kept = regulation.signal(5, now(), -1.0).await.expect("harmless");
        let kept_kw = kept.requested_kw;
        assert!((kept_kw - followed.requested_kw).abs() < 1e-9, "{kept:?}");
    }
    let clipped = regulation.signal(20, now(), 1.5).await.expect("cut");
    assert!(clipped.note.starts_with("beyond"), "{}", clipped.note);
    // By half as much as is committed.
    let beyond = clipped.requested_kw.abs() / 2.0;
    assert!(clipped.shortfall_kw >= beyond - 1e-6, "{clipped:?}");
    // Each is counted by what was wrong with it, for whoever watches.
    let metrics = metrics(&plant).await;
    for line in [
        "vpp_signals_total 11",
        "vpp_repeated_signals_total 4",
        "vpp_outdated_signals_total 2",
        "vpp_refused_signals_total 3",
        "vpp_clipped_signals_total 1",
        "vpp_stalls_total 0",
    ] {
        assert!(metrics.lines().any(|l| l == line), "no {line}:\n{metrics}");
    }
    stop.store(true, Ordering::Relaxed);
    plant.service.stop().await;
}

/// A sender that opens another stream goes on with that one; what still comes on the first changes nothing, its end neither.
/// Nobody else is let in between.
#[tokio::test(flavor = "multi_thread")]
async fn one_sender_is_followed_on_the_stream_that_it_opened_last() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let kafka = Kafka::start();
    let plant = start(config(&kafka, None)).await;
    plant.register().await;
    let stop = Arc::new(AtomicBool::new(false));
    plant.aggregators(&kafka, &stop);
    plant.await_fresh(12).await;

    let now = || plant.clock.now();
    let mut first = Regulation::open(&plant, "r1").await;
    first.signal(1, now(), 0.5).await.expect("sound");
    let other = Regulation::try_open(&plant, "r2").await;
    let status = other.err().expect("another is followed");
    assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");

    let mut second = Regulation::open(&plant, "r1").await;
    let followed = second.signal(2, now(), 0.25).await.expect("sound");
    let status = first.signal(3, now(), -1.0).await.expect_err("replaced");
    assert_eq!(status.code(), Code::Aborted, "{status:?}");
    drop(first);
    let kept = second.signal(2, now(), 1.0).await.expect("harmless");
    assert!(
        (kept.requested_kw - followed.requested_kw).abs() < 1e-9,
        "{kept:?}"
    );
    let metrics = metrics(&plant).await;
    for line in [
        "vpp_refused_streams_total 1",
        "vpp_replaced_streams_total 1",
        "vpp_signals_total 3",
    ] {
        assert!(metrics.lines().any(|l| l == line), "no {line}:\n{metrics}");
    }
    stop.store(true, Ordering::Relaxed);
    plant.service.stop().await;
}

/// `(&T).into()` for a value at hand.
trait RefInto: Sized {
    fn ref_into<T: for<'a> From<&'a Self>>(self) -> T {
        T::from(&self)
    }
}

impl RefInto for vpp_core::Node {}
