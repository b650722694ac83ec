//! Who comes and goes: how many vehicles plug in and leave in each quarter of an hour at an aggregator's stations, and what those
//! that come need. The same quarters of the week before tell what it will be ([`TimeOfWeek`](vpp_core::TimeOfWeek)), in three
//! quantiles that come true as often as they say ([`Quote`](vpp_core::Quote)).
//!
//! Vehicles have no names here. One that was not there at the last report has come: whose departure is another than all that were
//! there. A departure that only changed looks like one that left early and one that came, in one report, and is counted as neither.
//! Packs in the slots of a swap station are no vehicles.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use vpp_core::{
    AggregatorId, Energy, Invalid, Scope, Session, Station, StationKind, Telemetry, Timestamp,
};

use crate::engine::Engine;
use crate::input::{Fact, Output};
use crate::state::StationState;
use crate::track::{Track, check_later};
use crate::usual::quarter_start;

/// The shares of quarters of an hour in which no more comes than what is said: one in ten, half, nine in ten.
pub const SHARES: [f64; 3] = [0.1, 0.5, 0.9];
/// A track says how much it will be at least.
const CONFIDENCES: [f64; 3] = [1.0 - SHARES[0], 1.0 - SHARES[1], 1.0 - SHARES[2]];
const QUARTER: TimeDelta = TimeDelta::minutes(15);

/// Who came and went in a quarter of an hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Visits {
    /// Vehicles that plugged in.
    pub arrivals: u32,
    /// Vehicles that left.
    pub departures: u32,
    /// What those that plugged in needed when they were first reported, at their batteries.
    pub energy_needed: Energy,
}

impl std::ops::AddAssign for Visits {
    fn add_assign(&mut self, other: Visits) {
        self.arrivals = self.arrivals.saturating_add(other.arrivals);
        self.departures = self.departures.saturating_add(other.departures);
        self.energy_needed += other.energy_needed;
    }
}

/// What is expected of a quarter of an hour: what is not exceeded in each of [`SHARES`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct ExpectedVisits {
    /// Vehicles that plug in.
    pub arrivals: [f64; 3],
    /// Vehicles that leave.
    pub departures: [f64; 3],
    /// What those that plug in need, at their batteries, kWh.
    pub energy_kwh: [f64; 3],
}

impl ExpectedVisits {
    /// Of arrivals, departures and energy; none where one of them is not known.
    fn of(said: [Option<[f64; 3]>; 3]) -> Option<ExpectedVisits> {
        let [Some(arrivals), Some(departures), Some(energy_kwh)] = said else {
            return None;
        };
        Some(ExpectedVisits {
            arrivals,
            departures,
            energy_kwh,
        })
    }
}

/// When the first quarter of an hour begins that is later than an instant.
#[must_use]
pub fn next_quarter(at: Timestamp) -> Timestamp {
    quarter_start(at) + QUARTER
}

/// Who came and went in a quarter of an hour that is over, and what was expected of it the day before.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct PastVisits {
    /// When the quarter began.
    pub at: Timestamp,
    /// At whose stations; none: all.
    pub aggregator: Option<AggregatorId>,
    /// What was expected; none while too little was known.
    pub expected: Option<ExpectedVisits>,
    /// What came.
    pub actual: Visits,
}

/// Arrivals, departures, energy.
type Tracks = [Track<3>; 3];

/// All that was seen and expected.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Turnover {
    /// What was seen in the quarter that is on, of each aggregator in the order of the fleet.
    seen: Vec<Visits>,
    /// Whether it has been watched from its beginning.
    whole: bool,
    /// Of all stations, then of each aggregator.
    tracks: Vec<Tracks>,
    /// What was over at the last cycle.
    past: Vec<PastVisits>,
}

/// Nobody comes less often than never.
fn counted(value: f64) -> f64 {
    value.max(0.0)
}

impl Turnover {
    /// Takes what was seen at a station of the aggregator at a place of the fleet.
    pub(crate) fn see(&mut self, aggregator: usize, visits: Visits) {
        if visits == Visits::default() {
            return;
        }
        if self.seen.len() <= aggregator {
            self.seen.resize(aggregator + 1, Visits::default());
        }
        self.seen[aggregator] += visits;
    }

