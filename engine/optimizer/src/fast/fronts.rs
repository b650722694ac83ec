//! The coupling rows, eliminated up the electric tree.
//!
//! Once resources are eliminated, what is left of the Newton system is `D + Σ C`: one row for each limit and requirement,
//! coupled through the covariance `C` of what resources do. A front stands at each node that has rows. It gathers the
//! covariance of the resources below it, by *port* (an interval, a quantity, and who else counts it), eliminates its own
//! rows, and hands the rest up, as multifrontal sparse solvers do; requirements that cut across the tree come last, at
//! the top. Source: I. S. Duff, J. K. Reid, *The multifrontal solution of indefinite sparse symmetric linear equations*,
//! ACM Trans. Math. Softw. 9 (1983).

mod eliminate;
mod front;
mod gather;

use std::ops::Range;

use rayon::prelude::*;

use super::chain::Batch;
use super::lane::vectorized;
use crate::stop::Stop;
use eliminate::Eliminate;

/// No port above.
pub(super) const NO_PORT: u32 = u32::MAX;
/// Leaving weak rows out costs iterations, and pays where the elimination of all rows takes more than this many
/// operations for each resource and interval.
const HEAVY: usize = 2_000;
const WEAK: f64 = 0.3;
/// Where the search is slow, that share is taken down to this part of it.
const FEWER: f64 = 0.1;

/// Where one quantity of one resource goes in its front.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) interval: u32,
    /// 0 net draw, 1 up, 2 down.
    pub(super) quantity: u32,
    pub(super) port: u32,
}

/// The height of a peak: one unknown in several rows of a front.
pub(super) struct Peak {
    /// Among all peaks.
    pub(super) index: usize,
    /// Its rows, among the front's own.
    pub(super) rows: Vec<usize>,
}

/// A resource that hangs at a front: its batch and lane, and which of the front's maps it uses.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member {
    pub(super) batch: u32,
    pub(super) lane: u32,
    pub(super) map: u32,
}

/// The rows of one node (or, at the top, of the requirements), with all that hangs below.
///
/// Only rows that matter are eliminated, see [`Fronts::factor`]: those are *live*, and so are the ports that they count.
#[derive(Default)]
pub(super) struct Front {
    /// Its rows among all coupling rows.
    pub(super) rows: Range<usize>,
    /// Peaks over its rows: eliminated with them.
    pub(super) peaks: Vec<Peak>,
    /// For each row its factors on ports.
    pub(super) terms: Vec<Vec<(u32, f64)>>,
    pub(super) ports: usize,
    pub(super) parent: Option<usize>,
    pub(super) children: Vec<usize>,
    /// For each port that of the parent.
    pub(super) up: Vec<u32>,
    pub(super) members: Vec<Member>,
    pub(super) maps: Vec<Vec<Entry>>,
    /// Sums over ports of what is below, and prices of ports.
    sums: Vec<f64>,
    prices: Vec<f64>,
    live: Live,
}

/// The part of a front that is eliminated in one iteration. Ports are numbered anew.
#[derive(Default)]
struct Live {
    /// Rows, among the front's own.
    rows: Vec<usize>,
    /// For each of the front's ports its number here.
    slots: Vec<u32>,
    ports: usize,
    /// As in [`Front`], and nothing for each peak: those come after the rows.
    terms: Vec<Vec<(u32, f64)>>,
    up: Vec<u32>,
    maps: Vec<Vec<Entry>>,
    /// Covariance of ports, lower triangle by rows; after elimination what is left for the parent.
    covariance: Vec<f64>,
    /// Rows against rows, upper triangle by rows, and against ports; after elimination the factor.
    matrix: Vec<f64>,
    /// What eliminated rows below leave at ports; prices of ports; the rows' values.
    left: Vec<f64>,
    prices: Vec<f64>,
    solved: Vec<f64>,
}

/// What is summed over ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// The point.
    Point,
    /// The direction.
    Direction,
    /// The variance of what each port does.
    Variance,
}

/// All fronts, those below before those above.
#[derive(Default)]
pub(super) struct Fronts {
    pub(super) fronts: Vec<Front>,
    /// Fronts of one depth, deepest first: they do not touch each other.
    levels: Vec<Range<usize>>,
    /// For each coupling row whether it is live, and else what divides its residual.
    weak: Vec<Option<f64>>,
    /// A row is weak when the variance of its flow is below this share of its diagonal.
    weakness: f64,
    parallel: bool,
}

impl Fronts {
    pub(super) fn new(fronts: Vec<Front>, levels: Vec<Range<usize>>, parallel: bool) -> Self {
        let cells: usize = fronts.iter().map(Front::cells).sum();
        let size = |front: &Front| front.ports + front.rows.len();
        let pivots = |front: &Front| front.rows.len() * size(front) * size(front);
        let work: usize = fronts.iter().map(pivots).sum();
        Self {
            weakness: if work > HEAVY * cells { WEAK } else { 0.0 },
            fronts,
            levels,
            parallel,
            ..Self::default()
        }
    }

    /// Leaves fewer rows out from now on.
    pub(super) fn ask_for_more_rows(&mut self) {
        self.weakness *= FEWER;
    }

