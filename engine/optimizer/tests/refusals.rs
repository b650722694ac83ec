//! What is refused, and that the check finds what is broken.

mod common;

use common::{event, feeder, hours, regulation, resource};
use vpp_optimizer::check::{HardLimit, violations};
use vpp_optimizer::{Problem, Requirement, Shortfall, Solution, rules, solve, validate};

fn valid() -> Problem {
    let mut battery = resource(2, 10.0, 10.0);
    battery.node = Some(0);
    battery.energy_min_kwh = vec![-2.0, 3.0];
    battery.energy_max_kwh = vec![8.0, 8.0];
    battery.ramp_kw_per_h = 20.0;
    battery.throughput_max_kwh = 5.0;
    battery.regulates = true;
    let mut problem = hours(2, vec![battery]);
    problem.nodes = vec![feeder(2, 10.0, 2.0), feeder(2, 20.0, 0.0)];
    problem.nodes[0].parent = Some(1);
    problem.requirements = vec![
        event(&problem, 5.0, 3.0),
        regulation(&problem, 2.0, 2.0, 0.5),
        Requirement::PeakShaving {
            name: "peak".into(),
            node: 1,
            ceiling_kw: vec![9.0, f64::INFINITY],
            peak_price: 1.0,
        },
    ];
    problem
}

/// Breaks the valid problem in one place.
#[track_caller]
fn refused(fault: fn(&mut Problem), message: &str) {
    let mut problem = valid();
    fault(&mut problem);
    let found = validate(&problem).expect_err(message).to_string();
    assert_eq!(found, message);
    assert!(solve(&problem, None, &|| false).is_err());
    assert!(rules(&problem).is_err());
}

#[test]
fn numbers_out_of_range_are_refused() {
    assert_eq!(validate(&valid()), Ok(()));
    refused(|p| p.intervals_h.clear(), "the horizon is empty");
    refused(
        |p| p.intervals_h[1] = 0.0,
        "problem intervals_h: 0 is not finite and above 0",
    );
    refused(
        |p| p.resources[0].energy_price.truncate(1),
        "resource 0 energy_price: 1 entries for 2 intervals",
    );
    refused(
        |p| p.resources[0].wear = f64::NAN,
        "resource 0 wear: NaN is not finite",
    );
    refused(
        |p| p.resources[0].charge_max_kw[1] = f64::INFINITY,
        "resource 0 charge_max_kw: inf is not finite and at least 0",
    );
    refused(
        |p| p.resources[0].discharge_efficiency = 1.1,
        "resource 0 discharge_efficiency: 1.1 is not above 0 and at most 1",
    );
    refused(
        |p| p.resources[0].energy_max_kwh[0] = f64::NEG_INFINITY,
        "resource 0 energy_max_kwh: -inf is not a number or positive infinity",
    );
    refused(
        |p| p.resources[0].power_min_kw[1] = 11.0,
        "resource 0 interval 1: least power 11 is above greatest 10",
    );
    refused(
        |p| p.resources[0].energy_min_kwh[0] = 9.0,
        "resource 0 interval 0: least energy 9 is above greatest 8",
    );
}

#[test]
fn indices_and_ranks_that_make_no_sense_are_refused() {
    refused(
        |p| p.resources[0].node = Some(2),
        "resource 0 node: there is no 2",
    );
    refused(
        |p| p.nodes[1].import_limit_kw[0] = -1.0,
        "node 1 import_limit_kw: -1 is not at least 0",
    );
    refused(
        |p| p.nodes[1].parent = Some(7),
        "node 1 parent: there is no 7",
    );
    refused(
        |p| p.nodes[1].parent = Some(0),
        "node 0 is its own ancestor",
    );
    refused(
        |p| p.penalties.unmet_energy = 50.0,
        "penalty demand_response must be below penalty unmet_energy",
    );
    refused(
        |p| p.penalties.peak_ceiling = 5.0,
        "penalty regulation must be below penalty peak_ceiling",
    );
    refused(
        |p| {
            let two = hours(2, vec![resource(2, 1.0, 0.0); 2]);
            p.requirements.push(event(&two, 0.0, 0.0));
        },
        "requirement 3 members: there is no 1",
    );
    refused(
        |p| p.requirements.push(regulation(p, 1.0, 1.0, 1.0)),
        "requirement 3: resource 0 is counted twice",
    );
    refused(
        |p| {
            let Requirement::DemandResponse { members, .. } = &mut p.requirements[0] else {
                return;
            };
            members.push(0);
        },
        "requirement 0: resource 0 is counted twice",
    );
    refused(
        |p| {
            let Requirement::PeakShaving { node, .. } = &mut p.requirements[2] else {
                return;
            };
            *node = 4;
        },
        "requirement 2 node: there is no 4",
    );
}

