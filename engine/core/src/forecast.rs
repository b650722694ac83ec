//! What a quantity that repeats with the week will be, from its own history, and how far that can be relied on.
//!
//! [`Forecast`] is what a model must do; [`TimeOfWeek`] is a plain one: quantiles of what was seen in the same quarters of the
//! week. [`Quote`] makes promises of a model that are kept as often as they say: each promise that was broken makes the next ones
//! more careful, each that was kept a little bolder (adaptive conformal inference: Gibbs and Candès 2021, "Adaptive conformal
//! inference under distribution shift"). Over time the share of promises kept comes to the stated one, whatever the model.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// Seconds of the quarters that the week is cut into, and how many there are.
const QUARTER_S: i64 = 900;
const QUARTERS: usize = 672;
/// So many weeks are remembered.
const WEEKS: usize = 12;
/// Quarters before and after that count as well: what happens in one happens in its neighbours.
const NEIGHBOURS: usize = 2;
/// With fewer values a quarter of the week says too little, and the same time of all days is taken.
const ENOUGH: usize = 12;
/// How fast a promise adapts: a broken one makes the next more careful by this part. A day of quarters that are broken together,
/// and are heard of a day later, moves it by a fifth.
const PACE: f64 = 0.002;

/// A model of a quantity over time.
pub trait Forecast {
    /// Takes what was seen. Instants ascend.
    fn observe(&mut self, at: Timestamp, value: f64);

    /// The value at an instant that is not exceeded with probability `share`, 0 to 1; none while nothing is known.
    fn quantile(&self, at: Timestamp, share: f64) -> Option<f64>;
}

/// Quantiles of what was seen in the same quarters of the week, over the last twelve weeks.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct TimeOfWeek {
    /// One for each quarter of the week; none before the first value.
    quarters: Vec<VecDeque<f64>>,
}

fn quarter(at: Timestamp) -> usize {
    let quarter = at
        .timestamp()
        .div_euclid(QUARTER_S)
        .rem_euclid(QUARTERS as i64);
    usize::try_from(quarter).unwrap_or(0)
}

impl TimeOfWeek {
    /// What was seen around a quarter of the week.
    fn near(&self, quarter: usize) -> impl Iterator<Item = f64> + '_ {
        let around = QUARTERS + quarter - NEIGHBOURS..=QUARTERS + quarter + NEIGHBOURS;
        around
            .flat_map(|quarter| &self.quarters[quarter % QUARTERS])
            .copied()
    }

    /// All that was seen that says something about an instant, in the order of its size; none if there is nothing. Several
    /// quantiles of one instant cost one look.
    #[must_use]
    pub fn seen(&self, at: Timestamp) -> Option<Seen> {
        if self.quarters.is_empty() {
            return None;
        }
        let quarter = quarter(at);
        let mut seen: Vec<f64> = self.near(quarter).collect();
        if seen.len() < ENOUGH {
            let days = (0..7).map(|day| (quarter + day * QUARTERS / 7) % QUARTERS);
            seen = days.flat_map(|quarter| self.near(quarter)).collect();
        }
        seen.sort_unstable_by(f64::total_cmp);
        (!seen.is_empty()).then_some(Seen(seen))
    }
}

impl Forecast for TimeOfWeek {
    fn observe(&mut self, at: Timestamp, value: f64) {
        if !value.is_finite() {
            return;
        }
        self.quarters.resize(QUARTERS, VecDeque::new());
        let seen = &mut self.quarters[quarter(at)];
        if seen.len() == WEEKS {
            seen.pop_front();
        }
        seen.push_back(value);
    }

    fn quantile(&self, at: Timestamp, share: f64) -> Option<f64> {
        Some(self.seen(at)?.quantile(share))
    }
}

/// What was seen around a quarter of the week, ascending; at least one value.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen(Vec<f64>);

impl Seen {
    /// How many values there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Those above a value; none if there are none.
    #[must_use]
    pub fn above(&self, value: f64) -> Option<Seen> {
        let Seen(seen) = self;
        let above = &seen[seen.partition_point(|one| *one <= value)..];
        (!above.is_empty()).then(|| Seen(above.to_vec()))
    }

    /// The value that is not exceeded with probability `share`, 0 to 1.
    #[must_use]
    pub fn quantile(&self, share: f64) -> f64 {
        let Seen(seen) = self;
        let last = seen.len() - 1;
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss
        )] // some dozens
        let (low, part) = {
            let place = share.clamp(0.0, 1.0) * last as f64;
            (place as usize, place.fract())
        };
        let high = (low + 1).min(last);
        seen[low] + part * (seen[high] - seen[low])
    }
}

