//! Whether owners get what they were promised, and if not, why.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use vpp_core::time::as_hours;
use vpp_core::{
    Booking, Cause, Energy, Power, Promise, Reservation, Session, Station, Timestamp, Violation,
};

use super::wishes;
use crate::site::PileReading;

/// What is less counts as kept, kWh: a reading is some seconds old.
pub(super) const NEGLIGIBLE_KWH: f64 = 0.1;
/// A pile has so long to do what it is told when a window begins or ends.
const SETTLE: TimeDelta = TimeDelta::seconds(30);
/// A meter shows so much where nothing flows.
pub(super) const STANDBY: Power = Power::from_watts(200);
/// A longer time between two looks counts as this.
pub(super) const LONGEST_LOOK: TimeDelta = TimeDelta::minutes(5);
/// Who must charge at nearly full power from now on to have what it needs is urgent.
const URGENT: TimeDelta = TimeDelta::minutes(2);
/// Who leaves so long before the agreed time leaves early.
pub(super) const EARLY: TimeDelta = TimeDelta::minutes(2);

/// One stay of a vehicle whose owner has reserved.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Watch {
    /// From the start there was not the time for what its warranty allows.
    too_short: bool,
    /// What it lacked at the last look, kWh, and what of it its warranty forbids.
    lacks_kwh: f64,
    forbidden_kwh: f64,
    /// Whether what it needs was ever known.
    read: bool,
    told: Power,
    /// Whether the station follows what it is told.
    in_charge: bool,
    looked_at: Timestamp,
    /// What it did not get while it was urgent, kWh: because it was told less, because it drew less than told, because the
    /// station's own controller had it draw less.
    held_kwh: f64,
    disobeyed_kwh: f64,
    own_kwh: f64,
    charged_outside_kwh: f64,
    discharged_outside_kwh: f64,
}

impl Watch {
    /// `chargeable_kwh` is what the vehicle's warranty lets into its battery.
    pub(super) fn new(
        reservation: &Reservation,
        reading: &PileReading,
        chargeable_kwh: f64,
        station: &Station,
        now: Timestamp,
    ) -> Watch {
        let needed = wishes::needed(reservation, reading).min(chargeable_kwh);
        let charge_kw = reading.session.max_charge.as_kilowatts() * station.charge_efficiency;
        let most = (charge_kw * as_hours(reservation.charging_time(now)))
            .min(reading.session.energy_room.as_kilowatt_hours());
        Watch {
            too_short: needed > most + NEGLIGIBLE_KWH,
            lacks_kwh: 0.0,
            forbidden_kwh: 0.0,
            read: false,
            told: Power::ZERO,
            in_charge: true,
            looked_at: now,
            held_kwh: 0.0,
            disobeyed_kwh: 0.0,
            own_kwh: 0.0,
            charged_outside_kwh: 0.0,
            discharged_outside_kwh: 0.0,
        }
    }

    /// Looks at the pile before it is told anew; `session` is the one that the owner wants, within the warranty: what that forbids
    /// nobody withholds.
    pub(super) fn look(
        &mut self,
        reservation: &Reservation,
        reading: &PileReading,
        chargeable_kwh: f64,
        session: &Session,
        station: &Station,
        now: Timestamp,
    ) {
        let length = as_hours((now - self.looked_at).clamp(TimeDelta::zero(), LONGEST_LOOK));
        self.looked_at = now;
        let blind = reservation.least_soc.is_some() && reading.battery.is_none();
        self.read |= !blind;
        if !blind && (now < reservation.stay.end() || reading.active_power > STANDBY) {
            self.lacks_kwh = wishes::needed(reservation, reading);
            self.forbidden_kwh = (self.lacks_kwh - chargeable_kwh).max(0.0);
        }
        let stored = |power: Power| {
            power.max(Power::ZERO).as_kilowatts() * length * station.charge_efficiency
        };
        let most = session.max_charge;
        let charge_kw = most.as_kilowatts() * station.charge_efficiency;
        let needed = session.energy_needed.as_kilowatt_hours();
        let stay = (session.departure - now).max(TimeDelta::zero());
        if needed > NEGLIGIBLE_KWH && as_hours(stay - URGENT) * charge_kw <= needed {
            let (told, drawn) = (
                self.told.clamp(Power::ZERO, most),
                reading.active_power.max(Power::ZERO),
            );
            if self.in_charge {
                self.held_kwh += stored(most - told);
                self.disobeyed_kwh += stored(told - drawn);
            } else {
                self.own_kwh += stored(most - drawn);
            }
        }
        let settled = now - SETTLE;
        let inside = |may: fn(&Reservation, Timestamp) -> bool| {
            settled < reservation.stay.start() || may(reservation, now) || may(reservation, settled)
        };
        if reading.active_power > STANDBY && !inside(Reservation::may_charge) {
            self.charged_outside_kwh += stored(reading.active_power);
        }
        if reading.active_power < -STANDBY
            && !inside(Reservation::may_discharge)
            && self.told >= Power::ZERO
        {
            let taken =
                -reading.active_power.as_kilowatts() * length / station.discharge_efficiency;
            self.discharged_outside_kwh += taken;
        }
    }

    pub(super) fn tell(&mut self, told: Power) {
        self.told = told;
    }

    /// Whether the station follows what it is told, from the last look on.
    pub(super) fn set_in_charge(&mut self, in_charge: bool) {
        self.in_charge = in_charge;
    }

    /// The vehicle has left: which promises were not kept.
    pub(super) fn close(&self, booking: &Booking, now: Timestamp) -> Vec<Violation> {
        let violation = |promise, kwh: f64, cause| Violation {
            promise,
            energy: Energy::floor_kilowatt_hours(kwh.max(0.0)),
            cause,
        };
        let mut violations = Vec::new();
        if !self.read {
            violations.push(violation(Promise::Departure, 0.0, Cause::SocUnknown));
        } else if self.lacks_kwh > NEGLIGIBLE_KWH {
            let cause = if self.lacks_kwh <= self.forbidden_kwh + NEGLIGIBLE_KWH {
                Cause::Warranty
            } else if now < booking.agreed_departure - EARLY {
                Cause::LeftEarly
            } else if self.too_short {
                Cause::TooShort
            } else if self.own_kwh > self.held_kwh.max(self.disobeyed_kwh) {
                Cause::OwnControl
            } else if self.disobeyed_kwh > self.held_kwh {
                Cause::NotObeyed
            } else if self.held_kwh > 0.0 {
                Cause::Ceiling
            } else {
                Cause::TooShort
            };
            violations.push(violation(Promise::Departure, self.lacks_kwh, cause));
        }
        for (promise, kwh) in [
            (Promise::ChargingWindows, self.charged_outside_kwh),
            (Promise::DischargingWindows, self.discharged_outside_kwh),
        ] {
            if kwh > NEGLIGIBLE_KWH {
                violations.push(violation(promise, kwh, Cause::NotObeyed));
            }
        }
        violations
    }
}
