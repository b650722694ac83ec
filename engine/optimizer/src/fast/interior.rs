//! The interior-point method: from any point towards the optimum along the central path, primal and dual together.
//!
//! Predictor and corrector after S. Mehrotra, *On the implementation of a primal-dual interior point method*, SIAM J.
//! Optim. 2 (1992). Each iteration factors once (chains, then fronts) and solves twice.

use std::sync::atomic::{AtomicBool, Ordering};

use nalgebra::{DMatrix, DVector};
use rayon::prelude::*;

use super::chain::{Batch, DELTA, ROUNDING, Reach, Standing};
use super::fronts::{Fronts, Of};
use super::program::{Program, Row};

/// Iterations after which it gives up. Good problems take 15 to 40.
const ITERATIONS: usize = 120;
/// Relative gap, and residual of a row in kW or kWh, at which it is done. Small problems get more digits: they cost
/// nothing there.
const TOLERANCE: f64 = 5e-8;
const FINE: f64 = 1e-9;
const OFF: f64 = 1e-7;
/// A point is worth a look, for the case that there will be no better one, when the gap has shrunk to this share since
/// the last look, and rows are off by no more than this.
const LOOK: f64 = 0.05;
const LOOK_OFF: f64 = 0.1;
/// What still counts as optimal when the last digits cannot be had.
const ACCEPTABLE: f64 = 3e-7;
/// Batches that one task takes.
const TASK: usize = 8;

/// How the method ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// At the optimum.
    Optimal,
    /// The caller said stop.
    Stopped,
    /// No more progress, or too many iterations.
    Stuck,
}

/// Slacks and prices of the coupling rows, one entry for each row.
struct Coupling {
    slack: Vec<f64>,
    price: Vec<f64>,
    /// What is over, and the price left for it: `penalty − price`. Not for peaks' rows.
    over: Vec<f64>,
    spare: Vec<f64>,
    /// Flow at the point, and along the direction without the coupling's answer.
    flow: Vec<f64>,
    flow_by: Vec<f64>,
    by: Change,
    /// What `slack·price` and `over·spare` should become.
    aim: Vec<f64>,
    aim_over: Vec<f64>,
    diagonal: Vec<f64>,
    right: Vec<f64>,
}

/// A direction, or a guess of it.
#[derive(Default, Clone)]
struct Change {
    slack: Vec<f64>,
    price: Vec<f64>,
    over: Vec<f64>,
    peak: Vec<f64>,
    peak_spare: Vec<f64>,
}

impl Coupling {
    /// What complementarities should change by: of slack and price, and of over and spare.
    fn wanted(&self, r: usize) -> (f64, f64) {
        (
            self.aim[r] - self.slack[r] * self.price[r],
            self.aim_over[r] - self.over[r] * self.spare[r],
        )
    }
}

/// Peaks: their height and the price left for it.
struct Peaks {
    height: Vec<f64>,
    spare: Vec<f64>,
    aim: Vec<f64>,
    /// For each peak `S⁻¹·1` over its rows.
    columns: Vec<Vec<f64>>,
}

pub(super) struct Interior<'a> {
    pub(super) program: Program,
    coupling: Coupling,
    peaks: Peaks,
    parallel: bool,
    stop: &'a (dyn Fn() -> bool + Sync),
    stopped: AtomicBool,
    pub(super) iterations: usize,
    /// A lower bound on the optimum, and the cost at the point, without what is fixed.
    pub(super) bound: f64,
    pub(super) cost: f64,
}

impl<'a> Interior<'a> {
    pub(super) fn new(
        program: Program,
        parallel: bool,
        stop: &'a (dyn Fn() -> bool + Sync),
    ) -> Self {
        let rows = program.rows.len();
        let peaks = program.peaks.len();
        let zero = vec![0.0; rows];
        let change = Change {
            slack: zero.clone(),
            price: zero.clone(),
            over: zero.clone(),
            peak: vec![0.0; peaks],
            peak_spare: vec![0.0; peaks],
        };
        Self {
            coupling: Coupling {
                slack: vec![1.0; rows],
                price: zero.clone(),
                over: zero.clone(),
                spare: zero.clone(),
                flow: zero.clone(),
                flow_by: zero.clone(),
                by: change,
                aim: zero.clone(),
                aim_over: zero.clone(),
                diagonal: zero.clone(),
                right: zero,
            },
            peaks: Peaks {
                height: vec![1.0; peaks],
                spare: vec![0.0; peaks],
                aim: vec![0.0; peaks],
                columns: vec![Vec::new(); peaks],
            },
            program,
            parallel,
            stop,
            stopped: AtomicBool::new(false),
            iterations: 0,
            bound: f64::NEG_INFINITY,
            cost: f64::INFINITY,
        }
    }

