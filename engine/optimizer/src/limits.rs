//! What one resource can do on its own, worked out before anything is solved.
//!
//! Input: a resource. Output: its limits made consistent, and a *rest path*: the schedule nearest to doing nothing that
//! keeps all of them. Limits that leave no schedule at all (a forced draw into a full battery, say) are widened to what
//! the rest path needs, so that every later step may count on one feasible schedule for each resource.

use crate::problem::Resource;
use crate::solution::{Relaxation, RelaxedLimit};

/// Widening below this is rounding, and is not reported.
const ROUNDING: f64 = 1e-10;

/// A resource's own limits, consistent with each other.
#[derive(Debug, Clone)]
pub(crate) struct OwnLimits {
    /// Net draw at a moment: connected power and `power_min`, `power_max`. Regulation moves within it.
    pub(crate) low_kw: Vec<f64>,
    pub(crate) high_kw: Vec<f64>,
    /// Net draw that a schedule can have here: the above, less what ramps put out of reach.
    pub(crate) reach_low_kw: Vec<f64>,
    pub(crate) reach_high_kw: Vec<f64>,
    /// Greatest step of net draw from the interval before.
    pub(crate) step_kw: Vec<f64>,
    pub(crate) energy_max_kwh: Vec<f64>,
    pub(crate) throughput_kwh: f64,
    /// Net draw of the rest path.
    pub(crate) rest_kw: Vec<f64>,
}

impl OwnLimits {
    pub(crate) fn new(resource: &Resource, intervals_h: &[f64]) -> Self {
        let horizon = intervals_h.len();
        let low_kw: Vec<f64> = (0..horizon)
            .map(|t| resource.power_min_kw[t].max(-resource.discharge_max_kw[t]))
            .collect();
        let high_kw: Vec<f64> = (0..horizon)
            .map(|t| resource.power_max_kw[t].min(resource.charge_max_kw[t]))
            .collect();
        let mut limits = Self {
            reach_low_kw: low_kw.clone(),
            reach_high_kw: high_kw.clone(),
            low_kw,
            high_kw,
            step_kw: intervals_h
                .iter()
                .map(|dt| resource.ramp_kw_per_h * dt)
                .collect(),
            energy_max_kwh: resource.energy_max_kwh.clone(),
            throughput_kwh: resource.throughput_max_kwh,
            rest_kw: Vec::new(),
        };
        limits.rest_kw = limits.find_rest(resource, intervals_h);
        limits.widen_to_rest(resource, intervals_h);
        limits.propagate_ramps(resource.initial_power_kw);
        limits
    }

    /// The path that moves towards rest as fast as ramps allow; if that overfills the battery or wears it beyond
    /// its warranty, the path at rest from the first interval on: of the three, the ramp is the one to give.
    fn find_rest(&self, resource: &Resource, intervals_h: &[f64]) -> Vec<f64> {
        let mut before = resource.initial_power_kw;
        let mut ramped = Vec::with_capacity(intervals_h.len());
        for t in 0..intervals_h.len() {
            let wish = 0.0_f64
                .max(before - self.step_kw[t])
                .min(before + self.step_kw[t]);
            before = wish.max(self.low_kw[t]).min(self.high_kw[t]);
            ramped.push(before);
        }
        let excess = own_excess(resource, self, intervals_h, &ramped);
        if excess <= ROUNDING {
            return ramped;
        }
        self.low_kw
            .iter()
            .zip(&self.high_kw)
            .map(|(low, high)| 0.0_f64.max(*low).min(*high))
            .collect()
    }

    fn widen_to_rest(&mut self, resource: &Resource, intervals_h: &[f64]) {
        let mut energy = 0.0;
        let mut exported = 0.0;
        let mut before = resource.initial_power_kw;
        for (t, dt) in intervals_h.iter().enumerate() {
            let net = self.rest_kw[t];
            energy += stored_kwh(resource, net, *dt);
            exported += (-net).max(0.0) * dt;
            self.energy_max_kwh[t] = self.energy_max_kwh[t].max(energy);
            self.step_kw[t] = self.step_kw[t].max((net - before).abs());
            before = net;
        }
        self.throughput_kwh = self.throughput_kwh.max(exported);
    }