/// Breaks a solution of the valid problem in one place.
#[track_caller]
fn found(fault: fn(&mut Solution), limit: HardLimit) {
    let problem = valid();
    let mut solution = solve(&problem, None, &|| false).expect("solvable");
    assert_eq!(violations(&problem, &solution, 1e-9), []);
    fault(&mut solution);
    let found = violations(&problem, &solution, 1e-6);
    assert!(
        found.iter().any(|violation| violation.limit == limit),
        "{limit:?}: {found:?}"
    );
}

#[test]
fn the_check_finds_each_broken_limit() {
    found(
        |s| s.schedule[0].charge_kw[0] = 11.0,
        HardLimit::ConnectedPower,
    );
    found(|s| s.schedule[0].up_kw[0] = -1.0, HardLimit::ConnectedPower);
    found(
        |s| s.schedule[0].charge_kw[0] = f64::NAN,
        HardLimit::ConnectedPower,
    );
    found(
        |s| {
            s.schedule[0].charge_kw[1] += 1.0;
            s.schedule[0].discharge_kw[1] += 1.0;
        },
        HardLimit::BothDirections,
    );
    found(
        |s| s.schedule[0].charge_kw = vec![10.0, 10.0],
        HardLimit::EnergyMax,
    );
    found(
        |s| s.schedule[0].charge_kw = vec![0.0, 25.0],
        HardLimit::Ramp,
    );
    found(
        |s| s.schedule[0].discharge_kw = vec![6.0, 0.0],
        HardLimit::Throughput,
    );
    found(
        |s| s.schedule[0].charge_kw = vec![0.0, 0.0],
        HardLimit::Unmet,
    );
    found(
        |s| s.schedule[0].up_kw = vec![30.0, 30.0],
        HardLimit::Sustain,
    );
    found(
        |s| s.schedule[0].down_kw = vec![30.0, 30.0],
        HardLimit::Import,
    );
    found(
        |s| s.schedule[0].up_kw = vec![30.0, 30.0],
        HardLimit::Export,
    );
    found(
        |s| {
            s.schedule[0].up_kw = vec![0.0; 2];
            let Shortfall::Regulation { up_kw, .. } = &mut s.shortfalls[1] else {
                return;
            };
            *up_kw = vec![0.0; 2];
        },
        HardLimit::Shortfall,
    );
    found(
        |s| {
            let Shortfall::PeakShaving { peak_kw, .. } = &mut s.shortfalls[2] else {
                return;
            };
            *peak_kw = 0.0;
        },
        HardLimit::Shortfall,
    );
}

#[test]
fn the_check_finds_who_may_not_regulate() {
    let problem = valid();
    let solution = solve(&problem, None, &|| false).expect("solvable");
    let mut still = problem.clone();
    still.resources[0].regulates = false;
    still.resources[0].power_max_kw = vec![0.0; 2];
    let found = violations(&still, &solution, 1e-6);
    assert!(
        found
            .iter()
            .any(|violation| violation.limit == HardLimit::NotRegulating),
        "{found:?}"
    );
    assert!(
        found
            .iter()
            .any(|violation| violation.limit == HardLimit::NetDraw),
        "{found:?}"
    );
}
