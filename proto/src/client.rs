//! What every client of the engine would write again.

use tonic::Status;
use tonic::transport::Channel;
use vpp_core::Fleet;

use crate::v1;
use crate::v1::fleet_service_client::FleetServiceClient;

/// Entries of one request: far below the limits of the service.
const AT_ONCE: usize = 500;

/// Registers a whole fleet with an engine: aggregators, nodes, stations. `name` begins the request ids: with the same
/// name and fleet again, nothing happens twice.
///
/// # Errors
/// The first refusal; what came before it stays registered.
pub async fn register_fleet(channel: Channel, name: &str, fleet: &Fleet) -> Result<(), Status> {
    let mut client = FleetServiceClient::new(channel);
    for aggregator in fleet.aggregators() {
        let request = v1::RegisterAggregatorRequest {
            request_id: format!("{name}.{}", aggregator.id),
            validate_only: false,
            aggregator: Some(aggregator.into()),
        };
        client.register_aggregator(request).await?;
    }
    for (batch, nodes) in fleet.tree().nodes().chunks(AT_ONCE).enumerate() {
        let request = v1::RegisterNodesRequest {
            request_id: format!("{name}.nodes.{batch}"),
            validate_only: false,
            nodes: nodes.iter().map(Into::into).collect(),
        };
        client.register_nodes(request).await?;
    }
    for (batch, stations) in fleet.stations().chunks(AT_ONCE).enumerate() {
        let request = v1::RegisterStationsRequest {
            request_id: format!("{name}.stations.{batch}"),
            validate_only: false,
            stations: stations.iter().map(Into::into).collect(),
        };
        client.register_stations(request).await?;
    }
    Ok(())
}
