//! Takes apart what nothing shared ties together.
//!
//! Most limits and promises do not bind most of the time. Resources that nothing shared seems to touch are planned alone
//! ([`Alone`]), exactly; the fast solver plans the others together, with what the first draw as base load. The prices that come
//! out of it say whether that was right: each resource that was planned alone is asked what it would do at these prices. What
//! that would save, summed up, is all that the whole can be better by (Lagrangian duality); so the bound holds for the whole
//! problem. Where it is too much, those below the limits with a price come together with the others, and it goes round
//! once more; then everything is solved as one.

use rayon::prelude::*;

use crate::alone::{Alone, Path};
use crate::aside::drop_aside;
use crate::fast::{Begin, End, Found, find, is_large, tolerance};
use crate::frame::Frame;
use crate::problem::{Problem, Requirement};
use crate::solution::{Prices, ResourceSchedule};
use crate::stop::Stop;

/// Below this share of resources on their own, the others are not solved faster enough for the risk that it was for nothing.
const WORTH: f64 = 0.25;
/// So often some are planned alone before all are planned together.
const ROUNDS: usize = 2;
/// A price below this, CNY/kWh, is what is left of one of a limit that does not bind.
const LEAST_PRICE: f64 = 1e-6;
/// A flow nearer to a limit than this, kW, touches it.
const TOUCHES_KW: f64 = 1e-9;

/// A resource planned alone, with what it does.
struct Planned {
    alone: Alone,
    path: Path,
}

/// As [`find`]: from a schedule that keeps all limits to the optimum.
pub(crate) fn find_apart(
    frame: &Frame<'_>,
    schedule: &[ResourceSchedule],
    begin: Begin,
    stop: &Stop<'_>,
    look: &mut (impl FnMut(Vec<ResourceSchedule>) + Send),
) -> Option<Found> {
    let mut planned = plan_alone(frame, stop)?;
    let found = find_some_apart(frame, &mut planned, schedule, begin, stop, look);
    drop_aside(planned, is_large(frame.problem));
    match found {
        Tried::Found(found) => Some(found),
        Tried::Stopped => None,
        Tried::Tied => find(frame, schedule, begin, stop, look),
    }
}

/// What came of planning some alone.
enum Tried {
    Found(Found),
    /// The caller said stop before there was anything.
    Stopped,
    /// Too much is tied together.
    Tied,
}

fn find_some_apart(
    frame: &Frame<'_>,
    planned: &mut [Option<Planned>],
    schedule: &[ResourceSchedule],
    begin: Begin,
    stop: &Stop<'_>,
    look: &mut (impl FnMut(Vec<ResourceSchedule>) + Send),
) -> Tried {
    let Some(mut near) = touched(frame, planned, schedule, stop) else {
        return Tried::Stopped;
    };
    for _ in 0..ROUNDS {
        join(frame, planned, &near);
        let count = planned.iter().flatten().count();
        if (count as f64) < WORTH * planned.len() as f64 || count == 0 {
            break;
        }
        let Some(found) = find_rest(frame, planned, schedule, begin, stop, look) else {
            return Tried::Stopped;
        };
        if found.end == End::Stuck {
            break;
        }
        let Some(saved) = saved(frame, planned, &found.prices, stop) else {
            return Tried::Found(Found {
                bound: f64::NEG_INFINITY,
                end: End::Stopped,
                ..found
            });
        };
        let regret: f64 = saved.iter().sum();
        let is_least = regret <= tolerance(frame.problem) * (1.0 + found.bound.abs());
        if is_least || found.end == End::Stopped {
            return Tried::Found(Found {
                bound: found.bound - regret,
                ..found
            });
        }
        near = priced(frame, &found.prices, &saved);
        if !near.contains(&true) {
            break;
        }
    }
    Tried::Tied
}

/// What each resource does alone, where it can be.
fn plan_alone(frame: &Frame<'_>, stop: &Stop<'_>) -> Option<Vec<Option<Planned>>> {
    let promised = promised(frame);
    let plan = |i: usize| {
        if promised[i] || stop.now_at(i) {
            return None;
        }
        let alone = Alone::new(frame, i)?;
        let path = alone.cheapest(frame, |_| 0.0)?;
        Some(Planned { alone, path })
    };
    let all = 0..promised.len();
    let planned = if is_large(frame.problem) {
        all.into_par_iter().with_min_len(32).map(plan).collect()
    } else {
        all.map(plan).collect()
    };
    stop.go_on()?;
    Some(planned)
}

