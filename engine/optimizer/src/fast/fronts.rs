//! The coupling rows, eliminated up the electric tree.
//!
//! Once resources are eliminated, what is left of the Newton system is `D + Σ C`: one row for each limit and requirement,
//! coupled through the covariance `C` of what resources do. A front stands at each node that has rows. It gathers the
//! covariance of the resources below it, by *port* (an interval, a quantity, and who else counts it), eliminates its own
//! rows, and hands the rest up, as multifrontal sparse solvers do; requirements that cut across the tree come last, at
//! the top. Source: I. S. Duff, J. K. Reid, *The multifrontal solution of indefinite sparse symmetric linear equations*,
//! ACM Trans. Math. Softw. 9 (1983).

use std::ops::Range;

use rayon::prelude::*;

use super::chain::{Batch, Ports};
use super::lane::{Kernel, vectorized};

/// No port above.
pub(super) const NO_PORT: u32 = u32::MAX;
/// Rows eliminated together, so that what they change is read and written once.
const BLOCK: usize = 8;

/// Where one quantity of one resource goes in its front.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) interval: u32,
    /// 0 net draw, 1 up, 2 down.
    pub(super) quantity: u32,
    pub(super) port: u32,
}

/// A resource that hangs at a front: its batch and lane, and which of the front's maps it uses.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member {
    pub(super) batch: u32,
    pub(super) lane: u32,
    pub(super) map: u32,
}

/// The rows of one node (or, at the top, of the requirements), with all that hangs below.
#[derive(Default)]
pub(super) struct Front {
    /// Its rows among all coupling rows.
    pub(super) rows: Range<usize>,
    /// For each row its factors on ports.
    pub(super) terms: Vec<Vec<(u32, f64)>>,
    pub(super) ports: usize,
    pub(super) parent: Option<usize>,
    pub(super) children: Vec<usize>,
    /// For each port that of the parent.
    pub(super) up: Vec<u32>,
    pub(super) members: Vec<Member>,
    pub(super) maps: Vec<Vec<Entry>>,
    /// Covariance of ports, lower triangle by rows.
    covariance: Vec<f64>,
    /// Rows, then ports: upper triangle by rows; after elimination the factor, then what is left for the parent.
    matrix: Vec<f64>,
    /// Sums over ports of what is below; prices of ports; what eliminated rows below leave.
    sums: Vec<f64>,
    prices: Vec<f64>,
    left: Vec<f64>,
    solved: Vec<f64>,
}

/// What is summed over ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// The point.
    Point,
    /// The direction.
    Direction,
}

/// All fronts, those below before those above.
#[derive(Default)]
pub(super) struct Fronts {
    pub(super) fronts: Vec<Front>,
    /// Fronts of one depth, deepest first: they do not touch each other.
    pub(super) levels: Vec<Range<usize>>,
    pub(super) parallel: bool,
}

impl Fronts {
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

    /// Gathers covariances and eliminates. `diagonal` is `D` by coupling row.
    pub(super) fn factor(&mut self, batches: &[Batch], diagonal: &[f64]) {
        self.upwards(|front, below| {
            front.gather(batches, below);
            front.assemble(&diagonal[front.rows.clone()]);
            vectorized(Eliminate {
                matrix: &mut front.matrix,
                size: front.terms.len() + front.ports,
                pivots: front.terms.len(),
            });
        });
    }

    /// For each coupling row what flows through it.
    pub(super) fn flows(&mut self, batches: &[Batch], of: Of, flows: &mut [f64]) {
        self.upwards(|front, below| front.sum(batches, of, below));
        for front in &self.fronts {
            for (flow, terms) in flows[front.rows.clone()].iter_mut().zip(&front.terms) {
                *flow = terms
                    .iter()
                    .map(|&(port, factor)| factor * front.sums[port as usize])
                    .sum();
            }
        }
    }

    /// Solves `(D + Σ C) · values = right`, in place.
    pub(super) fn solve(&mut self, values: &mut [f64]) {
        for front in &mut self.fronts {
            let rows = front.rows.clone();
            front.solved.copy_from_slice(&values[rows]);
        }
        self.upwards(Front::solve_upwards);
        self.downwards(Front::solve_downwards);
        for front in &self.fronts {
            values[front.rows.clone()].copy_from_slice(&front.solved);
        }
    }

    /// Spreads prices of coupling rows to the ports below them.
    pub(super) fn spread(&mut self, prices: &[f64]) {
        for front in &mut self.fronts {
            let rows = front.rows.clone();
            front.solved.copy_from_slice(&prices[rows]);
        }
        self.downwards(|front, parent| {
            front.take_prices(parent);
            front.add_own_prices();
        });
    }
}

impl Front {
    /// Makes room once all rows and ports are known.
    pub(super) fn make_room(&mut self) {
        let (rows, ports) = (self.terms.len(), self.ports);
        self.covariance = vec![0.0; ports * ports];
        self.matrix = vec![0.0; (rows + ports) * (rows + ports)];
        self.sums = vec![0.0; ports];
        self.prices = vec![0.0; ports];
        self.left = vec![0.0; ports];
        self.solved = vec![0.0; rows];
    }

