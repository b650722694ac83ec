//! The owners of vehicles: their reservations through gRPC, on record before they are answered.
//!
//! ```text
//!  owner ──► gRPC ──► decided on the book ──► on record ──► in the book ──► answered
//!                            ▲                    ▲
//!            control loop ───┴── what happened ───┘ (once a second)
//! ```
//!
//! The control loop shares the book and the guard with this ([`Owners::desk`]) and never waits for the database.

mod grpc;
mod metrics;
mod store;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use prost::Message;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::Status;
use tonic::service::Routes;
use vpp_core::{
    Booking, Invalid, InvalidKind, OwnerRequest, RequestId, ReservationState, Station, Timestamp,
};
use vpp_proto::convert::refused;
use vpp_proto::v1;
use vpp_proto::v1::reservation_service_server::ReservationServiceServer;

use crate::stay::{Book, Desk, Guard, REMEMBERED, Warranties, lock};
use store::Store;

pub use store::StoreError;

/// What happened at the piles is put on record so often.
const RECORD_PERIOD: Duration = Duration::from_secs(1);
/// What is too old is forgotten once in so many periods: an hour.
const FORGET_EVERY: u32 = 3_600;
/// How long open calls may take when the process stops.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// Where now comes from.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The owners' side of an aggregator.
#[derive(Clone)]
pub struct Owners {
    book: Arc<Mutex<Book>>,
    guard: Arc<Mutex<Guard>>,
    store: Store,
    clock: Clock,
    /// One change after the other: each is decided on what the one before has made.
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Owners {
    /// Opens the record in `folder` (without one: in memory, until the process ends) for the piles of these stations.
    ///
    /// # Errors
    /// A database that cannot be opened or read.
    pub async fn open(
        folder: Option<&Path>,
        stations: &[Station],
        warranties: Warranties,
        clock: Clock,
    ) -> Result<Owners, StoreError> {
        let store = Store::open(folder).await?;
        let mut book = Book::new(stations);
        for booking in store.bookings().await? {
            book.put(booking);
        }
        let guard = Guard::new(warranties, Some(store.discharges().await?));
        Ok(Owners {
            book: Arc::new(Mutex::new(book)),
            guard: Arc::new(Mutex::new(guard)),
            store,
            clock,
            turn: Arc::new(tokio::sync::Mutex::new(())),
        })
    }

    /// What the control loop needs.
    #[must_use]
    pub fn desk(&self) -> Desk {
        Desk::new(Arc::clone(&self.book), Arc::clone(&self.guard))
    }

    /// Keeps the record, and serves gRPC with health checking and reflection if there is where, until `stopped` is ready.
    /// `GET /metrics` on the same port answers in the text format of Prometheus.
    ///
    /// # Errors
    /// When the server cannot go on, or the last of what happened cannot be put on record.
    pub async fn run(
        self,
        listener: Option<TcpListener>,
        stopped: impl Future<Output = ()> + Send,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let (stop, stopping) = watch::channel(false);
        let recorder = tokio::spawn(self.clone().keep_record(stopping.clone()));
        let told = async {
            stopped.await;
            let _ = stop.send(true);
        };
        let served = match listener {
            Some(listener) => {
                let (served, ()) = tokio::join!(self.serve(listener, stopping), told);
                served
            }
            None => {
                told.await;
                Ok(())
            }
        };
        // Whatever became of the server, what happened is put on record.
        let _ = stop.send(true);
        let _ = recorder.await;
        self.record_what_happened().await?;
        served
    }

    async fn serve(
        &self,
        listener: TcpListener,
        stopping: watch::Receiver<bool>,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let (health, health_service) = tonic_health::server::health_reporter();
        health
            .set_serving::<ReservationServiceServer<grpc::Reservations>>()
            .await;
        let reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(vpp_proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .with_service_name("vpp.v1.ReservationService")
            .with_service_name("grpc.health.v1.Health")
            .build_v1()?;
        let patience = {
            let stopping = stopping.clone();
            async move {
                told(stopping).await;
                tokio::time::sleep(LAST_WORDS).await;
            }
        };
        let book = Arc::clone(&self.book);
        let text = move || std::future::ready(metrics::text(&lock(&book)));
        let metrics = axum::Router::new().route("/metrics", axum::routing::get(text));
        let routes = Routes::from(metrics)
            .add_service(health_service)
            .add_service(reflection)
            .add_service(ReservationServiceServer::new(grpc::Reservations(
                self.clone(),
            )));
        let server = tonic::transport::Server::builder()
            .accept_http1(true)
            .tcp_nodelay(true)
            .add_routes(routes)
            .serve_with_incoming_shutdown(TcpListenerStream::new(listener), told(stopping));
        // A client that watches our health for ever is not waited for.
        tokio::select! {
            served = server => Ok(served?),
            () = patience => Ok(()),
        }
    }

    async fn keep_record(self, stopping: watch::Receiver<bool>) {
        let mut ticks = tokio::time::interval(RECORD_PERIOD);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        for tick in (0..FORGET_EVERY).cycle() {
            ticks.tick().await;
            if *stopping.borrow() {
                return;
            }
            if let Err(error) = self.record_what_happened().await
                && tick % 60 == 0
            {
                tracing::error!(%error, "what happened at the piles is not on record; nothing more is discharged than is");
            }
            if tick == 0 {
                let now = (self.clock)();
                let days_only = lock(&self.guard).counts_days_only();
                let forgotten = self.store.forget(now - REMEMBERED, now, days_only);
                if let Err(error) = forgotten.await {
                    tracing::error!(%error, "old reservations are not forgotten");
                }
            }
        }
    }

    async fn record_what_happened(&self) -> Result<(), StoreError> {
        // Or it would write what was before over what a request has just changed.
        let _turn = self.turn.lock().await;
        let bookings = lock(&self.book).take_unrecorded();
        let used = lock(&self.guard).wanted();
        match self.store.happened(&bookings, &used).await {
            Ok(()) => {
                lock(&self.guard).record(&used);
                Ok(())
            }
            Err(error) => {
                lock(&self.book).not_recorded(&bookings);
                Err(error)
            }
        }
    }

    /// Does what an owner asks for, once; to its end, also when the caller goes away meanwhile.
    async fn ask<R>(
        &self,
        id: String,
        validate_only: bool,
        request: R,
    ) -> Result<v1::Reservation, Status>
    where
        R: Message + TryInto<OwnerRequest, Error = Invalid>,
    {
        let id = RequestId::new(id).map_err(refused)?;
        // With the kind of the request: two kinds may be the same on the wire.
        let mut asked = std::any::type_name::<R>().as_bytes().to_vec();
        let encoded = request.encode(&mut asked);
        encoded.map_err(|error| Status::internal(error.to_string()))?;
        let request = request.try_into().map_err(refused)?;
        let owners = self.clone();
        let done = async move { owners.do_once(&id, &asked, &request, validate_only).await };
        let failed = |error: tokio::task::JoinError| Status::internal(error.to_string());
        tokio::spawn(done).await.map_err(failed)?
    }

    async fn do_once(
        &self,
        id: &RequestId,
        asked: &[u8],
        request: &OwnerRequest,
        validate_only: bool,
    ) -> Result<v1::Reservation, Status> {
        let _turn = self.turn.lock().await;
        if let Some(done) = self.store.done(id.as_str()).await.map_err(failed)? {
            if done.asked == asked {
                return Ok(done.answer);
            }
            return Err(refused(Invalid {
                kind: InvalidKind::Taken,
                field: "request_id".into(),
                problem: format!("{id} was used for another request"),
            }));
        }
        let now = (self.clock)();
        let booking = lock(&self.book).decide(request, now).map_err(refused)?;
        let answer = v1::Reservation::from(&booking);
        if !validate_only {
            self.store
                .record(id.as_str(), asked, &booking, now)
                .await
                .map_err(failed)?;
            self.enter(booking);
        }
        Ok(answer)
    }

    /// Meanwhile the vehicle may have come or left: that stays as it is.
    fn enter(&self, mut booking: Booking) {
        let mut book = lock(&self.book);
        let kept = [ReservationState::PluggedIn, ReservationState::Over];
        if let Some(before) = book.get(&booking.reservation.id)
            && booking.is_open()
            && kept.contains(&before.state)
        {
            booking.state = before.state;
            booking.violations.clone_from(&before.violations);
        }
        book.put(booking);
    }
}

async fn told(mut stopping: watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

fn failed(error: StoreError) -> Status {
    tracing::error!(%error, "a request of an owner could not be put on record");
    Status::unavailable("it could not be put on record, and nothing was changed; try again")
}
