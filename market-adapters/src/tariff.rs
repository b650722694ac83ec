//! Time-of-use prices and the V2G feed-in price, from a rule pack.
//!
//! Instants are UTC; the hours of a period are local to the pack's time zone. Whether a day outside the sharp months is
//! hot is the caller's to say: nothing here looks at the weather.

mod pack;

use chrono::{Datelike, NaiveDate, Timelike};
use chrono_tz::Tz;
use rust_decimal::{Decimal, RoundingStrategy};
use serde::Deserialize;
use vpp_core::{Invalid, Price, Timestamp};

use crate::rules::{self, Dated, Series, in_force};
pub use pack::RulePack;
use pack::{Hours, Multipliers};

/// A period of the day with its own price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// The cheapest.
    Valley,
    /// The base.
    Flat,
    /// The dear hours.
    Peak,
    /// The dearest, within the peak: in the sharp months and on days declared hot.
    Sharp,
}

impl Period {
    /// All of them, dearest first.
    pub const ALL: [Period; 4] = [Period::Sharp, Period::Peak, Period::Flat, Period::Valley];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Period::Valley => "valley",
            Period::Flat => "flat",
            Period::Peak => "peak",
            Period::Sharp => "sharp",
        }
    }
}

/// Prices by local hour.
#[derive(Clone, Debug, PartialEq)]
pub struct Tariff {
    zone: Tz,
    hours: Hours,
    sharp_months: Dated<Vec<u32>>,
    multipliers: Multipliers,
    decimals: Dated<u32>,
    base: Series<Decimal>,
    funds: Series<Decimal>,
    feed_in: Series<Decimal>,
}

impl Tariff {
    /// The period in force at an instant. `sharp_day` declares a hot day; the sharp months need no flag.
    #[must_use]
    pub fn period_at(&self, at: Timestamp, sharp_day: bool) -> Period {
        let local = at.with_timezone(&self.zone);
        let sharp = sharp_day || self.sharp_months.value.contains(&local.month());
        self.hours.period(local.hour(), sharp)
    }

    /// What a kilowatt-hour drawn at an instant costs: base × multiplier, rounded half up, and funds.
    ///
    /// Use [`Tariff::require_in_force`] first where the instant is not known to be within the rule's validity.
    #[must_use]
    pub fn price_at(&self, at: Timestamp, sharp_day: bool) -> Price {
        let multiplier = self.multiplier(self.period_at(at, sharp_day));
        let day = self.day(at);
        let rounded = (self.base.on(day).value * multiplier)
            .round_dp_with_strategy(self.decimals.value, RoundingStrategy::MidpointAwayFromZero);
        Price::from_cny_per_kwh(rounded + self.funds.on(day).value)
    }

    /// What a vehicle earns for a kilowatt-hour fed in at an instant; not rounded.
    #[must_use]
    pub fn feed_in_price_at(&self, at: Timestamp, sharp_day: bool) -> Price {
        let multiplier = self.multiplier(self.period_at(at, sharp_day));
        let base = self.feed_in.on(self.day(at)).value;
        Price::from_cny_per_kwh((base * multiplier).normalize())
    }

    /// Checks that all figures hold at an instant.
    ///
    /// # Errors
    /// The first figure that is not in force then.
    pub fn require_in_force(&self, at: Timestamp) -> Result<(), Invalid> {
        in_force(
            "hours",
            self.hours.valid_from,
            self.hours.valid_to,
            at,
            self.zone,
        )?;
        self.sharp_months
            .require_in_force("sharp_months", at, self.zone)?;
        let figures = [
            ("multiplier.valley", &self.multipliers.valley),
            ("multiplier.flat", &self.multipliers.flat),
            ("multiplier.peak", &self.multipliers.peak),
            ("multiplier.sharp", &self.multipliers.sharp),
        ];
        rules::require_all(&figures, at, self.zone)?;
        for (field, series) in [
            ("base", &self.base),
            ("funds", &self.funds),
            ("feed_in", &self.feed_in),
        ] {
            series.require_in_force(field, at, self.zone)?;
        }
        self.decimals.require_in_force("decimals", at, self.zone)
    }

    /// Whose hours are meant.
    #[must_use]
    pub fn zone(&self) -> Tz {
        self.zone
    }

    /// The base price at an instant, with its source and how sure it is.
    #[must_use]
    pub fn base_at(&self, at: Timestamp) -> &Dated<Decimal> {
        self.base.on(self.day(at))
    }

    /// The base of the feed-in price at an instant, with its source and how sure it is.
    #[must_use]
    pub fn feed_in_base_at(&self, at: Timestamp) -> &Dated<Decimal> {
        self.feed_in.on(self.day(at))
    }

    fn day(&self, at: Timestamp) -> NaiveDate {
        at.with_timezone(&self.zone).date_naive()
    }

    fn multiplier(&self, period: Period) -> Decimal {
        match period {
            Period::Valley => self.multipliers.valley.value,
            Period::Flat => self.multipliers.flat.value,
            Period::Peak => self.multipliers.peak.value,
            Period::Sharp => self.multipliers.sharp.value,
        }
    }
}

#[cfg(test)]
mod tests;
