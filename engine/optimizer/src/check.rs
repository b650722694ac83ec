//! Checks a solution against its problem, with formulas of its own.
//!
//! It shares no code with the solvers or the repair, so an error there does not hide here. It knows nothing of
//! optimality: only whether every hard limit holds and whether the solution says of itself what is true.

use crate::problem::{Node, Problem, Requirement, Resource};
use crate::solution::{RelaxedLimit, ResourceSchedule, Shortfall, Solution};

/// A limit that a solution breaks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Violation {
    /// Which limit.
    pub limit: HardLimit,
    /// Index of the resource, node or requirement.
    pub index: usize,
    /// Interval; the last one for a limit over the whole horizon.
    pub interval: usize,
    /// By how much, in kW or kWh.
    pub by: f64,
}

/// What can be broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HardLimit {
    /// Charging, discharging or regulation is negative or beyond connected power.
    ConnectedPower,
    /// Charging and discharging at once.
    BothDirections,
    /// Net draw with regulation in use is beyond `power_min_kw` or `power_max_kw`.
    NetDraw,
    /// The change of net draw.
    Ramp,
    /// The battery is overfull.
    EnergyMax,
    /// Warranty throughput.
    Throughput,
    /// Regulation that is held cannot be sustained.
    Sustain,
    /// Regulation is held by a resource that may not.
    NotRegulating,
    /// A flow is above the import limit and the overload that the solution admits.
    Import,
    /// A flow is above the export limit and the overload that the solution admits.
    Export,
    /// More falls short than the solution admits.
    Shortfall,
    /// More departure energy is unmet than the solution admits.
    Unmet,
}

/// All limits that are broken by more than a tolerance (kW or kWh). Own limits that the solution reports as relaxed
/// count as widened.
#[must_use]
pub fn violations(problem: &Problem, solution: &Solution, tolerance: f64) -> Vec<Violation> {
    let mut report = Report {
        tolerance,
        found: Vec::new(),
    };
    for (i, (resource, plan)) in problem.resources.iter().zip(&solution.schedule).enumerate() {
        check_power(&mut report, i, resource, plan);
        check_path(&mut report, i, resource, plan, problem, solution);
        check_energy(&mut report, i, resource, plan, problem, solution);
    }
    check_nodes(&mut report, problem, solution);
    for (index, requirement) in problem.requirements.iter().enumerate() {
        check_shortfall(&mut report, index, requirement, problem, solution);
    }
    report.found
}

struct Report {
    tolerance: f64,
    found: Vec<Violation>,
}

impl Report {
    /// Notes a value above its limit; NaN is above every limit.
    fn at_most(&mut self, limit: HardLimit, place: (usize, usize), value: f64, bound: f64) {
        let by = value - bound;
        let kept = by <= self.tolerance || bound == f64::INFINITY;
        if !kept {
            self.found.push(Violation {
                limit,
                index: place.0,
                interval: place.1,
                by,
            });
        }
    }
}

fn check_power(report: &mut Report, i: usize, r: &Resource, plan: &ResourceSchedule) {
    for t in 0..plan.charge_kw.len() {
        let at = (i, t);
        let (c, d) = (plan.charge_kw[t], plan.discharge_kw[t]);
        let (u, v) = (plan.up_kw[t], plan.down_kw[t]);
        for value in [c, d, u, v, plan.unmet_kwh[t]] {
            report.at_most(HardLimit::ConnectedPower, at, -value, 0.0);
        }
        report.at_most(HardLimit::ConnectedPower, at, c, r.charge_max_kw[t]);
        report.at_most(HardLimit::ConnectedPower, at, d, r.discharge_max_kw[t]);
        report.at_most(HardLimit::ConnectedPower, at, c - d + v, r.charge_max_kw[t]);
        report.at_most(
            HardLimit::ConnectedPower,
            at,
            d - c + u,
            r.discharge_max_kw[t],
        );
        report.at_most(HardLimit::BothDirections, at, c.min(d), 0.0);
        report.at_most(HardLimit::NetDraw, at, c - d + v, r.power_max_kw[t]);
        report.at_most(HardLimit::NetDraw, at, r.power_min_kw[t], c - d - u);
        if !r.regulates {
            report.at_most(HardLimit::NotRegulating, at, u + v, 0.0);
        }
    }
}

fn widened(solution: &Solution, resource: usize, limit: RelaxedLimit, interval: usize) -> f64 {
    let same = |r: &&crate::solution::Relaxation| {
        r.resource == resource && r.limit == limit && r.interval == interval
    };
    solution
        .relaxed
        .iter()
        .find(same)
        .map_or(0.0, |relaxation| relaxation.by)
}

/// Ramp and throughput.
fn check_path(
    report: &mut Report,
    i: usize,
    r: &Resource,
    plan: &ResourceSchedule,
    problem: &Problem,
    solution: &Solution,
) {
    let mut before = r.initial_power_kw;
    let mut exported = 0.0;
    for (t, &dt) in problem.intervals_h.iter().enumerate() {
        let net = plan.charge_kw[t] - plan.discharge_kw[t];
        let step = r.ramp_kw_per_h * dt + widened(solution, i, RelaxedLimit::Ramp, t);
        report.at_most(HardLimit::Ramp, (i, t), (net - before).abs(), step);
        exported += plan.discharge_kw[t] * dt;
        before = net;
    }
    let last = problem.horizon() - 1;
    let most = r.throughput_max_kwh + widened(solution, i, RelaxedLimit::Throughput, last);
    report.at_most(HardLimit::Throughput, (i, last), exported, most);
}

