//! The coupling's slacks and prices to begin with.

use super::super::fronts::Of;
use super::Interior;

impl Interior<'_> {
    pub(super) fn start(&mut self, target: f64) {
        self.each(|batch| batch.start(target));
        let coupling = &mut self.coupling;
        self.program.fronts.flows(
            &self.program.batches,
            Of::Point,
            &mut coupling.flow,
            self.stop,
        );
        let mut peak_prices = vec![0.0; self.peaks.height.len()];
        for (r, row) in self.stop.until(&self.program.rows) {
            if let Some(peak) = row.peak() {
                let height = &mut self.peaks.height[peak];
                let above = coupling.flow[r] - row.room;
                *height = height.max(above + 0.1 * above.abs() + 1.0);
            }
        }
        for (r, row) in self.stop.until(&self.program.rows) {
            if let Some(peak) = row.peak() {
                let room = row.room + self.peaks.height[peak] - coupling.flow[r];
                coupling.slack[r] = room;
                coupling.price[r] = target / room;
                peak_prices[peak] += coupling.price[r];
            } else {
                let price = centre(row.penalty, target, coupling.flow[r] - row.room);
                coupling.price[r] = price;
                coupling.spare[r] = row.penalty - price;
                coupling.over[r] = target / coupling.spare[r];
                coupling.slack[r] = target / price;
            }
        }
        // A peak's rows may together ask no more than its price.
        for (r, row) in self.stop.until(&self.program.rows) {
            if let Some(peak) = row.peak() {
                let most = 0.5 * self.program.peaks[peak];
                coupling.price[r] *= (most / peak_prices[peak]).min(1.0);
            }
        }
        for (peak, spare) in self.peaks.spare.iter_mut().enumerate() {
            *spare =
                self.program.peaks[peak] - peak_prices[peak].min(0.5 * self.program.peaks[peak]);
        }
    }
}

/// The price at which a row with a flow of `excess` above its room is in the middle: `slack·price = over·(penalty −
/// price) = target` with `over − slack = excess`.
fn centre(penalty: f64, target: f64, excess: f64) -> f64 {
    // target/(q − p) − target/p = excess, a quadratic in p; in units of the penalty.
    let e = excess * penalty / target;
    // e·p² + (2 − e)·p − 1 = 0
    let b = 2.0 - e;
    let root = (b * b + 4.0 * e).sqrt();
    let share = if b >= 0.0 {
        2.0 / (b + root)
    } else {
        (root - b) / (2.0 * e)
    };
    penalty * share.clamp(1e-12, 1.0 - 1e-12)
}