    /// Walks until done, from a complementarity of `start` CNY at every row. Shows some points on the way.
    pub(super) fn run(&mut self, start: f64, mut seen: impl FnMut(&Self)) -> End {
        if self.asked_to_stop() {
            return End::Stopped;
        }
        self.start(start);
        let mut next_look = LOOK;
        let tolerance = if self.parallel { TOLERANCE } else { FINE };
        let mut bad = 0;
        for iteration in 0..ITERATIONS {
            self.iterations = iteration;
            let standing = self.stand();
            if self.asked_to_stop() {
                return End::Stopped;
            }
            let scale = 1.0 + self.cost.abs();
            let gap = standing.complementarity + standing.dual_slack + standing.primal_slack.abs();
            if gap <= tolerance * scale && standing.primal_off <= OFF {
                return End::Optimal;
            }
            if !gap.is_finite() {
                return End::Stuck;
            }
            if gap <= next_look * scale && standing.primal_off <= LOOK_OFF {
                seen(self);
                next_look = LOOK * gap / scale;
            }
            let step = self.iterate(&standing);
            if self.asked_to_stop() {
                return End::Stopped;
            }
            bad = if step < 1e-3 { bad + 1 } else { 0 };
            if bad >= 5 {
                let fine = gap <= ACCEPTABLE * scale && standing.primal_off <= 10.0 * OFF;
                return if fine { End::Optimal } else { End::Stuck };
            }
        }
        End::Stuck
    }

