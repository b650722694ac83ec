//! The broker: topics, what comes in, what goes out.

mod embedded;
pub(crate) mod ingest;
mod listen;
pub(crate) mod produce;
pub(crate) mod topics;

pub use embedded::EmbeddedBroker;
pub use listen::{ListenError, Listener};

use std::collections::BTreeMap;

use rdkafka::ClientConfig;

/// A client configuration with what all of ours share.
pub(crate) fn client(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", bootstrap)
        .set("reconnect.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "2000")
        .set("socket.keepalive.enable", "true");
    config
}

/// Sets the user's own properties. They come last and win.
pub(crate) fn customize(config: &mut ClientConfig, properties: &BTreeMap<String, String>) {
    for (key, value) in properties {
        config.set(key, value);
    }
}
