//! From sessions to what a station could do: power bounds and the envelope of cumulative energy.
//!
//! What the envelope promises for its first [`Flexibility::GUARANTEED`] intervals can be carried out: whatever course of
//! energies keeps its bounds can be shared out among the vehicles, with each within its own power and battery and none
//! leaving short. For one vehicle it is all that the vehicle can do. Of several together the sums of their bounds say more than
//! they can do (a vehicle that is full does not help another that charges slowly), so those are drawn in, towards the middle
//! of what is possible, until every set of intervals is asked for no more than the vehicles can give in it
//! (`flexibility/ranges.rs`). Later intervals keep the sums: they are planned anew before they come near.
//!
//! A station keeps one power through an interval, and a vehicle that leaves in the middle of it must have what it needs by then.
//! So in the first interval such a vehicle counts as one that stays to its end and needs as much more: it needs the same power.
//! Later intervals are the first before they come. That piles do not charge below some power is not known here.
//!
//! What is taken out of a battery counts for no more than it can put into another one, so that a vehicle may also charge out
//! of its neighbours; and whoever may be discharged needs what is lost on the way back as well: of what it can give within the
//! promised intervals. What it gives later is planned anew before it is given; to charge all day for it would be paid for and
//! never used. Of vehicles that are not discharged nothing is lost by this.
//!
//! So the sums are exact where nothing is lost; with losses what vehicles can do together is no longer described by sets of
//! intervals (it is not a generalized polymatroid), and this is an inner approximation of it.

mod ranges;
mod sustained;

use chrono::TimeDelta;

use crate::time::{as_hours, since};
use crate::units::MAX_KILOWATT_HOURS;
use crate::{Energy, Interval, Power, Session, Station, Timestamp};
use ranges::{Course, MOST_INTERVALS, Ranges, Side};

/// Bounds on the energy that the batteries of a station have received since the start of the horizon, at the *end* of
/// each interval, in battery-side energy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnergyEnvelope {
    /// Latest curves: less, and a vehicle leaves short. Negative where batteries may be discharged.
    pub lower: Vec<Energy>,
    /// Earliest curves: more does not fit.
    pub upper: Vec<Energy>,
}

/// What a station could do over a horizon.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flexibility {
    /// The most that the plugged-in vehicles draw, mean over each interval; within the connection.
    pub max_charge: Vec<Power>,
    /// The most that they export, as a magnitude, mean over each interval; within the connection.
    pub max_discharge: Vec<Power>,
    /// Energy bounds at the end of each interval.
    pub envelope: EnergyEnvelope,
}

impl Flexibility {
    /// So many intervals from now on are promised for certain.
    pub const GUARANTEED: usize = MOST_INTERVALS;

    /// The flexibility of `station` with `sessions` plugged in, from `now` over `intervals` (contiguous, the first starts
    /// at `now`).
    #[must_use]
    pub fn of(
        station: &Station,
        sessions: &[Session],
        now: Timestamp,
        intervals: &[Interval],
    ) -> Flexibility {
        let mut flexibility = Flexibility::default();
        let near = intervals.len().min(MOST_INTERVALS);
        let spans = intervals.iter().map(|interval| Span::of(interval, now));
        let spans: Vec<Span> = spans.collect();
        let vehicle = |session| {
            Vehicle::new(station, session, now)
                .within(&spans)
                .lossless(station, &spans[..near])
        };
        let vehicles: Vec<Vehicle> = sessions.iter().map(vehicle).collect();
        let promised = promised(&vehicles, &spans[..near]);
        for (t, span) in spans.iter().enumerate() {
            let (mut up, mut down, mut lower, mut upper) = (0.0, 0.0, 0.0, 0.0);
            if t < near {
                up = promised.up[t];
                down = promised.down[t];
                lower = promised.lower[t];
                upper = promised.upper[t];
            } else {
                for vehicle in &vehicles {
                    let (most, least) = vehicle.energy_in(span);
                    let bounds = vehicle.stored_at(span.end_h);
                    up += most;
                    down += least;
                    lower += bounds.0;
                    upper += bounds.1;
                }
            }
            let hours = span.end_h - span.start_h;
            let charge = within(up / station.charge_efficiency / hours, station.import_limit);
            let discharge = within(
                down / station.charge_efficiency / hours,
                station.export_limit,
            );
            if lower < 0.0 {
                lower /= round_trip(station);
            }
            flexibility.max_charge.push(charge);
            flexibility.max_discharge.push(discharge);
            // Beyond belief only where reports are; drawn in, like all that is not certain.
            let upper = Energy::floor_kilowatt_hours(believable(upper));
            let lower = -Energy::floor_kilowatt_hours(believable(-lower));
            flexibility.envelope.upper.push(upper);
            flexibility.envelope.lower.push(lower.min(upper));
        }
        flexibility
    }
}

fn believable(kwh: f64) -> f64 {
    kwh.clamp(-MAX_KILOWATT_HOURS, MAX_KILOWATT_HOURS)
}

/// A magnitude, not below zero and not above what the connection carries; rounded down.
fn within(kilowatts: f64, limit: Power) -> Power {
    Power::floor_kilowatts(kilowatts.clamp(0.0, limit.as_kilowatts()))
}

/// What is left of energy that is taken out of one battery and put into another.
fn round_trip(station: &Station) -> f64 {
    station.charge_efficiency * station.discharge_efficiency
}

