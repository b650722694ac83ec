//! Reservations of owners.

use vpp_core::{
    Booking, Cause, Energy, Interval, Invalid, OwnerRequest, Promise, Reservation, ReservationId,
    ReservationState, StationId, Timestamp, VehicleId, Veto, Violation,
};

use super::scalar::{from_timestamp, optional_timestamp, to_timestamp};
use crate::v1;

/// A stay or a window; the fields are named when they are refused.
fn interval(
    fields: (&str, &str),
    start: Option<&prost_types::Timestamp>,
    end: Option<&prost_types::Timestamp>,
) -> Result<Interval, Invalid> {
    let (start, end) = (to_timestamp(fields.0, start)?, to_timestamp(fields.1, end)?);
    Interval::new(start, end).map_err(|invalid| Invalid::new(fields.1, invalid.problem))
}

fn windows(field: &str, wire: &[v1::Window]) -> Result<Vec<Interval>, Invalid> {
    let window = |(position, window): (usize, &v1::Window)| {
        let fields = ("start_time", "end_time");
        interval(fields, window.start_time.as_ref(), window.end_time.as_ref())
            .map_err(|invalid| invalid.within(&format!("{field}[{position}]")))
    };
    wire.iter().enumerate().map(window).collect()
}

fn windows_to_wire(windows: &[Interval]) -> Vec<v1::Window> {
    let window = |window: &Interval| v1::Window {
        start_time: Some(from_timestamp(window.start())),
        end_time: Some(from_timestamp(window.end())),
    };
    windows.iter().map(window).collect()
}

fn veto(wire: i32) -> Result<Option<Veto>, Invalid> {
    match v1::Veto::try_from(wire) {
        Ok(v1::Veto::Unspecified) => Ok(None),
        Ok(v1::Veto::Discharge) => Ok(Some(Veto::Discharge)),
        Ok(v1::Veto::Control) => Ok(Some(Veto::Control)),
        Err(_) => Err(Invalid::new("veto", format!("{wire} is not known"))),
    }
}

impl TryFrom<v1::Reservation> for Reservation {
    type Error = Invalid;
    fn try_from(wire: v1::Reservation) -> Result<Reservation, Invalid> {
        let vehicle = (!wire.vehicle_id.is_empty()).then_some(wire.vehicle_id);
        let stay = ("arrival_time", "departure_time");
        let reservation = Reservation {
            id: ReservationId::new(wire.reservation_id)?,
            station: StationId::new(wire.station_id)?,
            pile: wire.pile,
            vehicle: vehicle.map(VehicleId::new).transpose()?,
            stay: interval(
                stay,
                wire.arrival_time.as_ref(),
                wire.departure_time.as_ref(),
            )?,
            least_soc: wire.least_soc,
            charging: windows("charging_windows", &wire.charging_windows)?,
            discharging: windows("discharging_windows", &wire.discharging_windows)?,
            veto: veto(wire.veto)?,
        };
        Ok(reservation)
    }
}

impl TryFrom<v1::Reservation> for Booking {
    type Error = Invalid;
    fn try_from(wire: v1::Reservation) -> Result<Booking, Invalid> {
        let state = match wire.state() {
            v1::ReservationState::Unspecified => None,
            v1::ReservationState::Booked => Some(ReservationState::Booked),
            v1::ReservationState::PluggedIn => Some(ReservationState::PluggedIn),
            v1::ReservationState::Over => Some(ReservationState::Over),
            v1::ReservationState::Cancelled => Some(ReservationState::Cancelled),
            v1::ReservationState::Missed => Some(ReservationState::Missed),
        };
        let violations: Result<_, Invalid> = wire.violations.iter().map(violation).collect();
        Ok(Booking {
            agreed_departure: to_timestamp(
                "agreed_departure_time",
                wire.agreed_departure_time.as_ref(),
            )?,
            state: state.ok_or_else(|| Invalid::new("state", "is missing"))?,
            violations: violations?,
            reservation: wire.try_into()?,
        })
    }
}

