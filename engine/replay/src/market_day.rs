//! A day on a market for energy and fast regulation, from bid to score to money: resources whose owner offers a base draw
//! and a capacity for each interval, follows the signal with them, and is paid for what was held and moved.
//!
//! Offers are made half an interval ahead and renewed with what is stored by then ([`vpp_optimizer::bid`]); each value of
//! the signal is shared out at least cost ([`vpp_optimizer::regulate`]), by what a kWh in each battery is worth according to the last
//! bid. Resources do what they are told at once: how well a plant with delays follows is another question.

pub mod expectation;
pub mod file;
mod run;

use vpp_optimizer::bid::{BidError, Offer};
use vpp_optimizer::regulate::RegulateError;

/// A battery, a group of equal ones, or a source or load without a store. Power is positive when drawn; money in any one
/// currency.
#[derive(Clone, Debug, PartialEq)]
pub struct Asset {
    /// For people to read.
    pub name: String,
    /// Greatest charging power in each interval, kW.
    pub charge_max_kw: Vec<f64>,
    /// Greatest discharging power in each interval, kW.
    pub discharge_max_kw: Vec<f64>,
    /// Its store, if it has one.
    pub store: Option<Store>,
    /// Cost of each kWh drawn besides the energy's price.
    pub charge_wear: f64,
    /// Cost of each kWh exported.
    pub discharge_wear: f64,
}

/// What a battery holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Store {
    /// At the start of the day, kWh.
    pub initial_kwh: f64,
    /// Least, kWh.
    pub least_kwh: f64,
    /// Greatest, kWh.
    pub greatest_kwh: f64,
    /// What must be in it at the end of an interval: the interval and kWh.
    pub due: Option<(usize, f64)>,
    /// Battery-side energy for each kWh drawn, in (0, 1].
    pub charge_efficiency: f64,
    /// Exported energy for each kWh taken from the battery, in (0, 1].
    pub discharge_efficiency: f64,
}

/// The day.
#[derive(Clone, Debug, PartialEq)]
pub struct MarketDay {
    /// What can be steered.
    pub assets: Vec<Asset>,
    /// Hours of an interval.
    pub interval_h: f64,
    /// Price of energy in each interval, for each kWh drawn or exported.
    pub energy_price: Vec<f64>,
    /// Price of capacity in each interval, for each kW held over it.
    pub capacity_price: Vec<f64>,
    /// Price of mileage in each interval, for each kW that the signal travels.
    pub mileage_price: Vec<f64>,
    /// How far the signal is expected to travel in each interval, for a capacity of 1.
    pub expected_mileage: Vec<f64>,
    /// Levels of the signal, and for which share of each interval it is expected to be at each.
    pub levels: Vec<f64>,
    /// As said: one row for each interval, adding up to 1.
    pub expected_shares: Vec<Vec<f64>>,
    /// The score that capacity and mileage are expected to be paid by, 0 to 1.
    pub expected_score: f64,
    /// For how long the extremes of the signal must be sustained, h.
    pub sustain_h: f64,
    /// What came: −1 to 1, positive asks for less draw. Equally many values in each interval, an even number of them.
    pub signal: Vec<f64>,
}

/// What became of an interval.
#[derive(Clone, Debug, PartialEq)]
pub struct IntervalResult {
    /// What was offered.
    pub offer: Offer,
    /// What was drawn, kWh; negative for an export.
    pub drawn_kwh: f64,
    /// How far the draw travelled, kW.
    pub mileage_kw: f64,
    /// The greatest difference between what was asked for and what was drawn, kW.
    pub worst_error_kw: f64,
    /// The score of PJM's rule; none where nothing was held.
    pub score: Option<f64>,
    /// Paid for energy; negative when bought.
    pub energy_income: f64,
    /// Paid for capacity, at the expected score.
    pub capacity_income: f64,
    /// Paid for mileage, at the expected score.
    pub mileage_income: f64,
    /// What use cost.
    pub wear: f64,
}

impl IntervalResult {
    /// What remains, at the expected score.
    #[must_use]
    pub fn profit(&self) -> f64 {
        self.energy_income + self.capacity_income + self.mileage_income - self.wear
    }
}

/// What became of the day.
#[derive(Clone, Debug, PartialEq)]
pub struct DayResult {
    /// Interval by interval.
    pub intervals: Vec<IntervalResult>,
    /// What each store held at the end of the day, kWh; 0 without a store.
    pub stored_kwh: Vec<f64>,
    /// Departure energy that was missing, kWh.
    pub unmet_kwh: f64,
    /// What the first bid expected to earn.
    pub expected_profit: f64,
}

impl DayResult {
    /// Adds up a figure of all intervals.
    #[must_use]
    pub fn sum(&self, of: impl Fn(&IntervalResult) -> f64) -> f64 {
        self.intervals.iter().map(of).sum()
    }

    /// Mean score of PJM's rule over the intervals in which something was held; none where nothing was.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // a count of intervals
    pub fn mean_score(&self) -> Option<f64> {
        let scores: Vec<f64> = self.intervals.iter().filter_map(|i| i.score).collect();
        (!scores.is_empty()).then(|| scores.iter().sum::<f64>() / scores.len() as f64)
    }

    /// What remains of the day, at the expected score.
    #[must_use]
    pub fn profit(&self) -> f64 {
        self.sum(IntervalResult::profit)
    }
}

impl MarketDay {
    /// What remains of a day when each interval is paid by its own score instead of the expected one.
    #[must_use]
    pub fn profit_at_own_score(&self, result: &DayResult) -> f64 {
        let own = |interval: &IntervalResult| {
            let income = interval.capacity_income + interval.mileage_income;
            let by = interval.score.unwrap_or(0.0) / self.expected_score;
            interval.profit() + income * (by - 1.0)
        };
        result.intervals.iter().map(own).sum()
    }
}

/// Why a day could not be run.
#[derive(Debug, thiserror::Error)]
pub enum DayError {
    /// A series has the wrong length.
    #[error("{field}: {found} entries for {expected}")]
    Length {
        /// Which.
        field: String,
        /// Its length.
        found: usize,
        /// What it should be.
        expected: usize,
    },
    /// A value of the signal is no number from −1 to 1.
    #[error("signal[{at}]: {value} is not from -1 to 1")]
    Signal {
        /// Which.
        at: usize,
        /// The value.
        value: f64,
    },
    /// There is no bid.
    #[error(transparent)]
    Bid(#[from] BidError),
    /// A value could not be shared out.
    #[error(transparent)]
    Regulate(#[from] RegulateError),
}
