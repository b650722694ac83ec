//! Instants and half-open intervals. All instants are UTC; local hours exist only where a rule speaks of them.

use chrono::{DateTime, TimeDelta, Utc};

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

/// Hours as a floating-point number, for the optimizer.
#[must_use]
#[allow(clippy::cast_precision_loss)] // exact up to 2^53 ms
pub fn as_hours(length: TimeDelta) -> f64 {
    length.num_milliseconds() as f64 / 3_600_000.0
}
