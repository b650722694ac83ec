//! The Newton direction: factored once an iteration, solved for twice.

use nalgebra::{DMatrix, DVector};
use rayon::prelude::*;
use std::sync::atomic::Ordering;

use super::super::chain::{Batch, DELTA};
use super::super::fronts::{Fronts, Of};
use super::super::program::{Program, Row};
use super::{Interior, TASK};

impl Interior<'_> {
    pub(super) fn factor(&mut self) {
        self.each(Batch::factor);
        if self.asked_to_stop() {
            return;
        }
        let coupling = &mut self.coupling;
        for (r, row) in self.program.rows.iter().enumerate() {
            coupling.diagonal[r] = coupling.slack[r] / coupling.price[r] + DELTA;
            if row.peak().is_none() {
                coupling.diagonal[r] += coupling.over[r] / coupling.spare[r];
            }
        }
        let (stop, stopped) = (self.stop, &self.stopped);
        let ask = || {
            let now = stopped.load(Ordering::Relaxed) || stop();
            stopped.store(now, Ordering::Relaxed);
            now
        };
        let Program {
            fronts,
            batches,
            rows,
            ..
        } = &mut self.program;
        let keep = |row: usize| rows[row].peak().is_some();
        fronts.factor(batches, &coupling.diagonal, keep, &ask);
        if self.asked_to_stop() {
            return;
        }
        for (peak, column) in self.peaks.columns.iter_mut().enumerate() {
            let one = |row: &Row| f64::from(u8::from(row.peak() == Some(peak)));
            *column = self.program.rows.iter().map(one).collect();
            self.program.fronts.solve(column);
        }
    }

    /// The direction towards the complementarities aimed at.
    pub(super) fn direct(&mut self) {
        self.pull_prices(false);
        self.each(|batch| {
            batch.gather();
            batch.respond(true);
        });
        if self.asked_to_stop() {
            return;
        }
        let mut flow_by = std::mem::take(&mut self.coupling.flow_by);
        self.program
            .fronts
            .flows(&self.program.batches, Of::Direction, &mut flow_by);
        self.coupling.flow_by = flow_by;
        let mut right = std::mem::take(&mut self.coupling.right);
        for (r, row) in self.program.rows.iter().enumerate() {
            let coupling = &self.coupling;
            let (wanted, wanted_over) = coupling.wanted(r);
            right[r] = coupling.flow_by[r] + self.off(r, row) + wanted / coupling.price[r];
            if row.peak().is_none() {
                right[r] -= wanted_over / coupling.spare[r];
            }
        }
        self.program.fronts.solve(&mut right);
        self.direct_peaks(&mut right);
        for (r, row) in self.program.rows.iter().enumerate() {
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
        self.each(|batch| batch.respond(false));
    }

    /// Peaks are columns of the coupling: eliminated last, by a small dense system.
    pub(super) fn direct_peaks(&mut self, right: &mut [f64]) {
        let count = self.peaks.height.len();
        if count == 0 {
            return;
        }
        let rows = &self.program.rows;
        let of = |peak: usize, values: &[f64]| -> f64 {
            let own = rows.iter().zip(values);
            own.filter(|(row, _)| row.peak() == Some(peak))
                .map(|(_, value)| value)
                .sum()
        };
        let peaks = &self.peaks;
        let wanted = |peak: usize| peaks.aim[peak] - peaks.height[peak] * peaks.spare[peak];
        let mut system = DMatrix::from_fn(count, count, |a, b| of(a, &self.peaks.columns[b]));
        for peak in 0..count {
            system[(peak, peak)] += self.peaks.spare[peak] / self.peaks.height[peak];
        }
        let values = DVector::from_fn(count, |peak, _| {
            wanted(peak) / self.peaks.height[peak] + of(peak, right)
        });
        let found = system
            .lu()
            .solve(&values)
            .unwrap_or_else(|| DVector::zeros(count));
        for peak in 0..count {
            let (height, spare) = (self.peaks.height[peak], self.peaks.spare[peak]);
            let spare_by = (wanted(peak) - spare * found[peak]) / height;
            self.coupling.by.peak[peak] = found[peak];
            self.coupling.by.peak_spare[peak] = spare_by;
            for (value, column) in right.iter_mut().zip(&self.peaks.columns[peak]) {
                *value -= found[peak] * column;
            }
        }
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
        fronts.spread(prices);
        let fronts: &Fronts = fronts;
        let pull = |batch: &mut Batch| {
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
