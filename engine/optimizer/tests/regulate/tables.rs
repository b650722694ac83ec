//! Small cases computed by hand.

use vpp_optimizer::regulate::check::violations;
use vpp_optimizer::regulate::{Answer, Fleet, Penalties, Problem, Regulator, Status};

use crate::properties::solve;

/// Resources from 0 to 10 kW, planned at 5, that move at 0.1 CNY/kWh, under the nodes given.
fn chargers(nodes: &[Option<usize>], parents: &[Option<usize>]) -> (Fleet, Problem) {
    let count = nodes.len();
    let fleet = Fleet {
        resource_node: nodes.to_vec(),
        resource_group: vec![None; count],
        node_parent: parents.to_vec(),
        group_count: 0,
    };
    let problem = Problem {
        low_kw: vec![0.0; count],
        high_kw: vec![10.0; count],
        plan_kw: vec![5.0; count],
        rise_price: vec![0.1; count],
        fall_price: vec![0.1; count],
        upper_kw: vec![f64::INFINITY; parents.len()],
        lower_kw: vec![f64::NEG_INFINITY; parents.len()],
        base_kw: vec![0.0; parents.len()],
        ceiling_kw: vec![],
        target_kw: 0.0,
        penalties: Penalties::default(),
    };
    (fleet, problem)
}

#[track_caller]
fn solved(fleet: &Fleet, problem: &Problem) -> Answer {
    let answer = solve(fleet, problem);
    assert_eq!(
        violations(fleet, problem, &answer, 1e-9),
        Vec::<String>::new()
    );
    assert_eq!(answer.status, Status::Optimal);
    answer
}

/// Prices are told to within the width of a ramp.
#[track_caller]
fn assert_prices(found: &[f64], expected: &[f64]) {
    assert_within(1e-5, found, expected);
}

#[track_caller]
fn assert_near(found: &[f64], expected: &[f64]) {
    assert_within(1e-7, found, expected);
}

#[track_caller]
fn assert_within(tolerance: f64, found: &[f64], expected: &[f64]) {
    let near = found
        .iter()
        .zip(expected)
        .all(|(f, e)| (f - e).abs() <= tolerance);
    assert!(
        near && found.len() == expected.len(),
        "found {found:?}, expected {expected:?}"
    );
}

#[test]
fn an_empty_fleet_misses_its_target() {
    let (fleet, mut problem) = chargers(&[], &[]);
    problem.target_kw = 7.0;
    let answer = solved(&fleet, &problem);
    assert_near(&[answer.tracking_error_kw, answer.objective], &[-7.0, 70.0]);
}

#[test]
fn equal_ones_share_alike() {
    let (fleet, mut problem) = chargers(&[None; 4], &[]);
    problem.target_kw = 28.0;
    let answer = solved(&fleet, &problem);
    assert_near(&answer.draw_kw, &[7.0; 4]);
    assert_near(&[answer.objective, answer.target_price], &[0.8, 0.1]);
}

#[test]
fn unequal_ones_share_in_proportion_to_their_room() {
    let (fleet, mut problem) = chargers(&[None; 2], &[]);
    problem.high_kw[1] = 20.0;
    problem.target_kw = 18.0;
    assert_near(&solved(&fleet, &problem).draw_kw, &[7.0, 11.0]);
}

#[test]
fn the_cheaper_moves_first() {
    let (fleet, mut problem) = chargers(&[None; 3], &[]);
    problem.fall_price = vec![0.3, 0.1, 0.2];
    problem.target_kw = 8.0;
    let answer = solved(&fleet, &problem);
    assert_near(&answer.draw_kw, &[5.0, 0.0, 3.0]);
    assert_near(&[answer.objective, answer.target_price], &[0.9, -0.2]);
}

#[test]
fn a_target_out_of_reach_is_missed_by_the_rest() {
    let (fleet, mut problem) = chargers(&[None; 2], &[]);
    for (target, error, price) in [(25.0, -5.0, 10.0), (-4.0, 4.0, -10.0)] {
        problem.target_kw = target;
        let answer = solved(&fleet, &problem);
        assert_near(
            &[answer.tracking_error_kw, answer.target_price],
            &[error, price],
        );
        assert_near(&[answer.objective], &[51.0 - 10.0 * (5.0 - error.abs())]);
    }
}

