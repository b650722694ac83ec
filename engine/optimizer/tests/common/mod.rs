//! Problems by hand, and what is asked of their solutions.

// Each test file uses its part of this.
#![allow(dead_code)]

use vpp_optimizer::{
    Backend, Node, Options, Penalties, Problem, Requirement, Resource, Solution, Status,
    check::violations, reference, solve,
};

/// One that may charge and discharge up to a power, with no need, no losses and no prices.
pub(crate) fn resource(horizon: usize, charge_kw: f64, discharge_kw: f64) -> Resource {
    Resource {
        node: None,
        charge_max_kw: vec![charge_kw; horizon],
        discharge_max_kw: vec![discharge_kw; horizon],
        power_min_kw: vec![f64::NEG_INFINITY; horizon],
        power_max_kw: vec![f64::INFINITY; horizon],
        energy_min_kwh: vec![f64::NEG_INFINITY; horizon],
        energy_max_kwh: vec![f64::INFINITY; horizon],
        charge_efficiency: 1.0,
        discharge_efficiency: 1.0,
        initial_power_kw: 0.0,
        ramp_kw_per_h: f64::INFINITY,
        throughput_max_kwh: f64::INFINITY,
        energy_price: vec![0.0; horizon],
        feed_in_price: vec![0.0; horizon],
        wear: 0.0,
        terminal_value: 0.0,
        regulates: false,
    }
}

/// A root with a limit in both directions.
pub(crate) fn feeder(horizon: usize, limit_kw: f64, base_kw: f64) -> Node {
    Node {
        parent: None,
        import_limit_kw: vec![limit_kw; horizon],
        export_limit_kw: vec![limit_kw; horizon],
        base_kw: vec![base_kw; horizon],
    }
}

/// Intervals of one hour.
pub(crate) fn hours(horizon: usize, resources: Vec<Resource>) -> Problem {
    Problem {
        intervals_h: vec![1.0; horizon],
        resources,
        nodes: vec![],
        requirements: vec![],
        penalties: Penalties::default(),
    }
}

/// An event over all resources, in every interval.
pub(crate) fn event(problem: &Problem, baseline_kw: f64, commitment_kw: f64) -> Requirement {
    let horizon = problem.horizon();
    Requirement::DemandResponse {
        name: "event".into(),
        direction: vpp_optimizer::Direction::Shaving,
        members: (0..problem.resources.len()).collect(),
        baseline_kw: vec![baseline_kw; horizon],
        commitment_kw: vec![commitment_kw; horizon],
    }
}

/// Regulation from all resources, in every interval.
pub(crate) fn regulation(problem: &Problem, up: f64, down: f64, sustain_h: f64) -> Requirement {
    let horizon = problem.horizon();
    Requirement::Regulation {
        name: "regulation".into(),
        members: (0..problem.resources.len()).collect(),
        up_kw: vec![up; horizon],
        down_kw: vec![down; horizon],
        sustain_h,
    }
}

/// Solves with the solver to use and two general ones, checks all, returns the first's.
pub(crate) fn solved(problem: &Problem) -> Solution {
    let microlp = Options {
        backend: Backend::Microlp,
        time_limit: None,
    };
    let vertex = reference::solve(problem, &microlp).expect("solvable");
    let inner = reference::solve(problem, &Options::default()).expect("solvable");
    let solution = solve(problem, None, &|| false).expect("valid");
    for one in [&vertex, &inner, &solution] {
        assert_eq!(violations(problem, one, 1e-9), []);
        assert_eq!(one.status, Status::Optimal);
        let optimum = |of: &Solution| of.objective - of.repair_cost;
        assert!((optimum(one) - optimum(&solution)).abs() <= 1e-7 * optimum(one).abs().max(100.0));
    }
    assert!(vertex.prices.is_none() && inner.prices.is_some() && solution.prices.is_some());
    solution
}

#[track_caller]
pub(crate) fn assert_near(found: f64, expected: f64) {
    assert!(
        (found - expected).abs() <= 1e-5,
        "found {found}, expected {expected}"
    );
}

#[track_caller]
pub(crate) fn assert_net(solution: &Solution, resource: usize, expected: &[f64]) {
    for (t, expected) in expected.iter().enumerate() {
        assert_near(solution.schedule[resource].net_kw(t), *expected);
    }
}

pub(crate) fn unmet_kwh(solution: &Solution, resource: usize) -> f64 {
    solution.schedule[resource].unmet_kwh.iter().sum()
}

pub(crate) fn total(solution: &Solution, requirement: usize) -> f64 {
    solution.shortfalls[requirement].total_kwh(&vec![1.0; solution.schedule[0].up_kw.len()])
}
