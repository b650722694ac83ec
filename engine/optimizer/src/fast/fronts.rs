//! The coupling rows, eliminated up the electric tree.
//!
//! Once resources are eliminated, what is left of the Newton system is `D + Σ C`: one row for each limit and requirement,
//! coupled through the covariance `C` of what resources do. A front stands at each node that has rows. It gathers the
//! covariance of the resources below it, by *port* (an interval, a quantity, and who else counts it), eliminates its own
//! rows, and hands the rest up, as multifrontal sparse solvers do; requirements that cut across the tree come last, at
//! the top. Source: I. S. Duff, J. K. Reid, *The multifrontal solution of indefinite sparse symmetric linear equations*,
//! ACM Trans. Math. Softw. 9 (1983).

mod eliminate;
mod gather;

use std::ops::Range;

use rayon::prelude::*;

use super::chain::{Batch, Ports};
use super::lane::vectorized;
use eliminate::Eliminate;
use gather::Gather;

/// No port above.
pub(super) const NO_PORT: u32 = u32::MAX;
/// Leaving weak rows out costs iterations, and pays where the elimination of all rows takes more than this many
/// operations for each resource and interval.
const HEAVY: usize = 2_000;
const WEAK: f64 = 0.3;

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
    /// Covariance of ports, lower triangle by rows.
    covariance: Vec<f64>,
    /// Rows, then ports: upper triangle by rows; after elimination the factor, then what is left for the parent.
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

    /// Runs `work` on all fronts of a level at a time, from the bottom up. It may read the fronts below.
    fn upwards(&mut self, work: impl Fn(&mut Front, &[Front]) + Sync) {
        for level in &self.levels {
            let (below, rest) = self.fronts.split_at_mut(level.start);
            let level = &mut rest[..level.len()];
            if self.parallel && level.len() > 1 {
                level.par_iter_mut().for_each(|front| work(front, below));
            } else {
                level.iter_mut().for_each(|front| work(front, below));
            }
        }
    }

    /// From the top down. It may read the fronts above.
    fn downwards(&mut self, work: impl Fn(&mut Front, Option<&Front>) + Sync) {
        for level in self.levels.iter().rev() {
            let (rest, above) = self.fronts.split_at_mut(level.end);
            let parent = |front: &Front| front.parent.map(|parent| parent - level.end);
            let run = |front: &mut Front| {
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
    ///
    /// What is found after `stop` has said so is of no use.
    pub(super) fn factor(
        &mut self,
        batches: &[Batch],
        diagonal: &[f64],
        heights: &[f64],
        keep: impl Fn(usize) -> bool,
        stop: &(dyn Fn() -> bool + Sync),
    ) {
        let mut variance = vec![0.0; diagonal.len()];
        self.flows(batches, Of::Variance, &mut variance);
        let rows = diagonal.iter().zip(&variance).enumerate();
        self.weak = rows
            .map(|(row, (diagonal, variance))| {
                (*variance < self.weakness * diagonal && !keep(row)).then_some(diagonal + variance)
            })
            .collect();
        let weak = std::mem::take(&mut self.weak);
        self.downwards(|front, parent| front.enliven(&weak, parent));
        self.upwards(|front, below| {
            if stop() {
                return;
            }
            front.gather(batches, below);
            front.assemble(&diagonal[front.rows.clone()], heights);
            let live = &mut front.live;
            vectorized(Eliminate {
                size: live.terms.len() + live.ports,
                pivots: live.terms.len(),
                positive: live.rows.len(),
                matrix: &mut live.matrix,
            });
        });
        self.weak = weak;
    }

    /// Whether a row was left out of the last elimination.
    pub(super) fn is_weak(&self, row: usize) -> bool {
        self.weak.get(row).is_some_and(Option::is_some)
    }

    /// For each coupling row what flows through it; of variances an upper bound.
    pub(super) fn flows(&mut self, batches: &[Batch], of: Of, flows: &mut [f64]) {
        self.upwards(|front, below| front.sum(batches, of, below));
        for front in &self.fronts {
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
    pub(super) fn solve(&mut self, values: &mut [f64], peaks: &mut [f64]) {
        for front in &mut self.fronts {
            let own = &values[front.rows.clone()];
            let Live { rows, solved, .. } = &mut front.live;
            solved.clear();
            solved.extend(rows.iter().map(|&row| own[row]));
            solved.extend(front.peaks.iter().map(|peak| peaks[peak.index]));
        }
        self.upwards(Front::solve_upwards);
        self.downwards(Front::solve_downwards);
        for (value, weak) in values.iter_mut().zip(&self.weak) {
            *value /= weak.unwrap_or(1.0);
        }
        for front in &self.fronts {
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
    pub(super) fn spread(&mut self, prices: &[f64]) {
        self.downwards(|front, parent| {
            front.take_prices(parent);
            for (value, terms) in prices[front.rows.clone()].iter().zip(&front.terms) {
                for &(port, factor) in terms {
                    front.prices[port as usize] += factor * value;
                }
            }
        });
    }
}

impl Front {
    /// Makes room once all rows and ports are known.
    pub(super) fn make_room(&mut self) {
        self.sums = vec![0.0; self.ports];
        self.prices = vec![0.0; self.ports];
    }

    /// Resources × intervals that hang here.
    fn cells(&self) -> usize {
        let of = |member: &Member| self.maps[member.map as usize].len();
        self.members.iter().map(of).sum()
    }

    /// Price of a port, as last spread.
    pub(super) fn port_price(&self, port: u32) -> f64 {
        self.prices[port as usize]
    }

    /// Finds the live rows, and the ports that they or live rows above count.
    fn enliven(&mut self, weak: &[Option<f64>], parent: Option<&Front>) {
        let live = &mut self.live;
        let own = weak[self.rows.clone()].iter().enumerate();
        live.rows.clear();
        live.rows
            .extend(own.filter(|(_, weak)| weak.is_none()).map(|(row, _)| row));
        live.slots.clear();
        live.slots.extend(self.up.iter().map(|&port| match parent {
            Some(parent) if port != NO_PORT => parent.live.slots[port as usize],
            _ => NO_PORT,
        }));
        live.slots.resize(self.ports, NO_PORT);
        let above = live.slots.clone();
        for &row in &live.rows {
            for &(port, _) in &self.terms[row] {
                live.slots[port as usize] = 0;
            }
        }
        live.up.clear();
        for (slot, above) in live.slots.iter_mut().zip(above) {
            if *slot != NO_PORT {
                *slot = u32::try_from(live.up.len()).unwrap_or(NO_PORT);
                live.up.push(above);
            }
        }
        live.ports = live.up.len();
        let slots = &live.slots;
        live.terms.clear();
        live.terms.extend(live.rows.iter().map(|&row| {
            let terms = self.terms[row].iter();
            terms
                .map(|&(port, factor)| (slots[port as usize], factor))
                .collect()
        }));
        live.terms.extend(self.peaks.iter().map(|_| Vec::new()));
        live.maps.resize(self.maps.len(), Vec::new());
        for (live, map) in live.maps.iter_mut().zip(&self.maps) {
            live.clear();
            live.extend(map.iter().filter_map(|entry| {
                let port = slots[entry.port as usize];
                (port != NO_PORT).then_some(Entry { port, ..*entry })
            }));
        }
    }

    fn gather(&mut self, batches: &[Batch], below: &[Front]) {
        let mine = &mut self.live;
        mine.covariance.clear();
        mine.covariance.resize(mine.ports * mine.ports, 0.0);
        for &child in &self.children {
            let child = &below[child].live;
            let (rows, ports) = (child.terms.len(), child.ports);
            let size = rows + ports;
            for i in 0..ports {
                let to = child.up[i];
                if to == NO_PORT {
                    continue;
                }
                let row = &child.matrix[(rows + i) * size + rows..(rows + i + 1) * size];
                for j in i..ports {
                    let other = child.up[j];
                    if other != NO_PORT {
                        let (low, high) = (to.min(other) as usize, to.max(other) as usize);
                        mine.covariance[high * mine.ports + low] += row[j];
                    }
                }
            }
        }
        vectorized(Gather {
            members: &self.members,
            live: &mut self.live,
            batches,
        });
    }

    /// Rows `W·C` beside `D + W·C·Wᵀ`, over the ports' covariance; a peak's height counts 1 in each of its rows.
    fn assemble(&mut self, diagonal: &[f64], heights: &[f64]) {
        let live = &mut self.live;
        let (rows, ports) = (live.terms.len(), live.ports);
        let size = rows + ports;
        live.matrix.clear();
        live.matrix.resize(size * size, 0.0);
        for i in 0..ports {
            for j in i..ports {
                live.matrix[(rows + i) * size + rows + j] = live.covariance[j * ports + i];
            }
        }
        for (row, terms) in live.terms.iter().enumerate() {
            for &(port, factor) in terms {
                let port = port as usize;
                let out = &mut live.matrix[row * size + rows..(row + 1) * size];
                let lower = &live.covariance[port * ports..port * ports + port + 1];
                for (value, cov) in out.iter_mut().zip(lower) {
                    *value += factor * cov;
                }
                for j in port + 1..ports {
                    out[j] += factor * live.covariance[j * ports + port];
                }
            }
            for other in row..rows {
                let sum: f64 = live.terms[other]
                    .iter()
                    .map(|&(port, factor)| factor * live.matrix[row * size + rows + port as usize])
                    .sum();
                live.matrix[row * size + other] = sum;
            }
            if let Some(&own) = live.rows.get(row) {
                live.matrix[row * size + row] += diagonal[own];
            }
        }
        for (k, peak) in self.peaks.iter().enumerate() {
            let column = live.rows.len() + k;
            live.matrix[column * size + column] = -heights[peak.index];
            for row in &peak.rows {
                if let Ok(row) = live.rows.binary_search(row) {
                    live.matrix[row * size + column] = 1.0;
                }
            }
        }
    }

    fn sum(&mut self, batches: &[Batch], of: Of, below: &[Front]) {
        self.sums.fill(0.0);
        for &child in &self.children {
            let child = &below[child];
            for (&to, value) in child.up.iter().zip(&child.sums) {
                if to != NO_PORT {
                    self.sums[to as usize] += value;
                }
            }
        }
        for member in &self.members {
            let batch = &batches[member.batch as usize];
            let lane = member.lane as usize;
            let map = &self.maps[member.map as usize];
            if of == Of::Variance {
                let layout = Ports::of(batch.shape);
                for entry in map {
                    let quantity = entry.quantity as usize;
                    let at =
                        entry.interval as usize * layout.stride() + layout.own(quantity, quantity);
                    self.sums[entry.port as usize] += batch.covariance[at].0[lane];
                }
                continue;
            }
            let controls = batch.shape.controls();
            let values = if of == Of::Point {
                &batch.controls
            } else {
                &batch.by
            };
            for entry in map {
                let at = entry.interval as usize * controls;
                let value = if entry.quantity > 0 {
                    values[at + 1 + entry.quantity as usize].0[lane]
                } else if controls > 1 {
                    values[at].0[lane] - values[at + 1].0[lane]
                } else {
                    values[at].0[lane]
                };
                self.sums[entry.port as usize] += value;
            }
        }
    }

    fn solve_upwards(&mut self, below: &[Front]) {
        let Live {
            rows: positive,
            left,
            solved,
            terms,
            matrix,
            ports,
            ..
        } = &mut self.live;
        left.clear();
        left.resize(*ports, 0.0);
        for &child in &self.children {
            let child = &below[child].live;
            for (&to, value) in child.up.iter().zip(&child.left) {
                if to != NO_PORT {
                    left[to as usize] += value;
                }
            }
        }
        let (rows, size) = (terms.len(), terms.len() + *ports);
        for (value, terms) in solved.iter_mut().zip(terms) {
            for &(port, factor) in terms.iter() {
                *value -= factor * left[port as usize];
            }
        }
        for row in 0..rows {
            let factor = &matrix[row * size..(row + 1) * size];
            let value = solved[row] / factor[row];
            solved[row] = value;
            for (later, factor) in solved[row + 1..].iter_mut().zip(&factor[row + 1..]) {
                *later -= factor * value;
            }
            for (left, factor) in left.iter_mut().zip(&factor[rows..]) {
                *left += factor * value;
            }
        }
        for value in &mut solved[positive.len()..] {
            *value = -*value;
        }
    }

    fn solve_downwards(&mut self, parent: Option<&Front>) {
        let Live {
            prices,
            solved,
            terms,
            matrix,
            ports,
            up,
            ..
        } = &mut self.live;
        prices.clear();
        prices.extend(up.iter().map(|&port| match parent {
            Some(parent) if port != NO_PORT => parent.live.prices[port as usize],
            _ => 0.0,
        }));
        let (rows, size) = (terms.len(), terms.len() + *ports);
        for row in (0..rows).rev() {
            let factor = &matrix[row * size..(row + 1) * size];
            let later = dot(&solved[row + 1..], &factor[row + 1..rows]);
            let above = dot(prices, &factor[rows..]);
            solved[row] = (solved[row] - later - above) / factor[row];
        }
        for (value, terms) in solved.iter().zip(terms) {
            for &(port, factor) in terms.iter() {
                prices[port as usize] += factor * value;
            }
        }
    }

    fn take_prices(&mut self, parent: Option<&Front>) {
        match parent {
            Some(parent) => {
                for (price, &port) in self.prices.iter_mut().zip(&self.up) {
                    *price = if port == NO_PORT {
                        0.0
                    } else {
                        parent.prices[port as usize]
                    };
                }
            }
            None => self.prices.fill(0.0),
        }
    }
}

/// In four sums, so that they need not wait for each other.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 4];
    let (a, b) = (a.chunks_exact(4), b.chunks_exact(4));
    let rest: f64 = a
        .remainder()
        .iter()
        .zip(b.remainder())
        .map(|(a, b)| a * b)
        .sum();
    for (a, b) in a.zip(b) {
        for k in 0..4 {
            sums[k] += a[k] * b[k];
        }
    }
    sums[0] + sums[1] + sums[2] + sums[3] + rest
}
