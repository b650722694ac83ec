//! Resources as columns and rows: the part of the program that falls apart into one block for each resource.
//!
//! Letters as in the formulas: charge `c`, discharge `d`, net draw `x = c − d`, stored energy gained `E`, regulation
//! held up `u` and down `v`, efficiencies `η`, unmet departure energy `s`, sustained hours `k`, interval length `dt`.
//!
//! Rows that cannot bind are left out. Whether one can is seen from bounds: `c` and `d` are bounded by what the net
//! draw can reach, so `E` lies between the sums of both extremes; where those keep a limit, so does every schedule.

use super::lp::{Lp, Term};
use crate::frame::Frame;
use crate::limits::{OwnLimits, net_for_stored_kw, stored_kwh};
use crate::problem::Resource;
use crate::repair::SustainLoss;

/// Closer than this counts as implied, kWh or kW. Far below the tolerance of any solver.
const IMPLIED: f64 = 1e-9;

/// The columns of one resource, one entry for each interval.
pub(super) struct Block {
    pub(super) charge: Vec<Term>,
    pub(super) discharge: Vec<Term>,
    pub(super) up: Vec<Term>,
    pub(super) down: Vec<Term>,
}

/// Which rows on stored energy are needed at the end of an interval.
#[derive(Clone, Copy, Default)]
struct EnergyRows {
    lower: bool,
    upper: bool,
    sustain_up: bool,
    sustain_down: bool,
}

impl Block {
    pub(super) fn new(frame: &Frame<'_>, lp: &mut Lp, i: usize) -> Self {
        let mut builder = Builder {
            lp,
            resource: &frame.problem.resources[i],
            limits: &frame.limits[i],
            dt: &frame.problem.intervals_h,
            high_kw: frame.limits[i].reach_high_kw.clone(),
        };
        builder.cut_to_energy();
        let highest = builder.highest_energy();
        let (charge, discharge) = builder.power();
        let mut block = Self {
            up: vec![Term::default(); charge.len()],
            down: vec![Term::default(); charge.len()],
            charge,
            discharge,
        };
        let mut needed = builder.energy_rows(&highest);
        builder.regulation(frame, i, &mut block, &mut needed, &highest);
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
    /// Highest net draw that energy leaves within reach.
    high_kw: Vec<f64>,
}

impl Builder<'_> {
    /// Battery-side energy that interval `t` gains at the lowest and at the highest net draw within reach.
    fn gains(&self, t: usize) -> (f64, f64) {
        let gain = |net| stored_kwh(self.resource, net, self.dt[t]);
        (gain(self.limits.reach_low_kw[t]), gain(self.high_kw[t]))
    }

    /// The most energy that any schedule can hold at the end of each interval.
    fn highest_energy(&self) -> Vec<f64> {
        let mut energy = 0.0_f64;
        (0..self.dt.len())
            .map(|t| {
                energy = (energy + self.gains(t).1).min(self.limits.energy_max_kwh[t]);
                energy
            })
            .collect()
    }

    /// Where nothing can discharge, what is charged stays, so a full battery bounds the power: a bound costs less than
    /// a row.
    fn cut_to_energy(&mut self) {
        if self.limits.reach_low_kw.iter().any(|&low| low < 0.0) {
            return;
        }
        let mut least = 0.0;
        for (t, &dt) in self.dt.iter().enumerate() {
            let room = self.limits.energy_max_kwh[t] - least;
            let low = self.limits.reach_low_kw[t];
            let fills = net_for_stored_kw(self.resource, room, dt);
            self.high_kw[t] = self.high_kw[t].min(fills).max(low);
            least += stored_kwh(self.resource, low, dt);
        }
    }

    /// `0 ≤ c ≤ C`, `0 ≤ d ≤ D`, with `C` and `D` cut to the net draw within reach. A forced draw is a lower bound.
    /// Paid for each kWh: `price` drawn, `wear − feed-in` exported, and the value of what is held at the end.
    fn power(&mut self) -> (Vec<Term>, Vec<Term>) {
        let r = self.resource;
        let (mut charge, mut discharge) = (Vec::new(), Vec::new());
        for (t, &dt) in self.dt.iter().enumerate() {
            let (low, high) = (self.limits.reach_low_kw[t], self.high_kw[t]);
            let kept = r.terminal_value * r.charge_efficiency;
            let spent = r.terminal_value / r.discharge_efficiency;
            let drawn = (r.energy_price[t] - kept) * dt;
            let exported = (r.wear - r.feed_in_price[t] + spent) * dt;
            charge.push(self.lp.term(low.max(0.0), high.max(0.0), drawn));
            discharge.push(self.lp.term((-high).max(0.0), (-low).max(0.0), exported));
        }
        (charge, discharge)
    }

    /// Which of `E_min ≤ E + s` and `E ≤ E_max` neither bounds nor the same limit one interval earlier or later imply.
    fn energy_rows(&self, highest: &[f64]) -> Vec<EnergyRows> {
        let horizon = self.dt.len();
        let (need, cap) = (&self.resource.energy_min_kwh, &self.limits.energy_max_kwh);
        let mut rows = vec![EnergyRows::default(); horizon];
        let (mut sure, mut before) = (0.0_f64, 0.0);
        for t in 0..horizon {
            let (falls, rises) = self.gains(t);
            sure += falls;
            rows[t].lower = need[t] > sure + IMPLIED;
            sure = sure.max(need[t]);
            rows[t].upper = before + rises > cap[t] + IMPLIED;
            before = highest[t];
        }
        let (mut need_later, mut cap_later) = (f64::NEG_INFINITY, f64::INFINITY);
        for t in (0..horizon).rev() {
            rows[t].lower &= need_later <= need[t] + IMPLIED;
            rows[t].upper &= cap_later >= cap[t] - IMPLIED;
            let (falls, rises) = self.gains(t);
            need_later = need_later.max(need[t]) - rises;
            cap_later = cap_later.min(cap[t]) - falls;
        }
        rows
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
        highest: &[f64],
    ) {
        let Some(holding) = frame.regulation[i] else {
            return;
        };
        for t in 0..self.dt.len() {
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
                needed[t].sustain_up = self.resource.energy_min_kwh[t].is_finite() && loss.up > 0.0;
                self.lp.at_most(
                    &[(1.0, block.up[t]), (-1.0, charge), (1.0, discharge)],
                    -low,
                );
            }
            if down_asked > 0.0 {
                block.down[t] = self.lp.term(0.0, f64::INFINITY, 0.0);
                let most = highest[t] + loss.down * (high - low);
                needed[t].sustain_down = most > self.limits.energy_max_kwh[t] + IMPLIED;
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
            self.lp.equal(&balance, 0.0);
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
