//! What the owner of a vehicle has agreed with an aggregator for one stay at one pile, and what became of it.
//!
//! It stays with the aggregator. The engine sees only sessions, without any identity.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::{Energy, Interval, Invalid, ReservationId, StationId, Timestamp, VehicleId};

/// An owner's wishes for one stay. They come before every programme.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Reservation {
    /// Its name, chosen by the caller.
    pub id: ReservationId,
    /// Where.
    pub station: StationId,
    /// Number of the pile within its station, from 0.
    pub pile: u32,
    /// Which vehicle, where the pile can read it; none: whichever plugs in.
    pub vehicle: Option<VehicleId>,
    /// From arrival to departure.
    pub stay: Interval,
    /// State of charge that the vehicle leaves with at least, 0 to 1; none: what the session itself asks for.
    pub least_soc: Option<f64>,
    /// When it may be charged, ascending, within the stay; empty: at any time.
    pub charging: Vec<Interval>,
    /// When it may be discharged, ascending, within the stay; empty: never.
    pub discharging: Vec<Interval>,
    /// What the owner forbids meanwhile.
    pub veto: Option<Veto>,
}

/// What an owner forbids on the spot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum Veto {
    /// No discharge.
    Discharge,
    /// No programme at all: charge as fast as the station can, within the windows.
    Control,
}

/// How far a reservation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum ReservationState {
    /// Nobody has plugged in yet.
    Booked,
    /// The vehicle is there.
    PluggedIn,
    /// It has left; what it was promised was kept, or [`Violation`]s say what was not.
    Over,
    /// Called off by its owner.
    Cancelled,
    /// Nobody came.
    Missed,
}

/// A reservation and what became of it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Booking {
    /// The owner's wishes as they are now.
    pub reservation: Reservation,
    /// The departure that was agreed, before the owner wanted to leave earlier.
    pub agreed_departure: Timestamp,
    /// How far it has come.
    pub state: ReservationState,
    /// Promises that were not kept; told when it is over.
    pub violations: Vec<Violation>,
}

impl Booking {
    /// Whether the vehicle is still to come, or there.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(
            self.state,
            ReservationState::Booked | ReservationState::PluggedIn
        )
    }
}

/// What an owner asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum OwnerRequest {
    /// A new reservation.
    Reserve(Reservation),
    /// Other wishes for the same stay at the same pile.
    Change(Reservation),
    /// No reservation any more; a vehicle that is there is one like any other.
    Cancel(ReservationId),
    /// Something is forbidden from now on, or nothing any more.
    Veto(ReservationId, Option<Veto>),
    /// To leave earlier than agreed.
    LeaveAt(ReservationId, Timestamp),
}

/// A promise to an owner that was not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Violation {
    /// Which promise.
    pub promise: Promise,
    /// By how much, at the battery.
    pub energy: Energy,
    /// What explains most of it.
    pub cause: Cause,
}

/// What an owner is promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
pub enum Promise {
    /// What the vehicle leaves with.
    Departure,
    /// No charge outside the windows.
    ChargingWindows,
    /// No discharge outside the windows, or against a veto.
    DischargingWindows,
}

/// Why a promise was not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
pub enum Cause {
    /// The owner left before the agreed departure.
    LeftEarly,
    /// From arrival to departure there was not the time, at full power within the windows.
    TooShort,
    /// The station was held below what its vehicles needed.
    Ceiling,
    /// The pile or the vehicle did not do what it was told.
    NotObeyed,
    /// Nobody knows what it left with: the pile does not read the state of charge, or nobody looked when it left.
    SocUnknown,
    /// The warranty lets the battery be charged no further, and it lacked nothing else.
    Warranty,
    /// The station's own controller was in charge: it was out of reach, refused commands, or had none in force.
    OwnControl,
}

impl Cause {
    /// All of them, in their order.
    pub const ALL: [Cause; 7] = [
        Cause::LeftEarly,
        Cause::TooShort,
        Cause::Ceiling,
        Cause::NotObeyed,
        Cause::SocUnknown,
        Cause::Warranty,
        Cause::OwnControl,
    ];

    /// Its name in metrics and results.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Cause::LeftEarly => "left_early",
            Cause::TooShort => "too_short",
            Cause::Ceiling => "ceiling",
            Cause::NotObeyed => "not_obeyed",
            Cause::SocUnknown => "soc_unknown",
            Cause::Warranty => "warranty",
            Cause::OwnControl => "own_control",
        }
    }
}

impl Promise {
    /// All of them, in their order.
    pub const ALL: [Promise; 3] = [
        Promise::Departure,
        Promise::ChargingWindows,
        Promise::DischargingWindows,
    ];

    /// Its name in metrics and results.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Promise::Departure => "departure",
            Promise::ChargingWindows => "charging_windows",
            Promise::DischargingWindows => "discharging_windows",
        }
    }
}

/// How often which promise was not kept, and why.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Unkept([[(u64, Energy); Cause::ALL.len()]; Promise::ALL.len()]);

impl Unkept {
    /// Counts one.
    pub fn add(&mut self, violation: Violation) {
        let (count, energy) = &mut self.0[violation.promise as usize][violation.cause as usize];
        *count += 1;
        *energy += violation.energy;
    }

    /// Counts another's as well.
    pub fn merge(&mut self, other: &Unkept) {
        let pairs = self.0.iter_mut().flatten().zip(other.0.iter().flatten());
        for ((count, energy), (more, lacked)) in pairs {
            *count += more;
            *energy += *lacked;
        }
    }

