//! Promises for the next day, made of what was callable at the same times before, and whether they came true.
//!
//! At each local midday, for every quarter of an hour of the day after and each aggregator: what can be called for an hour, up
//! and down, with each of the confidences with which the engine promises.

use std::collections::VecDeque;

use chrono::{NaiveDateTime, TimeDelta, Timelike};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use vpp_core::{Forecast as _, Power, Quote, Scope, TimeOfWeek, Timestamp};
use vpp_dispatch::promises::CONFIDENCES;
use vpp_results::{Text, rows};

use crate::run::Run;

/// For so long it is callable.
const LENGTH: TimeDelta = TimeDelta::hours(1);
const QUARTER: TimeDelta = TimeDelta::minutes(15);
const DAY: TimeDelta = TimeDelta::days(1);

/// What each aggregator could be called to draw less and more now.
pub(super) fn callable(run: &Run) -> Vec<(Power, Power)> {
    let engine = run.plant().engine();
    let aggregators = engine.fleet().aggregators().par_iter();
    let callable = aggregators.map(|aggregator| {
        let scope = Scope::Aggregator(aggregator.id.clone());
        let capability = engine
            .capability(run.now(), &scope, LENGTH)
            .unwrap_or_default();
        (capability.up.callable, capability.down.callable)
    });
    callable.collect()
}

/// One aggregator in one direction.
#[derive(Debug, Deserialize, Serialize)]
struct Promised {
    aggregator: Text,
    direction: Text,
    model: TimeOfWeek,
    /// One for each confidence.
    quotes: [Quote; CONFIDENCES.len()],
    /// Promises that are not due yet, the soonest first; one for each confidence.
    open: VecDeque<(Timestamp, [Power; CONFIDENCES.len()])>,
}

/// All of them.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Promises {
    promised: Vec<Promised>,
    /// The local midday at which promises were made last.
    made: Option<NaiveDateTime>,
}

impl Promises {
    pub(super) fn new(aggregators: &[Text]) -> Promises {
        let both = aggregators.iter().flat_map(|aggregator| {
            ["up", "down"].map(|direction| Promised {
                aggregator: aggregator.clone(),
                direction: direction.into(),
                model: TimeOfWeek::default(),
                quotes: CONFIDENCES.map(Quote::new),
                open: VecDeque::new(),
            })
        });
        Promises {
            promised: both.collect(),
            made: None,
        }
    }

    /// Settles what is due in an interval, and makes promises at midday. `callable` is that of its start.
    pub(super) fn turn(
        &mut self,
        (start, local): (Timestamp, NaiveDateTime),
        callable: &[(Power, Power)],
    ) -> Vec<rows::Promise> {
        let mut rows = Vec::new();
        let actual = callable.iter().flat_map(|(up, down)| [*up, *down]);
        for (promised, actual) in self.promised.iter_mut().zip(actual) {
            promised.settle(start, actual, &mut rows);
        }
        let midday = local.date().and_hms_opt(12, 0, 0);
        if local.hour() >= 12 && self.made != midday {
            self.made = midday;
            // The next local day begins twelve hours after midday; there is no summer time.
            let since = TimeDelta::seconds(i64::from(local.num_seconds_from_midnight()));
            let next_day = start - since + DAY;
            for promised in &mut self.promised {
                promised.make(next_day);
            }
        }
        rows
    }
}

impl Promised {
    fn settle(&mut self, start: Timestamp, actual: Power, rows: &mut Vec<rows::Promise>) {
        let actual_kw = actual.as_kilowatts();
        while let Some(&(time, promises)) = self.open.front().filter(|(time, _)| *time <= start) {
            self.open.pop_front();
            // One whose quarter was not looked at is neither kept nor broken.
            if time < start {
                continue;
            }
            for ((quote, promise), confidence) in
                self.quotes.iter_mut().zip(promises).zip(CONFIDENCES)
            {
                // A promise of nothing is none.
                if promise <= Power::ZERO {
                    continue;
                }
                let promised_kw = promise.as_kilowatts();
                quote.settle(promised_kw, actual_kw);
                rows.push(rows::Promise {
                    time,
                    aggregator: self.aggregator.clone(),
                    direction: self.direction.clone(),
                    confidence,
                    promised_kw,
                    actual_kw,
                    kept: actual >= promise,
                });
            }
        }
        self.model.observe(start, actual_kw);
    }

    fn make(&mut self, day: Timestamp) {
        let mut at = day;
        while at < day + DAY {
            if let Some(seen) = self.model.seen(at) {
                let promise = |quote: &Quote| {
                    let kilowatts = quote.promise_of(|share| seen.quantile(share));
                    Power::floor_kilowatts(kilowatts.max(0.0))
                };
                self.open
                    .push_back((at, self.quotes.each_ref().map(promise)));
            }
            at += QUARTER;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three days of quarters of an hour, with what could be called up in each: what came due.
    fn judged(up_w: impl Fn(i64) -> i64) -> Vec<rows::Promise> {
        let mut promises = Promises::new(&["a".into()]);
        // Midnight of a Monday; local time is taken for UTC.
        let begin = Timestamp::from_timestamp(1_752_451_200, 0).expect("an instant");
        let mut due = Vec::new();
        for quarter in 0..3 * 96 {
            let start = begin + QUARTER * i32::try_from(quarter).expect("few");
            let callable = [(Power::from_watts(up_w(quarter)), Power::ZERO)];
            due.extend(promises.turn((start, start.naive_utc()), &callable));
        }
        due
    }

    #[test]
    fn a_promise_of_nothing_is_neither_kept_nor_broken() {
        // 100 kW all the time. At the first midday 49 quarters have been seen, and each tells of the four around it: promised are
        // 53 of the second day, and all 96 of the third, with each confidence. Nothing could be called down, so nothing was
        // promised of it.
        let due = judged(|_| 100_000);
        assert_eq!(due.len(), (53 + 96) * CONFIDENCES.len());
        assert!(due.iter().all(|row| &*row.direction == "up" && row.kept));
        assert!(due.iter().all(|row| row.promised_kw > 0.0));
        // Never anything: no promise at all.
        assert_eq!(judged(|_| 0), []);
    }

    #[test]
    fn what_was_promised_and_is_not_there_is_broken() {
        // On the second day it is gone: what was promised the day before is broken in every quarter.
        let due = judged(|quarter| if quarter < 96 { 100_000 } else { 0 });
        let second_day = &due[..53 * CONFIDENCES.len()];
        assert!(second_day.iter().all(|row| !row.kept), "{second_day:?}");
    }
}
