//! What a schedule costs and what it falls short of, worked out from the schedule alone.

use crate::frame::Frame;
use crate::problem::{Node, Problem, Requirement, Resource};
use crate::solution::{Overload, ResourceSchedule, Shortfall};
use crate::stop::Stop;

/// The outcome of a schedule.
pub(crate) struct Score {
    pub(crate) shortfalls: Vec<Shortfall>,
    pub(crate) overloads: Vec<Overload>,
    pub(crate) objective: f64,
}

/// Fills in the unmet energy of each resource and adds up everything. `None` when the caller says stop.
pub(crate) fn score(
    frame: &Frame<'_>,
    schedule: &mut [ResourceSchedule],
    stop: &Stop<'_>,
) -> Option<Score> {
    let problem = frame.problem;
    let dt = &problem.intervals_h;
    let mut objective = 0.0;
    for (resource, plan) in problem.resources.iter().zip(schedule.iter_mut()) {
        stop.go_on()?;
        plan.unmet_kwh = unmet_kwh(resource, plan, dt);
        objective += own_cost(resource, plan, dt);
        objective += problem.penalties.unmet_energy * plan.unmet_kwh.iter().sum::<f64>();
    }
    let overloads = overloads(frame, schedule, stop)?;
    for over in &overloads {
        let kw = over
            .import_kw
            .iter()
            .zip(&over.export_kw)
            .map(|(import, export)| import + export);
        let kwh: f64 = kw.zip(dt).map(|(kw, dt)| kw * dt).sum();
        objective += problem.penalties.overload * kwh;
    }
    let mut shortfalls: Vec<Shortfall> = Vec::with_capacity(problem.requirements.len());
    for requirement in &problem.requirements {
        shortfalls.push(shortfall(frame, schedule, requirement, stop)?);
    }
    for (requirement, short) in problem.requirements.iter().zip(&shortfalls) {
        objective += shortfall_cost(problem, requirement, short);
    }
    Some(Score {
        shortfalls,
        overloads,
        objective,
    })
}

/// Battery-side energy gained by the end of each interval.
fn energy_kwh<'a>(
    resource: &'a Resource,
    plan: &'a ResourceSchedule,
    dt: &'a [f64],
) -> impl Iterator<Item = f64> + 'a {
    let mut energy = 0.0;
    (0..dt.len()).map(move |t| {
        energy += plan.charge_kw[t] * resource.charge_efficiency * dt[t];
        energy -= plan.discharge_kw[t] / resource.discharge_efficiency * dt[t];
        energy
    })
}

/// What becomes unmet in each interval: by how much the greatest lack so far grows.
fn unmet_kwh(resource: &Resource, plan: &ResourceSchedule, dt: &[f64]) -> Vec<f64> {
    let mut worst = 0.0_f64;
    energy_kwh(resource, plan, dt)
        .zip(&resource.energy_min_kwh)
        .map(|(energy, need)| {
            let grown = (need - energy - worst).max(0.0);
            worst += grown;
            grown
        })
        .collect()
}

/// CNY for its energy and wear, less what is fed in and what is left at the end.
pub(crate) fn own_cost(resource: &Resource, plan: &ResourceSchedule, dt: &[f64]) -> f64 {
    let flow: f64 = (0..dt.len())
        .map(|t| {
            let drawn = resource.energy_price[t] * plan.charge_kw[t];
            let exported = (resource.wear - resource.feed_in_price[t]) * plan.discharge_kw[t];
            (drawn + exported) * dt[t]
        })
        .sum();
    let held = energy_kwh(resource, plan, dt).last().unwrap_or(0.0);
    flow - resource.terminal_value * held
}

