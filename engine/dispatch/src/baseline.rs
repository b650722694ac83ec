//! What a station would draw without the programme that uses it, frozen when that begins: the load before it, and for events
//! that are called some time ahead how it usually changes from there on.
//!
//! The mean of similar days moved to the load of the day itself is what markets pay by (`domain.md` 2.3; PJM calls the move a
//! symmetric additive adjustment). Moved by a difference rather than by a factor, what many stations are short of or beyond adds
//! up as their loads do.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use vpp_core::{Interval, Power, Timestamp};

use crate::usual::{Calendar, UsualLoad, quarter_start, quarters};

const QUARTER: TimeDelta = TimeDelta::minutes(15);

/// What a station would draw without the programme that uses it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Baseline {
    /// When the first quarter of an hour begins.
    pub start: Timestamp,
    /// Draw in each quarter of an hour; at least one, and the last one holds on.
    pub quarters: Vec<Power>,
    /// Whether an event uses the station; else regulation alone.
    pub in_event: bool,
}

impl Baseline {
    /// The same draw all the time.
    pub(crate) fn flat(start: Timestamp, power: Power, in_event: bool) -> Baseline {
        Baseline {
            start: quarter_start(start),
            quarters: vec![power],
            in_event,
        }
    }

    /// The load before now, and from then until `end` as it usually changes; flat where nobody knows.
    pub(crate) fn usual(
        (now, before, window): (Timestamp, Power, TimeDelta),
        end: Timestamp,
        usual: &UsualLoad,
        calendar: &Calendar,
    ) -> Baseline {
        let mean = |from, to| usual.mean_kw(calendar, Interval::new(from, to).ok()?);
        let start = quarter_start(now);
        let mut baseline = Baseline {
            start,
            quarters: Vec::new(),
            in_event: true,
        };
        baseline.append(before, mean(now - window, now), end, mean);
        if baseline.quarters.is_empty() {
            baseline.quarters.push(before);
        }
        baseline
    }

    /// Goes on from what is frozen now until `end` as the load usually changes; what is past is forgotten. After an event that was
    /// called at short notice, one that was called ahead decides from here on.
    pub(crate) fn extend(
        &mut self,
        now: Timestamp,
        end: Timestamp,
        usual: &UsualLoad,
        calendar: &Calendar,
    ) {
        let mean = |from, to| usual.mean_kw(calendar, Interval::new(from, to).ok()?);
        let last = self.quarters.len() - 1;
        self.quarters.drain(..self.place(now).min(last));
        self.start = self.start.max(quarter_start(now));
        let last = self.end();
        let power = self.quarters[self.quarters.len() - 1];
        self.append(power, mean(last - QUARTER, last), end, mean);
    }

    fn append(
        &mut self,
        power: Power,
        usual: Option<f64>,
        end: Timestamp,
        mean: impl Fn(Timestamp, Timestamp) -> Option<f64>,
    ) {
        while self.end() < end {
            let there = mean(self.end(), self.end() + QUARTER);
            let change = usual.zip(there).map_or(0.0, |(then, there)| there - then);
            let changed = power + Power::round_kilowatts(change);
            self.quarters.push(changed);
        }
    }

    /// First instant that no quarter was frozen for.
    pub(crate) fn end(&self) -> Timestamp {
        self.start + QUARTER * i32::try_from(self.quarters.len()).unwrap_or(i32::MAX)
    }

    /// Mean draw over an interval.
    #[must_use]
    pub fn over(&self, interval: Interval) -> Power {
        let (mut sum, mut length) = (0_i128, 0_i128);
        for (at, part) in quarters(interval) {
            let nanoseconds = i128::from(part.num_nanoseconds().unwrap_or(i64::MAX));
            sum += i128::from(self.at(at).as_watts()) * nanoseconds;
            length += nanoseconds;
        }
        let watts = sum.div_euclid(length.max(1));
        Power::from_watts(i64::try_from(watts).unwrap_or_default())
    }

    /// Draw at an instant.
    #[must_use]
    pub fn at(&self, at: Timestamp) -> Power {
        self.quarters[self.place(at).min(self.quarters.len() - 1)]
    }

    /// Which of its quarters an instant lies in, if it had so many.
    fn place(&self, at: Timestamp) -> usize {
        let passed = (at - self.start).num_seconds().max(0) / QUARTER.num_seconds();
        usize::try_from(passed).unwrap_or(usize::MAX)
    }
}

