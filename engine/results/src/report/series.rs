//! Values over time, in few enough buckets to be drawn.

use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta};
use serde::Serialize;

use crate::{Header, Timestamp};

/// When buckets begin and how long they are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Axis {
    /// First instant, milliseconds since 1970.
    start_ms: i64,
    /// Length of a bucket, seconds.
    step_s: i64,
    /// How many there are.
    #[serde(skip)]
    count: usize,
}

impl Axis {
    /// Whole intervals of a run in at most so many buckets, whole hours where they are longer than one.
    pub(crate) fn new(header: &Header, most: i64) -> Axis {
        let whole = |value: u64| i64::try_from(value).unwrap_or(i64::MAX / 1_000_000);
        let length_s = whole(header.duration_minutes).saturating_mul(60).max(1);
        let interval_s = whole(header.interval_s).max(1);
        let mut step_s = interval_s * ceil(ceil(length_s, most), interval_s);
        if step_s > 3600 {
            step_s = 3600 * ceil(step_s, 3600);
        }
        Axis::with(
            header.start.timestamp_millis(),
            step_s,
            ceil(length_s, step_s),
        )
    }

    /// Buckets of a given length.
    pub(crate) fn with(start_ms: i64, step_s: i64, count: i64) -> Axis {
        let count = usize::try_from(count).unwrap_or(0);
        Axis {
            start_ms,
            step_s,
            count,
        }
    }

    /// The bucket of an instant, if it has one.
    pub(crate) fn at(&self, instant: Timestamp) -> Option<usize> {
        let after = instant.timestamp_millis().checked_sub(self.start_ms)?;
        let at = usize::try_from(after.div_euclid(self.step_s * 1000)).ok()?;
        (at < self.count).then_some(at)
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }
}

fn ceil(value: i64, by: i64) -> i64 {
    value.div_euclid(by) + i64::from(value.rem_euclid(by) > 0)
}

/// Means of what fell into each bucket.
#[derive(Clone, Debug)]
pub(crate) struct Means {
    sums: Vec<(f64, u32)>,
}

impl Means {
    pub(crate) fn new(count: usize) -> Means {
        Means {
            sums: vec![(0.0, 0); count],
        }
    }

    pub(crate) fn add(&mut self, at: Option<usize>, value: f64) {
        if let Some((sum, count)) = at.and_then(|at| self.sums.get_mut(at)) {
            *sum += value;
            *count += 1;
        }
    }

    /// The means, rounded to so many decimals; nothing where nothing fell.
    pub(crate) fn values(&self, decimals: i32) -> Vec<Option<f64>> {
        let mean = |&(sum, count): &(f64, u32)| {
            (count > 0).then(|| round(sum / f64::from(count), decimals))
        };
        self.sums.iter().map(mean).collect()
    }
}

/// Rounded to so many decimals, so that the page stays small.
pub(crate) fn round(value: f64, decimals: i32) -> f64 {
    let scale = 10_f64.powi(decimals);
    let rounded = (value * scale).round() / scale;
    // What rounds to nothing has no sign, and takes one character.
    if rounded == 0.0 { 0.0 } else { rounded }
}

/// Local time of an instant.
pub(crate) fn local(header: &Header, instant: Timestamp) -> NaiveDateTime {
    #[allow(clippy::cast_possible_truncation)] // hours of the day
    let ahead = TimeDelta::minutes((header.utc_offset_h * 60.0) as i64);
    (instant + ahead).naive_utc()
}

/// Local day of an instant.
pub(crate) fn day(header: &Header, instant: Timestamp) -> NaiveDate {
    local(header, instant).date()
}

/// An instant as it lies in the page.
pub(crate) fn ms(instant: DateTime<chrono::Utc>) -> i64 {
    instant.timestamp_millis()
}

/// Value below which a share of the sorted values lies, linear in between.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    #[allow(clippy::cast_precision_loss)] // few values
    let place = share.clamp(0.0, 1.0) * last as f64;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    // not negative, at most `last`
    let below = place.floor() as usize;
    let above = (below + 1).min(last);
    let part = place - place.floor();
    Some(sorted[below] * (1.0 - part) + sorted[above] * part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(minutes: u64, interval_s: u64) -> Header {
        Header {
            duration_minutes: minutes,
            interval_s,
            utc_offset_h: 8.0,
            ..Header::default()
        }
    }

    #[test]
    fn buckets_are_whole_intervals_and_few() {
        let day = Axis::new(&header(1440, 900), 9000);
        assert_eq!((day.step_s, day.count), (900, 96));
        let year = Axis::new(&header(527_040, 900), 9000);
        assert_eq!((year.step_s, year.count), (3600, 8784));
        let coarse = Axis::new(&header(525_600, 300), 1500);
        assert_eq!((coarse.step_s, coarse.count), (6 * 3600, 1460));
        let last = header(1440, 900).start + TimeDelta::minutes(1439);
        assert_eq!(day.at(last), Some(95));
        assert_eq!(day.at(last + TimeDelta::minutes(1)), None);
        assert_eq!(day.at(last - TimeDelta::days(1)), None);
    }

    #[test]
    fn means_are_of_what_is_there() {
        let mut means = Means::new(3);
        for (at, value) in [
            (Some(0), 1.0),
            (Some(0), 2.04),
            (Some(2), -0.01),
            (None, 9.0),
        ] {
            means.add(at, value);
        }
        assert_eq!(means.values(1), [Some(1.5), None, Some(0.0)]);
    }

    #[test]
    fn quantiles_are_linear_in_between() {
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&[3.0], 0.9), Some(3.0));
        assert_eq!(quantile(&[0.0, 10.0], 0.25), Some(2.5));
        assert_eq!(quantile(&[0.0, 1.0, 10.0], 1.0), Some(10.0));
    }

    #[test]
    fn the_local_day_begins_before_that_of_utc() {
        let at = DateTime::from_timestamp(16 * 3600, 0).expect("an instant");
        assert_eq!(day(&header(1, 1), at).to_string(), "1970-01-02");
    }
}
