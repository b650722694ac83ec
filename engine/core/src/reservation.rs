//! What the owner of a vehicle has agreed with an aggregator for one stay at one pile, and what became of it.
//!
//! It stays with the aggregator. The engine sees only sessions, without any identity.

use chrono::TimeDelta;

use crate::{Energy, Interval, Invalid, ReservationId, StationId, Timestamp, VehicleId};

/// An owner's wishes for one stay. They come before every programme.
#[derive(Clone, Debug, PartialEq)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Veto {
    /// No discharge.
    Discharge,
    /// No programme at all: charge as fast as the station can, within the windows.
    Control,
}

/// How far a reservation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
#[derive(Clone, Debug, PartialEq)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which promise.
    pub promise: Promise,
    /// By how much, at the battery.
    pub energy: Energy,
    /// What explains most of it.
    pub cause: Cause,
}

/// What an owner is promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Promise {
    /// What the vehicle leaves with.
    Departure,
    /// No charge outside the windows.
    ChargingWindows,
    /// No discharge outside the windows, or against a veto.
    DischargingWindows,
}

/// Why a promise was not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
