//! Names of the Kafka topics. What they hold and how they are kept: `docs/kafka.md`.

use vpp_core::AggregatorId;

/// Reports of stations.
pub const TELEMETRY: &str = "vpp.telemetry.v1";
/// Answers to commands.
pub const ACKNOWLEDGEMENTS: &str = "vpp.acknowledgements.v1";
/// Records that were refused.
pub const DEAD_LETTER: &str = "vpp.deadletter.v1";

/// Commands to one aggregator: a topic of its own, so that access can be granted for each.
#[must_use]
pub fn commands(aggregator: &AggregatorId) -> String {
    format!("vpp.commands.v1.{aggregator}")
}