    /// Takes what each aggregator, by its place in the fleet, saw in the quarter that began at `at`.
    fn observe(&mut self, at: Timestamp, seen: &[(usize, &AggregatorId, Visits)]) {
        self.past.clear();
        let Some(count) = seen.iter().map(|(place, ..)| place + 2).max() else {
            return;
        };
        if count > self.tracks.len() {
            self.tracks.resize_with(count, Tracks::default);
        }
        let mut all = Visits::default();
        for (_, _, visits) in seen {
            all += *visits;
        }
        let each = (seen.iter()).map(|(place, id, visits)| (place + 1, Some(*id), *visits));
        for (place, aggregator, actual) in std::iter::once((0, None, all)).chain(each) {
            let values = [
                f64::from(actual.arrivals),
                f64::from(actual.departures),
                actual.energy_needed.as_kilowatt_hours(),
            ];
            let mut expected = [None; 3];
            for ((track, value), due) in
                (self.tracks[place].iter_mut().zip(values)).zip(&mut expected)
            {
                *due = track.observe(at, value, CONFIDENCES, counted);
            }
            self.past.push(PastVisits {
                at,
                aggregator: aggregator.cloned(),
                expected: ExpectedVisits::of(expected),
                actual,
            });
        }
    }
}

/// Who came and went at a station by its new report; by its first one nobody did.
pub(crate) fn by_report(state: &StationState, station: &Station, report: &Telemetry) -> Visits {
    if state.sampled_at.is_none() || station.kind == StationKind::Swap {
        return Visits::default();
    }
    between(&state.sessions, &report.sessions, report.sampled_at)
}

/// Who came and went between two reports, the second of `at`.
fn between(before: &[Session], after: &[Session], at: Timestamp) -> Visits {
    let same = before.len() == after.len()
        && (before.iter().zip(after)).all(|(one, other)| one.departure == other.departure);
    if same {
        return Visits::default();
    }
    let sorted = |sessions: &[Session]| {
        let of = |session: &Session| (session.departure, session.energy_needed);
        let mut sorted: Vec<(Timestamp, Energy)> = sessions.iter().map(of).collect();
        sorted.sort_unstable();
        sorted
    };
    let before = sorted(before);
    let (mut gone, mut known) = (Vec::new(), before.iter().peekable());
    let (mut arrivals, mut energy) = (0_u32, Energy::ZERO);
    for (departure, needed) in sorted(after) {
        while let Some((earlier, _)) = known.next_if(|(known, _)| *known < departure) {
            gone.push(*earlier);
        }
        if known.next_if(|(known, _)| *known == departure).is_none() {
            arrivals += 1;
            energy += needed.max(Energy::ZERO);
        }
    }
    gone.extend(known.map(|(departure, _)| *departure));
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let early = count(gone.iter().filter(|departure| **departure > at).count());
    let moved = arrivals.min(early);
    let energy_needed = match arrivals {
        0 => Energy::ZERO,
        // Of whom it changed is not known.
        all => Energy::from_watt_milliseconds(
            energy.as_watt_milliseconds() / i64::from(all) * i64::from(all - moved),
        ),
    };
    Visits {
        arrivals: arrivals - moved,
        departures: count(gone.len()) - moved,
        energy_needed,
    }
}

impl Engine {
    /// At the first cycle of a quarter of an hour: learns who came and went in the one before. `before` is the cycle before this
    /// one.
    pub(crate) fn settle_visits(
        &mut self,
        now: Timestamp,
        before: Option<Timestamp>,
        outputs: &mut Vec<Output>,
    ) {
        self.turnover.past.clear();
        let Some(before) = before else {
            self.turnover.seen.clear();
            return;
        };
        let (ended, begun) = (quarter_start(before), quarter_start(now));
        if ended == begun {
            return;
        }
        let seen = std::mem::take(&mut self.turnover.seen);
        let whole = std::mem::replace(&mut self.turnover.whole, true);
        // What was not watched all the time says nothing.
        if !whole || begun - ended != QUARTER {
            return;
        }
        let aggregators = self.fleet.aggregators().iter().enumerate();
        let of = |place: usize| seen.get(place).copied().unwrap_or_default();
        let seen: Vec<(usize, &AggregatorId, Visits)> = aggregators
            .map(|(place, aggregator)| (place, &aggregator.id, of(place)))
            .collect();
        self.turnover.observe(ended, &seen);
        let visits = (seen.into_iter()).map(|(_, id, visits)| (id.clone(), visits));
        let visits = visits.collect();
        outputs.push(Output::Record(Box::new(Fact::Visits { at: ended, visits })));
    }

    pub(crate) fn restore_visits(&mut self, at: Timestamp, visits: &[(AggregatorId, Visits)]) {
        let known = visits
            .iter()
            .filter_map(|(id, visits)| Some((self.fleet.aggregator_index(id)?, id, *visits)));
        let known: Vec<(usize, &AggregatorId, Visits)> = known.collect();
        self.turnover.observe(at, &known);
        self.turnover.past.clear();
    }

