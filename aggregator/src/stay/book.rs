//! All reservations of an aggregator.
//!
//! [`Book::decide`] says what a request makes of a reservation and changes nothing, so that it can be put on record first;
//! [`Book::put`] enters it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use vpp_core::{
    Booking, Cause, Energy, Interval, Invalid, InvalidKind, OwnerRequest, Power, Promise,
    Reservation, ReservationId, ReservationState, Station, StationId, Timestamp, Unkept, VehicleId,
    Violation,
};

use super::{Doubts, Expectations};

/// A stay may begin so long before its reservation is made: clocks differ, and people reserve when they have plugged in.
const MADE_LATE: TimeDelta = TimeDelta::minutes(5);
/// Nobody knows further ahead.
const MADE_AHEAD: TimeDelta = TimeDelta::days(60);
/// Whoever plugs in so long before the agreed time has come for the reservation.
const PLUGGED_IN_EARLY: TimeDelta = TimeDelta::minutes(30);
/// A vehicle of which nothing was seen for so long after its departure has left.
const UNWATCHED: TimeDelta = TimeDelta::minutes(10);
/// What is over is remembered for so long.
pub(crate) const REMEMBERED: TimeDelta = TimeDelta::days(7);

/// All reservations.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Book {
    stations: BTreeMap<StationId, Vec<(u32, Power)>>,
    bookings: BTreeMap<ReservationId, Booking>,
    /// Open ones of each pile.
    piles: BTreeMap<StationId, BTreeMap<u32, Vec<ReservationId>>>,
    /// Open ones of each vehicle.
    vehicles: BTreeMap<VehicleId, Vec<ReservationId>>,
    /// Open ones by their end, and those that are over.
    open_ends: BTreeSet<(Timestamp, ReservationId)>,
    closed_ends: BTreeSet<(Timestamp, ReservationId)>,
    /// Changed by what happened at the piles, not yet on record.
    unrecorded: BTreeSet<ReservationId>,
    /// What was not kept, with or without a reservation, what was doubted, and how well who says nothing was known: for who asks
    /// from outside.
    unkept: Unkept,
    doubts: Doubts,
    expectations: Expectations,
}

impl Book {
    /// An empty book for the piles of these stations.
    #[must_use]
    pub fn new(stations: &[Station]) -> Book {
        let groups = |station: &Station| {
            let piles = station.piles.iter();
            piles
                .map(|group| (group.count, group.discharge_power))
                .collect()
        };
        Book {
            stations: stations
                .iter()
                .map(|station| (station.id.clone(), groups(station)))
                .collect(),
            ..Book::default()
        }
    }

    /// A reservation by its name.
    #[must_use]
    pub fn get(&self, id: &ReservationId) -> Option<&Booking> {
        self.bookings.get(id)
    }

    /// All that are remembered, by name, after a name.
    pub fn after(&self, id: Option<&ReservationId>) -> impl Iterator<Item = &Booking> {
        let from = match id {
            Some(id) => std::ops::Bound::Excluded(id.clone()),
            None => std::ops::Bound::Unbounded,
        };
        let range = self.bookings.range((from, std::ops::Bound::Unbounded));
        range.map(|(_, booking)| booking)
    }