#[test]
fn a_full_feeder_leaves_the_rest_to_others() {
    // Node 0 has 12 kW left after its base of 3: its two may draw 6 each; the third takes 9.
    let (fleet, mut problem) = chargers(&[Some(0), Some(0), None], &[None]);
    (problem.upper_kw[0], problem.base_kw[0]) = (15.0, 3.0);
    problem.rise_price[2] = 0.4;
    problem.target_kw = 21.0;
    let answer = solved(&fleet, &problem);
    assert_near(&answer.draw_kw, &[6.0, 6.0, 9.0]);
    assert_prices(&answer.node_price, &[0.3]);
    assert_near(&[answer.target_price], &[0.4]);
}

#[test]
fn nested_limits_bind_together() {
    // Node 1 lets 4 kW to resource 0, node 0 above it 10 kW to both; the third draws all that it can.
    let (fleet, mut problem) = chargers(&[Some(1), Some(0), None], &[None, Some(0)]);
    problem.upper_kw = vec![10.0, 4.0];
    problem.target_kw = 25.0;
    let answer = solved(&fleet, &problem);
    assert_near(&answer.draw_kw, &[4.0, 6.0, 10.0]);
    assert_near(&[answer.tracking_error_kw], &[-5.0]);
    // At node 0 another kW lets resource 1 rise at 0.1; at node 1 it saves 0.1 of falling and takes 0.1 of rising.
    assert_prices(&answer.node_price, &[9.9, 0.2]);
}

#[test]
fn exports_are_limited_too() {
    let (fleet, mut problem) = chargers(&[Some(0), None], &[None]);
    problem.low_kw = vec![-10.0; 2];
    problem.lower_kw[0] = -2.0;
    problem.target_kw = -11.0;
    let answer = solved(&fleet, &problem);
    assert_near(&answer.draw_kw, &[-2.0, -9.0]);
    assert_prices(&answer.node_price, &[0.0]);
    problem.fall_price[1] = 0.5;
    assert_near(&solved(&fleet, &problem).node_price, &[-0.4]);
}

#[test]
fn an_overload_that_nobody_can_avoid_is_told() {
    let (fleet, mut problem) = chargers(&[Some(0), None], &[None]);
    (problem.upper_kw[0], problem.base_kw[0]) = (10.0, 12.0);
    problem.target_kw = 10.0;
    let answer = solved(&fleet, &problem);
    assert_near(&answer.draw_kw, &[0.0, 10.0]);
    assert_near(&answer.overload_kw, &[2.0]);
    assert_near(&[answer.objective], &[20_001.0]);
}

#[test]
fn limits_that_contradict_each_other_share_the_harm() {
    // Two limits above say at most 2 kW, one below says at least 4: breaking that one costs half.
    let (fleet, mut problem) = chargers(&[Some(2)], &[None, Some(0), Some(1)]);
    problem.upper_kw = vec![2.0, 2.0, f64::INFINITY];
    problem.lower_kw[2] = 4.0;
    problem.target_kw = 5.0;
    let answer = solved(&fleet, &problem);
    assert_near(&answer.draw_kw, &[2.0]);
    assert_near(&answer.overload_kw, &[0.0, 0.0, -2.0]);
}

