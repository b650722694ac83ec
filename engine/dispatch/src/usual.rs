//! What stations usually draw: a mean for each quarter of an hour of working days and of days of rest, over the last such days
//! without an event.
//!
//! It tells how load would have changed while an event was on. A quarter in which an event uses a station says nothing of that,
//! nor does what follows on the same day: what was put off is made up for.

use std::collections::BTreeSet;

use chrono::{Datelike as _, NaiveDate, TimeDelta, Timelike as _, Weekday};
use serde::{Deserialize, Serialize};
use serde_big_array::Array;
use vpp_core::units::MAX_KILOWATTS;
use vpp_core::{Interval, Power, StationId, Timestamp};

use crate::engine::Engine;
use crate::input::{Fact, Output};

const QUARTER_S: i64 = 900;
/// Quarters of an hour of a day, and of the two kinds of days.
const DAY: usize = 96;
const ALL: usize = 2 * DAY;
/// No station draws more: a tenth of what a power plant gives.
const MOST_KW: f32 = 100_000.0;
/// What the last day of a kind weighs in the mean: as old in the mean as five days of equal weight, the number of similar days
/// that baselines are usually made of (`domain.md` 2.3, method B1).
const LATEST: f32 = 1.0 / 3.0;

/// Local days, and which of them are worked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    /// Local time before UTC. Default 8 h: Beijing, without summer time since 1992.
    pub local_offset: TimeDelta,
    /// Public holidays: days of rest whatever their weekday.
    pub holidays: BTreeSet<NaiveDate>,
}

impl Default for Calendar {
    fn default() -> Calendar {
        Calendar {
            local_offset: TimeDelta::hours(8),
            holidays: BTreeSet::new(),
        }
    }
}

impl Calendar {
    fn local_date(&self, at: Timestamp) -> NaiveDate {
        (at + self.local_offset).date_naive()
    }

    /// Which quarter of which kind of day an instant lies in.
    fn slot(&self, at: Timestamp) -> usize {
        let local = (at + self.local_offset).naive_utc();
        let rest = matches!(local.weekday(), Weekday::Sat | Weekday::Sun)
            || self.holidays.contains(&local.date());
        let quarter = local.num_seconds_from_midnight() / 900;
        usize::from(rest) * DAY + quarter as usize
    }

    /// The quarters of an interval, and how much of the interval each is.
    fn parts(&self, interval: Interval) -> impl Iterator<Item = (usize, f64)> {
        let whole = interval.length().as_seconds_f64();
        quarters(interval).map(move |(at, part)| (self.slot(at), part.as_seconds_f64() / whole))
    }
}

/// What one station usually draws.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct UsualLoad {
    /// Mean draw of each quarter, kW: those of working days, then those of days of rest. Not a number where none was seen.
    means: Box<Array<f32, ALL>>,
    /// The quarter that is on, counted from 1970.
    quarter: i64,
    /// Watts of its readings, and how many there were.
    sum: i64,
    readings: i64,
    /// The last local day that an event used it on.
    used_on: Option<NaiveDate>,
}

impl Default for UsualLoad {
    fn default() -> UsualLoad {
        UsualLoad {
            means: Box::new(Array([f32::NAN; ALL])),
            quarter: i64::MIN,
            sum: 0,
            readings: 0,
            used_on: None,
        }
    }
}

fn quarter_of(at: Timestamp) -> i64 {
    at.timestamp().div_euclid(QUARTER_S)
}

fn begin_of(quarter: i64) -> Timestamp {
    Timestamp::from_timestamp(quarter * QUARTER_S, 0).unwrap_or_default()
}

/// When the quarter of an hour begins that an instant lies in.
pub(crate) fn quarter_start(at: Timestamp) -> Timestamp {
    begin_of(quarter_of(at))
}

impl UsualLoad {
    /// Takes a reading. Instants ascend.
    pub(crate) fn observe(&mut self, calendar: &Calendar, at: Timestamp, power: Power) {
        // A reading tells of the time before it.
        let quarter = quarter_of(at - TimeDelta::nanoseconds(1));
        if quarter != self.quarter {
            self.close(calendar);
            self.quarter = quarter;
        }
        self.sum += power.as_watts();
        self.readings += 1;
    }