fn violation(wire: &v1::Violation) -> Result<Violation, Invalid> {
    let promise = match wire.promise() {
        v1::Promise::Unspecified => None,
        v1::Promise::Departure => Some(Promise::Departure),
        v1::Promise::ChargingWindows => Some(Promise::ChargingWindows),
        v1::Promise::DischargingWindows => Some(Promise::DischargingWindows),
    };
    let cause = match wire.cause() {
        v1::Cause::Unspecified => None,
        v1::Cause::LeftEarly => Some(Cause::LeftEarly),
        v1::Cause::TooShort => Some(Cause::TooShort),
        v1::Cause::Ceiling => Some(Cause::Ceiling),
        v1::Cause::NotObeyed => Some(Cause::NotObeyed),
        v1::Cause::SocUnknown => Some(Cause::SocUnknown),
        v1::Cause::Warranty => Some(Cause::Warranty),
        v1::Cause::OwnControl => Some(Cause::OwnControl),
    };
    Ok(Violation {
        promise: promise
            .ok_or_else(|| Invalid::new("violations", "has one without its promise"))?,
        energy: Energy::from_kilowatt_hours("energy_kwh", wire.energy_kwh)?,
        cause: cause.ok_or_else(|| Invalid::new("violations", "has one without its cause"))?,
    })
}

impl From<&Booking> for v1::Reservation {
    fn from(booking: &Booking) -> v1::Reservation {
        let reservation = &booking.reservation;
        let state = match booking.state {
            ReservationState::Booked => v1::ReservationState::Booked,
            ReservationState::PluggedIn => v1::ReservationState::PluggedIn,
            ReservationState::Over => v1::ReservationState::Over,
            ReservationState::Cancelled => v1::ReservationState::Cancelled,
            ReservationState::Missed => v1::ReservationState::Missed,
        };
        let veto = match reservation.veto {
            None => v1::Veto::Unspecified,
            Some(Veto::Discharge) => v1::Veto::Discharge,
            Some(Veto::Control) => v1::Veto::Control,
        };
        v1::Reservation {
            reservation_id: reservation.id.to_string(),
            station_id: reservation.station.to_string(),
            pile: reservation.pile,
            vehicle_id: (reservation.vehicle.as_ref()).map_or(String::new(), ToString::to_string),
            arrival_time: Some(from_timestamp(reservation.stay.start())),
            departure_time: Some(from_timestamp(reservation.stay.end())),
            least_soc: reservation.least_soc,
            charging_windows: windows_to_wire(&reservation.charging),
            discharging_windows: windows_to_wire(&reservation.discharging),
            veto: veto.into(),
            state: state.into(),
            agreed_departure_time: Some(from_timestamp(booking.agreed_departure)),
            violations: booking.violations.iter().map(Into::into).collect(),
        }
    }
}

impl From<&Violation> for v1::Violation {
    fn from(violation: &Violation) -> v1::Violation {
        let promise = match violation.promise {
            Promise::Departure => v1::Promise::Departure,
            Promise::ChargingWindows => v1::Promise::ChargingWindows,
            Promise::DischargingWindows => v1::Promise::DischargingWindows,
        };
        let cause = match violation.cause {
            Cause::LeftEarly => v1::Cause::LeftEarly,
            Cause::TooShort => v1::Cause::TooShort,
            Cause::Ceiling => v1::Cause::Ceiling,
            Cause::NotObeyed => v1::Cause::NotObeyed,
            Cause::SocUnknown => v1::Cause::SocUnknown,
            Cause::Warranty => v1::Cause::Warranty,
            Cause::OwnControl => v1::Cause::OwnControl,
        };
        v1::Violation {
            promise: promise.into(),
            energy_kwh: violation.energy.as_kilowatt_hours(),
            cause: cause.into(),
        }
    }
}

fn reservation(wire: Option<v1::Reservation>) -> Result<Reservation, Invalid> {
    let wire = wire.ok_or_else(|| Invalid::new("reservation", "is missing"))?;
    Reservation::try_from(wire).map_err(|invalid| invalid.within("reservation"))
}

