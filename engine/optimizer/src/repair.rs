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

use crate::aside::drop_aside;
use crate::fast::is_large;
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
#[derive(Debug, Clone, Default)]
pub(crate) struct Draft {
    pub(crate) net_kw: Vec<Vec<f64>>,
    pub(crate) up_kw: Vec<Vec<f64>>,
    pub(crate) down_kw: Vec<Vec<f64>>,
}

impl Draft {
    /// Takes over a schedule, charging and discharging netted. `None` when the caller says stop.
    fn take(&mut self, schedule: &[ResourceSchedule], stop: &Stop<'_>) -> Option<()> {
        for plan in schedule {
            stop.go_on()?;
            let horizon = 0..plan.charge_kw.len();
            self.net_kw.push(horizon.map(|t| plan.net_kw(t)).collect());
            self.up_kw.push(plan.up_kw.clone());
            self.down_kw.push(plan.down_kw.clone());
        }
        Some(())
    }

    /// `None` when the caller says stop.
    fn write(&mut self, schedule: &mut Vec<ResourceSchedule>, stop: &Stop<'_>) -> Option<()> {
        for (i, net) in self.net_kw.iter().enumerate() {
            stop.go_on_at(i)?;
            schedule.push(ResourceSchedule {
                charge_kw: net.iter().map(|&x| if x > 0.0 { x } else { 0.0 }).collect(),
                discharge_kw: net
                    .iter()
                    .map(|&x| if x < 0.0 { -x } else { 0.0 })
                    .collect(),
                up_kw: std::mem::take(&mut self.up_kw[i]),
                down_kw: std::mem::take(&mut self.down_kw[i]),
                unmet_kwh: vec![0.0; net.len()],
            });
        }
        Some(())
    }
}

/// Repairs a schedule. The result keeps all own limits. Flows above a node's limits remain where it had them on
/// purpose (limits of two nodes can pull one resource apart, and the schedule knows the better choice), and where step 2
/// finds no resource that could still move. `None` when the caller says stop.
pub(crate) fn repair(
    frame: &Frame<'_>,
    schedule: &[ResourceSchedule],
    stop: &Stop<'_>,
) -> Option<Vec<ResourceSchedule>> {
    let mut draft = Draft::default();
    if settled(frame, &mut draft, schedule, stop).is_none() {
        drop_aside(draft, is_large(frame.problem));
        return None;
    }
    hold(frame, draft, stop)
}

fn settled(
    frame: &Frame<'_>,
    draft: &mut Draft,
    schedule: &[ResourceSchedule],
    stop: &Stop<'_>,
) -> Option<()> {
    draft.take(schedule, stop)?;
    let mut bounds = FlowBounds::new(frame);
    bounds.widen_to(frame, &draft.net_kw, stop)?;
    settle(frame, &bounds, &mut draft.net_kw, stop)
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

/// Step 3, for regulation over a settled net draw. `None` when the caller says stop.
pub(crate) fn hold(
    frame: &Frame<'_>,
    mut draft: Draft,
    stop: &Stop<'_>,
) -> Option<Vec<ResourceSchedule>> {
    let mut schedule = Vec::with_capacity(draft.net_kw.len());
    let held = fit_held(frame, &mut draft, stop);
    let written = held.and_then(|()| draft.write(&mut schedule, stop));
    let large = is_large(frame.problem);
    drop_aside(draft, large);
    if written.is_none() {
        drop_aside(schedule, large);
        return None;
    }
    Some(schedule)
}

fn fit_held(frame: &Frame<'_>, draft: &mut Draft, stop: &Stop<'_>) -> Option<()> {
    for i in 0..frame.problem.resources.len() {
        stop.go_on()?;
        cut_regulation(frame, draft, i);
    }
    fit_regulation(frame, draft, stop)
}
