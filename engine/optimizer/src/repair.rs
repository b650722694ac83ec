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

/// Repairs a draft. The result keeps all own limits. Flows above a node's limits remain where the draft had them on
/// purpose (limits of two nodes can pull one resource apart, and the draft knows the better choice), and where step 2
/// finds no resource that could still move.
pub(crate) fn repair(frame: &Frame<'_>, mut draft: Draft) -> Vec<ResourceSchedule> {
    let mut bounds = FlowBounds::new(frame);
    bounds.widen_to(frame, &draft.net_kw);
    settle(frame, &bounds, &mut draft.net_kw);
    hold(frame, draft)
}

/// Steps 1 and 2, for net draw.
pub(crate) fn settle(frame: &Frame<'_>, bounds: &FlowBounds, net: &mut [Vec<f64>]) {
    let problem = frame.problem;
    for (i, path) in net.iter_mut().enumerate() {
        own::project(
            &problem.resources[i],
            &frame.limits[i],
            &problem.intervals_h,
            path,
        );
    }
    fit_nodes(frame, bounds, net);
}

/// Step 3, for regulation over a settled net draw.
pub(crate) fn hold(frame: &Frame<'_>, mut draft: Draft) -> Vec<ResourceSchedule> {
    for i in 0..frame.problem.resources.len() {
        cut_regulation(frame, &mut draft, i);
    }
    fit_regulation(frame, &mut draft);
    draft.into_schedule()
}
