//! The interior-point method: from any point towards the optimum along the central path, primal and dual together.
//!
//! Predictor and corrector after S. Mehrotra, *On the implementation of a primal-dual interior point method*, SIAM J.
//! Optim. 2 (1992). Each iteration factors once (chains, then fronts) and solves twice.

mod direct;
mod stand;
mod start;

use rayon::prelude::*;

use super::chain::{Batch, Reach, Standing};
use super::program::Program;
use crate::stop::Stop;

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
/// Once the point is as good as that of a large problem, a small one has so many iterations for more digits: where numbers
/// are far apart, there are none.
const DIGITS: u32 = 6;
/// Residual of a row, kW or kWh, that is let be then: the gap counts what it is worth, and the repair what it breaks.
const OFF_LAST: f64 = 1e-5;
/// Batches that one task takes.
const TASK: usize = 8;

pub(super) fn tolerance(parallel: bool) -> f64 {
    if parallel { TOLERANCE } else { FINE }
}

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
}

pub(super) struct Interior<'a> {
    pub(super) program: Program,
    coupling: Coupling,
    peaks: Peaks,
    parallel: bool,
    stop: &'a Stop<'a>,
    pub(super) iterations: usize,
    /// A lower bound on the optimum, and the cost at the point, without what is fixed.
    pub(super) bound: f64,
    pub(super) cost: f64,
    /// Prices of the coupling rows that the bound was worked out with.
    proof: Vec<f64>,
}

impl<'a> Interior<'a> {
    pub(super) fn new(program: Program, parallel: bool, stop: &'a Stop<'a>) -> Self {
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
            },
            program,
            parallel,
            stop,
            iterations: 0,
            bound: f64::NEG_INFINITY,
            cost: f64::INFINITY,
            proof: vec![0.0; rows],
        }
    }

    /// Walks until done, from a complementarity of `start` CNY at every row. Shows some points on the way.
    pub(super) fn run(&mut self, start: f64, mut seen: impl FnMut(&Self)) -> End {
        if self.asked_to_stop() {
            return End::Stopped;
        }
        self.start(start);
        let mut next_look = LOOK;
        let tolerance = tolerance(self.parallel);
        let (mut bad, mut digits) = (0, 0);
        let mut step = None;
        for iteration in 0..ITERATIONS {
            self.iterations = iteration;
            let standing = self.stand(step);
            if self.asked_to_stop() {
                return End::Stopped;
            }
            let scale = 1.0 + self.cost.abs();
            let gap = standing.complementarity + standing.dual_slack + standing.primal_slack.abs();
            if gap <= tolerance * scale && standing.primal_off <= OFF {
                return End::Optimal;
            }
            if gap <= TOLERANCE * scale && standing.primal_off <= OFF_LAST {
                digits += 1;
                if digits > DIGITS {
                    return End::Optimal;
                }
            }
            // Who hugs the limits before rows are kept gets no further: then what is left out costs more than it saves.
            if standing.primal_slack.abs() > standing.complementarity {
                self.program.fronts.ask_for_more_rows();
            }
            if !gap.is_finite() {
                return End::Stuck;
            }
            if gap <= next_look * scale && standing.primal_off <= LOOK_OFF {
                seen(self);
                next_look = LOOK * gap / scale;
            }
            let (primal, dual) = self.iterate(&standing);
            if self.asked_to_stop() {
                return End::Stopped;
            }
            step = Some((primal, dual));
            bad = if primal.min(dual) < 1e-3 { bad + 1 } else { 0 };
            if bad >= 5 {
                let fine = gap <= ACCEPTABLE * scale && standing.primal_off <= OFF_LAST;
                return if fine { End::Optimal } else { End::Stuck };
            }
        }
        End::Stuck
    }

    fn asked_to_stop(&self) -> bool {
        self.stop.said()
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
        let stop = self.stop;
        let task = |batches: &mut [Batch]| {
            let mut sum = zero;
            for batch in batches {
                if stop.now() {
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

    /// One step: predictor, then corrector. The coupling has gone it then, the batches will in [`Self::stand`].
    fn iterate(&mut self, standing: &Standing) -> (f64, f64) {
        self.factor();
        if self.asked_to_stop() {
            return (0.0, 0.0);
        }
        let mean = standing.complementarity / standing.rows.max(1.0);
        let reach = self.answer();
        if self.asked_to_stop() {
            return (0.0, 0.0);
        }
        let (primal, dual) = (reach.primal.min(1.0), reach.dual.min(1.0));
        let [now, slack, price, both] = reach.sums;
        let after = now + primal * slack + dual * price + primal * dual * both;
        let share = (after / now).clamp(1e-6, 1.0);
        let target = mean * share * share * share;
        // Second order counts the more, the further the step that it was found for could go. Measured: the root of that
        // takes a tenth fewer iterations than the step itself or the whole.
        self.aim(target, primal.min(dual).sqrt());
        if self.asked_to_stop() {
            return (0.0, 0.0);
        }
        let reach = self.answer();
        let near = 0.999;
        let (primal, dual) = ((near * reach.primal).min(1.0), (near * reach.dual).min(1.0));
        if !self.asked_to_stop() {
            self.advance(primal, dual);
        }
        (primal, dual)
    }

    /// Wants other complementarities, and begins with the direction towards them.
    fn aim(&mut self, target: f64, weight: f64) {
        self.pull_prices(false);
        self.each(|batch| {
            batch.aim(target, weight);
            batch.gather();
            batch.respond(true);
        });
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

    /// Ends the direction with what the coupling's prices change, and measures it.
    fn measure(&mut self) -> Reach {
        let of_batch = |batch: &mut Batch| {
            batch.respond(false);
            batch.measure()
        };
        let mut reach = self.sum(of_batch, Reach::NONE, Reach::join);
        let Coupling {
            slack,
            price,
            over,
            spare,
            by,
            ..
        } = &self.coupling;
        for (r, row) in self.stop.until(&self.program.rows) {
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
        for (r, row) in self.stop.until(&self.program.rows) {
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

    /// Price of a coupling row in what proves the bound, CNY for each kW.
    pub(super) fn row_price(&self, row: usize) -> f64 {
        self.proof[row]
    }
}