    /// How often a promise was not kept for a cause.
    #[must_use]
    pub fn count(&self, promise: Promise, cause: Cause) -> u64 {
        self.0[promise as usize][cause as usize].0
    }

    /// By how much in all, at the battery.
    #[must_use]
    pub fn energy(&self, promise: Promise, cause: Cause) -> Energy {
        self.0[promise as usize][cause as usize].1
    }

    /// How many promises were not kept, of all kinds and for all causes.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().flatten().map(|(count, _)| count).sum()
    }

    /// Each promise with each cause.
    pub fn each() -> impl Iterator<Item = (Promise, Cause)> {
        let causes = |promise| Cause::ALL.into_iter().map(move |cause| (promise, cause));
        Promise::ALL.into_iter().flat_map(causes)
    }
}

impl std::fmt::Debug for Unkept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let counted = Unkept::each().filter(|(promise, cause)| self.count(*promise, *cause) > 0);
        let entry = |(promise, cause): (Promise, Cause)| {
            let name = format!("{}: {}", promise.name(), cause.name());
            (
                name,
                (self.count(promise, cause), self.energy(promise, cause)),
            )
        };
        f.debug_map().entries(counted.map(entry)).finish()
    }
}

impl Reservation {
    /// The most windows of a kind.
    pub const MAX_WINDOWS: usize = 16;
    /// The longest stay.
    pub const MAX_STAY: TimeDelta = TimeDelta::days(14);

    /// Checks the reservation by itself.
    ///
    /// # Errors
    /// The first field that breaks a rule.
    pub fn check(&self) -> Result<(), Invalid> {
        if self.stay.length() > Reservation::MAX_STAY {
            let problem = format!("{} h are more than 14 days", self.stay.length().num_hours());
            return Err(Invalid::new("departure_time", problem));
        }
        if let Some(soc) = self.least_soc
            && !(0.0..=1.0).contains(&soc)
        {
            return Err(Invalid::new(
                "least_soc",
                format!("{soc} is outside 0 to 1"),
            ));
        }
        self.check_windows("charging_windows", &self.charging)?;
        self.check_windows("discharging_windows", &self.discharging)
    }

    fn check_windows(&self, field: &str, windows: &[Interval]) -> Result<(), Invalid> {
        if windows.len() > Reservation::MAX_WINDOWS {
            let (many, most) = (windows.len(), Reservation::MAX_WINDOWS);
            return Err(Invalid::new(
                field,
                format!("has {many} entries, at most {most}"),
            ));
        }
        let mut free_from = self.stay.start();
        for (position, window) in windows.iter().enumerate() {
            let refuse =
                |problem: String| Err(Invalid::new(format!("{field}[{position}]"), problem));
            if window.start() < self.stay.start() || window.end() > self.stay.end() {
                return refuse("reaches outside of the stay".into());
            }
            if window.start() < free_from {
                return refuse("begins before the end of the one before it".into());
            }
            free_from = window.end();
        }
        Ok(())
    }

    /// Whether the vehicle may be charged at an instant of its stay.
    #[must_use]
    pub fn may_charge(&self, at: Timestamp) -> bool {
        self.charging.is_empty() || self.charging.iter().any(|window| window.contains(at))
    }

    /// Whether the vehicle may be discharged at an instant of its stay.
    #[must_use]
    pub fn may_discharge(&self, at: Timestamp) -> bool {
        self.veto.is_none() && self.discharging.iter().any(|window| window.contains(at))
    }

    /// The next instant after `at` at which it may begin or must end to be charged or discharged; at last the departure.
    #[must_use]
    pub fn next_change(&self, at: Timestamp) -> Timestamp {
        let windows = self.charging.iter().chain(&self.discharging);
        let edges = windows.flat_map(|window| [window.start(), window.end()]);
        let later = edges.filter(|edge| *edge > at);
        later.fold(self.stay.end(), Timestamp::min)
    }

    /// For how long it may be charged from one instant on, until it leaves.
    #[must_use]
    pub fn charging_time(&self, from: Timestamp) -> TimeDelta {
        let rest =
            |window: &Interval| (window.end() - window.start().max(from)).max(TimeDelta::zero());
        if self.charging.is_empty() {
            return (self.stay.end() - from).max(TimeDelta::zero());
        }
        self.charging.iter().map(rest).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promises_and_causes_are_counted_each_at_its_place() {
        for (at, promise) in Promise::ALL.into_iter().enumerate() {
            assert_eq!(promise as usize, at);
        }
        for (at, cause) in Cause::ALL.into_iter().enumerate() {
            assert_eq!(cause as usize, at);
        }
        let violation = |promise, cause, kwh| Violation {
            promise,
            energy: Energy::floor_kilowatt_hours(kwh),
            cause,
        };
        let (mut one, mut other) = (Unkept::default(), Unkept::default());
        one.add(violation(Promise::Departure, Cause::Ceiling, 2.0));
        other.add(violation(Promise::Departure, Cause::Ceiling, 1.5));
        other.add(violation(Promise::ChargingWindows, Cause::NotObeyed, 0.25));
        one.merge(&other);
        assert_eq!(one.total(), 3);
        assert_eq!(one.count(Promise::Departure, Cause::Ceiling), 2);
        let lacked = one.energy(Promise::Departure, Cause::Ceiling);
        assert_eq!(lacked, Energy::floor_kilowatt_hours(3.5));
        assert_eq!(one.count(Promise::DischargingWindows, Cause::NotObeyed), 0);
        let text = format!("{other:?}");
        assert!(
            text.contains("departure: ceiling") && !text.contains("warranty"),
            "{text}"
        );
    }
}
