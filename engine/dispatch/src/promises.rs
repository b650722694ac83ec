//! What will be callable, promised with a stated confidence, and how often such promises were kept.
//!
//! At the first cycle of each quarter of an hour it is seen what each aggregator could be called for, up and down, for an hour. A
//! model learns that ([`TimeOfWeek`]); with each of [`CONFIDENCES`] a promise is made for the same quarter of the next day
//! ([`Quote`]), and those made the day before come due. All of it follows from what was seen and from nothing else: that is
//! what the journal keeps ([`Fact::Callable`]).
//!
//! Seen is from the load before a programme where one uses a station: what is called already was callable. Where the load usually
//! falls within the hour, no more can be taken off than will be left of it; where it rises, less can be added.

use std::collections::VecDeque;

use chrono::TimeDelta;
use vpp_core::{AggregatorId, Interval, Invalid, Power, Scope, Timestamp};

use crate::capability::scaled;
use crate::engine::Engine;
use crate::forecast::{Forecast as _, Quote, TimeOfWeek};
use crate::input::{Fact, Output};
use crate::usual::quarter_start;

/// Confidences with which promises are made, and each is judged by itself.
pub const CONFIDENCES: [f64; 6] = [0.5, 0.8, 0.9, 0.95, 0.98, 0.99];
/// For how long what is promised can be called.
pub const PROMISED_FOR: TimeDelta = TimeDelta::hours(1);
/// How far ahead something is promised.
const FARTHEST: TimeDelta = TimeDelta::days(7);
/// Nothing is promised before so much has been seen.
const WATCHED: TimeDelta = TimeDelta::days(7);
/// So long before it comes due a promise is made that is judged.
const AHEAD: TimeDelta = TimeDelta::days(1);

/// Which way power is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
#[derive(Clone, Debug, PartialEq)]
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
#[derive(Clone, Debug, Default)]
pub(crate) struct Promises {
    /// Up and down: of all stations, then of each aggregator in the order of the fleet.
    tracks: Vec<[Track; 2]>,
    /// What came due at the last cycle.
    due: Vec<DuePromise>,
}

/// One quantity, and what is promised of it.
#[derive(Clone, Debug, Default)]
struct Track {
    model: TimeOfWeek,
    since: Option<Timestamp>,
    /// One for each confidence.
    records: [Record; CONFIDENCES.len()],
    /// Not due yet, in the order of their time; one for each confidence.
    open: VecDeque<(Timestamp, [Power; CONFIDENCES.len()])>,
}

/// Promises of one confidence.
#[derive(Clone, Copy, Debug, Default)]
struct Record {
    /// None before the first.
    quote: Option<Quote>,
    due: u64,
    kept: u64,
}

impl Record {
    fn quote(&self, confidence: f64) -> Quote {
        self.quote.unwrap_or_else(|| Quote::new(confidence))
    }
}

impl Track {
    /// Takes what was seen: judges what was promised for now, learns, and promises anew.
    fn observe(&mut self, at: Timestamp, actual: Power, mut due: impl FnMut(f64, Power)) {
        while self.open.front().is_some_and(|(when, _)| *when < at) {
            // Nobody looked then.
            self.open.pop_front();
        }
        let comes_due = self.open.front().is_some_and(|(when, _)| *when == at);
        if let Some((_, promised)) = comes_due.then(|| self.open.pop_front()).flatten() {
            for ((record, confidence), promised) in
                self.records.iter_mut().zip(CONFIDENCES).zip(promised)
            {
                // A promise of nothing is none.
                if promised <= Power::ZERO {
                    continue;
                }
                record.due += 1;
                record.kept += u64::from(actual >= promised);
                let quote = record.quote.get_or_insert_with(|| Quote::new(confidence));
                quote.settle(promised.as_kilowatts(), actual.as_kilowatts());
                due(confidence, promised);
            }
        }
        self.model.observe(at, actual.as_kilowatts());
        self.since.get_or_insert(at);
        if let Some(promised) = self.promise(at, at + AHEAD) {
            self.open.push_back((at + AHEAD, promised));
        }
    }

    /// What is promised for an instant with each confidence, by what is known now.
    fn promise(&self, now: Timestamp, at: Timestamp) -> Option<[Power; CONFIDENCES.len()]> {
        if now - self.since? < WATCHED {
            return None;
        }
        let seen = self.model.seen(at)?;
        let mut promised = [Power::ZERO; CONFIDENCES.len()];
        for ((power, record), confidence) in promised.iter_mut().zip(&self.records).zip(CONFIDENCES)
        {
            let quote = record.quote(confidence);
            let kilowatts = quote.promise_of(|share| seen.quantile(share));
            *power = Power::floor_kilowatts(kilowatts.max(0.0));
        }
        Some(promised)
    }
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
                track.observe(at, actual, |confidence, promised| {
                    self.due.push(DuePromise {
                        at,
                        aggregator: aggregator.cloned(),
                        direction,
                        confidence,
                        promised,
                        actual,
                    });
                });
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
        let track = match scope {
            Scope::All => 0,
            Scope::Aggregator(id) => {
                let index = self.fleet.aggregator_index(id);
                1 + index.ok_or_else(|| Invalid::unknown("scope.aggregator_id", id))?
            }
            Scope::Node(_) => {
                let problem =
                    "is a node: later power is promised of an aggregator's stations or all";
                return Err(Invalid::new("scope.node_id", problem));
            }
        };
        if !(confidence > 0.0 && confidence < 1.0) {
            let problem = format!("{confidence} is outside (0, 1)");
            return Err(Invalid::new("confidence", problem));
        }
        let highest = CONFIDENCES[CONFIDENCES.len() - 1];
        let Some(rung) = CONFIDENCES.iter().position(|rung| *rung >= confidence) else {
            let problem = format!("{confidence} is above {highest}, the most that is promised");
            return Err(Invalid::new("confidence", problem));
        };
        if start <= now {
            let problem = format!("{start} is not later than now, {now}");
            return Err(Invalid::new("start_time", problem));
        }
        if start - now > FARTHEST {
            let problem = format!("{start} is more than a week later than now, {now}");
            return Err(Invalid::new("start_time", problem));
        }
        let direction = |way: usize| {
            let Some(tracks) = self.promises.tracks.get(track) else {
                return ReliableDirection::default();
            };
            let Record { due, kept, .. } = tracks[way].records[rung];
            ReliableDirection {
                callable: tracks[way].promise(now, start).map(|all| all[rung]),
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
