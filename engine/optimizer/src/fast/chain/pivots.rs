//! Factors of the few controls of one interval.

use super::super::lane::Lane;
use super::{CANCELLED, PINNED};

/// `L·D·Lᵀ` of the controls' curvature: below the diagonal `L`, on it `1/D`.
#[derive(Clone, Copy)]
pub(super) struct Pivots<const NU: usize>([[Lane; NU]; NU]);

impl<const NU: usize> Pivots<NU> {
    #[inline(always)]
    pub(super) fn of(square: &[[Lane; NU]; NU]) -> Self {
        let mut factor = [[Lane::ZERO; NU]; NU];
        let mut pivot = [Lane::ZERO; NU];
        for j in 0..NU {
            let mut left = square[j][j];
            for k in 0..j {
                left -= factor[j][k] * factor[j][k] * pivot[k];
            }
            let least = square[j][j] * CANCELLED;
            pivot[j] = left.zip(
                least,
                |left, least| {
                    if left > least { left } else { PINNED }
                },
            );
            factor[j][j] = Lane::ONE / pivot[j];
            for i in j + 1..NU {
                let mut sum = square[i][j];
                for k in 0..j {
                    sum -= factor[i][k] * factor[j][k] * pivot[k];
                }
                factor[i][j] = sum * factor[j][j];
            }
        }
        Self(factor)
    }

    #[inline(always)]
    pub(super) fn write(&self, series: &mut [Lane], t: usize) {
        let mut at = t * NU * (NU + 1) / 2;
        for j in 0..NU {
            for k in 0..=j {
                series[at] = self.0[j][k];
                at += 1;
            }
        }
    }

    #[inline(always)]
    pub(super) fn read(series: &[Lane], t: usize) -> Self {
        let mut factor = [[Lane::ZERO; NU]; NU];
        let mut at = t * NU * (NU + 1) / 2;
        for j in 0..NU {
            for k in 0..=j {
                factor[j][k] = series[at];
                at += 1;
            }
        }
        Self(factor)
    }

    #[inline(always)]
    pub(super) fn solve(&self, mut values: [Lane; NU]) -> [Lane; NU] {
        for j in 0..NU {
            for k in 0..j {
                let known = values[k];
                values[j] -= self.0[j][k] * known;
            }
        }
        for (j, value) in values.iter_mut().enumerate() {
            *value = *value * self.0[j][j];
        }
        for j in (0..NU).rev() {
            for k in j + 1..NU {
                let known = values[k];
                values[j] -= self.0[k][j] * known;
            }
        }
        values
    }
}
