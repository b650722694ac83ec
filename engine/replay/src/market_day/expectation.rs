//! What is expected of a regulation signal before it comes: how often it is at which level.

use super::MarketDay;

/// Levels in each direction, evenly apart; full signals are levels of their own: what must be sustained.
const STEPS: usize = 10;
/// From here on a signal is full.
const FULL: f64 = 0.9999;

/// The levels, up and down in turn: the middle of each step, and full.
#[must_use]
#[allow(clippy::cast_precision_loss)] // small counts
pub fn levels() -> Vec<f64> {
    let up = (0..=STEPS).map(|at| ((at as f64 + 0.5) / STEPS as f64).min(1.0));
    up.flat_map(|level| [level, -level]).collect()
}

/// Which share of its time a signal was at each level. All zero for an empty signal.
#[must_use]
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss
)]
pub fn shares(signal: &[f64]) -> Vec<f64> {
    let mut shares = vec![0.0; 2 * (STEPS + 1)];
    for value in signal {
        let level = if value.abs() > FULL {
            STEPS
        } else {
            ((value.abs() * STEPS as f64) as usize).min(STEPS - 1)
        };
        shares[2 * level + usize::from(*value < 0.0)] += 1.0 / signal.len() as f64;
    }
    shares
}

/// What can be known before a day of a signal of this kind: how far from zero it is how often, up and down alike.
#[must_use]
pub fn symmetric_shares(signal: &[f64]) -> Vec<f64> {
    let mut shares = shares(signal);
    for pair in shares.chunks_mut(2) {
        pair.fill(0.5 * (pair[0] + pair[1]));
    }
    shares
}

impl MarketDay {
    /// The same day for somebody who knows each interval's signal and mileage: the best bid in hindsight is that of this
    /// day ([`MarketDay::expected_profit`]).
    #[must_use]
    pub fn in_hindsight(&self) -> MarketDay {
        let values = (self.signal.len() / self.energy_price.len().max(1)).max(1);
        let intervals = || self.signal.chunks(values);
        let mileage = |part: &[f64]| part.windows(2).map(|pair| (pair[1] - pair[0]).abs()).sum();
        MarketDay {
            levels: levels(),
            expected_shares: intervals().map(shares).collect(),
            expected_mileage: intervals().map(mileage).collect(),
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_at_its_levels_for_its_shares() {
        let (levels, shares) = (
            levels(),
            shares(&[0.0, 0.31, -0.39, 1.0, -1.0, -1.0, 0.99985, 0.95]),
        );
        assert_eq!(levels.len(), shares.len());
        let share = |level: f64| {
            let at = levels.iter().position(|l| (l - level).abs() < 1e-9);
            shares[at.expect("a level")]
        };
        for (level, expected) in [
            (0.05, 0.125),
            (0.35, 0.125),
            (-0.35, 0.125),
            (0.95, 0.25),
            (1.0, 0.125),
            (-1.0, 0.25),
        ] {
            assert!((share(level) - expected).abs() < 1e-12, "{level}");
        }
        assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        let even = symmetric_shares(&[1.0, 1.0, -0.05, 0.05]);
        assert!(even.chunks(2).all(|pair| (pair[0] - pair[1]).abs() < 1e-12));
    }
}