    /// The quarter of an hour that ended at the last cycle: of all stations, then of each aggregator's. Empty but for the first cycle
    /// of each quarter.
    #[must_use]
    pub fn past_visits(&self) -> &[PastVisits] {
        &self.turnover.past
    }

    /// What is expected of each quarter of an hour that begins from `start` on for `length`, at all stations or an aggregator's. None
    /// while less than a week has been seen.
    ///
    /// # Errors
    /// When the aggregator is unknown, the scope is a node, the start not later than now, the length negative, or the end more than a
    /// week away.
    pub fn expected_visits(
        &self,
        now: Timestamp,
        scope: &Scope,
        start: Timestamp,
        length: TimeDelta,
    ) -> Result<Vec<(Timestamp, ExpectedVisits)>, Invalid> {
        let place = self.forecast_place(scope)?;
        check_later(now, start)?;
        if length < TimeDelta::zero() {
            return Err(Invalid::new("duration", "is negative"));
        }
        check_later(now, start + length)
            .map_err(|invalid| Invalid::new("duration", invalid.problem))?;
        let Some(tracks) = self.turnover.tracks.get(place) else {
            return Ok(Vec::new());
        };
        let first = next_quarter(start - TimeDelta::nanoseconds(1));
        let starts = (0..).map(|number| first + QUARTER * number);
        let starts = starts.take_while(|at| *at < start + length);
        let expected = starts.filter_map(|at| {
            let said = |track: &Track<3>| track.forecast(now, at, CONFIDENCES, counted);
            let expected = ExpectedVisits::of(tracks.each_ref().map(said))?;
            Some((at, expected))
        });
        Ok(expected.collect())
    }

    /// Of all stations first, then of each aggregator's in the order of the fleet.
    ///
    /// # Errors
    /// When the aggregator is unknown, or the scope is a node.
    pub(crate) fn forecast_place(&self, scope: &Scope) -> Result<usize, Invalid> {
        match scope {
            Scope::All => Ok(0),
            Scope::Aggregator(id) => {
                let index = self.fleet.aggregator_index(id);
                Ok(1 + index.ok_or_else(|| Invalid::unknown("scope.aggregator_id", id))?)
            }
            Scope::Node(_) => {
                let problem =
                    "is a node: what comes later is told of an aggregator's stations or all";
                Err(Invalid::new("scope.node_id", problem))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vpp_core::Power;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_timestamp(1_800_000_000 + 60 * minutes, 0).unwrap()
    }

    fn session(departs: i64, kwh: i64) -> Session {
        let energy = Energy::from_watt_milliseconds(kwh * 3_600_000_000);
        Session {
            departure: at(departs),
            energy_needed: energy,
            energy_room: energy,
            energy_available: Energy::ZERO,
            max_charge: Power::from_watts(7_000),
            max_discharge: Power::ZERO,
        }
    }

    fn visits(arrivals: u32, departures: u32, kwh: i64) -> Visits {
        Visits {
            arrivals,
            departures,
            energy_needed: Energy::from_watt_milliseconds(kwh * 3_600_000_000),
        }
    }

    /// By hand: who was there is known by when he leaves, whatever the order and however much he still needs. Of two who leave at
    /// the same instant the one who needs more is taken for new.
    #[test]
    fn who_has_another_departure_has_come() {
        let two = [session(60, 10), session(90, 20)];
        let table: &[(&[Session], Visits)] = &[
            (&two, visits(0, 0, 0)),
            (&[session(90, 19), session(60, 9)], visits(0, 0, 0)),
            (
                &[session(60, 9), session(90, 19), session(120, 5)],
                visits(1, 0, 5),
            ),
            (
                &[session(60, 9), session(60, 7), session(90, 19)],
                visits(1, 0, 9),
            ),
            (&[session(60, 9)], visits(0, 1, 0)),
            (&[], visits(0, 2, 0)),
        ];
        for (after, expected) in table {
            assert_eq!(between(&two, after, at(10)), *expected, "{after:?}");
        }
        // At minute 60 the one leaves as agreed, and another comes to its pile.
        let after = [session(180, 8), session(90, 0)];
        assert_eq!(between(&two, &after, at(60)), visits(1, 1, 8));
        // At minute 10 nobody leaves as agreed: the departure has changed.
        assert_eq!(between(&two, &after, at(10)), visits(0, 0, 0));
        // Two came and one went early: of the one of them that is counted half of what both need.
        let after = [session(180, 8), session(90, 0), session(200, 4)];
        assert_eq!(between(&two, &after, at(10)), visits(1, 0, 6));
    }
}
