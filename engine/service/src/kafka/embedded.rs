//! A broker inside the process, for trying things out: librdkafka's mock cluster.
//!
//! It speaks the protocol and keeps the last 5 MiB or 100,000 messages of a partition in memory. It is *not* durable and
//! knows neither transactions nor access rights. What must last is in the engine's journal.

use rdkafka::error::KafkaError;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

/// The embedded broker. It is gone when this is dropped.
pub struct EmbeddedBroker {
    cluster: MockCluster<'static, DefaultProducerContext>,
}

impl EmbeddedBroker {
    /// Starts a cluster of one broker on a free port of the loopback interface.
    ///
    /// # Errors
    /// When librdkafka cannot make it.
    pub fn start() -> Result<EmbeddedBroker, KafkaError> {
        Ok(EmbeddedBroker {
            cluster: MockCluster::new(1)?,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        self.cluster.bootstrap_servers()
    }

    /// What it is, for people who start it.
    #[must_use]
    pub fn notice(&self) -> &'static str {
        "embedded broker: librdkafka's mock cluster, in memory, not durable; for trying out, not for operation"
    }
}

impl std::fmt::Debug for EmbeddedBroker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmbeddedBroker")
            .field("bootstrap", &self.bootstrap())
            .finish()
    }
}
