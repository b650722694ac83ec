//! Telemetry through the engine's own ingest (consumer, decoder, state, offsets) beside a bare consumer that only counts:
//! the same messages of the same topic, in turns. Both are timed from their first message to their last.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use chrono::TimeDelta;
use prost::Message as _;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use serde_json::json;
use vpp_core::Telemetry;
use vpp_proto::client::register_fleet;
use vpp_proto::{topics, v1};
use vpp_scenarios::Scenario;
use vpp_scenarios::world::World;
use vpp_service::{Clock, Service};

use crate::support::{self, Broker, round};

const PATIENCE: Duration = Duration::from_secs(60);
/// Between two reports of a station.
const PERIOD: TimeDelta = TimeDelta::seconds(2);

/// A run's figures: messages, and seconds from the first to the last.
struct Pass {
    messages: u64,
    seconds: f64,
}

impl Pass {
    #[allow(clippy::cast_precision_loss)] // far below 2^53
    fn rate(&self) -> f64 {
        self.messages as f64 / self.seconds
    }
}

pub(crate) async fn measure(
    kafka: Option<String>,
    messages: u64,
    rounds: usize,
) -> anyhow::Result<Vec<serde_json::Value>> {
    ensure!(messages > 1 && rounds > 0, "nothing to measure");
    let broker = Broker::new(kafka)?;
    let scenario = support::pilot()?;
    let run = format!("vpp-bench-{}", std::process::id());
    let folder = tempfile::tempdir()?;
    let settings = |round: usize| {
        let mut settings = support::engine(
            &broker.bootstrap,
            broker.is_real(),
            format!("{run}-engine-{round}"),
            Some(folder.path().to_owned()),
        );
        // Each round reads what was there before it.
        let earliest = ("auto.offset.reset".to_owned(), "earliest".to_owned());
        settings.kafka.properties.extend([earliest]);
        settings
    };
    let samples = samples(&scenario)?;
    let last = scenario.start() + PERIOD * i32::try_from(messages)? + TimeDelta::seconds(1);

    // Topics and fleet first; later engines find the fleet in the journal and begin to read at once.
    let service = Service::start(settings(0), Vec::new(), Clock::starting_at(last)).await?;
    let channel = support::connect(&service.address().to_string()).await?;
    register_fleet(channel, "bench", &scenario.fleet()?).await?;
    service.stop().await;
    let bytes = fill(&broker.bootstrap, &samples, &scenario, messages)?;

    let (mut bare, mut engine) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        bare.push(count(&broker.bootstrap, format!("{run}-bare-{round}"), messages)?.rate());
        let clock = Clock::starting_at(last);
        let service = Service::start(settings(round), Vec::new(), clock).await?;
        engine.push(ingest(&service, messages)?.rate());
        service.stop().await;
    }
    let (bare, engine) = (median(bare), median(engine));
    Ok(vec![json!({
        "bench": "ingest",
        "broker": broker.name(),
        "messages": messages,
        "bytes_each": bytes / messages,
        "rounds": rounds,
        "bare_consumer_per_s": bare.round(),
        "engine_per_s": engine.round(),
        "ratio": round(engine / bare),
    })])
}

/// One real report of each station, with its sessions.
fn samples(scenario: &Scenario) -> anyhow::Result<Vec<Telemetry>> {
    let mut samples = Vec::new();
    for aggregator in &scenario.aggregators {
        let mut operator = World::operated(scenario, &aggregator.id)?;
        samples.extend(operator.telemetry(scenario.start()));
    }
    Ok(samples)
}

/// Sends the reports over and over, each time with a later instant. Gives their bytes.
fn fill(
    bootstrap: &str,
    samples: &[Telemetry],
    scenario: &Scenario,
    messages: u64,
) -> anyhow::Result<u64> {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("linger.ms", "5")
        .create()?;
    let (mut at, mut bytes) = (scenario.start(), 0);
    let rows = std::iter::repeat_with(|| {
        at += PERIOD;
        samples.iter().map(move |sample| (at, sample))
    });
    for (at, sample) in rows.flatten().take(usize::try_from(messages)?) {
        let mut wire = v1::Telemetry::from(sample);
        wire.sample_time = Some(vpp_proto::convert::from_timestamp(at));
        let payload = wire.encode_to_vec();
        bytes += payload.len() as u64;
        let mut record = BaseRecord::to(topics::TELEMETRY)
            .key(sample.station.as_str())
            .payload(&payload);
        while let Err((error, unsent)) = producer.send(record) {
            ensure!(
                matches!(
                    error,
                    KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)
                ),
                error
            );
            producer.poll(Duration::from_millis(10));
            record = unsent;
        }
    }
    producer.flush(PATIENCE)?;
    Ok(bytes)
}

/// Reads everything and only counts.
fn count(bootstrap: &str, group: String, messages: u64) -> anyhow::Result<Pass> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", group)
        .set("auto.offset.reset", "earliest")
        .set("fetch.wait.max.ms", "5")
        .create()?;
    consumer.subscribe(&[topics::TELEMETRY])?;
    let begun = Instant::now();
    let (mut first, mut seen) = (None, 0);
    while seen < messages {
        if let Some(message) = consumer.poll(Duration::from_millis(100)) {
            message?;
            first.get_or_insert_with(Instant::now);
            seen += 1;
        }
        ensure!(
            begun.elapsed() < PATIENCE,
            "{seen} of {messages} messages came: the topic holds no more. The embedded broker keeps 100,000 messages or \
             5 MiB of a partition; on a broker of your own, the topic must be empty before"
        );
    }
    let seconds = first.context("no message")?.elapsed().as_secs_f64();
    Ok(Pass { messages, seconds })
}

/// Waits until the engine has everything.
fn ingest(service: &Service, messages: u64) -> anyhow::Result<Pass> {
    let statistics = service.statistics();
    let begun = Instant::now();
    let wait_for = |count: u64| {
        while statistics.records.get() < count {
            ensure!(
                begun.elapsed() < PATIENCE,
                "the engine took {} of {messages} messages",
                statistics.records.get()
            );
            std::thread::sleep(Duration::from_micros(100));
        }
        Ok((Instant::now(), statistics.records.get()))
    };
    // The first batch is not counted: it was under way before the clock started.
    let (first, before) = wait_for(1)?;
    let (last, _) = wait_for(messages)?;
    ensure!(
        statistics.dead_letters.get() == 0,
        "{} messages were refused",
        statistics.dead_letters.get()
    );
    Ok(Pass {
        messages: messages - before,
        seconds: (last - first).as_secs_f64(),
    })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
