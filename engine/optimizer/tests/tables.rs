//! Small problems worked out by hand.

mod common;

use std::time::Duration;

use common::{event, feeder, hours, regulation, resource};
use vpp_optimizer::{
    Backend, Options, Problem, RelaxedLimit, Requirement, Shortfall, Solution, SolveError, Status,
    check::violations, rules, solve,
};

/// Solves with both solvers, checks both, returns the default's.
fn solved(problem: &Problem) -> Solution {
    let microlp = Options {
        backend: Backend::Microlp,
        time_limit: None,
    };
    let other = solve(problem, &microlp).expect("solvable");
    let solution = solve(problem, &Options::default()).expect("solvable");
    assert_near(
        other.objective - other.repair_cost,
        solution.objective - solution.repair_cost,
    );
    for one in [&other, &solution] {
        assert_eq!(violations(problem, one, 1e-9), []);
        assert_eq!(one.status, Status::Optimal);
    }
    assert!(other.prices.is_none() && solution.prices.is_some());
    solution
}

#[track_caller]
fn assert_near(found: f64, expected: f64) {
    assert!(
        (found - expected).abs() <= 1e-5,
        "found {found}, expected {expected}"
    );
}

#[track_caller]
fn assert_net(solution: &Solution, resource: usize, expected: &[f64]) {
    for (t, expected) in expected.iter().enumerate() {
        assert_near(solution.schedule[resource].net_kw(t), *expected);
    }
}

fn unmet_kwh(solution: &Solution, resource: usize) -> f64 {
    solution.schedule[resource].unmet_kwh.iter().sum()
}

fn total(solution: &Solution, requirement: usize) -> f64 {
    solution.shortfalls[requirement].total_kwh(&vec![1.0; solution.schedule[0].up_kw.len()])
}

#[test]
fn charging_moves_to_the_cheap_hour_and_pays_for_losses() {
    let mut battery = resource(2, 10.0, 0.0);
    battery.energy_min_kwh = vec![0.0, 9.0];
    battery.charge_efficiency = 0.9;
    battery.energy_price = vec![0.8, 0.3];
    let solution = solved(&hours(2, vec![battery]));
    assert_net(&solution, 0, &[0.0, 10.0]);
    assert_near(solution.objective, 3.0);
}

#[test]
fn two_stations_share_a_feeder_and_say_what_is_unmet() {
    // The feeder leaves 10 − 4 = 6 kW; both need 4 kWh within the hour.
    let mut battery = resource(1, 10.0, 0.0);
    battery.node = Some(0);
    battery.energy_min_kwh = vec![4.0];
    battery.energy_price = vec![0.5];
    let mut problem = hours(1, vec![battery.clone(), battery]);
    problem.nodes = vec![feeder(1, 10.0, 4.0)];
    let solution = solved(&problem);
    assert_near(
        solution.schedule[0].net_kw(0) + solution.schedule[1].net_kw(0),
        6.0,
    );
    assert_near(unmet_kwh(&solution, 0) + unmet_kwh(&solution, 1), 2.0);
    assert_near(solution.objective, 6.0 * 0.5 + 2.0 * 1000.0);
    let prices = solution.prices.expect("prices");
    assert_near(prices.nodes[0].import[0], 1000.0 - 0.5);
}

#[test]
fn limits_above_and_below_hold_with_the_base_of_all_below() {
    // Substation 12 kW over a feeder (base 3) and its own base 2: 7 kW are left, though the feeder has 20.
    let mut battery = resource(1, 10.0, 0.0);
    battery.node = Some(0);
    battery.terminal_value = 1.0;
    let mut problem = hours(1, vec![battery]);
    problem.nodes = vec![feeder(1, 20.0, 3.0), feeder(1, 12.0, 2.0)];
    problem.nodes[0].parent = Some(1);
    assert_net(&solved(&problem), 0, &[7.0]);
}

