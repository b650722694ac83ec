//! How near a baseline comes to what was drawn on days without an event.

use chrono::NaiveDate;

use super::baseline::{Baseline, Calendar, EventWindow, History};

/// How near.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Accuracy {
    /// Days tried on which the method gave a baseline.
    pub days: usize,
    /// Days on which it refused.
    pub refused: usize,
    /// `Σ (baseline − drawn) / Σ drawn`: above 0, more was credited than would have been drawn.
    pub bias: f64,
    /// Root of the mean square of `baseline − drawn`, over the mean of what was drawn.
    pub rrmse: f64,
}

/// Tries a method on every day of a history as if there had been an event, invited to the day before. Days whose own readings
/// are missing are left out.
#[must_use]
pub fn accuracy(
    method: &dyn Baseline,
    history: &History,
    calendar: &Calendar,
    first: usize,
    slots: usize,
) -> Accuracy {
    let mut found = Accuracy::default();
    let (mut off, mut square, mut drawn, mut count) = (0.0, 0.0, 0.0, 0.0);
    for date in history.dates() {
        let Some(actual) = history.readings(date, first..first + slots) else {
            continue;
        };
        let event = EventWindow {
            date,
            first,
            slots,
            invited_on: date.pred_opt().unwrap_or(NaiveDate::MIN),
        };
        let known = history.before(date, first);
        let Ok(curve) = method.curve(&known, calendar, &event) else {
            found.refused += 1;
            continue;
        };
        found.days += 1;
        for (baseline, actual) in curve.watts.iter().zip(&actual) {
            #[allow(clippy::cast_precision_loss)] // watts of an account
            let (difference, actual) = ((baseline - actual) as f64, *actual as f64);
            off += difference;
            square += difference * difference;
            drawn += actual;
            count += 1.0;
        }
    }
    if count > 0.0 && drawn > 0.0 {
        found.bias = off / drawn;
        found.rrmse = (square / count).sqrt() / (drawn / count);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::response::SLOTS;
    use crate::response::baseline::BaselineRules;
    use chrono::TimeDelta;

    /// By hand: a load that is always the same is met exactly; one that grows by 1 kW a day lags by the mean age of its days.
    #[test]
    fn a_constant_load_is_met_and_a_growing_one_is_not() {
        let start = NaiveDate::from_ymd_opt(2025, 3, 3).expect("a Monday");
        let rules = BaselineRules::standard();
        let method = rules.method("js5").expect("there");
        for growth in [0, 1_000] {
            let mut history = History::default();
            for day in 0..60_i64 {
                for slot in 0..SLOTS {
                    history.read(start + TimeDelta::days(day), slot, 100_000 + day * growth);
                }
            }
            let found = accuracy(method, &history, &Calendar::default(), 56, 8);
            // The 9th, a Sunday, is the first whose day before, the 8th, has five workdays before it.
            assert_eq!(found.days + found.refused, 60);
            assert!(found.refused == 6, "{found:?}");
            if growth == 0 {
                assert!(found.bias.abs() < 1e-12 && found.rrmse < 1e-12, "{found:?}");
            } else {
                // Five workdays before the day before are 2 to 8 days old, 4 to 6 in the mean.
                let mean = 100.0 + 34.0;
                assert!(
                    (-6.5 / mean..-3.5 / mean).contains(&found.bias),
                    "{found:?}"
                );
                assert!(found.rrmse > found.bias.abs());
            }
        }
    }
}