/// Lower bounds that hold with a stated confidence.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
pub struct Quote {
    confidence: f64,
    /// The share of the model's values below a promise; adapts.
    level: f64,
}

impl Quote {
    /// Promises that are to be kept with this probability, 0 to 1.
    #[must_use]
    pub fn new(confidence: f64) -> Quote {
        let confidence = confidence.clamp(0.0, 1.0);
        Quote {
            confidence,
            level: 1.0 - confidence,
        }
    }

    /// What is promised for an instant: at least so much. None while the model knows nothing.
    #[must_use]
    pub fn promise(&self, model: &impl Forecast, at: Timestamp) -> Option<f64> {
        // The middle is known where any quantile is.
        model.quantile(at, 0.5)?;
        Some(self.promise_of(|share| model.quantile(at, share).unwrap_or_default()))
    }

    /// The same of a model's quantiles for that instant.
    #[must_use]
    pub fn promise_of(&self, quantile: impl Fn(f64) -> f64) -> f64 {
        let most = quantile(self.level.clamp(0.0, 1.0));
        if self.level >= 0.0 {
            return most;
        }
        // More careful than all that was seen: as far below the lowest again as that is below the middle.
        most + 10.0 * self.level * (quantile(0.5) - most)
    }

    /// Learns whether a promise was kept.
    pub fn settle(&mut self, promised: f64, actual: f64) {
        let broken = f64::from(actual < promised);
        self.level += PACE * ((1.0 - self.confidence) - broken);
        self.level = self.level.clamp(-0.2, 1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;

    fn at(quarters: i64) -> Timestamp {
        Timestamp::from_timestamp(1_752_451_200, 0).unwrap()
            + TimeDelta::seconds(QUARTER_S * quarters)
    }

    #[test]
    fn nothing_is_known_before_something_is_seen() {
        let mut model = TimeOfWeek::default();
        assert_eq!(model.quantile(at(0), 0.5), None);
        assert_eq!(Quote::new(0.95).promise(&model, at(0)), None);
        model.observe(at(0), f64::NAN);
        assert_eq!(model.quantile(at(0), 0.5), None);
        model.observe(at(0), 3.0);
        // The same time of another day will do at first, another time will not.
        assert_eq!(model.quantile(at(96), 0.5), Some(3.0));
        assert_eq!(model.quantile(at(40), 0.5), None);
    }

    /// By hand: 1 to 12 in one quarter of twelve weeks; the median lies between 6 and 7, a tenth of the way at 2.1.
    #[test]
    fn quantiles_are_those_of_the_same_quarter_of_the_week() {
        let mut model = TimeOfWeek::default();
        for week in 0..20 {
            #[allow(clippy::cast_precision_loss)]
            model.observe(at(week * 672), (week - 7) as f64);
            model.observe(at(week * 672 + 300), 1_000.0);
        }
        assert_eq!(model.quantile(at(0), 0.5), Some(6.5));
        assert!((model.quantile(at(0), 0.1).unwrap() - 2.1).abs() < 1e-12);
        assert_eq!(model.quantile(at(2), 1.0), Some(12.0), "neighbours count");
        assert_eq!(model.quantile(at(300), 0.5), Some(1_000.0));
        let seen = model.seen(at(0)).unwrap();
        assert_eq!(seen.count(), 12);
        let above = seen.above(8.0).map(|above| above.quantile(0.5));
        assert_eq!(above, Some(10.5));
        assert_eq!(seen.above(12.0), None);
    }

    /// A model that is wrong all the time: what is promised of it is right all the same.
    #[test]
    fn promises_are_kept_as_often_as_they_say_though_the_model_drifts() {
        for confidence in [0.5, 0.8, 0.95] {
            let (mut model, mut quote) = (TimeOfWeek::default(), Quote::new(confidence));
            let (mut kept, mut all) = (0, 0);
            let mut draw = 1_u64;
            for quarter in 0..672 * 30 {
                draw = draw
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                #[allow(clippy::cast_precision_loss)]
                let (noise, drift) = (
                    (draw >> 33) as f64 / f64::from(1_u32 << 31),
                    -f64::from(quarter) / 4_000.0,
                );
                let actual = 10.0 + noise + drift;
                if let Some(promised) = quote
                    .promise(&model, at(i64::from(quarter)))
                    .filter(|_| quarter > 672 * 2)
                {
                    kept += u32::from(actual >= promised);
                    all += 1;
                    quote.settle(promised, actual);
                }
                model.observe(at(i64::from(quarter)), actual);
            }
            let share = f64::from(kept) / f64::from(all);
            assert!((share - confidence).abs() < 0.02, "{share} of {confidence}");
        }
    }
}