#[test]
fn an_event_is_kept_with_what_can_wait() {
    // Both gain 0.5 CNY/kWh by charging; the first must have 6 kWh. 20 − 8 kW remain.
    let mut needy = resource(1, 10.0, 0.0);
    needy.terminal_value = 1.0;
    needy.energy_price = vec![0.5];
    let idle = needy.clone();
    needy.energy_min_kwh = vec![6.0];
    let mut problem = hours(1, vec![needy, idle]);
    problem.requirements = vec![event(&problem, 20.0, 8.0)];
    let solution = solved(&problem);
    let drawn = [
        solution.schedule[0].net_kw(0),
        solution.schedule[1].net_kw(0),
    ];
    assert_near(drawn[0] + drawn[1], 12.0);
    assert!(drawn[0] >= 6.0 - 1e-6);
    assert_near(total(&solution, 0), 0.0);
    assert_near(
        solution.prices.expect("prices").requirements[0].price[0],
        0.5,
    );

    // A reduction of 17 kW would touch the need: 14 are given, 3 fall short.
    problem.requirements = vec![event(&problem, 20.0, 17.0)];
    let solution = solved(&problem);
    assert_net(&solution, 0, &[6.0]);
    assert_net(&solution, 1, &[0.0]);
    assert_near(total(&solution, 0), 3.0);
}

#[test]
fn an_event_of_zero_asks_for_nothing() {
    let mut battery = resource(1, 10.0, 0.0);
    battery.terminal_value = 1.0;
    let mut problem = hours(1, vec![battery]);
    problem.requirements = vec![event(&problem, 5.0, 0.0)];
    let solution = solved(&problem);
    assert_net(&solution, 0, &[10.0]);
    assert_near(total(&solution, 0), 0.0);
}

#[test]
fn headroom_for_down_regulation_is_taken_from_charging() {
    let mut battery = resource(1, 10.0, 0.0);
    battery.terminal_value = 1.0;
    battery.energy_price = vec![0.5];
    battery.regulates = true;
    let mut problem = hours(1, vec![battery]);
    problem.requirements = vec![regulation(&problem, 6.0, 4.0, 0.5)];
    let solution = solved(&problem);
    assert_net(&solution, 0, &[6.0]);
    assert_near(solution.schedule[0].up_kw[0], 6.0);
    assert_near(solution.schedule[0].down_kw[0], 4.0);
    assert_near(solution.objective, -3.0);

    // One kW more of each: 11 kW of headroom are not there.
    problem.requirements = vec![regulation(&problem, 6.0, 5.0, 0.5)];
    assert_near(total(&solved(&problem), 0), 1.0);
}

#[test]
fn an_empty_battery_may_offer_the_charging_it_can_give_up() {
    let mut battery = resource(1, 10.0, 0.0);
    battery.terminal_value = 1.0;
    battery.regulates = true;
    let check = |need_kwh: f64, offered_kw: f64| {
        let mut battery = battery.clone();
        battery.energy_min_kwh = vec![need_kwh];
        let mut problem = hours(1, vec![battery]);
        problem.intervals_h = vec![0.25];
        problem.requirements = vec![regulation(&problem, 20.0, 0.0, 1.0)];
        assert_near(solved(&problem).schedule[0].up_kw[0], offered_kw);
    };
    check(0.0, 10.0);
    // Half of what this interval can charge is needed, so half of it can be given up.
    check(1.25, 5.0);
    // At the last moment for a departure there is nothing to offer.
    check(2.5, 0.0);
}

#[test]
fn exported_regulation_is_bounded_by_what_is_stored() {
    // 5 kWh stored, sustained for half an hour: 10 kW of the 20.
    let mut battery = resource(1, 0.0, 20.0);
    battery.energy_min_kwh = vec![-5.0];
    battery.wear = 1.0;
    battery.regulates = true;
    let mut problem = hours(1, vec![battery]);
    problem.requirements = vec![regulation(&problem, 20.0, 0.0, 0.5)];
    assert_near(solved(&problem).schedule[0].up_kw[0], 10.0);

    // A feeder that lets out 4 kW bounds it further.
    problem.resources[0].node = Some(0);
    problem.nodes = vec![feeder(1, 4.0, 0.0)];
    assert_near(solved(&problem).schedule[0].up_kw[0], 4.0);
}

