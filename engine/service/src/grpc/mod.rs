//! gRPC: the wire on one side, requests and questions to the sequencer on the other.

mod dispatch;
mod fleet;
mod invitation;
mod page;
mod regulate;
mod settlement;
mod status;

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic_health::ServingStatus;
use vpp_ledger::Ledger;
use vpp_proto::v1::dispatch_service_server::DispatchServiceServer;
use vpp_proto::v1::fleet_service_server::FleetServiceServer;
use vpp_proto::v1::invitation_service_server::InvitationServiceServer;
use vpp_proto::v1::settlement_service_server::SettlementServiceServer;

use crate::kafka::topics::Topics;
use crate::sequencer::Handle;
use crate::statistics::Statistics;

const FLEET: &str = <FleetServiceServer<fleet::Fleet> as NamedService>::NAME;
const DISPATCH: &str = <DispatchServiceServer<dispatch::Dispatch> as NamedService>::NAME;
const INVITATION: &str = <InvitationServiceServer<invitation::Invitations> as NamedService>::NAME;
const SETTLEMENT: &str = <SettlementServiceServer<settlement::Settlement> as NamedService>::NAME;

/// What else is told besides the services: figures, and whether the loop turns.
pub(crate) struct Watched {
    pub(crate) statistics: Arc<Statistics>,
    pub(crate) turns: watch::Receiver<bool>,
}

/// Serves until told to stop. Health checking and reflection are the standard ones; `GET /metrics` on the same port
/// answers in the text format of Prometheus.
pub(crate) async fn serve(
    listener: TcpListener,
    handle: Handle,
    topics: Arc<Topics>,
    ledger: Option<Ledger>,
    watched: Watched,
    stopped: oneshot::Receiver<()>,
) {
    let (health, health_service) = tonic_health::server::health_reporter();
    let fleet = FleetServiceServer::new(fleet::Fleet {
        handle: handle.clone(),
        topics,
    });
    let invitation = InvitationServiceServer::new(invitation::Invitations {
        handle: handle.clone(),
        ledger: ledger.clone(),
    });
    let dispatch = DispatchServiceServer::new(dispatch::Dispatch::new(
        handle,
        Arc::clone(&watched.statistics),
    ));
    let settlement = SettlementServiceServer::new(settlement::Settlement { ledger });
    for name in [FLEET, DISPATCH, INVITATION, SETTLEMENT] {
        health
            .set_service_status(name, ServingStatus::Serving)
            .await;
    }
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(vpp_proto::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1();
    let reflection = match reflection {
        Ok(reflection) => reflection,
        Err(error) => unreachable!("our own descriptors are sound: {error}"),
    };
    let Watched {
        statistics,
        mut turns,
    } = watched;
    // Whoever asks for our health hears of a loop that is stuck. Ends with the watchdog.
    tokio::spawn(async move {
        while turns.changed().await.is_ok() {
            let status = if *turns.borrow() {
                ServingStatus::Serving
            } else {
                ServingStatus::NotServing
            };
            for name in [FLEET, DISPATCH, INVITATION, ""] {
                health.set_service_status(name, status).await;
            }
        }
    });
    let text = move || std::future::ready(statistics.to_text());
    let metrics = axum::Router::new().route("/metrics", axum::routing::get(text));
    let routes = Routes::from(metrics)
        .add_service(health_service)
        .add_service(reflection)
        .add_service(fleet)
        .add_service(dispatch)
        .add_service(invitation)
        .add_service(settlement);
    let served = tonic::transport::Server::builder()
        .accept_http1(true)
        .tcp_nodelay(true)
        .http2_keepalive_interval(Some(std::time::Duration::from_secs(20)))
        .add_routes(routes)
        .serve_with_incoming_shutdown(TcpListenerStream::new(listener), async {
            let _ = stopped.await;
        })
        .await;
    if let Err(error) = served {
        tracing::error!(%error, "the gRPC server ended");
    }
}
