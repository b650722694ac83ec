//! The process against a broker: librdkafka's mock cluster, in this process.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]
#![cfg(feature = "kafka")]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use common::{Obedient, aggregator, at, command, kw};
use prost::Message as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, ThreadedProducer};
use rdkafka::{ClientConfig, Message as _, TopicPartitionList};
use vpp_aggregator::Operator;
use vpp_aggregator::kafka::{Clock, Config, Error, Report, run};
use vpp_core::AcknowledgementStatus::{Accepted, Expired, Superseded};
use vpp_core::{Acknowledgement, Command, Telemetry};
use vpp_proto::{topics, v1};

const PATIENCE: Duration = Duration::from_secs(15);

struct Broker {
    cluster: MockCluster<'static, DefaultProducerContext>,
    producer: ThreadedProducer<DefaultProducerContext>,
}

impl Broker {
    fn start() -> Broker {
        let cluster = MockCluster::new(1).unwrap();
        for topic in [
            topics::TELEMETRY,
            topics::ACKNOWLEDGEMENTS,
            &topics::commands(&aggregator()),
        ] {
            cluster.create_topic(topic, 3, 1).unwrap();
        }
        let producer = ClientConfig::new()
            .set("bootstrap.servers", cluster.bootstrap_servers())
            .set("linger.ms", "0")
            .set("reconnect.backoff.max.ms", "500")
            .create()
            .unwrap();
        Broker { cluster, producer }
    }

    fn send(&self, command: &Command) {
        self.send_raw(
            command.station.as_str(),
            &v1::Command::from(command).encode_to_vec(),
        );
    }

    fn send_raw(&self, key: &str, payload: &[u8]) {
        let topic = topics::commands(&aggregator());
        let record = BaseRecord::to(&topic).key(key).payload(payload);
        self.producer
            .send(record)
            .map_err(|(error, _)| error)
            .unwrap();
    }

    /// Reads a topic from its beginning.
    fn reader(&self, topic: &str) -> BaseConsumer {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", self.cluster.bootstrap_servers())
            .set("group.id", "test")
            .set("reconnect.backoff.max.ms", "500")
            .set("auto.offset.reset", "earliest")
            .set("enable.auto.commit", "false")
            .set("fetch.wait.max.ms", "1")
            .create()
            .unwrap();
        let mut all = TopicPartitionList::new();
        for partition in 0..3 {
            all.add_partition_offset(topic, partition, rdkafka::Offset::Beginning)
                .unwrap();
        }
        consumer.assign(&all).unwrap();
        consumer
    }
}

fn next(reader: &BaseConsumer) -> Option<Vec<u8>> {
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        if let Some(Ok(message)) = reader.poll(Duration::from_millis(20)) {
            return Some(message.payload().unwrap_or_default().to_vec());
        }
    }
    None
}

fn answer(reader: &BaseConsumer) -> Acknowledgement {
    let payload = next(reader).expect("an acknowledgement in time");
    v1::Acknowledgement::decode(&*payload)
        .unwrap()
        .try_into()
        .unwrap()
}

fn nothing_more(reader: &BaseConsumer) -> bool {
    reader.poll(Duration::from_millis(300)).is_none()
}

struct Process {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Report, Error>>,
}

impl Process {
    /// A process whose clock begins at the commands' first second.
    fn start(broker: &Broker) -> Process {
        let mut config = Config::new(broker.cluster.bootstrap_servers(), aggregator());
        config.telemetry_period = Duration::from_millis(500);
        let begin = Instant::now();
        let clock: Clock = Arc::new(move || at(0) + TimeDelta::from_std(begin.elapsed()).unwrap());
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        let operator = Operator::new(aggregator(), Obedient::new(3));
        let thread = std::thread::spawn(move || run(&config, operator, &clock, &flag));
        Process { stop, thread }
    }

    fn stop(self) -> Report {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap().unwrap()
    }
}