#[test]
fn a_nearly_full_battery_holds_little_down_regulation() {
    let mut battery = resource(1, 20.0, 0.0);
    battery.energy_max_kwh = vec![3.0];
    battery.regulates = true;
    let mut problem = hours(1, vec![battery]);
    problem.requirements = vec![regulation(&problem, 0.0, 20.0, 0.5)];
    assert_near(solved(&problem).schedule[0].down_kw[0], 6.0);
}

#[test]
fn peaks_are_flattened_where_they_cost() {
    let mut battery = resource(2, 10.0, 0.0);
    battery.node = Some(0);
    battery.energy_min_kwh = vec![0.0, 6.0];
    battery.energy_price = vec![0.1, 0.2];
    let mut problem = hours(2, vec![battery]);
    problem.nodes = vec![feeder(2, 100.0, 0.0)];
    problem.nodes[0].base_kw = vec![10.0, 6.0];
    let peak = |ceiling_kw: f64, peak_price: f64| Requirement::PeakShaving {
        name: "peak".into(),
        node: 0,
        ceiling_kw: vec![ceiling_kw; 2],
        peak_price,
    };
    // Level at (10 + 6 + 6) / 2 = 11.
    problem.requirements = vec![peak(f64::INFINITY, 40.0)];
    let solution = solved(&problem);
    assert_net(&solution, 0, &[1.0, 5.0]);
    assert_near(solution.objective, 0.1 + 1.0 + 11.0 * 40.0);
    let Shortfall::PeakShaving { peak_kw, .. } = solution.shortfalls[0] else {
        panic!("peak")
    };
    assert_near(peak_kw, 11.0);
    // A promised ceiling that the need breaks is exceeded by as little as the need takes: 6 − 5 kWh.
    problem.requirements = vec![peak(10.5, 0.0)];
    assert_near(total(&solved(&problem), 0), 1.0);
}

#[test]
fn base_load_above_its_limit_is_reported_and_lowered_where_something_can_export() {
    let mut battery = resource(1, 10.0, 0.0);
    battery.node = Some(0);
    battery.energy_min_kwh = vec![5.0];
    let mut problem = hours(1, vec![battery]);
    problem.nodes = vec![feeder(1, 10.0, 12.0)];
    let solution = solved(&problem);
    assert_net(&solution, 0, &[0.0]);
    assert_near(solution.overloads[0].import_kw[0], 2.0);
    assert_near(unmet_kwh(&solution, 0), 5.0);

    // Safety comes before departures.
    problem.resources[0].discharge_max_kw = vec![5.0];
    let solution = solved(&problem);
    assert_net(&solution, 0, &[-2.0]);
    assert_near(solution.overloads[0].import_kw[0], 0.0);
    assert_near(unmet_kwh(&solution, 0), 7.0);
}

#[test]
fn what_is_promised_ranks_before_what_is_held() {
    // The event wants all 10 kW gone, up regulation wants them there, the departure wants 4 of them.
    let mut battery = resource(1, 10.0, 0.0);
    battery.energy_min_kwh = vec![4.0];
    battery.regulates = true;
    let mut problem = hours(1, vec![battery]);
    problem.requirements = vec![
        event(&problem, 10.0, 10.0),
        regulation(&problem, 10.0, 0.0, 0.5),
    ];
    let solution = solved(&problem);
    assert_net(&solution, 0, &[4.0]);
    assert_near(unmet_kwh(&solution, 0), 0.0);
    assert_near(total(&solution, 0), 4.0);
    assert_near(total(&solution, 1), 10.0);
}

#[test]
fn a_subsidy_makes_nobody_charge_and_discharge_at_once() {
    let mut battery = resource(2, 10.0, 10.0);
    battery.energy_min_kwh = vec![-5.0, -5.0];
    battery.energy_max_kwh = vec![5.0, 5.0];
    battery.wear = -5.0;
    battery.energy_price = vec![0.5; 2];
    let solution = solved(&hours(2, vec![battery]));
    let plan = &solution.schedule[0];
    for t in 0..2 {
        assert!(plan.charge_kw[t] <= 0.0 || plan.discharge_kw[t] <= 0.0);
    }
    // The program itself would earn 4.5 CNY on each of 20 kWh in a circle, and 5 kWh of stock.
    assert!(solution.repair_cost > 1.0, "{}", solution.repair_cost);
}

