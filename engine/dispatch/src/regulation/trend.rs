//! Where the signal is going: how much of one step the next repeats, learned from the signal itself.
//!
//! Where a setpoint shows only after the next value has come, it is late for the value that it was sent for. A signal
//! whose steps follow each other (`Δ[k+1] ≈ ρ·Δ[k]`) tells what the next values will be; one that jumps about does not,
//! and then `ρ` is 0. And where it was, for a market that lets the response be late.

use std::collections::VecDeque;

use chrono::TimeDelta;
use vpp_core::Timestamp;

/// How much the last pair of steps counts.
const RECENT: f64 = 0.05;

/// Steps of a signal, per unit of the capacity.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Trend {
    /// Values and when they came, oldest first: as far back as is asked for, and one more.
    past: VecDeque<(Timestamp, f64)>,
    step: f64,
    /// Means of the product of steps that follow each other, and of their square.
    product: f64,
    square: f64,
}

impl Trend {
    /// Takes the next value; keeps those so far back.
    pub(crate) fn take(&mut self, now: Timestamp, value: f64, kept: TimeDelta) {
        if let Some((_, last)) = self.past.back() {
            let step = value - last;
            self.product += RECENT * (step * self.step - self.product);
            self.square += RECENT * (self.step * self.step - self.square);
            self.step = step;
        }
        while self.past.get(1).is_some_and(|(at, _)| *at <= now - kept) {
            self.past.pop_front();
        }
        self.past.push_back((now, value));
    }

    /// What it was at an instant, in between where that lies between two values; the oldest that is known when it lies
    /// before that.
    pub(crate) fn value_at(&self, at: Timestamp) -> Option<f64> {
        let after = self.past.partition_point(|(came, _)| *came <= at);
        let (from, before) = *self.past.get(after.saturating_sub(1))?;
        match self.past.get(after) {
            Some((to, next)) if from <= at => {
                let share = (at - from).as_seconds_f64() / (*to - from).as_seconds_f64();
                Some(before + share * (next - before))
            }
            _ => Some(before),
        }
    }

    /// By how much the signal will have moved after so many values more.
    pub(crate) fn ahead(&self, values: f64) -> f64 {
        if self.square <= f64::EPSILON {
            return 0.0;
        }
        let repeats = (self.product / self.square).clamp(0.0, 1.0);
        let (mut moved, mut step, mut left) = (0.0, self.step, values);
        while left > 0.0 {
            step *= repeats;
            moved += step * left.min(1.0);
            left -= 1.0;
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_smooth_signal_is_foretold_and_one_that_jumps_is_not() {
        let (mut ramp, mut jumps) = (Trend::default(), Trend::default());
        let (now, kept) = (Timestamp::UNIX_EPOCH, TimeDelta::zero());
        for k in 0..100_u32 {
            ramp.take(now, 0.01 * f64::from(k), kept);
            jumps.take(now, f64::from(k % 2), kept);
        }
        assert!((ramp.ahead(2.5) - 0.025).abs() < 1e-3, "{ramp:?}");
        assert!(jumps.ahead(3.0).abs() < 1e-12);
        assert!(Trend::default().ahead(3.0).abs() < 1e-12);
        // Steps of 1, 1/2, 1/4 ...: the next two are half of the last and a quarter of it.
        let mut fading = Trend::default();
        let mut value = 0.0;
        for k in 0..20 {
            value += 0.5_f64.powi(k);
            fading.take(now, value, kept);
        }
        let last = 0.5_f64.powi(19);
        assert!(
            (fading.ahead(2.0) - 0.75 * last).abs() < 0.05 * last,
            "{fading:?}"
        );
    }

    #[test]
    fn what_it_was_is_kept_as_far_back_as_asked_and_no_further() {
        let second = |s: i64| Timestamp::UNIX_EPOCH + TimeDelta::seconds(s);
        let mut trend = Trend::default();
        assert_eq!(trend.value_at(second(0)), None);
        for k in 0..20_i32 {
            let at = second(2 * i64::from(k));
            trend.take(at, 0.1 * f64::from(k), TimeDelta::seconds(10));
        }
        let near = |at: i64, expected: f64| {
            let value = trend.value_at(second(at)).unwrap();
            assert!((value - expected).abs() < 1e-9, "{at}: {value}");
        };
        // Values came at 0, 2, … 38 s; in between in proportion; the last one goes on.
        near(38, 1.9);
        near(45, 1.9);
        near(33, 1.65);
        near(28, 1.4);
        // Before that nothing is known any more.
        near(3, 1.4);
        assert!(trend.past.len() <= 7, "{}", trend.past.len());
    }
}