    /// What a request makes of its reservation. Changes nothing.
    ///
    /// # Errors
    /// Why it cannot be: a value, an unknown station, pile or reservation, a name that is taken, a time in the past, an overlap
    /// with another reservation of the pile or the vehicle, a reservation that is over.
    pub fn decide(&self, request: &OwnerRequest, now: Timestamp) -> Result<Booking, Invalid> {
        match request {
            OwnerRequest::Reserve(reservation) => {
                if self.bookings.contains_key(&reservation.id) {
                    return Err(Invalid::taken(
                        "reservation.reservation_id",
                        &reservation.id,
                    ));
                }
                let early = now - reservation.stay.start();
                if early > MADE_LATE {
                    let problem = format!("is {} min in the past", early.num_minutes());
                    return Err(Invalid::new("reservation.arrival_time", problem));
                }
                self.check(reservation, now)
                    .map_err(|invalid| invalid.within("reservation"))?;
                Ok(Booking {
                    agreed_departure: reservation.stay.end(),
                    reservation: reservation.clone(),
                    state: ReservationState::Booked,
                    violations: Vec::new(),
                })
            }
            OwnerRequest::Change(reservation) => {
                let booking = self.open(&reservation.id)?;
                let before = &booking.reservation;
                let same = before.station == reservation.station
                    && before.pile == reservation.pile
                    && before.vehicle == reservation.vehicle;
                if !same {
                    let problem =
                        "station, pile and vehicle cannot be changed; cancel it and make another";
                    return Err(Invalid::new("reservation", problem));
                }
                let arrival = reservation.stay.start();
                if booking.state == ReservationState::PluggedIn && before.stay.start() != arrival {
                    let problem = "the vehicle is there already";
                    return Err(Invalid::state("reservation.arrival_time", problem));
                }
                self.check(reservation, now)
                    .map_err(|invalid| invalid.within("reservation"))?;
                Ok(Booking {
                    agreed_departure: reservation.stay.end(),
                    reservation: reservation.clone(),
                    ..booking.clone()
                })
            }
            OwnerRequest::Cancel(id) => Ok(Booking {
                state: ReservationState::Cancelled,
                ..self.open(id)?.clone()
            }),
            OwnerRequest::Veto(id, veto) => {
                let mut booking = self.open(id)?.clone();
                booking.reservation.veto = *veto;
                Ok(booking)
            }
            OwnerRequest::LeaveAt(id, at) => leaving(self.open(id)?, (*at).max(now)),
        }
    }

    /// Enters what was decided, or what was on record.
    pub fn put(&mut self, booking: Booking) {
        let id = booking.reservation.id.clone();
        if let Some(before) = self.bookings.remove(&id) {
            self.unlink(&before);
        }
        let end = (booking.agreed_departure, id.clone());
        if booking.is_open() {
            self.open_ends.insert(end);
            let reservation = &booking.reservation;
            let piles = self.piles.entry(reservation.station.clone()).or_default();
            piles.entry(reservation.pile).or_default().push(id.clone());
            if let Some(vehicle) = &reservation.vehicle {
                let of = self.vehicles.entry(vehicle.clone()).or_default();
                of.push(id.clone());
            }
        } else {
            self.closed_ends.insert(end);
        }
        self.bookings.insert(id, booking);
    }

    /// Promises to owners that were not kept since the start, and why; also to those who had not reserved.
    #[must_use]
    pub fn unkept(&self) -> Unkept {
        self.unkept
    }

    /// What readings were not taken as they were since the start.
    #[must_use]
    pub fn doubts(&self) -> Doubts {
        self.doubts
    }

    pub(super) fn count(&mut self, violation: Option<Violation>) {
        if let Some(violation) = violation {
            self.unkept.add(violation);
        }
    }

    /// How well it was known what vehicles do that say nothing.
    #[must_use]
    pub fn expectations(&self) -> Expectations {
        self.expectations
    }

    pub(super) fn note(&mut self, doubts: Doubts, expectations: Expectations) {
        (self.doubts, self.expectations) = (doubts, expectations);
    }

    /// What changed at the piles since the last call, to be put on record.
    pub fn take_unrecorded(&mut self) -> Vec<Booking> {
        let ids = std::mem::take(&mut self.unrecorded);
        let known = ids.iter().filter_map(|id| self.bookings.get(id));
        known.cloned().collect()
    }

    /// It could not be put on record: again next time.
    pub fn not_recorded(&mut self, bookings: &[Booking]) {
        let ids = bookings
            .iter()
            .map(|booking| booking.reservation.id.clone());
        self.unrecorded.extend(ids);
    }

