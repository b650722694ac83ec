//! Topics, with the partitioning and retention that `docs/kafka.md` asks for.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka::types::RDKafkaErrorCode;
use vpp_core::AggregatorId;
use vpp_proto::topics;

use crate::config::KafkaConfig;

const HOUR_MS: u64 = 3_600_000;

/// Makes topics that are missing.
pub(crate) struct Topics {
    client: ClientConfig,
    partitions: i32,
    replication: i32,
    create: bool,
}

impl Topics {
    pub(crate) fn new(config: &KafkaConfig) -> Topics {
        let mut client = super::client(&config.bootstrap);
        super::customize(&mut client, &config.properties);
        Topics {
            client,
            partitions: config.partitions,
            replication: config.replication,
            create: config.create_topics,
        }
    }

    /// The topics that all share.
    pub(crate) async fn ensure_shared(&self) -> Result<(), String> {
        self.ensure(topics::TELEMETRY, self.partitions, HOUR_MS)
            .await?;
        self.ensure(topics::ACKNOWLEDGEMENTS, self.partitions, 24 * HOUR_MS)
            .await?;
        self.ensure(topics::DEAD_LETTER, 1, 14 * 24 * HOUR_MS).await
    }

    /// The command topic of an aggregator.
    pub(crate) async fn ensure_commands(&self, aggregator: &AggregatorId) -> Result<(), String> {
        // Commands live for a minute; an hour is for looking back.
        self.ensure(&topics::commands(aggregator), 1, HOUR_MS).await
    }

    async fn ensure(&self, name: &str, partitions: i32, retention_ms: u64) -> Result<(), String> {
        if !self.create {
            return self.touch(name);
        }
        let admin: AdminClient<DefaultClientContext> = self
            .client
            .create()
            .map_err(|e| format!("topic {name}: {e}"))?;
        let retention = retention_ms.to_string();
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(self.replication))
            .set("retention.ms", &retention)
            .set(
                "min.insync.replicas",
                if self.replication >= 3 { "2" } else { "1" },
            );
        let patience = Some(Duration::from_secs(10));
        let options = AdminOptions::new()
            .request_timeout(patience)
            .operation_timeout(patience);
        let results = admin
            .create_topics([&topic], &options)
            .await
            .map_err(|e| format!("topic {name}: {e}"))?;
        match results.into_iter().next() {
            None | Some(Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(()),
            Some(Err((_, code))) => Err(format!("topic {name}: {code}")),
        }
    }

    /// A broker that makes topics by itself does so when it is asked about them.
    fn touch(&self, name: &str) -> Result<(), String> {
        let producer: BaseProducer = self
            .client
            .create()
            .map_err(|e| format!("topic {name}: {e}"))?;
        let metadata = producer
            .client()
            .fetch_metadata(Some(name), Duration::from_secs(10));
        metadata
            .map(|_| ())
            .map_err(|e| format!("topic {name}: {e}"))
    }
}
