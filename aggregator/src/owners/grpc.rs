//! `ReservationService`.

use tonic::{Request, Response, Status};
use vpp_core::{Invalid, ReservationId};
use vpp_proto::convert::refused;
use vpp_proto::v1;

use super::Owners;
use crate::stay::lock;

const PAGE: usize = 100;
const LONGEST_PAGE: usize = 1_000;

pub(super) struct Reservations(pub(super) Owners);

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl v1::reservation_service_server::ReservationService for Reservations {
    async fn create_reservation(
        &self,
        request: Request<v1::CreateReservationRequest>,
    ) -> Answer<v1::CreateReservationResponse> {
        let request = request.into_inner();
        let (id, validate_only) = (request.request_id.clone(), request.validate_only);
        let reservation = Some(self.0.ask(id, validate_only, request).await?);
        Ok(Response::new(v1::CreateReservationResponse { reservation }))
    }

    async fn update_reservation(
        &self,
        request: Request<v1::UpdateReservationRequest>,
    ) -> Answer<v1::UpdateReservationResponse> {
        let request = request.into_inner();
        let (id, validate_only) = (request.request_id.clone(), request.validate_only);
        let reservation = Some(self.0.ask(id, validate_only, request).await?);
        Ok(Response::new(v1::UpdateReservationResponse { reservation }))
    }

    async fn cancel_reservation(
        &self,
        request: Request<v1::CancelReservationRequest>,
    ) -> Answer<v1::CancelReservationResponse> {
        let request = request.into_inner();
        let (id, validate_only) = (request.request_id.clone(), request.validate_only);
        let reservation = Some(self.0.ask(id, validate_only, request).await?);
        Ok(Response::new(v1::CancelReservationResponse { reservation }))
    }

    async fn set_veto(&self, request: Request<v1::SetVetoRequest>) -> Answer<v1::SetVetoResponse> {
        let request = request.into_inner();
        let (id, validate_only) = (request.request_id.clone(), request.validate_only);
        let reservation = Some(self.0.ask(id, validate_only, request).await?);
        Ok(Response::new(v1::SetVetoResponse { reservation }))
    }

    async fn leave_now(
        &self,
        request: Request<v1::LeaveNowRequest>,
    ) -> Answer<v1::LeaveNowResponse> {
        let request = request.into_inner();
        let (id, validate_only) = (request.request_id.clone(), request.validate_only);
        let reservation = Some(self.0.ask(id, validate_only, request).await?);
        Ok(Response::new(v1::LeaveNowResponse { reservation }))
    }

    async fn get_reservation(
        &self,
        request: Request<v1::GetReservationRequest>,
    ) -> Answer<v1::GetReservationResponse> {
        let id = ReservationId::new(request.into_inner().reservation_id).map_err(refused)?;
        let reservation = lock(&self.0.book).get(&id).map(v1::Reservation::from);
        if reservation.is_none() {
            return Err(refused(Invalid::unknown("reservation_id", id)));
        }
        Ok(Response::new(v1::GetReservationResponse { reservation }))
    }

    async fn list_reservations(
        &self,
        request: Request<v1::ListReservationsRequest>,
    ) -> Answer<v1::ListReservationsResponse> {
        let v1::ListReservationsRequest {
            page_size,
            page_token,
        } = request.into_inner();
        let size = usize::try_from(page_size).map_err(|_| {
            refused(Invalid::new(
                "page_size",
                format!("{page_size} is negative"),
            ))
        })?;
        let size = if size == 0 {
            PAGE
        } else {
            size.min(LONGEST_PAGE)
        };
        // By name: what is reserved meanwhile shifts nothing.
        let after = (!page_token.is_empty()).then_some(page_token);
        let after = after.map(ReservationId::new).transpose();
        let after =
            after.map_err(|invalid| refused(Invalid::new("page_token", invalid.problem)))?;
        let book = lock(&self.0.book);
        let mut rest = book.after(after.as_ref());
        let reservations: Vec<v1::Reservation> = rest.by_ref().take(size).map(Into::into).collect();
        let last = reservations.last().filter(|_| rest.next().is_some());
        let next_page_token = last.map_or(String::new(), |last| last.reservation_id.clone());
        Ok(Response::new(v1::ListReservationsResponse {
            reservations,
            next_page_token,
        }))
    }
}