#[test]
fn commands_are_answered_and_followed_and_reported() {
    let broker = Broker::start();
    let process = Process::start(&broker);
    let (answers, reports) = (
        broker.reader(topics::ACKNOWLEDGEMENTS),
        broker.reader(topics::TELEMETRY),
    );
    let first = command("s0", 7, 0, kw(9));
    broker.send(&first);
    let accepted = answer(&answers);
    assert_eq!(
        (accepted.status, accepted.sequence),
        (Accepted, first.sequence)
    );
    broker.send(&first);
    assert_eq!(
        answer(&answers).status,
        Accepted,
        "a repetition gets the same answer"
    );
    broker.send(&command("s0", 6, 0, kw(11)));
    assert_eq!(answer(&answers).status, Superseded);
    broker.send(&command("s1", 6, -100_000, kw(11)));
    assert_eq!(answer(&answers).status, Expired);
    broker.send_raw("s2", b"\xff\xff\xff");
    broker.send_raw(
        "s0",
        &v1::Command::from(&command("s1", 9, 0, kw(1))).encode_to_vec(),
    );
    broker.send(&command("stranger", 1, 0, kw(1)));
    assert!(nothing_more(&answers));
    let followed = loop {
        let payload = next(&reports).expect("a report in time");
        let report: Telemetry = v1::Telemetry::decode(&*payload)
            .unwrap()
            .try_into()
            .unwrap();
        if report.command_in_force.is_some() {
            break report;
        }
    };
    assert_eq!(
        (followed.station.as_str(), followed.active_power),
        ("s0", kw(9))
    );
    assert_eq!(
        (followed.command_in_force, followed.sessions.len()),
        (Some(first.sequence), 4)
    );
    let report = process.stop();
    assert_eq!(
        (report.commands, report.malformed, report.acknowledgements),
        (5, 2, 4)
    );
    assert_eq!(
        (
            report.operator.unknown_station,
            report.acknowledgements_left
        ),
        (1, 0)
    );
    assert!(report.telemetry >= 3, "{report:?}");
}

#[test]
fn after_a_restart_nothing_is_answered_twice_and_nothing_is_missed() {
    let broker = Broker::start();
    let answers = broker.reader(topics::ACKNOWLEDGEMENTS);
    let process = Process::start(&broker);
    for number in 0..20 {
        broker.send(&command("s0", number, 0, kw(9)));
    }
    (0..20).for_each(|_| assert_eq!(answer(&answers).status, Accepted));
    assert_eq!(process.stop().acknowledgements, 20);
    broker.send(&command("s0", 20, 0, kw(10)));
    broker.send(&command("s1", 1, 0, kw(10)));
    let process = Process::start(&broker);
    (0..2).for_each(|_| assert_eq!(answer(&answers).status, Accepted));
    assert!(nothing_more(&answers));
    assert_eq!(process.stop().acknowledgements, 2);
}

#[test]
fn with_the_broker_away_control_goes_on_and_the_way_back_is_found() {
    let broker = Broker::start();
    let process = Process::start(&broker);
    let answers = broker.reader(topics::ACKNOWLEDGEMENTS);
    broker.send(&command("s0", 1, 0, kw(9)));
    assert_eq!(answer(&answers).status, Accepted);
    broker.cluster.broker_down(1).unwrap();
    std::thread::sleep(Duration::from_secs(3));
    broker.cluster.broker_up(1).unwrap();
    broker.send(&command("s0", 2, 0, kw(8)));
    assert_eq!(answer(&answers).status, Accepted);
    let report = process.stop();
    assert_eq!(
        (report.acknowledgements, report.acknowledgements_left),
        (2, 0),
        "{report:?}"
    );
    assert!(
        report.controls >= 3 && report.controls_missed == 0,
        "{report:?}"
    );
}

#[test]
fn answers_come_soon() {
    let broker = Broker::start();
    let process = Process::start(&broker);
    let answers = broker.reader(topics::ACKNOWLEDGEMENTS);
    broker.send(&command("s0", 0, 0, kw(9)));
    answer(&answers);
    let mut latencies: Vec<Duration> = (1..100)
        .map(|number| {
            let begin = Instant::now();
            broker.send(&command("s0", number, 0, kw(9)));
            answer(&answers);
            begin.elapsed()
        })
        .collect();
    latencies.sort_unstable();
    println!(
        "command to answer: median {:?}, worst {:?}",
        latencies[49], latencies[98]
    );
    assert!(
        latencies[49] < Duration::from_millis(100),
        "{:?}",
        latencies[49]
    );
    process.stop();
}

#[test]
fn another_aggregators_stations_are_no_use() {
    let config = Config::new("127.0.0.1:1", "other".parse().unwrap());
    let operator = Operator::new(aggregator(), Obedient::new(1));
    let clock: Clock = Arc::new(|| at(0));
    let outcome = run(&config, operator, &clock, &Arc::default());
    assert!(matches!(outcome, Err(Error::Aggregator { .. })));
    let mut config = Config::new("127.0.0.1:1", aggregator());
    config.client_properties = BTreeMap::from([("no.such.property".into(), "1".into())]);
    let operator = Operator::new(aggregator(), Obedient::new(1));
    assert!(matches!(
        run(&config, operator, &clock, &Arc::default()),
        Err(Error::Client(_))
    ));
}
