//! The live engine on the broker inside the process: what a burst of reports costs, and what a regulation stream is told.

#[path = "support/flood.rs"]
mod flood;
#[path = "support/live.rs"]
mod live;
#[path = "support/regulating.rs"]
mod regulating;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use prost::Message as _;
use rdkafka::ClientConfig;
use rdkafka::Message as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use tonic::transport::Channel;
use vpp_aggregator::kafka;
use vpp_core::Telemetry;
use vpp_proto::client::register_fleet;
use vpp_proto::convert::from_timestamp;
use vpp_proto::v1::dispatch_service_client::DispatchServiceClient;
use vpp_proto::v1::fleet_service_client::FleetServiceClient;
use vpp_proto::{topics, v1};
use vpp_scenarios::Scenario;
use vpp_scenarios::world::World;
use vpp_service::{Clock, EmbeddedBroker, Service};

use regulating::Regulating;

const SMALL: &str = include_str!("../../../scenarios/fleet-small.toml");

/// An engine with its aggregators, all of whose stations report.
struct Plant {
    broker: EmbeddedBroker,
    service: Service,
    channel: Channel,
    clock: Clock,
    scenario: Scenario,
    stop: Arc<AtomicBool>,
    aggregators: Vec<JoinHandle<Result<kafka::Report, kafka::Error>>>,
    /// Answers to commands that the engine took, as its cycles tell.
    answers: Arc<AtomicU64>,
}

impl Plant {
    async fn start() -> Plant {
        let broker = EmbeddedBroker::start().expect("a broker");
        let scenario = Scenario::parse(SMALL).expect("sound");
        let clock = Clock::starting_at(scenario.start());
        let (service, channel) = live::start(&broker, None, &clock).await;
        let fleet = scenario.fleet().expect("sound");
        let registered = register_fleet(channel.clone(), "embedded", &fleet).await;
        registered.expect("registers");
        let answers = Arc::new(AtomicU64::new(0));
        let mut client = DispatchServiceClient::new(channel.clone());
        let cycles = client.watch_dispatch(v1::WatchDispatchRequest::default());
        let mut cycles = cycles.await.expect("streams").into_inner();
        let taken = Arc::clone(&answers);
        tokio::spawn(async move {
            while let Ok(Some(cycle)) = cycles.message().await {
                taken.fetch_add(cycle.acknowledgement_count.into(), Ordering::Relaxed);
            }
        });
        let stop = Arc::new(AtomicBool::new(false));
        let aggregators = scenario.aggregators.iter().map(|row| {
            let operator = World::operated(&scenario, &row.id).expect("sound");
            let mut config = kafka::Config::new(broker.bootstrap(), row.id.clone());
            config.telemetry_period = Duration::from_secs(1);
            let (clock, stop) = (clock.clone(), Arc::clone(&stop));
            std::thread::spawn(move || {
                let time: kafka::Clock = Arc::new(move || clock.now());
                kafka::run(&config, operator, &time, &stop)
            })
        });
        let aggregators = aggregators.collect();
        let plant = Plant {
            broker,
            service,
            channel,
            clock,
            scenario,
            stop,
            aggregators,
            answers,
        };
        let begun = Instant::now();
        while plant.state().await.fresh_station_count < 12 {
            assert!(begun.elapsed().as_secs() < 60, "the stations do not report");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        plant
    }

    async fn state(&self) -> v1::GetFleetStateResponse {
        let mut client = FleetServiceClient::new(self.channel.clone());
        let request = v1::GetFleetStateRequest::default();
        let state = client.get_fleet_state(request).await;
        state.expect("answers").into_inner()
    }

    fn dispatch(&self) -> DispatchServiceClient<Channel> {
        DispatchServiceClient::new(self.channel.clone())
    }

    /// Stops the aggregators: what each of them did.
    async fn stop_aggregators(&mut self) -> Vec<kafka::Report> {
        self.stop.store(true, Ordering::Relaxed);
        let threads = std::mem::take(&mut self.aggregators);
        let joined = tokio::task::spawn_blocking(|| {
            let join = |thread: JoinHandle<Result<kafka::Report, kafka::Error>>| {
                thread.join().expect("no panic").expect("ran")
            };
            threads.into_iter().map(join).collect()
        });
        joined.await.expect("joined")
    }
}

/// Reads what is sent to the aggregators from now on, until it has as many as asked for or nothing more comes.
struct Commands(BaseConsumer);

impl Commands {
    fn of(plant: &Plant) -> Commands {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", plant.broker.bootstrap())
            .set("group.id", "who counts commands")
            .set("auto.offset.reset", "earliest")
            .create()
            .expect("a consumer");
        let rows = plant.scenario.aggregators.iter();
        let names: Vec<String> = rows.map(|row| topics::commands(&row.id)).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        consumer.subscribe(&names).expect("subscribes");
        Commands(consumer)
    }

