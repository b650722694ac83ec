//! One resource's variables and rows, and where to begin.

use super::super::chain::{Batch, DELTA, Shape, pinned};
use super::super::rows::{kind, kinds};
use crate::frame::Frame;
use crate::limits::{net_for_stored_kw, stored_kwh};
use crate::reach::{EnergyReach, IMPLIED};
use crate::repair::SustainLoss;
use crate::solution::ResourceSchedule;

/// Ranges narrower than this are a constant: there is no interior to walk in.
const NARROW: f64 = 1e-9;
/// A vehicle that is all but full has a range of less than a watt: where a range is below half a kilowatt, rows are as soft as
/// if they were measured in that. Below this range, kW, rounding would count for more.
const SMALLEST: f64 = 1e-3;
/// When a schedule to begin from is moved inwards: the regulation held there as a share of the range of power, and where
/// between empty and full that is. Measured: fewest iterations.
const HELD: f64 = 0.1;
const FULLNESS: f64 = 0.3;

/// One resource's variables and rows.
pub(super) struct Chain {
    pub(super) shape: Shape,
    pub(super) charge: Vec<(f64, f64)>,
    pub(super) discharge: Vec<(f64, f64)>,
    /// For each interval its rows: kind and limit.
    pub(super) rows: Vec<Vec<(u32, f64)>>,
    pub(super) sustain: Vec<[f64; 2]>,
    pub(super) unmet: bool,
    pub(super) high_kw: Vec<f64>,
    /// Where to begin: net draw, up and down; how far inside of bounds.
    pub(super) begin: Vec<[f64; 3]>,
    pub(super) inwards: f64,
}

impl Chain {
    pub(super) fn new(frame: &Frame<'_>, i: usize, begin: &ResourceSchedule, inwards: f64) -> Self {
        let (resource, limits) = (&frame.problem.resources[i], &frame.limits[i]);
        let dt = &frame.problem.intervals_h;
        let horizon = dt.len();
        let reach = EnergyReach::new(resource, limits, dt);
        let range = |low: f64, high: f64| (low.max(0.0), high.max(0.0));
        let ends = limits.reach_low_kw.iter().zip(&reach.high_kw);
        let charge: Vec<(f64, f64)> = ends.clone().map(|(&low, &high)| range(low, high)).collect();
        let discharge: Vec<(f64, f64)> = ends.map(|(&low, &high)| range(-high, -low)).collect();
        let mut chain = Self {
            shape: Shape::Charges,
            rows: vec![Vec::new(); horizon],
            sustain: Vec::new(),
            unmet: false,
            high_kw: reach.high_kw.clone(),
            begin: begin_inside(frame, i, &reach, begin, inwards),
            inwards,
            charge,
            discharge,
        };
        if chain.discharge.iter().any(|range| range.1 > 0.0) {
            chain.shape = Shape::Exports;
        }
        for t in 0..horizon {
            chain.bounds(t);
        }
        chain.regulation(frame, i, &reach);
        for (t, needed) in reach.rows.iter().enumerate() {
            let rows = &mut chain.rows[t];
            let has = |rows: &[(u32, f64)], of| rows.iter().any(|row| row.0 == of);
            if needed.lower && !has(rows, kind::SUSTAIN_UP) {
                rows.push((kind::NEED, -resource.energy_min_kwh[t]));
            }
            if needed.upper {
                rows.push((kind::CAP, limits.energy_max_kwh[t]));
            }
            chain.unmet |= has(rows, kind::NEED) || has(rows, kind::SUSTAIN_UP);
        }
        if chain.unmet {
            chain.rows[0].push((kind::UNMET, 0.0));
        }
        chain.ramps(frame, i);
        for rows in &mut chain.rows {
            rows.sort_by_key(|row| row.0);
        }
        chain
    }

    fn bounds(&mut self, t: usize) {
        let (least, most) = self.charge[t];
        if most - least > NARROW {
            self.rows[t].push((kind::CHARGE_LEAST, -least));
            self.rows[t].push((kind::CHARGE_MOST, most));
        }
        let (least, most) = self.discharge[t];
        if most - least > NARROW {
            self.rows[t].push((kind::DISCHARGE_LEAST, -least));
            self.rows[t].push((kind::DISCHARGE_MOST, most));
        }
    }