    fn asked_to_stop(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Does something to every batch; not to those that are left when the caller says stop.
    fn each(&mut self, work: impl Fn(&mut Batch) + Sync) {
        self.sum(
            |batch| {
                work(batch);
            },
            (),
            |(), ()| (),
        );
    }

    /// Adds up over batches, always in the same order.
    fn sum<T: Send + Sync + Copy>(
        &mut self,
        work: impl Fn(&mut Batch) -> T + Sync,
        zero: T,
        join: impl Fn(T, T) -> T + Sync,
    ) -> T {
        let (stop, stopped) = (self.stop, &self.stopped);
        let task = |batches: &mut [Batch]| {
            let mut sum = zero;
            for batch in batches {
                if stopped.load(Ordering::Relaxed) || stop() {
                    stopped.store(true, Ordering::Relaxed);
                    return sum;
                }
                sum = join(sum, work(batch));
            }
            sum
        };
        let batches = &mut self.program.batches;
        let parts: Vec<T> = if self.parallel {
            batches.par_chunks_mut(TASK).map(task).collect()
        } else {
            batches.chunks_mut(TASK).map(task).collect()
        };
        parts.into_iter().fold(zero, join)
    }

    fn start(&mut self, target: f64) {
        self.each(|batch| batch.start(target));
        let coupling = &mut self.coupling;
        self.program
            .fronts
            .flows(&self.program.batches, Of::Point, &mut coupling.flow);
        let mut peak_prices = vec![0.0; self.peaks.height.len()];
        for (r, row) in self.program.rows.iter().enumerate() {
            if let Some(peak) = row.peak() {
                let height = &mut self.peaks.height[peak];
                let above = coupling.flow[r] - row.room;
                *height = height.max(above + 0.1 * above.abs() + 1.0);
            }
        }
        for (r, row) in self.program.rows.iter().enumerate() {
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
        for (r, row) in self.program.rows.iter().enumerate() {
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

    /// Looks at where the point stands; spreads the coupling's prices to the batches on the way.
    fn stand(&mut self) -> Standing {
        let coupling = &mut self.coupling;
        self.program
            .fronts
            .flows(&self.program.batches, Of::Point, &mut coupling.flow);
        self.close_gaps();
        self.pull_prices(false);
        let mut standing = self.sum(Batch::stand, Standing::default(), Standing::join);
        let coupling = &self.coupling;
        for (r, row) in self.program.rows.iter().enumerate() {
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
        if standing.primal_off <= 10.0 * OFF && !self.asked_to_stop() {
            self.bound = self.bound.max(bound);
        }
        standing
    }

    /// The direction of a weak row is only nearly right, which leaves it off. Far from its limit, its slack can just as
    /// well be what it should be.
    fn close_gaps(&mut self) {
        for (r, row) in self.program.rows.iter().enumerate() {
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
    fn off(&self, r: usize, row: &Row) -> f64 {
        let coupling = &self.coupling;
        let over = match row.peak() {
            Some(peak) => self.peaks.height[peak],
            None => coupling.over[r],
        };
        let off = coupling.flow[r] - over + coupling.slack[r] - row.room;
        let noise = ROUNDING * (1.0 + row.room.abs() + coupling.flow[r].abs());
        if off.abs() > noise { off } else { 0.0 }
    }

    /// One step: predictor, then corrector.
    fn iterate(&mut self, standing: &Standing) -> f64 {
        self.factor();
        if self.asked_to_stop() {
            return 0.0;
        }
        let mean = standing.complementarity / standing.rows.max(1.0);
        self.direct();
        let reach = self.measure();
        let (primal, dual) = (reach.primal.min(1.0), reach.dual.min(1.0));
        let [now, slack, price, both] = reach.sums;
        let after = now + primal * slack + dual * price + primal * dual * both;
        let share = (after / now).clamp(1e-6, 1.0);
        let target = mean * share * share * share;
        // Second order counts as far as the step that it was found for could go.
        self.aim(target, primal.min(dual));
        self.direct();
        let reach = self.measure();
        let near = 0.999;
        let (primal, dual) = ((near * reach.primal).min(1.0), (near * reach.dual).min(1.0));
        if !self.asked_to_stop() {
            self.advance(primal, dual);
        }
        primal.min(dual)
    }

    fn aim(&mut self, target: f64, weight: f64) {
        self.each(|batch| batch.aim(target, weight));
        let peaks = &mut self.peaks;
        let Coupling {
            aim, aim_over, by, ..
        } = &mut self.coupling;
        for r in 0..aim.len() {
            aim[r] = target - weight * by.slack[r] * by.price[r];
            aim_over[r] = target + weight * by.over[r] * by.price[r];
        }
        for (peak, aim) in peaks.aim.iter_mut().enumerate() {
            *aim = target - weight * by.peak[peak] * by.peak_spare[peak];
        }
    }

    fn factor(&mut self) {
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
    fn direct(&mut self) {
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
    fn direct_peaks(&mut self, right: &mut [f64]) {
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
    fn pull_prices(&mut self, change: bool) {
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

    fn measure(&mut self) -> Reach {
        let mut reach = self.sum(Batch::measure, Reach::NONE, Reach::join);
        let Coupling {
            slack,
            price,
            over,
            spare,
            by,
            ..
        } = &self.coupling;
        for (r, row) in self.program.rows.iter().enumerate() {
            reach.see(slack[r], price[r], by.slack[r], by.price[r]);
            if row.peak().is_none() {
                reach.see(over[r], spare[r], by.over[r], -by.price[r]);
            }
        }
        for peak in 0..self.peaks.height.len() {
            reach.see(
                self.peaks.height[peak],
                self.peaks.spare[peak],
                by.peak[peak],
                by.peak_spare[peak],
            );
        }
        reach
    }

    fn advance(&mut self, primal: f64, dual: f64) {
        self.each(|batch| batch.advance(primal, dual));
        self.coupling.aim.fill(0.0);
        self.coupling.aim_over.fill(0.0);
        self.peaks.aim.fill(0.0);
        let Coupling {
            slack,
            price,
            over,
            spare,
            by,
            ..
        } = &mut self.coupling;
        for (r, row) in self.program.rows.iter().enumerate() {
            slack[r] += primal * by.slack[r];
            price[r] += dual * by.price[r];
            if row.peak().is_none() {
                over[r] += primal * by.over[r];
                spare[r] -= dual * by.price[r];
            }
        }
        for peak in 0..self.peaks.height.len() {
            self.peaks.height[peak] += primal * by.peak[peak];
            self.peaks.spare[peak] += dual * by.peak_spare[peak];
        }
    }

    /// Price of a coupling row, CNY for each kW.
    pub(super) fn row_price(&self, row: usize) -> f64 {
        self.coupling.price[row]
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
