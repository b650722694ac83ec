//! From the tables of a scenario to draws. What vehicles do is drawn from uniform numbers of `[0, 1)` that the caller hands in,
//! so that who draws, and in which order, stays in one place.

use chrono::{Datelike, TimeDelta, Timelike, Weekday};
use chrono_tz::Asia::Shanghai;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use schemars::JsonSchema;
use serde::Deserialize;
use vpp_core::{Invalid, Timestamp};

use crate::format::SessionProfile;

/// A distribution as a table of quantiles at even steps from 0 % to 100 %, linear in between.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Quantiles(Vec<f64>);

impl Quantiles {
    /// The fewest values of a table: smallest and largest.
    pub const MIN_LENGTH: usize = 2;

    /// From values at even steps, the smallest first.
    ///
    /// # Errors
    /// Fewer than two values, a value that is negative or not finite, a value below its predecessor.
    pub fn new(values: Vec<f64>) -> Result<Quantiles, Invalid> {
        let quantiles = Quantiles(values);
        match quantiles.defect() {
            None => Ok(quantiles),
            Some((position, problem)) => Err(Invalid::new(format!("[{position}]"), problem)),
        }
    }

    /// The first rule that the table breaks, with the position. A table read by serde may be any.
    pub(crate) fn defect(&self) -> Option<(usize, String)> {
        if self.0.len() < Quantiles::MIN_LENGTH {
            let problem = format!("{} quantiles, at least {}", self.0.len(), Self::MIN_LENGTH);
            return Some((0, problem));
        }
        for (position, &value) in self.0.iter().enumerate() {
            if !value.is_finite() || value < 0.0 {
                return Some((position, format!("{value} is not a number from 0 up")));
            }
            if position > 0 && value < self.0[position - 1] {
                let before = self.0[position - 1];
                return Some((
                    position,
                    format!("quantile {value} is below the one before it, {before}"),
                ));
            }
        }
        None
    }

    /// The value that the share `p` of all draws does not exceed; `p` is limited to `[0, 1]`.
    #[must_use]
    pub fn at(&self, p: f64) -> f64 {
        let steps = self.0.len() - 1;
        #[allow(clippy::cast_precision_loss)] // a table of 2^53 values does not exist
        let position = p.clamp(0.0, 1.0) * steps as f64;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // limited above
        let below = (position.floor() as usize).min(steps - 1);
        #[allow(clippy::cast_precision_loss)]
        let part = position - below as f64;
        let (low, high) = (self.0[below], self.0[below + 1]);
        (low + (high - low) * part).clamp(low, high)
    }

    /// The share of all draws above `value`.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn share_above(&self, value: f64) -> f64 {
        let steps = (self.0.len() - 1) as f64;
        let below = self.0.partition_point(|quantile| *quantile <= value);
        if below == 0 {
            return 1.0;
        }
        let Some(high) = self.0.get(below) else {
            return 0.0;
        };
        let low = self.0[below - 1];
        let part = (value - low) / (high - low);
        1.0 - ((below - 1) as f64 + part) / steps
    }

    /// The mean of the distribution.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn mean(&self) -> f64 {
        let halves: f64 = self
            .0
            .windows(2)
            .map(|pair| (pair[0] + pair[1]) / 2.0)
            .sum();
        halves / (self.0.len() - 1) as f64
    }

    /// The values at even steps.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.0
    }
}

/// The random numbers of something that has a name in the scenario, apart from all others: what is added or left out elsewhere
/// in the file does not change them.
#[derive(Clone, Debug)]
pub(crate) struct Stream(ChaCha8Rng);

impl Stream {
    pub(crate) fn named(seed: u64, name: &str) -> Stream {
        // FNV-1a: the same in every version and on every machine.
        let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(name.bytes().fold(0xcbf2_9ce4_8422_2325, mix));
        Stream(rng)
    }

    /// Uniform in `[0, 1)`.
    #[allow(clippy::cast_precision_loss)] // 53 bits fit
    pub(crate) fn uniform(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }
}

/// The nearest count.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturates, and counts are small
pub(crate) fn whole(value: f64) -> u32 {
    value.round() as u32
}

/// The next arrival after `now` of a source that brings `per_day` a day, with the share of each local hour in `shape`. None
/// when it would come after `until`.
pub fn next_arrival(
    shape: &[f64],
    per_day: f64,
    now: Timestamp,
    until: Timestamp,
    uniform: impl FnMut() -> f64,
) -> Option<Timestamp> {
    let share_at = |at: Timestamp| shape[at.with_timezone(&Shanghai).hour() as usize];
    thinned(largest(shape), share_at, per_day, now, until, uniform)
}