    /// Price of a port, as last spread.
    pub(super) fn port_price(&self, port: u32) -> f64 {
        self.prices[port as usize]
    }

    fn gather(&mut self, batches: &[Batch], below: &[Front]) {
        self.covariance.fill(0.0);
        for &child in &self.children {
            let child = &below[child];
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
                        self.covariance[high * self.ports + low] += row[j];
                    }
                }
            }
        }
        vectorized(Gather {
            front: self,
            batches,
        });
    }

    /// Rows `W·C` beside `D + W·C·Wᵀ`, over the ports' covariance.
    fn assemble(&mut self, diagonal: &[f64]) {
        let (rows, ports) = (self.terms.len(), self.ports);
        let size = rows + ports;
        self.matrix.fill(0.0);
        for i in 0..ports {
            for j in i..ports {
                self.matrix[(rows + i) * size + rows + j] = self.covariance[j * ports + i];
            }
        }
        for (row, terms) in self.terms.iter().enumerate() {
            for &(port, factor) in terms {
                let port = port as usize;
                let out = &mut self.matrix[row * size + rows..(row + 1) * size];
                let lower = &self.covariance[port * ports..port * ports + port + 1];
                for (value, cov) in out.iter_mut().zip(lower) {
                    *value += factor * cov;
                }
                for j in port + 1..ports {
                    out[j] += factor * self.covariance[j * ports + port];
                }
            }
            for other in row..rows {
                let sum: f64 = self.terms[other]
                    .iter()
                    .map(|&(port, factor)| factor * self.matrix[row * size + rows + port as usize])
                    .sum();
                self.matrix[row * size + other] = sum;
            }
            self.matrix[row * size + row] += diagonal[row];
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
            let controls = batch.shape.controls();
            let values = match of {
                Of::Point => &batch.controls,
                Of::Direction => &batch.by,
            };
            for entry in &self.maps[member.map as usize] {
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
        self.left.fill(0.0);
        for &child in &self.children {
            let child = &below[child];
            for (&to, value) in child.up.iter().zip(&child.left) {
                if to != NO_PORT {
                    self.left[to as usize] += value;
                }
            }
        }
        let (rows, size) = (self.terms.len(), self.terms.len() + self.ports);
        for (value, terms) in self.solved.iter_mut().zip(&self.terms) {
            for &(port, factor) in terms {
                *value -= factor * self.left[port as usize];
            }
        }
        for row in 0..rows {
            let factor = &self.matrix[row * size..(row + 1) * size];
            let value = self.solved[row] / factor[row];
            self.solved[row] = value;
            for (later, factor) in self.solved[row + 1..].iter_mut().zip(&factor[row + 1..]) {
                *later -= factor * value;
            }
            for (left, factor) in self.left.iter_mut().zip(&factor[rows..]) {
                *left += factor * value;
            }
        }
    }

    fn solve_downwards(&mut self, parent: Option<&Front>) {
        self.take_prices(parent);
        let (rows, size) = (self.terms.len(), self.terms.len() + self.ports);
        for row in (0..rows).rev() {
            let factor = &self.matrix[row * size..(row + 1) * size];
            let later: f64 = self.solved[row + 1..]
                .iter()
                .zip(&factor[row + 1..])
                .map(|(value, factor)| value * factor)
                .sum();
            let above: f64 = self
                .prices
                .iter()
                .zip(&factor[rows..])
                .map(|(price, factor)| price * factor)
                .sum();
            self.solved[row] = (self.solved[row] - later - above) / factor[row];
        }
        self.add_own_prices();
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

    fn add_own_prices(&mut self) {
        for (value, terms) in self.solved.iter().zip(&self.terms) {
            for &(port, factor) in terms {
                self.prices[port as usize] += factor * value;
            }
        }
    }
}

/// Adds the covariance of a front's own resources, one after the other: what one does now answers what it did at all
/// earlier ports, and that answer is carried through the closed loop from interval to interval.
struct Gather<'a> {
    front: &'a mut Front,
    batches: &'a [Batch],
}

impl Kernel for Gather<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Front {
            members,
            maps,
            covariance,
            ports,
            ..
        } = self.front;
        let most = maps.iter().map(Vec::len).max().unwrap_or(0);
        // The covariance of the chain's states with each port passed so far.
        let mut carried = vec![0.0; 4 * most];
        let mut row = vec![0.0; most];
        for member in members.iter() {
            let batch = &self.batches[member.batch as usize];
            let map = &maps[member.map as usize];
            let lane = member.lane as usize;
            let layout = Ports::of(batch.shape);
            if layout.states == 2 {
                walk::<2>(batch, lane, map, &mut carried, &mut row, covariance, *ports);
            } else {
                walk::<4>(batch, lane, map, &mut carried, &mut row, covariance, *ports);
            }
        }
    }
}

