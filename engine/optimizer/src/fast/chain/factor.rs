//! The Newton system of each resource: factored, and its covariance found.

use super::super::lane::Lane;
use super::super::rows::{BEFORE, Curvature, UNMET, kinds};
use super::dynamics::{closed_loop, join, next_states, pull, push};
use super::pivots::Pivots;
use super::{Batch, Ports, RHO};

impl Batch {
    /// The Riccati sweep. With `Y` the curvature of the states after an interval, `R`, `N` and `M` those of its controls,
    /// of controls with later states and with `x′`, `y = A·x + B·w` the step of the chain:
    ///
    /// ```text
    /// Q  = R + N·B + (N·B)ᵀ + Bᵀ·Y·B
    /// K  = Q⁻¹·(N·A + Bᵀ·Y·A + M)            the controls answer the states with w = −K·x
    /// P′ = (A − B·K)ᵀ·Y·(A − B·K) + Kᵀ·R·K − …   a sum of squares: it stays positive where the textbook form cancels
    /// ```
    #[inline(always)]
    pub(super) fn factor_chain<const NX: usize, const NU: usize>(&mut self) {
        let horizon = self.hours.len();
        let mut row = self.limit.len();
        let mut later = [[Lane::ZERO; NX]; NX];
        for t in (0..horizon).rev() {
            let gains = self.gains(t);
            let mut own = Curvature::<NX, NU>::zero();
            row -= self.kinds[t].count_ones() as usize;
            for (k, of) in kinds(self.kinds[t]).enumerate() {
                let (slack, price) = (self.slack[row + k], self.price[row + k]);
                let weight = price / (slack + price * self.softness);
                own.add(of, weight, &gains);
            }
            for j in 0..NU {
                own.controls[j][j] += self.pinned[t * NU + j] + Lane::splat(RHO);
            }
            let mut states = own.states;
            for a in 0..NX {
                for b in 0..NX {
                    states[a][b] += later[a][b];
                }
            }
            let moved: [[Lane; NU]; NX] =
                std::array::from_fn(|a| pull::<NX, NU>(&states[a], &gains));
            let mut square = own.controls;
            for i in 0..NU {
                let crossed = pull::<NX, NU>(&own.cross[i], &gains);
                for j in 0..NU {
                    square[i][j] += crossed[j];
                    square[j][i] += crossed[j];
                }
            }
            for j in 0..NU {
                let column: [Lane; NX] = std::array::from_fn(|a| moved[a][j]);
                let pulled = pull::<NX, NU>(&column, &gains);
                for i in 0..NU {
                    square[i][j] += pulled[i];
                }
            }
            let pivots = Pivots::<NU>::of(&square);
            let mut feedback = [[Lane::ZERO; NX]; NU];
            for q in 0..NX {
                let column: [Lane; NU] = std::array::from_fn(|i| {
                    if q == BEFORE {
                        own.before[i]
                    } else {
                        own.cross[i][q] + moved[q][i]
                    }
                });
                let solved = pivots.solve(column);
                for i in 0..NU {
                    feedback[i][q] = solved[i];
                }
            }
            let closed = closed_loop::<NX, NU>(&feedback, &gains);
            later = join::<NX, NU>(&states, &own, &feedback, &closed);
            pivots.write(&mut self.pivots, t);
            for i in 0..NU {
                for q in 0..NX {
                    self.feedback[(t * NU + i) * NX + q] = feedback[i][q];
                }
            }
        }
        self.unmet_weight = later[UNMET][UNMET] + self.unmet_pinned;
        self.spread::<NX, NU>();
    }

    #[inline(always)]
    pub(super) fn read_feedback<const NX: usize, const NU: usize>(
        &self,
        t: usize,
    ) -> [[Lane; NX]; NU] {
        std::array::from_fn(|i| std::array::from_fn(|q| self.feedback[(t * NU + i) * NX + q]))
    }

    /// The covariance of the chain, forwards: what [`Ports`] lays out.
    #[inline(always)]
    fn spread<const NX: usize, const NU: usize>(&mut self) {
        let layout = Ports::of(self.shape);
        let stride = layout.stride();
        let mut states = [[Lane::ZERO; NX]; NX];
        states[UNMET][UNMET] = Lane::ONE / self.unmet_weight;
        for t in 0..self.hours.len() {
            let gains = self.gains(t);
            let feedback = self.read_feedback::<NX, NU>(t);
            let pivots = Pivots::<NU>::read(&self.pivots, t);
            let closed = closed_loop::<NX, NU>(&feedback, &gains);
            let out = &mut self.covariance[t * stride..(t + 1) * stride];
            let ports = if NU > 2 { 3 } else { 1 };
            let mut solved = [[Lane::ZERO; NU]; 3];
            let mut answers = [[Lane::ZERO; NX]; 3];
            for port in 0..ports {
                let mut unit = [Lane::ZERO; NU];
                if port == 0 {
                    unit[0] = Lane::ONE;
                    if NU > 1 {
                        unit[1] = -Lane::ONE;
                    }
                } else {
                    unit[(port + 1) % NU] = Lane::ONE;
                }
                solved[port] = pivots.solve(unit);
                answers[port] = std::array::from_fn(|q| {
                    let mut sum = Lane::ZERO;
                    for j in 0..NU {
                        sum += unit[j] * feedback[j][q];
                    }
                    sum
                });
                let mut with = [Lane::ZERO; NX];
                for (a, row) in states.iter().enumerate() {
                    for q in 0..NX {
                        with[a] += row[q] * answers[port][q];
                    }
                }
                let pushed = push::<NX, NU>(&solved[port], &gains);
                for a in 0..NX {
                    let mut sum = pushed[a];
                    for q in 0..NX {
                        sum -= closed[a][q] * with[q];
                    }
                    out[layout.answer(port, a)] = answers[port][a];
                    out[layout.with_state(port, a)] = sum;
                }
                for other in 0..=port {
                    let mut sum = Lane::ZERO;
                    for q in 0..NX {
                        sum += with[q] * answers[other][q];
                    }
                    for j in 0..NU {
                        sum += unit[j] * solved[other][j];
                    }
                    out[layout.own(port, other)] = sum;
                }
            }
            for to in 0..NX {
                for from in 0..NX {
                    out[layout.closed(to, from)] = closed[to][from];
                }
            }
            states = next_states::<NX, NU>(&states, &closed, &pivots, &gains);
        }
    }
}
