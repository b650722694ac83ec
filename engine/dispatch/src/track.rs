//! A quantity that is looked at once in a quarter of an hour: a model learns it, and for the same quarter of the next day it is
//! said, with several confidences, how much it will be at least. What was said the day before is judged, and what is said next
//! becomes more careful or bolder by it ([`Quote`]).

use std::collections::VecDeque;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use serde_big_array::{Array, BigArray};
use vpp_core::{Forecast as _, Invalid, Quote, TimeOfWeek, Timestamp};

/// How far ahead something is said.
const FARTHEST: TimeDelta = TimeDelta::days(7);
/// Nothing is said before so much has been seen.
const WATCHED: TimeDelta = TimeDelta::days(7);
/// So long before it comes due something is said that is judged.
const AHEAD: TimeDelta = TimeDelta::days(1);

/// One quantity, and what is said of it with `N` confidences.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Track<const N: usize> {
    model: TimeOfWeek,
    since: Option<Timestamp>,
    /// One for each confidence.
    #[serde(with = "BigArray")]
    records: [Record; N],
    /// Not due yet, in the order of their time; one for each confidence.
    open: VecDeque<(Timestamp, Array<f64, N>)>,
}

/// What was said with one confidence.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
struct Record {
    /// None before the first.
    quote: Option<Quote>,
    due: u64,
    kept: u64,
}

impl<const N: usize> Default for Track<N> {
    fn default() -> Track<N> {
        Track {
            model: TimeOfWeek::default(),
            since: None,
            records: [Record::default(); N],
            open: VecDeque::new(),
        }
    }
}

impl<const N: usize> Track<N> {
    /// Takes what was seen: judges what was said for now, learns, and says what will be in a day, `rounded`. What was said for now,
    /// if anything; what was not above zero says nothing and is not judged.
    pub(crate) fn observe(
        &mut self,
        at: Timestamp,
        actual: f64,
        confidences: [f64; N],
        rounded: fn(f64) -> f64,
    ) -> Option<[f64; N]> {
        while self.open.front().is_some_and(|(when, _)| *when < at) {
            // Nobody looked then.
            self.open.pop_front();
        }
        let comes_due = self.open.front().is_some_and(|(when, _)| *when == at);
        let due = comes_due.then(|| self.open.pop_front()).flatten();
        let due = due.map(|(_, Array(said))| said);
        let judged = self.records.iter_mut().zip(confidences);
        for ((record, confidence), said) in judged.zip(due.into_iter().flatten()) {
            if said <= 0.0 {
                continue;
            }
            record.due += 1;
            record.kept += u64::from(actual >= said);
            let quote = record.quote.get_or_insert_with(|| Quote::new(confidence));
            quote.settle(said, actual);
        }
        self.model.observe(at, actual);
        self.since.get_or_insert(at);
        if let Some(said) = self.forecast(at, at + AHEAD, confidences, rounded) {
            self.open.push_back((at + AHEAD, Array(said)));
        }
        due
    }

    /// What is said of an instant with each confidence, by what is known now.
    pub(crate) fn forecast(
        &self,
        now: Timestamp,
        at: Timestamp,
        confidences: [f64; N],
        rounded: fn(f64) -> f64,
    ) -> Option<[f64; N]> {
        if now - self.since? < WATCHED {
            return None;
        }
        let seen = self.model.seen(at)?;
        let mut said = confidences;
        for (one, record) in said.iter_mut().zip(&self.records) {
            let quote = record.quote.unwrap_or_else(|| Quote::new(*one));
            *one = rounded(quote.promise_of(|share| seen.quantile(share)));
        }
        Some(said)
    }

    /// How often something was said with the confidence at a place that came due so far, and how often it was kept.
    pub(crate) fn judged(&self, rung: usize) -> (u64, u64) {
        let record = self.records[rung];
        (record.due, record.kept)
    }
}

/// Checks that something can be said of a time.
///
/// # Errors
/// `start_time` when it is not later than now, or more than a week away.
pub(crate) fn check_later(now: Timestamp, start: Timestamp) -> Result<(), Invalid> {
    if start <= now {
        let problem = format!("{start} is not later than now, {now}");
        return Err(Invalid::new("start_time", problem));
    }
    if start - now > FARTHEST {
        let problem = format!("{start} is more than a week later than now, {now}");
        return Err(Invalid::new("start_time", problem));
    }
    Ok(())
}