/// Energy, unmet energy, and whether regulation can be sustained.
fn check_energy(
    report: &mut Report,
    i: usize,
    r: &Resource,
    plan: &ResourceSchedule,
    problem: &Problem,
    solution: &Solution,
) {
    let unmet: f64 = plan.unmet_kwh.iter().sum();
    let sustain_h = problem
        .requirements
        .iter()
        .find_map(|requirement| match requirement {
            Requirement::Regulation {
                members, sustain_h, ..
            } if members.contains(&i) => Some(*sustain_h),
            _ => None,
        });
    let mut energy = 0.0;
    for (t, &dt) in problem.intervals_h.iter().enumerate() {
        let (c, d) = (plan.charge_kw[t], plan.discharge_kw[t]);
        energy += (r.charge_efficiency * c - d / r.discharge_efficiency) * dt;
        let full = r.energy_max_kwh[t] + widened(solution, i, RelaxedLimit::EnergyMax, t);
        report.at_most(HardLimit::EnergyMax, (i, t), energy, full);
        report.at_most(
            HardLimit::Unmet,
            (i, t),
            r.energy_min_kwh[t],
            energy + unmet,
        );

        let (u, v) = (plan.up_kw[t], plan.down_kw[t]);
        if u <= 0.0 && v <= 0.0 {
            continue;
        }
        let Some(k) = sustain_h else {
            report.at_most(HardLimit::NotRegulating, (i, t), u + v, 0.0);
            continue;
        };
        // Up: charging given up for as long as the interval lasts, export for all of k.
        let given_up = u.min(c);
        let lost = r.charge_efficiency * k.min(dt) * given_up
            + k * (u - given_up) / r.discharge_efficiency;
        report.at_most(
            HardLimit::Sustain,
            (i, t),
            r.energy_min_kwh[t],
            energy - lost + unmet,
        );
        // Down: discharging that ends, then charging.
        let ended = v.min(d);
        let gained = k * ended / r.discharge_efficiency + k * (v - ended) * r.charge_efficiency;
        report.at_most(HardLimit::Sustain, (i, t), energy + gained, full);
    }
}

fn is_below(nodes: &[Node], start: Option<usize>, above: usize) -> bool {
    let mut node = start;
    while let Some(current) = node {
        if current == above {
            return true;
        }
        node = nodes[current].parent;
    }
    false
}

/// Base load at and below a node, and the resources below it.
fn gather(problem: &Problem, node: usize) -> (Vec<f64>, Vec<usize>) {
    let mut base = vec![0.0; problem.horizon()];
    for (n, other) in problem.nodes.iter().enumerate() {
        if is_below(&problem.nodes, Some(n), node) {
            base.iter_mut()
                .zip(&other.base_kw)
                .for_each(|(sum, kw)| *sum += kw);
        }
    }
    let resources = (0..problem.resources.len())
        .filter(|&i| is_below(&problem.nodes, problem.resources[i].node, node))
        .collect();
    (base, resources)
}

fn check_nodes(report: &mut Report, problem: &Problem, solution: &Solution) {
    for (n, node) in problem.nodes.iter().enumerate() {
        let (base, below) = gather(problem, n);
        for (t, &base) in base.iter().enumerate() {
            let sum = |of: fn(&ResourceSchedule, usize) -> f64| -> f64 {
                below.iter().map(|&i| of(&solution.schedule[i], t)).sum()
            };
            let highest = base + sum(|plan, t| plan.net_kw(t) + plan.down_kw[t]);
            let lowest = base + sum(|plan, t| plan.net_kw(t) - plan.up_kw[t]);
            let over = &solution.overloads[n];
            let import = node.import_limit_kw[t] + over.import_kw[t];
            report.at_most(HardLimit::Import, (n, t), highest, import);
            let export = node.export_limit_kw[t] + over.export_kw[t];
            report.at_most(HardLimit::Export, (n, t), -lowest, export);
        }
    }
}

fn check_shortfall(
    report: &mut Report,
    index: usize,
    requirement: &Requirement,
    problem: &Problem,
    solution: &Solution,
) {
    let sum = |members: &[usize], t: usize, of: fn(&ResourceSchedule, usize) -> f64| -> f64 {
        members.iter().map(|&i| of(&solution.schedule[i], t)).sum()
    };
    for t in 0..problem.horizon() {
        let mut at_least = |got: f64, wanted: f64| {
            report.at_most(HardLimit::Shortfall, (index, t), wanted, got);
        };
        match (requirement, &solution.shortfalls[index]) {
            (
                Requirement::DemandResponse {
                    members,
                    baseline_kw,
                    commitment_kw,
                    ..
                },
                Shortfall::DemandResponse { shortfall_kw },
            ) => {
                let reduced = baseline_kw[t] - sum(members, t, ResourceSchedule::net_kw);
                if commitment_kw[t] > 0.0 {
                    at_least(reduced + shortfall_kw[t], commitment_kw[t]);
                }
            }
            (
                Requirement::Regulation {
                    members,
                    up_kw,
                    down_kw,
                    ..
                },
                Shortfall::Regulation {
                    up_kw: short_up,
                    down_kw: short_down,
                },
            ) => {
                at_least(
                    sum(members, t, |plan, t| plan.up_kw[t]) + short_up[t],
                    up_kw[t],
                );
                at_least(
                    sum(members, t, |plan, t| plan.down_kw[t]) + short_down[t],
                    down_kw[t],
                );
            }
            (
                Requirement::PeakShaving {
                    node, ceiling_kw, ..
                },
                Shortfall::PeakShaving { over_kw, peak_kw },
            ) => {
                let (base, below) = gather(problem, *node);
                let flow = base[t] + sum(&below, t, ResourceSchedule::net_kw);
                at_least(ceiling_kw[t] + over_kw[t], flow);
                at_least(*peak_kw, flow);
            }
            _ => at_least(f64::NEG_INFINITY, 0.0),
        }
    }
}
