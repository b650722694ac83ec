//! What will be callable, promised with a stated confidence, and how often such promises were kept.
//!
//! At the first cycle of each quarter of an hour it is seen what each aggregator could be called for, up and down, for an hour. A
//! model learns that ([`TimeOfWeek`](vpp_core::TimeOfWeek)); with each of [`CONFIDENCES`] a promise is made for the same quarter
//! of the next day ([`Quote`](vpp_core::Quote)), and those made the day before come due. All of it follows from what was seen and
//! from nothing else: that is what the journal keeps ([`Fact::Callable`]).
//!
//! Seen is from the load before a programme where one uses a station: what is called already was callable. Where the load usually
//! falls within the hour, no more can be taken off than will be left of it; where it rises, less can be added.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use vpp_core::{AggregatorId, Interval, Invalid, Power, Scope, Timestamp};

use crate::capability::scaled;
use crate::engine::Engine;
use crate::input::{Fact, Output};
use crate::track::{Track, check_later};
use crate::usual::{quarter_start, quarters};

/// Confidences with which promises are made, and each is judged by itself.
pub const CONFIDENCES: [f64; 6] = [0.5, 0.8, 0.9, 0.95, 0.98, 0.99];
const RUNGS: usize = CONFIDENCES.len();
/// With which of them later events are promised.
const RELIED_ON: usize = 3;
/// For how long what is promised can be called.
pub const PROMISED_FOR: TimeDelta = TimeDelta::hours(1);

/// Which way power is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
pub enum CallDirection {
    /// Drawing less or exporting more.
    Up,
    /// Drawing more or exporting less.
    Down,
}

/// What an aggregator could be called for at some instant, for an hour; magnitudes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callable {
    /// Whose stations.
    pub aggregator: AggregatorId,
    /// Drawing less or exporting more.
    pub up: Power,
    /// Drawing more or exporting less.
    pub down: Power,
}

/// A promise, made the day before, whose time has come.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct DuePromise {
    /// For when it was made.
    pub at: Timestamp,
    /// Of whose stations; none: all.
    pub aggregator: Option<AggregatorId>,
    /// Which way.
    pub direction: CallDirection,
    /// With which probability it was to be kept.
    pub confidence: f64,
    /// At least so much was to be callable for an hour; above zero.
    pub promised: Power,
    /// So much was.
    pub actual: Power,
}

impl DuePromise {
    /// Whether there was as much as promised.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.actual >= self.promised
    }
}

/// What can be relied on, one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReliableDirection {
    /// At least so much will be callable for an hour; none while too little has been seen to tell.
    pub callable: Option<Power>,
    /// Promises of this confidence that came due so far. One of nothing is none.
    pub due: u64,
    /// Those of them that were kept.
    pub kept: u64,
}

/// What can be relied on at a later time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reliable {
    /// When.
    pub start: Timestamp,
    /// The confidence with which it is promised: of [`CONFIDENCES`] the least that is as high as asked.
    pub confidence: f64,
    /// Drawing less or exporting more.
    pub up: ReliableDirection,
    /// Drawing more or exporting less.
    pub down: ReliableDirection,
}

/// All that was promised.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Promises {
    /// Up and down: of all stations, then of each aggregator in the order of the fleet.
    tracks: Vec<[Track<RUNGS>; 2]>,
    /// What came due at the last cycle.
    due: Vec<DuePromise>,
}

/// Whole watts that are surely there, kW; no less than nothing.
fn floor(kilowatts: f64) -> f64 {
    Power::floor_kilowatts(kilowatts.max(0.0)).as_kilowatts()
}

impl Promises {
    /// Takes what each aggregator, by its place in the fleet, could be called for.
    fn observe(&mut self, at: Timestamp, callable: &[(usize, &Callable)]) {
        self.due.clear();
        let count = callable.iter().map(|(place, _)| place + 2).max();
        if count.is_some_and(|count| count > self.tracks.len()) {
            (self.tracks).resize_with(count.unwrap_or(0), Default::default);
        }
        if callable.is_empty() {
            return;
        }
        let sum = |of: fn(&Callable) -> Power| callable.iter().map(|(_, one)| of(one)).sum();
        let all: [Power; 2] = [sum(|one| one.up), sum(|one| one.down)];
        let each = (callable.iter())
            .map(|(place, one)| (place + 1, Some(&one.aggregator), [one.up, one.down]));
        for (track, aggregator, actual) in std::iter::once((0, None, all)).chain(each) {
            let directions = [CallDirection::Up, CallDirection::Down];
            for ((track, actual), direction) in
                self.tracks[track].iter_mut().zip(actual).zip(directions)
            {
                let due = track.observe(at, actual.as_kilowatts(), CONFIDENCES, floor);
                let due = due
                    .into_iter()
                    .flat_map(|due| CONFIDENCES.into_iter().zip(due));
                // A promise of nothing is none.
                let due = due.filter(|(_, promised)| *promised > 0.0);
                (self.due).extend(due.map(|(confidence, promised)| DuePromise {
                    at,
                    aggregator: aggregator.cloned(),
                    direction,
                    confidence,
                    promised: Power::round_kilowatts(promised),
                    actual,
                }));
            }
        }
    }
}

