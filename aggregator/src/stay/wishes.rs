//! What a reservation makes of a session, seen from one instant.
//!
//! A session has one departure and one need. So it is cut where the owner's windows begin or end: up to there the vehicle counts
//! as one that leaves then and needs by then what the later windows cannot give it. That is exact for what must happen before
//! the cut; what could be done after it shows when it comes. Whoever keeps the session keeps the windows and the departure.

use chrono::TimeDelta;
use vpp_core::time::as_hours;
use vpp_core::units::MAX_KILOWATT_HOURS;
use vpp_core::{Energy, Power, Reservation, Session, Station, Timestamp, Veto};

use crate::site::PileReading;

/// So much of a later window is counted on, and this much of it not at all: reaction, ramps, and a battery that takes less
/// when it is nearly full.
const COUNTED_SHARE: f64 = 0.9;
const NOT_COUNTED_H: f64 = 1.0 / 60.0;
/// What is needed by an instant is aimed at a little earlier, by this part of the time that is left and at most so long: reaction
/// and ramps take the rest.
const EARLIER_PARTS: i32 = 20;
const EARLIER_MOST: TimeDelta = TimeDelta::minutes(1);

/// The session of a vehicle whose owner has reserved, at `now`. Its warranty lets `chargeable_kwh` into its battery: what is
/// wanted beyond is asked of no window, or an earlier one would be asked for what a later one gives.
pub(super) fn wished(
    reservation: &Reservation,
    reading: &PileReading,
    chargeable_kwh: f64,
    station: &Station,
    now: Timestamp,
) -> Session {
    let session = &reading.session;
    let kwh = Energy::as_kilowatt_hours;
    let until = reservation.next_change(now).max(now);
    let aim = until - ((until - now) / EARLIER_PARTS).min(EARLIER_MOST);
    let (charges, discharges) = (reservation.may_charge(now), reservation.may_discharge(now));
    let charge_kw = session.max_charge.as_kilowatts() * station.charge_efficiency;
    let now_kwh = match charges {
        true => charge_kw * as_hours(aim - now),
        false => 0.0,
    };
    let later_h = as_hours(reservation.charging_time(until));
    let later_kwh = charge_kw * (COUNTED_SHARE * later_h - NOT_COUNTED_H).max(0.0);
    let room = kwh(session.energy_room).min(chargeable_kwh);
    let needed = needed(reservation, reading).min(room);
    let mut available = 0.0;
    if discharges && session.max_discharge > Power::ZERO {
        // What is taken out and missed at departure must be put back in time.
        let most = (now_kwh + later_kwh - needed).max(0.0);
        available = kwh(session.energy_available).min(most);
    }
    let hurry = reservation.veto == Some(Veto::Control);
    let wanted = if hurry { room } else { needed };
    // What cannot be had up to the cut is not needed by then.
    let by_then =
        (wanted - later_kwh * f64::from(!hurry)).clamp(-available, now_kwh.min(room).max(0.0));
    let full_h = if charge_kw > 0.0 {
        by_then / charge_kw
    } else {
        0.0
    };
    let energy =
        |kwh: f64| Energy::floor_kilowatt_hours(kwh.clamp(-MAX_KILOWATT_HOURS, MAX_KILOWATT_HOURS));
    let available = energy(available);
    Session {
        // Whoever is in a hurry counts as one who leaves when full.
        departure: match hurry && charges {
            true => aim.min(now + hours(full_h)),
            false => aim,
        },
        energy_needed: energy(by_then).max(-available),
        energy_room: match charges {
            true => session.energy_room,
            false => Energy::ZERO,
        },
        energy_available: available,
        max_charge: match charges {
            true => session.max_charge,
            false => Power::ZERO,
        },
        max_discharge: match available > Energy::ZERO {
            true => session.max_discharge,
            false => Power::ZERO,
        },
    }
}

/// What the battery must have received at departure, kWh; negative where it may leave with less than it holds.
pub(super) fn needed(reservation: &Reservation, reading: &PileReading) -> f64 {
    match (reservation.least_soc, reading.battery) {
        (Some(least), Some(battery)) => {
            least * battery.capacity.as_kilowatt_hours() - battery.stored.as_kilowatt_hours()
        }
        _ => reading.session.energy_needed.as_kilowatt_hours(),
    }
}

fn hours(length: f64) -> TimeDelta {
    #[allow(clippy::cast_possible_truncation)] // at most a stay
    TimeDelta::milliseconds((length.min(1e4) * 3.6e6).ceil() as i64)
}
