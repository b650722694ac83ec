//! A subsidy for what vehicles feed in, as the plan sees it: a price on top of the feed-in price that ends with the budget.
//! What it comes to is settled from meters; here it is only counted by telemetry, so that the plan stops in time.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use vpp_core::time::as_hours;
use vpp_core::{Invalid, Power, Price, Timestamp};

use crate::engine::Engine;

/// A subsidy, and what is left of its budget.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
pub struct Subsidy {
    /// For each kWh fed in.
    pub price: Price,
    /// What is left of the budget, CNY.
    pub left_cny: f64,
    /// Until when it is paid: the end of the budget's year.
    pub until: Timestamp,
}

impl Subsidy {
    /// Checks that it can be.
    ///
    /// # Errors
    /// A price or a budget that is negative or no number.
    pub fn check(&self) -> Result<(), Invalid> {
        if self.price < Price::default() {
            let problem = format!("{} CNY/kWh is negative", self.price.as_cny_per_kwh());
            return Err(Invalid::new("subsidy.price", problem));
        }
        if !(self.left_cny >= 0.0 && self.left_cny.is_finite()) {
            let problem = format!("{} CNY is no budget", self.left_cny);
            return Err(Invalid::new("subsidy.left_cny", problem));
        }
        Ok(())
    }
}

impl Engine {
    /// What a kWh fed in earns on top of its price, CNY: nothing once the budget is spent.
    pub(crate) fn subsidy_price(&self, at: Timestamp) -> f64 {
        let left = self
            .subsidy
            .filter(|subsidy| subsidy.left_cny > 0.0 && at < subsidy.until);
        left.map_or(0.0, |subsidy| subsidy.price.as_f64())
    }

    /// Takes what was fed in over some time off the budget; of stations that are silent nothing is known.
    pub(crate) fn spend_subsidy(&mut self, now: Timestamp, length: TimeDelta) {
        let Some(subsidy) = &mut self.subsidy else {
            return;
        };
        let fresh = self
            .states
            .iter()
            .filter(|state| state.is_fresh(now, &self.config));
        let exported = fresh.map(|state| (-state.active_power).max(Power::ZERO));
        let fed_in: Power = exported.sum();
        let spent = fed_in.as_kilowatts() * as_hours(length) * subsidy.price.as_f64();
        subsidy.left_cny = (subsidy.left_cny - spent).max(0.0);
    }
}