impl TryFrom<v1::CreateReservationRequest> for OwnerRequest {
    type Error = Invalid;
    fn try_from(wire: v1::CreateReservationRequest) -> Result<OwnerRequest, Invalid> {
        reservation(wire.reservation).map(OwnerRequest::Reserve)
    }
}

impl TryFrom<v1::UpdateReservationRequest> for OwnerRequest {
    type Error = Invalid;
    fn try_from(wire: v1::UpdateReservationRequest) -> Result<OwnerRequest, Invalid> {
        reservation(wire.reservation).map(OwnerRequest::Change)
    }
}

impl TryFrom<v1::CancelReservationRequest> for OwnerRequest {
    type Error = Invalid;
    fn try_from(wire: v1::CancelReservationRequest) -> Result<OwnerRequest, Invalid> {
        Ok(OwnerRequest::Cancel(ReservationId::new(
            wire.reservation_id,
        )?))
    }
}

impl TryFrom<v1::SetVetoRequest> for OwnerRequest {
    type Error = Invalid;
    fn try_from(wire: v1::SetVetoRequest) -> Result<OwnerRequest, Invalid> {
        let id = ReservationId::new(wire.reservation_id)?;
        Ok(OwnerRequest::Veto(id, veto(wire.veto)?))
    }
}

impl TryFrom<v1::LeaveNowRequest> for OwnerRequest {
    type Error = Invalid;
    fn try_from(wire: v1::LeaveNowRequest) -> Result<OwnerRequest, Invalid> {
        let at = optional_timestamp("departure_time", wire.departure_time.as_ref())?;
        let id = ReservationId::new(wire.reservation_id)?;
        // What is past means now.
        Ok(OwnerRequest::LeaveAt(
            id,
            at.unwrap_or(Timestamp::UNIX_EPOCH),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;

    fn booking() -> Booking {
        let start = Timestamp::from_timestamp(1_752_566_400, 0).unwrap();
        let hour = |from, to| {
            Interval::new(start + TimeDelta::hours(from), start + TimeDelta::hours(to)).unwrap()
        };
        Booking {
            reservation: Reservation {
                id: ReservationId::new("r-1").unwrap(),
                station: StationId::new("s-1").unwrap(),
                pile: 3,
                vehicle: Some(VehicleId::new("v").unwrap()),
                stay: hour(0, 8),
                least_soc: Some(0.8),
                charging: vec![hour(0, 1), hour(5, 8)],
                discharging: vec![hour(2, 4)],
                veto: Some(Veto::Discharge),
            },
            agreed_departure: start + TimeDelta::hours(9),
            state: ReservationState::Over,
            violations: vec![Violation {
                promise: Promise::Departure,
                energy: Energy::from_watt_milliseconds(3_600_000_000),
                cause: Cause::LeftEarly,
            }],
        }
    }

    #[test]
    fn a_booking_comes_back_as_it_went() {
        let mut booking = booking();
        for cause in Cause::ALL {
            booking.violations[0].cause = cause;
            let wire = v1::Reservation::from(&booking);
            assert_eq!(Booking::try_from(wire).unwrap(), booking);
        }
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_field() {
        let good = v1::Reservation::from(&booking());
        let refused = |change: &dyn Fn(&mut v1::Reservation)| {
            let mut wire = good.clone();
            change(&mut wire);
            Reservation::try_from(wire).unwrap_err().field
        };
        assert_eq!(
            refused(&|wire| wire.reservation_id = "a b".into()),
            "reservation_id"
        );
        assert_eq!(
            refused(&|wire| wire.departure_time = wire.arrival_time),
            "departure_time"
        );
        assert_eq!(refused(&|wire| wire.arrival_time = None), "arrival_time");
        assert_eq!(refused(&|wire| wire.veto = 9), "veto");
        let turned = refused(&|wire| wire.charging_windows[1].end_time = wire.arrival_time);
        assert_eq!(turned, "charging_windows[1].end_time");
    }
}
