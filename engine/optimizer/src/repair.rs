//! Turns any schedule into one that keeps every hard limit and never charges and discharges at once.
//!
//! Input: net draw and regulation for each resource, right up to a solver's tolerance or plainly wrong. Output: the
//! nearest schedule that this simple way finds. Steps, each of which keeps what the ones before it reached:
//!
//! 1. each resource alone: net draw into its limits of power, ramp, warranty and energy;
//! 2. the forest: net draw shifted within those limits until no node is overloaded;
//! 3. regulation: cut to the headroom that the net draw leaves, at the resource, then at every node above it.
//!
//! Netting: charging `c` and discharging `d` at once becomes the net draw `x = c − d`. The losses of the detour are
//! gone, so stored energy can only rise, perhaps above its limit; then step 1 lowers the charging.

use crate::frame::Frame;
use crate::limits::{OwnLimits, net_for_stored_kw, own_excess, stored_kwh};
use crate::problem::Resource;
use crate::solution::ResourceSchedule;

/// Powers below this are a solver's noise around zero.
const NOISE_KW: f64 = 1e-9;
/// Excess below this counts as none: a tenth of what the checks allow.
const SETTLED: f64 = 1e-10;
/// A sweep over the forest settles all nodes at once unless limits pull against each other.
const SWEEPS: usize = 10;

/// A schedule to be repaired, by resource and interval.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) net_kw: Vec<Vec<f64>>,
    pub(crate) up_kw: Vec<Vec<f64>>,
    pub(crate) down_kw: Vec<Vec<f64>>,
}

impl Draft {
    /// Nets charging and discharging.
    pub(crate) fn from_schedule(schedule: &[ResourceSchedule]) -> Self {
        let horizon = |plan: &ResourceSchedule| 0..plan.charge_kw.len();
        Self {
            net_kw: schedule
                .iter()
                .map(|s| horizon(s).map(|t| s.net_kw(t)).collect())
                .collect(),
            up_kw: schedule.iter().map(|plan| plan.up_kw.clone()).collect(),
            down_kw: schedule.iter().map(|plan| plan.down_kw.clone()).collect(),
        }
    }

    fn into_schedule(self) -> Vec<ResourceSchedule> {
        let rows = self.net_kw.into_iter().zip(self.up_kw).zip(self.down_kw);
        rows.map(|((net, up_kw), down_kw)| ResourceSchedule {
            charge_kw: net.iter().map(|&x| if x > 0.0 { x } else { 0.0 }).collect(),
            discharge_kw: net
                .iter()
                .map(|&x| if x < 0.0 { -x } else { 0.0 })
                .collect(),
            up_kw,
            down_kw,
            unmet_kwh: vec![0.0; net.len()],
        })
        .collect()
    }
}

/// Repairs a draft. The result keeps all own limits; flows above a node's limits remain only where step 2 found no
/// resource that could still move.
pub(crate) fn repair(frame: &Frame<'_>, mut draft: Draft) -> Vec<ResourceSchedule> {
    settle(frame, &mut draft.net_kw);
    hold(frame, draft)
}

/// Steps 1 and 2, for net draw.
pub(crate) fn settle(frame: &Frame<'_>, net: &mut [Vec<f64>]) {
    let problem = frame.problem;
    for (i, path) in net.iter_mut().enumerate() {
        project_own(
            &problem.resources[i],
            &frame.limits[i],
            &problem.intervals_h,
            path,
        );
    }
    fit_nodes(frame, net);
}

/// Step 3, for regulation over a settled net draw.
pub(crate) fn hold(frame: &Frame<'_>, mut draft: Draft) -> Vec<ResourceSchedule> {
    for i in 0..frame.problem.resources.len() {
        cut_regulation(frame, &mut draft, i);
    }
    fit_regulation(frame, &mut draft);
    draft.into_schedule()
}

