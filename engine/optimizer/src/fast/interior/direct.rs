//! The Newton direction: factored once an iteration, solved for twice.
//!
//! What a batch does between two looks at the coupling it does at once, as long as it is in the cache: memory is what
//! limits the batches' part.

use rayon::prelude::*;

use super::super::chain::{Batch, DELTA, Reach};
use super::super::fronts::{Fronts, Of};
use super::super::program::Program;
use super::{Interior, TASK};

impl Interior<'_> {
    /// Factors, and begins with the direction: the batches' part without the coupling's answer.
    pub(super) fn factor(&mut self) {
        self.each(|batch| {
            batch.factor();
            batch.gather();
            batch.respond(true);
        });
        if self.asked_to_stop() {
            return;
        }
        let coupling = &mut self.coupling;
        for (r, row) in self.stop.until(&self.program.rows) {
            coupling.diagonal[r] = coupling.slack[r] / coupling.price[r] + DELTA;
            if row.peak().is_none() {
                coupling.diagonal[r] += coupling.over[r] / coupling.spare[r];
            }
        }
        let Program {
            fronts,
            batches,
            rows,
            ..
        } = &mut self.program;
        let keep = |row: usize| rows[row].peak().is_some();
        let heights: Vec<f64> = (self.peaks.spare.iter().zip(&self.peaks.height))
            .map(|(spare, height)| spare / height)
            .collect();
        fronts.factor(batches, &coupling.diagonal, &heights, keep, self.stop);
    }

    /// The coupling's answer to the batches' part of the direction, and how far the whole may go.
    pub(super) fn answer(&mut self) -> Reach {
        let mut flow_by = std::mem::take(&mut self.coupling.flow_by);
        self.program.fronts.flows(
            &self.program.batches,
            Of::Direction,
            &mut flow_by,
            self.stop,
        );
        self.coupling.flow_by = flow_by;
        let mut right = std::mem::take(&mut self.coupling.right);
        for (r, row) in self.stop.until(&self.program.rows) {
            let coupling = &self.coupling;
            let (wanted, wanted_over) = coupling.wanted(r);
            right[r] = coupling.flow_by[r] + self.off(r, row) + wanted / coupling.price[r];
            if row.peak().is_none() {
                right[r] -= wanted_over / coupling.spare[r];
            }
        }
        let peaks = &self.peaks;
        let wanted = |peak: usize| peaks.aim[peak] - peaks.height[peak] * peaks.spare[peak];
        let by = &mut self.coupling.by;
        for (peak, value) in by.peak.iter_mut().enumerate() {
            *value = -wanted(peak) / peaks.height[peak];
        }
        self.program
            .fronts
            .solve(&mut right, &mut by.peak, self.stop);
        for (peak, value) in by.peak_spare.iter_mut().enumerate() {
            *value = (wanted(peak) - peaks.spare[peak] * by.peak[peak]) / peaks.height[peak];
        }
        for (r, row) in self.stop.until(&self.program.rows) {
            let coupling = &mut self.coupling;
            let (wanted, wanted_over) = coupling.wanted(r);
            let price_by = right[r];
            coupling.by.price[r] = price_by;
            coupling.by.slack[r] = (wanted - coupling.slack[r] * price_by) / coupling.price[r];
            if row.peak().is_none() {
                coupling.by.over[r] =
                    (wanted_over + coupling.over[r] * price_by) / coupling.spare[r];
            }
        }
        self.coupling.right = right;
        self.pull_prices(true);
        self.measure()
    }

    /// Puts the coupling's prices (or their change) before the batches.
    pub(super) fn pull_prices(&mut self, change: bool) {
        let Program {
            fronts,
            batches,
            seats,
            ..
        } = &mut self.program;
        let prices = if change {
            &self.coupling.by.price
        } else {
            &self.coupling.price
        };
        fronts.spread(prices, self.stop);
        let fronts: &Fronts = fronts;
        let stop = self.stop;
        let pull = |batch: &mut Batch| {
            if stop.now() {
                return;
            }
            let ports = batch.shape.ports();
            for (lane, resource) in batch.resources.iter().enumerate() {
                let Some((front, map)) = resource.and_then(|i| seats[i]) else {
                    continue;
                };
                let front = &fronts.fronts[front as usize];
                for entry in &front.maps[map as usize] {
                    let at = entry.interval as usize * ports + entry.quantity as usize;
                    batch.port_prices[at].0[lane] = front.port_price(entry.port);
                }
            }
        };
        if self.parallel {
            batches
                .par_chunks_mut(TASK)
                .for_each(|task| task.iter_mut().for_each(pull));
        } else {
            batches.iter_mut().for_each(pull);
        }
    }
}
