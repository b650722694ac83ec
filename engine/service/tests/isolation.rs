//! The control loop keeps its rhythm whatever happens around it: a flood of reports, listeners that do not listen, all
//! processors busy, and so all threads that the process shares.

#[path = "support/flood.rs"]
mod flood;
#[path = "support/regulating.rs"]
mod regulating;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use vpp_aggregator::kafka;
use vpp_proto::client::register_fleet;
use vpp_proto::convert::from_timestamp;
use vpp_proto::v1;
use vpp_proto::v1::dispatch_service_client::DispatchServiceClient;
use vpp_proto::v1::fleet_service_client::FleetServiceClient;
use vpp_scenarios::Scenario;
use vpp_scenarios::world::World;
use vpp_service::{Clock, EmbeddedBroker, Service, ServiceConfig};

const SMALL: &str = include_str!("../../../scenarios/fleet-small.toml");
/// So many reports come at once, all older than what their stations have reported since.
const FLOOD: usize = 60_000;

fn config(bootstrap: String, folder: &std::path::Path) -> ServiceConfig {
    let mut config = ServiceConfig {
        grpc_address: std::net::SocketAddr::from(([127, 0, 0, 1], 0)),
        data_dir: Some(folder.into()),
        ..ServiceConfig::default()
    };
    config.kafka.bootstrap = bootstrap;
    // It makes them by itself.
    config.kafka.create_topics = false;
    config.dispatch.cycle_s = 1.0;
    config.dispatch.deadline_s = 1.0;
    config.dispatch.solve_budget_s = 0.7;
    config.dispatch.telemetry_period_s = 1.0;
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn the_loop_keeps_its_rhythm_in_a_flood_with_deaf_listeners_and_busy_processors() {
    let broker = EmbeddedBroker::start().expect("a broker");
    let folder = tempfile::tempdir().expect("a folder");
    let scenario = Scenario::parse(SMALL).expect("sound");
    let clock = Clock::starting_at(scenario.start());
    let config = config(broker.bootstrap(), folder.path());
    let service = Service::start(config, Vec::new(), clock.clone())
        .await
        .expect("starts");
    let url = format!("http://{}", service.address());
    let channel = tonic::transport::Channel::from_shared(url).expect("a url");
    let channel = channel.connect().await.expect("connects");
    let fleet = scenario.fleet().expect("sound");
    register_fleet(channel.clone(), "isolation", &fleet)
        .await
        .expect("registers");

    let stop = Arc::new(AtomicBool::new(false));
    let mut samples = Vec::new();
    for row in &scenario.aggregators {
        let mut operator = World::operated(&scenario, &row.id).expect("sound");
        samples.extend(operator.telemetry(scenario.start()));
        let mut config = kafka::Config::new(broker.bootstrap(), row.id.clone());
        config.telemetry_period = Duration::from_secs(1);
        let (clock, stop) = (clock.clone(), Arc::clone(&stop));
        std::thread::spawn(move || {
            let time: kafka::Clock = Arc::new(move || clock.now());
            kafka::run(&config, operator, &time, &stop)
        });
    }
    let mut waited = 0;
    while fresh(&channel).await < 12 {
        waited += 1;
        assert!(waited < 120, "the stations do not report");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }

    // Listeners that never read.
    let mut deaf = Vec::new();
    for _ in 0..40 {
        let mut client = DispatchServiceClient::new(channel.clone());
        let stream = client
            .watch_dispatch(v1::WatchDispatchRequest::default())
            .await;
        deaf.push(stream.expect("opens"));
    }
    // Threads that would take all there is.
    for _ in 0..4 {
        let stop = Arc::clone(&stop);
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                std::hint::black_box((0..1_000).sum::<u64>());
            }
        });
    }
    // Work of others on the threads that the whole process shares, three seconds at a time.
    let busy = Arc::clone(&stop);
    std::thread::spawn(move || {
        while !busy.load(Ordering::Relaxed) {
            rayon::broadcast(|_| std::thread::sleep(Duration::from_secs(3)));
        }
    });
    let bootstrap = broker.bootstrap();
    // Each is refused with a dead letter, or left out where a newer one of its station is in the same full batch.
    let flooding = std::thread::spawn(move || flood::send(&bootstrap, &samples, FLOOD));

    let mut stream = regulating::Regulating::start(&channel).await;
    assert!(stream.started.is_some());
    for sequence in 1..=80_u32 {
        let signal = v1::RegulationSignal {
            sequence: sequence.into(),
            signal_time: Some(from_timestamp(clock.now())),
            value: (f64::from(sequence) * 0.2).sin(),
        };
        assert!(stream.follow(signal).await.is_some());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    flooding.join().expect("the flood is over");
    stop.store(true, Ordering::Relaxed);

    let statistics = service.statistics();
    let counts = [
        ("late signals", statistics.late_signals.get()),
        ("deadline misses", statistics.deadline_misses.get()),
        ("skipped cycles", statistics.skipped_cycles.get()),
        ("stalls", statistics.stalls.get()),
        ("lost commands", statistics.lost_commands.get()),
    ];
    for (name, count) in counts {
        assert_eq!(count, 0, "{name}");
    }
    assert!(statistics.cycles.get() >= 8);
    assert_eq!(statistics.signals.get(), 80);
    // The flood did arrive while that went on.
    let records = statistics.records.get();
    assert!(records > 1_000, "{records} records");
    drop(deaf);
    service.stop().await;
}

async fn fresh(channel: &tonic::transport::Channel) -> u32 {
    let mut client = FleetServiceClient::new(channel.clone());
    let state = client
        .get_fleet_state(v1::GetFleetStateRequest::default())
        .await;
    state.expect("answers").into_inner().fresh_station_count
}
