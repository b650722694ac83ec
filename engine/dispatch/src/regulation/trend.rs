//! Where the signal is going: how much of one step the next repeats, learned from the signal itself.
//!
//! Where a setpoint shows only after the next value has come, it is late for the value that it was sent for. A signal
//! whose steps follow each other (`Δ[k+1] ≈ ρ·Δ[k]`) tells what the next values will be; one that jumps about does not,
//! and then `ρ` is 0.

/// How much the last pair of steps counts.
const RECENT: f64 = 0.05;

/// Steps of a signal, per unit of the capacity.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Trend {
    last: Option<f64>,
    step: f64,
    /// Means of the product of steps that follow each other, and of their square.
    product: f64,
    square: f64,
}

impl Trend {
    /// Takes the next value.
    pub(crate) fn take(&mut self, value: f64) {
        if let Some(last) = self.last {
            let step = value - last;
            self.product += RECENT * (step * self.step - self.product);
            self.square += RECENT * (self.step * self.step - self.square);
            self.step = step;
        }
        self.last = Some(value);
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
        for k in 0..100_u32 {
            ramp.take(0.01 * f64::from(k));
            jumps.take(f64::from(k % 2));
        }
        assert!((ramp.ahead(2.5) - 0.025).abs() < 1e-3, "{ramp:?}");
        assert!(jumps.ahead(3.0).abs() < 1e-12);
        assert!(Trend::default().ahead(3.0).abs() < 1e-12);
        // Steps of 1, 1/2, 1/4 ...: the next two are half of the last and a quarter of it.
        let mut fading = Trend::default();
        let mut value = 0.0;
        for k in 0..20 {
            value += 0.5_f64.powi(k);
            fading.take(value);
        }
        let last = 0.5_f64.powi(19);
        assert!(
            (fading.ahead(2.0) - 0.75 * last).abs() < 0.05 * last,
            "{fading:?}"
        );
    }
}
