//! Reservations through gRPC, with their database.

#![cfg(feature = "owners")]
#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod common;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use common::{at, station};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tonic::Code;
use tonic::transport::Channel;
use vpp_aggregator::owners::Owners;
use vpp_aggregator::{Desk, Operator, Warranties};
use vpp_core::Timestamp;
use vpp_proto::convert::from_timestamp;
use vpp_proto::v1;
use vpp_proto::v1::reservation_service_client::ReservationServiceClient;

type Client = ReservationServiceClient<Channel>;

struct Served {
    address: std::net::SocketAddr,
    client: Client,
    desk: Desk,
    minute: Arc<AtomicI64>,
    stop: oneshot::Sender<()>,
    server: tokio::task::JoinHandle<()>,
}

/// An aggregator's owners' side with one station of four piles that can discharge; its clock stands still.
async fn serve(folder: Option<&Path>, minute: i64) -> Served {
    let minute = Arc::new(AtomicI64::new(minute));
    let clock = {
        let minute = Arc::clone(&minute);
        Arc::new(move || at(minute.load(Ordering::Relaxed) * 60_000))
            as Arc<dyn Fn() -> Timestamp + Send + Sync>
    };
    let stations = [station("s0", 4)];
    let owners = Owners::open(folder, &stations, Warranties::default(), clock)
        .await
        .unwrap();
    let desk = owners.desk();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(async move {
        let stopped = async {
            let _ = stopped.await;
        };
        owners.run(Some(listener), stopped).await.unwrap();
    });
    let client = Client::connect(format!("http://{address}")).await.unwrap();
    Served {
        address,
        client,
        desk,
        minute,
        stop,
        server,
    }
}

impl Served {
    /// `GET /metrics`, as a scraper without HTTP/2 asks for it.
    async fn metrics(&self) -> String {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let address = self.address;
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let request =
            format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        answer
    }

    async fn stop(self) {
        drop(self.client);
        self.stop.send(()).unwrap();
        self.server.await.unwrap();
    }
}

fn minute(minutes: i64) -> Option<prost_types::Timestamp> {
    Some(from_timestamp(at(minutes * 60_000)))
}

fn wish(id: &str, pile: u32, from: i64, to: i64) -> v1::Reservation {
    v1::Reservation {
        reservation_id: id.into(),
        station_id: "s0".into(),
        pile,
        arrival_time: minute(from),
        departure_time: minute(to),
        ..Default::default()
    }
}

fn create(request_id: &str, reservation: v1::Reservation) -> v1::CreateReservationRequest {
    v1::CreateReservationRequest {
        request_id: request_id.into(),
        validate_only: false,
        reservation: Some(reservation),
    }
}

async fn names(client: &mut Client) -> Vec<String> {
    let list = client
        .list_reservations(v1::ListReservationsRequest::default())
        .await
        .unwrap();
    list.into_inner()
        .reservations
        .into_iter()
        .map(|r| r.reservation_id)
        .collect()
}

