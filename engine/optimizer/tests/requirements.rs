//! Demand response, regulation and peaks: small problems worked out by hand.

mod common;

use common::{
    assert_near, assert_net, event, feeder, hours, regulation, resource, solved, total, unmet_kwh,
};
use vpp_optimizer::{Requirement, Shortfall};

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
