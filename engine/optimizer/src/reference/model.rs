//! Resources as columns and rows: the part of the program that falls apart into one block for each resource.
//!
//! Letters as in the formulas: charge `c`, discharge `d`, net draw `x = c − d`, stored energy gained `E`, regulation
//! held up `u` and down `v`, efficiencies `η`, unmet departure energy `s`, sustained hours `k`, interval length `dt`.
//!
//! Rows that cannot bind are left out. Whether one can is seen from bounds: `c` and `d` are bounded by what the net
//! draw can reach, so `E` lies between the sums of both extremes; where those keep a limit, so does every schedule.

use super::lp::{Lp, Term};
use crate::frame::Frame;
use crate::limits::OwnLimits;
use crate::problem::Resource;
use crate::reach::{EnergyReach, EnergyRows, IMPLIED};
use crate::repair::SustainLoss;

/// The columns of one resource, one entry for each interval.
pub(super) struct Block {
    pub(super) charge: Vec<Term>,
    pub(super) discharge: Vec<Term>,
    pub(super) up: Vec<Term>,
    pub(super) down: Vec<Term>,
}

impl Block {
    pub(super) fn new(frame: &Frame<'_>, lp: &mut Lp, i: usize) -> Self {
        let mut builder = Builder {
            lp,
            resource: &frame.problem.resources[i],
            limits: &frame.limits[i],
            dt: &frame.problem.intervals_h,
            reach: EnergyReach::new(
                &frame.problem.resources[i],
                &frame.limits[i],
                &frame.problem.intervals_h,
            ),
        };
        let (charge, discharge) = builder.power();
        let mut block = Self {
            up: vec![Term::default(); charge.len()],
            down: vec![Term::default(); charge.len()],
            charge,
            discharge,
        };
        let mut needed = builder.reach.rows.clone();
        builder.regulation(frame, i, &mut block, &mut needed);
        builder.energy(frame, i, &block, &needed);
        builder.ramps(&block);
        builder.throughput(&block);
        block
    }
}

struct Builder<'a> {
    lp: &'a mut Lp,
    resource: &'a Resource,
    limits: &'a OwnLimits,
    dt: &'a [f64],
    reach: EnergyReach,
}

