//! What energy costs, told to the engine day by day.

use chrono::{NaiveDate, NaiveDateTime, TimeDelta};
use vpp_core::{Interval, Invalid, Price, Timestamp};
use vpp_dispatch::PricePoint;
use vpp_market_adapters::Tariff;
use vpp_market_adapters::tariff::Period;
use vpp_scenarios::Scenario;

/// How far ahead prices are known: further than the longest usual horizon.
const AHEAD: TimeDelta = TimeDelta::hours(48);
const QUARTER: TimeDelta = TimeDelta::minutes(15);

/// The prices of a scenario.
#[derive(Debug)]
pub(crate) struct Prices {
    tariff: &'static Tariff,
    /// Whether every day is declared hot, and which are.
    sharp_days: bool,
    hot_days: Vec<NaiveDate>,
    told_until: Timestamp,
}

impl Prices {
    /// Those of a scenario.
    ///
    /// # Errors
    /// A rule pack that is not known.
    pub(crate) fn of(scenario: &Scenario) -> Result<Prices, Invalid> {
        let start = scenario.start();
        Ok(Prices {
            tariff: scenario.rules()?.tariff(),
            sharp_days: scenario.tariff.sharp_day,
            hot_days: scenario.calendar.hot_days.clone(),
            told_until: start - TimeDelta::seconds(start.timestamp().rem_euclid(900)),
        })
    }

    /// What was not told yet, when less than a day of it is left.
    pub(crate) fn due(&mut self, now: Timestamp) -> Vec<PricePoint> {
        if self.told_until - now > AHEAD / 2 {
            return Vec::new();
        }
        let mut points = Vec::new();
        while self.told_until < now + AHEAD {
            let at = self.told_until;
            self.told_until += QUARTER;
            if let Ok(interval) = Interval::new(at, self.told_until) {
                let (energy, feed_in) = self.at(at);
                points.push(PricePoint {
                    interval,
                    energy,
                    feed_in,
                });
            }
        }
        points
    }

    /// Until when they were told.
    pub(crate) fn told_until(&self) -> Timestamp {
        self.told_until
    }

    /// Goes on from there.
    pub(crate) fn go_on(&mut self, told_until: Timestamp) {
        self.told_until = told_until;
    }

    /// Of energy drawn, and of energy fed in.
    pub(crate) fn at(&self, at: Timestamp) -> (Price, Price) {
        let sharp = self.is_sharp(at);
        (
            self.tariff.price_at(at, sharp),
            self.tariff.feed_in_price_at(at, sharp),
        )
    }

    /// Which period of the tariff it is.
    pub(crate) fn period(&self, at: Timestamp) -> Period {
        self.tariff.period_at(at, self.is_sharp(at))
    }

    /// The time of the place whose tariff it is.
    pub(crate) fn local_time(&self, at: Timestamp) -> NaiveDateTime {
        at.with_timezone(&self.tariff.zone()).naive_local()
    }

    /// Whether the day is declared hot.
    fn is_sharp(&self, at: Timestamp) -> bool {
        self.sharp_days || self.hot_days.contains(&self.local_time(at).date())
    }
}
