//! Step 1: the net draw of one resource into its own limits, and how far it can then still move.

use super::{NOISE_KW, SETTLED};
use crate::limits::{OwnLimits, net_for_stored_kw, own_excess, stored_kwh};
use crate::problem::Resource;

/// Goes forwards, leaving in each interval what later ones are forced to use. Where limits still collide, charges less
/// in the intervals before, and at last moves towards the rest path, which keeps them all.
pub(super) fn project(resource: &Resource, limits: &OwnLimits, dt: &[f64], net: &mut [f64]) {
    let horizon = dt.len();
    // Energy that may be held at the end of each interval, and export that must be left for later ones.
    let mut cap = limits.energy_max_kwh.clone();
    let mut forced_export = vec![0.0; horizon];
    for t in (0..horizon - 1).rev() {
        let next = t + 1;
        let falls = stored_kwh(resource, limits.reach_low_kw[next], dt[next]);
        cap[t] = cap[t].min(cap[next] - falls);
        forced_export[t] = forced_export[next] + (-limits.reach_high_kw[next]).max(0.0) * dt[next];
    }
    let (mut energy, mut exported) = (0.0, 0.0);
    let mut before = resource.initial_power_kw;
    for t in 0..horizon {
        let mut low = limits.reach_low_kw[t].max(before - limits.step_kw[t]);
        let mut high = limits.reach_high_kw[t].min(before + limits.step_kw[t]);
        let export_left = (limits.throughput_kwh - exported - forced_export[t]).max(0.0);
        low = low.max(-export_left / dt[t]).min(high);
        high = high
            .min(net_for_stored_kw(resource, cap[t] - energy, dt[t]))
            .max(low);
        let wish = if net[t].abs() < NOISE_KW { 0.0 } else { net[t] };
        net[t] = wish.max(low).min(high);
        energy += stored_kwh(resource, net[t], dt[t]);
        exported += (-net[t]).max(0.0) * dt[t];
        before = net[t];
    }
    charge_less_before(resource, limits, dt, net);
    move_to_rest(resource, limits, dt, net);
}

/// Where the battery is overfull, lowers the net draw of the nearest intervals before that can.
fn charge_less_before(resource: &Resource, limits: &OwnLimits, dt: &[f64], net: &mut [f64]) {
    let mut energy = 0.0;
    for t in 0..dt.len() {
        energy += stored_kwh(resource, net[t], dt[t]);
        for s in (0..=t).rev() {
            let excess = energy - limits.energy_max_kwh[t];
            if excess <= SETTLED {
                break;
            }
            let held = stored_kwh(resource, net[s], dt[s]);
            let wanted = net_for_stored_kw(resource, held - excess, dt[s]) - net[s];
            net[s] += wanted.max(down_room(resource, limits, dt, net, s));
            energy += stored_kwh(resource, net[s], dt[s]) - held;
        }
    }
}

/// The least step towards the rest path that ends all excess. Power and ramp limits are convex, so they hold on the
/// way; the path itself has no excess, so the search succeeds.
fn move_to_rest(resource: &Resource, limits: &OwnLimits, dt: &[f64], net: &mut [f64]) {
    if own_excess(resource, limits, dt, net) <= SETTLED {
        return;
    }
    let blend = |share: f64| -> Vec<f64> {
        let pairs = net.iter().zip(&limits.rest_kw);
        pairs.map(|(from, to)| from + share * (to - from)).collect()
    };
    let (mut too_little, mut enough) = (0.0, 1.0);
    for _ in 0..50 {
        let share = 0.5 * (too_little + enough);
        if own_excess(resource, limits, dt, &blend(share)) <= SETTLED {
            enough = share;
        } else {
            too_little = share;
        }
    }
    // At a share of 1 the sum above could still round away from the path itself.
    let settled = if enough < 1.0 {
        blend(enough)
    } else {
        limits.rest_kw.clone()
    };
    net.copy_from_slice(&settled);
}

/// How far net draw can fall in one interval with all others as they are; at most 0.
pub(super) fn down_room(
    r: &Resource,
    limits: &OwnLimits,
    dt: &[f64],
    path: &[f64],
    t: usize,
) -> f64 {
    let mut low = limits.reach_low_kw[t].max(before_kw(r, path, t) - limits.step_kw[t]);
    if t + 1 < path.len() {
        low = low.max(path[t + 1] - limits.step_kw[t + 1]);
    }
    if low < 0.0 && limits.throughput_kwh.is_finite() {
        let exported: f64 = path.iter().zip(dt).map(|(x, dt)| (-x).max(0.0) * dt).sum();
        let more = (limits.throughput_kwh - exported).max(0.0) / dt[t];
        low = low.max(path[t].min(0.0) - more);
    }
    (low - path[t]).min(0.0)
}

/// How far net draw can rise in one interval with all others as they are; at least 0.
pub(super) fn up_room(r: &Resource, limits: &OwnLimits, dt: &[f64], path: &[f64], t: usize) -> f64 {
    let mut high = limits.reach_high_kw[t].min(before_kw(r, path, t) + limits.step_kw[t]);
    if t + 1 < path.len() {
        high = high.min(path[t + 1] + limits.step_kw[t + 1]);
    }
    let mut energy = 0.0;
    let mut headroom = f64::INFINITY;
    for (s, (&x, &dt)) in path.iter().zip(dt).enumerate() {
        energy += stored_kwh(r, x, dt);
        if s >= t {
            headroom = headroom.min(limits.energy_max_kwh[s] - energy);
        }
    }
    let stored = stored_kwh(r, path[t], dt[t]) + headroom.max(0.0);
    high = high.min(net_for_stored_kw(r, stored, dt[t]));
    (high - path[t]).max(0.0)
}

fn before_kw(r: &Resource, path: &[f64], t: usize) -> f64 {
    if t > 0 {
        path[t - 1]
    } else {
        r.initial_power_kw
    }
}