impl Builder<'_> {
    /// `0 ≤ c ≤ C`, `0 ≤ d ≤ D`, with `C` and `D` cut to the net draw within reach. A forced draw is a lower bound.
    /// Paid for each kWh: `price` drawn, `wear − feed-in` exported, and the value of what is held at the end.
    fn power(&mut self) -> (Vec<Term>, Vec<Term>) {
        let r = self.resource;
        let (mut charge, mut discharge) = (Vec::new(), Vec::new());
        for (t, &dt) in self.dt.iter().enumerate() {
            let (low, high) = (self.limits.reach_low_kw[t], self.reach.high_kw[t]);
            let kept = r.terminal_value * r.charge_efficiency;
            let spent = r.terminal_value / r.discharge_efficiency;
            let drawn = (r.energy_price[t] - kept) * dt;
            let exported = (r.wear - r.feed_in_price[t] + spent) * dt;
            charge.push(self.lp.term(low.max(0.0), high.max(0.0), drawn));
            discharge.push(self.lp.term((-high).max(0.0), (-low).max(0.0), exported));
        }
        (charge, discharge)
    }

    /// Columns `u` and `v`, where regulation is asked for, with their headroom:
    ///
    /// ```text
    /// x − u ≥ P_min,  x + v ≤ P_max
    /// ```
    ///
    /// and which rows keep them up for `k` hours:
    ///
    /// ```text
    /// E − g_up·u + s ≥ E_min     g_up   = k/η_d where it can export, else η_c·min(k, dt)
    /// E + g_down·v ≤ E_max       g_down = k/η_d where it can export, else k·η_c
    /// ```
    ///
    /// What is exported comes out of the battery for the full `k` hours. What is only not charged is missing as long as
    /// it would have been charged: in this interval, whose schedule `E` contains it, for `dt` at most; in the next,
    /// that interval's own row counts. So a battery with nothing in it that is charging may offer all of that, and one at
    /// the last moment for its departure may not.
    ///
    /// A resource that can export would give up charging first, and stop discharging first before it charges. Its
    /// rows count the greater loss for all of its regulation, on the safe side in both directions: the exact split
    /// rewards a plan that charges and discharges at once, which cannot be carried out.
    fn regulation(
        &mut self,
        frame: &Frame<'_>,
        i: usize,
        block: &mut Block,
        needed: &mut [EnergyRows],
    ) {
        let Some(holding) = frame.regulation[i] else {
            return;
        };
        for (t, needed) in needed.iter_mut().enumerate() {
            let (up_asked, down_asked) = frame.regulation_asked_kw(i, t);
            let (low, high) = (self.limits.low_kw[t], self.limits.high_kw[t]);
            if high - low <= IMPLIED {
                continue;
            }
            let loss =
                SustainLoss::new(self.resource, self.limits, holding.sustain_h, self.dt[t], t);
            let (charge, discharge) = (block.charge[t], block.discharge[t]);
            if up_asked > 0.0 {
                block.up[t] = self.lp.term(0.0, f64::INFINITY, 0.0);
                needed.sustain_up = self.resource.energy_min_kwh[t].is_finite() && loss.up > 0.0;
                self.lp.at_most(
                    &[(1.0, block.up[t]), (-1.0, charge), (1.0, discharge)],
                    -low,
                );
            }
            if down_asked > 0.0 {
                block.down[t] = self.lp.term(0.0, f64::INFINITY, 0.0);
                let most = self.reach.highest_kwh[t] + loss.down * (high - low);
                needed.sustain_down = most > self.limits.energy_max_kwh[t] + IMPLIED;
                self.lp.at_most(
                    &[(1.0, block.down[t]), (1.0, charge), (-1.0, discharge)],
                    high,
                );
            }
        }
    }

    /// The energy balance between the intervals that need it, and the rows on it:
    ///
    /// ```text
    /// E[t] = E[before] + Σ (η_c·c − d/η_d)·dt      over the intervals since then
    /// E_min ≤ E + s,  E ≤ E_max,                   and the two of `regulation`
    /// ```
    ///
    /// `s` is one column for the whole horizon: a vehicle that left short stays short, so what counts is the greatest
    /// lack, and lacks of several intervals are not added up.
    fn energy(&mut self, frame: &Frame<'_>, i: usize, block: &Block, needed: &[EnergyRows]) {
        let r = self.resource;
        let unmet = if needed.iter().any(|rows| rows.lower) {
            self.lp
                .term(0.0, f64::INFINITY, frame.problem.penalties.unmet_energy)
        } else {
            Term::default()
        };
        let mut balance = Vec::new();
        for (t, rows) in needed.iter().enumerate() {
            balance.push((r.charge_efficiency * self.dt[t], block.charge[t]));
            balance.push((-self.dt[t] / r.discharge_efficiency, block.discharge[t]));
            if !(rows.lower || rows.upper || rows.sustain_up || rows.sustain_down) {
                continue;
            }
            let cap = self.limits.energy_max_kwh[t];
            let bound = if rows.upper { cap } else { f64::INFINITY };
            let energy = self.lp.free_below(bound);
            balance.push((-1.0, energy));
            let _ = self.lp.equal(&balance, 0.0);
            balance = vec![(1.0, energy)];

            let need = r.energy_min_kwh[t];
            let sustain_h = frame.regulation[i].map_or(0.0, |holding| holding.sustain_h);
            let loss = SustainLoss::new(r, self.limits, sustain_h, self.dt[t], t);
            if rows.sustain_up {
                let kept = [(loss.up, block.up[t]), (-1.0, energy), (-1.0, unmet)];
                self.lp.at_most(&kept, -need);
            } else if rows.lower {
                self.lp.at_most(&[(-1.0, energy), (-1.0, unmet)], -need);
            }
            if rows.sustain_down {
                self.lp
                    .at_most(&[(1.0, energy), (loss.down, block.down[t])], cap);
            }
        }
    }

    /// `−ramp·dt ≤ x[t] − x[t−1] ≤ ramp·dt`; the first interval is in the bounds already.
    fn ramps(&mut self, block: &Block) {
        for t in 1..self.dt.len() {
            let step = self.limits.step_kw[t];
            let (low, high) = (&self.limits.reach_low_kw, &self.limits.reach_high_kw);
            let rise = [
                (1.0, block.charge[t]),
                (-1.0, block.discharge[t]),
                (-1.0, block.charge[t - 1]),
                (1.0, block.discharge[t - 1]),
            ];
            if high[t] - low[t - 1] > step + IMPLIED {
                self.lp.at_most(&rise, step);
            }
            if high[t - 1] - low[t] > step + IMPLIED {
                self.lp
                    .at_most(&rise.map(|(factor, term)| (-factor, term)), step);
            }
        }
    }

    /// `Σ d·dt ≤ warranty throughput`
    fn throughput(&mut self, block: &Block) {
        let most: f64 = self
            .limits
            .reach_low_kw
            .iter()
            .zip(self.dt)
            .map(|(x, dt)| (-x).max(0.0) * dt)
            .sum();
        if most > self.limits.throughput_kwh + IMPLIED {
            let terms: Vec<(f64, Term)> = self
                .dt
                .iter()
                .copied()
                .zip(block.discharge.iter().copied())
                .collect();
            self.lp.at_most(&terms, self.limits.throughput_kwh);
        }
    }
}