/// Mean load over the last minutes. Its memory is bounded by the window, whatever the rhythm of the reports.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct LoadMeter {
    /// Minute since 1970, sum of watts, readings; ascending.
    buckets: Vec<(i64, i64, i64)>,
}

impl LoadMeter {
    /// Takes a reading.
    pub(crate) fn record(&mut self, at: Timestamp, power: Power, window: TimeDelta) {
        let minute = at.timestamp().div_euclid(60);
        match self.buckets.last_mut() {
            Some(last) if last.0 == minute => {
                last.1 += power.as_watts();
                last.2 += 1;
            }
            Some(last) if last.0 > minute => return,
            _ => self.buckets.push((minute, power.as_watts(), 1)),
        }
        let oldest = minute - window.num_minutes().max(1);
        self.buckets.retain(|bucket| bucket.0 > oldest);
    }

    /// Mean of the minutes' means; none before the first reading.
    pub(crate) fn mean(&self) -> Option<Power> {
        let count = i64::try_from(self.buckets.len())
            .ok()
            .filter(|count| *count > 0)?;
        let sum: i64 = self
            .buckets
            .iter()
            .map(|(_, watts, readings)| watts / readings)
            .sum();
        Some(Power::from_watts(sum / count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kilowatts(kw: i64) -> Power {
        Power::from_watts(1_000 * kw)
    }

    /// By hand: usually 20 kW before 17:00, then 50, 80, 10, 0. Today 35 before: 65, 95, 25, and that from then on. From 17:10 to
    /// 17:20: 5 min of 65 and 5 of 95. Another event until 18:00: 25 and ten less.
    #[test]
    fn the_load_before_changes_as_it_usually_does() {
        let calendar = Calendar::default();
        let (mut usual, quarter) = (UsualLoad::default(), TimeDelta::minutes(15));
        let five: Timestamp = "2027-07-05T09:00:00Z".parse().unwrap();
        for (at, kw) in [(0, 20), (1, 50), (2, 80), (3, 10), (4, 0), (5, 9)] {
            usual.observe(&calendar, five + quarter * at, kilowatts(kw));
        }
        let now = five + TimeDelta::days(1);
        let before = (now, kilowatts(35), quarter);
        let mut baseline = Baseline::usual(before, now + quarter * 3, &usual, &calendar);
        assert_eq!(baseline.quarters, [65, 95, 25].map(kilowatts));
        assert_eq!(baseline.at(now + quarter * 9), kilowatts(25));
        let (from, to) = (now + TimeDelta::minutes(10), now + TimeDelta::minutes(20));
        let mean = baseline.over(Interval::new(from, to).unwrap());
        assert_eq!(mean, kilowatts(80));
        let later = now + quarter + TimeDelta::minutes(1);
        baseline.extend(later, now + quarter * 4, &usual, &calendar);
        assert_eq!(baseline.start, now + quarter);
        assert_eq!(baseline.quarters, [95, 25, 15].map(kilowatts));
        // One that held on for long goes on from now: usually 50 before, then 80.
        let mut held = Baseline::flat(now - quarter * 1_000, kilowatts(40), true);
        held.extend(now + quarter, now + quarter * 2, &usual, &calendar);
        assert_eq!(
            (held.start, held.quarters),
            (now + quarter, vec![kilowatts(40)])
        );
        held = Baseline::flat(now - quarter * 1_000, kilowatts(40), true);
        held.extend(now, now + quarter * 2, &usual, &calendar);
        assert_eq!(held.quarters, [40, 70].map(kilowatts));
        // On Saturday nobody knows.
        let saturday = (five + TimeDelta::days(5), kilowatts(35), quarter);
        let flat = Baseline::usual(saturday, saturday.0 + quarter, &usual, &calendar);
        assert_eq!(flat.quarters, [kilowatts(35)]);
    }

    #[test]
    fn each_minute_counts_once_however_often_it_was_read() {
        let at = |seconds| Timestamp::from_timestamp(seconds, 0).unwrap();
        let window = TimeDelta::minutes(15);
        let mut meter = LoadMeter::default();
        assert_eq!(meter.mean(), None);
        for second in 0..60 {
            meter.record(at(second), Power::from_watts(1_000), window);
        }
        meter.record(at(60), Power::from_watts(3_000), window);
        assert_eq!(meter.mean(), Some(Power::from_watts(2_000)));
        // Twenty minutes later only the new reading is inside the window.
        meter.record(at(1_260), Power::from_watts(500), window);
        assert_eq!(meter.mean(), Some(Power::from_watts(500)));
    }
}
