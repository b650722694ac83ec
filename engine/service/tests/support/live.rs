//! An engine with a cycle each second, and somebody who calls it.

use std::path::Path;

use tonic::transport::Channel;
use vpp_service::{Clock, EmbeddedBroker, Service, ServiceConfig};

/// Starts it on a broker that makes its topics by itself; with a journal where there is a folder.
pub(crate) async fn start(
    broker: &EmbeddedBroker,
    folder: Option<&Path>,
    clock: &Clock,
) -> (Service, Channel) {
    let mut config = ServiceConfig {
        grpc_address: std::net::SocketAddr::from(([127, 0, 0, 1], 0)),
        data_dir: folder.map(Path::to_path_buf),
        ..ServiceConfig::default()
    };
    config.kafka.bootstrap = broker.bootstrap();
    config.kafka.create_topics = false;
    config.dispatch.cycle_s = 1.0;
    config.dispatch.deadline_s = 1.0;
    config.dispatch.solve_budget_s = 0.7;
    config.dispatch.telemetry_period_s = 1.0;
    let service = Service::start(config, Vec::new(), clock.clone()).await;
    let service = service.expect("starts");
    let url = format!("http://{}", service.address());
    let channel = Channel::from_shared(url).expect("a url").connect().await;
    (service, channel.expect("connects"))
}
