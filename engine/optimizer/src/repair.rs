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

mod flows;
mod own;
mod regulation;

use crate::frame::Frame;
use crate::solution::ResourceSchedule;
use crate::stop::Stop;

use flows::fit_nodes;
use regulation::{cut_regulation, fit_regulation};

pub(crate) use flows::FlowBounds;
pub(crate) use regulation::{SustainLoss, regulation_room};

/// Powers below this are a solver's noise around zero.
const NOISE_KW: f64 = 1e-9;
/// Excess below this counts as none: a tenth of what the checks allow.
const SETTLED: f64 = 1e-10;

/// A schedule to be repaired, by resource and interval.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) net_kw: Vec<Vec<f64>>,
    pub(crate) up_kw: Vec<Vec<f64>>,
    pub(crate) down_kw: Vec<Vec<f64>>,
}

impl Draft {
    /// Nets charging and discharging. `None` when the caller says stop.
    pub(crate) fn from_schedule(schedule: &[ResourceSchedule], stop: &Stop<'_>) -> Option<Self> {
        let mut draft = Self {
            net_kw: Vec::with_capacity(schedule.len()),
            up_kw: Vec::with_capacity(schedule.len()),
            down_kw: Vec::with_capacity(schedule.len()),
        };
        for plan in schedule {
            stop.go_on()?;
            let horizon = 0..plan.charge_kw.len();
            draft.net_kw.push(horizon.map(|t| plan.net_kw(t)).collect());
            draft.up_kw.push(plan.up_kw.clone());
            draft.down_kw.push(plan.down_kw.clone());
        }
        Some(draft)
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

/// Repairs a draft. The result keeps all own limits. Flows above a node's limits remain where the draft had them on
/// purpose (limits of two nodes can pull one resource apart, and the draft knows the better choice), and where step 2
/// finds no resource that could still move. `None` when the caller says stop.
pub(crate) fn repair(
    frame: &Frame<'_>,
    mut draft: Draft,
    stop: &Stop<'_>,
) -> Option<Vec<ResourceSchedule>> {
    let mut bounds = FlowBounds::new(frame);
    bounds.widen_to(frame, &draft.net_kw);
    settle(frame, &bounds, &mut draft.net_kw, stop)?;
    hold(frame, draft, stop)
}

/// Steps 1 and 2, for net draw.
pub(crate) fn settle(
    frame: &Frame<'_>,
    bounds: &FlowBounds,
    net: &mut [Vec<f64>],
    stop: &Stop<'_>,
) -> Option<()> {
    let problem = frame.problem;
    for (i, path) in net.iter_mut().enumerate() {
        stop.go_on()?;
        own::project(
            &problem.resources[i],
            &frame.limits[i],
            &problem.intervals_h,
            path,
        );
    }
    fit_nodes(frame, bounds, net, stop)
}

/// Step 3, for regulation over a settled net draw.
pub(crate) fn hold(
    frame: &Frame<'_>,
    mut draft: Draft,
    stop: &Stop<'_>,
) -> Option<Vec<ResourceSchedule>> {
    for i in 0..frame.problem.resources.len() {
        stop.go_on()?;
        cut_regulation(frame, &mut draft, i);
    }
    fit_regulation(frame, &mut draft, stop)?;
    Some(draft.into_schedule())
}