/// Whose draw counts for a promise of demand response.
fn promised(frame: &Frame<'_>) -> Vec<bool> {
    let mut promised = vec![false; frame.problem.resources.len()];
    for requirement in &frame.problem.requirements {
        if let Requirement::DemandResponse {
            members,
            commitment_kw,
            ..
        } = requirement
            && commitment_kw.iter().any(|kw| *kw > 0.0)
        {
            members.iter().for_each(|&member| promised[member] = true);
        }
    }
    promised
}

/// Nodes at which limits or promises would be touched, or which pay for their peak, if each resource did what it does alone
/// and the others what they did in a schedule.
fn touched(
    frame: &Frame<'_>,
    planned: &[Option<Planned>],
    schedule: &[ResourceSchedule],
    stop: &Stop<'_>,
) -> Option<Vec<bool>> {
    let problem = frame.problem;
    let moved = |i: usize, t: usize| match &planned[i] {
        Some(planned) => (planned.path.schedule.net_kw(t), 0.0, 0.0),
        None => {
            let plan = &schedule[i];
            (plan.net_kw(t), plan.up_kw[t], plan.down_kw[t])
        }
    };
    let net = |i, t| moved(i, t).0;
    let net = frame.sums_below(net, stop)?;
    let most = |i, t| moved(i, t).0 + moved(i, t).2;
    let most = frame.sums_below(most, stop)?;
    let least = |i, t| moved(i, t).0 - moved(i, t).1;
    let least = frame.sums_below(least, stop)?;
    let base = &frame.forest.base_kw;
    let over = |n: usize| {
        let node = &problem.nodes[n];
        (0..problem.horizon()).any(|t| {
            base[n][t] + most[n][t] > node.import_limit_kw[t] - TOUCHES_KW
                || base[n][t] + least[n][t] < TOUCHES_KW - node.export_limit_kw[t]
        })
    };
    let mut touched: Vec<bool> = (0..problem.nodes.len()).map(over).collect();
    for requirement in &problem.requirements {
        if let Requirement::PeakShaving {
            node,
            ceiling_kw,
            peak_price,
            ..
        } = requirement
        {
            let over = |t: usize| base[*node][t] + net[*node][t] > ceiling_kw[t] - TOUCHES_KW;
            touched[*node] |= *peak_price > 0.0 || (0..problem.horizon()).any(over);
        }
    }
    Some(touched)
}

/// Puts what hangs anywhere below these nodes together with the others.
fn join(frame: &Frame<'_>, planned: &mut [Option<Planned>], near: &[bool]) {
    for (node, _) in near.iter().enumerate().filter(|(_, near)| **near) {
        for &i in &frame.forest.resources[node] {
            planned[i] = None;
        }
    }
}

/// Plans the others together.
fn find_rest(
    frame: &Frame<'_>,
    planned: &[Option<Planned>],
    schedule: &[ResourceSchedule],
    begin: Begin,
    stop: &Stop<'_>,
    look: &mut (impl FnMut(Vec<ResourceSchedule>) + Send),
) -> Option<Found> {
    let rest: Vec<usize> = (0..planned.len())
        .filter(|&i| planned[i].is_none())
        .collect();
    let problem = problem_of(frame.problem, planned, &rest, stop)?;
    let part = frame.part(&problem, &rest, stop)?;
    let mut from = Vec::with_capacity(rest.len());
    for (at, &i) in rest.iter().enumerate() {
        stop.go_on_at(at)?;
        from.push(schedule[i].clone());
    }
    let whole = |seen: Vec<ResourceSchedule>| -> Option<Vec<ResourceSchedule>> {
        let mut seen = seen.into_iter();
        let mut all = Vec::with_capacity(planned.len());
        for (i, planned) in planned.iter().enumerate() {
            stop.go_on_at(i)?;
            all.push(match planned {
                Some(planned) => planned.path.schedule.clone(),
                None => seen.next().expect("one for each of the others"),
            });
        }
        Some(all)
    };
    let found = find(&part, &from, begin, stop, |seen| {
        if let Some(seen) = whole(seen) {
            look(seen);
        }
    });
    let Frame { limits, forest, .. } = part;
    drop_aside((limits, forest, problem, from), is_large(frame.problem));
    let mut found = found?;
    if found.end != End::Stopped {
        match whole(std::mem::take(&mut found.schedule)) {
            Some(schedule) => found.schedule = schedule,
            None => found.end = End::Stopped,
        }
    }
    found.bound += planned.iter().flatten().map(|p| p.path.cost).sum::<f64>();
    Some(found)
}