#[inline(always)]
fn walk<const NX: usize>(
    batch: &Batch,
    lane: usize,
    map: &[Entry],
    carried: &mut [f64],
    row: &mut [f64],
    covariance: &mut [f64],
    ports: usize,
) {
    let layout = Ports::of(batch.shape);
    let stride = layout.stride();
    let most = carried.len() / 4;
    let Some(last) = map.last() else { return };
    let (mut passed, mut next) = (0, 0);
    for t in map[0].interval..=last.interval {
        let here = &batch.covariance[t as usize * stride..(t as usize + 1) * stride];
        let value = |at: usize| here[at].0[lane];
        while next < map.len() && map[next].interval == t {
            let entry = map[next];
            let quantity = entry.quantity as usize;
            row[..passed].fill(0.0);
            for q in 0..NX {
                let answer = value(layout.answer(quantity, q));
                let states = &carried[q * most..q * most + passed];
                for (sum, state) in row[..passed].iter_mut().zip(states) {
                    *sum -= answer * state;
                }
            }
            let out = &mut covariance[entry.port as usize * ports..];
            let earlier = &map[..passed];
            if passed > 0 && earlier[passed - 1].port == earlier[0].port + passed as u32 - 1 {
                let first = earlier[0].port as usize;
                for (sum, value) in out[first..first + passed].iter_mut().zip(&row[..passed]) {
                    *sum += value;
                }
            } else {
                for (earlier, value) in earlier.iter().zip(&row[..passed]) {
                    out[earlier.port as usize] += value;
                }
            }
            for other in &map[passed..=next] {
                out[other.port as usize] += value(layout.own(quantity, other.quantity as usize));
            }
            next += 1;
        }
        if next == map.len() {
            return;
        }
        step::<NX>(&value, layout, carried, most, passed);
        for entry in &map[passed..next] {
            for q in 0..NX {
                carried[q * most + passed] = value(layout.with_state(entry.quantity as usize, q));
            }
            passed += 1;
        }
    }
}

/// Carries the states' covariance through the closed loop of an interval.
#[inline(always)]
fn step<const NX: usize>(
    value: &impl Fn(usize) -> f64,
    layout: Ports,
    carried: &mut [f64],
    most: usize,
    passed: usize,
) {
    let closed: [[f64; NX]; NX] =
        std::array::from_fn(|to| std::array::from_fn(|from| value(layout.closed(to, from))));
    let mut parts = carried.chunks_exact_mut(most.max(1));
    let states: [&mut [f64]; NX] =
        std::array::from_fn(|_| &mut parts.next().unwrap_or_default()[..passed]);
    for k in 0..passed {
        let before: [f64; NX] = std::array::from_fn(|q| states[q][k]);
        for to in 0..NX {
            let mut sum = 0.0;
            for from in 0..NX {
                sum += closed[to][from] * before[from];
            }
            states[to][k] = sum;
        }
    }
}

/// Right-looking elimination of the first rows of a symmetric matrix, upper triangle by rows: `UᵀU` in their place, and
/// what is left of the others behind them.
struct Eliminate<'a> {
    matrix: &'a mut [f64],
    size: usize,
    pivots: usize,
}

impl Kernel for Eliminate<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self {
            matrix,
            size,
            pivots,
        } = self;
        let mut first = 0;
        while first < pivots {
            let end = (first + BLOCK).min(pivots);
            for pivot in first..end {
                let (above, below) = matrix.split_at_mut((pivot + 1) * size);
                let row = &mut above[pivot * size..];
                // What cancellation left of a pivot is no curvature: its row's price stays.
                let root = if row[pivot] > 1e-30 { row[pivot].sqrt() } else { 1e100 };
                let scale = 1.0 / root;
                row[pivot] = root;
                row[pivot + 1..].iter_mut().for_each(|value| *value *= scale);
                for other in pivot + 1..end {
                    let out = &mut below[(other - pivot - 1) * size..(other - pivot) * size];
                    let factor = row[other];
                    for (value, from) in out[other..].iter_mut().zip(&row[other..]) {
                        *value -= factor * from;
                    }
                }
            }
            let (above, below) = matrix.split_at_mut(end * size);
            let rows = &above[first * size..];
            for (k, out) in below.chunks_exact_mut(size).enumerate() {
                let other = end + k;
                if end - first == BLOCK {
                    let factors: [f64; BLOCK] = std::array::from_fn(|p| rows[p * size + other]);
                    let from: [&[f64]; BLOCK] = std::array::from_fn(|p| {
                        &rows[p * size + other..(p + 1) * size]
                    });
                    let out = &mut out[other..];
                    let count = out.len();
                    let from = from.map(|row| &row[..count]);
                    for j in 0..count {
                        let mut sum = 0.0;
                        for p in 0..BLOCK {
                            sum += factors[p] * from[p][j];
                        }
                        out[j] -= sum;
                    }
                } else {
                    for p in 0..end - first {
                        let factor = rows[p * size + other];
                        let from = &rows[p * size + other..(p + 1) * size];
                        for (value, from) in out[other..].iter_mut().zip(from) {
                            *value -= factor * from;
                        }
                    }
                }
            }
            first = end;
        }
    }
}