    /// Forwards: what can be reached. Backwards: from where the next interval can still be reached.
    /// The rest path stays inside, also where rounding would push it out.
    fn propagate_ramps(&mut self, initial_kw: f64) {
        let horizon = self.low_kw.len();
        let (mut low, mut high) = (initial_kw, initial_kw);
        for t in 0..horizon {
            low = self.low_kw[t]
                .max(low - self.step_kw[t])
                .min(self.rest_kw[t]);
            high = self.high_kw[t]
                .min(high + self.step_kw[t])
                .max(self.rest_kw[t]);
            self.reach_low_kw[t] = low;
            self.reach_high_kw[t] = high;
        }
        for t in (1..horizon).rev() {
            let low = self.reach_low_kw[t] - self.step_kw[t];
            let high = self.reach_high_kw[t] + self.step_kw[t];
            let rest = self.rest_kw[t - 1];
            self.reach_low_kw[t - 1] = self.reach_low_kw[t - 1].max(low).min(rest);
            self.reach_high_kw[t - 1] = self.reach_high_kw[t - 1].min(high).max(rest);
        }
    }

    /// What was widened, for the report.
    pub(crate) fn relaxations(
        &self,
        index: usize,
        resource: &Resource,
        intervals_h: &[f64],
    ) -> Vec<Relaxation> {
        let mut found = Vec::new();
        let mut note = |limit, interval, by: f64| {
            if by > ROUNDING {
                found.push(Relaxation {
                    resource: index,
                    limit,
                    interval,
                    by,
                });
            }
        };
        for (t, dt) in intervals_h.iter().enumerate() {
            if resource.energy_max_kwh[t].is_finite() {
                let by = self.energy_max_kwh[t] - resource.energy_max_kwh[t];
                note(RelaxedLimit::EnergyMax, t, by);
            }
            if resource.ramp_kw_per_h.is_finite() {
                note(
                    RelaxedLimit::Ramp,
                    t,
                    self.step_kw[t] - resource.ramp_kw_per_h * dt,
                );
            }
        }
        if resource.throughput_max_kwh.is_finite() {
            let by = self.throughput_kwh - resource.throughput_max_kwh;
            note(RelaxedLimit::Throughput, intervals_h.len() - 1, by);
        }
        found
    }
}

/// Battery-side energy gained at a net draw: charging loses on the way in, discharging on the way out.
pub(crate) fn stored_kwh(resource: &Resource, net_kw: f64, dt: f64) -> f64 {
    if net_kw > 0.0 {
        net_kw * resource.charge_efficiency * dt
    } else {
        net_kw / resource.discharge_efficiency * dt
    }
}

/// The net draw that gains this much battery-side energy.
pub(crate) fn net_for_stored_kw(resource: &Resource, stored_kwh: f64, dt: f64) -> f64 {
    if stored_kwh > 0.0 {
        stored_kwh / (resource.charge_efficiency * dt)
    } else {
        stored_kwh * resource.discharge_efficiency / dt
    }
}

/// How far a path of net draw overfills the battery or exceeds its warranty throughput, in kWh.
pub(crate) fn own_excess(
    resource: &Resource,
    limits: &OwnLimits,
    intervals_h: &[f64],
    net_kw: &[f64],
) -> f64 {
    let mut energy = 0.0;
    let mut exported = 0.0;
    let mut worst = f64::NEG_INFINITY;
    for (t, dt) in intervals_h.iter().enumerate() {
        energy += stored_kwh(resource, net_kw[t], *dt);
        exported += (-net_kw[t]).max(0.0) * dt;
        worst = worst.max(energy - limits.energy_max_kwh[t]);
    }
    worst.max(exported - limits.throughput_kwh)
}
