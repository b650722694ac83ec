//! A small symmetric system, in place: as large as the number of groups whose price moves.

/// Solves `A·x = b` for a positive definite `A` (row by row) by Cholesky's method; `x` takes the place of `b`.
/// A pivot that rounding has made nothing counts as one that cannot move: its `x` is 0.
pub(super) fn solve_in_place(a: &mut [f64], b: &mut [f64]) {
    let n = b.len();
    for j in 0..n {
        let mut pivot = a[j * n + j];
        for k in 0..j {
            pivot -= a[j * n + k] * a[j * n + k];
        }
        let root = if pivot > 0.0 {
            pivot.sqrt()
        } else {
            f64::INFINITY
        };
        a[j * n + j] = root;
        for i in j + 1..n {
            let mut value = a[i * n + j];
            for k in 0..j {
                value -= a[i * n + k] * a[j * n + k];
            }
            a[i * n + j] = value / root;
        }
    }
    for i in 0..n {
        for k in 0..i {
            b[i] -= a[i * n + k] * b[k];
        }
        b[i] /= a[i * n + i];
    }
    for i in (0..n).rev() {
        for k in i + 1..n {
            b[i] -= a[k * n + i] * b[k];
        }
        b[i] /= a[i * n + i];
    }
}

#[cfg(test)]
mod tests {
    use super::solve_in_place;

    #[test]
    fn a_system_by_hand() {
        // 4x + 2y = 10, 2x + 3y = 11
        let (mut a, mut b) = ([4.0, 2.0, 2.0, 3.0], [10.0, 11.0]);
        solve_in_place(&mut a, &mut b);
        assert!(
            (b[0] - 1.0).abs() < 1e-12 && (b[1] - 3.0).abs() < 1e-12,
            "{b:?}"
        );
    }

    #[test]
    fn what_cannot_move_stays() {
        let (mut a, mut b) = ([0.0, 0.0, 0.0, 2.0], [5.0, 4.0]);
        solve_in_place(&mut a, &mut b);
        assert!(b[0].abs() < 1e-12 && (b[1] - 2.0).abs() < 1e-12, "{b:?}");
    }
}