    /// The reservation for which a vehicle stands at a pile, there `since` an instant; `watched` is the one that it stood there
    /// for at the last look.
    pub(super) fn at(
        &self,
        (station, pile): (&StationId, u32),
        vehicle: Option<&VehicleId>,
        watched: Option<&ReservationId>,
        since: Timestamp,
        now: Timestamp,
    ) -> Option<&Booking> {
        let open = self.piles.get(station)?.get(&pile)?;
        let bookings = open.iter().filter_map(|id| self.bookings.get(id));
        let fitting = bookings.filter(|booking| {
            let reservation = &booking.reservation;
            let (stay, known) = (&reservation.stay, &reservation.vehicle);
            if known
                .as_ref()
                .is_some_and(|own| vehicle.is_some_and(|vehicle| vehicle != own))
            {
                return false;
            }
            if watched == Some(&reservation.id) {
                return true;
            }
            // Whoever stood there before has come for something else, unless it is the very vehicle.
            let named = known.is_some() && known.as_ref() == vehicle;
            let earliest = stay.start() - PLUGGED_IN_EARLY;
            let there = booking.state == ReservationState::PluggedIn;
            now < stay.end() && (there || (now >= earliest && (named || since >= earliest)))
        });
        // Of several the one that is there, then the earliest.
        fitting.min_by_key(|booking| {
            let there = watched == Some(&booking.reservation.id);
            let plugged = booking.state == ReservationState::PluggedIn;
            (!there, !plugged, booking.reservation.stay.start())
        })
    }

    /// Whether anybody has reserved at a station.
    pub(super) fn has_any(&self, station: &StationId) -> bool {
        self.piles
            .get(station)
            .is_some_and(|piles| !piles.is_empty())
    }

    /// A vehicle has come, or left.
    pub(super) fn turn(
        &mut self,
        id: &ReservationId,
        state: ReservationState,
        violations: Vec<Violation>,
    ) {
        let Some(booking) = self.bookings.get(id) else {
            return;
        };
        for violation in &violations {
            self.unkept.add(*violation);
        }
        let booking = Booking {
            state,
            violations,
            ..booking.clone()
        };
        self.put(booking);
        self.unrecorded.insert(id.clone());
    }

    /// Closes those for whom nobody came, and those of vehicles that left while nobody looked; forgets what was over long ago.
    pub(super) fn sweep(&mut self, now: Timestamp, watched: impl Fn(&ReservationId) -> bool) {
        let ended = self.open_ends.iter().take_while(|(end, _)| *end <= now);
        let ended: Vec<(Timestamp, ReservationId)> = ended.cloned().collect();
        for (end, id) in ended {
            match self.bookings.get(&id).map(|booking| booking.state) {
                Some(ReservationState::Booked) => {
                    self.turn(&id, ReservationState::Missed, Vec::new());
                }
                Some(ReservationState::PluggedIn) if now - end > UNWATCHED && !watched(&id) => {
                    tracing::warn!(reservation = %id, "its vehicle left while nobody looked; what it left with is not known");
                    let violations = self.bookings.get(&id).and_then(unseen);
                    self.turn(
                        &id,
                        ReservationState::Over,
                        violations.into_iter().collect(),
                    );
                }
                _ => {}
            }
        }
        while let Some((end, id)) = self.closed_ends.first() {
            if now - *end <= REMEMBERED {
                break;
            }
            let id = id.clone();
            self.closed_ends.pop_first();
            self.bookings.remove(&id);
        }
    }

    fn unlink(&mut self, booking: &Booking) {
        let Reservation {
            id,
            station,
            pile,
            vehicle,
            ..
        } = &booking.reservation;
        let end = (booking.agreed_departure, id.clone());
        self.open_ends.remove(&end);
        self.closed_ends.remove(&end);
        if let Some(piles) = self.piles.get_mut(station) {
            if let Some(open) = piles.get_mut(pile) {
                open.retain(|other| other != id);
                if open.is_empty() {
                    piles.remove(pile);
                }
            }
            if piles.is_empty() {
                self.piles.remove(station);
            }
        }
        if let Some(vehicle) = vehicle
            && let Some(of) = self.vehicles.get_mut(vehicle)
        {
            of.retain(|other| other != id);
            if of.is_empty() {
                self.vehicles.remove(vehicle);
            }
        }
    }

    fn open(&self, id: &ReservationId) -> Result<&Booking, Invalid> {
        let booking = self.bookings.get(id);
        let booking = booking.ok_or_else(|| Invalid::unknown("reservation_id", id))?;
        match booking.state {
            ReservationState::Booked | ReservationState::PluggedIn => Ok(booking),
            ReservationState::Over => {
                Err(Invalid::state("reservation_id", format!("{id} is over")))
            }
            ReservationState::Missed => Err(Invalid::state(
                "reservation_id",
                format!("{id} is over: nobody came"),
            )),
            ReservationState::Cancelled => Err(Invalid::state(
                "reservation_id",
                format!("{id} was cancelled"),
            )),
        }
    }