#[tokio::test]
async fn a_request_sent_twice_is_done_once_also_after_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = serve(Some(folder.path()), 0).await;
    let request = create("q-1", wish("r-1", 0, 10, 60));
    let made = first
        .client
        .create_reservation(request.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        made.reservation.as_ref().unwrap().state(),
        v1::ReservationState::Booked
    );
    let again = first
        .client
        .create_reservation(request.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(again, made);
    let other = create("q-1", wish("r-2", 1, 10, 60));
    let refused = first.client.create_reservation(other).await.unwrap_err();
    assert_eq!(refused.code(), Code::AlreadyExists, "{refused}");
    // Neither a check nor a refusal is remembered.
    let mut check = create("q-2", wish("r-2", 1, 10, 60));
    check.validate_only = true;
    first.client.create_reservation(check).await.unwrap();
    assert_eq!(names(&mut first.client).await, ["r-1"]);
    // As after `kill -9`: nobody says goodbye.
    first.server.abort();
    let mut second = serve(Some(folder.path()), 1).await;
    assert_eq!(names(&mut second.client).await, ["r-1"]);
    let again = second
        .client
        .create_reservation(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(again, made);
    let overlap = create("q-3", wish("r-3", 0, 59, 90));
    let refused = second.client.create_reservation(overlap).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
    assert!(refused.message().contains("r-1"), "{refused}");
    second.stop().await;
}

#[tokio::test]
async fn an_owner_changes_vetoes_leaves_and_cancels() {
    let mut served = serve(None, 0).await;
    let client = &mut served.client;
    client
        .create_reservation(create("q-1", wish("r-1", 0, 0, 60)))
        .await
        .unwrap();
    let later = v1::UpdateReservationRequest {
        request_id: "q-2".into(),
        validate_only: false,
        reservation: Some(v1::Reservation {
            least_soc: Some(0.8),
            ..wish("r-1", 0, 0, 90)
        }),
    };
    let changed = client
        .update_reservation(later)
        .await
        .unwrap()
        .into_inner()
        .reservation
        .unwrap();
    assert_eq!(
        (changed.departure_time, changed.least_soc),
        (minute(90), Some(0.8))
    );
    let veto = v1::SetVetoRequest {
        request_id: "q-3".into(),
        validate_only: false,
        reservation_id: "r-1".into(),
        veto: v1::Veto::Control.into(),
    };
    let vetoed = client
        .set_veto(veto)
        .await
        .unwrap()
        .into_inner()
        .reservation
        .unwrap();
    assert_eq!(vetoed.veto(), v1::Veto::Control);
    served.minute.store(30, Ordering::Relaxed);
    let leave = v1::LeaveNowRequest {
        request_id: "q-4".into(),
        reservation_id: "r-1".into(),
        ..Default::default()
    };
    let left = client
        .leave_now(leave.clone())
        .await
        .unwrap()
        .into_inner()
        .reservation
        .unwrap();
    assert_eq!(
        (left.departure_time, left.agreed_departure_time),
        (minute(30), minute(90))
    );
    // Sent again later it still says what it said.
    served.minute.store(31, Ordering::Relaxed);
    let again = client
        .leave_now(leave)
        .await
        .unwrap()
        .into_inner()
        .reservation
        .unwrap();
    assert_eq!(again, left);
    let cancel = v1::CancelReservationRequest {
        request_id: "q-5".into(),
        validate_only: false,
        reservation_id: "r-1".into(),
    };
    let cancelled = client
        .cancel_reservation(cancel.clone())
        .await
        .unwrap()
        .into_inner()
        .reservation
        .unwrap();
    assert_eq!(cancelled.state(), v1::ReservationState::Cancelled);
    let twice = v1::CancelReservationRequest {
        request_id: "q-6".into(),
        ..cancel
    };
    assert_eq!(
        client.cancel_reservation(twice).await.unwrap_err().code(),
        Code::FailedPrecondition
    );
    // The pile is free again.
    client
        .create_reservation(create("q-7", wish("r-2", 0, 31, 60)))
        .await
        .unwrap();
    served.stop().await;
}

#[tokio::test]
async fn bad_requests_get_a_status_with_the_field() {
    let mut served = serve(None, 0).await;
    let window = |from, to| v1::Window {
        start_time: minute(from),
        end_time: minute(to),
    };
    let cases = [
        (
            wish("a b", 0, 0, 60),
            Code::InvalidArgument,
            "reservation.reservation_id",
        ),
        (
            wish("r", 0, 60, 60),
            Code::InvalidArgument,
            "reservation.departure_time",
        ),
        (
            wish("r", 0, -60, 60),
            Code::InvalidArgument,
            "reservation.arrival_time",
        ),
        (wish("r", 9, 0, 60), Code::NotFound, "reservation.pile"),
        (
            v1::Reservation {
                station_id: "s9".into(),
                ..wish("r", 0, 0, 60)
            },
            Code::NotFound,
            "reservation.station_id",
        ),
        (
            v1::Reservation {
                least_soc: Some(-0.1),
                ..wish("r", 0, 0, 60)
            },
            Code::InvalidArgument,
            "reservation.least_soc",
        ),
        (
            v1::Reservation {
                charging_windows: vec![window(50, 70)],
                ..wish("r", 0, 0, 60)
            },
            Code::InvalidArgument,
            "reservation.charging_windows[0]",
        ),
    ];
    for (position, (bad, code, field)) in cases.into_iter().enumerate() {
        let request = create(&format!("q-{position}"), bad);
        let refused = served.client.create_reservation(request).await.unwrap_err();
        assert_eq!(refused.code(), code, "{field}: {refused}");
        assert!(refused.message().starts_with(field), "{field}: {refused}");
    }
    let nobody = v1::GetReservationRequest {
        reservation_id: "r".into(),
    };
    assert_eq!(
        served
            .client
            .get_reservation(nobody)
            .await
            .unwrap_err()
            .code(),
        Code::NotFound
    );
    let page = v1::ListReservationsRequest {
        page_size: -1,
        ..Default::default()
    };
    assert_eq!(
        served
            .client
            .list_reservations(page)
            .await
            .unwrap_err()
            .code(),
        Code::InvalidArgument
    );
    assert!(names(&mut served.client).await.is_empty());
    served.stop().await;
}

/// What happens at the piles reaches the record and the owner.
#[tokio::test]
async fn what_became_of_a_reservation_is_told_and_survives() {
    let folder = tempfile::tempdir().unwrap();
    let mut served = serve(Some(folder.path()), 0).await;
    let wishes = v1::Reservation {
        least_soc: Some(1.0),
        ..wish("r-1", 2, 0, 60)
    };
    served
        .client
        .create_reservation(create("q-1", wishes))
        .await
        .unwrap();
    let missed = wish("r-2", 3, 0, 1);
    served
        .client
        .create_reservation(create("q-2", missed))
        .await
        .unwrap();
    let mut sites = common::Obedient::new(1);
    sites.readings[0][3].pile = 4;
    sites.readings[0].truncate(3);
    let mut operator = Operator::new(common::aggregator(), sites)
        .with_desk(std::mem::replace(&mut served.desk, Desk::empty(&[])));
    operator.control(at(60_000));
    let get = |id: &str| v1::GetReservationRequest {
        reservation_id: id.into(),
    };
    let there = served
        .client
        .get_reservation(get("r-1"))
        .await
        .unwrap()
        .into_inner()
        .reservation
        .unwrap();
    assert_eq!(there.state(), v1::ReservationState::PluggedIn);
    let unknown = |count: u32| {
        format!(
            "\nvpp_unkept_promises_total{{promise=\"departure\",cause=\"soc_unknown\"}} {count}\n"
        )
    };
    assert!(served.metrics().await.contains(&unknown(0)));
    operator.sites_mut().readings[0].clear();
    operator.control(at(3_660_000));
    // Of the two without a reservation, which needed ten kWh, nobody knows either.
    let metrics = served.metrics().await;
    assert!(metrics.contains(&unknown(3)), "{metrics}");
    assert!(
        metrics.contains("\nvpp_cut_setpoints_total 0\n")
            && metrics.contains("\nvpp_expected_stays_total 0\n"),
        "{metrics}"
    );
    served.stop().await;
    let mut again = serve(Some(folder.path()), 3).await;
    let over = again
        .client
        .get_reservation(get("r-1"))
        .await
        .unwrap()
        .into_inner()
        .reservation
        .unwrap();
    assert_eq!(over.state(), v1::ReservationState::Over);
    let [violation] = &over.violations[..] else {
        panic!("{over:?}")
    };
    assert_eq!(violation.cause(), v1::Cause::SocUnknown);
    let missed = again
        .client
        .get_reservation(get("r-2"))
        .await
        .unwrap()
        .into_inner()
        .reservation
        .unwrap();
    assert_eq!(missed.state(), v1::ReservationState::Missed);
    again.stop().await;
}
