//! The program as the solvers see it, before any repair.

use proptest::prelude::*;

use super::*;
use crate::check::{HardLimit, violations};

#[path = "../../tests/random/mod.rs"]
mod random;

fn options(backend: Backend) -> Options {
    Options {
        backend,
        time_limit: None,
    }
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-6 * a.abs().max(b.abs()).max(1.0)
}

/// As `close`, where limits held to 1e-8 kWh cost up to the highest penalty.
fn close_in_cost(a: f64, b: f64) -> bool {
    close(a, b) || (a - b).abs() <= 1e-8 * crate::Penalties::default().overload
}

/// The solver's answer as a solution, nothing repaired.
fn unrepaired(frame: &Frame<'_>, raw: &Raw) -> Solution {
    let mut schedule = raw.schedule.clone();
    let outcome = score(frame, &mut schedule);
    Solution {
        schedule,
        shortfalls: outcome.shortfalls,
        overloads: outcome.overloads,
        relaxed: frame.relaxations(),
        objective: outcome.objective,
        repair_cost: 0.0,
        status: Status::Optimal,
        prices: None,
    }
}

fn overload_kwh(problem: &Problem, solution: &Solution) -> f64 {
    let node = |over: &crate::Overload| -> f64 {
        let both = over.import_kw.iter().zip(&over.export_kw);
        both.zip(&problem.intervals_h)
            .map(|((import, export), dt)| (import + export) * dt)
            .sum()
    };
    solution.overloads.iter().map(node).sum()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

    /// Two solvers that share nothing but the rows.
    #[test]
    fn interior_point_and_simplex_agree(problem in random::problem()) {
        validate(&problem)?;
        let frame = Frame::new(&problem);
        let inner = Raw::solve(&frame, &options(Backend::Clarabel))?;
        let vertex = Raw::solve(&frame, &options(Backend::Microlp))?;
        prop_assert!(inner.optimal, "{}", inner.ending);
        prop_assert!(close(inner.objective, vertex.objective), "{} {}", inner.objective, vertex.objective);
    }

    /// A row left out that could bind shows as a violation, or as a cost that the program does not see.
    #[test]
    fn the_program_keeps_every_limit_and_sees_every_cost(problem in random::problem()) {
        let frame = Frame::new(&problem);
        let raw = Raw::solve(&frame, &options(Backend::Clarabel))?;
        let solution = unrepaired(&frame, &raw);
        let mut broken = violations(&problem, &solution, 1e-6);
        broken.retain(|violation| violation.limit != HardLimit::BothDirections);
        prop_assert!(broken.is_empty(), "{broken:?}");
        prop_assert!(close_in_cost(solution.objective, raw.objective), "{} {}", solution.objective, raw.objective);
    }

    /// A good answer that charges and discharges nowhere at once needs almost no repair.
    #[test]
    fn repair_costs_nothing_where_nothing_was_wrong(problem in random::problem()) {
        let frame = Frame::new(&problem);
        let raw = Raw::solve(&frame, &options(Backend::Clarabel))?;
        let before = unrepaired(&frame, &raw);
        let after = finish(&frame, &raw, raw.objective);
        if hold_directions(&frame, &raw.schedule).is_none() {
            prop_assert!(close_in_cost(after.objective, raw.objective), "{} {}", after.objective, raw.objective);
            prop_assert!(overload_kwh(&problem, &after) <= overload_kwh(&problem, &before) + 1e-6);
            // What the program could avoid is avoided to the last digit, but where a limit ties intervals together:
            // step 2 shifts one interval at a time, and leaves a solver's last digits then.
            let tied = problem.resources.iter().any(|r| {
                r.ramp_kw_per_h.is_finite()
                    || r.throughput_max_kwh.is_finite()
                    || r.energy_max_kwh.iter().any(|cap| cap.is_finite())
            });
            let most = if tied { 1e-6 } else { 1e-9 };
            for (before, after) in before.overloads.iter().zip(&after.overloads) {
                let slips = |before: &[f64], after: &[f64]| {
                    before.iter().zip(after).any(|(before, after)| *before < 1e-6 && *after > most)
                };
                prop_assert!(!slips(&before.import_kw, &after.import_kw), "{after:?}");
                prop_assert!(!slips(&before.export_kw, &after.export_kw), "{after:?}");
            }
        }
    }
}

/// Over problems that never change: netting alone is beaten where a direction is held and the program solved again.
#[test]
fn a_second_solve_with_directions_held_pays() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut netted, mut better) = (0, 0);
    for _ in 0..1000 {
        let problem = random::problem()
            .new_tree(&mut runner)
            .expect("a problem")
            .current();
        let frame = Frame::new(&problem);
        let raw = Raw::solve(&frame, &options(Backend::Clarabel)).expect("solvable");
        if hold_directions(&frame, &raw.schedule).is_none() {
            continue;
        }
        netted += 1;
        let first = finish(&frame, &raw, raw.objective).objective;
        let best = solve(&problem, &Options::default())
            .expect("solvable")
            .objective;
        assert!(best <= first);
        if best < first - 1e-3 {
            better += 1;
        }
    }
    assert!(better * 2 > netted, "{better} of {netted}");
}

#[test]
fn fast_agrees() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let cases: usize = std::env::var("CASES").ok().and_then(|c| c.parse().ok()).unwrap_or(2000);
    let only: Option<usize> = std::env::var("ONLY").ok().and_then(|c| c.parse().ok());
    let (mut worst, mut bad, mut iterations) = (0.0_f64, 0, 0);
    for case in 0..cases {
        let problem = random::problem().new_tree(&mut runner).expect("a problem").current();
        if only.is_some_and(|only| only != case) { continue; }
        let frame = Frame::new(&problem);
        let raw = Raw::solve(&frame, &options(Backend::Clarabel)).expect("solvable");
        let found = crate::fast::find(&frame, &|| false);
        let scale = raw.objective.abs().max(1.0);
        let off = (found.cost - raw.objective).abs() / scale;
        iterations += found.iterations;
        if only.is_some() { eprintln!("{problem:#?}"); }
        if !found.end || off > 1e-6 {
            bad += 1;
            eprintln!("case {case}: end {} reference {} cost {} bound {} iterations {}", found.end, raw.objective, found.cost, found.bound, found.iterations);
        } else { worst = worst.max(off); }
    }
    eprintln!("bad {bad} worst {worst} iterations {}", iterations as f64 / cases as f64);
}
