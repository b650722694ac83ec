//! The direction that answers forces and prices.

use super::super::lane::Lane;
use super::super::rows::{BEFORE, ENERGY, EXPORTED, Force, Point, UNMET, kinds};
use super::dynamics::{pull, push};
use super::pivots::Pivots;
use super::{Batch, excess, read};

impl Batch {
    /// `−q − Gᵀ·(aim + z·(r + δ·z))/(σ + δ·z)`, with `r = G·w + σ − h`.
    #[inline(always)]
    pub(super) fn gather_force<const NX: usize, const NU: usize>(&mut self) {
        let mut point = Point::<NU>::start(self.unmet);
        let mut row = 0;
        let mut unmet = -self.unmet_cost;
        let mut exported = Lane::ZERO;
        for t in 0..self.hours.len() {
            let gains = self.gains(t);
            point.advance(read(&self.controls, t), &gains);
            let mut force = Force::<NU>::zero();
            force.control(0, self.cost[t][0]);
            force.control(1, self.cost[t][1]);
            for of in kinds(self.kinds[t]) {
                let (slack, price) = (self.slack[row], self.price[row]);
                let off = excess(point.value(of, &gains), slack, self.limit[row]);
                let give = price * self.softness;
                let wanted = self.aim[row] + price * (off + give);
                force.add(of, wanted / (slack + give), &gains);
                row += 1;
            }
            let at = t * (NU + 2);
            for j in 0..NU {
                self.force[at + j] = -force.controls[j];
            }
            self.force[at + NU] = -force.energy;
            self.force[at + NU + 1] = -force.before;
            unmet -= force.unmet;
            exported -= force.exported;
        }
        self.force_unmet = unmet;
        self.force_exported = exported;
    }

    #[inline(always)]
    pub(super) fn solve_chain<const NX: usize, const NU: usize>(&mut self, anew: bool) {
        let horizon = self.hours.len();
        let ports = if NU > 2 { 3 } else { 1 };
        let mut pull_on = [Lane::ZERO; NX];
        if anew && NX > EXPORTED {
            pull_on[EXPORTED % NX] = self.force_exported;
        }
        for t in (0..horizon).rev() {
            let gains = self.gains(t);
            let feedback = self.read_feedback::<NX, NU>(t);
            let at = t * (NU + 2);
            let mut on: [Lane; NU] = [Lane::ZERO; NU];
            if anew {
                on.copy_from_slice(&self.force[at..at + NU]);
                pull_on[ENERGY] += self.force[at + NU];
            }
            let price = self.port_prices[t * ports];
            on[0] -= price;
            if NU > 1 {
                on[1] += price;
            }
            if NU > 2 {
                on[2 % NU] -= self.port_prices[t * ports + 1];
                on[3 % NU] -= self.port_prices[t * ports + 2];
            }
            let pulled = pull::<NX, NU>(&pull_on, &gains);
            for j in 0..NU {
                on[j] += pulled[j];
            }
            let free = Pivots::<NU>::read(&self.pivots, t).solve(on);
            for j in 0..NU {
                self.scratch[t * NU + j] = free[j];
            }
            if NX > BEFORE {
                pull_on[BEFORE % NX] = if anew {
                    self.force[at + NU + 1]
                } else {
                    Lane::ZERO
                };
            }
            for q in 0..NX {
                for i in 0..NU {
                    pull_on[q] -= feedback[i][q] * on[i];
                }
            }
        }
        let mut unmet_by = pull_on[UNMET];
        if anew {
            unmet_by += self.force_unmet;
        }
        unmet_by = unmet_by / self.unmet_weight;
        self.unmet_by = if anew {
            unmet_by
        } else {
            self.unmet_by + unmet_by
        };
        let mut states = [Lane::ZERO; NX];
        states[UNMET] = unmet_by;
        for t in 0..horizon {
            let gains = self.gains(t);
            let feedback = self.read_feedback::<NX, NU>(t);
            let mut controls = [Lane::ZERO; NU];
            for j in 0..NU {
                let mut sum = self.scratch[t * NU + j];
                for q in 0..NX {
                    sum -= feedback[j][q] * states[q];
                }
                controls[j] = sum;
                let by = &mut self.by[t * NU + j];
                *by = if anew { sum } else { *by + sum };
            }
            let pushed = push::<NX, NU>(&controls, &gains);
            for q in 0..NX {
                states[q] = if q == BEFORE {
                    pushed[q]
                } else {
                    states[q] + pushed[q]
                };
            }
        }
    }
}