#[test]
fn a_commitment_comes_before_the_target_and_has_its_price() {
    // Resources 0 and 1 have promised 8 kW at most; 2 can make up for it at 0.3 up to 10 kW.
    let (mut fleet, mut problem) = chargers(&[None; 3], &[]);
    (fleet.resource_group, fleet.group_count) = (vec![Some(0), Some(0), None], 1);
    problem.ceiling_kw = vec![8.0];
    problem.rise_price[2] = 0.3;
    problem.target_kw = 16.0;
    let answer = solved(&fleet, &problem);
    assert_near(&answer.draw_kw, &[4.0, 4.0, 8.0]);
    assert_near(&[answer.objective], &[0.2 + 0.9]);
    // Another kW of ceiling saves 0.1 of falling and 0.3 of rising.
    assert_prices(&answer.group_price, &[0.4]);
    problem.target_kw = 40.0;
    let answer = solved(&fleet, &problem);
    assert_near(&answer.draw_kw, &[4.0, 4.0, 10.0]);
    assert_near(&answer.shortfall_kw, &[0.0]);
    assert_prices(&answer.group_price, &[10.1]);
}

#[test]
fn a_commitment_that_nobody_can_keep_is_told() {
    let (mut fleet, mut problem) = chargers(&[None; 2], &[]);
    (fleet.resource_group, fleet.group_count) = (vec![Some(0), None], 1);
    problem.low_kw[0] = 3.0;
    problem.ceiling_kw = vec![1.0];
    problem.target_kw = 10.0;
    let answer = solved(&fleet, &problem);
    assert_near(&answer.draw_kw, &[3.0, 7.0]);
    assert_near(&answer.shortfall_kw, &[2.0]);
    assert_prices(&answer.group_price, &[100.0]);
}

#[test]
fn a_plan_out_of_bounds_costs_its_distance() {
    let (fleet, mut problem) = chargers(&[None], &[]);
    problem.plan_kw[0] = 14.0;
    problem.target_kw = 10.0;
    let answer = solved(&fleet, &problem);
    assert_near(&answer.draw_kw, &[10.0]);
    assert_near(&[answer.objective], &[0.4]);
}

#[test]
fn a_negative_price_is_earned_where_the_target_allows() {
    let (fleet, mut problem) = chargers(&[None; 2], &[]);
    (problem.rise_price[0], problem.fall_price[0]) = (-0.2, 0.4);
    problem.target_kw = 10.0;
    let answer = solved(&fleet, &problem);
    assert_near(&answer.draw_kw, &[10.0, 0.0]);
    assert_near(&[answer.objective], &[-0.5]);
}

#[test]
fn an_upper_limit_below_a_lower_one_gives_way_where_that_helps() {
    // Whatever is drawn, one of the two limits is broken by 4 kW in all; the target decides which.
    let (fleet, mut problem) = chargers(&[Some(1)], &[None, Some(0)]);
    problem.upper_kw[1] = 0.0;
    problem.lower_kw[0] = 4.0;
    problem.target_kw = 6.0;
    problem.penalties.overload = 1e7;
    let answer = solved(&fleet, &problem);
    assert_near(&answer.draw_kw, &[4.0]);
    assert_near(&answer.overload_kw, &[0.0, 4.0]);
}

#[test]
fn an_overload_may_be_cheaper_than_missing_the_target() {
    // Penalties so close that the cost of moving turns the order; then a commitment that is dearer than both.
    let (mut fleet, mut problem) = chargers(&[Some(0)], &[None]);
    problem.upper_kw[0] = 0.0;
    problem.target_kw = 4.0;
    problem.fall_price[0] = 0.3;
    problem.penalties = Penalties {
        overload: 2.2,
        commitment: 2.1,
        tracking: 2.01,
    };
    assert_near(&solved(&fleet, &problem).draw_kw, &[4.0]);
    (fleet.resource_group, fleet.group_count) = (vec![Some(0)], 1);
    problem.ceiling_kw = vec![1.0];
    assert_near(&solved(&fleet, &problem).draw_kw, &[1.0]);
}

/// Penalties so far apart that prices have a long way to go.
const FAR_APART: Penalties = Penalties {
    overload: 1e7,
    commitment: 1e5,
    tracking: 1e3,
};

