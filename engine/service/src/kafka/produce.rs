//! What goes out: commands and dead letters.

use std::sync::Arc;
use std::time::{Duration, Instant};

use prost::Message as _;
use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};
use vpp_core::Command;
use vpp_proto::{topics, v1};

use crate::config::KafkaConfig;
use crate::statistics::Statistics;

/// When a command was released, and when the signal that caused it came.
pub(crate) struct Sent {
    released: Instant,
    signal: Option<Instant>,
    command: bool,
}

pub(crate) struct Delivery {
    statistics: Arc<Statistics>,
    /// A receipt is late when it comes so long after the release.
    deadline: Duration,
}

impl ClientContext for Delivery {}

impl ProducerContext for Delivery {
    type DeliveryOpaque = Box<Sent>;

    fn delivery(&self, result: &DeliveryResult<'_>, sent: Box<Sent>) {
        let statistics = &self.statistics;
        match result {
            Ok(_) if sent.command => {
                let taken = sent.released.elapsed();
                statistics.command_to_broker.record(taken);
                statistics
                    .late_receipts
                    .add(u64::from(taken > self.deadline));
                if let Some(signal) = sent.signal {
                    statistics.signal_to_broker.record(signal.elapsed());
                }
            }
            Ok(_) => {}
            Err((error, _)) if sent.command => {
                // The station stays where it was, and the missing answer moves its share in the next cycle.
                statistics.lost_commands.add(1);
                tracing::warn!(%error, "the broker did not take a command");
            }
            Err((error, _)) => {
                statistics.lost_dead_letters.add(1);
                tracing::warn!(%error, "the broker did not take a dead letter");
            }
        }
    }
}

/// Sends without waiting; delivery is counted when the broker answers.
#[derive(Clone)]
pub(crate) struct Producer {
    inner: Arc<ThreadedProducer<Delivery>>,
    statistics: Arc<Statistics>,
}

impl Producer {
    pub(crate) fn new(
        config: &KafkaConfig,
        deadline: Duration,
        statistics: Arc<Statistics>,
    ) -> Result<Producer, KafkaError> {
        let mut client = super::client(&config.bootstrap);
        client
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("linger.ms", "1")
            // A command that waits longer than it holds is of no use any more.
            .set("message.timeout.ms", "30000")
            .set("queue.buffering.max.messages", "500000");
        super::customize(&mut client, &config.properties);
        let inner = client.create_with_context(Delivery {
            statistics: Arc::clone(&statistics),
            deadline,
        })?;
        Ok(Producer {
            inner: Arc::new(inner),
            statistics,
        })
    }

    /// Sends a command; `signal` is when the regulation signal that caused it came.
    pub(crate) fn send_command(
        &self,
        command: &Command,
        released: Instant,
        signal: Option<Instant>,
    ) {
        let topic = topics::commands(&command.aggregator);
        let payload = v1::Command::from(command).encode_to_vec();
        let sent = Box::new(Sent {
            released,
            signal,
            command: true,
        });
        let record = BaseRecord::with_opaque_to(&topic, sent)
            .key(command.station.as_str())
            .payload(&payload);
        self.statistics.commands.add(1);
        if let Err((error, _)) = self.inner.send(record) {
            self.statistics.lost_commands.add(1);
            tracing::warn!(%error, station = %command.station, "a command could not be queued");
        }
    }

    /// Sends a refused record to the dead-letter topic.
    pub(crate) fn send_dead_letter(&self, key: Option<&[u8]>, letter: &v1::DeadLetter) {
        let payload = letter.encode_to_vec();
        let mut waited = 0;
        loop {
            let sent = Box::new(Sent {
                released: Instant::now(),
                signal: None,
                command: false,
            });
            let record = BaseRecord::with_opaque_to(topics::DEAD_LETTER, sent)
                .key(key.unwrap_or_default())
                .payload(&payload);
            match self.inner.send(record) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _))
                    if waited < 100 =>
                {
                    waited += 1;
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err((error, _)) => {
                    self.statistics.lost_dead_letters.add(1);
                    tracing::warn!(%error, "a dead letter could not be queued");
                    break;
                }
            }
        }
    }

    /// Waits until everything is delivered.
    pub(crate) fn flush(&self, timeout: Duration) -> Result<(), KafkaError> {
        self.inner.flush(timeout)
    }
}