    fn check(&self, reservation: &Reservation, now: Timestamp) -> Result<(), Invalid> {
        reservation.check()?;
        if reservation.stay.end() <= now {
            return Err(Invalid::new("departure_time", "is in the past"));
        }
        if reservation.stay.start() - now > MADE_AHEAD {
            return Err(Invalid::new("arrival_time", "is more than 60 days ahead"));
        }
        let groups = self.stations.get(&reservation.station);
        let groups = groups.ok_or_else(|| Invalid::unknown("station_id", &reservation.station))?;
        let mut first = 0;
        let pile = groups.iter().find(|(count, _)| {
            first += count;
            reservation.pile < first
        });
        let Some((_, discharge)) = pile else {
            let problem = format!(
                "{} is not one of its {first} piles, counted from 0",
                reservation.pile
            );
            return Err(Invalid {
                kind: InvalidKind::Unknown,
                field: "pile".into(),
                problem,
            });
        };
        if !reservation.discharging.is_empty() && *discharge <= Power::ZERO {
            let problem = format!("pile {} cannot discharge", reservation.pile);
            return Err(Invalid::state("discharging_windows", problem));
        }
        let piles = self.piles.get(&reservation.station);
        let same_pile = piles.and_then(|piles| piles.get(&reservation.pile));
        self.check_overlap("pile", same_pile, reservation)?;
        let same_vehicle = reservation
            .vehicle
            .as_ref()
            .and_then(|vehicle| self.vehicles.get(vehicle));
        self.check_overlap("vehicle_id", same_vehicle, reservation)
    }

    fn check_overlap(
        &self,
        field: &str,
        others: Option<&Vec<ReservationId>>,
        reservation: &Reservation,
    ) -> Result<(), Invalid> {
        let others = others.into_iter().flatten();
        for other in others.filter(|other| **other != reservation.id) {
            let Some(other) = self.bookings.get(other) else {
                continue;
            };
            let stay = &other.reservation.stay;
            if let Some(both) = stay.intersection(&reservation.stay) {
                let problem = format!(
                    "is reserved already from {} to {} by {}",
                    both.start(),
                    both.end(),
                    other.reservation.id
                );
                return Err(Invalid::state(field, problem));
            }
        }
        Ok(())
    }
}

/// What the owner hears of a departure that nobody saw: if a charge was promised, that nobody knows whether there was one.
fn unseen(booking: &Booking) -> Option<Violation> {
    let promised = booking
        .reservation
        .least_soc
        .is_some_and(|least| least > 0.0);
    promised.then_some(Violation {
        promise: Promise::Departure,
        energy: Energy::ZERO,
        cause: Cause::SocUnknown,
    })
}

/// The same stay with an earlier departure.
fn leaving(booking: &Booking, at: Timestamp) -> Result<Booking, Invalid> {
    let stay = booking.reservation.stay;
    if at > stay.end() {
        let problem = format!("{at} is after the departure agreed, {}", stay.end());
        return Err(Invalid::new("departure_time", problem));
    }
    let Ok(shorter) = Interval::new(stay.start(), at) else {
        let problem = format!(
            "the stay begins only at {}; cancel the reservation",
            stay.start()
        );
        return Err(Invalid::state("departure_time", problem));
    };
    let mut booking = booking.clone();
    let reservation = &mut booking.reservation;
    reservation.stay = shorter;
    for windows in [&mut reservation.charging, &mut reservation.discharging] {
        let had_any = !windows.is_empty();
        windows.retain_mut(|window| match window.intersection(&shorter) {
            Some(rest) => {
                *window = rest;
                true
            }
            None => false,
        });
        // No window left is not any time: the whole of what is left lies outside.
        if had_any && windows.is_empty() {
            windows.extend(Interval::new(
                shorter.start(),
                shorter.start() + TimeDelta::milliseconds(1),
            ));
        }
    }
    Ok(booking)
}