/// Thinning: proposals at the peak rate, each kept with the share of its own hour. `uniform` yields numbers of `[0, 1)`.
fn thinned(
    peak: f64,
    share_at: impl Fn(Timestamp) -> f64,
    per_day: f64,
    now: Timestamp,
    until: Timestamp,
    mut uniform: impl FnMut() -> f64,
) -> Option<Timestamp> {
    if per_day * peak <= 0.0 {
        return None;
    }
    let mut at = now;
    loop {
        let hours = -(1.0 - uniform()).ln() / (per_day * peak);
        // Longer gaps than a century are none; the bound keeps the conversion in range.
        #[allow(clippy::cast_possible_truncation)]
        let gap = TimeDelta::milliseconds((hours.min(1e6) * 3.6e6) as i64);
        at = at.checked_add_signed(gap)?;
        if at >= until {
            return None;
        }
        if uniform() * peak < share_at(at) {
            return Some(at);
        }
    }
}

fn largest(shape: &[f64]) -> f64 {
    shape.iter().copied().fold(0.0, f64::max)
}

/// One vehicle's wish: how long it stays and what its battery shall receive.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Visit {
    /// How long it stays.
    pub stay: TimeDelta,
    /// What the battery shall receive; fits into the stay at full power.
    pub energy_kwh: f64,
}

impl SessionProfile {
    /// Arrivals per AC pile and hour at an instant, before any vehicle finds the piles taken.
    #[must_use]
    pub fn ac_arrivals_per_hour(&self, at: Timestamp) -> f64 {
        self.arrivals_per_ac_pile_day * self.arrival_share(at)
    }

    /// Arrivals per DC pile and hour at an instant.
    #[must_use]
    pub fn dc_arrivals_per_hour(&self, at: Timestamp) -> f64 {
        self.arrivals_per_dc_pile_day * self.arrival_share(at)
    }

    /// Share of a weekday's arrivals that come in an hour like the local one of `at`: on Saturdays, Sundays and public holidays
    /// by the weekend's shape and factor.
    #[must_use]
    pub fn arrival_share(&self, at: Timestamp) -> f64 {
        let local = at.with_timezone(&Shanghai);
        let hour = local.hour() as usize;
        let is_weekend = matches!(local.weekday(), Weekday::Sat | Weekday::Sun);
        match is_weekend || self.holidays.contains(&local.date_naive()) {
            true => self.weekend_shape()[hour] * self.weekend_factor,
            false => self.arrival_shape[hour],
        }
    }

    fn weekend_shape(&self) -> &[f64] {
        let own = self.weekend_arrival_shape.as_ref();
        own.unwrap_or(&self.arrival_shape)
    }

    /// The largest hourly share: the rate of the proposals for thinning.
    #[must_use]
    pub fn peak_share(&self) -> f64 {
        let weekend = largest(self.weekend_shape()) * self.weekend_factor;
        largest(&self.arrival_shape).max(weekend)
    }

    /// The next arrival after `now` of a source that brings `per_day` vehicles on a weekday, with this profile's shapes. None
    /// when it would come after `until`.
    pub fn next_arrival(
        &self,
        per_day: f64,
        now: Timestamp,
        until: Timestamp,
        uniform: impl FnMut() -> f64,
    ) -> Option<Timestamp> {
        let share_at = |at| self.arrival_share(at);
        thinned(self.peak_share(), share_at, per_day, now, until, uniform)
    }

    /// A visit to an AC pile of `power_kw` from two uniform numbers. Stay and energy are drawn apart; what the stay
    /// cannot hold at full power is cut.
    #[must_use]
    pub fn ac_visit(&self, power_kw: f64, efficiency: f64, p_stay: f64, p_energy: f64) -> Visit {
        let hours = self.stay_h.at(p_stay);
        let most = hours * power_kw * efficiency;
        Visit {
            stay: hours_long(hours),
            energy_kwh: self.energy_kwh.at(p_energy).min(most),
        }
    }

    /// A visit to a DC pile of `power_kw` from one uniform number: charging time at full power and a short dwell.
    #[must_use]
    pub fn dc_visit(&self, power_kw: f64, efficiency: f64, p_energy: f64) -> Visit {
        let energy_kwh = self.dc_energy_kwh.at(p_energy);
        let hours = energy_kwh / (power_kw * efficiency) + self.dc_dwell_minutes / 60.0;
        Visit {
            stay: hours_long(hours),
            energy_kwh,
        }
    }
}

fn hours_long(hours: f64) -> TimeDelta {
    #[allow(clippy::cast_possible_truncation)] // checked tables: within a year
    TimeDelta::milliseconds((hours * 3.6e6).round() as i64)
}
