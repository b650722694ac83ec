//! Prices of a scenario, interval by interval: its rule pack with its calendar.

use chrono::{NaiveDate, TimeDelta};
use chrono_tz::Tz;
use vpp_core::{Interval, Invalid, Price, Timestamp};
use vpp_market_adapters::tariff::{Period, RulePack};

use crate::Scenario;

/// Length of a market interval.
pub const INTERVAL: TimeDelta = TimeDelta::minutes(15);

/// What energy costs and earns in an interval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntervalPrice {
    /// The interval: a quarter of an hour, on the quarter.
    pub interval: Interval,
    /// Which hours of the tariff these are.
    pub period: Period,
    /// Of a kWh drawn.
    pub energy: Price,
    /// Of a kWh fed in.
    pub feed_in: Price,
}

impl Scenario {
    /// The rules whose prices hold.
    ///
    /// # Errors
    /// A pack that is not known; a scenario from [`Scenario::parse`] names none such.
    pub fn rules(&self) -> Result<&'static RulePack, Invalid> {
        let name = &self.tariff.rule_pack;
        RulePack::by_name(name).ok_or_else(|| Invalid::unknown("tariff.rule_pack", name))
    }

    /// Whether the sharp price holds on the local day of an instant outside its months too.
    #[must_use]
    pub fn is_hot(&self, at: Timestamp, zone: Tz) -> bool {
        let day = |at: Timestamp| -> NaiveDate { at.with_timezone(&zone).date_naive() };
        self.tariff.sharp_day || self.calendar.hot_days.contains(&day(at))
    }

    /// The price of every market interval from the one in which the scenario begins to `beyond` its end. A plan looks further
    /// than the scenario lasts; prices beyond the rules' validity are those of its last day.
    ///
    /// # Errors
    /// As [`Scenario::rules`].
    pub fn prices(&self, beyond: TimeDelta) -> Result<Vec<IntervalPrice>, Invalid> {
        let tariff = self.rules()?.tariff();
        let (start, end) = (self.start(), self.end() + beyond);
        let first = start - TimeDelta::seconds(start.timestamp().rem_euclid(900));
        let starts = std::iter::successors(Some(first), |at| Some(*at + INTERVAL));
        let price = |at: Timestamp| {
            let hot = self.is_hot(at, tariff.zone());
            Ok(IntervalPrice {
                interval: Interval::new(at, at + INTERVAL)?,
                period: tariff.period_at(at, hot),
                energy: tariff.price_at(at, hot),
                feed_in: tariff.feed_in_price_at(at, hot),
            })
        };
        starts.take_while(|at| *at < end).map(price).collect()
    }
}