/// The problem of some resources, with what the others draw as base load.
fn problem_of(
    whole: &Problem,
    planned: &[Option<Planned>],
    rest: &[usize],
    stop: &Stop<'_>,
) -> Option<Problem> {
    let mut nodes = whole.nodes.clone();
    for (i, (resource, planned)) in whole.resources.iter().zip(planned).enumerate() {
        stop.go_on_at(i)?;
        if let (Some(node), Some(planned)) = (resource.node, planned) {
            let base = nodes[node].base_kw.iter_mut().enumerate();
            base.for_each(|(t, base)| *base += planned.path.schedule.net_kw(t));
        }
    }
    let mut place = vec![None; planned.len()];
    for (at, &i) in rest.iter().enumerate() {
        place[i] = Some(at);
    }
    let mut requirements = whole.requirements.clone();
    for requirement in &mut requirements {
        if let Requirement::DemandResponse { members, .. }
        | Requirement::Regulation { members, .. } = requirement
        {
            *members = members.iter().filter_map(|&member| place[member]).collect();
        }
    }
    let mut resources = Vec::with_capacity(rest.len());
    for (at, &i) in rest.iter().enumerate() {
        stop.go_on_at(at)?;
        resources.push(whole.resources[i].clone());
    }
    Some(Problem {
        intervals_h: whole.intervals_h.clone(),
        resources,
        nodes,
        requirements,
        penalties: whole.penalties,
    })
}

/// What each resource that was planned alone would save if it answered to the prices of limits and promises, CNY. `None` when
/// the caller says stop, or when prices ask for what cannot be planned alone.
fn saved(
    frame: &Frame<'_>,
    planned: &[Option<Planned>],
    prices: &Prices,
    stop: &Stop<'_>,
) -> Option<Vec<f64>> {
    let above = prices_above(frame, prices);
    let dt = &frame.problem.intervals_h;
    let one = |i: usize| -> Option<f64> {
        stop.go_on_at(i)?;
        let (Some(planned), Some(node)) = (&planned[i], frame.problem.resources[i].node) else {
            return Some(0.0);
        };
        let more = &above[node];
        if more.iter().all(|price| *price == 0.0) {
            return Some(0.0);
        }
        let path = &planned.path;
        let paid: f64 = (0..dt.len())
            .map(|t| more[t] * path.schedule.net_kw(t) * dt[t])
            .sum();
        let least = planned.alone.cheapest(frame, |t| more[t]);
        Some(least.map_or(f64::INFINITY, |least| {
            (path.cost + paid - least.cost).max(0.0)
        }))
    };
    let all = 0..planned.len();
    if is_large(frame.problem) {
        all.into_par_iter().with_min_len(32).map(one).collect()
    } else {
        all.map(one).collect()
    }
}

/// For each node what drawing below it costs in each interval because of limits and ceilings at it and above, CNY/kWh.
pub(crate) fn prices_above(frame: &Frame<'_>, prices: &Prices) -> Vec<Vec<f64>> {
    let own = prices.nodes.iter().map(|node| {
        let pairs = node.import.iter().zip(&node.export);
        pairs.map(|(import, export)| import - export).collect()
    });
    let mut above: Vec<Vec<f64>> = own.collect();
    for (requirement, prices) in frame.problem.requirements.iter().zip(&prices.requirements) {
        if let Requirement::PeakShaving { node, .. } = requirement {
            let sums = above[*node].iter_mut().zip(&prices.price);
            sums.for_each(|(sum, price)| *sum += price);
        }
    }
    for &node in frame.forest.upwards.iter().rev() {
        if let Some(parent) = frame.problem.nodes[node].parent {
            let row = std::mem::take(&mut above[parent]);
            above[node]
                .iter_mut()
                .zip(&row)
                .for_each(|(sum, price)| *sum += price);
            above[parent] = row;
        }
    }
    above
}

/// Nodes whose prices somebody below, planned alone, would have answered to.
fn priced(frame: &Frame<'_>, prices: &Prices, saved: &[f64]) -> Vec<bool> {
    let mut priced = vec![false; frame.problem.nodes.len()];
    let mut binds: Vec<bool> = prices
        .nodes
        .iter()
        .map(|node| {
            node.import
                .iter()
                .chain(&node.export)
                .any(|price| *price > LEAST_PRICE)
        })
        .collect();
    for (requirement, prices) in frame.problem.requirements.iter().zip(&prices.requirements) {
        if let Requirement::PeakShaving { node, .. } = requirement {
            binds[*node] |= prices.price.iter().any(|price| *price > LEAST_PRICE);
        }
    }
    for (node, priced) in priced.iter_mut().enumerate() {
        let below = &frame.forest.resources[node];
        *priced = binds[node] && below.iter().any(|&i| saved[i] > 0.0);
    }
    priced
}

#[cfg(test)]
mod tests;
