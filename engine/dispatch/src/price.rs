//! What energy costs and earns in the eyes of the plan.

use chrono::TimeDelta;
use vpp_core::time::as_hours;
use vpp_core::{Interval, Timestamp};

use crate::engine::Engine;

/// By how much energy counts as dearer, and feeding in as cheaper, for each hour that it is put off, CNY/kWh: between hours of one
/// price, now comes first. Without it, what is as good later is put off at each cycle until the vehicles are gone. Far less than
/// what periods of a tariff differ by.
const WAITING_CNY_PER_KWH_H: f64 = 0.001;

impl Engine {
    /// Price of energy drawn and fed in, in each interval of a plan, CNY/kWh.
    pub(crate) fn plan_prices(&self, now: Timestamp, intervals: &[Interval]) -> Vec<(f64, f64)> {
        let price = |interval: &Interval| {
            let (energy, feed_in) = self.mean_price(*interval);
            let later = WAITING_CNY_PER_KWH_H * as_hours(interval.start() - now);
            (energy + later, feed_in - later)
        };
        intervals.iter().map(price).collect()
    }

    /// Mean prices over an interval, seen every quarter of an hour: long ones reach over several periods of a tariff.
    fn mean_price(&self, interval: Interval) -> (f64, f64) {
        let starts = std::iter::successors(Some(interval.start()), |at| {
            Some(*at + TimeDelta::minutes(15)).filter(|at| *at < interval.end())
        });
        let (mut energy, mut feed_in, mut weight) = (0.0, 0.0, 0.0);
        for at in starts {
            let hours = as_hours((interval.end() - at).min(TimeDelta::minutes(15)));
            let price = self.price(at);
            energy += price.0 * hours;
            feed_in += price.1 * hours;
            weight += hours;
        }
        (energy / weight, feed_in / weight)
    }

    /// Price of energy drawn and fed in at an instant, a subsidy included, CNY/kWh.
    fn price(&self, at: Timestamp) -> (f64, f64) {
        let known = self.prices.range(..=at).next_back();
        let (energy, feed_in) = match known.filter(|(_, (end, ..))| at < *end) {
            Some((_, (_, energy, feed_in))) => (energy.as_f64(), feed_in.as_f64()),
            None => (self.config.default_price_cny_per_kwh, 0.0),
        };
        (energy, feed_in + self.subsidy_price(at))
    }
}
