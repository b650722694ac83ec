//! Reading along: what stations report from now on, without a trace on the broker.

use std::time::Duration;

use rdkafka::Message as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};
use vpp_core::{Invalid, Telemetry};
use vpp_dispatch::Input;
use vpp_proto::topics;

use super::ingest::decode;

/// How long the broker may take to say which partitions there are.
const ANSWER: Duration = Duration::from_secs(10);

/// Why nothing can be read.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The broker does not answer, or refuses.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// It has no telemetry.
    #[error(
        "there is no topic {}; does an engine run with this broker?",
        topics::TELEMETRY
    )]
    NoTopic,
}

/// Reads telemetry from now on. Partitions are assigned by hand and nothing is committed: no group comes into being, and nobody
/// else's reading changes.
pub struct Listener {
    consumer: BaseConsumer,
}

impl Listener {
    /// Begins at the end of what is there.
    ///
    /// # Errors
    /// When the broker does not answer within ten seconds, or has no telemetry.
    pub fn start(bootstrap: &str) -> Result<Listener, ListenError> {
        let mut client = super::client(bootstrap);
        client
            // The client library wants a name; without a commit the broker never hears it.
            .set("group.id", format!("vpp-listener-{}", std::process::id()))
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "latest");
        let consumer: BaseConsumer = client.create()?;
        let metadata = consumer.fetch_metadata(Some(topics::TELEMETRY), ANSWER)?;
        let known = metadata.topics().iter();
        let mut assignment = TopicPartitionList::new();
        for topic in known.filter(|topic| topic.name() == topics::TELEMETRY) {
            for partition in topic.partitions() {
                let from = Offset::End;
                assignment.add_partition_offset(topic.name(), partition.id(), from)?;
            }
        }
        if assignment.count() == 0 {
            return Err(ListenError::NoTopic);
        }
        consumer.assign(&assignment)?;
        Ok(Listener { consumer })
    }

    /// The next report, or why it cannot be read; none when none has come within `wait`. A broker that is away is waited for.
    pub fn next(&self, wait: Duration) -> Option<Result<Telemetry, Invalid>> {
        let message = match self.consumer.poll(wait)? {
            Ok(message) => message,
            Err(error) => {
                tracing::warn!(%error, "reading from the broker failed; trying on");
                return None;
            }
        };
        let payload = message.payload().unwrap_or_default();
        match decode(message.topic(), message.key(), payload) {
            Ok(Input::Telemetry(report)) => Some(Ok(report)),
            // Nothing else is read.
            Ok(_) => None,
            Err(invalid) => {
                tracing::debug!(%invalid, "a report that cannot be read");
                Some(Err(invalid))
            }
        }
    }
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener").finish_non_exhaustive()
    }
}
