//! The broker: topics, what comes in, what goes out.

mod embedded;
pub(crate) mod ingest;
pub(crate) mod produce;
pub(crate) mod topics;

pub use embedded::EmbeddedBroker;

use std::collections::BTreeMap;

use rdkafka::ClientConfig;

/// A client configuration with what all of ours share, and the user's own properties on top.
pub(crate) fn client(bootstrap: &str, properties: &BTreeMap<String, String>) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", bootstrap)
        .set("reconnect.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "2000")
        .set("socket.keepalive.enable", "true");
    for (key, value) in properties {
        config.set(key, value);
    }
    config
}
