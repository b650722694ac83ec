//! Dense elimination of a front's rows.

use super::super::lane::Kernel;

/// Rows eliminated together, so that what they change is read and written once.
const BLOCK: usize = 8;

/// Right-looking elimination of the first rows of a symmetric matrix, upper triangle by rows: `Uᵀ·±1·U` in their place,
/// and what is left of the others behind them.
pub(super) struct Eliminate<'a> {
    pub(super) matrix: &'a mut [f64],
    pub(super) size: usize,
    pub(super) pivots: usize,
    /// The first pivots, which are positive; the others are negative.
    pub(super) positive: usize,
}

impl Kernel for Eliminate<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self {
            matrix,
            size,
            pivots,
            positive,
        } = self;
        let sign = |pivot: usize| if pivot < positive { 1.0 } else { -1.0 };
        let mut first = 0;
        while first < pivots {
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
                    let factor = sign(pivot) * row[other];
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
                    let factors: [f64; BLOCK] =
                        std::array::from_fn(|p| sign(first + p) * rows[p * size + other]);
                    let from: [&[f64]; BLOCK] =
                        std::array::from_fn(|p| &rows[p * size + other..(p + 1) * size]);
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
                        let factor = sign(first + p) * rows[p * size + other];
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
