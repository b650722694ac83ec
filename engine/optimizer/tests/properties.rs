//! What holds for every problem, tried on random ones.

mod random;

use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use vpp_optimizer::check::violations;
use vpp_optimizer::reference;
use vpp_optimizer::{
    Options, Problem, ProblemError, Requirement, ResourceSchedule, Shortfall, Solution, Status,
    rules, solve,
};

/// What the solver finds when nobody stops it.
fn best(problem: &Problem) -> Result<Solution, ProblemError> {
    solve(problem, None, &|| false)
}

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

/// A peak costs little beside what is promised. A price for a peak is paid for the horizon as a whole: where it costs nearly as
/// much as a promise that is broken for a quarter of an hour, the two of peak and regulation outbid the promise, and rightly.
fn cheap_peaks(mut problem: Problem) -> Problem {
    for requirement in &mut problem.requirements {
        if let Requirement::PeakShaving { peak_price, .. } = requirement {
            *peak_price = peak_price.min(1.0);
        }
    }
    problem
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn solutions_keep_every_hard_limit(problem in random::problem()) {
        let solution = best(&problem)?;
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

    /// A general solver, of another author, on the same rows.
    #[test]
    fn the_optimum_is_that_of_the_reference(problem in random::problem()) {
        let (ours, theirs) = (best(&problem)?, reference::solve(&problem, &Options::default())?);
        let (one, other) = (optimum(&ours), optimum(&theirs));
        // It keeps limits to 1e-8 kWh, which can cost up to the highest penalty.
        let slack = 1e-6 * other.abs().max(1.0) + 1e-8 * problem.penalties.overload;
        prop_assert!((one - other).abs() <= slack, "{one} {other}");
    }

    /// Whenever it is stopped there is a schedule that keeps every limit, no worse than the rules', and a true bound.
    #[test]
    fn stopped_at_any_moment_it_has_a_schedule(problem in random::problem(), after in 0_usize..3_000) {
        let asked = AtomicUsize::new(0);
        let stop = || asked.fetch_add(1, Ordering::Relaxed) >= after;
        let found = solve(&problem, None, &stop)?;
        let broken = violations(&problem, &found, 1e-9);
        prop_assert!(broken.is_empty(), "{broken:?}");
        prop_assert!(found.objective <= rules(&problem)?.objective);
        let least = optimum(&best(&problem)?);
        let noise = 1e-6 * least.abs().max(1.0);
        prop_assert!(found.objective - found.gap <= least + noise, "{} {} {least}", found.objective, found.gap);
        prop_assert!(found.status == Status::Optimal || asked.into_inner() > after);
    }

    /// Wherever it begins, even at nonsense, it ends at the same place.
    #[test]
    fn a_warm_start_changes_nothing_but_the_way(problem in random::problem(), kw in -100.0..100.0_f64) {
        let cold = best(&problem)?;
        let mut nonsense = cold.schedule.clone();
        for plan in &mut nonsense {
            *plan = ResourceSchedule::zero(problem.horizon());
            plan.charge_kw.fill(kw.max(0.0));
            plan.discharge_kw.fill((-kw).max(0.0));
            plan.up_kw.fill(kw);
        }
        for start in [&cold.schedule, &nonsense] {
            let warm = solve(&problem, Some(start), &|| false)?;
            prop_assert_eq!(warm.status, Status::Optimal);
            prop_assert!(violations(&problem, &warm, 1e-9).is_empty());
            let (one, other) = (optimum(&warm), optimum(&cold));
            prop_assert!((one - other).abs() <= 1e-6 * other.abs().max(1.0), "{one} {other}");
        }
    }

    #[test]
    fn rules_keep_every_hard_limit_and_beat_no_optimum(problem in random::problem()) {
        let ruled = rules(&problem)?;
        let broken = violations(&problem, &ruled, 1e-9);
        prop_assert!(broken.is_empty(), "{broken:?}");
        let least = optimum(&best(&problem)?);
        prop_assert!(ruled.objective >= least - 1e-6 * least.abs().max(1.0), "{} {least}", ruled.objective);
    }

    #[test]
    fn departures_are_not_sold_to_programmes(problem in random::problem().prop_map(lossless)) {
        let all = best(&problem)?;
        let alone = without(&problem, |_| true);
        let free = best(&alone)?;
        // Netting moves energy, so only plans that needed none are compared.
        if all.repair_cost < 1e-3 && free.repair_cost < 1e-3 {
            prop_assert!(unmet_kwh(&all) <= unmet_kwh(&free) + 1e-5, "{} {}", unmet_kwh(&all), unmet_kwh(&free));
        }
    }

    #[test]
    fn promises_are_not_sold_to_regulation(problem in random::problem().prop_map(lossless).prop_map(cheap_peaks)) {
        let all = best(&problem)?;
        let less = without(&problem, |r| matches!(r, Requirement::Regulation { .. }));
        let free = best(&less)?;
        if all.repair_cost < 1e-3 && free.repair_cost < 1e-3 {
            let short = promised_kwh(&problem, &all);
            let alone = promised_kwh(&less, &free);
            prop_assert!(short <= alone + 1e-4, "{short} {alone}");
        }
    }
}
