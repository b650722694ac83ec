//! More reports at once than anybody sends.

use std::time::Duration;

use prost::Message as _;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use vpp_core::Telemetry;
use vpp_proto::{topics, v1};

/// Sends so many reports, of the stations in turn.
pub(crate) fn send(bootstrap: &str, samples: &[Telemetry], count: usize) {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("linger.ms", "50")
        .create()
        .expect("a producer");
    for sample in samples.iter().cycle().take(count) {
        let payload = v1::Telemetry::from(sample).encode_to_vec();
        let key = sample.station.as_str();
        let mut record = BaseRecord::to(topics::TELEMETRY).key(key).payload(&payload);
        while let Err((_, unsent)) = producer.send(record) {
            producer.poll(Duration::from_millis(5));
            record = unsent;
        }
    }
    producer.flush(Duration::from_secs(60)).expect("delivered");
}