    /// See `reference::model` for the rows.
    fn regulation(&mut self, frame: &Frame<'_>, i: usize, reach: &EnergyReach) {
        let Some(holding) = frame.regulation[i] else {
            return;
        };
        let (resource, limits) = (&frame.problem.resources[i], &frame.limits[i]);
        for (t, &dt) in frame.problem.intervals_h.iter().enumerate() {
            let (up_asked, down_asked) = frame.regulation_asked_kw(i, t);
            let (low, high) = (limits.low_kw[t], limits.high_kw[t]);
            let loss = SustainLoss::new(resource, limits, holding.sustain_h, dt, t);
            self.sustain.push([loss.up, loss.down]);
            if high - low <= IMPLIED {
                continue;
            }
            let rows = &mut self.rows[t];
            if up_asked > 0.0 {
                rows.push((kind::UP, 0.0));
                rows.push((kind::HEADROOM_UP, -low));
                if resource.energy_min_kwh[t].is_finite() && loss.up > 0.0 {
                    rows.push((kind::SUSTAIN_UP, -resource.energy_min_kwh[t]));
                }
                self.shape = Shape::Regulates;
            }
            if down_asked > 0.0 {
                rows.push((kind::DOWN, 0.0));
                rows.push((kind::HEADROOM_DOWN, high));
                let most = reach.highest_kwh[t] + loss.down * (high - low);
                if most > limits.energy_max_kwh[t] + IMPLIED {
                    rows.push((kind::SUSTAIN_DOWN, limits.energy_max_kwh[t]));
                }
                self.shape = Shape::Regulates;
            }
        }
    }

    /// Ramps and throughput.
    fn ramps(&mut self, frame: &Frame<'_>, i: usize) {
        let limits = &frame.limits[i];
        let (low, high) = (&limits.reach_low_kw, &self.high_kw);
        for t in 1..self.rows.len() {
            let step = limits.step_kw[t];
            if high[t] - low[t - 1] > step + IMPLIED {
                self.rows[t].push((kind::RISE, step));
                self.shape = Shape::Ramped;
            }
            if high[t - 1] - low[t] > step + IMPLIED {
                self.rows[t].push((kind::FALL, step));
                self.shape = Shape::Ramped;
            }
        }
        let exports = self.discharge.iter().zip(&frame.problem.intervals_h);
        let most: f64 = exports.map(|(range, dt)| range.1 * dt).sum();
        if most > limits.throughput_kwh + IMPLIED {
            let last = self.rows.len() - 1;
            self.rows[last].push((kind::THROUGHPUT, limits.throughput_kwh));
            self.shape = Shape::Ramped;
        }
    }

