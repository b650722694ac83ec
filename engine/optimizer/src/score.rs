//! What a schedule costs and what it falls short of, worked out from the schedule alone.

use crate::frame::Frame;
use crate::problem::{Problem, Requirement, Resource};
use crate::solution::{Overload, ResourceSchedule, Shortfall};

/// The outcome of a schedule.
pub(crate) struct Score {
    pub(crate) shortfalls: Vec<Shortfall>,
    pub(crate) overloads: Vec<Overload>,
    pub(crate) objective: f64,
}

/// Fills in the unmet energy of each resource and adds up everything.
pub(crate) fn score(frame: &Frame<'_>, schedule: &mut [ResourceSchedule]) -> Score {
    let problem = frame.problem;
    let dt = &problem.intervals_h;
    let mut objective = 0.0;
    for (resource, plan) in problem.resources.iter().zip(schedule.iter_mut()) {
        plan.unmet_kwh = unmet_kwh(resource, plan, dt);
        objective += own_cost(resource, plan, dt);
        objective += problem.penalties.unmet_energy * plan.unmet_kwh.iter().sum::<f64>();
    }
    let overloads: Vec<Overload> = (0..problem.nodes.len())
        .map(|node| overload(frame, schedule, node))
        .collect();
    for over in &overloads {
        let kw = over
            .import_kw
            .iter()
            .zip(&over.export_kw)
            .map(|(import, export)| import + export);
        let kwh: f64 = kw.zip(dt).map(|(kw, dt)| kw * dt).sum();
        objective += problem.penalties.overload * kwh;
    }
    let shortfalls: Vec<Shortfall> = problem
        .requirements
        .iter()
        .map(|r| shortfall(frame, schedule, r))
        .collect();
    for (requirement, short) in problem.requirements.iter().zip(&shortfalls) {
        objective += shortfall_cost(problem, requirement, short);
    }
    Score {
        shortfalls,
        overloads,
        objective,
    }
}

/// Battery-side energy gained by the end of each interval.
pub(crate) fn energy_kwh(resource: &Resource, plan: &ResourceSchedule, dt: &[f64]) -> Vec<f64> {
    let mut energy = 0.0;
    (0..dt.len())
        .map(|t| {
            energy += plan.charge_kw[t] * resource.charge_efficiency * dt[t];
            energy -= plan.discharge_kw[t] / resource.discharge_efficiency * dt[t];
            energy
        })
        .collect()
}

/// What becomes unmet in each interval: by how much the greatest lack so far grows.
fn unmet_kwh(resource: &Resource, plan: &ResourceSchedule, dt: &[f64]) -> Vec<f64> {
    let mut worst = 0.0_f64;
    energy_kwh(resource, plan, dt)
        .iter()
        .zip(&resource.energy_min_kwh)
        .map(|(energy, need)| {
            let grown = (need - energy - worst).max(0.0);
            worst += grown;
            grown
        })
        .collect()
}

fn own_cost(resource: &Resource, plan: &ResourceSchedule, dt: &[f64]) -> f64 {
    let flow: f64 = (0..dt.len())
        .map(|t| {
            let drawn = resource.energy_price[t] * plan.charge_kw[t];
            let exported = (resource.wear - resource.feed_in_price[t]) * plan.discharge_kw[t];
            (drawn + exported) * dt[t]
        })
        .sum();
    let held = energy_kwh(resource, plan, dt)
        .last()
        .copied()
        .unwrap_or(0.0);
    flow - resource.terminal_value * held
}

/// Flow through a node in interval `t`, without regulation.
pub(crate) fn node_flow_kw(
    frame: &Frame<'_>,
    schedule: &[ResourceSchedule],
    node: usize,
    t: usize,
) -> f64 {
    let below = frame.forest.resources[node]
        .iter()
        .map(|&i| schedule[i].net_kw(t))
        .sum::<f64>();
    frame.forest.base_kw[node][t] + below
}

fn overload(frame: &Frame<'_>, schedule: &[ResourceSchedule], node: usize) -> Overload {
    let limits = &frame.problem.nodes[node];
    let below = &frame.forest.resources[node];
    let horizon = frame.problem.horizon();
    let mut over = Overload {
        import_kw: vec![0.0; horizon],
        export_kw: vec![0.0; horizon],
    };
    for t in 0..horizon {
        let flow = node_flow_kw(frame, schedule, node, t);
        let up: f64 = below.iter().map(|&i| schedule[i].up_kw[t]).sum();
        let down: f64 = below.iter().map(|&i| schedule[i].down_kw[t]).sum();
        over.import_kw[t] = (flow + down - limits.import_limit_kw[t]).max(0.0);
        over.export_kw[t] = (up - flow - limits.export_limit_kw[t]).max(0.0);
    }
    over
}

fn shortfall(
    frame: &Frame<'_>,
    schedule: &[ResourceSchedule],
    requirement: &Requirement,
) -> Shortfall {
    let intervals = 0..frame.problem.horizon();
    match requirement {
        Requirement::DemandResponse {
            members,
            baseline_kw,
            commitment_kw,
            ..
        } => {
            let short = |t: usize| {
                let drawn: f64 = members.iter().map(|&i| schedule[i].net_kw(t)).sum();
                let missing = (commitment_kw[t] - (baseline_kw[t] - drawn)).max(0.0);
                if commitment_kw[t] > 0.0 { missing } else { 0.0 }
            };
            Shortfall::DemandResponse {
                shortfall_kw: intervals.map(short).collect(),
            }
        }
        Requirement::Regulation {
            members,
            up_kw,
            down_kw,
            ..
        } => {
            let held = |t: usize, of: fn(&ResourceSchedule) -> &[f64]| -> f64 {
                members.iter().map(|&i| of(&schedule[i])[t]).sum()
            };
            let up = |t: usize| (up_kw[t] - held(t, |plan| &plan.up_kw)).max(0.0);
            let down = |t: usize| (down_kw[t] - held(t, |plan| &plan.down_kw)).max(0.0);
            Shortfall::Regulation {
                up_kw: intervals.clone().map(up).collect(),
                down_kw: intervals.map(down).collect(),
            }
        }
        Requirement::PeakShaving {
            node, ceiling_kw, ..
        } => {
            let flow: Vec<f64> = intervals
                .map(|t| node_flow_kw(frame, schedule, *node, t))
                .collect();
            Shortfall::PeakShaving {
                over_kw: flow
                    .iter()
                    .zip(ceiling_kw)
                    .map(|(kw, top)| (kw - top).max(0.0))
                    .collect(),
                peak_kw: flow.iter().copied().fold(0.0, f64::max),
            }
        }
    }
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
