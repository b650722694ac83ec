//! Instants and half-open intervals. All instants are UTC; local hours exist only where a rule speaks of them.

use chrono::{DateTime, NaiveDateTime, TimeDelta, Timelike as _, Utc};

use crate::Invalid;

/// An instant, UTC.
pub type Timestamp = DateTime<Utc>;

/// A half-open interval `[start, end)`, named by its start, never empty.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct Interval {
    start: Timestamp,
    end: Timestamp,
}

impl Interval {
    /// The interval from `start` up to, not including, `end`.
    ///
    /// # Errors
    /// When `end` is not after `start`.
    pub fn new(start: Timestamp, end: Timestamp) -> Result<Interval, Invalid> {
        if end <= start {
            return Err(Invalid::new(
                "end_time",
                format!("{end} is not after the start {start}"),
            ));
        }
        Ok(Interval { start, end })
    }

    /// First instant inside.
    #[must_use]
    pub fn start(&self) -> Timestamp {
        self.start
    }

    /// First instant after.
    #[must_use]
    pub fn end(&self) -> Timestamp {
        self.end
    }

    /// Length, always positive.
    #[must_use]
    pub fn length(&self) -> TimeDelta {
        self.end - self.start
    }

    /// Whether `at` lies in `[start, end)`.
    #[must_use]
    pub fn contains(&self, at: Timestamp) -> bool {
        self.start <= at && at < self.end
    }

    /// The part that both share, if any.
    #[must_use]
    pub fn intersection(&self, other: &Interval) -> Option<Interval> {
        Interval::new(self.start.max(other.start), self.end.min(other.end)).ok()
    }
}

/// How long before `now` something was; negative if it comes later. The same as `now - then`, without the calendar's arithmetic
/// where both are whole seconds apart on the same day: asked several times for each pile at every look.
#[must_use]
#[inline]
pub fn since(then: Timestamp, now: Timestamp) -> TimeDelta {
    let (from, to) = (then.naive_utc(), now.naive_utc());
    if from.date() == to.date() && from.nanosecond() == to.nanosecond() {
        let second = |time: NaiveDateTime| i64::from(time.num_seconds_from_midnight());
        TimeDelta::seconds(second(to) - second(from))
    } else {
        now - then
    }
}

/// Hours as a floating-point number, for the optimizer.
#[must_use]
#[allow(clippy::cast_precision_loss)] // exact up to 2^53 ms
pub fn as_hours(length: TimeDelta) -> f64 {
    length.num_milliseconds() as f64 / 3_600_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_the_difference() {
        let at = |text: &str| text.parse::<Timestamp>().expect("an instant");
        let instants = [
            "2027-07-05T00:00:00Z",
            "2027-07-05T00:00:00.000000001Z",
            "2027-07-05T23:59:59.999Z",
            "2027-07-06T00:00:00Z",
            "1969-12-31T23:59:59.5Z",
        ];
        for then in instants.map(at) {
            for now in instants.map(at) {
                assert_eq!(since(then, now), now - then);
            }
        }
    }
}
