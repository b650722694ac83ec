//! From what a pile reads to what may be done with the vehicle: its owner's reservation and veto, its maker's warranty, and
//! doubt about what is read. What comes out is a session as any other: whoever keeps it keeps those.

mod book;
mod habits;
mod lacking;
mod presence;
mod warranty;
mod watch;
mod wishes;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use vpp_core::time::as_hours;
use vpp_core::{
    Energy, Power, ReservationId, ReservationState, Session, Station, StationKind, Timestamp,
    Unkept,
};

use crate::site::{PileReading, PileSetpoint};
use habits::Habits;
use lacking::{Stay, Stays};
use presence::Presence;
use watch::Watch;

pub use book::Book;
#[cfg(feature = "owners")]
pub(crate) use book::REMEMBERED;
pub use habits::{CONFIDENCE, Expectations};
pub use warranty::{Guard, Used, Warranties, Warranty};

/// A vehicle that does not show in the readings for so long has left: before the agreed departure a pile may be out of reach for a
/// while.
const GONE_BEFORE: TimeDelta = TimeDelta::minutes(5);
const GONE_AFTER: TimeDelta = TimeDelta::seconds(10);
/// A battery that reads a little more than full is full.
const OVERFULL: f64 = 1.02;
/// What is over is closed so often.
const SWEEP: TimeDelta = TimeDelta::seconds(30);

/// What readings were not taken as they were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Doubts {
    /// Of a pile that the station does not have: left out.
    pub unknown_piles: u64,
    /// Sessions that cannot be, such as a need above the room: nothing is asked of the vehicle.
    pub bad_sessions: u64,
    /// Batteries that cannot be, such as a negative state of charge: taken as not read.
    pub bad_batteries: u64,
    /// Vehicles that show at two piles: not discharged, at either.
    pub doubled_vehicles: u64,
    /// Setpoints that had to be cut to a reservation or a warranty after all; ours to explain.
    pub cut_setpoints: u64,
}

/// Keeps owners' and makers' word at all stations of an aggregator.
#[derive(Debug, Deserialize, Serialize)]
pub struct Desk {
    book: Arc<Mutex<Book>>,
    guard: Arc<Mutex<Guard>>,
    watches: BTreeMap<(usize, u32), Watched>,
    /// Of vehicles without a reservation, by station and pile.
    stays: Vec<Stays>,
    presence: Presence,
    habits: Habits,
    swept_at: Option<Timestamp>,
    doubts: Doubts,
}

#[derive(Debug, Deserialize, Serialize)]
struct Watched {
    reservation: ReservationId,
    watch: Watch,
    seen_at: Timestamp,
}

impl Desk {
    /// A desk with these reservations and warranties; others may hold them too.
    #[must_use]
    pub fn new(book: Arc<Mutex<Book>>, guard: Arc<Mutex<Guard>>) -> Desk {
        Desk {
            book,
            guard,
            watches: BTreeMap::new(),
            stays: Vec::new(),
            presence: Presence::default(),
            habits: Habits::default(),
            swept_at: None,
            doubts: Doubts::default(),
        }
    }

    /// A desk of stations without reservations and warranties.
    #[must_use]
    pub fn empty(stations: &[Station]) -> Desk {
        let guard = Guard::new(Warranties::default(), None);
        Desk::new(
            Arc::new(Mutex::new(Book::new(stations))),
            Arc::new(Mutex::new(guard)),
        )
    }

    /// What readings were not taken as they were.
    #[must_use]
    pub fn doubts(&self) -> Doubts {
        self.doubts
    }

    /// How well it was known what vehicles do that say nothing.
    #[must_use]
    pub fn expectations(&self) -> Expectations {
        self.habits.expectations()
    }

    /// Promises to owners of vehicles that were not kept, and why: to those who have reserved, and to those whose vehicles left
    /// with less than their session asked for.
    #[must_use]
    pub fn unkept(&self) -> Unkept {
        lock(&self.book).unkept()
    }