    /// Writes the resource into a lane of a batch of its shape. Rows must have been laid out.
    pub(super) fn write(&self, frame: &Frame<'_>, i: usize, batch: &mut Batch, lane: usize) {
        let resource = &frame.problem.resources[i];
        let limits = &frame.limits[i];
        let controls = self.shape.controls();
        batch.resources[lane] = Some(i);
        batch.charge_efficiency.0[lane] = resource.charge_efficiency;
        batch.discharge_loss.0[lane] = 1.0 / resource.discharge_efficiency;
        let kept = resource.terminal_value * resource.charge_efficiency;
        let spent = resource.terminal_value / resource.discharge_efficiency;
        let ranges = self.charge.iter().chain(&self.discharge);
        let size = ranges.fold(0.0_f64, |size, range| size.max(range.1 - range.0));
        batch.size.0[lane] = size.max(1.0);
        batch.softness.0[lane] = DELTA * (2.0 * size).clamp(SMALLEST, 1.0).powi(2);
        let mut row = 0;
        let mut energy: f64 = 0.0;
        let (mut lack, mut held) = (0.0_f64, 0.0_f64);
        for (t, &dt) in frame.problem.intervals_h.iter().enumerate() {
            batch.cost[t][0].0[lane] = (resource.energy_price[t] - kept) * dt;
            batch.cost[t][1].0[lane] = (resource.wear - resource.feed_in_price[t] + spent) * dt;
            if let Some(sustain) = self.sustain.get(t).filter(|_| controls > 2) {
                batch.sustain[t][0].0[lane] = sustain[0];
                batch.sustain[t][1].0[lane] = sustain[1];
            }
            let mut set = |j: usize, value: f64, free: bool| {
                batch.controls[t * controls + j].0[lane] = value;
                batch.pinned[t * controls + j].0[lane] = pinned(!free);
            };
            let ranges = [self.charge[t], self.discharge[t]];
            let [net, up, down] = self.begin[t];
            let starts = [net.max(0.0), (-net).max(0.0)];
            for (j, (least, most)) in ranges.into_iter().enumerate().take(controls) {
                let margin = 0.5 * self.inwards * (most - least);
                let value = starts[j].max(least + margin).min(most - margin);
                let free = most - least > NARROW;
                set(j, if free { value } else { least }, free);
            }
            if controls > 2 {
                let has = |of| self.rows[t].iter().any(|row| row.0 == of);
                for (j, of, held) in [(2, kind::UP, up), (3, kind::DOWN, down)] {
                    set(j, if has(of) { held } else { 0.0 }, has(of));
                }
            }
            let mut own = self.rows[t].iter().peekable();
            for of in kinds(batch.kinds[t]) {
                if let Some((_, limit)) = own.next_if(|own| own.0 == of) {
                    batch.limit[row].0[lane] = *limit;
                    batch.present[row].0[lane] = 1.0;
                }
                row += 1;
            }
            if let Some([up, _]) = self.sustain.get(t) {
                held = held.max(up * (limits.high_kw[t] - limits.low_kw[t]));
            }
            energy += stored_kwh(resource, limits.reach_low_kw[t], dt);
            lack = lack.max(resource.energy_min_kwh[t] - energy);
        }
        if self.unmet {
            batch.unmet_cost.0[lane] = frame.problem.penalties.unmet_energy;
            // Regulation that is held can leave more unmet than the lowest schedule would.
            batch.unmet_most.0[lane] = lack + held;
            batch.unmet_pinned.0[lane] = 0.0;
        }
    }
}

/// A schedule, moved inwards: towards a path that is far from all limits of energy, and a little regulation everywhere.
fn begin_inside(
    frame: &Frame<'_>,
    i: usize,
    reach: &EnergyReach,
    begin: &ResourceSchedule,
    inwards: f64,
) -> Vec<[f64; 3]> {
    let limits = &frame.limits[i];
    let moved = |t: usize, net: f64| {
        let held = inwards * HELD * (limits.high_kw[t] - limits.low_kw[t]);
        [
            inwards * net + (1.0 - inwards) * begin.net_kw(t),
            held + (1.0 - inwards) * begin.up_kw[t],
            held + (1.0 - inwards) * begin.down_kw[t],
        ]
    };
    let path = middle(frame, i, reach).into_iter().enumerate();
    path.map(|(t, net)| moved(t, net)).collect()
}

/// Between the fullest and the emptiest that the battery can be.
fn middle(frame: &Frame<'_>, i: usize, reach: &EnergyReach) -> Vec<f64> {
    let (resource, limits) = (&frame.problem.resources[i], &frame.limits[i]);
    let dt = &frame.problem.intervals_h;
    let horizon = dt.len();
    let gains: Vec<(f64, f64)> = (0..horizon)
        .map(|t| {
            let gain = |net| stored_kwh(resource, net, dt[t]);
            (gain(limits.reach_low_kw[t]), gain(reach.high_kw[t]))
        })
        .collect();
    let mut full = limits.energy_max_kwh.clone();
    let mut needed = resource.energy_min_kwh.clone();
    for t in (1..horizon).rev() {
        full[t - 1] = full[t - 1].min(full[t] - gains[t].0);
        needed[t - 1] = needed[t - 1].max(needed[t] - gains[t].1);
    }
    let (mut high, mut low, mut before) = (0.0_f64, 0.0_f64, 0.0);
    (0..horizon)
        .map(|t| {
            let (falls, rises) = gains[t];
            high = (high + rises).min(full[t]).max(high + falls);
            low = (low + falls).max(needed[t].min(low + rises));
            let stored = FULLNESS * high + (1.0 - FULLNESS) * low;
            let net = net_for_stored_kw(resource, stored - before, dt[t]);
            before = stored;
            net
        })
        .collect()
}