    /// Runs `work` on all fronts of a level at a time, from the bottom up. It may read the fronts below. Fronts that are
    /// left when the caller says stop are left as they are: what is found then is of no use.
    fn upwards(&mut self, stop: &Stop<'_>, work: impl Fn(&mut Front, &[Front]) + Sync) {
        for level in &self.levels {
            let (below, rest) = self.fronts.split_at_mut(level.start);
            let level = &mut rest[..level.len()];
            let run = |front: &mut Front| {
                if !stop.now() {
                    work(front, below);
                }
            };
            if self.parallel && level.len() > 1 {
                level.par_iter_mut().for_each(run);
            } else {
                level.iter_mut().for_each(run);
            }
        }
    }

    /// As [`Self::upwards`], from the top down. It may read the fronts above.
    fn downwards(&mut self, stop: &Stop<'_>, work: impl Fn(&mut Front, Option<&Front>) + Sync) {
        for level in self.levels.iter().rev() {
            let (rest, above) = self.fronts.split_at_mut(level.end);
            let parent = |front: &Front| front.parent.map(|parent| parent - level.end);
            let run = |front: &mut Front| {
                if stop.now() {
                    return;
                }
                let parent = parent(front).map(|parent| &above[parent]);
                work(front, parent);
            };
            let level = &mut rest[level.start..];
            if self.parallel && level.len() > 1 {
                level.par_iter_mut().for_each(run);
            } else {
                level.iter_mut().for_each(run);
            }
        }
    }

    /// Gathers covariances and eliminates. `diagonal` is `D` by coupling row; `heights` what each peak's height has on the
    /// diagonal, taken off. Rows to `keep` count as live whatever they are; those of peaks must be.
    ///
    /// A row far from its limit has a diagonal much larger than the variance of its flow: it hardly answers, and what
    /// it does answer matters to nobody else. Such rows are left out of the elimination, which makes it many times
    /// smaller; each is solved by itself, and what that misses shows as a residual in the next iteration.
    pub(super) fn factor(
        &mut self,
        batches: &[Batch],
        diagonal: &[f64],
        heights: &[f64],
        keep: impl Fn(usize) -> bool,
        stop: &Stop<'_>,
    ) {
        let mut variance = vec![0.0; diagonal.len()];
        self.flows(batches, Of::Variance, &mut variance, stop);
        let rows = diagonal.iter().zip(&variance).enumerate();
        self.weak = rows
            .map(|(row, (diagonal, variance))| {
                (*variance < self.weakness * diagonal && !keep(row)).then_some(diagonal + variance)
            })
            .collect();
        let weak = std::mem::take(&mut self.weak);
        self.downwards(stop, |front, parent| front.enliven(&weak, parent));
        self.upwards(stop, |front, below| {
            front.gather(batches, below, stop);
            front.assemble(&diagonal[front.rows.clone()], heights, stop);
            let live = &mut front.live;
            vectorized(Eliminate {
                pivots: live.terms.len(),
                positive: live.rows.len(),
                rows: &mut live.matrix,
                covariance: &mut live.covariance,
                ports: live.ports,
                stop,
            });
        });
        self.weak = weak;
    }

    /// Whether a row was left out of the last elimination.
    pub(super) fn is_weak(&self, row: usize) -> bool {
        self.weak.get(row).is_some_and(Option::is_some)
    }

    /// For each coupling row what flows through it; of variances an upper bound.
    pub(super) fn flows(&mut self, batches: &[Batch], of: Of, flows: &mut [f64], stop: &Stop<'_>) {
        self.upwards(stop, |front, below| front.sum(batches, of, below, stop));
        for (_, front) in stop.until(&self.fronts) {
            for (flow, terms) in flows[front.rows.clone()].iter_mut().zip(&front.terms) {
                *flow = terms
                    .iter()
                    .map(|&(port, factor)| {
                        let factor = if of == Of::Variance {
                            factor * factor
                        } else {
                            factor
                        };
                        factor * front.sums[port as usize]
                    })
                    .sum();
            }
        }
    }

    /// Solves `(D + Σ C) · values = right` and its peaks, in place; nearly so for rows that are not live.
    pub(super) fn solve(&mut self, values: &mut [f64], peaks: &mut [f64], stop: &Stop<'_>) {
        for front in &mut self.fronts {
            let own = &values[front.rows.clone()];
            let Live { rows, solved, .. } = &mut front.live;
            solved.clear();
            solved.extend(rows.iter().map(|&row| own[row]));
            solved.extend(front.peaks.iter().map(|peak| peaks[peak.index]));
        }
        self.upwards(stop, |front, below| front.solve_upwards(below, stop));
        self.downwards(stop, |front, parent| front.solve_downwards(parent, stop));
        for (value, weak) in values.iter_mut().zip(&self.weak) {
            *value /= weak.unwrap_or(1.0);
        }
        for (_, front) in stop.until(&self.fronts) {
            let own = &mut values[front.rows.clone()];
            for (&row, value) in front.live.rows.iter().zip(&front.live.solved) {
                own[row] = *value;
            }
            let solved = &front.live.solved[front.live.rows.len()..];
            for (peak, value) in front.peaks.iter().zip(solved) {
                peaks[peak.index] = *value;
            }
        }
    }

    /// Spreads prices of coupling rows to the ports below them.
    pub(super) fn spread(&mut self, prices: &[f64], stop: &Stop<'_>) {
        self.downwards(stop, |front, parent| {
            front.take_prices(parent);
            for (value, terms) in prices[front.rows.clone()].iter().zip(&front.terms) {
                for &(port, factor) in terms {
                    front.prices[port as usize] += factor * value;
                }
            }
        });
    }
}
