//! The program as the solvers see it, before any repair.

use proptest::prelude::*;

use super::*;
use crate::check::{HardLimit, violations};
use crate::finish::scored;
use crate::stop::Stop;

use crate::random;

#[cfg(feature = "highs")]
use crate::reference::HighsMethod;

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
    scored(frame, raw.schedule.clone(), &Stop::never()).expect("nobody says stop")
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

    /// The same, and each of its methods: an answer, a price at each row, and the status read aright.
    #[cfg(feature = "highs")]
    #[test]
    fn highs_agrees_by_every_method(problem in random::problem()) {
        let frame = Frame::new(&problem);
        let inner = Raw::solve(&frame, &options(Backend::Clarabel))?;
        for method in [HighsMethod::Simplex, HighsMethod::InteriorPoint, HighsMethod::InteriorPointCrossover] {
            let other = Raw::solve(&frame, &options(Backend::Highs(method)))?;
            prop_assert!(other.optimal, "{method:?}: {}", other.ending);
            prop_assert!(
                close_in_cost(inner.objective, other.objective),
                "{method:?}: {} {}", inner.objective, other.objective
            );
            prop_assert_eq!(other.prices.is_some(), inner.prices.is_some());
        }
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
        let after = raw.finish(&frame, raw.objective);
        if hold_directions(&frame, &raw.schedule, Way::Net).is_none() {
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
        if hold_directions(&frame, &raw.schedule, Way::Net).is_none() {
            continue;
        }
        netted += 1;
        let first = raw.finish(&frame, raw.objective).objective;
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

/// Prices by another solver, where there is but one answer: the first of two intervals is full at the feeder.
#[cfg(feature = "highs")]
#[test]
fn highs_gives_the_same_prices() {
    let problem = two_batteries_under_a_feeder();
    let prices = |backend| {
        let solution = solve(&problem, &options(backend)).expect("solvable");
        solution.prices.expect("prices").nodes[0].import.clone()
    };
    let expected = prices(Backend::Clarabel);
    assert!((expected[0] - 0.5).abs() < 1e-6, "{expected:?}");
    for method in [
        HighsMethod::Simplex,
        HighsMethod::InteriorPoint,
        HighsMethod::InteriorPointCrossover,
    ] {
        let found = prices(Backend::Highs(method));
        for (a, b) in expected.iter().zip(&found) {
            assert!((a - b).abs() < 1e-5, "{method:?}: {found:?} {expected:?}");
        }
    }
}

/// HiGHS calls a solve that was cut short a success; here it is none, or one that says that it is not optimal.
#[cfg(feature = "highs")]
#[test]
fn highs_without_time_is_not_optimal() {
    let problem = two_batteries_under_a_feeder();
    let frame = Frame::new(&problem);
    for method in [HighsMethod::Simplex, HighsMethod::InteriorPoint] {
        let hurried = Options {
            backend: Backend::Highs(method),
            time_limit: Some(Duration::ZERO),
        };
        match Raw::solve(&frame, &hurried) {
            Ok(raw) => assert!(!raw.optimal, "{method:?}: {}", raw.ending),
            Err(error) => assert!(matches!(error, SolveError::Unsolved { .. }), "{error}"),
        }
    }
}

/// Each must gain 8 kWh in two hours; the first hour is cheaper by 0.5 CNY/kWh, and the feeder has room for 10 kW.
fn two_batteries_under_a_feeder() -> Problem {
    let battery = crate::Resource {
        node: Some(0),
        charge_max_kw: vec![8.0; 2],
        discharge_max_kw: vec![0.0; 2],
        power_min_kw: vec![f64::NEG_INFINITY; 2],
        power_max_kw: vec![f64::INFINITY; 2],
        energy_min_kwh: vec![f64::NEG_INFINITY, 8.0],
        energy_max_kwh: vec![f64::INFINITY; 2],
        charge_efficiency: 1.0,
        discharge_efficiency: 1.0,
        initial_power_kw: 0.0,
        ramp_kw_per_h: f64::INFINITY,
        throughput_max_kwh: f64::INFINITY,
        energy_price: vec![0.3, 0.8],
        feed_in_price: vec![0.0; 2],
        wear: 0.0,
        terminal_value: 0.0,
        regulates: false,
    };
    Problem {
        intervals_h: vec![1.0; 2],
        resources: vec![battery.clone(), battery],
        nodes: vec![crate::Node {
            parent: None,
            import_limit_kw: vec![10.0, 100.0],
            export_limit_kw: vec![f64::INFINITY; 2],
            base_kw: vec![0.0; 2],
        }],
        requirements: vec![],
        penalties: crate::Penalties::default(),
    }
}

/// Every row, bound and cost of the program is in the text, and nothing else.
#[test]
fn mps_holds_the_whole_program() {
    let text = mps(&two_batteries_under_a_feeder()).expect("valid");
    let section = |name: &str| -> Vec<&str> {
        let lines = text.lines().skip_while(|line| *line != name).skip(1);
        lines.take_while(|line| line.starts_with(' ')).collect()
    };
    // Energy balance and need of each battery, and the feeder's first hour, with its overload.
    let rows = section("ROWS");
    assert_eq!(rows.iter().filter(|row| row.starts_with(" E ")).count(), 2);
    assert_eq!(rows.iter().filter(|row| row.starts_with(" L ")).count(), 3);
    let columns = section("COLUMNS");
    let at = |column: &str, row: &str| -> f64 {
        let start = format!(" {column} {row} ");
        let entry = columns.iter().find_map(|line| line.strip_prefix(&start));
        entry.map_or(0.0, |value| value.parse().expect("a number"))
    };
    assert!((at("C0", "COST") - 0.3).abs() < 1e-12 && (at("C1", "COST") - 0.8).abs() < 1e-12);
    assert!(section("BOUNDS").contains(&" UP BND C0 8"));
    assert!(section("RHS").contains(&" RHS R4 10"), "{text}");
    assert!(text.ends_with("ENDATA\n"));
}
