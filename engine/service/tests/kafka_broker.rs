//! The broker under the other tests is real, and keeps what it acknowledged when it is killed.

#![allow(clippy::unwrap_used, reason = "what fails in a helper fails the test")]

mod support;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{ClientConfig, Message};

use support::kafka::Kafka;

const PARTITIONS: i32 = 3;
const RETENTION_MS: &str = "86400000";
const MESSAGES: usize = 1_000;

#[tokio::test]
async fn what_was_acknowledged_survives_kill_dash_nine() {
    let mut kafka = Kafka::start();
    create_topic(&kafka, "survives").await;
    let sent: BTreeSet<String> = (0..MESSAGES)
        .map(|number| format!("message {number}"))
        .collect();
    produce(&kafka, "survives", &sent).await;

    kafka.kill();
    assert!(
        std::net::TcpStream::connect(kafka.bootstrap()).is_err(),
        "it is dead"
    );
    kafka.restart();

    // Nothing lost, nothing twice: the list is as long as the set.
    let received = consume_all(&kafka, "survives");
    assert_eq!(received.len(), MESSAGES);
    assert_eq!(received.into_iter().collect::<BTreeSet<_>>(), sent);
}

#[tokio::test]
async fn a_topic_has_the_partitions_and_the_retention_it_was_made_with() {
    let kafka = Kafka::shared();
    create_topic(kafka, "made").await;

    let made = admin(kafka)
        .describe_configs(&[ResourceSpecifier::Topic("made")], &AdminOptions::new())
        .await
        .unwrap()
        .remove(0)
        .unwrap();
    assert_eq!(
        made.get("retention.ms").unwrap().value.as_deref(),
        Some(RETENTION_MS)
    );
    assert_eq!(partitions(kafka, "made"), Some(3));
}

#[tokio::test]
async fn a_topic_that_nobody_made_does_not_exist() {
    assert_eq!(partitions(Kafka::shared(), "nobody-made-it"), None);
}

fn client(kafka: &Kafka) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", kafka.bootstrap());
    config
}

fn admin(kafka: &Kafka) -> AdminClient<DefaultClientContext> {
    client(kafka).create().unwrap()
}

async fn create_topic(kafka: &Kafka, name: &str) {
    let topic = NewTopic::new(name, PARTITIONS, TopicReplication::Fixed(1))
        .set("retention.ms", RETENTION_MS);
    let results = admin(kafka)
        .create_topics(&[topic], &AdminOptions::new())
        .await
        .unwrap();
    assert_eq!(results, [Ok(name.to_owned())]);
}

/// The number of partitions, if the broker knows the topic.
fn partitions(kafka: &Kafka, topic: &str) -> Option<usize> {
    let consumer: BaseConsumer = client(kafka).create().unwrap();
    let metadata = consumer
        .fetch_metadata(Some(topic), Duration::from_secs(10))
        .unwrap();
    let topic = metadata.topics().first().unwrap();
    topic.error().is_none().then_some(topic.partitions().len())
}

/// Returns when the broker has acknowledged every message.
async fn produce(kafka: &Kafka, topic: &str, messages: &BTreeSet<String>) {
    let producer: FutureProducer = client(kafka)
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("linger.ms", "5")
        .create()
        .unwrap();
    let sent: Vec<_> = messages
        .iter()
        .map(|message| {
            let record = FutureRecord::to(topic).key(message).payload(message);
            producer
                .send_result(record)
                .map_err(|(error, _)| error)
                .unwrap()
        })
        .collect();
    for delivery in sent {
        delivery.await.unwrap().unwrap();
    }
}

/// Every message of the topic, read by a group from the beginning of each partition to its end.
fn consume_all(kafka: &Kafka, topic: &str) -> Vec<String> {
    let consumer: BaseConsumer = client(kafka)
        .set("group.id", format!("readers of {topic}"))
        .set("auto.offset.reset", "earliest")
        .set("enable.partition.eof", "true")
        .create()
        .unwrap();
    consumer.subscribe(&[topic]).unwrap();

    let started = Instant::now();
    let mut ended = BTreeSet::new();
    let mut received = Vec::new();
    while ended.len() < usize::try_from(PARTITIONS).unwrap() {
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "read {} so far",
            received.len()
        );
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                received.push(String::from_utf8(message.payload().unwrap().to_vec()).unwrap());
            }
            Some(Err(rdkafka::error::KafkaError::PartitionEOF(partition))) => {
                ended.insert(partition);
            }
            Some(Err(error)) => panic!("{error}"),
            None => {}
        }
    }
    received
}