    /// The readings of a station, number `index`, with sessions as they may be used; `in_charge`: it follows what it is told.
    /// What is told now holds for `lease` if nobody comes back.
    pub(crate) fn prepare(
        &mut self,
        (index, station): (usize, &Station),
        readings: &[PileReading],
        (lease, in_charge): (TimeDelta, bool),
        now: Timestamp,
        out: &mut Vec<PileReading>,
    ) {
        let mut book = lock(&self.book);
        let mut guard = lock(&self.guard);
        let piles = station.pile_count();
        let reserved = book.has_any(&station.id);
        // Packs are nobody's who waits for them.
        let waits = station.kind != StationKind::Swap;
        if self.stays.len() <= index {
            self.stays.resize_with(index + 1, Stays::default);
        }
        let stays = &mut self.stays[index];
        let mut taken = 0;
        for read in readings {
            if u64::from(read.pile) >= piles {
                self.doubts.unknown_piles += 1;
                continue;
            }
            let reading = PileReading::put(out, taken, read.unnamed(), read.vehicle.as_ref());
            taken += 1;
            if let Some(battery) = &mut reading.battery
                && battery.stored > battery.capacity
                && battery.soc() <= OVERFULL
            {
                battery.stored = battery.capacity;
            }
            if reading
                .battery
                .is_some_and(|battery| !battery.is_credible())
            {
                self.doubts.bad_batteries += 1;
                reading.battery = None;
            }
            if reading.session.check().is_err() {
                self.doubts.bad_sessions += 1;
                reading.session = at_rest(&reading.session);
            }
            if let Some(session) = self.habits.see((index, station), reading, lease, now) {
                reading.session = session;
            }
            let at = (index, reading.pile);
            let gives =
                reading.session.max_discharge > Power::ZERO || reading.active_power < Power::ZERO;
            let seen = (self.presence).see(at, reading.vehicle.as_ref(), gives, now);
            if seen.doubled {
                self.doubts.doubled_vehicles += 1;
            }
            // Names are dear to look up, and most vehicles are never discharged.
            if seen.gives {
                guard.observe(reading, station, lease, now);
            }
            let limits = guard.limits(reading, now);
            let within = |session: &Session| match &limits {
                Some(limits) => warranty::limited(session, limits, station, lease),
                None => session.clone(),
            };
            let chargeable_kwh = (limits.as_ref()).map_or(f64::INFINITY, |of| of.charge_kwh);
            let attended = reserved.then(|| {
                attend(
                    &mut self.watches,
                    &mut book,
                    (index, station),
                    reading,
                    (chargeable_kwh, in_charge),
                    (seen.since, now),
                    within,
                )
            });
            let attended = attended.flatten();
            if waits {
                let stay = stays.at(reading.pile);
                let other = stay.as_ref().is_some_and(|stay| !stay.is_of(reading));
                if let Some(left) = stay.as_ref().filter(|_| other) {
                    book.count(left.close(station, lease, now));
                }
                let comes = || Stay::new(reading, chargeable_kwh, station, now);
                match stay {
                    // Whoever has reserved is looked after elsewhere; who says nothing was promised nothing.
                    _ if attended.is_some() || !reading.says => stays.remove(reading.pile),
                    Some(stay) if other => *stay = comes(),
                    Some(stay) => {
                        stay.look(reading, (chargeable_kwh, in_charge), station, lease, now);
                    }
                    None => stays.insert(reading.pile, comes()),
                }
            }
            reading.session = match attended {
                Some(session) => session,
                None => within(&reading.session),
            };
            if seen.doubled {
                reading.session = undischarged(&reading.session);
            }
            if reading.defies {
                reading.session = unstoppable(&reading.session, station, now);
            }
        }
        out.truncate(taken);
        self.habits.close(index, now);
        stays.leave(now, |left| book.count(left.close(station, lease, now)));
        book.note(self.doubts, self.habits.expectations());
        let of_station = self.watches.range((index, 0)..(index + 1, 0));
        let gone = of_station.filter(|(_, watched)| {
            let stay = book
                .get(&watched.reservation)
                .map(|booking| booking.reservation.stay);
            let before = stay.is_some_and(|stay| watched.seen_at < stay.end() && now < stay.end());
            now - watched.seen_at > if before { GONE_BEFORE } else { GONE_AFTER }
        });
        let gone: Vec<(usize, u32)> = gone.map(|(key, _)| *key).collect();
        for key in gone {
            leave(&mut self.watches, &mut book, key);
        }
    }

