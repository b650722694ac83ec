//! What stored energy leaves within reach, and which rows on it can bind. Rows that cannot are left out of a program.

use crate::limits::{OwnLimits, net_for_stored_kw, stored_kwh};
use crate::problem::Resource;

/// Closer than this counts as implied, kWh or kW. Far below the tolerance of any solver.
pub(crate) const IMPLIED: f64 = 1e-9;

/// Which rows on stored energy are needed at the end of an interval.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct EnergyRows {
    pub(crate) lower: bool,
    pub(crate) upper: bool,
    pub(crate) sustain_up: bool,
    pub(crate) sustain_down: bool,
}

/// One resource's reach, one entry for each interval.
#[derive(Debug, Clone)]
pub(crate) struct EnergyReach {
    /// Highest net draw that energy leaves within reach.
    pub(crate) high_kw: Vec<f64>,
    /// The most energy that any schedule can hold at the end.
    pub(crate) highest_kwh: Vec<f64>,
    /// The rows on energy alone; those of regulation are for the program to add.
    pub(crate) rows: Vec<EnergyRows>,
}

impl EnergyReach {
    pub(crate) fn new(resource: &Resource, limits: &OwnLimits, dt: &[f64]) -> Self {
        let high_kw = cut_to_energy(resource, limits, dt);
        let gains: Vec<(f64, f64)> = (0..dt.len())
            .map(|t| {
                let gain = |net| stored_kwh(resource, net, dt[t]);
                (gain(limits.reach_low_kw[t]), gain(high_kw[t]))
            })
            .collect();
        let mut energy = 0.0_f64;
        let caps = gains.iter().zip(&limits.energy_max_kwh);
        let highest_kwh: Vec<f64> = caps
            .map(|((_, rises), cap)| {
                energy = (energy + rises).min(*cap);
                energy
            })
            .collect();
        Self {
            rows: rows(resource, limits, &gains, &highest_kwh),
            high_kw,
            highest_kwh,
        }
    }
}

/// Where nothing can discharge, what is charged stays, so a full battery bounds the power: a bound costs less than
/// a row.
fn cut_to_energy(resource: &Resource, limits: &OwnLimits, dt: &[f64]) -> Vec<f64> {
    let mut high_kw = limits.reach_high_kw.clone();
    if limits.reach_low_kw.iter().any(|&low| low < 0.0) {
        return high_kw;
    }
    let gained = |t: usize| stored_kwh(resource, limits.reach_low_kw[t], dt[t]);
    // What there is no room for later must not be there now, unless it is forced in: then there is nothing to choose.
    let mut caps = limits.energy_max_kwh.clone();
    let mut forced: f64 = (0..dt.len()).map(gained).sum();
    for t in (1..caps.len()).rev() {
        forced -= gained(t);
        let left = caps[t] - gained(t);
        if left > forced + IMPLIED {
            caps[t - 1] = caps[t - 1].min(left);
        }
    }
    let mut least = 0.0;
    for (t, &dt) in dt.iter().enumerate() {
        let room = caps[t] - least;
        let low = limits.reach_low_kw[t];
        let fills = net_for_stored_kw(resource, room, dt);
        high_kw[t] = high_kw[t].min(fills).max(low);
        least += gained(t);
    }
    high_kw
}

/// Which of `E_min ≤ E + s` and `E ≤ E_max` neither bounds nor the same limit one interval earlier or later imply.
fn rows(
    resource: &Resource,
    limits: &OwnLimits,
    gains: &[(f64, f64)],
    highest: &[f64],
) -> Vec<EnergyRows> {
    let horizon = gains.len();
    let (need, cap) = (&resource.energy_min_kwh, &limits.energy_max_kwh);
    let mut rows = vec![EnergyRows::default(); horizon];
    let (mut sure, mut before) = (0.0_f64, 0.0);
    for t in 0..horizon {
        let (falls, rises) = gains[t];
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
        let (falls, rises) = gains[t];
        need_later = need_later.max(need[t]) - rises;
        cap_later = cap_later.min(cap[t]) - falls;
    }
    rows
}
