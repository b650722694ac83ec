//! What a station can keep up for a while.

use chrono::TimeDelta;

use super::{Flexibility, Vehicle};
use crate::time::as_hours;
use crate::{Power, Session, Station, Timestamp};

impl Flexibility {
    /// The lowest ceiling that the draw of the plugged-in vehicles can keep from `now` for `duration` without one of them
    /// leaving short (negative where batteries can export all the time), and the highest power that they can keep drawing.
    ///
    /// All that is plugged in stays from now on to some instant. So of all sets of instants of the same length it is the
    /// earliest in which most must be drawn, and the latest in which least can be:
    ///
    /// ```text
    /// lowest  = max over k ≤ D of  Σ max(0, needed − charge · (departure − k)⁺) / k      what must be drawn by k
    ///         − min over k ≤ D of  Σ min(can be spared, discharge · stay in the last k) / k
    /// highest = min over k ≤ D of  Σ min(room, charge · stay in the last k) / k
    /// ```
    ///
    /// The first and the last are exact where nobody exports; with exports the sum of both parts is kept for certain.
    #[must_use]
    pub fn sustained(
        station: &Station,
        sessions: &[Session],
        now: Timestamp,
        duration: TimeDelta,
    ) -> (Power, Power) {
        let length = as_hours(duration);
        let vehicles: Vec<Stay> = (sessions.iter())
            .map(|session| Stay::new(&Vehicle::new(station, session, now), length))
            .collect();
        let must = greatest_mean(&vehicles, length);
        let last = |charge: bool| move |stay: &Stay| stay.last(length, charge);
        let spared = least_mean(vehicles.iter().map(last(false)), length);
        let highest = least_mean(vehicles.iter().map(last(true)), length);
        let lowest = must / station.charge_efficiency - spared * station.discharge_efficiency;
        let (import, export) = (
            station.import_limit.as_kilowatts(),
            station.export_limit.as_kilowatts(),
        );
        let highest = (highest / station.charge_efficiency).min(import);
        (
            -Power::floor_kilowatts((-lowest).clamp(-import, export)),
            Power::floor_kilowatts(highest),
        )
    }
}

/// A vehicle's stay in hours, kW and kWh at its battery.
struct Stay {
    departure_h: f64,
    charge_kw: f64,
    discharge_kw: f64,
    needed_kwh: f64,
    room_kwh: f64,
    /// What can be taken out by the end, and not be missed later.
    spared_kwh: f64,
}

impl Stay {
    fn new(vehicle: &Vehicle, length: f64) -> Stay {
        Stay {
            departure_h: vehicle.departure_h,
            charge_kw: vehicle.charge_kw,
            discharge_kw: vehicle.discharge_kw,
            needed_kwh: vehicle.needed_kwh,
            room_kwh: vehicle.room_kwh,
            spared_kwh: (-vehicle.stored_at(length).0).max(0.0),
        }
    }

    /// What it must have drawn in the first `k` hours.
    fn must(&self, k: f64) -> f64 {
        (self.needed_kwh - self.charge_kw * (self.departure_h - k).max(0.0)).max(0.0)
    }

    /// What it can draw, or give, in the last hours of so many.
    fn last(&self, length: f64, charge: bool) -> Late {
        let (power, most) = if charge {
            (self.charge_kw, self.room_kwh)
        } else {
            (self.discharge_kw, self.spared_kwh)
        };
        Late {
            gone: (length - self.departure_h).max(0.0),
            power,
            most,
        }
    }
}

/// Energy at a power, up to some amount, that ends before the last `gone` hours.
#[derive(Clone, Copy)]
struct Late {
    gone: f64,
    power: f64,
    most: f64,
}

impl Late {
    fn energy(&self, k: f64) -> f64 {
        (self.power * (k - self.gone).max(0.0)).min(self.most)
    }
}

/// The greatest of `Σ must(k) / k` over `0 < k ≤ length`. Between the instants at which somebody must begin or leaves it is
/// monotone, so that those are enough.
fn greatest_mean(vehicles: &[Stay], length: f64) -> f64 {
    let begin = |stay: &Stay| stay.departure_h - stay.needed_kwh / stay.charge_kw;
    let instants = (vehicles.iter())
        .filter(|stay| stay.needed_kwh > 0.0)
        .flat_map(|stay| [begin(stay), stay.departure_h])
        .chain([length]);
    let mean = |k: f64| vehicles.iter().map(|stay| stay.must(k)).sum::<f64>() / k;
    // Who must begin at once must draw at full power from the first instant on.
    let at_once = (vehicles.iter())
        .filter(|stay| stay.needed_kwh > 0.0 && begin(stay) <= 1e-9)
        .map(|stay| stay.charge_kw);
    let inside = instants.filter(|k| 1e-9 < *k && *k <= length);
    inside.map(mean).fold(at_once.sum(), f64::max)
}

/// The least of `Σ energy(k) / k` over `0 < k ≤ length`.
fn least_mean(parts: impl Iterator<Item = Late>, length: f64) -> f64 {
    let parts: Vec<Late> = parts.filter(|part| part.power > 0.0).collect();
    let instants = (parts.iter())
        .flat_map(|part| [part.gone, part.gone + part.most / part.power])
        .chain([length]);
    let mean = |k: f64| parts.iter().map(|part| part.energy(k)).sum::<f64>() / k;
    let to_the_end = parts
        .iter()
        .filter(|part| part.gone <= 1e-9 && part.most > 0.0);
    let at_the_end: f64 = to_the_end.map(|part| part.power).sum();
    let inside = instants.filter(|k| 1e-9 < *k && *k <= length);
    inside.map(mean).fold(at_the_end, f64::min)
}
