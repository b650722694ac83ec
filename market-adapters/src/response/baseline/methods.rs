//! The methods: a mean of days, and the load just before.

use chrono::{NaiveDate, TimeDelta};
use serde::Deserialize;

use super::pack::RawDays;
use super::{Baseline, BaselineError, Calendar, Curve, DayType, EventWindow, Past};
use crate::response::SLOTS;

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
    pub(super) name: String,
    pub(super) raw: RawDays,
}

/// The load just before the event, for all of it.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadBefore {
    pub(super) name: String,
    pub(super) slots: usize,
}

impl Baseline for LoadBefore {
    fn name(&self) -> &str {
        &self.name
    }

    fn curve(
        &self,
        past: &Past<'_>,
        _calendar: &Calendar,
        event: &EventWindow,
    ) -> Result<Curve, BaselineError> {
        event.check()?;
        past.check(event)?;
        let mut sum = 0;
        for back in 1..=self.slots {
            let (date, slot) = match event.first.checked_sub(back) {
                Some(slot) => (event.date, slot),
                None => (event.date - TimeDelta::days(1), SLOTS + event.first - back),
            };
            let watts = past.at(date, slot);
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
        past: &Past<'_>,
        calendar: &Calendar,
        event: &EventWindow,
    ) -> Result<Curve, BaselineError> {
        event.check()?;
        past.check(event)?;
        let mut days = self.candidates(past, calendar, event)?;
        self.choose(&mut days);
        days.sort_by_key(|(date, _)| *date);
        let at = |slot: usize| mean(days.iter().map(|(_, day)| day[slot]).sum(), days.len());
        let factor = match &self.raw.adjustment {
            Some(adjustment) => adjustment.factor(past, event, at)?,
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
        past: &Past<'_>,
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
            .filter_map(|date| Some((date, past.whole(date)?)));
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
        past: &Past<'_>,
        event: &EventWindow,
        at: impl Fn(usize) -> i64,
    ) -> Result<f64, BaselineError> {
        let end = event.first.saturating_sub(self.gap_slots);
        let begin = end.saturating_sub(self.window_slots);
        let (mut drawn, mut expected) = (0, 0);
        for slot in begin..end {
            let watts = past.at(event.date, slot);
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
