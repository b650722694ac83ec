//! Step 3: regulation into the headroom that a settled net draw leaves.

use super::{Draft, NOISE_KW};
use crate::frame::Frame;
use crate::limits::{OwnLimits, stored_kwh};
use crate::problem::Resource;
use crate::stop::Stop;

/// At the resource: regulation within what power and stored energy leave (see `reference::model` for the rows).
pub(super) fn cut_regulation(frame: &Frame<'_>, draft: &mut Draft, i: usize) {
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

/// At the nodes: scales regulation down to the room that flows leave, from the bottom up. `None` when the caller says
/// stop.
pub(super) fn fit_regulation(frame: &Frame<'_>, draft: &mut Draft, stop: &Stop<'_>) -> Option<()> {
    if frame.regulation.iter().all(Option::is_none) {
        return Some(());
    }
    let nodes = &frame.problem.nodes;
    let net = frame.sums_below(|i, t| draft.net_kw[i][t], stop)?;
    let flow_kw = |node: usize, t: usize| frame.forest.base_kw[node][t] + net[node][t];
    for t in 0..frame.problem.horizon() {
        stop.go_on()?;
        let mut down = frame.sums_at(|i| draft.down_kw[i][t]);
        let mut up = frame.sums_at(|i| draft.up_kw[i][t]);
        for &node in &frame.forest.upwards {
            let below = &frame.forest.resources[node];
            let flow = flow_kw(node, t);
            let import = nodes[node].import_limit_kw[t] - flow;
            let export = nodes[node].export_limit_kw[t] + flow;
            down[node] = scale(&mut draft.down_kw, below, t, down[node], import);
            up[node] = scale(&mut draft.up_kw, below, t, up[node], export);
            if let Some(parent) = nodes[node].parent {
                down[parent] += down[node];
                up[parent] += up[node];
            }
        }
    }
    Some(())
}

/// Scales what is held in total into the room; returns the total then.
fn scale(held: &mut [Vec<f64>], resources: &[usize], t: usize, total: f64, room: f64) -> f64 {
    if total <= room {
        return total;
    }
    let share = (room / total).max(0.0);
    let scaled = resources.iter().map(|&i| {
        held[i][t] *= share;
        held[i][t]
    });
    scaled.sum()
}