/// Step 1. Goes forwards, leaving in each interval what later ones are forced to use; where limits still collide, moves
/// towards the rest path, which keeps them all.
fn project_own(resource: &Resource, limits: &OwnLimits, dt: &[f64], net: &mut [f64]) {
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
    move_to_rest(resource, limits, dt, net);
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

/// Step 2.
fn fit_nodes(frame: &Frame<'_>, net: &mut [Vec<f64>]) {
    for _ in 0..SWEEPS {
        let mut settled = true;
        for t in 0..frame.problem.horizon() {
            for &node in &frame.forest.upwards {
                settled &= fit_node(frame, net, node, t);
            }
        }
        if settled {
            return;
        }
    }
}

/// Brings one flow into its limits as far as the resources below can. True if nothing had to be done.
fn fit_node(frame: &Frame<'_>, net: &mut [Vec<f64>], node: usize, t: usize) -> bool {
    let limits = &frame.problem.nodes[node];
    let below = &frame.forest.resources[node];
    let flow = frame.forest.base_kw[node][t] + below.iter().map(|&i| net[i][t]).sum::<f64>();
    let above = flow - limits.import_limit_kw[t];
    let under = -limits.export_limit_kw[t] - flow;
    if above <= SETTLED && under <= SETTLED {
        return true;
    }
    if above > SETTLED {
        // Charging gives way before anything is made to discharge.
        let left = shift(net, below, t, -above, |i, net| {
            (-net[i][t]).max(down_room(frame, i, net, t)).min(0.0)
        });
        shift(net, below, t, left, |i, net| down_room(frame, i, net, t));
    } else {
        let left = shift(net, below, t, under, |i, net| {
            (-net[i][t]).min(up_room(frame, i, net, t)).max(0.0)
        });
        shift(net, below, t, left, |i, net| up_room(frame, i, net, t));
    }
    false
}

/// Spreads a shift of power over resources in proportion to the room that each has (same sign as the shift).
/// Returns what no room was found for.
fn shift(
    net: &mut [Vec<f64>],
    resources: &[usize],
    t: usize,
    wanted: f64,
    room: impl Fn(usize, &[Vec<f64>]) -> f64,
) -> f64 {
    if wanted.abs() <= SETTLED {
        return 0.0;
    }
    let rooms: Vec<f64> = resources.iter().map(|&i| room(i, net)).collect();
    let total: f64 = rooms.iter().sum();
    if total.abs() <= 0.0 {
        return wanted;
    }
    let share = (wanted / total).min(1.0);
    for (&i, room) in resources.iter().zip(&rooms) {
        net[i][t] += share * room;
    }
    wanted - share * total
}

/// How far net draw can fall in one interval with all others as they are; at most 0.
fn down_room(frame: &Frame<'_>, i: usize, net: &[Vec<f64>], t: usize) -> f64 {
    let (limits, path, dt) = (&frame.limits[i], &net[i], &frame.problem.intervals_h);
    let mut low = limits.reach_low_kw[t].max(before_kw(frame, i, path, t) - limits.step_kw[t]);
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
fn up_room(frame: &Frame<'_>, i: usize, net: &[Vec<f64>], t: usize) -> f64 {
    let (limits, path, dt) = (&frame.limits[i], &net[i], &frame.problem.intervals_h);
    let resource = &frame.problem.resources[i];
    let mut high = limits.reach_high_kw[t].min(before_kw(frame, i, path, t) + limits.step_kw[t]);
    if t + 1 < path.len() {
        high = high.min(path[t + 1] + limits.step_kw[t + 1]);
    }
    let mut energy = 0.0;
    let mut headroom = f64::INFINITY;
    for (s, (&x, &dt)) in path.iter().zip(dt).enumerate() {
        energy += stored_kwh(resource, x, dt);
        if s >= t {
            headroom = headroom.min(limits.energy_max_kwh[s] - energy);
        }
    }
    let stored = stored_kwh(resource, path[t], dt[t]) + headroom.max(0.0);
    high = high.min(net_for_stored_kw(resource, stored, dt[t]));
    (high - path[t]).max(0.0)
}

fn before_kw(frame: &Frame<'_>, i: usize, path: &[f64], t: usize) -> f64 {
    if t > 0 {
        path[t - 1]
    } else {
        frame.problem.resources[i].initial_power_kw
    }
}

/// Step 3 at the resource: regulation within what power and stored energy leave (see `reference::model` for the rows).
fn cut_regulation(frame: &Frame<'_>, draft: &mut Draft, i: usize) {
    let horizon = frame.problem.horizon();
    if frame.regulation[i].is_none() {
        draft.up_kw[i] = vec![0.0; horizon];
        draft.down_kw[i] = vec![0.0; horizon];
        return;
    }
    let room = regulation_room(frame, i, &draft.net_kw[i]);
    for (t, (up, down)) in room.into_iter().enumerate() {
        let cut = |held: f64, room: f64| if held < NOISE_KW { 0.0 } else { held.min(room) };
        draft.up_kw[i][t] = cut(draft.up_kw[i][t], up);
        draft.down_kw[i][t] = cut(draft.down_kw[i][t], down);
    }
}

/// The most regulation, up and down, that one resource can hold in each interval along a path of net draw.
pub(crate) fn regulation_room(frame: &Frame<'_>, i: usize, net: &[f64]) -> Vec<(f64, f64)> {
    let (resource, limits) = (&frame.problem.resources[i], &frame.limits[i]);
    let dt = &frame.problem.intervals_h;
    let Some(holding) = frame.regulation[i] else {
        return vec![(0.0, 0.0); dt.len()];
    };
    let mut energy = Vec::with_capacity(dt.len());
    let mut unmet = 0.0_f64;
    for t in 0..dt.len() {
        let before = energy.last().copied().unwrap_or(0.0);
        energy.push(before + stored_kwh(resource, net[t], dt[t]));
        unmet = unmet.max(resource.energy_min_kwh[t] - energy[t]);
    }
    let for_kwh = |kwh: f64, loss_kwh_per_kw: f64| {
        if loss_kwh_per_kw > 0.0 {
            kwh.max(0.0) / loss_kwh_per_kw
        } else {
            f64::INFINITY
        }
    };
    (0..dt.len())
        .map(|t| {
            let loss = SustainLoss::new(resource, limits, holding.sustain_h, dt[t], t);
            let spare = energy[t] + unmet - resource.energy_min_kwh[t];
            let up = for_kwh(spare, loss.up);
            let down = for_kwh(limits.energy_max_kwh[t] - energy[t], loss.down);
            let up = up.min(net[t] - limits.low_kw[t]).max(0.0);
            (up, down.min(limits.high_kw[t] - net[t]).max(0.0))
        })
        .collect()
}

/// Battery-side kWh that one kW of regulation moves while it is sustained; why, is told at `reference::model`.
pub(crate) struct SustainLoss {
    pub(crate) up: f64,
    pub(crate) down: f64,
}

impl SustainLoss {
    pub(crate) fn new(r: &Resource, limits: &OwnLimits, sustain_h: f64, dt: f64, t: usize) -> Self {
        if limits.low_kw[t] < 0.0 {
            let loss = sustain_h / r.discharge_efficiency;
            return Self {
                up: loss,
                down: loss,
            };
        }
        let gain = r.charge_efficiency;
        Self {
            up: gain * sustain_h.min(dt),
            down: gain * sustain_h,
        }
    }
}

/// Step 3 at the nodes: scales regulation down to the room that flows leave, from the bottom up.
fn fit_regulation(frame: &Frame<'_>, draft: &mut Draft) {
    for t in 0..frame.problem.horizon() {
        for &node in &frame.forest.upwards {
            let below = &frame.forest.resources[node];
            let limits = &frame.problem.nodes[node];
            let flow = frame.forest.base_kw[node][t]
                + below.iter().map(|&i| draft.net_kw[i][t]).sum::<f64>();
            scale(
                &mut draft.down_kw,
                below,
                t,
                limits.import_limit_kw[t] - flow,
            );
            scale(&mut draft.up_kw, below, t, limits.export_limit_kw[t] + flow);
        }
    }
}

fn scale(held: &mut [Vec<f64>], resources: &[usize], t: usize, room: f64) {
    let total: f64 = resources.iter().map(|&i| held[i][t]).sum();
    if total > room {
        let share = (room / total).max(0.0);
        for &i in resources {
            held[i][t] *= share;
        }
    }
}
