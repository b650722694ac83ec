//! What several benches need: the pilot, a broker, an engine.

use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use tonic::transport::Channel;
use vpp_scenarios::Scenario;
use vpp_service::{EmbeddedBroker, ServiceConfig};

const PILOT: &str = include_str!("../../scenarios/guangzhou-pilot.toml");

pub(crate) fn pilot() -> anyhow::Result<Scenario> {
    Scenario::parse(PILOT).map_err(|problems| anyhow!("{}", problems[0]))
}

/// The pilot with another number of stations: the first ones, or all and again the first ones on doubled limits.
pub(crate) fn pilot_of(stations: usize) -> anyhow::Result<Scenario> {
    let mut scenario = pilot()?;
    let rows = &mut scenario.fleet.stations;
    let again: Vec<_> = rows
        .iter()
        .take(stations.saturating_sub(rows.len()))
        .cloned()
        .collect();
    for mut row in again {
        row.id = format!("{}-b", row.id).parse()?;
        rows.push(row);
    }
    if stations > 640 {
        for node in &mut scenario.nodes {
            node.import_limit_kw *= 2.0;
            node.export_limit_kw *= 2.0;
        }
    }
    rows.truncate(stations);
    Ok(scenario)
}

/// A broker of somebody else, or one inside this process.
pub(crate) struct Broker {
    pub(crate) bootstrap: String,
    embedded: Option<EmbeddedBroker>,
}

impl Broker {
    pub(crate) fn new(kafka: Option<String>) -> anyhow::Result<Broker> {
        Ok(match kafka {
            Some(bootstrap) => Broker {
                bootstrap,
                embedded: None,
            },
            None => {
                let embedded = EmbeddedBroker::start()?;
                Broker {
                    bootstrap: embedded.bootstrap(),
                    embedded: Some(embedded),
                }
            }
        })
    }

    pub(crate) fn name(&self) -> &'static str {
        match self.embedded {
            Some(_) => "embedded",
            None => "kafka",
        }
    }

    /// Whether it is not the embedded one: that makes topics only by itself.
    pub(crate) fn is_real(&self) -> bool {
        self.embedded.is_none()
    }
}

/// An engine's configuration on a free port. `group` tells its place in the topics from that of other runs.
pub(crate) fn engine(
    bootstrap: &str,
    create_topics: bool,
    group: String,
    data_dir: Option<PathBuf>,
) -> ServiceConfig {
    let mut config = ServiceConfig {
        grpc_address: std::net::SocketAddr::from(([127, 0, 0, 1], 0)),
        data_dir,
        ..ServiceConfig::default()
    };
    bootstrap.clone_into(&mut config.kafka.bootstrap);
    config.kafka.create_topics = create_topics;
    config.kafka.group = group;
    config
}

pub(crate) async fn connect(address: &str) -> anyhow::Result<Channel> {
    let url = format!("http://{address}");
    let channel = Channel::from_shared(url)?.connect().await;
    channel.context("the engine does not answer")
}

/// To three digits after the point.
pub(crate) fn round(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}