#[test]
fn negative_prices_do_not_overfill_the_battery() {
    let mut battery = resource(1, 10.0, 10.0);
    battery.charge_efficiency = 0.9;
    battery.discharge_efficiency = 0.9;
    battery.energy_max_kwh = vec![0.0];
    battery.energy_min_kwh = vec![0.0];
    battery.energy_price = vec![-1.0];
    battery.feed_in_price = vec![-1.0];
    let solution = solved(&hours(1, vec![battery]));
    assert_net(&solution, 0, &[0.0]);
    // Burning 10 kW in a circle of 81 % would have earned 1.9 CNY.
    assert_near(solution.repair_cost, 1.9);
}

#[test]
fn ramps_count_from_the_power_before_the_horizon() {
    let mut battery = resource(3, 20.0, 0.0);
    battery.initial_power_kw = 10.0;
    battery.ramp_kw_per_h = 4.0;
    battery.energy_price = vec![1.0; 3];
    assert_net(&solved(&hours(3, vec![battery])), 0, &[6.0, 2.0, 0.0]);
}

#[test]
fn warranty_bounds_what_is_exported() {
    let mut battery = resource(2, 0.0, 10.0);
    battery.feed_in_price = vec![0.5, 0.9];
    battery.throughput_max_kwh = 12.0;
    let solution = solved(&hours(2, vec![battery]));
    assert_net(&solution, 0, &[-2.0, -10.0]);
    assert_near(solution.objective, -10.0);
}

#[test]
fn a_forced_draw_into_a_full_battery_is_reported_as_relaxed() {
    let mut battery = resource(2, 10.0, 0.0);
    battery.power_min_kw = vec![5.0; 2];
    battery.energy_max_kwh = vec![7.0; 2];
    let solution = solved(&hours(2, vec![battery]));
    assert_net(&solution, 0, &[5.0, 5.0]);
    let [relaxed] = solution.relaxed[..] else {
        panic!("{:?}", solution.relaxed)
    };
    assert_eq!(
        (relaxed.limit, relaxed.interval),
        (RelaxedLimit::EnergyMax, 1)
    );
    assert_near(relaxed.by, 3.0);
}

#[test]
fn nothing_to_steer_is_no_error() {
    let mut problem = hours(2, vec![]);
    problem.nodes = vec![feeder(2, 10.0, 11.0)];
    let solution = solve(&problem, &Options::default()).expect("solvable");
    assert_near(solution.overloads[0].import_kw[1], 1.0);
    assert_near(solution.objective, 2.0 * 10_000.0);
    assert!(solve(&hours(1, vec![]), &Options::default()).is_ok());
}

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
        let found = solve(&problem, &hurried);
        assert!(
            matches!(found, Err(SolveError::Unsolved { .. })),
            "{found:?}"
        );
    }
    let ruled = rules(&problem).expect("valid");
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

#[test]
fn a_limit_met_exactly_needs_no_repair() {
    // All of the warranty goes into bringing the battery back to its limit: a solver's last digit must not undo that.
    let mut battery = resource(2, 4.0, 4.0);
    battery.energy_min_kwh = vec![1.5, f64::NEG_INFINITY];
    battery.energy_max_kwh = vec![f64::INFINITY, 0.0];
    battery.throughput_max_kwh = 0.5;
    let solution = solved(&hours(2, vec![battery]));
    assert_net(&solution, 0, &[0.5, -0.5]);
    assert!(
        solution.repair_cost.abs() < 1e-3,
        "{}",
        solution.repair_cost
    );
}

#[test]
fn prices_are_by_kwh_in_intervals_of_any_length() {
    let mut battery = resource(1, 10.0, 0.0);
    battery.node = Some(0);
    battery.energy_price = vec![0.4];
    battery.terminal_value = 1.0;
    let mut problem = hours(1, vec![battery]);
    problem.intervals_h = vec![0.25];
    problem.nodes = vec![feeder(1, 5.0, 0.0)];
    let prices = solved(&problem).prices.expect("prices");
    assert_near(prices.nodes[0].import[0], 0.6);
    assert_near(prices.nodes[0].export[0], 0.0);
}
