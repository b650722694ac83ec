//! One interval's step of the chain: `y = A·x + B·w`, and what feedback makes of it.

use super::super::lane::Lane;
use super::super::rows::{BEFORE, Curvature, ENERGY, EXPORTED, Gains, UNMET};
use super::pivots::Pivots;

/// `Bᵀ·states`
#[inline(always)]
pub(super) fn pull<const NX: usize, const NU: usize>(
    states: &[Lane; NX],
    gains: &Gains,
) -> [Lane; NU] {
    let mut controls = [Lane::ZERO; NU];
    controls[0] = gains.charge * states[ENERGY];
    if NX > BEFORE {
        controls[0] += states[BEFORE % NX];
    }
    if NU > 1 {
        controls[1] = -gains.discharge * states[ENERGY];
        if NX > EXPORTED {
            controls[1] += states[EXPORTED % NX] * gains.hours - states[BEFORE % NX];
        }
    }
    controls
}

/// `B·controls`
#[inline(always)]
pub(super) fn push<const NX: usize, const NU: usize>(
    controls: &[Lane; NU],
    gains: &Gains,
) -> [Lane; NX] {
    let discharge = if NU > 1 { controls[1 % NU] } else { Lane::ZERO };
    let mut states = [Lane::ZERO; NX];
    states[ENERGY] = gains.charge * controls[0] - gains.discharge * discharge;
    if NX > EXPORTED {
        states[BEFORE % NX] = controls[0] - discharge;
        states[EXPORTED % NX] = discharge * gains.hours;
    }
    states
}

/// `A − B·K`
#[inline(always)]
pub(super) fn closed_loop<const NX: usize, const NU: usize>(
    feedback: &[[Lane; NX]; NU],
    gains: &Gains,
) -> [[Lane; NX]; NX] {
    let mut closed = [[Lane::ZERO; NX]; NX];
    for q in 0..NX {
        let column: [Lane; NU] = std::array::from_fn(|j| feedback[j][q]);
        let pushed = push::<NX, NU>(&column, gains);
        for a in 0..NX {
            closed[a][q] = -pushed[a];
        }
        if q != BEFORE {
            closed[q][q] += Lane::ONE;
        }
    }
    closed
}

/// The curvature of the states before an interval, as a sum of squares.
#[inline(always)]
pub(super) fn join<const NX: usize, const NU: usize>(
    states: &[[Lane; NX]; NX],
    own: &Curvature<NX, NU>,
    feedback: &[[Lane; NX]; NU],
    closed: &[[Lane; NX]; NX],
) -> [[Lane; NX]; NX] {
    // Y·(A − B·K), then R·K − N·(A − B·K), which meet (A − B·K) and K.
    let mut carried = [[Lane::ZERO; NX]; NX];
    let mut held = [[Lane::ZERO; NX]; NU];
    let mut crossed = [[Lane::ZERO; NX]; NU];
    for b in 0..NX {
        for a in 0..NX {
            for r in 0..NX {
                carried[a][b] += states[a][r] * closed[r][b];
            }
        }
        for i in 0..NU {
            for j in 0..NU {
                held[i][b] += own.controls[i][j] * feedback[j][b];
            }
            if NU > 2 {
                for r in 0..NX {
                    crossed[i][b] += own.cross[i][r] * closed[r][b];
                }
            }
        }
    }
    let mut joined = [[Lane::ZERO; NX]; NX];
    for a in 0..NX {
        for b in 0..=a {
            let mut sum = Lane::ZERO;
            for r in 0..NX {
                sum += closed[r][a] * carried[r][b];
            }
            for i in 0..NU {
                sum += feedback[i][a] * held[i][b];
                if NU > 2 {
                    sum -= feedback[i][a] * crossed[i][b] + feedback[i][b] * crossed[i][a];
                }
                if NX > BEFORE {
                    if a == BEFORE {
                        sum -= feedback[i][b] * own.before[i];
                    }
                    if b == BEFORE {
                        sum -= feedback[i][a] * own.before[i];
                    }
                }
            }
            if a == BEFORE && b == BEFORE {
                sum += own.before_itself;
            }
            joined[a][b] = sum;
            joined[b][a] = sum;
        }
        joined[a][a] = joined[a][a].max(Lane::ZERO);
    }
    joined
}

/// The states' covariance one interval on: `(A − B·K)·Σ·(A − B·K)ᵀ + B·Q⁻¹·Bᵀ`.
#[inline(always)]
pub(super) fn next_states<const NX: usize, const NU: usize>(
    states: &[[Lane; NX]; NX],
    closed: &[[Lane; NX]; NX],
    pivots: &Pivots<NU>,
    gains: &Gains,
) -> [[Lane; NX]; NX] {
    let mut next = [[Lane::ZERO; NX]; NX];
    for a in 0..NX {
        let mut unit = [Lane::ZERO; NX];
        unit[a] = Lane::ONE;
        let mut fresh = [Lane::ZERO; NX];
        if a != UNMET {
            let solved = pivots.solve(pull::<NX, NU>(&unit, gains));
            fresh = push::<NX, NU>(&solved, gains);
        }
        let mut carried = [Lane::ZERO; NX];
        for q in 0..NX {
            for r in 0..NX {
                carried[q] += closed[a][r] * states[r][q];
            }
        }
        for b in 0..=a {
            let mut sum = fresh[b];
            for q in 0..NX {
                sum += carried[q] * closed[b][q];
            }
            next[a][b] = sum;
            next[b][a] = sum;
        }
    }
    next
}
