//! What holds for every problem, tried on random ones.

mod random;

use proptest::prelude::*;
use vpp_optimizer::{
    Options, Problem, Requirement, Shortfall, Solution, Status, check::violations, rules, solve,
};

fn unmet_kwh(solution: &Solution) -> f64 {
    solution
        .schedule
        .iter()
        .flat_map(|plan| &plan.unmet_kwh)
        .sum()
}

/// Commitments and promised ceilings: they have one rank.
fn promised_kwh(problem: &Problem, solution: &Solution) -> f64 {
    let of = |short: &Shortfall| match short {
        Shortfall::Regulation { .. } => 0.0,
        _ => short.total_kwh(&problem.intervals_h),
    };
    solution.shortfalls.iter().map(of).sum()
}

/// The program's own optimum, without what repair adds.
fn optimum(solution: &Solution) -> f64 {
    solution.objective - solution.repair_cost
}

fn without(problem: &Problem, drop: fn(&Requirement) -> bool) -> Problem {
    let mut problem = problem.clone();
    problem
        .requirements
        .retain(|requirement| !drop(requirement));
    problem
}

/// With losses, a promise can be worth the little that a detour of energy loses, which is not what is asked here.
fn lossless(mut problem: Problem) -> Problem {
    for resource in &mut problem.resources {
        resource.charge_efficiency = 1.0;
        resource.discharge_efficiency = 1.0;
    }
    problem
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn solutions_keep_every_hard_limit(problem in random::problem()) {
        let solution = solve(&problem, &Options::default())?;
        let broken = violations(&problem, &solution, 1e-9);
        prop_assert!(broken.is_empty(), "{broken:?}");
        prop_assert_eq!(solution.status, Status::Optimal);
        for plan in &solution.schedule {
            for (charge, discharge) in plan.charge_kw.iter().zip(&plan.discharge_kw) {
                prop_assert!(charge.min(*discharge) <= 0.0);
            }
        }
        prop_assert!(solution.repair_cost >= -1e-6 * optimum(&solution).abs().max(1.0));
    }

    #[test]
    fn rules_keep_every_hard_limit_and_beat_no_optimum(problem in random::problem()) {
        let ruled = rules(&problem)?;
        let broken = violations(&problem, &ruled, 1e-9);
        prop_assert!(broken.is_empty(), "{broken:?}");
        let best = optimum(&solve(&problem, &Options::default())?);
        prop_assert!(ruled.objective >= best - 1e-6 * best.abs().max(1.0), "{} {best}", ruled.objective);
    }

    #[test]
    fn departures_are_not_sold_to_programmes(problem in random::problem().prop_map(lossless)) {
        let all = solve(&problem, &Options::default())?;
        let alone = without(&problem, |_| true);
        let free = solve(&alone, &Options::default())?;
        // Netting moves energy, so only plans that needed none are compared.
        if all.repair_cost < 1e-3 && free.repair_cost < 1e-3 {
            prop_assert!(unmet_kwh(&all) <= unmet_kwh(&free) + 1e-5, "{} {}", unmet_kwh(&all), unmet_kwh(&free));
        }
    }

    #[test]
    fn promises_are_not_sold_to_regulation(problem in random::problem().prop_map(lossless)) {
        let all = solve(&problem, &Options::default())?;
        let less = without(&problem, |r| matches!(r, Requirement::Regulation { .. }));
        let free = solve(&less, &Options::default())?;
        if all.repair_cost < 1e-3 && free.repair_cost < 1e-3 {
            let short = promised_kwh(&problem, &all);
            let alone = promised_kwh(&less, &free);
            prop_assert!(short <= alone + 1e-4, "{short} {alone}");
        }
    }
}
