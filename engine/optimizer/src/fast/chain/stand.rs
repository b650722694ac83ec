//! Where a point stands: cost, complementarity, residuals, and what those can be worth.

use super::super::lane::Lane;
use super::super::rows::{Force, Point, kind, kinds};
use super::{Batch, Standing, excess, read};

impl Batch {
    #[inline(always)]
    pub(super) fn take_stand<const NX: usize, const NU: usize>(&mut self) -> Standing {
        let mut point = Point::<NU>::start(self.unmet);
        let (mut cost, mut both, mut rows, mut off, mut worth) = (
            self.unmet_cost * self.unmet,
            Lane::ZERO,
            Lane::ZERO,
            Lane::ZERO,
            Lane::ZERO,
        );
        let horizon = self.hours.len();
        let mut row = 0;
        // Forwards: the rows' forces, kept for the sweep back.
        for t in 0..horizon {
            let gains = self.gains(t);
            point.advance(read(&self.controls, t), &gains);
            cost += self.cost[t][0] * point.control(0) + self.cost[t][1] * point.control(1);
            let mut force = Force::<NU>::zero();
            for of in kinds(self.kinds[t]) {
                let (slack, price) = (self.slack[row], self.price[row]);
                let present = self.present[row];
                let by = present * excess(point.value(of, &gains), slack, self.limit[row]);
                both += slack * price;
                rows += present;
                off = off.max(by.abs());
                worth += by * price;
                force.add(of, price, &gains);
                row += 1;
            }
            let at = t * (NU + 2);
            for j in 0..NU {
                self.force[at + j] = force.controls[j];
            }
            self.force[at + NU] = force.energy;
            self.force[at + NU + 1] = force.before;
            self.force_unmet = if t == 0 {
                force.unmet
            } else {
                self.force_unmet + force.unmet
            };
            self.force_exported = force.exported;
        }
        let (dual_off, dual_slack) = self.price_residuals::<NX, NU>();
        Standing {
            cost: cost.total(),
            complementarity: both.total(),
            rows: rows.total(),
            primal_off: off.greatest(),
            dual_off,
            dual_slack,
            primal_slack: worth.total(),
        }
    }

    /// Backwards: what is left of each control's price, from the forces that `take_stand` gathered.
    #[inline(always)]
    fn price_residuals<const NX: usize, const NU: usize>(&mut self) -> (f64, f64) {
        let ports = if NU > 2 { 3 } else { 1 };
        let mut energy = Lane::ZERO;
        let mut before = Lane::ZERO;
        let unmet = (self.unmet_cost + self.force_unmet).zip(self.unmet_pinned, |left, pinned| {
            if pinned > 0.0 { 0.0 } else { left }
        });
        let mut worst = unmet.abs();
        let mut total = (-unmet).max(Lane::ZERO) * self.unmet_most;
        let mut row = self.limit.len();
        for t in (0..self.hours.len()).rev() {
            row -= self.kinds[t].count_ones() as usize;
            let gains = self.gains(t);
            let at = t * (NU + 2);
            energy += self.force[at + NU];
            let price = self.port_prices[t * ports];
            let net = price + before;
            let mut residual = [Lane::ZERO; NU];
            residual[0] = self.force[at] + self.cost[t][0] + net + energy * gains.charge;
            if NU > 1 {
                residual[1] = self.force[at + 1] + self.cost[t][1] - net - energy * gains.discharge
                    + self.force_exported * gains.hours;
            }
            if NU > 2 {
                residual[2 % NU] = self.force[at + 2] + self.port_prices[t * ports + 1];
                residual[3 % NU] = self.force[at + 3] + self.port_prices[t * ports + 2];
            }
            before = self.force[at + NU + 1];
            let range = self.ranges::<NU>(t, row);
            for j in 0..NU {
                let free = self.pinned[t * NU + j].map(|p| if p > 0.0 { 0.0 } else { 1.0 });
                let left = residual[j].abs() * free;
                worst = worst.max(left);
                total += left * range[j];
            }
        }
        (worst.greatest(), total.total())
    }

    /// The width of each control's range, from its bounds; that of regulation from its headroom at the most.
    #[inline(always)]
    fn ranges<const NU: usize>(&self, t: usize, first: usize) -> [Lane; NU] {
        let mut range = [Lane::ZERO; NU];
        for (k, of) in kinds(self.kinds[t]).enumerate() {
            let limit = self.limit[first + k] * self.present[first + k];
            match of {
                kind::CHARGE_LEAST | kind::CHARGE_MOST => range[0] += limit,
                kind::DISCHARGE_LEAST | kind::DISCHARGE_MOST if NU > 1 => range[1 % NU] += limit,
                kind::HEADROOM_UP if NU > 2 => {
                    range[2 % NU] = limit + self.controls[t * NU] + range[0];
                }
                kind::HEADROOM_DOWN if NU > 2 => {
                    range[3 % NU] = limit + self.controls[t * NU + 1] + range[1 % NU];
                }
                _ => {}
            }
        }
        range
    }
}