#[test]
fn a_ceiling_is_kept_as_exactly_as_its_penalty_asks() {
    let fleet = Fleet {
        resource_node: vec![None, None],
        resource_group: vec![Some(0), None],
        node_parent: vec![],
        group_count: 1,
    };
    let problem = Problem {
        low_kw: vec![0.0; 2],
        high_kw: vec![4.938339444401419, 59.88429680165982],
        plan_kw: vec![4.938339444401419, 29.94214840082991],
        rise_price: vec![0.0, 0.1],
        fall_price: vec![0.0; 2],
        upper_kw: vec![],
        lower_kw: vec![],
        base_kw: vec![],
        ceiling_kw: vec![4.247590754592422],
        target_kw: 34.37652024696908,
        penalties: FAR_APART,
    };
    solved(&fleet, &problem);
}

/// Two groups whose prices can rise together to the penalty, and have to come back.
#[test]
fn prices_find_back_from_far_away() {
    let fleet = Fleet {
        resource_node: vec![Some(0), Some(0)],
        resource_group: vec![Some(1), Some(0)],
        node_parent: vec![None],
        group_count: 2,
    };
    let problem = Problem {
        low_kw: vec![0.0; 2],
        high_kw: vec![7.0, 22.967090898149745],
        plan_kw: vec![0.0; 2],
        rise_price: vec![0.3; 2],
        fall_price: vec![0.3; 2],
        upper_kw: vec![f64::INFINITY],
        lower_kw: vec![18.087820445644297],
        base_kw: vec![0.0],
        ceiling_kw: vec![13.742349474349773, 4.349180078876385],
        target_kw: 0.0,
        penalties: FAR_APART,
    };
    let mut tighter = problem.clone();
    tighter.target_kw = -10.0;
    tighter.ceiling_kw.iter_mut().for_each(|kw| *kw -= 9.717);
    let (mut regulator, mut answer) = (Regulator::new(), Answer::default());
    regulator.set_fleet(&fleet).expect("a valid fleet");
    for problem in [&tighter, &problem] {
        regulator
            .solve(problem, &mut answer, &|| false)
            .expect("a valid problem");
        assert_eq!(answer.status, Status::Optimal);
    }
    assert_near(&[answer.objective], &[solved(&fleet, &problem).objective]);
}

#[test]
fn prices_reach_a_penalty_far_away() {
    let fleet = Fleet {
        resource_node: vec![Some(0); 5],
        resource_group: vec![Some(1), Some(0), Some(0), Some(0), Some(1)],
        node_parent: vec![None],
        group_count: 2,
    };
    let problem = Problem {
        low_kw: vec![-7.0, 0.0, 0.0, 0.0, -7.0],
        high_kw: vec![53.0, 54.50735809194902, 10.662063547835386, 60.0, 53.0],
        plan_kw: vec![23.0, 54.50735809194902, 8.099830004991366, 30.0, 68.0],
        rise_price: vec![0.3; 5],
        fall_price: vec![0.3; 5],
        upper_kw: vec![f64::INFINITY],
        lower_kw: vec![151.05609357441367],
        base_kw: vec![0.0],
        ceiling_kw: vec![59.54243035170182, 91.35569987730966],
        target_kw: -14.0,
        penalties: FAR_APART,
    };
    // The limit asks for 0.158 kW more than both ceilings together allow.
    let answer = solved(&fleet, &problem);
    assert_near(&[answer.shortfall_kw.iter().sum()], &[0.15796334540217]);
}

/// A node whose members overload it whatever they do, and below it one that by rounding alone seems to need a little.
#[test]
fn a_price_of_its_own_below_an_overload() {
    let (mut fleet, mut problem) = chargers(
        &[Some(0), Some(0), Some(2), Some(2), Some(3), Some(3)],
        &[None, None, Some(1), None],
    );
    fleet.group_count = 2;
    fleet.resource_group = (0..6).map(|i| Some(i % 2)).collect();
    problem.ceiling_kw = vec![11.0, 13.0];
    problem.low_kw.fill(1.0);
    problem.lower_kw = vec![12.0, f64::NEG_INFINITY, 2.0 + 1e-10, 11.0];
    problem.upper_kw[1] = 1.0;
    problem.target_kw = 30.0;
    let answer = solved(&fleet, &problem);
    assert_near(&answer.overload_kw, &[0.0, 1.0, 0.0, 0.0]);
}
