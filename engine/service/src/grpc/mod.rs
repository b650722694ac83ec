//! gRPC: the wire on one side, requests and questions to the sequencer on the other.

mod dispatch;
mod fleet;
mod page;
mod regulate;
mod status;

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_stream::wrappers::TcpListenerStream;
use vpp_proto::v1::dispatch_service_server::DispatchServiceServer;
use vpp_proto::v1::fleet_service_server::FleetServiceServer;

use crate::kafka::topics::Topics;
use crate::sequencer::Handle;

/// Serves until told to stop. Health checking and reflection are the standard ones.
pub(crate) async fn serve(
    listener: TcpListener,
    handle: Handle,
    topics: Arc<Topics>,
    stopped: oneshot::Receiver<()>,
) {
    let (health, health_service) = tonic_health::server::health_reporter();
    let fleet = FleetServiceServer::new(fleet::Fleet {
        handle: handle.clone(),
        topics,
    });
    let dispatch = DispatchServiceServer::new(dispatch::Dispatch { handle });
    health
        .set_serving::<FleetServiceServer<fleet::Fleet>>()
        .await;
    health
        .set_serving::<DispatchServiceServer<dispatch::Dispatch>>()
        .await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(vpp_proto::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1();
    let reflection = match reflection {
        Ok(reflection) => reflection,
        Err(error) => unreachable!("our own descriptors are sound: {error}"),
    };
    let served = tonic::transport::Server::builder()
        .tcp_nodelay(true)
        .http2_keepalive_interval(Some(std::time::Duration::from_secs(20)))
        .add_service(health_service)
        .add_service(reflection)
        .add_service(fleet)
        .add_service(dispatch)
        .serve_with_incoming_shutdown(TcpListenerStream::new(listener), async {
            let _ = stopped.await;
        })
        .await;
    if let Err(error) = served {
        tracing::error!(%error, "the gRPC server ended");
    }
}
