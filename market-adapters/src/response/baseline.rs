//! What an account would have drawn without an event. Methods stand behind one trait, [`Baseline`]; their figures are data
//! of the rule pack `baselines`.
//!
//! A baseline is made of readings from before the event alone: one that is given later ones refuses, so that nobody can
//! shape it once the event is known. One that lacks readings refuses as well and says which: it does not guess.

mod methods;
mod pack;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Datelike, NaiveDate, Weekday};

pub use methods::{Adjustment, Choose, LoadBefore, MeanOfDays};
pub use pack::{BaselineRules, MethodEntry};

use super::SLOTS;

/// Readings of one account: mean draw of each quarter of an hour of a local day, W; none where nothing was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    days: BTreeMap<NaiveDate, Vec<Option<i64>>>,
}

/// What is known of an account at an instant, and nothing later.
#[derive(Clone, Copy, Debug)]
pub struct Past<'a> {
    history: &'a History,
    /// The first quarter of an hour that is not known yet.
    frozen: Option<(NaiveDate, usize)>,
}

/// What kind of day it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DayType {
    /// People work.
    Workday,
    /// Saturday or Sunday, unless it is worked.
    Weekend,
    /// A public holiday.
    Holiday,
}

/// Which days are not what their weekday says, and on which there was an event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calendar {
    /// Public holidays.
    pub holidays: BTreeSet<NaiveDate>,
    /// Weekend days that are worked in exchange.
    pub worked: BTreeSet<NaiveDate>,
    /// Days with an event: they say nothing of a day without.
    pub events: BTreeSet<NaiveDate>,
}

/// When an event is: quarters of an hour of a local day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventWindow {
    /// The day.
    pub date: NaiveDate,
    /// Its first quarter of an hour, from 0.
    pub first: usize,
    /// How many.
    pub slots: usize,
    /// The day on which it was invited to: days before this one count.
    pub invited_on: NaiveDate,
}

/// Why there is no baseline.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BaselineError {
    /// The window is empty or does not fit into a day, or lies before its invitation.
    #[error("an event of {slots} quarters of an hour from {first} on {date} cannot be")]
    Window {
        /// Its day.
        date: NaiveDate,
        /// Its first quarter.
        first: usize,
        /// How many.
        slots: usize,
    },
    /// There are readings of the event itself or of later.
    #[error(
        "there is a reading of {date}, quarter {slot}, which is not before the event: the baseline is frozen before it"
    )]
    TooLate {
        /// The day of the reading.
        date: NaiveDate,
        /// Its quarter of an hour.
        slot: usize,
    },
    /// Too few days are fit for it.
    #[error("{found} days are fit for it, {needed} are needed within {look_back} days")]
    TooFewDays {
        /// So many are.
        found: usize,
        /// So many must be.
        needed: usize,
        /// As far back as was looked.
        look_back: i64,
    },
    /// A reading is missing that the method needs on the day of the event.
    #[error("the reading of {date}, quarter {slot}, is missing")]
    Missing {
        /// Its day.
        date: NaiveDate,
        /// Its quarter of an hour.
        slot: usize,
    },
}

/// A baseline, with what it was made of.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// Mean draw without the event in each of its quarters of an hour, W.
    pub watts: Vec<i64>,
    /// The days that it is the mean of, oldest first.
    pub days: Vec<NaiveDate>,
    /// What it was multiplied by for the day of the event itself; 1 without adjustment.
    pub factor: f64,
}

/// A method.
pub trait Baseline: Send + Sync {
    /// Its name in the rule pack.
    fn name(&self) -> &str;

    /// The baseline of an event.
    ///
    /// # Errors
    /// Readings that are too late, too few, or missing.
    fn curve(
        &self,
        past: &Past<'_>,
        calendar: &Calendar,
        event: &EventWindow,
    ) -> Result<Curve, BaselineError>;
}

impl History {
    /// Takes a reading; one that was there before is replaced.
    ///
    /// # Panics
    /// On a quarter of an hour that no day has.
    pub fn read(&mut self, date: NaiveDate, slot: usize, watts: i64) {
        assert!(slot < SLOTS, "a day has {SLOTS} quarters of an hour");
        self.days.entry(date).or_insert_with(|| vec![None; SLOTS])[slot] = Some(watts);
    }

    /// Days with readings, ascending.
    pub fn dates(&self) -> impl Iterator<Item = NaiveDate> {
        self.days.keys().copied()
    }

    /// Readings of some quarters of an hour of a day, if all are there.
    #[must_use]
    pub fn readings(&self, date: NaiveDate, slots: std::ops::Range<usize>) -> Option<Vec<i64>> {
        self.days.get(&date)?.get(slots)?.iter().copied().collect()
    }

    /// All of it.
    #[must_use]
    pub fn past(&self) -> Past<'_> {
        Past {
            history: self,
            frozen: None,
        }
    }

    /// What was known before a quarter of an hour of a day.
    #[must_use]
    pub fn before(&self, date: NaiveDate, slot: usize) -> Past<'_> {
        Past {
            history: self,
            frozen: Some((date, slot)),
        }
    }
}

impl Past<'_> {
    fn at(&self, date: NaiveDate, slot: usize) -> Option<i64> {
        if self.frozen.is_some_and(|frozen| (date, slot) >= frozen) {
            return None;
        }
        self.history.days.get(&date).and_then(|day| day[slot])
    }

    /// A day's readings if all are there.
    fn whole(&self, date: NaiveDate) -> Option<Vec<i64>> {
        if self.frozen.is_some_and(|(frozen, _)| date >= frozen) {
            return None;
        }
        self.history.days.get(&date)?.iter().copied().collect()
    }

    fn check(&self, event: &EventWindow) -> Result<(), BaselineError> {
        for &date in self.history.days.range(event.date..).map(|(date, _)| date) {
            let first = if date == event.date { event.first } else { 0 };
            if let Some(slot) = (first..SLOTS).find(|slot| self.at(date, *slot).is_some()) {
                return Err(BaselineError::TooLate { date, slot });
            }
            if self.frozen.is_some_and(|(frozen, _)| date >= frozen) {
                break;
            }
        }
        Ok(())
    }
}

impl Calendar {
    /// What kind of day it is.
    #[must_use]
    pub fn day_type(&self, date: NaiveDate) -> DayType {
        if self.holidays.contains(&date) {
            DayType::Holiday
        } else if matches!(date.weekday(), Weekday::Sat | Weekday::Sun)
            && !self.worked.contains(&date)
        {
            DayType::Weekend
        } else {
            DayType::Workday
        }
    }
}

impl EventWindow {
    fn check(&self) -> Result<(), BaselineError> {
        if self.slots == 0 || self.first + self.slots > SLOTS || self.invited_on > self.date {
            return Err(BaselineError::Window {
                date: self.date,
                first: self.first,
                slots: self.slots,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