/// The ranges of all vehicles together that can be shared out among them.
fn promised(vehicles: &[Vehicle], intervals: &[Span]) -> Ranges {
    let mut parts: Vec<Ranges> = vehicles
        .iter()
        .map(|vehicle| vehicle.ranges(intervals))
        .collect();
    let (mut all, mut course) = (Ranges::default(), Course::default());
    all.intervals = intervals.len();
    for part in &parts {
        all.add(part);
        course.add(&part.middle());
    }
    all.promise(&parts, &course, Side::Lower);
    for part in &mut parts {
        *part = part.mirrored();
    }
    let mut mirrored = all.mirrored();
    mirrored.promise(&parts, &course.mirrored(), Side::Upper);
    mirrored.mirrored()
}

/// An interval, in hours from now.
#[derive(Clone, Copy)]
struct Span {
    start_h: f64,
    end_h: f64,
}

impl Span {
    fn of(interval: &Interval, now: Timestamp) -> Span {
        Span {
            start_h: as_hours(interval.start() - now),
            end_h: as_hours(interval.end() - now),
        }
    }
}

/// Less of a stay is none, h.
const MILLISECOND_H: f64 = 1.0 / 3_600_000.0;

/// What is left of an energy, kWh, where piles move none that is negligible.
fn worth_moving(energy: Energy) -> f64 {
    if energy < Session::NEGLIGIBLE {
        return 0.0;
    }
    energy.as_kilowatt_hours()
}

/// A vehicle's stay, in kW and kWh at its battery, and hours from now.
struct Vehicle {
    departure_h: f64,
    charge_kw: f64,
    discharge_kw: f64,
    needed_kwh: f64,
    room_kwh: f64,
    available_kwh: f64,
}

impl Vehicle {
    fn new(station: &Station, session: &Session, now: Timestamp) -> Vehicle {
        let vehicle = Vehicle {
            departure_h: as_hours(since(now, session.departure).max(TimeDelta::zero())),
            charge_kw: session.max_charge.as_kilowatts() * station.charge_efficiency,
            discharge_kw: session.max_discharge.as_kilowatts() / station.discharge_efficiency,
            needed_kwh: session.energy_needed.as_kilowatt_hours(),
            room_kwh: worth_moving(session.energy_room),
            available_kwh: worth_moving(session.energy_available),
        };
        // What cannot be had any more is not needed.
        let most = vehicle.charge_kw * vehicle.departure_h;
        Vehicle {
            needed_kwh: vehicle.needed_kwh.min(vehicle.room_kwh).min(most),
            ..vehicle
        }
    }

    /// As it is seen by somebody who keeps one power through the first interval.
    fn within(mut self, intervals: &[Span]) -> Vehicle {
        let Some(first) = intervals.first() else {
            return self;
        };
        if self.departure_h > first.end_h {
            return self;
        }
        // It leaves with what it needs, so that it gives nothing.
        (self.available_kwh, self.discharge_kw) = (0.0, 0.0);
        if self.departure_h >= MILLISECOND_H {
            let longer = first.end_h / self.departure_h;
            self.needed_kwh *= longer;
            self.room_kwh *= longer;
            self.departure_h = first.end_h;
        }
        self
    }

    /// As if nothing was lost: what it gives counts as what another battery receives of it, and it needs what is lost when what
    /// it can give within the `promised` intervals is put back.
    fn lossless(mut self, station: &Station, promised: &[Span]) -> Vehicle {
        let kept = round_trip(station);
        let most = self.room_kwh.min(self.charge_kw * self.departure_h);
        if kept < 1.0 {
            let replaceable = (most - self.needed_kwh).max(0.0) / (1.0 - kept);
            self.available_kwh = self.available_kwh.min(replaceable);
        }
        let stay = promised
            .last()
            .map_or(0.0, |last| self.stay_h(0.0, last.end_h));
        let given = self.available_kwh.min(self.discharge_kw * stay);
        self.needed_kwh += (1.0 - kept) * given;
        self.available_kwh *= kept;
        self.discharge_kw *= kept;
        self
    }

    /// How long it stays from one hour to another, h.
    fn stay_h(&self, from_h: f64, to_h: f64) -> f64 {
        (self.departure_h.min(to_h) - from_h).max(0.0)
    }

    /// The most that it takes and gives in an interval, kWh.
    fn energy_in(&self, interval: &Span) -> (f64, f64) {
        let hours = self.stay_h(interval.start_h, interval.end_h);
        (self.charge_kw * hours, self.discharge_kw * hours)
    }

    /// The least and the most that it may have received by an hour, kWh.
    fn stored_at(&self, at_h: f64) -> (f64, f64) {
        let since_now = self.stay_h(0.0, at_h);
        let until_departure = (self.departure_h - at_h).max(0.0);
        let upper = self.room_kwh.min(self.charge_kw * since_now);
        let deepest = self.available_kwh.min(self.discharge_kw * since_now);
        // What is still to come at full power after then need not be there yet.
        let latest = self.needed_kwh - self.charge_kw * until_departure;
        (latest.max(-deepest).min(upper), upper)
    }

    fn ranges(&self, intervals: &[Span]) -> Ranges {
        let mut ranges = Ranges {
            intervals: intervals.len(),
            ..Ranges::default()
        };
        for (t, interval) in intervals.iter().enumerate() {
            (ranges.up[t], ranges.down[t]) = self.energy_in(interval);
            (ranges.lower[t], ranges.upper[t]) = self.stored_at(interval.end_h);
        }
        ranges
    }
}

#[cfg(test)]
mod tests;
