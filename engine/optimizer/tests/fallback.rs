//! Schedules by rules: small problems worked out by hand.

mod common;

use std::time::Duration;

use common::{
    assert_near, assert_net, event, feeder, hours, regulation, resource, total, unmet_kwh,
};
use vpp_optimizer::{
    Backend, Options, Requirement, SolveError, Status, check::violations, reference, rules, solve,
};

#[test]
fn a_solver_without_time_gives_no_solution_and_rules_do() {
    let mut battery = resource(2, 10.0, 0.0);
    battery.node = Some(0);
    battery.energy_min_kwh = vec![0.0, 12.0];
    battery.energy_price = vec![0.8, 0.3];
    let mut problem = hours(2, vec![battery]);
    problem.nodes = vec![feeder(2, 9.0, 0.0)];
    for backend in [Backend::Clarabel, Backend::Microlp] {
        let hurried = Options {
            backend,
            time_limit: Some(Duration::ZERO),
        };
        let found = reference::solve(&problem, &hurried);
        assert!(
            matches!(found, Err(SolveError::Unsolved { .. })),
            "{found:?}"
        );
    }
    let hurried = solve(&problem, None, &|| true).expect("valid");
    let ruled = rules(&problem).expect("valid");
    assert_eq!(hurried, ruled);
    assert_eq!(ruled.status, Status::Rules);
    assert_eq!(violations(&problem, &ruled, 1e-9), []);
    assert_near(unmet_kwh(&ruled, 0), 0.0);
}

#[test]
fn rules_share_an_event_by_what_each_can_give_up() {
    // Floors 2 and 4 kW, wishes 8 and 10: of 18 kW, 9 must go, shared 6 : 6.
    let mut first = resource(2, 10.0, 0.0);
    first.energy_min_kwh = vec![2.0, 8.0];
    let mut second = resource(2, 10.0, 0.0);
    second.energy_min_kwh = vec![4.0, 10.0];
    let mut problem = hours(2, vec![first, second]);
    let Requirement::DemandResponse { members, .. } = event(&problem, 0.0, 0.0) else {
        return;
    };
    problem.requirements = vec![Requirement::DemandResponse {
        name: "event".into(),
        direction: vpp_optimizer::Direction::Shaving,
        members,
        baseline_kw: vec![18.0, 0.0],
        commitment_kw: vec![9.0, 0.0],
    }];
    let ruled = rules(&problem).expect("valid");
    assert_net(&ruled, 0, &[3.5, 4.5]);
    assert_net(&ruled, 1, &[5.5, 4.5]);
    assert_near(total(&ruled, 0), 0.0);
}

#[test]
fn rules_leave_no_overload_that_can_be_avoided() {
    // Both are at the last moment for a departure, and the feeder leaves 10 of the 16 kW.
    let mut battery = resource(1, 10.0, 0.0);
    battery.node = Some(0);
    battery.energy_min_kwh = vec![8.0];
    let mut problem = hours(1, vec![battery.clone(), battery]);
    problem.nodes = vec![feeder(1, 12.0, 2.0)];
    let ruled = rules(&problem).expect("valid");
    assert_net(&ruled, 0, &[5.0]);
    assert_net(&ruled, 1, &[5.0]);
    assert_near(ruled.overloads[0].import_kw[0], 0.0);
    assert_near(unmet_kwh(&ruled, 0), 3.0);
}

#[test]
fn rules_hold_no_regulation_that_a_node_cannot_carry() {
    let mut battery = resource(1, 10.0, 10.0);
    battery.node = Some(0);
    battery.regulates = true;
    let mut problem = hours(1, vec![battery.clone(), battery]);
    problem.nodes = vec![feeder(1, 6.0, 2.0)];
    problem.requirements = vec![regulation(&problem, 20.0, 20.0, 0.5)];
    let ruled = rules(&problem).expect("valid");
    // At rest the feeder can take 4 kW more, and 8 kW less.
    for plan in &ruled.schedule {
        assert_near(plan.down_kw[0], 2.0);
        assert_near(plan.up_kw[0], 4.0);
    }
    assert_near(
        ruled.overloads[0].import_kw[0] + ruled.overloads[0].export_kw[0],
        0.0,
    );
}