    /// Cuts what the piles are to be told to what reservations and warranties allow, whatever has been shared out, and takes
    /// note of it. `readings` are the prepared ones. Until when at most that may hold if nobody comes back: somebody's window ends
    /// then.
    pub(crate) fn hold(
        &mut self,
        (index, station): (usize, &Station),
        readings: &[PileReading],
        lease: TimeDelta,
        now: Timestamp,
        setpoints: &mut [PileSetpoint],
    ) -> Option<Timestamp> {
        let mut until: Option<Timestamp> = None;
        let book = lock(&self.book);
        let guard = lock(&self.guard);
        let reserved = book.has_any(&station.id);
        let mut stays = self.stays.get_mut(index);
        for (at, told) in setpoints.iter_mut().enumerate() {
            let is_its = |reading: &&PileReading| reading.pile == told.pile;
            // Mostly there is one setpoint for each reading, in their order.
            let reading = readings.get(at).filter(is_its).or_else(|| {
                let at = readings.partition_point(|reading| reading.pile < told.pile);
                readings.get(at).filter(is_its)
            });
            let Some(reading) = reading else {
                continue;
            };
            let mut allowed = told.setpoint;
            if told.setpoint != Power::ZERO
                && let Some(limits) = guard.limits(reading, now)
            {
                allowed = match told.setpoint > Power::ZERO {
                    true => allowed.min(warranty::strongest_charge(&limits, station, lease)),
                    false => allowed.max(-warranty::strongest_discharge(&limits, station, lease)),
                };
            }
            if let Some(stay) = stays.as_mut().and_then(|stays| stays.at(told.pile)) {
                stay.tell(allowed);
            }
            let watched = self.watches.get_mut(&(index, told.pile));
            if let Some(watched) = watched.filter(|_| reserved)
                && let Some(booking) = book.get(&watched.reservation)
            {
                if !booking.reservation.may_discharge(now) {
                    allowed = allowed.max(Power::ZERO);
                }
                if !booking.reservation.may_charge(now) {
                    allowed = allowed.min(Power::ZERO);
                }
                watched.watch.tell(allowed);
                if allowed != Power::ZERO {
                    let change = booking.reservation.next_change(now);
                    until = Some(until.map_or(change, |until| until.min(change)));
                }
            }
            if allowed != told.setpoint {
                self.doubts.cut_setpoints += 1;
                told.setpoint = allowed;
            }
        }
        until.filter(|until| *until > now)
    }

    /// Once a round: what is over is closed.
    pub(crate) fn sweep(&mut self, now: Timestamp) {
        if self
            .swept_at
            .is_some_and(|at| now - at < SWEEP && now >= at)
        {
            return;
        }
        self.swept_at = Some(now);
        let watched: BTreeSet<&ReservationId> = (self.watches.values())
            .map(|watched| &watched.reservation)
            .collect();
        lock(&self.book).sweep(now, |id| watched.contains(id));
        lock(&self.guard).sweep(now);
        self.presence.sweep(now);
    }
}

/// Whoever panicked while it held the lock left a whole value behind: nothing is taken apart under it.
pub(crate) fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The session as the owner wants it and `within` its warranty, which lets `chargeable_kwh` into the battery, if the vehicle at
/// the pile, there `since` an instant, has a reservation.
fn attend(
    watches: &mut BTreeMap<(usize, u32), Watched>,
    book: &mut Book,
    (index, station): (usize, &Station),
    reading: &PileReading,
    (chargeable_kwh, in_charge): (f64, bool),
    (since, now): (Timestamp, Timestamp),
    within: impl Fn(&Session) -> Session,
) -> Option<Session> {
    let key = (index, reading.pile);
    let watched = watches.get(&key).map(|watched| &watched.reservation);
    let vehicle = reading.vehicle.as_ref();
    let booking = book.at((&station.id, reading.pile), vehicle, watched, since, now)?;
    let (reservation, comes) = (
        booking.reservation.clone(),
        booking.state == ReservationState::Booked,
    );
    if watched != Some(&reservation.id) {
        // Another's stay at this pile ended without a gap.
        leave(watches, book, key);
        let watched = Watched {
            reservation: reservation.id.clone(),
            watch: Watch::new(&reservation, reading, chargeable_kwh, station, now),
            seen_at: now,
        };
        watches.insert(key, watched);
    }
    if comes {
        book.turn(&reservation.id, ReservationState::PluggedIn, Vec::new());
    }
    let wished = wishes::wished(&reservation, reading, chargeable_kwh, station, now);
    let session = within(&wished);
    if let Some(watched) = watches.get_mut(&key) {
        watched.seen_at = now;
        let watch = &mut watched.watch;
        watch.set_in_charge(in_charge);
        watch.look(
            &reservation,
            reading,
            chargeable_kwh,
            &session,
            station,
            now,
        );
    }
    Some(session)
}

