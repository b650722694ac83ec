//! Dense elimination of a front's rows.

use super::super::lane::{Kernel, multiply_add};
use crate::stop::Stop;

/// Rows eliminated together, so that what they change is read and written once.
const BLOCK: usize = 8;

/// Right-looking elimination of a front's rows: `Uᵀ·±1·U` in their place, and in the ports' covariance what is left of it.
pub(super) struct Eliminate<'a> {
    /// Rows against rows (upper triangle), then against ports.
    pub(super) rows: &'a mut [f64],
    pub(super) pivots: usize,
    /// The first pivots, which are positive; the others are negative.
    pub(super) positive: usize,
    /// Ports against ports: lower triangle by rows.
    pub(super) covariance: &'a mut [f64],
    pub(super) ports: usize,
    pub(super) stop: &'a Stop<'a>,
}

impl Kernel for Eliminate<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const FUSED: bool>(self) {
        let Self {
            rows: matrix,
            pivots,
            positive,
            covariance,
            ports,
            stop,
        } = self;
        let size = pivots + ports;
        let sign = |pivot: usize| if pivot < positive { 1.0 } else { -1.0 };
        let mut first = 0;
        while first < pivots && !stop.now() {
            let end = (first + BLOCK).min(pivots);
            for pivot in first..end {
                let (above, below) = matrix.split_at_mut((pivot + 1) * size);
                let row = &mut above[pivot * size..];
                // What cancellation left of a pivot is no curvature: its row's price stays.
                let curvature = sign(pivot) * row[pivot];
                let root = if curvature > 1e-30 {
                    curvature.sqrt()
                } else {
                    1e100
                };
                let scale = sign(pivot) / root;
                row[pivot] = root;
                row[pivot + 1..]
                    .iter_mut()
                    .for_each(|value| *value *= scale);
                for other in pivot + 1..end {
                    let out = &mut below[(other - pivot - 1) * size..(other - pivot) * size];
                    let factor = -sign(pivot) * row[other];
                    take::<FUSED>(&mut out[other..], factor, &row[other..]);
                }
            }
            let (above, below) = matrix.split_at_mut(end * size);
            let rows = &above[first * size..];
            let block = Block {
                rows,
                size,
                count: end - first,
                signs: std::array::from_fn(|p| -sign(first + p)),
            };
            for (k, out) in below.chunks_exact_mut(size).enumerate() {
                if stop.now_at(k) {
                    return;
                }
                let other = end + k;
                block.take_from::<FUSED>(&mut out[other..], other, other);
            }
            for port in 0..ports {
                if stop.now_at(port) {
                    return;
                }
                let out = &mut covariance[port * ports..port * ports + port + 1];
                block.take_from::<FUSED>(out, pivots, pivots + port);
            }
            first = end;
        }
    }
}

/// Rows that have been eliminated together.
struct Block<'a> {
    rows: &'a [f64],
    size: usize,
    count: usize,
    signs: [f64; BLOCK],
}

impl Block<'_> {
    /// Takes what the block explains from a part of the row of `column`, which begins at column `first`.
    #[inline(always)]
    fn take_from<const FUSED: bool>(&self, out: &mut [f64], first: usize, column: usize) {
        let (rows, size) = (self.rows, self.size);
        let factor = |p: usize| self.signs[p] * rows[p * size + column];
        if self.count < BLOCK {
            for p in 0..self.count {
                take::<FUSED>(out, factor(p), &rows[p * size + first..]);
            }
            return;
        }
        let factors: [f64; BLOCK] = std::array::from_fn(factor);
        let count = out.len();
        let from: [&[f64]; BLOCK] =
            std::array::from_fn(|p| &rows[p * size + first..p * size + first + count]);
        for j in 0..count {
            // In two sums, so that they need not wait for each other.
            let (mut sum, mut other) = (out[j], 0.0);
            for p in 0..BLOCK / 2 {
                sum = multiply_add::<FUSED>(factors[2 * p], from[2 * p][j], sum);
                other = multiply_add::<FUSED>(factors[2 * p + 1], from[2 * p + 1][j], other);
            }
            out[j] = sum + other;
        }
    }
}

#[inline(always)]
fn take<const FUSED: bool>(out: &mut [f64], factor: f64, from: &[f64]) {
    for (value, from) in out.iter_mut().zip(from) {
        *value = multiply_add::<FUSED>(factor, *from, *value);
    }
}
