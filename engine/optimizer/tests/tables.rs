//! Limits, energy and prices: small problems worked out by hand.

mod common;

use common::{assert_near, assert_net, feeder, hours, resource, solved, unmet_kwh};
use vpp_optimizer::{RelaxedLimit, solve};

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
    let solution = solve(&problem, None, &|| false).expect("solvable");
    assert_near(solution.overloads[0].import_kw[1], 1.0);
    assert_near(solution.objective, 2.0 * 10_000.0);
    assert!(solve(&hours(1, vec![]), None, &|| false).is_ok());
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