fn overloads(
    frame: &Frame<'_>,
    schedule: &[ResourceSchedule],
    stop: &Stop<'_>,
) -> Option<Vec<Overload>> {
    let net = frame.sums_below(|i, t| schedule[i].net_kw(t), stop)?;
    let up = frame.sums_below(|i, t| schedule[i].up_kw[t], stop)?;
    let down = frame.sums_below(|i, t| schedule[i].down_kw[t], stop)?;
    stop.go_on()?;
    let nodes = frame.problem.nodes.iter().enumerate();
    let over = |(n, limits): (usize, &Node)| {
        let flow = |t: usize| frame.forest.base_kw[n][t] + net[n][t];
        let import = |t: usize| (flow(t) + down[n][t] - limits.import_limit_kw[t]).max(0.0);
        let export = |t: usize| (up[n][t] - flow(t) - limits.export_limit_kw[t]).max(0.0);
        let intervals = 0..frame.problem.horizon();
        Overload {
            import_kw: intervals.clone().map(import).collect(),
            export_kw: intervals.map(export).collect(),
        }
    };
    Some(nodes.map(over).collect())
}

/// Sum of a quantity over resources, for each interval: resource by resource, as they lie in memory. `None` when the
/// caller says stop.
fn total<'a>(
    schedule: &'a [ResourceSchedule],
    resources: &[usize],
    horizon: usize,
    of: impl Fn(&'a ResourceSchedule, usize) -> f64,
    stop: &Stop<'_>,
) -> Option<Vec<f64>> {
    let mut sums = vec![0.0; horizon];
    for (at, &i) in resources.iter().enumerate() {
        stop.go_on_at(at)?;
        let row = sums.iter_mut().enumerate();
        row.for_each(|(t, sum)| *sum += of(&schedule[i], t));
    }
    Some(sums)
}

fn shortfall(
    frame: &Frame<'_>,
    schedule: &[ResourceSchedule],
    requirement: &Requirement,
    stop: &Stop<'_>,
) -> Option<Shortfall> {
    let horizon = frame.problem.horizon();
    let missing = |asked: &[f64], got: &[f64]| -> Vec<f64> {
        let pairs = asked.iter().zip(got);
        pairs.map(|(asked, got)| (asked - got).max(0.0)).collect()
    };
    Some(match requirement {
        Requirement::DemandResponse {
            direction,
            members,
            baseline_kw,
            commitment_kw,
            ..
        } => {
            let drawn = total(schedule, members, horizon, ResourceSchedule::net_kw, stop)?;
            let short = |t: usize| {
                let got = direction.sign() * (baseline_kw[t] - drawn[t]);
                let missing = (commitment_kw[t] - got).max(0.0);
                if commitment_kw[t] > 0.0 { missing } else { 0.0 }
            };
            Shortfall::DemandResponse {
                shortfall_kw: (0..horizon).map(short).collect(),
            }
        }
        Requirement::Regulation {
            members,
            up_kw,
            down_kw,
            ..
        } => Shortfall::Regulation {
            up_kw: missing(
                up_kw,
                &total(schedule, members, horizon, |plan, t| plan.up_kw[t], stop)?,
            ),
            down_kw: missing(
                down_kw,
                &total(schedule, members, horizon, |plan, t| plan.down_kw[t], stop)?,
            ),
        },
        Requirement::PeakShaving {
            node, ceiling_kw, ..
        } => {
            let below = &frame.forest.resources[*node];
            let mut flow = total(schedule, below, horizon, ResourceSchedule::net_kw, stop)?;
            let base = &frame.forest.base_kw[*node];
            flow.iter_mut().zip(base).for_each(|(sum, kw)| *sum += kw);
            Shortfall::PeakShaving {
                over_kw: missing(&flow, ceiling_kw),
                peak_kw: flow.iter().copied().fold(0.0, f64::max),
            }
        }
    })
}

fn shortfall_cost(problem: &Problem, requirement: &Requirement, short: &Shortfall) -> f64 {
    let kwh = short.total_kwh(&problem.intervals_h);
    match (requirement, short) {
        (Requirement::PeakShaving { peak_price, .. }, Shortfall::PeakShaving { peak_kw, .. }) => {
            problem.penalties.peak_ceiling * kwh + peak_price * peak_kw
        }
        (Requirement::Regulation { .. }, _) => problem.penalties.regulation * kwh,
        _ => problem.penalties.demand_response * kwh,
    }
}
