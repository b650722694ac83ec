//! From a solver's raw schedule to a solution that keeps every hard limit.

use rayon::prelude::*;

use crate::alone::Alone;
use crate::apart::prices_above;
use crate::aside::drop_aside;
use crate::fast::is_large;
use crate::frame::Frame;
use crate::repair::repair;
use crate::score::score;
use crate::solution::{Prices, ResourceSchedule, Solution, Status};
use crate::stop::Stop;

/// Charging and discharging at once by more than this is worth a second solve, kW.
const BOTH_KW: f64 = 1e-6;
/// A repair that costs less than this share of the objective is noise.
const WORTH: f64 = 1e-6;

/// Repairs and scores a schedule. `bound` is what no schedule can cost less than.
pub(crate) fn finish(
    frame: &Frame<'_>,
    schedule: &[ResourceSchedule],
    prices: Option<Prices>,
    status: Status,
    bound: f64,
) -> Solution {
    let scored = repaired(frame, schedule, &Stop::never()).expect("nobody says stop");
    let lost = scored.objective - bound;
    Solution {
        gap: lost.max(0.0),
        repair_cost: if status == Status::Optimal { lost } else { 0.0 },
        status,
        prices,
        ..scored
    }
}

/// Repairs and scores a schedule of which nothing is known. `None` when the caller says stop.
pub(crate) fn repaired(
    frame: &Frame<'_>,
    schedule: &[ResourceSchedule],
    stop: &Stop<'_>,
) -> Option<Solution> {
    scored(frame, repair(frame, schedule, stop)?, stop)
}

/// What a schedule costs and falls short of, of which nothing more is known than that it came by rules. `None` when the
/// caller says stop.
pub(crate) fn scored(
    frame: &Frame<'_>,
    mut schedule: Vec<ResourceSchedule>,
    stop: &Stop<'_>,
) -> Option<Solution> {
    let outcome = score(frame, &mut schedule, stop);
    let Some((outcome, relaxed)) = outcome.zip(frame.relaxations(stop)) else {
        drop_aside(schedule, is_large(frame.problem));
        return None;
    };
    Some(Solution {
        schedule,
        shortfalls: outcome.shortfalls,
        overloads: outcome.overloads,
        relaxed,
        objective: outcome.objective,
        gap: f64::INFINITY,
        repair_cost: 0.0,
        status: Status::Rules,
        prices: None,
    })
}

/// Whether the repair cost enough to solve once more with directions held.
pub(crate) fn lost_much(objective: f64, bound: f64) -> bool {
    objective - bound > WORTH * bound.abs().max(1.0)
}

/// Which way a resource that would do both is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// That of its net draw.
    Net,
    /// Discharging: what pays for doing both is most often paid for that.
    Discharge,
}

impl Way {
    pub(crate) const ALL: [Self; 2] = [Self::Net, Self::Discharge];
}

/// The same problem with resources that charge and discharge at once held, each, to what would be cheapest for it alone at the
/// prices found. `None` if one of them cannot be planned alone, there is none, or the caller says stop.
pub(crate) fn choose_directions<'a>(
    frame: &Frame<'a>,
    schedule: &[ResourceSchedule],
    prices: &Prices,
    stop: &Stop<'_>,
) -> Option<Frame<'a>> {
    let above = prices_above(frame, prices);
    let both = |plan: &ResourceSchedule| {
        let pairs = plan.charge_kw.iter().zip(&plan.discharge_kw);
        pairs
            .into_iter()
            .any(|(one, other)| one.min(*other) > BOTH_KW)
    };
    let choose = |i: usize| {
        stop.go_on()?;
        let node = frame.problem.resources[i].node;
        let charges =
            Alone::new(frame, i)?.charges(frame, |t| node.map_or(0.0, |node| above[node][t]));
        Some((i, charges))
    };
    let those: Vec<usize> = (0..schedule.len())
        .filter(|&i| both(&schedule[i]))
        .collect();
    if those.is_empty() {
        return None;
    }
    let chosen: Option<Vec<(usize, Vec<bool>)>> = if is_large(frame.problem) {
        those.into_par_iter().map(choose).collect()
    } else {
        those.into_iter().map(choose).collect()
    };
    let mut one_way = frame.clone();
    for (i, charges) in chosen? {
        let limits = &mut one_way.limits[i];
        for (t, charges) in charges.into_iter().enumerate() {
            if limits.reach_low_kw[t] >= 0.0 || limits.reach_high_kw[t] <= 0.0 {
                continue;
            }
            if charges {
                limits.reach_low_kw[t] = 0.0;
            } else {
                limits.reach_high_kw[t] = 0.0;
            }
        }
    }
    Some(one_way)
}

/// The same problem with resources that charge and discharge at once held to one direction; `None` if none does.
pub(crate) fn hold_directions<'a>(
    frame: &Frame<'a>,
    schedule: &[ResourceSchedule],
    way: Way,
) -> Option<Frame<'a>> {
    let mut one_way = frame.clone();
    let mut any = false;
    for (limits, plan) in one_way.limits.iter_mut().zip(schedule) {
        for t in 0..plan.charge_kw.len() {
            if plan.charge_kw[t].min(plan.discharge_kw[t]) <= BOTH_KW {
                continue;
            }
            any = true;
            if way == Way::Net && plan.net_kw(t) >= 0.0 {
                limits.reach_low_kw[t] = 0.0;
            } else {
                limits.reach_high_kw[t] = 0.0;
            }
        }
    }
    any.then_some(one_way)
}
