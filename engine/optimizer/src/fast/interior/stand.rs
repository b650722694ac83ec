//! Where the point stands.

use super::super::chain::{Batch, ROUNDING, Standing};
use super::super::fronts::Of;
use super::super::program::Row;
use super::{Interior, OFF_LAST};

impl Interior<'_> {
    /// Goes the batches' part of a step, primal and dual, and looks at where the point stands then; spreads the coupling's
    /// prices to the batches on the way.
    pub(super) fn stand(&mut self, step: Option<(f64, f64)>) -> Standing {
        self.pull_prices(false);
        let of_batch = |batch: &mut Batch| {
            if let Some((primal, dual)) = step {
                batch.advance(primal, dual);
            }
            batch.stand()
        };
        let mut standing = self.sum(of_batch, Standing::default(), Standing::join);
        let coupling = &mut self.coupling;
        self.program.fronts.flows(
            &self.program.batches,
            Of::Point,
            &mut coupling.flow,
            self.stop,
        );
        self.close_gaps();
        let coupling = &self.coupling;
        for (r, row) in self.stop.until(&self.program.rows) {
            let off = self.off(r, row);
            standing.primal_off = standing.primal_off.max(off.abs());
            standing.primal_slack += off * coupling.price[r];
            standing.complementarity += coupling.slack[r] * coupling.price[r];
            standing.rows += 1.0;
            if row.peak().is_none() {
                standing.cost += row.penalty * coupling.over[r];
                standing.complementarity += coupling.over[r] * coupling.spare[r];
                standing.rows += 1.0;
            }
        }
        for (peak, price) in self.program.peaks.iter().enumerate() {
            standing.cost += price * self.peaks.height[peak];
            standing.complementarity += self.peaks.height[peak] * self.peaks.spare[peak];
            standing.rows += 1.0;
        }
        self.cost = standing.cost;
        let bound =
            standing.cost - standing.complementarity + standing.primal_slack - standing.dual_slack;
        // Any prices bound the optimum once the point is within the ranges that residuals are valued over; the best so
        // far counts. After a stop the sums are not whole.
        let counts = standing.primal_off <= OFF_LAST && !self.asked_to_stop();
        if counts && bound > self.bound {
            self.bound = bound;
            self.proof.copy_from_slice(&self.coupling.price);
        }
        standing
    }

    /// The direction of a weak row is only nearly right, which leaves it off. Far from its limit, its slack can just as
    /// well be what it should be.
    pub(super) fn close_gaps(&mut self) {
        for (r, row) in self.stop.until(&self.program.rows) {
            let coupling = &mut self.coupling;
            if !self.program.fronts.is_weak(r) || row.peak().is_some() {
                continue;
            }
            let exact = row.room + coupling.over[r] - coupling.flow[r];
            if exact > 0.5 * coupling.slack[r] {
                coupling.slack[r] = exact;
            }
        }
    }

    /// `flow − over + slack − room`
    pub(super) fn off(&self, r: usize, row: &Row) -> f64 {
        let coupling = &self.coupling;
        let over = match row.peak() {
            Some(peak) => self.peaks.height[peak],
            None => coupling.over[r],
        };
        let off = coupling.flow[r] - over + coupling.slack[r] - row.room;
        let noise = ROUNDING * (1.0 + row.room.abs() + coupling.flow[r].abs());
        if off.abs() > noise { off } else { 0.0 }
    }
}
