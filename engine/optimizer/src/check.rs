//! Checks a solution against its problem, with formulas of its own.
//!
//! It shares no code with the solvers or the repair, so an error there does not hide here. It knows nothing of
//! optimality: only whether every hard limit holds and whether the solution says of itself what is true.

use std::collections::BTreeMap;

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
    let widened = Widened::new(solution);
    let sustain_h = sustained_hours(problem);
    for (i, (resource, plan)) in problem.resources.iter().zip(&solution.schedule).enumerate() {
        check_power(&mut report, i, resource, plan);
        check_path(&mut report, i, resource, plan, problem, &widened);
        check_energy(
            &mut report,
            i,
            resource,
            plan,
            problem,
            &widened,
            sustain_h[i],
        );
    }
    let flows = Flows::new(problem, solution);
    check_nodes(&mut report, problem, solution, &flows);
    for (index, requirement) in problem.requirements.iter().enumerate() {
        check_shortfall(&mut report, index, requirement, problem, solution, &flows);
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

/// Own limits that the solution reports as relaxed, by resource, limit and interval.
struct Widened(BTreeMap<(usize, u8, usize), f64>);

impl Widened {
    fn new(solution: &Solution) -> Self {
        let mut widened = BTreeMap::new();
        for r in &solution.relaxed {
            // The first report of a limit counts.
            let key = (r.resource, r.limit as u8, r.interval);
            widened.entry(key).or_insert(r.by);
        }
        Self(widened)
    }

    fn by(&self, resource: usize, limit: RelaxedLimit, interval: usize) -> f64 {
        let key = (resource, limit as u8, interval);
        self.0.get(&key).copied().unwrap_or(0.0)
    }
}

/// For each resource, how long its regulation must be sustained; `None` where it is asked for none.
fn sustained_hours(problem: &Problem) -> Vec<Option<f64>> {
    let mut hours = vec![None; problem.resources.len()];
    for requirement in &problem.requirements {
        if let Requirement::Regulation {
            members, sustain_h, ..
        } = requirement
        {
            members.iter().for_each(|&i| hours[i] = Some(*sustain_h));
        }
    }
    hours
}

/// Ramp and throughput.
fn check_path(
    report: &mut Report,
    i: usize,
    r: &Resource,
    plan: &ResourceSchedule,
    problem: &Problem,
    widened: &Widened,
) {
    let mut before = r.initial_power_kw;
    let mut exported = 0.0;
    for (t, &dt) in problem.intervals_h.iter().enumerate() {
        let net = plan.charge_kw[t] - plan.discharge_kw[t];
        let step = r.ramp_kw_per_h * dt + widened.by(i, RelaxedLimit::Ramp, t);
        report.at_most(HardLimit::Ramp, (i, t), (net - before).abs(), step);
        exported += plan.discharge_kw[t] * dt;
        before = net;
    }
    let last = problem.horizon() - 1;
    let most = r.throughput_max_kwh + widened.by(i, RelaxedLimit::Throughput, last);
    report.at_most(HardLimit::Throughput, (i, last), exported, most);
}

/// Energy, unmet energy, and whether regulation can be sustained.
fn check_energy(
    report: &mut Report,
    i: usize,
    r: &Resource,
    plan: &ResourceSchedule,
    problem: &Problem,
    widened: &Widened,
    sustain_h: Option<f64>,
) {
    let unmet: f64 = plan.unmet_kwh.iter().sum();
    let mut energy = 0.0;
    for (t, &dt) in problem.intervals_h.iter().enumerate() {
        let (c, d) = (plan.charge_kw[t], plan.discharge_kw[t]);
        energy += (r.charge_efficiency * c - d / r.discharge_efficiency) * dt;
        let full = r.energy_max_kwh[t] + widened.by(i, RelaxedLimit::EnergyMax, t);
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

/// What flows through each node in each interval, base load included.
struct Flows {
    /// As scheduled.
    net_kw: Vec<Vec<f64>>,
    /// With all down regulation in use.
    highest_kw: Vec<Vec<f64>>,
    /// With all up regulation in use.
    lowest_kw: Vec<Vec<f64>>,
}

impl Flows {
    fn new(problem: &Problem, solution: &Solution) -> Self {
        let flow = |of: fn(&ResourceSchedule, usize) -> f64| {
            let mut kw: Vec<Vec<f64>> = problem.nodes.iter().map(|n| n.base_kw.clone()).collect();
            for (resource, plan) in problem.resources.iter().zip(&solution.schedule) {
                if let Some(node) = resource.node {
                    let row = kw[node].iter_mut().enumerate();
                    row.for_each(|(t, sum)| *sum += of(plan, t));
                }
            }
            // From the deepest nodes up, each into the one above it.
            let mut by_depth: Vec<(usize, usize)> = (0..problem.nodes.len())
                .map(|n| (depth(&problem.nodes, n), n))
                .collect();
            by_depth.sort_unstable_by(|a, b| b.cmp(a));
            for (_, n) in by_depth {
                if let Some(above) = problem.nodes[n].parent {
                    let row = kw[n].clone();
                    kw[above]
                        .iter_mut()
                        .zip(row)
                        .for_each(|(sum, kw)| *sum += kw);
                }
            }
            kw
        };
        Self {
            net_kw: flow(ResourceSchedule::net_kw),
            highest_kw: flow(|plan, t| plan.net_kw(t) + plan.down_kw[t]),
            lowest_kw: flow(|plan, t| plan.net_kw(t) - plan.up_kw[t]),
        }
    }
}

fn depth(nodes: &[Node], node: usize) -> usize {
    std::iter::successors(Some(node), |&n| nodes[n].parent).count()
}

fn check_nodes(report: &mut Report, problem: &Problem, solution: &Solution, flows: &Flows) {
    for (n, (node, over)) in problem.nodes.iter().zip(&solution.overloads).enumerate() {
        for t in 0..problem.horizon() {
            let import = node.import_limit_kw[t] + over.import_kw[t];
            report.at_most(HardLimit::Import, (n, t), flows.highest_kw[n][t], import);
            let export = node.export_limit_kw[t] + over.export_kw[t];
            report.at_most(HardLimit::Export, (n, t), -flows.lowest_kw[n][t], export);
        }
    }
}

/// Sum over some resources, for each interval.
fn sum_over(
    problem: &Problem,
    solution: &Solution,
    members: &[usize],
    of: fn(&ResourceSchedule, usize) -> f64,
) -> Vec<f64> {
    let mut sums = vec![0.0; problem.horizon()];
    for &i in members {
        for (t, sum) in sums.iter_mut().enumerate() {
            *sum += of(&solution.schedule[i], t);
        }
    }
    sums
}

fn check_shortfall(
    report: &mut Report,
    index: usize,
    requirement: &Requirement,
    problem: &Problem,
    solution: &Solution,
    flows: &Flows,
) {
    let mut at_least = |t: usize, got: f64, wanted: f64| {
        report.at_most(HardLimit::Shortfall, (index, t), wanted, got);
    };
    let intervals = 0..problem.horizon();
    match (requirement, &solution.shortfalls[index]) {
        (
            Requirement::DemandResponse {
                direction,
                members,
                baseline_kw,
                commitment_kw,
                ..
            },
            Shortfall::DemandResponse { shortfall_kw },
        ) => {
            let drawn = sum_over(problem, solution, members, ResourceSchedule::net_kw);
            for t in intervals.filter(|&t| commitment_kw[t] > 0.0) {
                let reduced = direction.sign() * (baseline_kw[t] - drawn[t]);
                at_least(t, reduced + shortfall_kw[t], commitment_kw[t]);
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
            let up = sum_over(problem, solution, members, |plan, t| plan.up_kw[t]);
            let down = sum_over(problem, solution, members, |plan, t| plan.down_kw[t]);
            for t in intervals {
                at_least(t, up[t] + short_up[t], up_kw[t]);
                at_least(t, down[t] + short_down[t], down_kw[t]);
            }
        }
        (
            Requirement::PeakShaving {
                node, ceiling_kw, ..
            },
            Shortfall::PeakShaving { over_kw, peak_kw },
        ) => {
            for t in intervals {
                let flow = flows.net_kw[*node][t];
                at_least(t, ceiling_kw[t] + over_kw[t], flow);
                at_least(t, *peak_kw, flow);
            }
        }
        _ => at_least(0, f64::NEG_INFINITY, 0.0),
    }
}
