//! What must hold for every problem.

use std::cell::Cell;

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use vpp_optimizer::regulate::check::{cost, violations};
use vpp_optimizer::regulate::{Answer, Fleet, Problem, Regulator, Status, reference};
use vpp_optimizer::{Backend, Options};

use crate::random::{Case, case, tree_case};

/// The best cost that a general solver finds: the interior point, or the simplex where that ends short of an optimum or
/// claims less than its draws cost.
fn optimum(fleet: &Fleet, problem: &Problem) -> f64 {
    let with = |backend| {
        let options = Options {
            backend,
            time_limit: None,
        };
        let found = reference(fleet, problem, &options).ok()?;
        let paid = cost(fleet, problem, &found.draw_kw);
        ((paid - found.objective).abs() <= 1e-7 * paid.abs().max(1.0)).then_some(paid)
    };
    let found = with(Backend::Clarabel).or_else(|| with(Backend::Microlp));
    found.expect("every valid problem has an optimum")
}

pub(crate) fn solve(fleet: &Fleet, problem: &Problem) -> Answer {
    let (mut regulator, mut answer) = (Regulator::new(), Answer::default());
    regulator.set_fleet(fleet).expect("a valid fleet");
    regulator
        .solve(problem, &mut answer, &|| false)
        .expect("a valid problem");
    answer
}

fn is_optimal((fleet, problem): &Case) -> TestCaseResult {
    let answer = solve(fleet, problem);
    prop_assert_eq!(
        violations(fleet, problem, &answer, 1e-9),
        Vec::<String>::new()
    );
    let best = optimum(fleet, problem);
    let paid = cost(fleet, problem, &answer.draw_kw);
    let tolerance = 1e-6 * best.abs().max(1.0);
    prop_assert!(
        (paid - best).abs() <= tolerance,
        "paid {paid}, best {best}, {:?}",
        answer
    );
    prop_assert!(
        (answer.objective - paid).abs() <= tolerance,
        "said {}, paid {paid}",
        answer.objective
    );
    prop_assert_eq!(answer.status, Status::Optimal, "gap {}", answer.gap);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn reaches_the_optimum_of_a_general_solver(case in case()) {
        is_optimal(&case)?;
    }

    #[test]
    fn reaches_it_on_trees(case in tree_case()) {
        is_optimal(&case)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn limits_are_broken_only_where_they_must((fleet, problem) in case()) {
        // With penalties that far apart, the least cost has the least overload.
        let mut strict = problem.clone();
        strict.penalties.overload = 1e5 * problem.penalties.commitment;
        let answer = solve(&fleet, &strict);
        let over: f64 = answer.overload_kw.iter().map(|kw| kw.abs()).sum();
        let mut limits_only = strict.clone();
        limits_only.rise_price.fill(0.0);
        limits_only.fall_price.fill(0.0);
        limits_only.ceiling_kw.fill(f64::INFINITY);
        limits_only.penalties.tracking = 1e-6;
        limits_only.penalties.commitment = 1e-5;
        limits_only.penalties.overload = 1.0;
        let least = optimum(&fleet, &limits_only);
        prop_assert!(over <= least + 1e-3, "over by {over}, {least} would do");
    }

    #[test]
    fn every_stop_leaves_an_answer_that_keeps_the_limits((fleet, problem) in case(), asked in 0..40_usize) {
        let (mut regulator, mut answer) = (Regulator::new(), Answer::default());
        regulator.set_fleet(&fleet)?;
        let left = Cell::new(asked);
        let stop = || left.replace(left.get().saturating_sub(1)) == 0;
        regulator.solve(&problem, &mut answer, &stop)?;
        prop_assert_eq!(violations(&fleet, &problem, &answer, 1e-9), Vec::<String>::new());
        if asked == 0 {
            prop_assert_eq!(answer.status, Status::Stopped);
        }
        // Where limits can be kept at all, they are.
        let best = solve(&fleet, &problem);
        if best.overload_kw.iter().all(|kw| kw.abs() <= 1e-9) {
            let over = answer.overload_kw.iter().fold(0.0_f64, |most, kw| most.max(kw.abs()));
            prop_assert!(over <= 1e-9, "over by {over}");
        }
    }

    #[test]
    fn the_same_again_is_the_same((fleet, problem) in case()) {
        prop_assert_eq!(solve(&fleet, &problem), solve(&fleet, &problem));
    }

    #[test]
    fn what_came_before_does_not_matter((fleet, problem) in case(), share in 0.0..1.0) {
        let (mut regulator, mut answer) = (Regulator::new(), Answer::default());
        regulator.set_fleet(&fleet)?;
        let mut other = problem.clone();
        other.target_kw = problem.target_kw * share - 10.0;
        other.ceiling_kw.iter_mut().for_each(|kw| *kw -= 10.0 * share);
        regulator.solve(&other, &mut answer, &|| false)?;
        regulator.solve(&problem, &mut answer, &|| false)?;
        let fresh = solve(&fleet, &problem);
        let tolerance = 1e-6 * fresh.objective.abs().max(1.0);
        prop_assert!((answer.objective - fresh.objective).abs() <= tolerance);
        prop_assert_eq!(answer.status, Status::Optimal);
    }

    #[test]
    fn the_order_of_resources_does_not_matter((fleet, problem) in case()) {
        let count = problem.low_kw.len();
        let turned = |values: &[f64]| -> Vec<f64> { values.iter().rev().copied().collect() };
        let other_fleet = Fleet {
            resource_node: fleet.resource_node.iter().rev().copied().collect(),
            resource_group: fleet.resource_group.iter().rev().copied().collect(),
            ..fleet.clone()
        };
        let other = Problem {
            low_kw: turned(&problem.low_kw),
            high_kw: turned(&problem.high_kw),
            plan_kw: turned(&problem.plan_kw),
            rise_price: turned(&problem.rise_price),
            fall_price: turned(&problem.fall_price),
            ..problem.clone()
        };
        let (one, two) = (solve(&fleet, &problem), solve(&other_fleet, &other));
        for i in 0..count {
            let (x, y) = (one.draw_kw[i], two.draw_kw[count - 1 - i]);
            prop_assert!((x - y).abs() <= 1e-9, "resource {i}: {x} or {y}");
        }
    }
}