impl Engine {
    /// At the first cycle of a quarter of an hour: sees what is callable and learns from it. `before` is the cycle before this
    /// one; without one nobody knows how long the quarter has been going on.
    pub(crate) fn settle_promises(
        &mut self,
        now: Timestamp,
        before: Option<Timestamp>,
        outputs: &mut Vec<Output>,
    ) {
        self.promises.due.clear();
        let begins = before.is_some_and(|before| quarter_start(before) < quarter_start(now));
        // After a start nobody has reported yet.
        if !begins || self.states.iter().all(|state| state.sampled_at.is_none()) {
            return;
        }
        let stations = self.states.iter().enumerate();
        let sustained = stations.map(|(station, state)| {
            let callable = state.is_callable(now, &self.config);
            callable.then(|| self.sustainable(now, station, PROMISED_FOR))
        });
        self.sustained = Some((now, sustained.collect()));
        let callable = self.callable_by_aggregator(now);
        let at = quarter_start(now);
        self.promises
            .observe(at, &callable.iter().enumerate().collect::<Vec<_>>());
        outputs.push(Output::Record(Box::new(Fact::Callable { at, callable })));
    }

    pub(crate) fn restore_callable(&mut self, at: Timestamp, callable: &[Callable]) {
        let known = callable
            .iter()
            .filter_map(|one| Some((self.fleet.aggregator_index(&one.aggregator)?, one)));
        let known: Vec<(usize, &Callable)> = known.collect();
        self.promises.observe(at, &known);
        self.promises.due.clear();
    }

    fn callable_by_aggregator(&self, now: Timestamp) -> Vec<Callable> {
        let none = |aggregator: &vpp_core::Aggregator| Callable {
            aggregator: aggregator.id.clone(),
            up: Power::ZERO,
            down: Power::ZERO,
        };
        let mut callable: Vec<Callable> = self.fleet.aggregators().iter().map(none).collect();
        let mut stations = vec![Vec::new(); callable.len()];
        for (station, state) in self.states.iter().enumerate() {
            if !state.is_callable(now, &self.config) {
                continue;
            }
            let load = match &state.baseline {
                Some(baseline) => baseline.at(now),
                None => state.active_power,
            };
            let (up, down) = self.callable_from(now, station, load, PROMISED_FOR);
            let share = self.tested_share(station);
            let sum = &mut callable[self.fleet.aggregator_of(station)];
            sum.up += scaled(up, share);
            sum.down += scaled(down, share);
            stations[self.fleet.aggregator_of(station)].push(station);
        }
        for (sum, stations) in callable.iter_mut().zip(stations) {
            if let Ok(hour) = Interval::new(now, now + PROMISED_FOR) {
                let (fall, rise) = self.usual_changes(now, hour, &stations);
                sum.up = (sum.up - fall).max(Power::ZERO);
                sum.down = (sum.down - rise).max(Power::ZERO);
            }
        }
        callable
    }

    /// What the aggregator at a place of the fleet can be called for at any time of a later interval, for an hour, with a confidence
    /// of 0.95; none while too little has been seen, or where it ends more than a week away.
    pub(crate) fn relied_on(
        &self,
        now: Timestamp,
        aggregator: usize,
        fills: bool,
        interval: Interval,
    ) -> Option<Power> {
        check_later(now, interval.end()).ok()?;
        let track = &self.promises.tracks.get(aggregator + 1)?[usize::from(fills)];
        let mut least: Option<f64> = None;
        for (quarter, _) in quarters(interval) {
            let at = quarter_start(quarter);
            let promised = track.forecast(now, at, CONFIDENCES, floor)?[RELIED_ON];
            least = Some(least.map_or(promised, |least| least.min(promised)));
        }
        least.map(Power::round_kilowatts)
    }

    /// Promises whose time came at the last cycle; empty but for the first cycle of each quarter of an hour.
    #[must_use]
    pub fn due_promises(&self) -> &[DuePromise] {
        &self.promises.due
    }

    /// What will be callable at a later time and can be kept for [`PROMISED_FOR`], with a confidence between 0 and 1: the share
    /// of such promises that is kept over time. Counted are those made a day ahead.
    ///
    /// # Errors
    /// When the aggregator is unknown, the scope is a node, the start not later than now or more than a week away, or the confidence
    /// not inside (0, 1) or above the highest of [`CONFIDENCES`].
    pub fn reliable(
        &self,
        now: Timestamp,
        scope: &Scope,
        start: Timestamp,
        confidence: f64,
    ) -> Result<Reliable, Invalid> {
        let track = self.forecast_place(scope)?;
        if !(confidence > 0.0 && confidence < 1.0) {
            let problem = format!("{confidence} is outside (0, 1)");
            return Err(Invalid::new("confidence", problem));
        }
        let highest = CONFIDENCES[CONFIDENCES.len() - 1];
        let Some(rung) = CONFIDENCES.iter().position(|rung| *rung >= confidence) else {
            let problem = format!("{confidence} is above {highest}, the most that is promised");
            return Err(Invalid::new("confidence", problem));
        };
        check_later(now, start)?;
        let direction = |way: usize| {
            let Some(tracks) = self.promises.tracks.get(track) else {
                return ReliableDirection::default();
            };
            let (track, of) = (&tracks[way], CONFIDENCES);
            let promised = track.forecast(now, start, of, floor);
            let (due, kept) = track.judged(rung);
            ReliableDirection {
                callable: promised.map(|all| Power::round_kilowatts(all[rung])),
                due,
                kept,
            }
        };
        Ok(Reliable {
            start,
            confidence: CONFIDENCES[rung],
            up: direction(0),
            down: direction(1),
        })
    }
}