    /// Ends the quarter that is on.
    fn close(&mut self, calendar: &Calendar) {
        let (sum, readings) = (
            std::mem::take(&mut self.sum),
            std::mem::take(&mut self.readings),
        );
        if readings == 0 {
            return;
        }
        let at = begin_of(self.quarter);
        if self
            .used_on
            .is_some_and(|day| day == calendar.local_date(at))
        {
            return;
        }
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)] // kW of a station
        let kilowatts = (sum as f64 / readings as f64 / 1e3) as f32;
        let mean = &mut self.means[calendar.slot(at)];
        if mean.is_nan() {
            *mean = kilowatts;
        } else {
            *mean += LATEST * (kilowatts - *mean);
        }
    }

    /// An event uses the station now: neither this quarter counts nor the rest of the day.
    pub(crate) fn use_on(&mut self, calendar: &Calendar, now: Timestamp) {
        if quarter_of(now) > self.quarter {
            self.close(calendar);
        }
        self.used_on = Some(calendar.local_date(now));
    }

    /// The usual mean draw over an interval, kW; none if a quarter of it was never seen.
    pub(crate) fn mean_kw(&self, calendar: &Calendar, interval: Interval) -> Option<f64> {
        self.mean_of(calendar.parts(interval))
    }

    fn mean_of(&self, parts: impl Iterator<Item = (usize, f64)>) -> Option<f64> {
        let mean: f64 = parts
            .map(|(slot, part)| f64::from(self.means[slot]) * part)
            .sum();
        mean.is_finite().then_some(mean)
    }

    /// The means, to be kept over a restart; none before the first.
    pub(crate) fn means(&self) -> Option<Vec<f32>> {
        let known = self.means.iter().any(|mean| !mean.is_nan());
        known.then(|| self.means.to_vec())
    }

    /// Takes up means that were kept; others than so many are ignored, and none that no station draws.
    pub(crate) fn restore(&mut self, means: &[f32]) {
        if means.len() != ALL {
            return;
        }
        for (mean, kept) in self.means.iter_mut().zip(means) {
            *mean = if kept.abs() <= MOST_KW {
                *kept
            } else {
                f32::NAN
            };
        }
    }
}

impl Engine {
    /// By how much the usual load of stations together, in what is left of an interval, is below that of the window before now at
    /// most, and above it; magnitudes. Of stations of which nobody knows it does not change.
    pub(crate) fn usual_changes(
        &self,
        now: Timestamp,
        interval: Interval,
        stations: &[usize],
    ) -> (Power, Power) {
        let calendar = &self.config.calendar;
        let before = Interval::new(now - self.config.baseline_window, now);
        let left = Interval::new(now.max(interval.start()), interval.end());
        let (Ok(before), Ok(left)) = (before, left) else {
            return Default::default();
        };
        let before: Vec<(usize, f64)> = calendar.parts(before).collect();
        let mut slots: Vec<usize> = calendar.parts(left).map(|(slot, _)| slot).collect();
        slots.sort_unstable();
        slots.dedup();
        let mut changes = vec![0.0; slots.len()];
        for station in stations {
            let usual = &self.states[*station].usual;
            let Some(then) = usual.mean_of(before.iter().copied()) else {
                continue;
            };
            for (change, slot) in changes.iter_mut().zip(&slots) {
                let there = usual.means[*slot];
                if !there.is_nan() {
                    *change += f64::from(there) - then;
                }
            }
        }
        let (fall, rise) = changes
            .iter()
            .fold((0.0_f64, 0.0_f64), |(fall, rise), change| {
                (fall.max(-change), rise.max(*change))
            });
        let power = |kilowatts: f64| Power::round_kilowatts(kilowatts.min(MAX_KILOWATTS));
        (power(fall), power(rise))
    }

    /// At the first cycle of a local day what stations usually draw is to be kept. `before` is the cycle before this one.
    pub(crate) fn keep_usual(
        &self,
        now: Timestamp,
        before: Option<Timestamp>,
        outputs: &mut Vec<Output>,
    ) {
        let date = |at| self.config.calendar.local_date(at);
        if before.is_none_or(|before| date(before) == date(now)) {
            return;
        }
        let stations = self.fleet.stations().iter().zip(&self.states);
        let known = stations.filter_map(|(s, state)| Some((s.id.clone(), state.usual.means()?)));
        let loads: Vec<(StationId, Vec<f32>)> = known.collect();
        if !loads.is_empty() {
            outputs.push(Output::Record(Box::new(Fact::UsualLoads(loads))));
        }
    }
}

