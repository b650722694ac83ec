//! What an account would have drawn without an event. Methods stand behind one trait, [`Baseline`]; their figures are data
//! of the rule pack `baselines`.
//!
//! A baseline is made of readings from before the event alone: one that is given later ones refuses, so that nobody can
//! shape it once the event is known. One that lacks readings refuses as well and says which: it does not guess.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use chrono::{Datelike, NaiveDate, TimeDelta, Weekday};
use serde::Deserialize;
use toml::Spanned;

use super::SLOTS;
use crate::rules::{
    self, Refusal, RuleError, Status, check_format, date, optional_date, refusal, time_zone,
};

/// No method looks further back, days.
const MOST_LOOK_BACK: i64 = 400;

/// Readings of one account: mean draw of each quarter of an hour of a local day, W; none where nothing was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    days: BTreeMap<NaiveDate, Vec<Option<i64>>>,
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
pub trait Baseline {
    /// Its name in the rule pack.
    fn name(&self) -> &str;

    /// The baseline of an event.
    ///
    /// # Errors
    /// Readings that are too late, too few, or missing.
    fn curve(
        &self,
        history: &History,
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

    /// What was known before a quarter of an hour of a day, as far back as any method looks.
    #[must_use]
    pub fn before(&self, date: NaiveDate, slot: usize) -> History {
        let oldest = date - TimeDelta::days(MOST_LOOK_BACK);
        let mut days: BTreeMap<_, _> = (self.days.range(oldest..=date))
            .map(|(date, day)| (*date, day.clone()))
            .collect();
        if let Some(day) = days.get_mut(&date) {
            day[slot..].fill(None);
        }
        History { days }
    }

    fn at(&self, date: NaiveDate, slot: usize) -> Option<i64> {
        self.days.get(&date).and_then(|day| day[slot])
    }

    /// A day's readings if all are there.
    fn whole(&self, date: NaiveDate) -> Option<Vec<i64>> {
        self.days.get(&date)?.iter().copied().collect()
    }

    fn check(&self, event: &EventWindow) -> Result<(), BaselineError> {
        for (&date, day) in self.days.range(event.date..) {
            let first = if date == event.date { event.first } else { 0 };
            if let Some(slot) = (first..SLOTS).find(|slot| day[*slot].is_some()) {
                return Err(BaselineError::TooLate { date, slot });
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

/// Which of the days fit for it make the mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choose {
    /// All.
    All,
    /// So many with the most energy.
    HighestEnergy(usize),
    /// All but so many with the most and so many with the least energy.
    Trim(usize),
}

/// How the day of the event itself corrects the mean of others.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adjustment {
    /// Quarters of an hour compared.
    pub window_slots: usize,
    /// Quarters between them and the event: what was known of it may shape them.
    pub gap_slots: usize,
    /// The factor lies within 1 ± this.
    pub cap: f64,
}

/// The mean of earlier days.
#[derive(Clone, Debug, PartialEq)]
pub struct MeanOfDays {
    name: String,
    raw: RawDays,
}

/// The load just before the event, for all of it.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadBefore {
    name: String,
    slots: usize,
}

impl Baseline for LoadBefore {
    fn name(&self) -> &str {
        &self.name
    }

    fn curve(
        &self,
        history: &History,
        _calendar: &Calendar,
        event: &EventWindow,
    ) -> Result<Curve, BaselineError> {
        event.check()?;
        history.check(event)?;
        let mut sum = 0;
        for back in 1..=self.slots {
            let (date, slot) = match event.first.checked_sub(back) {
                Some(slot) => (event.date, slot),
                None => (event.date - TimeDelta::days(1), SLOTS + event.first - back),
            };
            let watts = history.at(date, slot);
            sum += watts.ok_or(BaselineError::Missing { date, slot })?;
        }
        Ok(Curve {
            watts: vec![mean(sum, self.slots); event.slots],
            days: Vec::new(),
            factor: 1.0,
        })
    }
}

impl Baseline for MeanOfDays {
    fn name(&self) -> &str {
        &self.name
    }

    fn curve(
        &self,
        history: &History,
        calendar: &Calendar,
        event: &EventWindow,
    ) -> Result<Curve, BaselineError> {
        event.check()?;
        history.check(event)?;
        let mut days = self.candidates(history, calendar, event)?;
        self.choose(&mut days);
        days.sort_by_key(|(date, _)| *date);
        let at = |slot: usize| mean(days.iter().map(|(_, day)| day[slot]).sum(), days.len());
        let factor = match &self.raw.adjustment {
            Some(adjustment) => adjustment.factor(history, event, at)?,
            None => 1.0,
        };
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
        // watts of an account
        let adjusted = |slot: usize| (at(slot) as f64 * factor).round() as i64;
        Ok(Curve {
            watts: (event.first..event.first + event.slots)
                .map(adjusted)
                .collect(),
            days: days.iter().map(|(date, _)| *date).collect(),
            factor,
        })
    }
}

impl MeanOfDays {
    /// Days fit for it with all of their readings, newest first.
    fn candidates(
        &self,
        history: &History,
        calendar: &Calendar,
        event: &EventWindow,
    ) -> Result<Vec<(NaiveDate, Vec<i64>)>, BaselineError> {
        let raw = &self.raw;
        let kind = calendar.day_type(event.date);
        let newest = event.invited_on.min(event.date) - TimeDelta::days(raw.first_day_before);
        let oldest = event.date - TimeDelta::days(raw.look_back_days);
        let fits = |date: NaiveDate| {
            let same = !raw.same_type || calendar.day_type(date) == kind;
            let worked = !raw.workdays_only || calendar.day_type(date) == DayType::Workday;
            same && worked && !calendar.events.contains(&date)
        };
        let mut left = std::iter::successors(Some(newest), NaiveDate::pred_opt)
            .take_while(|date| *date >= oldest)
            .filter(|date| fits(*date))
            .filter_map(|date| Some((date, history.whole(date)?)));
        let mut days: Vec<(NaiveDate, Vec<i64>)> = left.by_ref().take(raw.candidates).collect();
        // A day that differs much from the mean of those kept makes way for an older one, the most different first: one
        // that is far off moves the mean so far that all would seem to be.
        while let Some(deviation) = raw.energy_deviation {
            let energy = |day: &[i64]| day.iter().sum::<i64>();
            let sum: i64 = days.iter().map(|(_, day)| energy(day)).sum();
            let mean = mean(sum, days.len());
            let off = |day: &[i64]| (energy(day) - mean).abs();
            let farthest = (0..days.len()).max_by_key(|&at| off(&days[at].1));
            #[allow(clippy::cast_precision_loss)] // watts of an account over a day
            let too_far =
                farthest.filter(|&at| off(&days[at].1) as f64 > deviation * mean.abs() as f64);
            let Some(at) = too_far else { break };
            days.remove(at);
            days.extend(left.next());
        }
        let needed = raw.least_candidates.unwrap_or(raw.candidates);
        if days.len() < needed {
            return Err(BaselineError::TooFewDays {
                found: days.len(),
                needed,
                look_back: raw.look_back_days,
            });
        }
        Ok(days)
    }

    fn choose(&self, days: &mut Vec<(NaiveDate, Vec<i64>)>) {
        // Of equal energies the newer one is kept.
        days.sort_by_key(|(date, day)| (-day.iter().sum::<i64>(), std::cmp::Reverse(*date)));
        match self.raw.choose {
            Choose::All => {}
            Choose::HighestEnergy(count) => days.truncate(count),
            Choose::Trim(count) => {
                days.truncate(days.len().saturating_sub(count));
                days.drain(..count.min(days.len().saturating_sub(1)));
            }
        }
    }
}

impl Adjustment {
    /// What was drawn before the event on its own day over what the mean of other days says, within the cap.
    fn factor(
        &self,
        history: &History,
        event: &EventWindow,
        at: impl Fn(usize) -> i64,
    ) -> Result<f64, BaselineError> {
        let end = event.first.saturating_sub(self.gap_slots);
        let begin = end.saturating_sub(self.window_slots);
        let (mut drawn, mut expected) = (0, 0);
        for slot in begin..end {
            let watts = history.at(event.date, slot);
            drawn += watts.ok_or(BaselineError::Missing {
                date: event.date,
                slot,
            })?;
            expected += at(slot);
        }
        if expected == 0 {
            return Ok(1.0);
        }
        #[allow(clippy::cast_precision_loss)] // watts of an account over hours
        let factor = drawn as f64 / expected as f64;
        Ok(factor.clamp(1.0 - self.cap, 1.0 + self.cap))
    }
}

/// Rounded to the nearest, halves away from zero.
fn mean(sum: i64, count: usize) -> i64 {
    let count = i64::try_from(count.max(1)).unwrap_or(i64::MAX);
    let half = count / 2 * sum.signum();
    (sum + half) / count
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDays {
    candidates: usize,
    #[serde(default)]
    least_candidates: Option<usize>,
    #[serde(default)]
    same_type: bool,
    #[serde(default)]
    workdays_only: bool,
    look_back_days: i64,
    first_day_before: i64,
    #[serde(default)]
    energy_deviation: Option<f64>,
    choose: Choose,
    #[serde(default)]
    adjustment: Option<Adjustment>,
    #[serde(deserialize_with = "date")]
    valid_from: NaiveDate,
    #[serde(default, deserialize_with = "optional_date")]
    valid_to: Option<NaiveDate>,
    source: String,
    status: Status,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBefore {
    slots: usize,
    #[serde(deserialize_with = "date")]
    valid_from: NaiveDate,
    #[serde(default, deserialize_with = "optional_date")]
    valid_to: Option<NaiveDate>,
    source: String,
    status: Status,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum RawMethod {
    Days(RawDays),
    Before(RawBefore),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPack {
    format: Spanned<u32>,
    name: String,
    time_zone: Spanned<String>,
    method: BTreeMap<String, Spanned<RawMethod>>,
}

/// The methods of a rule pack.
pub struct BaselineRules {
    /// Its name.
    pub name: String,
    methods: Vec<MethodEntry>,
}

/// A method with what is known of it.
pub struct MethodEntry {
    method: Box<dyn Baseline + Send + Sync>,
    /// First day on which it holds.
    pub valid_from: NaiveDate,
    /// First day on which it no longer holds.
    pub valid_to: Option<NaiveDate>,
    /// Where it comes from.
    pub source: String,
    /// How sure it is.
    pub status: Status,
}

impl MethodEntry {
    /// The method itself.
    #[must_use]
    pub fn method(&self) -> &dyn Baseline {
        &*self.method
    }
}

impl BaselineRules {
    /// The pack that comes with this crate.
    ///
    /// # Panics
    /// Never: a test reads it.
    #[must_use]
    pub fn standard() -> &'static BaselineRules {
        static PACK: LazyLock<BaselineRules> = LazyLock::new(|| {
            BaselineRules::parse(include_str!("../../rules/baselines.toml"))
                .expect("the pack that comes with the crate is sound")
        });
        &PACK
    }

    /// Reads a pack from text.
    ///
    /// # Errors
    /// The first method that is impossible, with its line.
    pub fn parse(text: &str) -> Result<BaselineRules, RuleError> {
        rules::parse(text, RawPack::check)
    }

    /// All methods.
    #[must_use]
    pub fn methods(&self) -> &[MethodEntry] {
        &self.methods
    }

    /// A method by its name.
    #[must_use]
    pub fn method(&self, name: &str) -> Option<&dyn Baseline> {
        let mut entries = self.methods.iter().map(MethodEntry::method);
        entries.find(|method| method.name() == name)
    }
}

impl RawPack {
    fn check(self) -> Result<BaselineRules, Refusal> {
        check_format(&self.format)?;
        time_zone(&self.time_zone)?;
        let mut methods = Vec::new();
        for (name, spanned) in self.method {
            let wrong =
                |problem: &str| refusal(&spanned, &format!("method.{name}"), problem.into());
            let (method, valid_from, valid_to, source, status): (
                Box<dyn Baseline + Send + Sync>,
                _,
                _,
                _,
                _,
            ) = match spanned.get_ref().clone() {
                RawMethod::Days(raw) => {
                    raw.check().map_err(wrong)?;
                    let about = (raw.valid_from, raw.valid_to, raw.source.clone(), raw.status);
                    let name = name.clone();
                    let method = Box::new(MeanOfDays { name, raw });
                    (method, about.0, about.1, about.2, about.3)
                }
                RawMethod::Before(raw) => {
                    if !(1..=SLOTS).contains(&raw.slots) {
                        return Err(wrong("slots must be 1 to 96"));
                    }
                    let name = name.clone();
                    let slots = raw.slots;
                    let method = Box::new(LoadBefore { name, slots });
                    (method, raw.valid_from, raw.valid_to, raw.source, raw.status)
                }
            };
            methods.push(MethodEntry {
                method,
                valid_from,
                valid_to,
                source,
                status,
            });
        }
        Ok(BaselineRules {
            name: self.name,
            methods,
        })
    }
}

impl RawDays {
    fn check(&self) -> Result<(), &'static str> {
        let kept = match self.choose {
            Choose::All => 1,
            Choose::HighestEnergy(count) => count,
            Choose::Trim(count) => 2 * count + 1,
        };
        let least = self.least_candidates.unwrap_or(self.candidates);
        if !(1..=366).contains(&self.candidates) || least > self.candidates || least == 0 {
            return Err("candidates must be 1 to 366 and least_candidates at most as many");
        }
        if kept > least || kept == 0 {
            return Err("choose leaves no day or asks for more than there must be");
        }
        if !(1..=366).contains(&self.first_day_before)
            || !(self.first_day_before..=MOST_LOOK_BACK).contains(&self.look_back_days)
        {
            return Err("first_day_before must be 1 to 366, look_back_days no less and up to 400");
        }
        if (self.energy_deviation).is_some_and(|share| !(share > 0.0 && share <= 10.0)) {
            return Err("energy_deviation must be above 0 and up to 10");
        }
        match self.adjustment {
            Some(Adjustment {
                window_slots,
                gap_slots,
                cap,
            }) if !(1..=SLOTS).contains(&window_slots)
                || gap_slots > SLOTS
                || !(0.0..=1.0).contains(&cap) =>
            {
                Err(
                    "adjustment needs 1 to 96 window_slots, up to 96 gap_slots and a cap from 0 to 1",
                )
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