/// Closes the stay at a pile, if one is watched.
fn leave(watches: &mut BTreeMap<(usize, u32), Watched>, book: &mut Book, key: (usize, u32)) {
    let Some(watched) = watches.remove(&key) else {
        return;
    };
    let Some(booking) = book.get(&watched.reservation) else {
        return;
    };
    if booking.state != ReservationState::PluggedIn {
        return;
    }
    let violations = watched.watch.close(booking, watched.seen_at);
    for violation in &violations {
        let (id, promise, cause) = (&watched.reservation, violation.promise, violation.cause);
        tracing::warn!(reservation = %id, ?promise, ?cause, energy = %violation.energy, "a promise to an owner was not kept");
    }
    book.turn(&watched.reservation, ReservationState::Over, violations);
}

/// A session of which nothing is asked.
fn at_rest(session: &Session) -> Session {
    Session {
        departure: session.departure,
        energy_needed: Energy::ZERO,
        energy_room: Energy::ZERO,
        energy_available: Energy::ZERO,
        max_charge: Power::ZERO,
        max_discharge: Power::ZERO,
    }
}

/// The session of a vehicle whose pile obeys nobody: it draws all that it can until it is full or leaves, whatever it needs.
fn unstoppable(session: &Session, station: &Station, now: Timestamp) -> Session {
    let charges_kw = session.max_charge.as_kilowatts() * station.charge_efficiency;
    if charges_kw <= 0.0 {
        return undischarged(session);
    }
    let full_h = session.energy_room.as_kilowatt_hours() / charges_kw;
    #[allow(clippy::cast_possible_truncation)] // no stay is longer than a year
    let full = now + TimeDelta::milliseconds((full_h.min(8_784.0) * 3.6e6).ceil() as i64);
    let departure = session.departure.min(full).max(now);
    let taken_kwh = charges_kw * as_hours(departure - now);
    let taken = Energy::floor_kilowatt_hours(taken_kwh).min(session.energy_room);
    undischarged(&Session {
        departure,
        energy_needed: taken,
        ..session.clone()
    })
}

fn undischarged(session: &Session) -> Session {
    Session {
        energy_needed: session.energy_needed.max(Energy::ZERO),
        energy_available: Energy::ZERO,
        max_discharge: Power::ZERO,
        ..*session
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vpp_core::{AggregatorId, NodeId, StationId};

    /// By hand: 40 kWh of room at 20 kW, of which nine tenths arrive, are two hours and 13 minutes and 20 seconds; whoever leaves
    /// after an hour has taken 18 kWh. What it needs and could give does not matter.
    #[test]
    fn who_obeys_nobody_takes_all_that_it_can_at_once() {
        let now = Timestamp::UNIX_EPOCH;
        let energy = Energy::floor_kilowatt_hours;
        let session = |hours| Session {
            departure: now + TimeDelta::hours(hours),
            energy_needed: energy(3.0),
            energy_room: energy(40.0),
            energy_available: energy(10.0),
            max_charge: Power::from_watts(20_000),
            max_discharge: Power::from_watts(10_000),
        };
        for (hours, seconds, needed) in [(8, 8_000, 40.0), (1, 3_600, 18.0)] {
            let session = unstoppable(&session(hours), &station(), now);
            assert_eq!(session.departure, now + TimeDelta::seconds(seconds));
            assert!((session.energy_needed.as_kilowatt_hours() - needed).abs() < 1e-6);
            assert_eq!(session.max_discharge, Power::ZERO);
            assert!(session.check().is_ok(), "{session:?}");
        }
        let full = Session {
            energy_room: Energy::ZERO,
            energy_needed: Energy::ZERO,
            ..session(1)
        };
        let full = unstoppable(&full, &station(), now);
        assert_eq!((full.departure, full.energy_needed), (now, Energy::ZERO));
    }

    /// A station of which nine tenths of the energy arrive either way.
    pub(super) fn station() -> Station {
        Station {
            id: StationId::new("s").unwrap(),
            aggregator: AggregatorId::new("a").unwrap(),
            node: NodeId::new("n").unwrap(),
            kind: StationKind::Charging,
            piles: Vec::new(),
            import_limit: Power::from_watts(20_000),
            export_limit: Power::from_watts(20_000),
            ramp_per_second: Power::from_watts(20_000),
            default_setpoint: Power::ZERO,
            charge_efficiency: 0.9,
            discharge_efficiency: 0.9,
            regulates: false,
        }
    }
}