/// The quarters of an hour of an interval, with how much of each lies in it.
pub(crate) fn quarters(interval: Interval) -> impl Iterator<Item = (Timestamp, TimeDelta)> {
    let last = quarter_of(interval.end() - TimeDelta::nanoseconds(1));
    (quarter_of(interval.start())..=last).map(move |quarter| {
        let from = begin_of(quarter).max(interval.start());
        let to = begin_of(quarter + 1).min(interval.end());
        (from, to - from)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Monday, 00:00 in Beijing.
    fn monday() -> Timestamp {
        "2027-07-04T16:00:00Z".parse().unwrap()
    }

    fn hours(count: i64) -> TimeDelta {
        TimeDelta::hours(count)
    }

    /// Reads a constant power every five minutes for an hour.
    fn read(usual: &mut UsualLoad, calendar: &Calendar, from: Timestamp, kw: i64) {
        for minutes in (5..=60).step_by(5) {
            let at = from + TimeDelta::minutes(minutes);
            usual.observe(calendar, at, Power::from_watts(1_000 * kw));
        }
        usual.close(calendar);
    }

    fn hour(from: Timestamp) -> Interval {
        Interval::new(from, from + hours(1)).unwrap()
    }

    /// By hand: 30, then 60: 30 + (60 − 30) / 3 = 40; Saturday 90 is kept apart; a holiday counts as Saturday:
    /// 90 + (30 − 90) / 3 = 70.
    #[test]
    fn working_days_and_days_of_rest_have_means_of_their_own() {
        let noon = monday() + hours(12);
        let holidays = BTreeSet::from([NaiveDate::from_ymd_opt(2027, 7, 12).unwrap()]);
        let calendar = Calendar {
            holidays,
            ..Calendar::default()
        };
        let mut usual = UsualLoad::default();
        let mean =
            |usual: &UsualLoad, day| usual.mean_kw(&calendar, hour(noon + TimeDelta::days(day)));
        assert_eq!(mean(&usual, 0), None);
        read(&mut usual, &calendar, noon, 30);
        assert_eq!(mean(&usual, 1), Some(30.0));
        assert_eq!(mean(&usual, 5), None, "Saturday is not known");
        read(&mut usual, &calendar, noon + TimeDelta::days(1), 60);
        read(&mut usual, &calendar, noon + TimeDelta::days(5), 90);
        assert_eq!(mean(&usual, 2), Some(40.0));
        assert_eq!(mean(&usual, 6), Some(90.0));
        read(&mut usual, &calendar, noon + TimeDelta::days(7), 30);
        assert_eq!(mean(&usual, 2), Some(40.0), "the holiday is no working day");
        assert_eq!(mean(&usual, 6), Some(70.0));
    }

    /// From 22:00 UTC on Sunday a working day has begun in Beijing.
    #[test]
    fn days_are_local() {
        let (calendar, mut usual) = (Calendar::default(), UsualLoad::default());
        read(&mut usual, &calendar, monday() + hours(6), 10);
        assert_eq!(
            usual.mean_kw(&calendar, hour(monday() + hours(30))),
            Some(10.0)
        );
        let sunday = hour(monday() - hours(18));
        assert_eq!(usual.mean_kw(&calendar, sunday), None);
    }

    #[test]
    fn a_day_with_an_event_counts_until_the_event() {
        let (calendar, mut usual) = (Calendar::default(), UsualLoad::default());
        let noon = monday() + hours(12);
        for (at, kw) in [(0, 10), (1, 20), (2, 30)] {
            read(&mut usual, &calendar, noon + hours(at), kw);
        }
        let next = noon + TimeDelta::days(1);
        for minutes in (5..=60).step_by(5) {
            // The last quarter is still open when the event begins.
            usual.observe(
                &calendar,
                next + TimeDelta::minutes(minutes),
                Power::from_watts(40_000),
            );
        }
        usual.use_on(&calendar, next + hours(1));
        usual.use_on(&calendar, next + hours(1) + TimeDelta::minutes(5));
        read(&mut usual, &calendar, next + hours(1), 0);
        read(&mut usual, &calendar, next + hours(2), 90);
        let mean = |at| usual.mean_kw(&calendar, hour(noon + hours(at)));
        // By hand: 10 + (40 − 10) / 3.
        assert_eq!(mean(0), Some(20.0));
        assert_eq!((mean(1), mean(2)), (Some(20.0), Some(30.0)));
    }

    /// By hand: 10 min of 12 kW and 5 of 30.
    #[test]
    fn an_interval_weighs_each_quarter_by_its_part() {
        let (calendar, mut usual) = (Calendar::default(), UsualLoad::default());
        let noon = monday() + hours(12);
        let quarter = TimeDelta::minutes(15);
        for (at, kw) in [(1, 12), (2, 30), (3, 0)] {
            usual.observe(
                &calendar,
                noon + quarter * at,
                Power::from_watts(1_000 * kw),
            );
        }
        let from = noon + TimeDelta::days(1) + TimeDelta::minutes(5);
        let interval = Interval::new(from, from + quarter).unwrap();
        assert_eq!(usual.mean_kw(&calendar, interval), Some(18.0));
    }

    #[test]
    fn means_survive_a_restart() {
        let (calendar, mut usual) = (Calendar::default(), UsualLoad::default());
        read(&mut usual, &calendar, monday(), 7);
        let mut again = UsualLoad::default();
        assert_eq!(again.means(), None);
        again.restore(&[1.0]);
        again.restore(&[f32::INFINITY; ALL]);
        again.restore(&[1e30; ALL]);
        assert_eq!(again.mean_kw(&calendar, hour(monday())), None);
        again.restore(&usual.means().unwrap());
        assert_eq!(again.mean_kw(&calendar, hour(monday())), Some(7.0));
    }
}