    /// Station and sequence number of each.
    fn read(&self, count: u64) -> BTreeSet<(String, String)> {
        let mut found = BTreeSet::new();
        let mut heard = Instant::now();
        while (found.len() as u64) < count && heard.elapsed() < Duration::from_secs(10) {
            if let Some(record) = self.0.poll(Duration::from_millis(100)) {
                let record = record.expect("the broker is there");
                let command = v1::Command::decode(record.payload().unwrap_or_default());
                let command = command.expect("a command");
                found.insert((command.station_id, format!("{:?}", command.sequence)));
                heard = Instant::now();
            }
        }
        found
    }
}

/// So many reports come at once.
const BURST: usize = 30_000;

/// Reports of the same station supersede each other where the engine is behind, and are counted. Of commands and of their answers none
/// is left out: each released command is on its topic, each answer is taken.
#[tokio::test(flavor = "multi_thread")]
async fn in_a_burst_reports_supersede_each_other_and_no_command_is_lost() {
    let mut plant = Plant::start().await;
    let commands = Commands::of(&plant);
    // What asks for commands all the time.
    let end = plant.clock.now() + chrono::TimeDelta::seconds(600);
    let programme = v1::DemandResponse { reduction_kw: 20.0 };
    let event = v1::SubmitEventRequest {
        request_id: "dr".into(),
        programme: Some(v1::submit_event_request::Programme::DemandResponse(
            programme,
        )),
        end_time: Some(from_timestamp(end)),
        ..Default::default()
    };
    let mut dispatch = plant.dispatch();
    dispatch.submit_event(event).await.expect("accepted");

    let rows = plant.scenario.aggregators.iter();
    let old = rows.flat_map(|row| {
        let mut operator = World::operated(&plant.scenario, &row.id).expect("sound");
        operator.telemetry(plant.scenario.start())
    });
    let old: Vec<Telemetry> = old.collect();
    let bootstrap = plant.broker.bootstrap();
    let before = plant.service.statistics().commands.get();
    let sending = tokio::task::spawn_blocking(move || flood::send(&bootstrap, &old, BURST));
    sending.await.expect("the burst is over");
    // Some cycles more.
    tokio::time::sleep(Duration::from_secs(4)).await;

    let reports = plant.stop_aggregators().await;
    let sum = |of: fn(&kafka::Report) -> u64| reports.iter().map(of).sum::<u64>();
    let statistics = Arc::clone(plant.service.statistics());
    let (superseded, refused) = (&statistics.superseded_reports, &statistics.dead_letters);
    let begun = Instant::now();
    let answered = sum(|report| report.acknowledgements);
    while (superseded.get() + refused.get() < BURST as u64
        || plant.answers.load(Ordering::Relaxed) < answered)
        && begun.elapsed().as_secs() < 60
    {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    plant.service.stop().await;
    let (superseded, refused) = (superseded.get(), refused.get());
    assert!(superseded > 0, "{superseded} superseded, {refused} refused");
    // Those of the burst are older than what their stations have reported since: one that is looked at is refused. So each was looked
    // at or superseded, and nothing was superseded besides but reports.
    let all = superseded + refused;
    let reported = sum(|report| report.telemetry);
    assert!(
        (BURST as u64..=BURST as u64 + reported).contains(&all),
        "{superseded} superseded, {refused} refused"
    );

    let released = statistics.commands.get();
    assert!(released > before, "there were commands");
    assert_eq!(statistics.lost_commands.get(), 0);
    let on_topics = tokio::task::spawn_blocking(move || commands.read(released));
    assert_eq!(on_topics.await.expect("read").len() as u64, released);
    // Stations of this fleet are reached: each command taken has its answer, and each answer was taken.
    let taken = sum(|report| report.commands);
    assert_eq!(
        (answered, sum(|report| report.acknowledgements_left)),
        (taken, 0)
    );
    assert_eq!(plant.answers.load(Ordering::Relaxed), answered);
}

/// What the stream tells as achieved is measured: what the stations that regulate would draw without the signal, less what they draw.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_achieved_is_told_on_the_stream() {
    let mut plant = Plant::start().await;
    let mut stream = Regulating::start(&plant.channel).await;
    let started = stream.started.take();
    let Some(v1::regulate_response::Message::Started(started)) = started else {
        panic!("not started: {started:?}");
    };
    let promised = started.capacity_up_kw;
    assert!(promised > 5.0, "{started:?}");

    let regulating: BTreeSet<String> = (plant.scenario.fleet.stations.iter())
        .filter(|row| row.regulates)
        .map(|row| row.id.to_string())
        .collect();
    let mut told = Vec::new();
    // Nothing asked for, all that is promised up, nothing again.
    let values = [(0.0, 20), (1.0, 24), (0.0, 24)];
    let values = values
        .into_iter()
        .flat_map(|(value, times)| vec![value; times]);
    for (sequence, value) in (1..).zip(values) {
        let signal = v1::RegulationSignal {
            sequence,
            signal_time: Some(from_timestamp(plant.clock.now())),
            value,
        };
        let answer = stream.follow(signal).await;
        let Some(v1::regulate_response::Message::Achieved(achieved)) = answer else {
            panic!("not followed: {answer:?}");
        };
        assert_eq!(achieved.sequence, sequence);
        let asked = value * promised;
        assert!(
            (achieved.requested_kw - asked).abs() < 0.01,
            "{achieved:?}, asked {asked}"
        );
        let state = plant.state().await;
        let stations = state.stations.iter();
        let drawn = stations.filter(|station| regulating.contains(&station.station_id));
        let drawn: f64 = drawn.map(|station| station.active_power_kw).sum();
        told.push((achieved.achieved_kw, drawn));
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    // The last answers of each stretch: means of what was achieved, and of what the stations drew.
    let means = [20, 44, 68].map(|end| {
        let last = &told[end - 6..end];
        let mean = |of: fn(&(f64, f64)) -> f64| last.iter().map(of).sum::<f64>() / 6.0;
        (mean(|told| told.0), mean(|told| told.1))
    });
    let [before, up, after] = means;
    // Achieved is what was asked for, less what the stations lag behind; and it is seen in what they draw, by another call.
    for ((achieved, _), asked) in means.into_iter().zip([0.0, promised, 0.0]) {
        assert!(
            (achieved - asked).abs() < 0.4 * promised,
            "{achieved}, asked {asked}: {told:?}"
        );
    }
    for (achieved, drawn) in [before, after] {
        let difference = (up.0 - achieved) - (drawn - up.1);
        assert!(difference.abs() < 0.4 * promised, "{difference}: {told:?}");
    }
    plant.stop_aggregators().await;
    plant.service.stop().await;
}
