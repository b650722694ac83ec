//! From sessions to what a station could do: power bounds and the envelope of cumulative energy.
//!
//! The envelope sums each session's earliest and latest energy curve. It is exact for one session; for several it is the
//! usual outer aggregation, so the aggregator's split over piles serves the most urgent first to stay within it.

use chrono::TimeDelta;

use crate::time::as_hours;
use crate::{Energy, Interval, Power, Session, Station, Timestamp};

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
        for interval in intervals {
            let mut charge = Power::ZERO;
            let mut discharge = Power::ZERO;
            let mut lower = Energy::ZERO;
            let mut upper = Energy::ZERO;
            for session in sessions {
                let stay = (session.departure.min(interval.end()) - interval.start())
                    .max(TimeDelta::zero());
                charge += session.max_charge * stay / interval.length();
                discharge += session.max_discharge * stay / interval.length();
                let bounds = session_bounds(station, session, now, interval.end());
                lower += bounds.0;
                upper += bounds.1;
            }
            flexibility
                .max_charge
                .push(charge.min(station.import_limit));
            flexibility
                .max_discharge
                .push(discharge.min(station.export_limit));
            flexibility.envelope.lower.push(lower);
            flexibility.envelope.upper.push(upper);
        }
        flexibility
    }

    /// The lowest mean draw that can be kept over the interval `index`, counted from the start of the horizon, without a
    /// vehicle leaving short; negative where batteries can export.
    #[must_use]
    pub fn sustained_min(&self, station: &Station, index: usize, length: TimeDelta) -> Power {
        let energy = self.envelope.lower[index].as_kilowatt_hours();
        let at_grid = if energy >= 0.0 {
            energy / station.charge_efficiency
        } else {
            energy * station.discharge_efficiency
        };
        let power = Power::round_kilowatts(at_grid / as_hours(length));
        power.limited_to(-self.max_discharge[index], self.max_charge[index])
    }

    /// The highest mean draw that can be kept over the interval `index`, counted from the start of the horizon.
    #[must_use]
    pub fn sustained_max(&self, station: &Station, index: usize, length: TimeDelta) -> Power {
        let at_grid = self.envelope.upper[index].as_kilowatt_hours() / station.charge_efficiency;
        Power::floor_kilowatts(at_grid / as_hours(length)).min(self.max_charge[index])
    }
}

/// Latest and earliest cumulative energy of one session at `at`.
fn session_bounds(
    station: &Station,
    session: &Session,
    now: Timestamp,
    at: Timestamp,
) -> (Energy, Energy) {
    let plugged_until = session.departure.min(at);
    let since_now = (plugged_until - now).max(TimeDelta::zero());
    let until_departure = (session.departure - plugged_until).max(TimeDelta::zero());
    let charged = |length| scale(session.max_charge * length, station.charge_efficiency);
    let upper = session.energy_room.min(charged(since_now));
    let deepest = session.energy_available.min(scale(
        session.max_discharge * since_now,
        1.0 / station.discharge_efficiency,
    ));
    // What is still to come at full power after `at` need not be there yet.
    let latest = session.energy_needed - charged(until_departure);
    let lower = latest.max(-deepest).min(upper);
    (lower, upper)
}

#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)] // energies are bounded far below 2^53 mJ·1e3
fn scale(energy: Energy, factor: f64) -> Energy {
    Energy::from_watt_milliseconds((energy.as_watt_milliseconds() as f64 * factor) as i64)
}
