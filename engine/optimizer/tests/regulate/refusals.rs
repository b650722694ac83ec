//! What is refused, and how it is named.

use vpp_optimizer::regulate::{
    Answer, Fleet, Penalties, Problem, Reference, RegulateError, Regulator, reference,
};

fn valid() -> (Fleet, Problem) {
    let fleet = Fleet {
        resource_node: vec![Some(1), None],
        resource_group: vec![None, Some(0)],
        node_parent: vec![None, Some(0)],
        group_count: 1,
    };
    let problem = Problem {
        low_kw: vec![0.0; 2],
        high_kw: vec![10.0; 2],
        plan_kw: vec![5.0; 2],
        rise_price: vec![0.1; 2],
        fall_price: vec![0.1; 2],
        upper_kw: vec![f64::INFINITY; 2],
        lower_kw: vec![f64::NEG_INFINITY; 2],
        base_kw: vec![0.0; 2],
        ceiling_kw: vec![f64::INFINITY],
        target_kw: 10.0,
        penalties: Penalties::default(),
    };
    (fleet, problem)
}

/// Both solvers refuse alike, and leave the answer as it was.
#[track_caller]
fn refused(change: impl FnOnce(&mut Fleet, &mut Problem)) -> String {
    let (mut fleet, mut problem) = valid();
    change(&mut fleet, &mut problem);
    let (mut regulator, mut answer) = (Regulator::new(), Answer::default());
    let found = regulator
        .set_fleet(&fleet)
        .and_then(|()| regulator.solve(&problem, &mut answer, &|| false))
        .expect_err("must be refused");
    assert_eq!(answer, Answer::default());
    let other: Result<Reference, RegulateError> = reference(&fleet, &problem, &Default::default());
    assert_eq!(
        found.to_string(),
        other.expect_err("must be refused").to_string()
    );
    found.to_string()
}

#[test]
fn numbers_without_a_meaning() {
    let nan = f64::NAN;
    let infinite = f64::INFINITY;
    type Change = fn(&mut Problem, f64);
    let cases: [(Change, f64, &str); 10] = [
        (
            |p, v| p.low_kw[1] = v,
            nan,
            "resource 1 low_kw: NaN is not finite",
        ),
        (
            |p, v| p.high_kw[0] = v,
            infinite,
            "resource 0 high_kw: inf is not finite",
        ),
        (
            |p, v| p.plan_kw[0] = v,
            nan,
            "resource 0 plan_kw: NaN is not finite",
        ),
        (
            |p, v| p.rise_price[1] = v,
            infinite,
            "resource 1 rise_price: inf is not finite",
        ),
        (
            |p, v| p.fall_price[1] = v,
            nan,
            "resource 1 fall_price: NaN is not finite",
        ),
        (
            |p, v| p.upper_kw[1] = v,
            nan,
            "node 1 upper_kw: NaN is not a number or positive infinity",
        ),
        (
            |p, v| p.lower_kw[1] = v,
            infinite,
            "node 1 lower_kw: inf is not a number or negative infinity",
        ),
        (
            |p, v| p.base_kw[0] = v,
            infinite,
            "node 0 base_kw: inf is not finite",
        ),
        (
            |p, v| p.ceiling_kw[0] = v,
            nan,
            "group 0 ceiling_kw: NaN is not a number or positive infinity",
        ),
        (
            |p, v| p.target_kw = v,
            nan,
            "problem target_kw: NaN is not finite",
        ),
    ];
    for (change, value, expected) in cases {
        assert_eq!(refused(|_, problem| change(problem, value)), expected);
    }
}

#[test]
fn bounds_that_cross() {
    let found = refused(|_, p| p.low_kw[1] = 11.0);
    assert_eq!(
        found,
        "resource 1: lower limit 11 kW is above upper limit 10 kW"
    );
    let found = refused(|_, p| (p.lower_kw[0], p.upper_kw[0]) = (3.0, 2.0));
    assert_eq!(found, "node 0: lower limit 3 kW is above upper limit 2 kW");
}

#[test]
fn forests_that_are_none() {
    assert_eq!(
        refused(|f, _| f.node_parent[0] = Some(1)),
        "node 0 is its own ancestor"
    );
    assert_eq!(
        refused(|f, _| f.node_parent[1] = Some(1)),
        "node 1 is its own ancestor"
    );
    assert_eq!(
        refused(|f, _| f.node_parent[1] = Some(2)),
        "node 1 parent: there is no 2"
    );
    assert_eq!(
        refused(|f, _| f.resource_node[0] = Some(9)),
        "resource 0 node: there is no 9"
    );
    assert_eq!(
        refused(|f, _| f.resource_group[0] = Some(1)),
        "resource 0 group: there is no 1"
    );
}

#[test]
fn lengths_that_differ() {
    assert_eq!(
        refused(|_, p| p.plan_kw.truncate(1)),
        "plan_kw: 1 entries for 2"
    );
    assert_eq!(
        refused(|_, p| p.base_kw.push(0.0)),
        "base_kw: 3 entries for 2"
    );
    assert_eq!(
        refused(|_, p| p.ceiling_kw.clear()),
        "ceiling_kw: 0 entries for 1"
    );
    assert_eq!(
        refused(|f, _| f.resource_group.truncate(1)),
        "resource_group: 1 entries for 2"
    );
}

#[test]
fn prices_that_earn_by_moving_to_and_fro() {
    let found = refused(|_, p| p.fall_price[1] = -0.3);
    assert_eq!(
        found,
        "resource 1: rise_price 0.1 and fall_price -0.3 add up to less than 0"
    );
}

#[test]
fn penalties_out_of_order() {
    let found = refused(|_, p| p.penalties.tracking = 100.0);
    assert_eq!(found, "problem: tracking 100 must be below commitment 100");
    let found = refused(|_, p| p.penalties.overload = 50.0);
    assert_eq!(found, "problem: commitment 100 must be below overload 50");
    let found = refused(|_, p| p.penalties.tracking = -1.0);
    assert_eq!(found, "problem tracking: -1 is not finite and above 0");
    let found = refused(|_, p| p.rise_price[1] = 12.0);
    assert_eq!(found, "resource 1: rise_price 12 must be below tracking 10");
    let found = refused(|_, p| p.fall_price[0] = 12.0);
    assert_eq!(found, "resource 0: fall_price 12 must be below tracking 10");
}

#[test]
fn a_problem_before_any_fleet() {
    let mut answer = Answer::default();
    let found = Regulator::new().solve(&valid().1, &mut answer, &|| false);
    assert_eq!(found, Err(RegulateError::NoFleet));
}
